/*
 * batch_cache.h - what the dictionaries of earlier frames of columns came to. A producer sends
 * nearly the same strings in every frame; where the bytes of a dictionary are those of the frame
 * before, their codes, verdicts, tenants and partitions are too. One comparison of memory then
 * takes the place of reading, judging and looking up each string.
 *
 * An entry has the dictionaries of one frame in their order. They are taken from the first on, as
 * long as they are the same: codes count through all of them.
 *
 * Life:   batch_cache_open, given to batch_decode by its options, batch_cache_close. One cache
 *         serves one store: its key and its number of partitions.
 * Memory: at most BATCH_CACHE_ENTRIES frames of BATCH_CACHE_BYTES_MAX of dictionaries and
 *         32 bytes a string, 12 MB in all; what is larger is not kept.
 * Errors: none: where memory is short nothing is kept.
 * Thread: the front thread.
 */
#pragma once

#include "venturi/err.h"

#define BATCH_CACHE_ENTRIES     32
#define BATCH_CACHE_BYTES_MAX   (UINT64_C(128) << 10)
#define BATCH_CACHE_STRINGS_MAX 8192
#define BATCH_CACHE_COLUMNS_MAX 24

struct batch_cache;

VT_MUST_CHECK vt_err batch_cache_open(struct batch_cache **out_cache);
void batch_cache_close(struct batch_cache *cache); /* NULL is allowed */

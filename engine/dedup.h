/*
 * dedup.h - the tag table of one partition: a 16-bit tag for every retained id, in 64-byte lines of
 * 32, chosen by the high bits of K. It answers "never seen" exactly and "maybe" otherwise; a maybe
 * is confirmed elsewhere.
 *
 * A line that is full spills to the next one, and a bit beside the table remembers that it did;
 * load is at most 0.75. 2.69 bytes an id at that load, the bits included.
 *
 * Memory: all reserved at open (huge pages advised), resident once written. Nothing is ever
 *         forgotten; VT_DEDUP_FULL when the budget is used up.
 * Thread: the owner's; dedup_used and dedup_capacity any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/err.h"
#include "venturi/hash.h"

struct dedup;

VT_MUST_CHECK vt_err dedup_open(uint64_t ids_max, struct dedup **out_dedup);
void dedup_close(struct dedup *dedup);

/* Whether an id of this K may have been inserted before. False is exact. */
bool dedup_maybe(const struct dedup *dedup, const struct vt_hash128 *k);
VT_MUST_CHECK vt_err dedup_insert(struct dedup *dedup, const struct vt_hash128 *k);

/* For batches: brings the lines of `count` hashes into the cache before they are asked. */
void dedup_prefetch(const struct dedup *dedup, const struct vt_hash128 *ks, uint32_t count);

uint64_t dedup_used(const struct dedup *dedup);
uint64_t dedup_capacity(const struct dedup *dedup);
uint64_t dedup_bytes(const struct dedup *dedup);

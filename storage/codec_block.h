/*
 * codec_block.h - one block of at most 1024 integers with a reference, a width and patches; the
 * layout is told in codec.h.
 *
 * Errors: VT_BAD_FORMAT.
 * Thread: any; no state.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

/* Header, packed values at full width. Patches are taken only where they make a block smaller. */
#define BLOCK_HEAD_BYTES 12
#define BLOCK_BYTES_MAX  (BLOCK_HEAD_BYTES + 8 * 1024)

/* How a block will be written. */
struct block_plan {
    uint64_t reference;
    uint32_t width;
    uint32_t patch_count;
    uint32_t excess_bytes;
    uint32_t bytes; /* of the whole block */
};

/* 1 to 1024 entries. */
void block_plan_make(const int64_t *entries, uint32_t count, struct block_plan *out_plan);

/* Writes plan->bytes. */
void block_put(const struct block_plan *plan, const int64_t *entries, uint32_t count, uint8_t *out);

/* Reads one block of `count` entries. */
VT_MUST_CHECK vt_err block_get(struct vt_reader *reader, uint32_t count, int64_t *out_entries);

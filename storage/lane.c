/*
 * lane.c - the ring arithmetic of lane.h.
 */
#include "lane.h"

#include <stdlib.h>

#include "commit.h"
#include "venturi/assert.h"

vt_err
lane_init(struct lane *lane, uint64_t lane_bytes)
{
    VT_ASSERT(lane_bytes % COMMIT_BLOCK_BYTES == 0);
    VT_ASSERT(lane_bytes / COMMIT_BLOCK_BYTES <= UINT32_MAX);
    *lane = (struct lane){.block_count = (uint32_t)(lane_bytes / COMMIT_BLOCK_BYTES)};
    /* Each commit has a block of its own, so there are never more. */
    lane->extent_max = lane->block_count;
    lane->extents = calloc(lane->extent_max, sizeof lane->extents[0]);
    return lane->extents == NULL ? VT_NOMEM : VT_OK;
}

void
lane_deinit(struct lane *lane)
{
    free(lane->extents);
    lane->extents = NULL;
}

bool
lane_find(const struct lane *lane, uint32_t blocks, uint32_t *out_block)
{
    VT_ASSERT(blocks > 0);
    if (lane->extent_count == 0) {
        if (blocks > lane->block_count)
            return false;
        *out_block = lane->block_count - lane->head >= blocks ? lane->head : 0;
        return true;
    }
    uint32_t tail = lane->extents[lane->extent_first].block;

    if (lane->head > tail) {
        if (lane->block_count - lane->head >= blocks) {
            *out_block = lane->head;
            return true;
        }
        if (tail >= blocks) {
            *out_block = 0;
            return true;
        }
        return false;
    }
    /* head == tail with something unsealed: full. */
    if (tail - lane->head < blocks)
        return false;
    *out_block = lane->head;
    return true;
}

void
lane_take(struct lane *lane, uint64_t number, uint32_t block, uint32_t blocks)
{
    uint32_t waste = 0;

    VT_ASSERT(lane->extent_count < lane->extent_max);
    VT_ASSERT(block + blocks <= lane->block_count);
    if (lane->extent_count > 0 && block < lane->head)
        waste = lane->block_count - lane->head;
    lane->extents[(lane->extent_first + lane->extent_count) % lane->extent_max] =
        (struct lane_extent){number, block, blocks, waste};
    lane->extent_count++;
    lane->used += blocks + waste;
    lane->head = block + blocks;
}

void
lane_release(struct lane *lane, uint64_t number)
{
    while (lane->extent_count > 0) {
        const struct lane_extent *extent = &lane->extents[lane->extent_first];

        if (extent->number > number)
            break;
        VT_ASSERT(lane->used >= extent->block_count + extent->waste);
        lane->used -= extent->block_count + extent->waste;
        lane->extent_first = (lane->extent_first + 1) % lane->extent_max;
        lane->extent_count--;
    }
}

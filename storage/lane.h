/*
 * lane.h - where commits lie in one lane: a ring of bytes written in turn. A commit is never split;
 * one that does not fit before the end goes to the start. Unsealed commits are never overwritten.
 *
 *      offset 0                                              lane_bytes
 *        +---------+--------------+-----------------+-----------+
 *        |  head-> |    free      | oldest unsealed | ...       |   tail = offset of the oldest
 *        +---------+--------------+-----------------+-----------+
 *
 * Pure arithmetic: knows no file. Thread: the log's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/err.h"

struct lane_extent {
    uint64_t number;
    uint32_t block;       /* first, in blocks of 4 KiB */
    uint32_t block_count; /* with the skipped end of the lane before it, if any: see waste */
    uint32_t waste;       /* blocks skipped at the lane's end to reach it */
};

struct lane {
    struct lane_extent *extents; /* ring of extent_max, oldest first: the unsealed commits */
    uint32_t extent_max;
    uint32_t extent_first;
    uint32_t extent_count;
    uint32_t block_count;
    uint32_t head; /* next block to write */
    uint32_t used; /* blocks of unsealed commits, with waste */
};

VT_MUST_CHECK vt_err lane_init(struct lane *lane, uint64_t lane_bytes);
void lane_deinit(struct lane *lane);

/* Where a commit of `blocks` would go; false where no room is free. */
bool lane_find(const struct lane *lane, uint32_t blocks, uint32_t *out_block);

/* Takes the place that lane_find gave; in recovery, any place: commits come in order. */
void lane_take(struct lane *lane, uint64_t number, uint32_t block, uint32_t blocks);

/* Gives back what lies at or below `number`. */
void lane_release(struct lane *lane, uint64_t number);

/*
 * sealed_walk.h - parts of a segment an entry at a time, in their order, as codes of its own
 * dictionary: what a merge reads. Private to seal*.c and sealed*.c.
 *
 * Life:   open (or zeros), next until VT_END, close. What an entry points to lives until the next.
 * Errors: VT_DAMAGED with detail.
 * Thread: one.
 */
#pragma once

#include "arena.h"
#include "sealed.h"
#include "sealed_format.h"

/* A block of cells, decoded. */
#define SEALED_CELL_COLUMNS (SEAL_CELL_DIM + CELL_DIMS_MAX)
struct sealed_cell_block {
    uint32_t count;
    const int64_t *columns[SEALED_CELL_COLUMNS];
    const int64_t *sets;
    uint64_t set_count;
    struct vt_reader ids;
    uint64_t set_at;
};
VT_MUST_CHECK vt_err sealed_cell_block(const struct sealed *sealed, struct arena *arena,
                                       uint32_t index, struct sealed_cell_block *out_block);

struct sealed_walk_cell {
    struct cell_key key;
    struct cell_value value; /* without source and set */
    uint32_t source;
    uint64_t set_size;
    const int64_t *set; /* codes */
};
struct sealed_cell_walk {
    const struct sealed *sealed;
    struct arena arena; /* of the block at hand */
    uint32_t block_next;
    uint32_t at;
    struct sealed_cell_block block;
};
void sealed_cell_walk_open(const struct sealed *sealed, struct sealed_cell_walk *walk);
VT_MUST_CHECK vt_err sealed_cell_walk_next(struct sealed_cell_walk *walk,
                                           struct sealed_walk_cell *out_cell);
void sealed_cell_walk_close(struct sealed_cell_walk *walk);

/* Feed entries; groups are codes. */
VT_MUST_CHECK vt_err sealed_each_feed_entry(const struct sealed *sealed,
                                            vt_err (*each)(void *context,
                                                           const struct feed_entry *entry),
                                            void *context);

/* The stubs of all groups, one after the other; those of a group add up to its rows. */
VT_MUST_CHECK vt_err sealed_stubs(const struct sealed *sealed, struct arena *arena,
                                  const struct sealed_stub **out_stubs);

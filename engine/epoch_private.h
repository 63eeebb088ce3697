/*
 * epoch_private.h - what the files of the epoch share. Private to epoch*.c.
 *
 * Thread: as epoch.h says.
 */
#pragma once

#include "chunk_list.h"
#include "epoch.h"

struct epoch_lists {
    struct chunk_list exceptions;
    struct chunk_list settles;
    struct chunk_list feed;
};

/* A batch's code -> the dictionary's, where the generation is that of the batch at hand. */
struct code_memo_entry {
    uint32_t generation;
    uint32_t code;
};
struct code_memo {
    uint64_t strings_id; /* of the batch at hand */
    uint32_t generation;
    uint32_t capacity;
    struct code_memo_entry *entries;
};

/* --- epoch_identity.c */
VT_MUST_CHECK vt_err identity_map_open(struct identity_map **out_map);
void identity_map_close(struct identity_map *map); /* NULL is allowed */
/* The row must stand in its chunk already: when the table grows, identities are read from there. */
VT_MUST_CHECK vt_err identity_map_add(struct epoch *epoch, const struct vt_hash128 *k, row_ref row);

/* --- epoch_scan.c */
/* The given rows of one type and one tenant as a block, without dictionary; memory from the
 * arena. */
struct epoch_gather {
    const struct epoch *epoch;
    uint32_t type;
    const uint32_t *rows;
    uint32_t count; /* at least 1 */
    struct arena *arena;
};
VT_MUST_CHECK vt_err epoch_gather_block(const struct epoch_gather *gather,
                                        struct row_block *out_block,
                                        const struct vt_hash128 **out_identity);

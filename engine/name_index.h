/*
 * name_index.h - names to numbers: an open-addressed table in an arena that doubles as it fills.
 *
 * Life:   name_index_init, put*, then find by any thread; gone with the arena.
 * Thread: one at a time while names are put.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define NAME_INDEX_NONE UINT32_MAX

struct arena;
struct name_slot {
    struct vt_str name;
    uint32_t value; /* NAME_INDEX_NONE: free */
};

struct name_index {
    struct arena *arena;
    struct name_slot *slots;
    uint32_t slot_count; /* a power of two, or 0 */
    uint32_t used;
};

void name_index_init(struct name_index *index, struct arena *arena);

/* The name is borrowed. Where it is there already its number comes out and stays; else
 * NAME_INDEX_NONE comes out and `value`, which is never NAME_INDEX_NONE, is put. */
VT_MUST_CHECK vt_err name_index_put(struct name_index *index, struct vt_str name, uint32_t value,
                                    uint32_t *out_before);

/* NAME_INDEX_NONE where there is none. */
uint32_t name_index_find(const struct name_index *index, struct vt_str name);

/*
 * string_table.h - the distinct strings of one batch, each with a code. String 0 is "".
 *
 * Life:   string_table_init, then string_table_code any number of times; gone with its arena.
 * Memory: the arena's. Texts are borrowed, not copied.
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "arena.h"

struct string_slot {
    uint32_t hash;
    uint32_t code; /* 0: free, for "" is never looked up */
};

struct string_table {
    struct arena *arena;
    uint64_t seed; /* secret, so that nobody can choose strings that collide */
    struct vt_str *strings;
    uint32_t count;
    uint32_t capacity;
    uint32_t slot_mask;        /* twice the capacity of strings, a power of two, less one */
    struct string_slot *slots; /* NULL: made when a string is looked for */
};

VT_MUST_CHECK vt_err string_table_init(struct string_table *table, struct arena *arena,
                                       uint64_t seed, uint32_t count_hint);

/* Room for `count` strings in all, which the caller may then write behind the others itself; they
 * are distinct. */
VT_MUST_CHECK vt_err string_table_room(struct string_table *table, uint32_t count);

/* The code of an equal text, a new one where there is none. VT_NOMEM. */
VT_MUST_CHECK vt_err string_table_code(struct string_table *table, struct vt_str text,
                                       uint32_t *out_code);

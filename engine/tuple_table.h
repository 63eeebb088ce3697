/*
 * tuple_table.h - vectors of codes to numbers: the first distinct vector is 0, the next one 1. All
 * vectors of a table have one width; with width 0 there is one vector, and it is number 0.
 *
 * Open addressing with linear probing, load at most one half.
 *
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "venturi/err.h"

#define TUPLE_NONE UINT32_MAX

struct tuple_table {
    uint32_t width;
    uint32_t count;
    uint32_t capacity;  /* of keys, in vectors */
    uint32_t slot_mask; /* slots are a power of two */
    uint32_t *keys;     /* count x width */
    uint32_t *slots;    /* number + 1; 0 is empty */
};

VT_MUST_CHECK vt_err tuple_table_init(struct tuple_table *table, uint32_t width);
void tuple_table_deinit(struct tuple_table *table); /* a zeroed one is allowed */
void tuple_table_reset(struct tuple_table *table);  /* forgets the vectors, keeps the memory */

/* The number of a vector, added where it is new: then it is the count before the call. */
VT_MUST_CHECK vt_err tuple_table_put(struct tuple_table *table, const uint32_t *key,
                                     uint32_t *out_number);

static inline const uint32_t *
tuple_table_key(const struct tuple_table *table, uint32_t number)
{
    return table->keys + (uint64_t)number * table->width;
}

/* The finalizer of SplitMix64 (S. Vigna) over a running product. */
static inline uint32_t
tuple_hash(const uint32_t *key, uint32_t width)
{
    uint64_t hash = width;

    for (uint32_t i = 0; i < width; i++)
        hash = (hash ^ key[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(hash >> 32);
}

/* TUPLE_NONE where it is not there. */
static inline uint32_t
tuple_table_find(const struct tuple_table *table, const uint32_t *key)
{
    uint32_t width = table->width;

    for (uint32_t at = tuple_hash(key, width);; at++) {
        uint32_t found = table->slots[at & table->slot_mask];
        uint32_t same = 0;

        if (found == 0)
            return TUPLE_NONE;
        const uint32_t *there = tuple_table_key(table, found - 1);

        while (same < width && there[same] == key[same])
            same++;
        if (same == width)
            return found - 1;
    }
}

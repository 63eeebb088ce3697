/*
 * ptr_table.h - an open-addressing table of pointers by 64-bit hash: linear probing, removal by
 * shifting back (D. Knuth, The Art of Computer Programming 3, 6.4, algorithm R), load at most 1/2.
 * The items and the comparison of their keys are the caller's: walk the items of one hash and
 * compare.
 *
 *     for (at = ptr_table_find(t, hash); (item = ptr_table_at(t, &at, hash)) != NULL;
 *          at = ptr_table_next(t, at))
 *
 * Life:   a zeroed struct is an empty table; ptr_table_deinit.
 * Errors: only growth fails, with VT_NOMEM, and leaves the table as it was.
 * Thread: one at a time; read-only use by any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "venturi/err.h"

struct ptr_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct ptr_table {
    struct ptr_slot *slots;
    uint64_t mask; /* slots - 1; 0 where there are none */
    uint64_t count;
};

void ptr_table_deinit(struct ptr_table *table);
/* Room for one more item, so that the next ptr_table_put cannot fail. */
VT_MUST_CHECK vt_err ptr_table_reserve(struct ptr_table *table);
/* After ptr_table_reserve. `item` is not NULL. */
void ptr_table_put(struct ptr_table *table, uint64_t hash, void *item);
/* The item must be there, under this hash. */
void ptr_table_remove(struct ptr_table *table, uint64_t hash, const void *item);

static inline uint64_t
ptr_table_find(const struct ptr_table *table, uint64_t hash)
{
    return hash & table->mask;
}

/* Fetches the slot where a hash would be; later the item that it leads to. Hints, no more. */
static inline void
ptr_table_prefetch(const struct ptr_table *table, uint64_t hash)
{
    if (table->slots != NULL)
        __builtin_prefetch(&table->slots[hash & table->mask], 0, 3);
}

static inline void
ptr_table_prefetch_item(const struct ptr_table *table, uint64_t hash)
{
    if (table->slots == NULL)
        return;
    const struct ptr_slot *slot = &table->slots[hash & table->mask];

    if (slot->hash == hash && slot->item != NULL)
        __builtin_prefetch(slot->item, 1, 3);
}

/* The next item with this hash at or after the place, to which *at moves; NULL after the last. */
static inline void *
ptr_table_at(const struct ptr_table *table, uint64_t *at, uint64_t hash)
{
    if (table->slots == NULL)
        return NULL;
    while (table->slots[*at].item != NULL) {
        if (table->slots[*at].hash == hash)
            return table->slots[*at].item;
        *at = (*at + 1) & table->mask;
    }
    return NULL;
}

static inline uint64_t
ptr_table_next(const struct ptr_table *table, uint64_t at)
{
    return (at + 1) & table->mask;
}

/* One step of the hash of a key's words: a 64 x 64 multiplication, its halves folded (W. Yi,
 * wyhash). */
static inline uint64_t
ptr_hash_step(uint64_t hash, uint64_t word)
{
    __extension__ typedef unsigned __int128 wide;
    wide product =
        (wide)(hash ^ UINT64_C(0xa0761d6478bd642f)) * (word ^ UINT64_C(0xe7037ed1a0b428db));

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

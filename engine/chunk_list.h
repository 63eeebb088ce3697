/*
 * chunk_list.h - an append-only list whose items never move: chunk k holds 64 << k items, so that
 * an index leads to its chunk by one count of leading zeros. A reader that took `count` at a commit
 * boundary reads the items below it while the owner goes on adding.
 *
 * Life:   zeroed but for item_bytes, add*, chunk_list_deinit.
 * Thread: the owner adds; readers read below their count.
 */
#pragma once

#include <stdint.h>

#include "venturi/assert.h"

#define CHUNK_LIST_FIRST_BITS 6
#define CHUNK_LIST_CHUNKS     26 /* 64 x (2^26 - 1) items: just below 2^32 */

struct chunk_list {
    uint32_t count; /* the owner's */
    uint32_t item_bytes;
    void *chunks[CHUNK_LIST_CHUNKS];
};

/* Room for one more item, zeroed; NULL where memory is short or the list full. */
void *chunk_list_add(struct chunk_list *list);
void chunk_list_deinit(struct chunk_list *list);

/* Item `index`, which the caller knows to be there. */
static inline void *
chunk_list_at(const struct chunk_list *list, uint32_t index)
{
    uint64_t place = (uint64_t)index + (UINT64_C(1) << CHUNK_LIST_FIRST_BITS);
    uint32_t top = 63 - (uint32_t)__builtin_clzll(place);

    return (uint8_t *)list->chunks[top - CHUNK_LIST_FIRST_BITS] +
           (place - (UINT64_C(1) << top)) * list->item_bytes;
}

/* chunk_list.c - see chunk_list.h. */
#include "chunk_list.h"

#include <stdlib.h>

void *
chunk_list_add(struct chunk_list *list)
{
    uint64_t place = (uint64_t)list->count + (UINT64_C(1) << CHUNK_LIST_FIRST_BITS);
    uint32_t chunk = 63 - (uint32_t)__builtin_clzll(place) - CHUNK_LIST_FIRST_BITS;

    VT_ASSERT(list->item_bytes > 0);
    if (chunk >= CHUNK_LIST_CHUNKS)
        return NULL;
    if (list->chunks[chunk] == NULL) {
        list->chunks[chunk] =
            calloc(UINT64_C(1) << (CHUNK_LIST_FIRST_BITS + chunk), list->item_bytes);
        if (list->chunks[chunk] == NULL)
            return NULL;
    }
    return chunk_list_at(list, list->count++);
}

void
chunk_list_deinit(struct chunk_list *list)
{
    for (uint32_t i = 0; i < CHUNK_LIST_CHUNKS; i++) {
        free(list->chunks[i]);
        list->chunks[i] = NULL;
    }
    list->count = 0;
}

/*
 * code_pages.h - codes of the dictionary in use to numbers of one's own, by index: a code is looked
 * up once while blocks of one dictionary follow each other. Memory is taken by pages, for the codes
 * that are met: one tenant uses few of the strings of a whole segment. To forget costs nothing.
 *
 * Life:   a zeroed struct is empty; forget, put, get; code_pages_deinit.
 * Thread: one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "venturi/err.h"

#define CODE_PAGE_BITS 10
#define CODE_NONE      UINT32_MAX

struct code_entry {
    uint32_t age; /* of the pages when it was put; another one: not there */
    uint32_t number;
};

struct code_pages {
    uint32_t age;
    uint32_t page_count;
    struct code_entry **pages;
};

void code_pages_deinit(struct code_pages *map);
void code_pages_forget(struct code_pages *map);
VT_MUST_CHECK vt_err code_pages_put(struct code_pages *map, uint32_t code, uint32_t number);

/* CODE_NONE where the code was not put since the map last forgot. */
static inline uint32_t
code_pages_get(const struct code_pages *map, uint32_t code)
{
    uint32_t page = code >> CODE_PAGE_BITS;

    if (page >= map->page_count || map->pages[page] == NULL)
        return CODE_NONE;
    const struct code_entry *entry = &map->pages[page][code & ((1U << CODE_PAGE_BITS) - 1)];

    return entry->age == map->age ? entry->number : CODE_NONE;
}

/* code_pages.c - see code_pages.h. */
#include "code_pages.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define PAGE_ENTRIES (UINT32_C(1) << CODE_PAGE_BITS)

void
code_pages_deinit(struct code_pages *map)
{
    for (uint32_t i = 0; i < map->page_count; i++)
        free(map->pages[i]);
    free(map->pages);
    *map = (struct code_pages){.pages = NULL};
}

/* Entries of a fresh page have age 0, which is never the map's once something was put. */
void
code_pages_forget(struct code_pages *map)
{
    if (map->age == UINT32_MAX)
        code_pages_deinit(map);
    map->age++;
}

vt_err
code_pages_put(struct code_pages *map, uint32_t code, uint32_t number)
{
    uint32_t page = code >> CODE_PAGE_BITS;

    VT_ASSERT(number != CODE_NONE);
    if (map->age == 0)
        map->age = 1;
    if (page >= map->page_count) {
        uint64_t grown = (uint64_t)page + 1 + page / 2;
        struct code_entry **pages = realloc(map->pages, grown * sizeof(struct code_entry *));

        if (pages == NULL)
            return VT_NOMEM;
        memset(pages + map->page_count, 0, (grown - map->page_count) * sizeof(struct code_entry *));
        map->pages = pages;
        map->page_count = (uint32_t)grown;
    }
    if (map->pages[page] == NULL)
        map->pages[page] = calloc(PAGE_ENTRIES, sizeof(struct code_entry));
    if (map->pages[page] == NULL)
        return VT_NOMEM;
    map->pages[page][code & (PAGE_ENTRIES - 1)] = (struct code_entry){map->age, number};
    return VT_OK;
}

/* view_page.c - the smallest few of many, in order. See view_internal.h. */
#include <stdlib.h>

#include "venturi/assert.h"
#include "view_internal.h"

#define PAGE_ARENA_BYTES (UINT64_C(256) << 10)

void
page_init(struct page *page, uint64_t limit)
{
    VT_ASSERT(limit > 0);
    *page = (struct page){.limit = limit};
    arena_init(&page->arena, PAGE_ARENA_BYTES);
}

void
page_deinit(struct page *page)
{
    free(page->items);
    arena_deinit(&page->arena);
}

int
page_key_compare(const struct page_key *a, const struct page_key *b)
{
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int
item_compare(const void *a, const void *b)
{
    const struct page_item *one = a;
    const struct page_item *other = b;

    return page_key_compare(&one->key, &other->key);
}

bool
page_wants(const struct page *page, const struct page_key *key)
{
    return !page->full || page_key_compare(key, &page->worst) < 0;
}

void
page_finish(struct page *page)
{
    if (page->count > 1)
        qsort(page->items, page->count, sizeof page->items[0], item_compare);
    if (page->count > page->limit)
        page->count = page->limit;
    if (page->count == page->limit) {
        page->full = true;
        page->worst = page->items[page->count - 1].key;
    }
}

vt_err
page_add(struct page *page, const struct page_key *key, void *data)
{
    if (page->count == page->capacity) {
        uint64_t capacity = page->capacity == 0 ? 256 : page->capacity * 2;
        struct page_item *grown = realloc(page->items, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        page->items = grown;
        page->capacity = capacity;
    }
    page->items[page->count++] = (struct page_item){*key, data};
    /* Twice the limit, then down to it: each item is sorted a constant number of times on
     * average. */
    if (page->count / 2 >= page->limit)
        page_finish(page);
    return VT_OK;
}

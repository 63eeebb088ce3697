/*
 * view_internal.h - what the files of the view share. Private to view*.c.
 *
 * Thread: the reader's.
 */
#pragma once

#include "arena.h"
#include "view.h"

#define VIEW_FLUSH_BYTES (UINT64_C(64) << 10)

/* Hands the text over where it has grown enough, or in any case with `last`. */
VT_MUST_CHECK vt_err view_flush(const struct view_sink *sink, struct json_out *out, bool last);

/* Rows of one part: segments oldest first, then epochs. */
VT_MUST_CHECK vt_err view_scan_part(const struct part_snapshot *part,
                                    const struct scan_options *options);

/* Whether a tenant can have anything in this part; an empty name can. */
bool view_part_has(const struct view *view, const struct part_snapshot *part, struct vt_str tenant);

/* Keeps the `limit` smallest of what is added, by a key of three numbers: pages of exceptions and
 * of the feed. Items are copied bytes. */
struct page_key {
    uint64_t number;
    uint32_t partition;
    uint32_t index;
};
struct page_item {
    struct page_key key;
    void *data; /* in the arena of the page */
};
struct page {
    uint64_t limit;
    uint64_t count;
    uint64_t capacity;
    struct page_item *items;
    struct arena arena;
    bool full;             /* limit items are there: worse ones are turned away */
    struct page_key worst; /* where full */
};
void page_init(struct page *page, uint64_t limit);
void page_deinit(struct page *page);
int page_key_compare(const struct page_key *a, const struct page_key *b);
/* Whether it is worth building the item. */
bool page_wants(const struct page *page, const struct page_key *key);
VT_MUST_CHECK vt_err page_add(struct page *page, const struct page_key *key, void *data);
/* Sorts and cuts to the limit. */
void page_finish(struct page *page);

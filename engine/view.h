/*
 * view.h - the state of the store at one position, for readers. No query runs on a worker: a view
 * holds references to segments and epochs, and everything below is computed on the reader's thread.
 *
 * Life:   core_view gives one; view_put.
 * Thread: one reader at a time; several views may live at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "json_out.h"
#include "part.h"
#include "rating.h"

struct view {
    uint64_t position; /* the answer is exactly the state there */
    uint64_t commit;
    int64_t arrival_us;
    uint64_t history;
    struct fence *fence; /* NULL: damage is an error and no more */
    uint32_t fork_count; /* restores that led to it: cursors of before hold */
    struct store_fork forks[STORE_FORKS_MAX];
    struct vt_hash_key key;        /* which partition a tenant lives in */
    const struct catalog *catalog; /* in force at position; borrowed from the core */
    uint32_t part_count;
    struct part_snapshot *parts;
};
void view_put(struct view *view); /* releases what it holds, not the struct */

/* VT_FENCED where a partition that the tenant may live in (empty: any) waits for a repair. */
VT_MUST_CHECK vt_err view_fenced(const struct view *view, struct vt_str tenant);

/* All accepted rows, segment by segment and epoch by epoch of the partitions that the tenant may
 * live in. */
VT_MUST_CHECK vt_err view_scan(const struct view *view, const struct scan_options *options);

/* Answers as JSON Lines into `out`, each handed to `flush` when it has grown beyond some 64 KiB
 * (and at the end). */
struct view_sink {
    vt_err (*flush)(void *context, struct json_out *out); /* takes the bytes, resets `out` */
    void *context;
};
struct windows_query {
    struct vt_str tenant; /* empty: all */
    struct vt_str meter;  /* empty: all */
    int64_t start_us;     /* windows that start in [start, end); INT64_MIN, INT64_MAX: all */
    int64_t end_us;
};
VT_MUST_CHECK vt_err view_windows(const struct view *view, const struct windows_query *query,
                                  const struct view_sink *sink);

struct lines_query {
    const struct catalog *catalog; /* to rate by: the view's own, or another (replay) */
    struct vt_str tenant;          /* empty: all */
    bool has_at;
    int64_t at_us;
    bool has_range;
    int64_t start_us;
    int64_t end_us;
    uint32_t threads; /* 0 or 1: the caller's only */
};
/* Sorted by tenant key, then as the rater sorts. `rows` (NULL allowed) gets the number of rows
 * read. */
VT_MUST_CHECK vt_err view_lines(const struct view *view, const struct lines_query *query,
                                const struct view_sink *sink, uint64_t *out_rows);
VT_MUST_CHECK vt_err view_unrated(const struct view *view, const struct lines_query *query,
                                  const struct view_sink *sink, uint64_t *out_rows);
/* lines(query) - lines(against): adjustments. */
VT_MUST_CHECK vt_err view_adjustments(const struct view *view, const struct lines_query *query,
                                      const struct catalog *against, const struct view_sink *sink,
                                      uint64_t *out_rows);

/* The oracle's summary object, one line. With `by_tenant` a second key "tenants" with a row
 * each. */
VT_MUST_CHECK vt_err view_summary(const struct view *view, bool by_tenant,
                                  const struct view_sink *sink);

/* Open exceptions and conflicts, oldest first, at most `limit` after `after_position`. */
struct exceptions_query {
    struct vt_str tenant;
    uint8_t reason;
    uint64_t after_position;
    uint64_t limit;
};
VT_MUST_CHECK vt_err view_exceptions(const struct view *view, const struct exceptions_query *query,
                                     const struct view_sink *sink);

/* The feed after a cursor: order (commit number, partition, index). Each row carries its cursor,
 * signed with `secret`; an empty cursor is the beginning. VT_BAD_CURSOR. At most `limit` rows. */
struct feed_query {
    struct vt_str cursor;
    uint64_t limit;
    const uint8_t *secret; /* 32 bytes */
};
VT_MUST_CHECK vt_err view_feed(const struct view *view, const struct feed_query *query,
                               const struct view_sink *sink, uint64_t *out_rows);

/* One digest of everything that is a function of the log: tallies, content per tenant and type,
 * windows, exceptions, feed. The same for any number of threads, batch sizes, cuts, restarts and
 * rebuilds. */
VT_MUST_CHECK vt_err view_digest(const struct view *view, uint8_t out_sha256[32]);

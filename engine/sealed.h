/*
 * sealed.h - a segment as the engine reads and writes it. seal_write turns a frozen epoch into the
 * chunks of a segment; sealed_* reads them back: blocks of rows, rows by identity, cells,
 * exceptions, feed.
 *
 * Rows stand by (type, tenant, position) in blocks of up to 16 Ki rows; strings as codes of one
 * dictionary of the segment; the ids of rows with an identity only in the id run, in the order of
 * K, with their row numbers. The segment holds the packed catalog under which its rows were judged
 * (or the position of the one that does, where it is the same as an earlier segment's: the engine
 * state has them all).
 *
 * Thread: seal_write on the sealer's; a sealed is immutable and read by any thread. References are
 *         atomic.
 */
#pragma once

#include <stdint.h>

#include "cells.h"
#include "epoch.h"
#include "storage/storage.h"
#include "venturi/hash.h"

struct sealed;

/* Writes and verifies the segment file of a frozen epoch at the path that the store gives it.
 * Nothing in it depends on threads, batch sizes or time. */
VT_MUST_CHECK vt_err seal_write(struct io *io, struct store *store, struct epoch *epoch,
                                struct store_segment *out_segment);

/* Writes and verifies the segment that takes the place of others: of one partition, level and
 * catalog, oldest first, that follow each other. What is in it, but for the stubs of its content
 * and its name, is what one epoch would have had in place of theirs; it is a function of the inputs
 * alone. `pause` is called after each millisecond or two of work; an error from it ends the merge.
 * After any error no file is left, or one that the next try replaces. */
#define SEAL_MERGE_MAX 16
struct seal_merge_options {
    struct io *io;
    struct store *store;
    uint32_t input_count; /* 2 to SEAL_MERGE_MAX */
    struct sealed *const *inputs;
    vt_err (*pause)(void *context); /* NULL is allowed */
    void *context;
};
VT_MUST_CHECK vt_err seal_merge(const struct seal_merge_options *options,
                                struct store_segment *out_segment);

/* `catalog` is the one that judged its rows (same packed bytes). One reference. */
VT_MUST_CHECK vt_err sealed_open(struct io *io, const struct store_segment *segment,
                                 const struct catalog *catalog, struct sealed **out_sealed);
struct sealed *sealed_get(struct sealed *sealed);
void sealed_put(struct sealed *sealed); /* NULL is allowed */

/* Before others have it. */
void sealed_set_guard(struct sealed *sealed, const struct segment_guard *guard);

const struct segment_id *sealed_id(const struct sealed *sealed);
const struct catalog *sealed_catalog(const struct sealed *sealed);
uint64_t sealed_row_count(const struct sealed *sealed);

/* Blocks of rows; tenant and type by name, an empty view for all. Only the columns needed are read:
 * `columns` NULL means all declared ones. */
struct scan_options {
    struct vt_str tenant;
    struct vt_str type;
    bool want_ids;
    bool want_extra;
    uint32_t column_count;
    const struct vt_str *columns;
    vt_err (*block)(void *context, const struct row_block *block);
    void *context;
};
VT_MUST_CHECK vt_err sealed_scan(const struct sealed *sealed, const struct scan_options *options);

/* Keys (dedup.h) of all identities, ascending, some at a time: for filling the tag table at a
 * start. Only the strip is read, in sequence. */
VT_MUST_CHECK vt_err sealed_each_key(const struct sealed *sealed,
                                     vt_err (*each)(void *context, const uint64_t *keys,
                                                    uint32_t count),
                                     void *context);
uint64_t sealed_identity_count(const struct sealed *sealed);

/* VT_NOT_FOUND, or the row as a block of one (memory from the arena) with its position. */
VT_MUST_CHECK vt_err sealed_find(const struct sealed *sealed, const struct row_wanted *wanted,
                                 struct arena *arena, struct row_block *out_row);

/* The same for many ids in many segments, with many reads in flight. An identity stands in one
 * segment at most. Rows have memory of search->arena, strings of their segments. */
struct sealed_search {
    uint32_t sealed_count;
    struct sealed *const *sealed; /* oldest first */
    struct io_reader *reader;
    struct arena *arena;
};
struct sealed_seek {
    const struct row_wanted *wanted;
    bool found;
    struct row_block row;
    bool alone;                  /* private from here on */
    const struct sealed *sealed; /* that has an id of these bytes */
    uint32_t row_number;
};
VT_MUST_CHECK vt_err sealed_seek_many(const struct sealed_search *search, struct sealed_seek *seeks,
                                      uint32_t count);

/* Cells of the footer, in their order; names and dims by strings. */
struct sealed_cell {
    struct vt_str meter;
    struct vt_str tenant;
    int64_t window_start_us;
    uint32_t dim_count;
    const struct vt_str *dim_names;
    const struct vt_str *dim_values;
};
struct cell_filter {
    struct vt_str meter;  /* empty: all */
    struct vt_str tenant; /* empty: all */
    int64_t start_us;     /* windows that start in [start, end) */
    int64_t end_us;
};
VT_MUST_CHECK vt_err sealed_each_cell(const struct sealed *sealed, const struct cell_filter *filter,
                                      vt_err (*each)(void *context, const struct sealed_cell *cell,
                                                     const struct cell_value *value),
                                      void *context);
/* Whether the footer has cells of this meter as `catalog` defines it (same type, aggregation,
 * field, filter, window, and at least its dims): else a reader scans the rows. */
bool sealed_has_cells(const struct sealed *sealed, const struct catalog *catalog, uint32_t meter);

/* Exceptions and settles of this segment, in their order. */
VT_MUST_CHECK vt_err sealed_each_exception(const struct sealed *sealed,
                                           vt_err (*each)(void *context,
                                                          const struct exception_entry *entry),
                                           void *context);
VT_MUST_CHECK vt_err sealed_each_settle(const struct sealed *sealed,
                                        vt_err (*each)(void *context,
                                                       const struct settle_entry *entry),
                                        void *context);

/* Feed entries by strings. `find` gives the last revision of each group of one window. */
struct feed_row {
    uint64_t number;
    uint32_t partition;
    uint32_t index; /* among the entries of (number, partition) */
    struct vt_str meter;
    struct vt_str tenant;
    int64_t window_start_us;
    uint32_t group_count;
    const struct vt_str *group_names;
    const struct vt_str *group_values;
    uint32_t revision;
    uint64_t position;
    uint64_t count;
    vt_i128 total;
    vt_i128 difference;
    uint32_t scale;
    int64_t window_us;
    bool closed;
};
VT_MUST_CHECK vt_err sealed_each_feed(const struct sealed *sealed, uint64_t number_from,
                                      vt_err (*each)(void *context, const struct feed_row *row),
                                      void *context);
struct feed_search {
    struct vt_str meter;
    struct vt_str tenant;
    int64_t start_us;
};
VT_MUST_CHECK vt_err sealed_find_feed(const struct sealed *sealed, const struct feed_search *window,
                                      vt_err (*each)(void *context, const struct feed_row *row),
                                      void *context);

/* What was proven of the rows of each (type, tenant), in the order of a scan: stubs of rows that
 * follow each other, each the SHA-256 over their canonical form (content.h). Their rows add up to
 * those of the group. */
struct sealed_stub {
    uint64_t rows;
    uint8_t sha256[32];
};
struct sealed_content {
    struct vt_str tenant;
    struct vt_str type;
    uint64_t rows;
    uint64_t stub_count;
    const struct sealed_stub *stubs;
};
VT_MUST_CHECK vt_err sealed_each_content(const struct sealed *sealed,
                                         vt_err (*each)(void *context,
                                                        const struct sealed_content *content),
                                         void *context);

/* Computes the stubs anew from the rows, in one pass. *out_difference is the first group that has
 * another one, with memory of the catalog, or is empty. */
struct sealed_difference {
    bool any;
    struct vt_str tenant;
    struct vt_str type;
};
VT_MUST_CHECK vt_err sealed_verify_content(const struct sealed *sealed, uint64_t *out_stubs,
                                           struct sealed_difference *out_difference);

/*
 * epoch.h - what one partition took in since the last cut, in memory: rows by type, a dictionary,
 * the exception queue's new entries, feed entries; cells where they are asked for. At a cut it is
 * frozen and a new one begins; the sealer turns the frozen one into a segment.
 *
 * Everything a reader needs is append-only in chunks that never move: a reader takes the counts at
 * a commit boundary (struct epoch_mark) and then reads below them while the owner goes on. The
 * cells are the owner's alone, also after the freeze, and made only when a tick wants them; others
 * who need values of an epoch aggregate its rows.
 *
 * All rows of an epoch were judged under one catalog: a catalog commit is a cut.
 *
 * Life:   epoch_open (one reference), append by the owner, epoch_freeze, epoch_put by whoever holds
 *         one.
 * Thread: owner; after the freeze any. References are atomic.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "batch.h"
#include "block.h"
#include "catalog.h"
#include "cells.h"
#include "dict.h"
#include "venturi/hash.h"

#define EPOCH_CHUNK_ROWS 8192
#define EPOCH_CHUNKS_MAX 4096

/* Columns of up to EPOCH_CHUNK_ROWS rows of one type. */
struct row_chunk {
    uint64_t *position;
    uint32_t *tenant; /* index in the epoch's catalog */
    int64_t *time_us;
    uint32_t *source;    /* dict code */
    struct id_column id; /* texts in the epoch's arena */
    /* Both NULL until a row has any; set by the owner with release. Sequence ids have no identity,
     * for they have no place in the id run: {0, 0}. */
    _Atomic(struct vt_hash128 *) identity;
    _Atomic(struct vt_bytes *) extra;
    int64_t **value; /* [slot][row]; NULL for string slots */
    uint8_t **present;
    uint32_t **code; /* [slot][row] dict codes; NULL for decimal slots */
};

struct row_table {
    uint32_t row_count; /* the owner's; readers use their mark */
    struct row_chunk *chunks[EPOCH_CHUNKS_MAX];
};

/* One entry of the exception queue: an exception, or a conflict (reason VT_REASON_NONE). */
struct exception_entry {
    uint64_t position;
    uint64_t first_position; /* conflict: the accepted one's; else 0 */
    int64_t arrival_us;
    struct vt_str tenant;  /* name as sent; "" where it was none */
    struct vt_bytes raw;   /* msgpack map in the form of BATCH_ROWS */
    struct vt_bytes first; /* conflict: the accepted one's content, the same form */
    uint8_t reason;
};

/* A retry or discard settled an entry. */
enum settle_kind { SETTLE_ACCEPTED = 1, SETTLE_DUPLICATE, SETTLE_DISCARDED };
struct settle_entry {
    uint64_t position;    /* of the exception */
    uint64_t at_position; /* where the record of the retry or discard stands */
    uint8_t kind;
};

/* One revision of a group of a window. Values as exact integers in units of 10^-scale. */
struct feed_entry {
    uint64_t number; /* of the commit that made it: k */
    uint32_t meter;
    uint32_t tenant;
    int64_t window_start_us;
    uint32_t group[CELL_DIMS_MAX]; /* dict codes in the order of group_by */
    uint32_t revision;
    uint64_t position; /* last position that is counted in it */
    uint64_t count;
    vt_i128 total;
    vt_i128 difference;
    bool closed; /* by a close record, not by a tick */
};

struct epoch_lists;  /* private: chunked append-only lists */
struct identity_map; /* private */
struct code_memo;    /* private: codes of the batch at hand in the dictionary */

struct epoch {
    _Atomic uint32_t references;
    uint32_t partition;
    const struct catalog *catalog;
    uint64_t first_commit;
    uint64_t first_position;
    uint64_t last_commit; /* set by the freeze */
    uint64_t last_position;
    int64_t last_arrival_us;
    bool frozen;
    struct arena arena; /* the owner's */
    struct dict *dict;
    struct row_table *tables; /* [type_count] */
    struct cells *cells;      /* the owner's, for ever; of the rows below cells_rows */
    uint32_t *cells_rows;     /* [type_count] */
    struct epoch_lists *lists;
    struct identity_map *identities; /* K -> row, for confirmation; owner only */
    struct code_memo *memo;          /* owner only */
};

struct epoch_options {
    uint32_t partition;
    const struct catalog *catalog;
    uint64_t first_commit;
    uint64_t first_position;
};
VT_MUST_CHECK vt_err epoch_open(const struct epoch_options *options, struct epoch **out_epoch);
struct epoch *epoch_get(struct epoch *epoch);
void epoch_put(struct epoch *epoch); /* NULL is allowed */

struct epoch_freeze_at {
    uint64_t commit;
    uint64_t position;
    int64_t arrival_us;
};
void epoch_freeze(struct epoch *epoch, const struct epoch_freeze_at *at);

/* No rows, exceptions, settles or feed entries: no segment is made of it. Frozen ones only. */
bool epoch_is_empty(const struct epoch *epoch);

/* A row as (type << 32 | row). */
typedef uint64_t row_ref;

/* Before the first append of a batch: its codes are not those of the batch before, but where it
 * says so (strings_id). Owner only. */
VT_MUST_CHECK vt_err epoch_batch_begin(struct epoch *epoch, const struct batch *batch);

/* Appends accepted event `index` of the batch begun; positions ascend. The cells are the caller's
 * to fill. Owner only. */
VT_MUST_CHECK vt_err epoch_append(struct epoch *epoch, const struct batch *batch, uint32_t index,
                                  const struct vt_hash128 *identity, row_ref *out_row);

/* The same for several events of the batch, all of one type: their rows follow each other. */
struct epoch_rows {
    const struct batch *batch;
    uint32_t count;                    /* at least 1 */
    const uint32_t *index;             /* in the batch, ascending */
    const struct vt_hash128 *identity; /* NULL: all ids are sequences */
};
VT_MUST_CHECK vt_err epoch_append_rows(struct epoch *epoch, const struct epoch_rows *rows,
                                       row_ref *out_first);

/* Where the row stands: its chunk, and its index there. */
static inline const struct row_chunk *
epoch_row_chunk(const struct epoch *epoch, row_ref row, uint32_t *out_at)
{
    *out_at = (uint32_t)row % EPOCH_CHUNK_ROWS;
    return epoch->tables[row >> 32].chunks[(uint32_t)row / EPOCH_CHUNK_ROWS];
}

/* Rows of a chunk as cells take them, but for `first` and `count`. */
void epoch_cell_rows(const struct epoch *epoch, uint32_t type, const struct row_chunk *chunk,
                     struct cell_rows *out_rows);
/* The cells of all rows so far. Owner only, also after the freeze. */
VT_MUST_CHECK vt_err epoch_cells(struct epoch *epoch, struct cells **out_cells);

/* Brings the place where the map has K, if it has it, into the cache. */
void epoch_prefetch(const struct epoch *epoch, const struct vt_hash128 *identity);
/* VT_NOT_FOUND, or the row of this identity: tenant, source and id are compared, byte for byte. */
VT_MUST_CHECK vt_err epoch_find(const struct epoch *epoch, const struct row_wanted *wanted,
                                row_ref *out_row);

VT_MUST_CHECK vt_err epoch_add_exception(struct epoch *epoch, const struct exception_entry *entry);
VT_MUST_CHECK vt_err epoch_add_settle(struct epoch *epoch, const struct settle_entry *entry);
VT_MUST_CHECK vt_err epoch_add_feed(struct epoch *epoch, const struct feed_entry *entry);

/* What a reader may read of an epoch: taken by the owner between commits. */
struct epoch_mark {
    struct epoch *epoch; /* a reference of its own */
    uint32_t exception_count;
    uint32_t settle_count;
    uint32_t feed_count;
    uint32_t dict_count;
    uint32_t type_count;
    uint32_t *row_counts; /* [type_count]; malloc */
};
VT_MUST_CHECK vt_err epoch_mark_take(struct epoch *epoch, struct epoch_mark *out_mark);
void epoch_mark_put(struct epoch_mark *mark);

/* How many there are now; readers use their mark. */
uint32_t epoch_exception_count(const struct epoch *epoch);
/* Entries below the mark's counts. */
const struct exception_entry *epoch_exception_at(const struct epoch *epoch, uint32_t index);
const struct settle_entry *epoch_settle_at(const struct epoch *epoch, uint32_t index);
const struct feed_entry *epoch_feed_at(const struct epoch *epoch, uint32_t index);

/* Rows of the mark, clustered by (tenant, type), both ascending as indexes of the catalog, in the
 * order of positions, by a stable count into place. A cluster comes in blocks of at most
 * EPOCH_BLOCK_ROWS. `tenant` and `type` are indexes in the epoch's catalog, or CATALOG_NONE for
 * all. The sink borrows the block; its ids are always there, its extra where one of the rows has
 * any, and the identities where one of the rows is no sequence. */
#define EPOCH_BLOCK_ROWS 65536
struct epoch_scan {
    uint32_t tenant;
    uint32_t type;
    vt_err (*block)(void *context, const struct row_block *block,
                    const struct vt_hash128 *identity);
    void *context;
};
VT_MUST_CHECK vt_err epoch_scan_rows(const struct epoch_mark *mark, const struct epoch_scan *scan);

/* One row as a block of one, with a dictionary of its own: memory from the arena, but ids and
 * strings are the epoch's. */
VT_MUST_CHECK vt_err epoch_fetch(const struct epoch *epoch, row_ref row, struct arena *arena,
                                 struct row_block *out_block);

/*
 * sealed_internal.h - the inside of an open segment. Private to sealed*.c.
 *
 * Thread: immutable after sealed_open but for `loaded`, which the first reader that needs it fills
 *         under the lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "arena.h"
#include "id_page.h"
#include "sealed.h"
#include "sealed_format.h"

/* What most reads need: read once, on first use. */
struct sealed_directory {
    struct arena arena;
    uint32_t group_count;
    const int64_t *group_type;
    const int64_t *group_tenant;
    const int64_t *group_first;
    const int64_t *group_rows;
    const int64_t *group_stubs;
    uint32_t block_count;
    const int64_t *block_type;
    const int64_t *block_first;
    const int64_t *block_rows;
    uint32_t id_page_count;
    const int64_t *id_first; /* [page]: enum seal_id_place */
    const int64_t *id_keys_end;
    const int64_t *id_ids_end;
    const struct vt_str *dict; /* [strings] */
};

struct sealed {
    _Atomic uint32_t references;
    struct segment *segment;
    const struct catalog *catalog;
    uint64_t rows;
    uint64_t identities;
    uint64_t cells;
    uint32_t strings;
    uint32_t groups;
    uint32_t blocks;
    uint32_t exceptions;
    uint32_t settles;
    uint32_t feed;
    uint64_t dict_id;
    pthread_mutex_t lock;                      /* of the one loading */
    _Atomic(struct sealed_directory *) loaded; /* released by the loader, acquired by readers */
};

/* Chunk contents into an arena. `count` is what the directory says there must be; another count is
 * damage. */
VT_MUST_CHECK vt_err sealed_integers(const struct sealed *sealed, struct arena *arena,
                                     struct chunk_key key, uint32_t count,
                                     const int64_t **out_values);
/* The same as codes below `limit`, or as bytes 0 and 1 (limit 2). */
VT_MUST_CHECK vt_err sealed_codes(const struct sealed *sealed, struct arena *arena,
                                  struct chunk_key key, uint32_t count, const uint32_t **out_codes);
VT_MUST_CHECK vt_err sealed_flags(const struct sealed *sealed, struct arena *arena,
                                  struct chunk_key key, uint32_t count, const uint8_t **out_flags);
/* Bytes of a chunk that may be absent: then empty. */
VT_MUST_CHECK vt_err sealed_bytes(const struct sealed *sealed, struct arena *arena,
                                  struct chunk_key key, struct vt_bytes *out_bytes);
/* The columns 0 to `columns` of one block of a kind, all of `rows` values, into as many
 * pointers. */
struct sealed_table {
    uint16_t kind;
    uint32_t columns;
    uint32_t rows;
    uint32_t block;
};
VT_MUST_CHECK vt_err sealed_columns(const struct sealed *sealed, struct arena *arena,
                                    const struct sealed_table *table, const int64_t **out_columns);
VT_MUST_CHECK vt_err sealed_damaged(const struct sealed *sealed, const char *what);

VT_MUST_CHECK vt_err sealed_load(const struct sealed *sealed,
                                 const struct sealed_directory **out_directory);

/* As seal_internal.h has them: columns of cells and of the feed that are there. */
uint32_t seal_dims_max(const struct catalog *catalog);
uint32_t seal_groups_max(const struct catalog *catalog);

/* sealed_ids.c: the id run from end to end, in its order. An entry's id is borrowed
 * until the next call. */
struct sealed_id_walk {
    const struct sealed *sealed;
    const struct sealed_directory *directory;
    struct arena arena;
    struct vt_bytes keys_chunk; /* of the block at hand */
    struct vt_bytes ids_chunk;
    uint32_t page;  /* the next one */
    uint32_t index; /* in the page at hand */
    uint64_t offset;
    uint64_t keys[ID_PAGE_IDS];
    struct id_page ids;
    uint8_t text[ID_PAGE_ID_BYTES];
};
void sealed_id_walk_open(const struct sealed *sealed, struct sealed_id_walk *walk);
VT_MUST_CHECK vt_err sealed_id_walk_next(struct sealed_id_walk *walk,
                                         struct run_id *out_entry); /* VT_END */
void sealed_id_walk_close(struct sealed_id_walk *walk);

/* sealed_ids.c: the steps of a look-up, each with the bytes that were read for it. A page of keys
 * tells whether the run may have the id and where; a page of ids, which row it is. */
enum sealed_id_column { SEALED_ID_KEYS = 0, SEALED_ID_IDS = 1 };
struct sealed_id_place {
    uint32_t page;
    uint32_t first; /* ids of the key in the page: first .. end - 1 */
    uint32_t end;
    uint32_t row; /* of the one found; the next search begins behind it */
};
/* The last page whose first key is below `key`, or the first of all: ids of one key may span pages.
 * Keys are uniform, so the place is guessed and walked to from there (W. W. Peterson, "Addressing
 * for random-access storage", 1957: interpolation). */
uint32_t sealed_id_guess(const struct sealed_directory *directory, uint64_t key);
VT_MUST_CHECK vt_err sealed_id_plan(const struct sealed *sealed, struct arena *arena,
                                    enum sealed_id_column column, uint32_t page,
                                    struct io_read *out_read);
VT_MUST_CHECK vt_err sealed_id_span(const struct sealed *sealed, uint32_t page,
                                    const struct io_read *read, uint64_t key,
                                    struct sealed_id_place *place); /* VT_NOT_FOUND */
VT_MUST_CHECK vt_err sealed_id_row(const struct sealed *sealed, struct sealed_id_place *place,
                                   const struct io_read *read,
                                   const struct row_id *wanted); /* VT_NOT_FOUND */

/* A row by its number, if tenant and source are those wanted. The block that it stands in stays
 * decoded for the next row. */
struct sealed_row_cache {
    struct arena *arena; /* of blocks */
    struct arena *rows;  /* of what is handed out; NULL: the same */
    bool resets;         /* the arena of blocks is the cache's alone */
    const struct sealed *sealed;
    uint32_t index;
    struct row_block block;
};
VT_MUST_CHECK vt_err sealed_fetch_row(const struct sealed *sealed, const struct row_wanted *wanted,
                                      uint32_t row, struct sealed_row_cache *cache,
                                      struct row_block *out_row);
/* The block or group that holds a row, of `count` with ascending first rows from 0 on. */
uint32_t sealed_holder(const int64_t *firsts, uint32_t count, int64_t row);

/* sealed_ids.c: ids of all rows in their order; sequence ids are left to the blocks. */
VT_MUST_CHECK vt_err sealed_ids_by_row(const struct sealed *sealed, struct arena *arena,
                                       struct row_id **out_ids);

/* sealed_rows.c: one block of rows. */
struct block_request {
    uint32_t block;
    bool want_ids;
    bool want_extra;
    uint32_t column_count;
    const struct vt_str *columns; /* NULL: all */
    const struct row_id *ids;     /* by row of the segment, or NULL */
};
VT_MUST_CHECK vt_err sealed_read_block(const struct sealed *sealed, struct arena *arena,
                                       const struct block_request *request,
                                       struct row_block *out_block);

/*
 * seal_internal.h - what the files that write a segment share. Private to seal*.c.
 *
 * Thread: the sealer's.
 */
#pragma once

#include "arena.h"
#include "content.h"
#include "epoch.h"
#include "id_page.h"
#include "sealed.h"
#include "sealed_format.h"

/* Columns of integers that grow together. */
struct int_columns {
    uint32_t column_count;
    uint32_t row_count;
    uint32_t capacity;
    int64_t **values; /* [column][row]; malloc */
};
VT_MUST_CHECK vt_err int_columns_init(struct int_columns *columns, uint32_t column_count);
void int_columns_deinit(struct int_columns *columns);
/* Room for one more row in every column; its index is row_count - 1. */
VT_MUST_CHECK vt_err int_columns_add(struct int_columns *columns);

/* Bytes that grow. */
struct byte_list {
    uint8_t *data;
    uint64_t size;
    uint64_t capacity;
};
VT_MUST_CHECK vt_err byte_list_add(struct byte_list *list, const void *bytes, uint64_t size);
void byte_list_deinit(struct byte_list *list);

static inline struct vt_bytes
byte_list_view(const struct byte_list *list)
{
    return (struct vt_bytes){list->data, list->size};
}

/* What goes into a segment: an epoch's rows (seal.c) or those of other segments (seal_merge.c). */
struct seal {
    struct segment_writer *writer;
    const struct catalog *catalog; /* that judged the rows */
    struct dict *dict;             /* all strings of the segment, by their codes there */
    uint32_t dict_count;
    struct seal_meta meta;

    uint32_t type;           /* being written */
    uint32_t row_next;       /* number of the next row in the segment */
    struct int_columns rows; /* of the block at hand; buffers are made on first use */
    struct byte_list extra;  /* its undeclared fields */
    int64_t *extra_size;     /* [SEAL_ROW_BLOCK] */
    bool extra_any;
    uint32_t block_next;
    struct int_columns groups; /* SEAL_GROUPS */
    struct int_columns blocks; /* SEAL_BLOCKS */
    struct byte_list stubs;    /* SEAL_CONTENT */
};

/* seal.c: begins and ends what every segment has; the end gives the file's size and checksum.
 * seal_close after either. */
VT_MUST_CHECK vt_err seal_open(struct io *io, const struct store_segment *segment,
                               struct seal *seal);
VT_MUST_CHECK vt_err seal_finish(struct seal *seal, struct store_segment *segment);
void seal_close(struct seal *seal);

/* seal_columns.c */
VT_MUST_CHECK vt_err seal_put(struct seal *seal, struct chunk_key key, const int64_t *values,
                              uint32_t count);
VT_MUST_CHECK vt_err seal_put_columns(struct seal *seal, uint16_t kind, uint32_t block,
                                      const struct int_columns *columns);
VT_MUST_CHECK vt_err seal_put_bytes(struct seal *seal, struct chunk_key key, struct vt_bytes bytes);
/* Most dims of any meter's cells, and most groups: as many columns are written and read. */
uint32_t seal_dims_max(const struct catalog *catalog);
uint32_t seal_groups_max(const struct catalog *catalog);

/* seal_rows.c: SEAL_ROWS, _BLOCKS, _GROUPS, _CONTENT, _EXTRA. Groups ascend by (type, tenant);
 * seal->type says which. For each: seal_group, then its rows in the order of their positions, in
 * runs that fit the block: values into seal_row_column, extras by seal_extra_add, then
 * seal_rows_added; then its stubs. seal_rows_flush ends a type. */
VT_MUST_CHECK vt_err seal_rows_open(struct seal *seal);
VT_MUST_CHECK vt_err seal_group(struct seal *seal, uint32_t tenant);
uint32_t seal_rows_room(const struct seal *seal); /* in the block at hand; at least 1 */
/* Where the values of the next rows go in a column of SEAL_ROWS. NULL: no memory. */
int64_t *seal_row_column(struct seal *seal, uint32_t column);
/* Undeclared fields of the next `count` rows, from the first of the run on: their sizes, and their
 * bytes one after the other. */
VT_MUST_CHECK vt_err seal_extra_add(struct seal *seal, const int64_t *sizes, uint32_t count,
                                    struct vt_bytes bytes);
VT_MUST_CHECK vt_err seal_rows_added(struct seal *seal, uint32_t count);
VT_MUST_CHECK vt_err seal_stub_add(struct seal *seal, const struct seal_stub *stub);
VT_MUST_CHECK vt_err seal_rows_flush(struct seal *seal);
VT_MUST_CHECK vt_err seal_rows_finish(struct seal *seal);

/* seal_ids.c: SEAL_IDS. Ids come in the order of their keys; the bytes of an id are copied. The
 * keys are held until the end, 3 bytes each, and then written as one strip. */
struct seal_ids {
    struct seal *seal;
    uint32_t count; /* of the page being filled */
    struct run_id page[ID_PAGE_IDS];
    struct byte_list text;     /* the bytes of its ids */
    struct byte_list ids;      /* pages of the block being filled */
    struct byte_list keys;     /* all pages of keys */
    struct int_columns places; /* enum seal_id_place, a row a page */
    uint64_t written;          /* ids of pages that are done */
};
VT_MUST_CHECK vt_err seal_ids_open(struct seal *seal, struct seal_ids *ids);
VT_MUST_CHECK vt_err seal_ids_put(struct seal_ids *ids, const struct run_id *entry);
VT_MUST_CHECK vt_err seal_ids_finish(struct seal_ids *ids);
void seal_ids_close(struct seal_ids *ids);

/* seal_epoch.c: the rows of an epoch and their identities; the rows go into `cells`, too. */
VT_MUST_CHECK vt_err seal_epoch(struct seal *seal, const struct epoch_mark *mark,
                                struct cells *cells);

/* seal_cells.c: SEAL_CELLS, _CELL_IDS, _CELL_SETS. Cells come in their order; the codes in a key,
 * and the strings of a value, are in seal->dict. */
struct seal_cells {
    struct seal *seal;
    struct int_columns columns;
    struct int_columns sets; /* one column */
    struct byte_list ids;
    uint32_t block;
    uint64_t count;
};
VT_MUST_CHECK vt_err seal_cells_open(struct seal *seal, struct seal_cells *cells);
VT_MUST_CHECK vt_err seal_cells_put(struct seal_cells *cells, const struct cell_key *key,
                                    const struct cell_value *value);
VT_MUST_CHECK vt_err seal_cells_finish(struct seal_cells *cells);
void seal_cells_close(struct seal_cells *cells);

/* seal_lists.c: SEAL_STRINGS, _EXCEPTIONS, _SETTLES, _FEED. Entries come in their order. */
struct seal_list {
    struct seal *seal;
    struct int_columns columns;
    struct byte_list bytes;
    uint32_t block;
    uint32_t count;
};
VT_MUST_CHECK vt_err seal_strings(struct seal *seal);
VT_MUST_CHECK vt_err seal_exceptions_open(struct seal *seal, struct seal_list *list);
VT_MUST_CHECK vt_err seal_exceptions_put(struct seal_list *list,
                                         const struct exception_entry *entry);
VT_MUST_CHECK vt_err seal_exceptions_finish(struct seal_list *list);
VT_MUST_CHECK vt_err seal_settles_open(struct seal *seal, struct seal_list *list);
VT_MUST_CHECK vt_err seal_settles_put(struct seal_list *list, const struct settle_entry *entry);
VT_MUST_CHECK vt_err seal_settles_finish(struct seal_list *list);
VT_MUST_CHECK vt_err seal_feed_open(struct seal *seal, struct seal_list *list);
VT_MUST_CHECK vt_err seal_feed_put(struct seal_list *list, const struct feed_entry *entry);
VT_MUST_CHECK vt_err seal_feed_finish(struct seal_list *list);
void seal_list_close(struct seal_list *list);

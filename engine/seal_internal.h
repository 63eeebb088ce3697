/*
 * seal_internal.h - what the files that write a segment share. Private to seal*.c.
 *
 * Thread: the sealer's.
 */
#pragma once

#include "arena.h"
#include "content.h"
#include "epoch.h"
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

/* An identity on its way to the id run. */
struct seal_identity {
    struct vt_hash128 k;
    uint32_t row;
    struct row_id id; /* data is the epoch's */
};

struct seal {
    struct segment_writer *writer;
    const struct epoch *epoch;
    const struct epoch_mark *mark;
    struct content *content;
    struct seal_meta meta;

    uint32_t type;           /* being written */
    uint32_t row_next;       /* number of the next row in the segment */
    struct int_columns rows; /* of the block at hand */
    struct byte_list extra;  /* its undeclared fields */
    int64_t *extra_size;     /* [SEAL_ROW_BLOCK] */
    bool extra_any;
    uint32_t block_next;
    struct int_columns groups; /* SEAL_GROUPS */
    struct int_columns blocks; /* SEAL_BLOCKS */
    struct byte_list contents; /* SEAL_CONTENT */
    struct seal_identity *identities;
    uint64_t identity_count;
    uint64_t identity_capacity;
};

/* seal_columns.c */
VT_MUST_CHECK vt_err seal_put(struct seal *seal, struct chunk_key key, const int64_t *values,
                              uint32_t count);
VT_MUST_CHECK vt_err seal_put_columns(struct seal *seal, uint16_t kind, uint32_t block,
                                      const struct int_columns *columns);
/* Most dims of any meter's cells, and most groups: as many columns are written and read. */
uint32_t seal_dims_max(const struct catalog *catalog);
uint32_t seal_groups_max(const struct catalog *catalog);
VT_MUST_CHECK vt_err seal_put_bytes(struct seal *seal, struct chunk_key key, struct vt_bytes bytes);

/* seal_rows.c: SEAL_ROWS, _BLOCKS, _GROUPS, _CONTENT, _EXTRA; gathers the identities. */
VT_MUST_CHECK vt_err seal_rows(struct seal *seal);
/* seal_ids.c: SEAL_IDS. */
VT_MUST_CHECK vt_err seal_ids(struct seal *seal);
/* seal_cells.c: SEAL_CELLS, _CELL_IDS, _CELL_SETS. */
VT_MUST_CHECK vt_err seal_cells(struct seal *seal);
/* seal_lists.c: SEAL_STRINGS, _EXCEPTIONS, _SETTLES, _FEED. */
VT_MUST_CHECK vt_err seal_lists(struct seal *seal);

/*
 * cells.h - partial aggregates: one cell for each (meter, tenant, window, values of the meter's
 * dim_slots). Those of an epoch are the footer of its segment. Cells of one key from several places
 * fold into one value, in any order.
 *
 * No event pays for a cell when it comes: the sealer makes the cells of an epoch from rows that
 * stand together by then, and a tick that needs some makes them from the rows so far. What an
 * event does pay for is the question whether its window is known (cells_touch_rows).
 *
 * A table by groups (cells_open_groups) has the values of group_by in its keys instead: what a
 * window shows. It is filled from other tables, from blocks of rows and from cells of segments, and
 * bounded by what is asked for.
 *
 * Life:   cells_open or cells_open_groups, add*, fold*, read, cells_close.
 * Memory: a cell is 64 bytes, 4 a dimension and 32 to 64 in two tables; new cells allocate, further
 *         rows do not.
 * Errors: VT_NOMEM, VT_OVERFLOW (128 bits), what the dictionary gives. After one the table is of no
 *         use.
 * Thread: one at a time; read-only after the freeze by any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "catalog.h"
#include "dict.h"
#include "value_set.h"
#include "venturi/decimal.h"

#define CELL_DIMS_MAX 16 /* dim_slots of one meter; catalog_load refuses more */

struct cells;

/* The state of one aggregation. Which members count follows from the meter's aggregation:
 * sum: number (128 bits); count: count only; min, max: number; last: number, time, source, id;
 * unique: set. `count` is the number of events (for unique: with a value). */
struct cell_value {
    uint64_t count;
    vt_i128 number;
    int64_t time_us;       /* last */
    struct vt_str source;  /* last; borrowed */
    struct row_id id;      /* last; borrowed */
    struct value_set *set; /* unique: exact set of strings; owned where cell_value_init made it */
};

/* Folding across epochs and segments. */
void cell_value_init(struct cell_value *value);
void cell_value_deinit(struct cell_value *value);
/* Source and id of `last` stay borrowed from whoever lent them to `from`. */
VT_MUST_CHECK vt_err cell_value_fold(enum aggregation aggregation, struct cell_value *into,
                                     const struct cell_value *from);
/* The result in units of 10^-scale of the meter; false where there is nothing to show. */
bool cell_value_result(enum aggregation aggregation, const struct cell_value *value,
                       vt_i128 *out_result);

struct cell_key {
    uint32_t meter;
    uint32_t tenant;
    int64_t window_start_us;
    uint32_t dim_count;
    uint32_t
        dims[CELL_DIMS_MAX]; /* dict codes, in the order of dim_slots (by groups: of group_by) */
};

/* Catalog and dictionary must outlive the cells. */
VT_MUST_CHECK vt_err cells_open(const struct catalog *catalog, struct dict *dict,
                                struct cells **out_cells);

/* Indexes, CATALOG_NONE for all; windows that start in [start, end). */
struct cells_bounds {
    uint32_t meter;
    uint32_t tenant;
    int64_t start_us;
    int64_t end_us;
};
/* A table by groups. `bounds` NULL: everything. */
VT_MUST_CHECK vt_err cells_open_groups(const struct catalog *catalog, struct dict *dict,
                                       const struct cells_bounds *bounds, struct cells **out_cells);
void cells_close(struct cells *cells); /* NULL is allowed */

const struct catalog *cells_catalog(const struct cells *cells);
struct dict *cells_dict(const struct cells *cells);

/* Accepted rows of one type, as they were appended: columns by slot. Adds each to the cells of
 * every meter of the type that it is usage of, meter by meter. */
struct cell_rows {
    uint32_t type;
    uint32_t first; /* of the rows, as an index in each column */
    uint32_t count;
    const uint32_t *tenant;
    const int64_t *time_us;
    const uint32_t *source; /* dict codes */
    struct id_column id;
    uint32_t slot_count;
    int64_t *const *value;   /* [slot][row]; of slots of decimals */
    uint8_t *const *present; /* [slot][row] */
    uint32_t *const *code;   /* [slot][row]; dict codes, of slots of strings */
};
VT_MUST_CHECK vt_err cells_add_rows(struct cells *cells, const struct cell_rows *rows);

/* Adds nothing, but reports the cells that the rows belong to, for the window states: true from
 * `touched` says that nothing more is to be told of the window, false nothing of the cell.
 *
 * That holds for a generation: give the number of the last tick or close record, since between two
 * of those only the first event of an open window, or of a group of a final one, means anything.
 * What was told is remembered in a table of fixed size, so some things are told again. Generation
 * 0: every row of every meter is told. */
struct cell_touch {
    bool (*touched)(void *context, const struct cell_key *key);
    void *context;
    uint32_t generation;
};
VT_MUST_CHECK vt_err cells_touch_rows(struct cells *cells, const struct cell_rows *rows,
                                      const struct cell_touch *touch);

/* All rows of a block into the cells of a catalog that may be another one: tenant, type and columns
 * bound by name (a column that the block has not, or has as another kind, is absent from every
 * row), decimals brought to the catalog's scale, codes of the block translated into the cells' own
 * dictionary. For scans: windows of the open epoch, new meters over history. `meter` or
 * CATALOG_NONE for all. VT_INVALID: a meter of `last` and a block without ids. */
VT_MUST_CHECK vt_err cells_add_block(struct cells *cells, uint32_t meter,
                                     const struct row_block *block);

/* Folds a value into the cell of a key of this table. Bounds are the caller's business. */
VT_MUST_CHECK vt_err cells_fold(struct cells *cells, const struct cell_key *key,
                                const struct cell_value *value);

/* Into a table by groups: the cells of another table, which may be of another catalog, down to
 * their groups. Meters and tenants that `into` does not know, and windows out of its bounds, are
 * left out. */
VT_MUST_CHECK vt_err cells_fold_all(struct cells *into, const struct cells *from);
/* The same for one window; meter and tenant are indexes in the catalog of `into`. */
VT_MUST_CHECK vt_err cells_fold_window(struct cells *into, const struct cells *from, uint32_t meter,
                                       uint32_t tenant, int64_t window_start_us);

uint64_t cells_count(const struct cells *cells);

/* Cells ordered by (tenant, meter, window start, strings of dims): the order in the footer. The
 * value's strings and ids are borrowed from the cells and their dictionary. */
VT_MUST_CHECK vt_err cells_each(const struct cells *cells,
                                vt_err (*each)(void *context, const struct cell_key *key,
                                               const struct cell_value *value),
                                void *context);

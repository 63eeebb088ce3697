/*
 * cells.h - partial aggregates: one cell for each (meter, tenant, window, values of the meter's
 * dim_slots). The delta of an epoch is a table of them; frozen, it is the footer of a segment.
 * Cells of one key from several places fold into one value, in any order.
 *
 * Life:   cells_open, cells_add_row*, read, cells_close.
 * Thread: one at a time; read-only after the freeze by any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "catalog.h"
#include "dict.h"
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
VT_MUST_CHECK vt_err cell_value_fold(enum aggregation aggregation, struct cell_value *into,
                                     const struct cell_value *from);
/* The result in units of 10^-scale of the meter; false where there is nothing to show. */
bool cell_value_result(enum aggregation aggregation, const struct cell_value *value,
                       vt_i128 *out_result);

/* Exact sets of strings (unique): CRoaring over codes of one dictionary, strings across. */
struct value_set;
VT_MUST_CHECK vt_err value_set_open(struct value_set **out_set);
void value_set_close(struct value_set *set);
VT_MUST_CHECK vt_err value_set_add(struct value_set *set, struct vt_str value);
uint64_t value_set_count(const struct value_set *set);
VT_MUST_CHECK vt_err value_set_each(const struct value_set *set,
                                    vt_err (*each)(void *context, struct vt_str value),
                                    void *context);

struct cell_key {
    uint32_t meter;
    uint32_t tenant;
    int64_t window_start_us;
    uint32_t dim_count;
    uint32_t dims[CELL_DIMS_MAX]; /* dict codes, in the order of dim_slots */
};

VT_MUST_CHECK vt_err cells_open(const struct catalog *catalog, struct dict *dict,
                                struct cells **out_cells);
void cells_close(struct cells *cells);

/* An accepted row, as it was appended: columns by slot. Adds it to the cells of every meter of its
 * type that it is usage of; `touched` is called once per meter with the cell's key (for the window
 * states), may be NULL. */
struct cell_row {
    uint32_t tenant;
    uint32_t type;
    int64_t time_us;
    uint32_t source;         /* dict code */
    const struct row_id *id; /* lives as long as the cells */
    uint32_t slot_count;
    const int64_t *value;   /* [slot]; decimals */
    const uint8_t *present; /* [slot] */
    const uint32_t *code;   /* [slot]; dict codes of strings */
};
struct cell_touch {
    void (*touched)(void *context, const struct cell_key *key);
    void *context;
};
VT_MUST_CHECK vt_err cells_add_row(struct cells *cells, const struct cell_row *row,
                                   const struct cell_touch *touch);

/* All rows of a block into the cells of a catalog that may be another one (columns bound by name;
 * codes of the block are translated into the cells' own dictionary). For scans: windows of the open
 * epoch, new meters over history. `meter` or CATALOG_NONE for all. */
VT_MUST_CHECK vt_err cells_add_block(struct cells *cells, uint32_t meter,
                                     const struct row_block *block);

uint64_t cells_count(const struct cells *cells);

/* Cells ordered by (tenant, meter, window start, strings of dims): the order in the footer. The
 * value's strings and ids are borrowed from the cells and their dictionary. */
VT_MUST_CHECK vt_err cells_each(const struct cells *cells,
                                vt_err (*each)(void *context, const struct cell_key *key,
                                               const struct cell_value *value),
                                void *context);
/* The cells of one window. */
VT_MUST_CHECK vt_err cells_each_of(const struct cells *cells, uint32_t meter, uint32_t tenant,
                                   int64_t window_start_us,
                                   vt_err (*each)(void *context, const struct cell_key *key,
                                                  const struct cell_value *value),
                                   void *context);

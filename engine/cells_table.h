/*
 * cells_table.h - the inside of a table of cells, shared by cells.c (table), cells_rows.c
 * (rows), cells_touch.c (what rows touch), cells_block.c (blocks), cells_fold.c (values,
 * folding) and cells_order.c. Private to them.
 *
 * Two tables lead to the same cells: `table` by the whole key, `windows` by (meter, tenant, window
 * start) to the first cell of a window, from which the others are chained.
 *
 * Thread: the owner's of the cells.
 */
#pragma once

#include "arena.h"
#include "cells.h"
#include "code_map.h"
#include "ptr_table.h"
#include "venturi/time.h"

/* What `last` needs beside the number. */
struct cell_last {
    int64_t time_us;
    uint32_t source; /* code in the cells' dictionary */
    uint32_t owned_bytes;
    struct row_id id;
    uint8_t *owned; /* in the arena: a copy of a borrowed id; NULL until there was one */
    bool borrowed;  /* the id's data lives only as long as the block that is being added */
    struct cell_last *next_borrowed;
};

struct cell {
    vt_i128 number;
    uint64_t count;
    int64_t window_start_us;
    uint32_t meter;
    uint32_t tenant;
    struct cell *next; /* of the same window */
    union {
        struct cell_last *last;
        struct value_set *set;
    } more;
    uint32_t dims[]; /* dim_count of the meter's plan */
};

struct term_plan {
    const struct filter_term *term;
    uint32_t slot;          /* CATALOG_NONE: the type has no such field, the value is "" */
    uint32_t accepts_count; /* codes decided or undecided in `accepts` */
    uint8_t *accepts;       /* [code]: a verdict once for each string */
};

/* A meter of the catalog, made ready for rows. */
struct meter_plan {
    const struct catalog_meter *meter;
    uint32_t index;
    uint32_t term_count;
    struct term_plan *terms;
    uint32_t dim_count;
    const uint32_t *dim_slots; /* of the keys: dim_slots or group_slots */
    int64_t start_us;          /* of the window asked for last: a division is saved */
};

struct type_plan {
    uint32_t first; /* in plans_by_type */
    uint32_t count;
};

struct touch_memo; /* private to cells_touch.c */

struct cells {
    const struct catalog *catalog;
    struct dict *dict;
    bool by_group;
    struct cells_bounds bounds;
    struct ptr_table table;
    struct ptr_table windows;
    struct arena arena;
    struct meter_plan *plans;          /* [meter] */
    struct meter_plan **plans_by_type; /* [meter], clustered by type, in the order of meters */
    struct type_plan *types;
    struct code_map codes;      /* of the block or table that comes in */
    struct cell_last *borrowed; /* lists those whose id must be copied when the block is done */
    uint32_t *select;           /* rows of a block that a meter takes */
    uint32_t select_max;
    struct touch_memo *touched; /* malloc; NULL until rows are asked what they touch */
};

static inline int64_t
plan_window(struct meter_plan *plan, int64_t time_us)
{
    int64_t window_us = plan->meter->window_us;

    if ((uint64_t)time_us - (uint64_t)plan->start_us >= (uint64_t)window_us)
        plan->start_us = vt_floor_us(time_us, window_us);
    return plan->start_us;
}

vt_err term_decide(struct term_plan *term, const struct dict *dict, uint32_t code);

/* Whether a term takes the string of this code; VT_NOMEM is the only error. */
static inline vt_err
term_accepts(struct term_plan *term, const struct dict *dict, uint32_t code, bool *out_accepts)
{
    if (code >= term->accepts_count || term->accepts[code] == 0) {
        vt_err err = term_decide(term, dict, code);

        if (err != VT_OK)
            return err;
    }
    *out_accepts = term->accepts[code] == 1;
    return VT_OK;
}

/* Of (meter, tenant, window start), and of the whole key. */
struct cell_hash {
    uint64_t window;
    uint64_t key;
};
struct cell_hash cell_key_hash(const struct cell_key *key);

/* The cell of a key, made where it is new. */
vt_err cells_find(struct cells *cells, const struct cell_key *key, struct cell **out_cell);
/* The same where the hash is there already. */
vt_err cells_find_hashed(struct cells *cells, const struct cell_key *key, struct cell_hash hash,
                         struct cell **out_cell);
/* The first cell of a window, or NULL. */
struct cell *cells_window(const struct cells *cells, uint32_t meter, uint32_t tenant,
                          int64_t window_start_us);

/* cells_rows.c: whether a row is usage of a meter: through its filter, with a value where one is
 * needed. */
vt_err cell_row_measures(struct cells *cells, struct meter_plan *plan, const struct cell_rows *rows,
                         uint32_t row, bool *out_measures);

/* cells_touch.c */
void touch_memo_close(struct touch_memo *memo); /* NULL is allowed */

/* One event of the meter into its cell. */
struct cell_event {
    int64_t value; /* decimals */
    uint32_t code; /* unique: of the value */
    uint32_t source;
    int64_t time_us;
    const struct row_id *id;
};
vt_err cell_add(struct cell *cell, enum aggregation aggregation, const struct cell_event *event);

void cell_get_key(const struct cells *cells, const struct cell *cell, struct cell_key *out_key);
void cell_get_value(const struct cells *cells, const struct cell *cell,
                    struct cell_value *out_value);
/* Copies an id whose data is about to go. */
vt_err cell_last_keep(struct cells *cells, struct cell_last *last);

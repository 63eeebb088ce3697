/*
 * cells_touch.c - see cells.h: which cells rows belong to, told once. Nearly every event falls into
 * a window that was told of before, so all that stands between it and the next one is a look into a
 * small table by (meter, tenant, window start). A place of it is taken by whoever comes; telling
 * again does no harm.
 */
#include <stdlib.h>

#include "cells.h"
#include "cells_table.h"
#include "venturi/assert.h"

/* Windows that a partition fills at one time, mostly; 24 KiB, so that it stays in a cache beside
 * the rows. */
#define WINDOW_SLOTS 1024
/* Groups of final windows that late events go to. */
#define CELL_SLOTS 256

struct window_slot {
    int64_t start_us;
    uint32_t meter;
    uint32_t tenant;
    uint32_t generation; /* 0: free */
};

struct cell_slot {
    uint32_t generation; /* 0: free */
    struct cell_key key;
};

struct touch_memo {
    struct window_slot windows[WINDOW_SLOTS];
    struct cell_slot *cells; /* [CELL_SLOTS]; malloc, NULL until a window is final */
};

void
touch_memo_close(struct touch_memo *memo)
{
    if (memo != NULL)
        free(memo->cells);
    free(memo);
}

static inline struct window_slot *
window_slot(struct touch_memo *memo, uint32_t meter, uint32_t tenant, int64_t start_us)
{
    uint64_t hash = ptr_hash_step((uint64_t)meter << 32 | tenant, (uint64_t)start_us);

    return &memo->windows[hash % WINDOW_SLOTS];
}

static bool
same_key(const struct cell_key *a, const struct cell_key *b)
{
    if (a->meter != b->meter || a->tenant != b->tenant ||
        a->window_start_us != b->window_start_us || a->dim_count != b->dim_count)
        return false;
    for (uint32_t d = 0; d < a->dim_count; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

/* Whether the cell was told of; if not, it is from now on. */
static vt_err
cell_known(struct touch_memo *memo, const struct cell_key *key, uint32_t generation,
           bool *out_known)
{
    if (memo->cells == NULL) {
        memo->cells = calloc(CELL_SLOTS, sizeof *memo->cells);
        if (memo->cells == NULL)
            return VT_NOMEM;
    }
    struct cell_slot *slot = &memo->cells[cell_key_hash(key).key % CELL_SLOTS];

    *out_known = slot->generation == generation && same_key(&slot->key, key);
    *slot = (struct cell_slot){generation, *key};
    return VT_OK;
}

/* A row whose window is not known to be settled. */
static vt_err
row_tell(struct cells *cells, const struct cell_rows *rows, uint32_t row,
         const struct cell_touch *touch, struct cell_key *key)
{
    const struct meter_plan *plan = &cells->plans[key->meter];
    bool known = false;
    vt_err err = VT_OK;

    key->dim_count = plan->dim_count;
    for (uint32_t d = 0; d < plan->dim_count; d++)
        key->dims[d] = rows->code[plan->dim_slots[d]][row];
    if (touch->generation != 0)
        err = cell_known(cells->touched, key, touch->generation, &known);
    if (err != VT_OK || known || !touch->touched(touch->context, key) || touch->generation == 0)
        return err;
    *window_slot(cells->touched, key->meter, key->tenant, key->window_start_us) =
        (struct window_slot){key->window_start_us, key->meter, key->tenant, touch->generation};
    return VT_OK;
}

static vt_err
meter_touch(struct cells *cells, struct meter_plan *plan, const struct cell_rows *rows,
            const struct cell_touch *touch)
{
    enum aggregation aggregation = plan->meter->aggregation;
    const uint8_t *present = NULL;
    bool plain = plan->term_count == 0 && aggregation != AGG_UNIQUE;
    struct cell_key key = {.meter = plan->index};

    if (plain && aggregation != AGG_COUNT)
        present = rows->present[plan->meter->field];
    for (uint32_t row = rows->first; row < rows->first + rows->count; row++) {
        bool measures = present == NULL || present[row] != 0;
        vt_err err = VT_OK;

        if (!plain)
            err = cell_row_measures(cells, plan, rows, row, &measures);
        if (err != VT_OK)
            return err;
        if (!measures)
            continue;
        key.tenant = rows->tenant[row];
        key.window_start_us = plan_window(plan, rows->time_us[row]);
        const struct window_slot *slot =
            window_slot(cells->touched, key.meter, key.tenant, key.window_start_us);

        if (slot->generation == touch->generation && slot->start_us == key.window_start_us &&
            slot->tenant == key.tenant && slot->meter == key.meter && touch->generation != 0)
            continue;
        VT_ASSERT(key.tenant < cells->catalog->tenant_count);
        err = row_tell(cells, rows, row, touch, &key);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

vt_err
cells_touch_rows(struct cells *cells, const struct cell_rows *rows, const struct cell_touch *touch)
{
    VT_ASSERT(rows->type < cells->catalog->type_count);
    VT_ASSERT(rows->slot_count >= cells->catalog->types[rows->type].field_count);
    const struct type_plan *type = &cells->types[rows->type];
    vt_err err = VT_OK;

    if (cells->touched == NULL) {
        cells->touched = calloc(1, sizeof *cells->touched);
        if (cells->touched == NULL)
            return VT_NOMEM;
    }
    for (uint32_t i = 0; err == VT_OK && i < type->count; i++)
        err = meter_touch(cells, cells->plans_by_type[type->first + i], rows, touch);
    return err;
}

/* cells.c - see cells.h: the table. Rows: cells_rows.c, cells_touch.c. Blocks: cells_block.c.
 * Folding: cells_fold.c. Order: cells_order.c. */
#include "cells.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cells_table.h"
#include "venturi/assert.h"

#define ARENA_BYTES (UINT64_C(256) << 10)

enum { UNDECIDED = 0, ACCEPTED = 1, REFUSED = 2 };

static uint64_t
window_hash(uint32_t meter, uint32_t tenant, int64_t start_us)
{
    uint64_t hash = ptr_hash_step(meter, tenant);

    return ptr_hash_step(hash, (uint64_t)start_us);
}

static uint64_t
dims_hash(uint64_t hash, const uint32_t *dims, uint32_t dim_count)
{
    uint32_t i = 0;

    for (; i + 1 < dim_count; i += 2)
        hash = ptr_hash_step(hash, (uint64_t)dims[i] << 32 | dims[i + 1]);
    if (i < dim_count)
        hash = ptr_hash_step(hash, dims[i]);
    return hash;
}

/* Meters of one type stand together, in the order of the catalog. */
static void
plans_cluster(struct cells *cells)
{
    const struct catalog *catalog = cells->catalog;
    uint32_t filled = 0;

    for (uint32_t type = 0; type < catalog->type_count; type++) {
        cells->types[type].first = filled;
        for (uint32_t m = 0; m < catalog->meter_count; m++) {
            if (catalog->meters[m].type == type)
                cells->plans_by_type[filled++] = &cells->plans[m];
        }
        cells->types[type].count = filled - cells->types[type].first;
    }
    VT_ASSERT(filled == catalog->meter_count);
}

static vt_err
plan_init(struct cells *cells, uint32_t index)
{
    const struct catalog_meter *meter = &cells->catalog->meters[index];
    struct meter_plan *plan = &cells->plans[index];

    VT_ASSERT(meter->window_us > 0);
    VT_ASSERT(meter->dim_count <= CELL_DIMS_MAX);
    VT_ASSERT(meter->group_count <= CELL_DIMS_MAX);
    plan->meter = meter;
    plan->index = index;
    plan->dim_count = cells->by_group ? meter->group_count : meter->dim_count;
    plan->dim_slots = cells->by_group ? meter->group_slots : meter->dim_slots;
    plan->terms = arena_zalloc(&cells->arena, meter->filter.term_count * sizeof *plan->terms);
    if (plan->terms == NULL)
        return VT_NOMEM;
    plan->term_count = meter->filter.term_count;
    for (uint32_t i = 0; i < plan->term_count; i++) {
        plan->terms[i].term = &meter->filter.terms[i];
        plan->terms[i].slot =
            catalog_type_slot(&cells->catalog->types[meter->type], meter->filter.terms[i].dim);
    }
    return VT_OK;
}

static vt_err
plans_init(struct cells *cells)
{
    const struct catalog *catalog = cells->catalog;
    struct arena *arena = &cells->arena;

    cells->plans = arena_zalloc(arena, catalog->meter_count * sizeof *cells->plans);
    cells->plans_by_type = arena_zalloc(arena, catalog->meter_count * sizeof(struct meter_plan *));
    cells->types = arena_zalloc(arena, catalog->type_count * sizeof *cells->types);
    if (cells->plans == NULL || cells->plans_by_type == NULL || cells->types == NULL)
        return VT_NOMEM;
    for (uint32_t m = 0; m < catalog->meter_count; m++) {
        vt_err err = plan_init(cells, m);

        if (err != VT_OK)
            return err;
    }
    plans_cluster(cells);
    return VT_OK;
}

static vt_err
open_any(const struct cells *like, struct cells **out_cells)
{
    VT_ASSERT(like->catalog != NULL);
    VT_ASSERT(like->dict != NULL);
    struct cells *cells = malloc(sizeof *cells);

    if (cells == NULL)
        return VT_NOMEM;
    *cells = *like;
    arena_init(&cells->arena, ARENA_BYTES);
    vt_err err = plans_init(cells);

    if (err != VT_OK) {
        cells_close(cells);
        return err;
    }
    *out_cells = cells;
    return VT_OK;
}

vt_err
cells_open(const struct catalog *catalog, struct dict *dict, struct cells **out_cells)
{
    struct cells like = {.catalog = catalog,
                         .dict = dict,
                         .bounds = {CATALOG_NONE, CATALOG_NONE, INT64_MIN, INT64_MAX}};

    return open_any(&like, out_cells);
}

vt_err
cells_open_groups(const struct catalog *catalog, struct dict *dict,
                  const struct cells_bounds *bounds, struct cells **out_cells)
{
    struct cells like = {.catalog = catalog,
                         .dict = dict,
                         .by_group = true,
                         .bounds = {CATALOG_NONE, CATALOG_NONE, INT64_MIN, INT64_MAX}};

    if (bounds != NULL)
        like.bounds = *bounds;
    return open_any(&like, out_cells);
}

void
cells_close(struct cells *cells)
{
    if (cells == NULL)
        return;
    bool sets = false;

    for (uint32_t m = 0; cells->plans != NULL && m < cells->catalog->meter_count; m++)
        sets = sets || cells->catalog->meters[m].aggregation == AGG_UNIQUE;
    for (uint64_t i = 0; sets && cells->table.slots != NULL && i <= cells->table.mask; i++) {
        struct cell *cell = cells->table.slots[i].item;

        if (cell != NULL && cells->plans[cell->meter].meter->aggregation == AGG_UNIQUE)
            value_set_close(cell->more.set);
    }
    for (uint32_t m = 0; cells->plans != NULL && m < cells->catalog->meter_count; m++) {
        for (uint32_t i = 0; i < cells->plans[m].term_count; i++)
            free(cells->plans[m].terms[i].accepts);
    }
    ptr_table_deinit(&cells->table);
    ptr_table_deinit(&cells->windows);
    code_map_deinit(&cells->codes);
    free(cells->select);
    touch_memo_close(cells->touched);
    arena_deinit(&cells->arena);
    free(cells);
}

const struct catalog *
cells_catalog(const struct cells *cells)
{
    return cells->catalog;
}

struct dict *
cells_dict(const struct cells *cells)
{
    return cells->dict;
}

uint64_t
cells_count(const struct cells *cells)
{
    return cells->table.count;
}

vt_err
term_decide(struct term_plan *term, const struct dict *dict, uint32_t code)
{
    if (code >= term->accepts_count) {
        uint32_t count = term->accepts_count < 64 ? 64 : term->accepts_count;

        while (count <= code)
            count *= 2; /* codes are below DICT_STRINGS_MAX, 2^26 */
        uint8_t *accepts = realloc(term->accepts, count);

        if (accepts == NULL)
            return VT_NOMEM;
        memset(accepts + term->accepts_count, UNDECIDED, count - term->accepts_count);
        term->accepts = accepts;
        term->accepts_count = count;
    }
    VT_ASSERT(code < term->accepts_count);
    bool accepted = filter_term_accepts(term->term, dict_string(dict, code));

    term->accepts[code] = accepted ? ACCEPTED : REFUSED;
    return VT_OK;
}

static bool
same_window(const struct cell *cell, uint32_t meter, uint32_t tenant, int64_t start_us)
{
    return cell->window_start_us == start_us && cell->meter == meter && cell->tenant == tenant;
}

/* Mostly one or two dimensions: a call of memcmp costs more than they do. */
static bool
same_dims(const struct cell *cell, const struct cell_key *key)
{
    for (uint32_t i = 0; i < key->dim_count; i++)
        if (cell->dims[i] != key->dims[i])
            return false;
    return true;
}

struct cell *
cells_window(const struct cells *cells, uint32_t meter, uint32_t tenant, int64_t window_start_us)
{
    uint64_t hash = window_hash(meter, tenant, window_start_us);
    struct cell *cell;

    for (uint64_t at = ptr_table_find(&cells->windows, hash);
         (cell = ptr_table_at(&cells->windows, &at, hash)) != NULL;
         at = ptr_table_next(&cells->windows, at)) {
        if (same_window(cell, meter, tenant, window_start_us))
            return cell;
    }
    return NULL;
}

/* Into both tables, in which there is room. */
static void
cell_link(struct cells *cells, struct cell *cell, uint64_t in_windows, uint64_t in_table)
{
    struct cell *first = cells_window(cells, cell->meter, cell->tenant, cell->window_start_us);

    if (first == NULL) {
        ptr_table_put(&cells->windows, in_windows, cell);
    } else {
        cell->next = first->next;
        first->next = cell;
    }
    ptr_table_put(&cells->table, in_table, cell);
}

static vt_err
cell_open(struct cells *cells, const struct cell_key *key, struct cell **out_cell)
{
    enum aggregation aggregation = cells->plans[key->meter].meter->aggregation;
    uint64_t bytes = offsetof(struct cell, dims) + key->dim_count * sizeof key->dims[0];
    vt_err err = VT_NOMEM;

    VT_ASSERT(key->dim_count == cells->plans[key->meter].dim_count);
    struct cell *cell = arena_zalloc(&cells->arena, bytes < sizeof *cell ? sizeof *cell : bytes);

    if (cell == NULL)
        return VT_NOMEM;
    cell->meter = key->meter;
    cell->tenant = key->tenant;
    cell->window_start_us = key->window_start_us;
    memcpy(cell->dims, key->dims, key->dim_count * sizeof key->dims[0]);
    if (aggregation == AGG_LAST) {
        cell->more.last = arena_zalloc(&cells->arena, sizeof *cell->more.last);
        if (cell->more.last == NULL)
            return VT_NOMEM;
    }
    if (aggregation == AGG_UNIQUE) {
        err = value_set_open_codes(cells->dict, &cell->more.set);
        if (err != VT_OK)
            return err;
    }
    *out_cell = cell;
    return VT_OK;
}

struct cell_hash
cell_key_hash(const struct cell_key *key)
{
    uint64_t window = window_hash(key->meter, key->tenant, key->window_start_us);

    return (struct cell_hash){window, dims_hash(window, key->dims, key->dim_count)};
}

vt_err
cells_find_hashed(struct cells *cells, const struct cell_key *key, struct cell_hash hash,
                  struct cell **out_cell)
{
    struct cell *cell;

    for (uint64_t at = ptr_table_find(&cells->table, hash.key);
         (cell = ptr_table_at(&cells->table, &at, hash.key)) != NULL;
         at = ptr_table_next(&cells->table, at)) {
        if (same_window(cell, key->meter, key->tenant, key->window_start_us) &&
            same_dims(cell, key)) {
            *out_cell = cell;
            return VT_OK;
        }
    }
    vt_err err = ptr_table_reserve(&cells->table);

    if (err == VT_OK)
        err = ptr_table_reserve(&cells->windows);
    if (err == VT_OK)
        err = cell_open(cells, key, &cell);
    if (err != VT_OK)
        return err;
    cell_link(cells, cell, hash.window, hash.key);
    *out_cell = cell;
    return VT_OK;
}

vt_err
cells_find(struct cells *cells, const struct cell_key *key, struct cell **out_cell)
{
    return cells_find_hashed(cells, key, cell_key_hash(key), out_cell);
}

vt_err
cell_add(struct cell *cell, enum aggregation aggregation, const struct cell_event *event)
{
    bool first = cell->count == 0;

    cell->count++;
    switch (aggregation) {
    case AGG_SUM:
        return __builtin_add_overflow(cell->number, (vt_i128)event->value, &cell->number)
                   ? VT_OVERFLOW
                   : VT_OK;
    case AGG_COUNT:
        return VT_OK;
    case AGG_MIN:
        if (first || event->value < cell->number)
            cell->number = event->value;
        return VT_OK;
    case AGG_MAX:
        if (first || event->value > cell->number)
            cell->number = event->value;
        return VT_OK;
    case AGG_UNIQUE:
        return value_set_add_code(cell->more.set, event->code);
    case AGG_LAST:
        cell->number = event->value;
        cell->more.last->time_us = event->time_us;
        cell->more.last->source = event->source;
        cell->more.last->id = *event->id;
        return VT_OK;
    }
    VT_ASSERT(false);
    return VT_INVALID;
}

void
cell_get_key(const struct cells *cells, const struct cell *cell, struct cell_key *out_key)
{
    uint32_t dim_count = cells->plans[cell->meter].dim_count;

    *out_key = (struct cell_key){.meter = cell->meter,
                                 .tenant = cell->tenant,
                                 .window_start_us = cell->window_start_us,
                                 .dim_count = dim_count};
    memcpy(out_key->dims, cell->dims, dim_count * sizeof cell->dims[0]);
}

void
cell_get_value(const struct cells *cells, const struct cell *cell, struct cell_value *out_value)
{
    enum aggregation aggregation = cells->plans[cell->meter].meter->aggregation;

    *out_value = (struct cell_value){.count = cell->count, .number = cell->number};
    if (aggregation == AGG_UNIQUE)
        out_value->set = cell->more.set;
    if (aggregation == AGG_LAST) {
        out_value->time_us = cell->more.last->time_us;
        out_value->source = dict_string(cells->dict, cell->more.last->source);
        out_value->id = cell->more.last->id;
    }
}

/* cells_fold.c - see cells.h: values, folding of tables. */
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cells_table.h"
#include "venturi/assert.h"

void
cell_value_init(struct cell_value *value)
{
    *value = (struct cell_value){.count = 0};
}

void
cell_value_deinit(struct cell_value *value)
{
    value_set_close(value->set);
    *value = (struct cell_value){.count = 0};
}

/* Whether the event of `a` comes after that of `b`: by (time, source, id). */
static bool
value_is_later(const struct cell_value *a, const struct cell_value *b)
{
    if (a->time_us != b->time_us)
        return a->time_us > b->time_us;
    int order = vt_str_compare(a->source, b->source);

    return order != 0 ? order > 0 : row_id_compare(&a->id, &b->id) > 0;
}

static void
value_take(struct cell_value *into, const struct cell_value *from)
{
    into->number = from->number;
    into->time_us = from->time_us;
    into->source = from->source;
    into->id = from->id;
}

static vt_err
value_unite(struct cell_value *into, const struct cell_value *from)
{
    if (into->set == NULL) {
        vt_err err = value_set_open(&into->set);

        if (err != VT_OK)
            return err;
    }
    return value_set_unite(into->set, from->set);
}

vt_err
cell_value_fold(enum aggregation aggregation, struct cell_value *into,
                const struct cell_value *from)
{
    bool first = into->count == 0;
    uint64_t count;

    if (from->count == 0)
        return VT_OK;
    if (__builtin_add_overflow(into->count, from->count, &count))
        return VT_OVERFLOW;
    into->count = count;
    switch (aggregation) {
    case AGG_SUM:
        return __builtin_add_overflow(into->number, from->number, &into->number) ? VT_OVERFLOW
                                                                                 : VT_OK;
    case AGG_COUNT:
        return VT_OK;
    case AGG_MIN:
        if (first || from->number < into->number)
            into->number = from->number;
        return VT_OK;
    case AGG_MAX:
        if (first || from->number > into->number)
            into->number = from->number;
        return VT_OK;
    case AGG_LAST:
        if (first || value_is_later(from, into))
            value_take(into, from);
        return VT_OK;
    case AGG_UNIQUE:
        return value_unite(into, from);
    }
    VT_ASSERT(false);
    return VT_INVALID;
}

bool
cell_value_result(enum aggregation aggregation, const struct cell_value *value, vt_i128 *out_result)
{
    if (value->count == 0)
        return false;
    switch (aggregation) {
    case AGG_COUNT:
        *out_result = (vt_i128)value->count;
        return true;
    case AGG_UNIQUE:
        *out_result = (vt_i128)value_set_count(value->set);
        return true;
    case AGG_SUM:
    case AGG_MIN:
    case AGG_MAX:
    case AGG_LAST:
        *out_result = value->number;
        return true;
    }
    VT_ASSERT(false);
    return false;
}

vt_err
cell_last_keep(struct cells *cells, struct cell_last *last)
{
    if (last->id.size > last->owned_bytes) {
        uint32_t bytes = last->id.size < 32 ? 32 : last->id.size;
        uint8_t *owned = arena_alloc(&cells->arena, bytes);

        if (owned == NULL)
            return VT_NOMEM;
        last->owned = owned;
        last->owned_bytes = bytes;
    }
    if (last->id.size > 0 && last->id.data != last->owned)
        memcpy(last->owned, last->id.data, last->id.size);
    last->id.data = last->owned;
    return VT_OK;
}

vt_err
cells_fold(struct cells *cells, const struct cell_key *key, const struct cell_value *value)
{
    enum aggregation aggregation = cells->plans[key->meter].meter->aggregation;
    struct cell_value now;
    struct cell *cell;

    VT_ASSERT(key->meter < cells->catalog->meter_count);
    if (value->count == 0)
        return VT_OK;
    vt_err err = cells_find(cells, key, &cell);

    if (err != VT_OK)
        return err;
    cell_get_value(cells, cell, &now);
    bool later = now.count == 0 || value_is_later(value, &now);

    err = cell_value_fold(aggregation, &now, value);
    if (err != VT_OK)
        return err;
    cell->count = now.count;
    cell->number = now.number;
    if (aggregation != AGG_LAST || !later)
        return VT_OK;
    cell->more.last->time_us = value->time_us;
    cell->more.last->id = value->id;
    err = dict_code(cells->dict, value->source, &cell->more.last->source);
    return err != VT_OK ? err : cell_last_keep(cells, cell->more.last);
}

/* Where the meter of one table is in another one. */
struct meter_map {
    bool ready;
    uint32_t meter;             /* in `into`; CATALOG_NONE: it has no such meter */
    uint32_t at[CELL_DIMS_MAX]; /* of each group: its place in the cell's dims */
};

static uint32_t
find_tenant(const struct cells *into, const struct catalog *catalog, uint32_t tenant)
{
    struct vt_str key = catalog->tenants[tenant].key;

    /* One catalog mostly extends the other, and what it has stands at the same place. */
    if (tenant < into->catalog->tenant_count &&
        vt_str_equal(into->catalog->tenants[tenant].key, key))
        return tenant;
    return catalog_find_tenant(into->catalog, key);
}

static uint32_t
place_of_slot(const struct meter_plan *plan, uint32_t slot)
{
    for (uint32_t i = 0; i < plan->dim_count; i++) {
        if (plan->dim_slots[i] == slot)
            return i;
    }
    return CATALOG_NONE;
}

static vt_err
meter_map_init(const struct cells *into, const struct cells *from, uint32_t meter,
               struct meter_map *map)
{
    const struct meter_plan *plan = &from->plans[meter];
    const struct catalog_type *type = &from->catalog->types[plan->meter->type];

    map->ready = true;
    map->meter = catalog_find_meter(into->catalog, plan->meter->key);
    if (map->meter == CATALOG_NONE)
        return VT_OK;
    const struct meter_plan *target = &into->plans[map->meter];
    const struct catalog_type *target_type = &into->catalog->types[target->meter->type];

    if (target->meter->aggregation != plan->meter->aggregation)
        return vt_err_detail(VT_INVALID, "cells of meter %.*s are of another aggregation",
                             (int)plan->meter->key.size, plan->meter->key.data);
    for (uint32_t i = 0; i < target->dim_count; i++) {
        struct vt_str name = target_type->fields[target->dim_slots[i]].name;
        uint32_t slot = catalog_type_slot(type, name);

        map->at[i] = slot == CATALOG_NONE ? CATALOG_NONE : place_of_slot(plan, slot);
        if (slot != CATALOG_NONE && map->at[i] == CATALOG_NONE)
            return vt_err_detail(VT_INVALID, "cells of meter %.*s have no dimension %.*s",
                                 (int)plan->meter->key.size, plan->meter->key.data, (int)name.size,
                                 name.data);
    }
    return VT_OK;
}

static bool
bounds_take(const struct cells_bounds *bounds, const struct cell_key *key)
{
    return (bounds->meter == CATALOG_NONE || bounds->meter == key->meter) &&
           (bounds->tenant == CATALOG_NONE || bounds->tenant == key->tenant) &&
           key->window_start_us >= bounds->start_us && key->window_start_us < bounds->end_us;
}

/* One cell of `from`, its meter mapped. */
static vt_err
fold_cell(struct cells *into, const struct cells *from, const struct meter_map *map,
          const struct cell *cell)
{
    struct cell_value value;
    struct cell_key key;

    if (map->meter == CATALOG_NONE)
        return VT_OK;
    key.meter = map->meter;
    key.tenant = find_tenant(into, from->catalog, cell->tenant);
    key.window_start_us = cell->window_start_us;
    key.dim_count = into->plans[map->meter].dim_count;
    if (key.tenant == CATALOG_NONE || !bounds_take(&into->bounds, &key))
        return VT_OK;
    for (uint32_t i = 0; i < key.dim_count; i++) {
        uint32_t code = map->at[i] == CATALOG_NONE ? 0 : cell->dims[map->at[i]];
        struct vt_str text = dict_string(from->dict, code);
        vt_err err = code_map_get(&into->codes, into->dict, code, &text, &key.dims[i]);

        if (err != VT_OK)
            return err;
    }
    cell_get_value(from, cell, &value);
    return cells_fold(into, &key, &value);
}

vt_err
cells_fold_all(struct cells *into, const struct cells *from)
{
    VT_ASSERT(into != from);
    if (from->table.count == 0)
        return VT_OK;
    vt_err err = code_map_use(&into->codes, dict_id(from->dict), dict_count(from->dict));

    if (err != VT_OK)
        return err;
    struct meter_map *maps = calloc(from->catalog->meter_count, sizeof *maps);

    if (maps == NULL)
        return VT_NOMEM;
    for (uint64_t i = 0; i <= from->table.mask && err == VT_OK; i++) {
        const struct cell *cell = from->table.slots[i].item;

        if (cell == NULL)
            continue;
        if (!maps[cell->meter].ready)
            err = meter_map_init(into, from, cell->meter, &maps[cell->meter]);
        if (err == VT_OK)
            err = fold_cell(into, from, &maps[cell->meter], cell);
    }
    free(maps);
    return err;
}

vt_err
cells_fold_window(struct cells *into, const struct cells *from, uint32_t meter, uint32_t tenant,
                  int64_t window_start_us)
{
    struct meter_map map = {.ready = false};
    uint32_t from_meter = catalog_find_meter(from->catalog, into->catalog->meters[meter].key);
    uint32_t from_tenant = catalog_find_tenant(from->catalog, into->catalog->tenants[tenant].key);

    VT_ASSERT(into != from);
    if (from_meter == CATALOG_NONE || from_tenant == CATALOG_NONE)
        return VT_OK;
    const struct cell *cell = cells_window(from, from_meter, from_tenant, window_start_us);

    if (cell == NULL)
        return VT_OK;
    vt_err err = code_map_use(&into->codes, dict_id(from->dict), dict_count(from->dict));

    if (err == VT_OK)
        err = meter_map_init(into, from, from_meter, &map);
    for (; cell != NULL && err == VT_OK; cell = cell->next)
        err = fold_cell(into, from, &map, cell);
    return err;
}

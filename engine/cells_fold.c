/* cells_fold.c - see cells.h: values, folding of tables, the order in which cells are shown. */
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

/* (tenant key, meter key, window start, strings of dims). */
static int
cell_order(const void *a, const void *b, void *context)
{
    const struct cell *one = *(struct cell *const *)a, *other = *(struct cell *const *)b;
    const struct cells *cells = context;
    const struct catalog *catalog = cells->catalog;

    if (one->tenant != other->tenant)
        return vt_str_compare(catalog->tenants[one->tenant].key,
                              catalog->tenants[other->tenant].key);
    if (one->meter != other->meter)
        return vt_str_compare(catalog->meters[one->meter].key, catalog->meters[other->meter].key);
    if (one->window_start_us != other->window_start_us)
        return one->window_start_us < other->window_start_us ? -1 : 1;
    for (uint32_t i = 0; i < cells->plans[one->meter].dim_count; i++) {
        if (one->dims[i] != other->dims[i])
            return vt_str_compare(dict_string(cells->dict, one->dims[i]),
                                  dict_string(cells->dict, other->dims[i]));
    }
    return 0;
}

/* A cell by the ranks of what it is ordered by: numbers in place of strings elsewhere. */
struct cell_place {
    uint64_t owner; /* ranks of tenant and meter */
    uint64_t start; /* of the window; the sign turned, so that it sorts unsigned */
    uint64_t dims;  /* ranks of the first two */
    struct cell *cell;
};

static int
place_order(const void *a, const void *b, void *context)
{
    const struct cell_place *one = a, *other = b;

    if (one->owner != other->owner)
        return one->owner < other->owner ? -1 : 1;
    if (one->start != other->start)
        return one->start < other->start ? -1 : 1;
    if (one->dims != other->dims)
        return one->dims < other->dims ? -1 : 1;
    return cell_order(&one->cell, &other->cell, context);
}

static int
string_order(const void *a, const void *b, void *context)
{
    const struct vt_str *strings = context;

    return vt_str_compare(strings[*(const uint32_t *)a], strings[*(const uint32_t *)b]);
}

/* *out_ranks[i]: how many of the strings, which are distinct, come before string i. malloc. */
static vt_err
ranks_make(struct vt_str *strings, uint32_t count, uint32_t **out_ranks)
{
    uint32_t *order = malloc(((uint64_t)count + 1) * sizeof *order);
    uint32_t *ranks = malloc(((uint64_t)count + 1) * sizeof *ranks);

    if (order == NULL || ranks == NULL) {
        free(order);
        free(ranks);
        return VT_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, string_order, strings);
    for (uint32_t i = 0; i < count; i++)
        ranks[order[i]] = i;
    free(order);
    *out_ranks = ranks;
    return VT_OK;
}

struct cell_ranks {
    uint32_t *tenant; /* NULL: none, all cells are in one place and cell_order decides */
    uint32_t *meter;
    uint32_t *code;
};

static void
cell_ranks_deinit(struct cell_ranks *ranks)
{
    free(ranks->tenant);
    free(ranks->meter);
    free(ranks->code);
}

static vt_err
cell_ranks_init(const struct cells *cells, struct cell_ranks *ranks)
{
    const struct catalog *catalog = cells->catalog;
    uint32_t codes = dict_count(cells->dict);
    uint64_t most = catalog->tenant_count;
    struct vt_str *keys = NULL;

    most = most < catalog->meter_count ? catalog->meter_count : most;
    *ranks = (struct cell_ranks){.tenant = NULL};
    /* Few cells of a large catalog or dictionary: ranks would cost more than they save. */
    if ((uint64_t)catalog->tenant_count + catalog->meter_count + codes > cells->table.count)
        return VT_OK;
    keys = malloc((most + 1) * sizeof *keys);
    if (keys == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < catalog->tenant_count; i++)
        keys[i] = catalog->tenants[i].key;
    vt_err err = ranks_make(keys, catalog->tenant_count, &ranks->tenant);

    for (uint32_t i = 0; i < catalog->meter_count; i++)
        keys[i] = catalog->meters[i].key;
    if (err == VT_OK)
        err = ranks_make(keys, catalog->meter_count, &ranks->meter);
    free(keys);
    keys = NULL;
    if (err == VT_OK)
        err = dict_array(cells->dict, codes, &keys);
    if (err == VT_OK)
        err = ranks_make(keys, codes, &ranks->code);
    free(keys);
    return err;
}

static struct cell_place
place_of_cell(const struct cells *cells, const struct cell_ranks *ranks, struct cell *cell)
{
    uint32_t dim_count = cells->plans[cell->meter].dim_count;

    if (ranks->tenant == NULL)
        return (struct cell_place){.cell = cell};
    uint64_t first = dim_count > 0 ? ranks->code[cell->dims[0]] : 0;
    uint64_t second = dim_count > 1 ? ranks->code[cell->dims[1]] : 0;

    return (struct cell_place){
        .owner = (uint64_t)ranks->tenant[cell->tenant] << 32 | ranks->meter[cell->meter],
        .start = (uint64_t)cell->window_start_us ^ UINT64_C(1) << 63,
        .dims = first << 32 | second,
        .cell = cell,
    };
}

static vt_err
give(const struct cells *cells, const struct cell *cell,
     vt_err (*each)(void *context, const struct cell_key *key, const struct cell_value *value),
     void *context)
{
    struct cell_value value;
    struct cell_key key;

    cell_get_key(cells, cell, &key);
    cell_get_value(cells, cell, &value);
    VT_ASSERT(value.count > 0);
    return each(context, &key, &value);
}

vt_err
cells_each(const struct cells *cells,
           vt_err (*each)(void *context, const struct cell_key *key,
                          const struct cell_value *value),
           void *context)
{
    uint64_t count = 0;
    struct cells order_by = *cells; /* qsort_r's context is not const */
    struct cell_ranks ranks;

    if (cells->table.count == 0)
        return VT_OK;
    vt_err err = cell_ranks_init(cells, &ranks);
    struct cell_place *sorted = malloc(cells->table.count * sizeof *sorted);

    if (err == VT_OK && sorted == NULL)
        err = VT_NOMEM;
    for (uint64_t i = 0; i <= cells->table.mask && err == VT_OK; i++) {
        if (cells->table.slots[i].item != NULL)
            sorted[count++] = place_of_cell(cells, &ranks, cells->table.slots[i].item);
    }
    if (err == VT_OK) {
        VT_ASSERT(count == cells->table.count);
        qsort_r(sorted, count, sizeof *sorted, place_order, &order_by);
    }
    for (uint64_t i = 0; i < count && err == VT_OK; i++) {
        VT_VERIFY(i == 0 || cell_order(&sorted[i - 1].cell, &sorted[i].cell, &order_by) < 0);
        err = give(cells, sorted[i].cell, each, context);
    }
    free(sorted);
    cell_ranks_deinit(&ranks);
    return err;
}

/* window_source.c - see window_source.h. */
#include "window_source.h"

#include "venturi/assert.h"

static uint64_t
sealed_last_commit(const struct sealed *sealed)
{
    return sealed_id(sealed)->cut;
}

const struct window_calls window_sealed_calls = {
    .catalog = sealed_catalog,
    .last_commit = sealed_last_commit,
    .has_cells = sealed_has_cells,
    .each_cell = sealed_each_cell,
    .scan = sealed_scan,
    .find_feed = sealed_find_feed,
};

static bool
same_filter(const struct filter *a, const struct filter *b)
{
    if (a->term_count != b->term_count)
        return false;
    for (uint32_t i = 0; i < a->term_count; i++) {
        const struct filter_term *one = &a->terms[i], *other = &b->terms[i];

        if (!vt_str_equal(one->dim, other->dim) || one->value_count != other->value_count)
            return false;
        for (uint32_t v = 0; v < one->value_count; v++) {
            if (!vt_str_equal(one->values[v], other->values[v]))
                return false;
        }
    }
    return true;
}

static bool
same_field(const struct catalog_type *type, uint32_t field, const struct catalog_type *other_type,
           uint32_t other)
{
    if (field == CATALOG_NONE || other == CATALOG_NONE)
        return field == other;
    return vt_str_equal(type->fields[field].name, other_type->fields[other].name) &&
           type->fields[field].scale == other_type->fields[other].scale;
}

bool
window_source_serves(const struct window_calls *calls, const struct sealed *sealed,
                     const struct catalog *catalog, uint32_t meter)
{
    const struct catalog *old = calls->catalog(sealed);
    const struct catalog_meter *wanted = &catalog->meters[meter];
    uint32_t index = catalog_find_meter(old, wanted->key);

    VT_ASSERT(meter < catalog->meter_count);
    if (index == CATALOG_NONE)
        return false;
    const struct catalog_meter *had = &old->meters[index];
    const struct catalog_type *type = &catalog->types[wanted->type];
    const struct catalog_type *old_type = &old->types[had->type];

    if (!vt_str_equal(type->name, old_type->name) || had->aggregation != wanted->aggregation ||
        had->window_us != wanted->window_us || !same_filter(&had->filter, &wanted->filter) ||
        !same_field(type, wanted->field, old_type, had->field))
        return false;
    for (uint32_t g = 0; g < wanted->group_count; g++) {
        uint32_t slot = catalog_type_slot(old_type, type->fields[wanted->group_slots[g]].name);
        uint32_t d = 0;

        while (d < had->dim_count && had->dim_slots[d] != slot)
            d++;
        if (d == had->dim_count)
            return false;
    }
    return calls->has_cells(sealed, old, index);
}

struct cells_in {
    struct cells *into;
    const struct window_range *range;
    const struct catalog_meter *meter;
    const struct catalog_type *type;
    uint32_t tenant; /* found last, under the name */
    struct vt_str tenant_key;
};

static vt_err
cell_in(void *context, const struct sealed_cell *cell, const struct cell_value *value)
{
    struct cells_in *in = context;
    const struct catalog *catalog = cells_catalog(in->into);
    struct cell_key key = {.meter = in->range->meter,
                           .window_start_us = cell->window_start_us,
                           .dim_count = in->meter->group_count};

    if (in->tenant == CATALOG_NONE || !vt_str_equal(in->tenant_key, cell->tenant)) {
        in->tenant = catalog_find_tenant(catalog, cell->tenant);
        if (in->tenant == CATALOG_NONE)
            return VT_OK;
        in->tenant_key = catalog->tenants[in->tenant].key;
    }
    key.tenant = in->tenant;
    if (cell->window_start_us < in->range->start_us || cell->window_start_us >= in->range->end_us ||
        (in->range->tenant != CATALOG_NONE && in->range->tenant != key.tenant))
        return VT_OK;
    for (uint32_t g = 0; g < key.dim_count; g++) {
        struct vt_str name = in->type->fields[in->meter->group_slots[g]].name;
        uint32_t d = 0;

        while (d < cell->dim_count && !vt_str_equal(cell->dim_names[d], name))
            d++;
        if (d == cell->dim_count)
            return vt_err_detail(VT_DAMAGED, "a cell of meter %.*s has no dimension %.*s",
                                 (int)in->meter->key.size, in->meter->key.data, (int)name.size,
                                 name.data);
        vt_err err = dict_code(cells_dict(in->into), cell->dim_values[d], &key.dims[g]);

        if (err != VT_OK)
            return err;
    }
    return cells_fold(in->into, &key, value);
}

vt_err
window_source_cells(const struct window_calls *calls, const struct sealed *sealed,
                    const struct window_range *range, struct cells *into)
{
    const struct catalog *catalog = cells_catalog(into);
    const struct catalog_meter *meter = &catalog->meters[range->meter];
    struct cells_in in = {.into = into,
                          .range = range,
                          .meter = meter,
                          .type = &catalog->types[meter->type],
                          .tenant = CATALOG_NONE};
    struct cell_filter filter = {
        .meter = meter->key, .start_us = range->start_us, .end_us = range->end_us};

    VT_ASSERT(range->meter < catalog->meter_count);
    if (range->tenant != CATALOG_NONE)
        filter.tenant = catalog->tenants[range->tenant].key;
    return calls->each_cell(sealed, &filter, cell_in, &in);
}

struct rows_in {
    struct cells *into;
    const struct window_scan *scan;
};

static vt_err
block_in(void *context, const struct row_block *block)
{
    const struct rows_in *in = context;
    const struct catalog *catalog = cells_catalog(in->into);
    vt_err err = VT_OK;

    for (uint32_t m = 0; m < catalog->meter_count && err == VT_OK; m++) {
        if (in->scan->wanted[m] != 0 && catalog->meters[m].type == in->scan->type)
            err = cells_add_block(in->into, m, block);
    }
    return err;
}

vt_err
window_source_scan(const struct window_calls *calls, const struct sealed *sealed,
                   const struct window_scan *scan, struct cells *into)
{
    const struct catalog *catalog = cells_catalog(into);
    struct rows_in in = {into, scan};
    struct scan_options options = {.type = catalog->types[scan->type].name,
                                   .want_ids = true,
                                   .block = block_in,
                                   .context = &in};

    VT_ASSERT(scan->type < catalog->type_count);
    if (scan->tenant != CATALOG_NONE)
        options.tenant = catalog->tenants[scan->tenant].key;
    return calls->scan(sealed, &options);
}

static vt_err
epoch_block_in(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    (void)identity;
    return block_in(context, block);
}

vt_err
window_epoch_scan(const struct epoch_mark *mark, const struct window_scan *scan, struct cells *into)
{
    const struct catalog *catalog = cells_catalog(into);
    const struct catalog *own = mark->epoch->catalog;
    struct rows_in in = {into, scan};
    struct epoch_scan rows = {.tenant = CATALOG_NONE, .block = epoch_block_in, .context = &in};

    VT_ASSERT(scan->type < catalog->type_count);
    rows.type = catalog_find_type(own, catalog->types[scan->type].name);
    if (rows.type == CATALOG_NONE)
        return VT_OK;
    if (scan->tenant != CATALOG_NONE) {
        rows.tenant = catalog_find_tenant(own, catalog->tenants[scan->tenant].key);
        if (rows.tenant == CATALOG_NONE)
            return VT_OK;
    }
    return epoch_scan_rows(mark, &rows);
}

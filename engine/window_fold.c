/* window_fold.c - see window_fold.h. The fold is a table of cells by groups over a dictionary of
 * its own. */
#include "window_fold.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

struct window_fold {
    const struct catalog *catalog;
    const struct window_calls *calls;
    struct window_range range; /* meter CATALOG_NONE: all */
    bool nothing;              /* the tenant or meter asked for does not exist */
    struct dict *dict;
    struct cells *cells;
    uint8_t *scan; /* [meter]: those of the source at hand whose rows must be read */
};

/* CATALOG_NONE for an empty name; a name that is not there sets *nothing. */
static uint32_t
named(uint32_t found, struct vt_str name, bool *nothing)
{
    if (name.size > 0 && found == CATALOG_NONE)
        *nothing = true;
    return name.size > 0 ? found : CATALOG_NONE;
}

vt_err
window_fold_open(const struct window_fold_options *options, struct window_fold **out_fold)
{
    const struct catalog *catalog = options->catalog;
    struct window_fold *fold = calloc(1, sizeof *fold);

    if (fold == NULL)
        return VT_NOMEM;
    fold->catalog = catalog;
    fold->calls = options->calls != NULL ? options->calls : &window_sealed_calls;
    fold->range = (struct window_range){
        .meter = named(catalog_find_meter(catalog, options->meter), options->meter, &fold->nothing),
        .tenant =
            named(catalog_find_tenant(catalog, options->tenant), options->tenant, &fold->nothing),
        .start_us = options->start_us,
        .end_us = options->end_us};
    struct cells_bounds bounds = {fold->range.meter, fold->range.tenant, options->start_us,
                                  options->end_us};
    vt_err err = VT_NOMEM;

    fold->scan = malloc((uint64_t)catalog->meter_count + 1);
    if (fold->scan == NULL)
        goto fail;
    err = dict_open(&fold->dict);
    if (err != VT_OK)
        goto fail;
    err = cells_open_groups(catalog, fold->dict, &bounds, &fold->cells);
    if (err != VT_OK)
        goto fail;
    *out_fold = fold;
    return VT_OK;

fail:
    window_fold_close(fold);
    return err;
}

void
window_fold_close(struct window_fold *fold)
{
    if (fold == NULL)
        return;
    cells_close(fold->cells);
    if (fold->dict != NULL)
        dict_close(fold->dict);
    free(fold->scan);
    free(fold);
}

static bool
wants_meter(const struct window_fold *fold, uint32_t meter)
{
    return !fold->nothing && (fold->range.meter == CATALOG_NONE || fold->range.meter == meter);
}

/* Whether rows of a type must be read for some meter. */
static bool
wants_type(const struct window_fold *fold, uint32_t type)
{
    for (uint32_t m = 0; m < fold->catalog->meter_count; m++) {
        if (fold->scan[m] != 0 && fold->catalog->meters[m].type == type)
            return true;
    }
    return false;
}

vt_err
window_fold_add_sealed(struct window_fold *fold, const struct sealed *sealed)
{
    vt_err err = VT_OK;

    memset(fold->scan, 0, fold->catalog->meter_count);
    for (uint32_t m = 0; m < fold->catalog->meter_count && err == VT_OK; m++) {
        struct window_range range = fold->range;

        if (!wants_meter(fold, m))
            continue;
        if (!window_source_serves(fold->calls, sealed, fold->catalog, m)) {
            fold->scan[m] = 1;
            continue;
        }
        range.meter = m;
        err = window_source_cells(fold->calls, sealed, &range, fold->cells);
    }
    for (uint32_t type = 0; type < fold->catalog->type_count && err == VT_OK; type++) {
        struct window_scan scan = {type, fold->range.tenant, fold->scan};

        if (wants_type(fold, type))
            err = window_source_scan(fold->calls, sealed, &scan, fold->cells);
    }
    return err;
}

vt_err
window_fold_add_epoch(struct window_fold *fold, const struct epoch_mark *mark)
{
    vt_err err = VT_OK;

    if (fold->nothing)
        return VT_OK;
    for (uint32_t m = 0; m < fold->catalog->meter_count; m++)
        fold->scan[m] = wants_meter(fold, m);
    for (uint32_t type = 0; type < fold->catalog->type_count && err == VT_OK; type++) {
        struct window_scan scan = {type, fold->range.tenant, fold->scan};

        if (wants_type(fold, type))
            err = window_epoch_scan(mark, &scan, fold->cells);
    }
    return err;
}

vt_err
window_fold_add_block(struct window_fold *fold, const struct row_block *block)
{
    return fold->nothing ? VT_OK : cells_add_block(fold->cells, CATALOG_NONE, block);
}

vt_err
window_fold_add_cells(struct window_fold *fold, const struct cells *cells)
{
    return fold->nothing ? VT_OK : cells_fold_all(fold->cells, cells);
}

struct rows_out {
    const struct window_fold *fold;
    vt_err (*each)(void *context, const struct window_row *row);
    void *context;
};

static vt_err
row_out(void *context, const struct cell_key *key, const struct cell_value *value)
{
    const struct rows_out *out = context;
    const struct catalog *catalog = out->fold->catalog;
    const struct catalog_meter *meter = &catalog->meters[key->meter];
    struct window_row row = {.tenant = catalog->tenants[key->tenant].key,
                             .meter = meter->key,
                             .start_us = key->window_start_us,
                             .end_us = key->window_start_us + meter->window_us,
                             .group_count = key->dim_count,
                             .count = value->count,
                             .scale = meter->scale};

    VT_ASSERT(key->dim_count == meter->group_count);
    for (uint32_t g = 0; g < key->dim_count; g++) {
        row.group_names[g] = catalog->types[meter->type].fields[meter->group_slots[g]].name;
        row.group_values[g] = dict_string(out->fold->dict, key->dims[g]);
    }
    if (!cell_value_result(meter->aggregation, value, &row.value))
        return VT_OK;
    return out->each(out->context, &row);
}

vt_err
window_fold_each(const struct window_fold *fold,
                 vt_err (*each)(void *context, const struct window_row *row), void *context)
{
    struct rows_out out = {fold, each, context};

    return cells_each(fold->cells, row_out, &out);
}

void
json_put_window(struct json_out *out, const struct window_row *row)
{
    char text[VT_DECIMAL_BYTES];
    uint32_t size = vt_decimal_format(row->value, row->scale, text);

    json_open(out, '{');
    json_key(out, VT_STR("tenant"));
    json_string(out, row->tenant);
    json_key(out, VT_STR("meter"));
    json_string(out, row->meter);
    json_key(out, VT_STR("window_start"));
    json_time(out, row->start_us);
    json_key(out, VT_STR("window_end"));
    json_time(out, row->end_us);
    json_key(out, VT_STR("group"));
    json_open(out, '{');
    for (uint32_t g = 0; g < row->group_count; g++) {
        json_key(out, row->group_names[g]);
        json_string(out, row->group_values[g]);
    }
    json_close(out, '}');
    json_key(out, VT_STR("count"));
    json_unsigned(out, row->count);
    json_key(out, VT_STR("value"));
    json_string(out, (struct vt_str){text, size});
    json_close(out, '}');
    json_end_line(out);
}

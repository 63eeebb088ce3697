/* usage_naive.c - see usage_rows.h: totals as lines, from cells and from rows the slow way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/dict.h"
#include "usage_rows.h"
#include "venturi/assert.h"

#define LINE_BYTES 512
#define DISTINCT   64

struct total {
    const char *tenant;
    const char *meter;
    int64_t start_us;
    uint32_t dim_count;
    const char *dims[CELL_DIMS_MAX];
    enum aggregation aggregation;
    uint64_t count;
    vt_i128 number;
    const struct usage_row *last;
    uint32_t distinct_count;
    const char *distinct[DISTINCT];
};

/* A vt_str of the catalog as text that ends. Its strings are short. */
static const char *
named(struct vt_str text, char buffer[64])
{
    (void)snprintf(buffer, 64, "%.*s", (int)text.size, text.data);
    return buffer;
}

struct line_parts {
    const char *tenant;
    const char *meter;
    const char *dims;
    const char *event;
    int64_t start_us;
    uint64_t count;
    vt_i128 result;
};

static void
add_parts(struct lines *lines, const struct line_parts *parts)
{
    char number[VT_DECIMAL_BYTES], line[LINE_BYTES];

    number[vt_decimal_format(parts->result, 0, number)] = '\0';
    (void)snprintf(line, sizeof line, "%s|%s|%lld|%s|%llu|%s%s", parts->tenant, parts->meter,
                   (long long)parts->start_us, parts->dims, (unsigned long long)parts->count,
                   number, parts->event);
    lines_add(lines, line);
}

struct cells_lines {
    const struct cells *cells;
    struct lines *lines;
};

static vt_err
line_of_cell(void *context, const struct cell_key *key, const struct cell_value *value)
{
    const struct cells_lines *out = context;
    const struct catalog *catalog = cells_catalog(out->cells);
    enum aggregation aggregation = catalog->meters[key->meter].aggregation;
    char tenant[64], meter[64], dims[LINE_BYTES / 4] = "", event[LINE_BYTES / 4] = "";
    struct line_parts parts = {.tenant = named(catalog->tenants[key->tenant].key, tenant),
                               .meter = named(catalog->meters[key->meter].key, meter),
                               .dims = dims,
                               .event = event,
                               .start_us = key->window_start_us,
                               .count = value->count};

    for (uint32_t i = 0; i < key->dim_count; i++) {
        struct vt_str text = dict_string(cells_dict(out->cells), key->dims[i]);
        size_t used = strlen(dims);

        (void)snprintf(dims + used, sizeof dims - used, "%.*s,", (int)text.size, text.data);
    }
    bool shown = cell_value_result(aggregation, value, &parts.result);

    VT_ASSERT(shown);
    if (aggregation == AGG_LAST) {
        char buffer[48];
        struct vt_str id = row_id_text(&value->id, buffer);

        (void)snprintf(event, sizeof event, "|%lld %.*s %.*s", (long long)value->time_us,
                       (int)value->source.size, value->source.data, (int)id.size, id.data);
    }
    add_parts(out->lines, &parts);
    return VT_OK;
}

void
lines_of_cells(const struct cells *cells, struct lines *out_lines)
{
    struct cells_lines out = {cells, out_lines};
    vt_err err = cells_each(cells, line_of_cell, &out);

    VT_ASSERT(err == VT_OK);
}

static bool
passes(const struct filter *filter, const struct catalog_type *type, const struct usage_row *row)
{
    for (uint32_t t = 0; t < filter->term_count; t++) {
        const char *value = "";
        bool found = false;

        for (uint32_t s = 0; s < type->field_count; s++) {
            if (vt_str_equal(type->fields[s].name, filter->terms[t].dim))
                value = row->text[s];
        }
        for (uint32_t v = 0; v < filter->terms[t].value_count; v++) {
            struct vt_str wanted = filter->terms[t].values[v];

            found = found ||
                    (wanted.size == strlen(value) && memcmp(wanted.data, value, wanted.size) == 0);
        }
        if (!found)
            return false;
    }
    return true;
}

static bool
measures(const struct catalog *catalog, const struct catalog_meter *meter,
         const struct usage_row *row)
{
    if (row->type != meter->type || !passes(&meter->filter, &catalog->types[meter->type], row))
        return false;
    if (meter->aggregation == AGG_COUNT)
        return true;
    if (meter->aggregation == AGG_UNIQUE)
        return row->text[meter->field][0] != '\0';
    return row->present[meter->field] != 0;
}

static bool
is_later(const struct usage_row *a, const struct usage_row *b)
{
    if (a->time_us != b->time_us)
        return a->time_us > b->time_us;
    int order = strcmp(a->source, b->source);

    return order != 0 ? order > 0 : strcmp(a->id_text, b->id_text) > 0;
}

static void
total_add(struct total *total, const struct catalog_meter *meter, const struct usage_row *row)
{
    bool first = total->count++ == 0;
    int64_t value = meter->field == CATALOG_NONE ? 0 : row->value[meter->field];

    switch (meter->aggregation) {
    case AGG_SUM:
        total->number += value;
        break;
    case AGG_COUNT:
        break;
    case AGG_MIN:
        total->number = first || value < total->number ? value : total->number;
        break;
    case AGG_MAX:
        total->number = first || value > total->number ? value : total->number;
        break;
    case AGG_LAST:
        if (first || is_later(row, total->last)) {
            total->last = row;
            total->number = value;
        }
        break;
    case AGG_UNIQUE:
        for (uint32_t i = 0; i < total->distinct_count; i++) {
            if (strcmp(total->distinct[i], row->text[meter->field]) == 0)
                return;
        }
        VT_ASSERT(total->distinct_count < DISTINCT);
        total->distinct[total->distinct_count++] = row->text[meter->field];
        break;
    }
}

static int
total_order(const void *a, const void *b)
{
    const struct total *one = a, *other = b;
    int order = strcmp(one->tenant, other->tenant);

    if (order == 0)
        order = strcmp(one->meter, other->meter);
    if (order == 0)
        order = one->start_us < other->start_us ? -1 : one->start_us > other->start_us;
    for (uint32_t i = 0; i < one->dim_count && order == 0; i++)
        order = strcmp(one->dims[i], other->dims[i]);
    return order;
}

static int64_t
floor_to(int64_t us, int64_t size_us)
{
    int64_t start_us = us / size_us * size_us;

    return start_us > us ? start_us - size_us : start_us;
}

bool
usage_measures(const struct catalog *catalog, uint32_t meter, const struct usage_row *row)
{
    return measures(catalog, &catalog->meters[meter], row);
}

int64_t
usage_window(const struct catalog *catalog, uint32_t meter, const struct usage_row *row)
{
    return floor_to(row->time_us, catalog->meters[meter].window_us);
}

static void
lines_of_total(const struct total *total, struct lines *lines)
{
    char dims[LINE_BYTES / 4] = "", event[LINE_BYTES / 4] = "";
    struct line_parts parts = {total->tenant,   total->meter, dims,         event,
                               total->start_us, total->count, total->number};

    for (uint32_t i = 0; i < total->dim_count; i++) {
        size_t used = strlen(dims);

        (void)snprintf(dims + used, sizeof dims - used, "%s,", total->dims[i]);
    }
    if (total->aggregation == AGG_COUNT)
        parts.result = (vt_i128)total->count;
    if (total->aggregation == AGG_UNIQUE)
        parts.result = total->distinct_count;
    if (total->aggregation == AGG_LAST)
        (void)snprintf(event, sizeof event, "|%lld %s %s", (long long)total->last->time_us,
                       total->last->source, total->last->id_text);
    add_parts(lines, &parts);
}

/* The totals of one meter, appended. */
static uint32_t
totals_of_meter(const struct naive_scope *scope, uint32_t index, const struct usage_pick *all,
                struct total *totals, uint32_t total_count)
{
    const struct catalog_meter *meter = &scope->catalog->meters[index];
    static char tenants[16][64], meters[16][64];

    VT_ASSERT(index < 16 && scope->catalog->tenant_count <= 16);
    for (uint32_t r = 0; r < all->count; r++) {
        const struct usage_row *row = &all->rows[r];
        struct total key = {.start_us = floor_to(row->time_us, meter->window_us),
                            .dim_count = scope->by_group ? meter->group_count : meter->dim_count,
                            .aggregation = meter->aggregation};
        uint32_t t = 0;

        if (!measures(scope->catalog, meter, row) || key.start_us < scope->bounds.start_us ||
            key.start_us >= scope->bounds.end_us ||
            (scope->bounds.tenant != CATALOG_NONE && scope->bounds.tenant != row->tenant))
            continue;
        key.tenant = named(scope->catalog->tenants[row->tenant].key, tenants[row->tenant]);
        key.meter = named(meter->key, meters[index]);
        for (uint32_t d = 0; d < key.dim_count; d++)
            key.dims[d] = row->text[scope->by_group ? meter->group_slots[d] : meter->dim_slots[d]];
        while (t < total_count && total_order(&totals[t], &key) != 0)
            t++;
        if (t == total_count)
            totals[total_count++] = key;
        total_add(&totals[t], meter, row);
    }
    return total_count;
}

void
lines_of_rows(const struct naive_scope *scope, const struct usage_row *rows, uint32_t count,
              struct lines *out_lines)
{
    struct usage_pick all = {.rows = rows, .count = count};

    /* Meters have totals of their own, so that looking one up stays short. */
    uint64_t max = (uint64_t)count * scope->catalog->meter_count + 1;
    struct total *totals = calloc(max, sizeof *totals);
    uint32_t total_count = 0;

    VT_ASSERT(totals != NULL);
    for (uint32_t m = 0; m < scope->catalog->meter_count; m++) {
        if (scope->bounds.meter == CATALOG_NONE || scope->bounds.meter == m)
            total_count += totals_of_meter(scope, m, &all, totals + total_count, 0);
    }
    qsort(totals, total_count, sizeof *totals, total_order);
    for (uint32_t t = 0; t < total_count; t++)
        lines_of_total(&totals[t], out_lines);
    free(totals);
}

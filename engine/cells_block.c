/*
 * cells_block.c - see cells.h: whole blocks of rows. A meter takes rows in passes over its columns
 * (time bounds, one pass a filter term, presence), each of which thins out a list of row numbers;
 * what is left goes into cells, and a row with the key of the row before it needs no look-up.
 */
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cells_table.h"
#include "venturi/assert.h"

/* What a meter reads of a block. */
struct binding {
    const struct row_block *block;
    struct meter_plan *plan;
    uint32_t tenant;
    const struct row_column *field; /* of the kind that the meter needs, or NULL */
    uint32_t scale;                 /* of the meter's field */
    const struct row_column *dims[CELL_DIMS_MAX];
    uint32_t selected; /* rows in cells->select */
};

static const struct row_column *
column_of(const struct row_block *block, struct vt_str name, enum field_kind kind)
{
    const struct row_column *column = row_block_column(block, name);

    return column != NULL && column->kind == kind ? column : NULL;
}

static vt_err
own_code(struct cells *cells, const struct row_block *block, uint32_t code, uint32_t *out_code)
{
    return code_map_get(&cells->codes, cells->dict, code, &block->dict[code], out_code);
}

/* Row numbers whose windows lie in the bounds. Windows start in [start, end) where their times,
 * floored, do. */
static void
select_by_time(struct cells *cells, struct binding *b)
{
    const struct cells_bounds *bounds = &cells->bounds;
    uint32_t rows = b->block->row_count, count = 0;

    if (bounds->start_us == INT64_MIN && bounds->end_us == INT64_MAX) {
        for (uint32_t row = 0; row < rows; row++)
            cells->select[row] = row;
        b->selected = rows;
        return;
    }
    for (uint32_t row = 0; row < rows; row++) {
        int64_t start_us = plan_window(b->plan, b->block->time_us[row]);

        cells->select[count] = row;
        count += start_us >= bounds->start_us && start_us < bounds->end_us;
    }
    b->selected = count;
}

static vt_err
select_by_term(struct cells *cells, struct binding *b, struct term_plan *term)
{
    const struct row_column *column = column_of(b->block, term->term->dim, FIELD_STRING);
    uint32_t count = 0;

    for (uint32_t i = 0; i < b->selected; i++) {
        uint32_t row = cells->select[i], code = 0;
        bool accepts = false;
        vt_err err = column == NULL ? VT_OK : own_code(cells, b->block, column->code[row], &code);

        if (err == VT_OK)
            err = term_accepts(term, cells->dict, code, &accepts);
        if (err != VT_OK)
            return err;
        cells->select[count] = row;
        count += accepts;
    }
    b->selected = count;
    return VT_OK;
}

/* Rows with a value of the meter's field. */
static void
select_by_value(struct cells *cells, struct binding *b)
{
    enum aggregation aggregation = b->plan->meter->aggregation;
    uint32_t count = 0;

    if (aggregation == AGG_COUNT)
        return;
    if (b->field == NULL) {
        b->selected = 0;
        return;
    }
    if (aggregation != AGG_UNIQUE && b->field->present == NULL)
        return;
    for (uint32_t i = 0; i < b->selected; i++) {
        uint32_t row = cells->select[i];

        cells->select[count] = row;
        count += aggregation == AGG_UNIQUE ? b->field->code[row] != 0 : b->field->present[row] != 0;
    }
    b->selected = count;
}

static vt_err
key_of_row(struct cells *cells, const struct binding *b, uint32_t row, struct cell_key *key)
{
    key->window_start_us = plan_window(b->plan, b->block->time_us[row]);
    for (uint32_t i = 0; i < key->dim_count; i++) {
        vt_err err = VT_OK;

        key->dims[i] = 0;
        if (b->dims[i] != NULL)
            err = own_code(cells, b->block, b->dims[i]->code[row], &key->dims[i]);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

static vt_err
event_of_row(struct cells *cells, const struct binding *b, uint32_t row, struct cell_event *event)
{
    vt_err err = VT_OK;

    switch (b->plan->meter->aggregation) {
    case AGG_COUNT:
        return VT_OK;
    case AGG_UNIQUE:
        return own_code(cells, b->block, b->field->code[row], &event->code);
    case AGG_LAST:
        event->time_us = b->block->time_us[row];
        event->id = &b->block->id[row];
        err = own_code(cells, b->block, b->block->source[row], &event->source);
        break;
    case AGG_SUM:
    case AGG_MIN:
    case AGG_MAX:
        break;
    }
    event->value = b->field->value[row];
    if (err == VT_OK && b->field->scale != b->scale)
        err = vt_decimal_rescale(event->value, b->field->scale, b->scale, &event->value);
    return err;
}

/* An event of a meter of `last`: it counts, and it is kept where it is later than what the cell
 * has. */
static vt_err
add_last(struct cells *cells, struct cell *cell, const struct cell_event *event)
{
    struct cell_last *last = cell->more.last;
    int order = cell->count == 0 ? 1 : 0;

    if (order == 0)
        order = event->time_us < last->time_us ? -1 : event->time_us > last->time_us;
    if (order == 0)
        order = vt_str_compare(dict_string(cells->dict, event->source),
                               dict_string(cells->dict, last->source));
    if (order == 0)
        order = row_id_compare(event->id, &last->id);
    if (order <= 0) {
        cell->count++;
        return VT_OK;
    }
    if (!last->borrowed) {
        last->borrowed = true;
        last->next_borrowed = cells->borrowed;
        cells->borrowed = last;
    }
    return cell_add(cell, AGG_LAST, event);
}

static vt_err
keep_borrowed(struct cells *cells)
{
    vt_err err = VT_OK;

    while (cells->borrowed != NULL && err == VT_OK) {
        struct cell_last *last = cells->borrowed;

        cells->borrowed = last->next_borrowed;
        last->borrowed = false;
        err = cell_last_keep(cells, last);
    }
    return err;
}

static vt_err
add_selected(struct cells *cells, struct binding *b)
{
    enum aggregation aggregation = b->plan->meter->aggregation;
    struct cell_event event = {.value = 0};
    struct cell_key key = {
        .meter = b->plan->index, .tenant = b->tenant, .dim_count = b->plan->dim_count};
    struct cell *cell = NULL;
    uint32_t dim_bytes = key.dim_count * (uint32_t)sizeof key.dims[0];

    for (uint32_t i = 0; i < b->selected; i++) {
        uint32_t row = cells->select[i];
        vt_err err = key_of_row(cells, b, row, &key);

        if (err == VT_OK && (cell == NULL || cell->window_start_us != key.window_start_us ||
                             memcmp(cell->dims, key.dims, dim_bytes) != 0))
            err = cells_find(cells, &key, &cell);
        if (err == VT_OK)
            err = event_of_row(cells, b, row, &event);
        if (err == VT_OK)
            err = aggregation == AGG_LAST ? add_last(cells, cell, &event)
                                          : cell_add(cell, aggregation, &event);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

static void
bind(const struct cells *cells, struct binding *b)
{
    const struct catalog_meter *meter = b->plan->meter;
    const struct catalog_type *type = &cells->catalog->types[meter->type];

    b->field = NULL;
    b->scale = meter->scale;
    if (meter->field != CATALOG_NONE) {
        enum field_kind kind = meter->aggregation == AGG_UNIQUE ? FIELD_STRING : FIELD_DECIMAL;

        b->field = column_of(b->block, type->fields[meter->field].name, kind);
    }
    for (uint32_t i = 0; i < b->plan->dim_count; i++)
        b->dims[i] = column_of(b->block, type->fields[b->plan->dim_slots[i]].name, FIELD_STRING);
}

static vt_err
block_into_meter(struct cells *cells, const struct row_block *block, struct meter_plan *plan,
                 uint32_t tenant)
{
    struct binding b = {.block = block, .plan = plan, .tenant = tenant};

    if (plan->meter->aggregation == AGG_LAST && block->id == NULL)
        return vt_err_detail(VT_INVALID, "meter %.*s needs ids, the block has none",
                             (int)plan->meter->key.size, plan->meter->key.data);
    bind(cells, &b);
    select_by_time(cells, &b);
    for (uint32_t i = 0; i < plan->term_count; i++) {
        vt_err err = select_by_term(cells, &b, &plan->terms[i]);

        if (err != VT_OK)
            return err;
    }
    select_by_value(cells, &b);
    vt_err err = add_selected(cells, &b);

    return err != VT_OK ? err : keep_borrowed(cells);
}

static vt_err
select_room(struct cells *cells, uint32_t rows)
{
    if (rows <= cells->select_max)
        return VT_OK;
    uint32_t *select = realloc(cells->select, (uint64_t)rows * sizeof *select);

    if (select == NULL)
        return VT_NOMEM;
    cells->select = select;
    cells->select_max = rows;
    return VT_OK;
}

vt_err
cells_add_block(struct cells *cells, uint32_t meter, const struct row_block *block)
{
    const struct cells_bounds *bounds = &cells->bounds;
    uint32_t tenant = catalog_find_tenant(cells->catalog, block->tenant);
    uint32_t type = catalog_find_type(cells->catalog, block->type);

    VT_ASSERT(meter == CATALOG_NONE || meter < cells->catalog->meter_count);
    if (tenant == CATALOG_NONE || type == CATALOG_NONE || block->row_count == 0)
        return VT_OK;
    if (bounds->tenant != CATALOG_NONE && bounds->tenant != tenant)
        return VT_OK;
    vt_err err = select_room(cells, block->row_count);

    if (err == VT_OK)
        err = code_map_use(&cells->codes, block->dict_id, block->dict_count);
    for (uint32_t i = 0; i < cells->types[type].count && err == VT_OK; i++) {
        struct meter_plan *plan = cells->plans_by_type[cells->types[type].first + i];

        if ((meter == CATALOG_NONE || meter == plan->index) &&
            (bounds->meter == CATALOG_NONE || bounds->meter == plan->index))
            err = block_into_meter(cells, block, plan, tenant);
    }
    return err;
}

/*
 * cells_rows.c - see cells.h: accepted rows into the cells of their meters. Which cell a row goes
 * to is random, and each is two misses: its slot and the cell. So rows are taken in groups: the
 * keys of a group are hashed and their slots fetched into the cache, then the cells that stand
 * there, and only then is anything compared (group prefetching: S. Chen et al., "Improving hash
 * join performance through prefetching", 2004).
 */
#include "cells.h"
#include "cells_table.h"
#include "venturi/assert.h"

#define GROUP 32 /* as many misses as a core keeps in flight, and some more */

/* Rows of the group that are usage of the meter, and where each goes. */
struct row_group {
    uint32_t count;
    uint32_t row[GROUP]; /* index in the columns */
    struct cell_hash hash[GROUP];
    struct cell_key key[GROUP];
};

/* Whether the row is the latest in the cell of `last`: the greatest (time, source, id). */
static bool
row_is_last(const struct cells *cells, const struct cell *cell, const struct cell_event *event)
{
    const struct cell_last *last = cell->more.last;

    if (cell->count == 0 || event->time_us != last->time_us)
        return cell->count == 0 || event->time_us > last->time_us;
    if (event->source != last->source)
        return vt_str_compare(dict_string(cells->dict, event->source),
                              dict_string(cells->dict, last->source)) > 0;
    return row_id_compare(event->id, &last->id) > 0;
}

vt_err
cell_row_measures(struct cells *cells, struct meter_plan *plan, const struct cell_rows *rows,
                  uint32_t row, bool *out_measures)
{
    const struct catalog_meter *meter = plan->meter;

    *out_measures = meter->aggregation == AGG_COUNT ||
                    (meter->aggregation == AGG_UNIQUE ? rows->code[meter->field][row] != 0
                                                      : rows->present[meter->field][row] != 0);
    for (uint32_t i = 0; i < plan->term_count && *out_measures; i++) {
        struct term_plan *term = &plan->terms[i];
        uint32_t code = term->slot == CATALOG_NONE ? 0 : rows->code[term->slot][row];
        vt_err err = term_accepts(term, cells->dict, code, out_measures);

        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

/* The rows from `first` that the meter measures, with their keys; their slots are on the way. */
static vt_err
group_make(struct cells *cells, struct meter_plan *plan, const struct cell_rows *rows,
           uint32_t first, struct row_group *group)
{
    uint32_t end = rows->first + rows->count;

    if (end - first > GROUP)
        end = first + GROUP;
    group->count = 0;
    for (uint32_t row = first; row < end; row++) {
        bool measures = false;
        vt_err err = cell_row_measures(cells, plan, rows, row, &measures);

        if (err != VT_OK)
            return err;
        group->row[group->count] = row;
        group->count += measures;
    }
    for (uint32_t i = 0; i < group->count; i++) {
        struct cell_key *key = &group->key[i];
        uint32_t row = group->row[i];

        VT_ASSERT(rows->tenant[row] < cells->catalog->tenant_count);
        key->meter = plan->index;
        key->tenant = rows->tenant[row];
        key->window_start_us = plan_window(plan, rows->time_us[row]);
        key->dim_count = plan->dim_count;
        for (uint32_t d = 0; d < plan->dim_count; d++)
            key->dims[d] = rows->code[plan->dim_slots[d]][row];
        group->hash[i] = cell_key_hash(key);
        ptr_table_prefetch(&cells->table, group->hash[i].key);
    }
    return VT_OK;
}

static vt_err
row_into_cell(struct cells *cells, const struct meter_plan *plan, const struct cell_rows *rows,
              uint32_t row, struct cell *cell)
{
    const struct catalog_meter *meter = plan->meter;
    struct cell_event event = {.source = rows->source[row], .time_us = rows->time_us[row]};

    if (meter->aggregation == AGG_UNIQUE)
        event.code = rows->code[meter->field][row];
    else if (meter->aggregation != AGG_COUNT)
        event.value = rows->value[meter->field][row];
    if (meter->aggregation != AGG_LAST)
        return cell_add(cell, meter->aggregation, &event);
    struct row_id id = id_column_get(&rows->id, row);

    event.id = &id;
    if (!row_is_last(cells, cell, &event)) {
        cell->count++;
        return VT_OK;
    }
    vt_err err = cell_add(cell, meter->aggregation, &event);

    return err == VT_OK ? cell_last_keep(cells, cell->more.last) : err;
}

static vt_err
group_take(struct cells *cells, const struct meter_plan *plan, const struct cell_rows *rows,
           const struct row_group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        ptr_table_prefetch_item(&cells->table, group->hash[i].key);
    for (uint32_t i = 0; i < group->count; i++) {
        struct cell *cell;
        vt_err err = cells_find_hashed(cells, &group->key[i], group->hash[i], &cell);

        if (err == VT_OK)
            err = row_into_cell(cells, plan, rows, group->row[i], cell);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

vt_err
cells_add_rows(struct cells *cells, const struct cell_rows *rows)
{
    VT_ASSERT(rows->type < cells->catalog->type_count);
    VT_ASSERT(rows->slot_count >= cells->catalog->types[rows->type].field_count);
    const struct type_plan *type = &cells->types[rows->type];
    uint32_t end = rows->first + rows->count;
    VT_UNINITIALIZED struct row_group group;

    for (uint32_t i = 0; i < type->count; i++) {
        struct meter_plan *plan = cells->plans_by_type[type->first + i];

        for (uint32_t first = rows->first; first < end; first += GROUP) {
            vt_err err = group_make(cells, plan, rows, first, &group);

            if (err == VT_OK)
                err = group_take(cells, plan, rows, &group);
            if (err != VT_OK)
                return err;
        }
    }
    return VT_OK;
}

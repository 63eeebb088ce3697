/* window_rig.c - see window_rig.h. */
#include "window_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

static uint32_t finds; /* of the rig that runs */

static void
must(vt_err err)
{
    if (err != VT_OK)
        (void)fprintf(stderr, "%s: %s\n", vt_err_name(err), vt_err_last());
    VT_ASSERT(err == VT_OK);
}

static const struct rig_segment *
segment_of(const struct sealed *sealed)
{
    return (const struct rig_segment *)(const void *)sealed;
}

static const struct catalog *
rig_catalog(const struct sealed *sealed)
{
    return segment_of(sealed)->catalog;
}

static uint64_t
rig_last_commit(const struct sealed *sealed)
{
    return segment_of(sealed)->last_commit;
}

static bool
rig_has_cells(const struct sealed *sealed, const struct catalog *catalog, uint32_t meter)
{
    return catalog == segment_of(sealed)->catalog && meter < catalog->meter_count;
}

struct cells_out {
    const struct rig_segment *segment;
    const struct cell_filter *filter;
    vt_err (*each)(void *context, const struct sealed_cell *cell, const struct cell_value *value);
    void *context;
};

static bool
wanted(struct vt_str name, struct vt_str have)
{
    return name.size == 0 || vt_str_equal(name, have);
}

static vt_err
cell_out(void *context, const struct cell_key *key, const struct cell_value *value)
{
    const struct cells_out *out = context;
    const struct catalog *catalog = out->segment->catalog;
    const struct catalog_meter *meter = &catalog->meters[key->meter];
    struct vt_str names[CELL_DIMS_MAX], values[CELL_DIMS_MAX];
    struct sealed_cell cell = {.meter = meter->key,
                               .tenant = catalog->tenants[key->tenant].key,
                               .window_start_us = key->window_start_us,
                               .dim_count = key->dim_count,
                               .dim_names = names,
                               .dim_values = values};

    for (uint32_t d = 0; d < key->dim_count; d++) {
        names[d] = catalog->types[meter->type].fields[meter->dim_slots[d]].name;
        values[d] = dict_string(out->segment->epoch->dict, key->dims[d]);
    }
    if (!wanted(out->filter->meter, cell.meter) || !wanted(out->filter->tenant, cell.tenant) ||
        cell.window_start_us < out->filter->start_us || cell.window_start_us >= out->filter->end_us)
        return VT_OK;
    return out->each(out->context, &cell, value);
}

static vt_err
rig_each_cell(const struct sealed *sealed, const struct cell_filter *filter,
              vt_err (*each)(void *context, const struct sealed_cell *cell,
                             const struct cell_value *value),
              void *context)
{
    struct cells_out out = {segment_of(sealed), filter, each, context};
    struct cells *cells = NULL;
    vt_err err = epoch_cells(out.segment->epoch, &cells);

    return err == VT_OK ? cells_each(cells, cell_out, &out) : err;
}

static vt_err
rig_scan(const struct sealed *sealed, const struct scan_options *options)
{
    const struct rig_segment *segment = segment_of(sealed);
    const struct catalog *catalog = segment->catalog;
    vt_err err = VT_OK;

    for (uint32_t tenant = 0; tenant < catalog->tenant_count; tenant++) {
        for (uint32_t type = 0; type < catalog->type_count && err == VT_OK; type++) {
            struct usage_pick pick = {segment->rows, segment->row_count, tenant, type};
            struct dict *dict;
            struct arena arena;

            if (!wanted(options->tenant, catalog->tenants[tenant].key) ||
                !wanted(options->type, catalog->types[type].name))
                continue;
            must(dict_open(&dict));
            arena_init(&arena, 4096);
            struct row_block block = usage_block(&arena, catalog, dict, &pick);

            if (block.row_count > 0)
                err = options->block(options->context, &block);
            arena_deinit(&arena);
            dict_close(dict);
        }
    }
    return err;
}

static vt_err
rig_find_feed(const struct sealed *sealed, const struct feed_search *window,
              vt_err (*each)(void *context, const struct feed_row *row), void *context)
{
    const struct rig_segment *segment = segment_of(sealed);
    const struct catalog *catalog = segment->catalog;
    struct epoch_mark mark;
    vt_err err = VT_OK;

    finds++;
    must(epoch_mark_take(segment->epoch, &mark));
    for (uint32_t i = 0; i < mark.feed_count && err == VT_OK; i++) {
        const struct feed_entry *entry = epoch_feed_at(segment->epoch, i);
        struct vt_str values[CELL_DIMS_MAX];
        struct feed_row row = {.number = entry->number,
                               .meter = catalog->meters[entry->meter].key,
                               .tenant = catalog->tenants[entry->tenant].key,
                               .window_start_us = entry->window_start_us,
                               .group_count = catalog->meters[entry->meter].group_count,
                               .group_values = values,
                               .revision = entry->revision,
                               .total = entry->total};

        for (uint32_t g = 0; g < row.group_count; g++)
            values[g] = dict_string(segment->epoch->dict, entry->group[g]);
        if (vt_str_equal(row.meter, window->meter) && vt_str_equal(row.tenant, window->tenant) &&
            row.window_start_us == window->start_us)
            err = each(context, &row);
    }
    epoch_mark_put(&mark);
    return err;
}

const struct window_calls rig_calls = {
    .catalog = rig_catalog,
    .last_commit = rig_last_commit,
    .has_cells = rig_has_cells,
    .each_cell = rig_each_cell,
    .scan = rig_scan,
    .find_feed = rig_find_feed,
};

static void
begin_epoch(struct rig *rig)
{
    struct epoch_options options = {.catalog = rig->catalog,
                                    .first_commit = rig->commit + 1,
                                    .first_position = rig->position + 1};

    must(epoch_open(&options, &rig->open));
    rig->epoch_first_row = rig->row_count;
    rig->feed_seen = 0;
}

void
rig_open(struct rig *rig, const struct catalog *catalog)
{
    memset(rig, 0, sizeof *rig);
    finds = 0;
    rig->catalog = catalog;
    rig->arrival_us = INT64_MIN;
    event_maker_init(&rig->maker);
    rig->rows = calloc(RIG_ROWS_MAX, sizeof *rig->rows);
    VT_ASSERT(rig->rows != NULL);
    must(window_state_open(catalog, (struct vt_bytes){NULL, 0}, &rig->state));
    begin_epoch(rig);
}

void
rig_close(struct rig *rig)
{
    window_state_close(rig->state);
    for (uint32_t i = 0; i < rig->frozen_count; i++)
        epoch_put(rig->frozen[i]);
    for (uint32_t i = 0; i < rig->sealed_count; i++)
        epoch_put(rig->segments[i].epoch);
    epoch_put(rig->open);
    event_maker_deinit(&rig->maker);
    free(rig->rows);
    lines_deinit(&rig->feed);
}

struct window_history
rig_history(struct rig *rig)
{
    return (struct window_history){.sealed_count = rig->sealed_count,
                                   .sealed = rig->sealed,
                                   .frozen_count = rig->frozen_count,
                                   .frozen = rig->frozen,
                                   .open = rig->open,
                                   .calls = &rig_calls};
}

static void
collect_feed(struct rig *rig)
{
    const struct catalog *catalog = rig->catalog;
    struct epoch_mark mark;

    must(epoch_mark_take(rig->open, &mark));
    for (; rig->feed_seen < mark.feed_count; rig->feed_seen++) {
        const struct feed_entry *entry = epoch_feed_at(rig->open, rig->feed_seen);
        const struct catalog_meter *meter = &catalog->meters[entry->meter];
        struct vt_str tenant = catalog->tenants[entry->tenant].key;
        char line[512], group[256] = "", numbers[2][VT_DECIMAL_BYTES];

        for (uint32_t g = 0; g < meter->group_count; g++) {
            struct vt_str text = dict_string(rig->open->dict, entry->group[g]);
            size_t used = strlen(group);

            (void)snprintf(group + used, sizeof group - used, "%.*s,", (int)text.size, text.data);
        }
        numbers[0][vt_decimal_format(entry->total, 0, numbers[0])] = '\0';
        numbers[1][vt_decimal_format(entry->difference, 0, numbers[1])] = '\0';
        (void)snprintf(line, sizeof line, "%llu|%.*s|%.*s|%lld|%s|%u|%llu|%llu|%s|%s%s",
                       (unsigned long long)entry->number, (int)tenant.size, tenant.data,
                       (int)meter->key.size, meter->key.data, (long long)entry->window_start_us,
                       group, entry->revision, (unsigned long long)entry->position,
                       (unsigned long long)entry->count, numbers[0], numbers[1],
                       entry->closed ? "|closed" : "");
        lines_add(&rig->feed, line);
    }
    epoch_mark_put(&mark);
    rig->finds = finds;
}

void
rig_commit(struct rig *rig, int64_t arrival_us)
{
    struct window_history history = rig_history(rig);
    bool tick = rig->arrival_us == INT64_MIN || arrival_us / 1000000 != rig->arrival_us / 1000000;

    VT_ASSERT(arrival_us >= rig->arrival_us);
    rig->commit++;
    rig->arrival_us = arrival_us;
    if (!tick)
        return;
    struct window_tick at = {rig->commit, rig->position, arrival_us};

    must(window_state_tick(rig->state, &history, &at));
    rig->generation++;
    collect_feed(rig);
}

struct touches {
    struct rig *rig;
    struct window_history history;
};

static bool
touched(void *context, const struct cell_key *key)
{
    struct touches *touches = context;
    bool open = false;

    must(window_state_touch(touches->rig->state, &touches->history, key, touches->rig->arrival_us,
                            &open));
    return open;
}

/* Into the epoch's rows, through a batch of one. */
static void
append(struct rig *rig, const struct usage_row *row)
{
    const struct catalog_type *type = &rig->catalog->types[row->type];
    char numbers[USAGE_SLOTS][VT_DECIMAL_BYTES];
    struct made_event event = {.tenant = rig->catalog->tenants[row->tenant].key,
                               .type = type->name,
                               .id = {row->id_text, (uint32_t)strlen(row->id_text)},
                               .source = {row->source, (uint32_t)strlen(row->source)},
                               .time_us = row->time_us};
    struct vt_hash128 identity = {0, rig->position};
    row_ref ref;

    for (uint32_t s = 0; s < type->field_count; s++) {
        struct made_field *field = &event.fields[event.field_count];

        field->name = type->fields[s].name;
        if (type->fields[s].kind == FIELD_STRING) {
            field->text = (struct vt_str){row->text[s], (uint32_t)strlen(row->text[s])};
        } else if (row->present[s]) {
            uint32_t size = vt_decimal_format(row->value[s], type->fields[s].scale, numbers[s]);

            field->text = (struct vt_str){numbers[s], size};
        } else {
            continue;
        }
        event.field_count++;
    }
    rig->maker.position = rig->position;
    struct batch *batch = event_batch(&rig->maker, rig->catalog, &event, 1);

    VT_ASSERT(batch->reason[0] == VT_REASON_NONE);
    must(epoch_batch_begin(rig->open, batch));
    must(epoch_append(rig->open, batch, 0, &identity, &ref));
}

void
rig_row(struct rig *rig, const struct usage_row *row)
{
    struct touches touches = {rig, rig_history(rig)};
    struct cell_touch touch = {touched, &touches, rig->every_touch ? 0 : rig->generation};

    VT_ASSERT(rig->row_count < RIG_ROWS_MAX);
    struct usage_row *copy = &rig->rows[rig->row_count++];

    *copy = *row;
    copy->id.data = row->id.data == row->id_bytes ? copy->id_bytes : (uint8_t *)copy->id_text;
    rig->position++;
    append(rig, copy);
    usage_into_cells(rig->open->cells, copy, &touch);
}

void
rig_close_before(struct rig *rig, uint32_t tenant, int64_t before_us)
{
    struct window_history history = rig_history(rig);
    struct window_tick at = {rig->commit, rig->position, rig->arrival_us};

    must(window_state_close_before(rig->state, &history, &at, tenant, before_us));
    rig->generation++;
    collect_feed(rig);
}

void
rig_cut(struct rig *rig, const struct catalog *next, bool restart)
{
    struct epoch_freeze_at at = {rig->commit, rig->position, rig->arrival_us};
    struct window_history history = rig_history(rig);

    VT_ASSERT(rig->frozen_count < RIG_EPOCHS_MAX);
    if (restart) {
        struct vt_bytes saved;

        must(window_state_save(rig->state, &history, &saved));
        window_state_close(rig->state);
        must(window_state_open(rig->catalog, saved, &rig->state));
        free(vt_owned(saved.data));
    }
    epoch_freeze(rig->open, &at);
    rig->frozen_as[rig->frozen_count] =
        (struct rig_segment){rig->catalog, rig->commit, rig->open, rig->rows + rig->epoch_first_row,
                             rig->row_count - rig->epoch_first_row};
    rig->frozen[rig->frozen_count++] = rig->open;
    rig->catalog = next;
    must(window_state_catalog(rig->state, next));
    begin_epoch(rig);
}

void
rig_seal(struct rig *rig)
{
    if (rig->frozen_count == 0)
        return;
    VT_ASSERT(rig->sealed_count < RIG_EPOCHS_MAX);
    struct rig_segment *segment = &rig->segments[rig->sealed_count];

    *segment = rig->frozen_as[0];
    rig->sealed[rig->sealed_count++] = (struct sealed *)(void *)segment;
    rig->frozen_count--;
    memmove(rig->frozen, rig->frozen + 1, rig->frozen_count * sizeof(struct epoch *));
    memmove(rig->frozen_as, rig->frozen_as + 1, rig->frozen_count * sizeof(struct rig_segment));
}

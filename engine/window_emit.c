/*
 * window_emit.c - see window_book.h: the values of windows whose time has come, and their feed
 * entries. All windows of a tick are folded into one table by groups, whose order is the order of
 * the feed.
 */
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "window_book.h"

/* The rows of one tenant for one meter in a source that is older than the meter, folded once a
 * tick. */
struct scanned {
    struct scanned *next;
    const void *source;
    uint32_t meter;
    uint32_t tenant;
    struct cells *cells;
};

struct emitter {
    struct window_state *state;
    const struct window_history *history;
    const struct window_tick *tick;
    const struct emit_order *order;
    struct dict *dict;
    struct cells *cells; /* by groups */
    struct scanned *scanned;
    uint8_t *wanted; /* [meter] */
};

static vt_err
epoch_rows(struct epoch *epoch, const struct window_scan *scan, struct cells *into)
{
    struct epoch_mark mark;
    vt_err err = epoch_mark_take(epoch, &mark);

    if (err != VT_OK)
        return err;
    err = window_epoch_scan(&mark, scan, into);
    epoch_mark_put(&mark);
    return err;
}

/* The cells of all rows of the window's (meter, tenant) in a source: `sealed`, or where it is NULL
 * `epoch`. */
static vt_err
scan_source(struct emitter *emitter, const struct win *win, const struct sealed *sealed,
            struct epoch *epoch, struct cells **out_cells)
{
    const struct catalog *catalog = emitter->state->catalog;
    const void *source = sealed != NULL ? (const void *)sealed : epoch;
    struct cells_bounds bounds = {win->meter, win->tenant, INT64_MIN, INT64_MAX};
    struct window_scan scan = {catalog->meters[win->meter].type, win->tenant, emitter->wanted};

    for (struct scanned *known = emitter->scanned; known != NULL; known = known->next) {
        if (known->source == source && known->meter == win->meter && known->tenant == win->tenant) {
            *out_cells = known->cells;
            return VT_OK;
        }
    }
    struct scanned *scanned = calloc(1, sizeof *scanned);

    if (scanned == NULL)
        return VT_NOMEM;
    *scanned = (struct scanned){emitter->scanned, source, win->meter, win->tenant, NULL};
    emitter->scanned = scanned;
    vt_err err = cells_open_groups(catalog, emitter->dict, &bounds, &scanned->cells);

    if (err != VT_OK)
        return err;
    emitter->wanted[win->meter] = 1;
    err = sealed != NULL
              ? window_source_scan(history_calls(emitter->history), sealed, &scan, scanned->cells)
              : epoch_rows(epoch, &scan, scanned->cells);
    emitter->wanted[win->meter] = 0;
    *out_cells = scanned->cells;
    return err;
}

static vt_err
collect_scanned(struct emitter *emitter, const struct win *win, const struct sealed *sealed,
                struct epoch *epoch)
{
    struct cells *cells;
    vt_err err = scan_source(emitter, win, sealed, epoch, &cells);

    if (err != VT_OK)
        return err;
    return cells_fold_window(emitter->cells, cells, win->meter, win->tenant, win->start_us);
}

static vt_err
collect_sealed(struct emitter *emitter, const struct win *win, const struct sealed *sealed)
{
    const struct window_calls *calls = history_calls(emitter->history);
    const struct catalog *catalog = emitter->state->catalog;
    struct window_range range = {win->meter, win->tenant, win->start_us, win->start_us + 1};
    struct vt_str key = catalog->meters[win->meter].key;

    /* A meter that the segment knew would have opened the window at its first event. */
    if (calls->last_commit(sealed) < win->first_commit &&
        catalog_find_meter(calls->catalog(sealed), key) != CATALOG_NONE)
        return VT_OK;
    if (window_source_serves(calls, sealed, catalog, win->meter))
        return window_source_cells(calls, sealed, &range, emitter->cells);
    return collect_scanned(emitter, win, sealed, NULL);
}

static vt_err
collect_epoch(struct emitter *emitter, const struct win *win, struct epoch *epoch)
{
    struct cells *cells;
    vt_err err = epoch_cells(epoch, &cells);

    if (err != VT_OK)
        return err;
    return cells_fold_window(emitter->cells, cells, win->meter, win->tenant, win->start_us);
}

/* All that is known of the window, down to its groups. */
static vt_err
collect(struct emitter *emitter, const struct win *win)
{
    const struct window_history *history = emitter->history;
    struct vt_str key = emitter->state->catalog->meters[win->meter].key;
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < history->sealed_count && err == VT_OK; i++)
        err = collect_sealed(emitter, win, history->sealed[i]);
    for (uint32_t i = 0; i < history->frozen_count && err == VT_OK; i++) {
        struct epoch *epoch = history->frozen[i];

        if (catalog_find_meter(epoch->catalog, key) == CATALOG_NONE)
            err = collect_scanned(emitter, win, NULL, epoch);
        else
            err = collect_epoch(emitter, win, epoch);
    }
    return err == VT_OK ? collect_epoch(emitter, win, history->open) : err;
}

/* The dirty group of a final window that is due, or NULL. */
static vt_err
due_group(struct emitter *emitter, const struct win *win, const struct cell_key *key,
          const struct dirty **out_dirty)
{
    struct window_state *state = emitter->state;
    struct vt_str values[CELL_DIMS_MAX];
    uint32_t bytes;

    for (uint32_t g = 0; g < key->dim_count; g++)
        values[g] = dict_string(emitter->dict, key->dims[g]);
    vt_err err = group_pack(state, values, key->dim_count, &bytes);

    if (err != VT_OK)
        return err;
    const struct dirty *dirty = dirty_find(state, win, state->pack, bytes);

    if (dirty != NULL && dirty_due_us(state, dirty) > emitter->order->due_us)
        dirty = NULL;
    *out_dirty = dirty;
    return VT_OK;
}

static vt_err
entry_put(struct emitter *emitter, const struct cell_key *key, struct feed_entry *entry)
{
    struct epoch *open = emitter->history->open;

    for (uint32_t g = 0; g < key->dim_count; g++) {
        vt_err err =
            dict_code(open->dict, dict_string(emitter->dict, key->dims[g]), &entry->group[g]);

        if (err != VT_OK)
            return err;
    }
    entry->number = emitter->tick->number;
    entry->meter = key->meter;
    entry->tenant = key->tenant;
    entry->window_start_us = key->window_start_us;
    entry->position = emitter->tick->position;
    entry->closed = emitter->order->closed;
    return epoch_add_feed(open, entry);
}

static vt_err
emit_cell(void *context, const struct cell_key *key, const struct cell_value *value)
{
    struct emitter *emitter = context;
    const struct catalog_meter *meter = &emitter->state->catalog->meters[key->meter];
    const struct win *win = win_find(emitter->state, key->meter, key->tenant, key->window_start_us);
    struct feed_entry entry = {.revision = 1, .count = value->count};
    vt_i128 before = 0;

    VT_ASSERT(win != NULL);
    if (!cell_value_result(meter->aggregation, value, &entry.total))
        return VT_OK;
    if (win->final) {
        const struct dirty *dirty;
        vt_err err = due_group(emitter, win, key, &dirty);

        if (err != VT_OK || dirty == NULL)
            return err;
        /* A group that the final window did not have begins with 2. */
        entry.revision = dirty->revision == 0 ? 2 : dirty->revision + 1;
        before = dirty->total;
    }
    if (__builtin_sub_overflow(entry.total, before, &entry.difference))
        return VT_OVERFLOW;
    return entry_put(emitter, key, &entry);
}

static void
emitter_deinit(struct emitter *emitter)
{
    while (emitter->scanned != NULL) {
        struct scanned *scanned = emitter->scanned;

        emitter->scanned = scanned->next;
        cells_close(scanned->cells);
        free(scanned);
    }
    cells_close(emitter->cells);
    if (emitter->dict != NULL)
        dict_close(emitter->dict);
    free(emitter->wanted);
}

vt_err
window_emit(struct window_state *state, const struct window_history *history,
            const struct window_tick *tick, const struct emit_order *order)
{
    struct emitter emitter = {.state = state, .history = history, .tick = tick, .order = order};
    vt_err err = VT_NOMEM;

    VT_ASSERT(order->count > 0);
    emitter.wanted = calloc(state->catalog->meter_count, 1);
    if (emitter.wanted != NULL)
        err = dict_open(&emitter.dict);
    if (err == VT_OK)
        err = cells_open_groups(state->catalog, emitter.dict, NULL, &emitter.cells);
    for (uint64_t i = 0; i < order->count && err == VT_OK; i++) {
        err = collect(&emitter, order->wins[i]);
        if (err == VT_OK && order->wins[i]->final)
            err = feed_previous(state, history, order->wins[i]);
    }
    if (err == VT_OK)
        err = cells_each(emitter.cells, emit_cell, &emitter);
    emitter_deinit(&emitter);
    return err;
}

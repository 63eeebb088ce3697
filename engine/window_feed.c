/*
 * window_feed.c - see window_book.h: what the feed said of a window before. Segments are asked
 * through their calls; the feed of an epoch in memory gets an index by window, made when it is
 * first asked and extended as the feed grows.
 */
#include <stdlib.h>

#include "venturi/assert.h"
#include "window_book.h"

#define INDEX_BLOCK_BYTES (UINT64_C(16) << 10)
#define NO_ENTRY          UINT32_MAX

/* The last entry of a window; the others follow from it. */
struct feed_window {
    uint32_t meter;
    uint32_t tenant;
    int64_t start_us;
    uint32_t last;
};

struct feed_index {
    struct feed_index *next;
    const struct epoch *epoch; /* compared, with the commit; looked into only where it was given */
    uint64_t first_commit;
    struct ptr_table windows;
    struct arena arena;
    uint32_t *before; /* [entry]: the entry before it of the same window, or NO_ENTRY */
    uint32_t covered; /* entries in the index */
    uint32_t before_max;
};

static void
index_close(struct feed_index *index)
{
    ptr_table_deinit(&index->windows);
    arena_deinit(&index->arena);
    free(index->before);
    free(index);
}

static bool
index_is_of(const struct feed_index *index, const struct epoch *epoch)
{
    return index->epoch == epoch && index->first_commit == epoch->first_commit;
}

void
feed_prune(struct window_state *state, const struct window_history *history)
{
    struct feed_index **link = &state->indexes;

    while (*link != NULL) {
        struct feed_index *index = *link;
        bool held = index_is_of(index, history->open);

        for (uint32_t i = 0; i < history->frozen_count && !held; i++)
            held = index_is_of(index, history->frozen[i]);
        if (held) {
            link = &index->next;
            continue;
        }
        *link = index->next;
        index_close(index);
    }
}

void
feed_forget(struct window_state *state)
{
    while (state->indexes != NULL) {
        struct feed_index *index = state->indexes;

        state->indexes = index->next;
        index_close(index);
    }
}

static struct feed_window *
index_find(const struct feed_index *index, uint32_t meter, uint32_t tenant, int64_t start_us)
{
    uint64_t hash = win_hash(meter, tenant, start_us);
    struct feed_window *window;

    for (uint64_t at = ptr_table_find(&index->windows, hash);
         (window = ptr_table_at(&index->windows, &at, hash)) != NULL;
         at = ptr_table_next(&index->windows, at)) {
        if (window->meter == meter && window->tenant == tenant && window->start_us == start_us)
            return window;
    }
    return NULL;
}

static vt_err
index_add(struct feed_index *index, const struct feed_entry *entry)
{
    struct feed_window *window =
        index_find(index, entry->meter, entry->tenant, entry->window_start_us);

    if (window == NULL) {
        vt_err err = ptr_table_reserve(&index->windows);

        if (err != VT_OK)
            return err;
        window = arena_alloc(&index->arena, sizeof *window);
        if (window == NULL)
            return VT_NOMEM;
        *window =
            (struct feed_window){entry->meter, entry->tenant, entry->window_start_us, NO_ENTRY};
        ptr_table_put(&index->windows,
                      win_hash(entry->meter, entry->tenant, entry->window_start_us), window);
    }
    index->before[index->covered] = window->last;
    window->last = index->covered++;
    return VT_OK;
}

static vt_err
index_extend(struct feed_index *index, struct epoch *epoch)
{
    struct epoch_mark mark;
    vt_err err = epoch_mark_take(epoch, &mark);

    if (err != VT_OK)
        return err;
    uint32_t count = mark.feed_count;

    epoch_mark_put(&mark);
    VT_ASSERT(count >= index->covered);
    if (count > index->before_max) {
        uint64_t max = (uint64_t)count + count / 2;
        uint32_t *before = realloc(index->before, max * sizeof *before);

        if (before == NULL || max > UINT32_MAX) {
            index->before = before == NULL ? index->before : before;
            return VT_NOMEM;
        }
        index->before = before;
        index->before_max = (uint32_t)max;
    }
    while (index->covered < count && err == VT_OK)
        err = index_add(index, epoch_feed_at(epoch, index->covered));
    return err;
}

/* The index of an epoch, up to date. */
static vt_err
index_of(struct window_state *state, struct epoch *epoch, struct feed_index **out_index)
{
    struct feed_index *index = state->indexes;

    while (index != NULL && !index_is_of(index, epoch))
        index = index->next;
    if (index == NULL) {
        index = calloc(1, sizeof *index);
        if (index == NULL)
            return VT_NOMEM;
        arena_init(&index->arena, INDEX_BLOCK_BYTES);
        index->epoch = epoch;
        index->first_commit = epoch->first_commit;
        index->next = state->indexes;
        state->indexes = index;
    }
    vt_err err = index_extend(index, epoch);

    if (err == VT_OK)
        *out_index = index;
    return err;
}

static vt_err
stop_at_first(void *context, const struct feed_row *row)
{
    bool *found = context;

    (void)row;
    *found = true;
    return VT_END;
}

vt_err
feed_was_final(struct window_state *state, const struct window_history *history,
               const struct win *key, bool *out_final)
{
    const struct window_calls *calls = history_calls(history);
    const struct feed_search window = {
        .meter = state->catalog->meters[key->meter].key,
        .tenant = state->catalog->tenants[key->tenant].key,
        .start_us = key->start_us,
    };
    bool found = false;

    for (uint32_t i = history->frozen_count; i > 0 && !found; i--) {
        struct feed_index *index;
        vt_err err = index_of(state, history->frozen[i - 1], &index);

        if (err != VT_OK)
            return err;
        found = index_find(index, key->meter, key->tenant, key->start_us) != NULL;
    }
    for (uint32_t i = history->sealed_count; i > 0 && !found; i--) {
        vt_err err = calls->find_feed(history->sealed[i - 1], &window, stop_at_first, &found);

        if (err != VT_OK && !(err == VT_END && found))
            return err;
    }
    *out_final = found;
    return VT_OK;
}

struct previous_of {
    struct window_state *state;
    const struct win *win;
};

/* Revisions come in any order; the greatest holds. */
static vt_err
previous_take(const struct previous_of *of, const struct vt_str *values, uint32_t count,
              const struct feed_entry *entry)
{
    uint32_t bytes;
    vt_err err = group_pack(of->state, values, count, &bytes);

    if (err != VT_OK)
        return err;
    struct dirty *dirty = dirty_find(of->state, of->win, of->state->pack, bytes);

    if (dirty != NULL && entry->revision > dirty->revision) {
        dirty->revision = entry->revision;
        dirty->total = entry->total;
    }
    return VT_OK;
}

static vt_err
previous_in_row(void *context, const struct feed_row *row)
{
    const struct previous_of *of = context;
    struct feed_entry entry = {.revision = row->revision, .total = row->total};

    if (row->group_count != of->state->catalog->meters[of->win->meter].group_count)
        return vt_err_detail(VT_DAMAGED, "a feed entry of meter %.*s has %u group values",
                             (int)row->meter.size, row->meter.data, row->group_count);
    return previous_take(of, row->group_values, row->group_count, &entry);
}

static vt_err
previous_in_epoch(const struct previous_of *of, struct epoch *epoch)
{
    uint32_t group_count = of->state->catalog->meters[of->win->meter].group_count;
    struct vt_str values[CELL_DIMS_MAX];
    struct feed_index *index;
    vt_err err = index_of(of->state, epoch, &index);

    if (err != VT_OK)
        return err;
    const struct feed_window *window =
        index_find(index, of->win->meter, of->win->tenant, of->win->start_us);
    uint32_t at = window == NULL ? NO_ENTRY : window->last;

    for (; at != NO_ENTRY && err == VT_OK; at = index->before[at]) {
        const struct feed_entry *entry = epoch_feed_at(epoch, at);

        for (uint32_t g = 0; g < group_count; g++)
            values[g] = dict_string(epoch->dict, entry->group[g]);
        err = previous_take(of, values, group_count, entry);
    }
    return err;
}

vt_err
feed_previous(struct window_state *state, const struct window_history *history,
              const struct win *win)
{
    const struct window_calls *calls = history_calls(history);
    struct previous_of of = {state, win};
    const struct feed_search window = {
        .meter = state->catalog->meters[win->meter].key,
        .tenant = state->catalog->tenants[win->tenant].key,
        .start_us = win->start_us,
    };
    vt_err err = VT_OK;

    VT_ASSERT(win->final);
    for (uint32_t i = 0; i < history->sealed_count && err == VT_OK; i++) {
        /* Before its first event a window had no revision. */
        if (calls->last_commit(history->sealed[i]) >= win->first_commit)
            err = calls->find_feed(history->sealed[i], &window, previous_in_row, &of);
    }
    for (uint32_t i = 0; i < history->frozen_count && err == VT_OK; i++)
        err = previous_in_epoch(&of, history->frozen[i]);
    if (err == VT_OK)
        err = previous_in_epoch(&of, history->open);
    return err;
}

/* window_state.c - see window_state.h: which windows are kept, and when something is due of
 * them. */
#include "window_state.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "venturi/hash.h"
#include "window_book.h"

#define HIGHS_BLOCK_BYTES (UINT64_C(64) << 10)

/* Places groups only; chosen ones cost time, never an answer. */
static const struct vt_hash_key group_key = {UINT64_C(0x77696e646f77), 2};

static int64_t
add_clamped(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t
win_end_us(const struct window_state *state, const struct win *win)
{
    return add_clamped(win->start_us, state->catalog->meters[win->meter].window_us);
}

int64_t
dirty_due_us(const struct window_state *state, const struct dirty *dirty)
{
    return add_clamped(dirty->since_us, state->catalog->meters[dirty->win->meter].grace_us);
}

int64_t
win_due_us(const struct window_state *state, const struct win *win)
{
    int64_t end_us = win_end_us(state, win);

    if (win->final)
        return win->dirty == NULL ? INT64_MAX : dirty_due_us(state, win->dirty);
    return add_clamped(end_us > win->first_us ? end_us : win->first_us,
                       state->catalog->meters[win->meter].grace_us);
}

uint64_t
win_hash(uint32_t meter, uint32_t tenant, int64_t start_us)
{
    return ptr_hash_step(ptr_hash_step(meter, tenant), (uint64_t)start_us);
}

struct win *
win_find(const struct window_state *state, uint32_t meter, uint32_t tenant, int64_t start_us)
{
    uint64_t hash = win_hash(meter, tenant, start_us);
    struct win *win;

    for (uint64_t at = ptr_table_find(&state->windows, hash);
         (win = ptr_table_at(&state->windows, &at, hash)) != NULL;
         at = ptr_table_next(&state->windows, at)) {
        if (win->meter == meter && win->tenant == tenant && win->start_us == start_us)
            return win;
    }
    return NULL;
}

vt_err
win_open(struct window_state *state, const struct win *like, struct win **out_win)
{
    vt_err err = ptr_table_reserve(&state->windows);

    if (err != VT_OK)
        return err;
    struct win *win = malloc(sizeof *win);

    if (win == NULL)
        return VT_NOMEM;
    *win = *like;
    win->hash = win_hash(win->meter, win->tenant, win->start_us);
    win->dirty = win->dirty_last = NULL;
    ptr_table_put(&state->windows, win->hash, win);
    *out_win = win;
    return VT_OK;
}

static void
win_free(struct window_state *state, struct win *win)
{
    dirty_settle(state, win, INT64_MAX);
    free(win);
}

vt_err
win_schedule(struct window_state *state, struct win *win)
{
    if (state->heap_count == state->heap_max) {
        uint64_t max = state->heap_max == 0 ? 64 : state->heap_max * 2;
        struct due *heap = realloc(state->heap, max * sizeof *heap);

        if (heap == NULL)
            return VT_NOMEM;
        state->heap = heap;
        state->heap_max = max;
    }
    struct due due = {win_due_us(state, win), win};
    uint64_t at = state->heap_count++;

    for (; at > 0 && state->heap[(at - 1) / 2].at_us > due.at_us; at = (at - 1) / 2)
        state->heap[at] = state->heap[(at - 1) / 2];
    state->heap[at] = due;
    return VT_OK;
}

static struct win *
heap_pop(struct window_state *state)
{
    VT_ASSERT(state->heap_count > 0);
    struct win *win = state->heap[0].win;
    struct due last = state->heap[--state->heap_count];
    uint64_t at = 0, child;

    while ((child = at * 2 + 1) < state->heap_count) {
        if (child + 1 < state->heap_count &&
            state->heap[child + 1].at_us < state->heap[child].at_us)
            child++;
        if (state->heap[child].at_us >= last.at_us)
            break;
        state->heap[at] = state->heap[child];
        at = child;
    }
    state->heap[at] = last;
    return win;
}

/* After a close, which takes windows out of the middle. */
static vt_err
heap_rebuild(struct window_state *state)
{
    vt_err err = VT_OK;

    state->heap_count = 0;
    for (uint64_t i = 0; state->windows.slots != NULL && i <= state->windows.mask; i++) {
        struct win *win = state->windows.slots[i].item;

        if (win != NULL && (!win->final || win->dirty != NULL) && err == VT_OK)
            err = win_schedule(state, win);
    }
    return err;
}

vt_err
high_raise(struct window_state *state, uint32_t meter, uint32_t tenant, int64_t start_us,
           bool *out_above)
{
    uint64_t hash = ptr_hash_step(meter, tenant);
    struct high *high;

    for (uint64_t at = ptr_table_find(&state->highs, hash);
         (high = ptr_table_at(&state->highs, &at, hash)) != NULL;
         at = ptr_table_next(&state->highs, at)) {
        if (high->meter != meter || high->tenant != tenant)
            continue;
        *out_above = start_us > high->start_us;
        if (*out_above)
            high->start_us = start_us;
        return VT_OK;
    }
    vt_err err = ptr_table_reserve(&state->highs);

    if (err != VT_OK)
        return err;
    high = arena_alloc(&state->arena, sizeof *high);
    if (high == NULL)
        return VT_NOMEM;
    *high = (struct high){hash, meter, tenant, start_us};
    ptr_table_put(&state->highs, hash, high);
    *out_above = true;
    return VT_OK;
}

vt_err
group_pack(struct window_state *state, const struct vt_str *values, uint32_t count,
           uint32_t *out_bytes)
{
    uint32_t bytes = 0;

    VT_ASSERT(count <= CELL_DIMS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        le32 size = le32_put(values[i].size);

        if (values[i].size > GROUP_BYTES_MAX - sizeof size ||
            bytes > GROUP_BYTES_MAX - sizeof size - values[i].size)
            return vt_err_detail(VT_TOO_LARGE, "a group of %u values is too long", count);
        memcpy(state->pack + bytes, &size, sizeof size);
        bytes += (uint32_t)sizeof size;
        if (values[i].size > 0)
            memcpy(state->pack + bytes, values[i].data, values[i].size);
        bytes += values[i].size;
    }
    *out_bytes = bytes;
    return VT_OK;
}

static uint64_t
group_hash(const struct win *win, const uint8_t *group, uint32_t bytes)
{
    return ptr_hash_step(win->hash, vt_siphash(&group_key, group, bytes).lo);
}

struct dirty *
dirty_find(const struct window_state *state, const struct win *win, const uint8_t *group,
           uint32_t bytes)
{
    uint64_t hash = group_hash(win, group, bytes);
    struct dirty *dirty;

    for (uint64_t at = ptr_table_find(&state->dirties, hash);
         (dirty = ptr_table_at(&state->dirties, &at, hash)) != NULL;
         at = ptr_table_next(&state->dirties, at)) {
        if (dirty->win == win && dirty->bytes == bytes &&
            (bytes == 0 || memcmp(dirty->group, group, bytes) == 0))
            return dirty;
    }
    return NULL;
}

vt_err
dirty_open(struct window_state *state, struct win *win, struct vt_bytes group, int64_t since_us)
{
    VT_ASSERT(win->final);
    VT_ASSERT(group.size <= GROUP_BYTES_MAX);
    vt_err err = ptr_table_reserve(&state->dirties);

    if (err != VT_OK)
        return err;
    struct dirty *dirty = malloc(sizeof *dirty + group.size);

    if (dirty == NULL)
        return VT_NOMEM;
    *dirty = (struct dirty){.win = win, .since_us = since_us, .bytes = (uint32_t)group.size};
    dirty->hash = group_hash(win, group.data, dirty->bytes);
    if (group.size > 0)
        memcpy(dirty->group, group.data, group.size);
    if (win->dirty_last == NULL)
        win->dirty = dirty;
    else
        win->dirty_last->next = dirty;
    win->dirty_last = dirty;
    ptr_table_put(&state->dirties, dirty->hash, dirty);
    return VT_OK;
}

void
dirty_settle(struct window_state *state, struct win *win, int64_t due_us)
{
    while (win->dirty != NULL && dirty_due_us(state, win->dirty) <= due_us) {
        struct dirty *dirty = win->dirty;

        win->dirty = dirty->next;
        ptr_table_remove(&state->dirties, dirty->hash, dirty);
        free(dirty);
    }
    if (win->dirty == NULL)
        win->dirty_last = NULL;
}

vt_err
window_state_open(const struct catalog *catalog, struct vt_bytes saved,
                  struct window_state **out_state)
{
    VT_ASSERT(catalog != NULL);
    struct window_state *state = calloc(1, sizeof *state);

    if (state == NULL)
        return VT_NOMEM;
    state->catalog = catalog;
    arena_init(&state->arena, HIGHS_BLOCK_BYTES);
    vt_err err = saved.size == 0 ? VT_OK : window_load(state, saved);

    if (err != VT_OK) {
        window_state_close(state);
        return err;
    }
    *out_state = state;
    return VT_OK;
}

void
window_state_close(struct window_state *state)
{
    if (state == NULL)
        return;
    for (uint64_t i = 0; state->windows.slots != NULL && i <= state->windows.mask; i++) {
        if (state->windows.slots[i].item != NULL)
            win_free(state, state->windows.slots[i].item);
    }
    feed_forget(state);
    ptr_table_deinit(&state->windows);
    ptr_table_deinit(&state->dirties);
    ptr_table_deinit(&state->highs);
    arena_deinit(&state->arena);
    free(state->heap);
    free(state);
}

vt_err
window_state_catalog(struct window_state *state, const struct catalog *next)
{
    VT_ASSERT(next != NULL);
    VT_ASSERT(next->meter_count >= state->catalog->meter_count);
    VT_ASSERT(next->tenant_count >= state->catalog->tenant_count);
    state->catalog = next; /* what the old one has stands in it at the same place */
    return VT_OK;
}

/* A new epoch: final windows without dirty groups are forgotten, from now on history is asked for
 * them. */
static vt_err
follow(struct window_state *state, const struct window_history *history)
{
    struct ptr_table keep = {.slots = NULL};

    if (state->epoch == history->open && state->epoch_commit == history->open->first_commit)
        return VT_OK;
    for (uint64_t i = 0; state->windows.slots != NULL && i <= state->windows.mask; i++) {
        struct win *win = state->windows.slots[i].item;

        if (win == NULL || (win->final && win->dirty == NULL))
            continue;
        vt_err err = ptr_table_reserve(&keep);

        if (err != VT_OK) {
            ptr_table_deinit(&keep);
            return err;
        }
        ptr_table_put(&keep, win->hash, win);
    }
    for (uint64_t i = 0; state->windows.slots != NULL && i <= state->windows.mask; i++) {
        struct win *win = state->windows.slots[i].item;

        if (win != NULL && win->final && win->dirty == NULL)
            win_free(state, win);
    }
    ptr_table_deinit(&state->windows);
    state->windows = keep;
    feed_prune(state, history);
    state->epoch = history->open;
    state->epoch_commit = history->open->first_commit;
    return VT_OK;
}

/* A window that is not kept: a new one, or one that was final before. */
static vt_err
admit(struct window_state *state, const struct window_history *history, const struct cell_key *key,
      int64_t arrival_us, struct win **out_win)
{
    struct win like = {.meter = key->meter,
                       .tenant = key->tenant,
                       .start_us = key->window_start_us,
                       .first_us = arrival_us,
                       .first_commit = history->open->first_commit};
    bool above;
    vt_err err = high_raise(state, key->meter, key->tenant, key->window_start_us, &above);

    if (err == VT_OK && !above)
        err = feed_was_final(state, history, &like, &like.final);
    if (err != VT_OK)
        return err;
    if (like.final)
        like.first_commit = 0;
    err = win_open(state, &like, out_win);
    if (err != VT_OK || like.final)
        return err;
    return win_schedule(state, *out_win);
}

static vt_err
mark_dirty(struct window_state *state, const struct epoch *open, struct win *win,
           const struct cell_key *key, int64_t arrival_us)
{
    const struct catalog_meter *meter = &open->catalog->meters[win->meter];
    struct vt_str values[CELL_DIMS_MAX];
    bool idle = win->dirty == NULL;
    uint32_t bytes = 0;

    for (uint32_t g = 0; g < meter->group_count; g++) {
        uint32_t d = 0;

        while (d < meter->dim_count && meter->dim_slots[d] != meter->group_slots[g])
            d++;
        VT_ASSERT(d < key->dim_count);
        values[g] = dict_string(open->dict, key->dims[d]);
    }
    vt_err err = group_pack(state, values, meter->group_count, &bytes);

    if (err != VT_OK || dirty_find(state, win, state->pack, bytes) != NULL)
        return err;
    err = dirty_open(state, win, (struct vt_bytes){state->pack, bytes}, arrival_us);
    if (err != VT_OK || !idle)
        return err;
    return win_schedule(state, win);
}

vt_err
window_state_touch(struct window_state *state, const struct window_history *history,
                   const struct cell_key *key, int64_t arrival_us, bool *out_open)
{
    vt_err err = follow(state, history);

    VT_ASSERT(key->meter < state->catalog->meter_count);
    if (err != VT_OK)
        return err;
    struct win *win = win_find(state, key->meter, key->tenant, key->window_start_us);

    if (win == NULL)
        err = admit(state, history, key, arrival_us, &win);
    if (err == VT_OK && win->final)
        err = mark_dirty(state, history->open, win, key, arrival_us);
    if (err == VT_OK)
        *out_open = !win->final;
    return err;
}

/* Room for `count` pointers, doubled as it grows. */
static vt_err
wins_room(struct win ***wins, uint64_t count)
{
    if (count >= 64 && (count & (count - 1)) != 0)
        return VT_OK;
    if (count > 0 && count < 64)
        return VT_OK;
    uint64_t max = count < 64 ? 64 : count * 2;
    struct win **larger = realloc(*wins, max * sizeof(struct win *));

    if (larger == NULL)
        return VT_NOMEM;
    *wins = larger;
    return VT_OK;
}

vt_err
window_state_tick(struct window_state *state, const struct window_history *history,
                  const struct window_tick *tick)
{
    struct win **wins = NULL;
    struct emit_order order = {.due_us = tick->arrival_us};
    vt_err err = follow(state, history);

    while (err == VT_OK && window_state_due_us(state) <= tick->arrival_us) {
        err = wins_room(&wins, order.count);
        if (err == VT_OK)
            wins[order.count++] = heap_pop(state);
    }
    order.wins = wins;
    if (err == VT_OK && order.count > 0)
        err = window_emit(state, history, tick, &order);
    for (uint64_t i = 0; i < order.count && err == VT_OK; i++) {
        dirty_settle(state, wins[i], tick->arrival_us);
        wins[i]->final = true;
        if (wins[i]->dirty != NULL)
            err = win_schedule(state, wins[i]);
    }
    free(wins);
    return err;
}

static bool
in_scope(const struct window_state *state, const struct win *win, uint32_t tenant,
         int64_t before_us)
{
    return (tenant == CATALOG_NONE || win->tenant == tenant) &&
           win_end_us(state, win) <= before_us && (!win->final || win->dirty != NULL);
}

vt_err
window_state_close_before(struct window_state *state, const struct window_history *history,
                          const struct window_tick *tick, uint32_t tenant, int64_t before_us)
{
    struct win **wins = NULL;
    struct emit_order order = {.due_us = INT64_MAX, .closed = true};
    vt_err err = follow(state, history);

    for (uint64_t i = 0; state->windows.slots != NULL && i <= state->windows.mask; i++) {
        struct win *win = state->windows.slots[i].item;

        if (win == NULL || err != VT_OK || !in_scope(state, win, tenant, before_us))
            continue;
        err = wins_room(&wins, order.count);
        if (err == VT_OK)
            wins[order.count++] = win;
    }
    order.wins = wins;
    if (err == VT_OK && order.count > 0)
        err = window_emit(state, history, tick, &order);
    for (uint64_t i = 0; i < order.count && err == VT_OK; i++) {
        dirty_settle(state, wins[i], INT64_MAX);
        wins[i]->final = true;
    }
    if (err == VT_OK && order.count > 0)
        err = heap_rebuild(state);
    free(wins);
    return err;
}

uint64_t
window_state_count_before(const struct window_state *state, uint32_t tenant, int64_t before_us)
{
    uint64_t count = 0;

    for (uint64_t i = 0; state->windows.slots != NULL && i <= state->windows.mask; i++) {
        const struct win *win = state->windows.slots[i].item;

        count += win != NULL && in_scope(state, win, tenant, before_us);
    }
    return count;
}

int64_t
window_state_due_us(const struct window_state *state)
{
    return state->heap_count == 0 ? INT64_MAX : state->heap[0].at_us;
}

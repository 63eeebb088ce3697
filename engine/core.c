/* core.c - see core.h: life of the core, the queue of works, polling. */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "venturi/assert.h"
#include "venturi/time.h"

vt_err
core_fail(struct core *core, vt_err err, const char *detail)
{
    VT_ASSERT(err != VT_OK);
    if (core->failed == VT_OK) {
        core->failed = err;
        (void)snprintf(core->failed_detail, sizeof core->failed_detail, "%s", detail);
    }
    return core->failed;
}

vt_err
core_failed(const struct core *core)
{
    VT_ASSERT(core->magic == CORE_MAGIC);
    if (core->failed != VT_OK && core->failed_detail[0] != '\0')
        return vt_err_detail(core->failed, "%s", core->failed_detail);
    return core->failed;
}

vt_err
core_open(const struct core_options *options, struct core **out_core)
{
    VT_ASSERT(options->store != NULL);
    VT_ASSERT(options->worker_count > 0 && options->worker_count <= STORE_PARTITIONS_MAX);
    struct core *core = calloc(1, sizeof *core);

    if (core == NULL)
        return VT_NOMEM;
    core->magic = CORE_MAGIC;
    core->options = *options;
    if (core->options.dedup_ids_max == 0)
        core->options.dedup_ids_max = CORE_DEDUP_IDS_DEFAULT;
    if (core->options.cut_bytes == 0)
        core->options.cut_bytes = CORE_CUT_BYTES_DEFAULT;
    if (core->options.merge_width == 0)
        core->options.merge_width = CORE_MERGE_WIDTH_DEFAULT;
    VT_ASSERT(core->options.merge_width <= SEAL_MERGE_MAX);
    core->merge_look = true;
    core->inline_state = (struct core_inline){.core = core, .worker_count = options->worker_count};
    if (options->callbacks != NULL)
        core->callbacks = *options->callbacks;
    else
        core_inline_callbacks(&core->inline_state, &core->callbacks);
    store_get_info(options->store, &core->store);
    core->partition_count = core->store.partition_count;
    core->position_next = 1;
    vt_err err = VT_NOMEM;

    core->parts = calloc(core->partition_count, sizeof(struct part *));
    const struct fence_options fence = {
        .partition_count = core->partition_count,
        .wait = core->callbacks.damage_wait,
        .context = core->callbacks.context,
    };

    if (core->parts != NULL)
        err = batch_cache_open(&core->batch_cache);
    if (err == VT_OK && !options->read_only)
        err = fence_open(&fence, &core->fence);
    if (err == VT_OK)
        err = core_recover(core);
    if (err != VT_OK) {
        core_close(core);
        return err;
    }
    if (core->fence != NULL)
        fence_start(core->fence);
    *out_core = core;
    return VT_OK;
}

struct fence *
core_fence(const struct core *core)
{
    return core->fence;
}

void
core_close(struct core *core)
{
    if (core == NULL)
        return;
    VT_ASSERT(core->magic == CORE_MAGIC);
    while (core->first != NULL) {
        struct work *work = core->first;

        core->first = work->next;
        core_work_free(core, work);
    }
    if (core->open != NULL)
        core_work_free(core, core->open);
    while (core->cut_first != NULL) {
        struct cut *cut = core->cut_first;

        core->cut_first = cut->next;
        core_cut_free(core, cut);
    }
    core_merge_free(core->merge);
    for (uint32_t p = 0; core->parts != NULL && p < core->partition_count; p++)
        part_free(core->parts[p]);
    free(core->parts);
    dedup_close(core->dedup);
    batch_cache_close(core->batch_cache);
    for (uint32_t i = 0; i < core->catalog_count; i++) {
        catalog_free(core->catalogs[i].catalog);
        free(vt_owned(core->catalogs[i].packed.data));
    }
    free(core->catalogs);
    core_producers_free(core);
    fence_close(core->fence); /* no segment is open any more */
    core->magic = 0;
    free(core);
}

const struct catalog *
core_catalog(const struct core *core)
{
    VT_ASSERT(core->magic == CORE_MAGIC);
    return core->catalog_count == 0 ? NULL : core->catalogs[core->catalog_count - 1].catalog;
}

vt_err
core_catalog_add(struct core *core, uint64_t commit, struct vt_bytes packed,
                 struct catalog *catalog)
{
    struct core_catalog *grown =
        realloc(core->catalogs, (core->catalog_count + 1u) * sizeof *grown);

    if (grown == NULL)
        return VT_NOMEM;
    core->catalogs = grown;
    grown[core->catalog_count++] = (struct core_catalog){commit, catalog, packed};
    return VT_OK;
}

vt_err
core_work_open(struct core *core, enum work_kind kind, struct work **out_work)
{
    struct work *work = calloc(1, sizeof *work);

    if (work == NULL)
        return VT_NOMEM;
    work->kind = kind;
    arena_init(&work->arena, CORE_WORK_ARENA_BYTES);
    work->catalog = core_catalog(core);
    work->next_catalog = work->catalog;
    *out_work = work;
    return VT_OK;
}

void
core_work_free(struct core *core, struct work *work)
{
    if (work->buffer != NULL && core->log != NULL)
        log_buffer_put(core->log, work->buffer);
    if (work->snapshots != NULL) {
        for (uint32_t p = 0; p < core->partition_count; p++)
            part_snapshot_put(&work->snapshots[p]);
        free(work->snapshots);
    }
    if (work->cut != NULL)
        core_cut_free(core, work->cut);
    free(work->items);
    arena_deinit(&work->arena);
    free(work);
}

void
core_dispatch(struct core *core, struct work *work)
{
    VT_ASSERT(work->next == NULL);
    if (core->last == NULL)
        core->first = work;
    else
        core->last->next = work;
    core->last = work;
    atomic_store_explicit(&work->remaining, core->options.worker_count, memory_order_relaxed);
    core->callbacks.dispatch(core->callbacks.context, work);
}

static void
item_ack(struct core *core, const struct work *work, struct core_item *item)
{
    struct core_producer *producer = core_producer_at(core, item->producer);

    if (item->kind == LOG_FRAME && producer != NULL && !item->resend) {
        VT_ASSERT(producer->in_flight > 0);
        producer->in_flight--;
    }
    if (item->kind == LOG_FRAME && producer != NULL && item->event_count > 0)
        core_session_durable(producer, item->epoch, item->sequence,
                             item->sequence + item->event_count);
    VT_ASSERT(core->ids_in_flight >= item->ids);
    core->ids_in_flight -= item->ids;
    if (item->waiter == NULL || core->callbacks.acked == NULL)
        return;
    struct core_ack ack = {
        .err = VT_OK,
        .sequence = item->sequence,
        .position = work->meta.first_position + work->meta.event_count - 1,
        .event_count = item->event_count,
        .settled = atomic_load_explicit(&item->settled, memory_order_relaxed),
        .batch = item->batch,
    };

    core->callbacks.acked(core->callbacks.context, item->waiter, &ack);
}

static void
view_deliver(struct core *core, struct work *work)
{
    struct view *view = calloc(1, sizeof *view);
    vt_err err = view == NULL ? VT_NOMEM : VT_OK;

    if (view != NULL) {
        *view = (struct view){
            .fence = core->fence,
            .fork_count = core->store.fork_count,
            .position = work->meta.first_position + work->meta.event_count - 1,
            .commit = work->meta.number,
            .arrival_us = work->meta.arrival_us,
            .history = core->store.history,
            .key = core->store.key,
            .catalog = work->catalog,
            .part_count = core->partition_count,
            .parts = work->snapshots,
        };
        memcpy(view->forks, core->store.forks, sizeof view->forks);
        work->snapshots = NULL; /* the view has them now */
    }
    core->callbacks.viewed(core->callbacks.context, work->waiter, view, err);
}

/* Delivers a finished work; the queue no longer holds it. */
static void
work_finish(struct core *core, struct work *work)
{
    switch (work->kind) {
    case WORK_COMMIT:
        for (uint32_t i = 0; i < work->item_count; i++)
            item_ack(core, work, &work->items[i]);
        core->stats.position = work->meta.first_position + work->meta.event_count - 1;
        core->stats.commits_durable = work->meta.number;
        if (work->cut != NULL) {
            core_cut_ready(core, work->cut);
            work->cut = NULL;
        }
        break;
    case WORK_SNAPSHOT:
        view_deliver(core, work);
        break;
    case WORK_SEALED:
        break;
    case WORK_MERGED:
        core_merge_swapped(core);
        break;
    }
    core_work_free(core, work);
}

static bool
work_done(const struct core *core, const struct work *work)
{
    /* Acquires each worker's release: verdicts, snapshots and frozen epochs are there. */
    if (atomic_load_explicit(&work->remaining, memory_order_acquire) != 0)
        return false;
    if (atomic_load_explicit(&work->failed, memory_order_relaxed) != VT_OK)
        return true;
    return core->log == NULL || work->meta.number <= log_durable(core->log);
}

vt_err
core_poll(struct core *core, int64_t wait_ns)
{
    VT_ASSERT(core->magic == CORE_MAGIC);
    if (core->options.io != NULL && core->log != NULL) {
        vt_err err = io_poll(core->options.io, wait_ns);

        if (err != VT_OK)
            return core_fail(core, err, vt_err_last());
        if (log_failed(core->log) != VT_OK)
            core_fail(core, log_failed(core->log), "a write to the lanes failed");
    }
    while (core->failed == VT_OK && core->first != NULL && work_done(core, core->first)) {
        struct work *work = core->first;
        uint32_t failed = atomic_load_explicit(&work->failed, memory_order_relaxed);

        if (failed != VT_OK)
            return core_fail(core, (vt_err)failed, work->failed_detail);
        core->first = work->next;
        if (core->first == NULL)
            core->last = NULL;
        work->next = NULL;
        work_finish(core, work);
    }
    if (core->log != NULL)
        core_merge_next(core);
    return core->failed;
}

bool
core_idle(const struct core *core)
{
    bool sealed = core->cuts_waiting == 0 || (core->space.stalled && !core->sealing);

    return core->first == NULL && sealed && !core_open_any(core);
}

int64_t
core_due_us(const struct core *core)
{
    int64_t due = INT64_MAX;

    /* part_due_us is an atomic that the owner stores after each commit. */
    for (uint32_t p = 0; p < core->partition_count; p++) {
        if (core->parts[p] == NULL)
            continue;
        int64_t mine = part_due_us(core->parts[p]);

        due = mine < due ? mine : due;
    }
    /* A second has one tick: nothing more can come due within that of the last commit. */
    int64_t next_tick = vt_floor_us(core->arrival_last_us, VT_US_PER_SECOND) + VT_US_PER_SECOND;

    return due == INT64_MAX || due > next_tick ? due : next_tick;
}

uint64_t
core_ids_known(const struct core *core)
{
    uint64_t ids = 0;

    for (uint32_t p = 0; p < core->partition_count; p++)
        if (core->parts[p] != NULL)
            ids += part_dedup_used(core->parts[p]);
    return ids;
}

void
core_get_stats(const struct core *core, struct core_stats *out_stats)
{
    *out_stats = core->stats;
    out_stats->commits = core->commit_last;
    out_stats->cuts_waiting = core->cuts_waiting;
    out_stats->disk_free_bytes = core->space.free_bytes;
    out_stats->disk_kept_bytes = core_space_needed(core);
    out_stats->disk_full = core->space.full;
    out_stats->seal_waits = core->space.stalled;
    out_stats->fenced = core->fence == NULL ? 0 : fence_count(core->fence);
    out_stats->dedup_ids_max = core->options.dedup_ids_max;
    out_stats->dedup_ids = core_ids_known(core);
}

/* core_work.c - what a worker does with a work: its partitions' share. Runs on the worker's thread.
 * See core.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "venturi/assert.h"

static vt_err
resend_apply(struct core *core, uint32_t partition, const struct core_item *item)
{
    struct vt_reader reader = vt_reader_of(item->payload);

    while (vt_reader_left(&reader) > 0) {
        uint32_t count = vt_read_u32(&reader);
        uint16_t size = vt_read_u16(&reader);
        struct vt_bytes name = vt_read_bytes(&reader, size);

        if (reader.bad)
            return vt_err_detail(VT_BAD_FORMAT, "the record of a resend is cut short");
        struct vt_str tenant = {(const char *)name.data, size};

        if (batch_partition(&core->store.key, core->partition_count, tenant) != partition)
            continue;
        vt_err err = part_count_resend(core->parts[partition], tenant, count);

        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

static vt_err
close_apply(struct part *part, const struct core_item *item)
{
    struct vt_reader reader = vt_reader_of(item->payload);
    struct close_order order = {.before_us = vt_read_i64(&reader)};

    if (reader.bad)
        return vt_err_detail(VT_BAD_FORMAT, "a close record is cut short");
    order.tenant = (struct vt_str){(const char *)reader.at, (uint32_t)vt_reader_left(&reader)};
    return part_close_windows(part, &order);
}

static vt_err
settle_apply(struct part *part, struct core_item *item)
{
    struct settle_order order = {
        .positions = (const le64 *)item->payload.data,
        .count = (uint32_t)(item->payload.size / sizeof(le64)),
        .first_position = item->first_position,
    };
    uint32_t settled = 0;
    vt_err err = item->kind == LOG_RETRY ? part_retry(part, &order, &settled)
                                         : part_discard(part, &order, &settled);

    atomic_fetch_add_explicit(&item->settled, settled, memory_order_relaxed);
    return err;
}

static vt_err
item_apply(struct core *core, uint32_t partition, struct core_item *item)
{
    struct part *part = core->parts[partition];

    switch (item->kind) {
    case LOG_FRAME:
        if (item->resend)
            return resend_apply(core, partition, item);
        if (item->select_start[partition] == item->select_start[partition + 1])
            return VT_OK;
        return part_apply(part, item->batch, item->select + item->select_start[partition],
                          item->select_start[partition + 1] - item->select_start[partition]);
    case LOG_CLOSE:
        return close_apply(part, item);
    case LOG_RETRY:
    case LOG_DISCARD:
        return settle_apply(part, item);
    default:
        return VT_OK; /* catalogs, producers, starts and ticks are not the partitions' business */
    }
}

static vt_err
commit_apply(struct core *core, uint32_t partition, struct work *work)
{
    struct part *part = core->parts[partition];
    vt_err err = part_begin(part, &work->meta);

    for (uint32_t i = 0; err == VT_OK && i < work->item_count; i++)
        err = item_apply(core, partition, &work->items[i]);
    if (err == VT_OK)
        err = part_end(part);
    if (err == VT_OK && work->cut != NULL)
        err = part_cut(part, work->next_catalog, &work->cut->epochs[partition],
                       &work->cut->part_states[partition]);
    return err;
}

vt_err
core_work_part(struct core *core, uint32_t partition, struct work *work)
{
    if (core->parts[partition] == NULL)
        return VT_OK; /* before the first catalog */
    switch (work->kind) {
    case WORK_COMMIT:
        return commit_apply(core, partition, work);
    case WORK_SNAPSHOT:
        return part_snapshot_take(core->parts[partition], work->want_tenants,
                                  &work->snapshots[partition]);
    case WORK_MERGED:
        if (work->merge->segment.id.partition != partition)
            return VT_OK;
        return part_merged(core->parts[partition], &work->merge->inputs[0].id,
                           work->merge->input_count, work->merge->sealed);
    case WORK_SEALED:
        return part_sealed(core->parts[partition], work->cut->commit, work->cut->sealed[partition]);
    }
    VT_ASSERT(false);
    return VT_INVALID;
}

static void
work_fail(struct work *work, vt_err err, uint32_t partition)
{
    uint32_t none = VT_OK;

    if (atomic_compare_exchange_strong_explicit(&work->failed, &none, err, memory_order_relaxed,
                                                memory_order_relaxed))
        (void)snprintf(work->failed_detail, sizeof work->failed_detail, "partition %u: %s",
                       partition, vt_err_last());
}

void
core_work(struct core *core, uint32_t worker, struct work *work)
{
    VT_ASSERT(core->magic == CORE_MAGIC);
    VT_ASSERT(worker < core->options.worker_count);
    vt_err_clear();
    fence_thread_waits(true);
    /* A partition that failed is behind its log: what is dispatched until the front thread sees it
     * must not be applied, nor be acked. */
    if (core->worker_failed[worker])
        work_fail(work, VT_BROKEN, worker);
    for (uint32_t p = worker; !core->worker_failed[worker] && p < core->partition_count;
         p += core->options.worker_count) {
        vt_err err = core_work_part(core, p, work);

        if (err != VT_OK) {
            core->worker_failed[worker] = true;
            work_fail(work, err, p);
        }
    }
    fence_thread_waits(false);
    /* Released to the front thread's acquire in work_done: all that this worker wrote is to be
     * seen. */
    uint32_t before = atomic_fetch_sub_explicit(&work->remaining, 1, memory_order_acq_rel);

    VT_ASSERT(before > 0);
}

static void
inline_dispatch(void *context, struct work *work)
{
    struct core_inline *state = context;

    for (uint32_t worker = 0; worker < state->worker_count; worker++)
        core_work(state->core, worker, work);
}

static void
inline_seal(void *context, struct cut *cut)
{
    struct core_inline *state = context;

    core_seal(state->core, cut);
    vt_err err = core_sealed(state->core, cut);

    (void)err; /* it is in core_failed, which every caller asks */
}

static void
inline_merge(void *context, struct core_merge *merge)
{
    struct core_inline *state = context;

    core_merge(state->core, merge, NULL);
    vt_err err = core_merged(state->core, merge);

    (void)err; /* it is in core_failed, which every caller asks */
}

static void
inline_acked(void *context, void *waiter, const struct core_ack *ack)
{
    struct core_inline *state = context;

    if (state->acked != NULL)
        state->acked(state->context, waiter, ack);
}

static void
inline_viewed(void *context, void *waiter, struct view *view, vt_err err)
{
    struct view *target = waiter;

    (void)context;
    if (view != NULL) {
        *target = *view;
        free(view);
    }
    (void)err; /* the target stays empty: core_view_now sees it */
}

void
core_inline_callbacks(struct core_inline *inline_state, struct core_callbacks *out_callbacks)
{
    *out_callbacks = (struct core_callbacks){
        .dispatch = inline_dispatch,
        .seal = inline_seal,
        .merge = inline_merge,
        .acked = inline_acked,
        .viewed = inline_viewed,
        .context = inline_state,
    };
}

/* The catalog in force at the last submitted commit: one in the open commit is not yet part of the
 * order. */
static const struct catalog *
catalog_submitted(const struct core *core)
{
    uint32_t at = core->catalog_count;

    while (at > 1 && core->catalogs[at - 1].commit > core->commit_last)
        at--;
    return core->catalogs[at - 1].catalog;
}

vt_err
core_view_ask(struct core *core, bool want_tenants, void *waiter)
{
    struct work *work = NULL;

    VT_ASSERT(core->magic == CORE_MAGIC);
    if (core->failed != VT_OK)
        return core->failed;
    if (core->fence != NULL && fence_check_waiting(core->fence) != VT_OK)
        return VT_FENCED;
    if (core->parts[0] == NULL)
        return vt_err_detail(VT_NOT_FOUND, "the store has no catalog yet");
    vt_err err = core_work_open(core, WORK_SNAPSHOT, &work);

    if (err != VT_OK)
        return err;
    work->snapshots = calloc(core->partition_count, sizeof *work->snapshots);
    if (work->snapshots == NULL) {
        core_work_free(core, work);
        return VT_NOMEM;
    }
    work->meta = (struct commit_meta){
        .number = core->commit_last,
        .first_position = core->position_next,
        .event_count = 0,
        .arrival_us = core->arrival_last_us,
    };
    work->catalog = catalog_submitted(core);
    work->want_tenants = want_tenants;
    work->waiter = waiter;
    core_dispatch(core, work);
    return VT_OK;
}

vt_err
core_view_now(struct core *core, bool want_tenants, struct view *out_view)
{
    struct view view = {0};
    vt_err err = core_view_ask(core, want_tenants, &view);

    while (err == VT_OK && view.parts == NULL)
        err = core_poll(core, 1000000);
    if (err == VT_OK)
        *out_view = view;
    return err;
}

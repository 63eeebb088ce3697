/* core_cut.c - a cut: every partition's epoch frozen at one commit, sealed into segments, named by
 * the manifest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "venturi/assert.h"

/* The state of a cut has a limit, and every cut writes it anew. */
static void
sessions_trim(struct core *core)
{
    uint64_t keep = CORE_INTERVALS_SAVED / (core->producer_count + 1);

    for (uint64_t id = 1; id <= core->producer_count; id++)
        core_session_trim(core_producer_at(core, id), keep == 0 ? 1 : (uint32_t)keep);
}

vt_err
core_cut_open(struct core *core, struct work *work)
{
    uint32_t count = core->partition_count;
    struct cut *cut = calloc(1, sizeof *cut);

    if (cut == NULL)
        return VT_NOMEM;
    cut->commit = work->meta.number;
    cut->last_position = work->meta.first_position + work->meta.event_count - 1;
    cut->arrival_us = work->meta.arrival_us;
    cut->bytes = core->bytes_since_cut;
    cut->epochs = calloc(count, sizeof(struct epoch *));
    cut->part_states = calloc(count, sizeof *cut->part_states);
    cut->sealed = calloc(count, sizeof(struct sealed *));
    cut->segments = calloc(count, sizeof *cut->segments);
    work->cut = cut; /* freed with the work from here on */
    if (cut->epochs == NULL || cut->part_states == NULL || cut->sealed == NULL ||
        cut->segments == NULL)
        return VT_NOMEM;
    core->bytes_waiting += cut->bytes;
    core->bytes_since_cut = 0;
    core->cuts_waiting++;
    core->stats.cuts++;
    sessions_trim(core);
    return core_state_save(core, &cut->core_state);
}

void
core_cut_free(struct core *core, struct cut *cut)
{
    for (uint32_t p = 0; p < core->partition_count; p++) {
        if (cut->epochs != NULL)
            epoch_put(cut->epochs[p]);
        if (cut->part_states != NULL)
            free(vt_owned(cut->part_states[p].data));
        if (cut->sealed != NULL)
            sealed_put(cut->sealed[p]);
    }
    free(vt_owned(cut->core_state.data));
    free(cut->epochs);
    free(cut->part_states);
    free(cut->sealed);
    free(cut->segments);
    free(cut);
}

/* One cut at a time is with the sealer; the others wait in their order. */
static void
seal_first(struct core *core)
{
    struct cut *cut = core->cut_first;
    struct store_seal seal;

    if (core->sealing || cut == NULL || core->failed != VT_OK)
        return;
    seal = (struct store_seal){
        .cut = cut->commit,
        .last_position = cut->last_position,
        .arrival_us = cut->arrival_us,
    };
    vt_err err = store_seal_prepare(core->options.store, &seal);

    if (err != VT_OK) {
        core_fail(core, err, vt_err_last());
        return;
    }
    cut->check = seal.check;
    cut->start = seal.start;
    cut->reserve = core->space.reserve;
    core->cut_first = cut->next;
    if (core->cut_first == NULL)
        core->cut_last = NULL;
    cut->next = NULL;
    core->sealing = true;
    core->callbacks.seal(core->callbacks.context, cut);
}

void
core_seal_next(struct core *core)
{
    if (!core->space.stalled)
        seal_first(core);
}

void
core_seal_again(struct core *core)
{
    VT_ASSERT(core->space.stalled);
    seal_first(core);
}

void
core_cut_ready(struct core *core, struct cut *cut)
{
    VT_ASSERT(cut->next == NULL);
    if (core->cut_last == NULL)
        core->cut_first = cut;
    else
        core->cut_last->next = cut;
    core->cut_last = cut;
    core_seal_next(core);
}

static vt_err
seal_partition(struct core *core, struct cut *cut, uint32_t partition)
{
    struct epoch *epoch = cut->epochs[partition];
    struct store_segment *segment = &cut->segments[cut->segment_count];

    VT_ASSERT(epoch->frozen);
    if (epoch_is_empty(epoch))
        return VT_OK;
    vt_err err = seal_write(core->options.seal_io, core->options.store, epoch, segment);

    if (err == VT_OK)
        err = sealed_open(core->options.seal_io, segment, epoch->catalog, &cut->sealed[partition]);
    if (err == VT_OK)
        cut->segment_count++;
    return err;
}

static vt_err
write_edit(struct core *core, struct cut *cut)
{
    struct vt_bytes state = {NULL, 0};
    vt_err err = core_state_join(cut, core->partition_count, &state);

    if (err == VT_OK) {
        struct store_seal seal = {
            .cut = cut->commit,
            .last_position = cut->last_position,
            .arrival_us = cut->arrival_us,
            .check = cut->check,
            .start = cut->start,
            .segments = cut->segments,
            .segment_count = cut->segment_count,
            .state = state,
        };

        cut->state_bytes = state.size;
        cut->edit_tried = true;
        err = store_seal_write(core->options.store, &seal);
    }
    free(vt_owned(state.data));
    return err;
}

/* What is not there yet of the segments, then the edit. */
static vt_err
write_cut(struct core *core, struct cut *cut)
{
    vt_err err = VT_OK;

    while (err == VT_OK && cut->partitions < core->partition_count) {
        err = seal_partition(core, cut, cut->partitions);
        cut->partitions += err == VT_OK;
    }
    return err == VT_OK ? write_edit(core, cut) : err;
}

/* Gives back what an attempt took. Segments that no manifest names are removed; what cannot be is
 * replaced by the next attempt. */
static void
undo_cut(struct core *core, struct cut *cut)
{
    if (cut->edit_tried)
        return;
    for (uint32_t p = 0; p < core->partition_count; p++) {
        sealed_put(cut->sealed[p]);
        cut->sealed[p] = NULL;
    }
    for (uint32_t i = 0; i < cut->segment_count; i++) {
        vt_err ignored = io_unlink(core->options.seal_io, cut->segments[i].path);

        (void)ignored;
    }
    cut->segment_count = 0;
    cut->partitions = 0;
}

void
core_seal(struct core *core, struct cut *cut)
{
    struct store *store = core->options.store;
    struct io *io = core->options.seal_io;

    vt_err_clear();
    cut->err = write_cut(core, cut);
    if (cut->err == VT_FULL && cut->reserve) {
        cut->reserve = false;
        vt_err err = store_reserve_give(store, io, STORE_RESERVE_SEAL);

        vt_err_clear();
        cut->err = err == VT_OK ? write_cut(core, cut) : err;
    }
    if (cut->err != VT_OK)
        (void)snprintf(cut->detail, sizeof cut->detail, "%s", vt_err_last());
    if (cut->err == VT_FULL)
        undo_cut(core, cut);
    /* At once, before anybody else takes what is left; and the state may have grown. */
    if (cut->err == VT_OK || cut->err == VT_FULL)
        cut->reserve = core_reserve_take(core, io, cut->state_bytes);
}

static vt_err
release_cut(struct core *core, struct cut *cut)
{
    struct work *work = NULL;
    vt_err err = core_work_open(core, WORK_SEALED, &work);

    if (err != VT_OK)
        return err;
    store_seal_release(core->options.store, cut->commit);
    VT_ASSERT(core->bytes_waiting >= cut->bytes);
    core->bytes_waiting -= cut->bytes;
    core->cuts_waiting--;
    core->merge_look = true;
    work->cut = cut;
    work->meta.number = cut->commit;
    core_dispatch(core, work);
    return VT_OK;
}

vt_err
core_sealed(struct core *core, struct cut *cut)
{
    VT_ASSERT(core->sealing);
    core->sealing = false;
    vt_err err = cut->err;

    if (err == VT_FULL) {
        cut->next = core->cut_first;
        core->cut_first = cut;
        if (core->cut_last == NULL)
            core->cut_last = cut;
        core_space_sealed(core, cut, err);
        return VT_OK;
    }
    if (err != VT_OK) /* the detail is of the sealer's thread */
        err = vt_err_detail(err, "sealing commit %llu: %s", (unsigned long long)cut->commit,
                            cut->detail[0] == '\0' ? vt_err_text(err) : cut->detail);
    if (err == VT_OK)
        err = release_cut(core, cut);
    if (err != VT_OK) {
        core_cut_free(core, cut);
        return core_fail(core, err, vt_err_last());
    }
    core_space_sealed(core, cut, VT_OK);
    core_seal_next(core);
    return VT_OK;
}

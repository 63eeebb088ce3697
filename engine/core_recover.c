/*
 * core_recover.c - the state at a start: that of the last seal, then the tail, commit by commit,
 * through the very code of the live way. Nothing here decides anything anew: verdicts, closes, cuts
 * follow from the order.
 */
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "venturi/assert.h"

const struct catalog *
core_judging_catalog(const struct core *core, uint64_t cut)
{
    const struct catalog *found = NULL;

    for (uint32_t i = 0; i < core->catalog_count; i++)
        if (core->catalogs[i].commit < cut)
            found = core->catalogs[i].catalog;
    return found;
}

/* A start with a smaller budget than what was acked under another one. */
static vt_err
budget_exceeded(const struct core *core, uint64_t known)
{
    return vt_err_detail(
        VT_DEDUP_FULL, "the store remembers %llu ids, more than the budget of %llu: raise it",
        (unsigned long long)known, (unsigned long long)core->options.dedup_ids_max);
}

/* The open segments of a partition, oldest first. */
struct sealed_list {
    struct sealed **sealed;
    uint32_t count;
};

static vt_err
sealed_of_partition(struct core *core, uint32_t partition, struct sealed_list *list)
{
    uint32_t segments = store_segment_count(core->options.store);

    list->sealed = calloc(segments + 1u, sizeof(struct sealed *));
    if (list->sealed == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < segments; i++) {
        struct store_segment segment;

        store_segment_at(core->options.store, i, &segment);
        if (segment.id.partition != partition)
            continue;
        const struct catalog *catalog = core_judging_catalog(core, segment.id.cut);
        vt_err err =
            catalog == NULL
                ? vt_err_detail(VT_DAMAGED, "%s: no catalog judged it", segment.path)
                : sealed_open(core->options.seal_io, &segment, catalog, &list->sealed[list->count]);

        /* A daemon may have merged it since the manifest was read: then another one is named. */
        if (err == VT_NOT_FOUND && core->options.read_only)
            err = vt_err_detail(VT_AGAIN, "%s: the file is missing", segment.path);
        if (err != VT_OK)
            return err;
        list->count++;
    }
    return VT_OK;
}

/* The tag table, for the budget: a reader only, which takes in nothing new, makes it as large as
 * what is there. */
static vt_err
dedup_start(struct core *core, const struct sealed_list *lists)
{
    uint64_t known = 0;

    for (uint32_t p = 0; p < core->partition_count; p++)
        for (uint32_t i = 0; i < lists[p].count; i++)
            known += sealed_identity_count(lists[p].sealed[i]);
    if (core->options.read_only)
        core->options.dedup_ids_max += known;
    if (known > core->options.dedup_ids_max)
        return budget_exceeded(core, known);
    return dedup_open(core->options.dedup_ids_max, core->options.worker_count, &core->dedup);
}

static vt_err
part_start(struct core *core, uint32_t partition, const struct core_state_parts *states,
           const struct sealed_list *list)
{
    struct part_options options = {
        .partition = partition,
        .key = core->store.key,
        .catalog = core_catalog(core),
        .dedup = core->dedup,
        .io = core->options.seal_io,
        .fence = core->fence,
        .next_commit = core->commit_last + 1,
        .next_position = core->position_next,
        .state = states == NULL ? (struct vt_bytes){NULL, 0} : states->parts[partition],
        .sealed_count = list->count,
        .sealed = list->sealed,
    };

    return part_open(&options, &core->parts[partition]);
}

vt_err
core_parts_open(struct core *core, const struct core_state_parts *states)
{
    VT_ASSERT(core_catalog(core) != NULL);
    VT_ASSERT(core->dedup == NULL);
    struct sealed_list *lists = calloc(core->partition_count, sizeof *lists);
    vt_err err = lists == NULL ? VT_NOMEM : VT_OK;

    for (uint32_t p = 0; err == VT_OK && states != NULL && p < core->partition_count; p++)
        err = sealed_of_partition(core, p, &lists[p]);
    if (err == VT_OK)
        err = dedup_start(core, lists);
    for (uint32_t p = 0; err == VT_OK && p < core->partition_count; p++)
        err = part_start(core, p, states, &lists[p]);
    for (uint32_t p = 0; lists != NULL && p < core->partition_count; p++) {
        for (uint32_t i = 0; i < lists[p].count; i++)
            sealed_put(lists[p].sealed[i]); /* the parts have their own references */
        free(lists[p].sealed);
    }
    free(lists);
    return err;
}

static vt_err
load_sealed(struct core *core)
{
    struct core_state_parts *states = calloc(1, sizeof *states);
    struct vt_bytes bytes = store_state(core->options.store);

    if (states == NULL)
        return VT_NOMEM;
    core->commit_last = core->store.sealed_commit;
    core->position_next = core->store.sealed_position + 1;
    core->arrival_last_us = store_sealed_arrival(core->options.store);
    vt_err err = core_state_load(core, bytes, states);

    if (err == VT_OK && core->catalog_count > 0)
        err = core_parts_open(core, states);
    free(states);
    return err;
}

static vt_err
recover_catalog(struct core *core, struct work *work, const struct log_record *record)
{
    struct catalog *catalog = NULL;
    uint8_t *copy = malloc(record->bytes + 1u);
    vt_err err = copy == NULL
                     ? VT_NOMEM
                     : catalog_unpack((struct vt_bytes){record->payload, record->bytes}, &catalog);

    if (err == VT_OK) {
        memcpy(copy, record->payload, record->bytes);
        err = core_catalog_add(core, core->commit_last + 1, (struct vt_bytes){copy, record->bytes},
                               catalog);
    }
    if (err != VT_OK) {
        free(copy);
        catalog_free(catalog);
        return err;
    }
    work->next_catalog = catalog;
    return VT_OK;
}

static vt_err
recover_producer(struct core *core, const struct log_record *record)
{
    struct vt_reader reader = vt_reader_of((struct vt_bytes){record->payload, record->bytes});
    uint64_t token_id = vt_read_u64(&reader);
    uint64_t id = 0;

    if (reader.bad || vt_reader_left(&reader) > 255)
        return vt_err_detail(VT_BAD_FORMAT, "a producer record is malformed");
    return core_producer_add(
        core, token_id, (struct vt_str){(const char *)reader.at, (uint32_t)vt_reader_left(&reader)},
        &id);
}

/* What was recovered is durable. */
static vt_err
session_recover(struct core_producer *producer, const struct log_record *record, uint64_t hash)
{
    uint64_t end = record->sequence + record->event_count;
    vt_err err = core_session_note(producer, record->epoch, record->sequence, end, hash);

    if (err == VT_OK)
        core_session_durable(producer, record->epoch, record->sequence, end);
    return err;
}

static vt_err
recover_frame(struct core *core, struct work *work, const struct log_record *record,
              struct core_item *item)
{
    struct core_frame frame = {
        .frame_type = record->frame_type,
        .event_count = record->event_count,
        .payload = {record->payload, record->bytes},
        .producer = record->producer,
        .epoch = record->epoch,
        .sequence = record->sequence,
    };

    if (item->resend)
        return VT_OK;
    if (work->catalog == NULL)
        return vt_err_detail(VT_BAD_FORMAT, "a frame stands before the first catalog");
    vt_err err = core_decode(core, work, &frame, item);
    struct core_producer *producer = core_producer_at(core, record->producer);

    if (err == VT_OK && record->producer != 0 && producer == NULL)
        err = vt_err_detail(VT_BAD_FORMAT, "a frame of producer %llu, which is not known",
                            (unsigned long long)record->producer);
    if (err == VT_OK && producer != NULL && record->epoch >= producer->epoch)
        err = session_recover(producer, record, core_frame_hash(&frame));
    return err;
}

static vt_err
recover_record(struct core *core, struct work *work, const struct log_record *record)
{
    struct core_item *item = NULL;
    vt_err err = core_item_add(core, work, &item);

    if (err != VT_OK)
        return err;
    item->kind = record->kind;
    item->resend = (record->flags & LOG_RESEND) != 0;
    item->payload = (struct vt_bytes){record->payload, record->bytes};
    item->event_count = record->event_count;
    item->producer = record->producer;
    item->epoch = record->epoch;
    item->sequence = record->sequence;
    if (record->kind == LOG_FRAME)
        return recover_frame(core, work, record, item);
    if (record->kind == LOG_CATALOG)
        return recover_catalog(core, work, record);
    if (record->kind == LOG_PRODUCER)
        return recover_producer(core, record);
    return VT_OK;
}

static vt_err
recover_commit(struct core *core, const struct log_commit *commit)
{
    struct work *work = NULL;
    vt_err err = core_work_open(core, WORK_COMMIT, &work);

    if (err != VT_OK)
        return err;
    if (commit->number != core->commit_last + 1 || commit->first_position != core->position_next)
        err = vt_err_detail(VT_BAD_CHAIN, "commit %llu does not follow %llu",
                            (unsigned long long)commit->number,
                            (unsigned long long)core->commit_last);
    for (uint32_t i = 0; err == VT_OK && i < commit->record_count; i++)
        err = recover_record(core, work, &commit->records[i]);
    if (err == VT_OK)
        err = core_commit_number(core, work, commit->number, commit->arrival_us);
    for (uint32_t p = 0; err == VT_OK && p < core->partition_count; p++)
        err = core_work_part(core, p, work);
    if (err == VT_OK && core_ids_known(core) > core->options.dedup_ids_max)
        err = budget_exceeded(core, core_ids_known(core));
    if (err == VT_OK && work->cut != NULL) {
        struct cut *cut = work->cut;

        work->cut = NULL;
        if (core->cut_last == NULL)
            core->cut_first = cut;
        else
            core->cut_last->next = cut;
        core->cut_last = cut;
    }
    core_work_free(core, work);
    return err;
}

/* Cuts that the tail had: sealed now, on this thread, in their order. No worker runs yet. */
static vt_err
seal_recovered(struct core *core)
{
    struct core_callbacks callbacks = core->callbacks;

    core_inline_callbacks(&core->inline_state, &core->callbacks);
    core_seal_next(core);
    core->callbacks = callbacks;
    VT_ASSERT(core->failed != VT_OK || core->cut_first == NULL || core->space.stalled);
    return core_failed(core);
}

vt_err
core_recover(struct core *core)
{
    struct log_commit commit;
    /* So that a commit finds room in its lane as soon as the cuts before it are sealed. The tail is
     * cut by the same rule: else it might fill a lane without a cut, and no commit had room for
     * one. */
    uint64_t lane = core->store.lane_bytes - 2 * (uint64_t)core->store.commit_bytes_max;

    if (core->options.cut_bytes > lane)
        core->options.cut_bytes = lane;
    if (core->options.cut_bytes > CORE_CUT_BYTES_MAX)
        core->options.cut_bytes = CORE_CUT_BYTES_MAX;
    vt_err err = core->store.sealed_commit > 0 ? load_sealed(core) : VT_OK;

    while (err == VT_OK) {
        err = store_tail_next(core->options.store, &commit);
        if (err == VT_OK)
            err = recover_commit(core, &commit);
    }
    if (err != VT_END)
        return err;
    core->stats.position = core->position_next - 1;
    core->stats.commits_durable = core->commit_last;
    if (core->options.read_only)
        return VT_OK;
    core->log = store_log(core->options.store);
    VT_ASSERT(core->log != NULL);
    core_space_open(core);
    return seal_recovered(core);
}

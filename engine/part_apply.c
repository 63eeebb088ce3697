/*
 * part_apply.c - a batch's events of one partition, in the order of their positions. They are taken
 * in groups: the hashes of a group are made and the lines of the tables that they lead to are
 * fetched into the cache before the first is decided, so that one event's misses overlap with
 * another's. What is new is only noted; rows and cells are then made of many events at a time,
 * column by column, and before anything is looked for among the rows.
 */
#include <stdlib.h>

#include "part_internal.h"

#define APPLY_GROUP 32

uint8_t
part_judge_time(const struct part *part, const struct batch *batch, uint32_t index)
{
    const struct catalog_type *type = &batch->catalog->types[batch->type[index]];
    int64_t arrival_us = part->meta.arrival_us;
    int64_t limit_us;

    /* A limit that leaves the range of times limits nothing. */
    if (type->late_limit_us > 0 &&
        !__builtin_sub_overflow(arrival_us, type->late_limit_us, &limit_us) &&
        batch->time_us[index] < limit_us)
        return VT_REASON_LATE_BEYOND_HORIZON;
    if (type->future_limit_us > 0 &&
        !__builtin_add_overflow(arrival_us, type->future_limit_us, &limit_us) &&
        batch->time_us[index] > limit_us)
        return VT_REASON_FUTURE_EVENT;
    return VT_REASON_NONE;
}

/* --- a new event */

struct touch_context {
    struct part *part;
    vt_err err;
};

static bool
window_touched(void *context, const struct cell_key *key)
{
    struct touch_context *touch = context;
    struct window_history history = part_history(touch->part);
    bool open = false;

    if (touch->err == VT_OK)
        touch->err = window_state_touch(touch->part->windows, &history, key,
                                        touch->part->meta.arrival_us, &open);
    return open;
}

vt_err
part_windows_take(struct part *part, row_ref first, uint32_t count)
{
    uint32_t type = (uint32_t)(first >> 32);
    struct touch_context context = {.part = part, .err = VT_OK};
    struct cell_touch touch = {
        .touched = window_touched, .context = &context, .generation = part->generation};
    vt_err err = VT_OK;

    for (uint32_t done = 0, run; err == VT_OK && done < count; done += run) {
        uint32_t at;
        const struct row_chunk *chunk = epoch_row_chunk(part->epoch, first + done, &at);

        run = count - done < EPOCH_CHUNK_ROWS - at ? count - done : EPOCH_CHUNK_ROWS - at;
        struct cell_rows rows;

        epoch_cell_rows(part->epoch, type, chunk, &rows);
        rows.first = at;
        rows.count = run;
        err = cells_touch_rows(part->epoch->cells, &rows, &touch);
    }
    return err != VT_OK ? err : context.err;
}

/* The events of the first one's type leave the list for the epoch; the others move up. */
static vt_err
pending_take(struct part *part, const struct batch *batch)
{
    struct part_pending *pending = part->pending;
    VT_UNINITIALIZED uint32_t index[PART_PENDING_MAX];
    VT_UNINITIALIZED struct vt_hash128 identity[PART_PENDING_MAX];
    uint16_t type = batch->type[pending->index[0]];
    uint32_t kept = 0;
    uint32_t taken = 0;
    row_ref first = 0;

    VT_ASSERT(pending->count <= PART_PENDING_MAX);
    for (uint32_t i = 0; i < pending->count; i++) {
        if (batch->type[pending->index[i]] == type) {
            index[taken] = pending->index[i];
            identity[taken++] = pending->identity[i];
        } else {
            pending->index[kept] = pending->index[i];
            pending->identity[kept++] = pending->identity[i];
        }
    }
    pending->count = kept;
    struct epoch_rows rows = {.batch = batch, .count = taken, .index = index, .identity = identity};
    vt_err err = epoch_append_rows(part->epoch, &rows, &first);

    return err == VT_OK ? part_windows_take(part, first, taken) : err;
}

vt_err
part_flush(struct part *part, const struct batch *batch)
{
    vt_err err = VT_OK;

    while (err == VT_OK && part->pending->count > 0)
        err = pending_take(part, batch);
    return err;
}

static vt_err
row_take(struct part *part, const struct batch *batch, uint32_t index, const struct vt_hash128 *k)
{
    struct part_pending *pending = part->pending;
    vt_err err = VT_OK;

    if (pending->count == PART_PENDING_MAX)
        err = part_flush(part, batch);
    if (err != VT_OK)
        return err;
    if (batch->id[index].kind != ROW_ID_SEQUENCE)
        atomic_store_explicit(&part->ids_known, part_dedup_used(part) + 1, memory_order_relaxed);
    pending->index[pending->count] = index;
    pending->identity[pending->count++] = *k;
    return VT_OK;
}

/* --- exceptions and conflicts */

static vt_err
entry_take(struct part *part, const struct exception_entry *entry, uint32_t *out_row)
{
    vt_err err = part_row_of_entry(part, part->catalog, entry, out_row);

    if (err == VT_OK)
        err = epoch_add_exception(part->epoch, entry);
    if (err != VT_OK)
        return err;
    struct open_entry open = {
        .position = entry->position, .row = *out_row, .reason = entry->reason};

    return open_list_add(&part->open, &open);
}

static vt_err
entry_begin(struct part *part, const struct batch *batch, uint32_t index,
            struct exception_entry *out_entry)
{
    struct vt_bytes raw;
    vt_err err = batch_raw(&part->scratch, batch, index, &raw);

    if (err != VT_OK)
        return err;
    *out_entry = (struct exception_entry){
        .position = batch->first_position + index,
        .arrival_us = part->meta.arrival_us,
        .tenant = batch->strings[batch->tenant_name[index]],
        .raw = raw,
        .reason = batch->reason[index],
    };
    return VT_OK;
}

static vt_err
conflict_take(struct part *part, const struct batch *batch, uint32_t index,
              const struct row_block *first)
{
    struct exception_entry entry;
    uint32_t row;
    vt_err err = entry_begin(part, batch, index, &entry);

    VT_ASSERT(err != VT_OK || entry.reason == VT_REASON_NONE);
    if (err == VT_OK)
        err = part_raw(&part->scratch, first, &entry.first);
    if (err != VT_OK)
        return err;
    entry.first_position = first->position[0];
    return entry_take(part, &entry, &row);
}

vt_err
part_claim(struct part *part, const struct part_event *event, bool *out_candidate)
{
    uint64_t key = dedup_key(event->k);
    uint32_t maybe = 0;
    vt_err err = VT_OK;

    /* The sequencer took out what a session sent twice, before anything was routed. */
    if (event->batch->id[event->index].kind != ROW_ID_SEQUENCE)
        err = dedup_claim(part->dedup, &key, 1, &maybe);
    if (err == VT_OK)
        *out_candidate = maybe != 0;
    return err;
}

vt_err
part_take(struct part *part, const struct part_event *event, uint8_t *out_verdict)
{
    const struct batch *batch = event->batch;
    uint32_t index = event->index;
    struct row_block first;
    vt_err err = VT_NOT_FOUND;

    VT_ASSERT(batch->reason[index] == VT_REASON_NONE);
    VT_ASSERT(batch->tenant[index] < part->catalog->tenant_count);
    if (event->candidate) {
        struct row_wanted wanted = {
            .identity = event->k,
            .tenant = part->catalog->tenants[batch->tenant[index]].key,
            .source = batch->strings[batch->source[index]],
            .id = &batch->id[index],
        };

        arena_reset(&part->scratch);
        err = part_flush(part, batch); /* it may be of this very batch */
        if (err == VT_OK)
            err = part_find(part, &wanted, event->answer, &first);
    }
    VT_SOMETIMES(err == VT_OK);
    if (err == VT_NOT_FOUND) {
        err = row_take(part, batch, index, event->k);
        if (err == VT_OK)
            *out_verdict = VT_ACCEPTED;
        return err;
    }
    if (err != VT_OK)
        return err;
    bool equal = part_content_equal(batch, index, &first);

    if (!equal)
        err = conflict_take(part, batch, index, &first);
    if (err == VT_OK)
        *out_verdict = equal ? VT_DUPLICATE : VT_CONFLICT;
    return err;
}

/* --- counting */

static void
tally_count(struct tally *tally, uint8_t verdict, uint8_t reason)
{
    tally->received++;
    tally->accepted += verdict == VT_ACCEPTED;
    tally->duplicates += verdict == VT_DUPLICATE || verdict == VT_CONFLICT;
    tally->conflicts += verdict == VT_CONFLICT;
    if (verdict == VT_EXCEPTION) {
        tally->exceptions++;
        tally->by_reason[reason]++;
    }
}

/* An event that is valid but for its reason goes to the list, counted where its entry says. */
static vt_err
exception_take(struct part *part, const struct batch *batch, uint32_t index, uint32_t *out_row)
{
    struct exception_entry entry;

    arena_reset(&part->scratch);
    vt_err err = entry_begin(part, batch, index, &entry);

    if (err == VT_OK)
        err = entry_take(part, &entry, out_row);
    return err;
}

static vt_err
event_take(struct part *part, struct batch *batch, const struct part_event *event)
{
    uint32_t index = event->index;
    uint8_t verdict = VT_EXCEPTION;
    uint8_t reason = batch->reason[index];
    uint32_t row = 0;
    vt_err err;

    VT_ASSERT(reason < VT_REASON_COUNT);
    if (reason != VT_REASON_NONE) {
        err = exception_take(part, batch, index, &row);
    } else {
        err = part_row(part, batch->tenant[index], &row);
        if (err == VT_OK)
            err = part_take(part, event, &verdict);
    }
    if (err != VT_OK)
        return err;
    batch->verdict[index] = verdict;
    tally_count(part_tally(part, row), verdict, reason);
    tally_count(&part->total, verdict, reason);
    return VT_OK;
}

/* Hashes and claims a group of events from place `first` of the slice on. */
static vt_err
group_claim(struct part *part, struct batch *batch, const uint32_t *select, uint32_t first,
            uint32_t count)
{
    struct vt_hash128 *ks = part->slice->ks + first;
    bool *candidate = part->slice->candidate + first;
    uint64_t keys[APPLY_GROUP] = {0};
    uint8_t holder[APPLY_GROUP];
    uint32_t key_count = 0;
    uint32_t maybe = 0;

    VT_ASSERT(count <= APPLY_GROUP);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = select[first + i];

        ks[i] = (struct vt_hash128){0, 0};
        candidate[i] = false;
        if (batch->reason[index] == VT_REASON_NONE)
            batch->reason[index] = part_judge_time(part, batch, index);
        /* The sequencer took out what a session sent twice, before anything was routed. */
        if (batch->reason[index] != VT_REASON_NONE || batch->id[index].kind == ROW_ID_SEQUENCE)
            continue;
        ks[i] = batch_identity(&part->key, part->catalog->tenants[batch->tenant[index]].key,
                               batch->strings[batch->source[index]], &batch->id[index]);
        keys[key_count] = dedup_key(&ks[i]);
        dedup_prefetch(part->dedup, &keys[key_count], 1);
        holder[key_count++] = (uint8_t)i;
        epoch_prefetch(part->epoch, &ks[i]);
    }
    vt_err err = dedup_claim(part->dedup, keys, key_count, &maybe);

    for (uint32_t i = 0; i < key_count; i++)
        candidate[holder[i]] = (maybe >> i & 1) != 0;
    return err;
}

/* Claims a slice, asks the segments for its candidates, then decides one by one. */
static vt_err
slice_take(struct part *part, struct batch *batch, const uint32_t *select, uint32_t count)
{
    struct part_slice *slice = part->slice;
    vt_err err = VT_OK;

    VT_ASSERT(count <= PART_SLICE);
    for (uint32_t i = 0; err == VT_OK && i < count; i += APPLY_GROUP)
        err =
            group_claim(part, batch, select, i, count - i < APPLY_GROUP ? count - i : APPLY_GROUP);
    if (err == VT_OK)
        err = part_seek(part, batch, select, count);
    for (uint32_t i = 0; err == VT_OK && i < count; i++) {
        struct part_event event = {
            .batch = batch,
            .index = select[i],
            .k = &slice->ks[i],
            .candidate = slice->candidate[i],
            .answer = slice->answer[i],
        };

        err = event_take(part, batch, &event);
    }
    return err;
}

vt_err
part_apply(struct part *part, struct batch *batch, const uint32_t *select, uint32_t select_count)
{
    VT_ASSERT(part->in_commit);
    VT_ASSERT(batch->catalog == part->catalog);
    vt_err err = epoch_batch_begin(part->epoch, batch);

    if (err == VT_OK && batch->plain)
        return part_apply_plain(part, batch, select, select_count);
    for (uint32_t begin = 0; err == VT_OK && begin < select_count; begin += PART_SLICE) {
        uint32_t left = select_count - begin;

        err = slice_take(part, batch, select + begin, left < PART_SLICE ? left : PART_SLICE);
    }
    return err == VT_OK ? part_flush(part, batch) : err;
}

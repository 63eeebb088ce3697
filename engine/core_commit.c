/* core_commit.c - the open commit gets its number, its positions and its cut, and goes off. See
 * core.h. */
#include "core_internal.h"
#include "venturi/assert.h"

uint32_t
core_open_bytes(const struct core *core)
{
    return core->open == NULL ? 0 : log_buffer_bytes(core->open->buffer);
}

bool
core_open_any(const struct core *core)
{
    return core->open != NULL && core->open->item_count > 0;
}

/* What a record and a commit take in a lane beside payloads, at most: storage/log.h. */
#define RECORD_BYTES 56
#define COMMIT_BYTES 8192
/* What an event counts at least: one that is a byte in its frame still takes an entry of a hundred
 * in memory until the cut is sealed. */
#define EVENT_BYTES 12
_Static_assert(CORE_CUT_BYTES_MAX / EVENT_BYTES <
                   (uint64_t)EPOCH_CHUNK_ROWS * (EPOCH_CHUNKS_MAX - 512),
               "an epoch has room for the rows up to a cut and those of its commit");

/* Numbers the events of the open commit and says whether a cut follows it. */
static uint32_t
number_events(struct core *core, struct work *work, uint64_t first_position)
{
    uint32_t events = 0;

    for (uint32_t i = 0; i < work->item_count; i++) {
        struct core_item *item = &work->items[i];

        item->first_position = first_position + events;
        if (item->batch != NULL) {
            item->batch->first_position = item->first_position;
            item->batch->arrival_us = work->meta.arrival_us;
            item->batch->number = work->meta.number;
        }
        uint64_t least = item->resend ? 0 : (uint64_t)item->event_count * EVENT_BYTES;

        core->bytes_since_cut += RECORD_BYTES;
        core->bytes_since_cut += item->payload.size > least ? item->payload.size : least;
        events += item->event_count;
    }
    core->bytes_since_cut += COMMIT_BYTES; /* many small commits fill the lanes, too */
    return events;
}

/* What recovery and the live way have in common: meta, positions, and the cut that may follow. The
 * parts are there. */
vt_err
core_commit_number(struct core *core, struct work *work, uint64_t number, int64_t arrival_us)
{
    VT_ASSERT(number == core->commit_last + 1);
    VT_ASSERT(arrival_us >= core->arrival_last_us);
    bool first_catalog = core->parts[0] == NULL;

    /* The partitions begin with the commit that brings the first catalog. */
    if (first_catalog && work->next_catalog != NULL) {
        vt_err err = core_parts_open(core, NULL);

        if (err != VT_OK)
            return err;
    }
    work->meta.number = number;
    work->meta.first_position = core->position_next;
    work->meta.arrival_us = arrival_us;
    work->meta.event_count = number_events(core, work, core->position_next);
    core->commit_last = number;
    core->position_next += work->meta.event_count;
    core->arrival_last_us = arrival_us;
    if (!first_catalog &&
        (work->next_catalog != work->catalog || core->bytes_since_cut >= core->options.cut_bytes))
        return core_cut_open(core, work);
    return VT_OK;
}

static vt_err
submit_open(struct core *core, int64_t arrival_us, uint16_t flags)
{
    struct work *work = core->open;
    struct log_commit commit;

    /* A cut is on its way to the sealer: what lies in the lanes since the last one is less than a
     * lane (core_recover). */
    if (!log_has_room(core->log, work->buffer))
        return VT_AGAIN;
    core->open = NULL;
    core->open_closed = false;
    vt_err err = core_commit_number(core, work, core->commit_last + 1, arrival_us);
    struct log_submit submit = {
        .first_position = work->meta.first_position,
        .arrival_us = arrival_us,
        .event_count = work->meta.event_count,
        .flags = flags,
    };

    if (err == VT_OK)
        err = log_submit(core->log, work->buffer, &submit, &commit);
    if (err != VT_OK) {
        core_work_free(core, work);
        return core_fail(core, err, vt_err_last());
    }
    VT_ASSERT(commit.number == work->meta.number);
    core_dispatch(core, work);
    return VT_OK;
}

vt_err
core_submit(struct core *core, int64_t now_us)
{
    int64_t arrival_us = now_us > core->arrival_last_us ? now_us : core->arrival_last_us;
    struct core_item *item = NULL;

    VT_ASSERT(core->magic == CORE_MAGIC);
    if (core->failed != VT_OK ||
        core->ended) /* a tick may fall due before the end mark is durable */
        return core->failed;
    if (!core_open_any(core)) {
        if (core->parts[0] == NULL || core_due_us(core) > arrival_us)
            return VT_OK;
        vt_err err = core_control_add(core, LOG_TICK, (struct vt_bytes){NULL, 0}, &item);

        if (err != VT_OK)
            return err == VT_AGAIN ? VT_OK : core_fail(core, err, vt_err_last());
    }
    vt_err err = submit_open(core, arrival_us, 0);

    return err == VT_AGAIN ? VT_OK : err; /* it stays open: the next call tries again */
}

vt_err
core_stop(struct core *core, int64_t now_us)
{
    struct core_item *item = NULL;
    int64_t arrival_us = now_us > core->arrival_last_us ? now_us : core->arrival_last_us;
    vt_err err = VT_OK;

    if (core_open_any(core))
        err = submit_open(core, arrival_us, 0);
    if (err == VT_OK)
        err = core_control_add(core, LOG_TICK, (struct vt_bytes){NULL, 0}, &item);
    if (err == VT_OK)
        err = submit_open(core, arrival_us, LOG_COMMIT_END_MARK);
    core->ended = err == VT_OK;
    if (core->ended)
        core_merge_cancel(core);
    return err;
}

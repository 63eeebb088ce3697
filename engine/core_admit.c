/* core_admit.c - the door: from frames and control records to records in the open commit. See
 * core.h. */
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

vt_err
core_item_add(struct core *core, struct work *work, struct core_item **out_item)
{
    /* Only one commit is ever being filled, so one capacity serves. */
    if (work->item_count == 0)
        core->open_item_capacity = 0;
    if (work->item_count == core->open_item_capacity) {
        uint32_t capacity = core->open_item_capacity == 0 ? 16 : core->open_item_capacity * 2;
        struct core_item *grown = realloc(work->items, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        work->items = grown;
        core->open_item_capacity = capacity;
    }
    memset(&work->items[work->item_count], 0, sizeof work->items[0]);
    *out_item = &work->items[work->item_count++];
    return VT_OK;
}

/* The open commit, made where there is none. VT_AGAIN: back-pressure. */
static vt_err
open_commit(struct core *core, struct work **out_work)
{
    if (core->failed != VT_OK)
        return core->failed;
    if (core->log == NULL) {
        (void)vt_err_detail(VT_INVALID, "the store is open for reading only");
        return VT_INVALID;
    }
    if (core->ended)
        return VT_STOPPING;
    if (core->open == NULL) {
        if (core->cuts_waiting > CORE_CUTS_WAITING_MAX)
            return VT_AGAIN; /* the sealer is behind: the lanes would fill up */
        struct log_buffer *buffer = log_buffer_get(core->log);

        if (buffer == NULL)
            return VT_AGAIN;
        vt_err err = core_work_open(core, WORK_COMMIT, &core->open);

        if (err != VT_OK) {
            log_buffer_put(core->log, buffer);
            return err;
        }
        core->open->buffer = buffer;
        core->open_closed = false;
    }
    if (core->open_closed || core->open->arena.used_bytes > CORE_OPEN_ARENA_MAX)
        return VT_AGAIN;
    VT_ASSERT(core->open != NULL);
    *out_work = core->open;
    return VT_OK;
}

/* A record with a copy of its payload in the open commit. VT_AGAIN where it has no room: submit
 * first. */
static vt_err
record_add(struct core *core, struct log_record *record, struct vt_bytes payload,
           struct core_item **out_item)
{
    struct work *work = NULL;
    struct core_item *item = NULL;
    uint8_t *room = NULL;
    vt_err err = open_commit(core, &work);

    if (err != VT_OK)
        return err;
    VT_ASSERT(payload.size <= UINT32_MAX);
    record->bytes = (uint32_t)payload.size;
    err = log_buffer_add(work->buffer, record, &room);
    if (err != VT_OK)
        return err == VT_FULL ? VT_AGAIN : err;
    if (payload.size > 0)
        memcpy(room, payload.data, payload.size);
    err = core_item_add(core, work, &item);
    if (err != VT_OK) {
        log_buffer_undo(work->buffer);
        return err;
    }
    item->kind = record->kind;
    item->resend = (record->flags & LOG_RESEND) != 0;
    item->payload = (struct vt_bytes){room, payload.size};
    item->event_count = record->event_count;
    item->producer = record->producer;
    item->epoch = record->epoch;
    item->sequence = record->sequence;
    *out_item = item;
    return VT_OK;
}

static void
record_undo(struct work *work)
{
    VT_ASSERT(work->item_count > 0);
    work->item_count--;
    log_buffer_undo(work->buffer);
}

/* What refused frames were decoded to goes at once where nothing else is in the commit: it might be
 * long until one is submitted. */
static void
open_forget(struct core *core)
{
    if (core->open != NULL && core->open->item_count == 0)
        arena_reset(&core->open->arena);
}

/* Groups the events of a batch by partition: a stable count into place. */
static vt_err
select_partitions(struct core *core, struct arena *arena, struct core_item *item)
{
    const struct batch *batch = item->batch;
    uint32_t count = core->partition_count;

    item->select = arena_alloc(arena, (uint64_t)batch->event_count * sizeof(uint32_t));
    item->select_start = arena_zalloc(arena, (count + 2u) * sizeof(uint32_t));
    if (item->select == NULL || item->select_start == NULL)
        return VT_NOMEM;
    uint32_t *start = item->select_start + 1; /* start[p] counts, then runs; ends one to the left */

    for (uint32_t e = 0; e < batch->event_count; e++) {
        VT_ASSERT(batch->partition[e] < count);
        start[batch->partition[e] + 1]++;
    }
    for (uint32_t p = 1; p <= count; p++)
        start[p] += start[p - 1];
    for (uint32_t e = 0; e < batch->event_count; e++)
        item->select[start[batch->partition[e]]++] = e;
    VT_ASSERT(item->select_start[count] == batch->event_count);
    return VT_OK;
}

vt_err
core_decode(struct core *core, struct work *work, const struct core_frame *frame,
            struct core_item *item)
{
    struct core_producer *producer = core_producer_at(core, frame->producer);
    struct batch_options options = {
        .catalog = work->catalog,
        .key = core->store.key,
        .partition_count = core->partition_count,
        .producer =
            core_producer_names_events(producer) ? producer->name : (struct vt_str){NULL, 0},
        .epoch = frame->epoch,
        .sequence = frame->sequence,
        .cache = core->batch_cache,
    };
    vt_err err = batch_decode(&work->arena, &options,
                              &(struct batch_frame){.type = frame->frame_type,
                                                    .event_count = frame->event_count,
                                                    .payload = item->payload},
                              &item->batch);

    if (err != VT_OK)
        return err;
    return select_partitions(core, &work->arena, item);
}

/* Whether a token that is bound to one tenant may send this batch. */
static vt_err
check_tenant(const struct batch *batch, struct vt_str tenant)
{
    uint32_t seen = UINT32_MAX;

    if (tenant.size == 0)
        return VT_OK;
    for (uint32_t e = 0; e < batch->event_count; e++) {
        uint32_t code = batch->tenant_name[e];

        if (code == seen)
            continue;
        if (!vt_str_equal(batch->strings[code], tenant))
            return vt_err_detail(VT_FORBIDDEN, "event %u: this token is for tenant %.*s only", e,
                                 (int)tenant.size, tenant.data);
        seen = code;
    }
    return VT_OK;
}

/* Nothing is logged whose ids might not fit the dedup index: refused at the door. What is in flight
 * is not in the owners' counts yet, or not all of it, so it is added. Those counts are asked only
 * where the room that was there last time is used up: their owners write them all the time. */
static vt_err
check_room(struct core *core, uint32_t need)
{
    if (need <= core->ids_room)
        return VT_OK;
    uint64_t taken = core_ids_known(core) + core->ids_in_flight;
    uint64_t budget = core->options.dedup_ids_max;

    core->ids_room = taken < budget ? budget - taken : 0;
    if (need <= core->ids_room)
        return VT_OK;
    return vt_err_detail(VT_DEDUP_FULL,
                         "%llu of %llu ids are remembered or on their way: no room for %u",
                         (unsigned long long)taken, (unsigned long long)budget, need);
}

static void
count_in_flight(struct core *core, struct core_item *item, uint32_t ids)
{
    VT_ASSERT(core->ids_room >= ids);
    core->ids_room -= ids;
    core->ids_in_flight += ids;
    item->ids = ids;
}

/* The payload of a resend: how many of its events are whose. Tenants by name, {count 4, size 2,
 * name}. */
static vt_err
resend_payload(struct core *core, struct work *work, const struct core_frame *frame,
               struct vt_bytes *out_payload)
{
    struct core_item item = {.payload = frame->payload};
    vt_err err = core_decode(core, work, frame, &item);

    if (err == VT_OK)
        err = check_tenant(item.batch, frame->tenant);
    if (err != VT_OK)
        return err;
    const struct batch *batch = item.batch;
    uint32_t *counts = arena_zalloc(&work->arena, (uint64_t)batch->string_count * sizeof(uint32_t));
    uint64_t bytes = 0;

    if (counts == NULL)
        return VT_NOMEM;
    for (uint32_t e = 0; e < batch->event_count; e++)
        if (counts[batch->tenant_name[e]]++ == 0)
            bytes += 6 + batch->strings[batch->tenant_name[e]].size;
    uint8_t *payload = arena_alloc(&work->arena, bytes);
    uint64_t at = 0;

    if (payload == NULL)
        return VT_NOMEM;
    for (uint32_t code = 0; code < batch->string_count; code++) {
        uint16_t size = (uint16_t)batch->strings[code].size;

        if (counts[code] == 0)
            continue;
        memcpy(payload + at, &counts[code], sizeof counts[code]);
        memcpy(payload + at + 4, &size, sizeof size);
        if (size > 0)
            memcpy(payload + at + 6, batch->strings[code].data, size);
        at += 6u + size;
    }
    VT_ASSERT(at == bytes);
    *out_payload = (struct vt_bytes){payload, bytes};
    return VT_OK;
}

static vt_err
resend_add(struct core *core, const struct core_frame *frame)
{
    struct work *work = NULL;
    struct core_item *item = NULL;
    struct vt_bytes payload;
    vt_err err = open_commit(core, &work);

    if (err == VT_OK)
        err = resend_payload(core, work, frame, &payload);
    if (err != VT_OK) {
        open_forget(core);
        return err;
    }
    struct log_record record = {
        .kind = LOG_FRAME,
        .frame_type = frame->frame_type,
        .flags = LOG_RESEND,
        .payload_crc = vt_crc32c(payload.data, payload.size),
        .event_count = frame->event_count,
        .producer = frame->producer,
        .epoch = frame->epoch,
        .sequence = frame->sequence,
    };

    err = record_add(core, &record, payload, &item);
    if (err != VT_OK)
        return err;
    item->waiter = frame->waiter;
    return VT_OK;
}

static vt_err
session_admit(struct core *core, const struct core_frame *frame, uint64_t hash,
              enum session_verdict *out_verdict)
{
    struct core_producer *producer = core_producer_at(core, frame->producer);

    *out_verdict = SESSION_NEW;
    if (frame->producer == 0)
        return VT_OK;
    if (producer == NULL || frame->sequence == 0 ||
        frame->sequence > UINT64_MAX - frame->event_count)
        return vt_err_detail(VT_BAD_SEQUENCE, "sequence %llu: a session's events count from 1",
                             (unsigned long long)frame->sequence);
    if (frame->epoch < producer->epoch)
        return vt_err_detail(VT_PRODUCER_TAKEN, "epoch %llu has ended",
                             (unsigned long long)frame->epoch);
    if (frame->epoch > producer->epoch)
        return VT_OK;
    *out_verdict =
        core_session_check(producer, frame->sequence, frame->sequence + frame->event_count, hash);
    if (*out_verdict == SESSION_OVERLAP)
        return vt_err_detail(
            VT_BAD_SEQUENCE,
            "sequences %llu to %llu overlap a frame of other bounds or content; next is %llu",
            (unsigned long long)frame->sequence,
            (unsigned long long)(frame->sequence + frame->event_count - 1),
            (unsigned long long)producer->durable_next);
    return *out_verdict == SESSION_NEW ? core_session_room(producer) : VT_OK;
}

/* Whether an event for a fenced partition is a repeat might not be found out. */
static vt_err
check_fences(const struct core *core, const struct core_item *item)
{
    vt_err err = VT_OK;

    if (fence_count(core->fence) == 0)
        return VT_OK;
    for (uint32_t p = 0; err == VT_OK && p < core->partition_count; p++)
        if (item->select_start[p] < item->select_start[p + 1])
            err = fence_check(core->fence, p);
    return err;
}

/* Copies, decodes and checks; on an error the record is out again. */
static vt_err
frame_place(struct core *core, const struct core_frame *frame)
{
    struct core_item *item = NULL;
    struct log_record record = {
        .kind = LOG_FRAME,
        .frame_type = frame->frame_type,
        .payload_crc = frame->payload_crc,
        .event_count = frame->event_count,
        .producer = frame->producer,
        .epoch = frame->epoch,
        .sequence = frame->sequence,
    };
    vt_err err = record_add(core, &record, frame->payload, &item);

    if (err != VT_OK)
        return err;
    err = core_decode(core, core->open, frame, item);
    if (err == VT_OK)
        err = check_tenant(item->batch, frame->tenant);
    if (err == VT_OK)
        err = check_room(core, item->event_count);
    if (err == VT_OK)
        err = check_fences(core, item);
    if (err != VT_OK) {
        record_undo(core->open);
        open_forget(core);
        return err;
    }
    count_in_flight(core, item, item->event_count);
    item->waiter = frame->waiter;
    return VT_OK;
}

vt_err
core_add_frame(struct core *core, const struct core_frame *frame)
{
    enum session_verdict verdict = SESSION_NEW;

    VT_ASSERT(core->magic == CORE_MAGIC);
    if (core_catalog(core) == NULL)
        return vt_err_detail(VT_INVALID, "the store has no catalog yet");
    if (core->fence != NULL && fence_check_waiting(core->fence) != VT_OK)
        return VT_FENCED;
    if (frame->event_count == 0 || frame->event_count > VT_BATCH_EVENTS_MAX)
        return vt_err_detail(VT_BAD_LENGTH, "event_count %u is not 1 to %u", frame->event_count,
                             VT_BATCH_EVENTS_MAX);
    vt_err err = core_space_check(core);

    if (err != VT_OK) {
        core->stats.frames_refused++;
        return err;
    }
    uint64_t hash = frame->producer == 0 ? 0 : core_frame_hash(frame);

    err = session_admit(core, frame, hash, &verdict);

    if (err == VT_OK && verdict == SESSION_RESEND)
        return resend_add(core, frame);
    if (err == VT_OK)
        err = frame_place(core, frame);
    if (err == VT_OK && frame->producer != 0) {
        err = core_session_note(core_producer_at(core, frame->producer), frame->epoch,
                                frame->sequence, frame->sequence + frame->event_count, hash);
        core_producer_at(core, frame->producer)->in_flight++;
    }
    if (err == VT_OK) {
        core->stats.frames++;
        core->stats.events += frame->event_count;
        core->stats.bytes += frame->payload.size;
    } else if (err != VT_AGAIN) {
        core->stats.frames_refused++;
    }
    return err;
}

vt_err
core_control_add(struct core *core, uint8_t kind, struct vt_bytes payload,
                 struct core_item **out_item)
{
    struct log_record record = {
        .kind = kind,
        .payload_crc = vt_crc32c(payload.data, payload.size),
    };

    return record_add(core, &record, payload, out_item);
}

vt_err
core_producer_announce(struct core *core, uint64_t token_id, struct vt_str name, uint64_t *out_id)
{
    uint8_t payload[8 + 256];
    struct core_item *item = NULL;

    if (name.size > 255)
        return vt_err_detail(VT_TOO_LARGE, "a producer's name has at most 255 bytes");
    memcpy(payload, &token_id, sizeof token_id);
    memcpy(payload + 8, name.data, name.size);
    /* A name costs little, so it is let in; but where the lanes are full nobody waits for space. */
    vt_err err =
        core_control_add(core, LOG_PRODUCER, (struct vt_bytes){payload, 8u + name.size}, &item);

    if (err == VT_AGAIN && core_space_check(core) != VT_OK)
        return VT_DISK_FULL;
    if (err == VT_OK)
        err = core_producer_add(core, token_id, name, out_id);
    return err;
}

vt_err
core_add_catalog(struct core *core, struct vt_str text, const struct catalog_zones *zones,
                 void *waiter)
{
    struct catalog *catalog = NULL;
    struct core_item *item = NULL;
    uint8_t *packed = NULL;
    uint64_t packed_bytes = 0;
    vt_err err = core_space_check(core);

    if (err == VT_OK)
        err = catalog_load(text, zones, &catalog);
    if (err == VT_OK && core_catalog(core) != NULL)
        err = catalog_check_extension(core_catalog(core), catalog);
    if (err == VT_OK)
        err = catalog_pack(catalog, &packed, &packed_bytes);
    if (err == VT_OK)
        err = core_control_add(core, LOG_CATALOG, (struct vt_bytes){packed, packed_bytes}, &item);
    if (err == VT_OK)
        err = core_catalog_add(core, core->commit_last + 1, (struct vt_bytes){packed, packed_bytes},
                               catalog);
    if (err != VT_OK) {
        catalog_free(catalog);
        free(packed);
        return err;
    }
    item->waiter = waiter;
    core->open->next_catalog = catalog;
    core->open_closed = true;
    return VT_OK;
}

vt_err
core_add_close(struct core *core, const struct close_order *order, void *waiter)
{
    uint8_t payload[8 + VT_TEXT_BYTES_MAX];
    struct core_item *item = NULL;

    if (order->tenant.size > VT_TEXT_BYTES_MAX)
        return vt_err_detail(VT_TOO_LARGE, "a tenant's name has at most %d bytes",
                             VT_TEXT_BYTES_MAX);
    vt_err err = core_space_check(core);

    if (err != VT_OK)
        return err;
    memcpy(payload, &order->before_us, sizeof order->before_us);
    if (order->tenant.size > 0)
        memcpy(payload + 8, order->tenant.data, order->tenant.size);
    err = core_control_add(core, LOG_CLOSE, (struct vt_bytes){payload, 8u + order->tenant.size},
                           &item);
    if (err == VT_OK)
        item->waiter = waiter;
    return err;
}

vt_err
core_add_settle(struct core *core, bool retry, const le64 *positions, uint32_t count, void *waiter)
{
    struct core_item *item = NULL;
    struct vt_bytes payload = {(const uint8_t *)positions, (uint64_t)count * sizeof *positions};

    if (count == 0 || count > VT_BATCH_EVENTS_MAX)
        return vt_err_detail(VT_BAD_LENGTH, "%u positions: 1 to %u at a time", count,
                             VT_BATCH_EVENTS_MAX);
    struct log_record record = {
        .kind = retry ? LOG_RETRY : LOG_DISCARD,
        .payload_crc = vt_crc32c(payload.data, payload.size),
        .event_count = retry ? count : 0,
    };
    vt_err err = core_space_check(core);

    /* An exception that becomes a row is remembered like any other. */
    if (err == VT_OK && retry)
        err = check_room(core, count);
    if (err == VT_OK && retry && core->fence != NULL)
        err = fence_check_all(core->fence);
    if (err == VT_OK)
        err = record_add(core, &record, payload, &item);
    if (err != VT_OK)
        return err;
    item->waiter = waiter;
    if (retry)
        count_in_flight(core, item, count);
    return VT_OK;
}

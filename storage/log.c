/*
 * log.c - buffers, submission and the durable watermark. States of a buffer:
 *
 *   FREE -> OPEN (get) -> QUEUED (submit; its lane is busy) -> IN_FLIGHT -> DONE (written)
 *     ^       |                                                              |
 *     +- put -+------------------- put, and durable or failed ---------------+
 *
 * A lane takes its next commit only when the last one there is written, and commits go to the lanes
 * in turn, so when commit n+L starts all up to n are durable: the invariant that recovery rests on.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lane.h"
#include "log_internal.h"
#include "storage/io.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

/* Room for the table in front of the payloads: 1106 records where commits are large. */
#define TABLE_BYTES_MAX 53248U
/* Payloads up to this are copied next to the table, so that a small commit is one block and not
 * two; above it the gap of less than a block is cheaper than the copy. The payloads themselves stay
 * where log_buffer_add put them: the caller's decoded batches point there. */
#define COMPACT_BYTES_MAX 16384U
#define LOG_MAGIC         UINT64_C(0x676f6c2d69727476)

enum buffer_state { BUFFER_FREE, BUFFER_OPEN, BUFFER_QUEUED, BUFFER_IN_FLIGHT, BUFFER_DONE };

struct log_buffer {
    struct io_op op;
    struct log *log;
    struct log_buffer *next;       /* in the free list or in its lane's queue */
    struct log_buffer *order_next; /* the next commit, from submit to durable */
    uint8_t *memory; /* table_bytes for the table, commit_bytes_max for payloads and padding, then
                        table_bytes and COMPACT_BYTES_MAX for the copy of a small commit */
    struct log_record *records;
    uint64_t number;
    uint32_t record_count;
    uint32_t own_count; /* of these, the log's own: LOG_START */
    uint32_t payload_bytes;
    enum buffer_state state;
    bool put;
};

struct lane_queue {
    struct lane lane;
    struct log_buffer *first;
    struct log_buffer *last;
    struct log_buffer *in_flight;
};

struct log {
    uint64_t magic;
    struct io *io;
    struct io_file *files[LOG_LANES_MAX];
    struct lane_queue *lanes;
    struct log_buffer *buffers;
    struct log_buffer *free_first;
    struct log_buffer *order_first; /* submitted and not yet durable, by number */
    struct log_buffer *order_last;
    struct log_mark *marks; /* of unreleased commits; by number modulo mark_max */
    uint64_t mark_max;
    uint64_t store;
    uint64_t start;
    uint64_t lane_bytes;
    uint64_t released;
    uint64_t durable;
    uint64_t last;
    uint64_t last_check;
    uint64_t last_position;
    int64_t last_arrival_us;
    struct commit_start follows;
    uint32_t lane_count;
    uint32_t buffer_count;
    uint32_t table_bytes;
    uint32_t records_max;
    uint32_t commit_bytes_max;
    uint32_t in_flight;
    vt_err failed;
    bool started; /* the first commit of this start was submitted */
    bool ended;   /* one with the end mark was */
};

static uint8_t *
payload_area(const struct log_buffer *buffer)
{
    return buffer->memory + buffer->log->table_bytes;
}

static uint32_t
round8(uint32_t bytes)
{
    return (bytes + 7U) & ~7U;
}

static uint32_t
head_bytes_of(uint32_t record_count)
{
    return LOG_COMMIT_HEAD_BYTES + record_count * (uint32_t)sizeof(struct commit_record);
}

/* Adds LOG_START in front where no commit of this start was submitted yet. */
static void
add_start(struct log *log, struct log_buffer *buffer)
{
    struct log_record record = {
        .kind = LOG_START,
        .bytes = sizeof log->follows,
        .payload_crc = vt_crc32c(&log->follows, sizeof log->follows),
    };
    uint8_t *payload;
    vt_err err = log_buffer_add(buffer, &record, &payload);

    VT_ASSERT(err == VT_OK);
    memcpy(payload, &log->follows, sizeof log->follows);
    buffer->own_count = 1;
}

struct log_buffer *
log_buffer_get(struct log *log)
{
    struct log_buffer *buffer = log->free_first;

    VT_ASSERT(log->magic == LOG_MAGIC);
    if (buffer == NULL)
        return NULL;
    VT_ASSERT(buffer->state == BUFFER_FREE);
    log->free_first = buffer->next;
    buffer->next = NULL;
    buffer->state = BUFFER_OPEN;
    buffer->put = false;
    buffer->record_count = 0;
    buffer->own_count = 0;
    buffer->payload_bytes = 0;
    if (!log->started)
        add_start(log, buffer);
    return buffer;
}

vt_err
log_buffer_add(struct log_buffer *buffer, const struct log_record *record, uint8_t **out_payload)
{
    const struct log *log = buffer->log;
    uint32_t at = round8(buffer->payload_bytes);
    uint32_t payload_max = log->commit_bytes_max;

    VT_ASSERT(buffer->state == BUFFER_OPEN);
    VT_ASSERT(record->kind != 0);
    if (record->bytes > payload_max - COMMIT_BLOCK_BYTES - round8(sizeof(struct commit_start)))
        return VT_TOO_LARGE;
    if (buffer->record_count == log->records_max)
        return VT_FULL;
    /* The table takes whole blocks where payloads are not moved next to it. */
    payload_max -= commit_padded(head_bytes_of(buffer->record_count + 1));
    if (at > payload_max || record->bytes > payload_max - at)
        return VT_FULL;
    uint8_t *area = payload_area(buffer);

    memset(area + buffer->payload_bytes, 0, at - buffer->payload_bytes);
    buffer->records[buffer->record_count] = *record;
    buffer->records[buffer->record_count].payload = area + at;
    buffer->record_count++;
    buffer->payload_bytes = at + record->bytes;
    *out_payload = area + at;
    return VT_OK;
}

void
log_buffer_undo(struct log_buffer *buffer)
{
    VT_ASSERT(buffer->state == BUFFER_OPEN);
    VT_ASSERT(buffer->record_count > buffer->own_count);
    const struct log_record *last;

    buffer->record_count--;
    buffer->payload_bytes = 0;
    if (buffer->record_count == 0)
        return;
    /* A commit ends where its last payload does: a reader refuses one with padding behind it. */
    last = &buffer->records[buffer->record_count - 1];
    buffer->payload_bytes = (uint32_t)(last->payload - payload_area(buffer)) + last->bytes;
}

uint32_t
log_buffer_bytes(const struct log_buffer *buffer)
{
    return head_bytes_of(buffer->record_count) + buffer->payload_bytes;
}

uint32_t
log_buffer_record_count(const struct log_buffer *buffer)
{
    return buffer->record_count - buffer->own_count;
}

/* The commit's first byte: where header, table and payloads stand together. */
struct layout {
    uint8_t *start;
    uint32_t payload_at; /* from start */
    uint32_t bytes;
    uint32_t blocks;
};

static struct layout
layout_of(const struct log_buffer *buffer)
{
    uint32_t head_bytes = head_bytes_of(buffer->record_count);
    struct layout layout;

    bool compact = buffer->payload_bytes <= COMPACT_BYTES_MAX;

    layout.start = compact ? payload_area(buffer) + buffer->log->commit_bytes_max
                           : payload_area(buffer) - commit_padded(head_bytes);
    layout.payload_at = compact ? head_bytes : commit_padded(head_bytes);
    layout.bytes = layout.payload_at + buffer->payload_bytes;
    layout.blocks = commit_padded(layout.bytes) / COMMIT_BLOCK_BYTES;
    return layout;
}

/* Copies payloads where the layout wants them and writes the table and all zeros between. */
static void
settle(struct log_buffer *buffer, const struct layout *layout)
{
    uint8_t *area = payload_area(buffer);
    uint8_t *target = layout->start + layout->payload_at;
    uint32_t head_bytes = head_bytes_of(buffer->record_count);
    uint32_t padded = layout->blocks * COMMIT_BLOCK_BYTES;
    struct commit_record *entry = (struct commit_record *)(layout->start + LOG_COMMIT_HEAD_BYTES);

    if (target != area)
        memcpy(target, area, buffer->payload_bytes);
    memset(layout->start + head_bytes, 0, layout->payload_at - head_bytes);
    memset(layout->start + layout->bytes, 0, padded - layout->bytes);
    for (uint32_t i = 0; i < buffer->record_count; i++, entry++) {
        const struct log_record *record = &buffer->records[i];

        *entry = (struct commit_record){
            .kind = record->kind,
            .frame_type = record->frame_type,
            .flags = le16_put(record->flags),
            .bytes = le32_put(record->bytes),
            .payload_crc = le32_put(record->payload_crc),
            .event_count = le32_put(record->event_count),
            .producer = le64_put(record->producer),
            .epoch = le64_put(record->epoch),
            .sequence = le64_put(record->sequence),
            .offset = le32_put(layout->payload_at + (uint32_t)(record->payload - area)),
        };
    }
}

/* Pair: what is written passes the checks that recovery makes. Payload checksums are the caller's.
 * Unused where VT_VERIFY is off. */
__attribute__((unused)) static bool
passes(const struct log *log, const struct log_buffer *buffer, const struct commit_head *head)
{
    const struct commit_place place = {
        .store = log->store,
        .lane_bytes = log->lane_bytes,
        .offset = buffer->op.offset,
        .lane = (uint32_t)(buffer->number % log->lane_count),
        .lane_count = log->lane_count,
        .commit_bytes_max = log->commit_bytes_max,
    };
    struct commit_info info;

    return commit_check_first(head, &place) == VT_OK &&
           commit_check((const uint8_t *)head, &place, &info) == VT_OK;
}

static void
seal_head(struct log *log, const struct log_buffer *buffer, const struct log_submit *submit,
          const struct layout *layout)
{
    struct commit_head *head = (struct commit_head *)layout->start;

    *head = (struct commit_head){
        .flags = le16_put(submit->flags),
        .store = le64_put(log->store),
        .start = le64_put(log->start),
        .number = le64_put(buffer->number),
        .previous = le64_put(log->last_check),
        .first_position = le64_put(submit->first_position),
        .arrival_us = le64_put((uint64_t)log->last_arrival_us),
        .event_count = le32_put(submit->event_count),
        .record_count = le32_put(buffer->record_count),
        .bytes = le32_put(layout->bytes),
        .head_bytes = le32_put(head_bytes_of(buffer->record_count)),
        .lane = le32_put((uint32_t)(buffer->number % log->lane_count)),
        .offset = le64_put(buffer->op.offset),
        .durable = le64_put(log->durable),
    };
    commit_seal(head);
    VT_VERIFY(passes(log, buffer, head));
    log->last_check = le64_get(head->check);
}

static void
buffer_free(struct log *log, struct log_buffer *buffer)
{
    VT_ASSERT(buffer->put);
    buffer->state = BUFFER_FREE;
    buffer->next = log->free_first;
    log->free_first = buffer;
}

/* After the failure nothing that waits will be written; what was put is free again. */
static void
fail(struct log *log, vt_err err)
{
    struct log_buffer *buffer = log->order_first;

    VT_ASSERT(err != VT_OK && log->failed == VT_OK);
    log->failed = err;
    while (buffer != NULL) {
        struct log_buffer *next = buffer->order_next;

        if (buffer->state == BUFFER_QUEUED)
            buffer->state = BUFFER_DONE;
        if (buffer->state == BUFFER_DONE && buffer->put)
            buffer_free(log, buffer);
        buffer = next;
    }
    log->order_first = log->order_last = NULL;
    for (uint32_t i = 0; i < log->lane_count; i++)
        log->lanes[i].first = log->lanes[i].last = NULL;
}

static void
lane_start(struct log *log, struct lane_queue *queue)
{
    struct log_buffer *buffer = queue->first;

    if (queue->in_flight != NULL || buffer == NULL || log->failed != VT_OK)
        return;
    /* The invariant on top of this file. */
    VT_ASSERT(buffer->number <= log->lane_count ||
              buffer->number - log->lane_count <= log->durable);
    vt_err err = io_write_start(log->io, &buffer->op);

    if (err != VT_OK) {
        fail(log, err);
        return;
    }
    queue->first = buffer->next;
    if (queue->first == NULL)
        queue->last = NULL;
    buffer->next = NULL;
    buffer->state = BUFFER_IN_FLIGHT;
    queue->in_flight = buffer;
    log->in_flight++;
}

/* Moves the watermark over what is written without a gap. */
static void
advance(struct log *log)
{
    while (log->order_first != NULL && log->order_first->state == BUFFER_DONE) {
        struct log_buffer *buffer = log->order_first;

        VT_ASSERT(buffer->number == log->durable + 1);
        log->durable = buffer->number;
        log->order_first = buffer->order_next;
        if (log->order_first == NULL)
            log->order_last = NULL;
        if (buffer->put)
            buffer_free(log, buffer);
    }
}

static void
written(struct io_op *op, vt_err result)
{
    struct log_buffer *buffer = (struct log_buffer *)op;
    struct log *log = buffer->log;

    VT_ASSERT(log->magic == LOG_MAGIC);
    VT_ASSERT(buffer->state == BUFFER_IN_FLIGHT);
    struct lane_queue *queue = &log->lanes[buffer->number % log->lane_count];

    VT_ASSERT(queue->in_flight == buffer);
    queue->in_flight = NULL;
    log->in_flight--;
    buffer->state = BUFFER_DONE;
    if (log->failed != VT_OK) {
        if (buffer->put)
            buffer_free(log, buffer);
        return;
    }
    if (result != VT_OK) {
        fail(log, result);
        return;
    }
    advance(log);
    /* The commits next in order first; a lane that waits for the watermark may now go on too. */
    for (uint32_t i = 0; i < log->lane_count; i++) {
        struct lane_queue *next = &log->lanes[(log->durable + 1 + i) % log->lane_count];

        if (next->first != NULL && next->first->number <= log->durable + log->lane_count)
            lane_start(log, next);
    }
}

static vt_err
check_submit(const struct log *log, const struct log_buffer *buffer,
             const struct log_submit *submit)
{
    uint64_t event_count = 0;

    if (log->failed != VT_OK || log->ended)
        return VT_BROKEN;
    for (uint32_t i = 0; i < buffer->record_count; i++)
        event_count += buffer->records[i].event_count;
    if (event_count != submit->event_count)
        return vt_err_detail(VT_INVALID, "a commit of %u events whose records have %" PRIu64,
                             submit->event_count, event_count);
    if (submit->first_position != log->last_position + 1)
        return vt_err_detail(VT_INVALID,
                             "a commit at position %" PRIu64 " does not follow %" PRIu64,
                             submit->first_position, log->last_position);
    return VT_OK;
}

static void
enqueue(struct log *log, struct log_buffer *buffer)
{
    struct lane_queue *queue = &log->lanes[buffer->number % log->lane_count];

    buffer->state = BUFFER_QUEUED;
    buffer->next = NULL;
    buffer->order_next = NULL;
    if (queue->last == NULL)
        queue->first = buffer;
    else
        queue->last->next = buffer;
    queue->last = buffer;
    if (log->order_last == NULL)
        log->order_first = buffer;
    else
        log->order_last->order_next = buffer;
    log->order_last = buffer;
    if (buffer->number <= log->durable + log->lane_count)
        lane_start(log, queue);
}

bool
log_has_room(const struct log *log, const struct log_buffer *buffer)
{
    const struct lane *lane = &log->lanes[(log->last + 1) % log->lane_count].lane;
    uint32_t block;

    return lane_find(lane, layout_of(buffer).blocks, &block);
}

vt_err
log_submit(struct log *log, struct log_buffer *buffer, const struct log_submit *submit,
           struct log_commit *out_commit)
{
    uint64_t number = log->last + 1;
    struct lane *lane = &log->lanes[number % log->lane_count].lane;
    struct layout layout = layout_of(buffer);
    uint32_t block;
    vt_err err;

    VT_ASSERT(log->magic == LOG_MAGIC);
    VT_ASSERT(buffer->state == BUFFER_OPEN);
    VT_ASSERT((submit->flags & ~LOG_COMMIT_END_MARK) == 0);
    err = check_submit(log, buffer, submit);
    if (err != VT_OK)
        return err;
    if (!lane_find(lane, layout.blocks, &block))
        return VT_FULL;
    lane_take(lane, number, block, layout.blocks);
    buffer->number = number;
    buffer->op.file = log->files[number % log->lane_count];
    buffer->op.buffer = layout.start;
    buffer->op.bytes = layout.blocks * COMMIT_BLOCK_BYTES;
    buffer->op.offset = (uint64_t)block * COMMIT_BLOCK_BYTES;
    if (submit->arrival_us > log->last_arrival_us)
        log->last_arrival_us = submit->arrival_us;
    settle(buffer, &layout);
    seal_head(log, buffer, submit, &layout);
    log->last = number;
    log->last_position += submit->event_count;
    log->started = true;
    log->ended = (submit->flags & LOG_COMMIT_END_MARK) != 0;
    log->marks[number % log->mark_max] = (struct log_mark){
        .check = log->last_check,
        .start = log->start,
        .last_position = log->last_position,
        .arrival_us = log->last_arrival_us,
    };
    *out_commit = (struct log_commit){
        .number = number,
        .start = log->start,
        .first_position = submit->first_position,
        .arrival_us = log->last_arrival_us,
        .event_count = submit->event_count,
        .record_count = buffer->record_count,
        .bytes = layout.bytes,
        .flags = submit->flags,
        .records = buffer->records,
    };
    enqueue(log, buffer);
    return VT_OK;
}

void
log_buffer_put(struct log *log, struct log_buffer *buffer)
{
    VT_ASSERT(log->magic == LOG_MAGIC && buffer->log == log);
    VT_ASSERT(buffer->state != BUFFER_FREE && !buffer->put);
    buffer->put = true;
    if (buffer->state == BUFFER_OPEN ||
        (buffer->state == BUFFER_DONE && (buffer->number <= log->durable || log->failed != VT_OK)))
        buffer_free(log, buffer);
}

uint64_t
log_durable(const struct log *log)
{
    return log->durable;
}

uint64_t
log_last(const struct log *log)
{
    return log->last;
}

uint32_t
log_in_flight(const struct log *log)
{
    return log->in_flight;
}

vt_err
log_failed(const struct log *log)
{
    return log->failed;
}

void
log_release(struct log *log, uint64_t number)
{
    VT_ASSERT(number <= log->durable);
    if (number <= log->released)
        return;
    log->released = number;
    for (uint32_t i = 0; i < log->lane_count; i++)
        lane_release(&log->lanes[i].lane, number);
}

uint64_t
log_used_bytes(const struct log *log)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < log->lane_count; i++)
        if (log->lanes[i].lane.used > used)
            used = log->lanes[i].lane.used;
    return (uint64_t)used * COMMIT_BLOCK_BYTES * log->lane_count;
}

uint64_t
log_lane_bytes(const struct log *log)
{
    return log->lane_bytes;
}

uint64_t
log_commit_bytes_max(const struct log *log)
{
    return log->commit_bytes_max;
}

uint64_t
log_capacity_bytes(const struct log *log)
{
    return log->lane_bytes * log->lane_count;
}

vt_err
log_mark_of(const struct log *log, uint64_t number, struct log_mark *out_mark)
{
    if (number <= log->released || number > log->last)
        return VT_NOT_FOUND;
    *out_mark = log->marks[number % log->mark_max];
    return VT_OK;
}

/* Takes over what recovery found. Two commits of a lane that overlap were written by no version of
 * this program, but an image may hold them. */
static vt_err
adopt(struct log *log, const struct chain *chain)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct commit_info *info = &chain->commits[i];
        struct lane *lane = &log->lanes[info->lane].lane;
        uint32_t blocks = commit_padded(info->bytes) / COMMIT_BLOCK_BYTES;
        uint32_t block = (uint32_t)(info->offset / COMMIT_BLOCK_BYTES);
        uint32_t want;

        if (lane->extent_count == 0)
            lane->head = block;
        if (!lane_find(lane, blocks, &want) || want != block)
            return vt_err_detail(VT_DAMAGED,
                                 "lane-%02u at %" PRIu64 ": commit %" PRIu64
                                 " is not where it was written",
                                 info->lane, info->offset, info->number);
        lane_take(lane, info->number, block, blocks);
        log->marks[info->number % log->mark_max] = (struct log_mark){
            .check = info->check,
            .start = info->start,
            .last_position = info->first_position + info->event_count - 1,
            .arrival_us = info->arrival_us,
        };
    }
    log->last = log->durable = chain->last_number;
    log->released = chain->base.number;
    log->last_check = chain->last_check;
    log->last_position = chain->last_position;
    log->last_arrival_us = chain->last_arrival_us;
    log->follows.number = le64_put(chain->last_number);
    log->follows.check = le64_put(chain->last_check);
    return VT_OK;
}

static vt_err
take_buffers(struct log *log, uint32_t count)
{
    log->buffers = calloc(count, sizeof log->buffers[0]);
    if (log->buffers == NULL)
        return VT_NOMEM;
    log->buffer_count = count;
    for (uint32_t i = count; i > 0; i--) {
        struct log_buffer *buffer = &log->buffers[i - 1];

        buffer->log = log;
        buffer->op.done = written;
        buffer->memory = aligned_alloc(IO_ALIGN, (size_t)log->table_bytes * 2 +
                                                     log->commit_bytes_max + COMPACT_BYTES_MAX);
        buffer->records = calloc(log->records_max, sizeof buffer->records[0]);
        if (buffer->memory == NULL || buffer->records == NULL)
            return VT_NOMEM;
        buffer->put = true;
        buffer_free(log, buffer);
    }
    return VT_OK;
}

static vt_err
take_lanes(struct log *log, const struct chain_lanes *lanes)
{
    log->lanes = calloc(lanes->lane_count, sizeof log->lanes[0]);
    if (log->lanes == NULL)
        return VT_NOMEM;
    log->lane_count = lanes->lane_count;
    for (uint32_t i = 0; i < lanes->lane_count; i++) {
        vt_err err = lane_init(&log->lanes[i].lane, lanes->lane_bytes);

        if (err != VT_OK)
            return err;
        log->files[i] = lanes->files[i];
    }
    log->mark_max = lanes->lane_bytes / COMMIT_BLOCK_BYTES * lanes->lane_count;
    log->marks = calloc(log->mark_max, sizeof log->marks[0]);
    return log->marks == NULL ? VT_NOMEM : VT_OK;
}

vt_err
log_open(const struct log_options *options, struct log **out_log)
{
    const struct chain_lanes *lanes = options->lanes;
    struct log *log = calloc(1, sizeof *log);
    vt_err err;

    VT_ASSERT(lanes->lane_count >= 1 && lanes->lane_count <= VT_COUNT(log->files));
    VT_ASSERT(lanes->commit_bytes_max % COMMIT_BLOCK_BYTES == 0);
    if (log == NULL)
        return VT_NOMEM;
    log->magic = LOG_MAGIC;
    log->io = options->io;
    log->store = lanes->store;
    log->start = options->start;
    log->lane_bytes = lanes->lane_bytes;
    log->commit_bytes_max = lanes->commit_bytes_max;
    /* A thirty-second of the commit, so that small commits of tests have small tables. */
    log->table_bytes = commit_padded(lanes->commit_bytes_max / 32);
    if (log->table_bytes > TABLE_BYTES_MAX)
        log->table_bytes = TABLE_BYTES_MAX;
    log->records_max =
        (log->table_bytes - LOG_COMMIT_HEAD_BYTES) / (uint32_t)sizeof(struct commit_record);
    err = take_lanes(log, lanes);
    if (err == VT_OK)
        err = take_buffers(log, options->buffer_count);
    if (err == VT_OK)
        err = adopt(log, options->chain);
    if (err != VT_OK) {
        log_close(log);
        return err;
    }
    *out_log = log;
    return VT_OK;
}

void
log_close(struct log *log)
{
    if (log == NULL)
        return;
    VT_ASSERT(log->magic == LOG_MAGIC);
    VT_ASSERT(log->in_flight == 0);
    for (uint32_t i = 0; i < log->buffer_count; i++) {
        free(log->buffers[i].memory);
        free(log->buffers[i].records);
    }
    for (uint32_t i = 0; i < log->lane_count; i++)
        lane_deinit(&log->lanes[i].lane);
    free(log->buffers);
    free(log->lanes);
    free(log->marks);
    log->magic = 0;
    free(log);
}

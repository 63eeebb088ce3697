/* conns_frames.c - what the frames of a connection mean, and the answers. See conns_internal.h. */
#include <stdio.h>
#include <string.h>

#include "conns_internal.h"
#include "venturi/assert.h"
#include "venturi/utf8.h"

/* ---- answers */

void
conn_refuse(struct conns *conns, struct conn *conn, vt_err err, uint64_t sequence, bool fatal)
{
    char text[CONNS_ERROR_TEXT];

    VT_ASSERT(err != VT_OK);
    if (conn->state != CONN_HELLO && conn->state != CONN_OPEN)
        return; /* the first error is the one that counts */
    (void)snprintf(text, sizeof text, "%s",
                   vt_err_last()[0] != '\0' ? vt_err_last() : vt_err_text(err));
    vt_err_clear();
    uint32_t size = (uint32_t)strlen(text);
    uint8_t *payload = conn_out_begin(conns, conn, (uint32_t)sizeof(struct vt_error_head) + size);

    if (payload == NULL)
        return;
    struct vt_error_head head = {
        .code = le16_put((uint16_t)err),
        .flags = le16_put(fatal ? VT_ERROR_FATAL : 0),
        .text_size = le32_put(size),
        .sequence = le64_put(sequence),
    };

    memcpy(payload, &head, sizeof head);
    memcpy(payload + sizeof head, text, size); // NOLINT(bugprone-not-null-terminated-result)
    conn_out_end(conns, conn, VT_FRAME_ERROR, sequence);
    conns->stats.errors_sent++;
    if (!fatal)
        return;
    conn->state = CONN_CLOSING;
    conn->closing_ns = conns->now_ns;
    conn_drop_input(conns, conn);
}

static void
welcome(struct conns *conns, struct conn *conn, const struct core_session *session)
{
    struct core_stats stats;
    uint8_t *payload = conn_out_begin(conns, conn, (uint32_t)sizeof(struct vt_welcome));

    if (payload == NULL)
        return;
    core_get_stats(conns->options.core, &stats);
    struct vt_welcome body = {
        .version = le16_put(VT_FRAME_VERSION),
        .frame_bytes_max = le32_put(conns->options.frame_bytes_max),
        .batch_events_max = le32_put(VT_BATCH_EVENTS_MAX),
        .credit_frames = le32_put(conns->options.credit_frames),
        .credit_bytes = le32_put(conns->options.credit_bytes),
        .producer = le64_put(session->producer),
        .epoch = le64_put(session->epoch),
        .sequence_next = le64_put(session->sequence_next),
        .position = le64_put(stats.position),
        .history = le64_put(conns->options.history),
    };

    memcpy(payload, &body, sizeof body);
    conn_out_end(conns, conn, VT_FRAME_WELCOME, 0);
}

static uint32_t
count_not_accepted(const struct batch *batch)
{
    uint32_t count = 0;

    for (uint32_t e = 0; e < batch->event_count; e++)
        count += batch->verdict[e] != VT_ACCEPTED;
    return count;
}

static void
ack_send(struct conns *conns, struct conn *conn, const struct core_ack *ack)
{
    const struct batch *batch = ack->batch;
    uint32_t count = batch == NULL ? 0 : count_not_accepted(batch);
    struct vt_ack_head head = {
        .sequence = le64_put(ack->sequence),
        .position = le64_put(ack->position),
        .event_count = le32_put(ack->event_count),
        .accepted = le32_put(batch == NULL ? 0 : ack->event_count - count),
        .verdict_count = le32_put(count),
    };
    uint32_t bytes = (uint32_t)(sizeof head + count * sizeof(struct vt_ack_entry));
    uint8_t *payload = conn_out_begin(conns, conn, bytes);

    if (payload == NULL)
        return;
    VT_ASSERT(batch == NULL || batch->event_count == ack->event_count);
    memcpy(payload, &head, sizeof head);
    payload += sizeof head;
    for (uint32_t e = 0; count > 0 && e < batch->event_count; e++) {
        if (batch->verdict[e] == VT_ACCEPTED)
            continue;
        struct vt_ack_entry entry = {
            .index = le32_put(e),
            .verdict = batch->verdict[e],
            .reason = batch->reason[e],
        };

        memcpy(payload, &entry, sizeof entry);
        payload += sizeof entry;
    }
    conn_out_end(conns, conn, VT_FRAME_ACK, ack->sequence);
}

void
conns_acked(struct conns *conns, void *waiter, const struct core_ack *ack)
{
    struct conn_waiter *own = waiter;

    VT_ASSERT(own->waiter.kind == WAITER_CONN);
    VT_ASSERT(own->slot < conns->slot_count);
    struct conn *conn = &conns->all[own->slot];
    bool here = conn->state != CONN_FREE && conn->generation == own->generation;

    if (here) {
        VT_ASSERT(conn->in_flight_frames > 0 && conn->in_flight_bytes >= own->bytes);
        conn->in_flight_frames--;
        conn->in_flight_bytes -= own->bytes;
        conn->received_ns = conns->now_ns; /* it was waiting for us until now */
        conn_ready(conns, conn);
    }
    own->next = conns->waiter_free;
    conns->waiter_free = own;
    if (!here || (conn->state != CONN_OPEN && conn->state != CONN_CLOSING))
        return;
    if (ack->err == VT_OK)
        ack_send(conns, conn, ack);
    else
        conn_refuse(conns, conn, ack->err, ack->sequence, true);
}

/* ---- hello */

struct hello {
    struct vt_str token;
    struct vt_str producer;
    uint64_t epoch;
};

static vt_err
hello_parse(const struct frame *frame, struct hello *out_hello)
{
    struct vt_bytes payload = frame->payload;
    struct vt_hello_head head;

    if (frame->type != VT_FRAME_HELLO)
        return VT_BAD_HELLO;
    if (payload.size < sizeof head)
        return vt_err_detail(VT_BAD_HELLO, "hello: its %u bytes are too few",
                             (uint32_t)payload.size);
    memcpy(&head, payload.data, sizeof head);
    if (le16_get(head.version_max) < VT_FRAME_VERSION)
        return vt_err_detail(VT_BAD_VERSION, "hello: no version that both sides speak");
    if (payload.size != sizeof head + head.token_size + (uint64_t)head.producer_size)
        return vt_err_detail(VT_BAD_HELLO, "hello: token and producer do not fill the payload");
    const char *token = (const char *)payload.data + sizeof head;
    struct vt_str producer = {token + head.token_size, head.producer_size};

    if (!vt_utf8_valid((struct vt_bytes){(const uint8_t *)producer.data, producer.size}))
        return vt_err_detail(VT_BAD_HELLO, "hello: the producer's name is no UTF-8");
    *out_hello = (struct hello){{token, head.token_size}, producer, le64_get(head.epoch)};
    return VT_OK;
}

/* A producer has one live connection, the newest. */
static void
take_over(struct conns *conns, const struct conn *newer, uint64_t producer)
{
    for (uint32_t slot = 0; slot < conns->slots_used; slot++) {
        struct conn *conn = &conns->all[slot];

        if (conn == newer || conn->state != CONN_OPEN || conn->producer != producer)
            continue;
        vt_err_clear();
        conn_refuse(conns, conn, VT_PRODUCER_TAKEN, 0, true);
    }
}

/* VT_AGAIN: later, with the same frame. */
static vt_err
take_hello(struct conns *conns, struct conn *conn, const struct frame *frame)
{
    struct core_session session = {.producer = 0};
    struct token_grant grant = {.id = 0};
    struct hello hello = {.epoch = 0};
    vt_err err = hello_parse(frame, &hello);

    if (err == VT_OK)
        err = tokens_check(conns->options.tokens, hello.token, SCOPE_INGEST, &grant);
    if (err == VT_OK && hello.producer.size > 0)
        err =
            core_session_open(conns->options.core, grant.id, hello.producer, hello.epoch, &session);
    if (err != VT_OK)
        return err;
    if (session.producer != 0)
        take_over(conns, conn, session.producer);
    conn->state = CONN_OPEN;
    conn->tenant = grant.tenant;
    conn->producer = session.producer;
    conn->epoch = session.epoch;
    frame_stream_limit(&conn->stream, conns->options.frame_bytes_max);
    welcome(conns, conn, &session);
    return VT_OK;
}

/* ---- batch */

/* What says that the sender does not know the format: three of these end the connection. */
static bool
is_malformed(vt_err err)
{
    return err == VT_BAD_FORMAT || err == VT_BAD_LENGTH || err == VT_BAD_TYPE ||
           err == VT_BAD_RESERVED || err == VT_BAD_UTF8 || err == VT_TOO_DEEP ||
           err == VT_TOO_LARGE || err == VT_OVERFLOW || err == VT_BAD_DECIMAL;
}

static vt_err
check_credit(const struct conns *conns, const struct conn *conn, const struct frame *frame)
{
    const struct conns_options *options = &conns->options;

    if (conn->in_flight_frames < options->credit_frames &&
        conn->in_flight_bytes + frame->payload.size <= options->credit_bytes)
        return VT_OK;
    return vt_err_detail(VT_OVER_CREDIT,
                         "%u frames of %u bytes are in flight; the credit is %u "
                         "frames of %u bytes",
                         conn->in_flight_frames, conn->in_flight_bytes, options->credit_frames,
                         options->credit_bytes);
}

static vt_err
take_batch(struct conns *conns, struct conn *conn, const struct frame *frame)
{
    struct conn_waiter *waiter = conns->waiter_free;
    vt_err err = check_credit(conns, conn, frame);

    if (err != VT_OK)
        return err;
    if (waiter == NULL)
        return VT_AGAIN;
    struct core_frame core_frame = {
        .frame_type = frame->type,
        .event_count = frame->event_count,
        .payload_crc = frame->payload_crc,
        .payload = frame->payload,
        .producer = conn->producer,
        .epoch = conn->epoch,
        .sequence = frame->sequence,
        .tenant = conn->tenant,
        .waiter = waiter,
    };

    err = core_add_frame(conns->options.core, &core_frame);
    if (err != VT_OK)
        return err;
    conns->waiter_free = waiter->next;
    waiter->waiter.kind = WAITER_CONN;
    waiter->slot = conn_slot(conns, conn);
    waiter->generation = conn->generation;
    waiter->bytes = (uint32_t)frame->payload.size;
    conn->in_flight_frames++;
    conn->in_flight_bytes += waiter->bytes;
    conns->stats.frames++;
    return VT_OK;
}

static vt_err
take_ping(struct conns *conns, struct conn *conn, const struct frame *frame)
{
    if (frame->payload.size > VT_PING_BYTES_MAX)
        return vt_err_detail(VT_TOO_LARGE, "ping: over %d bytes", VT_PING_BYTES_MAX);
    uint8_t *payload = conn_out_begin(conns, conn, (uint32_t)frame->payload.size);

    if (payload == NULL)
        return VT_OK; /* it is closed already */
    if (frame->payload.size > 0)
        memcpy(payload, frame->payload.data, frame->payload.size);
    conn_out_end(conns, conn, VT_FRAME_PONG, frame->sequence);
    return VT_OK;
}

static vt_err
take_frame(struct conns *conns, struct conn *conn, const struct frame *frame)
{
    vt_err_clear();
    if (conn->state == CONN_HELLO)
        return take_hello(conns, conn, frame);
    switch ((enum vt_frame_type)frame->type) {
    case VT_FRAME_BATCH_COLUMNS:
    case VT_FRAME_BATCH_ROWS:
        return take_batch(conns, conn, frame);
    case VT_FRAME_PING:
        return take_ping(conns, conn, frame);
    case VT_FRAME_HELLO:
        return vt_err_detail(VT_BAD_HELLO, "hello: there was one already");
    case VT_FRAME_WELCOME:
    case VT_FRAME_ACK:
    case VT_FRAME_ERROR:
    case VT_FRAME_PONG:
        break;
    }
    return vt_err_detail(VT_BAD_TYPE, "frame: type %u is the daemon's to send", frame->type);
}

/* ---- reading */

static bool
takes_input(const struct conns *conns, const struct conn *conn)
{
    return (conn->state == CONN_HELLO || conn->state == CONN_OPEN) && !conns->stopping;
}

/* False where the frame waits. */
static bool
frame_settle(struct conns *conns, struct conn *conn, const struct frame *frame)
{
    bool first = conn->state == CONN_HELLO;
    vt_err err = conns->core_full ? VT_AGAIN : take_frame(conns, conn, frame);

    if (err == VT_OK)
        return true;
    if (err == VT_AGAIN) {
        conns->core_full = true;
        return false;
    }
    conn->strikes += is_malformed(err);
    /* An error of the core's own means that the daemon ends: the client comes back later. */
    bool broken = err == VT_IO || err == VT_BROKEN || err == VT_DAMAGED;
    bool fatal = first || broken || err == VT_PRODUCER_TAKEN || err == VT_BAD_HELLO ||
                 conn->strikes >= CONNS_STRIKES_MAX;

    conn_refuse(conns, conn, err, frame->sequence, fatal);
    return true;
}

static void
park(struct conns *conns, struct conn *conn, const struct frame *frame)
{
    VT_ASSERT(!conn->parked);
    conn->parked = true;
    conn->frame = *frame;
    conns->parked_count++;
}

/* Frames out of one piece. False where one had to be parked, or the connection takes no more. */
static bool
read_piece(struct conns *conns, struct conn *conn, struct conn_piece *piece, const uint8_t *base)
{
    struct vt_bytes input = {base + piece->at, piece->end - piece->at};

    while (takes_input(conns, conn) && !conn->paused) {
        struct frame frame;

        vt_err_clear();
        vt_err err = frame_stream_next(&conn->stream, &input, &frame);

        piece->at = piece->end - (uint32_t)input.size;
        if (err == VT_INCOMPLETE)
            return true;
        conn->frame_ns = 0;
        if (err != VT_OK) {
            conn_refuse(conns, conn, err, 0, true);
            return false;
        }
        if (!frame_settle(conns, conn, &frame)) {
            park(conns, conn, &frame);
            return false;
        }
    }
    return false;
}

static void
piece_done(struct conns *conns, struct conn *conn)
{
    uint16_t buffer = conn->held_first;

    conn->held_first = conns->pieces[buffer].next;
    if (conn->held_first == CONNS_BUFFER_NONE)
        conn->held_last = CONNS_BUFFER_NONE;
    conn->held_count--;
    conns_buffer_put(conns, buffer);
}

void
conn_read(struct conns *conns, struct conn *conn)
{
    if (!takes_input(conns, conn)) {
        conn_drop_input(conns, conn);
        return;
    }
    if (conn->parked) {
        if (!frame_settle(conns, conn, &conn->frame))
            return;
        conn->received_ns = conns->now_ns;
        if (conn->parked) { /* else a fatal error has dropped it */
            conn->parked = false;
            conns->parked_count--;
        }
    }
    if (conn->paused && conn_out_bytes(conn) <= CONNS_OUT_SOFT / 2)
        conn->paused = false;
    while (conn->held_first != CONNS_BUFFER_NONE) {
        uint16_t buffer = conn->held_first;

        if (!read_piece(conns, conn, &conns->pieces[buffer],
                        conns->buffers + (size_t)buffer * CONNS_BUFFER_BYTES))
            return;
        piece_done(conns, conn);
    }
    if (!frame_stream_partial(&conn->stream))
        conn->frame_ns = 0;
    else if (conn->frame_ns == 0)
        conn->frame_ns = conns->now_ns;
}

/* conns.c - see conns.h and conns_internal.h: life of the connections, completions, deadlines. */
#include "conns.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conns_internal.h"
#include "venturi/assert.h"

#define CONNECTIONS_DEFAULT   16384U
#define CREDIT_FRAMES_DEFAULT 64U
#define CREDIT_BYTES_DEFAULT  (UINT32_C(8) << 20)
#define USER_TIMEOUT_MS       30000
#define KEEP_IDLE_S           30
#define KEEP_INTERVAL_S       10
#define KEEP_COUNT            3
#define CLOSE_ROUNDS          200 /* of 10 ms, for the ring to give back what is ours */

/* ---- lists and slots */

void
conn_ready(struct conns *conns, struct conn *conn)
{
    uint32_t slot = conn_slot(conns, conn);

    VT_ASSERT(conn->state != CONN_FREE);
    if (conn->ready)
        return;
    conn->ready = true;
    conn->next_ready = CONNS_SLOT_NONE;
    if (conns->ready_last == CONNS_SLOT_NONE)
        conns->ready_first = slot;
    else
        conns->all[conns->ready_last].next_ready = slot;
    conns->ready_last = slot;
}

void
conn_drop_input(struct conns *conns, struct conn *conn)
{
    if (conn->parked)
        conns->parked_count--;
    conn->parked = false;
    while (conn->held_first != CONNS_BUFFER_NONE) {
        uint16_t next = conns->pieces[conn->held_first].next;

        conns_buffer_put(conns, conn->held_first);
        conn->held_first = next;
    }
    conn->held_last = CONNS_BUFFER_NONE;
    conn->held_count = 0;
    conn->frame_ns = 0;
}

void
conn_kill(struct conns *conns, struct conn *conn)
{
    VT_ASSERT(conn->state != CONN_FREE);
    if (conn->state == CONN_DEAD)
        return;
    conn->state = CONN_DEAD;
    conn_drop_input(conns, conn);
    conn_ready(conns, conn);
}

static void
conn_free(struct conns *conns, struct conn *conn)
{
    uint32_t generation = conn->generation + 1;

    VT_ASSERT(!conn->receiving && !conn->sending && !conn->ready);
    VT_ASSERT(conns->open_count > 0);
    close(conn->fd);
    frame_stream_deinit(&conn->stream);
    free(conn->out[0].data);
    free(conn->out[1].data);
    *conn = (struct conn){
        .fd = -1,
        .state = CONN_FREE,
        .generation = generation,
        .next_ready = conns->free_first,
    };
    conns->free_first = conn_slot(conns, conn);
    conns->open_count--;
}

static struct conn *
slot_take(struct conns *conns)
{
    uint32_t slot = conns->free_first;

    if (slot != CONNS_SLOT_NONE) {
        conns->free_first = conns->all[slot].next_ready;
    } else if (conns->slots_used < conns->slot_count) {
        slot = conns->slots_used++;
    } else {
        return NULL;
    }
    conns->open_count++;
    return &conns->all[slot];
}

/* ---- accepting */

/* A peer that vanished is noticed in half a minute; acks are not held back to be joined. None of
 * these can fail for a reason that would matter. */
static void
socket_tune(int fd)
{
    static const struct socket_option {
        int level;
        int name;
        int value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT},
    };

    for (size_t i = 0; i < VT_COUNT(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
}

static void
conn_accept(struct conns *conns, int fd)
{
    bool over = conns->open_count >= conns->options.connections_max;
    struct conn *conn = conns->stopping ? NULL : slot_take(conns);

    if (conn == NULL) {
        conns->stats.refused++;
        close(fd);
        return;
    }
    *conn = (struct conn){
        .fd = fd,
        .state = CONN_HELLO,
        .generation = conn->generation,
        .held_first = CONNS_BUFFER_NONE,
        .held_last = CONNS_BUFFER_NONE,
        .opened_ns = conns->now_ns,
        .received_ns = conns->now_ns,
        .out_ns = conns->now_ns,
    };
    frame_stream_init(&conn->stream, VT_HELLO_BYTES_MAX);
    socket_tune(fd);
    conn_ready(conns, conn);
    if (over) {
        conns->stats.refused++;
        vt_err_clear();
        (void)vt_err_detail(VT_FULL, "%u connections are open, and no more are allowed",
                            conns->options.connections_max);
        conn_refuse(conns, conn, VT_FULL, 0, true);
    } else {
        conns->stats.accepted++;
    }
}

/* ---- completions */

static void
accept_completed(struct conns *conns, int32_t result, uint32_t flags)
{
    if ((flags & IORING_CQE_F_MORE) == 0) {
        VT_ASSERT(conns->ring_ops > 0);
        conns->accepting = false;
        conns->ring_ops--;
    }
    if (result >= 0) {
        conn_accept(conns, result);
    } else if (result != -ECANCELED && result != -EINTR && result != -ECONNABORTED) {
        /* No descriptor or memory is left: those who knock wait in the kernel's queue. */
        conns->accept_ns = conns->now_ns + CONNS_ACCEPT_NS;
    }
}

static void
conn_hold(struct conns *conns, struct conn *conn, uint16_t buffer, uint32_t size)
{
    VT_ASSERT(buffer < CONNS_BUFFER_COUNT);
    VT_ASSERT(size <= CONNS_BUFFER_BYTES);
    conns->pieces[buffer] = (struct conn_piece){0, size, CONNS_BUFFER_NONE};
    if (conn->held_last == CONNS_BUFFER_NONE)
        conn->held_first = buffer;
    else
        conns->pieces[conn->held_last].next = buffer;
    conn->held_last = buffer;
    conn->held_count++;
}

static void
receive_completed(struct conns *conns, struct conn *conn, int32_t result, uint32_t flags)
{
    bool wanted = conn->state == CONN_HELLO || conn->state == CONN_OPEN;

    VT_ASSERT(conn->receiving);
    if ((flags & IORING_CQE_F_MORE) == 0) {
        VT_ASSERT(conns->ring_ops > 0);
        conn->receiving = false;
        conn->cancelling = false;
        conns->ring_ops--;
    }
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        uint16_t buffer = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);

        VT_ASSERT(conns->buffers_free > 0);
        conns->buffers_free--;
        if (result > 0 && wanted)
            conn_hold(conns, conn, buffer, (uint32_t)result);
        else
            conns_buffer_put(conns, buffer);
    }
    if (result > 0) {
        conns->stats.bytes_received += (uint32_t)result;
        conn->received_ns = conns->now_ns;
    } else if (result == 0) {
        conn->peer_closed = true;
    } else if (result != -ENOBUFS && result != -ECANCELED && result != -EINTR &&
               result != -EAGAIN && result != -ENOMEM) {
        conn_kill(conns, conn);
    }
    conn_ready(conns, conn);
}

static void
send_completed(struct conns *conns, struct conn *conn, int32_t result)
{
    VT_ASSERT(conn->sending && conns->ring_ops > 0);
    conn->sending = false;
    conns->ring_ops--;
    if (result >= 0)
        conn_sent(conns, conn, (uint32_t)result);
    else if (result != -EINTR && result != -EAGAIN && result != -ENOMEM)
        conn_kill(conns, conn);
    conn_ready(conns, conn);
}

void
conns_complete(struct conns *conns, uint64_t user_data, int32_t result, uint32_t flags)
{
    enum conn_op op = (enum conn_op)(user_data >> 2 & 63);
    uint32_t slot = (uint32_t)(user_data >> 8);

    VT_ASSERT((user_data & 3) == 1);
    VT_ASSERT(slot < conns->slot_count);
    struct conn *conn = &conns->all[slot];

    switch (op) {
    case OP_ACCEPT:
        accept_completed(conns, result, flags);
        return;
    case OP_RECEIVE:
        receive_completed(conns, conn, result, flags);
        return;
    case OP_SEND:
        send_completed(conns, conn, result);
        return;
    case OP_CANCEL:
        return; /* what was cancelled tells the rest */
    }
    VT_ASSERT(false);
}

/* ---- rounds */

/* Starts or ends the receive. False where the ring had no room, or no buffer is free. */
static bool
conn_listen(struct conns *conns, struct conn *conn)
{
    bool held_up = conn->parked || conn->paused;

    if (conn->peer_closed || conn->state == CONN_DEAD)
        return true;
    /* Where waiting connections hold all buffers, a receive would end at once. */
    if (!conn->receiving)
        return held_up || (conns->buffers_free > 0 && conn_try_receive(conns, conn));
    if (held_up && !conn->cancelling && conn->held_count >= CONNS_HELD_MAX)
        return conn_try_cancel_receive(conns, conn);
    return true;
}

/* What follows once nothing is left to send. */
static void
conn_finish(struct conns *conns, struct conn *conn)
{
    bool quiet = conn->in_flight_frames == 0 && conn_out_bytes(conn) == 0;

    if (conn->state == CONN_CLOSING && quiet) {
        conn->state = CONN_LINGER;
        conn->closing_ns = conns->now_ns;
        (void)shutdown(conn->fd, SHUT_WR); /* the peer may be gone already */
    }
    if (conn->peer_closed && quiet && !conn->parked && conn->held_count == 0)
        conn->state = CONN_DEAD;
    if (conn->state == CONN_LINGER && conn->peer_closed)
        conn->state = CONN_DEAD;
}

static void
conn_serve(struct conns *conns, struct conn *conn)
{
    bool room = true;

    if (conns->stopping && conn->in_flight_frames == 0) {
        vt_err_clear();
        conn_refuse(conns, conn, VT_STOPPING, 0, true);
    }
    conn_read(conns, conn);
    conn_finish(conns, conn);
    if (conn->state == CONN_DEAD) {
        if (!conn->shut)
            (void)shutdown(conn->fd, SHUT_RDWR); /* ends what is on the ring */
        conn->shut = true;
        conn_drop_input(conns, conn);
        if (!conn->receiving && !conn->sending && !conn->ready)
            conn_free(conns, conn);
        return;
    }
    if (!conn->sending && conn_out_bytes(conn) > 0)
        room = conn_try_send(conns, conn);
    if (!conn_listen(conns, conn) || !room || conn->parked)
        conn_ready(conns, conn);
}

/* VT_OK, or why the connection has to end. */
static vt_err
conn_overdue(const struct conns *conns, const struct conn *conn)
{
    const struct conns_deadlines *deadlines = &conns->options.deadlines;
    int64_t now = conns->now_ns;

    if (conn->state == CONN_HELLO && now - conn->opened_ns > deadlines->hello_s * NS_PER_S)
        return vt_err_detail(VT_DEADLINE, "no hello within %u s", deadlines->hello_s);
    if (conn->frame_ns != 0 && now - conn->frame_ns > deadlines->frame_s * NS_PER_S)
        return vt_err_detail(VT_DEADLINE, "a frame was not whole within %u s", deadlines->frame_s);
    if (conn->in_flight_frames == 0 && now - conn->received_ns > deadlines->idle_s * NS_PER_S)
        return vt_err_detail(VT_DEADLINE, "nothing came for %u s", deadlines->idle_s);
    return VT_OK;
}

static void
conn_check_deadlines(struct conns *conns, struct conn *conn)
{
    int64_t now = conns->now_ns;

    if (conn->state == CONN_FREE || conn->state == CONN_DEAD)
        return;
    bool stuck = conn_out_bytes(conn) > 0 &&
                 now - conn->out_ns > conns->options.deadlines.output_s * NS_PER_S;
    bool lingered = conn->state == CONN_LINGER && now - conn->closing_ns > CONNS_LINGER_NS;
    bool late = conns->stopping && now - conns->stopping_ns > 2 * CONNS_LINGER_NS &&
                conn->in_flight_frames == 0;

    if (stuck || lingered || late) {
        conns->stats.closed_by_deadline += stuck;
        conn_kill(conns, conn);
        return;
    }
    if (conn->state != CONN_HELLO && conn->state != CONN_OPEN)
        return;
    if (conn->parked || conn->paused) { /* it waits for us */
        conn->received_ns = now;
        if (conn->frame_ns != 0)
            conn->frame_ns = now;
        if (conn->state == CONN_HELLO)
            conn->opened_ns = now;
        return;
    }
    vt_err_clear();
    if (conn_overdue(conns, conn) != VT_OK) {
        conns->stats.closed_by_deadline++;
        conn_refuse(conns, conn, VT_DEADLINE, 0, true);
    } else if (now - conn->received_ns > CONNS_SHRINK_NS) {
        frame_stream_shrink(&conn->stream);
    }
}

/* What a peer sent while this thread did other things lies in the kernel still: such a time does
 * not count against it. */
static void
time_pass(struct conns *conns, int64_t now_ns)
{
    int64_t passed_ns = conns->pumped_ns == 0 ? CONNS_ROUND_NS : now_ns - conns->pumped_ns;

    VT_ASSERT(passed_ns >= 0);
    conns->pumped_ns = now_ns;
    conns->now_ns += passed_ns > CONNS_ROUND_NS ? CONNS_ROUND_NS : passed_ns;
}

void
conns_pump(struct conns *conns, struct vt_mono now)
{
    time_pass(conns, now.ns);
    conns->core_full = false;
    if (conns->stopping && conns->stopping_ns == 0)
        conns->stopping_ns = conns->now_ns;
    if (!conns->accepting && !conns->stopping && conns->now_ns >= conns->accept_ns)
        (void)conns_try_accept(conns); /* no room on the ring: the next round */
    if (conns->now_ns >= conns->sweep_ns) {
        conns->sweep_ns = conns->now_ns + CONNS_SWEEP_NS;
        for (uint32_t slot = 0; slot < conns->slots_used; slot++)
            conn_check_deadlines(conns, &conns->all[slot]);
    }
    uint32_t slot = conns->ready_first;

    /* What becomes ready meanwhile is for the next round. */
    conns->ready_first = CONNS_SLOT_NONE;
    conns->ready_last = CONNS_SLOT_NONE;
    while (slot != CONNS_SLOT_NONE) {
        struct conn *conn = &conns->all[slot];

        slot = conn->next_ready;
        conn->ready = false;
        conn_serve(conns, conn);
    }
}

bool
conns_waiting(const struct conns *conns)
{
    return conns->parked_count > 0;
}

/* ---- life */

static void
deadlines_fill(struct conns_deadlines *deadlines)
{
    if (deadlines->hello_s == 0)
        deadlines->hello_s = 5;
    if (deadlines->frame_s == 0)
        deadlines->frame_s = 10;
    if (deadlines->idle_s == 0)
        deadlines->idle_s = 60;
    if (deadlines->output_s == 0)
        deadlines->output_s = 60;
}

static vt_err
conns_fill(struct conns *conns)
{
    struct conns_options *options = &conns->options;

    if (options->connections_max == 0)
        options->connections_max = CONNECTIONS_DEFAULT;
    if (options->frame_bytes_max == 0)
        options->frame_bytes_max = VT_FRAME_BYTES_MAX;
    if (options->credit_frames == 0)
        options->credit_frames = CREDIT_FRAMES_DEFAULT;
    if (options->credit_bytes == 0)
        options->credit_bytes = CREDIT_BYTES_DEFAULT;
    deadlines_fill(&options->deadlines);
    conns->slot_count = options->connections_max + CONNS_SPARE_SLOTS;
    conns->free_first = CONNS_SLOT_NONE;
    conns->ready_first = CONNS_SLOT_NONE;
    conns->ready_last = CONNS_SLOT_NONE;
    conns->all = calloc(conns->slot_count, sizeof *conns->all);
    conns->waiters = calloc(CONNS_WAITERS_MAX, sizeof *conns->waiters);
    if (conns->all == NULL || conns->waiters == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < CONNS_WAITERS_MAX; i++) {
        conns->waiters[i].next = conns->waiter_free;
        conns->waiter_free = &conns->waiters[i];
    }
    return conns_buffers_open(conns);
}

/* Nothing may be on the ring. */
static void
conns_release(struct conns *conns)
{
    VT_ASSERT(conns->ring_ops == 0);
    conns_buffers_close(conns);
    close(conns->options.listen_fd);
    free(conns->all);
    free(conns->waiters);
    free(conns);
}

vt_err
conns_open(const struct conns_options *options, struct conns **out_conns)
{
    VT_ASSERT(options->listen_fd >= 0);
    VT_ASSERT(options->connections_max < (UINT32_C(1) << 24));
    struct conns *conns = calloc(1, sizeof *conns);

    if (conns == NULL) {
        close(options->listen_fd);
        return VT_NOMEM;
    }
    conns->options = *options;
    conns->ring = io_uring_ring(options->io);
    VT_ASSERT(conns->ring != NULL);
    vt_err err = conns_fill(conns);

    if (err != VT_OK) {
        conns_release(conns);
        return err;
    }
    *out_conns = conns;
    return VT_OK;
}

/* Until the ring holds nothing of ours; the io delivers other owners' completions as ever. */
static bool
ring_drain(struct conns *conns)
{
    for (uint32_t round = 0; round < CLOSE_ROUNDS && conns->ring_ops > 0; round++) {
        if (conns->accepting && round % 16 == 0)
            (void)conns_try_cancel_accept(conns);
        if (io_poll(conns->options.io, 10 * NS_PER_MS) != VT_OK)
            return false;
    }
    return conns->ring_ops == 0;
}

void
conns_close(struct conns *conns)
{
    if (conns == NULL)
        return;
    conns->stopping = true;
    for (uint32_t slot = 0; slot < conns->slots_used; slot++) {
        struct conn *conn = &conns->all[slot];

        if (conn->state == CONN_FREE)
            continue;
        conn_kill(conns, conn);
        (void)shutdown(conn->fd, SHUT_RDWR); /* ends what is on the ring */
    }
    /* Else the kernel still holds buffers of ours: better lost than written to later. */
    if (!ring_drain(conns))
        return;
    for (uint32_t slot = 0; slot < conns->slots_used; slot++) {
        conns->all[slot].ready = false;
        if (conns->all[slot].state != CONN_FREE)
            conn_free(conns, &conns->all[slot]);
    }
    conns_release(conns);
}

void
conns_stop(struct conns *conns)
{
    conns->stopping = true;
    if (conns->accepting)
        (void)conns_try_cancel_accept(conns); /* else who still comes is turned away */
    for (uint32_t slot = 0; slot < conns->slots_used; slot++)
        if (conns->all[slot].state != CONN_FREE)
            conn_ready(conns, &conns->all[slot]);
}

bool
conns_idle(const struct conns *conns)
{
    if (conns->ready_first != CONNS_SLOT_NONE)
        return false;
    for (uint32_t slot = 0; slot < conns->slots_used; slot++) {
        const struct conn *conn = &conns->all[slot];

        if (conn->state == CONN_FREE || conn->state == CONN_DEAD)
            continue;
        if (conn->in_flight_frames > 0 || conn_out_bytes(conn) > 0)
            return false;
    }
    return true;
}

void
conns_get_stats(const struct conns *conns, struct conns_stats *out_stats)
{
    *out_stats = conns->stats;
    out_stats->open = conns->open_count;
}

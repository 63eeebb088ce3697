/*
 * conns_internal.h - what the files of the connections share. conns.c has life, completions and
 * deadlines, conns_ring.c the entries and buffers of the ring, conns_frames.c what frames mean.
 *
 * A CONNECTION
 *
 *   accept ──▶ HELLO ──hello──▶ OPEN ──fatal error──▶ CLOSING ──all sent──▶ LINGER ──▶ DEAD ──▶
 *                FREE │                │                                            ▲         ▲
 *                └── bad hello, deadline ──▶ CLOSING                           └ EOF, 2 s┘
 *
 * In CLOSING and LINGER what arrives is thrown away: closing a socket with unread bytes in it would
 * reset the connection, and the peer might never read why. DEAD waits for the ring to give back
 * what it holds.
 *
 * Completions only note what happened and put the connection on the ready list; conns_pump does the
 * work. So the core is called from one place only, never from within its own poll.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "conns.h"
#include "frame_stream.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

#define CONNS_SLOT_NONE    UINT32_MAX
#define CONNS_SPARE_SLOTS  64U /* for telling those beyond the limit why */
#define CONNS_BUFFER_COUNT 256U
#define CONNS_BUFFER_BYTES (UINT32_C(64) << 10)
#define CONNS_BUFFER_NONE  UINT16_MAX
#define CONNS_HELD_MAX     8U /* buffers of one connection that is not read on: then no more come */
#define CONNS_WAITERS_MAX  16384U
#define CONNS_OUT_SOFT     (UINT32_C(8) << 20) /* above it the peer's frames are not read */
/* What is in flight when reading stops may still add 64 acks of 65,536 verdicts, 32 MiB. */
#define CONNS_OUT_HARD    (UINT32_C(64) << 20)
#define CONNS_OUT_KEEP    (UINT32_C(64) << 10) /* of a buffer that is empty again */
#define CONNS_STRIKES_MAX 3U
#define CONNS_SHRINK_NS   (5 * NS_PER_S) /* of silence: then a buffer that grew is given back */
#define CONNS_LINGER_NS   (2 * NS_PER_S)
#define CONNS_SWEEP_NS    (100 * NS_PER_MS)
#define CONNS_ROUND_NS    (200 * NS_PER_MS) /* rounds are not further apart, unless we are busy */
#define CONNS_ACCEPT_NS   (100 * NS_PER_MS) /* a pause after a failed accept */
#define CONNS_ERROR_TEXT  512U

_Static_assert(CONNS_BUFFER_COUNT < CONNS_BUFFER_NONE, "numbers of buffers");

enum conn_state { CONN_FREE = 0, CONN_HELLO, CONN_OPEN, CONN_CLOSING, CONN_LINGER, CONN_DEAD };

enum conn_op { OP_ACCEPT = 1, OP_RECEIVE, OP_SEND, OP_CANCEL };

/* Frames that go out. One buffer is the kernel's while it is being sent, the other one fills. */
struct conn_out {
    uint8_t *data;
    uint32_t size;
    uint32_t capacity;
};

struct conn {
    int fd;
    uint8_t state; /* enum conn_state */
    uint8_t strikes;
    bool ready;       /* stands in the ready list */
    bool receiving;   /* a receive is on the ring */
    bool cancelling;  /* and was asked to end */
    bool sending;     /* out[out_at] is the kernel's */
    bool parked;      /* `frame` waits for the core */
    bool paused;      /* the peer takes no acks */
    bool peer_closed; /* it will send no more */
    bool shut;
    uint32_t generation; /* of the slot; waiters of an earlier one are dropped */
    uint32_t next_ready; /* or next_free */

    struct frame_stream stream;
    struct frame frame; /* parked; lies in the stream's buffer or in the first held one */
    uint16_t held_first;
    uint16_t held_last;
    uint32_t held_count;

    struct conn_out out[2];
    uint32_t out_at;   /* the one that is sent, or will be next */
    uint32_t out_sent; /* bytes of it */

    uint32_t in_flight_frames;
    uint32_t in_flight_bytes;

    int64_t opened_ns;
    int64_t received_ns; /* last time that bytes came */
    int64_t frame_ns;    /* first byte of the unfinished frame; 0: none */
    int64_t out_ns;      /* last progress of the output */
    int64_t closing_ns;  /* start of CLOSING or LINGER */

    struct vt_str tenant; /* of the token; empty: any */
    uint64_t producer;    /* 0: no session */
    uint64_t epoch;
};

/* A frame that the core has. */
struct conn_waiter {
    struct waiter waiter; /* must be first */
    uint32_t slot;
    uint32_t generation;
    uint32_t bytes;
    struct conn_waiter *next; /* free ones */
};

/* What is left of a received piece. */
struct conn_piece {
    uint32_t at;
    uint32_t end;
    uint16_t next;
};

struct conns {
    struct conns_options options;
    struct io_uring *ring;
    int64_t pumped_ns; /* the clock at the last round */
    int64_t now_ns;    /* grows by CONNS_ROUND_NS a round at most; all times below are of it */
    int64_t sweep_ns;  /* next */
    int64_t accept_ns; /* not before */
    bool accepting;
    bool stopping;
    bool core_full; /* this round: the core said VT_AGAIN */
    int64_t stopping_ns;
    uint32_t ring_ops; /* accept, receives and sends on the ring */

    uint32_t slot_count;
    uint32_t open_count;
    uint32_t slots_used; /* those above were never open */
    uint32_t free_first;
    uint32_t ready_first;
    uint32_t ready_last;
    uint32_t parked_count;
    struct conn *all; /* [slot_count] */

    struct conn_waiter *waiters; /* [CONNS_WAITERS_MAX] */
    struct conn_waiter *waiter_free;

    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
    struct conn_piece pieces[CONNS_BUFFER_COUNT];
    uint32_t buffers_free; /* the kernel's */

    struct conns_stats stats;
};

static inline uint32_t
conn_slot(const struct conns *conns, const struct conn *conn)
{
    return (uint32_t)(conn - conns->all);
}

/* conns.c */
void conn_ready(struct conns *conns, struct conn *conn);
/* Nothing more is read or sent; the peer is not told. */
void conn_kill(struct conns *conns, struct conn *conn);
/* Forgets what was received and not yet taken. */
void conn_drop_input(struct conns *conns, struct conn *conn);

/* conns_ring.c. The try_ functions give false where the ring has no entry left: next round. */
VT_MUST_CHECK vt_err conns_buffers_open(struct conns *conns);
void conns_buffers_close(struct conns *conns);
void conns_buffer_put(struct conns *conns, uint16_t buffer);
bool conns_try_accept(struct conns *conns);
bool conns_try_cancel_accept(struct conns *conns);
bool conn_try_receive(struct conns *conns, struct conn *conn);
bool conn_try_cancel_receive(struct conns *conns, struct conn *conn);
bool conn_try_send(struct conns *conns, struct conn *conn);
void conn_sent(struct conns *conns, struct conn *conn, uint32_t bytes);
/* Room for a frame's payload at the end of the output, or NULL (the connection is then dead). The
 * caller fills it and calls conn_out_end. */
uint8_t *conn_out_begin(struct conns *conns, struct conn *conn, uint32_t payload_bytes);
void conn_out_end(struct conns *conns, struct conn *conn, enum vt_frame_type type,
                  uint64_t sequence);
uint32_t conn_out_bytes(const struct conn *conn);

/* conns_frames.c */
/* Takes frames out of what was received, until there is none, or one must wait. */
void conn_read(struct conns *conns, struct conn *conn);
/* An ERROR frame; with `fatal` the connection ends once it is sent. */
void conn_refuse(struct conns *conns, struct conn *conn, vt_err err, uint64_t sequence, bool fatal);

/*
 * conns.h - the frame protocol of include/venturi/wire.h over one io_uring: a listener (multishot
 * accept), connections (multishot receive into provided buffers), frames out of the stream, acks
 * back.
 *
 * A connection: HELLO within its deadline (5 s) and 512 bytes, else closed; then batches within its
 * credit. A frame must be whole within 10 s of its first byte; a peer that takes none of its acks
 * for 60 s, or sends nothing and has nothing in flight for 60 s, is closed. A frame that the core
 * cannot take now (VT_AGAIN) waits in the connection, which is not read on meanwhile: back-pressure
 * reaches the peer by TCP, and no deadline runs against a peer that waits for us.
 *
 * Life:   conns_open, then conns_complete for each completion of the ring that is theirs,
 *         conns_pump after each round; conns_close when none is open or at the end.
 * Memory: all tables at open; a connection's buffer grows to frame_bytes_max at most.
 * Thread: the front thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "storage/io.h"
#include "token.h"
#include "venturi/time.h"
#include "waiter.h"

struct conns;

/* In seconds; 0 stands for what is named. */
struct conns_deadlines {
    uint32_t hello_s;  /* from the connection to a whole hello; 5 */
    uint32_t frame_s;  /* from a frame's first byte to its last; 10 */
    uint32_t idle_s;   /* without a byte from the peer, and nothing of it in flight; 60 */
    uint32_t output_s; /* without the peer's taking a byte of what waits for it; 60 */
};

struct conns_options {
    struct io *io; /* its ring is shared: user data of ours has bit 0 set and bit 1 clear */
    struct core *core;
    const struct tokens *tokens;
    int listen_fd;            /* bound and listening; ours from here on */
    uint32_t connections_max; /* 0: 16384 */
    uint32_t frame_bytes_max; /* 0: VT_FRAME_BYTES_MAX */
    uint32_t credit_frames;   /* 0: 64 */
    uint32_t credit_bytes;    /* 0: 8 MiB */
    uint64_t history;         /* of the store, for the welcome */
    struct conns_deadlines deadlines;
};
VT_MUST_CHECK vt_err conns_open(const struct conns_options *options, struct conns **out_conns);
void conns_close(struct conns *conns); /* NULL is allowed */

/* A completion with bits 0 and 1 of its user data 1 and 0. It is only noted. */
void conns_complete(struct conns *conns, uint64_t user_data, int32_t result, uint32_t flags);

/* Frames that waited, deadlines, sends: after each round of completions. `now` is monotonic. */
void conns_pump(struct conns *conns, struct vt_mono now);

/* Whether a frame waits because the core said VT_AGAIN. */
bool conns_waiting(const struct conns *conns);

/* core's acked() for a waiter of a connection (waiter->kind WAITER_CONN). */
void conns_acked(struct conns *conns, void *waiter, const struct core_ack *ack);

/* No new connections or frames; what is in flight is still acked. */
void conns_stop(struct conns *conns);
bool conns_idle(const struct conns *conns); /* nothing to ack or send */

struct conns_stats {
    uint64_t open;
    uint64_t accepted;
    uint64_t refused;
    uint64_t frames;
    uint64_t bytes_received;
    uint64_t closed_by_deadline;
    uint64_t errors_sent;
};
void conns_get_stats(const struct conns *conns, struct conns_stats *out_stats);

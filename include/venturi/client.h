/*
 * client.h - sends batches to a daemon and brings back what became of every event, over broken
 * connections and restarted daemons: nothing is lost and, in a producer session, nothing counted
 * twice. Frames are kept until they are settled; after a reconnect the welcome says which of them
 * are durable already, and the others are sent again.
 *
 * Settled means one of: acked() with the verdicts; acked() with `resumed`, where the frame is known
 * to be durable and counted but the ack with its verdicts was lost; refused(), where the daemon
 * kept nothing of it.
 *
 * A daemon whose disk is full (VT_DISK_FULL) takes nothing until there is space. With full_ms the
 * client waits for that long: it sends nothing new, and one frame a second, until that one is
 * taken.
 *
 * Without a producer there is no such knowledge: all unsettled frames are sent again, and events
 * that had arrived come back as duplicates by their ids.
 *
 * Life:   vt_client_open connects, then vt_client_send any number of times, vt_client_flush,
 *         vt_client_close (which drops what is not settled).
 * Errors: after an error of send, poll or flush the client is broken and gives the same error; the
 *         detail is in vt_err_last(). It never prints.
 * Thread: one at a time; callbacks run inside send, poll and flush and must not call the client.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"
#include "venturi/wire.h"

struct vt_client;

struct vt_client_ack {
    uint64_t sequence;
    uint64_t position; /* queries that name it see the batch; 0 where resumed */
    uint32_t event_count;
    uint32_t accepted; /* unknown, and 0, where resumed */
    uint32_t verdict_count;
    const struct vt_ack_entry *verdicts; /* of the events not simply accepted; for the call */
    bool resumed;
};

struct vt_client_refusal {
    uint64_t sequence;
    uint32_t event_count;
    vt_err err;
    struct vt_str text; /* the daemon's; for the call */
};

struct vt_client_options {
    const char *address; /* HOST:PORT */
    struct vt_str token;
    struct vt_str producer; /* empty: no session; see wire.h for '!' */
    uint64_t epoch;
    uint32_t connect_ms; /* for one attempt, hello included; 0: 5000 */
    uint32_t silence_ms; /* without an answer that is due, the connection is given up; 0: 30000 */
    uint64_t away_ms;    /* how long a call tries to get a connection (back) */
    /* How long to wait for a daemon whose disk is full; then the client is broken with
     * VT_DISK_FULL. 0: its frames are refused like others. */
    uint64_t full_ms;
    void (*acked)(void *context, const struct vt_client_ack *ack);
    /* The disk is full, as `text` says; text NULL: no longer. May be NULL. */
    void (*waiting)(void *context, const struct vt_str *text);
    void (*refused)(void *context, const struct vt_client_refusal *refusal);
    void *context;
};

/* What the last welcome said. */
struct vt_client_info {
    uint32_t frame_bytes_max;
    uint32_t batch_events_max;
    uint32_t credit_frames;
    uint32_t credit_bytes;
    uint64_t sequence_first; /* of the first event to be sent after open; 1 in a new epoch */
    uint64_t sequence_next;  /* of the next event to be sent */
    uint64_t position;
    uint64_t history;
    uint64_t reconnects;
};

/* Strings are copied. Returns once the daemon has said welcome. */
VT_MUST_CHECK vt_err vt_client_open(const struct vt_client_options *options,
                                    struct vt_client **out_client);
void vt_client_close(struct vt_client *client); /* NULL is allowed */

void vt_client_get_info(const struct vt_client *client, struct vt_client_info *out_info);

/* Queues a batch (its payload is copied) under the next sequences and sends what the credit allows;
 * waits where as much is in flight as the credit allows. VT_TOO_LARGE and VT_BAD_LENGTH refuse the
 * batch and leave the client usable. */
VT_MUST_CHECK vt_err vt_client_send(struct vt_client *client, enum vt_frame_type type,
                                    uint32_t event_count, struct vt_bytes payload);

/* Sends and receives; waits at most `wait_ms` for something to happen. */
VT_MUST_CHECK vt_err vt_client_poll(struct vt_client *client, uint32_t wait_ms);

/* Until everything is settled. */
VT_MUST_CHECK vt_err vt_client_flush(struct vt_client *client);

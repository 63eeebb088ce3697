/*
 * call.h - how a thread that is not the front one asks it for something and waits: HTTP handlers.
 * The front thread answers in the order of the log; a view is then read on the caller's thread.
 *
 * Thread: call_wait on any thread but the front one; the rest is the front's.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "conns.h"
#include "engine/engine.h"
#include "waiter.h"

enum call_kind {
    CALL_FRAME = 1, /* a batch: `frame`; result in ack_* */
    CALL_VIEW,      /* result in view */
    CALL_CATALOG,   /* text */
    CALL_CLOSE,     /* close */
    CALL_SETTLE,    /* positions, position_count, retry */
    CALL_STATS,     /* result in stats and conns */
};

struct call {
    struct waiter waiter; /* the server's; must be first */

    /* Filled by the caller; borrowed until call_wait returns. */
    enum call_kind kind;
    struct core_frame frame;
    struct vt_str text;
    struct close_order close;
    const le64 *positions;
    uint32_t position_count;
    bool retry;
    bool want_tenants;

    /* Filled by the front thread. */
    vt_err err;
    char detail[512];
    struct view *view; /* the caller's: view_put, free */
    struct core_stats stats;
    struct conns_stats conns; /* zeros without a frame listener */
    int64_t write_age_ns;     /* with stats */
    uint64_t position;
    uint32_t event_count;
    uint32_t accepted;
    uint32_t settled;
    uint8_t *
        verdicts; /* [event_count]: verdict, then [event_count]: reason; malloc, the caller frees */

    /* The server's. */
    struct call *next;
    struct call *previous;
    bool done;
};

struct server;

/* Hands the call over and waits for its answer. VT_STOPPING where the server ends meanwhile.
 * Returns call->err. */
VT_MUST_CHECK vt_err call_wait(struct server *server, struct call *call);

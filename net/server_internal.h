/*
 * server_internal.h - the state that server.c, server_loop.c and server_call.c share. All of it is
 * the front thread's but the mailbox (its mutex) and `stopping` (atomic).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "call.h"
#include "conns.h"
#include "engine/engine.h"
#include "http.h"
#include "net.h"
#include "storage/storage.h"
#include "token.h"
#include "worker.h"
#include "zones.h"

struct io_uring;

/* User data of the ring: bit 0 says "not the store's"; bit 1 tells the server's own from the
 * connections'. */
#define SERVER_USER_DATA UINT64_C(3)

struct server {
    struct server_options options;
    struct io *io;      /* with the ring */
    struct io *seal_io; /* the sealer's and the merger's */
    struct store *store;
    struct store_info info;
    struct core *core;
    struct workers *workers;
    struct tokens *tokens;
    struct zones *zones;
    struct conns *conns;
    struct http *http;
    uint16_t frame_port;
    uint32_t lane_count;

    int wake_fd; /* eventfd: workers, sealer, merger, callers and signals wake the front thread */
    uint64_t wake_word; /* where the ring reads it to */
    bool wake_armed;

    pthread_mutex_t mailbox_lock; /* guards mailbox_*, and `done` of the calls */
    pthread_cond_t mailbox_answered;
    struct call *mailbox_first;
    struct call *mailbox_last;
    bool mailbox_closed;
    struct call *waiting_first; /* front thread: calls that met VT_AGAIN */
    struct call *waiting_last;
    struct call *in_core_first; /* handed to the core, not answered */

    int64_t look_ns;  /* the next core_look */
    bool said_full;   /* it was said that the disk is full */
    uint64_t durable; /* at the last round */
    int64_t moved_ns; /* when that changed last, or nothing was in flight */

    _Atomic uint32_t stopping; /* set by server_stop */
    bool draining;
    int64_t drain_ns; /* since */
    bool end_marked;
    struct waiter self; /* the server's own records: the catalog at the start */
    bool self_answered;
};

/* server_loop.c */
int64_t server_wall_us(void);
struct vt_mono server_mono(void);
VT_MUST_CHECK vt_err server_step(struct server *server, int64_t wait_ns);
/* How long nothing has become durable although something is being written; 0: all is well. */
int64_t server_write_age_ns(const struct server *server);

/* server_call.c: front thread's half. */
void server_calls_take(struct server *server);
void server_calls_close(struct server *server);
void server_call_acked(struct server *server, struct call *call, const struct core_ack *ack);
void server_call_viewed(struct server *server, struct call *call, struct view *view, vt_err err);

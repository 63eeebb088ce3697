/*
 * net.h - facade of the front end: the daemon's threads, the frame protocol over io_uring, HTTP.
 * tools/venturid includes this and wires it to a store.
 *
 *   front thread    the ring: sockets, lanes, timers; the core's front side
 *   workers         core_work, each its partitions
 *   sealer          core_seal
 *   merger          core_merge, at a low priority; its edits are the sealer's
 *   HTTP threads    libmicrohttpd's; they reach the front thread by struct call (call.h) and read
 *                   views themselves
 *
 * Life:   server_open (recovers, listens), server_run until server_stop, server_close.
 * Thread: server_run makes its caller the front thread; server_open must be called on that same
 *         thread (the ring has one issuer). server_stop may be called from a signal handler.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/err.h"

struct server;

struct server_options {
    const char *data_dir;
    const char *catalog_path; /* applied at the start; NULL: the store's own */
    const char *listen;       /* "HOST:PORT"; port 0 picks one; NULL: no frame listener */
    const char *http;         /* the same for HTTP; NULL: none */
    uint32_t workers;         /* 0: one less than the processors, at least one */
    uint32_t partitions;      /* of a new store; 0: 16 */
    uint32_t lanes;           /* of a new store; 0: 4 */
    uint64_t lane_bytes;      /* of a new store; 0: 64 MiB */
    uint64_t dedup_ids_max;   /* 0: 64 Mi */
    uint64_t cut_bytes;       /* 0: 64 MiB */
    uint32_t hello_s;         /* deadlines of a frame connection in seconds; 0: see conns.h */
    uint32_t frame_s;
    uint32_t idle_s;
    uint32_t output_s;
};

/* The ports that were taken, after server_open; 0 where there is no listener. */
struct server_ports {
    uint16_t frames;
    uint16_t http;
};

/* Whether it is HOST:PORT; VT_INVALID says what is not. */
VT_MUST_CHECK vt_err server_address_check(const char *address);

VT_MUST_CHECK vt_err server_open(const struct server_options *options, struct server **out_server);
void server_get_ports(const struct server *server, struct server_ports *out_ports);

/* Serves until server_stop, then drains: no new frames, acks what is durable, an end mark. VT_OK
 * after a clean stop; else what stopped it, with a detail. */
VT_MUST_CHECK vt_err server_run(struct server *server);
void server_stop(struct server *server);  /* async-signal-safe */
void server_close(struct server *server); /* NULL is allowed */

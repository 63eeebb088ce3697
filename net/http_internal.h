/*
 * http_internal.h - what the files of the HTTP face share: a request from its head to its answer.
 *
 *   RECEIVING --body complete--> QUEUED (connection suspended) --job--> ANSWERED --> sent, freed
 *       \--refused at its head: what is left of a small body is read and dropped --> ANSWERED
 *
 * Thread: libmicrohttpd's own threads only move bytes: they own a request but while it is QUEUED,
 *         when it is a job thread's. Job threads do what waits or computes, so that a long query
 *         delays no other connection.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <microhttpd.h>

#include "call.h"
#include "http.h"
#include "http_problem.h"
#include "http_query.h"
#include "http_spool.h"
#include "server_internal.h"

#define HTTP_JOBS_MAX      16
#define HTTP_STATUSES_MAX  24
#define HTTP_CURSOR_BYTES  128
#define HTTP_BODIES_MAX    (UINT64_C(256) << 20) /* bytes of all bodies together */
#define HTTP_EVENTS_MAX    (UINT64_C(16) << 20)
#define HTTP_CATALOG_MAX   (UINT64_C(8) << 20)
#define HTTP_ORDER_MAX     (UINT64_C(1) << 20)
#define HTTP_FEED_LIMIT    UINT64_C(1000)
#define HTTP_LIMIT_MAX     UINT64_C(100000)
#define HTTP_JSON_LINES    "application/x-ndjson"
#define HTTP_JSON          "application/json"
#define HTTP_RETRY_AFTER_S "1"

enum request_state { REQUEST_RECEIVING = 1, REQUEST_REFUSED, REQUEST_QUEUED, REQUEST_ANSWERED };

struct http_request;

struct http_route {
    const char *method;
    const char *path;
    uint32_t scopes; /* 0: no token is asked for */
    bool any_tenant; /* a token that is bound to one tenant is refused */
    struct http_params params;
    uint64_t body_max;
    vt_err (*handle)(struct http_request *request);
};
extern const struct http_route http_routes[];
extern const uint32_t http_route_count;

struct http_request {
    struct http *http;
    struct MHD_Connection *connection;
    const struct http_route *route; /* NULL: none fits */
    enum request_state state;
    struct token_grant grant;
    struct http_pair pairs[HTTP_PARAMS_MAX];
    uint32_t pair_count;
    struct http_query query;
    uint8_t *body; /* malloc */
    uint64_t body_bytes;
    uint64_t body_capacity;
    uint64_t body_dropped; /* of a refused request */
    struct http_request *next;

    /* The answer. */
    uint32_t status;
    const char *content_type;
    const char *allow; /* methods, with 405 */
    struct spool spool;
    uint64_t position;
    char cursor[HTTP_CURSOR_BYTES];
};

struct http {
    struct http_options options;
    struct MHD_Daemon *daemon;
    uint16_t port;
    struct vt_mono started;

    pthread_mutex_t lock; /* guards first, last, closing */
    pthread_cond_t wanted;
    struct http_request *first;
    struct http_request *last;
    bool closing;
    pthread_t jobs[HTTP_JOBS_MAX];
    uint32_t job_count;

    _Atomic uint64_t position;    /* the greatest that an answer named */
    _Atomic uint64_t body_bytes;  /* held by requests */
    _Atomic uint64_t connections; /* open now */
    _Atomic uint64_t answers[HTTP_STATUSES_MAX];
};

/* http_request.c: for handlers, on a job thread. */

/* A call whose detail becomes this thread's. */
VT_MUST_CHECK vt_err request_call(struct http_request *request, struct call *call);
/* A view; notes its position. request_view_put gives it back; NULL is allowed. */
VT_MUST_CHECK vt_err request_view(struct http_request *request, bool want_tenants,
                                  struct view **out_view);
void request_view_put(struct view *view);
/* Puts what the engine prints into the answer. */
struct view_sink request_sink(struct http_request *request);
/* The text of `out` as the whole or a part of the answer; empties it. */
VT_MUST_CHECK vt_err request_put(struct http_request *request, struct json_out *out);
void request_position(struct http_request *request, uint64_t position);
/* The answer becomes a problem. status 0: that of err. */
void request_refuse(struct http_request *request, vt_err err, uint32_t status);
/* Index in http->answers. */
uint32_t http_status_index(uint32_t status);
uint32_t http_status_at(uint32_t index);

/* Handlers. */
vt_err handle_live(struct http_request *request);
vt_err handle_ready(struct http_request *request);
vt_err handle_metrics(struct http_request *request);
vt_err handle_windows(struct http_request *request);
vt_err handle_lines(struct http_request *request);
vt_err handle_unrated(struct http_request *request);
vt_err handle_summary(struct http_request *request);
vt_err handle_feed(struct http_request *request);
vt_err handle_events(struct http_request *request);
vt_err handle_close(struct http_request *request);
vt_err handle_catalog_get(struct http_request *request);
vt_err handle_catalog_apply(struct http_request *request);
vt_err handle_catalog_diff(struct http_request *request);
vt_err handle_exceptions(struct http_request *request);
vt_err handle_retry(struct http_request *request);
vt_err handle_discard(struct http_request *request);

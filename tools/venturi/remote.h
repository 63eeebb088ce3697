/*
 * remote.h - one request to a daemon's HTTP face, by libcurl. What it answers goes to standard
 * output as it comes, or into memory; a problem (RFC 9457) becomes this thread's error detail.
 *
 * Life:   remote_open, remote_do any number of times (one connection), remote_close.
 * Errors: the error that the daemon names, with its detail; VT_IO where no answer came, or where
 *         standard output takes no more.
 * Thread: the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define REMOTE_PARAMS_MAX   8
#define REMOTE_CURSOR_BYTES 256
#define REMOTE_TEXT_MAX     (UINT64_C(64) << 20) /* kept in memory */

struct remote;

struct remote_param {
    const char *name;
    const char *value; /* NULL: left away */
};

struct remote_request {
    const char *path; /* "/v1/windows" */
    bool post;
    struct vt_bytes body; /* with post */
    struct remote_param params[REMOTE_PARAMS_MAX];
    bool keep; /* the answer stays in memory and is not printed */
    /* Asked about once a second while nothing of the answer has come; true ends the request with
     * VT_CANCELLED. NULL: it is waited for. */
    bool (*given_up)(void *context);
    void *context;
};

struct remote_answer {
    uint64_t bytes;
    char cursor[REMOTE_CURSOR_BYTES]; /* of the header; "" without one */
    const char *text; /* with keep; NULL: empty; terminated; until the next request */
};

/* `url` is the daemon's, as in http://127.0.0.1:8080; the token of token_load. */
VT_MUST_CHECK vt_err remote_open(const char *url, const char *token, struct remote **out_remote);
void remote_close(struct remote *remote); /* NULL is allowed */
VT_MUST_CHECK vt_err remote_do(struct remote *remote, const struct remote_request *request,
                               struct remote_answer *out_answer);

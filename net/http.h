/*
 * http.h - the HTTP face, by libmicrohttpd on threads of its own. JSON Lines out, problem details
 * (RFC 9457) for errors, bearer tokens. Routes are listed in http_routes.c and docs/HTTP.md.
 *
 * Thread: http_open and http_close on the front thread; handlers run on the library's and use
 *         call.h.
 */
#pragma once

#include <stdint.h>

#include "token.h"

struct server;
struct http;

struct http_options {
    struct server *server;
    const struct tokens *tokens;
    const uint8_t *secret; /* 32 bytes: signs cursors */
    const char *host;
    uint16_t port; /* 0: picks one */
    uint32_t threads;
};
VT_MUST_CHECK vt_err http_open(const struct http_options *options, struct http **out_http);
uint16_t http_port(const struct http *http);
void http_close(struct http *http); /* NULL is allowed; waits for handlers */

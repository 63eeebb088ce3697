/*
 * http_entry.h - where libmicrohttpd calls in: from the head of a request to its job, and from the
 * answer to the wire. Implemented in http_request.c; http_job_add in http.c.
 *
 * Thread: libmicrohttpd's own.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include <microhttpd.h>

struct http;
struct http_request;

enum MHD_Result http_entry(void *context, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *upload,
                           size_t *upload_bytes, void **request);
void http_completed(void *context, struct MHD_Connection *connection, void **request,
                    enum MHD_RequestTerminationCode code);
void http_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                     enum MHD_ConnectionNotificationCode code);
__attribute__((format(printf, 2, 0))) void http_log(void *context, const char *format,
                                                    va_list arguments);

/* Suspends the connection and hands the request to a job thread; false where the server ends. */
bool http_job_add(struct http *http, struct http_request *request);
/* Computes the answer on the calling thread. */
void http_handle(struct http_request *request);

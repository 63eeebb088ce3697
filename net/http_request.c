/* http_request.c - one request: its head judged, its body gathered, its answer sent. See
 * http_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_entry.h"
#include "http_internal.h"
#include "venturi/assert.h"

/* So much of the body of a refused request is read and dropped, so that a client which sends first
 * and reads afterwards gets to see why; beyond it the connection is closed. */
#define DROPPED_BYTES_MAX (UINT64_C(1) << 20)

/* ---- for handlers */

vt_err
request_call(struct http_request *request, struct call *call)
{
    vt_err err = call_wait(request->http->options.server, call);

    if (err != VT_OK && call->detail[0] != '\0')
        return vt_err_detail(err, "%s", call->detail);
    return err;
}

void
request_position(struct http_request *request, uint64_t position)
{
    _Atomic uint64_t *seen = &request->http->position;
    uint64_t old = atomic_load(seen);

    request->position = position;
    while (old < position && !atomic_compare_exchange_weak(seen, &old, position)) {
    }
}

vt_err
request_view(struct http_request *request, bool want_tenants, struct view **out_view)
{
    struct call call = {.kind = CALL_VIEW, .want_tenants = want_tenants};
    vt_err err = request_call(request, &call);

    if (err != VT_OK)
        return err;
    VT_ASSERT(call.view != NULL);
    if (call.view->catalog == NULL) {
        request_view_put(call.view);
        return vt_err_detail(VT_NOT_FOUND, "the store has no catalog yet");
    }
    /* Counters are no sealed data: the summary is told in any case. */
    if (request->route->handle != handle_summary)
        err = view_fenced(call.view, request->query.tenant);
    if (err != VT_OK) {
        request_view_put(call.view);
        return err;
    }
    request_position(request, call.view->position);
    *out_view = call.view;
    return VT_OK;
}

void
request_view_put(struct view *view)
{
    if (view == NULL)
        return;
    view_put(view);
    free(view);
}

vt_err
request_put(struct http_request *request, struct json_out *out)
{
    vt_err err = out->err;

    if (err == VT_OK)
        err = spool_add(&request->spool, out->data, out->size);
    json_out_reset(out);
    return err;
}

static vt_err
sink_flush(void *context, struct json_out *out)
{
    return request_put(context, out);
}

struct view_sink
request_sink(struct http_request *request)
{
    return (struct view_sink){sink_flush, request};
}

void
request_refuse(struct http_request *request, vt_err err, uint32_t status)
{
    struct json_out out;
    struct http_problem problem = {.err = err, .status = status, .detail = vt_err_last()};

    json_out_init(&out);
    http_problem_put(&out, &problem);
    spool_clear(&request->spool);
    request->status = status != 0 ? status : http_status(err);
    request->content_type = HTTP_PROBLEM_TYPE;
    /* Without memory for the text the status alone must do. */
    if (request_put(request, &out) != VT_OK)
        spool_clear(&request->spool);
    json_out_deinit(&out);
}

/* ---- the head */

static void
refuse_head(struct http_request *request, vt_err err, uint32_t status)
{
    request_refuse(request, err, status);
    request->state = REQUEST_REFUSED;
    vt_err_clear();
}

/* HEAD is GET whose body libmicrohttpd leaves away. */
static bool
method_is(const char *method, const char *wanted)
{
    return strcmp(method, wanted) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(wanted, "GET") == 0);
}

static bool
find_route(struct http_request *request, const char *url, const char *method)
{
    const char *allow = NULL;

    for (uint32_t i = 0; i < http_route_count; i++) {
        const struct http_route *route = &http_routes[i];

        if (strcmp(route->path, url) != 0)
            continue;
        if (method_is(method, route->method)) {
            request->route = route;
            return true;
        }
        /* The one path with two methods is the catalog. */
        allow = allow == NULL ? route->method : "GET, POST";
    }
    if (allow == NULL) {
        (void)vt_err_detail(VT_NOT_FOUND, "there is no such route");
        refuse_head(request, VT_NOT_FOUND, 0);
        return false;
    }
    request->allow = allow;
    (void)vt_err_detail(VT_UNSUPPORTED, "this route takes %s", allow);
    refuse_head(request, VT_UNSUPPORTED, MHD_HTTP_METHOD_NOT_ALLOWED);
    return false;
}

static vt_err
check_token(struct http_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *header = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_AUTHORIZATION);

    if (request->route->scopes == 0)
        return VT_OK;
    if (header == NULL || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return vt_err_detail(VT_BAD_TOKEN, "there is no header Authorization: Bearer TOKEN");
    const char *text = header + sizeof scheme - 1;

    while (*text == ' ')
        text++;
    size_t size = strlen(text);

    if (size >= TOKEN_TEXT_BYTES)
        return vt_err_detail(VT_BAD_TOKEN, "the token is too long");
    vt_err err = tokens_check(request->http->options.tokens, (struct vt_str){text, (uint32_t)size},
                              request->route->scopes, &request->grant);

    if (err == VT_OK && request->route->any_tenant && request->grant.tenant.size > 0)
        return vt_err_detail(VT_FORBIDDEN, "the token is for one tenant, the answer is of all");
    return err;
}

/* The order of arguments is libmicrohttpd's. */
static enum MHD_Result
pair_see(void *context, enum MHD_ValueKind kind, const char *key, size_t key_bytes, /* NOLINT */
         const char *value, size_t value_bytes)
{
    struct http_request *request = context;

    (void)kind;
    if (request->pair_count < HTTP_PARAMS_MAX)
        request->pairs[request->pair_count] = (struct http_pair){
            {key, (uint32_t)key_bytes}, {value == NULL ? "" : value, (uint32_t)value_bytes}};
    request->pair_count++;
    return MHD_YES;
}

static vt_err
read_query(struct http_request *request)
{
    struct vt_str own = request->grant.tenant;

    (void)MHD_get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, pair_see,
                                      request);
    if (request->pair_count > HTTP_PARAMS_MAX)
        return vt_err_detail(VT_INVALID, "more than %d parameters", HTTP_PARAMS_MAX);
    vt_err err = http_query_read(request->pairs, request->pair_count, &request->route->params,
                                 &request->query);

    if (err != VT_OK || own.size == 0 || (request->route->params.allowed & PARAM_TENANT) == 0)
        return err;
    /* A token that is bound to a tenant asks for that tenant, said or not. */
    if (request->query.tenant.size > 0 && !vt_str_equal(request->query.tenant, own))
        return vt_err_detail(VT_FORBIDDEN, "the token is for another tenant");
    request->query.tenant = own;
    return VT_OK;
}

static vt_err
check_length(struct http_request *request)
{
    const char *header = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t length = 0;

    if (header == NULL)
        return VT_OK; /* none, or chunked: counted as it comes */
    if (http_unsigned((struct vt_str){header, (uint32_t)strlen(header)}, &length) != VT_OK)
        return vt_err_detail(VT_BAD_LENGTH, "Content-Length is no number");
    if (length > request->route->body_max)
        return vt_err_detail(VT_TOO_LARGE, "the body has %llu bytes, this route takes %llu",
                             (unsigned long long)length,
                             (unsigned long long)request->route->body_max);
    return VT_OK;
}

static void
judge_head(struct http_request *request, const char *url, const char *method)
{
    vt_err_clear();
    if (!find_route(request, url, method))
        return;
    vt_err err = check_token(request);

    if (err == VT_OK)
        err = read_query(request);
    if (err == VT_OK)
        err = check_length(request);
    if (err != VT_OK)
        refuse_head(request, err, 0);
}

/* ---- the body */

/* A body over its limit, or all bodies over theirs, turns into a refusal. */
static void
body_add(struct http_request *request, const char *bytes, size_t size)
{
    struct http *http = request->http;
    uint64_t needed = request->body_bytes + size;

    if (needed > request->route->body_max) {
        (void)vt_err_detail(VT_TOO_LARGE,
                            "the body has more than the %llu bytes that this route "
                            "takes",
                            (unsigned long long)request->route->body_max);
        refuse_head(request, VT_TOO_LARGE, 0);
        return;
    }
    if (needed > request->body_capacity) {
        uint64_t capacity = request->body_capacity == 0 ? 65536 : request->body_capacity;

        while (capacity < needed)
            capacity *= 2;
        uint64_t more = capacity - request->body_capacity;
        bool over = atomic_fetch_add(&http->body_bytes, more) + more > HTTP_BODIES_MAX;
        uint8_t *grown = over ? NULL : realloc(request->body, capacity);

        if (grown == NULL) {
            atomic_fetch_sub(&http->body_bytes, more);
            (void)vt_err_detail(VT_FULL, "too many bodies are on their way");
            refuse_head(request, VT_FULL, 0);
            return;
        }
        request->body = grown;
        request->body_capacity = capacity;
    }
    memcpy(request->body + request->body_bytes, bytes, size);
    request->body_bytes = needed;
}

static void
body_free(struct http_request *request)
{
    free(request->body);
    atomic_fetch_sub(&request->http->body_bytes, request->body_capacity);
    request->body = NULL;
    request->body_bytes = 0;
    request->body_capacity = 0;
}

/* ---- the answer */

static const uint16_t status_list[] = {200, 207, 400, 401, 403, 404, 405,
                                       408, 409, 413, 422, 500, 501, 503};
_Static_assert(VT_COUNT(status_list) < HTTP_STATUSES_MAX, "with one for the others");

uint32_t
http_status_index(uint32_t status)
{
    for (uint32_t i = 0; i < VT_COUNT(status_list); i++)
        if (status_list[i] == status)
            return i;
    return VT_COUNT(status_list);
}

uint32_t
http_status_at(uint32_t index)
{
    return index < VT_COUNT(status_list) ? status_list[index] : 0;
}

static struct MHD_Response *
response_make(struct http_request *request)
{
    struct spool *spool = &request->spool;
    struct MHD_Response *response = NULL;

    if (spool->fd >= 0) {
        response = MHD_create_response_from_fd64(spool->file_bytes, spool->fd);
        if (response != NULL)
            spool->fd = -1; /* the response closes it */
    } else {
        response = MHD_create_response_from_buffer(spool->size, spool->data, MHD_RESPMEM_MUST_FREE);
        if (response != NULL)
            spool->data = NULL;
    }
    return response;
}

/* A header that does not fit is left away: the answer itself still goes out. */
static void
header_add(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static enum MHD_Result
answer_send(struct http_request *request)
{
    char position[24];
    uint64_t at = request->position;

    if (spool_finish(&request->spool) != VT_OK)
        return MHD_NO;
    struct MHD_Response *response = response_make(request);

    if (response == NULL)
        return MHD_NO;
    if (at == 0)
        at = atomic_load(&request->http->position);
    (void)snprintf(position, sizeof position, "%llu", (unsigned long long)at);
    header_add(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type);
    header_add(response, "Venturi-Position", position);
    header_add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (request->cursor[0] != '\0')
        header_add(response, "Venturi-Cursor", request->cursor);
    if (request->allow != NULL)
        header_add(response, MHD_HTTP_HEADER_ALLOW, request->allow);
    if (request->status == MHD_HTTP_UNAUTHORIZED)
        header_add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (request->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        header_add(response, MHD_HTTP_HEADER_RETRY_AFTER, HTTP_RETRY_AFTER_S);
    atomic_fetch_add(&request->http->answers[http_status_index(request->status)], 1);
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, response);

    MHD_destroy_response(response);
    return result;
}

/* ---- entry */

static enum MHD_Result
request_start(struct http *http, struct MHD_Connection *connection, const char *url,
              const char *method, void **out_request)
{
    struct http_request *request = calloc(1, sizeof *request);

    if (request == NULL)
        return MHD_NO;
    request->http = http;
    request->connection = connection;
    request->state = REQUEST_RECEIVING;
    request->status = MHD_HTTP_OK;
    request->content_type = HTTP_JSON_LINES;
    spool_init(&request->spool);
    *out_request = request;
    judge_head(request, url, method);
    if (request->state == REQUEST_RECEIVING)
        return MHD_YES;
    /* Refused. A large body is not waited for: the answer goes out and the connection ends. */
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *expect =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    uint64_t bytes = 0;

    if (expect != NULL ||
        (length != NULL &&
         (http_unsigned((struct vt_str){length, (uint32_t)strlen(length)}, &bytes) != VT_OK ||
          bytes > DROPPED_BYTES_MAX)))
        return answer_send(request);
    return MHD_YES;
}

static enum MHD_Result
request_upload(struct http_request *request, const char *bytes, size_t size)
{
    if (request->state == REQUEST_RECEIVING)
        body_add(request, bytes, size);
    if (request->state == REQUEST_REFUSED) {
        request->body_dropped += size;
        if (request->body_dropped > DROPPED_BYTES_MAX)
            return MHD_NO;
    }
    return MHD_YES;
}

/* Answered at once, on libmicrohttpd's thread: all job threads may be waiting for a disk, and that
 * is when somebody asks. */
static bool
is_probe(const struct http_route *route)
{
    return route->handle == handle_live || route->handle == handle_ready ||
           route->handle == handle_metrics;
}

/* The order of arguments is libmicrohttpd's. */
enum MHD_Result
http_entry(void *context, struct MHD_Connection *connection, const char *url, /* NOLINT */
           const char *method, const char *version, const char *upload, size_t *upload_bytes,
           void **out_request)
{
    struct http *http = context;
    struct http_request *request = *out_request;

    (void)version;
    if (request == NULL)
        return request_start(http, connection, url, method, out_request);
    if (*upload_bytes > 0) {
        size_t size = *upload_bytes;

        *upload_bytes = 0;
        return request_upload(request, upload, size);
    }
    if (request->state == REQUEST_RECEIVING && is_probe(request->route)) {
        http_handle(request);
    } else if (request->state == REQUEST_RECEIVING) {
        if (http_job_add(http, request))
            return MHD_YES;
        refuse_head(request, VT_STOPPING, 0);
    }
    return answer_send(request);
}

void
http_completed(void *context, struct MHD_Connection *connection, void **out_request,
               enum MHD_RequestTerminationCode code)
{
    struct http_request *request = *out_request;

    (void)context;
    (void)connection;
    (void)code;
    if (request == NULL)
        return;
    VT_ASSERT(request->state != REQUEST_QUEUED);
    body_free(request);
    spool_deinit(&request->spool);
    free(request);
    *out_request = NULL;
}

void
http_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;

    (void)connection;
    (void)socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        atomic_fetch_add(&http->connections, 1);
    else
        atomic_fetch_sub(&http->connections, 1);
}

/* Libraries do not print; a peer that breaks off is not news. */
void
http_log(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

/*
 * http_routes.c - the routes, and the handlers that only read. docs/HTTP.md says the same for
 * people.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "http_internal.h"
#include "venturi/assert.h"

#define GET  "GET"
#define POST "POST"

const struct http_route http_routes[] = {
    {GET, "/livez", 0, false, {0, 0}, 0, handle_live},
    {GET, "/readyz", 0, false, {0, 0}, 0, handle_ready},
    {GET, "/metrics", SCOPE_READ, true, {0, 0}, 0, handle_metrics},
    {GET,
     "/v1/windows",
     SCOPE_READ,
     false,
     {PARAM_TENANT | PARAM_METER | PARAM_START | PARAM_END, 0},
     0,
     handle_windows},
    {GET, "/v1/lines", SCOPE_READ, false, {PARAM_TENANT | PARAM_AT, 0}, 0, handle_lines},
    {GET, "/v1/unrated", SCOPE_READ, false, {PARAM_TENANT, 0}, 0, handle_unrated},
    {GET, "/v1/summary", SCOPE_READ, true, {PARAM_BY, 0}, 0, handle_summary},
    {GET, "/v1/feed", SCOPE_READ, true, {PARAM_CURSOR | PARAM_LIMIT, 0}, 0, handle_feed},
    {GET,
     "/v1/exceptions",
     SCOPE_READ,
     false,
     {PARAM_TENANT | PARAM_REASON | PARAM_AFTER | PARAM_LIMIT, 0},
     0,
     handle_exceptions},
    {POST,
     "/v1/exceptions/retry",
     SCOPE_ADMIN,
     true,
     {PARAM_TENANT | PARAM_REASON, 0},
     HTTP_ORDER_MAX,
     handle_retry},
    {POST,
     "/v1/exceptions/discard",
     SCOPE_ADMIN,
     true,
     {PARAM_TENANT | PARAM_REASON, 0},
     HTTP_ORDER_MAX,
     handle_discard},
    {POST, "/v1/events", SCOPE_INGEST, false, {0, 0}, HTTP_EVENTS_MAX, handle_events},
    {POST,
     "/v1/close",
     SCOPE_ADMIN,
     false,
     {PARAM_BEFORE | PARAM_TENANT | PARAM_DRY_RUN | PARAM_FORCE, PARAM_BEFORE},
     0,
     handle_close},
    {GET, "/v1/catalog", SCOPE_READ, true, {0, 0}, 0, handle_catalog_get},
    {POST, "/v1/catalog", SCOPE_ADMIN, true, {0, 0}, HTTP_CATALOG_MAX, handle_catalog_apply},
    {POST, "/v1/catalog/diff", SCOPE_READ, true, {0, 0}, HTTP_CATALOG_MAX, handle_catalog_diff},
};
const uint32_t http_route_count = VT_COUNT(http_routes);

/* ---- alive, ready */

vt_err
handle_live(struct http_request *request)
{
    request->content_type = "text/plain";
    return spool_add(&request->spool, "ok\n", 3);
}

/* Nothing has become durable for so long: the disk hangs. Its own hiccups take some 10 ms. */
#define READY_WRITE_NS INT64_C(5000000000)

/* Ready is: the front thread answers, so recovery is over and no end has begun, events are taken,
 * and no worker waits for a repair. Partitions that are fenced are noted: others are answered. */
vt_err
handle_ready(struct http_request *request)
{
    struct call call = {.kind = CALL_STATS};
    vt_err err = request_call(request, &call);

    struct fence *fence = core_fence(request->http->options.server->core);
    char text[640];

    if (err == VT_OK)
        err = fence_check_waiting(fence);
    if (err != VT_OK)
        return err;
    bool fenced = fence_check_all(fence) != VT_OK;
    int size = snprintf(text, sizeof text, "ready%s%s\n", fenced ? ", but " : "",
                        fenced ? vt_err_last() : "");

    VT_ASSERT(size > 0 && (size_t)size < sizeof text);
    vt_err_clear();
    request_position(request, call.stats.position);
    if (call.stats.disk_full)
        return vt_err_detail(VT_DISK_FULL,
                             "no events are taken: the disk has %" PRIu64 " bytes free, %" PRIu64
                             " are kept%s",
                             call.stats.disk_free_bytes, call.stats.disk_kept_bytes,
                             call.stats.seal_waits ? ", and a seal waits for space" : "");
    if (call.write_age_ns > READY_WRITE_NS) {
        (void)vt_err_detail(VT_AGAIN, "no write has come back from the disk for %" PRId64 " s",
                            call.write_age_ns / 1000000000);
        return VT_AGAIN;
    }
    request->content_type = "text/plain";
    return spool_add(&request->spool, text, (uint64_t)size);
}

/* ---- queries */

static vt_err
check_tenant_known(const struct view *view, struct vt_str tenant)
{
    if (tenant.size == 0 || catalog_find_tenant(view->catalog, tenant) != CATALOG_NONE)
        return VT_OK;
    return vt_err_detail(VT_NOT_FOUND, "the catalog has no tenant %.*s", (int)tenant.size,
                         tenant.data);
}

vt_err
handle_windows(struct http_request *request)
{
    const struct http_query *query = &request->query;
    struct windows_query windows = {query->tenant, query->meter, query->start_us, query->end_us};
    struct view_sink sink = request_sink(request);
    struct view *view = NULL;
    vt_err err = request_view(request, false, &view);

    if (err == VT_OK)
        err = check_tenant_known(view, query->tenant);
    if (err == VT_OK && query->meter.size > 0 &&
        catalog_find_meter(view->catalog, query->meter) == CATALOG_NONE)
        err = vt_err_detail(VT_NOT_FOUND, "the catalog has no meter %.*s", (int)query->meter.size,
                            query->meter.data);
    if (err == VT_OK)
        err = view_windows(view, &windows, &sink);
    request_view_put(view);
    return err;
}

typedef vt_err (*rate_function)(const struct view *view, const struct lines_query *query,
                                const struct view_sink *sink, uint64_t *out_rows);

static vt_err
handle_rating(struct http_request *request, rate_function rate)
{
    const struct http_query *query = &request->query;
    struct lines_query lines = {
        .tenant = query->tenant,
        .has_at = (query->given & PARAM_AT) != 0,
        .at_us = query->at_us,
    };
    struct view_sink sink = request_sink(request);
    struct view *view = NULL;
    uint64_t rows = 0;
    vt_err err = request_view(request, false, &view);

    if (err == VT_OK)
        err = check_tenant_known(view, query->tenant);
    if (err == VT_OK) {
        lines.catalog = view->catalog;
        err = rate(view, &lines, &sink, &rows);
    }
    request_view_put(view);
    return err;
}

vt_err
handle_lines(struct http_request *request)
{
    return handle_rating(request, view_lines);
}

vt_err
handle_unrated(struct http_request *request)
{
    return handle_rating(request, view_unrated);
}

vt_err
handle_summary(struct http_request *request)
{
    bool by_tenant = (request->query.given & PARAM_BY) != 0;
    struct view_sink sink = request_sink(request);
    struct view *view = NULL;
    vt_err err = request_view(request, by_tenant, &view);

    request->content_type = HTTP_JSON;
    if (err == VT_OK)
        err = view_summary(view, by_tenant, &sink);
    request_view_put(view);
    return err;
}

/* ---- the feed */

/* Each line ends with ,"cursor":"..."} and an LF; the last one's is where the reader goes on. */
static void
cursor_note(struct http_request *request, const struct json_out *out)
{
    static const char word[] = "\"cursor\":\"";
    const size_t tail = sizeof "\"}\n" - 1;

    if (out->size < tail + sizeof word || out->data[out->size - 1] != '\n')
        return;
    uint64_t end = out->size - tail;
    uint64_t at = end;

    while (at > 0 && out->data[at - 1] != '"' && out->data[at - 1] != '\n')
        at--;
    if (at < sizeof word || end - at >= HTTP_CURSOR_BYTES ||
        memcmp(out->data + at - (sizeof word - 1), word, sizeof word - 1) != 0)
        return;
    memcpy(request->cursor, out->data + at, end - at);
    request->cursor[end - at] = '\0';
}

static vt_err
feed_flush(void *context, struct json_out *out)
{
    struct http_request *request = context;

    cursor_note(request, out);
    return request_put(request, out);
}

static vt_err
limit_read(const struct http_request *request, uint64_t *out_limit)
{
    *out_limit = request->query.limit == 0 ? HTTP_FEED_LIMIT : request->query.limit;
    return *out_limit <= HTTP_LIMIT_MAX ? VT_OK
                                        : vt_err_detail(VT_INVALID, "limit is at most %llu",
                                                        (unsigned long long)HTTP_LIMIT_MAX);
}

vt_err
handle_feed(struct http_request *request)
{
    struct feed_query feed = {
        .cursor = request->query.cursor,
        .secret = request->http->options.secret,
    };
    struct view_sink sink = {feed_flush, request};
    struct view *view = NULL;
    uint64_t rows = 0;
    vt_err err = limit_read(request, &feed.limit);

    if (err == VT_OK)
        err = request_view(request, false, &view);
    if (err == VT_OK)
        err = view_feed(view, &feed, &sink, &rows);
    request_view_put(view);
    /* Nothing new: the reader stays where it is. */
    if (err == VT_OK && rows == 0 && feed.cursor.size < HTTP_CURSOR_BYTES) {
        memcpy(request->cursor, feed.cursor.data == NULL ? "" : feed.cursor.data, feed.cursor.size);
        request->cursor[feed.cursor.size] = '\0';
    }
    VT_ASSERT(err != VT_OK || rows == 0 || request->cursor[0] != '\0');
    return err;
}

/* The last line begins with the position after which the next page begins. */
static vt_err
exceptions_flush(void *context, struct json_out *out)
{
    static const char word[] = "{\"position\":";
    struct http_request *request = context;
    uint64_t at = out->size > 0 ? out->size - 1 : 0;

    while (at > 0 && out->data[at - 1] != '\n')
        at--;
    if (out->size - at > sizeof word && memcmp(out->data + at, word, sizeof word - 1) == 0) {
        const char *digits = out->data + at + sizeof word - 1;
        const char *comma = memchr(digits, ',', out->size - at - (sizeof word - 1));

        if (comma != NULL && comma - digits < HTTP_CURSOR_BYTES) {
            memcpy(request->cursor, digits, (size_t)(comma - digits));
            request->cursor[comma - digits] = '\0';
        }
    }
    return request_put(request, out);
}

vt_err
handle_exceptions(struct http_request *request)
{
    const struct http_query *query = &request->query;
    struct exceptions_query exceptions = {
        .tenant = query->tenant,
        .reason = query->reason,
        .after_position = query->after,
    };
    struct view_sink sink = {exceptions_flush, request};
    struct view *view = NULL;
    vt_err err = limit_read(request, &exceptions.limit);

    if (err == VT_OK)
        err = request_view(request, false, &view);
    if (err == VT_OK)
        err = view_exceptions(view, &exceptions, &sink);
    request_view_put(view);
    return err;
}

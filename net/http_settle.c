/*
 * http_settle.c - POST /v1/exceptions/retry and /discard: by positions in the body, or, without a
 * body, all open ones of a tenant or a reason.
 */
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "http_internal.h"
#include "venturi/assert.h"

#define SETTLE_COUNT 4096 /* positions of one record */

enum body_state { BODY_START, BODY_KEY, BODY_ARRAY, BODY_NUMBERS, BODY_AFTER };

struct settling {
    struct http_request *request;
    bool retry;
    le64 *positions;
    uint32_t count;
    uint32_t capacity;
    uint64_t asked;
    uint64_t settled;
    vt_err err;

    /* {"positions":[ ... ]}: how deep the reader is. */
    enum body_state at;
};

static vt_err
position_add(struct settling *settling, uint64_t position)
{
    if (settling->count == settling->capacity) {
        uint32_t capacity = settling->capacity == 0 ? 256 : settling->capacity * 2;
        le64 *grown = realloc(settling->positions, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        settling->positions = grown;
        settling->capacity = capacity;
    }
    settling->positions[settling->count++] = le64_put(position);
    return VT_OK;
}

static vt_err
settle(struct settling *settling)
{
    vt_err err = VT_OK;

    for (uint32_t at = 0; err == VT_OK && at < settling->count; at += SETTLE_COUNT) {
        uint32_t left = settling->count - at;
        struct call call = {
            .kind = CALL_SETTLE,
            .positions = settling->positions + at,
            .position_count = left < SETTLE_COUNT ? left : SETTLE_COUNT,
            .retry = settling->retry,
        };

        err = request_call(settling->request, &call);
        if (err == VT_OK) {
            request_position(settling->request, call.position);
            settling->asked += call.position_count;
            settling->settled += call.settled;
        }
    }
    settling->count = 0;
    return err;
}

/* ---- by positions */

/* yajl stops where a callback gives 0. */
static int
body_expect(struct settling *settling, bool fits, enum body_state next)
{
    if (!fits) {
        settling->err = vt_err_detail(VT_BAD_JSON, "the body is not {\"positions\":[N, ...]}");
        return 0;
    }
    settling->at = next;
    return 1;
}

static int
body_map(void *context)
{
    struct settling *settling = context;

    return body_expect(settling, settling->at == BODY_START, BODY_KEY);
}

static int
body_key(void *context, const unsigned char *key, size_t size)
{
    struct settling *settling = context;
    bool fits = settling->at == BODY_KEY && size == 9 && memcmp(key, "positions", 9) == 0;

    return body_expect(settling, fits, BODY_ARRAY);
}

static int
body_array(void *context)
{
    struct settling *settling = context;

    return body_expect(settling, settling->at == BODY_ARRAY, BODY_NUMBERS);
}

static int
body_number(void *context, const char *text, size_t size)
{
    struct settling *settling = context;
    uint64_t position = 0;
    bool fits = settling->at == BODY_NUMBERS && size <= 20 &&
                http_unsigned((struct vt_str){text, (uint32_t)size}, &position) == VT_OK;

    if (body_expect(settling, fits, BODY_NUMBERS) == 0)
        return 0;
    settling->err = position_add(settling, position);
    return settling->err == VT_OK;
}

static int
body_array_end(void *context)
{
    struct settling *settling = context;

    return body_expect(settling, settling->at == BODY_NUMBERS, BODY_AFTER);
}

static int
body_map_end(void *context)
{
    struct settling *settling = context;

    return body_expect(settling, settling->at == BODY_AFTER, BODY_AFTER);
}

static int
body_null(void *context)
{
    return body_expect(context, false, BODY_START);
}

static int
body_boolean(void *context, int value)
{
    (void)value;
    return body_null(context);
}

static int
body_string(void *context, const unsigned char *text, size_t size)
{
    (void)text;
    (void)size;
    return body_null(context);
}

static vt_err
body_read(struct settling *settling)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = body_null,
        .yajl_boolean = body_boolean,
        .yajl_number = body_number,
        .yajl_string = body_string,
        .yajl_start_map = body_map,
        .yajl_map_key = body_key,
        .yajl_end_map = body_map_end,
        .yajl_start_array = body_array,
        .yajl_end_array = body_array_end,
    };
    yajl_handle parser = yajl_alloc(&callbacks, NULL, settling);

    if (parser == NULL)
        return VT_NOMEM;
    yajl_status status = yajl_parse(parser, settling->request->body, settling->request->body_bytes);

    if (status == yajl_status_ok)
        status = yajl_complete_parse(parser);
    yajl_free(parser);
    if (settling->err != VT_OK)
        return settling->err;
    if (status != yajl_status_ok || settling->at != BODY_AFTER)
        return vt_err_detail(VT_BAD_JSON, "the body is not {\"positions\":[N, ...]}");
    return VT_OK;
}

/* ---- by tenant or reason */

/* Each line begins with its position. */
static vt_err
positions_flush(void *context, struct json_out *out)
{
    static const char word[] = "{\"position\":";
    struct settling *settling = context;
    vt_err err = out->err;

    for (uint64_t at = 0; err == VT_OK && at < out->size;) {
        const char *line = out->data + at;
        const char *end = memchr(line, '\n', out->size - at);
        uint64_t size = end == NULL ? out->size - at : (uint64_t)(end - line) + 1;
        const char *comma = memchr(line, ',', size);
        uint64_t position = 0;

        VT_ASSERT(comma != NULL && memcmp(line, word, sizeof word - 1) == 0);
        const char *digits = line + sizeof word - 1;

        err = http_unsigned((struct vt_str){digits, (uint32_t)(comma - digits)}, &position);
        if (err == VT_OK)
            err = position_add(settling, position);
        at += size;
    }
    json_out_reset(out);
    return err;
}

static vt_err
settle_matching(struct settling *settling)
{
    struct exceptions_query query = {
        .tenant = settling->request->query.tenant,
        .reason = settling->request->query.reason,
        .limit = SETTLE_COUNT,
    };
    struct view_sink sink = {positions_flush, settling};
    struct view *view = NULL;
    vt_err err = request_view(settling->request, false, &view);
    uint32_t found = SETTLE_COUNT;

    /* One view: what a retry leaves open is not met again. */
    while (err == VT_OK && found == SETTLE_COUNT) {
        err = view_exceptions(view, &query, &sink);
        found = settling->count;
        if (err == VT_OK && found > 0) {
            query.after_position = le64_get(settling->positions[found - 1]);
            err = settle(settling);
        }
    }
    request_view_put(view);
    return err;
}

static vt_err
handle_settle(struct http_request *request, bool retry)
{
    struct settling settling = {.request = request, .retry = retry};
    bool by_query = (request->query.given & (PARAM_TENANT | PARAM_REASON)) != 0;
    struct json_out out;
    vt_err err = VT_OK;

    request->content_type = HTTP_JSON;
    if (by_query == (request->body_bytes > 0))
        err = vt_err_detail(VT_INVALID, "either a body {\"positions\":[..]}, or tenant or reason");
    else if (by_query)
        err = settle_matching(&settling);
    else
        err = body_read(&settling);
    if (err == VT_OK)
        err = settle(&settling);
    free(settling.positions);
    if (err != VT_OK)
        return err;
    json_out_init(&out);
    json_open(&out, '{');
    json_key(&out, VT_STR("asked"));
    json_unsigned(&out, settling.asked);
    json_key(&out, VT_STR("settled"));
    json_unsigned(&out, settling.settled);
    json_key(&out, VT_STR("position"));
    json_unsigned(&out, request->position);
    json_close(&out, '}');
    json_end_line(&out);
    err = request_put(request, &out);
    json_out_deinit(&out);
    return err;
}

vt_err
handle_retry(struct http_request *request)
{
    return handle_settle(request, true);
}

vt_err
handle_discard(struct http_request *request)
{
    return handle_settle(request, false);
}

/* http_query.c - see http_query.h. */
#include "http_query.h"

#include <string.h>

#include "venturi/assert.h"
#include "venturi/time.h"
#include "venturi/utf8.h"
#include "venturi/wire.h"

#define SHOWN_BYTES_MAX 64 /* of a foreign text in a message */

vt_err
http_unsigned(struct vt_str text, uint64_t *out_value)
{
    uint64_t value = 0;

    if (text.size == 0 || text.size > 20)
        return VT_INVALID;
    for (uint32_t i = 0; i < text.size; i++) {
        char c = text.data[i];

        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return VT_INVALID;
    }
    *out_value = value;
    return VT_OK;
}

static int
shown(struct vt_str text)
{
    return text.size > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)text.size;
}

static vt_err
bad_value(const struct http_pair *pair, const char *wanted)
{
    return vt_err_detail(VT_INVALID, "%.*s=%.*s: %s", shown(pair->name), pair->name.data,
                         shown(pair->value), pair->value.data, wanted);
}

static vt_err
read_time(const struct http_pair *pair, int64_t *out_us)
{
    struct vt_utc utc;

    if (vt_utc_parse(pair->value, &utc) != VT_OK)
        return vt_err_detail(VT_BAD_TIME, "%.*s=%.*s: not an RFC 3339 time (a + is written %%2B)",
                             shown(pair->name), pair->name.data, shown(pair->value),
                             pair->value.data);
    *out_us = utc.us;
    return VT_OK;
}

static vt_err
read_number(const struct http_pair *pair, uint64_t *out_value)
{
    return http_unsigned(pair->value, out_value) == VT_OK ? VT_OK
                                                          : bad_value(pair, "not a whole number");
}

static vt_err
read_flag(const struct http_pair *pair, bool *out_flag)
{
    bool on = pair->value.size == 0 || vt_str_equal(pair->value, VT_STR("true")) ||
              vt_str_equal(pair->value, VT_STR("1"));

    if (!on && !vt_str_equal(pair->value, VT_STR("false")) &&
        !vt_str_equal(pair->value, VT_STR("0")))
        return bad_value(pair, "true or false");
    *out_flag = on;
    return VT_OK;
}

static vt_err
read_text(const struct http_pair *pair, struct vt_str *out_text)
{
    if (pair->value.size == 0 || pair->value.size > VT_TEXT_BYTES_MAX)
        return bad_value(pair, "1 to 1024 bytes");
    *out_text = pair->value;
    return VT_OK;
}

static vt_err
read_reason(const struct http_pair *pair, uint8_t *out_reason)
{
    for (int reason = VT_REASON_NONE + 1; reason < VT_REASON_COUNT; reason++) {
        const char *name = vt_reason_name((uint8_t)reason);

        if (vt_str_equal(pair->value, (struct vt_str){name, (uint32_t)strlen(name)})) {
            *out_reason = (uint8_t)reason;
            return VT_OK;
        }
    }
    return bad_value(pair, "not a reason");
}

static vt_err
read_by(const struct http_pair *pair)
{
    return vt_str_equal(pair->value, VT_STR("tenant")) ? VT_OK : bad_value(pair, "only by=tenant");
}

static const struct param_name {
    enum http_param param;
    struct vt_str name;
} param_names[] = {
    {PARAM_TENANT, {"tenant", 6}},   {PARAM_METER, {"meter", 5}}, {PARAM_START, {"start", 5}},
    {PARAM_END, {"end", 3}},         {PARAM_AT, {"at", 2}},       {PARAM_BY, {"by", 2}},
    {PARAM_CURSOR, {"cursor", 6}},   {PARAM_LIMIT, {"limit", 5}}, {PARAM_BEFORE, {"before", 6}},
    {PARAM_DRY_RUN, {"dry_run", 7}}, {PARAM_FORCE, {"force", 5}}, {PARAM_REASON, {"reason", 6}},
    {PARAM_AFTER, {"after", 5}},
};

static vt_err
read_param(const struct http_pair *pair, enum http_param param, struct http_query *query)
{
    switch (param) {
    case PARAM_TENANT:
        return read_text(pair, &query->tenant);
    case PARAM_METER:
        return read_text(pair, &query->meter);
    case PARAM_CURSOR:
        query->cursor = pair->value; /* "": from the beginning; the view judges the rest */
        return VT_OK;
    case PARAM_START:
        return read_time(pair, &query->start_us);
    case PARAM_END:
        return read_time(pair, &query->end_us);
    case PARAM_AT:
        return read_time(pair, &query->at_us);
    case PARAM_BEFORE:
        return read_time(pair, &query->before_us);
    case PARAM_BY:
        return read_by(pair);
    case PARAM_LIMIT:
        return read_number(pair, &query->limit);
    case PARAM_AFTER:
        return read_number(pair, &query->after);
    case PARAM_DRY_RUN:
        return read_flag(pair, &query->dry_run);
    case PARAM_FORCE:
        return read_flag(pair, &query->force);
    case PARAM_REASON:
        return read_reason(pair, &query->reason);
    }
    VT_ASSERT(false);
    return VT_INVALID;
}

static vt_err
read_pair(const struct http_pair *pair, uint32_t allowed, struct http_query *query)
{
    for (size_t i = 0; i < VT_COUNT(param_names); i++) {
        const struct param_name *known = &param_names[i];

        if (!vt_str_equal(pair->name, known->name) || (allowed & known->param) == 0)
            continue;
        if ((query->given & known->param) != 0)
            return vt_err_detail(VT_INVALID, "the parameter %s is given twice", known->name.data);
        query->given |= known->param;
        struct vt_bytes bytes = {(const uint8_t *)pair->value.data, pair->value.size};

        if (!vt_utf8_valid(bytes))
            return vt_err_detail(VT_INVALID, "%s: not valid UTF-8", known->name.data);
        return read_param(pair, known->param, query);
    }
    return vt_err_detail(VT_INVALID, "%.*s: this route has no such parameter", shown(pair->name),
                         pair->name.data);
}

vt_err
http_query_read(const struct http_pair *pairs, uint32_t count, const struct http_params *params,
                struct http_query *out_query)
{
    struct http_query query = {.start_us = INT64_MIN, .end_us = INT64_MAX};

    for (uint32_t i = 0; i < count; i++) {
        vt_err err = read_pair(&pairs[i], params->allowed, &query);

        if (err != VT_OK)
            return err;
    }
    for (size_t i = 0; i < VT_COUNT(param_names); i++)
        if ((params->required & param_names[i].param & ~query.given) != 0)
            return vt_err_detail(VT_INVALID, "the parameter %s is missing",
                                 param_names[i].name.data);
    if (query.start_us > query.end_us)
        return vt_err_detail(VT_INVALID, "start is after end");
    if ((query.given & PARAM_LIMIT) != 0 && query.limit == 0)
        return vt_err_detail(VT_INVALID, "limit is at least 1");
    *out_query = query;
    return VT_OK;
}

/*
 * http_query.h - what stands behind the question mark, made typed. Pure: it knows no connection.
 *
 * Errors: VT_INVALID or VT_BAD_TIME, with the parameter's name in the detail: an unknown one, one
 *         given twice, one without which a route cannot answer, one that is not of its kind. What
 *         is not asked for is never ignored in silence.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define HTTP_PARAMS_MAX 16

/* Bits of a route's parameters. */
enum http_param {
    PARAM_TENANT = 1 << 0,
    PARAM_METER = 1 << 1,
    PARAM_START = 1 << 2,
    PARAM_END = 1 << 3,
    PARAM_AT = 1 << 4,
    PARAM_BY = 1 << 5,
    PARAM_CURSOR = 1 << 6,
    PARAM_LIMIT = 1 << 7,
    PARAM_BEFORE = 1 << 8,
    PARAM_DRY_RUN = 1 << 9,
    PARAM_FORCE = 1 << 10,
    PARAM_REASON = 1 << 11,
    PARAM_AFTER = 1 << 12,
};

struct http_pair {
    struct vt_str name;
    struct vt_str value;
};

/* Texts are borrowed from the pairs. */
struct http_query {
    uint32_t given; /* bits of enum http_param */
    struct vt_str tenant;
    struct vt_str meter;
    struct vt_str cursor;
    int64_t start_us; /* INT64_MIN where not given */
    int64_t end_us;   /* INT64_MAX where not given */
    int64_t at_us;
    int64_t before_us;
    uint64_t limit; /* 0 where not given */
    uint64_t after;
    uint8_t reason; /* 0 where not given */
    bool dry_run;
    bool force;
};

struct http_params {
    uint32_t allowed;
    uint32_t required;
};

VT_MUST_CHECK vt_err http_query_read(const struct http_pair *pairs, uint32_t count,
                                     const struct http_params *params,
                                     struct http_query *out_query);

/* 1 to 20 digits that fit; nothing else. */
VT_MUST_CHECK vt_err http_unsigned(struct vt_str text, uint64_t *out_value);

/*
 * http_problem.h - an error as HTTP says it: a status, and a problem object of RFC 9457 with two
 * members of our own: `code`, the error's name in err.h, and `retry`, whether the same request may
 * succeed later.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

#define HTTP_PROBLEM_TYPE "application/problem+json"

uint32_t http_status(vt_err err);

struct http_problem {
    vt_err err;
    uint32_t status;    /* 0: that of err */
    const char *detail; /* "" is allowed */
};
/* {"type":..,"title":..,"status":..,"code":..,"retry":..,"detail":..} and an LF. */
void http_problem_put(struct json_out *out, const struct http_problem *problem);

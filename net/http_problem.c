/* http_problem.c - see http_problem.h. */
#include "http_problem.h"

#include <stdio.h>
#include <string.h>

#include "venturi/assert.h"
#include "venturi/utf8.h"

uint32_t
http_status(vt_err err)
{
    static const struct status_of {
        vt_err err;
        uint32_t status;
    } statuses[] = {
        {VT_OK, 200},          {VT_NOMEM, 503},         {VT_FULL, 503},       {VT_AGAIN, 503},
        {VT_NOT_FOUND, 404},   {VT_EXISTS, 409},        {VT_INVALID, 400},    {VT_LOCKED, 503},
        {VT_UNSUPPORTED, 501}, {VT_CANCELLED, 503},     {VT_BAD_LENGTH, 400}, {VT_BAD_FORMAT, 400},
        {VT_BAD_TYPE, 400},    {VT_BAD_UTF8, 400},      {VT_TOO_LARGE, 413},  {VT_TOO_DEEP, 400},
        {VT_BAD_TOKEN, 401},   {VT_FORBIDDEN, 403},     {VT_DEADLINE, 408},   {VT_OVER_CREDIT, 503},
        {VT_DEDUP_FULL, 503},  {VT_DISK_FULL, 503},     {VT_FENCED, 503},     {VT_STOPPING, 503},
        {VT_BAD_CATALOG, 422}, {VT_NOT_EXTENSION, 409}, {VT_BAD_CURSOR, 400}, {VT_BAD_JSON, 400},
        {VT_BAD_TIME, 400},    {VT_BAD_DECIMAL, 400},
    };

    for (size_t i = 0; i < VT_COUNT(statuses); i++)
        if (statuses[i].err == err)
            return statuses[i].status;
    return 500; /* damage, a failed write, a state that should not be */
}

/* Of VT_BAD_CURSOR the letters of bad-cursor. */
static char
problem_letter(char c)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz-";
    const char *found = strchr(upper, c);

    if (c == '\0' || found == NULL)
        return c;
    return lower[found - upper];
}

void
http_problem_put(struct json_out *out, const struct http_problem *problem)
{
    const char *name = vt_err_name(problem->err);
    const char *title = vt_err_text(problem->err);
    struct vt_bytes detail = {(const uint8_t *)problem->detail, strlen(problem->detail)};
    char type[64] = "urn:venturi:problem:";
    size_t size = strlen(type);

    VT_ASSERT(problem->err != VT_OK);
    VT_ASSERT(strlen(name) < sizeof type - size);
    for (const char *at = name + strlen("VT_"); *at != '\0'; at++)
        type[size++] = problem_letter(*at);
    /* A detail is cut at 511 bytes, which may be in the middle of a character. */
    while (detail.size > 0 && !vt_utf8_valid(detail))
        detail.size--;
    json_open(out, '{');
    json_key(out, VT_STR("type"));
    json_string(out, (struct vt_str){type, (uint32_t)size});
    json_key(out, VT_STR("title"));
    json_string(out, (struct vt_str){title, (uint32_t)strlen(title)});
    json_key(out, VT_STR("status"));
    json_unsigned(out, problem->status != 0 ? problem->status : http_status(problem->err));
    json_key(out, VT_STR("code"));
    json_string(out, (struct vt_str){name, (uint32_t)strlen(name)});
    json_key(out, VT_STR("retry"));
    json_bool(out, vt_err_may_retry(problem->err));
    if (detail.size > 0) {
        json_key(out, VT_STR("detail"));
        json_string(out, (struct vt_str){problem->detail, (uint32_t)detail.size});
    }
    json_close(out, '}');
    json_end_line(out);
}

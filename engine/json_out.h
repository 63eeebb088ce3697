/*
 * json_out.h - JSON text for answers: one object a line, keys in the order in which the oracle
 * prints them. Strings are escaped as RFC 8259 asks and no further (UTF-8 stays as it is).
 *
 * Life:   json_out_init, put*, json_out_deinit. The buffer grows; the first failure sticks in
 *         `err`.
 * Thread: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

struct adjustment;
struct rated_line;
struct unrated_usage;

struct json_out {
    char *data;
    uint64_t size;
    uint64_t capacity;
    vt_err err;
    bool comma; /* a comma is due before the next key or element */
};

void json_out_init(struct json_out *out);
void json_out_deinit(struct json_out *out);
void json_out_reset(struct json_out *out); /* empty, keeps memory */

void json_put_raw(struct json_out *out, const char *text, uint64_t size);
void json_open(struct json_out *out, char bracket); /* '{' or '[' */
void json_close(struct json_out *out, char bracket);
void json_key(struct json_out *out, struct vt_str key);
void json_string(struct json_out *out, struct vt_str value);
void json_integer(struct json_out *out, int64_t value);
void json_unsigned(struct json_out *out, uint64_t value);
void json_number(struct json_out *out, struct vt_str text); /* text of a valid JSON number */
void json_bool(struct json_out *out, bool value);
void json_null(struct json_out *out);
void json_time(struct json_out *out, int64_t us); /* RFC 3339 string */
void json_end_line(struct json_out *out);

void json_put_line(struct json_out *out, const struct rated_line *line);
void json_put_unrated(struct json_out *out, const struct unrated_usage *usage);
/* The line's keys, then old_amount, new_amount, and amount as the difference. */
void json_put_adjustment(struct json_out *out, const struct adjustment *adjustment);

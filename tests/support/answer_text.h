/*
 * answer_text.h - answers of a view as one text in memory.
 *
 * Life:   zero, sinks and answer_feed append, free(text.data).
 * Errors: out of memory ends the program.
 */
#pragma once

#include <stddef.h>

#include "engine/engine.h"

#define ANSWER_CURSOR_MAX 512

struct answer_text {
    char *data; /* with a NUL behind it, once there is any */
    size_t size;
    size_t capacity;
};

/* A sink whose context is the text. */
vt_err answer_flush(void *context, struct json_out *out);

/* A page of the feed, signed with a secret that is always the same. */
VT_MUST_CHECK vt_err answer_feed(const struct view *view, const struct feed_query *page,
                                 struct answer_text *text, uint64_t *out_rows);

/* The cursor of the last row, or an empty one. */
struct vt_str answer_cursor(const struct answer_text *text, char buffer[ANSWER_CURSOR_MAX]);

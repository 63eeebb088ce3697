/*
 * json_row.h - one line of JSON Lines to one event of a BATCH_ROWS frame. It decides only whether
 * the line is a JSON object by RFC 8259 (valid UTF-8, nesting to VT_DEPTH_MAX); what the event is
 * worth is the daemon's to say. So numbers travel as 64-bit integers only where that is the very
 * same number as its text, else as text; keys given twice stay twice; a lone surrogate escape,
 * which UTF-8 cannot say, becomes the three bytes that would stand for it, at which the daemon says
 * `malformed`.
 *
 * Life:   json_row_open, json_row_parse any number of times, json_row_close.
 * Errors: VT_BAD_JSON or VT_TOO_DEEP: no event; vt_err_last() names the line and the column of the
 *         last byte that was read: what is wrong ends there or begins behind it. VT_NOMEM.
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

struct json_row;

VT_MUST_CHECK vt_err json_row_open(struct json_row **out_row);

/* NULL is allowed. */
void json_row_close(struct json_row *row);

/* `line` without its LF; `number` is its own, from 1, for the message. *out_event is valid until
 * the next call. Clears vt_err_last(). */
VT_MUST_CHECK vt_err json_row_parse(struct json_row *row, struct vt_str line, uint64_t number,
                                    struct vt_bytes *out_event);

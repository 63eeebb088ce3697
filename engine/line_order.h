/*
 * line_order.h - the order of rated lines, one for answers and for comparisons of line sets.
 *
 * Thread: any; nothing here keeps state.
 */
#pragma once

#include "arena.h"
#include "rating.h"

/* The group as JSON with sorted names, all but ASCII escaped: what the order compares. "" where the
 * line has no group. */
VT_MUST_CHECK vt_err line_group_key(struct arena *arena, const struct rated_line *line,
                                    struct vt_str *out_key);

/* RFC 3339 texts in the order of text: of two times in one second the one with a fraction is
 * first. */
int line_time_order(int64_t a_us, int64_t b_us);

/* By (tenant, contract, period start, from, to, charge, kind, row, group key). */
int line_order(const struct rated_line *a, struct vt_str a_key, const struct rated_line *b,
               struct vt_str b_key);

/*
 * rater_lines.h - a sheet of rated lines: texts of exact numbers, and the order of the answer.
 *
 * The order is by (contract, period start, from, to, charge, kind, row, group), texts compared as
 * the lines show them, the group as its JSON text with sorted keys and escapes.
 *
 * Life:   line_sheet_open, emit*, print, close.
 * Memory: the arena's, but for the array of lines.
 * Thread: the rater's.
 */
#pragma once

#include <gmp.h>
#include <stdint.h>

#include "arena.h"
#include "catalog.h"
#include "rating.h"

struct line_sheet;

/* Values of dimensions, in the order of price_by and then split_by; a name stands there once. */
struct line_group {
    uint32_t count;
    const struct vt_str *names;
    const struct vt_str *values;
};

struct emission {
    const struct contract *contract;
    const struct contract_version *version;
    const struct plan *plan;
    struct vt_str charge;
    struct vt_str kind;
    int64_t row; /* -1: null */
    int64_t period_us;
    int64_t period_end_us;
    int64_t from_us;
    int64_t to_us;
    struct line_group group; /* borrowed for the call */
    mpq_srcptr quantity;
    mpq_srcptr billable;
    mpq_srcptr exact;
    mpq_srcptr money; /* rounded to the currency's digits */
};

VT_MUST_CHECK vt_err line_sheet_open(struct arena *arena, struct vt_str tenant,
                                     struct line_sheet **out_sheet);
void line_sheet_close(struct line_sheet *sheet); /* NULL is allowed */
struct arena *line_sheet_arena(const struct line_sheet *sheet);

VT_MUST_CHECK vt_err line_sheet_emit(struct line_sheet *sheet, const struct emission *emission);
VT_MUST_CHECK vt_err line_sheet_print(struct line_sheet *sheet, const struct rating_sink *sink);

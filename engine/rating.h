/*
 * rating.h - lines from usage: a pure function of (catalog, accepted rows of one tenant). Live
 * lines, replay, re-rating and what-if call this same code. Exact rationals (GMP) at the line,
 * 128-bit integers below.
 *
 * The rows may come in any order and any cut into blocks; the result does not depend on it.
 *
 * Life:   rater_open, rater_add any number of times, rater_finish once, rater_close.
 * Memory: grows with (interval, row, group) combinations in use; with the events themselves only
 *         for `percentage` charges and with distinct values for `unique`.
 * Thread: one a rater; several raters may run at once on one catalog.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "catalog.h"

struct rater;

struct rater_options {
    const struct catalog *catalog;
    uint32_t tenant; /* index in the catalog */
    bool has_at; /* only the billing period that holds at_us, usage or not; else those with usage */
    int64_t at_us;
    bool has_range; /* only periods that touch [start_us, end_us) */
    int64_t start_us;
    int64_t end_us;
};

/* One line, as texts that live for the call of the sink. Identity: contract, period start, charge,
 * kind, row, group, from, to, contract version, plan version. */
struct rated_line {
    struct vt_str tenant;
    struct vt_str contract;
    int64_t contract_version;
    struct vt_str plan;
    int64_t plan_version;
    struct vt_str charge;
    struct vt_str kind; /* usage, fixed, minimum, maximum, true_up */
    int64_t row;        /* -1: null */
    int64_t period_start_us;
    int64_t period_end_us;
    int64_t from_us;
    int64_t to_us;
    uint32_t group_count;
    const struct vt_str *group_names;
    const struct vt_str *group_values;
    struct vt_str quantity;
    struct vt_str billable;
    struct vt_str amount_exact;
    struct vt_str currency;
    struct vt_str amount;
};

/* Accepted usage of a meter that no line covers. */
struct unrated_usage {
    struct vt_str tenant;
    struct vt_str meter;
    struct vt_str reason; /* no_contract, no_plan_version, not_priced, no_charge */
    uint64_t events;
    int64_t first_us;
    int64_t last_us;
};

struct rating_sink {
    vt_err (*line)(void *context, const struct rated_line *line);        /* NULL: not wanted */
    vt_err (*unrated)(void *context, const struct unrated_usage *usage); /* NULL: not wanted */
    void *context;
};

VT_MUST_CHECK vt_err rater_open(const struct rater_options *options, struct rater **out_rater);

/* Rows of the rater's tenant; ids are needed where rater_needs_ids says so. Types and fields are
 * bound by name; fields that the judging catalog did not declare are read from `extra` where it is
 * there; such a value that does not fit counts as absent, for nobody asked for it when the event
 * was accepted. A row that this catalog could not take (a required decimal is missing, a declared
 * one does not fit) is VT_INVALID with its position as detail. */
VT_MUST_CHECK vt_err rater_add(struct rater *rater, const struct row_block *block);
bool rater_needs_ids(const struct rater *rater);

/* Lines in the oracle's order: contract, period start, from, to, charge, kind, row, group. */
VT_MUST_CHECK vt_err rater_finish(struct rater *rater, const struct rating_sink *sink);
void rater_close(struct rater *rater); /* NULL is allowed */

/* The adjustments between two sets of lines of one tenant. Lines are collected by line_set_add (a
 * copy), compared by identity, a missing one counts as 0; zero differences are not emitted. */
struct line_set;
VT_MUST_CHECK vt_err line_set_open(struct line_set **out_set);
VT_MUST_CHECK vt_err line_set_add(struct line_set *set, const struct rated_line *line);
void line_set_close(struct line_set *set);

struct adjustment {
    const struct rated_line *line; /* the new one, or the old one where there is no new */
    struct vt_str old_amount;      /* "0.00" with the currency's digits where there was none */
    struct vt_str new_amount;
    struct vt_str amount; /* new less old */
};
VT_MUST_CHECK vt_err line_set_compare(const struct line_set *before, const struct line_set *after,
                                      vt_err (*sink)(void *context,
                                                     const struct adjustment *adjustment),
                                      void *context);

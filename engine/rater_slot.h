/*
 * rater_slot.h - between rater_run.c, which knows a period's runs and charges, and rater_slot.c,
 * which prices one row and price group of a charge.
 *
 * Thread: the rater's.
 */
#pragma once

#include <gmp.h>

#include "rater.h"
#include "rater_lines.h"

/* An interval of a run: one contract version and one plan version. */
struct part {
    int64_t lo_us;
    int64_t hi_us;
    const struct contract_version *version;
    const struct plan *plan;
};

struct covered_cell;

/* An unbroken stretch of a billing period in which counters run on. */
struct rate_run {
    const struct rater *rater;
    const struct contract *contract;
    struct line_sheet *sheet;
    struct arena *scratch; /* of one charge */
    int64_t period_us;
    int64_t period_end_us;
    int64_t begin_us;
    int64_t end_us;
    uint32_t part_count;
    const struct part *parts;
    uint32_t cell_count; /* that this contract covers in the run, by time */
    const struct covered_cell *cells;
};

/* The parts of a run that have a charge. */
struct charge_part {
    const struct part *part;
    const struct charge *charge;
};

struct charge_parts {
    uint32_t count;
    struct charge_part *at;
};

/* Usage that a charge takes: one cell. */
struct usage {
    uint32_t row;
    uint32_t number; /* in charge_parts */
    uint32_t tuple;
    const struct gauge *gauge;
    struct vt_str *group; /* values of the charge's price_by */
};

struct slot {
    const struct rate_run *run;
    const struct charge_parts *parts;
    uint32_t meter;
    uint32_t row;
    uint32_t usage_count;
    const struct usage *usages; /* ordered by number */
};

/* out = a part's length over the period's; over that of all parts where `over` is not NULL. */
void share_of_period(mpq_t out, const struct rate_run *run, const struct part *part,
                     const struct charge_parts *over);

/* amount x (1 - discount / 100) */
void discount_apply(mpq_t amount, const struct charge *charge);

/* An emission of a part with all that does not depend on usage. */
struct emission emission_of(const struct rate_run *run, const struct part *part);

/* Adds the rounded money of the slot's lines to `money`. */
VT_MUST_CHECK vt_err slot_rate(const struct slot *slot, mpq_t money);

/*
 * rater_slot.h - what the files share that turn cells into lines: rater_run.c knows a contract's
 * periods and runs, rater_charge.c a charge in a run, rater_slot.c one row and price group of it.
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

/* A cell that a contract covers. */
struct covered_cell {
    int64_t lo_us; /* of its segment */
    int64_t period_us;
    uint32_t type;
    uint32_t cell;
};

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

/* The state of a slot while it goes through its parts. */
struct walk {
    const struct slot *slot;
    const struct catalog_meter *meter;
    bool is_level;
    vt_i128 *quantity; /* by part; level: the run's */
    uint32_t *first;   /* by part: its first usage; one more at the end */
    mpq_t allowance;
    mpq_t left;  /* free units that no event of a percentage has drawn yet */
    mpq_t whole; /* billable units of the run */
    mpq_t seen;  /* units of the parts before */
    mpq_t total; /* exact amount of the parts so far */
    mpq_t money; /* and rounded */
    mpq_t units; /* of this part */
    mpq_t exact;
    mpq_t line;
};

/* rater_fold.c: the aggregate over some usage, in units of the meter's scale; 0 over none. */
VT_MUST_CHECK vt_err usages_fold(enum aggregation aggregation, const struct usage *usages,
                                 uint32_t count, vt_i128 *out);

/* rater_fee.c: units and exact of a part, and what is left of the free units. */
VT_MUST_CHECK vt_err slot_percentage(struct walk *walk, const struct price_terms *terms,
                                     uint32_t number);

/* rater_split.c: the lines of a part. */
VT_MUST_CHECK vt_err slot_emit(const struct walk *walk, uint32_t number);

/* rater_charge.c */

/* out = a part's length over the period's; over that of all parts where `over` is not NULL. */
void share_of_period(mpq_t out, const struct rate_run *run, const struct part *part,
                     const struct charge_parts *over);

/* Rounded as the part's plan says, to its currency's digits. */
void round_for(mpq_t out, const mpq_t amount, const struct part *part);

/* amount x (1 - discount / 100) */
void discount_apply(mpq_t amount, const struct charge *charge);

/* An emission of a part with all that does not depend on usage. */
struct emission emission_of(const struct rate_run *run, const struct part *part);

/* A line for the whole run: one piece for the amount. `shared` says the rest. */
VT_MUST_CHECK vt_err run_emit(const struct rate_run *run, const struct emission *shared,
                              const mpq_t amount);

/* All lines of one charge; adds their rounded money to `money`. */
VT_MUST_CHECK vt_err charge_rate(const struct rate_run *run, const struct charge_parts *parts,
                                 mpq_t money);

/* rater_slot.c: adds the rounded money of the slot's lines to `money`. */
VT_MUST_CHECK vt_err slot_rate(const struct slot *slot, mpq_t money);

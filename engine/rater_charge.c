/* rater_charge.c - one charge in a run: its usage by price groups and rows, or a fixed fee; its
 * minimum and its maximum. */
#include <stdlib.h>

#include "money.h"
#include "rater_slot.h"
#include "venturi/assert.h"

void
share_of_period(mpq_t out, const struct rate_run *run, const struct part *part,
                const struct charge_parts *over)
{
    int64_t whole_us = run->period_end_us - run->period_us;

    if (over != NULL) {
        whole_us = 0;
        for (uint32_t i = 0; i < over->count; i++)
            whole_us += over->at[i].part->hi_us - over->at[i].part->lo_us;
    }
    money_set_ratio(out, part->hi_us - part->lo_us, whole_us);
}

void
discount_apply(mpq_t amount, const struct charge *charge)
{
    mpq_t rest;
    mpq_t hundred;

    if (charge->discount_percent.mantissa == 0)
        return;
    mpq_inits(rest, hundred, NULL);
    mpq_set_ui(hundred, 100, 1);
    money_set_price(rest, &charge->discount_percent);
    mpq_sub(rest, hundred, rest);
    mpq_div(rest, rest, hundred);
    mpq_mul(amount, amount, rest);
    mpq_clears(rest, hundred, NULL);
}

struct emission
emission_of(const struct rate_run *run, const struct part *part)
{
    return (struct emission){.contract = run->contract,
                             .version = part->version,
                             .plan = part->plan,
                             .row = -1,
                             .period_us = run->period_us,
                             .period_end_us = run->period_end_us,
                             .from_us = part->lo_us,
                             .to_us = part->hi_us};
}

vt_err
run_emit(const struct rate_run *run, const struct emission *shared, const mpq_t amount)
{
    struct emission emission = *shared;
    mpq_t one;

    mpq_init(one);
    mpq_set_ui(one, 1, 1);
    emission.from_us = run->begin_us;
    emission.to_us = run->end_us;
    emission.quantity = one;
    emission.billable = one;
    emission.exact = amount;
    emission.money = amount;
    vt_err err = line_sheet_emit(run->sheet, &emission);

    mpq_clear(one);
    return err;
}

void
round_for(mpq_t out, const mpq_t amount, const struct part *part)
{
    money_round(out, amount, part->plan->minor_digits, part->plan->rounding);
}

static vt_err
fixed_rate(const struct rate_run *run, const struct charge_parts *parts, mpq_t money)
{
    vt_err err = VT_OK;
    mpq_t total;
    mpq_t exact;
    mpq_t line;
    mpq_t one;

    mpq_inits(total, exact, line, one, NULL);
    mpq_set_ui(one, 1, 1);
    for (uint32_t i = 0; i < parts->count && err == VT_OK; i++) {
        const struct part *part = parts->at[i].part;
        const struct charge *charge = parts->at[i].charge;
        struct emission emission = emission_of(run, part);

        if (!charge->prorate && i > 0)
            continue;
        money_set_price(exact, &charge->rows[0].terms.price);
        if (charge->prorate) {
            share_of_period(line, run, part, NULL);
            mpq_mul(exact, exact, line);
        }
        discount_apply(exact, charge);
        mpq_add(total, total, exact);
        round_for(line, total, part);
        mpq_sub(line, line, money);
        mpq_add(money, money, line);
        emission.charge = charge->key;
        emission.kind = VT_STR("fixed");
        emission.quantity = one;
        emission.billable = one;
        emission.exact = exact;
        emission.money = line;
        err = line_sheet_emit(run->sheet, &emission);
    }
    mpq_clears(total, exact, line, one, NULL);
    return err;
}

/* ---- minimum and maximum ---- */

/* The sum of the bounds that the parts of a charge set; false where there is none. */
static bool
bound_sum(const struct rate_run *run, const struct charge_parts *parts, bool is_minimum, mpq_t out)
{
    uint32_t bounded = 0;
    mpq_t bound;
    mpq_t share;

    mpq_inits(bound, share, NULL);
    mpq_set_ui(out, 0, 1);
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct charge *charge = parts->at[i].charge;

        if (is_minimum ? !charge->has_minimum : !charge->has_maximum)
            continue;
        bounded++;
        money_set_price(bound, is_minimum ? &charge->minimum : &charge->maximum);
        share_of_period(share, run, parts->at[i].part, charge->prorate ? NULL : parts);
        mpq_mul(bound, bound, share);
        mpq_add(out, out, bound);
    }
    mpq_clears(bound, share, NULL);
    return is_minimum ? bounded > 0 : bounded == parts->count;
}

/* Adds to `money` what lifts it to the minimum or lowers it to the maximum. */
static vt_err
bounds_rate(const struct rate_run *run, const struct charge_parts *parts,
            const struct line_group *group, mpq_t money)
{
    const struct charge_part *last = &parts->at[parts->count - 1];
    vt_err err = VT_OK;
    mpq_t gap;

    mpq_init(gap);
    for (uint32_t i = 0; i < 2 && err == VT_OK; i++) {
        bool is_minimum = i == 0;
        struct emission emission = emission_of(run, last->part);

        if (!bound_sum(run, parts, is_minimum, gap))
            continue;
        round_for(gap, gap, last->part);
        mpq_sub(gap, gap, money);
        if (is_minimum ? mpq_sgn(gap) <= 0 : mpq_sgn(gap) >= 0)
            continue;
        mpq_add(money, money, gap);
        emission.charge = last->charge->key;
        emission.kind = is_minimum ? VT_STR("minimum") : VT_STR("maximum");
        emission.group = *group;
        err = run_emit(run, &emission, gap);
    }
    mpq_clear(gap);
    return err;
}

/* ---- usage ---- */

struct usage_set {
    uint32_t name_count; /* of price_by, each once */
    struct vt_str *names;
    uint32_t count;
    struct usage *usages;
};

static int
group_order(const struct usage *a, const struct usage *b, const struct usage_set *set)
{
    int order = 0;

    for (uint32_t i = 0; i < set->name_count && order == 0; i++)
        order = vt_str_compare(a->group[i], b->group[i]);
    return order;
}

static int
integer_order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int
usage_order(const void *left, const void *right, void *context)
{
    const struct usage *a = left;
    const struct usage *b = right;
    int order = group_order(a, b, context);

    if (order == 0)
        order = integer_order(a->row, b->row);
    return order != 0 ? order : integer_order(a->number, b->number);
}

static bool
is_named(const struct usage_set *set, struct vt_str name)
{
    for (uint32_t i = 0; i < set->name_count; i++) {
        if (vt_str_equal(set->names[i], name))
            return true;
    }
    return false;
}

/* The part of the charge that holds an instant; CATALOG_NONE where the charge is not there. */
static uint32_t
part_at(const struct charge_parts *parts, int64_t us)
{
    for (uint32_t i = 0; i < parts->count; i++) {
        if (us >= parts->at[i].part->lo_us && us < parts->at[i].part->hi_us)
            return i;
    }
    return CATALOG_NONE;
}

static vt_err
usage_add(const struct rate_run *run, const struct charge_parts *parts,
          const struct covered_cell *covered, struct usage_set *set)
{
    const struct rater *rater = run->rater;
    const struct rater_type *type = &rater->types[covered->type];
    uint32_t number = part_at(parts, covered->lo_us);

    if (number == CATALOG_NONE)
        return VT_OK;
    const struct charge *charge = parts->at[number].charge;
    const struct catalog_meter *meter = &rater->catalog->meters[charge->meter];

    if (meter->type != covered->type)
        return VT_OK;
    uint32_t tuple = type->cells[covered->cell].tuple;
    const struct gauge *gauge = rater_gauge(type, covered->cell, rater->meter_input[charge->meter]);

    if (gauge->count == 0 || !rater_passes(rater, type, tuple, &meter->filter))
        return VT_OK;
    uint32_t row = rater_row(rater, type, tuple, charge);

    if (row == CATALOG_NONE)
        return VT_OK;
    struct vt_str *group =
        arena_alloc(run->scratch, ((uint64_t)set->name_count + 1) * sizeof *group);

    if (group == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < set->name_count; i++)
        group[i] = rater_dim(rater, type, tuple, set->names[i]);
    set->usages[set->count++] = (struct usage){row, number, tuple, gauge, group};
    return VT_OK;
}

/* What the charge takes, ordered by price group, row and part. */
static vt_err
usages_gather(const struct rate_run *run, const struct charge_parts *parts, struct usage_set *set)
{
    const struct charge *charge = parts->at[0].charge;
    vt_err err = VT_OK;

    set->names =
        arena_alloc(run->scratch, ((uint64_t)charge->price_by_count + 1) * sizeof *set->names);
    set->usages = arena_alloc(run->scratch, ((uint64_t)run->cell_count + 1) * sizeof *set->usages);
    if (set->names == NULL || set->usages == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < charge->price_by_count; i++) {
        if (!is_named(set, charge->price_by[i]))
            set->names[set->name_count++] = charge->price_by[i];
    }
    for (uint32_t i = 0; i < run->cell_count && err == VT_OK; i++)
        err = usage_add(run, parts, &run->cells[i], set);
    if (err == VT_OK && set->count > 0)
        qsort_r(set->usages, set->count, sizeof *set->usages, usage_order, set);
    return err;
}

/* All rows of one price group, then its bounds. Moves `at` behind the group. */
static vt_err
group_rate(const struct rate_run *run, const struct charge_parts *parts,
           const struct usage_set *set, uint32_t *at, mpq_t money)
{
    const struct usage *head = &set->usages[*at];
    struct line_group group = {set->name_count, set->names, head->group};
    vt_err err = VT_OK;
    mpq_t sum;

    mpq_init(sum);
    while (err == VT_OK && *at < set->count && group_order(head, &set->usages[*at], set) == 0) {
        const struct usage *first = &set->usages[*at];
        struct slot slot = {run, parts, parts->at[0].charge->meter, first->row, 0, first};

        while (*at < set->count && set->usages[*at].row == first->row &&
               group_order(head, &set->usages[*at], set) == 0) {
            slot.usage_count++;
            (*at)++;
        }
        err = slot_rate(&slot, sum);
    }
    if (err == VT_OK)
        err = bounds_rate(run, parts, &group, sum);
    mpq_add(money, money, sum);
    mpq_clear(sum);
    return err;
}

static vt_err
usage_rate(const struct rate_run *run, const struct charge_parts *parts, mpq_t money)
{
    struct usage_set set = {.count = 0};
    struct line_group none = {.count = 0};
    uint32_t at = 0;
    vt_err err = usages_gather(run, parts, &set);

    /* Without usage only a charge that is not priced by groups has bounds to keep. */
    if (err == VT_OK && set.count == 0 && parts->at[0].charge->price_by_count == 0)
        return bounds_rate(run, parts, &none, money);
    while (err == VT_OK && at < set.count)
        err = group_rate(run, parts, &set, &at, money);
    return err;
}

vt_err
charge_rate(const struct rate_run *run, const struct charge_parts *parts, mpq_t money)
{
    VT_ASSERT(parts->count > 0);
    if (parts->at[0].charge->model == MODEL_FIXED)
        return fixed_rate(run, parts, money);
    return usage_rate(run, parts, money);
}

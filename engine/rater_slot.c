/* rater_slot.c - one row and price group of a charge: its counters run through the parts of the
 * run. */
#include "rater_slot.h"

#include <string.h>

#include "money.h"
#include "price_model.h"
#include "venturi/assert.h"

static void
walk_init(struct walk *walk, const struct slot *slot)
{
    const struct catalog *catalog = slot->run->rater->catalog;

    memset(walk, 0, sizeof *walk);
    walk->slot = slot;
    walk->meter = &catalog->meters[slot->meter];
    walk->is_level = walk->meter->aggregation != AGG_SUM && walk->meter->aggregation != AGG_COUNT;
    mpq_inits(walk->allowance, walk->left, walk->whole, walk->seen, walk->total, walk->money,
              walk->units, walk->exact, walk->line, NULL);
}

static void
walk_clear(struct walk *walk)
{
    mpq_clears(walk->allowance, walk->left, walk->whole, walk->seen, walk->total, walk->money,
               walk->units, walk->exact, walk->line, NULL);
}

/* The terms of the slot in a part; NULL where the part's table has no such row. */
static const struct price_terms *
terms_of(const struct slot *slot, uint32_t number)
{
    const struct charge *charge = slot->parts->at[number].charge;

    return slot->row < charge->row_count ? &charge->rows[slot->row].terms : NULL;
}

static vt_err
quantities_make(struct walk *walk)
{
    const struct slot *slot = walk->slot;
    uint32_t part_count = slot->parts->count;
    vt_err err = VT_OK;

    walk->quantity = arena_zalloc(slot->run->scratch, part_count * sizeof *walk->quantity);
    walk->first = arena_zalloc(slot->run->scratch, (part_count + 1) * sizeof *walk->first);
    if (walk->quantity == NULL || walk->first == NULL)
        return VT_NOMEM;
    for (uint32_t n = 0, at = 0; n <= part_count; n++) {
        while (at < slot->usage_count && slot->usages[at].number < n)
            at++;
        walk->first[n] = at;
    }
    VT_ASSERT(walk->first[part_count] == slot->usage_count);
    for (uint32_t n = 0; n < part_count && err == VT_OK; n++) {
        uint32_t first = walk->is_level ? 0 : walk->first[n];
        uint32_t end = walk->is_level ? slot->usage_count : walk->first[n + 1];

        err = usages_fold(walk->meter->aggregation, slot->usages + first, end - first,
                          &walk->quantity[n]);
    }
    return err;
}

static void
allowance_make(struct walk *walk)
{
    const struct slot *slot = walk->slot;
    mpq_t included;
    mpq_t share;

    mpq_inits(included, share, NULL);
    for (uint32_t n = 0; n < slot->parts->count; n++) {
        const struct price_terms *terms = terms_of(slot, n);
        const struct charge_part *part = &slot->parts->at[n];

        if (terms == NULL)
            continue;
        money_set_price(included, &terms->included);
        share_of_period(share, slot->run, part->part, part->charge->prorate ? NULL : slot->parts);
        mpq_mul(included, included, share);
        mpq_add(walk->allowance, walk->allowance, included);
    }
    money_floor(walk->allowance, walk->allowance, walk->meter->scale);
    mpq_set(walk->left, walk->allowance);
    mpq_clears(included, share, NULL);
}

/* out = units - min(max(units, 0), allowance) */
static void
billable(mpq_t out, const mpq_t units, const mpq_t allowance)
{
    mpq_t off;

    mpq_init(off);
    if (mpq_sgn(units) > 0)
        mpq_set(off, units);
    if (mpq_cmp(allowance, off) < 0)
        mpq_set(off, allowance);
    mpq_sub(out, units, off);
    mpq_clear(off);
}

static void
whole_make(struct walk *walk)
{
    const struct slot *slot = walk->slot;
    vt_i128 sum = 0;

    /* Parts together hold fewer than 2^64 events, so their sums stay within 128 bits. */
    for (uint32_t n = 0; n < slot->parts->count; n++)
        sum = walk->is_level ? walk->quantity[0] : sum + walk->quantity[n];
    money_set_scaled(walk->whole, sum, walk->meter->scale);
    billable(walk->whole, walk->whole, walk->allowance);
}

/* The tier is found with the run's total; a level meter's share of time is applied to all of it
 * later. */
static void
volume_price(struct walk *walk, const struct price_terms *terms, const mpq_t in_run)
{
    mpq_t flat;

    if (mpq_sgn(walk->whole) <= 0) {
        mpq_set_ui(walk->exact, 0, 1);
        return;
    }
    const struct tier *tier = price_volume_tier(terms, walk->whole);

    mpq_init(flat);
    money_set_price(flat, &tier->price);
    mpq_mul(walk->exact, walk->units, flat);
    money_set_price(flat, &tier->flat);
    if (!walk->is_level)
        mpq_mul(flat, flat, in_run);
    mpq_add(walk->exact, walk->exact, flat);
    mpq_clear(flat);
}

/* units and exact of a part, before the discount. */
static vt_err
part_price(struct walk *walk, const struct price_terms *terms, uint32_t number)
{
    const struct slot *slot = walk->slot;
    const struct charge_part *part = &slot->parts->at[number];
    vt_err err = VT_OK;
    mpq_t before;
    mpq_t after;
    mpq_t in_run;

    mpq_inits(before, after, in_run, NULL);
    money_set_ratio(in_run, part->part->hi_us - part->part->lo_us,
                    slot->run->end_us - slot->run->begin_us);
    money_set_scaled(after, walk->quantity[number], walk->meter->scale);
    if (!walk->is_level) {
        billable(before, walk->seen, walk->allowance);
        mpq_add(walk->seen, walk->seen, after);
        mpq_set(after, walk->seen);
    }
    billable(after, after, walk->allowance);
    mpq_sub(walk->units, after, before);
    if (terms->model == MODEL_PERCENTAGE) {
        err = slot_percentage(walk, terms, number);
    } else if (terms->model == MODEL_VOLUME) {
        volume_price(walk, terms, in_run);
    } else {
        price_cumulative(walk->exact, terms, after);
        price_cumulative(after, terms, before);
        mpq_sub(walk->exact, walk->exact, after);
    }
    if (walk->is_level && part->charge->prorate_quantity)
        share_of_period(in_run, slot->run, part->part, NULL);
    if (walk->is_level)
        mpq_mul(walk->exact, walk->exact, in_run);
    mpq_clears(before, after, in_run, NULL);
    return err;
}

static vt_err
part_rate(struct walk *walk, uint32_t number)
{
    const struct slot *slot = walk->slot;
    const struct charge_part *part = &slot->parts->at[number];
    const struct price_terms *terms = terms_of(slot, number);
    bool has_members = walk->is_level || walk->first[number] < walk->first[number + 1];

    if (terms == NULL)
        return VT_OK;
    vt_err err = part_price(walk, terms, number);

    if (err != VT_OK)
        return err;
    discount_apply(walk->exact, part->charge);
    mpq_add(walk->total, walk->total, walk->exact);
    money_round(walk->line, walk->total, part->part->plan->minor_digits,
                part->part->plan->rounding);
    mpq_sub(walk->line, walk->line, walk->money);
    mpq_add(walk->money, walk->money, walk->line);
    if (!has_members && mpq_sgn(walk->exact) == 0 && mpq_sgn(walk->line) == 0)
        return VT_OK;
    return slot_emit(walk, number);
}

vt_err
slot_rate(const struct slot *slot, mpq_t money)
{
    struct walk walk;

    VT_ASSERT(slot->usage_count > 0);
    walk_init(&walk, slot);
    vt_err err = quantities_make(&walk);

    if (err == VT_OK) {
        allowance_make(&walk);
        whole_make(&walk);
    }
    for (uint32_t n = 0; n < slot->parts->count && err == VT_OK; n++)
        err = part_rate(&walk, n);
    mpq_add(money, money, walk.money);
    walk_clear(&walk);
    return err;
}

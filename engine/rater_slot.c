/* rater_slot.c - one row and price group of a charge: its counters run through the parts of the
 * run. */
#include "rater_slot.h"

#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "money.h"
#include "price_model.h"
#include "venturi/assert.h"

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

static vt_err
sets_count(const struct usage *usages, uint32_t count, vt_i128 *out)
{
    if (count == 1) {
        *out = (vt_i128)roaring_bitmap_get_cardinality(usages->gauge->more->set);
        return VT_OK;
    }
    roaring_bitmap_t *all = roaring_bitmap_copy(usages->gauge->more->set);

    for (uint32_t i = 1; i < count && all != NULL; i++)
        roaring_bitmap_or_inplace(all, usages[i].gauge->more->set);
    if (all == NULL)
        return VT_NOMEM;
    *out = (vt_i128)roaring_bitmap_get_cardinality(all);
    roaring_bitmap_free(all);
    return VT_OK;
}

static int64_t
last_value(const struct usage *usages, uint32_t count)
{
    const struct event_note *last = &usages->gauge->more->last;

    for (uint32_t i = 1; i < count; i++) {
        const struct event_note *note = &usages[i].gauge->more->last;

        if (event_note_order(note, last) > 0)
            last = note;
    }
    return last->value;
}

/* The aggregate over some usage, in units of the meter's scale; 0 over none. */
static vt_err
usages_fold(enum aggregation aggregation, const struct usage *usages, uint32_t count, vt_i128 *out)
{
    vt_i128 value = 0;

    *out = 0;
    if (count == 0)
        return VT_OK;
    if (aggregation == AGG_UNIQUE)
        return sets_count(usages, count, out);
    if (aggregation == AGG_MIN || aggregation == AGG_MAX)
        value = aggregation == AGG_MIN ? usages->gauge->min : usages->gauge->max;
    else if (aggregation == AGG_LAST)
        value = last_value(usages, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct gauge *gauge = usages[i].gauge;

        if (aggregation == AGG_MIN && gauge->min < value)
            value = gauge->min;
        else if (aggregation == AGG_MAX && gauge->max > value)
            value = gauge->max;
        else if (aggregation == AGG_SUM && __builtin_add_overflow(value, gauge->sum, &value))
            return VT_OVERFLOW;
        else if (aggregation == AGG_COUNT)
            value += gauge->count;
    }
    *out = value;
    return VT_OK;
}

static uint64_t
usages_events(const struct usage *usages, uint32_t count)
{
    uint64_t events = 0;

    for (uint32_t i = 0; i < count; i++)
        events += usages[i].gauge->count;
    return events;
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

/* `count` events of one value, none of them with free units. */
static void
fees_add(struct walk *walk, const struct price_terms *terms, const mpq_t value, const mpq_t free,
         uint64_t count)
{
    mpq_t fee;
    mpq_t times;

    mpq_inits(fee, times, NULL);
    mpz_set_ui(mpq_numref(times), count);
    price_event_fee(fee, terms, value, free);
    mpq_mul(fee, fee, times);
    mpq_add(walk->exact, walk->exact, fee);
    mpq_sub(fee, value, free);
    mpq_mul(fee, fee, times);
    mpq_add(walk->units, walk->units, fee);
    mpq_clears(fee, times, NULL);
}

/* `count` events of one value, which follow each other: the first ones draw what free units are
 * left. */
static void
fees_draw(struct walk *walk, const struct price_terms *terms, const mpq_t value, uint64_t count)
{
    mpq_t none;
    mpq_t drawn;

    mpq_inits(none, drawn, NULL);
    if (mpq_sgn(value) > 0 && mpq_sgn(walk->left) > 0) {
        mpq_div(drawn, walk->left, value);
        mpz_fdiv_q(mpq_numref(drawn), mpq_numref(drawn), mpq_denref(drawn));
        mpz_set_ui(mpq_denref(drawn), 1);
        if (mpz_cmp_ui(mpq_numref(drawn), count) > 0)
            mpz_set_ui(mpq_numref(drawn), count);
        count -= mpz_get_ui(mpq_numref(drawn));
        mpq_mul(drawn, drawn, value);
        mpq_sub(walk->left, walk->left, drawn);
    }
    if (count > 0 && mpq_sgn(value) > 0 && mpq_sgn(walk->left) != 0) {
        fees_add(walk, terms, value, walk->left, 1);
        mpq_set(walk->left, none);
        count--;
    }
    if (count > 0)
        fees_add(walk, terms, value, none, count);
    mpq_clears(none, drawn, NULL);
}

static int
note_order(const void *left, const void *right)
{
    return event_note_order(left, right);
}

/* A part's events in their order. */
static vt_err
fees_of_events(struct walk *walk, const struct price_terms *terms, uint32_t first, uint32_t end)
{
    const struct slot *slot = walk->slot;
    uint64_t count = 0;
    uint64_t used = 0;
    mpq_t value;

    for (uint32_t i = first; i < end; i++)
        count += slot->usages[i].gauge->more->event_count;
    struct event_note *notes = arena_alloc(slot->run->scratch, (count + 1) * sizeof *notes);

    if (notes == NULL)
        return VT_NOMEM;
    for (uint32_t i = first; i < end; i++) {
        const struct gauge_more *more = slot->usages[i].gauge->more;

        memcpy(notes + used, more->events, more->event_count * sizeof *notes);
        used += more->event_count;
    }
    qsort(notes, count, sizeof *notes, note_order);
    mpq_init(value);
    for (uint64_t i = 0; i < count; i++) {
        money_set_scaled(value, notes[i].value, walk->meter->scale);
        fees_draw(walk, terms, value, 1);
    }
    mpq_clear(value);
    return VT_OK;
}

static vt_err
percentage_price(struct walk *walk, const struct price_terms *terms, uint32_t number)
{
    const struct slot *slot = walk->slot;
    uint32_t first = walk->first[number];
    uint32_t end = walk->first[number + 1];
    mpq_t value;

    mpq_set_ui(walk->exact, 0, 1);
    mpq_set_ui(walk->units, 0, 1);
    if (walk->meter->aggregation == AGG_SUM && end > first &&
        (mpq_sgn(walk->allowance) != 0 || slot->usages[first].gauge->more->bag == NULL))
        return fees_of_events(walk, terms, first, end);
    mpq_init(value);
    for (uint32_t i = first; i < end; i++) {
        const struct gauge *gauge = slot->usages[i].gauge;
        uint32_t places = walk->meter->aggregation == AGG_COUNT ? 0 : gauge->more->bag_capacity;

        mpq_set_ui(value, 1, 1);
        if (walk->meter->aggregation == AGG_COUNT)
            fees_draw(walk, terms, value, gauge->count);
        for (uint32_t b = 0; b < places; b++) {
            if (gauge->more->bag[b].count == 0)
                continue;
            money_set_scaled(value, gauge->more->bag[b].value, walk->meter->scale);
            fees_draw(walk, terms, value, gauge->more->bag[b].count);
        }
    }
    mpq_clear(value);
    return VT_OK;
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
        err = percentage_price(walk, terms, number);
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

/* ---- the shares of split_by ---- */

struct bucket {
    uint32_t first; /* usage, in the order of the buckets */
    uint32_t end;
    vt_i128 own;
    vt_i128 weight;
};

struct split {
    const struct charge *charge;
    uint32_t name_count; /* of price_by and split_by, each once */
    struct vt_str *names;
    uint32_t usage_count;
    struct usage *usages; /* copies whose group has all names */
    uint32_t bucket_count;
    struct bucket *buckets;
};

static void
name_add(struct split *split, struct vt_str name)
{
    for (uint32_t i = 0; i < split->name_count; i++) {
        if (vt_str_equal(split->names[i], name))
            return;
    }
    split->names[split->name_count++] = name;
}

static int
groups_order(const struct vt_str *a, const struct vt_str *b, uint32_t count)
{
    int order = 0;

    for (uint32_t i = 0; i < count && order == 0; i++)
        order = vt_str_compare(a[i], b[i]);
    return order;
}

static int
bucket_order(const void *left, const void *right, void *context)
{
    const struct usage *a = left;
    const struct usage *b = right;
    const struct split *split = context;

    return groups_order(a->group, b->group, split->name_count);
}

/* The members of a line with the values of all names, ordered and cut into buckets. */
static vt_err
split_make(const struct walk *walk, const struct charge *charge, const struct usage *members,
           struct split *split)
{
    const struct slot *slot = walk->slot;
    struct arena *scratch = slot->run->scratch;
    const struct rater *rater = slot->run->rater;
    const struct rater_type *type = &rater->types[walk->meter->type];
    uint64_t names_max = (uint64_t)charge->price_by_count + charge->split_count;
    uint32_t count = split->usage_count;

    split->charge = charge;
    split->names = arena_alloc(scratch, (names_max + 1) * sizeof *split->names);
    split->usages = arena_alloc(scratch, ((uint64_t)count + 1) * sizeof *split->usages);
    split->buckets = arena_alloc(scratch, ((uint64_t)count + 1) * sizeof *split->buckets);
    if (split->names == NULL || split->usages == NULL || split->buckets == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < charge->price_by_count; i++)
        name_add(split, charge->price_by[i]);
    for (uint32_t i = 0; i < charge->split_count && count > 0; i++)
        name_add(split, charge->split_by[i]);
    for (uint32_t u = 0; u < count; u++) {
        struct vt_str *group = arena_alloc(scratch, (names_max + 1) * sizeof *group);

        if (group == NULL)
            return VT_NOMEM;
        for (uint32_t i = 0; i < split->name_count; i++)
            group[i] = rater_dim(rater, type, members[u].tuple, split->names[i]);
        split->usages[u] = members[u];
        split->usages[u].group = group;
    }
    if (count > 0)
        qsort_r(split->usages, count, sizeof *split->usages, bucket_order, split);
    for (uint32_t u = 0; u < count; u++) {
        if (u == 0 || bucket_order(&split->usages[u - 1], &split->usages[u], split) != 0)
            split->buckets[split->bucket_count++] = (struct bucket){.first = u};
        split->buckets[split->bucket_count - 1].end = u + 1;
    }
    return VT_OK;
}

/* A bucket weighs what it used; one of the opposite sign nothing. Where nothing is left, its
 * events. */
static vt_err
split_weigh(const struct walk *walk, struct split *split, vt_i128 *out_sum)
{
    vt_i128 all = 0;
    vt_i128 sum = 0;

    for (uint32_t i = 0; i < split->bucket_count; i++) {
        struct bucket *bucket = &split->buckets[i];
        vt_err err = usages_fold(walk->meter->aggregation, split->usages + bucket->first,
                                 bucket->end - bucket->first, &bucket->own);

        if (err == VT_OK && __builtin_add_overflow(all, bucket->own, &all))
            err = VT_OVERFLOW;
        if (err != VT_OK)
            return err;
    }
    for (uint32_t i = 0; i < split->bucket_count; i++) {
        struct bucket *bucket = &split->buckets[i];

        bucket->weight = all >= 0 ? bucket->own : -bucket->own;
        if (bucket->weight < 0)
            bucket->weight = 0;
        sum += bucket->weight;
    }
    for (uint32_t i = 0; i < split->bucket_count && sum == 0; i++)
        split->buckets[i].weight = 0;
    if (sum == 0) {
        for (uint32_t i = 0; i < split->bucket_count; i++) {
            struct bucket *bucket = &split->buckets[i];

            bucket->weight =
                usages_events(split->usages + bucket->first, bucket->end - bucket->first);
            sum += bucket->weight;
        }
    }
    *out_sum = sum;
    return VT_OK;
}

static vt_err
buckets_emit(const struct walk *walk, struct split *split, struct emission *emission)
{
    uint32_t count = split->bucket_count;
    struct arena *scratch = walk->slot->run->scratch;
    mpq_t *units = arena_alloc(scratch, count * sizeof *units);
    mpq_t *money = arena_alloc(scratch, count * sizeof *money);
    vt_i128 *weights = arena_alloc(scratch, count * sizeof *weights);
    vt_i128 sum;
    vt_err err = split_weigh(walk, split, &sum);
    mpq_t quantity;
    mpq_t exact;
    mpq_t whole;

    if (err == VT_OK && (units == NULL || money == NULL || weights == NULL))
        err = VT_NOMEM;
    if (err != VT_OK)
        return err;
    mpq_inits(quantity, exact, whole, NULL);
    for (uint32_t i = 0; i < count; i++) {
        mpq_inits(units[i], money[i], NULL);
        weights[i] = split->buckets[i].weight;
    }
    money_set_scaled(whole, sum, 0);
    err = money_share_out(walk->units, walk->meter->scale, count, weights, units);
    if (err == VT_OK)
        err = money_share_out(walk->line, emission->plan->minor_digits, count, weights, money);
    for (uint32_t i = 0; i < count && err == VT_OK; i++) {
        money_set_scaled(quantity, split->buckets[i].own, walk->meter->scale);
        money_set_scaled(exact, weights[i], 0);
        mpq_mul(exact, exact, walk->exact);
        mpq_div(exact, exact, whole);
        emission->group.values = split->usages[split->buckets[i].first].group;
        emission->quantity = quantity;
        emission->billable = units[i];
        emission->exact = exact;
        emission->money = money[i];
        err = line_sheet_emit(walk->slot->run->sheet, emission);
    }
    for (uint32_t i = 0; i < count; i++)
        mpq_clears(units[i], money[i], NULL);
    mpq_clears(quantity, exact, whole, NULL);
    return err;
}

static vt_err
part_emit(const struct walk *walk, uint32_t number)
{
    const struct slot *slot = walk->slot;
    const struct charge_part *part = &slot->parts->at[number];
    uint32_t first = walk->is_level ? 0 : walk->first[number];
    uint32_t end = walk->is_level ? slot->usage_count : walk->first[number + 1];
    struct split split = {.usage_count = end - first};
    vt_err err = split_make(walk, part->charge, slot->usages + first, &split);
    mpq_t quantity;

    if (err != VT_OK)
        return err;
    struct emission emission = emission_of(slot->run, part->part);

    emission.charge = part->charge->key;
    emission.kind = VT_STR("usage");
    emission.row = part->charge->has_rows ? (int64_t)slot->row : -1;
    emission.group.count = split.name_count;
    emission.group.names = split.names;
    if (split.bucket_count >= 2)
        return buckets_emit(walk, &split, &emission);
    /* Without an event in this part the group is the slot's. */
    emission.group.values = split.bucket_count == 1 ? split.usages[0].group : slot->usages[0].group;
    mpq_init(quantity);
    money_set_scaled(quantity, walk->quantity[number], walk->meter->scale);
    emission.quantity = quantity;
    emission.billable = walk->units;
    emission.exact = walk->exact;
    emission.money = walk->line;
    err = line_sheet_emit(slot->run->sheet, &emission);
    mpq_clear(quantity);
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
    return part_emit(walk, number);
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

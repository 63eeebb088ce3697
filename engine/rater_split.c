/* rater_split.c - the lines of a slot in one part: one, or shares of it by the dimensions of
 * split_by. */
#include <stdlib.h>

#include "money.h"
#include "rater_slot.h"
#include "venturi/assert.h"

static uint64_t
usages_events(const struct usage *usages, uint32_t count)
{
    uint64_t events = 0;

    for (uint32_t i = 0; i < count; i++)
        events += usages[i].gauge->count;
    return events;
}

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
buckets_emit(const struct walk *walk, struct split *split, const struct emission *shared)
{
    struct emission emission = *shared;
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
        err = money_share_out(walk->line, emission.plan->minor_digits, count, weights, money);
    for (uint32_t i = 0; i < count && err == VT_OK; i++) {
        money_set_scaled(quantity, split->buckets[i].own, walk->meter->scale);
        money_set_scaled(exact, weights[i], 0);
        mpq_mul(exact, exact, walk->exact);
        mpq_div(exact, exact, whole);
        emission.group.values = split->usages[split->buckets[i].first].group;
        emission.quantity = quantity;
        emission.billable = units[i];
        emission.exact = exact;
        emission.money = money[i];
        err = line_sheet_emit(walk->slot->run->sheet, &emission);
    }
    for (uint32_t i = 0; i < count; i++)
        mpq_clears(units[i], money[i], NULL);
    mpq_clears(quantity, exact, whole, NULL);
    return err;
}

vt_err
slot_emit(const struct walk *walk, uint32_t number)
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

/*
 * Goal:   the price of units is right at and around every edge: of a tier, of a package, of what is
 *         free, of an event's bounds.
 * Method: tables of units and prices, computed by hand; units in thousandths, for fractions.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/money.h"
#include "engine/price_model.h"
#include "venturi/assert.h"

#define WHOLE(n)                                   \
    {                                              \
        .mantissa = (n)*INT64_C(1000), .scale = 3, \
    }

/* (0, 10] at 3 and 7 once, (10, 20] at 2 and 5 once, beyond at 1. */
static const struct tier tiers[] = {
    {.up_to = WHOLE(10), .price = WHOLE(3), .flat = WHOLE(7)},
    {.up_to = WHOLE(20), .price = WHOLE(2), .flat = WHOLE(5)},
    {.open = true, .price = WHOLE(1)},
};
static const struct price_terms graduated = {
    .model = MODEL_GRADUATED, .tier_count = VT_COUNT(tiers), .tiers = tiers};
static const struct price_terms volume = {
    .model = MODEL_VOLUME, .tier_count = VT_COUNT(tiers), .tiers = tiers};
static const struct price_terms package = {
    .model = MODEL_PACKAGE, .price = WHOLE(4), .package_size = WHOLE(10)};
static const struct price_terms unit = {.model = MODEL_PER_UNIT, .price = WHOLE(4)};

static const struct cumulative_case {
    const char *name;
    const struct price_terms *terms;
    int64_t units; /* thousandths */
    int64_t want;
} cumulative_cases[] = {
    /* clang-format off */
    { "units taken back",              &graduated,    -1000,      0 },
    { "nothing",                       &graduated,        0,      0 },
    { "a tier is entered",             &graduated,        1,   7003 },
    { "inside the first",              &graduated,     9999,  36997 },
    { "the first is full",             &graduated,    10000,  37000 },
    { "the second is entered",         &graduated,    10001,  42002 },
    { "the second is full",            &graduated,    20000,  62000 },
    { "the open one",                  &graduated,    20001,  62001 },
    { "far in the open one",           &graduated,   120000, 162000 },
    { "no package",                    &package,          0,      0 },
    { "a package is begun",            &package,          1,   4000 },
    { "a package is full",             &package,      10000,   4000 },
    { "the next is begun",             &package,      10001,   8000 },
    { "fractions by unit",             &unit,          1001,   4004 },
    { "taken back by unit",            &unit,         -1001,      0 },
    /* clang-format on */
};

Test(price_model, cumulative_prices_at_the_edges, .timeout = 20)
{
    mpq_t units;
    mpq_t want;
    mpq_t got;

    mpq_inits(units, want, got, NULL);
    for (size_t i = 0; i < VT_COUNT(cumulative_cases); i++) {
        const struct cumulative_case *c = &cumulative_cases[i];

        money_set_scaled(units, c->units, 3);
        money_set_scaled(want, c->want, 3);
        price_cumulative(got, c->terms, units);
        cr_expect(mpq_equal(got, want), "%s: %f", c->name, mpq_get_d(got));
    }
    mpq_clears(units, want, got, NULL);
}

Test(price_model, a_total_falls_in_the_tier_that_ends_with_it, .timeout = 20)
{
    static const struct {
        int64_t total; /* thousandths */
        size_t tier;
    } cases[] = {{1, 0}, {9999, 0}, {10000, 0}, {10001, 1}, {20000, 1}, {20001, 2}, {900000, 2}};
    mpq_t total;

    mpq_init(total);
    for (size_t i = 0; i < VT_COUNT(cases); i++) {
        money_set_scaled(total, cases[i].total, 3);
        cr_expect(price_volume_tier(&volume, total) == &tiers[cases[i].tier], "%lld",
                  (long long)cases[i].total);
    }
    mpq_clear(total);
}

/* 10 percent and 1 for each event, at least 3, at most 8. */
static const struct price_terms fee = {
    .model = MODEL_PERCENTAGE,
    .rate = WHOLE(10),
    .fixed_per_event = WHOLE(1),
    .has_per_event_min = true,
    .has_per_event_max = true,
    .per_event_min = WHOLE(3),
    .per_event_max = WHOLE(8),
};

static const struct fee_case {
    const char *name;
    int64_t value;
    int64_t free;
    int64_t want;
} fee_cases[] = {
    /* clang-format off */
    { "below the minimum",      19999,     0,  3000 },
    { "at the minimum",         20000,     0,  3000 },
    { "above the minimum",      20010,     0,  3001 },
    { "at the maximum",         70000,     0,  8000 },
    { "above the maximum",      70010,     0,  8000 },
    { "partly free",            50000, 20000,  4000 },
    { "wholly free",            50000, 50000,     0 },
    { "a value of nothing",         0,     0,  3000 },
    { "a negative value",      -20000,     0, -2000 },
    /* clang-format on */
};

Test(price_model, a_fee_has_its_bounds, .timeout = 20)
{
    mpq_t value;
    mpq_t free_units;
    mpq_t want;
    mpq_t got;

    mpq_inits(value, free_units, want, got, NULL);
    for (size_t i = 0; i < VT_COUNT(fee_cases); i++) {
        const struct fee_case *c = &fee_cases[i];

        money_set_scaled(value, c->value, 3);
        money_set_scaled(free_units, c->free, 3);
        money_set_scaled(want, c->want, 3);
        price_event_fee(got, &fee, value, free_units);
        cr_expect(mpq_equal(got, want), "%s: %f", c->name, mpq_get_d(got));
    }
    mpq_clears(value, free_units, want, got, NULL);
}

/*
 * Goal:   amounts are rounded and shown as the semantics say, exactly, whatever their size.
 * Method: tables of numbers as text; sharing out is held against what must be true of any sharing.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "money.h"
#include "price_model.h"
#include "venturi/assert.h"

static struct arena arena;

static void
setup(void)
{
    arena_init(&arena, 4096);
}

static void
teardown(void)
{
    arena_deinit(&arena);
}

TestSuite(money, .init = setup, .fini = teardown, .timeout = 10);

static void
set(mpq_t out, const char *text)
{
    mpq_init(out);
    cr_assert_eq(mpq_set_str(out, text, 10), 0, "%s", text);
    mpq_canonicalize(out);
}

static void
expect_text(struct vt_str got, const char *want, const char *name)
{
    cr_expect(got.size == strlen(want) && memcmp(got.data, want, got.size) == 0,
              "%s: want %s, got %.*s", name, want, (int)got.size, got.data);
}

static const struct show_case {
    const char *number;
    const char *want;
} show_cases[] = {
    {"0", "0"},
    {"7", "7"},
    {"-7", "-7"},
    {"100", "100"},
    {"1/2", "0.5"},
    {"-1/4", "-0.25"},
    {"15/10", "1.5"},
    {"1/1000", "0.001"},
    {"1/1024", "0.0009765625"},
    {"123456789012345678901234567890/100", "1234567890123456789012345678.9"},
    {"1/3", "0.333333333333"},
    {"2/3", "0.666666666667"},
    {"-2/3", "-0.666666666667"},
    {"1/3000000000000000", "0"},
    {"-1/3000000000000000", "0"},
    {"29999999999999999/3", "9999999999999999.666666666667"},
    {"299999999999999999/300000000000000000", "1"},
};

Test(money, shows_the_shortest_exact_text)
{
    for (size_t i = 0; i < VT_COUNT(show_cases); i++) {
        struct vt_str text;
        mpq_t number;

        set(number, show_cases[i].number);
        cr_assert_eq(money_show(&arena, number, &text), VT_OK);
        expect_text(text, show_cases[i].want, show_cases[i].number);
        mpq_clear(number);
    }
}

static const struct round_case {
    const char *number;
    uint32_t places;
    const char *half_up;
    const char *half_even;
} round_cases[] = {
    {"0", 2, "0.00", "0.00"},
    {"1/200", 2, "0.01", "0.00"},
    {"3/200", 2, "0.02", "0.02"},
    {"-1/200", 2, "-0.01", "0.00"},
    {"-3/200", 2, "-0.02", "-0.02"},
    {"4999999/1000000000", 2, "0.00", "0.00"},
    {"5000001/1000000000", 2, "0.01", "0.01"},
    {"5/2", 0, "3", "2"},
    {"7/2", 0, "4", "4"},
    {"-5/2", 0, "-3", "-2"},
    {"1/3", 3, "0.333", "0.333"},
    {"9999/10000", 3, "1.000", "1.000"},
    {"100000000000000000000000000000005/1000", 2, "100000000000000000000000000000.01",
     "100000000000000000000000000000.00"},
};

Test(money, rounds_halves_by_the_plan)
{
    for (size_t i = 0; i < VT_COUNT(round_cases); i++) {
        const struct round_case *c = &round_cases[i];
        struct vt_str text;
        mpq_t number;
        mpq_t rounded;

        set(number, c->number);
        mpq_init(rounded);
        money_round(rounded, number, c->places, ROUND_HALF_UP);
        cr_assert_eq(money_point(&arena, rounded, c->places, &text), VT_OK);
        expect_text(text, c->half_up, c->number);
        money_round(rounded, number, c->places, ROUND_HALF_EVEN);
        cr_assert_eq(money_point(&arena, rounded, c->places, &text), VT_OK);
        expect_text(text, c->half_even, c->number);
        mpq_clears(number, rounded, NULL);
    }
}

static const struct floor_case {
    const char *number;
    uint32_t places;
    const char *want;
} floor_cases[] = {
    {"5/3", 0, "1"},
    {"-5/3", 0, "-2"},
    {"5/3", 2, "1.66"},
    {"-5/3", 2, "-1.67"},
    {"7", 18, "7.000000000000000000"},
    {"0", 2, "0.00"},
};

Test(money, floors_towards_minus_infinity)
{
    for (size_t i = 0; i < VT_COUNT(floor_cases); i++) {
        struct vt_str text;
        mpq_t number;

        set(number, floor_cases[i].number);
        money_floor(number, number, floor_cases[i].places);
        cr_assert_eq(money_point(&arena, number, floor_cases[i].places, &text), VT_OK);
        expect_text(text, floor_cases[i].want, floor_cases[i].number);
        mpq_clear(number);
    }
}

static const struct set_case {
    const char *name;
    vt_i128 value;
    uint32_t scale;
    const char *want;
} set_cases[] = {
    {"zero", 0, 18, "0"},
    {"a scale", 125, 2, "1.25"},
    {"below zero", -125, 2, "-1.25"},
    {"int64 lowest", INT64_MIN, 0, "-9223372036854775808"},
    {"beyond 64 bits", (vt_i128)INT64_MAX * 100, 2, "9223372036854775807"},
    {"beyond 64 bits, below zero", (vt_i128)INT64_MIN * 1000, 3, "-9223372036854775808"},
    {"two to the 100", (vt_i128)1 << 100, 0, "1267650600228229401496703205376"},
};

Test(money, takes_scaled_integers_of_128_bits)
{
    for (size_t i = 0; i < VT_COUNT(set_cases); i++) {
        struct vt_str text;
        mpq_t number;

        mpq_init(number);
        money_set_scaled(number, set_cases[i].value, set_cases[i].scale);
        cr_assert_eq(money_show(&arena, number, &text), VT_OK);
        expect_text(text, set_cases[i].want, set_cases[i].name);
        mpq_clear(number);
    }
}

static const struct share_case {
    const char *name;
    const char *total;
    uint32_t places;
    uint32_t count;
    vt_i128 weights[4];
    const char *want; /* parts with a space between */
} share_cases[] = {
    {"even", "1", 2, 2, {1, 1}, "0.50 0.50"},
    {"a spare cent to the first of equals", "1", 2, 3, {5, 5, 5}, "0.34 0.33 0.33"},
    {"to the largest remainder", "1", 2, 3, {1, 1, 4}, "0.17 0.17 0.66"},
    {"two spare cents", "1", 2, 3, {2, 2, 2 * 2 + 2}, "0.20 0.20 0.60"},
    {"below zero", "-1", 2, 3, {5, 5, 5}, "-0.34 -0.33 -0.33"},
    {"nothing for no weight", "1", 2, 3, {0, 7, 0}, "0.00 1.00 0.00"},
    {"zero", "0", 2, 2, {1, 2}, "0.00 0.00"},
    {"less than one unit each", "3", 0, 4, {1, 1, 1, 1}, "1 1 1 0"},
    {"large weights", "10", 0, 2, {(vt_i128)1 << 120, (vt_i128)1 << 121}, "3 7"},
};

Test(money, shares_by_the_largest_remainder)
{
    for (size_t i = 0; i < VT_COUNT(share_cases); i++) {
        const struct share_case *c = &share_cases[i];
        mpq_t parts[4];
        mpq_t total;
        char got[128] = "";
        size_t used = 0;

        set(total, c->total);
        for (size_t p = 0; p < 4; p++)
            mpq_init(parts[p]);
        cr_assert_eq(money_share_out(total, c->places, c->count, c->weights, parts), VT_OK);
        for (uint32_t p = 0; p < c->count; p++) {
            struct vt_str text;

            cr_assert_eq(money_point(&arena, parts[p], c->places, &text), VT_OK);
            used += (size_t)snprintf(got + used, sizeof got - used, "%s%.*s", p > 0 ? " " : "",
                                     (int)text.size, text.data);
        }
        cr_expect_str_eq(got, c->want, "%s: want %s, got %s", c->name, c->want, got);
        for (size_t p = 0; p < 4; p++)
            mpq_clear(parts[p]);
        mpq_clear(total);
    }
}

Test(money, shares_sum_to_the_total)
{
    uint64_t seed = UINT64_C(0x9E3779B97F4A7C15);

    for (uint32_t round = 0; round < 500; round++) {
        vt_i128 weights[9];
        mpq_t parts[9];
        mpq_t total;
        mpq_t sum;
        uint32_t count = 1 + round % 9;

        mpq_inits(total, sum, NULL);
        for (uint32_t i = 0; i < count; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            weights[i] = 1 + (vt_i128)(seed >> (seed & 31) >> 30);
            mpq_init(parts[i]);
        }
        money_set_scaled(total, (vt_i128)(int64_t)seed >> (seed & 63), 2);
        cr_assert_eq(money_share_out(total, 2, count, weights, parts), VT_OK);
        for (uint32_t i = 0; i < count; i++) {
            cr_expect(mpq_sgn(parts[i]) * mpq_sgn(total) >= 0);
            mpq_add(sum, sum, parts[i]);
            mpq_clear(parts[i]);
        }
        cr_expect(mpq_equal(sum, total), "round %u", round);
        mpq_clears(total, sum, NULL);
    }
}

static const struct price edge = {10, 0};
static const struct tier tiers[] = {
    {.open = false, .up_to = {10, 0}, .price = {1, 0}, .flat = {5, 0}},
    {.open = true, .price = {5, 1}, .flat = {0, 0}},
};

Test(price_model, has_a_price_of_nothing_for_no_units)
{
    struct price_terms terms[] = {
        {.model = MODEL_PER_UNIT, .price = edge},
        {.model = MODEL_PACKAGE, .price = edge, .package_size = edge},
        {.model = MODEL_GRADUATED, .tier_count = 2, .tiers = tiers},
    };
    static const char *const units[] = {"0", "-1/100", "-5"};

    for (size_t t = 0; t < VT_COUNT(terms); t++) {
        for (size_t u = 0; u < VT_COUNT(units); u++) {
            mpq_t number;

            set(number, units[u]);
            price_cumulative(number, &terms[t], number);
            cr_expect_eq(mpq_sgn(number), 0, "model %d, %s", (int)terms[t].model, units[u]);
            mpq_clear(number);
        }
    }
}

static const struct fee_case {
    const char *name;
    const char *value;
    const char *free;
    const char *want;
} fee_cases[] = {
    {"rate and fixed", "100", "0", "13"},
    {"partly free", "100", "40", "9"},
    {"wholly free", "100", "100", "0"},
    {"at the least", "1", "0", "4"},
    {"at the most", "900", "0", "20"},
    {"taken back: the rate only", "-100", "0", "-10"},
    {"an event of nothing pays like one", "0", "0", "4"},
};

Test(price_model, takes_a_percentage_an_event)
{
    static const struct price_terms terms = {.model = MODEL_PERCENTAGE,
                                             .rate = {10, 0},
                                             .fixed_per_event = {3, 0},
                                             .has_per_event_min = true,
                                             .has_per_event_max = true,
                                             .per_event_min = {4, 0},
                                             .per_event_max = {20, 0}};

    for (size_t i = 0; i < VT_COUNT(fee_cases); i++) {
        mpq_t value;
        mpq_t free_units;
        mpq_t want;
        mpq_t fee;

        set(value, fee_cases[i].value);
        set(free_units, fee_cases[i].free);
        set(want, fee_cases[i].want);
        mpq_init(fee);
        price_event_fee(fee, &terms, value, free_units);
        cr_expect(mpq_equal(fee, want), "%s", fee_cases[i].name);
        mpq_clears(value, free_units, want, fee, NULL);
    }
}

/*
 * Goal:   decimals are exact, refused for the right reason, and written in one way only.
 * Method: a table of forms, scales and edges; random integers written and read at every scale;
 * rescale
 *         against the definition in 128 bits. The seed is printed.
 */
#include "venturi/decimal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "venturi/assert.h"

static const struct parse_case {
    const char *name;
    const char *text;
    uint32_t scale;
    vt_err want;
    int64_t value;
} parse_cases[] = {
    /* clang-format off */
    { "zero",                       "0", 0, VT_OK, 0 },
    { "minus zero",                 "-0", 2, VT_OK, 0 },
    { "zero with a point",          "0.000", 0, VT_OK, 0 },
    { "zero, great exponent",       "0e999999999999999999999", 0, VT_OK, 0 },
    { "zero, small exponent",       "0.0e-999999999999999999999", 0, VT_OK, 0 },
    { "one",                        "1", 0, VT_OK, 1 },
    { "scaled",                     "1", 3, VT_OK, 1000 },
    { "leading zeros",              "000123", 1, VT_OK, 1230 },
    { "a fraction",                 "1.25", 2, VT_OK, 125 },
    { "trailing zeros fit",         "1.2500", 2, VT_OK, 125 },
    { "a whole number of zeros",    "100", 0, VT_OK, 100 },
    { "zeros around the point",     "100.00", 0, VT_OK, 100 },
    { "small",                      "0.000000000000000001", 18, VT_OK, 1 },
    { "negative",                   "-0.5", 1, VT_OK, -5 },
    { "exponent",                   "12e2", 0, VT_OK, 1200 },
    { "exponent with plus",         "12E+2", 0, VT_OK, 1200 },
    { "exponent with minus",        "1200e-2", 0, VT_OK, 12 },
    { "exponent mends the scale",   "0.0125e4", 0, VT_OK, 125 },
    { "exponent with zeros",        "1e0000000000000000000003", 0, VT_OK, 1000 },
    { "exponent minus with zeros",  "1000e-0000000000000000000003", 0, VT_OK, 1 },
    { "exponent minus zero",        "7e-0", 0, VT_OK, 7 },
    { "greatest",                   "9223372036854775807", 0, VT_OK, INT64_MAX },
    { "least",                      "-9223372036854775808", 0, VT_OK, INT64_MIN },
    { "least, scaled",              "-9.223372036854775808", 18, VT_OK, INT64_MIN },
    { "greatest by exponent",       "9.223372036854775807e18", 0, VT_OK, INT64_MAX },
    { "one above",                  "9223372036854775808", 0, VT_OVERFLOW, 0 },
    { "one below",                  "-9223372036854775809", 0, VT_OVERFLOW, 0 },
    { "above 2^64",                 "18446744073709551617", 0, VT_OVERFLOW, 0 },
    { "ten by the scale",           "10", 18, VT_OVERFLOW, 0 },
    { "twenty digits",              "10000000000000000000", 0, VT_OVERFLOW, 0 },
    { "1e400",                      "1e400", 0, VT_OVERFLOW, 0 },
    { "exponent beyond 64 bits",    "1e99999999999999999999999999", 0, VT_OVERFLOW, 0 },
    { "1e-400",                     "1e-400", 18, VT_SCALE, 0 },
    { "exponent below 64 bits",     "1e-99999999999999999999999999", 18, VT_SCALE, 0 },
    { "one digit too many",         "0.001", 2, VT_SCALE, 0 },
    { "half of a unit",             "0.5", 0, VT_SCALE, 0 },
    { "scale goes before range",    "99999999999999999999.001", 2, VT_SCALE, 0 },
    { "empty",                      "", 0, VT_BAD_DECIMAL, 0 },
    { "minus alone",                "-", 0, VT_BAD_DECIMAL, 0 },
    { "plus",                       "+1", 0, VT_BAD_DECIMAL, 0 },
    { "two signs",                  "--1", 0, VT_BAD_DECIMAL, 0 },
    { "no whole part",              ".5", 1, VT_BAD_DECIMAL, 0 },
    { "no fraction",                "5.", 1, VT_BAD_DECIMAL, 0 },
    { "no fraction, exponent",      "5.e1", 1, VT_BAD_DECIMAL, 0 },
    { "two points",                 "1.2.3", 3, VT_BAD_DECIMAL, 0 },
    { "no exponent",                "1e", 0, VT_BAD_DECIMAL, 0 },
    { "exponent without digits",    "1e+", 0, VT_BAD_DECIMAL, 0 },
    { "exponent with a point",      "1e1.0", 0, VT_BAD_DECIMAL, 0 },
    { "leading space",              " 1", 0, VT_BAD_DECIMAL, 0 },
    { "trailing space",             "1 ", 0, VT_BAD_DECIMAL, 0 },
    { "NaN",                        "NaN", 0, VT_BAD_DECIMAL, 0 },
    { "hexadecimal",                "0x10", 0, VT_BAD_DECIMAL, 0 },
    { "an underscore",              "1_000", 0, VT_BAD_DECIMAL, 0 },
    { "form goes before scale",     "0.0001x", 0, VT_BAD_DECIMAL, 0 },
    { "form goes before range",     "99999999999999999999e", 0, VT_BAD_DECIMAL, 0 },
    /* clang-format on */
};

Test(decimal, parse_names_the_first_reason, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(parse_cases); i++) {
        const struct parse_case *c = &parse_cases[i];
        uint32_t size = (uint32_t)strlen(c->text);
        char *copy = malloc(size + 1); /* exact, for the sanitizers */
        int64_t value = 77;

        cr_assert_not_null(copy);
        memcpy(copy, c->text, size);
        char *exact = realloc(copy, size + (size == 0));
        cr_assert_not_null(exact);
        vt_err err = vt_decimal_parse((struct vt_str){exact, size}, c->scale, &value);
        cr_expect(err == c->want, "%s: %s", c->name, vt_err_name(err));
        cr_expect(value == (c->want == VT_OK ? c->value : 77), "%s: %lld", c->name,
                  (long long)value);
        free(exact);
    }
}

Test(decimal, digits_of_any_number_are_read, .timeout = 5)
{
    char text[1100];

    /* 1000 digits and an exponent that takes 999 of them away again. */
    memset(text, '0', sizeof text);
    text[0] = '7';
    (void)snprintf(text + 1000, 100, "e-999");
    int64_t value = 0;
    vt_err err = vt_decimal_parse((struct vt_str){text, (uint32_t)strlen(text)}, 0, &value);

    cr_expect(err == VT_OK && value == 7);
}

static const struct format_case {
    int64_t high; /* the value is high x 10^18 + low */
    int64_t low;
    uint32_t scale;
    const char *want;
} format_cases[] = {
    {0, 0, 0, "0"},
    {0, 0, 18, "0"},
    {0, 1, 0, "1"},
    {0, -1, 1, "-0.1"},
    {0, 125, 2, "1.25"},
    {0, 1200, 2, "12"},
    {0, 1200, 0, "1200"},
    {0, 1050, 3, "1.05"},
    {0, 1, 18, "0.000000000000000001"},
    {0, INT64_MIN, 0, "-9223372036854775808"},
    {0, INT64_MIN, 18, "-9.223372036854775808"},
    {INT64_C(1000000000000000000), 1, 0, "1000000000000000000000000000000000001"},
    {INT64_C(1000000000000000000), 1, 36, "1.000000000000000000000000000000000001"},
    {INT64_C(-1000000000000000000), -1, 44, "-0.00000001000000000000000000000000000000000001"},
};

Test(decimal, format_gives_the_shortest_text, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(format_cases); i++) {
        const struct format_case *c = &format_cases[i];
        vt_i128 value = (vt_i128)c->high * INT64_C(1000000000000000000) + c->low;
        char text[VT_DECIMAL_BYTES];
        uint32_t size = vt_decimal_format(value, c->scale, text);

        cr_expect_str_eq(text, c->want);
        cr_expect(size == strlen(c->want));
    }
}

Test(decimal, format_holds_the_extremes_of_128_bits, .timeout = 5)
{
    char text[VT_DECIMAL_BYTES];
    vt_i128 least = (vt_i128)((vt_u128)1 << 127);

    vt_decimal_format(least, 0, text);
    cr_expect_str_eq(text, "-170141183460469231731687303715884105728");
    vt_decimal_format(~least, 18, text);
    cr_expect_str_eq(text, "170141183460469231731.687303715884105727");
}

static uint64_t
random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

Test(decimal, what_is_written_is_read_back, .timeout = 30)
{
    uint64_t x = (uint64_t)time(NULL) * UINT64_C(0x9E3779B97F4A7C15) | 1;

    printf("seed %llu\n", (unsigned long long)x);
    for (int i = 0; i < 200000; i++) {
        int64_t value = (int64_t)random_next(&x) >> random_next(&x) % 64;
        uint32_t scale = (uint32_t)(random_next(&x) % (VT_SCALE_MAX + 1));
        int64_t back = 0;
        char text[VT_DECIMAL_BYTES];
        uint32_t size = vt_decimal_format(value, scale, text);

        cr_assert(vt_decimal_parse((struct vt_str){text, size}, scale, &back) == VT_OK, "%s", text);
        cr_assert(back == value, "%s at scale %u", text, scale);
    }
}

Test(decimal, rescale_equals_its_definition, .timeout = 30)
{
    uint64_t x = (uint64_t)time(NULL) * UINT64_C(0x9E3779B97F4A7C15) | 1;

    printf("seed %llu\n", (unsigned long long)x);
    for (int i = 0; i < 200000; i++) {
        int64_t value = (int64_t)random_next(&x) >> random_next(&x) % 64;
        uint32_t from = (uint32_t)(random_next(&x) % (VT_SCALE_MAX + 1));
        uint32_t to = (uint32_t)(random_next(&x) % (VT_SCALE_MAX + 1));
        vt_i128 wide;
        vt_err want = VT_OK;
        int64_t got = 77;

        if (random_next(&x) % 2 == 0)
            value -= value % 1000;
        wide = value;
        for (uint32_t k = from; k < to; k++)
            wide *= 10;
        for (uint32_t k = to; k < from && want == VT_OK; k++) {
            if (wide % 10 != 0)
                want = VT_SCALE;
            wide /= 10;
        }
        if (want == VT_OK && (wide > INT64_MAX || wide < INT64_MIN))
            want = VT_OVERFLOW;
        vt_err err = vt_decimal_rescale(value, from, to, &got);
        cr_assert(err == want, "%lld from %u to %u: %s", (long long)value, from, to,
                  vt_err_name(err));
        cr_assert(got == (want == VT_OK ? (int64_t)wide : 77));
    }
}

/*
 * Goal:   answers are JSON by RFC 8259: escaped where it asks, commas between and nowhere else.
 * Method: what is put against the text that must come out; a whole line, adjustment and unrated
 *         usage.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "json_out.h"
#include "rating.h"
#include "venturi/assert.h"

static struct json_out out;

static void
setup(void)
{
    json_out_init(&out);
}

static void
teardown(void)
{
    json_out_deinit(&out);
}

TestSuite(json_out, .init = setup, .fini = teardown, .timeout = 10);

static void
expect(const char *want)
{
    cr_expect_eq(out.err, VT_OK);
    cr_expect(out.size == strlen(want) && memcmp(out.data, want, out.size) == 0,
              "want %s\ngot  %.*s", want, (int)out.size, out.data);
    json_out_reset(&out);
}

static const struct string_case {
    const char *name;
    struct vt_str text;
    const char *want;
} string_cases[] = {
    /* clang-format off */
    {"empty",          {"", 0},                     "\"\""},
    {"plain",          {"ab c", 4},                 "\"ab c\""},
    {"quote",          {"\"", 1},                   "\"\\\"\""},
    {"backslash",      {"a\\b", 3},                 "\"a\\\\b\""},
    {"slash stays",    {"/", 1},                    "\"/\""},
    {"letters",        {"\b\f\n\r\t", 5},           "\"\\b\\f\\n\\r\\t\""},
    {"zero",           {"a\0b", 3},                 "\"a\\u0000b\""},
    {"control",        {"\x1f", 1},                 "\"\\u001f\""},
    {"delete stays",   {"\x7f", 1},                 "\"\x7f\""},
    {"UTF-8 stays",    {"\xc3\xa9\xf0\x9d\x84\x9e", 6}, "\"\xc3\xa9\xf0\x9d\x84\x9e\""},
    /* clang-format on */
};

Test(json_out, escapes_what_must_be)
{
    for (size_t i = 0; i < VT_COUNT(string_cases); i++) {
        json_string(&out, string_cases[i].text);
        expect(string_cases[i].want);
    }
}

Test(json_out, puts_commas_between)
{
    json_open(&out, '{');
    json_key(&out, VT_STR("a"));
    json_open(&out, '[');
    json_integer(&out, -1);
    json_integer(&out, INT64_MIN);
    json_unsigned(&out, UINT64_MAX);
    json_bool(&out, true);
    json_bool(&out, false);
    json_null(&out);
    json_open(&out, '{');
    json_close(&out, '}');
    json_time(&out, 1);
    json_close(&out, ']');
    json_key(&out, VT_STR("b"));
    json_integer(&out, 0);
    json_close(&out, '}');
    json_end_line(&out);
    json_open(&out, '[');
    json_close(&out, ']');
    json_end_line(&out);
    expect("{\"a\":[-1,-9223372036854775808,18446744073709551615,true,false,null,{},"
           "\"1970-01-01T00:00:00.000001Z\"],\"b\":0}\n[]\n");
}

Test(json_out, grows_with_what_is_put)
{
    char piece[701];

    memset(piece, 'x', sizeof piece);
    for (uint32_t i = 0; i < 50; i++)
        json_put_raw(&out, piece, sizeof piece);
    cr_expect_eq(out.size, 50 * sizeof piece);
    cr_expect_eq(out.data[out.size - 1], 'x');
    cr_expect_leq(out.size, out.capacity);
}

static const struct vt_str names[] = {{"model", 5}, {"d", 1}};
static const struct vt_str values[] = {{"gpt\"4", 5}, {"", 0}};
static const struct rated_line line = {.tenant = {"t", 1},
                                       .contract = {"k", 1},
                                       .contract_version = 2,
                                       .plan = {"p", 1},
                                       .plan_version = 3,
                                       .charge = {"c", 1},
                                       .kind = {"usage", 5},
                                       .row = 0,
                                       .period_start_us = 0,
                                       .period_end_us = INT64_C(86400000000),
                                       .from_us = 500000,
                                       .to_us = INT64_C(86400000000),
                                       .group_count = 2,
                                       .group_names = names,
                                       .group_values = values,
                                       .quantity = {"7.5", 3},
                                       .billable = {"7", 1},
                                       .amount_exact = {"0.035", 5},
                                       .currency = {"USD", 3},
                                       .amount = {"0.04", 4}};

#define LINE_HEAD                                                                            \
    "{\"tenant\":\"t\",\"contract\":\"k\",\"contract_version\":2,\"plan\":\"p\","            \
    "\"plan_version\":3,\"charge\":\"c\",\"kind\":\"usage\",\"row\":0,"                      \
    "\"period_start\":\"1970-01-01T00:00:00Z\",\"period_end\":\"1970-01-02T00:00:00Z\","     \
    "\"from\":\"1970-01-01T00:00:00.500000Z\",\"to\":\"1970-01-02T00:00:00Z\","              \
    "\"group\":{\"model\":\"gpt\\\"4\",\"d\":\"\"},\"quantity\":\"7.5\",\"billable\":\"7\"," \
    "\"amount_exact\":\"0.035\",\"currency\":\"USD\","

Test(json_out, prints_a_line_as_the_semantics_do)
{
    struct rated_line bare = line;

    json_put_line(&out, &line);
    expect(LINE_HEAD "\"amount\":\"0.04\"}\n");
    bare.row = -1;
    bare.group_count = 0;
    json_put_line(&out, &bare);
    cr_expect(memmem(out.data, out.size, "\"row\":null", 10) != NULL);
    cr_expect(memmem(out.data, out.size, "\"group\":{}", 10) != NULL);
}

Test(json_out, prints_an_adjustment_after_the_line)
{
    struct adjustment adjustment = {&line, VT_STR("0.10"), VT_STR("0.04"), VT_STR("-0.06")};

    json_put_adjustment(&out, &adjustment);
    expect(LINE_HEAD "\"old_amount\":\"0.10\",\"new_amount\":\"0.04\",\"amount\":\"-0.06\"}\n");
}

Test(json_out, prints_unrated_usage)
{
    struct unrated_usage usage = {VT_STR("t"), VT_STR("m"), VT_STR("not_priced"), 12, 0, 1000000};

    json_put_unrated(&out, &usage);
    expect("{\"tenant\":\"t\",\"meter\":\"m\",\"reason\":\"not_priced\",\"events\":12,"
           "\"first\":\"1970-01-01T00:00:00Z\",\"last\":\"1970-01-01T00:00:01Z\"}\n");
}

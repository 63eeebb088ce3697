/*
 * Goal:   adjustments are the differences of two sets of lines by identity, and nothing else.
 * Method: pairs of small sets in any order; each member of the identity changed in turn.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "line_order.h"
#include "rating.h"
#include "venturi/assert.h"

static const struct vt_str name = {"d", 1};
static const struct vt_str value_x = {"x", 1};
static const struct vt_str value_y = {"y", 1};

static struct rated_line
line_of(const char *charge, const char *amount)
{
    return (struct rated_line){.tenant = VT_STR("t"),
                               .contract = VT_STR("k"),
                               .contract_version = 1,
                               .plan = VT_STR("p"),
                               .plan_version = 1,
                               .charge = {charge, (uint32_t)strlen(charge)},
                               .kind = VT_STR("usage"),
                               .row = -1,
                               .period_start_us = 0,
                               .period_end_us = 100,
                               .from_us = 0,
                               .to_us = 100,
                               .group_count = 1,
                               .group_names = &name,
                               .group_values = &value_x,
                               .quantity = VT_STR("1"),
                               .billable = VT_STR("1"),
                               .amount_exact = VT_STR("1"),
                               .currency = VT_STR("USD"),
                               .amount = {amount, (uint32_t)strlen(amount)}};
}

struct answer {
    char text[1024];
    size_t size;
};

static vt_err
note(void *context, const struct adjustment *adjustment)
{
    struct answer *answer = context;
    int size = snprintf(answer->text + answer->size, sizeof answer->text - answer->size,
                        "%.*s %.*s %.*s %.*s\n", (int)adjustment->line->charge.size,
                        adjustment->line->charge.data, (int)adjustment->old_amount.size,
                        adjustment->old_amount.data, (int)adjustment->new_amount.size,
                        adjustment->new_amount.data, (int)adjustment->amount.size,
                        adjustment->amount.data);

    answer->size += (size_t)size;
    return VT_OK;
}

/* Lines are "CHARGE AMOUNT" pairs; the texts end with the call, so the set must have copies. */
static struct line_set *
set_of(const char *const pairs[], bool backwards)
{
    struct line_set *set = NULL;
    uint32_t count = 0;

    cr_assert_eq(line_set_open(&set), VT_OK);
    while (pairs[count] != NULL)
        count += 2;
    for (uint32_t i = 0; i < count; i += 2) {
        uint32_t at = backwards ? count - 2 - i : i;
        char charge[16];
        char amount[64];

        (void)snprintf(charge, sizeof charge, "%s", pairs[at]);
        (void)snprintf(amount, sizeof amount, "%s", pairs[at + 1]);
        struct rated_line line = line_of(charge, amount);

        cr_assert_eq(line_set_add(set, &line), VT_OK);
        memset(charge, '?', sizeof charge);
        memset(amount, '?', sizeof amount);
    }
    return set;
}

static const struct compare_case {
    const char *name;
    const char *before[9];
    const char *after[9];
    const char *want;
} compare_cases[] = {
    {"the same", {"a", "1.00", "b", "2.00", NULL}, {"a", "1.00", "b", "2.00", NULL}, ""},
    {"more", {"a", "1.00", NULL}, {"a", "3.50", NULL}, "a 1.00 3.50 2.50\n"},
    {"less", {"a", "1.00", NULL}, {"a", "-0.01", NULL}, "a 1.00 -0.01 -1.01\n"},
    {"new", {NULL}, {"a", "1.00", NULL}, "a 0.00 1.00 1.00\n"},
    {"gone", {"a", "1.00", NULL}, {NULL}, "a 1.00 0.00 -1.00\n"},
    {"new, of zero", {NULL}, {"a", "0.00", NULL}, ""},
    {"no minor digits", {"a", "7", NULL}, {"a", "12", "b", "1", NULL}, "a 7 12 5\nb 0 1 1\n"},
    {"three minor digits", {"a", "0.999", NULL}, {"a", "1.000", NULL}, "a 0.999 1.000 0.001\n"},
    {"many digits",
     {"a", "10000000000000000000000000000000000000000.00", NULL},
     {"a", "10000000000000000000000000000000000000000.01", NULL},
     "a 10000000000000000000000000000000000000000.00 "
     "10000000000000000000000000000000000000000.01 0.01\n"},
    {"in order, from both sides",
     {"d", "1.00", "b", "1.00", "c", "5.00", NULL},
     {"a", "1.00", "c", "5.00", "d", "2.00", NULL},
     "a 0.00 1.00 1.00\nb 1.00 0.00 -1.00\nd 1.00 2.00 1.00\n"},
};

Test(line_set, gives_the_differences, .timeout = 10)
{
    for (size_t i = 0; i < VT_COUNT(compare_cases); i++) {
        for (uint32_t turn = 0; turn < 4; turn++) {
            struct line_set *before = set_of(compare_cases[i].before, (turn & 1) != 0);
            struct line_set *after = set_of(compare_cases[i].after, (turn & 2) != 0);
            struct answer answer = {"", 0};

            cr_expect_eq(line_set_compare(before, after, note, &answer), VT_OK);
            cr_expect_str_eq(answer.text, compare_cases[i].want, "%s", compare_cases[i].name);
            line_set_close(before);
            line_set_close(after);
        }
    }
}

Test(line_set, goes_by_every_member_of_the_identity, .timeout = 10)
{
    struct rated_line base = line_of("c", "1.00");
    struct rated_line others[12];

    for (size_t i = 0; i < VT_COUNT(others); i++)
        others[i] = base;
    others[0].tenant = VT_STR("u");
    others[1].contract = VT_STR("l");
    others[2].contract_version = 2;
    others[3].plan = VT_STR("q");
    others[4].plan_version = 2;
    others[5].charge = VT_STR("d");
    others[6].kind = VT_STR("minimum");
    others[7].row = 0;
    others[8].period_start_us = -1;
    others[9].from_us = 1;
    others[10].to_us = 99;
    others[11].group_values = &value_y;
    for (size_t i = 0; i < VT_COUNT(others); i++) {
        struct line_set *before = NULL;
        struct line_set *after = NULL;
        struct answer answer = {"", 0};

        cr_assert_eq(line_set_open(&before), VT_OK);
        cr_assert_eq(line_set_open(&after), VT_OK);
        cr_assert_eq(line_set_add(before, &base), VT_OK);
        cr_assert_eq(line_set_add(after, &others[i]), VT_OK);
        cr_expect_eq(line_set_compare(before, after, note, &answer), VT_OK);
        /* One is taken back, the other made. */
        cr_expect(strstr(answer.text, "1.00 0.00 -1.00") != NULL, "member %zu", i);
        cr_expect(strstr(answer.text, "0.00 1.00 1.00") != NULL, "member %zu", i);
        line_set_close(before);
        line_set_close(after);
    }
}

static vt_err
fail(void *context, const struct adjustment *adjustment)
{
    (void)context;
    (void)adjustment;
    return VT_FULL;
}

Test(line_set, stops_where_the_sink_fails, .timeout = 10)
{
    static const char *const none[] = {NULL};
    static const char *const some[] = {"a", "1.00", "b", "1.00", NULL};
    struct line_set *before = set_of(none, false);
    struct line_set *after = set_of(some, false);

    cr_expect_eq(line_set_compare(before, after, fail, NULL), VT_FULL);
    line_set_close(before);
    line_set_close(after);
}

static const struct time_case {
    int64_t a_us;
    int64_t b_us;
    int want;
} time_cases[] = {
    {0, 0, 0},
    {0, 1000000, -1},
    {1, 2, -1},
    {0, 1, 1}, /* "00.000001Z" < "00Z" */
    {999999, 1000000, -1},
    {-1, 0, -1},
    {-1000000, -1, 1},
    {1000001, 1000000, -1},
};

Test(line_order, orders_times_as_their_texts, .timeout = 10)
{
    for (size_t i = 0; i < VT_COUNT(time_cases); i++) {
        const struct time_case *c = &time_cases[i];

        cr_expect_eq(line_time_order(c->a_us, c->b_us), c->want, "case %zu", i);
        cr_expect_eq(line_time_order(c->b_us, c->a_us), -c->want, "case %zu", i);
    }
}

Test(line_order, compares_groups_as_escaped_json, .timeout = 10)
{
    static const struct vt_str names[] = {{"b", 1}, {"a", 1}};
    static const struct vt_str values[] = {{"\x7f\"", 2}, {"\xc3\xa9\xf0\x9d\x84\x9e\t", 7}};
    struct rated_line line = line_of("c", "1.00");
    struct arena arena;
    struct vt_str key;

    arena_init(&arena, 256);
    line.group_count = 2;
    line.group_names = names;
    line.group_values = values;
    cr_assert_eq(line_group_key(&arena, &line, &key), VT_OK);
    cr_expect(vt_str_equal(key, VT_STR("{\"a\": \"\\u00e9\\ud834\\udd1e\\t\", "
                                       "\"b\": \"\\u007f\\\"\"}")),
              "%.*s", (int)key.size, key.data);
    arena_deinit(&arena);
}

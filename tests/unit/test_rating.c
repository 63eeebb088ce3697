/*
 * Goal:   every model, share and bound of the semantics comes to the amount that was worked out by
 *         hand.
 * Method: contracts of one or two intervals over January 2024, which v2 of the plan cuts in two
 *         equal halves; the answer as text against the table. Unrated usage is left out but where
 *         it is the subject. Then what rows a rater takes, and that their order and cut do not
 *         matter.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rating.h"
#include "rating_rig.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define USES_MAX 6

struct line_case {
    const char *name;
    struct rating_rig_catalog catalog;
    struct rating_rig_row rows[USES_MAX];
    const char *want; /* lines */
};

#define SUM(terms)   "{'key': 'c', 'meter': 'sum', " terms "}"
#define MAX(terms)   "{'key': 'c', 'meter': 'max', " terms "}"
#define UNIT(price)  "'model': 'per_unit', 'price': '" price "'"
#define FIXED(terms) "{'key': 'f', 'model': 'fixed', " terms "}"
#define GRADUATED                                                                 \
    "'model': 'graduated', 'tiers': [{'up_to': '10', 'price': '1', 'flat': '5'}," \
    " {'price': '0.5', 'flat': '2'}]"
#define VOLUME \
    "'model': 'volume', 'tiers': [{'up_to': '10', 'price': '1'}, {'price': '0.5', 'flat': '3'}]"
#define PACKAGE "'model': 'package', 'package_size': '100', 'price': '2'"
#define MID     "2024-01-16T12:00:00Z"
/* The second version begins at mid. */
#define TWO_VERSIONS(counters)                                                          \
    RIG_CONTRACT ", {'key': 'k', 'tenant': 'a', 'plan': 'p', 'plan_version': 'latest'," \
                 " 'version': 2, 'from': '" MID "', 'counters': '" counters "'}"

/* clang-format off */
static const struct line_case model_cases[] = {
    {"per unit, half up", {RIG_V1(SUM(UNIT("0.5"))), NULL},
     {{"05", NULL, "3", NULL, NULL}, {"06", NULL, "4.25", NULL, NULL}},
     "c usage 7.25 7.25 3.625 3.63\n"},
    {"per unit, half even",
     {RIG_PLAN("1", "2020-01-01T00:00:00Z", ", 'rounding': 'half_even'", SUM(UNIT("0.5"))), NULL},
     {{"05", NULL, "7.25", NULL, NULL}},
     "c usage 7.25 7.25 3.625 3.62\n"},
    {"graduated, the edge is in the lower tier", {RIG_V1(SUM(GRADUATED)), NULL},
     {{"05", NULL, "10", NULL, NULL}},
     "c usage 10 10 15 15.00\n"},
    {"graduated, a fraction beyond it pays the flat", {RIG_V1(SUM(GRADUATED)), NULL},
     {{"05", NULL, "10.01", NULL, NULL}},
     "c usage 10.01 10.01 17.005 17.01\n"},
    {"graduated, a flat is paid once a run", {RIG_CUT(SUM(GRADUATED), SUM(GRADUATED)), NULL},
     {{"05", NULL, "4", NULL, NULL}, {"20", NULL, "3", NULL, NULL}},
     "c usage 4 4 9 9.00\nc usage 3 3 3 3.00\n"},
    {"package, full", {RIG_V1(SUM(PACKAGE)), NULL},
     {{"05", NULL, "100", NULL, NULL}},
     "c usage 100 100 2 2.00\n"},
    {"package, begun", {RIG_V1(SUM(PACKAGE)), NULL},
     {{"05", NULL, "100.01", NULL, NULL}},
     "c usage 100.01 100.01 4 4.00\n"},
    {"package, opened before the cut", {RIG_CUT(SUM(PACKAGE), SUM(PACKAGE)), NULL},
     {{"05", NULL, "150", NULL, NULL}, {"20", NULL, "50", NULL, NULL}},
     "c usage 150 150 4 4.00\nc usage 50 50 0 0.00\n"},
    {"volume, the edge is in the lower tier", {RIG_V1(SUM(VOLUME)), NULL},
     {{"05", NULL, "10", NULL, NULL}},
     "c usage 10 10 10 10.00\n"},
    {"volume, all units at the higher tier", {RIG_V1(SUM(VOLUME)), NULL},
     {{"05", NULL, "11", NULL, NULL}},
     "c usage 11 11 8.5 8.50\n"},
    {"volume, tier by the run, flat by time", {RIG_CUT(SUM(VOLUME), SUM(VOLUME)), NULL},
     {{"05", NULL, "8", NULL, NULL}, {"20", NULL, "4", NULL, NULL}},
     "c usage 8 8 5.5 5.50\nc usage 4 4 3.5 3.50\n"},
    {"volume, nothing where the total is not positive", {RIG_V1(SUM(VOLUME)), NULL},
     {{"05", NULL, "8", NULL, NULL}, {"06", NULL, "-8", NULL, NULL}},
     "c usage 0 0 0 0.00\n"},
    {"percentage, free units in the order of time",
     {RIG_V1(SUM("'model': 'percentage', 'rate': '10', 'included': '50', 'fixed_per_event':"
      " '1'")), NULL},
     {{"07", NULL, "-10", NULL, NULL}, {"06", NULL, "30", NULL, NULL}, {"05", NULL, "40", NULL,
      NULL}},
     "c usage 60 10 2 2.00\n"},
    {"percentage, equal times go by source and id",
     {RIG_V1(SUM("'model': 'percentage', 'rate': '10', 'included': '5', 'per_event_min': '3'")),
      NULL},
     {{"05", NULL, "100", "s2", "a"}, {"05", NULL, "5", "s1", "z"}, {"05", NULL, "7", "s1", "zz"}},
     "c usage 112 107 13 13.00\n"},
    {"percentage, minimum and maximum an event",
     {RIG_V1(SUM("'model': 'percentage', 'rate': '10', 'per_event_min': '1', 'per_event_max':"
      " '2'")), NULL},
     {{"05", NULL, "5", NULL, NULL}, {"06", NULL, "15", NULL, NULL}, {"07", NULL, "50", NULL,
      NULL}},
     "c usage 70 70 4.5 4.50\n"},
    {"percentage, a count's events are of 1",
     {RIG_V1("{'key': 'c', 'meter': 'count', 'model': 'percentage', 'rate': '50', 'included':"
      " '2'}"), NULL},
     {{"05", NULL, NULL, NULL, NULL}, {"06", NULL, NULL, NULL, NULL}, {"07", NULL, NULL, NULL,
      NULL}},
     "c usage 3 1 0.5 0.50\n"},
    {"fixed, by time", {RIG_V1(FIXED("'price': '99'")), RIG_CONTRACT_FROM(MID)},
     {{"20", NULL, NULL, NULL, NULL}},
     "f fixed 1 1 49.5 49.50\n"},
    {"fixed, whole", {RIG_V1(FIXED("'price': '99', 'prorate': false")), RIG_CONTRACT_FROM(MID)},
     {{"20", NULL, NULL, NULL, NULL}},
     "f fixed 1 1 99 99.00\n"},
    {"fixed, whole once a run, discounted",
     {RIG_CUT(FIXED("'price': '99', 'prorate': false, 'discount_percent': '10'"),
              FIXED("'price': '50', 'prorate': false")), NULL},
     {{"20", NULL, NULL, NULL, NULL}},
     "f fixed 1 1 89.1 89.10\n"},
};

static const struct line_case run_cases[] = {
    {"units taken back are credited", {RIG_CUT(SUM(UNIT("1")), SUM(UNIT("1"))), NULL},
     {{"05", NULL, "100", NULL, NULL}, {"20", NULL, "-50", NULL, NULL}},
     "c usage 100 100 100 100.00\nc usage -50 -50 -50 -50.00\n"},
    {"below zero nothing is paid", {RIG_V1(SUM(UNIT("1"))), NULL},
     {{"05", NULL, "-30", NULL, NULL}},
     "c usage -30 -30 0 0.00\n"},
    {"an allowance by time", {RIG_V1(SUM(UNIT("1") ", 'included': '100'")), RIG_CONTRACT_FROM(MID)},
     {{"20", NULL, "60", NULL, NULL}},
     "c usage 60 10 10 10.00\n"},
    {"an allowance whole",
     {RIG_V1(SUM(UNIT("1") ", 'included': '100', 'prorate': false")), RIG_CONTRACT_FROM(MID)},
     {{"20", NULL, "60", NULL, NULL}},
     "c usage 60 0 0 0.00\n"},
    {"an allowance is floored to the scale", {RIG_V1(SUM(UNIT("1") ", 'included': '0.01'")),
      RIG_CONTRACT_FROM(MID)},
     {{"20", NULL, "1", NULL, NULL}},
     "c usage 1 1 1 1.00\n"},
    {"an allowance weighted by time, used up through the cut",
     {RIG_CUT(SUM(UNIT("1") ", 'included': '100'"), SUM(UNIT("1") ", 'included': '300'")), NULL},
     {{"05", NULL, "150", NULL, NULL}, {"20", NULL, "100", NULL, NULL}},
     "c usage 150 0 0 0.00\nc usage 100 50 50 50.00\n"},
    {"rounding of the running total", {RIG_CUT(SUM(UNIT("0.005")), SUM(UNIT("0.005"))), NULL},
     {{"05", NULL, "1", NULL, NULL}, {"20", NULL, "1", NULL, NULL}},
     "c usage 1 1 0.005 0.01\nc usage 1 1 0.005 0.00\n"},
    {"continue: the package is open", {RIG_V1(SUM(PACKAGE)), TWO_VERSIONS("continue")},
     {{"05", NULL, "50", NULL, NULL}, {"20", NULL, "50", NULL, NULL}},
     "c usage 50 50 2 2.00\nc usage 50 50 0 0.00\n"},
    {"separate: a new one is opened", {RIG_V1(SUM(PACKAGE)), TWO_VERSIONS("separate")},
     {{"05", NULL, "50", NULL, NULL}, {"20", NULL, "50", NULL, NULL}},
     "c usage 50 50 2 2.00\nc usage 50 50 2 2.00\n"},
    {"continue through a gap: a new one as well",
     {RIG_V1(SUM(PACKAGE)),
      "{'key': 'k', 'tenant': 'a', 'plan': 'p', 'plan_version': 'latest',"
      " 'from': '2024-01-01T00:00:00Z', 'to': '2024-01-16T11:59:59.999999Z'}, {'key': 'k',"
      " 'tenant': 'a', 'plan': 'p', 'plan_version': 'latest', 'version': 2, 'from': '" MID "',"
      " 'counters': 'continue'}"},
     {{"05", NULL, "50", NULL, NULL}, {"20", NULL, "50", NULL, NULL}},
     "c usage 50 50 2 2.00\nc usage 50 50 2 2.00\n"},
    {"no event, no line; an event of zero, a line", {RIG_CUT(SUM(UNIT("1")), SUM(UNIT("1"))), NULL},
     {{"05", NULL, "0", NULL, NULL}, {"20", NULL, NULL, NULL, NULL}},
     "c usage 0 0 0 0.00\n"},
    {"a discount over 100 gives back", {RIG_V1(SUM(UNIT("1") ", 'discount_percent': '150'")), NULL},
     {{"05", NULL, "10", NULL, NULL}},
     "c usage 10 10 -5 -5.00\n"},
    {"rows: the first that matches, counters of its own",
     {RIG_V1(SUM("'model': 'package', 'package_size': '10', 'prices': [{'when': {'d': ['x', 'y']},"
                 " 'price': '1'}, {'price': '3'}]")), NULL},
     {{"05", "x", "5", NULL, NULL}, {"05", "y", "5", NULL, NULL}, {"05", "z", "5", NULL, NULL}},
     "c usage [0] 10 10 1 1.00\nc usage [1] 5 5 3 3.00\n"},
    {"level: one quantity, each interval its share", {RIG_CUT(MAX(UNIT("20")), MAX(UNIT("30"))),
      NULL},
     {{"05", NULL, "10", NULL, NULL}, {"20", NULL, "12", NULL, NULL}},
     "c usage 12 12 120 120.00\nc usage 12 12 180 180.00\n"},
    {"level: due without an event of its own", {RIG_CUT(MAX(UNIT("20")), MAX(UNIT("20"))), NULL},
     {{"05", NULL, "10", NULL, NULL}},
     "c usage 10 10 100 100.00\nc usage 10 10 100 100.00\n"},
    {"level: a short run pays whole", {RIG_V1(MAX(UNIT("1"))), RIG_CONTRACT_FROM(MID)},
     {{"20", NULL, "10", NULL, NULL}},
     "c usage 10 10 10 10.00\n"},
    {"level: or by time", {RIG_V1(MAX(UNIT("1") ", 'prorate_quantity': true")),
      RIG_CONTRACT_FROM(MID)},
     {{"20", NULL, "10", NULL, NULL}},
     "c usage 10 10 5 5.00\n"},
    {"last: greatest time, source, id", {RIG_V1("{'key': 'c', 'meter': 'last', " UNIT("1") "}"),
      NULL},
     {{"06", NULL, "1", "b", "x"}, {"06", NULL, "2", "c", "x"}, {"06", NULL, "3", "c", "xy"},
      {"05", NULL, "4", "z", "z"}, {"06", NULL, "5", "c", "a"}},
     "c usage 3 3 3 3.00\n"},
    {"min", {RIG_V1("{'key': 'c', 'meter': 'min', " UNIT("1") "}"), NULL},
     {{"06", NULL, "7", NULL, NULL}, {"05", NULL, "-2.5", NULL, NULL}, {"07", NULL, NULL, NULL,
      NULL}},
     "c usage -2.5 -2.5 0 0.00\n"},
    {"unique: empty values are none", {RIG_V1("{'key': 'c', 'meter': 'unique', " UNIT("1") "}"),
      NULL},
     {{"06", "x", NULL, NULL, NULL}, {"05", "y", NULL, NULL, NULL}, {"07", "x", NULL, NULL, NULL},
      {"07", NULL, NULL, NULL, NULL}},
     "c usage 2 2 2 2.00\n"},
};

static const struct line_case share_cases[] = {
    {"price_by: each group its own allowance",
      {RIG_V1(SUM(UNIT("1") ", 'included': '5', 'price_by': ['d']")), NULL},
     {{"05", "x", "7", NULL, NULL}, {"05", "y", "4", NULL, NULL}},
     "c usage {d:x} 7 2 2 2.00\nc usage {d:y} 4 0 0 0.00\n"},
    {"split_by: the largest remainder first, ties in order",
     {RIG_V1(SUM(UNIT("0.333") ", 'split_by': ['d']")), NULL},
     {{"05", "z", "1", NULL, NULL}, {"05", "x", "1", NULL, NULL}, {"05", "y", "1", NULL, NULL}},
     "c usage {d:x} 1 1 0.333 0.34\nc usage {d:y} 1 1 0.333 0.33\nc usage {d:z} 1 1 0.333 0.33\n"},
    {"split_by: the opposite sign bears nothing", {RIG_V1(SUM(UNIT("1") ", 'split_by': ['d']")),
      NULL},
     {{"05", "x", "100", NULL, NULL}, {"05", "y", "-40", NULL, NULL}},
     "c usage {d:x} 100 60 60 60.00\nc usage {d:y} -40 0 0 0.00\n"},
    {"split_by: without a weight by events",
     {RIG_V1(SUM("'model': 'percentage', 'rate': '1', 'fixed_per_event': '1', 'split_by':"
      " ['d']")), NULL},
     {{"05", "x", "0", NULL, NULL}, {"05", "y", "0", NULL, NULL}, {"06", "y", "0", NULL, NULL}},
     "c usage {d:x} 0 0 1 1.00\nc usage {d:y} 0 0 2 2.00\n"},
    {"split_by: one group names itself", {RIG_V1(SUM(UNIT("1") ", 'split_by': ['e', 'd']")), NULL},
     {{"05", "x", "1", NULL, NULL}},
     "c usage {e:,d:x} 1 1 1 1.00\n"},
    {"split_by: a level's shares", {RIG_V1(MAX(UNIT("1") ", 'split_by': ['d']")), NULL},
     {{"05", "x", "6", NULL, NULL}, {"05", "y", "2", NULL, NULL}},
     "c usage {d:x} 6 4.5 4.5 4.50\nc usage {d:y} 2 1.5 1.5 1.50\n"},
    {"price_by and split_by by one dimension",
      {RIG_V1(SUM(UNIT("1") ", 'price_by': ['d'], 'split_by': ['d']")), NULL},
     {{"05", "x", "7", NULL, NULL}},
     "c usage {d:x} 7 7 7 7.00\n"},
    {"minimum", {RIG_V1(SUM(UNIT("1") ", 'minimum': '100'")), NULL},
     {{"05", NULL, "30", NULL, NULL}},
     "c minimum 1 1 70 70.00\nc usage 30 30 30 30.00\n"},
    {"minimum without usage of the charge", {RIG_V1(SUM(UNIT("1") ", 'minimum': '100'")), NULL},
     {{"05", NULL, NULL, NULL, NULL}},
     "c minimum 1 1 100 100.00\n"},
    {"minimum by groups, which must be there",
      {RIG_V1(SUM(UNIT("1") ", 'minimum': '50', 'price_by': ['d']")), NULL},
     {{"05", "x", "30", NULL, NULL}, {"05", "y", "80", NULL, NULL}},
     "c minimum {d:x} 1 1 20 20.00\nc usage {d:x} 30 30 30 30.00\nc usage {d:y} 80 80 80 80.00\n"},
    {"minimum by time, the run once", {RIG_CUT(SUM(UNIT("1") ", 'minimum': '100'"),
      SUM(UNIT("1") ", 'minimum': '50'")), NULL},
     {{"05", NULL, "30", NULL, NULL}, {"20", NULL, "40", NULL, NULL}},
     "c usage 30 30 30 30.00\nc minimum 1 1 5 5.00\nc usage 40 40 40 40.00\n"},
    {"maximum", {RIG_V1(SUM(UNIT("1") ", 'maximum': '20'")), NULL},
     {{"05", NULL, "30", NULL, NULL}},
     "c maximum 1 1 -10 -10.00\nc usage 30 30 30 30.00\n"},
    {"no maximum where one version has none", {RIG_CUT(SUM(UNIT("1") ", 'maximum': '20'"),
      SUM(UNIT("1"))), NULL},
     {{"05", NULL, "30", NULL, NULL}},
     "c usage 30 30 30 30.00\n"},
    {"true-up", {RIG_PLAN("1", "2020-01-01T00:00:00Z", ", 'minimum_commitment': '100'",
      SUM(UNIT("1")) ", " FIXED("'price': '80', 'counts_toward_commitment': false")), NULL},
     {{"05", NULL, "30", NULL, NULL}},
     "c usage 30 30 30 30.00\nf fixed 1 1 80 80.00\ntrue_up true_up 1 1 70 70.00\n"},
    {"no true-up without a commitment", {RIG_V1(SUM("'model': 'percentage', 'rate': '10'")), NULL},
     {{"05", NULL, "-30", NULL, NULL}},
     "c usage -30 -30 -3 -3.00\n"},
    {"what does not terminate is shown to 12 digits", {RIG_V1(FIXED("'price': '1'")),
      RIG_CONTRACT_FROM("2024-01-31T00:00:00Z")},
     {{"31", NULL, NULL, NULL, NULL}},
     "f fixed 1 1 0.032258064516 0.03\n"},
};

static const struct line_case unrated_cases[] = {
    {"before the contract", {RIG_V1(SUM(UNIT("1"))), RIG_CONTRACT_FROM(MID)},
     {{"05", NULL, "1", NULL, NULL}},
     "count no_contract 1\nlast no_contract 1\nmax no_contract 1\nmin no_contract 1\nsum"
      " no_contract 1\n"},
    {"no plan yet", {RIG_V2(SUM(UNIT("1"))), NULL},
     {{"05", NULL, NULL, NULL, NULL}},
     "count no_plan_version 1\n"},
    {"no charge takes it", {RIG_V1("{'key': 'c', 'meter': 'count', 'filter': {'d': 'x'}, "
      UNIT("1") "}"), NULL},
     {{"05", NULL, NULL, NULL, NULL}, {"05", "x", NULL, NULL, NULL}},
     "c usage 1 1 1 1.00\ncount no_charge 1\nunique not_priced 1\n"},
    {"two reasons of one meter", {RIG_V1("{'key': 'c', 'meter': 'count', 'prices': [{'when':"
      " {'d': 'x'}, 'price': '1'}],"
      " 'model': 'per_unit'}"), RIG_CONTRACT_FROM(MID)},
     {{"05", NULL, NULL, NULL, NULL}, {"20", NULL, NULL, NULL, NULL}, {"20", "x", NULL, NULL,
      NULL}},
     "c usage [0] 1 1 1 1.00\ncount no_charge 1\ncount no_contract 1\nunique not_priced 1\n"},
};
/* clang-format on */

/* Whether a text of the answer is a line: those of unrated usage have three words. */
static void
drop_unrated(const char *answer, char *out, size_t out_bytes)
{
    size_t used = 0;

    out[0] = '\0';
    for (const char *at = answer; *at != '\0';) {
        const char *end = strchr(at, '\n') + 1;
        size_t spaces = 0;

        for (const char *c = at; c < end; c++)
            spaces += *c == ' ' ? 1 : 0;
        if (spaces > 2) {
            cr_assert(used + (size_t)(end - at) < out_bytes);
            memcpy(out + used, at, (size_t)(end - at));
            used += (size_t)(end - at);
            out[used] = '\0';
        }
        at = end;
    }
}

static void
expect_case(const struct line_case *c, bool with_unrated)
{
    struct rating_rig *rig = rating_rig_open(&c->catalog, NULL);
    char lines[4096];

    for (uint32_t i = 0; i < USES_MAX && c->rows[i].time != NULL; i++)
        rating_rig_row(rig, &c->rows[i]);
    const char *answer = rating_rig_answer(rig);

    if (with_unrated)
        (void)snprintf(lines, sizeof lines, "%s", answer);
    else
        drop_unrated(answer, lines, sizeof lines);
    cr_expect(strcmp(lines, c->want) == 0, "%s: want\n%sgot\n%s", c->name, c->want, lines);
    rating_rig_close(rig);
}

Test(rating, prices_by_every_model, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(model_cases); i++)
        expect_case(&model_cases[i], false);
}

Test(rating, counts_through_a_run, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(run_cases); i++)
        expect_case(&run_cases[i], false);
}

Test(rating, shares_and_bounds_a_charge, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(share_cases); i++)
        expect_case(&share_cases[i], false);
}

Test(rating, loses_no_usage_in_silence, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(unrated_cases); i++)
        expect_case(&unrated_cases[i], true);
}

static const struct rating_rig_row mixed_rows[] = {
    {"05", "x", "3", "s", NULL},   {"20", "y", "4.5", "s", NULL}, {"16", "x", "-2", NULL, NULL},
    {"17", NULL, NULL, "s", NULL}, {"31", "z", "100", "t", NULL}, {"05", "y", "7", "s", NULL},
    {"02", "x", "0.01", "u", NULL}};
static const struct rating_rig_catalog mixed = {
    RIG_CUT(SUM("'model': 'percentage', 'rate': '3', 'included': '9', 'split_by': "
                "['d']") ", "
                         "{'key': 'l', 'meter': 'last', " UNIT("1") "}, {'key': 'u', "
                                                                    "'meter': "
                                                                    "'unique', " UNIT(
                                                                        "1") "}, "
                                                                             "{'key': "
                                                                             "'x', "
                                                                             "'meter': "
                                                                             "'xsum',"
                                                                             " " UNIT("2") "}",
            SUM("'model': 'percentage', 'rate': '4', 'included': '9', 'split_by': "
                "['e', 'd']") ", "
                              "{'key': 'l', 'meter': 'last', " UNIT("3") "}"),
    NULL};

/* The rows from `first` on, around, in one direction or the other, in blocks of some size. */
static void
mixed_answer(uint32_t first, bool backwards, uint32_t block_rows, char *out, size_t out_bytes)
{
    struct rating_rig *rig = rating_rig_open(&mixed, NULL);
    uint32_t count = VT_COUNT(mixed_rows);

    rating_rig_block_rows(rig, block_rows);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (first + (backwards ? count - 1 - i : i)) % count;
        struct rating_rig_row row = mixed_rows[at];
        char id[8];

        (void)snprintf(id, sizeof id, "i%u", at);
        row.id = id;
        rating_rig_block_rows(rig, 1 + (block_rows + i) % 5);
        rating_rig_row(rig, &row);
        (void)rating_rig_answer(
            rig); /* the id's text ends here; an answer may be asked at any time */
    }
    (void)snprintf(out, out_bytes, "%s", rating_rig_answer(rig));
    rating_rig_close(rig);
}

Test(rating, does_not_depend_on_the_order_of_rows, .timeout = 20)
{
    char want[4096];
    char got[4096];

    mixed_answer(0, false, 7, want, sizeof want);
    cr_expect(strstr(want, "c usage {d:x}") != NULL, "%s", want);
    for (uint32_t first = 0; first < VT_COUNT(mixed_rows); first++) {
        mixed_answer(first, first % 2 == 1, 1 + first, got, sizeof got);
        cr_expect_str_eq(got, want, "from row %u", first);
    }
}

/* The same plan version once more, or the contract amended by nothing: the totals stay. */
Test(rating, keeps_the_first_law, .timeout = 20)
{
    static const char *const charges[] = {
        SUM(GRADUATED), SUM(VOLUME),
        SUM(PACKAGE),   SUM(UNIT("0.005") ", 'included': '7'"),
        MAX(GRADUATED), SUM(UNIT("1") ", 'minimum': '60', 'maximum': '70'")};

    for (size_t i = 0; i < VT_COUNT(charges); i++) {
        long cents[2] = {0, 0};

        for (size_t n = 0; n < 2; n++) {
            char plans[2048];
            struct rating_rig_catalog catalog = {plans, n == 1 ? TWO_VERSIONS("continue") : NULL};

            (void)snprintf(plans, sizeof plans,
                           n == 0 ? RIG_V1("%s") : RIG_V1("%s") ", " RIG_V2("%s"), charges[i],
                           charges[i]);
            struct rating_rig *rig = rating_rig_open(&catalog, NULL);

            for (uint32_t r = 0; r < VT_COUNT(mixed_rows); r++)
                rating_rig_row(rig, &mixed_rows[r]);
            char lines[4096];

            drop_unrated(rating_rig_answer(rig), lines, sizeof lines);
            for (char *at = lines; *at != '\0'; at = strchr(at, '\n') + 1) {
                char *end = strchr(at, '\n');
                char *dot = end - 3;

                cr_assert_eq(*dot, '.');
                char *amount = dot;

                while (amount[-1] != ' ')
                    amount--;
                long whole = strtol(amount, NULL, 10) * 100;
                long part = strtol(dot + 1, NULL, 10);

                cents[n] += *amount == '-' ? whole - part : whole + part;
            }
            rating_rig_close(rig);
        }
        cr_expect_eq(cents[0], cents[1], "%s: %ld, cut %ld", charges[i], cents[0], cents[1]);
    }
}

/* More rows than go through in one piece; those at an edge belong to what begins there. */
Test(rating, cuts_a_block_exactly_at_the_instant, .timeout = 20)
{
    static const struct rating_rig_catalog catalog = {RIG_CUT(SUM(UNIT("1")), SUM(UNIT("2"))),
                                                      NULL};
    static const struct rating_rig_row before = {"2024-01-16T11:59:59.999999Z", NULL, "1", NULL,
                                                 NULL};
    static const struct rating_rig_row after = {MID, NULL, "1", NULL, NULL};

    for (uint32_t count = 2046; count <= 2050; count++) {
        struct rating_rig *rig = rating_rig_open(&catalog, NULL);
        char lines[4096];
        char want[128];

        rating_rig_block_rows(rig, RATING_RIG_ROWS_MAX);
        for (uint32_t i = 0; i < count; i++)
            rating_rig_row(rig, &before);
        for (uint32_t i = 0; i < 3; i++)
            rating_rig_row(rig, &after);
        drop_unrated(rating_rig_answer(rig), lines, sizeof lines);
        (void)snprintf(want, sizeof want, "c usage %u %u %u %u.00\nc usage 3 3 6 6.00\n", count,
                       count, count, count);
        cr_expect_str_eq(lines, want);
        rating_rig_close(rig);
    }
}

static const struct rating_rig_row spread[] = {{"2024-01-05T00:00:00Z", NULL, "1", NULL, NULL},
                                               {"2024-03-05T00:00:00Z", NULL, "3", NULL, NULL},
                                               {"2024-04-05T00:00:00Z", NULL, "4", NULL, NULL}};

static void
expect_periods(const struct rater_options *options, const char *want)
{
    static const struct rating_rig_catalog catalog = {
        RIG_V1(SUM(UNIT("1")) ", " FIXED("'price': '9'")), NULL};
    struct rating_rig *rig = rating_rig_open(&catalog, options);
    char lines[4096];

    for (uint32_t i = 0; i < VT_COUNT(spread); i++)
        rating_rig_row(rig, &spread[i]);
    drop_unrated(rating_rig_answer(rig), lines, sizeof lines);
    cr_expect_str_eq(lines, want);
    rating_rig_close(rig);
}

Test(rating, shows_periods_with_usage_or_the_one_asked_for, .timeout = 20)
{
    struct vt_utc february;
    struct vt_utc march;

    cr_assert_eq(vt_utc_parse(VT_STR("2024-02-10T00:00:00Z"), &february), VT_OK);
    cr_assert_eq(vt_utc_parse(VT_STR("2024-03-01T00:00:00Z"), &march), VT_OK);
    struct rater_options at = {.has_at = true, .at_us = february.us};
    struct rater_options range = {.has_range = true, .start_us = february.us, .end_us = march.us};
    struct rater_options longer = range;

    longer.end_us = march.us + 1;
    expect_periods(NULL, "c usage 1 1 1 1.00\nf fixed 1 1 9 9.00\nc usage 3 3 3 3.00\n"
                         "f fixed 1 1 9 9.00\nc usage 4 4 4 4.00\nf fixed 1 1 9 9.00\n");
    expect_periods(&at, "f fixed 1 1 9 9.00\n");
    expect_periods(&range, "");
    expect_periods(&longer, "c usage 3 3 3 3.00\nf fixed 1 1 9 9.00\n");
}

static const struct needs_case {
    const char *name;
    const char *plans;
    bool want;
} needs_cases[] = {
    /* clang-format off */
    {"sum",                       RIG_V1(SUM(UNIT("1"))), false},
    {"max",                       RIG_V1(MAX(UNIT("1"))), false},
    {"last",                      RIG_V1("{'key': 'c', 'meter': 'last', " UNIT("1") "}"), true},
    {"percentage",                RIG_V1(SUM("'model': 'percentage', 'rate': '1'")), false},
    {"percentage and free units", RIG_V1(SUM("'model': 'percentage', 'rate': '1', 'included':"
      " '1'")), true},
    {"free units in a row",       RIG_V1(SUM("'model': 'percentage', 'prices': [{'rate': '1',"
      " 'included': '1'}]")), true},
    /* clang-format on */
};

Test(rating, asks_for_ids_only_where_their_order_counts, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(needs_cases); i++) {
        struct rating_rig_catalog catalog = {needs_cases[i].plans, NULL};
        struct rating_rig *rig = rating_rig_open(&catalog, NULL);

        cr_expect_eq(rater_needs_ids(rating_rig_rater(rig)), needs_cases[i].want, "%s",
                     needs_cases[i].name);
        rating_rig_close(rig);
    }
}

/* One row with a column q of some kind and scale, under a catalog that declares it at scale 2. */
static vt_err
add_column(struct rating_rig *rig, const struct row_column *column)
{
    static const uint64_t position = 77;
    static const int64_t time_us = INT64_C(1704844800000000); /* 2024-01-10 */
    static const uint32_t source = 0;
    struct vt_str empty = {"", 0};
    struct row_block block = {.tenant = VT_STR("a"),
                              .type = VT_STR("t"),
                              .row_count = 1,
                              .position = &position,
                              .time_us = &time_us,
                              .source = &source,
                              .column_count = 1,
                              .columns = column,
                              .dict_count = 1,
                              .dict = &empty,
                              .dict_id = 1};

    vt_err_clear();
    return rater_add(rating_rig_rater(rig), &block);
}

Test(rating, reads_columns_at_the_scale_of_its_catalog, .timeout = 20)
{
    static const struct rating_rig_catalog catalog = {RIG_V1(SUM(UNIT("1"))), NULL};
    static const uint32_t code = 0;
    int64_t value = 1500; /* 1.500 */
    struct row_column column = {
        .name = VT_STR("q"), .kind = FIELD_DECIMAL, .scale = 3, .value = &value};
    struct row_column text = {.name = VT_STR("q"), .kind = FIELD_STRING, .code = &code};
    struct rating_rig *rig = rating_rig_open(&catalog, NULL);
    char lines[4096];

    cr_expect_eq(add_column(rig, &column), VT_OK);
    value = 1501;
    cr_expect_eq(add_column(rig, &column), VT_INVALID);
    cr_expect(strstr(vt_err_last(), "position 77: field q") != NULL, "%s", vt_err_last());
    cr_expect_eq(add_column(rig, &text), VT_INVALID);
    drop_unrated(rating_rig_answer(rig), lines, sizeof lines);
    cr_expect_str_eq(lines, "c usage 1.5 1.5 1.5 1.50\n");
    rating_rig_close(rig);
}

Test(rating, passes_over_types_that_its_catalog_does_not_have, .timeout = 20)
{
    static const struct rating_rig_catalog catalog = {RIG_V1(SUM(UNIT("1"))), NULL};
    struct row_block block = {.tenant = VT_STR("a"), .type = VT_STR("other"), .row_count = 1};
    struct rating_rig *rig = rating_rig_open(&catalog, NULL);

    cr_expect_eq(rater_add(rating_rig_rater(rig), &block), VT_OK);
    cr_expect_str_eq(rating_rig_answer(rig), "");
    rating_rig_close(rig);
}

/* Undeclared fields as batch.h keeps them: a msgpack map. */
static const struct extra_case {
    const char *name;
    const char *extra;
    const char *want;
} extra_cases[] = {
    /* clang-format off */
    {"none", "", ""},
    {"nothing of ours", "\x81\xa5props\x81\xa1z\x01", ""},
    {"an integer", "\x81\xa5props\x82\xa1q\x03\xa1" "d\xa1x", "c usage {d:x} 3 3 3 3.00\n"},
    {"a text, after a trace",
     "\x82\xa8trace_id\xa1t\xa5props\x81\xa1q\xa4" "2.50", "c usage {d:} 2.5 2.5 2.5 2.50\n"},
    {"the text of a number",
     "\x81\xa5props\x81\xa1q\xd6\x01" "25e1", "c usage {d:} 250 250 250 250.00\n"},
    {"too many digits: absent", "\x81\xa5props\x81\xa1q\xa5" "2.501", ""},
    {"no decimal: absent", "\x81\xa5props\x81\xa1q\xc3", ""},
    {"no string: empty", "\x81\xa5props\x82\xa1q\x03\xa1" "d\x07", "c usage {d:} 3 3 3 3.00\n"},
    {"a map is passed over", "\x81\xa5props\x82\xa1q\x81\xa1q\x09\xa1z\x90", ""},
    /* clang-format on */
};

Test(rating, reads_fields_that_were_not_declared_then, .timeout = 20)
{
    static const struct rating_rig_catalog catalog = {RIG_V1(SUM(UNIT("1") ", 'split_by': ['d']")),
                                                      NULL};
    static const uint64_t position[2] = {77, 78};
    static const int64_t time_us[2] = {INT64_C(1704844800000000), INT64_C(1704844800000000)};
    static const uint32_t source[2] = {0, 0};
    struct vt_str empty = {"", 0};

    for (size_t i = 0; i < VT_COUNT(extra_cases); i++) {
        const struct extra_case *c = &extra_cases[i];
        struct vt_bytes extra[2] = {{NULL, 0}, {(const uint8_t *)c->extra, strlen(c->extra)}};
        struct row_block block = {.tenant = VT_STR("a"),
                                  .type = VT_STR("t"),
                                  .row_count = 2,
                                  .position = position,
                                  .time_us = time_us,
                                  .source = source,
                                  .extra = extra,
                                  .dict_count = 1,
                                  .dict = &empty,
                                  .dict_id = 1};
        struct rating_rig *rig = rating_rig_open(&catalog, NULL);
        char lines[4096];

        cr_expect_eq(rater_add(rating_rig_rater(rig), &block), VT_OK, "%s: %s", c->name,
                     vt_err_last());
        drop_unrated(rating_rig_answer(rig), lines, sizeof lines);
        cr_expect(strcmp(lines, c->want) == 0, "%s: want\n%sgot\n%s", c->name, c->want, lines);
        rating_rig_close(rig);
    }
}

/*
 * Goal:   rows find their cell whatever the number of strings: while the numbers of the dimensions
 *         index an array, when they have grown too many for it, and in the next dictionary.
 * Method: blocks of random pairs of strings, of several chunks each; the quantity of every pair
 *         against a table that was counted by hand.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dict.h"
#include "engine/rating.h"
#include "rating_rig.h"
#include "venturi/assert.h"

#define STRINGS_MAX 700
#define ROWS        5000

struct naive {
    uint32_t strings; /* of each dimension */
    uint32_t count[STRINGS_MAX][STRINGS_MAX];
    uint32_t line_count;
};

struct rows {
    uint64_t position[ROWS];
    int64_t time_us[ROWS];
    uint32_t source[ROWS];
    uint32_t d[ROWS];
    uint32_t e[ROWS];
    int64_t q[ROWS];
};

static uint64_t
random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Adds a block with a dictionary of its own, whose codes are as random as its rows. */
static void
block_add(struct rater *rater, struct naive *naive, uint64_t *seed)
{
    struct rows *rows = calloc(1, sizeof *rows);
    struct vt_str *strings = NULL;
    struct dict *dict = NULL;

    cr_assert_not_null(rows);
    cr_assert_eq(dict_open(&dict), VT_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t d = (uint32_t)(random_next(seed) % naive->strings);
        uint32_t e = (uint32_t)(random_next(seed) % naive->strings);
        char text[16];
        int size = snprintf(text, sizeof text, "%u", d);

        cr_assert_eq(dict_code(dict, (struct vt_str){text, (uint32_t)size}, &rows->d[i]), VT_OK);
        size = snprintf(text, sizeof text, "%u", e);
        cr_assert_eq(dict_code(dict, (struct vt_str){text, (uint32_t)size}, &rows->e[i]), VT_OK);
        rows->position[i] = i;
        rows->time_us[i] = INT64_C(1704844800000000) + (int64_t)(random_next(seed) % 1000);
        rows->q[i] = 100; /* 1.00 */
        naive->count[d][e]++;
    }
    struct row_column columns[] = {
        {.name = VT_STR("q"), .kind = FIELD_DECIMAL, .scale = 2, .value = rows->q},
        {.name = VT_STR("d"), .kind = FIELD_STRING, .code = rows->d},
        {.name = VT_STR("e"), .kind = FIELD_STRING, .code = rows->e},
    };
    cr_assert_eq(dict_array(dict, dict_count(dict), &strings), VT_OK);
    struct row_block block = {.tenant = VT_STR("a"),
                              .type = VT_STR("t"),
                              .row_count = ROWS,
                              .position = rows->position,
                              .time_us = rows->time_us,
                              .source = rows->source,
                              .column_count = VT_COUNT(columns),
                              .columns = columns,
                              .dict_count = dict_count(dict),
                              .dict = strings,
                              .dict_id = dict_id(dict)};

    cr_assert_eq(rater_add(rater, &block), VT_OK);
    free(strings);
    dict_close(dict);
    free(rows);
}

static vt_err
line_check(void *context, const struct rated_line *line)
{
    struct naive *naive = context;
    char text[3][16];

    cr_assert_eq(line->group_count, 2);
    for (uint32_t i = 0; i < 2; i++)
        (void)snprintf(text[i], sizeof text[i], "%.*s", (int)line->group_values[i].size,
                       line->group_values[i].data);
    (void)snprintf(text[2], sizeof text[2], "%.*s", (int)line->quantity.size, line->quantity.data);
    uint32_t *count = &naive->count[strtoul(text[0], NULL, 10)][strtoul(text[1], NULL, 10)];

    cr_expect_eq(strtoul(text[2], NULL, 10), *count, "d %s, e %s", text[0], text[1]);
    *count = 0;
    naive->line_count++;
    return VT_OK;
}

static const struct tuple_case {
    const char *name;
    uint32_t strings;
    uint32_t blocks;
} tuple_cases[] = {
    {"a few strings", 5, 3},
    {"as many as an array takes", 400, 2}, /* 9 bits each */
    {"too many for an array", 700, 3},     /* 10 bits each */
};

Test(rater_tuple, every_pair_of_strings_has_its_cell, .timeout = 60)
{
    static const struct rating_rig_catalog catalog = {
        RIG_V1("{'key': 'c', 'meter': 'sum', 'model': 'per_unit', 'price': '1',"
               " 'split_by': ['d', 'e']}"),
        NULL};

    for (size_t i = 0; i < VT_COUNT(tuple_cases); i++) {
        struct rating_rig *rig = rating_rig_open(&catalog, NULL);
        struct naive *naive = calloc(1, sizeof *naive);
        struct rating_sink sink = {line_check, NULL, naive};
        uint64_t seed = 11 + i;
        uint32_t pairs = 0;

        cr_assert_not_null(naive);
        naive->strings = tuple_cases[i].strings;
        for (uint32_t b = 0; b < tuple_cases[i].blocks; b++)
            block_add(rating_rig_rater(rig), naive, &seed);
        for (uint32_t d = 0; d < naive->strings; d++) {
            for (uint32_t e = 0; e < naive->strings; e++)
                pairs += naive->count[d][e] > 0 ? 1 : 0;
        }
        cr_expect_eq(rater_finish(rating_rig_rater(rig), &sink), VT_OK);
        cr_expect_eq(naive->line_count, pairs, "%s", tuple_cases[i].name);
        free(naive);
        rating_rig_close(rig);
    }
}

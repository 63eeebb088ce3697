/*
 * Goal:   equal vectors have one number, different ones different numbers, given in order.
 * Method: many random vectors against a naive list; then codes by page against the same idea.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "code_pages.h"
#include "tuple_table.h"

static uint64_t
random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

Test(tuple_table, numbers_vectors_in_the_order_of_their_first_use, .timeout = 20)
{
    for (uint32_t width = 0; width < 4; width++) {
        struct tuple_table table;
        static uint32_t list[3000][3];
        uint32_t count = 0;
        uint64_t seed = 7;

        cr_assert_eq(tuple_table_init(&table, width), VT_OK);
        for (uint32_t i = 0; i < 3000; i++) {
            uint32_t key[3] = {(uint32_t)random_next(&seed) % 40, (uint32_t)random_next(&seed) % 5,
                               (uint32_t)random_next(&seed) % 3};
            uint32_t want = 0;
            uint32_t got = 0;

            while (want < count && memcmp(list[want], key, width * sizeof *key) != 0)
                want++;
            cr_expect_eq(tuple_table_find(&table, key), want < count ? want : TUPLE_NONE);
            if (want == count)
                memcpy(list[count++], key, sizeof key);
            cr_assert_eq(tuple_table_put(&table, key, &got), VT_OK);
            cr_expect_eq(got, want);
            cr_expect_eq(table.count, count);
        }
        for (uint32_t i = 0; i < count && width > 0; i++)
            cr_expect(memcmp(tuple_table_key(&table, i), list[i], width * sizeof **list) == 0);
        tuple_table_reset(&table);
        cr_expect_eq(table.count, 0);
        cr_expect_eq(tuple_table_find(&table, list[0]), TUPLE_NONE);
        tuple_table_deinit(&table);
    }
}

Test(code_pages, forgets_all_at_once, .timeout = 20)
{
    struct code_pages map = {.pages = NULL};
    static const uint32_t codes[] = {0, 1, 1023, 1024, 5000, 1u << 20};

    cr_expect_eq(code_pages_get(&map, 0), CODE_NONE);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 6; i++) {
            cr_expect_eq(code_pages_get(&map, codes[i]), CODE_NONE);
            cr_assert_eq(code_pages_put(&map, codes[i], i + round), VT_OK);
        }
        for (uint32_t i = 0; i < 6; i++)
            cr_expect_eq(code_pages_get(&map, codes[i]), i + round);
        cr_expect_eq(code_pages_get(&map, 2), CODE_NONE);
        cr_expect_eq(code_pages_get(&map, UINT32_MAX), CODE_NONE);
        code_pages_forget(&map);
    }
    map.age = UINT32_MAX;
    cr_assert_eq(code_pages_put(&map, 3, 3), VT_OK);
    code_pages_forget(&map);
    cr_expect_eq(code_pages_get(&map, 3), CODE_NONE);
    cr_assert_eq(code_pages_put(&map, 3, 4), VT_OK);
    cr_expect_eq(code_pages_get(&map, 3), 4);
    code_pages_deinit(&map);
}

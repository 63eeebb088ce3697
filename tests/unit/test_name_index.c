/*
 * Goal:   a name keeps the first number that it was given, through every growth of the table.
 * Method: random puts and finds against an array that is searched from end to end.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "name_index.h"

#define NAMES 3000
#define STEPS 20000

Test(name_index, is_a_map_of_names, .timeout = 20)
{
    static char names[NAMES][8];
    static uint32_t model[NAMES];
    struct arena arena;
    struct name_index index;
    uint64_t state = 88172645463325252U;

    arena_init(&arena, 4096);
    name_index_init(&index, &arena);
    cr_expect_eq(name_index_find(&index, VT_STR("x")), NAME_INDEX_NONE);
    for (uint32_t i = 0; i < NAMES; i++) {
        /* Number 0 is the empty name. */
        (void)snprintf(names[i], sizeof names[i], "%.0x", i * 7);
        model[i] = NAME_INDEX_NONE;
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint32_t at = (uint32_t)(state >> 33) % NAMES;
        struct vt_str name = {names[at], (uint32_t)strlen(names[at])};
        uint32_t before = 0;

        cr_assert_eq(name_index_find(&index, name), model[at], "step %u", step);
        if (step % 3 != 0)
            continue;
        cr_assert_eq(name_index_put(&index, name, step, &before), VT_OK);
        cr_assert_eq(before, model[at], "step %u", step);
        if (before == NAME_INDEX_NONE)
            model[at] = step;
    }
    arena_deinit(&arena);
}

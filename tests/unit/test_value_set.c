/*
 * Goal:   a set holds each string once, whatever kind it is and whatever it was united from.
 * Method: random strings beside an array of flags; sets over one dictionary, over another, and of
 *         their own, united in pairs. Sizes cross the step from a few codes to a bitmap.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "value_set.h"
#include "venturi/assert.h"

#define STRINGS 5000

static uint64_t
next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

enum set_kind { OWN, FIRST_DICT, SECOND_DICT, KINDS };

struct world {
    struct dict *dicts[2];
};

static void
world_open(struct world *world)
{
    for (int d = 0; d < 2; d++) {
        cr_assert(dict_open(&world->dicts[d]) == VT_OK);
        /* Codes of the two dictionaries differ. */
        for (int i = 0; i <= 10 * d; i++) {
            char text[16];
            uint32_t code;
            int size = snprintf(text, sizeof text, "other%d", i);

            cr_assert(dict_code(world->dicts[d], (struct vt_str){text, (uint32_t)size}, &code) ==
                      VT_OK);
        }
    }
}

static void
world_close(struct world *world)
{
    dict_close(world->dicts[0]);
    dict_close(world->dicts[1]);
}

static struct value_set *
open_kind(struct world *world, enum set_kind kind)
{
    struct value_set *set = NULL;

    if (kind == OWN)
        cr_assert(value_set_open(&set) == VT_OK);
    else
        cr_assert(value_set_open_codes(world->dicts[kind == SECOND_DICT], &set) == VT_OK);
    return set;
}

/* String n, 0 is "". */
static struct vt_str
string_of(uint32_t n, char text[16])
{
    int size = n == 0 ? 0 : snprintf(text, 16, "v%u", n);

    return (struct vt_str){text, (uint32_t)size};
}

static void
fill(struct value_set *set, uint8_t *model, uint64_t *seed, uint32_t adds)
{
    for (uint32_t i = 0; i < adds; i++) {
        char text[16];
        uint32_t n = (uint32_t)(next(seed) % STRINGS);

        cr_assert(value_set_add(set, string_of(n, text)) == VT_OK);
        if (n > 0)
            model[n] = 1;
    }
}

struct seen {
    uint8_t *model;
    uint32_t count;
    char last[16];
    bool sorted;
    bool wrong;
};

static vt_err
see(void *context, struct vt_str value)
{
    struct seen *seen = context;
    char text[16] = "";
    unsigned n = 0;

    memcpy(text, value.data, value.size < 15 ? value.size : 15);
    seen->sorted = seen->sorted && strcmp(seen->last, text) < 0;
    memcpy(seen->last, text, sizeof text);
    for (uint32_t i = 1; i < value.size; i++)
        n = n * 10 + (unsigned)(text[i] - '0');
    seen->wrong = seen->wrong || n >= STRINGS || seen->model[n] == 0;
    seen->count++;
    return VT_OK;
}

static void
expect_model(const struct value_set *set, uint8_t *model, const char *what)
{
    struct seen seen = {.model = model, .sorted = true};
    uint32_t want = 0;

    for (uint32_t n = 0; n < STRINGS; n++)
        want += model[n];
    cr_expect(value_set_each(set, see, &seen) == VT_OK);
    cr_expect(value_set_count(set) == want, "%s: %u members, not %u", what,
              (unsigned)value_set_count(set), want);
    cr_expect(seen.count == want && !seen.wrong, "%s: %u shown of %u", what, seen.count, want);
    cr_expect(seen.sorted, "%s: in the order of bytes", what);
}

Test(value_set, holds_each_string_once, .timeout = 20)
{
    const uint32_t sizes[] = {0, 1, 6, 7, 40, 6000};
    struct world world;

    world_open(&world);
    for (int kind = 0; kind < KINDS; kind++) {
        for (uint32_t s = 0; s < VT_COUNT(sizes); s++) {
            uint64_t seed = 77 + s;
            uint8_t model[STRINGS] = {0};
            char what[64];
            struct value_set *set = open_kind(&world, (enum set_kind)kind);

            fill(set, model, &seed, sizes[s]);
            (void)snprintf(what, sizeof what, "kind %d, %u adds", kind, sizes[s]);
            expect_model(set, model, what);
            value_set_close(set);
        }
    }
    world_close(&world);
}

Test(value_set, unites_sets_of_any_kinds, .timeout = 60)
{
    const uint32_t sizes[] = {0, 2, 5, 300};
    struct world world;

    world_open(&world);
    for (uint32_t c = 0; c < KINDS * KINDS * 16; c++) {
        int into_kind = (int)(c % KINDS), from_kind = (int)(c / KINDS % KINDS);
        uint32_t a = sizes[c / 9 % 4], b = sizes[c / 36];
        uint64_t seed = 1000 + c;
        uint8_t model[STRINGS] = {0}, other[STRINGS] = {0};
        char what[64];
        struct value_set *into = open_kind(&world, (enum set_kind)into_kind);
        struct value_set *from = open_kind(&world, (enum set_kind)from_kind);

        fill(into, model, &seed, a);
        fill(from, other, &seed, b);
        (void)snprintf(what, sizeof what, "case %u: %d of %u and %d of %u", c, into_kind, a,
                       from_kind, b);
        for (uint32_t n = 0; n < STRINGS; n++)
            model[n] |= other[n];
        cr_expect(value_set_unite(into, from) == VT_OK);
        expect_model(from, other, what);
        cr_expect(value_set_unite(into, NULL) == VT_OK, "NULL is an empty set");
        value_set_close(from);
        expect_model(into, model, what);
        value_set_close(into);
    }
    world_close(&world);
}

Test(value_set, codes_and_strings_are_the_same_members, .timeout = 5)
{
    struct world world;

    world_open(&world);
    struct value_set *set = open_kind(&world, FIRST_DICT);
    uint32_t code;

    cr_assert(dict_code(world.dicts[0], VT_STR("x"), &code) == VT_OK);
    cr_expect(value_set_add_code(set, code) == VT_OK);
    cr_expect(value_set_add(set, VT_STR("x")) == VT_OK);
    cr_expect(value_set_add_code(set, 0) == VT_OK);
    cr_expect(value_set_count(set) == 1);
    cr_expect(value_set_count(NULL) == 0);
    value_set_close(set);
    value_set_close(NULL);
    world_close(&world);
}

/*
 * Goal:   the tag table never says "never seen" of an id that was claimed; what it calls new was
 *         new; "maybe" stays rare; several workers lose nothing of each other.
 * Method: random, sequential and adversarial keys (all of one line, all of one tag, around the
 *         wrap) in groups of every size, beside a naive set that keeps every key; the SIMD
 *         comparisons beside the plain one. A stream of keys is a function of its number, so that
 *         what was claimed can be asked again without keeping it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dedup.h"
#include "dedup_match.h"
#include "venturi/assert.h"

#define KEYS (UINT64_C(1) << DEDUP_KEY_BITS)

/* SplitMix64 (G. Steele, D. Lea, C. Flood, 2014). */
static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t
key_random(uint64_t i)
{
    return mix(i) % KEYS;
}

/* In the order of keys, over all of their range: how a start fills the table. */
static uint64_t
key_ascending(uint64_t i)
{
    return KEYS / 3000000 * i;
}

static uint64_t
key_of_the_first(uint64_t i)
{
    return i;
}

/* Everything falls into the last line and goes around. */
static uint64_t
key_of_the_last(uint64_t i)
{
    return KEYS - 1 - i * 97;
}

static uint64_t
key_again(uint64_t i)
{
    return key_random(i / 2);
}

struct stream_case {
    const char *name;
    uint64_t (*key)(uint64_t i);
    uint64_t ids;
    uint64_t maybe_max; /* of 100,000 that were not claimed */
};

static const struct stream_case stream_cases[] = {
    /* clang-format off */
    { "one id",             key_random,       1,       100 },
    { "random, one line",   key_random,       24,      100 },
    { "random",             key_random,       3000000, 60 },     /* 24 tags of 65,535: 37 */
    { "each twice",         key_again,        3000000, 60 },
    { "ascending",          key_ascending,    3000000, 100000 }, /* strangers share their tags */
    { "all of one line",    key_of_the_first, 5000,    100000 },
    { "all of the last",    key_of_the_last,  5000,    100000 },
    /* clang-format on */
};

/* Groups of 1 to 32, so that a group ends anywhere. */
static uint64_t
claim_all(struct dedup *dedup, const struct stream_case *stream)
{
    uint64_t keys[DEDUP_KEYS_MAX];
    uint64_t forgotten = 0;
    uint32_t maybe = 0;

    for (uint64_t i = 0, size; i < stream->ids; i += size) {
        size = 1 + mix(i) % DEDUP_KEYS_MAX;
        size = size < stream->ids - i ? size : stream->ids - i;
        for (uint64_t j = 0; j < size; j++)
            keys[j] = stream->key(i + j);
        cr_assert(dedup_claim(dedup, keys, (uint32_t)size, &maybe) == VT_OK, "%s", stream->name);
        for (uint64_t j = 0; j < size; j++)
            forgotten += !dedup_maybe(dedup, keys[j]);
    }
    return forgotten;
}

Test(dedup, never_forgets, .timeout = 120)
{
    for (size_t c = 0; c < VT_COUNT(stream_cases); c++) {
        const struct stream_case *stream = &stream_cases[c];
        struct dedup *dedup = NULL;
        uint64_t maybe = 0;

        cr_assert(dedup_open(stream->ids, 1 + c % 2, &dedup) == VT_OK);
        uint64_t forgotten = claim_all(dedup, stream); /* counted: an assertion costs much */

        for (uint64_t i = 0; i < stream->ids; i++)
            forgotten += !dedup_maybe(dedup, stream->key(i));
        for (uint64_t i = 0; i < 100000; i++)
            maybe += dedup_maybe(dedup, key_random(i + (UINT64_C(1) << 40)));
        cr_expect(forgotten == 0, "%s: %lu forgotten", stream->name, (unsigned long)forgotten);
        cr_expect(maybe <= stream->maybe_max, "%s: %lu maybes", stream->name, (unsigned long)maybe);
        cr_expect(dedup_capacity(dedup) == stream->ids);
        dedup_close(dedup);
    }
    dedup_close(NULL);
}

/* A naive set over a small world: a bit a key. Keys are drawn with repeats, from few values, so
 * that a group holds one id twice, and one line many. */
Test(dedup, new_is_exact, .timeout = 60)
{
    enum { WORLD = 4096, CLAIMS = 3000 };
    uint64_t seed = 20260401;

    for (uint64_t round = 0; round < 200; round++) {
        static bool known[WORLD];
        struct dedup *dedup = NULL;
        uint64_t ids_max = mix(seed + round) % 3 == 0 ? CLAIMS : 200 + mix(round) % 4000;
        uint64_t stretch = round % 2 == 0 ? KEYS / WORLD : 1 + mix(round) % 100000;
        uint64_t missed = 0;
        uint64_t repeats = 0;

        memset(known, 0, sizeof known);
        cr_assert(dedup_open(ids_max, 1 + round % 2, &dedup) == VT_OK);
        for (uint64_t i = 0; i < CLAIMS;) {
            uint64_t keys[DEDUP_KEYS_MAX];
            uint32_t size = (uint32_t)(1 + mix(seed * 7 + round * CLAIMS + i) % DEDUP_KEYS_MAX);
            uint64_t drawn[DEDUP_KEYS_MAX];
            uint32_t maybe = 0;

            for (uint32_t j = 0; j < size; j++) {
                drawn[j] = mix(seed + round * 1000003 + i + j) % WORLD;
                keys[j] = drawn[j] * stretch;
            }
            vt_err err = dedup_claim(dedup, keys, size, &maybe);

            if (err == VT_DEDUP_FULL) /* more than the slots of a small one */
                break;
            cr_assert(err == VT_OK);
            for (uint32_t j = 0; j < size; j++) {
                repeats += known[drawn[j]];
                missed += known[drawn[j]] && (maybe >> j & 1) == 0;
                known[drawn[j]] = true;
            }
            i += size;
        }
        cr_assert(missed == 0, "seed %lu round %lu: %lu of %lu repeats called new",
                  (unsigned long)seed, (unsigned long)round, (unsigned long)missed,
                  (unsigned long)repeats);
        dedup_close(dedup);
    }
}

Test(dedup, a_miss_stops_at_the_first_line_with_room, .timeout = 30)
{
    enum { LINES = 3 };
    struct dedup *dedup = NULL;
    uint64_t line = KEYS / LINES + 1; /* the first key of line 1, and so on */
    uint64_t tag = KEYS / LINES / 65536;
    uint32_t maybe;

    cr_assert(dedup_open(24 * LINES - 1, 1, &dedup) == VT_OK);
    /* Line 0 full but not spilled: the tag 40 of line 1 must not be seen from it. */
    for (uint64_t i = 1; i <= DEDUP_LINE_TAGS; i++) {
        uint64_t key = i * tag + tag / 2;

        cr_assert(dedup_claim(dedup, &key, 1, &maybe) == VT_OK && maybe == 0, "%lu",
                  (unsigned long)i);
    }
    uint64_t next = line + 40 * tag + tag / 2;
    uint64_t stranger = 40 * tag + tag / 2;
    uint64_t spilled = 50 * tag + tag / 2;

    cr_assert(dedup_claim(dedup, &next, 1, &maybe) == VT_OK && maybe == 0);
    cr_expect(!dedup_maybe(dedup, stranger));
    /* One more spills, and from then on the search goes on. */
    cr_assert(dedup_claim(dedup, &spilled, 1, &maybe) == VT_OK && maybe == 0);
    cr_expect(dedup_maybe(dedup, spilled));
    cr_expect(dedup_maybe(dedup, stranger));
    dedup_close(dedup);
}

Test(dedup, takes_its_budget_whatever_the_order, .timeout = 60)
{
    static const uint64_t budgets[] = {0, 1, 23, 24, 25, 1000, 100000};

    for (size_t b = 0; b < VT_COUNT(budgets); b++) {
        struct dedup *dedup = NULL;
        uint64_t refused = 0;
        uint32_t maybe;

        cr_assert(dedup_open(budgets[b], 1, &dedup) == VT_OK);
        cr_expect(dedup_capacity(dedup) == budgets[b]);
        for (uint64_t i = 0; i < budgets[b]; i++) {
            uint64_t key = key_random(i);

            cr_assert(dedup_claim(dedup, &key, 1, &maybe) == VT_OK);
        }
        for (uint64_t i = 0; i < budgets[b]; i++)
            cr_assert(dedup_maybe(dedup, key_random(i)));
        /* A third more fits, and then it says so instead of looking for ever. */
        for (uint64_t i = budgets[b]; i < budgets[b] * 2 + 200; i++) {
            uint64_t key = key_random(i);
            vt_err err = dedup_claim(dedup, &key, 1, &maybe);

            cr_assert(err == VT_OK || err == VT_DEDUP_FULL);
            refused += err == VT_DEDUP_FULL;
        }
        cr_expect(refused > 0);
        for (uint64_t i = 0; i < budgets[b]; i++)
            cr_expect(dedup_maybe(dedup, key_random(i)));
        dedup_close(dedup);
    }
}

Test(dedup, takes_the_bytes_that_it_says, .timeout = 60)
{
    struct dedup *dedup = NULL;

    cr_assert(dedup_open(100000000, 1, &dedup) == VT_OK);
    /* 64 bytes for 24 ids and one bit: 2.67 + 0.005, in hundredths. */
    cr_expect(dedup_bytes(dedup) <= UINT64_C(270) * 1000000, "%lu",
              (unsigned long)dedup_bytes(dedup));
    dedup_close(dedup);
}

Test(dedup, filling_is_claiming, .timeout = 30)
{
    enum { IDS = 50003 };
    static uint64_t keys[IDS];
    struct dedup *dedup = NULL;

    for (uint64_t i = 0; i < IDS; i++)
        keys[i] = key_random(i);
    cr_assert(dedup_open(IDS, 1, &dedup) == VT_OK);
    cr_assert(dedup_fill(dedup, keys, IDS) == VT_OK);
    for (uint64_t i = 0; i < IDS; i++)
        cr_assert(dedup_maybe(dedup, keys[i]));
    dedup_close(dedup);
}

static bool
found_same(struct dedup_found a, struct dedup_found b)
{
    return a.equal == b.equal && a.vacant == b.vacant;
}

Test(dedup, simd_and_plain_agree, .timeout = 10)
{
    uint64_t seed = 20250101;

    for (uint64_t round = 0; round < 20000; round++) {
        struct dedup_line line;
        uint16_t tag = (uint16_t)(mix(seed + round) % 5 == 0 ? 0x8000 : 1 + mix(seed + round) % 6);

        /* Few values, so that there are hits, and those at which signed saturation could go
         * wrong. */
        for (uint32_t i = 0; i < DEDUP_LINE_TAGS; i++) {
            uint64_t x = mix(seed * 31 + round * 64 + i);

            line.tags[i] = (uint16_t)(x % 9 == 0 ? 0x8000 : x % 7 == 0 ? 0xffff : x % 6);
        }
        struct dedup_found plain = dedup_match_plain(&line, tag);

        cr_assert(found_same(dedup_match(&line, tag), plain), "seed %lu round %lu",
                  (unsigned long)seed, (unsigned long)round);
#if defined(DEDUP_MATCH_X86)
        if (__builtin_cpu_supports("avx2"))
            cr_assert(found_same(dedup_match_avx2(&line, tag), plain), "seed %lu round %lu",
                      (unsigned long)seed, (unsigned long)round);
#endif
    }
}

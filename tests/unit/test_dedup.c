/*
 * Goal:   the tag table never says "never seen" of an id that was inserted; "maybe" stays rare; it
 *         ends where its budget ends.
 * Method: random, sequential and adversarial K (all of one line, all of one tag, around the wrap);
 *         the SIMD comparison beside the plain one. A stream of K is a function of its number, so
 *         that what was inserted can be asked again without keeping it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dedup.h"
#include "dedup_match.h"
#include "venturi/assert.h"

/* SplitMix64 (G. Steele, D. Lea, C. Flood, 2014). */
static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static struct vt_hash128
k_random(uint64_t i)
{
    return (struct vt_hash128){mix(2 * i), mix(2 * i + 1)};
}

/* In the order of K, over all of its range: how a start fills the table. */
static struct vt_hash128
k_ascending(uint64_t i)
{
    return (struct vt_hash128){UINT64_MAX / 3000000 * i, mix(i)};
}

static struct vt_hash128
k_one_line(uint64_t i)
{
    return (struct vt_hash128){0, mix(i)};
}

/* Everything falls into the last line and goes around. */
static struct vt_hash128
k_last_line(uint64_t i)
{
    return (struct vt_hash128){UINT64_MAX, i};
}

static struct vt_hash128
k_zero_tag(uint64_t i)
{
    return (struct vt_hash128){mix(i), i << 16};
}

struct stream_case {
    const char *name;
    struct vt_hash128 (*k)(uint64_t i);
    uint64_t ids;
    uint64_t maybe_max; /* of 100,000 that were not inserted */
};

static const struct stream_case stream_cases[] = {
    /* clang-format off */
    { "one id",             k_random,    1,       100 },
    { "random, one line",   k_random,    24,      100 },
    { "random",             k_random,    3000000, 60 },    /* 24 tags of 65,535: 37 */
    { "ascending",          k_ascending, 3000000, 100000 }, /* the strangers are not ascending */
    { "all of one line",    k_one_line,  20000,   100000 },
    { "all of the last",    k_last_line, 20000,   100000 },
    { "tags of zero",       k_zero_tag,  100000,  100000 },
    /* clang-format on */
};

Test(dedup, never_forgets, .timeout = 120)
{
    for (size_t c = 0; c < VT_COUNT(stream_cases); c++) {
        const struct stream_case *stream = &stream_cases[c];
        struct dedup *dedup = NULL;
        uint64_t refused = 0; /* counted: an assertion of Criterion costs a microsecond */
        uint64_t forgotten = 0;
        uint64_t maybe = 0;

        cr_assert(dedup_open(stream->ids, &dedup) == VT_OK);
        for (uint64_t i = 0; i < stream->ids; i++) {
            struct vt_hash128 k = stream->k(i);

            refused += dedup_insert(dedup, &k) != VT_OK;
            forgotten += !dedup_maybe(dedup, &k);
        }
        for (uint64_t i = 0; i < stream->ids; i++) {
            struct vt_hash128 k = stream->k(i);

            forgotten += !dedup_maybe(dedup, &k);
        }
        for (uint64_t i = 0; i < 100000; i++) {
            struct vt_hash128 k = k_random(i + (UINT64_C(1) << 40));

            maybe += dedup_maybe(dedup, &k);
        }
        cr_expect(refused == 0, "%s: %lu refused", stream->name, (unsigned long)refused);
        cr_expect(forgotten == 0, "%s: %lu forgotten", stream->name, (unsigned long)forgotten);
        cr_expect(maybe <= stream->maybe_max, "%s: %lu maybes", stream->name, (unsigned long)maybe);
        cr_expect(dedup_used(dedup) == stream->ids);
        dedup_close(dedup);
    }
}

/* The naive set: "maybe" must be true exactly where a line reached from K's home holds its tag, of
 * which the least is that each inserted K is found; the most is bounded by what shares a tag at
 * all. */
Test(dedup, maybe_has_a_reason, .timeout = 60)
{
    enum { IDS = 5000 };
    static bool tag_used[65536];
    struct dedup *dedup = NULL;

    cr_assert(dedup_open(IDS, &dedup) == VT_OK);
    for (uint64_t i = 0; i < IDS; i++) {
        struct vt_hash128 k = k_random(i);

        cr_assert(dedup_insert(dedup, &k) == VT_OK);
        tag_used[(uint16_t)k.lo == 0 ? 1 : (uint16_t)k.lo] = true;
    }
    for (uint64_t i = IDS; i < 300000; i++) {
        struct vt_hash128 k = k_random(i);

        if (dedup_maybe(dedup, &k))
            cr_assert(tag_used[(uint16_t)k.lo == 0 ? 1 : (uint16_t)k.lo]);
    }
    dedup_close(dedup);
}

Test(dedup, a_miss_stops_at_the_first_line_with_room, .timeout = 30)
{
    struct dedup *dedup = NULL;
    struct vt_hash128 home = {0, 7};
    struct vt_hash128 next = {UINT64_MAX / 3 * 2, 9};
    struct vt_hash128 stranger = {0, 9};

    /* Lines 0, 1, 2. Line 0 full but not spilled: the tag 9 of line 1 must not be seen from it. */
    cr_assert(dedup_open(71, &dedup) == VT_OK);
    for (int i = 0; i < DEDUP_LINE_TAGS; i++)
        cr_assert(dedup_insert(dedup, &home) == VT_OK);
    next.hi = UINT64_MAX / 2;
    cr_assert(dedup_insert(dedup, &next) == VT_OK);
    cr_expect(!dedup_maybe(dedup, &stranger));
    /* One more spills, and from then on the search goes on. */
    cr_assert(dedup_insert(dedup, &home) == VT_OK);
    cr_expect(dedup_maybe(dedup, &stranger));
    dedup_close(dedup);
}

Test(dedup, is_full_at_its_budget, .timeout = 10)
{
    static const uint64_t budgets[] = {0, 1, 23, 24, 25, 1000};

    for (size_t b = 0; b < VT_COUNT(budgets); b++) {
        struct dedup *dedup = NULL;
        struct vt_hash128 k;

        cr_assert(dedup_open(budgets[b], &dedup) == VT_OK);
        cr_expect(dedup_capacity(dedup) == budgets[b]);
        for (uint64_t i = 0; i < budgets[b]; i++) {
            k = k_random(i);
            cr_assert(dedup_insert(dedup, &k) == VT_OK);
        }
        k = k_random(budgets[b]);
        cr_expect(dedup_insert(dedup, &k) == VT_DEDUP_FULL);
        cr_expect(dedup_used(dedup) == budgets[b]);
        for (uint64_t i = 0; i < budgets[b]; i++) {
            k = k_random(i);
            cr_expect(dedup_maybe(dedup, &k));
        }
        dedup_close(dedup);
    }
    dedup_close(NULL);
}

Test(dedup, takes_the_bytes_that_it_says, .timeout = 10)
{
    struct dedup *dedup = NULL;

    cr_assert(dedup_open(100000000, &dedup) == VT_OK);
    /* 64 bytes for 24 ids and one bit: 2.67 + 0.005, in hundredths. */
    cr_expect(dedup_bytes(dedup) <= UINT64_C(270) * 1000000, "%lu",
              (unsigned long)dedup_bytes(dedup));
    dedup_close(dedup);
}

Test(dedup, simd_and_plain_agree, .timeout = 10)
{
    uint64_t seed = 20250101;

    for (uint64_t round = 0; round < 20000; round++) {
        struct dedup_line line;
        uint16_t tag = (uint16_t)(mix(seed + round) % 5 == 0 ? 0x8000 : mix(seed + round) % 6);

        /* Few values, so that there are hits, and those at which signed saturation could go
         * wrong. */
        for (uint32_t i = 0; i < DEDUP_LINE_TAGS; i++) {
            uint64_t x = mix(seed * 31 + round * 64 + i);

            line.tags[i] = (uint16_t)(x % 9 == 0 ? 0x8000 : x % 7 == 0 ? 0xffff : x % 6);
        }
        cr_assert(dedup_match(&line, tag) == dedup_match_plain(&line, tag), "seed %lu round %lu",
                  (unsigned long)seed, (unsigned long)round);
    }
}

/*
 * Goal:   what is packed comes back, at every width and count, and nothing outside of it is
 *         touched.
 * Method: random values at all 65 widths, in buffers of the exact size, for the sanitizers; the
 *         layout of a full block against a reader that takes one bit at a time by the rule in the
 *         header.
 */
#include "codec_pack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "venturi/assert.h"

static uint64_t
random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static uint64_t
seed_make(void)
{
    uint64_t seed = (uint64_t)time(NULL) * UINT64_C(0x9E3779B97F4A7C15) | 1;

    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}

static const uint32_t counts[] = {1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 500, 1023, 1024};

Test(codec_pack, what_is_packed_comes_back, .timeout = 30)
{
    static uint64_t values[PACK_BLOCK];
    static int64_t got[PACK_BLOCK];
    uint64_t x = seed_make();

    for (uint32_t width = 0; width <= 64; width++) {
        uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;

        for (size_t k = 0; k < VT_COUNT(counts); k++) {
            uint32_t count = counts[k];
            uint32_t size = pack_bytes(count, width);
            uint8_t *out = malloc(size + (size == 0));
            uint64_t reference = random_next(&x);

            cr_assert_not_null(out);
            for (uint32_t i = 0; i < count; i++)
                values[i] = random_next(&x) % 4 == 0 ? UINT64_MAX : random_next(&x);
            pack_put(values, count, width, out);
            pack_get(out, count, width, reference, got);
            for (uint32_t i = 0; i < count; i++)
                cr_assert((uint64_t)got[i] - reference == (values[i] & mask),
                          "width %u, value %u of %u", width, i, count);
            free(out);
        }
    }
}

static uint32_t
bit_at(const uint8_t *bytes, uint64_t bit)
{
    return bytes[bit / 8] >> bit % 8 & 1;
}

/* Bit `bit` of value `i` of a full block, by the rule: lane i mod 16, row i / 16. */
static uint32_t
lane_bit(const uint8_t *packed, uint32_t width, uint32_t i, uint32_t bit)
{
    uint32_t in_lane = i / 16 * width + bit;
    uint64_t word = (uint64_t)(in_lane / 64) * 16 + i % 16;

    return bit_at(packed, word * 64 + in_lane % 64);
}

Test(codec_pack, layouts_are_those_of_the_format, .timeout = 30)
{
    static uint64_t values[PACK_BLOCK];
    static uint8_t packed[8 * PACK_BLOCK];
    uint64_t x = seed_make();

    for (uint32_t i = 0; i < PACK_BLOCK; i++)
        values[i] = random_next(&x);
    for (uint32_t width = 1; width <= 64; width++) {
        pack_put(values, PACK_BLOCK, width, packed);
        for (uint32_t i = 0; i < PACK_BLOCK; i++)
            for (uint32_t bit = 0; bit < width; bit++)
                cr_assert(lane_bit(packed, width, i, bit) == (values[i] >> bit & 1));
        pack_put(values, 100, width, packed);
        for (uint32_t i = 0; i < 100; i++)
            for (uint32_t bit = 0; bit < width; bit++)
                cr_assert(bit_at(packed, (uint64_t)i * width + bit) == (values[i] >> bit & 1));
    }
}

Test(codec_pack, sizes_are_those_of_the_format, .timeout = 5)
{
    cr_expect(pack_bytes(1024, 1) == 128);
    cr_expect(pack_bytes(1024, 64) == 8192);
    cr_expect(pack_bytes(1024, 0) == 0);
    cr_expect(pack_bytes(1, 1) == 1);
    cr_expect(pack_bytes(3, 5) == 2);
    cr_expect(pack_bytes(1023, 63) == (1023 * 63 + 7) / 8);
}

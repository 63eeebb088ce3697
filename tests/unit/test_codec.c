/*
 * Goal:   any column comes back exactly, is coded as its shape suggests, and stored bytes that no
 *         encoder wrote never do harm.
 * Method: random columns of many shapes and lengths in buffers of the exact size (seed printed);
 *         each codec forced on each; then cut at every byte, lengthened, and flipped.
 */
#include "codec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

#define COLUMN_MAX 70000

static int64_t column[COLUMN_MAX];

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

enum shape {
    SHAPE_CONSTANT,
    SHAPE_NARROW,
    SHAPE_SEQUENCE,
    SHAPE_JITTER,
    SHAPE_SQUARES,
    SHAPE_RUNS,
    SHAPE_OUTLIERS,
    SHAPE_WIDE,
    SHAPE_EXTREMES,
    SHAPE_COUNT
};

static void
column_fill(enum shape shape, uint32_t count, uint64_t *x)
{
    uint64_t base = random_next(x);
    uint64_t step = random_next(x) >> random_next(x) % 64;
    uint64_t range = (random_next(x) >> random_next(x) % 64) | 1;
    uint64_t value = base;

    for (uint64_t i = 0; i < count; i++) {
        switch (shape) {
        case SHAPE_CONSTANT:
            break;
        case SHAPE_NARROW:
            value = base + random_next(x) % 100;
            break;
        case SHAPE_SEQUENCE:
            value = base + i * step;
            break;
        case SHAPE_JITTER:
            value = base + i * 1000 + random_next(x) % range;
            break;
        case SHAPE_SQUARES:
            value = base + i * i * step + random_next(x) % 2;
            break;
        case SHAPE_RUNS:
            value = random_next(x) % 50 == 0 ? random_next(x) % range : value;
            break;
        case SHAPE_OUTLIERS:
            value = random_next(x) % 30 == 0 ? random_next(x) : base + random_next(x) % 16;
            break;
        case SHAPE_WIDE:
            value = random_next(x);
            break;
        case SHAPE_EXTREMES:
            value = random_next(x) % 2 == 0 ? (uint64_t)INT64_MIN : (uint64_t)INT64_MAX;
            break;
        case SHAPE_COUNT:
            VT_ASSERT(shape != SHAPE_COUNT);
        }
        column[i] = (int64_t)value;
    }
}

/* Decodes from a copy of the exact size into memory of the exact size; true where all is equal. */
static bool
decodes_to_column(uint8_t codec, const uint8_t *stored, uint32_t size, uint32_t count)
{
    uint8_t *copy = malloc(size + (size == 0));
    int64_t *got = malloc(count * sizeof *got);
    uint32_t crc = 99;
    bool equal = false;

    if (copy != NULL && got != NULL) {
        memcpy(copy, stored, size);
        vt_err err = codec_decode_integers(codec, (struct vt_bytes){copy, size}, count, got, &crc);

        equal = err == VT_OK && memcmp(got, column, count * sizeof *got) == 0 &&
                crc == vt_crc32c_more(99, column, count * sizeof *got);
    }
    free(copy);
    free(got);
    return equal;
}

static uint32_t
random_count(uint64_t *x)
{
    static const uint32_t edges[] = {1, 2, 3, 1023, 1024, 1025, 2048, 5000, 65536, 70000};

    return random_next(x) % 3 == 0 ? edges[random_next(x) % VT_COUNT(edges)]
                                   : (uint32_t)(random_next(x) % 3000) + 1;
}

Test(codec, any_column_comes_back, .timeout = 120)
{
    uint8_t *out = malloc(codec_integers_bound(COLUMN_MAX));
    uint64_t x = seed_make();

    cr_assert_not_null(out);
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t count = random_count(&x);

        column_fill((enum shape)(i % SHAPE_COUNT), count, &x);
        struct codec_result result = codec_encode_integers(column, count, out);

        cr_assert(result.bytes <= codec_integers_bound(count));
        cr_assert(decodes_to_column(result.codec, out, result.bytes, count),
                  "case %u: %u values, shape %u, codec %u", i, count, i % SHAPE_COUNT,
                  result.codec);
        int64_t min = column[0];
        int64_t max = column[0];
        for (uint32_t k = 0; k < count; k++) {
            min = column[k] < min ? column[k] : min;
            max = column[k] > max ? column[k] : max;
        }
        cr_assert(result.min == min && result.max == max);
    }
    free(out);
}

Test(codec, every_codec_takes_every_column, .timeout = 120)
{
    static const enum codec codecs[] = {CODEC_FOR, CODEC_DELTA, CODEC_DELTA2, CODEC_RUNS};
    uint8_t *out = malloc(2 * codec_integers_bound(COLUMN_MAX));
    uint64_t x = seed_make();

    cr_assert_not_null(out);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t count = random_count(&x) % 5000 + 1;

        column_fill((enum shape)(i % SHAPE_COUNT), count, &x);
        for (size_t k = 0; k < VT_COUNT(codecs); k++) {
            uint32_t size = codec_encode_integers_as(codecs[k], column, count, out);

            cr_assert(decodes_to_column((uint8_t)codecs[k], out, size, count),
                      "case %u: %u values, codec %u", i, count, codecs[k]);
        }
    }
    free(out);
}

static const struct choice_case {
    const char *name;
    enum shape shape;
    uint8_t want;
    uint32_t bits_max; /* a value, in tenths */
} choice_cases[] = {
    /* clang-format off */
    { "constant",  SHAPE_CONSTANT, CODEC_CONSTANT, 1 },
    { "narrow",    SHAPE_NARROW,   CODEC_FOR,      72 },
    { "squares",   SHAPE_SQUARES,  CODEC_DELTA2,   35 },
    { "runs",      SHAPE_RUNS,     CODEC_RUNS,     20 },
    { "outliers",  SHAPE_OUTLIERS, CODEC_FOR,      80 },
    { "wide",      SHAPE_WIDE,     CODEC_FOR,      642 },
    /* clang-format on */
};

Test(codec, the_shape_decides, .timeout = 30)
{
    uint8_t *out = malloc(codec_integers_bound(65536));

    cr_assert_not_null(out);
    for (size_t i = 0; i < VT_COUNT(choice_cases); i++) {
        const struct choice_case *c = &choice_cases[i];
        uint64_t x = 4711;

        column_fill(c->shape, 65536, &x);
        struct codec_result result = codec_encode_integers(column, 65536, out);

        cr_expect(result.codec == c->want, "%s: codec %u", c->name, result.codec);
        cr_expect(result.bytes * UINT64_C(80) / 65536 <= c->bits_max, "%s: %u bytes", c->name,
                  result.bytes);
    }
    free(out);
}

Test(codec, a_sequence_takes_next_to_nothing, .timeout = 5)
{
    uint8_t *out = malloc(codec_integers_bound(65536));

    cr_assert_not_null(out);
    for (uint32_t i = 0; i < 65536; i++)
        column[i] = 1000 + i;
    cr_expect(codec_encode_integers(column, 65536, out).bytes < 65536 / 32);
    free(out);
}

Test(codec, bytes_of_any_other_length_are_refused, .timeout = 60)
{
    static const enum codec codecs[] = {CODEC_CONSTANT, CODEC_FOR, CODEC_DELTA, CODEC_DELTA2,
                                        CODEC_RUNS};
    uint8_t *out = malloc(2 * codec_integers_bound(2000) + 1);
    uint64_t x = 99;

    cr_assert_not_null(out);
    for (size_t k = 0; k < VT_COUNT(codecs); k++) {
        column_fill(codecs[k] == CODEC_CONSTANT ? SHAPE_CONSTANT : SHAPE_OUTLIERS, 1100, &x);
        uint32_t size = codec_encode_integers_as(codecs[k], column, 1100, out);

        cr_assert(decodes_to_column((uint8_t)codecs[k], out, size, 1100));
        out[size] = 0;
        cr_expect(!decodes_to_column((uint8_t)codecs[k], out, size + 1, 1100));
        for (uint32_t cut = 0; cut < size; cut++)
            cr_assert(!decodes_to_column((uint8_t)codecs[k], out, cut, 1100),
                      "codec %u cut to %u of %u bytes", codecs[k], cut, size);
    }
    free(out);
}

Test(codec, flipped_bits_never_give_the_column, .timeout = 120)
{
    static const enum codec codecs[] = {CODEC_CONSTANT, CODEC_FOR, CODEC_DELTA, CODEC_DELTA2,
                                        CODEC_RUNS};
    uint8_t *out = malloc(2 * codec_integers_bound(1100));
    uint64_t x = seed_make();

    cr_assert_not_null(out);
    for (size_t k = 0; k < VT_COUNT(codecs); k++) {
        column_fill(codecs[k] == CODEC_CONSTANT ? SHAPE_CONSTANT : SHAPE_NARROW, 1100, &x);
        uint32_t size = codec_encode_integers_as(codecs[k], column, 1100, out);

        /* Not every bit matters (the last bits of a byte string are no value's); none may harm. */
        uint32_t seen = 0;

        for (uint32_t bit = 0; bit < size * 8; bit++) {
            out[bit / 8] ^= (uint8_t)(1u << bit % 8);
            seen += !decodes_to_column((uint8_t)codecs[k], out, size, 1100);
            out[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        cr_expect(seen + 64 >= size * 8, "codec %u: %u of %u bits seen", codecs[k], seen, size * 8);
    }
    free(out);
}

Test(codec, runs_must_fill_the_column_exactly, .timeout = 5)
{
    static const struct {
        const char *name;
        uint64_t length; /* of each of two runs in a column of 10 */
        vt_err want;
    } cases[] = {
        {"5 and 5", 5, VT_OK},
        {"too short", 4, VT_BAD_FORMAT},
        {"too long", 6, VT_BAD_FORMAT},
        {"empty", 0, VT_BAD_FORMAT},
        {"negative", UINT64_MAX, VT_BAD_FORMAT},
        {"huge", UINT64_C(1) << 40, VT_BAD_FORMAT},
    };

    for (size_t i = 0; i < VT_COUNT(cases); i++) {
        uint8_t image[28] = {2};
        int64_t got[10];
        uint32_t crc = 0;
        le64 length = le64_put(cases[i].length);

        memcpy(image + 20, length.byte, sizeof length.byte); /* reference of the lengths' block */
        vt_err err = codec_decode_integers(CODEC_RUNS, (struct vt_bytes){image, sizeof image},
                                           VT_COUNT(got), got, &crc);
        cr_expect(err == cases[i].want, "%s: %s", cases[i].name, vt_err_name(err));
    }
}

Test(codec, no_run_is_empty, .timeout = 5)
{
    /* Two runs: values of width 0; lengths of width 4, low bits first: 10 and 0. */
    uint8_t image[29] = {2};
    int64_t got[10];
    uint32_t crc = 0;

    image[16] = 4;
    image[28] = 10;
    struct vt_bytes stored = {image, sizeof image};

    cr_expect(codec_decode_integers(CODEC_RUNS, stored, 10, got, &crc) == VT_BAD_FORMAT);
    image[28] = 9 | 1 << 4;
    cr_expect(codec_decode_integers(CODEC_RUNS, stored, 10, got, &crc) == VT_OK);
}

Test(codec, an_unknown_codec_is_refused, .timeout = 5)
{
    static const uint8_t stored[64];
    int64_t got[8];
    uint8_t bytes[8];
    uint32_t crc = 0;

    for (uint32_t codec = 0; codec < 256; codec++) {
        if (!codec_is_integer((uint8_t)codec))
            cr_expect(codec_decode_integers((uint8_t)codec, (struct vt_bytes){stored, 64}, 8, got,
                                            &crc) == VT_BAD_FORMAT);
        if (!codec_is_bytes((uint8_t)codec))
            cr_expect(codec_decode_bytes((uint8_t)codec, (struct vt_bytes){stored, 64}, 8, bytes) ==
                      VT_BAD_FORMAT);
    }
}

Test(codec, sizes_that_no_encoder_makes_are_told, .timeout = 5)
{
    static const struct {
        const char *name;
        uint8_t codec;
        uint64_t stored;
        uint32_t count;
        bool want;
    } cases[] = {
        /* clang-format off */
        { "raw, equal",            CODEC_RAW,      5,     5,                     true },
        { "raw, none",             CODEC_RAW,      0,     0,                     true },
        { "raw, shorter",          CODEC_RAW,      4,     5,                     false },
        { "LZ4, dense",            CODEC_LZ4,      100,   25500,                 true },
        { "LZ4, beyond its reach", CODEC_LZ4,      100,   25501,                 false },
        { "LZ4, longer",           CODEC_LZ4,      100,   99,                    false },
        { "constant",              CODEC_CONSTANT, 8,     CODEC_VALUES_MAX,      true },
        { "constant, longer",      CODEC_CONSTANT, 9,     1,                     false },
        { "too many",              CODEC_CONSTANT, 8,     CODEC_VALUES_MAX + 1,  false },
        { "no integers",           CODEC_CONSTANT, 8,     0,                     false },
        { "two heads",             CODEC_FOR,      24,    1025,                  true },
        { "one head of two",       CODEC_FOR,      23,    1025,                  false },
        { "heads and bases",       CODEC_DELTA2,   56,    2048,                  true },
        { "a base is missing",     CODEC_DELTA2,   55,    2048,                  false },
        { "runs",                  CODEC_RUNS,     28,    CODEC_VALUES_MAX,      true },
        { "runs, too short",       CODEC_RUNS,     27,    1,                     false },
        { "no codec",              0,              8,     8,                     false },
        /* clang-format on */
    };

    for (size_t i = 0; i < VT_COUNT(cases); i++)
        cr_expect(codec_size_possible(cases[i].codec, cases[i].stored, cases[i].count) ==
                      cases[i].want,
                  "%s", cases[i].name);
}

/* Random texts with many or few repeats; gives the codec that was chosen, 0 where it failed. */
static uint8_t
bytes_round_trip(uint32_t size, uint64_t alphabet, uint64_t *x)
{
    uint8_t *text = malloc(size + 1);
    uint8_t *out = malloc(codec_bytes_bound(size) + 1);
    uint8_t *got = malloc(size + 1);
    uint8_t codec = 0;

    if (text != NULL && out != NULL && got != NULL) {
        for (uint32_t i = 0; i < size; i++)
            text[i] = (uint8_t)(random_next(x) % alphabet);
        struct codec_result result = codec_encode_bytes((struct vt_bytes){text, size}, out);
        struct vt_bytes stored = {out, result.bytes};
        vt_err err = codec_decode_bytes(result.codec, stored, size, got);

        if (err == VT_OK && (size == 0 || memcmp(text, got, size) == 0) && result.bytes <= size)
            codec = result.codec;
        /* One byte less or more is never what was stored. */
        if (size > 0 && codec_decode_bytes(result.codec, stored, size - 1, got) == VT_OK)
            codec = 0;
    }
    free(text);
    free(out);
    free(got);
    return codec;
}

Test(codec, bytes_come_back, .timeout = 30)
{
    uint64_t x = seed_make();

    cr_expect(bytes_round_trip(0, 1, &x) == CODEC_RAW);
    cr_expect(bytes_round_trip(1, 256, &x) == CODEC_RAW);
    cr_expect(bytes_round_trip(100000, 256, &x) == CODEC_RAW, "noise is kept as it is");
    cr_expect(bytes_round_trip(100000, 2, &x) == CODEC_LZ4, "repeats are compressed");
    for (uint32_t i = 0; i < 300; i++)
        cr_assert(bytes_round_trip((uint32_t)(random_next(&x) % 3000), random_next(&x) % 255 + 1,
                                   &x) != 0);
}

/*
 * bench_codec.c - encoding and decoding of one column of 65,536 values, both checksums included in
 * decoding. One JSON line a case; `codec` is the one that the encoder chose. Best of several
 * rounds: the machine is shared, and the least disturbed round says what the code costs.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "codec.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define COUNT  65536
#define ROUNDS 60

static uint64_t seed = UINT64_C(0x9E3779B97F4A7C15);

static uint64_t
random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int64_t
value_of_constant(uint32_t i)
{
    (void)i;
    return 7;
}

static int64_t
value_of_sequence(uint32_t i)
{
    return 1000000 + i;
}

/* Microseconds, one event each 100 us, jitter of 20 ms. */
static int64_t
value_of_time(uint32_t i)
{
    return INT64_C(1780000000000000) + (int64_t)i * 100 + (int64_t)(random_next() % 20000);
}

/* The same with 3 % up to 5 s late. */
static int64_t
value_of_late_time(uint32_t i)
{
    int64_t late = random_next() % 100 < 3 ? (int64_t)(random_next() % 5000000) : 0;

    return value_of_time(i) - late;
}

/* 60 % are 1, the others spread over all sizes up to 100,000. */
static int64_t
value_of_quantity(uint32_t i)
{
    (void)i;
    if (random_next() % 100 < 60)
        return 1;
    return (int64_t)(random_next() % (UINT64_C(1) << random_next() % 17)) + 1;
}

static int64_t
value_of_runs(uint32_t i)
{
    return (int64_t)(i / 300 * 7919 % 1000);
}

static int64_t
value_of_code(uint32_t i)
{
    (void)i;
    return (int64_t)(random_next() % 100);
}

static int64_t
value_of_hash(uint32_t i)
{
    (void)i;
    return (int64_t)random_next();
}

static const struct bench_case {
    const char *name;
    int64_t (*value)(uint32_t i);
} cases[] = {
    /* clang-format off */
    { "constant",  value_of_constant },
    { "sequence",  value_of_sequence },
    { "time",      value_of_time },
    { "late_time", value_of_late_time },
    { "quantity",  value_of_quantity },
    { "runs",      value_of_runs },
    { "code",      value_of_code },
    { "hash",      value_of_hash },
    /* clang-format on */
};

static void
case_run(const struct bench_case *c, int64_t *values, int64_t *decoded, uint8_t *out)
{
    struct codec_result result = {0};
    uint64_t encode_ns = UINT64_MAX;
    uint64_t decode_ns = UINT64_MAX;

    for (uint32_t i = 0; i < COUNT; i++)
        values[i] = c->value(i);
    uint32_t want = vt_crc32c(values, COUNT * sizeof *values);

    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t crc = 0;
        uint64_t start = now_ns();

        result = codec_encode_integers(values, COUNT, out);
        uint64_t middle = now_ns();

        uint32_t stored = vt_crc32c(out, result.bytes);
        struct vt_bytes bytes = {out, result.bytes};
        vt_err err = codec_decode_integers(result.codec, bytes, COUNT, decoded, &crc);
        uint64_t end = now_ns();

        VT_ASSERT(err == VT_OK);
        VT_ASSERT(crc == want);
        VT_ASSERT(stored == vt_crc32c(out, result.bytes));
        encode_ns = middle - start < encode_ns ? middle - start : encode_ns;
        decode_ns = end - middle < decode_ns ? end - middle : decode_ns;
    }
    (void)printf("{\"bench\":\"codec\",\"case\":\"%s\",\"codec\":%u,\"bits_per_value\":%.3f,"
                 "\"encode_ns_per_value\":%.3f,\"decode_ns_per_value\":%.3f}\n",
                 c->name, result.codec, (double)result.bytes * 8 / COUNT, (double)encode_ns / COUNT,
                 (double)decode_ns / COUNT);
}

int
main(void)
{
    int64_t *values = malloc(COUNT * sizeof *values);
    int64_t *decoded = malloc(COUNT * sizeof *decoded);
    uint8_t *out = malloc(codec_integers_bound(COUNT));
    int status = 1;

    if (values != NULL && decoded != NULL && out != NULL) {
        for (uint32_t i = 0; i < VT_COUNT(cases); i++)
            case_run(&cases[i], values, decoded, out);
        status = 0;
    }
    free(values);
    free(decoded);
    free(out);
    return status;
}

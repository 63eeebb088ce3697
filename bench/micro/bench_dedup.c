/*
 * bench_dedup - nanoseconds an id of the tag table, in groups of 32 with prefetch: claims of new
 * ids from an empty table to its budget, claims of those again, filling from ten runs in the order
 * of keys; for a table of one worker and of several. One JSON line for each size; sizes may be
 * given as arguments.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dedup.h"
#include "venturi/assert.h"

#define BATCH 32

static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t
now_ns(void) /* of this thread: others may use the machine */
{
    struct timespec at;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

/* Claims ids first .. first + count - 1; gives how many were maybe there before. */
static uint64_t
run(struct dedup *dedup, uint64_t first, uint64_t count)
{
    uint64_t keys[BATCH];
    uint64_t maybes = 0;

    for (uint64_t i = 0; i + BATCH <= count; i += BATCH) {
        uint32_t maybe = 0;

        for (uint64_t j = 0; j < BATCH; j++)
            keys[j] = mix(first + i + j) >> (64 - DEDUP_KEY_BITS);
        dedup_prefetch(dedup, keys, BATCH);
        VT_ASSERT(dedup_claim(dedup, keys, BATCH, &maybe) == VT_OK);
        maybes += (uint32_t)__builtin_popcount(maybe);
    }
    return maybes;
}

static int
number_order(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* As a start fills the table: the ids of `runs` runs, each in the order of its keys. */
static double
fill_ns(uint64_t ids, uint64_t runs)
{
    struct dedup *dedup = NULL;
    uint64_t size = ids / runs;
    uint64_t *keys = malloc(size * sizeof *keys);
    uint64_t total = 0;

    if (keys == NULL || dedup_open(ids, 1, &dedup) != VT_OK) {
        free(keys);
        return -1;
    }
    for (uint64_t r = 0; r < runs; r++) {
        for (uint64_t i = 0; i < size; i++)
            keys[i] = mix(r * size + i) >> (64 - DEDUP_KEY_BITS);
        qsort(keys, size, sizeof *keys, number_order);
        uint64_t begin = now_ns();

        VT_ASSERT(dedup_fill(dedup, keys, size) == VT_OK);
        total += now_ns() - begin;
    }
    free(keys);
    dedup_close(dedup);
    return (double)total / (double)(size * runs);
}

static int
bench(uint64_t ids, uint32_t workers)
{
    struct dedup *dedup = NULL;
    uint64_t asked = ids < 10000000 ? ids : 10000000;

    if (dedup_open(ids, workers, &dedup) != VT_OK)
        return 1;
    uint64_t begin = now_ns();
    uint64_t maybe = run(dedup, 0, ids);
    uint64_t inserted = now_ns();
    uint64_t old = run(dedup, 0, asked);
    uint64_t hits = now_ns();

    printf(
        "{\"bench\":\"dedup\",\"workers\":%" PRIu32 ",\"ids\":%" PRIu64 ",\"bytes\":%" PRIu64
        ",\"insert_ns\":%.1f,\"hit_ns\":%.1f,\"fill_ns\":%.1f,\"false_maybe_per_million\":%.0f}\n",
        workers, ids, dedup_bytes(dedup), (double)(inserted - begin) / (double)ids,
        (double)(hits - inserted) / (double)asked, fill_ns(ids, 10),
        (double)maybe * 1e6 / (double)ids);
    dedup_close(dedup);
    return old == asked / BATCH * BATCH ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static const uint64_t sizes[] = {1000000, 10000000, 100000000};
    int failed = 0;

    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            failed |= bench(strtoull(argv[i], NULL, 10), 1) | bench(strtoull(argv[i], NULL, 10), 2);
        return failed;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        failed |= bench(sizes[i], 1) | bench(sizes[i], 2);
    return failed;
}

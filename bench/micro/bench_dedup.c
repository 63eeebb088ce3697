/*
 * bench_dedup - nanoseconds an id of the tag table: insert of new ids in batches of 32 with
 * prefetch, lookup of those and of strangers. One JSON line for each size; sizes may be given as
 * arguments.
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
now_ns(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

enum step { STEP_INSERT, STEP_LOOKUP };

/* Ids first .. first + count - 1; gives how many were maybe there before. */
static uint64_t
run(struct dedup *dedup, uint64_t first, uint64_t count, enum step step)
{
    struct vt_hash128 ks[BATCH];
    uint64_t maybe = 0;

    for (uint64_t i = 0; i + BATCH <= count; i += BATCH) {
        for (uint64_t j = 0; j < BATCH; j++)
            ks[j] = (struct vt_hash128){mix(first + i + j), mix(~(first + i + j))};
        dedup_prefetch(dedup, ks, BATCH);
        for (uint32_t j = 0; j < BATCH; j++) {
            maybe += dedup_maybe(dedup, &ks[j]);
            if (step == STEP_INSERT)
                VT_ASSERT(dedup_insert(dedup, &ks[j]) == VT_OK);
        }
    }
    return maybe;
}

static int
bench(uint64_t ids)
{
    struct dedup *dedup = NULL;
    uint64_t asked = ids < 10000000 ? ids : 10000000;

    if (dedup_open(ids, &dedup) != VT_OK)
        return 1;
    uint64_t begin = now_ns();
    (void)run(dedup, 0, ids, STEP_INSERT);
    uint64_t inserted = now_ns();
    uint64_t old = run(dedup, 0, asked, STEP_LOOKUP);
    uint64_t hits = now_ns();
    uint64_t maybe = run(dedup, ids, asked, STEP_LOOKUP);
    uint64_t misses = now_ns();

    printf(
        "{\"bench\":\"dedup\",\"ids\":%" PRIu64 ",\"bytes\":%" PRIu64
        ",\"insert_ns\":%.1f,\"hit_ns\":%.1f,\"miss_ns\":%.1f,\"false_maybe_per_million\":%.0f}\n",
        ids, dedup_bytes(dedup), (double)(inserted - begin) / (double)ids,
        (double)(hits - inserted) / (double)asked, (double)(misses - hits) / (double)asked,
        (double)maybe * 1e6 / (double)asked);
    dedup_close(dedup);
    return old == asked / BATCH * BATCH ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static const uint64_t sizes[] = {1000000, 100000000};
    int failed = 0;

    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            failed |= bench(strtoull(argv[i], NULL, 10));
        return failed;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        failed |= bench(sizes[i]);
    return failed;
}

/*
 * Goal:   workers that share the tag table lose nothing of their own and nothing of each other:
 *         what a worker claimed it finds at once, and afterwards every key is there.
 * Method: several threads claim keys of their own, each some twice, in a table that they fill to
 *         its budget, so that they meet in lines, at slots, and where lines spill. Under
 *         ThreadSanitizer any race ends the program.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "dedup.h"
#include "venturi/assert.h"

#define WORKERS 4
#define IDS     60000 /* a worker */

static struct dedup *dedup;
static _Atomic uint32_t failures; /* written by all workers */

/* SplitMix64 (G. Steele, D. Lea, C. Flood, 2014). */
static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* A tenth of the keys lie close together: lines that all workers fill and spill. */
static uint64_t
key_of(uint64_t worker, uint64_t i)
{
    uint64_t x = mix(worker << 32 | i);

    return x % 10 == 0 ? (x >> 8) % (UINT64_C(1) << 22) : x >> (64 - DEDUP_KEY_BITS);
}

static void *
worker_run(void *context)
{
    uint64_t worker = *(const uint64_t *)context;
    uint64_t keys[DEDUP_KEYS_MAX];

    for (uint64_t i = 0; i < IDS; i += DEDUP_KEYS_MAX / 2) {
        uint32_t count = 0;
        uint32_t maybe = 0;

        /* Each key twice in the group: the second is known for certain. */
        for (uint64_t j = i; j < i + DEDUP_KEYS_MAX / 2 && j < IDS; j++)
            keys[count++] = key_of(worker, j);
        for (uint32_t j = 0, once = count; j < once; j++)
            keys[count++] = keys[j];
        dedup_prefetch(dedup, keys, count);
        VT_ASSERT(dedup_claim(dedup, keys, count, &maybe) == VT_OK);
        for (uint32_t j = 0; j < count; j++)
            if ((j >= count / 2 && (maybe >> j & 1) == 0) || !dedup_maybe(dedup, keys[j]))
                atomic_fetch_add(&failures, 1);
    }
    return NULL;
}

int
main(void)
{
    pthread_t threads[WORKERS];
    uint64_t numbers[WORKERS];
    uint64_t forgotten = 0;

    VT_ASSERT(dedup_open((uint64_t)WORKERS * IDS, WORKERS, &dedup) == VT_OK);
    for (uint64_t w = 0; w < WORKERS; w++) {
        numbers[w] = w;
        VT_ASSERT(pthread_create(&threads[w], NULL, worker_run, &numbers[w]) == 0);
    }
    for (uint64_t w = 0; w < WORKERS; w++)
        VT_ASSERT(pthread_join(threads[w], NULL) == 0);
    for (uint64_t w = 0; w < WORKERS; w++)
        for (uint64_t i = 0; i < IDS; i++)
            forgotten += !dedup_maybe(dedup, key_of(w, i));
    dedup_close(dedup);
    if (failures > 0 || forgotten > 0) {
        fprintf(stderr, "%u keys called new twice, %lu forgotten\n", (unsigned)failures,
                (unsigned long)forgotten);
        return 1;
    }
    return 0;
}

/*
 * Goal:   a ring hands every message over once, whole and in order, whatever the two threads do,
 *         and says full and empty truly.
 * Method: a producer and a consumer over rings of several sizes, with pauses that a seed gives, so
 *         that the ring is now full, now empty. The consumer frees what the messages point to.
 *         Under ThreadSanitizer a missing release or acquire ends the program.
 *
 * usage: thread_ring [SEED]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "venturi/ring.h"

#define MESSAGES 60000U

/* Not a size that divides a cache line, and checked whole. */
struct message {
    uint64_t number;
    uint64_t *owned; /* written by the producer, freed by the consumer */
    uint64_t check;
};

struct run {
    struct vt_ring ring;
    uint64_t seed;
    uint32_t pause; /* one in so many rounds yields */
    uint32_t failures;
    uint32_t full;
    uint32_t empty;
};

static uint64_t
draw(uint64_t *state)
{
    /* SplitMix64 (G. Steele et al., 2014). */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void
pause_maybe(uint64_t *random, uint32_t pause)
{
    if (draw(random) % pause == 0)
        sched_yield();
}

static void *
producer_main(void *argument)
{
    struct run *run = argument;
    uint64_t random = run->seed;

    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct message message = {i, malloc(sizeof(uint64_t)), ~i};

        VT_ASSERT(message.owned != NULL);
        *message.owned = i * 3;
        while (!vt_ring_try_push(&run->ring, &message)) {
            run->full++;
            sched_yield();
        }
        pause_maybe(&random, run->pause);
    }
    return NULL;
}

static void
consume(struct run *run)
{
    uint64_t random = run->seed + 1;

    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct message message;

        while (!vt_ring_try_pop(&run->ring, &message)) {
            run->empty++;
            sched_yield();
        }
        run->failures +=
            message.number != i || message.check != ~i || *message.owned != message.number * 3;
        free(message.owned);
        /* The other way round than the producer: a fast one meets a slow one. */
        pause_maybe(&random, 1 + 4096 / run->pause);
    }
    run->failures += vt_ring_try_pop(&run->ring, &(struct message){0});
}

int
main(int argc, char **argv)
{
    static const uint32_t sizes[] = {1, 2, 8, 1024};
    static const uint32_t pauses[] = {1, 16, 4096};
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint32_t failures = 0;

    for (size_t s = 0; s < VT_COUNT(sizes); s++)
        for (size_t p = 0; p < VT_COUNT(pauses); p++) {
            struct run run = {.seed = seed + s * 10 + p, .pause = pauses[p]};
            pthread_t producer;

            VT_ASSERT(vt_ring_init(&run.ring, sizes[s], sizeof(struct message)) == VT_OK);
            VT_ASSERT(pthread_create(&producer, NULL, producer_main, &run) == 0);
            consume(&run);
            VT_ASSERT(pthread_join(producer, NULL) == 0);
            vt_ring_deinit(&run.ring);
            printf("seed %lu, %u slots: %u times full, %u times empty, %u failures\n",
                   (unsigned long)run.seed, sizes[s], run.full, run.empty, run.failures);
            failures += run.failures;
        }
    return failures == 0 ? 0 : 1;
}

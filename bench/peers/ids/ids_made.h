/*
 * ids_made.h - the ids of the section "ids", the same in C and in ids_made.py: id number i is
 * mix(2i) and mix(2i + 1), little-endian, by the finalizer of SplitMix64 (G. Steele et al., 2014),
 * which is a bijection, so that all differ.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline void
id_made(uint64_t number, char *out_id)
{
    uint64_t words[2] = {mix(number * 2), mix(number * 2 + 1)};

    memcpy(out_id, words, sizeof words);
}

/* Which id is asked for again at a step: all over the set. */
static inline uint64_t
repeat_number(uint64_t step, uint64_t count)
{
    return mix(step ^ UINT64_C(0x5bd1e995)) % count;
}

static inline double
seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline uint64_t
resident_bytes(void)
{
    unsigned long long all = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fscanf(file, "%llu %llu", &all, &resident) != 2)
        resident = 0;
    if (file != NULL)
        (void)fclose(file);
    return resident * 4096;
}

static inline double
cpu_seconds_now(void) /* of all threads */
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct ids_result {
    double insert_seconds;
    double insert_cpu_seconds;
    double repeat_seconds;
    uint64_t inserted;
    uint64_t repeats;
    uint64_t found;
};

static inline void
result_print(const struct ids_result *result)
{
    printf("{\"insert_seconds\":%.6f,\"insert_cpu_seconds\":%.6f,\"repeat_seconds\":%.6f,"
           "\"inserted\":%" PRIu64 ",\"repeats\":%" PRIu64 ",\"found\":%" PRIu64
           ",\"resident_bytes\":%" PRIu64 "}\n",
           result->insert_seconds, result->insert_cpu_seconds, result->repeat_seconds,
           result->inserted, result->repeats, result->found, resident_bytes());
}

/* DIR COUNT BATCH. */
struct ids_task {
    const char *dir;
    uint64_t count;
    uint64_t batch;
    uint64_t repeats;
};

static inline struct ids_task
task_read(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s DIR COUNT BATCH\n", argv[0]);
        exit(2);
    }
    struct ids_task task = {
        .dir = argv[1],
        .count = strtoull(argv[2], NULL, 10),
        .batch = strtoull(argv[3], NULL, 10),
    };

    task.repeats = task.count < 1000000 ? task.count : 1000000;
    return task;
}

/*
 * workload.h - W1, the workload of the benchmarks: 1,000 tenants by Zipf, 5 meters on types of
 * their own, 100 subjects and 8 regions, times in microseconds with 20 ms of jitter and 3 % up to 5
 * s late, quantities 60 % 1 and the rest log-uniform to 100,000, 1 % duplicates. Seeded; no block
 * is sent twice but for the duplicates.
 *
 * Duplicates: with ids of their own 1 % of the events repeat one of the last 65,536 as it was; with
 *             sequences the caller sends
 * 1 % of the frames again.
 *
 * Life:   workload_open, workload_frame any number of times, workload_close.
 * Thread: one at a time; several may live at once, each with its own `lane`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/client/column_frame.h"
#include "venturi/err.h"

struct workload;

struct workload_options {
    uint64_t seed;
    uint32_t lane;         /* which generator of several: ids differ */
    uint32_t tenant_count; /* 0: 1,000 */
    uint32_t group_count;  /* subjects; 0: 100 */
    uint32_t batch;        /* events of a frame */
    enum column_ids ids;   /* SEQUENCE or UUID */
    bool ids_by_time;      /* UUIDs of version 7, which begin with the time, not of version 4 */
    int64_t start_us;      /* event time of the first event */
    int64_t step_us;       /* between events, before jitter; 0: 1 */
};

VT_MUST_CHECK vt_err workload_open(const struct workload_options *options,
                                   struct workload **out_workload);
void workload_close(struct workload *workload); /* NULL is allowed */

/* The next frame; its arrays are valid until the next call. */
void workload_frame(struct workload *workload, struct column_frame *out_frame);

/* Events made so far, and how many of them repeat an earlier one. */
uint64_t workload_events(const struct workload *workload);
uint64_t workload_repeats(const struct workload *workload);

/* The catalog of W1 as JSON; malloc, the caller frees. */
VT_MUST_CHECK vt_err workload_catalog(uint32_t tenant_count, char **out_text, uint32_t *out_size);

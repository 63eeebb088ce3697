/*
 * bench.h - what the two benchmarks share.
 *
 * Thread: the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench_daemon.h"
#include "bench_host.h"

struct bench_ingest_options {
    const char *data;
    uint64_t events;
    uint64_t seconds; /* 0: `events` decides */
    uint64_t batch;
    uint64_t seed;
    uint64_t tenants;
    uint64_t workers;
    uint64_t start_us; /* event time of the first event; 0: now */
    bool uuid;
    bool ids_by_time; /* UUIDs of version 7 */
};

struct bench_ingest_result {
    uint64_t events;
    uint64_t repeats;
    uint64_t frames;
    double seconds; /* first send to last ack */
    double client_cpu_seconds;
    double daemon_cpu_seconds;
    uint64_t daemon_memory_bytes;
    uint64_t store_bytes;
    double ack_us_p50; /* per frame, closed loop */
    double ack_us_p99;
    double ack_us_max;
    uint64_t backlog_start; /* cuts not sealed before the first frame, and after the last ack */
    uint64_t backlog_end;
    struct bench_host host;
};

/* Runs and checks that every event was counted exactly once: VT_DIFFERENT otherwise. The store
 * stays; *out_daemon says where. */
VT_MUST_CHECK vt_err bench_ingest_run(const struct bench_ingest_options *options,
                                      struct bench_ingest_result *out_result,
                                      struct bench_daemon *out_daemon);

int bench_ingest_command(int argc, char **argv);
int bench_replay_command(int argc, char **argv);
int bench_ids_command(int argc, char **argv);

double bench_now(void); /* seconds of the monotonic clock */

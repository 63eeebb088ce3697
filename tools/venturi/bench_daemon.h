/*
 * bench_daemon.h - a daemon of the benchmark's own: started from beside this program in a temporary
 * directory (or the one given), stopped by its process id.
 *
 * Life:   bench_daemon_start, use, bench_daemon_stop; bench_daemon_clean removes the temporary
 *         directory.
 * Thread: the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "venturi/err.h"

struct bench_daemon {
    pid_t pid;
    char dir[256];
    char address[64]; /* HOST:PORT of frames */
    char http[64];    /* the same of HTTP */
    char token[256];
    bool temporary;
    double cpu_seconds;    /* after the stop */
    uint64_t memory_bytes; /* peak resident, after the stop */
};

struct bench_daemon_options {
    const char *data; /* NULL: a temporary directory */
    const char *catalog;
    uint32_t catalog_bytes;
    uint64_t workers; /* 0: the daemon's default */
    uint64_t dedup_ids;
};

VT_MUST_CHECK vt_err bench_daemon_start(const struct bench_daemon_options *options,
                                        struct bench_daemon *out_daemon);
/* SIGTERM, and the wait for a clean end. VT_BROKEN where it ended otherwise. */
VT_MUST_CHECK vt_err bench_daemon_stop(struct bench_daemon *daemon);
void bench_daemon_clean(const struct bench_daemon *daemon);

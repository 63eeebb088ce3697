/*
 * bench_host.h - what must stand beside a figure so that another one can be held against it: the
 * machine that it was measured on, and whether the daemon was behind with its work.
 *
 * Thread: the main thread.
 */
#pragma once

#include <stdint.h>

#include "bench_daemon.h"

struct bench_host {
    char processor[96];
    char kernel[96];
    char filesystem[32]; /* of the store */
    uint32_t processors;
    uint64_t memory_bytes;
    double load; /* of the minute before: other work on the machine */
};

void bench_host_read(const char *dir, struct bench_host *out_host);
/* {"processor":..., ...} */
void bench_host_print(const struct bench_host *host);

/* Cuts that are taken and not sealed yet. */
VT_MUST_CHECK vt_err bench_backlog(const struct bench_daemon *daemon, uint64_t *out_cuts);

/*
 * codec_scan.h - one pass over integers each, for what an encoder must know of them. Plain loops
 * that the compiler vectorises, compiled for more than one machine.
 *
 * Thread: any; no state.
 */
#pragma once

#include <stdint.h>

struct scan_span {
    int64_t min;
    int64_t max;
};

/* `count` is at least 1. */
struct scan_span scan_span(const int64_t *values, uint32_t count);

/* How many values differ from the one before them. */
uint64_t scan_changes(const int64_t *values, uint32_t count);

/* The least value that is not below `floor`; INT64_MAX where there is none. */
int64_t scan_least_from(const int64_t *values, uint32_t count, int64_t floor);

struct scan_excess {
    uint64_t all;   /* the excesses or-ed */
    uint64_t count; /* how many are not zero */
};

/* What stands above `width` bits, less than 64, in each value less `reference`, modulo 2^64. */
struct scan_excess scan_excess(const int64_t *values, uint32_t count, uint64_t reference,
                               uint32_t width);

/*
 * crash_points.h - a set of hashes: how many distinct crash points a simulation has seen.
 *
 * Life:   zero, add*, free.
 * Errors: out of memory ends the program.
 */
#pragma once

#include <stdint.h>

struct crash_points {
    uint64_t *slots;
    uint64_t mask;
    uint64_t count;
};

void crash_points_add(struct crash_points *points, uint64_t hash);
void crash_points_free(struct crash_points *points);

/*
 * sim_frame.h - the frame that simulations share: one random sequence, one way to die with the
 * seed, and the crash after an operation. Between two operations of a process the disk is copied as
 * a crash would leave it, and the copy is judged, while the process goes on: nothing is run again
 * from its start.
 *
 * A crash point is a distinct (trace of operations, operation, surviving subset). One that was seen
 * before would leave the very same disk; it is neither counted nor judged again.
 *
 * Life:   sim_frame_begin, trials, sim_points_free.
 * Errors: what is wrong ends the program with 1, saying the seed.
 * Thread: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "crash_points.h"
#include "storage/io_sim.h"

/* Names the program and the seed of the run in what sim_die says. */
void sim_frame_begin(const char *program, uint64_t seed);
__attribute__((noreturn, format(printf, 1, 2))) void sim_die(const char *format, ...);
void sim_must(vt_err err, const char *what);

/* SplitMix64 (G. Steele et al., 2014). */
uint64_t sim_draw(uint64_t *state);

/* An option's number; ends the program with 2 where it is none. */
uint64_t sim_number(const char *text);

/* Whether a call of this kind can fail so. */
bool sim_fault_makes_sense(enum io_sim_kind kind, enum io_sim_failure failure);

/* All points of a program, and when it has enough. */
struct sim_points {
    struct crash_points seen;
    uint64_t max;
    uint64_t tries; /* crashes, seen before or not */
    time_t deadline;
};
bool sim_points_enough(const struct sim_points *points);

/* Watches the operations of a disk. */
struct sim_trial {
    struct io *io;
    struct sim_points *points;
    uint64_t every; /* crashes after one operation in so many, by chance; 0: never */
    uint32_t subsets;
    uint32_t depth; /* crashes within what `judge` does */
    uint64_t random;
    /* Judges the disk that a crash left, and closes it. `depth` is what is left of it. */
    void (*judge)(void *context, struct io *image, uint32_t depth, uint64_t random);
    void *context;
};
void sim_trial_watch(struct sim_trial *trial);
void sim_trial_end(struct io *io);

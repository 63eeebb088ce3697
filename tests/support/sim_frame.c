/* sim_frame.c - see sim_frame.h. */
#include "sim_frame.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *program_name = "sim";
static uint64_t seed_of_run;

void
sim_frame_begin(const char *program, uint64_t seed)
{
    program_name = program;
    seed_of_run = seed;
}

void
sim_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "%s: --seed %" PRIu64 ": ", program_name, seed_of_run);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, " [%s]\n", vt_err_last());
    va_end(arguments);
    exit(1);
}

void
sim_must(vt_err err, const char *what)
{
    if (err != VT_OK)
        sim_die("%s: %s", what, vt_err_name(err));
}

uint64_t
sim_draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t
sim_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "%s: %s is no number\n", program_name, text);
        exit(2);
    }
    return number;
}

bool
sim_fault_makes_sense(enum io_sim_kind kind, enum io_sim_failure failure)
{
    switch (failure) {
    case IO_SIM_EIO:
        return true;
    case IO_SIM_ENOSPC:
        return kind != IO_SIM_OPEN && kind != IO_SIM_READ && kind != IO_SIM_SIZE &&
               kind != IO_SIM_LIST;
    case IO_SIM_SHORT:
    case IO_SIM_CANCELLED:
        return kind == IO_SIM_COMPLETE;
    }
    return false;
}

bool
sim_points_enough(const struct sim_points *points)
{
    return points->seen.count >= points->max ||
           (points->deadline != 0 && time(NULL) >= points->deadline);
}

/* One number for (trace, operation, subset). */
static uint64_t
point_of(const struct io *io, uint64_t subset)
{
    uint64_t mixed = io_sim_trace(io);

    mixed = sim_draw(&mixed) ^ io_sim_operations(io);
    return sim_draw(&mixed) ^ subset;
}

static void
trial_after(void *context)
{
    struct sim_trial *trial = context;

    if (sim_draw(&trial->random) % trial->every != 0)
        return;
    for (uint32_t i = 0; i < trial->subsets && !sim_points_enough(trial->points); i++) {
        struct io_sim_crash crash = {.seed = sim_draw(&trial->random)};
        uint64_t before = trial->points->seen.count;
        uint64_t random = sim_draw(&trial->random);
        uint64_t subset;
        struct io *image;

        crash.kill = crash.seed % 8 == 0;
        sim_must(io_sim_crash(trial->io, &crash, &subset, &image), "io_sim_crash");
        crash_points_add(&trial->points->seen, point_of(trial->io, subset));
        trial->points->tries++;
        if (trial->points->seen.count == before)
            io_close(image);
        else
            trial->judge(trial->context, image, trial->depth == 0 ? 0 : trial->depth - 1, random);
    }
}

void
sim_trial_watch(struct sim_trial *trial)
{
    if (trial->every > 0)
        io_sim_set_hook(trial->io, trial_after, trial);
}

void
sim_trial_end(struct io *io)
{
    io_sim_set_hook(io, NULL, NULL);
}

/*
 * sim_engine - crashes a whole engine after the operations of a simulated disk, with several
 * subsets of what was not durable, also while it recovers, seals and edits the manifest, and fails
 * calls once and for ever. What must be there after each stands in support/sim_world.h; beside that
 *
 *   30  a reader beside the process sees the same
 *   34  the same seed makes the same trace: a number of seeds run twice
 *
 * usage: sim_engine [--points N] [--per-seed N] [--faults N] [--twice N] [--seconds N] [--seed S]
 *
 *   --points N    distinct crash points (sim_frame.h) in all
 *   --per-seed N  at most so many of one seed; about as many are met
 *   --faults N    runs with failures
 *   --twice N     seeds that run twice (10)
 *   --seconds N   no longer than that: half for failures, half for crashes
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io_sim.h"
#include "sim_frame.h"
#include "sim_world.h"
#include "venturi/assert.h"

#define POINTS_DEFAULT   UINT64_C(2500)
#define PER_SEED_DEFAULT UINT64_C(150)
#define FAULTS_DEFAULT   UINT64_C(150)
#define SECONDS_DEFAULT  UINT64_C(30)

static struct sim_points points = {.max = POINTS_DEFAULT};
static uint64_t lost_count; /* commits that were not acked and are gone */
static uint64_t acks_count;
static uint64_t seals_count;
static uint64_t merges_count;

/* Opens what a crash left; a crash inside of that is a crash too. */
static void
check_image(void *context, struct io *io, uint32_t depth, uint64_t random)
{
    struct sim_world *world = context;
    struct sim_engine engine = {.io = io};
    struct sim_trial trial = {
        .io = io,
        .points = &points,
        .every = depth > 0 ? 6 : 0,
        .subsets = 1,
        .depth = depth,
        .random = random,
        .judge = check_image,
        .context = world,
    };

    sim_trial_watch(&trial);
    vt_err err = sim_engine_open(&engine, NULL, 1 + (uint32_t)(random % 2));

    sim_trial_end(io);
    sim_must(err, "open after a crash");
    uint64_t number = sim_world_check(&engine, world, random);

    if (random % 8 == 0) {
        struct sim_engine reader = {.io = io, .read_only = true};

        sim_must(sim_engine_open(&reader, NULL, 1), "a reader beside");
        if (sim_world_check(&reader, world, random) != number)
            sim_die("a reader sees another commit than the process itself");
        sim_engine_close(&reader);
    }
    sim_engine_close(&engine);
    io_close(io);
}

/* How long a history is, and where it crashes. */
struct shape {
    int generations;
    int steps;
    uint64_t every; /* 0: no crash points */
    uint32_t subsets;
    uint32_t depth;
};

/* Processes on one disk: each ends by a clean stop, a kill or a power cut. Gives the trace. */
static uint64_t
run_random(uint64_t seed, const struct shape *shape)
{
    static struct sim_model model;
    struct sim_world world;
    uint64_t trace = 0;

    sim_frame_begin("sim_engine", seed);
    sim_world_init(&world, &model, seed);
    struct sim_trial trial = {
        .points = &points,
        .every = shape->every,
        .subsets = shape->subsets,
        .depth = shape->depth,
        .random = seed ^ UINT64_C(0xabcdef),
        .judge = check_image,
        .context = &world,
    };

    for (int generation = 0; generation < shape->generations; generation++) {
        trial.io = world.main.io;
        sim_trial_watch(&trial);
        sim_must(sim_world_open(&world), "open");
        for (int i = 0; i < shape->steps && model.last + 40 < SIM_COMMITS_MAX; i++)
            if (!sim_world_step(&world))
                sim_die("the engine fails: %s", vt_err_name(core_failed(world.main.core)));
        uint64_t end = sim_draw(&world.random) % 4;
        struct core_stats stats;

        if (end == 0 && !sim_world_stop(&world))
            sim_die("the engine cannot stop");
        core_get_stats(world.main.core, &stats);
        seals_count += stats.cuts;
        merges_count += stats.merges;
        trace = trace * 31 + io_sim_trace(world.main.io);
        sim_world_crash(&world, end < 2);
    }
    sim_must(sim_world_open(&world), "open");
    trace = trace * 31 + io_sim_trace(world.main.io);
    lost_count += world.lost;
    acks_count += world.acks;
    sim_world_free(&world);
    return trace;
}

/* The same seed makes the same trace. Gives a hash of all of them. */
static uint64_t
run_twice(uint64_t seed, uint64_t count)
{
    static const struct shape shape = {.generations = 3, .steps = 60};
    uint64_t hash = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t trace = run_random(seed + i, &shape);

        if (run_random(seed + i, &shape) != trace)
            sim_die("the same seed makes another trace");
        hash = hash * 31 + trace;
    }
    return hash;
}

/* Runs until there are points enough; gives how many. Most histories are short, so that there are
 * many; some are long, so that their stores have many segments. */
static uint64_t
run_points(uint64_t seed, uint64_t per_seed)
{
    uint64_t max = points.max;
    uint64_t runs = 0;

    for (; points.seen.count < max && (points.deadline == 0 || time(NULL) < points.deadline);
         runs++) {
        bool is_long = runs % 32 == 31;
        const struct shape shape = {
            .generations = is_long ? 4 : 3,
            .steps = is_long ? 150 : 40,
            .every = (is_long ? 4 : 1) * (1 + runs % 3),
            .subsets = 1 + (uint32_t)(runs % 3),
            .depth = runs % 2 == 0,
        };

        points.max = max - points.seen.count < per_seed ? max : points.seen.count + per_seed;
        (void)run_random(seed + runs, &shape);
    }
    points.max = max;
    return runs;
}

/* A run in which a call fails; with `later` the first process is spared, so that it is a recovery
 * that meets the failure. Whatever was acked is there when the disk is well again. */
static void
run_fault(uint64_t seed, const struct io_sim_fault *fault, bool later)
{
    static const struct io_sim_fault none;
    static struct sim_model model;
    struct sim_world world;

    sim_world_init(&world, &model, seed);
    world.may_fail = true;
    for (int generation = 0; generation < 3; generation++) {
        if (generation > 0 || !later)
            io_sim_set_fault(world.main.io, fault);
        if (sim_world_open(&world) == VT_OK)
            for (int i = 0; i < 60 && sim_world_step(&world); i++)
                ;
        sim_world_crash(&world, generation != 1);
    }
    io_sim_set_fault(world.main.io, &none);
    world.may_fail = false;
    sim_must(sim_world_open(&world), "open when the disk is well again");
    for (int i = 0; i < 30; i++)
        if (!sim_world_step(&world))
            sim_die("the engine fails on a disk that is well");
    sim_world_free(&world);
}

static uint64_t
run_faults(uint64_t seed, uint64_t count, time_t until)
{
    uint64_t random = seed;
    uint64_t runs = 0;

    while (runs < count && time(NULL) < until) {
        uint64_t choice = sim_draw(&random);
        const struct io_sim_fault fault = {
            .kind = (enum io_sim_kind)(choice % IO_SIM_KIND_COUNT),
            .failure = (enum io_sim_failure)((choice >> 8) % (IO_SIM_CANCELLED + 1)),
            .nth = 1 + (choice >> 16) % 40,
            .for_ever = (choice >> 32) % 2 == 0,
        };

        if (!sim_fault_makes_sense(fault.kind, fault.failure))
            continue;
        sim_frame_begin("sim_engine", seed + runs);
        run_fault(seed + runs, &fault, (choice >> 33) % 2 == 0);
        runs++;
    }
    return runs;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"points", required_argument, NULL, 'p'},
        {"per-seed", required_argument, NULL, 'n'},
        {"faults", required_argument, NULL, 'f'},
        {"twice", required_argument, NULL, 'w'},
        {"seconds", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    uint64_t faults = FAULTS_DEFAULT;
    uint64_t per_seed = PER_SEED_DEFAULT;
    uint64_t seconds = SECONDS_DEFAULT;
    uint64_t twice = 10;
    uint64_t seed = 1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT(*-mt-unsafe) */
        if (option == 'p')
            points.max = sim_number(optarg);
        else if (option == 'n')
            per_seed = sim_number(optarg);
        else if (option == 'f')
            faults = sim_number(optarg);
        else if (option == 'w')
            twice = sim_number(optarg);
        else if (option == 't')
            seconds = sim_number(optarg);
        else if (option == 's')
            seed = sim_number(optarg);
        else
            return 2;
    }
    uint64_t trace = run_twice(seed, twice);
    time_t half = (time_t)(points.max > 0 ? seconds / 2 : seconds);
    uint64_t fault_runs = run_faults(seed * 1000003, faults, time(NULL) + half);
    clock_t before = clock();

    points.deadline = time(NULL) + half;
    uint64_t runs = run_points(seed, per_seed);

    printf("sim_engine: seed %" PRIu64 ": %" PRIu64 " distinct crash points of %" PRIu64
           " crashes in %" PRIu64 " runs, %" PRIu64 " ms of CPU; %" PRIu64
           " runs with failures, %" PRIu64 " acks, %" PRIu64 " cuts, %" PRIu64 " merges, %" PRIu64
           " unacked commits lost; %" PRIu64 " seeds twice, traces %016" PRIx64 ": all sane\n",
           seed, points.seen.count, points.tries, runs,
           (uint64_t)(clock() - before) / (CLOCKS_PER_SEC / 1000), fault_runs, acks_count,
           seals_count, merges_count, lost_count, twice, trace);
    if (merges_count == 0)
        sim_die("no segments were merged");
    crash_points_free(&points.seen);
    return 0;
}

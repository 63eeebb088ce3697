/*
 * sim_log - crashes the log store after every operation on a simulated disk, with many subsets of
 * what was not durable, also while it recovers, and fails every call once and for ever. After each:
 *
 *   every acked commit is there with its bytes; the order is dense and has no commit of another
 *   branch (what was written, lost and replaced by something else never returns); a seal is there
 *   if it was acked, with its state; start numbers ascend; the next open succeeds.
 *
 * A hundred seeds run twice, which must make the same trace of operations (invariant 34).
 *
 * usage: sim_log [--points N] [--faults ROUNDS] [--seed S]
 *
 *   --points N       distinct crash points (sim_frame.h)
 *   --faults ROUNDS  over every call that can fail; 1 where nothing is said
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io_sim.h"
#include "sim_frame.h"
#include "storage/storage.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define COMMITS_MAX    1024U
#define PAYLOAD_MAX    4000U
#define POINTS_DEFAULT UINT64_C(60000)
#define TWICE          100

/* What one process, and those before it, may rely on. */
struct model {
    uint64_t content[COMMITS_MAX + 1]; /* by number, of the current branch */
    uint64_t last;                     /* submitted or recovered */
    uint64_t acked;
    uint64_t sealed;  /* acked */
    uint64_t sealing; /* tried */
    uint64_t store;   /* id, once a store was opened */
    uint64_t start;
};

struct process {
    struct io *io;
    struct store *store;
    struct log *log;
    struct model *model;
    uint64_t position;
    uint64_t random;
    bool may_fail; /* calls are made to fail */
};

static struct sim_points points;
static uint64_t lost_count; /* commits that were not acked and are gone */

static uint32_t
payload_bytes(uint64_t content)
{
    return 8 + (uint32_t)(content % PAYLOAD_MAX);
}

static void
fill(uint64_t content, uint8_t *to)
{
    uint32_t bytes = payload_bytes(content);

    memset(to, (int)(content >> 40 & 0xff), bytes);
    memcpy(to, &content, sizeof content);
}

static void
check_commit(const struct model *model, const struct log_commit *commit, uint64_t number)
{
    uint8_t want[8 + PAYLOAD_MAX];
    const struct log_record *record = &commit->records[commit->record_count - 1];
    uint64_t content = model->content[number];

    if (commit->number != number)
        sim_die("commit %" PRIu64 " where %" PRIu64 " should be", commit->number, number);
    if (commit->record_count == 0 || record->kind != LOG_CATALOG)
        sim_die("commit %" PRIu64 " has other records", number);
    fill(content, want);
    if (record->bytes != payload_bytes(content) ||
        memcmp(record->payload, want, record->bytes) != 0)
        sim_die("commit %" PRIu64 " has other bytes", number);
    if (commit->event_count != content % 5)
        sim_die("commit %" PRIu64 " has other events", number);
}

/* Reads the tail, compares it with the model, and makes the model what was found. Fails only where
 * a read was made to fail. */
static vt_err
check_recovered(struct process *process)
{
    struct model *model = process->model;
    struct store_info info;
    struct log_commit commit;
    uint64_t number;
    vt_err err;

    store_get_info(process->store, &info);
    if (model->store != 0 && info.store != model->store)
        sim_die("another store was made over the old one");
    if (info.start <= model->start)
        sim_die("start %" PRIu64 " after %" PRIu64, info.start, model->start);
    if (info.sealed_commit < model->sealed || info.sealed_commit > model->sealing)
        sim_die("sealed up to %" PRIu64 ", but %" PRIu64 " was acked and %" PRIu64 " tried",
                info.sealed_commit, model->sealed, model->sealing);
    struct vt_bytes state = store_state(process->store);

    if (info.sealed_commit > 0 &&
        (state.size != 8 || vt_load64(state.data) != model->content[info.sealed_commit]))
        sim_die("the state is not that of cut %" PRIu64, info.sealed_commit);
    process->position = info.sealed_position;
    number = info.sealed_commit;
    while ((err = store_tail_next(process->store, &commit)) == VT_OK) {
        number++;
        if (number > model->last)
            sim_die("commit %" PRIu64 " was never written", number);
        check_commit(model, &commit, number);
        if (commit.first_position != process->position + 1)
            sim_die("commit %" PRIu64 " is at another position", number);
        process->position += commit.event_count;
    }
    if (err == VT_IO && process->may_fail)
        return err;
    if (err != VT_END)
        sim_die("the tail ends with %s", vt_err_name(err));
    if (number < model->acked)
        sim_die("%" PRIu64 " commits are there, but %" PRIu64 " were acked", number, model->acked);
    lost_count += model->last - number;
    model->last = model->acked = number;
    model->sealed = model->sealing = info.sealed_commit;
    model->store = info.store;
    model->start = info.start;
    process->log = store_log(process->store);
    return VT_OK;
}

static void
note_acks(struct process *process)
{
    process->model->acked = log_durable(process->log);
}

static void
process_poll(struct process *process, int64_t wait_ns)
{
    vt_err err = io_poll(process->io, wait_ns);

    if (err != VT_OK)
        sim_die("poll: %s", vt_err_name(err));
    note_acks(process);
}

/* No call to the log may follow; what is in flight comes home unseen. */
static void
process_close(struct process *process)
{
    if (process->store == NULL)
        return;
    while (process->log != NULL && log_in_flight(process->log) > 0)
        process_poll(process, 1);
    store_close(process->store);
    process->store = NULL;
    process->log = NULL;
}

static vt_err
process_open(struct process *process)
{
    const struct store_options options = {
        .dir = "s",
        .create = true,
        .lane_count = 3,
        .lane_bytes = 32768,
        .commit_bytes_max = 8192,
        .buffer_count = 5,
        .partition_count = 2,
    };

    vt_err_clear();
    vt_err err = store_open(process->io, &options, &process->store);

    if (err != VT_OK)
        return err;
    err = check_recovered(process);
    if (err != VT_OK)
        process_close(process);
    return err;
}

static void
process_append(struct process *process)
{
    struct model *model = process->model;
    struct log_buffer *buffer = log_buffer_get(process->log);
    uint64_t content = sim_draw(&process->random);
    struct log_record record = {.kind = LOG_CATALOG, .bytes = payload_bytes(content)};
    struct log_commit commit;
    uint8_t data[8 + PAYLOAD_MAX];
    uint8_t *to;

    if (buffer == NULL)
        return;
    if (model->last == COMMITS_MAX || log_failed(process->log) != VT_OK) {
        log_buffer_put(process->log, buffer);
        return;
    }
    fill(content, data);
    record.payload_crc = vt_crc32c(data, record.bytes);
    record.event_count = (uint32_t)(content % 5);
    if (log_buffer_add(buffer, &record, &to) != VT_OK)
        sim_die("an empty buffer refuses a record");
    memcpy(to, data, record.bytes);
    struct log_submit submit = {
        .first_position = process->position + 1,
        .arrival_us = (int64_t)model->last,
        .event_count = record.event_count,
    };
    /* Before the call: a crash inside of it may leave the commit. */
    uint64_t before = model->content[model->last + 1];

    model->content[++model->last] = content;
    vt_err err = log_submit(process->log, buffer, &submit, &commit);

    log_buffer_put(process->log, buffer);
    if (err == VT_FULL) {
        model->content[model->last--] = before;
        return;
    }
    if (err != VT_OK || commit.number != model->last)
        sim_die("submit: %s", vt_err_name(err));
    process->position += record.event_count;
}

/* Arrivals in this test are the number less one, as process_append gives them. */
static void
process_seal(struct process *process)
{
    struct model *model = process->model;
    uint64_t durable = log_durable(process->log);
    uint64_t position = 0;
    struct store_info info;

    if (durable <= model->sealing)
        return;
    uint64_t cut = model->sealing + 1 + sim_draw(&process->random) % (durable - model->sealing);

    store_get_info(process->store, &info);
    position = info.sealed_position;
    for (uint64_t i = info.sealed_commit + 1; i <= cut; i++)
        position += model->content[i] % 5;
    const struct store_seal seal = {
        .cut = cut,
        .last_position = position,
        .arrival_us = (int64_t)cut - 1,
        .state = {(const uint8_t *)&model->content[cut], 8},
    };

    model->sealing = cut;
    vt_err err = store_seal_commit(process->store, &seal);

    if (err == VT_OK)
        model->sealed = cut;
    else if (err == VT_INVALID)
        sim_die("seal: %s", vt_err_name(err));
}

/* What judges an image has to know of the process that crashed. */
struct watched {
    struct process *process;
    struct sim_trial trial;
};

/* Opens what a crash left; a crash inside recovery is a crash too. */
static void
check_image(void *context, struct io *io, uint32_t depth, uint64_t random)
{
    const struct watched *crashed = context;
    struct model model = *crashed->process->model;
    struct process process = {.io = io, .model = &model, .random = random};
    struct watched watched = {
        .process = &process,
        .trial = {.io = io,
                  .points = &points,
                  .every = depth > 0,
                  .subsets = 1,
                  .depth = depth,
                  .random = random,
                  .judge = check_image,
                  .context = &watched},
    };

    sim_trial_watch(&watched.trial);
    sim_must(process_open(&process), "open after a crash");
    if (sim_draw(&process.random) % 4 == 0) {
        for (int i = 0; i < 3; i++)
            process_append(&process);
        process_poll(&process, 0);
    }
    sim_trial_end(io);
    process_close(&process);
    io_close(io);
}

/* One step of a process that a random number chooses. False where the process has to stop. */
static bool
step(struct process *process)
{
    uint64_t choice = sim_draw(&process->random) % 16;

    if (choice < 8)
        process_append(process);
    else if (choice < 13)
        process_poll(process, choice % 2);
    else if (choice < 15)
        process_seal(process);
    else
        return sim_draw(&process->random) % 8 != 0;
    return log_failed(process->log) == VT_OK;
}

/* Generations of processes on one disk: each ends by a clean stop, a kill or a power cut. Gives the
 * trace. */
static uint64_t
run_random(uint64_t seed, uint32_t subsets, uint32_t depth)
{
    struct model model = {0};
    struct process process = {.model = &model, .random = seed};
    struct watched watched = {
        .process = &process,
        .trial = {.points = &points,
                  .every = subsets > 0,
                  .subsets = subsets,
                  .depth = depth,
                  .random = seed ^ UINT64_C(0xabcdef),
                  .judge = check_image,
                  .context = &watched},
    };
    uint64_t trace = 0;

    sim_must(io_sim_open(seed, &process.io), "io_sim_open");
    for (int generation = 0; generation < 4; generation++) {
        watched.trial.io = process.io;
        sim_trial_watch(&watched.trial);
        sim_must(process_open(&process), "open");
        for (int i = 0; i < 60 && step(&process); i++)
            ;
        uint64_t how = sim_draw(&process.random) % 4;
        struct io_sim_crash crash = {.seed = sim_draw(&process.random), .kill = how == 1};
        struct model at_crash = model;
        struct io *old = process.io;
        struct io *next = NULL;
        uint64_t subset;

        trace = trace * 31 + io_sim_trace(old);
        if (how == 0) {
            process_close(&process);
            continue;
        }
        sim_must(io_sim_crash(old, &crash, &subset, &next), "io_sim_crash");
        sim_trial_end(old);
        process_close(&process);
        io_close(old);
        model = at_crash;
        process.io = next;
    }
    sim_trial_end(process.io);
    io_close(process.io);
    return trace;
}

/* A run in which a call fails; processes come back as after a kill, the last after a power cut.
 * With `later` the first one is spared, so that it is recovery that meets the failure. */
static void
run_fault(uint64_t seed, const struct io_sim_fault *fault, bool later)
{
    struct model model = {0};
    struct process process = {.model = &model, .random = seed, .may_fail = true};
    static const struct io_sim_fault none;
    struct io_sim_crash crash = {.seed = seed};
    uint64_t subset;
    struct io *next;

    if (io_sim_open(seed, &process.io) != VT_OK)
        sim_die("out of memory");
    if (!later)
        io_sim_set_fault(process.io, fault);
    for (int generation = 0; generation < 3; generation++) {
        struct model at_crash;

        if (process_open(&process) == VT_OK) {
            for (int i = 0; i < 25 && step(&process); i++)
                ;
        } else {
            process.store = NULL;
        }
        at_crash = model;
        crash.seed = sim_draw(&process.random);
        crash.kill = generation == 0;
        if (generation == 1) {
            /* The next one opens what this one leaves, failed syncs and all. */
            process_close(&process);
            continue;
        }
        if (io_sim_crash(process.io, &crash, &subset, &next) != VT_OK)
            sim_die("out of memory");
        process_close(&process);
        /* What the old one did after the crash happened nowhere. */
        model = at_crash;
        io_close(process.io);
        process.io = next;
        if (generation == 0)
            io_sim_set_fault(next, fault);
    }
    io_sim_set_fault(process.io, &none);
    process.may_fail = false;
    vt_err err = process_open(&process);

    if (err != VT_OK)
        sim_die("open after kind %d failure %d nth %" PRIu64 "%s: %s", (int)fault->kind,
                (int)fault->failure, fault->nth, fault->for_ever ? " for ever" : "",
                vt_err_name(err));
    process_close(&process);
    io_close(process.io);
}

/* Every call of a run without failures fails in turn. Gives the number of runs. */
static uint64_t
run_faults(uint64_t seed)
{
    uint64_t runs = 0;

    for (int kind = 0; kind < IO_SIM_KIND_COUNT; kind++)
        for (int failure = IO_SIM_EIO; failure <= IO_SIM_CANCELLED; failure++) {
            if (!sim_fault_makes_sense((enum io_sim_kind)kind, (enum io_sim_failure)failure))
                continue;
            for (uint64_t nth = 1; nth <= 60; nth++)
                for (int for_ever = 0; for_ever < 2; for_ever++) {
                    const struct io_sim_fault fault = {
                        .kind = (enum io_sim_kind)kind,
                        .failure = (enum io_sim_failure)failure,
                        .nth = nth,
                        .for_ever = for_ever == 1,
                    };

                    run_fault(seed + nth, &fault, false);
                    runs++;
                }
        }
    return runs;
}

/* Recovery after a kill, in which a call fails, then recovery after that. */
static uint64_t
run_recovery_faults(uint64_t seed)
{
    static const enum io_sim_kind kinds[] = {IO_SIM_SYNC, IO_SIM_WRITE, IO_SIM_NAME,
                                             IO_SIM_SYNC_DIR};
    uint64_t runs = 0;

    for (size_t kind = 0; kind < VT_COUNT(kinds); kind++)
        for (uint64_t nth = 1; nth <= 12; nth++)
            for (uint64_t i = 0; i < 60; i++, runs++) {
                const struct io_sim_fault fault = {.kind = kinds[kind], .nth = nth};

                run_fault(seed + i * 100 + nth, &fault, true);
            }
    return runs;
}

/* The same seed makes the same trace. Gives a hash of all of them. */
static uint64_t
run_twice(uint64_t seed, uint64_t count)
{
    uint64_t hash = 0;

    for (uint64_t i = 0; i < count; i++) {
        sim_frame_begin("sim_log", seed + i);
        uint64_t trace = run_random(seed + i, 0, 0);

        if (run_random(seed + i, 0, 0) != trace)
            sim_die("the same seed makes another trace");
        hash = hash * 31 + trace;
    }
    return hash;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"points", required_argument, NULL, 'p'},
        {"faults", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    uint64_t seed = 1;
    uint64_t runs = 0;
    uint64_t rounds = 1;
    uint64_t fault_runs = 0;
    int option;

    points.max = POINTS_DEFAULT;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT(*-mt-unsafe) */
        if (option == 'p')
            points.max = sim_number(optarg);
        else if (option == 'f')
            rounds = sim_number(optarg);
        else if (option == 's')
            seed = sim_number(optarg);
        else
            return 2;
    }
    uint64_t trace = run_twice(seed, TWICE);

    for (; !sim_points_enough(&points); runs++) {
        sim_frame_begin("sim_log", seed + runs);
        /* The first runs crash inside recovery everywhere, later ones go further. */
        (void)run_random(seed + runs, runs % 2 == 0 ? 2 : 6, runs % 2 == 0 ? 1 : 0);
    }
    clock_t judged = clock();

    for (uint64_t i = 0; i < rounds; i++) {
        sim_frame_begin("sim_log", seed + i);
        fault_runs += run_faults((seed + i) * 1000003);
        fault_runs += run_recovery_faults((seed + i) * 1000003);
    }
    printf("sim_log: seed %" PRIu64 ": %" PRIu64 " distinct crash points of %" PRIu64
           " crashes in %" PRIu64 " runs, %" PRIu64 " ms of CPU; %" PRIu64
           " runs with failures, %" PRIu64
           " unacked commits lost; %d seeds twice, traces %016" PRIx64 ": all sane\n",
           seed, points.seen.count, points.tries, runs, (uint64_t)judged / (CLOCKS_PER_SEC / 1000),
           fault_runs, lost_count, TWICE, trace);
    crash_points_free(&points.seen);
    return 0;
}

/*
 * sim_log - crashes the log store after every operation on a simulated disk, with many subsets of
 * what was not durable, also while it recovers, and fails every call once and for ever. After each:
 *
 *   every acked commit is there with its bytes; the order is dense and has no commit of another
 *   branch (what was written, lost and replaced by something else never returns); a seal is there
 *   if it was acked, with its state; start numbers ascend; the next open succeeds.
 *
 * usage: sim_log [--points N] [--seed S]
 *
 * A crash point is a distinct (trace of operations, operation, surviving subset).
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io_sim.h"
#include "storage/storage.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define COMMITS_MAX    1024U
#define PAYLOAD_MAX    4000U
#define POINTS_DEFAULT UINT64_C(60000)

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

/* Points seen, as an open table of hashes. */
struct points {
    uint64_t *slots;
    uint64_t mask;
    uint64_t count;
};

struct trial {
    struct process *process; /* the one that is watched */
    uint32_t subsets;        /* tried after each operation */
    uint32_t depth;          /* crashes within crashes */
    uint64_t random;
};

static uint64_t seed_of_run;
static struct points points;
static uint64_t points_max;
static uint64_t lost_count; /* commits that were not acked and are gone */

static uint64_t
draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "sim_log: --seed %" PRIu64 ": ", seed_of_run);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, " [%s]\n", vt_err_last());
    va_end(arguments);
    exit(1);
}

static void
points_add(uint64_t hash)
{
    uint64_t i;

    if (points.count * 2 >= points.mask) {
        struct points old = points;

        points.mask = old.mask * 2 + 1;
        points.slots = calloc(points.mask + 1, sizeof points.slots[0]);
        if (points.slots == NULL)
            die("out of memory");
        for (uint64_t k = 0; old.slots != NULL && k <= old.mask; k++) {
            if (old.slots[k] == 0)
                continue;
            for (i = old.slots[k] & points.mask; points.slots[i] != 0; i = (i + 1) & points.mask)
                ;
            points.slots[i] = old.slots[k];
        }
        free(old.slots);
    }
    hash |= hash == 0;
    for (i = hash & points.mask; points.slots[i] != 0; i = (i + 1) & points.mask)
        if (points.slots[i] == hash)
            return;
    points.slots[i] = hash;
    points.count++;
}

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
        die("commit %" PRIu64 " where %" PRIu64 " should be", commit->number, number);
    if (commit->record_count == 0 || record->kind != LOG_CATALOG)
        die("commit %" PRIu64 " has other records", number);
    fill(content, want);
    if (record->bytes != payload_bytes(content) ||
        memcmp(record->payload, want, record->bytes) != 0)
        die("commit %" PRIu64 " has other bytes", number);
    if (commit->event_count != content % 5)
        die("commit %" PRIu64 " has other events", number);
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
        die("another store was made over the old one");
    if (info.start <= model->start)
        die("start %" PRIu64 " after %" PRIu64, info.start, model->start);
    if (info.sealed_commit < model->sealed || info.sealed_commit > model->sealing)
        die("sealed up to %" PRIu64 ", but %" PRIu64 " was acked and %" PRIu64 " tried",
            info.sealed_commit, model->sealed, model->sealing);
    struct vt_bytes state = store_state(process->store);

    if (info.sealed_commit > 0 &&
        (state.size != 8 || vt_load64(state.data) != model->content[info.sealed_commit]))
        die("the state is not that of cut %" PRIu64, info.sealed_commit);
    process->position = info.sealed_position;
    number = info.sealed_commit;
    while ((err = store_tail_next(process->store, &commit)) == VT_OK) {
        number++;
        if (number > model->last)
            die("commit %" PRIu64 " was never written", number);
        check_commit(model, &commit, number);
        if (commit.first_position != process->position + 1)
            die("commit %" PRIu64 " is at another position", number);
        process->position += commit.event_count;
    }
    if (err == VT_IO && process->may_fail)
        return err;
    if (err != VT_END)
        die("the tail ends with %s", vt_err_name(err));
    if (number < model->acked)
        die("%" PRIu64 " commits are there, but %" PRIu64 " were acked", number, model->acked);
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
        die("poll: %s", vt_err_name(err));
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
    uint64_t content = draw(&process->random);
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
        die("an empty buffer refuses a record");
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
        die("submit: %s", vt_err_name(err));
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
    uint64_t cut = model->sealing + 1 + draw(&process->random) % (durable - model->sealing);

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
        die("seal: %s", vt_err_name(err));
}

static void trial_after(void *context);

/* Opens what a crash left, with `trial` watching; a crash inside recovery is a crash too. */
static void
check_image(struct io *io, struct model *model, uint32_t depth, uint64_t random)
{
    struct process process = {.io = io, .model = model, .random = random};
    struct trial trial = {.process = &process, .subsets = 1, .depth = depth, .random = random};

    if (depth > 0)
        io_sim_set_hook(io, trial_after, &trial);
    vt_err err = process_open(&process);

    if (err != VT_OK)
        die("open after a crash: %s", vt_err_name(err));
    if (draw(&process.random) % 4 == 0) {
        for (int i = 0; i < 3; i++)
            process_append(&process);
        process_poll(&process, 0);
    }
    io_sim_set_hook(io, NULL, NULL);
    process_close(&process);
    io_close(io);
}

/* After an operation: crash, in several ways, and look. */
static void
trial_after(void *context)
{
    struct trial *trial = context;
    struct process *process = trial->process;

    for (uint32_t i = 0; i < trial->subsets && points.count < points_max; i++) {
        struct io_sim_crash crash = {.seed = draw(&trial->random)};
        struct model model = *process->model;
        uint64_t subset;
        struct io *io;

        crash.kill = crash.seed % 8 == 0;
        if (io_sim_crash(process->io, &crash, &subset, &io) != VT_OK)
            die("out of memory");
        points_add(io_sim_trace(process->io) * 31 + io_sim_operations(process->io) * 7 + subset);
        check_image(io, &model, trial->depth == 0 ? 0 : trial->depth - 1, draw(&trial->random));
    }
}

/* One step of a process that a random number chooses. False where the process has to stop. */
static bool
step(struct process *process)
{
    uint64_t choice = draw(&process->random) % 16;

    if (choice < 8)
        process_append(process);
    else if (choice < 13)
        process_poll(process, choice % 2);
    else if (choice < 15)
        process_seal(process);
    else
        return draw(&process->random) % 8 != 0;
    return log_failed(process->log) == VT_OK;
}

/* Generations of processes on one disk: each ends by a clean stop, a kill or a power cut. */
static void
run_random(uint64_t seed, uint32_t subsets, uint32_t depth)
{
    struct model model = {0};
    struct process process = {.model = &model, .random = seed};
    struct trial trial = {&process, subsets, depth, seed ^ UINT64_C(0xabcdef)};

    if (io_sim_open(seed, &process.io) != VT_OK)
        die("out of memory");
    for (int generation = 0; generation < 4 && points.count < points_max; generation++) {
        io_sim_set_hook(process.io, trial_after, &trial);
        vt_err err = process_open(&process);

        if (err != VT_OK)
            die("open: %s", vt_err_name(err));
        for (int i = 0; i < 60 && step(&process); i++)
            ;
        uint64_t how = draw(&process.random) % 4;
        struct io_sim_crash crash = {.seed = draw(&process.random), .kill = how == 1};
        struct model at_crash = model;
        struct io *old = process.io;
        struct io *next = NULL;
        uint64_t subset;

        if (how == 0) {
            process_close(&process);
            continue;
        }
        if (io_sim_crash(old, &crash, &subset, &next) != VT_OK)
            die("out of memory");
        io_sim_set_hook(old, NULL, NULL);
        process_close(&process);
        io_close(old);
        model = at_crash;
        process.io = next;
    }
    io_sim_set_hook(process.io, NULL, NULL);
    io_close(process.io);
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
        die("out of memory");
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
        crash.seed = draw(&process.random);
        crash.kill = generation == 0;
        if (generation == 1) {
            /* The next one opens what this one leaves, failed syncs and all. */
            process_close(&process);
            continue;
        }
        if (io_sim_crash(process.io, &crash, &subset, &next) != VT_OK)
            die("out of memory");
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
        die("open after kind %d failure %d nth %" PRIu64 "%s: %s", (int)fault->kind,
            (int)fault->failure, fault->nth, fault->for_ever ? " for ever" : "", vt_err_name(err));
    process_close(&process);
    io_close(process.io);
}

static bool
makes_sense(enum io_sim_kind kind, enum io_sim_failure failure)
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

/* Every call of a run without failures fails in turn. Gives the number of runs. */
static uint64_t
run_faults(uint64_t seed)
{
    uint64_t runs = 0;

    for (int kind = 0; kind < IO_SIM_KIND_COUNT; kind++)
        for (int failure = IO_SIM_EIO; failure <= IO_SIM_CANCELLED; failure++) {
            if (!makes_sense((enum io_sim_kind)kind, (enum io_sim_failure)failure))
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

static uint64_t
number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "sim_log: %s is no number\n", text);
        exit(2);
    }
    return number;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"points", required_argument, NULL, 'p'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    uint64_t seed = 1;
    uint64_t runs = 0;
    int option;

    points_max = POINTS_DEFAULT;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT(*-mt-unsafe) */
        if (option == 'p')
            points_max = number_of(optarg);
        else if (option == 's')
            seed = number_of(optarg);
        else
            return 2;
    }
    for (; points.count < points_max; runs++) {
        seed_of_run = seed + runs;
        /* The first runs crash inside recovery everywhere, later ones go further. */
        run_random(seed_of_run, runs % 2 == 0 ? 2 : 6, runs % 2 == 0 ? 1 : 0);
    }
    uint64_t scale = points_max / POINTS_DEFAULT + 1;
    uint64_t fault_runs = 0;

    for (uint64_t i = 0; i < scale; i++) {
        seed_of_run = seed + i;
        fault_runs += run_faults(seed_of_run * 1000003);
        fault_runs += run_recovery_faults(seed_of_run * 1000003);
    }
    free(points.slots);
    printf("sim_log: seed %" PRIu64 ": %" PRIu64 " distinct crash points in %" PRIu64
           " runs, %" PRIu64 " runs with failures, %" PRIu64 " unacked commits lost: all sane\n",
           seed, points.count, runs, fault_runs, lost_count);
    return 0;
}

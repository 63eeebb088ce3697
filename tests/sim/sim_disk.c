/*
 * sim_disk - a whole engine on a disk that fails, fills up or hangs.
 *
 * fails  EIO at every one of the first writes, syncs and completions of a scripted run, once and
 *        for ever: nothing is acked after it, and the next start has exactly what was acked, and of
 *        what was not acked whole frames only.
 * full   ENOSPC at every one of the calls that may meet it outside of the lanes, and disks that
 *        foreign files fill and empty by a seed, with kills: the engine never fails, it refuses and
 *        goes on by itself; views are right all the while.
 * hangs  a write that does not come back: what is taken is bounded, nothing is acked, and all of it
 *        is when the disk goes on.
 *
 * In the end each frame is sent again: what was acked is all duplicates, and everything is there
 * once.
 *
 * usage: sim_disk [--sites N] [--runs N] [--seed S] [--stride N]
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "event_maker.h"
#include "io_sim.h"
#include "sim_model.h"
#include "venturi/assert.h"
#include "venturi/hash.h"
#include "venturi/time.h"
#include "venturi/wire.h"

#define WALL_US       INT64_C(1700000000000000)
#define FRAMES_MAX    1200
#define SCRIPT_FRAMES 660 /* more than 1,000 writes, syncs and completions */
#define FRAME_EVENTS  3
#define LANE_COUNT    3
#define BUFFER_COUNT  6
#define LOOKS_MAX     64 /* of a disk with space, until ingest goes on */

#ifdef __SANITIZE_ADDRESS__
#define RUNS   6 /* a share; tools/soak.sh --disks runs all without sanitizers */
#define STRIDE 23
#else
#define RUNS   20
#define STRIDE 5
#endif

struct run {
    struct io *io;
    struct store *store;
    struct core *core;
    struct core_inline inline_state;
    int64_t now_us;
    uint64_t random;
    uint32_t sent;              /* frames that the core took at least once */
    bool acked[FRAMES_MAX + 1]; /* and that an ack was seen of */
    uint32_t ack_count;
    uint32_t accepted; /* of the last ack */
    uint32_t refused;  /* by a full disk */
    uint32_t stalled;  /* looks that saw a seal wait */
    bool failed;       /* a call was made to fail, or may be */
};

static uint64_t seed_of_run;
static const char *part_of_run = "";

static uint64_t
draw(uint64_t *state)
{
    /* SplitMix64 (G. Steele et al., 2014). */
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
    (void)fprintf(stderr, "sim_disk: %s %" PRIu64 ": ", part_of_run, seed_of_run);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, " [%s]\n", vt_err_last());
    va_end(arguments);
    exit(1);
}

static void
must(vt_err err, const char *what)
{
    if (err != VT_OK)
        die("%s: %s", what, vt_err_name(err));
}

/* ---- life */

static void
run_acked(void *context, void *waiter, const struct core_ack *ack)
{
    struct run *run = context;
    bool *mark = waiter;

    must(ack->err, "an ack");
    if (core_failed(run->core) != VT_OK)
        die("an ack after a failure");
    if (ack->batch == NULL)
        return;
    run->accepted = 0;
    for (uint32_t i = 0; i < ack->event_count; i++)
        run->accepted += ack->batch->verdict[i] == VT_ACCEPTED;
    if (run->accepted != 0 && run->accepted != ack->event_count)
        die("a frame of which %u events of %u were there", ack->event_count - run->accepted,
            ack->event_count);
    if (*mark && run->accepted != 0)
        die("what was acked was not there");
    *mark = true;
    run->ack_count++;
}

static vt_err
run_open(struct run *run)
{
    const struct store_options options = {
        .dir = "s",
        .create = true,
        .lane_count = LANE_COUNT,
        .lane_bytes = 128 << 10,
        .commit_bytes_max = 16 << 10,
        .buffer_count = BUFFER_COUNT,
        .partition_count = 2,
    };
    struct core_callbacks callbacks;

    vt_err_clear();
    vt_err err = store_open(run->io, &options, &run->store);

    if (err != VT_OK)
        return err;
    run->inline_state = (struct core_inline){.worker_count = 1, .acked = run_acked, .context = run};
    core_inline_callbacks(&run->inline_state, &callbacks);
    struct core_options core = {
        .io = run->io,
        .seal_io = run->io,
        .store = run->store,
        .worker_count = 1,
        .dedup_ids_max = 1 << 14,
        .cut_bytes = 44000,
        .merge_width = 1, /* a seal is the first that meets a failure; of merges: sim_engine */
        .callbacks = &callbacks,
    };

    err = core_open(&core, &run->core);
    run->inline_state.core = run->core;
    return err;
}

/* What is in flight comes home unseen. */
static void
run_close(struct run *run)
{
    struct log *log = run->store == NULL ? NULL : store_log(run->store);

    io_sim_set_hang(run->io, false);
    while (log != NULL && log_in_flight(log) > 0)
        must(io_poll(run->io, 1), "io_poll");
    core_close(run->core);
    store_close(run->store);
    run->core = NULL;
    run->store = NULL;
}

/* The process ends by a kill or a power cut; the disk is what that leaves, and fails no more. */
static void
run_crash(struct run *run, bool kill)
{
    struct io_sim_crash crash = {.seed = draw(&run->random), .kill = kill};
    struct io *next = NULL;
    uint64_t subset;

    must(io_sim_crash(run->io, &crash, &subset, &next), "io_sim_crash");
    run_close(run);
    io_close(run->io);
    run->io = next;
}

static void
run_end(struct run *run)
{
    run_close(run);
    io_close(run->io);
}

static bool
run_poll(struct run *run, int64_t wait_ns)
{
    return core_poll(run->core, wait_ns) == VT_OK;
}

static void
run_settle(struct run *run)
{
    for (uint32_t i = 0; i < 1000 && !core_idle(run->core); i++) {
        must(core_submit(run->core, run->now_us), "core_submit");
        must(core_poll(run->core, 1), "core_poll");
    }
    if (!core_idle(run->core))
        die("the engine does not come to rest");
}

static bool
run_start(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof *run);
    run->now_us = WALL_US;
    run->random = seed;
    seed_of_run = seed;
    must(io_sim_open(seed, &run->io), "io_sim_open");
    must(run_open(run), "open");
    must(core_add_catalog(run->core, sim_model_catalog(0), NULL, NULL), "core_add_catalog");
    run_settle(run);
    return true;
}

/* ---- frames and answers */

static vt_err
frame_add(struct run *run, uint32_t number)
{
    struct arena arena;
    uint8_t payload[FRAME_EVENTS * 256];
    uint64_t size = 0;

    arena_init(&arena, 4096);
    for (uint32_t i = 0; i < FRAME_EVENTS; i++) {
        char id[24];
        struct made_event event = {
            .tenant = i % 2 == 0 ? VT_STR("acme") : VT_STR("globex"),
            .type = VT_STR("call"),
            .id = {id, (uint32_t)snprintf(id, sizeof id, "%u-%u", number, i)},
            .source = VT_STR("here"),
            .time_us = WALL_US,
            .field_count = 2,
            .fields = {{VT_STR("region"), VT_STR("eu"), 0}, {VT_STR("tokens"), {NULL, 0}, number}},
        };
        struct vt_bytes bytes = event_bytes(&arena, &event);

        VT_ASSERT(size + bytes.size <= sizeof payload);
        memcpy(payload + size, bytes.data, bytes.size);
        size += bytes.size;
    }
    arena_deinit(&arena);
    struct core_frame frame = {
        .frame_type = VT_FRAME_BATCH_ROWS,
        .event_count = FRAME_EVENTS,
        .payload_crc = vt_crc32c(payload, size),
        .payload = {payload, size},
        .sequence = number,
        .waiter = &run->acked[number],
    };

    vt_err_clear();
    return core_add_frame(run->core, &frame);
}

static void
tally_add(struct tally *sum, const struct view *view)
{
    for (uint32_t p = 0; p < view->part_count; p++) {
        sum->received += view->parts[p].tally.received;
        sum->accepted += view->parts[p].tally.accepted;
        sum->duplicates += view->parts[p].tally.duplicates;
        sum->exceptions += view->parts[p].tally.exceptions;
    }
}

/* A reader is answered whatever the disk does, and sees what is acked. */
static void
view_check(struct run *run)
{
    struct tally tally = {0};
    struct view view = {0};

    must(core_view_ask(run->core, true, &view), "core_view_ask");
    while (view.parts == NULL)
        if (!run_poll(run, 1))
            return; /* it failed meanwhile */
    tally_add(&tally, &view);
    view_put(&view);
    if (tally.received != tally.accepted + tally.duplicates + tally.exceptions ||
        tally.exceptions != 0)
        die("the counters do not add up");
    if (tally.received < (uint64_t)run->ack_count * FRAME_EVENTS && run->ack_count > 0 &&
        run->sent < FRAMES_MAX)
        die("%" PRIu64 " events received, %u frames acked", tally.received, run->ack_count);
}

/* One frame in. False where the engine failed. `*out_taken` is false where the disk is full. */
static bool
frame_offer(struct run *run, uint32_t number, bool *out_taken)
{
    vt_err err = frame_add(run, number);

    *out_taken = false;
    for (uint32_t tries = 0; err == VT_AGAIN; tries++) {
        if (core_submit(run->core, run->now_us) != VT_OK || !run_poll(run, 1))
            return false;
        err = frame_add(run, number);
        if (err == VT_AGAIN && tries == 1000)
            die("the engine neither takes nor refuses frame %u", number);
    }
    if (err == VT_DISK_FULL) {
        run->refused++;
        return true;
    }
    if (err != VT_OK && core_failed(run->core) != VT_OK)
        return false;
    must(err, "core_add_frame");
    *out_taken = true;
    return true;
}

/* The script: frames from `first` on, one a commit mostly. False where the engine failed. */
static bool
script(struct run *run, uint32_t first, uint32_t end)
{
    uint32_t looks = 0;

    for (uint32_t number = first; number < end;) {
        bool taken;

        if (!frame_offer(run, number, &taken))
            return false;
        if (taken) {
            run->sent = number + 1;
            looks = 0;
            number++;
        } else if (++looks > LOOKS_MAX && run->failed) {
            return false; /* without a reserve, whatever keeps it away, nothing is taken */
        } else if (looks > LOOKS_MAX) {
            die("the disk has space, but frame %u is not taken", number);
        } else {
            core_look(run->core);
        }
        if (number % 4 != 3 && core_submit(run->core, run->now_us) != VT_OK)
            return false;
        if (!run_poll(run, number % 2))
            return false;
        if (number % 64 == 0)
            view_check(run);
        run->now_us += number % 16 == 0 ? VT_US_PER_SECOND : 0;
    }
    return true;
}

/* On a disk that is well: every frame once more, and all are there once. */
static void
check_all(struct run *run)
{
    static const struct io_sim_fault none;
    uint64_t before = 0;
    struct tally tally = {0};
    struct view view;

    run->failed = false;
    io_sim_set_fault(run->io, &none);
    io_sim_set_space(run->io, UINT64_MAX);
    if (run->core == NULL)
        must(run_open(run), "open on a disk that is well");
    for (uint32_t i = 0; i < LOOKS_MAX; i++)
        core_look(run->core);
    must(core_view_now(run->core, true, &view), "core_view_now");
    tally_add(&tally, &view);
    view_put(&view);
    before = tally.received;
    if (before < (uint64_t)run->ack_count * FRAME_EVENTS)
        die("%" PRIu64 " events are there, %u frames were acked", before, run->ack_count);
    if (!script(run, 0, run->sent))
        die("the engine fails on a disk that is well: %s", vt_err_name(core_failed(run->core)));
    run_settle(run);
    tally = (struct tally){0};
    must(core_view_now(run->core, true, &view), "core_view_now");
    tally_add(&tally, &view);
    view_put(&view);
    if (tally.accepted != (uint64_t)run->sent * FRAME_EVENTS ||
        tally.received != before + (uint64_t)run->sent * FRAME_EVENTS)
        die("%" PRIu64 " accepted of %" PRIu64 " received; %u frames were sent", tally.accepted,
            tally.received, run->sent);
}

/* ---- a disk that fails */

static uint64_t
sites_of_script(enum io_sim_kind kind, uint64_t *out_before)
{
    static struct run run;

    (void)run_start(&run, 1);
    *out_before = io_sim_calls(run.io, kind);
    if (!script(&run, 0, SCRIPT_FRAMES))
        die("the script fails on a disk that is well");
    uint64_t sites = io_sim_calls(run.io, kind) - *out_before;

    run_end(&run);
    return sites;
}

static uint64_t
run_fails(uint64_t sites_max, uint64_t stride)
{
    static struct run run;
    uint64_t before;
    uint64_t sites = sites_of_script(IO_SIM_DURABLE, &before);
    uint64_t runs = 0;

    sites = sites < sites_max ? sites : sites_max;
    for (uint64_t site = 1; site <= sites; site += stride) {
        for (uint32_t for_ever = 0; for_ever < 2; for_ever++, runs++) {
            struct io_sim_fault fault = {.kind = IO_SIM_DURABLE,
                                         .failure = IO_SIM_EIO,
                                         .nth = before + site,
                                         .for_ever = for_ever != 0};

            (void)run_start(&run, 1);
            run.failed = true;
            io_sim_set_fault(run.io, &fault);
            bool fine = script(&run, 0, SCRIPT_FRAMES);

            seed_of_run = site;
            if (fine && io_sim_calls(run.io, IO_SIM_DURABLE) >= fault.nth &&
                core_failed(run.core) == VT_OK && for_ever != 0)
                die("nothing fails on a disk that fails for ever");
            uint32_t acked = run.ack_count;

            for (int i = 0; i < 20 && core_failed(run.core) != VT_OK; i++)
                (void)!core_poll(run.core, 1);
            if (run.ack_count != acked)
                die("acks after a failure");
            run_crash(&run, site % 3 == 0);
            check_all(&run);
            run_end(&run);
        }
    }
    return runs;
}

/* ---- a disk that is full */

static uint64_t
run_no_space(uint64_t sites_max, uint64_t stride)
{
    static const enum io_sim_kind kinds[] = {IO_SIM_WRITE, IO_SIM_SYNC, IO_SIM_SYNC_DIR,
                                             IO_SIM_CREATE, IO_SIM_NAME};
    static struct run run;
    uint64_t runs = 0;

    for (size_t k = 0; k < VT_COUNT(kinds); k++) {
        uint64_t before;
        uint64_t sites = sites_of_script(kinds[k], &before);

        sites = sites < sites_max / 4 ? sites : sites_max / 4;
        for (uint64_t site = 1; site <= sites; site += stride, runs++) {
            struct io_sim_fault fault = {
                .kind = kinds[k], .failure = IO_SIM_ENOSPC, .nth = before + site};

            (void)run_start(&run, 1);
            seed_of_run = site + 1000000 * k;
            fault.for_ever = site % 2 == 0;
            io_sim_set_fault(run.io, &fault);
            /* For ever: until there is nothing that could still be taken. */
            for (uint32_t number = 0; number < FRAMES_MAX / 4 && run.refused < 8; number++) {
                bool taken;

                if (!frame_offer(&run, number, &taken))
                    die("a full disk is no failure: %s", vt_err_name(core_failed(run.core)));
                run.sent = number + 1;
                must(core_submit(run.core, run.now_us), "core_submit");
                must(core_poll(run.core, 1), "core_poll");
                core_look(run.core);
            }
            view_check(&run);
            if (site % 3 == 0)
                run_crash(&run, site % 2 == 0);
            check_all(&run);
            run_end(&run);
        }
    }
    return runs;
}

/* Foreign files come and go, the process is killed, and starts again, with less space than it
 * wants. */
static void
run_small(uint64_t seed, uint64_t counts[3])
{
    static struct run run;
    uint32_t number = 0;

    (void)run_start(&run, seed);
    for (uint32_t step = 0; step < 600 && number < FRAMES_MAX / 2; step++) {
        uint64_t choice = draw(&run.random);
        struct core_stats stats;
        bool taken;

        if (choice % 16 == 0)
            io_sim_set_space(run.io, io_sim_used(run.io) + (choice >> 8) % (3 << 20));
        if (choice % 32 == 1) /* a quota that was lowered: not even the reserve helps */
            io_sim_set_space(run.io, io_sim_used(run.io) - (choice >> 8) % (2 << 20));
        if (choice % 64 == 2) {
            run_crash(&run, choice % 128 == 2);
            vt_err err = run_open(&run);

            if (err == VT_FULL) { /* not even for two manifests */
                run_close(&run);
                counts[2]++;
                io_sim_set_space(run.io, UINT64_MAX);
                err = run_open(&run);
            }
            must(err, "open");
        }
        if (!frame_offer(&run, number, &taken))
            die("a full disk is no failure: %s", vt_err_name(core_failed(run.core)));
        number += taken;
        run.sent = number;
        must(core_submit(run.core, run.now_us), "core_submit");
        must(core_poll(run.core, 1), "core_poll");
        core_look(run.core);
        core_get_stats(run.core, &stats);
        run.stalled += stats.seal_waits;
        if (step % 32 == 0)
            view_check(&run);
    }
    counts[0] += run.refused;
    counts[1] += run.stalled;
    if (seed % 2 == 0)
        run_crash(&run, seed % 4 == 0);
    check_all(&run);
    run_end(&run);
}

/* ---- a disk that hangs */

static void
run_hangs(uint64_t seed)
{
    static struct run run;
    uint32_t taken = 0;

    (void)run_start(&run, seed);
    if (!script(&run, 0, 50))
        die("the script fails");
    run_settle(&run);
    uint32_t acked = run.ack_count;

    io_sim_set_hang(run.io, true);
    for (uint32_t tries = 0; tries < 400; tries++) {
        vt_err err = frame_add(&run, 50 + taken);

        if (err == VT_OK)
            taken++;
        else if (err != VT_AGAIN)
            die("a disk that hangs: %s", vt_err_name(err));
        must(core_submit(run.core, run.now_us), "core_submit");
        must(core_poll(run.core, 1), "core_poll");
        core_look(run.core);
    }
    if (run.ack_count != acked)
        die("acks of what is not durable");
    if (taken == 0 || taken > BUFFER_COUNT * 120)
        die("%u frames taken while nothing is written", taken);
    io_sim_set_hang(run.io, false);
    run_settle(&run);
    if (run.ack_count != acked + taken)
        die("%u acks of %u frames that hung", run.ack_count - acked, taken);
    run.sent = 50 + taken;
    check_all(&run);
    run_end(&run);
}

static uint64_t
number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "sim_disk: %s is no number\n", text);
        exit(2);
    }
    return number;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"sites", required_argument, NULL, 'n'},
        {"runs", required_argument, NULL, 'r'},
        {"stride", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    uint64_t sites = 1000;
    uint64_t runs = RUNS;
    uint64_t stride = STRIDE;
    uint64_t seed = 1;
    uint64_t counts[3] = {0};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT(*-mt-unsafe) */
        if (option == 'n')
            sites = number_of(optarg);
        else if (option == 'r')
            runs = number_of(optarg);
        else if (option == 't')
            stride = number_of(optarg);
        else if (option == 's')
            seed = number_of(optarg);
        else
            return 2;
    }
    part_of_run = "fails: site";
    uint64_t fails = run_fails(sites, stride);

    part_of_run = "no space: site";
    uint64_t no_space = run_no_space(sites, stride);

    part_of_run = "small: seed";
    for (uint64_t i = 0; i < runs; i++)
        run_small(seed + i, counts);
    part_of_run = "hangs: seed";
    for (uint64_t i = 0; i < runs; i++)
        run_hangs(seed + i);
    if (runs >= 20 && (counts[0] == 0 || counts[1] == 0))
        die("no run met a full disk");
    printf("sim_disk: %" PRIu64 " runs with EIO, %" PRIu64 " with ENOSPC, %" PRIu64
           " on small disks (%" PRIu64 " frames refused, %" PRIu64
           " looks at a seal that waits, %" PRIu64 " starts without space), %" PRIu64
           " hung: all sane\n",
           fails, no_space, runs, counts[0], counts[1], counts[2], runs);
    return 0;
}

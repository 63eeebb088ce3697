/*
 * Goal:   a segment that was finished survives any crash, and no failure or crash before that
 *         leaves a file that could be taken for one.
 * Method: the simulated disk: each call of each kind fails, once and for ever, in each way; a crash
 *         after each operation with several surviving subsets. What opens and verifies must be
 *         whole.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "io_sim.h"
#include "segment.h"
#include "venturi/assert.h"

#define VALUES      4000
#define SUBSETS     6
#define TARGET      "d/segments/a.vseg"
#define CALLS_MAX   200
#define CRASHES_MAX 400

static const struct segment_id id = {
    .store = 77, .cut = 5, .first_position = 1, .last_position = VALUES, .partition = 3};
static const struct chunk_key key_noise = {1, 0, 0, 0};
static const struct chunk_key key_text = {2, 0, 0, 0};
static int64_t noise[VALUES];
static uint8_t text[3 * 1024 * 1024]; /* more than one flush of the writer */

static struct io *
disk_make(uint64_t seed)
{
    struct io *io = NULL;
    uint64_t x = 99;
    vt_err err = io_sim_open(seed, &io);

    VT_ASSERT(err == VT_OK);
    err = io_make_dir(io, "d");
    VT_ASSERT(err == VT_OK);
    err = io_make_dir(io, "d/segments");
    VT_ASSERT(err == VT_OK);
    err = io_sync_dir(io, ".");
    VT_ASSERT(err == VT_OK);
    err = io_sync_dir(io, "d");
    VT_ASSERT(err == VT_OK);
    for (uint32_t i = 0; i < VALUES; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        noise[i] = (int64_t)x;
    }
    for (uint32_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 2654435761u >> 24);
    return io;
}

/* One whole try; the first error ends it. */
static vt_err
segment_try(struct io *io)
{
    struct segment_writer *writer = NULL;
    uint64_t size = 0;
    vt_err err = segment_writer_open(io, TARGET, &id, &writer);

    if (err != VT_OK)
        return err;
    err = segment_put_integers(writer, key_noise, noise, VALUES);
    if (err == VT_OK)
        err = segment_put_bytes(writer, key_text, (struct vt_bytes){text, sizeof text});
    if (err == VT_OK)
        err = segment_writer_finish(writer, &size);
    else
        VT_ASSERT(segment_writer_finish(writer, &size) != VT_OK); /* broken is broken */
    segment_writer_close(writer);
    return err;
}

/* VT_OK where the file opens, verifies and holds what was put; VT_DIFFERENT where it verifies and
 * does not. */
static vt_err
segment_judge(struct io *io)
{
    static int64_t got[VALUES];
    struct segment *segment = NULL;
    struct chunk_info info;
    vt_err err = segment_open(io, TARGET, &id, &segment);

    if (err != VT_OK)
        return err;
    err = segment_verify(segment);
    if (err == VT_OK) {
        err = segment_find(segment, key_noise, &info);
        if (err == VT_OK)
            err = segment_read_integers(segment, &info, got);
        if (err != VT_OK || memcmp(got, noise, sizeof noise) != 0)
            err = VT_DIFFERENT;
    }
    segment_close(segment);
    return err;
}

Test(segment_writer, what_was_finished_survives_any_crash, .timeout = 60)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct io *io = disk_make(seed);
        struct io *after = NULL;
        struct io_sim_crash crash = {.seed = seed * 31};
        uint64_t subset = 0;

        cr_assert(io_sync_dir(io, "d/segments") == VT_OK);
        cr_assert(segment_try(io) == VT_OK, "%s", vt_err_last());
        cr_assert(io_sim_crash(io, &crash, &subset, &after) == VT_OK);
        cr_expect(segment_judge(after) == VT_OK, "seed %llu: %s", (unsigned long long)seed,
                  vt_err_last());
        io_close(after);
        io_close(io);
    }
}

static const enum io_sim_failure failures[] = {IO_SIM_EIO, IO_SIM_ENOSPC, IO_SIM_SHORT,
                                               IO_SIM_CANCELLED};

/* The try with one fault; true where the fault was reached. */
static bool
fault_try(const struct io_sim_fault *fault, vt_err *out_err, vt_err *out_judged, vt_err *out_again)
{
    struct io *io = disk_make(4);
    uint64_t before = io_sim_calls(io, fault->kind);
    struct io_sim_fault shifted = *fault;

    shifted.nth += before;
    io_sim_set_fault(io, &shifted);
    vt_err_clear();
    *out_err = segment_try(io);
    bool reached = io_sim_calls(io, fault->kind) >= shifted.nth;

    /* The disk is well again: what is there now, and does the next try at this cut work? */
    io_sim_set_fault(io, &(struct io_sim_fault){.nth = 0});
    vt_err_clear();
    *out_judged = segment_judge(io);
    vt_err_clear();
    *out_again = segment_try(io);
    io_close(io);
    return reached;
}

static uint32_t
faults_of_kind(enum io_sim_kind kind, enum io_sim_failure failure, bool for_ever)
{
    uint32_t tried = 0;

    for (uint64_t nth = 1; nth < CALLS_MAX; nth++) {
        struct io_sim_fault fault = {
            .kind = kind, .failure = failure, .nth = nth, .for_ever = for_ever};
        vt_err err;
        vt_err judged;
        vt_err again;

        if (!fault_try(&fault, &err, &judged, &again))
            return tried;
        tried++;
        /* A short transfer may be settled inside of io; then nothing happened. */
        if (err == VT_OK)
            VT_ASSERT(judged == VT_OK);
        else
            VT_ASSERT(judged == VT_NOT_FOUND || judged == VT_DAMAGED || judged == VT_OK);
        VT_ASSERT(err != VT_OK || failure == IO_SIM_SHORT || kind == IO_SIM_NAME);
        VT_ASSERT(again == VT_OK);
    }
    return tried;
}

Test(segment_writer, every_failure_is_told_and_leaves_nothing, .timeout = 120)
{
    static const enum io_sim_kind kinds[] = {IO_SIM_OPEN,    IO_SIM_CREATE, IO_SIM_READ,
                                             IO_SIM_WRITE,   IO_SIM_SYNC,   IO_SIM_SIZE,
                                             IO_SIM_SYNC_DIR};

    for (size_t i = 0; i < VT_COUNT(kinds); i++) {
        uint32_t tried = 0;

        for (size_t k = 0; k < VT_COUNT(failures); k++) {
            tried += faults_of_kind(kinds[i], failures[k], false);
            tried += faults_of_kind(kinds[i], failures[k], true);
        }
        cr_expect(tried >= 8, "kind %zu was reached %u times", i, tried);
    }
}

/* Crashes after each operation of a try. */
struct crash_watch {
    struct io *io;
    uint32_t crashes;
    uint32_t whole;
    uint32_t different;
};

static void
crash_here(void *context)
{
    struct crash_watch *watch = context;

    if (watch->crashes >= CRASHES_MAX)
        return;
    for (uint64_t seed = 0; seed < SUBSETS; seed++) {
        struct io_sim_crash crash = {.seed = seed * 977 + watch->crashes};
        struct io *after = NULL;
        uint64_t subset = 0;
        vt_err err = io_sim_crash(watch->io, &crash, &subset, &after);

        VT_ASSERT(err == VT_OK);
        vt_err_clear();
        err = segment_judge(after);
        watch->crashes++;
        watch->whole += err == VT_OK;
        watch->different += err != VT_OK && err != VT_NOT_FOUND && err != VT_DAMAGED;
        io_close(after);
    }
}

Test(segment_writer, a_crash_on_the_way_leaves_no_false_segment, .timeout = 120)
{
    struct crash_watch watch = {.io = disk_make(11)};

    cr_assert(io_sync_dir(watch.io, "d/segments") == VT_OK);
    io_sim_set_hook(watch.io, crash_here, &watch);
    cr_assert(segment_try(watch.io) == VT_OK);
    io_sim_set_hook(watch.io, NULL, NULL);
    cr_expect(watch.different == 0);
    cr_expect(watch.crashes > 3 * SUBSETS, "%u crashes", watch.crashes);
    cr_expect(watch.whole >= SUBSETS, "at least after the last operation");
    io_close(watch.io);
}

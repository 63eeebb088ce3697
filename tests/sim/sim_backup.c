/*
 * sim_backup - a store and its second copy on one simulated disk. Commits, seals and restarts of
 * the store alternate with rounds of the backup; after every operation of a round the backup is
 * killed, or the power cut, and the copy is read as it lies there:
 *
 *   there is no copy yet, or one that opens, whose every checksum is right, and which is the store
 *   at an earlier commit: the same segments byte for byte as far as it is sealed, the same commits
 *   behind; it reaches as far as the last round that ended. Another backup then brings it up to the
 *   store, and a restore makes a store of it that takes more commits.
 *
 * In some runs the store loses commits that the copy has, and goes on with others; in every other
 * one it grows while a round is under way.
 *
 * usage: sim_backup [--runs N] [--seed S]
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy_rig.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define RUNS_DEFAULT 4
#define STEPS        14
#define SEGMENTS_MAX 24 /* the disk has room for few names */
#define FILES        5

struct watch {
    struct io *io;
    struct copy_rig_image *source; /* as it is during the round */
    struct copy_rig_image *lost;   /* as it was when the copy last saw it, and is no more */
    bool has_lost;
    uint64_t reached;     /* by the rounds that ended */
    struct copy_rig *rig; /* of a store that grows during the round; NULL: it rests */
    uint64_t random;
    uint64_t points;
    uint64_t lost_points;
};

static uint64_t seed_of_run;

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "sim_backup: --seed %" PRIu64 ": ", seed_of_run);
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

static struct copy_rig_image *
image_new(void)
{
    struct copy_rig_image *image = calloc(1, sizeof *image);

    if (image == NULL)
        die("out of memory");
    return image;
}

/* Why `copy` is not the store at an earlier commit; NULL where it is. */
static const char *
not_before(const struct copy_rig_image *source, const struct copy_rig_image *copy)
{
    if (copy->sealed > source->sealed)
        return "the copy is sealed further than the store";
    if (copy->last > source->last)
        return "the copy ends behind the store";
    for (uint64_t i = 0; i < copy->segments; i++)
        if (copy->files[i] != source->files[i])
            return "a segment differs";
    for (uint64_t number = source->sealed + 1; number <= copy->last; number++)
        if (copy->checks[number - copy->sealed - 1] != source->checks[number - source->sealed - 1])
            return "a commit differs";
    return NULL;
}

static void
expect_prefix(const struct copy_rig_image *source, const struct copy_rig_image *copy)
{
    const char *problem = not_before(source, copy);

    if (problem != NULL)
        die("%s: copy %" PRIu64 " to %" PRIu64 ", store %" PRIu64 " to %" PRIu64, problem,
            copy->sealed, copy->last, source->sealed, source->last);
}

/* Rounds until the copy has all there is; VT_AGAIN is for a store that moves, and none does
 * here. */
static void
backup_all(struct io *io, uint64_t *out_commit)
{
    const struct backup_options options = {.dir = "s", .to = "c"};
    struct backup *backup = NULL;
    struct backup_state state = {.more = true};

    vt_err_clear();
    must(backup_open(io, &options, &backup), "backup_open");
    for (uint32_t i = 0; state.more; i++) {
        if (i == 8)
            die("a backup of a store that rests does not end");
        must(backup_round(backup), "backup_round");
        backup_get_state(backup, &state);
    }
    *out_commit = state.commit;
    backup_close(backup);
}

static void
expect_equal(const struct copy_rig_image *source, const struct copy_rig_image *copy)
{
    expect_prefix(source, copy);
    if (copy->last != source->last || copy->sealed != source->sealed ||
        copy->segments != source->segments || copy->state != source->state)
        die("the copy ends at %" PRIu64 ", the store at %" PRIu64, copy->last, source->last);
}

/* The copy on a crashed disk, brought up to date, and made a store. */
static void
go_on(struct io *io, const struct copy_rig_image *source)
{
    const struct restore_options options = {.from = "c", .dir = "r"};
    struct copy_rig_image *image = image_new();
    struct restore_result result;
    struct copy_rig rig;
    uint64_t commit = 0;

    backup_all(io, &commit);
    must(copy_rig_read(io, "c", image), "the copy after a second backup");
    expect_equal(source, image);
    vt_err_clear();
    must(restore_run(io, &options, &result), "restore");
    if (result.commit != source->last || result.history == result.old_history)
        die("restored up to %" PRIu64 " of %" PRIu64, result.commit, source->last);
    must(copy_rig_read(io, "r", image), "the restored store");
    expect_prefix(source, image);
    if (image->last != source->last || image->start <= source->start + 1000000)
        die("the restored store ends at %" PRIu64 " in start %" PRIu64, image->last, image->start);
    copy_rig_open(&rig, io, "r", 1);
    copy_rig_append(&rig, 3);
    copy_rig_seal(&rig);
    copy_rig_append(&rig, 2);
    copy_rig_close(&rig);
    must(copy_rig_read(io, "r", image), "the restored store, used");
    free(image);
}

static void
crash_and_look(struct watch *watch, bool kill, bool more)
{
    struct io_sim_crash crash = {.seed = copy_rig_draw(&watch->random), .kill = kill};
    struct copy_rig_image *image = image_new();
    struct io *io = NULL;
    uint64_t subset = 0;

    vt_err_clear();
    must(io_sim_crash(watch->io, &crash, &subset, &io), "crash");
    vt_err err = copy_rig_read(io, "c", image);

    if (err == VT_OK && !(watch->has_lost && not_before(watch->lost, image) == NULL))
        expect_prefix(watch->source, image);
    else if (err == VT_OK)
        watch->lost_points++;
    else if (err != VT_NOT_FOUND || watch->reached > 0)
        die("%s: the copy does not open: %s", kill ? "kill" : "power cut", vt_err_name(err));
    if (err == VT_OK && image->last < watch->reached)
        die("%s: the copy ends at %" PRIu64 ", %" PRIu64 " was reached",
            kill ? "kill" : "power cut", image->last, watch->reached);
    if (more)
        go_on(io, watch->source);
    watch->points++;
    io_close(io);
    free(image);
}

static void
store_grow(struct watch *watch)
{
    uint64_t choice = copy_rig_draw(&watch->random);

    copy_rig_append(watch->rig, 1 + (uint32_t)(choice % 5));
    watch->rig->bare = watch->source->segments >= SEGMENTS_MAX;
    if ((choice >> 8) % 4 == 0)
        copy_rig_seal(watch->rig);
    must(copy_rig_read(watch->io, "s", watch->source), "the store");
}

static void
after_operation(void *context)
{
    struct watch *watch = context;
    uint64_t random = copy_rig_draw(&watch->random);

    io_sim_set_hook(watch->io, NULL, NULL);
    if (watch->rig != NULL && (random >> 16) % 5 == 0)
        store_grow(watch);
    crash_and_look(watch, random % 3 == 0, (random >> 8) % 16 == 0);
    io_sim_set_hook(watch->io, after_operation, watch);
}

/* The files of the store as they were, while the copy keeps what it has. */
struct rewind {
    struct vt_bytes bytes[FILES];
};
static const char *const files[FILES] = {"s/store", "s/manifest-0", "s/manifest-1", "s/lane-00",
                                         "s/lane-01"};

static void
rewind_take(struct io *io, struct rewind *rewind)
{
    for (uint32_t i = 0; i < FILES; i++)
        rewind->bytes[i] = copy_rig_file(io, files[i]);
}

static void
rewind_put(struct io *io, struct rewind *rewind)
{
    for (uint32_t i = 0; i < FILES; i++) {
        vt_err ignored = io_unlink(io, files[i]);

        (void)ignored;
        must(io_sync_dir(io, "s"), "sync");
        must(io_sim_put_file(io, files[i], rewind->bytes[i]), files[i]);
        free(vt_owned(rewind->bytes[i].data));
    }
}

static void
source_grow(struct io *io, uint64_t choice)
{
    struct copy_rig rig;

    copy_rig_open(&rig, io, "s", choice);
    copy_rig_append(&rig, (uint32_t)(choice >> 8) % 5);
    if (choice % 3 == 0)
        copy_rig_seal(&rig);
    copy_rig_append(&rig, (uint32_t)(choice >> 16) % 4);
    copy_rig_close(&rig);
}

/* The copy sees commits that the store then loses, and goes on with others. */
static void
source_lose(struct watch *watch, uint64_t choice)
{
    struct rewind rewind;
    struct copy_rig rig;
    uint64_t commit = 0;

    rewind_take(watch->io, &rewind);
    copy_rig_open(&rig, watch->io, "s", choice + 1);
    copy_rig_append(&rig, 1 + (uint32_t)(choice >> 24) % 3);
    copy_rig_close(&rig);
    backup_all(watch->io, &commit);
    must(copy_rig_read(watch->io, "s", watch->lost), "the store before it loses");
    rewind_put(watch->io, &rewind);
    for (uint32_t i = 0; i <= choice % 2; i++) {
        copy_rig_open(&rig, watch->io, "s", choice + 2);
        copy_rig_append(&rig, (uint32_t)(choice >> 32) % 3);
        copy_rig_close(&rig);
    }
    watch->has_lost = true;
    watch->reached = 0;
}

static void
run(struct watch *watch, uint64_t seed)
{
    struct copy_rig_image *copy = image_new();
    uint64_t commit = 0;

    seed_of_run = seed;
    watch->random = seed;
    watch->reached = 0;
    must(io_sim_open(seed, &watch->io), "io");
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t choice = copy_rig_draw(&watch->random);

        watch->has_lost = false;
        source_grow(watch->io, choice);
        if (choice >> 40 & 1)
            source_lose(watch, choice);
        must(copy_rig_read(watch->io, "s", watch->source), "the store");
        io_sim_set_hook(watch->io, after_operation, watch);
        backup_all(watch->io, &commit);
        io_sim_set_hook(watch->io, NULL, NULL);
        watch->reached = commit;
        watch->has_lost = false;
        must(copy_rig_read(watch->io, "c", copy), "the copy");
        expect_equal(watch->source, copy);
        crash_and_look(watch, false, true);
    }
    io_close(watch->io);
    free(copy);
}

/* One backup that follows while the store grows, also in the middle of a round. */
static void
run_follow(struct watch *watch, uint64_t seed)
{
    const struct backup_options options = {.dir = "s", .to = "c"};
    struct copy_rig_image *copy = image_new();
    struct backup_state state = {.more = true};
    struct backup *backup = NULL;
    struct copy_rig rig;

    seed_of_run = seed;
    watch->random = seed;
    watch->reached = 0;
    watch->has_lost = false;
    must(io_sim_open(seed, &watch->io), "io");
    copy_rig_open(&rig, watch->io, "s", seed);
    must(backup_open(watch->io, &options, &backup), "backup_open");
    for (uint32_t step = 0; step <= STEPS * 2 || state.more; step++) {
        bool grows = step < STEPS * 2;

        if (step == STEPS) { /* another start */
            copy_rig_close(&rig);
            copy_rig_open(&rig, watch->io, "s", seed + 1);
        }
        watch->rig = &rig;
        if (grows)
            store_grow(watch);
        else
            watch->rig = NULL;
        io_sim_set_hook(watch->io, after_operation, watch);
        vt_err_clear();
        vt_err err = backup_round(backup);

        io_sim_set_hook(watch->io, NULL, NULL);
        if (err != VT_OK && err != VT_AGAIN)
            die("round: %s", vt_err_name(err));
        backup_get_state(backup, &state);
        watch->reached = err == VT_OK ? state.commit : watch->reached;
        state.more = state.more || err != VT_OK;
    }
    watch->rig = NULL;
    backup_close(backup);
    copy_rig_close(&rig);
    must(copy_rig_read(watch->io, "s", watch->source), "the store");
    must(copy_rig_read(watch->io, "c", copy), "the copy");
    expect_prefix(watch->source, copy);
    if (copy->last < watch->source->last)
        die("the copy ends at %" PRIu64 ", the store at %" PRIu64, copy->last, watch->source->last);
    io_close(watch->io);
    free(copy);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"runs", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    uint64_t runs = RUNS_DEFAULT;
    uint64_t seed = 0;
    struct watch watch = {.source = image_new(), .lost = image_new()};
    struct io *io = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'r')
            runs = strtoull(optarg, NULL, 10);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (seed == 0) {
        must(io_uring_open(0, &io), "io");
        must(io_random(io, &seed, 4), "random");
        io_close(io);
        seed = (seed & UINT32_MAX) + 1;
    }
    (void)printf("sim_backup: --runs %" PRIu64 " --seed %" PRIu64 "\n", runs, seed);
    for (uint64_t i = 0; i < runs; i++) {
        run(&watch, seed + i);
        run_follow(&watch, seed + i);
    }
    (void)printf("sim_backup: %" PRIu64 " runs, %" PRIu64 " ends of a backup, %" PRIu64
                 " of them as of commits that the store had lost\n",
                 runs, watch.points, watch.lost_points);
    free(watch.source);
    free(watch.lost);
    return 0;
}

/*
 * power_cut - what a power cut leaves of a store on a real ext4. A whole engine over the real disk
 * (io_uring, direct writes with DSYNC) works on an ext4 whose block device records every write and
 * flush (recorded_disk.h). Then images are made: a moment is chosen; what a flush before it has
 * confirmed is there; of the writes since the last flush any subset is, torn at 512 bytes. Each
 * image is mounted, the engine opened on it, and support/sim_world.h says what must be there: all
 * that was acked at that moment, nothing twice, windows and digest of some commit; and
 * store_verify finds nothing.
 *
 * usage: power_cut [--images N] [--steps N] [--seed S] [--no-flush]
 *
 *   --images N   (40)
 *   --steps N    of the workload (400)
 *   --no-flush   as on a disk that lies about flushes: must be seen to lose something
 *
 * exit status: 0 all sane, 1 something was lost, 2 usage, 77 this system cannot do it
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorded_disk.h"
#include "sim_frame.h"
#include "sim_world.h"
#include "venturi/assert.h"

#define DISK_BYTES   (UINT64_C(24) << 20)
#define SECTOR       512U
#define MARKS_MAX    65536U
#define RING_ENTRIES 64
#define SKIPPED      77

/* How a subset is chosen; the plain ones find most. */
enum survival { LOSE_ALL, KEEP_ALL, SECTORS, WRITES, PREFIX, LOSE_ONE, KEEP_ONE, SURVIVALS };

/* After `records` commit `commit` was known to be durable. */
struct mark {
    uint64_t records;
    uint64_t commit;
};

struct power {
    char root[64]; /* of all that is mounted */
    char fuse_dir[96];
    char disk_dir[96];
    char image_path[96];
    char image_dir[96];
    struct recorded_disk *disk;
    struct mark *marks;
    uint32_t mark_count;
    uint64_t begin;   /* records before the workload: the file system alone */
    uint8_t *durable; /* the disk as the flushes before a moment have made it */
    uint64_t applied; /* records that are in it */
    uint8_t *image;   /* of the file that is mounted */
    uint64_t random;
    bool no_flush;
    uint64_t kept; /* commits that were not acked and are there, in all images */
};

static struct power all;

static void
skip(const char *why)
{
    printf("power_cut: skipped: %s [%s]\n", why, vt_err_last());
    exit(SKIPPED);
}

static int
run(const char *const arguments[])
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);

        (void)dup2(null, 1);
        (void)dup2(null, 2);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Mounts are of this process alone, and end with it. */
static void
prepare(struct power *power)
{
    char *paths[] = {power->fuse_dir, power->disk_dir, power->image_dir};
    static const char *const names[] = {"fuse", "disk", "image"};

    if (geteuid() != 0)
        skip("mounting needs root");
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        skip("no mount namespace of its own");
    (void)snprintf(power->root, sizeof power->root, "/tmp/venturi_power_XXXXXX");
    if (mkdtemp(power->root) == NULL || mount("none", power->root, "tmpfs", 0, "size=64m") != 0)
        skip("no tmpfs");
    for (size_t i = 0; i < VT_COUNT(paths); i++) {
        (void)snprintf(paths[i], sizeof power->fuse_dir, "%s/%s", power->root, names[i]);
        if (mkdir(paths[i], 0700) != 0)
            skip("no directory");
    }
    (void)snprintf(power->image_path, sizeof power->image_path, "%s/image.ext4", power->root);
}

static void
make_disk(struct power *power)
{
    vt_err err = recorded_disk_open(DISK_BYTES, power->fuse_dir, &power->disk);

    if (err != VT_OK)
        skip("no recorded disk");
    const char *const mkfs[] = {"mkfs.ext4",
                                "-q",
                                "-F",
                                "-b",
                                "4096",
                                "-J",
                                "size=4",
                                "-E",
                                "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
                                recorded_disk_device(power->disk),
                                NULL};

    if (run(mkfs) != 0)
        skip("mkfs.ext4 does not work here");
    if (mount(recorded_disk_device(power->disk), power->disk_dir, "ext4", MS_NOATIME, "") != 0)
        skip("ext4 cannot be mounted");
}

/* The ground of it all: a direct write with DSYNC of a block that was written before comes to the
 * device as a write, and a flush follows before the call returns. */
static void
check_dsync(struct power *power)
{
    char path[128];
    uint8_t *block = aligned_alloc(4096, 4096);
    struct recorded record;
    bool written = false;
    bool flushed = false;

    (void)snprintf(path, sizeof path, "%s/probe", power->disk_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_DSYNC, 0600);

    if (fd < 0 || block == NULL)
        sim_die("no probe: %s", strerror(errno));
    memset(block, 0, 4096);
    if (pwrite(fd, block, 4096, 0) != 4096 || fsync(fd) != 0)
        sim_die("the probe cannot be written");
    memcpy(block, "a word to look for", 18);
    uint64_t before = recorded_disk_count(power->disk);

    if (pwrite(fd, block, 4096, 0) != 4096)
        sim_die("the probe cannot be written");
    uint64_t after = recorded_disk_count(power->disk);

    for (uint64_t i = before; i < after; i++) {
        recorded_disk_at(power->disk, i, &record);
        if (!record.flush && record.bytes.size >= 18 &&
            memmem(record.bytes.data, record.bytes.size, "a word to look for", 18) != NULL)
            written = true;
        flushed = flushed || (written && record.flush);
    }
    if (!written || !flushed)
        sim_die("a write with DSYNC came as%s%s", written ? " a write" : " nothing",
                flushed ? " and a flush" : " without a flush");
    close(fd);
    (void)unlink(path);
    free(block);
}

/* ---- the workload */

static void
acked(void *context, uint64_t commit)
{
    struct power *power = context;

    if (power->mark_count == MARKS_MAX)
        sim_die("too many acks");
    power->marks[power->mark_count++] = (struct mark){recorded_disk_count(power->disk), commit};
}

static void
work(struct power *power, struct sim_world *world, uint64_t steps)
{
    char dir[128];
    struct io *io;

    (void)snprintf(dir, sizeof dir, "%s/s", power->disk_dir);
    sim_must(io_uring_open(RING_ENTRIES, &io), "io_uring_open");
    sim_world_move(world, io, dir);
    sync();
    power->begin = recorded_disk_count(power->disk);
    world->acked = acked;
    world->acked_context = power;
    sim_must(sim_world_open(world), "open");
    for (uint64_t i = 0; i < steps && world->model->last + 40 < SIM_COMMITS_MAX; i++)
        if (!sim_world_step(world))
            sim_die("the engine fails: %s", vt_err_name(core_failed(world->main.core)));
    if (!sim_world_stop(world))
        sim_die("the engine cannot stop");
    sim_engine_close(&world->main);
}

/* ---- images */

static void
apply(uint8_t *disk, const struct recorded *record)
{
    if (!record->flush)
        memcpy(disk + record->offset, record->bytes.data, record->bytes.size);
}

static uint64_t
last_flush(const struct power *power, uint64_t moment)
{
    struct recorded record;

    for (uint64_t i = moment; i > 0; i--) {
        recorded_disk_at(power->disk, i - 1, &record);
        if (record.flush)
            return i;
    }
    return 0;
}

/* Sector by sector: the part of a write that survives. */
static void
survive(struct power *power, enum survival survival, const struct recorded *record, uint64_t *one)
{
    bool whole = sim_draw(&power->random) % 2 == 0;

    for (uint64_t at = 0; at < record->bytes.size; at += SECTOR) {
        uint64_t size = record->bytes.size - at < SECTOR ? record->bytes.size - at : SECTOR;
        bool yes = survival == KEEP_ALL ||
                   (survival == SECTORS && sim_draw(&power->random) % 2 == 0) ||
                   (survival == WRITES && whole) || (survival == PREFIX && *one > 0);

        if (survival == LOSE_ONE || survival == KEEP_ONE)
            yes = (*one == 1) == (survival == KEEP_ONE);
        if (*one > 0)
            (*one)--;
        if (yes)
            memcpy(power->image + record->offset + at, record->bytes.data + at, size);
    }
}

/* The disk that a power cut after `moment` records would leave. */
static uint64_t
make_image(struct power *power, uint64_t moment)
{
    enum survival survival = (enum survival)(sim_draw(&power->random) % SURVIVALS);
    uint64_t flushed = last_flush(power, moment);
    struct recorded record;
    uint64_t sectors = 0;

    if (power->no_flush) /* the disk had confirmed what it did not have */
        flushed = flushed < power->begin + 300 ? power->begin : flushed - 300;
    if (flushed < power->applied) {
        memset(power->durable, 0, DISK_BYTES);
        power->applied = 0;
    }
    for (; power->applied < flushed; power->applied++) {
        recorded_disk_at(power->disk, power->applied, &record);
        apply(power->durable, &record);
    }
    memcpy(power->image, power->durable, DISK_BYTES);
    for (uint64_t i = flushed; i < moment; i++) {
        recorded_disk_at(power->disk, i, &record);
        sectors += record.bytes.size / SECTOR;
    }
    uint64_t one = sectors == 0 ? 0 : 1 + sim_draw(&power->random) % sectors;

    for (uint64_t i = flushed; i < moment; i++) {
        recorded_disk_at(power->disk, i, &record);
        survive(power, survival, &record, &one);
    }
    return sectors;
}

static void
see(void *context, const struct store_damage *damage)
{
    (void)context;
    sim_die("verify: %s at %" PRIu64 ": %s", damage->file, damage->offset, damage->text);
}

/* Opens the store of the mounted image and looks at all of it. */
static void
judge(struct power *power, struct sim_world *world)
{
    struct store_check check;
    struct sim_engine engine = {.io = NULL};
    char dir[128];

    (void)snprintf(dir, sizeof dir, "%s/s", power->image_dir);
    sim_must(io_uring_open(RING_ENTRIES, &engine.io), "io_uring_open");
    engine.dir = dir;
    sim_must(sim_engine_open(&engine, NULL, 1), "open after a power cut");
    uint64_t number = sim_world_check(&engine, world, sim_draw(&power->random));

    power->kept += number - world->shown;
    sim_must(store_verify(engine.store, see, NULL, &check), "verify");
    sim_engine_close(&engine);
    io_close(engine.io);
}

static void
try_image(struct power *power, const struct sim_world *world, uint64_t moment)
{
    struct sim_world then = *world;
    char device[32];
    int loop;

    then.shown = 0;
    for (uint32_t i = 0; i < power->mark_count && power->marks[i].records <= moment; i++)
        if (power->marks[i].commit > then.shown)
            then.shown = power->marks[i].commit;
    sim_must(loop_attach(power->image_path, &loop, device), "loop_attach");
    if (mount(device, power->image_dir, "ext4", MS_NOATIME, "") != 0)
        sim_die("the file system cannot be mounted: %s", strerror(errno));
    judge(power, &then);
    if (umount2(power->image_dir, 0) != 0)
        sim_die("umount: %s", strerror(errno));
    loop_detach(loop);
}

static void
open_image(struct power *power)
{
    int fd = open(power->image_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)DISK_BYTES) != 0)
        sim_die("no image: %s", strerror(errno));
    power->image = mmap(NULL, DISK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    power->durable = calloc(1, DISK_BYTES);
    if (power->image == MAP_FAILED || power->durable == NULL)
        sim_die("no memory for an image");
    close(fd);
}

static int
compare_moments(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

static void
try_images(struct power *power, const struct sim_world *world, uint64_t count, uint64_t seed)
{
    uint64_t end = recorded_disk_count(power->disk);
    uint64_t *moments = calloc(count + 1, sizeof moments[0]);
    uint64_t sectors = 0;

    VT_ASSERT(moments != NULL && end > power->begin);
    for (uint64_t i = 0; i < count; i++)
        moments[i] = power->begin + 1 + sim_draw(&power->random) % (end - power->begin);
    qsort(moments, count, sizeof moments[0], compare_moments);
    for (uint64_t i = 0; i < count; i++) {
        sectors += make_image(power, moments[i]);
        try_image(power, world, moments[i]);
    }
    free(moments);
    printf("power_cut: seed %" PRIu64 ": %" PRIu64 " writes and flushes, %" PRIu64
           " commits, %u acks; %" PRIu64 " images, %" PRIu64
           " sectors between flush and cut, %" PRIu64 " commits there that were not acked: all "
           "sane\n",
           seed, end - power->begin, world->model->last, power->mark_count, count, sectors,
           power->kept);
}

/* However the program ends: nothing stays behind. */
static void
clean_up(void)
{
    const char *dirs[] = {all.image_dir, all.disk_dir, all.root};

    for (size_t i = 0; i < VT_COUNT(dirs); i++)
        if (dirs[i][0] != '\0')
            (void)umount2(dirs[i], MNT_DETACH);
    recorded_disk_close(all.disk);
    if (all.root[0] != '\0')
        (void)rmdir(all.root);
    free(all.durable);
    free(all.marks);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"images", required_argument, NULL, 'i'},
        {"steps", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {"no-flush", no_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    static struct sim_model model;
    struct sim_world world;
    uint64_t images = 40;
    uint64_t steps = 400;
    uint64_t seed = 1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT(*-mt-unsafe) */
        if (option == 'i')
            images = sim_number(optarg);
        else if (option == 't')
            steps = sim_number(optarg);
        else if (option == 's')
            seed = sim_number(optarg);
        else if (option == 'n')
            all.no_flush = true;
        else
            return 2;
    }
    sim_frame_begin("power_cut", seed);
    all.random = seed ^ UINT64_C(0x9042e4);
    all.marks = calloc(MARKS_MAX, sizeof all.marks[0]);
    VT_ASSERT(all.marks != NULL && atexit(clean_up) == 0);
    prepare(&all);
    make_disk(&all);
    check_dsync(&all);
    sim_world_init(&world, &model, seed);
    work(&all, &world, steps);
    if (umount2(all.disk_dir, MNT_DETACH) != 0)
        sim_die("umount: %s", strerror(errno));
    recorded_disk_stop(all.disk);
    open_image(&all);
    try_images(&all, &world, images, seed);
    sim_world_free(&world);
    return 0;
}

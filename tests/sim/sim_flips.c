/*
 * sim_flips - a small, cleanly stopped store (support/rich_store.h) is damaged in one place after
 * the other:
 *
 *   each bit of each data byte flipped          found, by file and by the part that it is in
 *   each 512 bytes zeroed, set to ones, swapped with any other 512 bytes of any file, replaced by
 *   what stood there earlier; a file cut at each 512 bytes, replaced by an earlier version of it,
 *   missing                                     found, by file
 *   every byte that is no data, by bits and all at once
 *                                               nothing is found, no answer changes
 *
 * "Found" is what store_verify says of the file; a share is looked at again the way a stranger
 * does, opening the store, and all that it answers then is an error or the right answer.
 *
 * usage: sim_flips [--share N] [--cold N] [--seed S]
 *
 *   --share N   only every Nth bit (1; 32 under a sanitizer)
 *   --cold N    every Nth damage is also met by an open, and by every question (701)
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io_sim.h"
#include "rich_store.h"
#include "store_files.h"
#include "venturi/assert.h"

#define SECTOR       512U
#define VERSIONS_MAX 64U
#define SLACK_ROUNDS 200U

#ifdef __SANITIZE_ADDRESS__
#define SHARE_DEFAULT 32
#else
#define SHARE_DEFAULT 1
#endif

/* A file as it was at some time before. */
struct version {
    char path[256];
    uint8_t *bytes;
    uint64_t size;
};

struct past {
    struct version versions[VERSIONS_MAX * STORE_FILES_MAX];
    uint32_t count;
};

struct seen {
    const char *path;
    uint64_t in_file; /* damages that name it */
    uint64_t elsewhere;
    uint64_t offset; /* of the first */
    char text[256];
};

struct bench {
    struct io *io;
    struct store *store; /* opened before any damage */
    struct store_files files;
    struct answer_text want;
    struct past past;
    uint64_t share;
    uint64_t cold;
    uint64_t random;
    uint64_t damages;
    uint64_t colds;
    uint64_t part; /* where the part begins that was flipped; UINT64_MAX: more is damaged */
    const struct store_file *also; /* damaged with the one that is looked at; NULL: none */
};

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fputs("sim_flips: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, " [%s]\n", vt_err_last());
    va_end(arguments);
    exit(1);
}

static uint64_t
draw(uint64_t *state)
{
    /* SplitMix64 (G. Steele et al., 2014). */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- what was there before */

static void
past_add(struct past *past, struct io *io, const char *path)
{
    struct version version = {.bytes = NULL};
    struct io_file *file;

    if (io_open(io, path, IO_OPEN_READ, &file) != VT_OK)
        return;
    engine_rig_check(io_size(file, &version.size), path);
    version.bytes = malloc(version.size + 1);
    VT_ASSERT(version.bytes != NULL && past->count < VT_COUNT(past->versions));
    engine_rig_check(io_read_at(file, version.bytes, version.size, 0), path);
    io_close_file(file);
    (void)snprintf(version.path, sizeof version.path, "%s", path);
    past->versions[past->count++] = version;
}

/* Segments never change, so what does is here. */
static void
past_step(void *context, struct io *io)
{
    static const char *const names[] = {"store", "manifest-0", "manifest-1", "lane-00", "lane-01"};
    char path[64];

    for (size_t i = 0; i < VT_COUNT(names); i++) {
        (void)snprintf(path, sizeof path, RICH_DIR "/%s", names[i]);
        past_add(context, io, path);
    }
}

/* ---- what is found */

static void
see(void *context, const struct store_damage *damage)
{
    struct seen *seen = context;

    if (strcmp(damage->file, seen->path) != 0) {
        seen->elsewhere++;
        return;
    }
    if (seen->in_file++ == 0) {
        seen->offset = damage->offset;
        (void)snprintf(seen->text, sizeof seen->text, "%s", damage->text);
    }
}

/* Whether the last error names the file. */
static bool
error_names(const struct store_file *file)
{
    return file != NULL && strstr(vt_err_last(), strrchr(file->path, '/') + 1) != NULL;
}

static struct seen
look(const struct bench *bench, const struct store_file *file)
{
    struct seen seen = {.path = file->path};

    vt_err_clear();
    engine_rig_check(store_verify_file(bench->store, file->path, see, &seen), "verify");
    return seen;
}

/* Opens the damaged store and asks it everything. */
static void
expect_no_lie(struct bench *bench)
{
    struct answer_text got = {0};
    vt_err err = rich_store_answers(bench->io, RICH_DIR, &got);

    if (err == VT_OK &&
        (got.size != bench->want.size || memcmp(got.data, bench->want.data, got.size) != 0))
        die("a damaged store answers\n%s\nnot\n%s", got.data, bench->want.data);
    free(got.data);
}

/* What one meets who opens the store now: an error or a damage that names the file. */
static void
expect_cold(struct bench *bench, const struct store_file *file, const char *what)
{
    const struct store_options options = {.dir = RICH_DIR, .read_only = true};
    struct seen seen = {.path = file->path};
    struct store_check check;
    struct store *store;

    bench->colds++;
    vt_err_clear();
    vt_err err = store_open(bench->io, &options, &store);

    if (err == VT_OK) {
        engine_rig_check(store_verify(store, see, &seen, &check), "verify");
        store_close(store);
        if (seen.in_file == 0 || check.damages == 0)
            die("%s: %s: nobody sees it", file->path, what);
    } else if (!error_names(file) && !error_names(bench->also) &&
               strstr(vt_err_last(), "no store in") == NULL) {
        die("%s: %s: the error names another file", file->path, what);
    } else if (bench->part != UINT64_MAX && strstr(vt_err_last(), " at ") != NULL &&
               strtoull(strstr(vt_err_last(), " at ") + 4, NULL, 10) != bench->part) {
        die("%s: %s: the error names another place than %" PRIu64, file->path, what, bench->part);
    }
    expect_no_lie(bench);
}

/* After a damage of `file` (and maybe others): it is found there. */
static struct seen
expect_found(struct bench *bench, const struct store_file *file, const char *what)
{
    struct seen seen = look(bench, file);

    if (seen.in_file == 0)
        die("%s: %s: not found", file->path, what);
    if (seen.elsewhere != 0)
        die("%s: %s: another file is blamed", file->path, what);
    bench->damages++;
    if (bench->damages % bench->cold == 0)
        expect_cold(bench, file, what);
    return seen;
}

/* ---- damages */

static uint64_t
flip_bits(struct bench *bench, const struct store_file *file)
{
    uint64_t bits = 0;

    for (uint64_t bit = 0; bit < file->size * 8; bit++) {
        uint64_t at = bit / 8;
        uint8_t byte = file->bytes[at];
        char what[48];

        if (!store_file_is_data(file, at) || (bit + at) % bench->share != 0)
            continue;
        byte ^= (uint8_t)(1U << bit % 8);
        store_file_write(file, (struct vt_bytes){&byte, 1}, at);
        (void)snprintf(what, sizeof what, "bit %u of byte %" PRIu64, (unsigned)(bit % 8), at);
        bench->part = file->part[at];
        struct seen seen = expect_found(bench, file, what);

        bench->part = UINT64_MAX;
        if (seen.offset != file->part[at])
            die("%s: %s: the report names offset %" PRIu64 ", not %" PRIu64 ": %s", file->path,
                what, seen.offset, file->part[at], seen.text);
        store_file_write(file, (struct vt_bytes){&file->bytes[at], 1}, at);
        bits++;
    }
    return bits;
}

/* The bytes of a sector, which may be short at a file's end. */
static struct vt_bytes
sector_of(const struct store_file *file, uint64_t at)
{
    return (struct vt_bytes){file->bytes + at, file->size - at < SECTOR ? file->size - at : SECTOR};
}

static bool
sector_has_data(const struct store_file *file, uint64_t at)
{
    for (uint64_t i = 0; i < sector_of(file, at).size; i++)
        if (store_file_is_data(file, at + i))
            return true;
    return false;
}

static bool
bytes_equal(struct vt_bytes a, struct vt_bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* The sector at `at` becomes `with`, where that is a change. */
static void
replace_sector(struct bench *bench, const struct store_file *file, uint64_t at,
               struct vt_bytes with, const char *what)
{
    struct vt_bytes old = sector_of(file, at);
    char text[80];

    if (with.size > old.size)
        with.size = old.size;
    if (memcmp(old.data, with.data, with.size) == 0)
        return;
    store_file_write(file, with, at);
    (void)snprintf(text, sizeof text, "%s at %" PRIu64, what, at);
    (void)expect_found(bench, file, text);
    store_file_write(file, old, at);
}

static void
swap_sectors(struct bench *bench, const struct store_file *a, uint64_t a_at,
             const struct store_file *b)
{
    uint64_t from = a == b ? a_at + SECTOR : 0;

    for (uint64_t b_at = from; b_at < b->size; b_at += SECTOR) {
        struct vt_bytes first = sector_of(a, a_at);
        struct vt_bytes second = sector_of(b, b_at);
        char what[80];

        if (first.size != second.size || bytes_equal(first, second) ||
            (a == b && draw(&bench->random) % bench->share != 0))
            continue;
        bool both = sector_has_data(b, b_at);

        (void)snprintf(what, sizeof what, "%" PRIu64 " and %" PRIu64 " swapped", a_at, b_at);
        store_file_write(a, second, a_at);
        store_file_write(b, first, b_at);
        bench->also = b;
        (void)expect_found(bench, a, what);
        bench->also = a;
        if (both && a != b)
            (void)expect_found(bench, b, what);
        bench->also = NULL;
        store_file_write(a, first, a_at);
        store_file_write(b, second, b_at);
    }
}

static void
stale_sector(struct bench *bench, const struct store_file *file, uint64_t at)
{
    for (uint32_t i = 0; i < bench->past.count; i++) {
        const struct version *version = &bench->past.versions[i];

        if (strcmp(version->path, file->path) != 0 || version->size < at + SECTOR)
            continue;
        replace_sector(bench, file, at, (struct vt_bytes){version->bytes + at, SECTOR}, "stale");
    }
}

static void
spoil_sectors(struct bench *bench, const struct store_file *file)
{
    static const uint8_t zeros[SECTOR];
    uint8_t ones[SECTOR];

    memset(ones, 0xff, sizeof ones);
    for (uint64_t at = 0; at < file->size; at += SECTOR) {
        if (!sector_has_data(file, at))
            continue;
        replace_sector(bench, file, at, (struct vt_bytes){zeros, SECTOR}, "zeros");
        replace_sector(bench, file, at, (struct vt_bytes){ones, SECTOR}, "ones");
        stale_sector(bench, file, at);
        for (uint32_t i = 0; i < bench->files.count; i++)
            if (&bench->files.files[i] == file || draw(&bench->random) % bench->share == 0)
                swap_sectors(bench, file, at, &bench->files.files[i]);
    }
}

static void
cut_file(struct bench *bench, const struct store_file *file)
{
    for (uint64_t at = 0; at < file->size; at += SECTOR) {
        char what[48];

        engine_rig_check(io_truncate(file->file, at), file->path);
        (void)snprintf(what, sizeof what, "cut at %" PRIu64, at);
        struct seen seen = expect_found(bench, file, what);

        if (seen.offset > at)
            die("%s: %s: offset %" PRIu64, file->path, what, seen.offset);
        store_file_restore(file);
    }
}

/* An earlier version of the whole file in its place. */
static void
stale_file(struct bench *bench, const struct store_file *file)
{
    for (uint32_t i = 0; i < bench->past.count; i++) {
        const struct version *version = &bench->past.versions[i];
        struct vt_bytes now = {file->bytes, file->size};
        struct vt_bytes then = {version->bytes, version->size};

        if (strcmp(version->path, file->path) != 0 || bytes_equal(now, then))
            continue;
        bool data = then.size != now.size;

        for (uint64_t at = 0; !data && at < now.size; at++)
            data = store_file_is_data(file, at) && now.data[at] != then.data[at];
        if (!data)
            continue;
        engine_rig_check(io_truncate(file->file, then.size), file->path);
        store_file_write(file, then, 0);
        (void)expect_found(bench, file, "an earlier version of the file");
        store_file_restore(file);
    }
}

/* On a disk of its own, which has the file no more. */
static void
lose_file(struct bench *bench, const struct store_file *file)
{
    const struct io_sim_crash copy = {.seed = 1, .kill = true};
    struct bench other = *bench;
    uint64_t subset;

    engine_rig_check(io_sim_crash(bench->io, &copy, &subset, &other.io), "io_sim_crash");
    engine_rig_check(io_unlink(other.io, file->path), file->path);
    expect_cold(&other, file, "missing");
    io_close(other.io);
    bench->damages++;
    bench->colds++;
}

/* ---- what is no data */

static void
expect_untouched(struct bench *bench, const struct store_file *file, const char *what)
{
    struct answer_text got = {0};
    struct seen seen = look(bench, file);

    if (seen.in_file != 0)
        die("%s: %s: damage is reported where no data is: %s", file->path, what, seen.text);
    engine_rig_check(rich_store_answers(bench->io, RICH_DIR, &got), "answers");
    if (got.size != bench->want.size || memcmp(got.data, bench->want.data, got.size) != 0)
        die("%s: %s: the answers have changed", file->path, what);
    free(got.data);
}

/* All bytes that are no data change at once, in many ways, then single bits. */
static uint64_t
spoil_slack(struct bench *bench, const struct store_file *file)
{
    uint8_t *bytes = malloc(file->size + 1);
    uint64_t slack = 0;

    VT_ASSERT(bytes != NULL);
    for (uint64_t at = 0; at < file->size; at++)
        slack += !store_file_is_data(file, at);
    for (uint32_t round = 0; slack > 0 && round < SLACK_ROUNDS / bench->share + 4; round++) {
        memcpy(bytes, file->bytes, file->size);
        for (uint64_t at = 0; at < file->size; at++) {
            uint64_t random = draw(&bench->random);

            if (store_file_is_data(file, at))
                continue;
            bytes[at] = round == 0   ? (uint8_t)~bytes[at]
                        : round == 1 ? 0
                        : round == 2 ? 0xff
                                     : bytes[at] ^ (uint8_t)(random & random >> 8 & random >> 16);
        }
        store_file_write(file, (struct vt_bytes){bytes, file->size}, 0);
        expect_untouched(bench, file, "all that is no data");
    }
    store_file_restore(file);
    for (uint32_t i = 0; slack > 0 && i < 4 * SLACK_ROUNDS / bench->share + 4; i++) {
        uint64_t at = draw(&bench->random) % file->size;

        if (store_file_is_data(file, at))
            continue;
        uint8_t byte = file->bytes[at] ^ (uint8_t)(1U << draw(&bench->random) % 8);

        store_file_write(file, (struct vt_bytes){&byte, 1}, at);
        expect_untouched(bench, file, "a bit that is no data");
        store_file_write(file, (struct vt_bytes){&file->bytes[at], 1}, at);
    }
    free(bytes);
    return slack;
}

/* ---- all */

static void
run(struct bench *bench)
{
    uint64_t bits = 0;
    uint64_t bytes = 0;
    uint64_t slack = 0;

    for (uint32_t i = 0; i < bench->files.count; i++) {
        const struct store_file *file = &bench->files.files[i];
        struct seen seen = look(bench, file);

        if (seen.in_file + seen.elsewhere != 0)
            die("%s: damaged from the start: %s", file->path, seen.text);
        bits += flip_bits(bench, file);
        spoil_sectors(bench, file);
        cut_file(bench, file);
        stale_file(bench, file);
        lose_file(bench, file);
        slack += spoil_slack(bench, file);
        for (uint64_t at = 0; at < file->size; at++)
            bytes += store_file_is_data(file, at);
    }
    printf("sim_flips: %u files, %" PRIu64 " bytes of data, %" PRIu64 " bits flipped, %" PRIu64
           " other damages, all found; %" PRIu64 " of them met by an open; %" PRIu64
           " bytes that are no data, which no answer depends on\n",
           bench->files.count, bytes, bits, bench->damages - bits, bench->colds, slack);
}

static uint64_t
number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (end == text || *end != '\0' || number == 0) {
        (void)fprintf(stderr, "sim_flips: %s is no number above 0\n", text);
        exit(2);
    }
    return number;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"share", required_argument, NULL, 'h'},
        {"cold", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    static struct bench bench = {
        .share = SHARE_DEFAULT, .cold = 701, .random = 1, .part = UINT64_MAX};
    const struct rich_watch watch = {past_step, &bench.past};
    const struct store_options opened = {.dir = RICH_DIR, .read_only = true};
    struct engine_rig rig;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT(*-mt-unsafe) */
        if (option == 'h')
            bench.share = number_of(optarg);
        else if (option == 'c')
            bench.cold = number_of(optarg);
        else if (option == 's')
            bench.random = number_of(optarg);
        else
            return 2;
    }
    rich_store_write(&rig, &watch);
    bench.io = rig.io;
    engine_rig_check(rich_store_answers(bench.io, RICH_DIR, &bench.want), "answers");
    engine_rig_check(store_open(bench.io, &opened, &bench.store), "store_open");
    store_files_open(bench.io, RICH_DIR, &bench.files);
    run(&bench);
    store_files_close(&bench.files);
    store_close(bench.store);
    for (uint32_t i = 0; i < bench.past.count; i++)
        free(bench.past.versions[i].bytes);
    free(bench.want.data);
    engine_rig_close(&rig);
    return 0;
}

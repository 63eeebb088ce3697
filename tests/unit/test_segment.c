/*
 * Goal:   a segment gives back what was put into it, and no flipped bit, cut, swap or false length
 *         of its file goes unseen or does harm.
 * Method: a small file with every codec, written by the writer and read by the reader; then its
 *         image with each single bit flipped, cut at each byte, and changed at random behind mended
 *         checksums (seed printed). A file in memory stands in for the disk.
 */
#include "segment.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "codec.h"
#include "segment_format.h"
#include "segment_image.h"
#include "venturi/assert.h"

#define VALUES     3000
#define TEXT_BYTES 5000

static const struct segment_id id = {.store = UINT64_C(0x1122334455667788),
                                     .cut = 42,
                                     .first_position = 1000,
                                     .last_position = 3999,
                                     .partition = 7};

static const struct chunk_key key_constant = {1, 0, 0, 0};
static const struct chunk_key key_times = {1, 0, 1, 0};
static const struct chunk_key key_noise = {1, 0, 1, 1};
static const struct chunk_key key_runs = {1, 3, 0, 0};
static const struct chunk_key key_squares = {1, 3, 0, 1};
static const struct chunk_key key_patched = {1, 3, 1, 0};
static const struct chunk_key key_text = {2, 0, 0, 0};
static const struct chunk_key key_random = {2, 0, 0, 9};
static const struct chunk_key key_empty = {9, 9, 9, 9};

static struct io *io;
static char dir[64];
static char path[128];
static int64_t constant[VALUES];
static int64_t times[VALUES];
static int64_t noise[VALUES];
static int64_t runs[VALUES];
static int64_t squares[VALUES];
static int64_t patched[VALUES];
static uint8_t text[TEXT_BYTES];
static uint8_t random_bytes[100];

static uint64_t
random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void
data_fill(uint32_t values)
{
    uint64_t x = 4711;

    for (uint32_t i = 0; i < values; i++) {
        constant[i] = -5;
        times[i] = INT64_C(1780000000000000) + (int64_t)i * 1000;
        noise[i] = (int64_t)random_next(&x);
        runs[i] = i / 400;
        squares[i] = (int64_t)i * i;
        patched[i] = i % 100 == 0 ? INT64_MIN + i : (int64_t)(i * 7919 % 64);
    }
    for (uint32_t i = 0; i < TEXT_BYTES; i++)
        text[i] = (uint8_t)("usage"[i % 5]);
    for (uint32_t i = 0; i < sizeof random_bytes; i++)
        random_bytes[i] = (uint8_t)random_next(&x);
}

static void
setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/test_segment_XXXXXX");
    VT_ASSERT(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/a.vseg", dir);
    VT_ASSERT(io_uring_open(0, &io) == VT_OK);
    data_fill(VALUES);
    vt_err_clear();
}

static void
teardown(void)
{
    char other[128];

    (void)snprintf(other, sizeof other, "%s/b.vseg", dir);
    (void)unlink(path);
    (void)unlink(other);
    (void)rmdir(dir);
    io_close(io);
}

TestSuite(segment, .init = setup, .fini = teardown, .timeout = 60);

/* All chunks, not in the order of their keys. */
static void
chunks_put(struct segment_writer *writer, uint32_t values, uint32_t text_bytes)
{
    VT_ASSERT(segment_put_bytes(writer, key_text, (struct vt_bytes){text, text_bytes}) == VT_OK);
    VT_ASSERT(segment_put_integers(writer, key_noise, noise, values / 10) == VT_OK);
    VT_ASSERT(segment_put_bytes(writer, key_empty, (struct vt_bytes){NULL, 0}) == VT_OK);
    VT_ASSERT(segment_put_integers(writer, key_times, times, values) == VT_OK);
    VT_ASSERT(segment_put_integers(writer, key_constant, constant, values) == VT_OK);
    VT_ASSERT(segment_put_integers(writer, key_runs, runs, values) == VT_OK);
    VT_ASSERT(segment_put_integers(writer, key_squares, squares, values) == VT_OK);
    VT_ASSERT(segment_put_integers(writer, key_patched, patched, values) == VT_OK);
    VT_ASSERT(segment_put_bytes(writer, key_random,
                                (struct vt_bytes){random_bytes, sizeof random_bytes}) == VT_OK);
}

static uint64_t
file_write(const char *name, const struct segment_id *of, uint32_t values, uint32_t text_bytes)
{
    struct segment_writer *writer = NULL;
    uint64_t size = 0;

    VT_ASSERT(segment_writer_open(io, name, of, &writer) == VT_OK);
    chunks_put(writer, values, text_bytes);
    VT_ASSERT(segment_writer_finish(writer, &size) == VT_OK);
    segment_writer_close(writer);
    return size;
}

static void
expect_integers(const struct segment *segment, struct chunk_key key, const int64_t *want,
                uint32_t count)
{
    struct chunk_info info;
    int64_t *got = malloc(count * sizeof *got);

    VT_ASSERT(got != NULL);
    VT_ASSERT(segment_find(segment, key, &info) == VT_OK);
    VT_ASSERT(info.count == count);
    VT_ASSERT(segment_read_integers(segment, &info, got) == VT_OK);
    VT_ASSERT(memcmp(got, want, count * sizeof *got) == 0);
    free(got);
}

static void
expect_bytes(const struct segment *segment, struct chunk_key key, const uint8_t *want,
             uint32_t size)
{
    struct chunk_info info;
    uint8_t *got = malloc(size + 1);

    VT_ASSERT(got != NULL);
    VT_ASSERT(segment_find(segment, key, &info) == VT_OK);
    VT_ASSERT(info.count == size);
    VT_ASSERT(segment_read_bytes(segment, &info, got) == VT_OK);
    VT_ASSERT(size == 0 || memcmp(got, want, size) == 0);
    free(got);
}

static void
expect_all(const struct segment *segment)
{
    expect_integers(segment, key_constant, constant, VALUES);
    expect_integers(segment, key_times, times, VALUES);
    expect_integers(segment, key_noise, noise, VALUES / 10);
    expect_integers(segment, key_runs, runs, VALUES);
    expect_integers(segment, key_squares, squares, VALUES);
    expect_integers(segment, key_patched, patched, VALUES);
    expect_bytes(segment, key_text, text, TEXT_BYTES);
    expect_bytes(segment, key_random, random_bytes, sizeof random_bytes);
    expect_bytes(segment, key_empty, NULL, 0);
}

Test(segment, gives_back_what_was_put)
{
    struct segment *segment = NULL;
    struct chunk_info info;
    uint64_t size = file_write(path, &id, VALUES, TEXT_BYTES);

    cr_expect(size % 8 == 0);
    cr_assert(segment_open(io, path, &id, &segment) == VT_OK, "%s", vt_err_last());
    cr_expect(segment_chunk_count(segment) == 9);
    cr_expect(segment_identity(segment)->cut == id.cut);
    cr_expect_str_eq(segment_path(segment), path);
    expect_all(segment);
    cr_expect(segment_verify(segment) == VT_OK);

    cr_assert(segment_find(segment, key_times, &info) == VT_OK);
    cr_expect(info.min == times[0] && info.max == times[VALUES - 1]);
    cr_assert(segment_find(segment, key_squares, &info) == VT_OK);
    cr_expect(info.codec == CODEC_DELTA2);
    cr_assert(segment_find(segment, key_patched, &info) == VT_OK);
    cr_expect(info.codec == CODEC_FOR && info.stored_bytes < VALUES * 2);
    cr_assert(segment_find(segment, key_text, &info) == VT_OK);
    cr_expect(info.codec == CODEC_LZ4);
    cr_assert(segment_find(segment, key_random, &info) == VT_OK);
    cr_expect(info.codec == CODEC_RAW);
    struct chunk_key missing = {1, 0, 1, 2};
    cr_expect(segment_find(segment, missing, &info) == VT_NOT_FOUND);
    segment_close(segment);
}

Test(segment, chunks_are_listed_by_key)
{
    struct segment *segment = NULL;
    struct chunk_info before;
    struct chunk_info info;

    (void)file_write(path, &id, VALUES, TEXT_BYTES);
    cr_assert(segment_open(io, path, NULL, &segment) == VT_OK);
    segment_chunk_at(segment, 0, &before);
    for (uint32_t i = 1; i < segment_chunk_count(segment); i++) {
        segment_chunk_at(segment, i, &info);
        cr_expect(segment_key_compare(&before.key, &info.key) < 0);
        before = info;
    }
    segment_close(segment);
}

Test(segment, the_same_chunks_make_the_same_file)
{
    char other[128];
    uint64_t size = file_write(path, &id, VALUES, TEXT_BYTES);
    uint8_t *a = malloc(size);
    uint8_t *b = malloc(size);

    (void)snprintf(other, sizeof other, "%s/b.vseg", dir);
    cr_assert(file_write(other, &id, VALUES, TEXT_BYTES) == size);
    int fd_a = open(path, O_RDONLY);
    int fd_b = open(other, O_RDONLY);

    cr_assert(a != NULL && b != NULL && fd_a >= 0 && fd_b >= 0);
    cr_assert(read(fd_a, a, size) == (ssize_t)size && read(fd_b, b, size) == (ssize_t)size);
    cr_expect(memcmp(a, b, size) == 0);
    close(fd_a);
    close(fd_b);
    free(a);
    free(b);
}

Test(segment, large_chunks_and_many_chunks)
{
    enum { LARGE = 400000, MANY = 500 };
    struct segment_writer *writer = NULL;
    struct segment *segment = NULL;
    int64_t *values = malloc(LARGE * sizeof *values);
    uint64_t size = 0;
    uint64_t x = 5;

    cr_assert_not_null(values);
    for (uint32_t i = 0; i < LARGE; i++)
        values[i] = (int64_t)(random_next(&x) >> 20);
    cr_assert(segment_writer_open(io, path, &id, &writer) == VT_OK);
    cr_assert(segment_put_integers(writer, (struct chunk_key){3, 0, 0, 0}, values, LARGE) == VT_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        struct chunk_key key = {4, 0, (i * 7919) % MANY, 0};

        cr_assert(segment_put_integers(writer, key, values + i, 900) == VT_OK);
    }
    cr_assert(segment_writer_finish(writer, &size) == VT_OK, "%s", vt_err_last());
    segment_writer_close(writer);
    cr_assert(segment_open(io, path, &id, &segment) == VT_OK);
    expect_integers(segment, (struct chunk_key){3, 0, 0, 0}, values, LARGE);
    for (uint32_t i = 0; i < MANY; i++)
        expect_integers(segment, (struct chunk_key){4, 0, (i * 7919) % MANY, 0}, values + i, 900);
    segment_close(segment);
    free(values);
}

Test(segment, a_file_without_chunks_is_whole)
{
    struct segment_writer *writer = NULL;
    struct segment *segment = NULL;
    uint64_t size = 0;

    cr_assert(segment_writer_open(io, path, &id, &writer) == VT_OK);
    cr_assert(segment_writer_finish(writer, &size) == VT_OK, "%s", vt_err_last());
    segment_writer_close(writer);
    cr_expect(size == 128);
    cr_assert(segment_open(io, path, &id, &segment) == VT_OK);
    cr_expect(segment_chunk_count(segment) == 0);
    cr_expect(segment_verify(segment) == VT_OK);
    segment_close(segment);
}

Test(segment, a_writer_refuses_what_no_chunk_can_be)
{
    struct segment_writer *writer = NULL;
    uint64_t size = 0;

    cr_assert(segment_writer_open(io, path, &id, &writer) == VT_OK);
    cr_expect(segment_put_integers(writer, key_times, times, 0) == VT_INVALID);
    cr_expect(segment_put_integers(writer, key_times, times, CODEC_VALUES_MAX + 1) == VT_INVALID);
    struct vt_bytes huge = {text, (uint64_t)CODEC_BYTES_MAX + 1};
    cr_expect(segment_put_bytes(writer, key_text, huge) == VT_TOO_LARGE);
    cr_assert(segment_put_integers(writer, key_times, times, 5) == VT_OK);
    cr_assert(segment_put_integers(writer, key_times, times, 5) == VT_OK);
    cr_expect(segment_writer_finish(writer, &size) == VT_EXISTS, "a key twice");
    cr_expect(segment_put_integers(writer, key_noise, noise, 5) == VT_EXISTS, "it is broken");
    segment_writer_close(writer);
    cr_expect(access(path, F_OK) != 0, "what was not finished is gone");
}

Test(segment, an_abandoned_file_is_gone_and_a_left_one_is_replaced)
{
    struct segment_writer *writer = NULL;
    FILE *left = fopen(path, "w");

    cr_assert_not_null(left);
    cr_assert(fputs("of a try that crashed", left) >= 0);
    cr_assert(fclose(left) == 0);
    (void)file_write(path, &id, VALUES, TEXT_BYTES);
    cr_expect_str_eq(vt_err_last(), "");

    cr_assert(segment_writer_open(io, path, &id, &writer) == VT_OK);
    cr_assert(segment_put_integers(writer, key_times, times, 5) == VT_OK);
    segment_writer_close(writer);
    cr_expect(access(path, F_OK) != 0);
}

static const struct place_case {
    const char *name;
    struct segment_id other;
} place_cases[] = {
    /* clang-format off */
    { "store",     { UINT64_C(0x1122334455667789), 42, 1000, 3999, 7, 0 } },
    { "cut",       { UINT64_C(0x1122334455667788), 43, 1000, 3999, 7, 0 } },
    { "first",     { UINT64_C(0x1122334455667788), 42, 1001, 3999, 7, 0 } },
    { "last",      { UINT64_C(0x1122334455667788), 42, 1000, 4000, 7, 0 } },
    { "partition", { UINT64_C(0x1122334455667788), 42, 1000, 3999, 8, 0 } },
    { "level",     { UINT64_C(0x1122334455667788), 42, 1000, 3999, 7, 1 } },
    /* clang-format on */
};

Test(segment, a_file_of_another_place_is_refused)
{
    (void)file_write(path, &id, VALUES, TEXT_BYTES);
    for (size_t i = 0; i < VT_COUNT(place_cases); i++) {
        struct segment *segment = NULL;

        vt_err_clear();
        vt_err err = segment_open(io, path, &place_cases[i].other, &segment);
        cr_expect(err == VT_DAMAGED, "%s: %s", place_cases[i].name, vt_err_name(err));
        cr_expect(strstr(vt_err_last(), path) != NULL, "%s", vt_err_last());
    }
}

Test(segment, a_missing_file_is_not_damage)
{
    struct segment *segment = NULL;

    cr_expect(segment_open(io, path, &id, &segment) == VT_NOT_FOUND);
}

/* A file in memory, opened by the path that the kernel gives it. */
struct memory_file {
    int fd;
    char path[64];
    uint64_t size;
    uint8_t *image;
};

static void
memory_file_open(struct memory_file *file, uint32_t values, uint32_t text_bytes)
{
    file->size = file_write(path, &id, values, text_bytes);
    file->image = malloc(file->size);
    file->fd = memfd_create("segment", MFD_CLOEXEC);
    int fd = open(path, O_RDONLY);

    VT_ASSERT(file->image != NULL && file->fd >= 0 && fd >= 0);
    VT_ASSERT(read(fd, file->image, file->size) == (ssize_t)file->size);
    close(fd);
    (void)snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
}

static void
memory_file_close(struct memory_file *file)
{
    close(file->fd);
    free(file->image);
}

/* The verdict of open and verify on an image. */
static vt_err
image_check(const struct memory_file *file, const uint8_t *image, uint64_t size)
{
    struct segment *segment = NULL;

    VT_ASSERT(ftruncate(file->fd, 0) == 0);
    VT_ASSERT(size == 0 || pwrite(file->fd, image, size, 0) == (ssize_t)size);
    vt_err_clear();
    vt_err err = segment_open(io, file->path, &id, &segment);

    if (err != VT_OK)
        return err;
    err = segment_verify(segment);
    segment_close(segment);
    return err;
}

Test(segment, no_flipped_bit_goes_unseen)
{
    struct memory_file file;
    uint32_t unseen = 0;

    memory_file_open(&file, 60, 60);
    cr_assert(image_check(&file, file.image, file.size) == VT_OK);
    for (uint64_t bit = 0; bit < file.size * 8; bit++) {
        file.image[bit / 8] ^= (uint8_t)(1u << bit % 8);
        vt_err err = image_check(&file, file.image, file.size);

        if (err != VT_DAMAGED || strstr(vt_err_last(), ": offset ") == NULL) {
            unseen++;
            cr_expect(unseen > 10, "bit %llu of byte %llu: %s %s", (unsigned long long)(bit % 8),
                      (unsigned long long)(bit / 8), vt_err_name(err), vt_err_last());
        }
        file.image[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_expect(unseen == 0);
    memory_file_close(&file);
}

Test(segment, no_cut_goes_unseen)
{
    struct memory_file file;

    memory_file_open(&file, 60, 60);
    for (uint64_t size = 0; size < file.size; size++)
        cr_expect(image_check(&file, file.image, size) == VT_DAMAGED, "%llu bytes",
                  (unsigned long long)size);
    uint8_t *longer = calloc(1, file.size + 8);

    cr_assert_not_null(longer);
    memcpy(longer, file.image, file.size);
    cr_expect(image_check(&file, longer, file.size + 8) == VT_DAMAGED);
    free(longer);
    memory_file_close(&file);
}

/* The directory entry of a key in an image. */
static struct segment_entry *
image_entry(uint8_t *image, uint64_t size, const struct chunk_key *key)
{
    const struct segment_trailer *trailer =
        (const struct segment_trailer *)(image + size - sizeof *trailer);
    struct segment_entry *entries =
        (struct segment_entry *)(image + le64_get(trailer->directory_offset));
    struct chunk_info info;

    for (uint32_t i = 0; i < le32_get(trailer->chunk_count); i++) {
        segment_entry_info(&entries[i], &info);
        if (segment_key_compare(&info.key, key) == 0)
            return &entries[i];
    }
    return NULL;
}

Test(segment, two_swapped_chunks_are_seen)
{
    struct memory_file file;

    memory_file_open(&file, VALUES, TEXT_BYTES);
    struct segment_entry *a = image_entry(file.image, file.size, &key_constant);
    struct segment_entry *b = image_entry(file.image, file.size, &key_runs);

    /* Everything of the chunks but their keys, under a directory whose checksum is right again. */
    cr_assert(a != NULL && b != NULL);
    struct segment_entry whole = *a;

    memcpy((uint8_t *)a + 12, (uint8_t *)b + 12, sizeof *a - 12);
    memcpy((uint8_t *)b + 12, (uint8_t *)&whole + 12, sizeof *b - 12);
    segment_image_mend(file.image, file.size); /* it mends the stored checksums as well */
    cr_expect(image_check(&file, file.image, file.size) == VT_DAMAGED);
    cr_expect(strstr(vt_err_last(), "integers of a chunk") != NULL, "%s", vt_err_last());
    memory_file_close(&file);
}

Test(segment, a_false_zone_map_is_seen)
{
    struct memory_file file;

    memory_file_open(&file, VALUES, TEXT_BYTES);
    struct segment_entry *entry = image_entry(file.image, file.size, &key_times);

    cr_assert_not_null(entry);
    entry->max = le64_put(le64_get(entry->max) - 1);
    segment_image_mend(file.image, file.size);
    cr_expect(image_check(&file, file.image, file.size) == VT_DAMAGED);
    cr_expect(strstr(vt_err_last(), "zone map") != NULL, "%s", vt_err_last());
    memory_file_close(&file);
}

Test(segment, false_values_behind_good_checksums_do_no_harm, .timeout = 120)
{
    struct memory_file file;
    uint64_t x = (uint64_t)time(NULL) * UINT64_C(0x9E3779B97F4A7C15) | 1;
    uint32_t damages = 0;

    printf("seed %llu\n", (unsigned long long)x);
    memory_file_open(&file, 1100, 200);
    uint8_t *image = malloc(file.size);

    cr_assert_not_null(image);
    for (uint32_t i = 0; i < 4000; i++) {
        memcpy(image, file.image, file.size);
        for (uint64_t k = random_next(&x) % 3 + 1; k > 0; k--) {
            /* Half of the time into directory and trailer, where the lengths are. */
            uint64_t span = random_next(&x) % 2 == 0 ? file.size : UINT64_C(8) * 64;
            uint64_t at = file.size - 1 - random_next(&x) % span;

            image[at] = random_next(&x) % 4 == 0 ? 0xFF : (uint8_t)random_next(&x);
        }
        segment_image_mend(image, file.size);
        vt_err err = image_check(&file, image, file.size);

        cr_assert(err == VT_OK || err == VT_DAMAGED || err == VT_BAD_VERSION, "%s",
                  vt_err_name(err));
        damages += err != VT_OK;
    }
    cr_expect(damages > 3000, "%u damages", damages);
    free(image);
    memory_file_close(&file);
}

/*
 * Goal:   a store on the real disk gives back what it acked, through stops, kills and seals.
 * Method: a directory of its own per test; commits with known bytes, written through the ring.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

static char dir[64];
static struct io *io;

static void
setup(void)
{
    (void)snprintf(dir, sizeof dir, "/var/tmp/venturi-store-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    vt_err err = io_uring_open(64, &io);

    if (err == VT_UNSUPPORTED)
        cr_skip_test("io_uring is switched off here");
    cr_assert_eq(err, VT_OK, "%s", vt_err_last());
}

static void
teardown(void)
{
    char path[512];
    char segments[128];
    struct io_name_list names;
    const char *folders[] = {segments, dir};

    (void)snprintf(segments, sizeof segments, "%s/segments", dir);
    for (size_t i = 0; i < VT_COUNT(folders); i++) {
        if (io_list_dir(io, folders[i], &names) == VT_OK) {
            for (uint32_t k = 0; k < names.count; k++) {
                (void)snprintf(path, sizeof path, "%s/%s", folders[i], names.names[k]);
                (void)unlink(path);
            }
            io_name_list_free(&names);
        }
        (void)rmdir(folders[i]);
    }
    io_close(io);
}

TestSuite(store, .init = setup, .fini = teardown, .timeout = 60);

static struct store *
open_store(void)
{
    const struct store_options options = {
        .dir = dir,
        .create = true,
        .lane_bytes = 1 << 20,
        .commit_bytes_max = 128 << 10,
    };
    struct store *store = NULL;
    vt_err err = store_open(io, &options, &store);

    cr_assert_eq(err, VT_OK, "%s: %s", vt_err_name(err), vt_err_last());
    return store;
}

/* Payload of commit n: n % 3 records with sizes and bytes that depend on n. */
static uint32_t
payload_bytes(uint64_t number, uint32_t record)
{
    return (uint32_t)((number * 7919 + record * UINT64_C(104729)) % 30011);
}

static uint8_t
payload_byte(uint64_t number, uint32_t record)
{
    return (uint8_t)(number * 31 + record);
}

static void
append(struct log *log, uint64_t salt)
{
    struct log_buffer *buffer = log_buffer_get(log);
    struct log_commit commit;
    uint32_t count = (uint32_t)(salt % 3);

    cr_assert(buffer != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct log_record record = {.kind = LOG_CATALOG, .bytes = payload_bytes(salt, i)};
        uint8_t data[30011];
        uint8_t *to;

        memset(data, payload_byte(salt, i), record.bytes);
        record.payload_crc = vt_crc32c(data, record.bytes);
        cr_assert_eq(log_buffer_add(buffer, &record, &to), VT_OK);
        memcpy(to, data, record.bytes);
        /* One more that is taken back leaves no trace. */
        cr_assert_eq(log_buffer_add(buffer, &record, &to), VT_OK);
        log_buffer_undo(buffer);
    }
    cr_assert_eq(log_buffer_record_count(buffer), count);
    struct log_submit submit = {.first_position = 1, .arrival_us = (int64_t)salt};

    cr_assert_eq(log_submit(log, buffer, &submit, &commit), VT_OK, "%s", vt_err_last());
    log_buffer_put(log, buffer);
    while (log_last(log) - log_durable(log) > 3)
        cr_assert_eq(io_poll(io, 1000000), VT_OK);
    cr_assert_eq(log_failed(log), VT_OK);
}

static void
drain(struct log *log)
{
    while (log_durable(log) < log_last(log))
        cr_assert_eq(io_poll(io, 1000000), VT_OK);
}

/* Reads the tail and compares it with commits first .. last, whose salt is their number. */
static void
expect_tail(struct store *store, uint64_t first, uint64_t last)
{
    struct log_commit commit;
    uint64_t number = first;
    vt_err err;

    while ((err = store_tail_next(store, &commit)) == VT_OK) {
        uint32_t own = commit.record_count - (uint32_t)(number % 3);

        cr_assert_eq(commit.number, number);
        cr_assert(own <= 1);
        for (uint32_t i = 0; i < number % 3; i++) {
            const struct log_record *record = &commit.records[own + i];

            cr_assert_eq(record->bytes, payload_bytes(number, i));
            for (uint32_t k = 0; k < record->bytes; k++)
                cr_assert_eq(record->payload[k], payload_byte(number, i));
        }
        number++;
    }
    cr_assert_eq(err, VT_END, "%s", vt_err_last());
    cr_assert_eq(number, last + 1);
}

Test(store, gives_back_what_was_durable)
{
    uint64_t number = 0;

    for (int round = 0; round < 4; round++) {
        struct store *store = open_store();
        struct store_info info;

        store_get_info(store, &info);
        cr_assert_eq(info.start, (uint64_t)round + 1);
        cr_assert(store_log(store) == NULL);
        expect_tail(store, 1, number);
        for (int i = 0; i < 30; i++)
            append(store_log(store), ++number);
        drain(store_log(store));
        store_close(store);
    }
}

Test(store, seals_release_the_lanes)
{
    struct store *store = open_store();
    uint64_t sealed = 0;
    struct vt_bytes state = {(const uint8_t *)"state", 5};

    expect_tail(store, 1, 0);
    /* Several times what the lanes hold. */
    for (uint64_t number = 1; number <= 600; number++) {
        struct log *log = store_log(store);

        append(log, number);
        if (number % 50 != 0)
            continue;
        drain(log);
        sealed = number - 7;
        const struct store_seal seal = {
            .cut = sealed,
            .arrival_us = (int64_t)sealed,
            .state = state,
        };

        cr_assert_eq(store_seal_commit(store, &seal), VT_OK, "%s", vt_err_last());
    }
    store_close(store);
    store = open_store();
    cr_assert_eq(store_sealed_arrival(store), (int64_t)sealed);
    cr_assert_eq(store_state(store).size, 5);
    cr_assert_eq(memcmp(store_state(store).data, "state", 5), 0);
    expect_tail(store, sealed + 1, 600);
    store_close(store);
}

Test(store, full_lanes_push_back)
{
    struct store *store = open_store();
    struct log_commit commit;
    struct log_submit submit = {.first_position = 1};
    vt_err err = VT_OK;
    uint8_t *to;

    expect_tail(store, 1, 0);
    struct log *log = store_log(store);

    for (int i = 0; err == VT_OK && i < 1000; i++) {
        struct log_buffer *buffer = log_buffer_get(log);
        struct log_record record = {.kind = LOG_CATALOG, .bytes = 100000};

        cr_assert(buffer != NULL);
        cr_assert_eq(log_buffer_add(buffer, &record, &to), VT_OK);
        memset(to, 1, 100000);
        record.payload_crc = 0;
        err = log_submit(log, buffer, &submit, &commit);
        log_buffer_put(log, buffer);
        drain(log);
    }
    cr_assert_eq(err, VT_FULL);
    cr_assert(log_used_bytes(log) <= log_capacity_bytes(log));
    cr_assert(log_used_bytes(log) > log_capacity_bytes(log) * 3 / 4);
    const struct store_seal seal = {.cut = log_durable(log)};

    cr_assert_eq(store_seal_commit(store, &seal), VT_OK, "%s", vt_err_last());
    cr_assert_eq(log_used_bytes(log), 0);
    append(log, 1);
    drain(log);
    store_close(store);
}

Test(store, second_opener_is_locked_out_and_a_reader_is_not)
{
    struct store *store = open_store();
    struct store *second = NULL;

    expect_tail(store, 1, 0);
    for (uint64_t number = 1; number <= 20; number++)
        append(store_log(store), number);
    drain(store_log(store));
    const struct store_options read_only = {.dir = dir, .read_only = true};

    cr_assert_eq(store_open(io, &read_only, &second), VT_OK, "%s", vt_err_last());
    expect_tail(second, 1, 20);
    cr_assert(store_log(second) == NULL);
    store_close(second);
    const struct store_options writer = {.dir = dir};

    cr_assert_eq(store_open(io, &writer, &second), VT_LOCKED);
    store_close(store);
}

Test(store, nothing_there_is_not_found)
{
    const struct store_options options = {.dir = dir};
    const struct store_options read_only = {.dir = dir, .read_only = true};
    struct store *store = NULL;

    cr_assert_eq(store_open(io, &options, &store), VT_NOT_FOUND);
    cr_assert_eq(store_open(io, &read_only, &store), VT_NOT_FOUND);
    cr_assert(store == NULL);
}

/* Flips one byte of a file. */
static void
flip(const char *name, uint64_t offset)
{
    char path[128];
    struct io_file *file;
    uint8_t byte;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert_eq(io_open(io, path, IO_OPEN_WRITE, &file), VT_OK);
    cr_assert_eq(io_read_at(file, &byte, 1, offset), VT_OK);
    byte ^= 0x10;
    cr_assert_eq(io_write_at(file, &byte, 1, offset), VT_OK);
    cr_assert_eq(io_sync(file), VT_OK);
    io_close_file(file);
}

static const struct damage_case {
    const char *name;
    const char *file;
    uint64_t offset;
    vt_err want;
    const char *says;
} damage_cases[] = {
    /* clang-format off */
    { "header of a commit below the end",  "lane-01", 24, VT_DAMAGED, "lane-01 at 0: commit 1 " },
    { "flags of a commit below the end",   "lane-01", 6, VT_DAMAGED, "lane-01 at 0: commit 1 " },
    { "payload of a commit below the end", "lane-02", 200, VT_DAMAGED, "lane-02 at 0: commit 2 " },
    { "padding of a commit",               "lane-03", 4095, VT_DAMAGED, "lane-03 at 0: commit 3 " },
    { "one copy of the superblock",        "store", 20, VT_OK, "" },
    { "the other copy",                    "store", 4096 + 50, VT_OK, "" },
    { "one copy of the manifest",          "manifest-0", 70, VT_OK, "" },
    { "the other copy of the manifest",    "manifest-1", 70, VT_OK, "" },
    /* clang-format on */
};

Test(store, damage_below_the_end_is_reported_and_never_cut)
{
    for (size_t i = 0; i < VT_COUNT(damage_cases); i++) {
        const struct damage_case *c = &damage_cases[i];
        struct store *store = open_store();
        const struct store_options options = {.dir = dir};

        expect_tail(store, 1, i == 0 ? 0 : 12);
        while (log_last(store_log(store)) < 12)
            append(store_log(store), log_last(store_log(store)) + 1);
        drain(store_log(store));
        store_close(store);
        flip(c->file, c->offset);
        vt_err_clear();
        vt_err err = store_open(io, &options, &store);

        cr_expect_eq(err, c->want, "%s: %s", c->name, vt_err_name(err));
        cr_expect(strstr(vt_err_last(), c->says) != NULL, "%s: %s", c->name, vt_err_last());
        if (err == VT_OK)
            store_close(store);
        else
            flip(c->file, c->offset);
    }
}

struct seen {
    uint32_t count;
    char file[256];
    uint64_t offset;
};

static void
see(void *context, const struct store_damage *damage)
{
    struct seen *seen = context;

    cr_assert(damage->text[0] != '\0');
    seen->count++;
    (void)snprintf(seen->file, sizeof seen->file, "%s", damage->file);
    seen->offset = damage->offset;
}

static const struct verify_case {
    const char *name;
    const char *file;
    uint64_t offset;
    uint64_t reported_at;
    uint32_t damages;
} verify_cases[] = {
    /* clang-format off */
    { "the other copy of the superblock", "store", 4096 + 9, 4096, 1 },
    { "payload of commit 4",              "lane-00", 200, 0, 1 },
    { "segment",                          "segments/00000000000000000003-001.vseg", 70, 64, 1 },
    /* clang-format on */
};

static void
write_segment(struct store *store, uint64_t cut, struct store_segment *out)
{
    struct segment_writer *writer;
    struct store_info info;
    const struct chunk_key key = {.kind = 1};

    store_get_info(store, &info);
    out->id = (struct segment_id){.store = info.store, .cut = cut, .partition = 1};
    store_segment_path(store, &out->id, out->path);
    cr_assert_eq(segment_writer_open(io, out->path, &out->id, &writer), VT_OK);
    cr_assert_eq(segment_put_bytes(writer, key, (struct vt_bytes){(const uint8_t *)dir, 20}),
                 VT_OK);
    cr_assert_eq(segment_writer_finish(writer, &out->file_bytes), VT_OK, "%s", vt_err_last());
    segment_writer_close(writer);
}

Test(store, verify_names_each_damage_and_goes_on)
{
    struct store *store = open_store();
    struct store_segment segment = {0};
    struct store_check check;
    struct seen seen = {0};

    expect_tail(store, 1, 0);
    for (uint64_t number = 1; number <= 9; number++)
        append(store_log(store), number);
    drain(store_log(store));
    write_segment(store, 3, &segment);
    const struct store_seal seal = {
        .cut = 3, .arrival_us = 3, .segments = &segment, .segment_count = 1};

    cr_assert_eq(store_seal_commit(store, &seal), VT_OK, "%s", vt_err_last());
    store_close(store);
    const struct store_options options = {.dir = dir, .read_only = true};

    cr_assert_eq(store_open(io, &options, &store), VT_OK, "%s", vt_err_last());
    cr_assert_eq(store_segment_count(store), 1);
    cr_assert_eq(store_verify(store, see, &seen, &check), VT_OK);
    cr_expect_eq(seen.count, 0, "%s", seen.file);
    cr_expect_eq(check.commits, 6);
    cr_expect_eq(check.files, 8);
    for (size_t i = 0; i < VT_COUNT(verify_cases); i++) {
        const struct verify_case *c = &verify_cases[i];

        seen = (struct seen){0};
        flip(c->file, c->offset);
        cr_assert_eq(store_verify(store, see, &seen, &check), VT_OK);
        flip(c->file, c->offset);
        cr_expect_eq(seen.count, c->damages, "%s: %u", c->name, seen.count);
        cr_expect(strstr(seen.file, c->file) != NULL, "%s: %s", c->name, seen.file);
        cr_expect(seen.offset == c->reported_at, "%s", c->name);
    }
    store_close(store);
}

/* Seals commits 1 to 3 with a segment each, in partition 1. */
static void
seal_three(struct store *store, struct store_segment segments[3])
{
    expect_tail(store, 1, 0);
    for (uint64_t number = 1; number <= 9; number++)
        append(store_log(store), number);
    drain(store_log(store));
    for (uint64_t cut = 1; cut <= 3; cut++) {
        struct store_segment *segment = &segments[cut - 1];

        *segment = (struct store_segment){.rows = cut};
        write_segment(store, cut, segment);
        const struct store_seal seal = {
            .cut = cut, .arrival_us = (int64_t)cut, .segments = segment, .segment_count = 1};

        cr_assert_eq(store_seal_commit(store, &seal), VT_OK, "%s", vt_err_last());
    }
}

/* The file of a merge of two segments; nothing in it. */
static void
write_merged(struct store *store, const struct store_segment *inputs, struct store_segment *out)
{
    struct segment_writer *writer;

    *out = (struct store_segment){.id = inputs[1].id, .rows = inputs[0].rows + inputs[1].rows};
    out->id.level = 1;
    store_segment_path(store, &out->id, out->path);
    cr_assert_eq(segment_writer_open(io, out->path, &out->id, &writer), VT_OK);
    cr_assert_eq(segment_writer_finish(writer, &out->file_bytes), VT_OK, "%s", vt_err_last());
    segment_writer_close(writer);
}

Test(store, a_merge_commits_only_what_follows_each_other)
{
    struct store *store = open_store();
    struct store_segment segments[3];
    struct store_segment merged;

    seal_three(store, segments);
    write_merged(store, segments, &merged);
    const struct store_segment gap[2] = {segments[0], segments[2]};
    struct store_segment wrong = merged;

    cr_expect_eq(store_merge_commit(store, gap, 2, &merged), VT_INVALID);
    cr_expect_eq(store_merge_commit(store, segments, 1, &merged), VT_INVALID);
    wrong.rows++;
    cr_expect_eq(store_merge_commit(store, segments, 2, &wrong), VT_INVALID);
    wrong = merged;
    wrong.id.level = 2;
    cr_expect_eq(store_merge_commit(store, segments, 2, &wrong), VT_INVALID);
    cr_assert_eq(store_segment_count(store), 3);
    cr_assert_eq(store_merge_commit(store, segments, 2, &merged), VT_OK, "%s", vt_err_last());
    cr_assert_eq(store_segment_count(store), 2);
    store_segment_at(store, 0, &wrong);
    cr_expect(wrong.id.level == 1 && wrong.rows == 3 && strcmp(wrong.path, merged.path) == 0);
    /* What was merged once is not there a second time. */
    cr_expect_eq(store_merge_commit(store, segments, 2, &merged), VT_INVALID);
    store_close(store);
}

Test(store, a_start_removes_segments_that_nobody_names)
{
    struct store *store = open_store();
    struct store_segment segments[3];
    struct store_segment merged;
    char foreign[512];

    seal_three(store, segments);
    write_merged(store, segments, &merged); /* a merge that a crash ended before its edit */
    (void)snprintf(foreign, sizeof foreign, "%s/segments/notes.vseg", dir);
    FILE *file = fopen(foreign, "we");

    cr_assert(file != NULL && fclose(file) == 0);
    store_close(store);
    store = open_store();
    expect_tail(store, 4, 9);
    cr_expect(access(merged.path, F_OK) != 0, "the file of the merge is still there");
    cr_expect(access(foreign, F_OK) == 0, "a file of another name is gone");
    for (size_t i = 0; i < VT_COUNT(segments); i++)
        cr_expect(access(segments[i].path, F_OK) == 0, "%s", segments[i].path);
    write_merged(store, segments, &merged);
    cr_assert_eq(store_merge_commit(store, segments, 2, &merged), VT_OK, "%s", vt_err_last());
    store_close(store); /* before the inputs are dropped */
    store = open_store();
    cr_expect(access(merged.path, F_OK) == 0);
    cr_expect(access(segments[0].path, F_OK) != 0 && access(segments[1].path, F_OK) != 0);
    cr_expect(access(segments[2].path, F_OK) == 0);
    store_close(store);
}

/*
 * Goal:   the core merges what the policy says and nothing else, whatever happens to a merge: no
 *         answer changes, no file is left over, a failure costs the work only.
 * Method: a whole engine above the simulated disk that cuts after each commit; the list of segments
 *         is compared with the digits of the number of cuts, the digest with that of an engine that
 *         never merges.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "event_maker.h"
#include "fence.h"
#include "io_sim.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define TYPES                                                                     \
    "{\"event_types\": [{\"type\": \"call\", \"fields\": [{\"name\": \"tokens\"," \
    " \"kind\": \"decimal\", \"scale\": 0}]}], "
#define REST                                                                                  \
    "\"meters\": [{\"key\": \"calls\", \"event_type\": \"call\", \"aggregation\": \"count\"," \
    " \"window\": \"1m\"}], \"plans\": [], \"contracts\": []}"
#define EVENTS 5
#define WIDTH  4

static const char *const catalogs[2] = {
    TYPES "\"tenants\": [{\"key\": \"acme\"}], " REST,
    TYPES "\"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}], " REST,
};

struct rig {
    struct core_inline inline_state; /* first: it is the callbacks' context */
    struct io *io;
    struct store *store;
    struct core *core;
    struct arena arena;
    uint32_t merge_width;
    uint64_t ids;
    int64_t now_us;
    uint32_t offered;         /* merges that the core asked for */
    enum io_sim_kind failing; /* with `fail`: calls of this kind fail while a merge is written */
    bool fail;
    bool fail_edit; /* and then the edit */
};

static void
fail_from_now(struct rig *rig, enum io_sim_kind kind)
{
    const struct io_sim_fault fault = {
        .kind = kind, .nth = io_sim_calls(rig->io, kind) + 1, .for_ever = true};

    io_sim_set_fault(rig->io, &fault);
}

static void
rig_merge(void *context, struct core_merge *merge)
{
    struct rig *rig = context;
    const struct io_sim_fault none = {0};

    rig->offered += core_merge_stage(merge) == CORE_MERGE_WRITE;
    if (rig->fail && core_merge_stage(merge) == CORE_MERGE_WRITE)
        fail_from_now(rig, rig->failing);
    if (rig->fail_edit && core_merge_stage(merge) == CORE_MERGE_EDIT)
        fail_from_now(rig, IO_SIM_SYNC);
    core_merge(rig->core, merge, NULL);
    io_sim_set_fault(rig->io, &none);
    vt_err err = core_merged(rig->core, merge);

    (void)err; /* in core_failed */
}

static void
must(vt_err err, const char *what)
{
    cr_assert(err == VT_OK, "%s: %s: %s", what, vt_err_name(err), vt_err_last());
}

static void
rig_start(struct rig *rig)
{
    struct store_options options = {.dir = "store",
                                    .create = true,
                                    .partition_count = 1,
                                    .lane_count = 2,
                                    .lane_bytes = 1 << 20,
                                    .commit_bytes_max = 64 << 10};
    struct core_callbacks callbacks;

    rig->inline_state = (struct core_inline){.worker_count = 1};
    core_inline_callbacks(&rig->inline_state, &callbacks);
    callbacks.merge = rig_merge;
    must(store_open(rig->io, &options, &rig->store), "store_open");
    struct core_options core = {.io = rig->io,
                                .seal_io = rig->io,
                                .store = rig->store,
                                .worker_count = 1,
                                .dedup_ids_max = 1 << 14,
                                .cut_bytes = 1,
                                .callbacks = &callbacks,
                                .merge_width = rig->merge_width};

    must(core_open(&core, &rig->core), "core_open");
    rig->inline_state.core = rig->core;
}

static void
rig_stop(struct rig *rig)
{
    core_close(rig->core);
    store_close(rig->store);
}

static void
settle(struct rig *rig)
{
    must(core_submit(rig->core, rig->now_us), "core_submit");
    while (!core_idle(rig->core))
        must(core_poll(rig->core, 1), "core_poll");
    for (uint32_t i = 0; i < 64; i++) /* merges that follow from merges */
        must(core_poll(rig->core, 0), "core_poll");
}

static void
add_catalog(struct rig *rig, uint32_t index)
{
    struct vt_str text = {catalogs[index], (uint32_t)strlen(catalogs[index])};

    must(core_add_catalog(rig->core, text, NULL, NULL), "core_add_catalog");
    settle(rig);
}

static void
rig_open(struct rig *rig, uint32_t merge_width)
{
    *rig = (struct rig){.merge_width = merge_width, .now_us = INT64_C(1700000000000000)};
    arena_init(&rig->arena, 1 << 16);
    must(io_sim_open(7, &rig->io), "io_sim_open");
    rig_start(rig);
    add_catalog(rig, 0);
}

static void
rig_close(struct rig *rig)
{
    rig_stop(rig);
    io_close(rig->io);
    arena_deinit(&rig->arena);
}

/* A commit, which is cut. */
static void
add_commit(struct rig *rig)
{
    uint8_t *payload = arena_alloc(&rig->arena, EVENTS * 256);
    uint64_t size = 0;

    cr_assert(payload != NULL);
    for (uint32_t i = 0; i < EVENTS; i++) {
        char id[24];
        struct made_event event = {
            .tenant = VT_STR("acme"),
            .type = VT_STR("call"),
            .time_us = rig->now_us - (int64_t)(rig->ids * 37 % 600) * VT_US_PER_SECOND,
            .field_count = 1,
            .fields = {{.name = VT_STR("tokens"), .number = (int64_t)i}},
        };

        /* Each third is a repeat of what stands in another segment. */
        event.id =
            (struct vt_str){id, (uint32_t)snprintf(id, sizeof id, "%llu",
                                                   (unsigned long long)(rig->ids++ * 2 / 3))};
        struct vt_bytes bytes = event_bytes(&rig->arena, &event);

        memcpy(payload + size, bytes.data, bytes.size);
        size += bytes.size;
    }
    struct core_frame frame = {.frame_type = VT_FRAME_BATCH_ROWS,
                               .event_count = EVENTS,
                               .payload_crc = vt_crc32c(payload, size),
                               .payload = {payload, size}};

    rig->now_us += 20 * VT_US_PER_SECOND;
    must(core_add_frame(rig->core, &frame), "core_add_frame");
    settle(rig);
}

static void
digest(struct rig *rig, uint8_t out_digest[32])
{
    struct view view;

    must(core_view_now(rig->core, true, &view), "core_view_now");
    must(view_digest(&view, out_digest), "view_digest");
    view_put(&view);
}

static void
expect_same_digest(struct rig *rig, struct rig *other)
{
    uint8_t mine[32];
    uint8_t theirs[32];

    digest(rig, mine);
    digest(other, theirs);
    cr_expect(memcmp(mine, theirs, sizeof mine) == 0, "another digest");
}

/* No file but those of the list. */
static void
expect_files(struct rig *rig)
{
    struct io_name_list list;

    must(io_list_dir(rig->io, "store/segments", &list), "io_list_dir");
    cr_expect_eq(list.count, store_segment_count(rig->store), "%u files, %u segments", list.count,
                 store_segment_count(rig->store));
    io_name_list_free(&list);
}

/* The levels of the list, from the oldest on. */
static void
levels_text(struct rig *rig, char out_text[64])
{
    uint32_t count = store_segment_count(rig->store);

    cr_assert(count < 64);
    for (uint32_t i = 0; i < count; i++) {
        struct store_segment segment;

        store_segment_at(rig->store, i, &segment);
        out_text[i] = (char)('0' + segment.id.level);
    }
    out_text[count] = '\0';
}

/* As many of level l as the digit l of the cuts says, to the base of the width. */
static void
levels_expected(uint32_t cuts, char out_text[64])
{
    uint32_t at = 0;

    for (uint32_t level = 3; level <= 3; level--) {
        uint32_t size = 1;

        for (uint32_t l = 0; l < level; l++)
            size *= WIDTH;
        for (uint32_t i = 0; i < cuts / size % WIDTH; i++)
            out_text[at++] = (char)('0' + level);
    }
    out_text[at] = '\0';
}

TestSuite(core_merge, .timeout = 120);

Test(core_merge, four_of_a_level_become_one_of_the_next)
{
    struct rig rig;
    struct rig plain;

    rig_open(&rig, WIDTH);
    rig_open(&plain, 1);
    for (uint32_t cuts = 1; cuts <= 70; cuts++) {
        char want[64];
        char have[64];

        add_commit(&rig);
        add_commit(&plain);
        levels_expected(cuts, want);
        levels_text(&rig, have);
        cr_expect_str_eq(have, want, "after %u cuts: %s, not %s", cuts, have, want);
        expect_files(&rig);
        cr_expect_eq(store_segment_count(plain.store), cuts);
        if (cuts % 8 == 0)
            expect_same_digest(&rig, &plain);
    }
    struct core_stats stats;

    core_get_stats(rig.core, &stats);
    cr_expect_eq(stats.merges, 70 / 4 + 70 / 16 + 70 / 64);
    cr_expect_eq(stats.merges_failed, 0);
    cr_expect(stats.merge_rows > 0 && stats.merge_bytes > 0);
    rig_stop(&rig);
    rig_start(&rig);
    expect_same_digest(&rig, &plain);
    rig_close(&rig);
    rig_close(&plain);
}

/* Every byte that is not of the file's head, so that whatever is read next is damaged. */
static void
segment_spoil(struct rig *rig, uint32_t index)
{
    struct store_segment segment;
    struct io_file *file = NULL;

    store_segment_at(rig->store, index, &segment);
    must(io_open(rig->io, segment.path, IO_OPEN_WRITE, &file), segment.path);
    for (uint64_t at = 128; at < segment.file_bytes; at++) {
        uint8_t byte;

        must(io_read_at(file, &byte, 1, at), segment.path);
        byte ^= 1;
        must(io_write_at(file, &byte, 1, at), segment.path);
    }
    io_close_file(file);
}

Test(core_merge, damage_in_a_merged_segment_fences_its_partition)
{
    struct rig rig;
    struct view view;
    uint8_t sha256[32];
    char have[64];

    rig_open(&rig, WIDTH);
    for (uint32_t i = 0; i < WIDTH; i++)
        add_commit(&rig);
    levels_text(&rig, have);
    cr_assert_str_eq(have, "1");
    segment_spoil(&rig, 0);
    must(core_view_now(rig.core, true, &view), "core_view_now");
    cr_expect(view_digest(&view, sha256) == VT_DAMAGED);
    view_put(&view);
    cr_expect_eq(fence_count(core_fence(rig.core)), 1);
    rig_close(&rig);
}

Test(core_merge, segments_of_two_catalogs_stay_apart)
{
    struct rig rig;
    char have[64];

    rig_open(&rig, WIDTH);
    for (uint32_t i = 0; i < 3; i++)
        add_commit(&rig);
    add_catalog(&rig, 1); /* no rows of its own */
    for (uint32_t i = 0; i < 3; i++)
        add_commit(&rig);
    levels_text(&rig, have);
    cr_expect_str_eq(have, "000000");
    add_commit(&rig);
    levels_text(&rig, have);
    cr_expect_str_eq(have, "0001");
    rig_close(&rig);
}

Test(core_merge, a_start_goes_on_where_the_list_stands)
{
    struct rig rig;
    char have[64];

    rig_open(&rig, 1);
    for (uint32_t i = 0; i < 9; i++)
        add_commit(&rig);
    rig_stop(&rig);
    rig.merge_width = WIDTH;
    rig_start(&rig);
    settle(&rig);
    levels_text(&rig, have);
    cr_expect_str_eq(have, "110");
    expect_files(&rig);
    rig_close(&rig);
}

Test(core_merge, a_view_reads_on_what_was_merged_away)
{
    struct rig rig;
    struct view view;
    uint8_t before[32];
    uint8_t after[32];

    rig_open(&rig, WIDTH);
    for (uint32_t i = 0; i < 3; i++)
        add_commit(&rig);
    must(core_view_now(rig.core, true, &view), "core_view_now");
    digest(&rig, before);
    for (uint32_t i = 0; i < 14; i++)
        add_commit(&rig);
    must(view_digest(&view, after), "view_digest");
    cr_expect(memcmp(before, after, sizeof before) == 0, "the view has changed");
    view_put(&view);
    rig_close(&rig);
}

Test(core_merge, a_merge_that_fails_costs_the_work_only)
{
    static const enum io_sim_kind kinds[] = {IO_SIM_WRITE, IO_SIM_SYNC, IO_SIM_READ};

    for (size_t k = 0; k < VT_COUNT(kinds); k++) {
        struct core_stats stats;
        struct rig rig;
        struct rig plain;

        rig_open(&rig, WIDTH);
        rig_open(&plain, 1);
        rig.fail = true;
        rig.failing = kinds[k];
        for (uint32_t i = 0; i < 5; i++) {
            add_commit(&rig);
            add_commit(&plain);
        }
        must(core_failed(rig.core), "core_failed");
        core_get_stats(rig.core, &stats);
        cr_expect(stats.merges == 0 && stats.merges_failed == 1, "%llu merges, %llu failed",
                  (unsigned long long)stats.merges, (unsigned long long)stats.merges_failed);
        cr_expect_eq(rig.offered, 1, "it is not tried again at once");
        expect_files(&rig);
        rig.fail = false;
        for (uint32_t i = 0; i < 20; i++) {
            add_commit(&rig);
            add_commit(&plain);
        }
        core_get_stats(rig.core, &stats);
        cr_expect(stats.merges > 0, "it is tried again later");
        expect_same_digest(&rig, &plain);
        rig_close(&rig);
        rig_close(&plain);
    }
}

Test(core_merge, after_an_edit_that_failed_both_files_stay)
{
    struct core_stats stats;
    struct rig rig;
    struct rig plain;
    struct io_name_list list;

    rig_open(&rig, WIDTH);
    rig_open(&plain, 1);
    rig.fail_edit = true;
    for (uint32_t i = 0; i < WIDTH; i++) {
        add_commit(&rig);
        add_commit(&plain);
    }
    must(core_failed(rig.core), "core_failed");
    must(io_list_dir(rig.io, "store/segments", &list), "io_list_dir");
    cr_expect_eq(list.count, WIDTH + 1);
    io_name_list_free(&list);
    rig.fail_edit = false;
    for (uint32_t i = 0; i < 30; i++) {
        add_commit(&rig);
        add_commit(&plain);
    }
    core_get_stats(rig.core, &stats);
    cr_expect(stats.merges == 0 && stats.merges_failed == 1 && rig.offered == 1);
    expect_same_digest(&rig, &plain);
    rig_stop(&rig); /* the next start merges again, and sweeps */
    rig_start(&rig);
    settle(&rig);
    core_get_stats(rig.core, &stats);
    cr_expect(stats.merges > 0);
    expect_files(&rig);
    expect_same_digest(&rig, &plain);
    rig_close(&rig);
    rig_close(&plain);
}

/*
 * Goal:   a manifest gives back its last acked edit through every loss that a crash can cause and
 *         damage of one copy, and says so where both are damaged.
 * Method: on the simulated disk; edits are made, bytes of the files changed, the files read again.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io_sim.h"
#include "manifest.h"
#include "venturi/assert.h"

#define STORE_ID UINT64_C(99)

static struct io *io;

static struct manifest *
open_manifest(void)
{
    struct manifest *manifest = NULL;

    cr_assert_eq(manifest_open(io, "s", STORE_ID, &manifest), VT_OK, "%s", vt_err_last());
    return manifest;
}

/* A manifest with a start, three seals with a segment each, and an end. */
static void
setup(void)
{
    cr_assert_eq(io_sim_open(1, &io), VT_OK);
    cr_assert_eq(io_make_dir(io, "s"), VT_OK);
    cr_assert_eq(manifest_create(io, "s", STORE_ID), VT_OK);
    struct manifest *manifest = open_manifest();

    cr_assert_eq(manifest_start(manifest, 1, 0, STORE_ID), VT_OK);
    for (uint64_t cut = 10; cut <= 30; cut += 10) {
        const struct manifest_segment segment = {.cut = cut, .last_position = cut * 3};
        const struct manifest_seal seal = {
            .cut = {.number = cut, .position = cut * 3, .check = cut, .start = 1},
            .segments = &segment,
            .segment_count = 1,
            .state = {(const uint8_t *)&segment, 8},
        };

        cr_assert_eq(manifest_seal(manifest, &seal), VT_OK);
    }
    cr_assert_eq(manifest_end(manifest, 35), VT_OK);
    manifest_close(manifest);
}

static void
teardown(void)
{
    io_close(io);
}

TestSuite(manifest, .init = setup, .fini = teardown, .timeout = 20);

static void
expect_whole(const struct manifest *manifest, uint64_t known)
{
    const struct manifest_state *state = manifest_get(manifest);

    cr_expect_eq(state->start, 1);
    cr_expect_eq(state->sealed.number, 30);
    cr_expect_eq(state->sealed.position, 90);
    cr_expect_eq(state->known_number, known);
    cr_assert_eq(state->segment_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_expect_eq(state->segments[i].cut, 10 * (i + 1));
    cr_assert_eq(state->state_bytes, 8);
    cr_expect_eq(vt_load64(state->state), 30);
}

Test(manifest, gives_back_its_edits)
{
    struct manifest *manifest = open_manifest();

    expect_whole(manifest, 35);
    cr_expect_eq(manifest_bad_copies(manifest), 0);
    manifest_close(manifest);
}

static uint64_t
size_of(const char *path)
{
    struct io_file *file;
    uint64_t size = 0;

    cr_assert_eq(io_open(io, path, IO_OPEN_READ, &file), VT_OK);
    cr_assert_eq(io_size(file, &size), VT_OK);
    io_close_file(file);
    return size;
}

static void
flip(const char *path, uint64_t at)
{
    struct io_file *file;
    uint8_t byte;

    cr_assert_eq(io_open(io, path, IO_OPEN_WRITE, &file), VT_OK);
    cr_assert_eq(io_read_at(file, &byte, 1, at), VT_OK);
    byte ^= 4;
    cr_assert_eq(io_write_at(file, &byte, 1, at), VT_OK);
    io_close_file(file);
}

Test(manifest, one_damaged_copy_is_healed_by_the_other)
{
    static const char *const copies[] = {"s/manifest-0", "s/manifest-1"};

    for (uint32_t copy = 0; copy < 2; copy++)
        for (uint64_t at = 0; at < size_of(copies[copy]); at++) {
            flip(copies[copy], at);
            struct manifest *manifest = open_manifest();

            expect_whole(manifest, 35);
            manifest_close(manifest);
            flip(copies[copy], at);
        }
    /* A start writes both anew. */
    flip(copies[0], 100);
    struct manifest *manifest = open_manifest();

    cr_expect_eq(manifest_bad_copies(manifest), 1);
    cr_assert_eq(manifest_start(manifest, 2, 35, 7), VT_OK);
    manifest_close(manifest);
    manifest = open_manifest();
    cr_expect_eq(manifest_bad_copies(manifest), 0);
    cr_expect_eq(manifest_get(manifest)->start, 2);
    manifest_close(manifest);
}

Test(manifest, damage_of_both_copies_is_said)
{
    struct manifest *manifest = NULL;

    flip("s/manifest-0", 200);
    flip("s/manifest-1", 200);
    cr_expect_eq(manifest_open(io, "s", STORE_ID, &manifest), VT_DAMAGED);
    cr_expect(manifest == NULL);
}

Test(manifest, the_same_last_edit_damaged_in_both_copies_is_said)
{
    struct manifest *manifest = NULL;
    uint64_t last = size_of("s/manifest-0") - 128 + 64;

    /* Copy 1 is begun when copy 0 is durable, so no crash tears both. */
    flip("s/manifest-0", last);
    flip("s/manifest-1", last);
    cr_expect_eq(manifest_open(io, "s", STORE_ID, &manifest), VT_DAMAGED);
}

Test(manifest, another_store_is_refused)
{
    struct manifest *manifest = NULL;

    cr_expect_eq(manifest_open(io, "s", STORE_ID + 1, &manifest), VT_DAMAGED);
}

Test(manifest, an_edit_after_a_failed_one_outranks_it)
{
    const struct io_sim_fault fault = {.kind = IO_SIM_SYNC,
                                       .nth = io_sim_calls(io, IO_SIM_SYNC) + 4};
    const struct io_sim_fault none = {0};
    struct manifest *manifest = open_manifest();
    const struct manifest_seal failing = {.cut = {.number = 40}};
    const struct manifest_seal seal = {.cut = {.number = 50}};

    cr_assert_eq(manifest_start(manifest, 2, 35, 7), VT_OK);
    /* Two syncs of the start, one of copy 0; that of copy 1 fails. */
    io_sim_set_fault(io, &fault);
    cr_assert_neq(manifest_seal(manifest, &failing), VT_OK);
    io_sim_set_fault(io, &none);
    cr_assert_eq(manifest_get(manifest)->sealed.number, 30);
    cr_assert_eq(manifest_seal(manifest, &seal), VT_OK);
    manifest_close(manifest);
    manifest = open_manifest();
    cr_expect_eq(manifest_get(manifest)->sealed.number, 50);
    manifest_close(manifest);
}

/* Segments 10 and 20 of the setup as one of the next level. */
static struct manifest_merge
merge_of(struct manifest_segment segments[3])
{
    segments[0] = (struct manifest_segment){.cut = 10};
    segments[1] = (struct manifest_segment){.cut = 20};
    segments[2] = (struct manifest_segment){
        .cut = 20, .last_position = 60, .file_bytes = 7, .rows = 9, .level = 1};
    return (struct manifest_merge){segments, 2, 1};
}

static void
expect_merged(const struct manifest *manifest)
{
    const struct manifest_state *state = manifest_get(manifest);

    cr_assert_eq(state->segment_count, 2);
    cr_expect(state->segments[0].cut == 20 && state->segments[0].level == 1);
    cr_expect(state->segments[0].rows == 9 && state->segments[0].file_bytes == 7);
    cr_expect(state->segments[0].last_position == 60);
    cr_expect(state->segments[1].cut == 30 && state->segments[1].level == 0);
    cr_expect_eq(state->sealed.number, 30);
    cr_expect_eq(state->state_bytes, 8);
}

Test(manifest, a_merge_takes_the_place_of_its_inputs)
{
    struct manifest_segment segments[3];
    const struct manifest_merge merge = merge_of(segments);
    struct manifest *manifest = open_manifest();

    cr_assert_eq(manifest_start(manifest, 2, 35, 7), VT_OK);
    cr_assert_eq(manifest_merge(manifest, &merge), VT_OK, "%s", vt_err_last());
    expect_merged(manifest);
    manifest_close(manifest);
    manifest = open_manifest(); /* from the edits */
    expect_merged(manifest);
    cr_assert_eq(manifest_start(manifest, 3, 35, 7), VT_OK);
    manifest_close(manifest);
    manifest = open_manifest(); /* from a snapshot */
    expect_merged(manifest);
    cr_expect_eq(manifest_bad_copies(manifest), 0);
    manifest_close(manifest);
}

static const struct refused_merge {
    const char *name;
    uint64_t cut;
    uint32_t partition;
    uint32_t level;
} refused_merges[] = {
    /* clang-format off */
    { "another cut",                     21, 0, 0 },
    { "another partition",               20, 1, 0 },
    { "another level",                   20, 0, 1 },
    { "the first one twice",             10, 0, 0 },
    { "one that is there, out of order", 9,  0, 0 },
    /* clang-format on */
};

Test(manifest, a_merge_of_what_is_not_there_is_refused)
{
    struct manifest *manifest = open_manifest();

    cr_assert_eq(manifest_start(manifest, 2, 35, 7), VT_OK);
    for (size_t i = 0; i < VT_COUNT(refused_merges); i++) {
        const struct refused_merge *c = &refused_merges[i];
        struct manifest_segment segments[3];
        const struct manifest_merge merge = merge_of(segments);

        segments[1].cut = c->cut;
        segments[1].partition = c->partition;
        segments[1].level = c->level;
        cr_expect_eq(manifest_merge(manifest, &merge), VT_INVALID, "%s", c->name);
        cr_expect_eq(manifest_get(manifest)->segment_count, 3, "%s", c->name);
    }
    manifest_close(manifest);
}

/* A reader finds the inputs or the merged one, whichever call the crash leaves last. */
Test(manifest, a_crash_in_a_merge_leaves_before_or_after)
{
    struct manifest_segment segments[3];
    const struct manifest_merge merge = merge_of(segments);
    uint32_t before = 0;
    uint32_t after = 0;

    for (uint64_t nth = 1; nth <= 2; nth++) {
        teardown();
        setup();
        cr_assert_eq(io_sync_dir(io, "."), VT_OK);
        struct manifest *manifest = open_manifest();
        const struct io_sim_fault none = {0};

        cr_assert_eq(manifest_start(manifest, manifest_get(manifest)->start + 1, 35, 7), VT_OK);
        const struct io_sim_fault fault = {.kind = IO_SIM_SYNC,
                                           .nth = io_sim_calls(io, IO_SIM_SYNC) + nth};

        io_sim_set_fault(io, &fault);
        cr_assert_neq(manifest_merge(manifest, &merge), VT_OK);
        io_sim_set_fault(io, &none);
        cr_expect_eq(manifest_get(manifest)->segment_count, 3);
        for (uint64_t seed = 1; seed <= 40; seed++) {
            const struct io_sim_crash crash = {.seed = seed};
            struct manifest *found = NULL;
            struct io *image = NULL;
            uint64_t subset;

            cr_assert_eq(io_sim_crash(io, &crash, &subset, &image), VT_OK);
            cr_assert_eq(manifest_open(image, "s", STORE_ID, &found), VT_OK, "%s", vt_err_last());
            uint32_t count = manifest_get(found)->segment_count;

            cr_expect(count == 2 || count == 3);
            before += count == 3;
            after += count == 2;
            manifest_close(found);
            io_close(image);
        }
        manifest_close(manifest);
    }
    cr_expect(before > 0 && after > 0, "%u before, %u after", before, after);
}

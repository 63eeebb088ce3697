/*
 * Goal:   a merged segment is what one epoch would have left, whatever cuts its inputs came from
 *         and in whatever order they were merged; a merge that is called off leaves nothing.
 * Method: two partitions take in the same random commits; one is cut once, at the end, the other
 *         after each few commits. The segments of the second are merged, level by level, and the
 *         result is compared with the one segment of the first, chunk by chunk, value by value.
 *         Only the stubs of content may differ: those are computed again from the rows.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "part_world.h"
#include "sealed.h"
#include "sealed_format.h"
#include "sealed_internal.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define BATCH_MAX 60
#define PARTS_MAX 16

struct history {
    uint64_t seed;
    uint32_t parts;         /* cuts of the second partition */
    uint32_t commits;       /* a cut */
    uint32_t width;         /* of the merges */
    uint32_t batch;         /* events a commit, at most */
    int64_t arrival_us_max; /* between two commits */
    uint32_t ids;           /* so many different ones; few: many repeats */
};

static struct part_world one;
static struct part_world many;

static uint64_t
draw(uint64_t *random)
{
    /* SplitMix64 (G. Steele et al., 2014). */
    uint64_t z = (*random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void
setup(void)
{
    vt_err err = part_world_open_wide(&one);

    if (err == VT_UNSUPPORTED)
        cr_skip_test("io_uring is switched off here");
    cr_assert(err == VT_OK);
    cr_assert(part_world_open_wide(&many) == VT_OK);
}

static void
teardown(void)
{
    part_world_close(&one);
    part_world_close(&many);
}

TestSuite(seal_merge, .init = setup, .fini = teardown, .timeout = 120);

/* Both kinds of text ids and rows of all types; repeats, conflicts, exceptions, extras. */
static void
event_fill(const struct history *history, struct made_event *event, uint64_t random,
           int64_t base_us)
{
    static char ids[BATCH_MAX][64];
    static uint32_t next_id;
    char *id = ids[next_id++ % BATCH_MAX];
    static const struct vt_str tenants[] = {{"acme", sizeof "acme" - 1},
                                            {"globex", sizeof "globex" - 1},
                                            {"acme", sizeof "acme" - 1},
                                            {"nobody", sizeof "nobody" - 1}};
    static const struct vt_str regions[] = {{"", sizeof "" - 1},
                                            {"eu", sizeof "eu" - 1},
                                            {"us", sizeof "us" - 1},
                                            {"z\xc3\xbcri", sizeof "z\xc3\xbcri" - 1},
                                            {"ap", sizeof "ap" - 1}};
    uint32_t number = (uint32_t)(random >> 20) % history->ids;

    *event = (struct made_event){
        .tenant = tenants[random >> 9 & 3],
        .type = random >> 12 & 3 ? VT_STR("call") : VT_STR("slow"),
        .source = random >> 15 & 7 ? (struct vt_str){NULL, 0} : VT_STR("src"),
        .time_us = base_us - (int64_t)(random >> 20 & 0xfff) * VT_US_PER_SECOND,
    };
    (void)snprintf(id, sizeof ids[0], random & 1 ? "id-%u" : "00000000-0000-4000-8000-%012x",
                   number);
    event->id = (struct vt_str){id, (uint32_t)strlen(id)};
    event->fields[event->field_count++] = (struct made_field){
        .name = VT_STR("tokens"), .number = (int64_t)(random >> 32 & 7) * number};
    if ((random >> 12 & 3) == 0)
        return;
    event->fields[event->field_count++] =
        (struct made_field){.name = VT_STR("region"), .text = regions[(random >> 36) % 5]};
    if (random >> 40 & 1)
        event->fields[event->field_count++] =
            (struct made_field){.name = VT_STR("cost"), .text = VT_STR("-0.000125")};
    if ((random >> 41 & 7) == 0)
        event->fields[event->field_count++] =
            (struct made_field){.name = VT_STR("undeclared"), .text = regions[(random >> 44) % 5]};
}

/* One commit into both. */
static void
commit(const struct history *history, uint64_t *random)
{
    struct made_event events[BATCH_MAX] = {{.field_count = 0}};
    uint32_t count = 1 + (uint32_t)(draw(random) % history->batch);
    int64_t later_us = (int64_t)(draw(random) % (uint64_t)history->arrival_us_max);
    uint64_t first = one.maker.position;
    uint64_t settle[BATCH_MAX];

    for (uint32_t i = 0; i < count; i++)
        event_fill(history, &events[i], draw(random), one.arrival_us);
    (void)part_world_commit(&one, events, count, later_us);
    (void)part_world_commit(&many, events, count, later_us);
    /* Some of what may have been an exception or a conflict is given up. */
    for (uint32_t i = 0; i < count; i++)
        settle[i] = first + i / 2;
    if (draw(random) % 3 == 0 && count > 0)
        cr_assert_eq(part_world_settle(&one, settle, count, true),
                     part_world_settle(&many, settle, count, true));
}

static void
history_make(const struct history *history)
{
    uint64_t random = history->seed;

    for (uint32_t part = 0; part < history->parts; part++) {
        for (uint32_t i = 0; i < history->commits; i++)
            commit(history, &random);
        part_world_cut(&many, 0);
        part_world_seal(&many);
    }
    part_world_cut(&one, 0);
    part_world_seal(&one);
}

/* Merges until one is left; how far apart merges of a level are decides in what order. */
static struct sealed *
merge_all(const struct history *history)
{
    struct sealed *list[PARTS_MAX];
    uint32_t count = many.sealed_count;

    for (uint32_t i = 0; i < count; i++)
        list[i] = sealed_get(many.sealed[i]);
    while (count > 1) {
        uint32_t next = 0;

        for (uint32_t at = 0; at < count; at += history->width) {
            uint32_t inputs = count - at < history->width ? count - at : history->width;
            struct store_segment segment;
            struct seal_merge_options options = {
                .io = many.io, .store = many.store, .input_count = inputs, .inputs = list + at};

            cr_assert(inputs > 1, "seed %llu: %u segments do not go into pieces of %u",
                      (unsigned long long)history->seed, count, history->width);
            cr_assert(seal_merge(&options, &segment) == VT_OK, "%s", vt_err_last());
            for (uint32_t i = at; i < at + inputs; i++)
                sealed_put(list[i]);
            cr_assert(sealed_open(many.io, &segment, many.catalogs[0], &list[next++]) == VT_OK,
                      "%s", vt_err_last());
        }
        count = next;
    }
    return list[0];
}

static struct segment *
file_of(struct part_world *world, const struct sealed *sealed)
{
    struct segment *segment = NULL;
    char path[256];

    store_segment_path(world->store, sealed_id(sealed), path);
    cr_assert(segment_open(world->io, path, sealed_id(sealed), &segment) == VT_OK, "%s",
              vt_err_last());
    cr_assert(segment_verify(segment) == VT_OK, "%s", vt_err_last());
    return segment;
}

/* Stubs differ; pages of ids have checksums that begin with the file's identity. */
static bool
is_of_its_own(const struct chunk_info *chunk)
{
    return chunk->key.kind == SEAL_CONTENT || chunk->key.kind == SEAL_IDS ||
           (chunk->key.kind == SEAL_GROUPS && chunk->key.column == SEAL_GROUP_STUBS);
}

static void *
chunk_values(const struct segment *segment, const struct chunk_info *chunk, uint64_t *out_bytes)
{
    bool bytes = chunk->key.kind == SEAL_META || chunk->key.kind == SEAL_CELL_IDS ||
                 (chunk->key.kind == SEAL_STRINGS && chunk->key.column > 0) ||
                 (chunk->key.kind == SEAL_EXTRA && chunk->key.column > 0) ||
                 (chunk->key.kind == SEAL_EXCEPTIONS && chunk->key.column == 7);
    void *values = malloc((uint64_t)chunk->count * sizeof(int64_t) + 1);

    cr_assert(values != NULL);
    *out_bytes = bytes ? chunk->count : chunk->count * sizeof(int64_t);
    cr_assert((bytes ? segment_read_bytes(segment, chunk, values)
                     : segment_read_integers(segment, chunk, values)) == VT_OK,
              "kind %u, column %u: %s", chunk->key.kind, chunk->key.column, vt_err_last());
    return values;
}

static void
expect_same_chunks(const struct segment *want, const struct segment *have)
{
    cr_expect_eq(segment_chunk_count(want), segment_chunk_count(have));
    for (uint32_t i = 0; i < segment_chunk_count(want); i++) {
        struct chunk_info chunk;
        struct chunk_info other;
        uint64_t bytes = 0;
        uint64_t other_bytes = 0;

        segment_chunk_at(want, i, &chunk);
        if (is_of_its_own(&chunk))
            continue;
        cr_assert(segment_find(have, chunk.key, &other) == VT_OK && other.count == chunk.count,
                  "kind %u, column %u, block %u of %u values", chunk.key.kind, chunk.key.column,
                  chunk.key.block, chunk.count);
        void *values = chunk_values(want, &chunk, &bytes);
        void *others = chunk_values(have, &other, &other_bytes);

        cr_expect(bytes == other_bytes && memcmp(values, others, bytes) == 0,
                  "kind %u, column %u, block %u differs", chunk.key.kind, chunk.key.column,
                  chunk.key.block);
        free(values);
        free(others);
    }
}

static void
expect_same_ids(const struct sealed *want, const struct sealed *have)
{
    struct sealed_id_walk *walks = calloc(2, sizeof *walks);
    struct run_id one_id;
    struct run_id other_id;
    uint64_t count = 0;

    cr_assert(walks != NULL);
    sealed_id_walk_open(want, &walks[0]);
    sealed_id_walk_open(have, &walks[1]);
    for (;; count++) {
        vt_err err = sealed_id_walk_next(&walks[0], &one_id);

        cr_assert_eq(sealed_id_walk_next(&walks[1], &other_id), err, "%s", vt_err_last());
        if (err == VT_END)
            break;
        cr_assert(err == VT_OK && one_id.key == other_id.key && one_id.row == other_id.row &&
                      one_id.id.kind == other_id.id.kind && one_id.id.size == other_id.id.size &&
                      memcmp(one_id.id.data, other_id.id.data, one_id.id.size) == 0,
                  "id %llu differs", (unsigned long long)count);
    }
    cr_expect_eq(count, sealed_identity_count(want));
    sealed_id_walk_close(&walks[0]);
    sealed_id_walk_close(&walks[1]);
    free(walks);
}

static void
expect_content(const struct sealed *sealed)
{
    struct sealed_difference difference;
    uint64_t stubs = 0;

    cr_assert(sealed_verify_content(sealed, &stubs, &difference) == VT_OK, "%s", vt_err_last());
    cr_expect(!difference.any, "the rows of %.*s, %.*s have another digest",
              (int)difference.tenant.size, difference.tenant.data, (int)difference.type.size,
              difference.type.data);
    cr_expect(stubs > 0);
}

static void
expect_as_sealed_at_once(const struct history *history)
{
    history_make(history);
    cr_assert_eq(one.sealed_count, 1);
    cr_assert(many.sealed_count > 1);
    struct sealed *merged = merge_all(history);
    struct segment *want = file_of(&one, one.sealed[0]);
    struct segment *have = file_of(&many, merged);

    cr_expect_eq(sealed_id(merged)->cut, sealed_id(one.sealed[0])->cut);
    cr_expect_eq(sealed_id(merged)->first_position, sealed_id(one.sealed[0])->first_position);
    cr_expect_eq(sealed_id(merged)->last_position, sealed_id(one.sealed[0])->last_position);
    cr_expect(sealed_id(merged)->level > 0);
    cr_expect(history->ids <= 400 || sealed_row_count(merged) > SEAL_ROW_BLOCK,
              "%llu rows have one block", (unsigned long long)sealed_row_count(merged));
    expect_same_chunks(want, have);
    expect_same_ids(one.sealed[0], merged);
    expect_content(merged);
    segment_close(want);
    segment_close(have);
    sealed_put(merged);
}

#define HOUR_US (INT64_C(3600) * VT_US_PER_SECOND)

Test(seal_merge, two_segments_are_one)
{
    expect_as_sealed_at_once(&(struct history){1, 2, 3, 2, 50, HOUR_US, 400});
}

Test(seal_merge, four_at_once)
{
    expect_as_sealed_at_once(&(struct history){2, 4, 4, 4, 60, 5 * HOUR_US, 400});
}

Test(seal_merge, merges_of_merges_two_by_two)
{
    expect_as_sealed_at_once(&(struct history){3, 8, 2, 2, 40, HOUR_US, 400});
}

Test(seal_merge, merges_of_merges_four_by_four)
{
    expect_as_sealed_at_once(&(struct history){3, 8, 2, 4, 40, HOUR_US, 400});
}

Test(seal_merge, many_small_ones)
{
    expect_as_sealed_at_once(&(struct history){4, 16, 1, 16, 6, 40 * HOUR_US, 400});
}

Test(seal_merge, rows_of_many_blocks)
{
    /* More rows, identities and cells than a block has. */
    expect_as_sealed_at_once(&(struct history){5, 4, 250, 2, 60, HOUR_US, 1 << 20});
}

/* Fresh seeds each run; a failure names its own. */
Test(seal_merge, random_histories)
{
    uint64_t random = (uint64_t)getpid() ^ (uint64_t)(uintptr_t)&random;
    struct history history = {.seed = draw(&random)};

    history.parts = 2U << draw(&random) % 3;
    history.commits = 1 + (uint32_t)(draw(&random) % 6);
    history.width = history.parts == 8 || draw(&random) % 2 == 0 ? 2 : history.parts;
    history.batch = 1 + (uint32_t)(draw(&random) % BATCH_MAX);
    history.ids = draw(&random) % 2 == 0 ? 50 : 100000;
    history.arrival_us_max = 1 + (int64_t)(draw(&random) % (uint64_t)(30 * HOUR_US));
    printf("seal_merge: seed %llu, %u parts of %u commits, width %u, batches of %u\n",
           (unsigned long long)history.seed, history.parts, history.commits, history.width,
           history.batch);
    history_make(&history);
    if (many.sealed_count != history.parts)
        cr_skip_test("a cut had nothing in it");
    struct sealed *merged = merge_all(&history);
    struct segment *want = file_of(&one, one.sealed[0]);
    struct segment *have = file_of(&many, merged);

    expect_same_chunks(want, have);
    expect_same_ids(one.sealed[0], merged);
    expect_content(merged);
    segment_close(want);
    segment_close(have);
    sealed_put(merged);
}

struct brake {
    uint32_t calls;
    uint32_t stop_at; /* 0: never */
};

static vt_err
brake_pause(void *context)
{
    struct brake *brake = context;

    return ++brake->calls == brake->stop_at ? VT_AGAIN : VT_OK;
}

Test(seal_merge, one_that_is_called_off_leaves_no_file)
{
    history_make(&(struct history){6, 2, 150, 2, 60, HOUR_US, 400});
    struct brake brake = {.calls = 0};
    struct store_segment segment = {.rows = 77};
    struct seal_merge_options options = {.io = many.io,
                                         .store = many.store,
                                         .input_count = 2,
                                         .inputs = many.sealed,
                                         .pause = brake_pause,
                                         .context = &brake};
    struct segment_id id = *sealed_id(many.sealed[1]);
    char path[256];

    id.level = 1;
    store_segment_path(many.store, &id, path);
    cr_assert(seal_merge(&options, &segment) == VT_OK, "%s", vt_err_last());
    cr_assert(brake.calls > 0, "the merge never paused");
    cr_expect(access(path, F_OK) == 0);
    uint32_t pauses = brake.calls;

    for (uint32_t stop = 1; stop <= pauses; stop++) {
        brake = (struct brake){.stop_at = stop};
        segment.rows = 77;
        cr_expect_eq(seal_merge(&options, &segment), VT_AGAIN);
        cr_expect_eq(segment.rows, 77);
        cr_expect(access(path, F_OK) != 0, "stopped at %u", stop);
    }
}

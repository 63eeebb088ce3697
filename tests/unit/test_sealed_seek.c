/*
 * Goal:   looking for many ids in many segments at once finds what looking for each by itself
 *         finds: the row of each that is there, nothing for one that is not.
 * Method: several segments of one partition, with ids that are the same under other tenants and
 *         sources; all of them, and as many strangers, in one call and in calls of any size, with a
 *         ring and without; positions as they were given at the commit.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "part_world.h"
#include "sealed.h"
#include "storage/io.h"
#include "venturi/assert.h"

#define SEGMENTS 5
#define EVENTS   800 /* a segment */
#define WANTED   (2 * SEGMENTS * EVENTS)

static struct part_world world;
static struct vt_hash128 ks[WANTED];
static struct row_id ids[WANTED];
static char texts[WANTED][24];
static struct row_wanted wanted[WANTED];
static struct sealed_seek seeks[WANTED];
static const struct vt_str tenants[2] = {{"acme", 4}, {"globex", 6}};
static const struct vt_str sources[2] = {{"", 0}, {"s1", 2}};

/* Number i: the four (tenant, source) of a text stand in as many segments, where there are so many.
 * The second half of all numbers is never taken in. */
static void
wanted_make(void)
{
    for (uint32_t i = 0; i < WANTED; i++) {
        uint32_t among = i / EVENTS % 4; /* which identity of its text */
        int size =
            snprintf(texts[i], sizeof texts[i], "id-%u", i / (4 * EVENTS) * EVENTS + i % EVENTS);
        struct vt_str tenant = tenants[among % 2];
        struct vt_str source = sources[among / 2];

        ids[i] = (struct row_id){(const uint8_t *)texts[i], (uint16_t)size, ROW_ID_TEXT};
        ks[i] = batch_identity(&world.maker.key, tenant, source, &ids[i]);
        wanted[i] = (struct row_wanted){
            .identity = &ks[i], .tenant = tenant, .source = source, .id = &ids[i]};
    }
}

/* The first half of all numbers, a segment each EVENTS. */
static void
segments_make(void)
{
    static struct made_event events[EVENTS];

    for (uint32_t s = 0; s < SEGMENTS; s++) {
        for (uint32_t e = 0; e < EVENTS; e++) {
            uint32_t i = s * EVENTS + e;

            events[e] = (struct made_event){
                .tenant = wanted[i].tenant,
                .type = VT_STR("call"),
                .id = {texts[i], ids[i].size},
                .source = wanted[i].source,
                .time_us = world.arrival_us,
                .field_count = 2,
                .fields = {{.name = VT_STR("tokens"), .number = i},
                           {.name = VT_STR("region"), .text = VT_STR("eu")}},
            };
        }
        struct batch *batch = part_world_commit(&world, events, EVENTS, 0);

        for (uint32_t e = 0; e < EVENTS; e++)
            cr_assert(batch->verdict[e] == VT_ACCEPTED, "number %u", s * EVENTS + e);
        part_world_restart(&world);
    }
}

static void
expect_all_found(struct io *io, uint32_t depth, uint32_t size)
{
    struct arena arena;
    struct io_reader *reader = NULL;

    arena_init(&arena, 1 << 16);
    cr_assert(io_reader_open(io, depth, &reader) == VT_OK);
    for (uint32_t i = 0; i < WANTED; i += size) {
        uint32_t count = WANTED - i < size ? WANTED - i : size;
        struct sealed_search search = {.sealed_count = world.sealed_count,
                                       .sealed = world.sealed,
                                       .reader = reader,
                                       .arena = &arena};

        for (uint32_t j = i; j < i + count; j++)
            seeks[j].wanted = &wanted[j];
        cr_assert(sealed_seek_many(&search, seeks + i, count) == VT_OK, "%s", vt_err_last());
    }
    for (uint32_t i = 0; i < WANTED; i++) {
        const struct row_block *row = &seeks[i].row;

        cr_assert(seeks[i].found == (i < SEGMENTS * EVENTS), "depth %u, number %u", depth, i);
        if (!seeks[i].found)
            continue;
        cr_assert(row->row_count == 1 && row->position[0] == i + 1, "number %u", i);
        cr_assert(vt_str_equal(row->tenant, wanted[i].tenant));
        cr_assert(row_block_column(row, VT_STR("tokens"))->value[0] == i);
        cr_assert(row->time_us[0] == world.arrival_us);
    }
    io_reader_close(reader);
    arena_deinit(&arena);
}

Test(sealed_seek, many_at_once_are_found_as_each_alone, .timeout = 60)
{
    struct arena arena;

    cr_assert(part_world_open(&world) == VT_OK);
    wanted_make();
    segments_make();
    cr_assert(world.sealed_count == SEGMENTS);
    expect_all_found(world.io, 64, WANTED);
    expect_all_found(world.io, 3, 700);
    expect_all_found(world.io, 64, 1);
    arena_init(&arena, 1 << 16);
    for (uint32_t i = 0; i < WANTED; i += 7) {
        struct row_block row;
        vt_err err = VT_NOT_FOUND;

        for (uint32_t s = 0; err == VT_NOT_FOUND && s < world.sealed_count; s++)
            err = sealed_find(world.sealed[s], &wanted[i], &arena, &row);
        cr_assert(err == (i < SEGMENTS * EVENTS ? VT_OK : VT_NOT_FOUND), "number %u", i);
        cr_assert(err != VT_OK || row.position[0] == i + 1);
    }
    arena_deinit(&arena);
    part_world_close(&world);
}

/*
 * Goal:   damage in a segment fences its partition and no other, until the bytes are good again,
 *         in the same file or in one that took its name; a thread that waits gets them then.
 * Method: one segment on a simulated disk, open while its bytes are changed, and replaced.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fence.h"
#include "io_sim.h"
#include "venturi/assert.h"

#define PATH       "d/one.vseg"
#define PARTITIONS 3U
#define DAMAGED    1U
#define VALUES     100U

struct world {
    struct io *io;
    struct fence *fence;
    struct segment *segment;
    struct vt_bytes good; /* of the file */
    uint32_t waits;       /* calls of the wait function */
    uint32_t repair_at;   /* at that call; 0: never */
    uint32_t give_up_at;
};

static void
must(vt_err err)
{
    cr_assert(err == VT_OK, "%s: %s", vt_err_name(err), vt_err_last());
}

static void
segment_write(struct io *io, const char *path, int64_t salt, int64_t salt_second)
{
    const struct segment_id id = {.store = 7, .cut = 5, .last_position = 9, .partition = DAMAGED};
    struct segment_writer *writer = NULL;
    int64_t values[VALUES];
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < VALUES; i++)
        values[i] = (int64_t)i * 7919 % 1009 + salt;
    must(segment_writer_open(io, path, &id, &writer));
    must(segment_put_integers(writer, (struct chunk_key){.kind = 1}, values, VALUES));
    values[0] += salt_second;
    must(segment_put_integers(writer, (struct chunk_key){.kind = 2}, values, VALUES));
    must(segment_writer_finish(writer, &bytes));
    segment_writer_close(writer);
}

static struct vt_bytes
file_read(struct io *io, const char *path)
{
    struct io_file *file = NULL;
    uint64_t size = 0;

    must(io_open(io, path, IO_OPEN_READ, &file));
    must(io_size(file, &size));
    uint8_t *data = malloc(size);

    cr_assert(data != NULL);
    must(io_read_at(file, data, size, 0));
    io_close_file(file);
    return (struct vt_bytes){data, size};
}

/* The bytes at `offset` of the file that is open. */
static void
flip(struct world *world, uint64_t offset)
{
    struct io_file *file = NULL;
    uint8_t byte;

    must(io_open(world->io, PATH, IO_OPEN_WRITE, &file));
    must(io_read_at(file, &byte, 1, offset));
    byte ^= 4;
    must(io_write_at(file, &byte, 1, offset));
    io_close_file(file);
}

/* Another file under the name, as a rename puts it. */
static void
replace(struct world *world, struct vt_bytes bytes)
{
    must(io_sim_put_file(world->io, "d/new", bytes));
    must(io_rename(world->io, "d/new", PATH));
    must(io_sync_dir(world->io, "d"));
}

static bool
wait_once(void *context)
{
    struct world *world = context;

    world->waits++;
    if (world->waits == world->repair_at)
        replace(world, world->good);
    return world->waits != world->give_up_at;
}

static void
world_open(struct world *world)
{
    const struct fence_options options = {
        .partition_count = PARTITIONS, .wait = wait_once, .context = world};

    memset(world, 0, sizeof *world);
    must(io_sim_open(3, &world->io));
    must(io_make_dir(world->io, "d"));
    segment_write(world->io, PATH, 0, 0);
    world->good = file_read(world->io, PATH);
    must(fence_open(&options, &world->fence));
    must(segment_open(world->io, PATH, NULL, &world->segment));
    struct segment_guard guard = fence_guard(world->fence, DAMAGED);

    segment_set_guard(world->segment, &guard);
    fence_start(world->fence);
}

static void
world_close(struct world *world)
{
    segment_close(world->segment);
    cr_expect(fence_count(world->fence) == 0, "a fence of a segment that is closed");
    fence_close(world->fence);
    io_close(world->io);
    free(vt_owned(world->good.data));
}

static struct chunk_info
chunk_of(const struct world *world, uint16_t kind)
{
    struct chunk_info info;

    must(segment_find(world->segment, (struct chunk_key){.kind = kind}, &info));
    return info;
}

static vt_err
chunk_read(const struct world *world, uint16_t kind)
{
    struct chunk_info info = chunk_of(world, kind);
    int64_t values[VALUES];

    vt_err_clear();
    return segment_read_integers(world->segment, &info, values);
}

Test(fence, one_partition_is_fenced_until_its_file_is_replaced, .timeout = 20)
{
    struct world world;

    world_open(&world);
    cr_expect(fence_check_all(world.fence) == VT_OK);
    flip(&world, chunk_of(&world, 1).offset);
    cr_expect(chunk_read(&world, 1) == VT_DAMAGED);
    cr_expect(chunk_read(&world, 2) == VT_OK, "the other chunk is whole");
    cr_expect(fence_count(world.fence) == 1);
    cr_expect(fence_check(world.fence, DAMAGED) == VT_FENCED);
    cr_expect(strstr(vt_err_last(), "partition 1 ") != NULL && strstr(vt_err_last(), PATH) != NULL,
              "%s", vt_err_last());
    cr_expect(fence_check(world.fence, DAMAGED + 1) == VT_OK);
    cr_expect(fence_check_all(world.fence) == VT_FENCED);
    cr_expect(fence_check_waiting(world.fence) == VT_OK, "nobody waits");
    replace(&world, world.good);
    cr_expect(fence_check(world.fence, DAMAGED) == VT_OK, "%s", vt_err_last());
    cr_expect(fence_count(world.fence) == 0);
    cr_expect(chunk_read(&world, 1) == VT_OK);
    world_close(&world);
}

static const struct stranger_case {
    const char *name;
    int64_t salt;        /* of the values of the file that takes the name */
    int64_t salt_second; /* of the chunk that is not damaged */
    uint64_t cut;        /* bytes off its end */
    bool damaged_too;    /* the same chunk */
} stranger_cases[] = {
    /* clang-format off */
    { "other values",                       1, 0, 0, false },
    { "other values but in the chunk",      0, 1, 0, false },
    { "cut short",                          0, 0, 9, false },
    { "damaged as well",                    0, 0, 0, true },
    /* clang-format on */
};

Test(fence, a_file_that_is_not_the_same_lifts_nothing, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(stranger_cases); i++) {
        const struct stranger_case *c = &stranger_cases[i];
        struct world world;

        world_open(&world);
        flip(&world, chunk_of(&world, 1).offset);
        cr_expect(chunk_read(&world, 1) == VT_DAMAGED, "%s", c->name);
        segment_write(world.io, "d/other", c->salt, c->salt_second);
        struct vt_bytes other = file_read(world.io, "d/other");

        if (c->damaged_too)
            *((uint8_t *)vt_owned(other.data) + chunk_of(&world, 1).offset) ^= 1;
        replace(&world, (struct vt_bytes){other.data, other.size - c->cut});
        cr_expect(fence_check(world.fence, DAMAGED) == VT_FENCED, "%s", c->name);
        cr_expect(chunk_read(&world, 1) == VT_DAMAGED, "%s", c->name);
        free(vt_owned(other.data));
        world_close(&world);
    }
}

static const struct wait_case {
    const char *name;
    uint32_t repair_at;
    uint32_t give_up_at;
    vt_err want;
} wait_cases[] = {
    /* clang-format off */
    { "repaired meanwhile",  3, 0, VT_OK },
    { "given up",            0, 4, VT_DAMAGED },
    /* clang-format on */
};

Test(fence, a_worker_waits_for_the_repair_or_until_it_shall_give_up, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(wait_cases); i++) {
        const struct wait_case *c = &wait_cases[i];
        struct world world;

        world_open(&world);
        world.repair_at = c->repair_at;
        world.give_up_at = c->give_up_at;
        flip(&world, chunk_of(&world, 2).offset);
        fence_thread_waits(true);
        cr_expect(chunk_read(&world, 2) == c->want, "%s", c->name);
        fence_thread_waits(false);
        cr_expect(world.waits == (c->repair_at > 0 ? c->repair_at : c->give_up_at), "%s: %u waits",
                  c->name, world.waits);
        cr_expect(fence_count(world.fence) == (c->want == VT_OK ? 0 : 1), "%s", c->name);
        world_close(&world);
    }
}

Test(fence, damage_before_the_start_is_an_error_and_no_more, .timeout = 20)
{
    const struct fence_options options = {.partition_count = PARTITIONS};
    struct fence *fence = NULL;
    struct world world;

    world_open(&world);
    must(fence_open(&options, &fence));
    struct segment_guard guard = fence_guard(fence, DAMAGED);

    segment_set_guard(world.segment, &guard);
    flip(&world, chunk_of(&world, 1).offset);
    cr_expect(chunk_read(&world, 1) == VT_DAMAGED);
    cr_expect(fence_count(fence) == 0);
    fence_start(fence);
    cr_expect(chunk_read(&world, 1) == VT_DAMAGED);
    cr_expect(fence_count(fence) == 1);
    segment_close(world.segment);
    world.segment = NULL;
    cr_expect(fence_count(fence) == 0, "a segment that is closed has no damage");
    fence_close(fence);
    world_close(&world);
}

static void
count_damage(void *context, const struct segment_damage *damage)
{
    uint32_t *count = context;

    cr_expect(damage->text[0] != '\0' && damage->chunk != NULL);
    (*count)++;
}

Test(fence, a_look_at_a_segment_tells_every_damage, .timeout = 20)
{
    struct world world;
    uint32_t count = 0;

    world_open(&world);
    must(segment_verify_each(world.segment, count_damage, &count));
    cr_expect(count == 0);
    flip(&world, chunk_of(&world, 1).offset);
    flip(&world, chunk_of(&world, 2).offset);
    must(segment_verify_each(world.segment, count_damage, &count));
    cr_expect(count == 2, "%u damages", count);
    cr_expect(fence_count(world.fence) == 0, "a look fences nothing");
    world_close(&world);
}

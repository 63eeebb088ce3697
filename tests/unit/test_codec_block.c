/*
 * Goal:   a block is read as it was written, takes patches where they pay, and refuses every head
 *         that no writer makes.
 * Method: shapes of data with the sizes that they must reach; a table of heads with one fault each.
 */
#include "codec_block.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "codec_pack.h"
#include "venturi/assert.h"

static int64_t entries[PACK_BLOCK];

/* Plans, writes into a buffer of the exact size, reads back; gives the size. */
static uint32_t
round_trip(uint32_t count)
{
    static int64_t got[PACK_BLOCK];
    struct block_plan plan;

    block_plan_make(entries, count, &plan);
    VT_ASSERT(plan.bytes <= BLOCK_BYTES_MAX);
    uint8_t *out = malloc(plan.bytes);

    VT_ASSERT(out != NULL);
    block_put(&plan, entries, count, out);
    struct vt_reader reader = vt_reader_of((struct vt_bytes){out, plan.bytes});

    VT_ASSERT(block_get(&reader, count, got) == VT_OK);
    VT_ASSERT(vt_reader_left(&reader) == 0);
    VT_ASSERT(memcmp(got, entries, (size_t)count * 8) == 0);
    free(out);
    return plan.bytes;
}

static void
entries_fill(uint64_t base, uint64_t range)
{
    uint64_t x = 12345;

    for (uint32_t i = 0; i < PACK_BLOCK; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        entries[i] = (int64_t)(base + (x >> 33) % range);
    }
}

Test(codec_block, equal_entries_take_the_head_only, .timeout = 5)
{
    entries_fill((uint64_t)-77, 1);
    cr_expect(round_trip(PACK_BLOCK) == BLOCK_HEAD_BYTES);
    cr_expect(round_trip(1) == BLOCK_HEAD_BYTES);
}

Test(codec_block, the_reference_takes_the_distance_away, .timeout = 5)
{
    entries_fill(UINT64_C(1) << 62, 128);
    cr_expect(round_trip(PACK_BLOCK) == BLOCK_HEAD_BYTES + 7 * 128);
    entries_fill((uint64_t)INT64_MIN, 128);
    cr_expect(round_trip(PACK_BLOCK) == BLOCK_HEAD_BYTES + 7 * 128);
}

Test(codec_block, outliers_are_patched_on_both_sides, .timeout = 5)
{
    entries_fill(1000, 128);
    entries[77] = INT64_C(1) << 40;
    entries[78] = INT64_C(1) << 41;
    cr_expect(round_trip(PACK_BLOCK) == BLOCK_HEAD_BYTES + 7 * 128 + 2 * (2 + 5));

    /* Low ones, so many that the sample sees them: the reference stays with the crowd. */
    entries_fill(UINT64_C(1) << 40, 128);
    for (uint32_t i = 0; i < PACK_BLOCK; i += 128)
        entries[i + 8] = 3;
    cr_expect(round_trip(PACK_BLOCK) < BLOCK_HEAD_BYTES + 8 * 128 + 8 * 10 + 1);
}

Test(codec_block, extremes_survive, .timeout = 5)
{
    for (uint32_t count = 1; count <= PACK_BLOCK; count += 31) {
        for (uint32_t i = 0; i < count; i++)
            entries[i] = i % 3 == 0 ? INT64_MIN : i % 3 == 1 ? INT64_MAX : 0;
        (void)round_trip(count);
    }
}

static const struct head_case {
    const char *name;
    uint8_t head[4]; /* width, excess bytes, patches */
    uint8_t tail[8]; /* what follows packed values */
    uint32_t size;   /* of all, with the 12 bytes of the head */
    vt_err want;
} head_cases[] = {
    /* clang-format off */
    { "eight values of one byte",   { 8, 0, 0, 0 },   { 0 }, 20, VT_OK },
    { "no byte of width zero",      { 0, 0, 0, 0 },   { 0 }, 12, VT_OK },
    { "a patch",                    { 8, 1, 1, 0 },   { 7, 0, 9 }, 23, VT_OK },
    { "two patches",                { 8, 1, 2, 0 },   { 0, 0, 7, 0, 9, 9 }, 26, VT_OK },
    { "patches over width zero",    { 0, 8, 0, 0 },   { 0 }, 12, VT_BAD_FORMAT },
    { "width 65",                   { 65, 0, 0, 0 },  { 0 }, 28, VT_BAD_FORMAT },
    { "width 255",                  { 255, 0, 0, 0 }, { 0 }, 28, VT_BAD_FORMAT },
    { "excess without patches",     { 8, 1, 0, 0 },   { 0 }, 20, VT_BAD_FORMAT },
    { "patches without excess",     { 8, 0, 1, 0 },   { 0 }, 22, VT_BAD_FORMAT },
    { "excess of nine bytes",       { 8, 9, 1, 0 },   { 0 }, 28, VT_BAD_FORMAT },
    { "more patches than values",   { 8, 1, 9, 0 },   { 0 }, 28, VT_BAD_FORMAT },
    { "65,281 patches",             { 8, 1, 1, 255 }, { 0 }, 28, VT_BAD_FORMAT },
    { "an index beyond the block",  { 8, 1, 1, 0 },   { 8, 0, 9 }, 23, VT_BAD_FORMAT },
    { "an index twice",             { 8, 1, 2, 0 },   { 3, 0, 3, 0, 9, 9 }, 26, VT_BAD_FORMAT },
    { "indices that descend",       { 8, 1, 2, 0 },   { 3, 0, 2, 0, 9, 9 }, 26, VT_BAD_FORMAT },
    { "patches at full width",      { 64, 1, 1, 0 },  { 0 }, 79, VT_BAD_FORMAT },
    { "a head cut short",           { 8, 0, 0, 0 },   { 0 }, 11, VT_BAD_FORMAT },
    { "values cut short",           { 8, 0, 0, 0 },   { 0 }, 19, VT_BAD_FORMAT },
    { "patches cut short",          { 8, 1, 1, 0 },   { 7, 0, 9 }, 22, VT_BAD_FORMAT },
    /* clang-format on */
};

Test(codec_block, a_head_that_no_writer_makes_is_refused, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(head_cases); i++) {
        const struct head_case *c = &head_cases[i];
        uint8_t image[79] = {0};
        int64_t got[8];
        uint8_t *copy = malloc(c->size);

        cr_assert_not_null(copy);
        memcpy(image, c->head, sizeof c->head);
        memcpy(image + 20, c->tail, sizeof c->tail);
        memcpy(copy, image, c->size);
        struct vt_reader reader = vt_reader_of((struct vt_bytes){copy, c->size});
        vt_err err = block_get(&reader, 8, got);

        cr_expect(err == c->want, "%s: %s", c->name, vt_err_name(err));
        free(copy);
    }
}

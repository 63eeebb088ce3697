/*
 * Goal:   the compact kinds of id are nothing but another way to keep a text.
 * Method: a table of texts that are a UUID and that are not; random ids of all kinds, near each
 *         other, compared by row_id_compare and as texts.
 */
#include <criterion/criterion.h>

#include "block.h"
#include "venturi/assert.h"

static uint64_t
next_random(uint64_t *state) /* splitmix64 (S. Vigna) */
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static const struct uuid_case {
    const char *text;
    bool want;
} uuid_cases[] = {
    /* clang-format off */
    { "00000000-0000-0000-0000-000000000000", true },
    { "550e8400-e29b-41d4-a716-446655440000", true },
    { "ffffffff-ffff-ffff-ffff-ffffffffffff", true },
    { "550E8400-e29b-41d4-a716-446655440000", false },
    { "550e8400-e29b-41d4-a716-44665544000g", false },
    { "550e8400-e29b-41d4-a716-44665544000",  false },
    { "550e8400-e29b-41d4-a716-4466554400000", false },
    { "550e8400ee29b-41d4-a716-446655440000", false },
    { "550e8400-e29b-41d4-a7165446655440000", false },
    { "550e840-0e29b-41d4-a716-446655440000", false },
    { "-50e8400-e29b-41d4-a716-446655440000", false },
    { "", false },
    /* clang-format on */
};

Test(row_id, only_canonical_lower_case_is_a_uuid, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(uuid_cases); i++) {
        const char *text = uuid_cases[i].text;
        uint8_t uuid[16];
        char buffer[48];
        bool got = row_id_uuid_parse((struct vt_bytes){(const uint8_t *)text, strlen(text)}, uuid);

        cr_expect_eq(got, uuid_cases[i].want, "%s", text);
        if (!got)
            continue;
        struct vt_str back = row_id_text(&(struct row_id){uuid, 16, ROW_ID_UUID}, buffer);

        cr_expect(vt_str_equal(back, (struct vt_str){text, (uint32_t)strlen(text)}), "%s", text);
    }
}

Test(row_id, a_sequence_reads_with_twenty_digits_each, .timeout = 5)
{
    le64 numbers[2] = {le64_put(7), le64_put(UINT64_MAX)};
    char buffer[48];
    struct row_id id = {(const uint8_t *)numbers, 16, ROW_ID_SEQUENCE};
    struct vt_str text = row_id_text(&id, buffer);

    cr_expect(vt_str_equal(text, VT_STR("00000000000000000007-18446744073709551615")));
}

struct sample {
    uint8_t data[48];
    struct row_id id;
};

/* Few distinct bytes, so that many ids begin alike; texts that look like the compact kinds, too. */
static void
sample_make(struct sample *sample, uint64_t *state)
{
    uint64_t shape = next_random(state) % 5;
    struct row_id compact;
    char buffer[48];
    struct vt_str text;

    for (uint32_t i = 0; i < sizeof sample->data; i++)
        sample->data[i] = (uint8_t)(next_random(state) % 3 == 0 ? next_random(state) : 0);
    sample->id = (struct row_id){sample->data, 16, ROW_ID_UUID};
    if (shape == 0)
        return;
    sample->id.kind = ROW_ID_SEQUENCE;
    if (shape == 1)
        return;
    sample->id.kind = ROW_ID_TEXT;
    sample->id.size = (uint16_t)(next_random(state) % 4);
    if (shape == 2)
        return;
    compact = (struct row_id){sample->data, 16, shape == 3 ? ROW_ID_UUID : ROW_ID_SEQUENCE};
    text = row_id_text(&compact, buffer);
    memcpy(sample->data, text.data, text.size);
    sample->id.size = (uint16_t)text.size;
}

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

Test(row_id, order_is_that_of_the_texts, .timeout = 20)
{
    uint64_t state = 4711;
    uint32_t equal = 0;

    for (uint32_t round = 0; round < 100000; round++) {
        struct sample a;
        struct sample b;
        char text_a[48];
        char text_b[48];

        sample_make(&a, &state);
        sample_make(&b, &state);
        int want = vt_str_compare(row_id_text(&a.id, text_a), row_id_text(&b.id, text_b));

        cr_assert_eq(sign(row_id_compare(&a.id, &b.id)), sign(want), "round %u, kinds %d %d", round,
                     a.id.kind, b.id.kind);
        equal += want == 0;
    }
    cr_expect(equal > 100, "%u equal pairs", equal);
}

Test(row_id, a_block_finds_its_columns_by_name, .timeout = 5)
{
    struct row_column columns[2] = {{.name = {"region", 6}}, {.name = {"tokens", 6}}};
    struct row_block block = {.column_count = 2, .columns = columns};

    cr_expect(row_block_column(&block, VT_STR("tokens")) == &columns[1]);
    cr_expect_null(row_block_column(&block, VT_STR("token")));
    block.column_count = 0;
    cr_expect_null(row_block_column(&block, VT_STR("tokens")));
}

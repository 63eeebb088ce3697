/*
 * Goal:   the cursor reads every form of msgpack, believes no length or count beyond the bytes, and
 *         accepts nothing that msgpack-c refuses.
 * Method: a table of forms and one of hostile bytes with the message each gets; every cut of a
 *         valid value; random values and random damage, read by both.
 */
#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdlib.h>

#include "msgpack_cursor.h"
#include "venturi/assert.h"

#define LIBRARY_DEPTH 30 /* msgpack-c's stack is fixed at 32 */

static uint64_t
next_random(uint64_t *state) /* splitmix64 (S. Vigna) */
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static const struct form_case {
    const char *name;
    const char *bytes;
    uint32_t size;
    enum msgpack_kind kind;
    int64_t number; /* integer, count, or size of the contents */
} form_cases[] = {
    /* clang-format off */
    { "nil",             "\xc0", 1, MP_NIL, 0 },
    { "false",           "\xc2", 1, MP_BOOL, 0 },
    { "true",            "\xc3", 1, MP_BOOL, 1 },
    { "fixint 0",        "\x00", 1, MP_INT, 0 },
    { "fixint 127",      "\x7f", 1, MP_INT, 127 },
    { "fixint -32",      "\xe0", 1, MP_INT, -32 },
    { "fixint -1",       "\xff", 1, MP_INT, -1 },
    { "uint8",           "\xcc\xff", 2, MP_INT, 255 },
    { "uint16",          "\xcd\xff\xfe", 3, MP_INT, 65534 },
    { "uint32",          "\xce\xff\xff\xff\xff", 5, MP_INT, UINT32_MAX },
    { "uint64",          "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, MP_INT, INT64_MAX },
    { "uint64 too wide", "\xcf\x80\x00\x00\x00\x00\x00\x00\x01", 9, MP_UINT, INT64_MIN + 1 },
    { "int8",            "\xd0\x80", 2, MP_INT, -128 },
    { "int16",           "\xd1\x80\x00", 3, MP_INT, INT16_MIN },
    { "int32",           "\xd2\x80\x00\x00\x00", 5, MP_INT, INT32_MIN },
    { "int64",           "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, MP_INT, INT64_MIN },
    { "float32",         "\xca\x3f\x80\x00\x00", 5, MP_FLOAT, 0 },
    { "float64",         "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9, MP_FLOAT, 0 },
    { "fixstr empty",    "\xa0", 1, MP_STRING, 0 },
    { "fixstr",          "\xa3" "abc", 4, MP_STRING, 3 },
    { "str8",            "\xd9\x03" "abc", 5, MP_STRING, 3 },
    { "str16",           "\xda\x00\x03" "abc", 6, MP_STRING, 3 },
    { "str32",           "\xdb\x00\x00\x00\x03" "abc", 8, MP_STRING, 3 },
    { "bin8",            "\xc4\x02" "ab", 4, MP_BIN, 2 },
    { "bin16",           "\xc5\x00\x02" "ab", 5, MP_BIN, 2 },
    { "bin32",           "\xc6\x00\x00\x00\x02" "ab", 7, MP_BIN, 2 },
    { "fixarray",        "\x92\x01\x02", 3, MP_ARRAY, 2 },
    { "array16",         "\xdc\x00\x02\x01\x02", 5, MP_ARRAY, 2 },
    { "array32",         "\xdd\x00\x00\x00\x02\x01\x02", 7, MP_ARRAY, 2 },
    { "fixmap",          "\x81\xa1" "a\x01", 4, MP_MAP, 1 },
    { "map16",           "\xde\x00\x01\xa1" "a\x01", 6, MP_MAP, 1 },
    { "map32",           "\xdf\x00\x00\x00\x01\xa1" "a\x01", 8, MP_MAP, 1 },
    { "fixext1 number",  "\xd4\x01" "7", 3, MP_NUMBER, 1 },
    { "fixext2",         "\xd5\x05" "ab", 4, MP_EXT, 2 },
    { "fixext4 number",  "\xd6\x01" "1e99", 6, MP_NUMBER, 4 },
    { "fixext8",         "\xd7\xff" "12345678", 10, MP_EXT, 8 },
    { "fixext16",        "\xd8\x02" "1234567890123456", 18, MP_EXT, 16 },
    { "ext8 number",     "\xc7\x03\x01" "1.5", 6, MP_NUMBER, 3 },
    { "ext16 number",    "\xc8\x00\x03\x01" "1.5", 7, MP_NUMBER, 3 },
    { "ext32 number",    "\xc9\x00\x00\x00\x03\x01" "1.5", 9, MP_NUMBER, 3 },
    { "ext8 empty",      "\xc7\x00\x07", 3, MP_EXT, 0 },
    /* clang-format on */
};

static int64_t
number_of(const struct msgpack_item *item)
{
    switch (item->kind) {
    case MP_NIL:
    case MP_FLOAT:
        return 0;
    case MP_BOOL:
    case MP_INT:
        return item->integer;
    case MP_UINT:
        return (int64_t)item->natural;
    case MP_STRING:
    case MP_BIN:
    case MP_NUMBER:
    case MP_EXT:
        return (int64_t)item->bytes.size;
    case MP_ARRAY:
    case MP_MAP:
        return item->count;
    }
    return -1;
}

static vt_err
skim_exact(const uint8_t *data, uint64_t size, const char **out_problem)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size); /* so that a sanitizer sees a read beyond it */
    bool well_formed;

    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    struct msgpack_cursor cursor = msgpack_cursor_of((struct vt_bytes){copy, size});
    vt_err err = msgpack_cursor_skim(&cursor, 1, &well_formed);

    *out_problem = cursor.problem;
    if (err == VT_OK && msgpack_cursor_left(&cursor) > 0)
        err = VT_END;
    free(copy);
    return err;
}

Test(msgpack_cursor, reads_every_form_and_refuses_each_cut_of_it, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(form_cases); i++) {
        const struct form_case *c = &form_cases[i];
        const uint8_t *data = (const uint8_t *)c->bytes;
        struct msgpack_cursor cursor = msgpack_cursor_of((struct vt_bytes){data, c->size});
        struct msgpack_item item;
        const char *problem;

        cr_assert_eq(msgpack_cursor_next(&cursor, &item), VT_OK, "%s", c->name);
        cr_expect_eq(item.kind, c->kind, "%s: kind %d", c->name, (int)item.kind);
        cr_expect_eq(number_of(&item), c->number, "%s", c->name);
        cr_expect_eq(skim_exact(data, c->size, &problem), VT_OK, "%s: %s", c->name, problem);
        for (uint32_t cut = 0; cut < c->size; cut++)
            cr_expect_eq(skim_exact(data, cut, &problem), VT_BAD_FORMAT, "%s cut to %u", c->name,
                         cut);
    }
}

static const struct hostile_case {
    const char *name;
    const char *bytes;
    uint32_t size;
    const char *problem;
} hostile_cases[] = {
    /* clang-format off */
    { "nothing",                "", 0, "cut short" },
    { "reserved byte",          "\xc1", 1, "byte 0xc1 begins nothing" },
    { "8 GiB of array",         "\xdd\xff\xff\xff\xff", 5, "more elements than bytes" },
    { "8 GiB of map",           "\xdf\xff\xff\xff\xff", 5, "more elements than bytes" },
    { "map of half its bytes",  "\x82\xa1" "a\x01", 4, "more elements than bytes" },
    { "counts that add up",     "\x93\x92\x01\x02\x03", 5, "more elements than bytes" },
    { "4 GiB of string",        "\xdb\xff\xff\xff\xff" "abc", 8, "cut short" },
    { "4 GiB of bin",           "\xc6\xff\xff\xff\xff" "abc", 8, "cut short" },
    { "4 GiB of ext",           "\xc9\xff\xff\xff\xff\x05" "ab", 8, "cut short" },
    { "key is a number",        "\x81\x01\x01", 3, "map: key is no string" },
    { "key is nil",             "\x81\xc0\x01", 3, "map: key is no string" },
    { "second key is a map",    "\x82\xa1" "a\x01\x80\x01", 6, "map: key is no string" },
    { "inner key is a number",  "\x81\xa1" "a\x91\x81\x02\x03", 7, "map: key is no string" },
    { "number of letters",      "\xd5\x01" "ab", 4, "number extension: no JSON number" },
    { "number of nothing",      "\xc7\x00\x01", 3, "number extension: no JSON number" },
    { "number with a zero",     "\xd5\x01" "01", 4, "number extension: no JSON number" },
    { "number without digits",  "\xd5\x01" "1.", 4, "number extension: no JSON number" },
    { "number ends in e",       "\xd5\x01" "1e", 4, "number extension: no JSON number" },
    { "number with a plus",     "\xd5\x01" "+1", 4, "number extension: no JSON number" },
    { "not a number",           "\xc7\x03\x01" "NaN", 6, "number extension: no JSON number" },
    /* clang-format on */
};

Test(msgpack_cursor, names_what_is_wrong, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(hostile_cases); i++) {
        const struct hostile_case *c = &hostile_cases[i];
        const char *problem = NULL;
        vt_err err = skim_exact((const uint8_t *)c->bytes, c->size, &problem);

        cr_expect_eq(err, VT_BAD_FORMAT, "%s: %s", c->name, vt_err_name(err));
        cr_expect(problem != NULL && strcmp(problem, c->problem) == 0, "%s: %s", c->name, problem);
    }
}

/* A value at level 64 is the last; an empty container is a value like any other. */
Test(msgpack_cursor, depth_ends_at_64, .timeout = 5)
{
    static const uint8_t inner[] = {0x90, 0x80, 0xc0, 0x07};

    for (uint32_t arrays = 60; arrays <= 70; arrays++) {
        for (uint32_t k = 0; k < VT_COUNT(inner); k++) {
            uint8_t data[80];
            const char *problem;

            memset(data, 0x91, sizeof data);
            data[arrays] = inner[k];
            vt_err err = skim_exact(data, arrays + 1, &problem);

            cr_expect_eq(err, arrays + 1 <= VT_DEPTH_MAX ? VT_OK : VT_TOO_DEEP, "%u arrays: %s",
                         arrays, vt_err_name(err));
        }
    }
}

Test(msgpack_cursor, sees_text_that_is_no_utf8_anywhere, .timeout = 5)
{
    static const struct {
        const char *bytes;
        uint32_t size;
        bool want;
    } cases[] = {
        /* clang-format off */
        { "\xa2\xc3\xbc", 3, true },
        { "\xa1\xff", 2, false },
        { "\xa3\xed\xa0\x80", 4, false },
        { "\x81\xa1\xff\x01", 4, false },
        { "\x92\x81\xa1" "a\x91\xa1\x80\xa1" "b", 9, false },
        { "\xc4\x01\xff", 3, true },
        /* clang-format on */
    };

    for (size_t i = 0; i < VT_COUNT(cases); i++) {
        struct msgpack_cursor cursor =
            msgpack_cursor_of((struct vt_bytes){(const uint8_t *)cases[i].bytes, cases[i].size});
        bool well_formed = !cases[i].want;

        cr_assert_eq(msgpack_cursor_skim(&cursor, 1, &well_formed), VT_OK, "case %zu", i);
        cr_expect_eq(well_formed, cases[i].want, "case %zu", i);
    }
}

/* Packs one random scalar. */
static void
scalar_pack(msgpack_packer *packer, uint64_t *state)
{
    static const char text[40] = "0123456789012345678901234567890123456789";
    uint64_t bits = next_random(state);
    size_t size = next_random(state) % sizeof text;

    switch (next_random(state) % 6) {
    case 0:
        msgpack_pack_nil(packer);
        break;
    case 1:
        msgpack_pack_int64(packer, (int64_t)(bits >> (bits & 63)) * (bits & 64 ? 1 : -1));
        break;
    case 2:
        msgpack_pack_uint64(packer, bits);
        break;
    case 3:
        msgpack_pack_bin(packer, size);
        msgpack_pack_bin_body(packer, text, size);
        break;
    case 4:
        msgpack_pack_ext(packer, size, (int8_t)(bits | 2));
        msgpack_pack_ext_body(packer, text, size);
        break;
    default:
        msgpack_pack_str(packer, size);
        msgpack_pack_str_body(packer, text, size);
        break;
    }
}

/* Packs a random value: containers until the budget is used up, then scalars close them. */
static void
value_pack(msgpack_packer *packer, uint64_t *state)
{
    uint32_t rest[LIBRARY_DEPTH] = {0}; /* as in the cursor: even in a map: a key is next */
    bool map[LIBRARY_DEPTH] = {false};
    uint32_t open = 0;
    uint32_t budget = (uint32_t)(next_random(state) % 60);

    do {
        bool key = open > 0 && map[open - 1] && rest[open - 1] % 2 == 0;

        if (open > 0)
            rest[open - 1]--;
        if (key) {
            msgpack_pack_str(packer, 1);
            msgpack_pack_str_body(packer, "k", 1);
        } else if (budget > 0 && open < LIBRARY_DEPTH && next_random(state) % 2 == 0) {
            uint32_t count = (uint32_t)(next_random(state) % 20);

            budget = budget > count ? budget - count : 0;
            map[open] = next_random(state) % 2 == 0;
            if (map[open])
                msgpack_pack_map(packer, count);
            else
                msgpack_pack_array(packer, count);
            rest[open] = map[open] ? count * 2 : count;
            open++;
        } else {
            scalar_pack(packer, state);
        }
        while (open > 0 && rest[open - 1] == 0)
            open--;
    } while (open > 0);
}

static bool
library_reads(const char *data, size_t size)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;

    msgpack_unpacked_init(&unpacked);
    msgpack_unpack_return result = msgpack_unpack_next(&unpacked, data, size, &offset);

    msgpack_unpacked_destroy(&unpacked);
    return result == MSGPACK_UNPACK_SUCCESS && offset == size;
}

Test(msgpack_cursor, agrees_with_msgpack_c, .timeout = 60)
{
    uint64_t state = 20261121;
    uint32_t accepted = 0;

    for (uint32_t round = 0; round < 4000; round++) {
        msgpack_sbuffer buffer;
        msgpack_packer packer;
        const char *problem;

        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        value_pack(&packer, &state);
        vt_err err = skim_exact((const uint8_t *)buffer.data, buffer.size, &problem);

        cr_assert_eq(err, VT_OK, "round %u: %s: %s", round, vt_err_name(err), problem);
        for (uint32_t flips = 0; flips < 4; flips++) {
            buffer.data[next_random(&state) % buffer.size] ^= (char)(1 << next_random(&state) % 8);
            if (skim_exact((const uint8_t *)buffer.data, buffer.size, &problem) != VT_OK)
                continue;
            accepted++;
            cr_assert(library_reads(buffer.data, buffer.size), "round %u", round);
        }
        msgpack_sbuffer_destroy(&buffer);
    }
    cr_expect(accepted > 1000, "only %u damaged values passed: the test says little", accepted);
}

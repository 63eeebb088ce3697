/*
 * Goal:   every kind of msgpack value has one text in JSON, and broken bytes have none.
 * Method: a table of bytes and texts.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "msgpack_json.h"
#include "venturi/assert.h"

static const struct shown_case {
    const char *name;
    const char *bytes;
    uint32_t size;
    const char *want; /* NULL: refused */
} shown_cases[] = {
    /* clang-format off */
    { "nil",               "\xc0", 1,                          "null" },
    { "true",              "\xc3", 1,                          "true" },
    { "small",             "\x07", 1,                          "7" },
    { "negative",          "\xff", 1,                          "-1" },
    { "least",             "\xd3\x80\0\0\0\0\0\0\0", 9,        "-9223372036854775808" },
    { "largest",           "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, "18446744073709551615" },
    { "text",              "\xa3" "a\"b", 4,                   "\"a\\\"b\"" },
    { "not UTF-8",         "\xa2\xc3\x28", 3,                  "\"not UTF-8 c328\"" },
    { "bytes",             "\xc4\x02\x00\xff", 4,              "\"bytes 00ff\"" },
    { "float",             "\xcb\x3f\xf8\0\0\0\0\0\0", 9,   "\"a binary float\"" },
    { "extension",         "\xd4\x05\xaa", 3,                  "\"ext aa\"" },
    { "empty array",       "\x90", 1,                          "[]" },
    { "empty map",         "\x80", 1,                          "{}" },
    { "array of arrays",   "\x92\x91\x01\x90", 4,              "[[1],[]]" },
    { "map",               "\x82\xa1" "a\x01\xa1" "b\x91\xc2", 8, "{\"a\":1,\"b\":[false]}" },
    { "nothing",           "", 0,                              NULL },
    { "cut short",         "\x92\x01", 2,                      NULL },
    { "text cut short",    "\xa3" "ab", 3,                     NULL },
    { "a map of too much", "\xdf\xff\xff\xff\xff", 5,          NULL },
    /* clang-format on */
};

Test(msgpack_json, every_kind_has_its_text, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(shown_cases); i++) {
        const struct shown_case *c = &shown_cases[i];
        struct json_out out;

        json_out_init(&out);
        vt_err err = json_put_msgpack(&out, (struct vt_bytes){(const uint8_t *)c->bytes, c->size});

        if (c->want == NULL)
            cr_expect(err == VT_BAD_FORMAT && out.size == 0, "%s: %s", c->name, vt_err_name(err));
        else
            cr_expect(err == VT_OK && out.size == strlen(c->want) &&
                          memcmp(out.data, c->want, out.size) == 0,
                      "%s: %s: %.*s", c->name, vt_err_name(err), (int)out.size, out.data);
        json_out_deinit(&out);
    }
}

/* Depth is bounded by the cursor, so no bytes make the stack overflow. */
Test(msgpack_json, depth_is_bounded, .timeout = 5)
{
    uint8_t bytes[256];
    struct json_out out;

    memset(bytes, 0x91, sizeof bytes);
    json_out_init(&out);
    cr_expect(json_put_msgpack(&out, (struct vt_bytes){bytes, sizeof bytes}) != VT_OK);
    cr_expect(out.size == 0);
    json_out_deinit(&out);
}

/*
 * Goal:   exactly the JSON objects of RFC 8259, nested to 64, become events, and nothing that a
 *         line says is lost or changed on the way.
 * Method: tables of lines with the bytes that they become, or the message that they get.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_row.h"
#include "venturi/assert.h"

/* What the line becomes as hexadecimal digits, or "!" and the message. */
static const char *
parse(struct json_row *row, const char *line, size_t size)
{
    static char shown[4096];
    struct vt_bytes event;
    char *copy = malloc(size == 0 ? 1 : size); /* so that a sanitizer sees a read beyond it */

    cr_assert_not_null(copy);
    memcpy(copy, line, size);
    vt_err err = json_row_parse(row, (struct vt_str){copy, (uint32_t)size}, 7, &event);

    free(copy);
    if (err != VT_OK) {
        (void)snprintf(shown, sizeof shown, "!%s: %s", vt_err_name(err), vt_err_last());
        return shown;
    }
    cr_assert_lt(event.size * 2, sizeof shown);
    for (uint64_t i = 0; i < event.size; i++)
        (void)snprintf(shown + i * 2, 3, "%02x", event.data[i]);
    return shown;
}

static const struct line_case {
    const char *name;
    const char *line;
    const char *want;
} line_cases[] = {
    /* clang-format off */
    { "empty object",        "{}", "80" },
    { "white space",         " \t{ \r} \r", "80" },
    { "literals",            "{\"a\":null,\"b\":true,\"c\":false}", "83a161c0a162c3a163c2" },
    { "nested",              "{\"a\":[1,{\"b\":[]}]}", "81a1619201" "81a16290" },
    { "a key twice",         "{\"a\":1,\"a\":2}", "82a16101a16102" },
    { "small integers",      "{\"a\":[0,127,128,-1,-32,-33]}", "81a16196007fcc80ffe0d0df" },
    { "greatest integer",    "{\"a\":9223372036854775807}", "81a161cf7fffffffffffffff" },
    { "least integer",       "{\"a\":-9223372036854775808}", "81a161d38000000000000000" },
    { "beyond 64 bits",      "{\"a\":9223372036854775808}",
      "81a161c713" "01" "39323233333732303336383534373735383038" },
    { "minus zero",          "{\"a\":-0}", "81a161d5012d30" },
    { "a fraction",          "{\"a\":1.50}", "81a161d601312e3530" },
    { "an exponent",         "{\"a\":1E+3}", "81a161d60131452b33" },
    { "escapes",             "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "81a161a8225c2f080c0a0d09" },
    { "escaped letters",     "{\"a\":\"\\u0041\\u00e9\\u20AC\"}", "81a161a641c3a9e282ac" },
    { "escaped zero",        "{\"a\":\"\\u0000x\"}", "81a161a20078" },
    { "surrogate pair",      "{\"a\":\"\\ud83d\\uDE00\"}", "81a161a4f09f9880" },
    { "high alone",          "{\"a\":\"\\ud83dx\"}", "81a161a4eda0bd78" },
    { "low alone",           "{\"a\":\"\\udc00\"}", "81a161a3edb080" },
    { "low before high",     "{\"a\":\"\\udc00\\ud800\"}", "81a161a6edb080eda080" },
    { "high, then a pair",   "{\"a\":\"\\ud83d\\ud83d\\ude00\"}", "81a161a7eda0bdf09f9880" },
    { "in a key",            "{\"\\ud800\":1}", "81a3eda08001" },
    { "no escape after all", "{\"a\":\"\\\\ud83d\"}", "81a161a65c7564383364" },
    { "raw UTF-8",           "{\"\xc3\xbc\":\"\xf0\x9f\x98\x80\xe2\x80\xa8\x7f\"}",
      "81a2c3bca8f09f9880e280a87f" },
    { "sixteen elements",    "{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}",
      "81a161dc0010" "0102030405060708090a0b0c0d0e0f10" },

    { "nothing",             "", "!VT_BAD_JSON: line 7, column 1: an empty line" },
    { "blanks",              "  ", "!VT_BAD_JSON: line 7, column 2: parse error: premature EOF" },
    { "an array",            "[]", "!VT_BAD_JSON: line 7, column 1: this is no JSON object" },
    { "a string",            "\"a\"", "!VT_BAD_JSON: line 7, column 3: this is no JSON object" },
    { "null",                "null", "!VT_BAD_JSON: line 7, column 4: this is no JSON object" },
    { "two objects",         "{}{}",
      "!VT_BAD_JSON: line 7, column 3: parse error: trailing garbage" },
    { "NaN",                 "{\"a\":NaN}",
      "!VT_BAD_JSON: line 7, column 6: lexical error: invalid char in json text." },
    { "Infinity",            "{\"a\":-Infinity}",
      "!VT_BAD_JSON: line 7, column 6: lexical error: malformed number, a digit is required "
      "after the minus sign." },
    { "leading zero",        "{\"a\":01}",
      "!VT_BAD_JSON: line 7, column 6: parse error: after key and value, inside map, I expect "
      "',' or '}'" },
    { "no digit after .",    "{\"a\":1.}",
      "!VT_BAD_JSON: line 7, column 7: lexical error: malformed number, a digit is required "
      "after the decimal point." },
    { "comma at the end",    "{\"a\":1,}",
      "!VT_BAD_JSON: line 7, column 8: parse error: invalid object key (must be a string)" },
    { "a comment",           "{}//",
      "!VT_BAD_JSON: line 7, column 2: parse error: trailing garbage" },
    { "a form feed",         "{\f}",
      "!VT_BAD_JSON: line 7, column 2: byte 0x0c may not stand here" },
    { "a tab in a string",   "{\"a\":\"\t\"}",
      "!VT_BAD_JSON: line 7, column 6: lexical error: invalid character inside string." },
    { "byte order mark",     "\xef\xbb\xbf{}",
      "!VT_BAD_JSON: line 7, column 1: lexical error: invalid char in json text." },
    { "bad escape",          "{\"a\":\"\\q\"}",
      "!VT_BAD_JSON: line 7, column 7: lexical error: inside a string, '\\' occurs before a "
      "character which it may not." },
    { "bad UTF-8",           "{\"\xc3\xbc\":\"\xff\"}",
      "!VT_BAD_JSON: line 7, column 8: byte 0xff may not stand here" },
    { "raw surrogate",       "{\"a\":\"\xed\xa0\x80\"}",
      "!VT_BAD_JSON: line 7, column 7: byte 0xed may not stand here" },
    { "cut short",           "{\"a\":\"b",
      "!VT_BAD_JSON: line 7, column 7: parse error: premature EOF" },
    { "cut in an escape",    "{\"a\":\"\\ud83d\\ud8\"",
      "!VT_BAD_JSON: line 7, column 16: lexical error: invalid (non-hex) character occurs "
      "after '\\u' inside string." },
    { "column after escapes", "{\"a\":\"\\ud83d\\ude00\",x}",
      "!VT_BAD_JSON: line 7, column 21: lexical error: invalid char in json text." },
    /* clang-format on */
};

Test(json_row, lines_become_events_or_messages, .timeout = 5)
{
    struct json_row *row;

    cr_assert_eq(json_row_open(&row), VT_OK);
    for (size_t i = 0; i < VT_COUNT(line_cases); i++) {
        const struct line_case *c = &line_cases[i];
        const char *got = parse(row, c->line, strlen(c->line));

        cr_expect_str_eq(got, c->want, "%s: got %s", c->name, got);
    }
    json_row_close(row);
}

Test(json_row, a_zero_byte_stands_nowhere, .timeout = 5)
{
    struct json_row *row;

    cr_assert_eq(json_row_open(&row), VT_OK);
    cr_expect_str_eq(parse(row, "{\"a\0b\":1}", 9),
                     "!VT_BAD_JSON: line 7, column 4: byte 0x00 may not stand here");
    json_row_close(row);
}

/* `outer` arrays in an object's value, with `inner` in them. */
static bool
nested_is_event(struct json_row *row, uint32_t outer, const char *inner)
{
    char line[512];
    struct vt_bytes event;
    int size = snprintf(line, sizeof line, "{\"a\":%.*s%s%.*s}", (int)outer,
                        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                        inner, (int)outer,
                        "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    vt_err err = json_row_parse(row, (struct vt_str){line, (uint32_t)size}, 1, &event);

    cr_expect(err == VT_OK || err == VT_TOO_DEEP, "%s", vt_err_name(err));
    return err == VT_OK;
}

/* The object is level 1, a value in the innermost array one level deeper than that array. */
Test(json_row, nesting_ends_at_64, .timeout = 5)
{
    struct json_row *row;

    cr_assert_eq(json_row_open(&row), VT_OK);
    for (uint32_t outer = 55; outer < 70; outer++) {
        cr_expect_eq(nested_is_event(row, outer, ""), outer + 1 <= 64, "%u, empty", outer);
        cr_expect_eq(nested_is_event(row, outer, "1"), outer + 2 <= 64, "%u, number", outer);
        cr_expect_eq(nested_is_event(row, outer, "{}"), outer + 2 <= 64, "%u, object", outer);
        cr_expect_eq(nested_is_event(row, outer, "{\"a\":\"\"}"), outer + 3 <= 64, "%u, string",
                     outer);
    }
    json_row_close(row);
}

Test(json_row, a_long_number_keeps_every_digit, .timeout = 5)
{
    struct json_row *row;
    struct vt_bytes event;
    char line[5100];

    cr_assert_eq(json_row_open(&row), VT_OK);
    memset(line, '7', sizeof line);
    memcpy(line, "{\"a\":", 5);
    line[5005] = '}';
    cr_assert_eq(json_row_parse(row, (struct vt_str){line, 5006}, 1, &event), VT_OK);
    cr_assert_eq(event.size, 1 + 2 + 4 + 5000);
    cr_expect_eq(memcmp(event.data,
                        "\x81\xa1"
                        "a\xc8\x13\x88\x01",
                        7),
                 0);
    cr_expect_eq(memcmp(event.data + 7, line + 5, 5000), 0);
    json_row_close(row);
}

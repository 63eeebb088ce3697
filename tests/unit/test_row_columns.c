/*
 * Goal:   an event goes into columns where columns say all that it says, and stays a row else; a
 *         batch becomes frames in the order of its events, each event in one of them.
 * Method: a table of lines of JSON, each a batch of its own; then batches of a pattern, a letter an
 *         event, and the frames that they must become. That what is decoded is the same either way
 *         is compared by prop/engine.py.
 */
#include "net/client/row_columns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/client/json_row.h"
#include "net/client/row_batch.h"
#include "venturi/assert.h"

#define EVENTS_MAX 64

static struct row_batch batch;
static struct json_row *row;
static uint32_t sizes[EVENTS_MAX];

static void
begin(void)
{
    cr_assert_eq(row_batch_init(&batch, 1 << 20, EVENTS_MAX), VT_OK);
    cr_assert_eq(json_row_open(&row), VT_OK);
}

static void
end(void)
{
    row_batch_deinit(&batch);
    json_row_close(row);
}

TestSuite(row_columns, .init = begin, .fini = end, .timeout = 10);

static void
add(const char *line)
{
    struct vt_bytes event;

    cr_assert_eq(json_row_parse(row, (struct vt_str){line, (uint32_t)strlen(line)}, 1, &event),
                 VT_OK, "%s", line);
    cr_assert_eq(row_batch_add(&batch, event), VT_OK);
    sizes[batch.event_count - 1] = (uint32_t)event.size;
}

/* The frames of the batch as text: "c3 r1 ". */
static void
frames_of(uint32_t bytes_max, uint32_t events_min, char *out_text, size_t text_bytes)
{
    struct row_columns *columns = NULL;
    struct row_columns_frame frame;
    uint64_t row_bytes = 0;
    size_t at = 0;
    vt_err err;

    cr_assert_eq(row_columns_open(bytes_max, events_min, &columns), VT_OK);
    cr_assert_eq(row_columns_begin(columns, row_batch_payload(&batch), sizes, batch.event_count),
                 VT_OK);
    out_text[0] = '\0';
    while ((err = row_columns_next(columns, &frame)) == VT_OK) {
        bool rows = frame.type == VT_FRAME_BATCH_ROWS;

        cr_assert(frame.payload.size > 0);
        if (rows)
            row_bytes += frame.payload.size;
        else
            cr_expect(frame.payload.size <= bytes_max);
        at += (size_t)snprintf(out_text + at, text_bytes - at, "%c%u ", rows ? 'r' : 'c',
                               frame.event_count);
        cr_assert(at < text_bytes);
    }
    cr_expect_eq(err, VT_END);
    cr_expect(row_bytes <= batch.bytes);
    row_columns_close(columns);
}

#define BARE     "{\"tenant\":\"t\",\"type\":\"y\",\"id\":\"i\""
#define LISTS_20 "[[[[[[[[[[[[[[[[[[[["
#define ENDS_20  "]]]]]]]]]]]]]]]]]]]]"
#define HEAD     "{\"tenant\":\"t\",\"type\":\"y\",\"id\":\"i\",\"time\":1700000000000000"

static const struct line_case {
    const char *name;
    const char *line;
    bool columns;
} line_cases[] = {
    /* clang-format off */
    { "no fields",               HEAD "}", true },
    { "no fields, null",         HEAD ",\"props\":null}", true },
    { "text and integer",        HEAD ",\"props\":{\"a\":\"x\",\"b\":7}}", true },
    { "a fraction",              HEAD ",\"props\":{\"b\":-7.250}}", true },
    { "zero",                    HEAD ",\"props\":{\"b\":0}}", true },
    { "a number as text",        HEAD ",\"props\":{\"b\":\"1e3\"}}", true },
    { "a field that is null",    HEAD ",\"props\":{\"a\":null}}", true },
    { "18 digits",               HEAD ",\"props\":{\"b\":123456789012345678}}", true },
    { "time as text",            BARE ",\"time\":\"2026-01-01T00:00:00Z\"}", true },
    { "a source, a trace",       HEAD ",\"source\":\"s\",\"trace_id\":\"z\"}", true },
    { "no id",                   "{\"tenant\":\"t\",\"type\":\"y\",\"time\":5}", true },
    { "19 digits",               HEAD ",\"props\":{\"b\":1234567890123456789}}", false },
    { "an exponent",             HEAD ",\"props\":{\"b\":1e3}}", false },
    { "minus zero",              HEAD ",\"props\":{\"b\":-0}}", false },
    { "minus zero and a point",  HEAD ",\"props\":{\"b\":-0.0}}", false },
    { "true",                    HEAD ",\"props\":{\"b\":true}}", false },
    { "a list",                  HEAD ",\"props\":{\"b\":[1]}}", false },
    { "an object",               HEAD ",\"props\":{\"b\":{}}}", false },
    { "an empty text",           HEAD ",\"props\":{\"a\":\"\"}}", false },
    { "a lone surrogate",        HEAD ",\"props\":{\"a\":\"\\ud800\"}}", false },
    { "one in a name",           HEAD ",\"props\":{\"\\ud800\":1}}", false },
    { "a field twice",           HEAD ",\"props\":{\"a\":1,\"a\":2}}", false },
    { "a field twice, one null", HEAD ",\"props\":{\"a\":null,\"a\":2}}", false },
    { "props are a list",        HEAD ",\"props\":[]}", false },
    { "a key that nobody knows", HEAD ",\"more\":1}", false },
    { "a key twice",             HEAD ",\"id\":\"j\"}", false },
    { "an empty trace",          HEAD ",\"trace_id\":\"\"}", false },
    { "a reserved source",       HEAD ",\"source\":\"~s\"}", false },
    { "an id that is a number",  "{\"tenant\":\"t\",\"type\":\"y\",\"id\":1,\"time\":5}", false },
    { "no tenant",               "{\"type\":\"y\",\"id\":\"i\",\"time\":5}", false },
    { "no type",                 "{\"tenant\":\"t\",\"id\":\"i\",\"time\":5}", false },
    { "no time",                 "{\"tenant\":\"t\",\"type\":\"y\",\"id\":\"i\"}", false },
    { "no time that it would be", BARE ",\"time\":\"never\"}", false },
    { "time is a fraction",      BARE ",\"time\":5.5}", false },
    { "nested 40 deep",          HEAD ",\"more\":" LISTS_20 LISTS_20 ENDS_20 ENDS_20 "}", false },
    /* clang-format on */
};

Test(row_columns, an_event_goes_where_it_loses_nothing)
{
    for (size_t i = 0; i < VT_COUNT(line_cases); i++) {
        char text[64];

        row_batch_clear(&batch);
        add(line_cases[i].line);
        frames_of(1 << 20, 1, text, sizeof text);
        cr_expect_str_eq(text, line_cases[i].columns ? "c1 " : "r1 ", "%s: %s", line_cases[i].name,
                         text);
    }
}

/* a, b: two types; t: a text where a has a number; s, w: fractions and whole digits that are too
 * many together; d: as many digits as there may be; x: no event for columns; l: one of 600
 * bytes. */
static void
add_letter(char letter, uint32_t number)
{
    static const char *const props[] = {
        ['a'] = "\"n\":1",
        ['b'] = "\"n\":1",
        ['t'] = "\"n\":\"1\"",
        ['s'] = "\"n\":0.123456789",
        ['w'] = "\"n\":1234567890",
        ['x'] = "\"n\":true",
        ['d'] = "\"n\":123456789012345678",
    };
    char pad[601];
    char line[1024];

    memset(pad, 'p', sizeof pad - 1);
    pad[sizeof pad - 1] = '\0';
    (void)snprintf(line, sizeof line,
                   "{\"tenant\":\"t\",\"type\":\"%s\",\"id\":\"%u\",\"time\":5,\"props\":{%s%s%s}}",
                   letter == 'b' ? "b" : "a", number, letter == 'l' ? "\"p\":\"" : "",
                   letter == 'l' ? pad : props[(unsigned char)letter], letter == 'l' ? "\"" : "");
    add(line);
}

static const struct pattern_case {
    const char *name;
    const char *pattern;
    uint32_t bytes_max;
    uint32_t events_min;
    const char *want;
} pattern_cases[] = {
    /* clang-format off */
    { "all alike",                   "aaaaaaaa",     1 << 20, 3, "c8 " },
    { "as few as allowed",           "aaa",          1 << 20, 3, "c3 " },
    { "too few",                     "aa",           1 << 20, 3, "r2 " },
    { "one in the middle is a row",  "aaaxaaa",      1 << 20, 3, "c3 r1 c3 " },
    { "short stretches join rows",   "aaxaaxaaaa",   1 << 20, 3, "r6 c4 " },
    { "rows at the end",             "aaaaxa",       1 << 20, 3, "c4 r2 " },
    { "two types",                   "aaaabbbb",     1 << 20, 3, "c4 c4 " },
    { "two types by turns",          "abababab",     1 << 20, 2, "r8 " },
    { "a text beside numbers",       "aaaattt",      1 << 20, 3, "c4 c3 " },
    { "digits that do not go together", "ssswww",    1 << 20, 3, "c3 c3 " },
    { "they join with others",       "asasaa",       1 << 20, 3, "c6 " },
    { "a frame is full",             "llll",         1600,    2, "c2 c2 " },
    { "one event is too large",      "aal",          500,     1, "c2 r1 " },
    /* clang-format on */
};

Test(row_columns, a_batch_is_cut_in_its_order)
{
    for (size_t i = 0; i < VT_COUNT(pattern_cases); i++) {
        const struct pattern_case *c = &pattern_cases[i];
        char text[128];

        row_batch_clear(&batch);
        for (uint32_t k = 0; c->pattern[k] != '\0'; k++)
            add_letter(c->pattern[k], k);
        frames_of(c->bytes_max, c->events_min, text, sizeof text);
        cr_expect_str_eq(text, c->want, "%s: %s", c->name, text);
    }
}

/* Texts in the places of numbers of another scale; UBSan sees it where they take part in it. */
Test(row_columns, a_text_has_no_scale)
{
    static const char *const patterns[] = {"sd", "tt"};
    struct row_columns *columns = NULL;
    struct row_columns_frame frame;

    cr_assert_eq(row_columns_open(1 << 20, 1, &columns), VT_OK);
    for (size_t i = 0; i < VT_COUNT(patterns); i++) {
        row_batch_clear(&batch);
        for (uint32_t k = 0; patterns[i][k] != '\0'; k++)
            add_letter(patterns[i][k], k);
        cr_assert_eq(
            row_columns_begin(columns, row_batch_payload(&batch), sizes, batch.event_count), VT_OK);
        while (row_columns_next(columns, &frame) == VT_OK)
            cr_expect_eq(frame.type, VT_FRAME_BATCH_COLUMNS);
    }
    row_columns_close(columns);
}

/*
 * Goal:   each event gets the first reason that applies, or its values; a frame that is not of the
 *         format is refused whole, and the message says where.
 * Method: tables: events as JSON, put through json_row, with their reason as SEMANTICS.md has it;
 *         frames as bytes with their message; and single properties of ids, sessions, strings and
 *         extras.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"
#include "hand_catalog.h"
#include "json_row.h"
#include "row_batch.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define T   "\"tenant\":\"acme\","
#define Y   "\"type\":\"call\","
#define I   "\"id\":\"i1\","
#define W   "\"time\":1782864000000000,"
#define P   "\"props\":{\"tokens\":1}"
#define A64 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
#define Z64 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"

/* A frame of JSON events and what became of it. */
struct fixture {
    struct arena arena;
    struct row_batch rows;
    struct json_row *json;
    struct batch_options options;
    struct batch *batch;
};

static void
setup(struct fixture *f)
{
    arena_init(&f->arena, 4096);
    cr_assert_eq(row_batch_init(&f->rows, VT_FRAME_BYTES_MAX, 1000), VT_OK);
    cr_assert_eq(json_row_open(&f->json), VT_OK);
    f->options =
        (struct batch_options){.catalog = hand_catalog(), .key = {1, 2}, .partition_count = 16};
}

static void
teardown(struct fixture *f)
{
    arena_deinit(&f->arena);
    row_batch_deinit(&f->rows);
    json_row_close(f->json);
}

static void
add(struct fixture *f, const char *json)
{
    struct vt_bytes event;
    vt_err err = json_row_parse(f->json, (struct vt_str){json, (uint32_t)strlen(json)}, 1, &event);

    cr_assert_eq(err, VT_OK, "%s: %s", json, vt_err_last());
    cr_assert_eq(row_batch_add(&f->rows, event), VT_OK);
}

static vt_err
decode_bytes(struct fixture *f, uint32_t event_count, struct vt_bytes payload)
{
    vt_err_clear();
    return batch_decode(&f->arena, &f->options,
                        &(struct batch_frame){VT_FRAME_BATCH_ROWS, event_count, payload},
                        &f->batch);
}

static void
decode(struct fixture *f)
{
    vt_err err = decode_bytes(f, f->rows.event_count, row_batch_payload(&f->rows));

    cr_assert_eq(err, VT_OK, "%s", vt_err_last());
}

static struct vt_str
text(const char *s)
{
    return (struct vt_str){s, (uint32_t)strlen(s)};
}

#define FIELDS(props) "{" T Y I W "\"props\":{" props "}}"
#define TIME(time)    "{" T Y I "\"time\":" time "," P "}"

enum {
    GOOD = VT_REASON_NONE,
    MALFORMED = VT_REASON_MALFORMED,
    UNKNOWN_TENANT = VT_REASON_UNKNOWN_TENANT,
    UNKNOWN_TYPE = VT_REASON_UNKNOWN_EVENT_TYPE,
    MISSING_ID = VT_REASON_MISSING_ID,
    BAD_TIME = VT_REASON_BAD_TIME,
    MISSING_FIELD = VT_REASON_MISSING_FIELD,
    BAD_VALUE = VT_REASON_BAD_VALUE,
    SCALE_EXCEEDED = VT_REASON_SCALE_EXCEEDED,
    OUT_OF_RANGE = VT_REASON_VALUE_OUT_OF_RANGE,
};

static const struct reason_case {
    const char *name;
    uint8_t want;
    const char *json;
} reason_cases[] = {
    /* clang-format off */
    { "good", GOOD, "{" T Y I W P "}" },
    { "no fields declared", GOOD, "{" T "\"type\":\"ping\"," I W "\"props\":{}}" },
    { "no props at all", GOOD, "{" T "\"type\":\"ping\"," I "\"time\":0}" },
    { "props null", GOOD, "{" T "\"type\":\"ping\"," I "\"time\":0,\"props\":null}" },
    { "source null", GOOD, "{" T Y I W P ",\"source\":null}" },
    { "the last key counts", GOOD, "{\"tenant\":7,\"id\":null," T Y I W P "}" },
    { "the last props count", GOOD, "{\"props\":3," T Y I W P "}" },
    { "the last field counts", GOOD, FIELDS("\"tokens\":true,\"tokens\":1") },
    { "a bad one replaced", GOOD, "{\"zz\":\"\\ud800\"," T Y I W P ",\"zz\":1}" },
    { "id of 1024 bytes", GOOD, "{" T Y "\"id\":\"%1024\"," W P "}" },

    { "tenant a number", MALFORMED, "{\"tenant\":1," Y I W P "}" },
    { "tenant a bool", MALFORMED, "{\"tenant\":false," Y I W P "}" },
    { "type an array", MALFORMED, "{" T "\"type\":[]," I W P "}" },
    { "id a number", MALFORMED, "{" T Y "\"id\":1," W P "}" },
    { "source an object", MALFORMED, "{" T Y I W P ",\"source\":{}}" },
    { "source reserved", MALFORMED, "{" T Y I W P ",\"source\":\"~x\"}" },
    { "props an array", MALFORMED, "{" T Y I W "\"props\":[]}" },
    { "props a string", MALFORMED, "{" T Y I W "\"props\":\"x\"}" },
    { "id of 1025 bytes", MALFORMED, "{" T Y "\"id\":\"%1025\"," W P "}" },
    { "source too long", MALFORMED, "{" T Y I W P ",\"source\":\"%1025\"}" },
    { "declared too long", MALFORMED, FIELDS("\"tokens\":1,\"region\":\"%1025\"") },
    { "decimal too long", MALFORMED, FIELDS("\"tokens\":\"%1025\"") },
    { "undeclared too long", MALFORMED, FIELDS("\"tokens\":1,\"x\":\"%1025\"") },
    { "too long, replaced", GOOD, FIELDS("\"x\":\"%1025\",\"tokens\":1,\"x\":1") },
    { "too long, further in", GOOD, FIELDS("\"tokens\":1,\"x\":[\"%1025\"]") },
    { "trace may be long", GOOD, "{" T Y I W P ",\"trace_id\":\"%1025\"}" },
    { "lone in a value", MALFORMED, FIELDS("\"tokens\":1,\"region\":\"\\ud800\"") },
    { "lone in a field name", MALFORMED, FIELDS("\"tokens\":1,\"\\udfff\":1") },
    { "lone far inside", MALFORMED, "{" T Y I W P ",\"x\":[{\"y\":[\"\\udc00\"]}]}" },
    { "lone in a key far in", MALFORMED, "{" T Y I W P ",\"x\":{\"y\":{\"\\udc00\":1}}}" },
    { "lone in the time", MALFORMED, TIME("\"\\ud800\"") },
    { "lone beside null", GOOD, "{" T Y I W P ",\"\\ud800\":null}" },
    { "lone field null", MALFORMED, FIELDS("\"tokens\":1,\"\\ud800\":null") },
    { "malformed comes first", MALFORMED, "{\"tenant\":\"who\",\"type\":3}" },

    { "no tenant", UNKNOWN_TENANT, "{" Y I W P "}" },
    { "tenant null", UNKNOWN_TENANT, "{\"tenant\":null," Y I W P "}" },
    { "tenant empty", UNKNOWN_TENANT, "{\"tenant\":\"\"," Y I W P "}" },
    { "tenant unknown", UNKNOWN_TENANT, "{\"tenant\":\"Acme\",\"type\":\"what\"}" },
    { "empty object", UNKNOWN_TENANT, "{}" },
    { "no type", UNKNOWN_TYPE, "{" T I W P "}" },
    { "type unknown", UNKNOWN_TYPE, "{" T "\"type\":\"Call\"}" },
    { "no id", MISSING_ID, "{" T Y W P "}" },
    { "id null", MISSING_ID, "{" T Y "\"id\":null," W P "}" },
    { "id empty", MISSING_ID, "{" T Y "\"id\":\"\"}" },

    { "no time", BAD_TIME, "{" T Y I P "}" },
    { "time a bool", BAD_TIME, TIME("true") },
    { "time a fraction", BAD_TIME, TIME("1.0") },
    { "time with exponent", BAD_TIME, TIME("1e3") },
    { "time minus zero", GOOD, TIME("-0") },
    { "time beyond int64", BAD_TIME, TIME("12345678901234567890") },
    { "integer in a string", BAD_TIME, TIME("\"1782864000000000\"") },
    { "time without zone", BAD_TIME, TIME("\"2026-07-01T00:00:00\"") },
    { "leap second", BAD_TIME, TIME("\"2026-06-30T23:59:60Z\"") },
    { "first instant", GOOD, TIME("\"0002-01-01T00:00:00Z\"") },
    { "before it", BAD_TIME, TIME("\"0001-12-31T23:59:59.999999Z\"") },
    { "last instant", GOOD, TIME("253370764799999999") },
    { "after it", BAD_TIME, TIME("253370764800000000") },
    { "time before fields", BAD_TIME, "{" T Y I "\"time\":[],\"props\":{}}" },

    { "missing", MISSING_FIELD, FIELDS("") },
    { "missing as null", MISSING_FIELD, FIELDS("\"tokens\":null") },
    { "null comes last", MISSING_FIELD, FIELDS("\"tokens\":1,\"tokens\":null") },
    { "optional null", GOOD, FIELDS("\"tokens\":1,\"cost\":null,\"region\":null") },
    { "declared order", BAD_VALUE, FIELDS("\"cost\":\"x\",\"region\":1") },
    { "missing before bad", MISSING_FIELD, FIELDS("\"cost\":\"x\"") },
    { "string a number", BAD_VALUE, FIELDS("\"tokens\":1,\"region\":1") },
    { "string a bool", BAD_VALUE, FIELDS("\"tokens\":1,\"region\":true") },
    { "string an array", BAD_VALUE, FIELDS("\"tokens\":1,\"region\":[]") },
    { "decimal a bool", BAD_VALUE, FIELDS("\"tokens\":true") },
    { "decimal an object", BAD_VALUE, FIELDS("\"tokens\":{}") },
    { "decimal empty", BAD_VALUE, FIELDS("\"tokens\":\"\"") },
    { "decimal with space", BAD_VALUE, FIELDS("\"tokens\":\" 1\"") },
    { "decimal with plus", BAD_VALUE, FIELDS("\"tokens\":\"+1\"") },
    { "leading zeros", GOOD, FIELDS("\"tokens\":\"007\"") },
    { "trailing zeros", GOOD, FIELDS("\"tokens\":1.000") },
    { "one digit too many", SCALE_EXCEEDED, FIELDS("\"tokens\":1.5") },
    { "the same as a string", SCALE_EXCEEDED, FIELDS("\"tokens\":\"15e-1\"") },
    { "tiny", SCALE_EXCEEDED, FIELDS("\"tokens\":1e-1000") },
    { "zero of any exponent", GOOD, FIELDS("\"tokens\":0e99999999999999999999") },
    { "huge", OUT_OF_RANGE, FIELDS("\"tokens\":1e99999999999999999999") },
    { "greatest", GOOD, FIELDS("\"tokens\":9223372036854775807") },
    { "one more", OUT_OF_RANGE, FIELDS("\"tokens\":9223372036854775808") },
    { "least", GOOD, FIELDS("\"tokens\":-9223372036854775808") },
    { "least at its scale", GOOD, FIELDS("\"tokens\":1,\"cost\":-9223372036854.775808") },
    { "beyond at its scale", OUT_OF_RANGE,
      FIELDS("\"tokens\":1,\"cost\":9223372036854.775808") },
    { "integer beyond scale", OUT_OF_RANGE, FIELDS("\"tokens\":1,\"cost\":9223372036855") },
    { "scale before range", SCALE_EXCEEDED, FIELDS("\"tokens\":99999999999999999999.5") },
    /* clang-format on */
};

/* The case's JSON with %N written out as N times 'x'. */
static const char *
expand(const char *json)
{
    static char line[8192];
    const char *mark = strchr(json, '%');

    if (mark == NULL)
        return json;
    char *rest;
    unsigned long count = strtoul(mark + 1, &rest, 10);

    (void)snprintf(line, sizeof line, "%.*s", (int)(mark - json), json);
    memset(line + (mark - json), 'x', count);
    (void)snprintf(line + (mark - json) + count, sizeof line - count - (size_t)(mark - json), "%s",
                   rest);
    return line;
}

/* One frame for all cases: none may leave anything behind for the next. */
Test(batch_rows, the_first_reason_that_applies, .timeout = 10)
{
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < VT_COUNT(reason_cases); i++)
        add(&f, expand(reason_cases[i].json));
    decode(&f);
    for (uint32_t i = 0; i < VT_COUNT(reason_cases); i++) {
        const struct reason_case *c = &reason_cases[i];
        uint8_t verdict = c->want == VT_REASON_NONE ? VT_ACCEPTED : VT_EXCEPTION;

        cr_expect_eq(f.batch->reason[i], c->want, "%s: want %s, got %s", c->name,
                     vt_reason_name(c->want), vt_reason_name(f.batch->reason[i]));
        cr_expect_eq(f.batch->verdict[i], verdict, "%s", c->name);
    }
    teardown(&f);
}

static const struct frame_case {
    const char *name;
    const char *bytes;
    uint32_t size;
    uint32_t event_count;
    vt_err want;
    const char *message;
} frame_cases[] = {
    /* clang-format off */
    { "no events",          "\x80", 1, 0, VT_BAD_LENGTH, "batch: event_count 0 is not 1 to 65536" },
    { "too many events",    "\x80", 1, 65537, VT_BAD_LENGTH,
      "batch: event_count 65537 is not 1 to 65536" },
    { "events of no bytes", "\x80", 1, 2, VT_BAD_LENGTH, "batch: event_count 2, but 1 bytes" },
    { "an array",           "\x90", 1, 1, VT_BAD_FORMAT, "event 0: byte 0: no map" },
    { "second is a string", "\x80\xa0", 2, 2, VT_BAD_FORMAT, "event 1: byte 1: no map" },
    { "one event too many", "\x80\x80", 2, 1, VT_BAD_FORMAT, "byte 1: more bytes than events" },
    { "one event too few",  "\x81\xa1" "a\x80", 4, 2, VT_BAD_FORMAT, "event 1: byte 4: cut short" },
    { "key is a number",    "\x81\x01\x01", 3, 1, VT_BAD_FORMAT,
      "event 0: byte 1: map: key is no string" },
    { "field key is nil",   "\x81\xa5props\x81\xc0\x01", 10, 1, VT_BAD_FORMAT,
      "event 0: byte 8: map: key is no string" },
    { "inner key",          "\x81\xa1" "a\x81\x01\x01", 6, 1, VT_BAD_FORMAT,
      "event 0: byte 4: map: key is no string" },
    { "map of 4 G",         "\xdf\xff\xff\xff\xff", 5, 1, VT_BAD_FORMAT,
      "event 0: byte 0: more elements than bytes" },
    { "cut in a string",    "\x81\xa2id\xa5" "ab", 7, 1, VT_BAD_FORMAT,
      "event 0: byte 4: cut short" },
    { "reserved byte",      "\x81\xa2id\xc1", 5, 1, VT_BAD_FORMAT,
      "event 0: byte 4: byte 0xc1 begins nothing" },
    { "number of letters",  "\x81\xa2id\xd5\x01" "ab", 8, 1, VT_BAD_FORMAT,
      "event 0: byte 4: number extension: no JSON number" },
    /* clang-format on */
};

Test(batch_rows, a_frame_that_is_not_of_the_format_is_refused, .timeout = 5)
{
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < VT_COUNT(frame_cases); i++) {
        const struct frame_case *c = &frame_cases[i];
        uint8_t *copy = malloc(c->size);

        cr_assert_not_null(copy);
        memcpy(copy, c->bytes, c->size);
        vt_err err = decode_bytes(&f, c->event_count, (struct vt_bytes){copy, c->size});

        cr_expect_eq(err, c->want, "%s: %s", c->name, vt_err_name(err));
        cr_expect_str_eq(vt_err_last(), c->message, "%s: %s", c->name, vt_err_last());
        free(copy);
    }
    f.options.sequence = UINT64_MAX;
    cr_expect_eq(decode_bytes(&f, 1, (struct vt_bytes){(const uint8_t *)"\x80", 1}), VT_OK);
    cr_expect_eq(decode_bytes(&f, 2, (struct vt_bytes){(const uint8_t *)"\x80\x80", 2}),
                 VT_BAD_SEQUENCE);
    teardown(&f);
}

/* The object, props and 62 levels below, or one more; json_row would not even send the second. */
Test(batch_rows, depth_ends_at_64, .timeout = 5)
{
    struct fixture f;
    uint8_t data[128];

    setup(&f);
    for (uint32_t arrays = 58; arrays < 70; arrays++) {
        memcpy(data, "\x81\xa5props\x81\xa1x", 10);
        memset(data + 10, 0x91, arrays);
        data[10 + arrays] = 0x01;
        vt_err err = decode_bytes(&f, 1, (struct vt_bytes){data, 11 + arrays});

        cr_expect_eq(err, arrays + 3 <= VT_DEPTH_MAX ? VT_OK : VT_TOO_DEEP, "%u: %s", arrays,
                     vt_err_name(err));
    }
    teardown(&f);
}

/* Kinds that JSON does not have, in the places of JSON ones. */
Test(batch_rows, msgpack_kinds_beyond_json, .timeout = 5)
{
    static const struct {
        const char *name;
        const char *value;
        uint32_t size;
        uint8_t as_id;
        uint8_t as_time;
        uint8_t as_tokens;
        uint8_t as_region;
    } cases[] = {
        /* clang-format off */
        { "float",   "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9, VT_REASON_MALFORMED,
          VT_REASON_BAD_TIME, VT_REASON_BAD_VALUE, VT_REASON_BAD_VALUE },
        { "bin",     "\xc4\x01" "1", 3, VT_REASON_MALFORMED,
          VT_REASON_BAD_TIME, VT_REASON_BAD_VALUE, VT_REASON_BAD_VALUE },
        { "ext",     "\xd4\x07" "1", 3, VT_REASON_MALFORMED,
          VT_REASON_BAD_TIME, VT_REASON_BAD_VALUE, VT_REASON_BAD_VALUE },
        { "uint64",  "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, VT_REASON_MALFORMED,
          VT_REASON_BAD_TIME, VT_REASON_VALUE_OUT_OF_RANGE, VT_REASON_BAD_VALUE },
        { "number",  "\xd4\x01" "1", 3, VT_REASON_MALFORMED,
          VT_REASON_NONE, VT_REASON_NONE, VT_REASON_BAD_VALUE },
        { "no UTF-8", "\xa1\xff", 2, VT_REASON_MALFORMED,
          VT_REASON_MALFORMED, VT_REASON_MALFORMED, VT_REASON_MALFORMED },
        /* clang-format on */
    };
    static const char head[] = "\x85\xa6tenant\xa4"
                               "acme\xa4type\xa4"
                               "call\xa2id";
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < VT_COUNT(cases); i++) {
        const uint8_t want[4] = {cases[i].as_id, cases[i].as_time, cases[i].as_tokens,
                                 cases[i].as_region};

        for (uint32_t place = 0; place < 4; place++) {
            static const char *const keys[4] = {"", "\xa4time", "\xa5props\x82\xa6tokens",
                                                "\xa6region"};
            static const char *const good[4] = {"\xa1i", "\x00", "\x01", "\xa1r"};
            static const uint32_t good_size[4] = {2, 1, 1, 2};
            uint8_t data[128];
            uint32_t at = sizeof head - 1;

            memcpy(data, head, at);
            for (uint32_t k = 0; k < 4; k++) {
                uint32_t size = k == place ? cases[i].size : good_size[k];

                memcpy(data + at, keys[k], strlen(keys[k]));
                at += (uint32_t)strlen(keys[k]);
                memcpy(data + at, k == place ? cases[i].value : good[k], size);
                at += size;
            }
            cr_assert_eq(decode_bytes(&f, 1, (struct vt_bytes){data, at}), VT_OK, "%s %u: %s",
                         cases[i].name, place, vt_err_last());
            cr_expect_eq(f.batch->reason[0], want[place], "%s at %u: %s", cases[i].name, place,
                         vt_reason_name(f.batch->reason[0]));
        }
    }
    teardown(&f);
}

static bool
string_is(const struct fixture *f, uint32_t code, const char *want)
{
    return vt_str_equal(f->batch->strings[code], text(want));
}

Test(batch_rows, values_stand_in_the_columns_of_their_slots, .timeout = 5)
{
    struct fixture f;

    setup(&f);
    add(&f, "{" T Y I W "\"props\":{\"cost\":\"1.5\",\"tokens\":12e2,\"region\":\"eu\"}}");
    add(&f, "{" T "\"type\":\"job\",\"id\":\"i2\"," W
            "\"props\":{\"units\":-1,\"seconds\":0.25,\"region\":\"eu\"},\"source\":\"eu\"}");
    decode(&f);
    const struct batch *b = f.batch;

    cr_assert_eq(b->slot_count, 4);
    cr_expect_eq(b->type[0], 0);
    cr_expect_eq(b->type[1], 1);
    cr_expect(string_is(&f, b->string_code[0][0], "eu"));
    cr_expect_eq(b->string_code[1][0], 0);
    cr_expect_eq(b->decimal_value[2][0], 1200);
    cr_expect_eq(b->decimal_value[3][0], 1500000);
    cr_expect_eq(b->decimal_present[3][0], 1);
    cr_expect_eq(b->decimal_present[3][1], 0);
    cr_expect_eq(b->decimal_value[0][1], 250);
    cr_expect_eq(b->decimal_present[0][0], 0);
    cr_expect_eq(b->string_code[1][1], b->string_code[0][0], "equal strings have one code");
    cr_expect_eq(b->source[1], b->string_code[0][0]);
    cr_expect_eq(b->source[0], 0);
    cr_expect_eq(b->decimal_value[2][1], INT64_C(-1000000000000000000));
    cr_expect_null(b->extra);
    cr_expect_eq(b->time_us[1], INT64_C(1782864000000000));
    teardown(&f);
}

Test(batch_rows, ids_become_compact_where_the_text_is_a_uuid, .timeout = 5)
{
    struct fixture f;
    char buffer[48];

    setup(&f);
    add(&f, "{" T Y "\"id\":\"550e8400-e29b-41d4-a716-446655440000\"," W P "}");
    add(&f, "{" T Y "\"id\":\"550E8400-e29b-41d4-a716-446655440000\"," W P "}");
    add(&f, "{" T Y "\"id\":\"00000000000000000007-00000000000000000001\"," W P "}");
    decode(&f);
    const struct row_id *id = f.batch->id;

    cr_expect_eq(id[0].kind, ROW_ID_UUID);
    cr_expect_eq(id[1].kind, ROW_ID_TEXT);
    cr_expect_eq(id[2].kind, ROW_ID_TEXT);
    cr_expect(
        vt_str_equal(row_id_text(&id[0], buffer), text("550e8400-e29b-41d4-a716-446655440000")));
    teardown(&f);
}

Test(batch_rows, a_session_names_the_events_that_have_no_id, .timeout = 5)
{
    struct fixture f;
    char buffer[48];

    setup(&f);
    f.options.producer = VT_STR("edge-1");
    f.options.epoch = 3;
    f.options.sequence = 40;
    add(&f, "{" T Y W P ",\"source\":\"s\"}");
    add(&f, "{" T Y I W P ",\"source\":\"s\"}");
    add(&f, "{" T Y "\"id\":\"\"," W P "}");
    add(&f, "{\"tenant\":\"who\"," Y W P "}");
    decode(&f);
    const struct batch *b = f.batch;

    cr_expect(string_is(&f, b->source[0], "~edge-1"));
    cr_expect_eq(b->id[0].kind, ROW_ID_SEQUENCE);
    cr_expect(vt_str_equal(row_id_text(&b->id[0], buffer),
                           text("00000000000000000003-00000000000000000040")));
    cr_expect(string_is(&f, b->source[1], "s"));
    cr_expect_eq(b->id[1].kind, ROW_ID_TEXT);
    cr_expect(vt_str_equal(row_id_text(&b->id[2], buffer),
                           text("00000000000000000003-00000000000000000042")));
    cr_expect_eq(b->reason[2], VT_REASON_NONE);
    cr_expect_eq(b->reason[3], VT_REASON_UNKNOWN_TENANT);

    /* A retry of the last one: the generated identity comes from its raw form. */
    struct vt_bytes raw;
    struct vt_hash128 want =
        batch_identity(&f.options.key, VT_STR("who"), VT_STR("~edge-1"), &b->id[3]);

    cr_assert_eq(batch_raw(&f.arena, b, 3, &raw), VT_OK);
    f.options.producer = (struct vt_str){NULL, 0};
    cr_assert_eq(decode_bytes(&f, 1, raw), VT_OK);
    cr_expect_eq(f.batch->reason[0], VT_REASON_MALFORMED, "a source like that is the engine's own");
    f.options.allow_reserved_source = true;
    cr_assert_eq(decode_bytes(&f, 1, raw), VT_OK);
    cr_expect_eq(f.batch->reason[0], VT_REASON_UNKNOWN_TENANT);
    cr_expect(string_is(&f, f.batch->source[0], "~edge-1"));
    cr_expect_eq(f.batch->id[0].kind, ROW_ID_SEQUENCE);
    struct vt_hash128 got =
        batch_identity(&f.options.key, VT_STR("who"), VT_STR("~edge-1"), &f.batch->id[0]);

    cr_expect(want.hi == got.hi && want.lo == got.lo);
    teardown(&f);
}

static const struct extra_case {
    const char *name;
    const char *json;
    const char *want; /* as JSON, or NULL */
} extra_cases[] = {
    /* clang-format off */
    { "nothing",     "{" T Y I W P "}", NULL },
    { "a field",     "{" T Y I W "\"props\":{\"x\":[1.50],\"tokens\":1,\"y\":-0}}",
      "{\"props\":{\"x\":[1.50],\"y\":-0}}" },
    { "a trace",     "{\"trace_id\":{\"a\":null}," T Y I W P "}", "{\"trace_id\":{\"a\":null}}" },
    { "other keys",  "{\"b\":1," T Y I W P ",\"a\":\"x\"}", "{\"b\":1,\"a\":\"x\"}" },
    { "all of them", "{\"b\":1," T Y I W "\"props\":{\"z\":1,\"tokens\":2},\"trace_id\":\"t\"}",
      "{\"props\":{\"z\":1},\"b\":1,\"trace_id\":\"t\"}" },
    { "nulls",
      "{\"b\":null," T Y I W "\"props\":{\"z\":null,\"tokens\":2},\"trace_id\":null}",
      NULL },
    { "keys twice",
      "{\"b\":1,\"c\":2," T Y I W "\"props\":{\"z\":1,\"tokens\":2,\"z\":3},\"b\":4}",
      "{\"props\":{\"z\":3},\"c\":2,\"b\":4}" },
    { "null last",   "{\"b\":1," T Y I W "\"props\":{\"z\":1,\"tokens\":2,\"z\":null},\"b\":null}",
      NULL },
    { "an exception", "{\"b\":1," T Y I W "\"props\":{\"z\":1}}", NULL },
    /* clang-format on */
};

Test(batch_rows, what_is_not_declared_is_kept, .timeout = 5)
{
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < VT_COUNT(extra_cases); i++)
        add(&f, extra_cases[i].json);
    decode(&f);
    for (uint32_t i = 0; i < VT_COUNT(extra_cases); i++) {
        const struct extra_case *c = &extra_cases[i];
        struct vt_bytes got = f.batch->extra[i];
        struct vt_bytes want = {NULL, 0};

        if (c->want != NULL)
            cr_assert_eq(json_row_parse(f.json, text(c->want), 1, &want), VT_OK);
        cr_expect(got.size == want.size &&
                      (got.size == 0 || memcmp(got.data, want.data, got.size) == 0),
                  "%s", c->name);
    }
    teardown(&f);
}

/* More keys than are compared by hand, each twice. */
Test(batch_rows, many_keys_given_twice, .timeout = 10)
{
    static char json[400000];
    struct fixture f;
    size_t at = (size_t)snprintf(json, sizeof json, "{" T Y I W "\"props\":{\"tokens\":1");

    setup(&f);
    for (uint32_t i = 0; i < 20000; i++)
        at += (size_t)snprintf(json + at, sizeof json - at, ",\"k%u\":%u", i % 10000, i / 10000);
    (void)snprintf(json + at, sizeof json - at, "}}");
    add(&f, json);
    decode(&f);
    cr_assert_eq(f.batch->reason[0], VT_REASON_NONE);
    struct vt_bytes extra = f.batch->extra[0];

    cr_expect_eq(memcmp(extra.data, "\x81\xa5props\xde\x27\x10", 10), 0, "10,000 pairs");
    for (uint64_t i = 10; i + 1 < extra.size; i += (extra.data[i] & 0x1F) + UINT64_C(2))
        cr_assert_eq(extra.data[i + 1 + (extra.data[i] & 0x1F)], 1, "the last value");
    teardown(&f);
}

Test(batch_rows, partition_and_identity_hang_on_names_only, .timeout = 5)
{
    struct fixture f;
    struct vt_hash_key key = {1, 2};

    setup(&f);
    add(&f, "{" T Y I W P "}");
    add(&f, "{" T "\"type\":1}");
    add(&f, "{\"tenant\":5}");
    decode(&f);
    cr_expect_eq(f.batch->partition[0], batch_partition(&key, 16, VT_STR("acme")));
    cr_expect_eq(f.batch->partition[1], f.batch->partition[0]);
    cr_expect_eq(f.batch->tenant[1], 0, "a malformed event still belongs to its tenant");
    cr_expect_eq(f.batch->partition[2], batch_partition(&key, 16, VT_STR("")));
    cr_expect_eq(f.batch->tenant[2], CATALOG_NONE);
    cr_expect_eq(f.batch->tenant_name[2], 0);

    static const uint8_t uuid[16] = {0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4,
                                     0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0x00, 0x00};
    struct row_id compact = {uuid, 16, ROW_ID_UUID};
    struct row_id spelled = {(const uint8_t *)"550e8400-e29b-41d4-a716-446655440000", 36,
                             ROW_ID_TEXT};
    struct row_id raw = {uuid, 16, ROW_ID_TEXT};
    struct vt_hash128 a = batch_identity(&key, VT_STR("t"), VT_STR("s"), &compact);
    struct vt_hash128 b = batch_identity(&key, VT_STR("t"), VT_STR("s"), &spelled);
    struct vt_hash128 c = batch_identity(&key, VT_STR("t"), VT_STR("s"), &raw);
    struct vt_hash128 d = batch_identity(&key, VT_STR("ts"), VT_STR(""), &compact);

    cr_expect(a.hi == b.hi && a.lo == b.lo, "one text, one identity");
    cr_expect(a.hi != c.hi || a.lo != c.lo, "other bytes, other identity");
    cr_expect(a.hi != d.hi || a.lo != d.lo, "the border between the names counts");
    teardown(&f);
}

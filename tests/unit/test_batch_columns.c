/*
 * Goal:   a frame of columns means what the same events as rows mean, and what batch_raw gives
 *         means it again; a frame that is not of the format is refused and the message says where.
 * Method: random batches, right and wrong in every way that columns can say, written once by
 *         column_batch and once as maps, decoded both ways and compared event by event; a table of
 *         broken frames.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"
#include "batch_cache.h"
#include "batch_same.h"
#include "column_batch.h"
#include "hand_catalog.h"
#include "msgpack_put.h"
#include "row_batch.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define ROUNDS     600
#define EVENTS_MAX 300
#define FIELDS_MAX 6

static uint64_t
next_random(uint64_t *state) /* splitmix64 (S. Vigna) */
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint32_t
below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(next_random(state) % n);
}

static char long_text[1100];

static struct vt_str
pick_text(uint64_t *state)
{
    static const struct vt_str texts[] = {
        {"", 0},
        {"eu", 2},
        {"us", 2},
        {"12", 2},
        {"1.5", 3},
        {"-0.000001", 9},
        {"0.0000001", 9},
        {"1e30", 4},
        {"9223372036854775807", 19},
        {"z\xc3\xbcrich", 7},
        {"\xed\xa0\x80", 3},
        {"nul\0l", 5},
        {"~x", 2},
    };
    uint32_t at = below(state, (uint32_t)VT_COUNT(texts) + 2);

    if (at < VT_COUNT(texts))
        return texts[at];
    return (struct vt_str){long_text, at == VT_COUNT(texts) ? 1024 : 1025};
}

static struct vt_str
pick_tenant(uint64_t *state)
{
    static const struct vt_str tenants[] = {{"acme", 4}, {"globex", 6}, {"z\xc3\xbcrich", 7}};

    return below(state, 20) == 0 ? pick_text(state)
                                 : tenants[below(state, (uint32_t)VT_COUNT(tenants))];
}

static int64_t
pick_time(uint64_t *state)
{
    static const int64_t times[] = {VT_EVENT_FIRST_US, VT_EVENT_FIRST_US - 1,
                                    VT_EVENT_LAST_US,  VT_EVENT_LAST_US + 1,
                                    INT64_MIN,         0};

    return below(state, 10) == 0 ? times[below(state, (uint32_t)VT_COUNT(times))]
                                 : INT64_C(1782864000000000) + below(state, 1000000);
}

static int64_t
pick_mantissa(uint64_t *state)
{
    static const int64_t values[] = {0, 1, -1, 1000, 1000000, INT64_MAX, INT64_MIN, 999999};

    switch (below(state, 4)) {
    case 0:
        return values[below(state, (uint32_t)VT_COUNT(values))];
    case 1:
        return (int64_t)next_random(state);
    default:
        return (int64_t)below(state, 1000) * (below(state, 2) == 0 ? 1000000 : 1);
    }
}

static void
must(vt_err err)
{
    cr_assert_eq(err, VT_OK, "%s: %s", vt_err_name(err), vt_err_last());
}

/* One batch in both forms. */
struct trial {
    uint64_t state;
    struct column_batch_field fields[FIELDS_MAX];
    struct column_batch_options columns;
    struct batch_options options;
    struct column_batch *batch;
    struct row_batch rows;
    uint8_t id[40];
};

static struct vt_bytes
pick_id(struct trial *trial)
{
    static const char uuid[] = "550e8400-e29b-41d4-a716-44665544000";
    struct vt_str text;
    int size;

    switch (trial->columns.ids) {
    case COLUMN_IDS_UUID:
        for (uint32_t i = 0; i < 16; i++)
            trial->id[i] = (uint8_t)next_random(&trial->state);
        return (struct vt_bytes){trial->id, 16};
    case COLUMN_IDS_TEXT:
        if (below(&trial->state, 4) == 0) {
            text = pick_text(&trial->state);
            return (struct vt_bytes){(const uint8_t *)text.data, text.size};
        }
        size = snprintf((char *)trial->id, sizeof trial->id, "%s%c",
                        below(&trial->state, 2) == 0 ? uuid : "id-",
                        "0123456789abcdefA~"[below(&trial->state, 18)]);
        return (struct vt_bytes){trial->id, (uint64_t)size};
    case COLUMN_IDS_SEQUENCE:
        break;
    }
    return (struct vt_bytes){NULL, 0};
}

static uint8_t *
pair_put(uint8_t *at, const char *key, struct vt_str text, uint32_t *pairs)
{
    if (text.size == 0)
        return at;
    *pairs += 1;
    at = msgpack_put_text(at, (struct vt_str){key, (uint32_t)strlen(key)});
    return msgpack_put_text(at, text);
}

static uint8_t *
props_put(const struct trial *trial, const struct column_value *values, uint8_t *at)
{
    uint8_t *head = at++;
    uint32_t count = 0;

    for (uint32_t i = 0; i < trial->columns.field_count; i++) {
        const struct column_batch_field *field = &trial->fields[i];
        char text[VT_DECIMAL_BYTES];

        if (field->decimal ? !values[i].present : values[i].text.size == 0)
            continue;
        count++;
        at = msgpack_put_text(at, field->name);
        if (!field->decimal) {
            at = msgpack_put_text(at, values[i].text);
        } else if (field->scale == 0) {
            at = msgpack_put_integer(at, values[i].mantissa);
        } else {
            uint32_t size = vt_decimal_format(values[i].mantissa, field->scale, text);

            at = msgpack_put_number_text(at, (struct vt_str){text, size});
        }
    }
    (void)msgpack_put_map(head, count);
    return at;
}

static void
row_add(struct trial *trial, const struct column_event *event)
{
    static uint8_t buffer[16384];
    uint8_t *at = buffer + 1;
    uint32_t pairs = 2;
    char uuid[48];
    struct vt_str id = {(const char *)event->id.data, (uint32_t)event->id.size};

    if (trial->columns.ids == COLUMN_IDS_UUID)
        id = row_id_text(&(struct row_id){event->id.data, 16, ROW_ID_UUID}, uuid);
    at = pair_put(at, "tenant", event->tenant, &pairs);
    at = msgpack_put_text(at, VT_STR("time"));
    at = msgpack_put_integer(at, event->time_us);
    at = pair_put(at, "id", id, &pairs);
    at = msgpack_put_text(at, VT_STR("props"));
    at = props_put(trial, event->values, at);
    at = pair_put(at, "source", event->source, &pairs);
    at = pair_put(at, "type", trial->columns.type, &pairs);
    at = pair_put(at, "trace_id", event->trace, &pairs);
    (void)msgpack_put_map(buffer, pairs);
    cr_assert_eq(row_batch_add(&trial->rows, (struct vt_bytes){buffer, (uint64_t)(at - buffer)}),
                 VT_OK);
}

static void
trial_open(struct trial *trial, uint64_t seed)
{
    static const struct vt_str types[] = {{"call", 4}, {"job", 3}, {"ping", 4}, {"x", 1}};
    static const struct vt_str names[] = {{"region", 6}, {"model", 5},   {"tokens", 6},
                                          {"cost", 4},   {"seconds", 7}, {"units", 5}};
    static const bool decimal[] = {false, false, true, true, true, true};

    *trial = (struct trial){.state = seed};
    memset(long_text, 'x', sizeof long_text);
    trial->columns.type = types[below(&trial->state, (uint32_t)VT_COUNT(types))];
    trial->columns.ids = (enum column_ids)below(&trial->state, 3);
    trial->columns.fields = trial->fields;
    trial->columns.events_max = EVENTS_MAX;
    trial->columns.bytes_max = VT_FRAME_BYTES_MAX;
    for (uint32_t i = 0; i < VT_COUNT(names); i++) {
        if (below(&trial->state, 4) == 0)
            continue;
        trial->fields[trial->columns.field_count++] = (struct column_batch_field){
            .name = names[i],
            .decimal = below(&trial->state, 8) == 0 ? !decimal[i] : decimal[i],
            .scale = below(&trial->state, 3) == 0 ? below(&trial->state, 19)
                     : i == 2                     ? 0
                                                  : 3,
        };
    }
    trial->options = (struct batch_options){.catalog = hand_catalog(),
                                            .key = {11, 22},
                                            .partition_count = 16,
                                            .epoch = 7,
                                            .sequence = below(&trial->state, 1000)};
    if (trial->columns.ids == COLUMN_IDS_SEQUENCE || below(&trial->state, 2) == 0)
        trial->options.producer = VT_STR("meter-1");
    must(column_batch_open(&trial->columns, &trial->batch));
    must(row_batch_init(&trial->rows, VT_FRAME_BYTES_MAX, EVENTS_MAX));
}

static void
trial_fill(struct trial *trial)
{
    uint32_t count = 1 + below(&trial->state, below(&trial->state, 2) == 0 ? 10 : EVENTS_MAX);

    for (uint32_t e = 0; e < count; e++) {
        struct column_value values[FIELDS_MAX] = {{.present = false}};
        struct column_event event = {.tenant = pick_tenant(&trial->state),
                                     .time_us = pick_time(&trial->state),
                                     .values = values};

        event.id = pick_id(trial);
        if (below(&trial->state, 4) == 0)
            event.source = pick_text(&trial->state);
        if (below(&trial->state, 8) == 0)
            event.trace = pick_text(&trial->state);
        for (uint32_t i = 0; i < trial->columns.field_count; i++) {
            values[i].present = below(&trial->state, 10) > 0;
            values[i].mantissa = pick_mantissa(&trial->state);
            values[i].text = below(&trial->state, 10) > 0 ? VT_STR("7") : pick_text(&trial->state);
        }
        if (column_batch_add(trial->batch, &event) != VT_OK)
            break; /* the frame is full */
        row_add(trial, &event);
    }
}

/* What batch_raw says of an event, judged again. */
static const char *
raw_same(struct arena *arena, const struct batch *batch, uint32_t event,
         const struct batch_options *options)
{
    struct batch_options again = *options;
    struct vt_bytes raw;
    struct batch *judged;

    again.producer = (struct vt_str){NULL, 0};
    again.allow_reserved_source = batch->reason[event] != VT_REASON_MALFORMED;
    if (batch_raw(arena, batch, event, &raw) != VT_OK)
        return "raw failed";
    if (batch_decode(arena, &again, &(struct batch_frame){VT_FRAME_BATCH_ROWS, 1, raw}, &judged) !=
        VT_OK)
        return "raw is no row";
    return batch_same(batch, event, judged, 0);
}

Test(batch_columns, mean_what_the_same_events_as_rows_mean, .timeout = 120)
{
    uint32_t reasons[VT_REASON_COUNT] = {0};

    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct trial trial;
        struct arena arena;
        struct vt_bytes payload;
        struct batch *columns;
        struct batch *rows;

        trial_open(&trial, seed);
        arena_init(&arena, 1 << 16);
        trial_fill(&trial);
        uint32_t count = column_batch_count(trial.batch);

        cr_assert_eq(column_batch_encode(trial.batch, &payload), VT_OK);
        vt_err_clear();
        vt_err err =
            batch_decode(&arena, &trial.options,
                         &(struct batch_frame){VT_FRAME_BATCH_COLUMNS, count, payload}, &columns);
        cr_assert_eq(err, VT_OK, "seed %llu: %s", (unsigned long long)seed, vt_err_last());
        err = batch_decode(
            &arena, &trial.options,
            &(struct batch_frame){VT_FRAME_BATCH_ROWS, count, row_batch_payload(&trial.rows)},
            &rows);
        cr_assert_eq(err, VT_OK, "seed %llu: %s", (unsigned long long)seed, vt_err_last());
        for (uint32_t e = 0; e < count; e++) {
            const char *why = batch_same(columns, e, rows, e);

            cr_assert(why == NULL, "seed %llu, event %u: %s (%s, %s)", (unsigned long long)seed, e,
                      why, vt_reason_name(columns->reason[e]), vt_reason_name(rows->reason[e]));
            why = e % 7 == 0 ? raw_same(&arena, columns, e, &trial.options) : NULL;
            if (why == NULL && e % 7 == 1)
                why = raw_same(&arena, rows, e, &trial.options);
            cr_assert(why == NULL, "seed %llu, event %u, raw (%s): %s", (unsigned long long)seed, e,
                      vt_reason_name(columns->reason[e]), why);
            reasons[columns->reason[e]]++;
        }
        arena_deinit(&arena);
        column_batch_close(trial.batch);
        row_batch_deinit(&trial.rows);
    }
    for (uint32_t r = VT_REASON_NONE; r <= VT_REASON_VALUE_OUT_OF_RANGE; r++)
        cr_expect(reasons[r] > 0, "no event was %s", vt_reason_name((uint8_t)r));
}

/* The frame decoded with and without a cache: the same batch or the same error. NULL or what
 * differs. */
static const char *
cache_same(const struct trial *trial, struct batch_cache *cache, const struct batch_frame *frame,
           uint64_t *out_strings_id)
{
    struct batch_options with = trial->options;
    struct batch *plain = NULL;
    struct batch *cached = NULL;
    struct arena arena;
    const char *why = NULL;

    with.cache = cache;
    *out_strings_id = 0;
    arena_init(&arena, 1 << 16);
    vt_err err = batch_decode(&arena, &trial->options, frame, &plain);
    vt_err again = batch_decode(&arena, &with, frame, &cached);

    if (err != again)
        why = "the error differs";
    for (uint32_t e = 0; why == NULL && err == VT_OK && e < frame->event_count; e++)
        why = batch_same(plain, e, cached, e);
    for (uint32_t i = 0; why == NULL && err == VT_OK && i < plain->string_count; i++)
        if (plain->string_count != cached->string_count ||
            !vt_str_equal(plain->strings[i], cached->strings[i]))
            why = "a string has another code";
    if (cached != NULL)
        *out_strings_id = cached->strings_id;
    arena_deinit(&arena);
    return why;
}

Test(batch_columns, a_cache_of_dictionaries_changes_nothing, .timeout = 120)
{
    struct batch_cache *cache = NULL;
    uint32_t hits = 0;

    must(batch_cache_open(&cache));
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct trial trial;
        struct vt_bytes payload;
        uint64_t ids[2] = {0, 0};

        trial_open(&trial, seed);
        trial_fill(&trial);
        uint32_t count = column_batch_count(trial.batch);

        must(column_batch_encode(trial.batch, &payload));
        uint8_t *bytes = malloc(payload.size);

        cr_assert(bytes != NULL);
        memcpy(bytes, payload.data, payload.size);
        struct batch_frame frame = {VT_FRAME_BATCH_COLUMNS, count, {bytes, payload.size}};

        /* Twice as it is, then with bytes changed, so that some of the dictionaries are known. */
        for (uint32_t round = 0; round < 20; round++) {
            uint64_t id = 0;
            const char *why = cache_same(&trial, cache, &frame, &id);

            cr_assert(why == NULL, "seed %llu, round %u: %s", (unsigned long long)seed, round, why);
            if (round < 2)
                ids[round] = id;
            if (round > 0)
                bytes[below(&trial.state, (uint32_t)payload.size)] ^=
                    (uint8_t)(1 + below(&trial.state, 255));
            if (round % 4 == 3)
                memcpy(bytes, payload.data, payload.size);
        }
        hits += ids[0] != 0 && ids[0] == ids[1];
        free(bytes);
        column_batch_close(trial.batch);
        row_batch_deinit(&trial.rows);
    }
    cr_expect(hits == ROUNDS, "%u of %u frames were known", hits, ROUNDS);
    batch_cache_close(cache);
}

/* A good frame of one event, in its parts; a case replaces one of them. */
enum part { HEAD, TYPE, TENANT, ID, SOURCE, TIME, FIELDS, TAIL, PARTS };

#define B(literal)                     \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }
#define ZEROS_8 "\0\0\0\0\0\0\0\0"

static const struct vt_str good_parts[PARTS] = {
    [HEAD] = B("\x96"),
    [TYPE] = B("\xa4ping"),
    [TENANT] = B("\x92\x91\xa4"
                 "acme\xc4\x00"),
    [ID] = B("\x92\x01\xc4\x10" ZEROS_8 ZEROS_8),
    [SOURCE] = B("\xc0"),
    [TIME] = B("\xc4\x08" ZEROS_8),
    [FIELDS] = B("\x80"),
    [TAIL] = {"", 0},
};

static const struct frame_case {
    const char *name;
    enum part part;
    struct vt_str bytes;
    const char *message; /* NULL: the frame is good */
} frame_cases[] = {
    /* clang-format off */
    { "good", HEAD, B("\x96"), NULL },
    { "a trace that is nil", TAIL, B(""), NULL },
    { "a map", HEAD, B("\x83"), "columns: byte 0: no array" },
    { "five columns", HEAD, B("\x95"), "columns: byte 1: no array of 6 or 7" },
    { "eight columns", HEAD, B("\x98"), "columns: byte 1: no array of 6 or 7" },
    { "trace missing", HEAD, B("\x97"), "columns: byte 47: cut short" },
    { "bytes behind", TAIL, B("\xc0"), "columns: byte 47: more bytes than the columns" },
    { "type a number", TYPE, B("\x07"), "columns: byte 1: no string" },
    { "tenant nil", TENANT, B("\xc0"), "columns: byte 6: no array" },
    { "tenant without codes", TENANT, B("\x91\x91\xa1" "a"), "columns: byte 6: no array of two" },
    { "no tenant", TENANT, B("\x92\x90\xc4\x00"),
      "columns: byte 8: string column without a string" },
    { "tenant a number", TENANT, B("\x92\x91\x07\xc4\x00"), "columns: byte 8: no string" },
    { "code too great", TENANT, B("\x92\x91\xa1" "a\xc4\x01\x01"),
      "columns: byte 10: string column: a code beyond its strings" },
    { "two codes", TENANT, B("\x92\x91\xa1" "a\xc4\x02\x00\x00"),
      "columns: byte 10: string column: not one code an event" },
    { "codes as text", TENANT, B("\x92\x91\xa1" "a\xa1\x00"), "columns: byte 10: no bin" },
    { "4 G strings", TENANT, B("\x92\xdd\xff\xff\xff\xff"),
      "columns: byte 7: more elements than bytes" },
    { "no session", ID, B("\xc0"),
      "columns: byte 15: events without ids need a producer's session" },
    { "id form 2", ID, B("\x92\x02\xc4\x00"), "columns: byte 15: ids: of no known form" },
    { "id form alone", ID, B("\x91\x01"), "columns: byte 15: ids: of no known form" },
    { "id array empty", ID, B("\x90"), "columns: byte 15: ids: of no known form" },
    { "15 bytes of UUID", ID, B("\x92\x01\xc4\x0f" ZEROS_8 "1234567"),
      "columns: byte 17: ids: not 16 bytes an event" },
    { "text ids", ID, B("\x93\x00\xc4\x02\x01\x00\xc4\x01" "i"), NULL },
    { "text shorter", ID, B("\x93\x00\xc4\x02\x02\x00\xc4\x01" "i"),
      "columns: byte 24: ids: their lengths are not those of the text" },
    { "text longer", ID, B("\x93\x00\xc4\x02\x01\x00\xc4\x02" "ij"),
      "columns: byte 25: ids: their lengths are not those of the text" },
    { "half a length", ID, B("\x93\x00\xc4\x01\x01\xc4\x01" "i"),
      "columns: byte 17: ids: not one length an event" },
    { "source a string", SOURCE, B("\xa1s"), "columns: byte 35: no array" },
    { "time an integer", TIME, B("\x00"), "columns: byte 36: no bin" },
    { "time of 7 bytes", TIME, B("\xc4\x07" "1234567"),
      "columns: byte 36: time: not 8 bytes an event" },
    { "fields an array", FIELDS, B("\x90"), "columns: byte 46: no map" },
    { "257 fields", FIELDS, B("\xde\x01\x01"), "columns: byte 46: more elements than bytes" },
    { "name a number", FIELDS, B("\x81\x01\x01"), "columns: byte 47: no string" },
    { "field a number", FIELDS, B("\x81\xa1" "a\x01"), "columns: byte 49: no array" },
    { "field of nils", FIELDS, B("\x81\xa1" "a\x92\xc0\xc0"),
      "columns: byte 49: neither a string column nor a decimal column" },
    { "field of four", FIELDS, B("\x81\xa1" "a\x94\x00\xc0\xc0\xc0"),
      "columns: byte 49: neither a string column nor a decimal column" },
    { "field twice", FIELDS,
      B("\x82\xa1" "a\x92\x00\xc4\x08" ZEROS_8 "\xa1" "a\x92\x00\xc4\x08" ZEROS_8),
      "columns: byte 61: a field stands twice" },
    { "scale 19", FIELDS, B("\x81\xa1" "a\x92\x13\xc4\x08" ZEROS_8),
      "columns: byte 50: decimal column: the scale is not 0 to 18" },
    { "scale -1", FIELDS, B("\x81\xa1" "a\x92\xff\xc4\x08" ZEROS_8),
      "columns: byte 50: decimal column: the scale is not 0 to 18" },
    { "9 bytes of number", FIELDS, B("\x81\xa1" "a\x92\x00\xc4\x09" ZEROS_8 "1"),
      "columns: byte 51: decimal column: not 8 bytes an event" },
    { "two bytes of bits", FIELDS, B("\x81\xa1" "a\x93\x00\xc4\x08" ZEROS_8 "\xc4\x02\x01\x00"),
      "columns: byte 61: decimal column: not a bit an event" },
    { "a bit too many", FIELDS, B("\x81\xa1" "a\x93\x00\xc4\x08" ZEROS_8 "\xc4\x01\x03"),
      "columns: byte 61: decimal column: a bit beyond the last event" },
    { "one bit", FIELDS, B("\x81\xa1" "a\x93\x00\xc4\x08" ZEROS_8 "\xc4\x01\x01"), NULL },
    /* clang-format on */
};

Test(batch_columns, a_frame_that_is_not_of_the_format_is_refused, .timeout = 5)
{
    struct batch_options options = {
        .catalog = hand_catalog(), .key = {1, 2}, .partition_count = 16};

    for (size_t i = 0; i < VT_COUNT(frame_cases); i++) {
        const struct frame_case *c = &frame_cases[i];
        struct arena arena;
        struct batch *batch;
        uint8_t *payload = malloc(256);
        uint64_t size = 0;

        cr_assert_not_null(payload);
        for (uint32_t part = 0; part < PARTS; part++) {
            struct vt_str bytes = part == c->part ? c->bytes : good_parts[part];

            memcpy(payload + size, bytes.data, bytes.size);
            size += bytes.size;
        }
        payload = realloc(payload, size); /* so that a sanitizer sees a read beyond it */
        arena_init(&arena, 4096);
        vt_err_clear();
        vt_err err =
            batch_decode(&arena, &options,
                         &(struct batch_frame){VT_FRAME_BATCH_COLUMNS, 1, {payload, size}}, &batch);

        cr_expect_eq(err, c->message == NULL ? VT_OK : VT_BAD_FORMAT, "%s: %s", c->name,
                     vt_err_name(err));
        cr_expect_str_eq(vt_err_last(), c->message == NULL ? "" : c->message, "%s: %s", c->name,
                         vt_err_last());
        if (err == VT_OK)
            cr_expect_eq(batch->reason[0], VT_REASON_NONE, "%s", c->name);
        arena_deinit(&arena);
        free(payload);
    }
}

/* What stands in the place of a number that an event does not have is no one's business. */
Test(batch_columns, an_absent_number_reads_as_zero, .timeout = 5)
{
    static const int64_t costs[3] = {5, INT64_MAX, 7};
    static const int64_t tokens[3] = {1, 2, 3};
    static const uint8_t present[3] = {1, 0, 1};
    static const int64_t times[3] = {1, 2, 3};
    static const uint8_t ids[48] = {1};
    static const struct vt_str acme = B("acme");
    const struct column_field fields[2] = {
        {.name = B("cost"), .decimal = true, .scale = 0, .mantissas = costs, .present = present},
        {.name = B("tokens"), .decimal = true, .scale = 0, .mantissas = tokens},
    };
    const struct column_frame frame = {.event_count = 3,
                                       .type = B("call"),
                                       .tenants = {1, &acme, NULL},
                                       .ids = COLUMN_IDS_UUID,
                                       .id_data = ids,
                                       .times_us = times,
                                       .field_count = 2,
                                       .fields = fields};
    struct batch_options options = {
        .catalog = hand_catalog(), .key = {1, 2}, .partition_count = 16};
    uint8_t *payload = malloc(column_frame_bytes(&frame));
    struct arena arena;
    struct batch *batch;

    cr_assert_not_null(payload);
    uint64_t size = column_frame_encode(&frame, payload);

    arena_init(&arena, 4096);
    must(batch_decode(&arena, &options,
                      &(struct batch_frame){VT_FRAME_BATCH_COLUMNS, 3, {payload, size}}, &batch));
    cr_expect_eq(batch->decimal_value[3][0], 5000000);
    cr_expect_eq(batch->decimal_value[3][1], 0);
    cr_expect_eq(batch->decimal_value[3][2], 7000000);
    cr_expect_eq(batch->decimal_present[3][1], 0);
    for (uint32_t i = 0; i < 3; i++)
        cr_expect_eq(batch->reason[i], VT_REASON_NONE, "event %u", i);
    arena_deinit(&arena);
    free(payload);
}

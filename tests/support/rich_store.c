/* rich_store.c - see rich_store.h. */
#include "rich_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_maker.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define FRAME_EVENTS 6
#define FRAMES       16U
#define TOKEN_ID     3
#define DAY_US       INT64_C(1672531200000000) /* 2023-01-01T00:00:00Z */
#define MINUTE_US    (60 * VT_US_PER_SECOND)

/* clang-format off */
#define METER(key, aggregation, rest) \
    "{\"key\":\"" key "\",\"event_type\":\"call\",\"aggregation\":\"" aggregation "\"," rest "}"
#define TYPES                                                                        \
    "{\"event_types\":["                                                             \
    "{\"type\":\"call\",\"fields\":[{\"name\":\"region\",\"kind\":\"string\"},"      \
    "{\"name\":\"tokens\",\"kind\":\"decimal\",\"scale\":2},"                        \
    "{\"name\":\"cost\",\"kind\":\"decimal\",\"scale\":3,\"required\":false},"       \
    "{\"name\":\"user\",\"kind\":\"string\"}]},"                                     \
    "{\"type\":\"job\",\"fields\":[{\"name\":\"seconds\",\"kind\":\"decimal\"}]}"
#define LATER_TYPE ",{\"type\":\"later\",\"fields\":[]}"
#define METERS                                                                       \
    "],\"meters\":["                                                                 \
    METER("tokens", "sum", "\"field\":\"tokens\",\"group_by\":[\"region\"],"         \
          "\"window\":\"1m\",\"grace\":\"30s\"") ","                                 \
    METER("calls", "count", "\"window\":\"1h\"") ","                                 \
    METER("cheapest", "min", "\"field\":\"cost\",\"window\":\"5m\"") ","             \
    METER("dearest", "max", "\"field\":\"cost\",\"window\":\"15m\"") ","             \
    METER("balance", "last", "\"field\":\"tokens\",\"window\":\"5m\"") ","           \
    METER("users", "unique", "\"field\":\"user\",\"group_by\":[\"region\"],"         \
          "\"window\":\"1d\"")
#define REST                                                                         \
    "],\"tenants\":[{\"key\":\"acme\"},{\"key\":\"m\xc3\xbcller\"}],"                \
    "\"plans\":[{\"key\":\"p\",\"version\":1,\"currency\":\"EUR\","                  \
    "\"effective_from\":\"2022-01-01T00:00:00Z\",\"charges\":["                      \
    "{\"key\":\"t\",\"meter\":\"tokens\",\"model\":\"per_unit\",\"price\":\"0.013\"}," \
    "{\"key\":\"u\",\"meter\":\"users\",\"model\":\"per_unit\",\"price\":\"1.5\"}]}],"  \
    "\"contracts\":[{\"key\":\"k\",\"tenant\":\"acme\",\"plan\":\"p\","              \
    "\"plan_version\":\"latest\",\"version\":1,\"from\":\"2022-01-01T00:00:00Z\","   \
    "\"to\":null,\"billing_anchor_day\":1,\"time_zone\":\"UTC\"}]}"
/* clang-format on */

static const char first_catalog[] = TYPES METERS REST;
static const char second_catalog[] = TYPES LATER_TYPE METERS REST;

/* The smallest TZif file of version 2 that says UTC (RFC 8536), twice header and data. */
#define TZIF_HEAD                                                                                 \
    'T', 'Z', 'i', 'f', '2', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4
#define TZIF_DATA 0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0
static const uint8_t utc[] = {TZIF_HEAD, TZIF_DATA, TZIF_HEAD, TZIF_DATA, '\n',
                              'U',       'T',       'C',       '0',       '\n'};

static vt_err
zone_read(void *context, struct vt_str name, struct vt_bytes *out_tzif)
{
    (void)context;
    if (!vt_str_equal(name, VT_STR("UTC")))
        return VT_NOT_FOUND;
    *out_tzif = (struct vt_bytes){utc, sizeof utc};
    return VT_OK;
}

static struct vt_str
str_of(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

static void
catalog_add(struct engine_rig *rig, const char *text)
{
    const struct catalog_zones zones = {.read = zone_read};

    engine_rig_settle(rig);
    engine_rig_check(core_add_catalog(rig->core, str_of(text), &zones, NULL), "core_add_catalog");
    engine_rig_settle(rig);
}

static void
field_add(struct made_event *event, const char *name, const char *text)
{
    event->fields[event->field_count++] =
        (struct made_field){.name = str_of(name), .text = str_of(text)};
}

struct texts {
    char id[48];
    char tokens[24];
    char cost[24];
    char user[24];
};

/* Event `n` of the script; an id unless its frame numbers its events. */
static void
event_fill(uint32_t n, bool sequences, struct texts *texts, struct made_event *event)
{
    static const char *const regions[] = {"eu", "us", "", "ap-southeast"};
    uint32_t same = rich_event_repeats(n) ? n - 3 : n; /* a repeat: of the event three before */

    *event = (struct made_event){
        .tenant = same % 3 == 0 ? VT_STR("m\xc3\xbcller") : VT_STR("acme"),
        .type = same % 7 == 3 ? VT_STR("job") : VT_STR("call"),
        .time_us = DAY_US + same % 6 * MINUTE_US + same * 1001,
    };
    if (n % 23 == 7)
        event->tenant = VT_STR("nobody");
    if (n % 19 == 5)
        event->type = VT_STR("later");
    (void)snprintf(texts->id, sizeof texts->id, same % 4 == 1 ? "order-%u" : "%u", same * 7919);
    if (same % 4 == 2)
        (void)snprintf(texts->id, sizeof texts->id, "%08x-1b2c-4d5e-8f60-%012x", same * 2654435761u,
                       same * 40503u);
    if (!sequences) {
        event->id = str_of(texts->id);
        if (same % 5 == 0)
            event->source = VT_STR("gateway");
    }
    if (same % 6 == 0)
        event->trace = VT_STR("trace-77");
    (void)snprintf(texts->tokens, sizeof texts->tokens, "%u.%02u", 1 + same % 50, same % 100);
    (void)snprintf(texts->cost, sizeof texts->cost, "%u.%03u", same % 13, same * 37 % 1000);
    (void)snprintf(texts->user, sizeof texts->user, "user-%u", same % 5);
    if (vt_str_equal(event->type, VT_STR("job"))) {
        field_add(event, "seconds", "12");
        return;
    }
    field_add(event, "region", regions[same % VT_COUNT(regions)]);
    if (n % 17 != 11) /* without: an exception */
        field_add(event, "tokens", n % 27 == 17 ? "49.99" : texts->tokens); /* a conflict */
    if (same % 3 != 1)
        field_add(event, "cost", texts->cost);
    field_add(event, "user", texts->user);
    if (same % 8 == 0)
        field_add(event, "note", "not declared");
}

bool
rich_event_repeats(uint32_t number)
{
    return number % 9 == 8;
}

bool
rich_event_is_of(uint32_t number, struct vt_str tenant)
{
    struct made_event event;
    struct texts texts;

    event_fill(number, false, &texts, &event);
    return vt_str_equal(event.tenant, tenant);
}

/* `session` NULL: events with ids. */
static void
frame_add(struct engine_rig *rig, const uint32_t *numbers, uint32_t count,
          struct core_session *session)
{
    struct arena arena;

    VT_ASSERT(count <= RICH_FRAME_MAX);
    arena_init(&arena, 1 << 14);
    uint8_t *payload = arena_alloc(&arena, count * 1024u);
    uint8_t *at = payload;

    VT_ASSERT(payload != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct made_event event;
        struct texts texts;

        event_fill(numbers[i], session != NULL, &texts, &event);
        struct vt_bytes bytes = event_bytes(&arena, &event);

        memcpy(at, bytes.data, bytes.size);
        at += bytes.size;
    }
    struct vt_bytes bytes = {payload, (uint64_t)(at - payload)};
    struct core_frame frame = {
        .frame_type = VT_FRAME_BATCH_ROWS,
        .event_count = count,
        .payload_crc = vt_crc32c(bytes.data, bytes.size),
        .payload = bytes,
    };

    if (session != NULL) {
        frame.producer = session->producer;
        frame.epoch = session->epoch;
        frame.sequence = session->sequence_next;
        session->sequence_next += count;
    }
    engine_rig_check(core_add_frame(rig->core, &frame), "core_add_frame");
    arena_deinit(&arena);
}

void
rich_store_catalog(struct engine_rig *rig)
{
    catalog_add(rig, first_catalog);
}

void
rich_store_events(struct engine_rig *rig, const uint32_t *numbers, uint32_t count)
{
    frame_add(rig, numbers, count, NULL);
    engine_rig_settle(rig);
}

static void
settled(struct engine_rig *rig, const struct rich_watch *watch)
{
    engine_rig_settle(rig);
    if (watch != NULL && watch->step != NULL)
        watch->step(watch->context, rig->io);
}

void
rich_store_write(struct engine_rig *rig, const struct rich_watch *watch)
{
    static const struct engine_rig_options options = {
        .seed = 20230101,
        .worker_count = 1,
        .partition_count = 2,
        .lane_count = 2,
        .lane_bytes = 96 << 10,
        .commit_bytes_max = 16 << 10,
        .cut_bytes = 40000,
        .merge_width = 2,
        .dedup_ids_max = 1 << 12,
    };
    uint32_t numbers[FRAME_EVENTS];
    struct core_session session;

    engine_rig_open(rig, &options);
    rig->now_us = DAY_US + 3 * MINUTE_US;
    catalog_add(rig, first_catalog);
    engine_rig_check(core_session_open(rig->core, TOKEN_ID, VT_STR("meter-1"), 1, &session),
                     "core_session_open");
    settled(rig, watch);
    for (uint32_t i = 0; i < FRAMES; i++) {
        const struct close_order order = {.tenant = VT_STR("acme"), .before_us = rig->now_us};

        if (i == FRAMES / 2) {
            catalog_add(rig, second_catalog);
            (void)engine_rig_retry_all(rig);
        }
        if (i == FRAMES - 3)
            engine_rig_check(core_add_close(rig->core, &order, NULL), "core_add_close");
        for (uint32_t e = 0; e < FRAME_EVENTS; e++)
            numbers[e] = i * FRAME_EVENTS + e;
        frame_add(rig, numbers, FRAME_EVENTS, i % 3 == 1 ? &session : NULL);
        settled(rig, watch);
        rig->now_us += MINUTE_US;
    }
    engine_rig_stop(rig);
    if (watch != NULL && watch->step != NULL)
        watch->step(watch->context, rig->io);
}

static vt_err
answers_of(const struct view *view, struct answer_text *text)
{
    struct view_sink sink = {answer_flush, text};
    struct windows_query windows = {.start_us = INT64_MIN, .end_us = INT64_MAX};
    struct lines_query lines = {.catalog = view->catalog};
    struct exceptions_query exceptions = {0};
    struct feed_query feed = {0};
    uint64_t rows;
    vt_err err = view_summary(view, true, &sink);

    if (err == VT_OK)
        err = view_windows(view, &windows, &sink);
    if (err == VT_OK)
        err = view_lines(view, &lines, &sink, &rows);
    if (err == VT_OK)
        err = view_unrated(view, &lines, &sink, &rows);
    if (err == VT_OK)
        err = view_exceptions(view, &exceptions, &sink);
    if (err == VT_OK)
        err = answer_feed(view, &feed, text, &rows);
    return err;
}

static vt_err
digest_of(const struct view *view, struct answer_text *text)
{
    uint8_t digest[32];
    struct json_out out;
    char hex[65];
    vt_err err = view_digest(view, digest);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < 32; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    json_out_init(&out);
    json_put_raw(&out, hex, 64);
    err = out.err == VT_OK ? answer_flush(text, &out) : out.err;
    json_out_deinit(&out);
    return err;
}

vt_err
rich_store_answers(struct io *io, const char *dir, struct answer_text *out_text)
{
    const struct store_options options = {.dir = dir, .read_only = true};
    struct core_inline inline_state = {.worker_count = 1};
    struct core_callbacks callbacks;
    struct store *store = NULL;
    struct core *core = NULL;
    struct view view;

    vt_err_clear();
    vt_err err = store_open(io, &options, &store);

    if (err != VT_OK)
        return err;
    core_inline_callbacks(&inline_state, &callbacks);
    const struct core_options core_options = {
        .io = io,
        .seal_io = io,
        .store = store,
        .worker_count = 1,
        .dedup_ids_max = 1 << 12,
        .callbacks = &callbacks,
        .read_only = true,
    };

    err = core_open(&core_options, &core);
    inline_state.core = core;
    if (err == VT_OK)
        err = core_view_now(core, true, &view);
    if (err == VT_OK) {
        err = answers_of(&view, out_text);
        if (err == VT_OK)
            err = digest_of(&view, out_text);
        view_put(&view);
    }
    core_close(core);
    store_close(store);
    return err;
}

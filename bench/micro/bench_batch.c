/*
 * bench_batch - nanoseconds an event of batch_decode: columns with ids of a producer's sequence and
 * with random UUIDs, and rows with UUIDs as text; 1,000 tenants, 100 subjects each, 8 regions, one
 * quantity. One JSON line for each; events of a frame may be given as arguments.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "batch.h"
#include "msgpack_put.h"
#include "net/client/column_batch.h"
#include "net/client/row_batch.h"
#include "venturi/assert.h"

#define TENANTS     1000
#define FRAME_BYTES (UINT32_C(16) << 20)

static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t
now_ns(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

static struct catalog *
catalog_make(void)
{
    static char text[128 * TENANTS];
    struct catalog *catalog;
    int at = snprintf(text, sizeof text,
                      "{\"event_types\":[{\"type\":\"call\",\"fields\":["
                      "{\"name\":\"subject\",\"kind\":\"string\"},"
                      "{\"name\":\"region\",\"kind\":\"string\"},"
                      "{\"name\":\"quantity\",\"kind\":\"decimal\",\"scale\":0}]}],"
                      "\"meters\":[],\"plans\":[],\"contracts\":[],\"tenants\":[");

    for (int i = 0; i < TENANTS; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s{\"key\":\"tenant-%d\"}",
                       i == 0 ? "" : ",", i);
    at += snprintf(text + at, sizeof text - (size_t)at, "]}");
    VT_ASSERT(catalog_load((struct vt_str){text, (uint32_t)at}, NULL, &catalog) == VT_OK);
    return catalog;
}

/* Names of one event; few tenants have most of the events. */
struct sample {
    char tenant[32];
    char subject[32];
    char region[16];
    uint8_t uuid[16];
    int64_t quantity;
};

static struct sample
sample_make(uint64_t i)
{
    struct sample s;
    uint64_t tenant = TENANTS >> mix(i) % 10;
    uint64_t words[2] = {mix(i * 2 + 1), mix(i * 3 + 2)};

    tenant = mix(i + 7) % (tenant == 0 ? 1 : tenant);
    (void)snprintf(s.tenant, sizeof s.tenant, "tenant-%" PRIu64, tenant);
    (void)snprintf(s.subject, sizeof s.subject, "subject-%" PRIu64, mix(i + 9) % 100);
    (void)snprintf(s.region, sizeof s.region, "region-%" PRIu64, mix(i + 11) % 8);
    memcpy(s.uuid, words, sizeof s.uuid);
    s.quantity = mix(i + 13) % 10 < 6 ? 1 : (int64_t)(mix(i + 17) % 100000);
    return s;
}

static struct vt_str
str(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

static uint8_t *
text_pair(uint8_t *at, const char *key, struct vt_str text)
{
    at = msgpack_put_text(at, str(key));
    return msgpack_put_text(at, text);
}

static void
row_add(struct row_batch *rows, const struct sample *s, int64_t time_us)
{
    uint8_t buffer[512];
    char uuid[48];
    struct vt_str id = row_id_text(&(struct row_id){s->uuid, 16, ROW_ID_UUID}, uuid);
    uint8_t *at = msgpack_put_map(buffer, 5);

    at = text_pair(at, "tenant", str(s->tenant));
    at = text_pair(at, "type", str("call"));
    at = text_pair(at, "id", id);
    at = msgpack_put_text(at, str("time"));
    at = msgpack_put_integer(at, time_us);
    at = msgpack_put_text(at, str("props"));
    at = msgpack_put_map(at, 3);
    at = text_pair(at, "subject", str(s->subject));
    at = text_pair(at, "region", str(s->region));
    at = msgpack_put_text(at, str("quantity"));
    at = msgpack_put_integer(at, s->quantity);
    VT_ASSERT(row_batch_add(rows, (struct vt_bytes){buffer, (uint64_t)(at - buffer)}) == VT_OK);
}

static void
measure(const char *form, const struct catalog *catalog, const struct batch_frame *frame)
{
    struct batch_options options = {
        .catalog = catalog, .key = {1, 2}, .partition_count = 16, .producer = VT_STR("bench")};
    uint32_t rounds = 4000000 / frame->event_count;
    struct arena arena;
    uint64_t best = UINT64_MAX;

    arena_init(&arena, UINT64_C(8) << 20);
    for (uint32_t pass = 0; pass < 5; pass++) {
        uint64_t start = now_ns();

        for (uint32_t i = 0; i < rounds; i++) {
            struct batch *batch = NULL;

            arena_reset(&arena);
            VT_ASSERT(batch_decode(&arena, &options, frame, &batch) == VT_OK);
            VT_ASSERT(batch->reason[frame->event_count - 1] == VT_REASON_NONE);
        }
        uint64_t took = now_ns() - start;

        best = took < best ? took : best;
    }
    uint64_t tenths = best * 10 / ((uint64_t)rounds * frame->event_count);

    printf("{\"bench\":\"batch\",\"form\":\"%s\",\"events_per_frame\":%" PRIu32
           ",\"bytes_per_event\":%" PRIu64 ",\"ns_per_event\":%" PRIu64 ".%" PRIu64 "}\n",
           form, frame->event_count, frame->payload.size / frame->event_count, tenths / 10,
           tenths % 10);
    arena_deinit(&arena);
}

static void
bench_columns(const struct catalog *catalog, uint32_t events, enum column_ids ids)
{
    static const struct column_batch_field fields[3] = {
        {.name = {"subject", 7}},
        {.name = {"region", 6}},
        {.name = {"quantity", 8}, .decimal = true},
    };
    struct column_batch_options options = {.type = VT_STR("call"),
                                           .ids = ids,
                                           .field_count = 3,
                                           .fields = fields,
                                           .events_max = events,
                                           .bytes_max = FRAME_BYTES};
    struct column_batch *columns;
    struct vt_bytes payload;

    VT_ASSERT(column_batch_open(&options, &columns) == VT_OK);
    for (uint32_t i = 0; i < events; i++) {
        struct sample s = sample_make(i);
        struct column_value values[3] = {{.text = str(s.subject)},
                                         {.text = str(s.region)},
                                         {.present = true, .mantissa = s.quantity}};
        struct column_event event = {.tenant = str(s.tenant),
                                     .id = {s.uuid, 16},
                                     .time_us = INT64_C(1782864000000000) + i,
                                     .values = values};

        VT_ASSERT(column_batch_add(columns, &event) == VT_OK);
    }
    VT_ASSERT(column_batch_encode(columns, &payload) == VT_OK);
    struct batch_frame frame = {VT_FRAME_BATCH_COLUMNS, events, payload};

    measure(ids == COLUMN_IDS_UUID ? "columns, uuids" : "columns, sequence", catalog, &frame);
    column_batch_close(columns);
}

static void
bench_rows(const struct catalog *catalog, uint32_t events)
{
    struct row_batch rows;

    VT_ASSERT(row_batch_init(&rows, FRAME_BYTES, events) == VT_OK);
    for (uint32_t i = 0; i < events; i++) {
        struct sample s = sample_make(i);

        row_add(&rows, &s, INT64_C(1782864000000000) + i);
    }
    struct batch_frame frame = {VT_FRAME_BATCH_ROWS, events, row_batch_payload(&rows)};

    measure("rows, uuids", catalog, &frame);
    row_batch_deinit(&rows);
}

int
main(int argc, char **argv)
{
    struct catalog *catalog = catalog_make();

    for (int i = 1; i < argc || i == 1; i++) {
        uint32_t events = argc == 1 ? 1000 : (uint32_t)strtoul(argv[i], NULL, 10);

        if (events == 0 || events > VT_BATCH_EVENTS_MAX)
            return 2;
        bench_columns(catalog, events, COLUMN_IDS_SEQUENCE);
        bench_columns(catalog, events, COLUMN_IDS_UUID);
        bench_rows(catalog, events);
    }
    catalog_free(catalog);
    return 0;
}

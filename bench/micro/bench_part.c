/*
 * bench_part - nanoseconds of CPU an event that a partition takes to judge, deduplicate, append and
 * aggregate a decoded batch of rows: new random ids, the same ids again, and sequence ids. One JSON
 * line each. The catalog is the smallest with two meters; a cut every million rows, unsealed epochs
 * are kept.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalog.h"
#include "dedup.h"
#include "msgpack_put.h"
#include "part.h"
#include "venturi/assert.h"

#define EVENTS 10000
#define ROUNDS 200

static const char catalog_text[] =
    "{\"event_types\": [{\"type\": \"call\", \"fields\": ["
    "{\"name\": \"region\", \"kind\": \"string\"},"
    "{\"name\": \"tokens\", \"kind\": \"decimal\", \"scale\": 0}]}],"
    "\"meters\": [{\"key\": \"tokens\", \"event_type\": \"call\", \"aggregation\": \"sum\","
    "\"field\": \"tokens\", \"window\": \"1h\", \"group_by\": [\"region\"]},"
    "{\"key\": \"calls\", \"event_type\": \"call\", \"aggregation\": \"count\","
    "\"window\": \"1m\"}],"
    "\"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}], \"plans\": [], \"contracts\": []}";

static vt_err
no_zone(void *context, struct vt_str name, struct vt_bytes *out_tzif)
{
    (void)context;
    (void)name;
    (void)out_tzif;
    return VT_NOT_FOUND;
}

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

struct bench {
    struct catalog *catalog;
    struct part *part;
    struct arena arena;
    struct vt_hash_key key;
    uint64_t number;
    uint64_t position;
    uint64_t decode_ns;
    uint64_t apply_ns;
    uint64_t accepted;
    uint32_t select[EVENTS];
};

static struct vt_bytes
payload_make(struct bench *bench, uint64_t round, bool with_ids)
{
    static const char regions[8][4] = {"eu1", "eu2", "us1", "us2", "ap1", "ap2", "sa1", "af1"};
    uint8_t *begin = arena_alloc(&bench->arena, UINT64_C(160) * EVENTS);
    uint8_t *at = begin;

    VT_ASSERT(begin != NULL);
    for (uint64_t i = 0; i < EVENTS; i++) {
        uint64_t x = mix(round * EVENTS + i);
        char id[33];

        at = msgpack_put_map(at, with_ids ? 5 : 4);
        at = msgpack_put_text(msgpack_put_text(at, VT_STR("tenant")),
                              x % 3 == 0 ? VT_STR("acme") : VT_STR("globex"));
        at = msgpack_put_text(msgpack_put_text(at, VT_STR("type")), VT_STR("call"));
        at = msgpack_put_integer(msgpack_put_text(at, VT_STR("time")),
                                 INT64_C(1700000000000000) + (int64_t)(round * 20000 + i));
        at = msgpack_put_map(msgpack_put_text(at, VT_STR("props")), 2);
        at = msgpack_put_text(msgpack_put_text(at, VT_STR("region")),
                              (struct vt_str){regions[x >> 8 & 7], 3});
        at = msgpack_put_integer(msgpack_put_text(at, VT_STR("tokens")), (int64_t)(x % 1000));
        if (!with_ids)
            continue;
        (void)snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, x, mix(x));
        at = msgpack_put_text(msgpack_put_text(at, VT_STR("id")), (struct vt_str){id, 32});
    }
    return (struct vt_bytes){begin, (uint64_t)(at - begin)};
}

static void
commit(struct bench *bench, uint64_t round, bool with_ids)
{
    struct batch_options options = {
        .catalog = bench->catalog, .key = bench->key, .partition_count = 1};
    struct batch_frame frame = {.type = VT_FRAME_BATCH_ROWS, .event_count = EVENTS};
    struct batch *batch = NULL;

    arena_reset(&bench->arena);
    frame.payload = payload_make(bench, round, with_ids);
    if (!with_ids)
        options.producer = VT_STR("bench");
    options.sequence = bench->position;
    uint64_t begin = now_ns();

    VT_ASSERT(batch_decode(&bench->arena, &options, &frame, &batch) == VT_OK);
    uint64_t decoded = now_ns();
    struct commit_meta meta = {++bench->number, bench->position, EVENTS,
                               INT64_C(1700000000000000) + (int64_t)bench->number * 20000};

    batch->first_position = bench->position;
    bench->position += EVENTS;
    VT_ASSERT(part_begin(bench->part, &meta) == VT_OK);
    VT_ASSERT(part_apply(bench->part, batch, bench->select, EVENTS) == VT_OK);
    VT_ASSERT(part_end(bench->part) == VT_OK);
    bench->decode_ns += decoded - begin;
    bench->apply_ns += now_ns() - decoded;
    for (uint32_t i = 0; i < EVENTS; i++)
        bench->accepted += batch->verdict[i] == VT_ACCEPTED;
}

static void
cut(struct bench *bench)
{
    struct epoch *epoch = NULL;
    struct vt_bytes state;
    union {
        const uint8_t *read;
        void *owned;
    } bytes;

    VT_ASSERT(part_cut(bench->part, bench->catalog, &epoch, &state) == VT_OK);
    epoch_put(epoch);
    bytes.read = state.data;
    free(bytes.owned);
}

static void
run(struct bench *bench, const char *name, uint64_t rounds, bool with_ids)
{
    uint64_t before = bench->accepted;

    bench->decode_ns = 0;
    bench->apply_ns = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        commit(bench, round, with_ids);
        if (round % 100 == 99)
            cut(bench);
    }
    printf("{\"bench\":\"part\",\"events\":\"%s\",\"count\":%" PRIu64 ",\"accepted\":%" PRIu64
           ",\"decode_ns\":%.1f,\"apply_ns\":%.1f}\n",
           name, rounds * EVENTS, bench->accepted - before,
           (double)bench->decode_ns / (double)(rounds * EVENTS),
           (double)bench->apply_ns / (double)(rounds * EVENTS));
}

int
main(void)
{
    static struct bench bench = {.key = {1, 2}, .position = 1};
    struct catalog_zones zones = {.read = no_zone};
    struct vt_str text = {catalog_text, sizeof catalog_text - 1};

    struct dedup *dedup = NULL;

    VT_ASSERT(catalog_load(text, &zones, &bench.catalog) == VT_OK);
    VT_ASSERT(dedup_open(10000000, 1, &dedup) == VT_OK);
    arena_init(&bench.arena, 4 << 20);
    for (uint32_t i = 0; i < EVENTS; i++)
        bench.select[i] = i;
    struct part_options options = {.key = bench.key,
                                   .catalog = bench.catalog,
                                   .dedup = dedup,
                                   .next_commit = 1,
                                   .next_position = 1};

    VT_ASSERT(part_open(&options, &bench.part) == VT_OK);
    run(&bench, "random ids", ROUNDS, true);
    run(&bench, "the same again", ROUNDS / 10, true);
    run(&bench, "sequence ids", ROUNDS, false);
    part_free(bench.part);
    dedup_close(dedup);
    arena_deinit(&bench.arena);
    catalog_free(bench.catalog);
    return 0;
}

#include "part_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/sealed.h"
#include "net/zones.h"
#include "storage/storage.h"
#include "venturi/assert.h"

#define CALL_FIELDS                                                \
    "{\"name\": \"region\", \"kind\": \"string\"},"                \
    "{\"name\": \"tokens\", \"kind\": \"decimal\", \"scale\": 0}," \
    "{\"name\": \"cost\", \"kind\": \"decimal\", \"scale\": 6, \"required\": false}"
#define TOKENS "{\"name\": \"tokens\", \"kind\": \"decimal\", \"scale\": 0}"
#define SLOW                                                                 \
    "{\"type\": \"slow\", \"late_limit\": \"1h\", \"future_limit\": \"1m\"," \
    " \"fields\": [" TOKENS "]}"
#define METERS                                                                               \
    "\"meters\": [{\"key\": \"tokens\", \"event_type\": \"call\", \"aggregation\": \"sum\"," \
    " \"field\": \"tokens\", \"window\": \"1h\", \"group_by\": [\"region\"]},"               \
    " {\"key\": \"calls\", \"event_type\": \"call\", \"aggregation\": \"count\","            \
    " \"window\": \"1d\"}]"
#define REST ", \"plans\": [], \"contracts\": []}"

#define WIDE_METER(KEY, AGGREGATION, FIELD, WINDOW)                                          \
    "{\"key\": \"" KEY "\", \"event_type\": \"call\", \"aggregation\": \"" AGGREGATION "\"," \
    " \"field\": \"" FIELD "\", \"window\": \"" WINDOW "\", \"group_by\": [\"region\"]}"
#define WIDE_METERS                                                                                \
    "\"meters\": [" WIDE_METER("zsum", "sum", "cost", "1h") ", " WIDE_METER(                       \
        "least", "min", "tokens",                                                                  \
        "1d") ", " WIDE_METER("most", "max", "tokens",                                             \
                              "5m") ", " WIDE_METER("last", "last", "tokens",                      \
                                                    "1h") ", "                                     \
                                                          "{\"key\": \"who\", \"event_type\": "    \
                                                          "\"call\", \"aggregation\": \"unique\"," \
                                                          " \"field\": \"region\", \"window\": "   \
                                                          "\"1d\"}, "                              \
                                                          "{\"key\": \"all\", \"event_type\": "    \
                                                          "\"slow\", \"aggregation\": \"count\", " \
                                                          "\"window\": \"1h\"}]"

#define CATALOGS(METERS_TEXT)                                                                 \
    {                                                                                         \
        "{\"event_types\": [{\"type\": \"call\", \"fields\": [" CALL_FIELDS "]}, " SLOW       \
        "], " METERS_TEXT ", \"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}]" REST, \
            "{\"event_types\": [{\"type\": \"call\", \"fields\": [" CALL_FIELDS               \
            ", {\"name\": \"note\", \"kind\": \"string\"}]}, " SLOW                           \
            ", {\"type\": \"later\", \"fields\": [" TOKENS "]}], " METERS_TEXT                \
            ", \"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}, {\"key\": "          \
            "\"newco\"}]" REST                                                                \
    }

static const char *const catalog_texts[2] = CATALOGS(METERS);
static const char *const wide_texts[2] = CATALOGS(WIDE_METERS);

static void
must(vt_err err)
{
    if (err != VT_OK)
        fprintf(stderr, "%s: %s\n", vt_err_name(err), vt_err_last());
    VT_ASSERT(err == VT_OK);
}

static void
bytes_free(struct vt_bytes *bytes)
{
    union {
        const uint8_t *read;
        void *owned;
    } data = {.read = bytes->data};

    free(data.owned);
    *bytes = (struct vt_bytes){NULL, 0};
}

static void
world_part_open(struct part_world *world)
{
    /* Like a process that starts anew: an empty table, filled from the segments. */
    dedup_close(world->dedup);
    world->dedup = NULL;
    must(dedup_open(world->dedup_ids_max, 1, &world->dedup));
    struct part_options options = {
        .partition = 0,
        .key = world->maker.key,
        .catalog = world->catalogs[world->catalog],
        .dedup = world->dedup,
        .io = world->io,
        .next_commit = world->number + 1,
        .next_position = world->maker.position,
        .state = world->state,
        .sealed_count = world->sealed_count,
        .sealed = world->sealed,
    };

    must(part_open(&options, &world->part));
}

static vt_err
world_open(struct part_world *world, const char *const texts[2])
{
    struct store_options options = {.dir = world->dir,
                                    .create = true,
                                    .partition_count = 1,
                                    .lane_bytes = 1 << 20,
                                    .commit_bytes_max = 128 << 10};

    *world = (struct part_world){.arrival_us = INT64_C(1700000000000000), .dedup_ids_max = 100000};
    (void)snprintf(world->dir, sizeof world->dir, "/var/tmp/venturi-part-XXXXXX");
    VT_ASSERT(mkdtemp(world->dir) != NULL);
    vt_err err = io_uring_open(64, &world->io);

    if (err != VT_OK) {
        (void)rmdir(world->dir);
        return err;
    }
    must(store_open(world->io, &options, &world->store));
    must(zones_open(&world->zones));
    event_maker_init(&world->maker);
    for (uint32_t i = 0; i < 2; i++) {
        struct catalog_zones zones = zones_source(world->zones);
        struct vt_str text = {texts[i], (uint32_t)strlen(texts[i])};

        must(catalog_load(text, &zones, &world->catalogs[i]));
    }
    world_part_open(world);
    return VT_OK;
}

vt_err
part_world_open(struct part_world *world)
{
    return world_open(world, catalog_texts);
}

vt_err
part_world_open_wide(struct part_world *world)
{
    return world_open(world, wide_texts);
}

static void
folder_remove(struct io *io, const char *folder)
{
    struct io_name_list names;
    char path[512];

    if (io_list_dir(io, folder, &names) == VT_OK) {
        for (uint32_t i = 0; i < names.count; i++) {
            (void)snprintf(path, sizeof path, "%s/%s", folder, names.names[i]);
            (void)unlink(path);
        }
        io_name_list_free(&names);
    }
    (void)rmdir(folder);
}

void
part_world_close(struct part_world *world)
{
    char segments[128];

    part_free(world->part);
    dedup_close(world->dedup);
    for (uint32_t i = 0; i < world->cut_count; i++) {
        epoch_put(world->cuts[i].epoch);
        bytes_free(&world->cuts[i].state);
    }
    for (uint32_t i = 0; i < world->sealed_count; i++)
        sealed_put(world->sealed[i]);
    bytes_free(&world->state);
    for (uint32_t i = 0; i < 2; i++)
        catalog_free(world->catalogs[i]);
    event_maker_deinit(&world->maker);
    zones_close(world->zones);
    store_close(world->store);
    (void)snprintf(segments, sizeof segments, "%s/segments", world->dir);
    folder_remove(world->io, segments);
    folder_remove(world->io, world->dir);
    io_close(world->io);
}

void
part_world_begin(struct part_world *world, uint32_t positions, int64_t arrival_us)
{
    world->arrival_us += arrival_us;
    struct commit_meta meta = {
        .number = ++world->number,
        .first_position = world->maker.position,
        .event_count = positions,
        .arrival_us = world->arrival_us,
    };

    must(part_begin(world->part, &meta));
}

void
part_world_end(struct part_world *world)
{
    must(part_end(world->part));
}

struct batch *
part_world_commit(struct part_world *world, const struct made_event *events, uint32_t count,
                  int64_t arrival_us)
{
    uint32_t *select = calloc((uint64_t)count + 1, sizeof *select);

    VT_ASSERT(select != NULL);
    for (uint32_t i = 0; i < count; i++)
        select[i] = i;
    part_world_begin(world, count, arrival_us);
    struct batch *batch =
        event_batch(&world->maker, world->catalogs[world->catalog], events, count);

    batch->number = world->number;
    batch->arrival_us = world->arrival_us;
    must(part_apply(world->part, batch, select, count));
    part_world_end(world);
    free(select);
    return batch;
}

uint32_t
part_world_settle(struct part_world *world, const uint64_t *positions, uint32_t count, bool discard)
{
    le64 *list = calloc((uint64_t)count + 1, sizeof *list);
    uint32_t settled = UINT32_MAX;

    VT_ASSERT(list != NULL);
    for (uint32_t i = 0; i < count; i++)
        list[i] = le64_put(positions[i]);
    part_world_begin(world, count, 1000);
    struct settle_order order = {list, count, world->maker.position};

    if (discard)
        must(part_discard(world->part, &order, &settled));
    else
        must(part_retry(world->part, &order, &settled));
    part_world_end(world);
    world->maker.position += count;
    free(list);
    return settled;
}

void
part_world_cut(struct part_world *world, uint32_t next_catalog)
{
    struct world_cut *cut = &world->cuts[world->cut_count];

    VT_ASSERT(world->cut_count < WORLD_CUTS_MAX);
    *cut = (struct world_cut){.catalog = world->catalogs[world->catalog], .commit = world->number};
    must(part_cut(world->part, world->catalogs[next_catalog], &cut->epoch, &cut->state));
    world->cut_count++;
    world->catalog = next_catalog;
}

void
part_world_seal(struct part_world *world)
{
    for (uint32_t i = 0; i < world->cut_count; i++) {
        struct world_cut *cut = &world->cuts[i];
        struct sealed *sealed = NULL;

        if (!epoch_is_empty(cut->epoch)) {
            struct store_segment segment;

            VT_ASSERT(world->sealed_count < WORLD_SEGMENTS_MAX);
            must(seal_write(world->io, world->store, cut->epoch, &segment));
            must(sealed_open(world->io, &segment, cut->catalog, &sealed));
            world->sealed[world->sealed_count++] = sealed;
        }
        must(part_sealed(world->part, cut->commit, sealed));
        epoch_put(cut->epoch);
        bytes_free(&world->state);
        world->state = cut->state;
    }
    world->cut_count = 0;
}

void
part_world_restart(struct part_world *world)
{
    part_world_cut(world, world->catalog);
    part_world_seal(world);
    part_free(world->part);
    world->part = NULL;
    world_part_open(world);
}

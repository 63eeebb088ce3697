/*
 * Goal:   a frame of columns that asks no question becomes the same rows, counts and windows as its
 *         events one by one.
 * Method: two partitions take the same random usage of a session, one as columns, one as rows,
 *         with ticks between; their states of a cut and the rows of their epochs are compared, byte
 *         for byte.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/client/column_frame.h"
#include "tests/support/part_world.h"
#include "venturi/assert.h"
#include "venturi/decimal.h"
#include "venturi/time.h"

#define EVENTS_MAX 3000
#define FRAMES     12 /* more rows than a chunk has */

static const struct vt_str tenants[] = {{"acme", 4}, {"globex", 6}};
static const struct vt_str regions[] = {{"", 0}, {"eu", 2}, {"us", 2}, {"ap", 2}};

struct usage {
    uint32_t count;
    uint32_t tenant[EVENTS_MAX];
    uint32_t region[EVENTS_MAX];
    int64_t time_us[EVENTS_MAX];
    int64_t tokens[EVENTS_MAX];
    int64_t cost[EVENTS_MAX];
    uint8_t has_cost[EVENTS_MAX];
    uint32_t select[EVENTS_MAX];
    uint32_t selected;
};

static uint64_t
next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void
usage_make(struct usage *usage, uint64_t *seed, int64_t arrival_us)
{
    usage->count = 1 + (uint32_t)(next_random(seed) % EVENTS_MAX);
    usage->selected = 0;
    for (uint32_t i = 0; i < usage->count; i++) {
        usage->tenant[i] = (uint32_t)(next_random(seed) % VT_COUNT(tenants));
        usage->region[i] = (uint32_t)(next_random(seed) % VT_COUNT(regions));
        usage->time_us[i] = arrival_us - (int64_t)(next_random(seed) % 7200) * 1000000;
        usage->tokens[i] = (int64_t)(next_random(seed) % 1000);
        usage->cost[i] = (int64_t)(next_random(seed) % 1000000);
        usage->has_cost[i] = next_random(seed) % 3 != 0;
        usage->select[usage->selected] = i;
        usage->selected += next_random(seed) % 4 != 0;
    }
}

static struct batch *
as_columns(struct part_world *world, const struct usage *usage)
{
    const struct column_field fields[] = {
        {.name = VT_STR("region"), .strings = {VT_COUNT(regions), regions, usage->region}},
        {.name = VT_STR("tokens"), .decimal = true, .mantissas = usage->tokens},
        {.name = VT_STR("cost"),
         .decimal = true,
         .scale = 6,
         .mantissas = usage->cost,
         .present = usage->has_cost},
    };
    const struct column_frame columns = {
        .event_count = usage->count,
        .type = VT_STR("call"),
        .tenants = {VT_COUNT(tenants), tenants, usage->tenant},
        .ids = COLUMN_IDS_SEQUENCE,
        .times_us = usage->time_us,
        .field_count = VT_COUNT(fields),
        .fields = fields,
    };
    struct batch_options options = {
        .catalog = world->catalogs[world->catalog],
        .key = world->maker.key,
        .partition_count = 1,
        .producer = world->maker.producer,
        .epoch = 1,
        .sequence = world->maker.sequence,
    };
    uint8_t *payload = arena_alloc(&world->maker.arena, column_frame_bytes(&columns));

    VT_ASSERT(payload != NULL);
    struct batch_frame frame = {
        VT_FRAME_BATCH_COLUMNS, usage->count, {payload, column_frame_encode(&columns, payload)}};
    struct batch *batch = NULL;

    VT_ASSERT(batch_decode(&world->maker.arena, &options, &frame, &batch) == VT_OK);
    VT_ASSERT(batch->plain);
    batch->first_position = world->maker.position;
    world->maker.position += usage->count;
    world->maker.sequence += usage->count;
    return batch;
}

static struct batch *
as_rows(struct part_world *world, const struct usage *usage)
{
    struct made_event *events = calloc(usage->count, sizeof *events);

    VT_ASSERT(events != NULL);
    for (uint32_t i = 0; i < usage->count; i++) {
        struct made_event *event = &events[i];
        char *cost = arena_alloc(&world->maker.arena, VT_DECIMAL_BYTES);

        VT_ASSERT(cost != NULL);
        event->tenant = tenants[usage->tenant[i]];
        event->type = VT_STR("call");
        event->time_us = usage->time_us[i];
        event->fields[0] = (struct made_field){VT_STR("region"), regions[usage->region[i]], 0};
        event->fields[1] = (struct made_field){VT_STR("tokens"), {NULL, 0}, usage->tokens[i]};
        event->field_count = 2;
        if (usage->has_cost[i])
            event->fields[event->field_count++] = (struct made_field){
                VT_STR("cost"), {cost, vt_decimal_format(usage->cost[i], 6, cost)}, 0};
    }
    struct batch *batch =
        event_batch(&world->maker, world->catalogs[world->catalog], events, usage->count);

    VT_ASSERT(!batch->plain);
    free(events);
    return batch;
}

static void
take(struct part_world *world, const struct usage *usage, bool columns)
{
    part_world_begin(world, usage->count, 61 * VT_US_PER_SECOND);
    struct batch *batch = columns ? as_columns(world, usage) : as_rows(world, usage);

    batch->number = world->number;
    batch->arrival_us = world->arrival_us;
    VT_ASSERT(part_apply(world->part, batch, usage->select, usage->selected) == VT_OK);
    for (uint32_t i = 0; i < usage->selected; i++)
        VT_ASSERT(batch->verdict[usage->select[i]] == VT_ACCEPTED);
    part_world_end(world);
}

static vt_err
row_lines(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    FILE *out = context;

    (void)identity;
    for (uint32_t row = 0; row < block->row_count; row++) {
        char buffer[48];
        struct vt_str id = row_id_text(&block->id[row], buffer);
        struct vt_str source = block->dict[block->source[row]];

        (void)fprintf(out, "%.*s %.*s %llu %lld %.*s %.*s", (int)block->tenant.size,
                      block->tenant.data, (int)block->type.size, block->type.data,
                      (unsigned long long)block->position[row], (long long)block->time_us[row],
                      (int)source.size, source.data, (int)id.size, id.data);
        for (uint32_t c = 0; c < block->column_count; c++) {
            const struct row_column *column = &block->columns[c];
            struct vt_str text = {"", 0};

            if (column->kind == FIELD_STRING)
                text = block->dict[column->code[row]];
            else
                (void)fprintf(out, " %d/%lld", column->present[row], (long long)column->value[row]);
            (void)fprintf(out, " %.*s", (int)text.size, text.data);
        }
        (void)fputc('\n', out);
    }
    return VT_OK;
}

static char *
lines_of(struct epoch *epoch)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct epoch_mark mark;
    struct epoch_scan scan = {
        .tenant = CATALOG_NONE, .type = CATALOG_NONE, .block = row_lines, .context = out};

    VT_ASSERT(out != NULL);
    VT_ASSERT(epoch_mark_take(epoch, &mark) == VT_OK);
    VT_ASSERT(epoch_scan_rows(&mark, &scan) == VT_OK);
    epoch_mark_put(&mark);
    (void)fclose(out);
    return text;
}

Test(part_plain, columns_become_the_rows_of_their_events, .timeout = 30)
{
    static struct usage usage;
    struct part_world worlds[2];
    uint64_t seed = 5;

    for (uint32_t w = 0; w < 2; w++) {
        if (part_world_open(&worlds[w]) != VT_OK)
            cr_skip("no io_uring");
        worlds[w].maker.producer = VT_STR("edge");
        worlds[w].maker.sequence = 1;
    }
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        usage_make(&usage, &seed, worlds[0].arrival_us);
        for (uint32_t w = 0; w < 2; w++)
            take(&worlds[w], &usage, w == 0);
    }
    char *lines[2];

    for (uint32_t w = 0; w < 2; w++) {
        part_world_cut(&worlds[w], 0);
        lines[w] = lines_of(worlds[w].cuts[0].epoch);
    }
    const struct vt_bytes *states[2] = {&worlds[0].cuts[0].state, &worlds[1].cuts[0].state};

    cr_expect(states[0]->size == states[1]->size &&
                  memcmp(states[0]->data, states[1]->data, states[0]->size) == 0,
              "counters and windows");
    cr_expect(strlen(lines[0]) > 100000);
    cr_expect(strcmp(lines[0], lines[1]) == 0, "rows");
    for (uint32_t w = 0; w < 2; w++) {
        free(lines[w]);
        part_world_close(&worlds[w]);
    }
}

/*
 * bench_cells.c - what a row costs on its way into the cells: one by one, as an epoch takes it, and
 * by blocks, as a scan does. One meter of sum with a filter, grouped by one dimension of as many
 * values as the case says, rows in random order of groups. One line of JSON a case, CPU time of the
 * best of several rounds: the machine is shared.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalog.h"
#include "cells.h"
#include "venturi/assert.h"

#define ROWS   (UINT32_C(1) << 20)
#define RUN    64 /* rows of a frame that one partition has */
#define BLOCK  (UINT32_C(1) << 16)
#define ROUNDS 5
#define SLOTS  3 /* region, user, q */

static const char catalog_text[] =
    "{\"event_types\":[{\"type\":\"t\",\"fields\":[{\"name\":\"region\",\"kind\":\"string\"},"
    "{\"name\":\"user\",\"kind\":\"string\"},{\"name\":\"q\",\"kind\":\"decimal\"}]}],"
    "\"tenants\":[{\"key\":\"x\"}],\"meters\":[{\"key\":\"m\",\"event_type\":\"t\","
    "\"aggregation\":\"sum\",\"field\":\"q\",\"group_by\":[\"user\"],"
    "\"filter\":{\"region\":[\"r0\",\"r1\",\"r2\",\"r3\",\"r4\",\"r5\",\"r6\"]},"
    "\"window\":\"1h\"}],\"plans\":[],\"contracts\":[]}";

/* Columns of all rows, codes of one dictionary. */
struct rows {
    struct catalog *catalog;
    struct dict *dict;
    uint32_t *region;
    uint32_t *user;
    int64_t *value;
    int64_t *time_us;
    uint32_t *source;
    uint64_t *position;
    struct row_id *id;
};

static void
must(vt_err err)
{
    if (err != VT_OK)
        (void)fprintf(stderr, "%s: %s\n", vt_err_name(err), vt_err_last());
    VT_ASSERT(err == VT_OK);
}

static uint64_t
cpu_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);

    VT_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void *
take(uint64_t bytes)
{
    void *memory = calloc(ROWS, bytes);

    VT_ASSERT(memory != NULL);
    return memory;
}

static void
rows_init(struct rows *rows, uint32_t groups)
{
    uint64_t seed = 1;
    uint32_t regions[8], first_user = 0;

    must(
        catalog_load((struct vt_str){catalog_text, sizeof catalog_text - 1}, NULL, &rows->catalog));
    must(dict_open(&rows->dict));
    rows->region = take(sizeof *rows->region);
    rows->user = take(sizeof *rows->user);
    rows->value = take(sizeof *rows->value);
    rows->time_us = take(sizeof *rows->time_us);
    rows->source = take(sizeof *rows->source);
    rows->position = take(sizeof *rows->position);
    rows->id = take(sizeof *rows->id);
    for (uint32_t i = 0; i < groups + 8; i++) {
        char text[16];
        int size = snprintf(text, sizeof text, "%c%u", i < 8 ? 'r' : 'u', i);
        uint32_t code;

        must(dict_code(rows->dict, (struct vt_str){text, (uint32_t)size}, &code));
        if (i < 8)
            regions[i] = code;
        first_user = i == 8 ? code : first_user;
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        rows->region[i] = regions[next(&seed) % 8];
        rows->user[i] = first_user + (uint32_t)(next(&seed) % groups);
        rows->value[i] = (int64_t)(next(&seed) % 100000);
        rows->time_us[i] = INT64_C(1719792000000000) + (int64_t)i * 100;
        rows->position[i] = i + 1;
    }
}

static void
rows_deinit(struct rows *rows)
{
    free(rows->region);
    free(rows->user);
    free(rows->value);
    free(rows->time_us);
    free(rows->source);
    free(rows->position);
    free(rows->id);
    dict_close(rows->dict);
    catalog_free(rows->catalog);
}

static void
add_rows(const struct rows *rows, struct cells *cells)
{
    static uint32_t zeros[ROWS];
    static uint8_t ones[ROWS];
    static uint8_t ids[ROWS][16];
    static uint16_t sizes[ROWS];
    static uint8_t kinds[ROWS];
    int64_t *value[SLOTS] = {NULL, NULL, rows->value};
    uint8_t *present[SLOTS] = {NULL, NULL, ones};
    uint32_t *code[SLOTS] = {rows->region, rows->user, NULL};

    memset(ones, 1, sizeof ones);
    memset(kinds, ROW_ID_UUID, sizeof kinds);
    for (uint32_t i = 0; i < ROWS; i++)
        sizes[i] = 16;
    for (uint32_t first = 0; first < ROWS; first += RUN) {
        struct cell_rows run = {.first = first,
                                .count = ROWS - first < RUN ? ROWS - first : RUN,
                                .tenant = zeros,
                                .time_us = rows->time_us,
                                .source = zeros,
                                .id = {ids, sizes, kinds},
                                .slot_count = SLOTS,
                                .value = value,
                                .present = present,
                                .code = code};

        must(cells_add_rows(cells, &run));
    }
}

static void
add_blocks(const struct rows *rows, struct cells *cells, const struct vt_str *strings)
{
    for (uint32_t from = 0; from < ROWS; from += BLOCK) {
        const struct row_column columns[SLOTS] = {
            {.name = VT_STR("region"), .kind = FIELD_STRING, .code = rows->region + from},
            {.name = VT_STR("user"), .kind = FIELD_STRING, .code = rows->user + from},
            {.name = VT_STR("q"), .kind = FIELD_DECIMAL, .value = rows->value + from},
        };
        struct row_block block = {.tenant = VT_STR("x"),
                                  .type = VT_STR("t"),
                                  .row_count = BLOCK,
                                  .position = rows->position + from,
                                  .time_us = rows->time_us + from,
                                  .source = rows->source + from,
                                  .column_count = SLOTS,
                                  .columns = columns,
                                  .dict_count = dict_count(rows->dict),
                                  .dict = strings,
                                  .dict_id = dict_id(rows->dict)};

        must(cells_add_block(cells, CATALOG_NONE, &block));
    }
}

/* Into cells that are new, with their growth, or that have every group already. */
static uint64_t
best_ns(const struct rows *rows, bool by_block, bool warm)
{
    struct vt_str *strings;
    uint64_t best = UINT64_MAX;

    must(dict_array(rows->dict, dict_count(rows->dict), &strings));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct dict *own = NULL;
        struct cells *cells;
        uint64_t begin = 0;

        if (by_block)
            must(dict_open(&own));
        must(cells_open(rows->catalog, by_block ? own : rows->dict, &cells));
        for (uint32_t turn = 0; turn < (warm ? 2 : 1); turn++) {
            begin = cpu_ns();
            if (by_block)
                add_blocks(rows, cells, strings);
            else
                add_rows(rows, cells);
        }
        uint64_t took = cpu_ns() - begin;

        best = took < best ? took : best;
        cells_close(cells);
        if (own != NULL)
            dict_close(own);
    }
    free(strings);
    return best;
}

int
main(void)
{
    const uint32_t groups[] = {1000, 100000};

    for (uint32_t g = 0; g < VT_COUNT(groups); g++) {
        struct rows rows;

        rows_init(&rows, groups[g]);
        for (uint32_t c = 0; c < 4; c++) {
            uint64_t took_ns = best_ns(&rows, c >= 2, c % 2 == 1);

            printf("{\"bench\":\"cells\",\"way\":\"%s\",\"groups\":%" PRIu32
                   ",\"cells\":\"%s\",\"ns_per_row\":%" PRIu64 ".%" PRIu64 "}\n",
                   c >= 2 ? "blocks" : "rows", groups[g], c % 2 == 1 ? "warm" : "new",
                   took_ns / ROWS, took_ns * 10 / ROWS % 10);
        }
        rows_deinit(&rows);
    }
    return 0;
}

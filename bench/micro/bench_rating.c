/*
 * bench_rating.c - rows into cells: blocks of 65,536 rows of one tenant, in memory, by what the
 * contract reads. One JSON line a case, best of several rounds: the machine is shared, and the
 * least disturbed round says what the code costs.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalog.h"
#include "rating.h"
#include "venturi/assert.h"
#include "zones.h"

#define ROWS    65536
#define BLOCKS  16 /* a round */
#define ROUNDS  20
#define REGIONS 8
#define USERS   1000

#define HEAD                                                                                       \
    "{\"event_types\":[{\"type\":\"t\",\"fields\":[{\"name\":\"region\",\"kind\":\"string\"},"     \
    "{\"name\":\"user\",\"kind\":\"string\"},{\"name\":\"q\",\"kind\":\"decimal\",\"scale\":0}]}]" \
    ","                                                                                            \
    "\"tenants\":[{\"key\":\"x\",\"name\":\"X\"}],\"meters\":["
#define METER(key, aggregation, field)                                                     \
    "{\"key\":\"" key "\",\"event_type\":\"t\",\"aggregation\":\"" aggregation "\"," field \
    "\"window\":\"1h\",\"unit\":\"u\"}"
#define FIELD(name) "\"field\":\"" name "\","
#define PLANS                                                         \
    "],\"plans\":[{\"key\":\"p\",\"version\":1,\"currency\":\"USD\"," \
    "\"effective_from\":\"2020-01-01T00:00:00Z\",\"charges\":["
#define CHARGE(key, meter, terms) "{\"key\":\"" key "\",\"meter\":\"" meter "\"," terms "}"
#define TAIL                                                                                \
    "]}],\"contracts\":[{\"key\":\"k\",\"tenant\":\"x\",\"plan\":\"p\",\"plan_version\":1," \
    "\"version\":1,\"from\":\"2020-01-01T00:00:00Z\",\"billing_anchor_day\":1,"             \
    "\"time_zone\":\"UTC\"}]}"
#define PER_UNIT "\"model\":\"per_unit\",\"price\":\"0.5\""

static const struct bench_case {
    const char *name;
    const char *catalog;
} cases[] = {
    {"per_unit", HEAD METER("m", "sum", FIELD("q")) PLANS CHARGE("c", "m", PER_UNIT) TAIL},
    {"per_unit split by region", HEAD METER("m", "sum", FIELD("q")) PLANS CHARGE(
                                     "c", "m", PER_UNIT ",\"split_by\":[\"region\"]") TAIL},
    {"per_unit split by user", HEAD METER("m", "sum", FIELD("q")) PLANS CHARGE(
                                   "c", "m", PER_UNIT ",\"split_by\":[\"user\"]") TAIL},
    {"per_unit split by region and user",
     HEAD METER("m", "sum", FIELD("q"))
         PLANS CHARGE("c", "m", PER_UNIT ",\"split_by\":[\"region\",\"user\"]") TAIL},
    {"sum and count priced, max not",
     HEAD METER("m", "sum", FIELD("q")) "," METER("n", "count", "") "," METER("x", "max",
                                                                              FIELD("q"))
         PLANS CHARGE("c", "m", PER_UNIT ",\"split_by\":[\"region\"]") "," CHARGE("d", "n",
                                                                                  PER_UNIT) TAIL},
    {"max", HEAD METER("m", "max", FIELD("q")) PLANS CHARGE("c", "m", PER_UNIT) TAIL},
    {"last", HEAD METER("m", "last", FIELD("q")) PLANS CHARGE("c", "m", PER_UNIT) TAIL},
    {"unique", HEAD METER("m", "unique", FIELD("user")) PLANS CHARGE("c", "m", PER_UNIT) TAIL},
    {"percentage",
     HEAD METER("m", "sum", FIELD("q")) PLANS CHARGE(
         "c", "m", "\"model\":\"percentage\",\"rate\":\"2.9\",\"fixed_per_event\":\"0.3\"") TAIL},
    {"percentage with free units",
     HEAD METER("m", "sum", FIELD("q")) PLANS CHARGE(
         "c", "m", "\"model\":\"percentage\",\"rate\":\"2.9\",\"included\":\"1000\"") TAIL},
};

static uint64_t seed = UINT64_C(0x9E3779B97F4A7C15);

static uint64_t
random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

struct data {
    uint64_t position[ROWS];
    int64_t time_us[ROWS];
    uint32_t source[ROWS];
    uint8_t id_bytes[ROWS][16];
    struct row_id id[ROWS];
    uint32_t region[ROWS];
    uint32_t user[ROWS];
    int64_t q[ROWS];
    struct vt_str dict[1 + REGIONS + USERS];
    char text[1 + REGIONS + USERS][16];
    struct row_column columns[3];
    struct row_block block;
};

/* Quantities are mostly 1, times jitter by 20 ms. */
static void
data_make(struct data *data)
{
    for (uint32_t i = 1; i < VT_COUNT(data->dict); i++) {
        int size = snprintf(data->text[i], sizeof data->text[i], "s%u", i);

        data->dict[i] = (struct vt_str){data->text[i], (uint32_t)size};
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        uint64_t random = random_next();

        data->position[i] = i;
        data->time_us[i] = INT64_C(1780000000000000) + (int64_t)i * 100 + (int64_t)(random % 20000);
        memcpy(data->id_bytes[i], &random, sizeof random);
        data->id[i] = (struct row_id){data->id_bytes[i], 16, ROW_ID_UUID};
        data->region[i] = 1 + (uint32_t)(random >> 20) % REGIONS;
        data->user[i] = 1 + REGIONS + (uint32_t)(random >> 30) % USERS;
        data->q[i] = (random >> 50) % 10 < 6 ? 1 : (int64_t)(random >> 40) % 100000;
    }
    data->columns[0] =
        (struct row_column){.name = VT_STR("region"), .kind = FIELD_STRING, .code = data->region};
    data->columns[1] =
        (struct row_column){.name = VT_STR("user"), .kind = FIELD_STRING, .code = data->user};
    data->columns[2] =
        (struct row_column){.name = VT_STR("q"), .kind = FIELD_DECIMAL, .value = data->q};
    data->block = (struct row_block){.tenant = VT_STR("x"),
                                     .type = VT_STR("t"),
                                     .row_count = ROWS,
                                     .position = data->position,
                                     .time_us = data->time_us,
                                     .source = data->source,
                                     .id = data->id,
                                     .column_count = 3,
                                     .columns = data->columns,
                                     .dict_count = VT_COUNT(data->dict),
                                     .dict = data->dict,
                                     .dict_id = 1};
}

static vt_err
line_count(void *context, const struct rated_line *line)
{
    uint32_t *count = context;

    (void)line;
    (*count)++;
    return VT_OK;
}

struct times {
    uint64_t add_ns;
    uint64_t finish_ns;
    uint32_t line_count;
};

static struct times
round_run(const struct catalog *catalog, const struct data *data)
{
    struct rater_options options = {.catalog = catalog};
    struct times times = {0, 0, 0};
    struct rating_sink sink = {line_count, NULL, &times.line_count};
    struct rater *rater = NULL;

    VT_ASSERT(rater_open(&options, &rater) == VT_OK);
    uint64_t start_ns = now_ns();

    for (uint32_t i = 0; i < BLOCKS; i++)
        VT_ASSERT(rater_add(rater, &data->block) == VT_OK);
    times.add_ns = now_ns() - start_ns;
    start_ns = now_ns();
    VT_ASSERT(rater_finish(rater, &sink) == VT_OK);
    times.finish_ns = now_ns() - start_ns;
    rater_close(rater);
    return times;
}

int
main(void)
{
    struct data *data = calloc(1, sizeof *data);
    struct zones *zones = NULL;

    VT_ASSERT(data != NULL && zones_open(&zones) == VT_OK);
    data_make(data);
    for (uint32_t c = 0; c < VT_COUNT(cases); c++) {
        struct catalog_zones source = zones_source(zones);
        struct vt_str text = {cases[c].catalog, (uint32_t)strlen(cases[c].catalog)};
        struct catalog *catalog = NULL;
        struct times best = {UINT64_MAX, UINT64_MAX, 0};

        if (catalog_load(text, &source, &catalog) != VT_OK) {
            (void)fprintf(stderr, "%s: %s\n", cases[c].name, vt_err_last());
            return 1;
        }
        for (uint32_t r = 0; r < ROUNDS; r++) {
            struct times times = round_run(catalog, data);

            if (times.add_ns < best.add_ns)
                best = times;
        }
        uint64_t rows = (uint64_t)ROWS * BLOCKS;

        (void)printf("{\"bench\":\"rating\",\"case\":\"%s\",\"rows\":%" PRIu64
                     ",\"picoseconds_per_row\":%" PRIu64 ",\"rows_per_second\":%" PRIu64
                     ",\"finish_us\":%" PRIu64 ",\"lines\":%u}\n",
                     cases[c].name, rows, best.add_ns * 1000 / rows,
                     rows * UINT64_C(1000000000) / best.add_ns, best.finish_ns / 1000,
                     best.line_count);
        catalog_free(catalog);
    }
    zones_close(zones);
    free(data);
    return 0;
}

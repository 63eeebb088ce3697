/* usage_rows.c - see usage_rows.h. */
#include "usage_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/dict.h"
#include "venturi/assert.h"

#define LINE_BYTES 512

/* clang-format off */
#define FIELD(name)   "\"field\":\"" name "\","
#define GROUP(...)    "\"group_by\":[" __VA_ARGS__ "],"
#define FILTER(terms) "\"filter\":{" terms "},"
#define METER(key, type, aggregation, rest) \
    "{\"key\":\"" key "\",\"event_type\":\"" type "\",\"aggregation\":\"" aggregation "\"," rest "}"
#define TYPES                                                                     \
    "{\"event_types\":["                                                          \
    "{\"type\":\"call\",\"fields\":[{\"name\":\"region\",\"kind\":\"string\"},"     \
    "{\"name\":\"tokens\",\"kind\":\"decimal\",\"scale\":2,\"required\":false},"      \
    "{\"name\":\"model\",\"kind\":\"string\"},"                                     \
    "{\"name\":\"cost\",\"kind\":\"decimal\",\"scale\":3,\"required\":false},"        \
    "{\"name\":\"user\",\"kind\":\"string\"}]},"                                    \
    "{\"type\":\"job\",\"fields\":[{\"name\":\"seconds\",\"kind\":\"decimal\"},"      \
    "{\"name\":\"region\",\"kind\":\"string\"}]}],\"meters\":["
#define METERS                                                                    \
    METER("tokens", "call", "sum", FIELD("tokens") GROUP("\"region\"")            \
          "\"window\":\"1m\",\"grace\":\"30s\"") ","                              \
    METER("calls", "call", "count", "\"window\":\"1h\"") ","                      \
    METER("cheapest", "call", "min", FIELD("cost") GROUP("\"model\",\"region\"")  \
          "\"window\":\"5m\"") ","                                                \
    METER("dearest", "call", "max", FIELD("cost")                                 \
          FILTER("\"region\":[\"eu\",\"us\"]") "\"window\":\"15m\"") ","            \
    METER("balance", "call", "last", FIELD("tokens") GROUP("\"region\"")          \
          "\"window\":\"1m\",\"grace\":\"10s\"") ","                              \
    METER("users", "call", "unique", FIELD("user") GROUP("\"region\"")            \
          FILTER("\"model\":\"\"") "\"window\":\"5m\"") ","                         \
    METER("all_users", "call", "unique", FIELD("user") "\"window\":\"1d\"") ","   \
    METER("a_seconds", "job", "sum", FIELD("seconds") GROUP("\"region\"")         \
          "\"window\":\"1m\",\"grace\":\"60s\"")
#define REST                                                                      \
    "],\"tenants\":[{\"key\":\"zeta\"},{\"key\":\"acme\"},{\"key\":\"m\xc3\xbcller\"}]," \
    "\"plans\":[{\"key\":\"p\",\"version\":1,\"currency\":\"EUR\","                 \
    "\"effective_from\":\"2024-01-01T00:00:00Z\",\"charges\":[{\"key\":\"c\","      \
    "\"meter\":\"tokens\",\"model\":\"per_unit\",\"price\":\"0.01\","               \
    "\"price_by\":[\"model\"]}]}],\"contracts\":[]}"

const char usage_catalog_text[] = TYPES METERS REST;
const char usage_catalog_next_text[] = TYPES METERS ","
    METER("late_sum", "call", "sum", FIELD("tokens") GROUP("\"region\"") "\"window\":\"1m\"")
    REST;
/* clang-format on */

static const char *const regions[] = {"", "eu", "us", "ap-southeast", "\xc3\xa9", "e"};
static const char *const models[] = {"", "small", "large"};
static const char *const sources[] = {"", "s2", "s1", "s10"};

struct catalog *
usage_catalog(const char *text)
{
    struct catalog *catalog;
    vt_err err = catalog_load((struct vt_str){text, (uint32_t)strlen(text)}, NULL, &catalog);

    if (err != VT_OK)
        (void)fprintf(stderr, "%s: %s\n", vt_err_name(err), vt_err_last());
    VT_ASSERT(err == VT_OK);
    return catalog;
}

static struct vt_str
str_of(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

uint64_t
usage_next(uint64_t *seed)
{
    /* splitmix64 (G. Steele, D. Lea, C. Flood, 2014) */
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* All three kinds of id; the text is what the order is by. */
static void
make_id(uint64_t number, uint64_t mixed, struct usage_row *row)
{
    le64 halves[2] = {le64_put(mixed), le64_put(number)};

    memcpy(row->id_bytes, halves, sizeof halves);
    row->id = (struct row_id){row->id_bytes, sizeof row->id_bytes, (uint8_t)(mixed % 3)};
    if (row->id.kind == ROW_ID_SEQUENCE) {
        (void)snprintf(row->id_text, sizeof row->id_text, "%020llu-%020llu",
                       (unsigned long long)mixed, (unsigned long long)number);
    } else if (row->id.kind == ROW_ID_UUID) {
        char *at = row->id_text;

        for (uint32_t i = 0; i < 16; i++)
            at += snprintf(at, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                           row->id_bytes[i]);
    } else {
        (void)snprintf(row->id_text, sizeof row->id_text, "%llu-%llu",
                       (unsigned long long)(mixed % 1000), (unsigned long long)number);
        row->id.data = (const uint8_t *)row->id_text;
        row->id.size = (uint16_t)strlen(row->id_text);
    }
}

void
usage_row_make(uint64_t *seed, uint64_t number, const struct usage_times *times,
               struct usage_row *out_row)
{
    struct usage_row *row = out_row;

    memset(row, 0, sizeof *row);
    row->tenant = (uint32_t)(usage_next(seed) % 3);
    row->type = usage_next(seed) % 4 == 0;
    /* Whole seconds, so that times are equal now and then. */
    row->time_us = times->from_us + (int64_t)(usage_next(seed) % (uint64_t)times->span_us);
    row->time_us -= row->time_us % 1000000;
    row->source = sources[usage_next(seed) % VT_COUNT(sources)];
    make_id(number, usage_next(seed), row);
    const char *region = regions[usage_next(seed) % VT_COUNT(regions)];

    if (row->type == 1) {
        row->text[1] = region;
        row->value[0] = (int64_t)(usage_next(seed) % 1000);
        row->present[0] = 1;
        return;
    }
    row->text[0] = region;
    row->text[2] = models[usage_next(seed) % VT_COUNT(models)];
    static const char *const users[] = {"",   "u1", "u2", "u3", "u4", "u5", "u6",
                                        "u7", "u8", "u9", "ua", "ub", "uc"};

    row->text[4] = users[usage_next(seed) % VT_COUNT(users)];
    row->present[1] = usage_next(seed) % 5 != 0;
    if (row->present[1])
        row->value[1] = usage_next(seed) % 50 == 0 ? INT64_MIN + (int64_t)(number % 2)
                                                   : (int64_t)(usage_next(seed) % 2000) - 500;
    row->present[3] = usage_next(seed) % 2 == 0;
    if (row->present[3])
        row->value[3] = (int64_t)(usage_next(seed) % 100) - 50;
}

static uint32_t
code_of(struct dict *dict, const char *text)
{
    uint32_t code = 0;

    VT_ASSERT(dict_code(dict, str_of(text), &code) == VT_OK);
    return code;
}

void
usage_into_cells(struct cells *cells, const struct usage_row *row, const struct cell_touch *touch)
{
    usage_run_into_cells(cells, row, 1, touch);
}

void
usage_run_into_cells(struct cells *cells, const struct usage_row *rows, uint32_t count,
                     const struct cell_touch *touch)
{
    struct arena arena;

    arena_init(&arena, 4096);
    uint32_t *tenant = arena_zalloc(&arena, count * sizeof *tenant);
    uint32_t *source = arena_zalloc(&arena, count * sizeof *source);
    int64_t *time_us = arena_zalloc(&arena, count * sizeof *time_us);
    struct id_column id = {arena_zalloc(&arena, count * UINT64_C(16)),
                           arena_zalloc(&arena, count * sizeof(uint16_t)),
                           arena_zalloc(&arena, count)};
    int64_t *value[USAGE_SLOTS];
    uint8_t *present[USAGE_SLOTS];
    uint32_t *code[USAGE_SLOTS];

    for (uint32_t s = 0; s < USAGE_SLOTS; s++) {
        value[s] = arena_zalloc(&arena, count * sizeof(int64_t));
        present[s] = arena_zalloc(&arena, count);
        code[s] = arena_zalloc(&arena, count * sizeof(uint32_t));
    }
    for (uint32_t i = 0; i < count; i++) {
        VT_ASSERT(rows[i].type == rows[0].type);
        tenant[i] = rows[i].tenant;
        time_us[i] = rows[i].time_us;
        source[i] = code_of(cells_dict(cells), rows[i].source);
        id_column_put(&id, i, &rows[i].id);
        for (uint32_t s = 0; s < USAGE_SLOTS; s++) {
            value[s][i] = rows[i].value[s];
            present[s][i] = rows[i].present[s];
            if (rows[i].text[s] != NULL)
                code[s][i] = code_of(cells_dict(cells), rows[i].text[s]);
        }
    }
    struct cell_rows in = {.type = rows[0].type,
                           .count = count,
                           .tenant = tenant,
                           .time_us = time_us,
                           .source = source,
                           .id = id,
                           .slot_count = USAGE_SLOTS,
                           .value = value,
                           .present = present,
                           .code = code};
    vt_err err = touch == NULL ? cells_add_rows(cells, &in) : cells_touch_rows(cells, &in, touch);

    arena_deinit(&arena);

    VT_ASSERT(err == VT_OK);
}

static void
column_fill(const struct usage_pick *pick, struct dict *dict, uint32_t slot,
            struct row_column *column, struct arena *arena)
{
    int64_t *value = arena_zalloc(arena, pick->count * sizeof *value);
    uint8_t *present = arena_zalloc(arena, pick->count);
    uint32_t *code = arena_zalloc(arena, pick->count * sizeof *code);
    uint32_t n = 0;
    bool all = true;

    for (uint32_t i = 0; i < pick->count; i++) {
        const struct usage_row *row = &pick->rows[i];

        if (row->tenant != pick->tenant || row->type != pick->type)
            continue;
        value[n] = row->value[slot];
        present[n] = row->present[slot];
        all = all && present[n] != 0;
        if (column->kind == FIELD_STRING)
            code[n] = code_of(dict, row->text[slot]);
        n++;
    }
    column->value = column->kind == FIELD_DECIMAL ? value : NULL;
    column->present = column->kind == FIELD_DECIMAL && !all ? present : NULL;
    column->code = column->kind == FIELD_STRING ? code : NULL;
}

struct row_block
usage_block(struct arena *arena, const struct catalog *catalog, struct dict *dict,
            const struct usage_pick *pick)
{
    const struct catalog_type *type = &catalog->types[pick->type];
    struct row_column *columns = arena_zalloc(arena, type->field_count * sizeof *columns);
    uint64_t *position = arena_zalloc(arena, pick->count * sizeof *position);
    int64_t *time_us = arena_zalloc(arena, pick->count * sizeof *time_us);
    uint32_t *source = arena_zalloc(arena, pick->count * sizeof *source);
    struct row_id *id = arena_zalloc(arena, pick->count * sizeof *id);
    uint32_t n = 0;

    for (uint32_t s = 0; s < type->field_count; s++) {
        columns[s] = (struct row_column){.name = type->fields[s].name,
                                         .kind = type->fields[s].kind,
                                         .scale = type->fields[s].scale};
        column_fill(pick, dict, s, &columns[s], arena);
    }
    for (uint32_t i = 0; i < pick->count; i++) {
        const struct usage_row *row = &pick->rows[i];

        if (row->tenant != pick->tenant || row->type != pick->type)
            continue;
        position[n] = i;
        time_us[n] = row->time_us;
        source[n] = code_of(dict, row->source);
        id[n] = row->id;
        /* The block's ids live as long as the block and no longer. */
        uint8_t *data = arena_alloc(arena, row->id.size);

        memcpy(data, row->id.data, row->id.size);
        id[n++].data = data;
    }
    struct vt_str *strings;
    uint32_t count = dict_count(dict);
    vt_err err = dict_array(dict, count, &strings);

    VT_ASSERT(err == VT_OK);
    struct vt_str *kept = arena_alloc(arena, count * sizeof *kept);

    memcpy(kept, strings, count * sizeof *kept);
    free(strings);
    return (struct row_block){.tenant = catalog->tenants[pick->tenant].key,
                              .type = type->name,
                              .row_count = n,
                              .position = position,
                              .time_us = time_us,
                              .source = source,
                              .id = id,
                              .column_count = type->field_count,
                              .columns = columns,
                              .dict_count = count,
                              .dict = kept,
                              .dict_id = dict_id(dict)};
}

void
lines_add(struct lines *lines, const char *line)
{
    if (lines->count == lines->max) {
        lines->max = lines->max == 0 ? 64 : lines->max * 2;
        lines->line = realloc(lines->line, lines->max * sizeof(char *));
        VT_ASSERT(lines->line != NULL);
    }
    lines->line[lines->count] = strdup(line);
    VT_ASSERT(lines->line[lines->count] != NULL);
    lines->count++;
}

void
lines_deinit(struct lines *lines)
{
    for (uint32_t i = 0; i < lines->count; i++)
        free(lines->line[i]);
    free(lines->line);
    *lines = (struct lines){.line = NULL};
}

const char *
lines_differ(const struct lines *a, const struct lines *b)
{
    static char text[2 * LINE_BYTES + 64];

    for (uint32_t i = 0; i < a->count || i < b->count; i++) {
        const char *one = i < a->count ? a->line[i] : "(nothing)";
        const char *other = i < b->count ? b->line[i] : "(nothing)";

        if (strcmp(one, other) != 0) {
            (void)snprintf(text, sizeof text, "line %u: %s is not %s", i, one, other);
            return text;
        }
    }
    return NULL;
}

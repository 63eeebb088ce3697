/*
 * Goal:   a reader gets the same windows from any mix of segments, frozen epochs, rows in memory
 *         and blocks: those that its query asks for, in their order, as the semantics print them.
 * Method: random rows over epochs of which some became segments, under a catalog that gets a meter
 *         on the way, against totals found by walking the rows; the seed is printed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "window_rig.h"

#define SECOND  INT64_C(1000000)
#define MINUTE  (60 * SECOND)
#define COMMITS 60

static vt_err
line_of_row(void *context, const struct window_row *row)
{
    struct lines *lines = context;
    char line[512], group[256] = "", number[VT_DECIMAL_BYTES];

    for (uint32_t g = 0; g < row->group_count; g++) {
        size_t used = strlen(group);

        (void)snprintf(group + used, sizeof group - used, "%.*s,", (int)row->group_values[g].size,
                       row->group_values[g].data);
    }
    number[vt_decimal_format(row->value, 0, number)] = '\0';
    (void)snprintf(line, sizeof line, "%.*s|%.*s|%lld|%s|%llu|%s", (int)row->tenant.size,
                   row->tenant.data, (int)row->meter.size, row->meter.data,
                   (long long)row->start_us, group, (unsigned long long)row->count, number);
    lines_add(lines, line);
    return VT_OK;
}

/* The lines of rows end with the event of `last`, which windows do not show. */
static void
drop_events(struct lines *lines)
{
    for (uint32_t i = 0; i < lines->count; i++) {
        char *at = lines->line[i];

        for (uint32_t bars = 0; *at != '\0' && (*at != '|' || ++bars < 6); at++)
            continue;
        *at = '\0';
    }
}

static void
fill(struct rig *rig, uint64_t seed, struct catalog *catalogs[2])
{
    uint64_t random = seed;
    int64_t arrival_us = 1719792000 * SECOND;

    rig_open(rig, catalogs[0]);
    for (uint32_t c = 0; c < COMMITS; c++) {
        arrival_us += (int64_t)(usage_next(&random) % (20 * SECOND));
        rig_commit(rig, arrival_us);
        for (uint64_t n = usage_next(&random) % 30; n > 0; n--) {
            struct usage_times times = {arrival_us - 30 * MINUTE, 31 * MINUTE};
            struct usage_row row;

            usage_row_make(&random, rig->row_count, &times, &row);
            rig_row(rig, &row);
        }
        if (c == COMMITS / 2)
            rig_cut(rig, catalogs[1], false);
        else if (usage_next(&random) % 7 == 0)
            rig_cut(rig, rig->catalog, false);
        if (usage_next(&random) % 12 == 0)
            rig_seal(rig);
    }
}

struct query {
    const char *name;
    const char *tenant;
    const char *meter;
    int64_t from_minute; /* of the first arrival; both 0: everything */
    int64_t to_minute;
};

static const struct query queries[] = {
    /* clang-format off */
    { "everything",            "",        "",         0,   0 },
    { "a tenant",              "acme",    "",         0,   0 },
    { "a meter",               "",        "balance",  0,   0 },
    { "a meter that is new",   "zeta",    "late_sum", 0,   0 },
    { "a range",               "",        "",         -9,  3 },
    { "all at once",           "acme",    "users",    -20, 5 },
    { "a tenant of no one",    "acme2",   "",         0,   0 },
    { "a meter of no one",     "",        "tokens2",  0,   0 },
    /* clang-format on */
};

static struct window_fold *
open_query(const struct rig *rig, const struct query *query, struct naive_scope *out_scope)
{
    struct vt_str tenant = {query->tenant, (uint32_t)strlen(query->tenant)};
    struct vt_str meter = {query->meter, (uint32_t)strlen(query->meter)};
    bool all = query->from_minute == query->to_minute;
    int64_t zero_us = 1719792000 * SECOND;
    struct window_fold_options options = {
        .catalog = rig->catalog,
        .tenant = tenant,
        .meter = meter,
        .start_us = all ? INT64_MIN : zero_us + query->from_minute * MINUTE,
        .end_us = all ? INT64_MAX : zero_us + query->to_minute * MINUTE,
        .calls = &rig_calls,
    };
    struct window_fold *fold = NULL;

    *out_scope = (struct naive_scope){
        rig->catalog, true, {CATALOG_NONE, CATALOG_NONE, options.start_us, options.end_us}};
    if (tenant.size > 0)
        out_scope->bounds.tenant = catalog_find_tenant(rig->catalog, tenant);
    if (meter.size > 0)
        out_scope->bounds.meter = catalog_find_meter(rig->catalog, meter);
    cr_assert(window_fold_open(&options, &fold) == VT_OK);
    return fold;
}

static void
add_epoch(struct window_fold *fold, struct epoch *epoch)
{
    struct epoch_mark mark;

    cr_assert(epoch_mark_take(epoch, &mark) == VT_OK);
    cr_expect(window_fold_add_epoch(fold, &mark) == VT_OK);
    epoch_mark_put(&mark);
}

static void
expect_query(struct rig *rig, const struct query *query, uint64_t seed)
{
    struct lines have = {.line = NULL}, want = {.line = NULL};
    struct naive_scope scope;
    struct window_fold *fold = open_query(rig, query, &scope);
    bool no_one = strchr(query->tenant, '2') != NULL || strchr(query->meter, '2') != NULL;

    for (uint32_t i = 0; i < rig->sealed_count; i++)
        cr_expect(window_fold_add_sealed(fold, rig->sealed[i]) == VT_OK);
    for (uint32_t i = 0; i < rig->frozen_count; i++)
        add_epoch(fold, rig->frozen[i]);
    add_epoch(fold, rig->open);
    cr_expect(window_fold_each(fold, line_of_row, &have) == VT_OK);
    window_fold_close(fold);
    if (!no_one)
        lines_of_rows(&scope, rig->rows, rig->row_count, &want);
    drop_events(&want);
    const char *differ = lines_differ(&have, &want);

    cr_expect(differ == NULL, "seed %llu, %s: %s", (unsigned long long)seed, query->name, differ);
    cr_expect(no_one || want.count > 0, "seed %llu, %s: nothing was compared",
              (unsigned long long)seed, query->name);
    lines_deinit(&have);
    lines_deinit(&want);
}

Test(window_fold, any_mix_of_sources_is_the_naive_totals, .timeout = 60)
{
    struct catalog *catalogs[2] = {usage_catalog(usage_catalog_text),
                                   usage_catalog(usage_catalog_next_text)};

    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig rig;

        fill(&rig, seed, catalogs);
        cr_expect(rig.sealed_count > 0 && rig.frozen_count > 0, "seed %llu: %u and %u",
                  (unsigned long long)seed, rig.sealed_count, rig.frozen_count);
        for (uint32_t q = 0; q < VT_COUNT(queries); q++)
            expect_query(&rig, &queries[q], seed);
        rig_close(&rig);
    }
    catalog_free(catalogs[0]);
    catalog_free(catalogs[1]);
}

/* What a mark does not hold is not shown, though the epoch goes on. */
Test(window_fold, an_open_epoch_is_read_below_its_mark, .timeout = 20)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct lines have = {.line = NULL}, want = {.line = NULL};
    struct naive_scope scope;
    struct usage_times times = {0, MINUTE};
    struct epoch_mark mark;
    uint64_t random = 9;
    struct rig rig;

    rig_open(&rig, catalog);
    rig_commit(&rig, 0);
    for (uint32_t i = 0; i < 40; i++) {
        struct usage_row row;

        if (i == 25)
            cr_assert(epoch_mark_take(rig.open, &mark) == VT_OK);
        usage_row_make(&random, i, &times, &row);
        rig_row(&rig, &row);
    }
    struct window_fold *fold = open_query(&rig, &queries[0], &scope);

    cr_expect(window_fold_add_epoch(fold, &mark) == VT_OK);
    cr_expect(window_fold_each(fold, line_of_row, &have) == VT_OK);
    lines_of_rows(&scope, rig.rows, 25, &want);
    drop_events(&want);
    const char *differ = lines_differ(&have, &want);

    cr_expect(differ == NULL, "%s", differ);
    window_fold_close(fold);
    epoch_mark_put(&mark);
    lines_deinit(&have);
    lines_deinit(&want);
    rig_close(&rig);
    catalog_free(catalog);
}

Test(window_fold, tables_and_blocks_add_alike, .timeout = 20)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct lines have[2] = {{.line = NULL}, {.line = NULL}};
    struct usage_times times = {-MINUTE, 10 * MINUTE};
    struct usage_row *rows = calloc(300, sizeof *rows);
    struct naive_scope scope;
    uint64_t random = 4;
    struct rig rig;

    VT_ASSERT(rows != NULL);
    rig_open(&rig, catalog);
    rig_commit(&rig, 0);
    for (uint32_t i = 0; i < 300; i++) {
        usage_row_make(&random, i, &times, &rows[i]);
        rig_row(&rig, &rows[i]);
    }
    struct window_fold *folds[2] = {open_query(&rig, &queries[0], &scope),
                                    open_query(&rig, &queries[0], &scope)};

    struct cells *cells = NULL;

    cr_expect(epoch_cells(rig.open, &cells) == VT_OK);
    cr_expect(window_fold_add_cells(folds[0], cells) == VT_OK);
    for (uint32_t c = 0; c < 6; c++) {
        struct usage_pick pick = {rows, 300, c / 2, c % 2};
        struct dict *dict = NULL;
        struct arena arena;

        cr_assert(dict_open(&dict) == VT_OK);
        arena_init(&arena, 4096);
        struct row_block block = usage_block(&arena, catalog, dict, &pick);

        cr_expect(window_fold_add_block(folds[1], &block) == VT_OK);
        arena_deinit(&arena);
        dict_close(dict);
    }
    for (uint32_t f = 0; f < 2; f++) {
        cr_expect(window_fold_each(folds[f], line_of_row, &have[f]) == VT_OK);
        window_fold_close(folds[f]);
    }
    const char *differ = lines_differ(&have[0], &have[1]);

    cr_expect(differ == NULL, "%s", differ);
    cr_expect(have[0].count > 100);
    lines_deinit(&have[0]);
    lines_deinit(&have[1]);
    free(rows);
    rig_close(&rig);
    catalog_free(catalog);
}

Test(window_fold, a_row_is_printed_as_the_semantics_do, .timeout = 5)
{
    struct json_out out;
    struct window_row row = {
        .tenant = VT_STR("acme"),
        .meter = VT_STR("tokens"),
        .start_us = 1719792000 * SECOND,
        .end_us = 1719792060 * SECOND,
        .group_count = 2,
        .group_names = {VT_STR("model"), VT_STR("region")},
        .group_values = {VT_STR("a\"b"), VT_STR("")},
        .count = 3,
        .value = -1250,
        .scale = 2,
    };
    static const char want[] = "{\"tenant\":\"acme\",\"meter\":\"tokens\","
                               "\"window_start\":\"2024-07-01T00:00:00Z\","
                               "\"window_end\":\"2024-07-01T00:01:00Z\","
                               "\"group\":{\"model\":\"a\\\"b\",\"region\":\"\"},"
                               "\"count\":3,\"value\":\"-12.5\"}\n";
    char have[512] = "";
    uint32_t length = 0;

    json_out_init(&out);
    json_put_window(&out, &row);
    /* Spaces after colons and commas are the printer's own business. */
    for (uint64_t i = 0; i < out.size && length < sizeof have - 1; i++) {
        if (out.data[i] != ' ')
            have[length++] = out.data[i];
    }
    cr_expect(out.err == VT_OK);
    cr_expect(strcmp(have, want) == 0, "%s", have);
    json_out_deinit(&out);
}

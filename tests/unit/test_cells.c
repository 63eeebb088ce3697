/*
 * Goal:   cells hold exactly what the semantics say of the rows that went in, however they went in,
 *         and fold to the same in any partition and order.
 * Method: random rows over meters of every aggregation, against totals found by walking the rows;
 *         the seed is printed by each failure.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "cells.h"
#include "usage_rows.h"
#include "venturi/assert.h"

#define ROWS  3000
#define PARTS 7

/* An hour and a half around an instant before 1970, and around one after it. */
static const struct usage_times times_of[] = {
    {INT64_C(-3000000000), INT64_C(5400000000)},
    {INT64_C(1719792000000000), INT64_C(1200000000)},
};

static struct usage_row *
make_rows(uint64_t seed, uint32_t count)
{
    struct usage_row *rows = calloc(count, sizeof *rows);

    VT_ASSERT(rows != NULL);
    for (uint32_t i = 0; i < count; i++)
        usage_row_make(&seed, i, &times_of[usage_next(&seed) % 2], &rows[i]);
    return rows;
}

static struct cells *
open_cells(const struct catalog *catalog, bool by_group, const struct cells_bounds *bounds)
{
    struct dict *dict = NULL;
    struct cells *cells = NULL;

    cr_assert(dict_open(&dict) == VT_OK);
    if (by_group)
        cr_assert(cells_open_groups(catalog, dict, bounds, &cells) == VT_OK);
    else
        cr_assert(cells_open(catalog, dict, &cells) == VT_OK);
    return cells;
}

static void
close_cells(struct cells *cells)
{
    struct dict *dict = cells_dict(cells);

    cells_close(cells);
    dict_close(dict);
}

static const struct cells_bounds everything = {CATALOG_NONE, CATALOG_NONE, INT64_MIN, INT64_MAX};

static void
expect_rows(const struct cells *cells, const struct naive_scope *scope,
            const struct usage_row *rows, uint32_t count, uint64_t seed)
{
    struct lines have = {.line = NULL}, want = {.line = NULL};

    lines_of_cells(cells, &have);
    lines_of_rows(scope, rows, count, &want);
    const char *differ = lines_differ(&have, &want);

    cr_expect(differ == NULL, "seed %llu: %s", (unsigned long long)seed, differ);
    cr_expect(want.count > 0, "seed %llu: nothing was compared", (unsigned long long)seed);
    lines_deinit(&have);
    lines_deinit(&want);
}

/* Every (tenant, type) of the rows as a block over a dictionary, then the memory of the blocks is
 * given back: cells may keep nothing of it. */
static void
add_blocks(struct cells *cells, uint32_t meter, const struct usage_row *rows, uint32_t count)
{
    const struct catalog *catalog = cells_catalog(cells);
    struct dict *dict = NULL;

    cr_assert(dict_open(&dict) == VT_OK);
    for (uint32_t tenant = 0; tenant < catalog->tenant_count; tenant++) {
        for (uint32_t type = 0; type < catalog->type_count; type++) {
            struct usage_pick pick = {rows, count, tenant, type};
            struct arena arena;

            arena_init(&arena, 4096);
            struct row_block block = usage_block(&arena, catalog, dict, &pick);

            cr_expect(cells_add_block(cells, meter, &block) == VT_OK);
            arena_deinit(&arena);
        }
    }
    dict_close(dict);
}

Test(cells, rows_one_by_one_are_the_naive_totals, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);

    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (int by_group = 0; by_group < 2; by_group++) {
            struct usage_row *rows = make_rows(seed, ROWS);
            struct naive_scope scope = {catalog, by_group != 0, everything};
            struct cells *cells = open_cells(catalog, by_group != 0, NULL);

            for (uint32_t i = 0; i < ROWS; i++)
                usage_into_cells(cells, &rows[i], NULL);
            expect_rows(cells, &scope, rows, ROWS, seed);
            close_cells(cells);
            free(rows);
        }
    }
    catalog_free(catalog);
}

/* Rows of one type stand together, so that runs of any length come of them. */
static void
rows_cluster(struct usage_row *rows, uint32_t type_count)
{
    struct usage_row *sorted = calloc(ROWS, sizeof *sorted);
    uint32_t count = 0;

    VT_ASSERT(sorted != NULL);
    for (uint32_t type = 0; type < type_count; type++)
        for (uint32_t i = 0; i < ROWS; i++)
            if (rows[i].type == type)
                sorted[count++] = rows[i];
    VT_ASSERT(count == ROWS);
    memcpy(rows, sorted, ROWS * sizeof *rows);
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i].id.data =
            rows[i].id.kind == ROW_ID_TEXT ? (const uint8_t *)rows[i].id_text : rows[i].id_bytes;
    free(sorted);
}

Test(cells, runs_of_rows_are_the_naive_totals, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);

    for (uint64_t seed = 4; seed <= 6; seed++) {
        uint64_t random = seed;
        struct usage_row *rows = make_rows(seed, ROWS);
        struct naive_scope scope = {catalog, false, everything};
        struct cells *cells = open_cells(catalog, false, NULL);

        rows_cluster(rows, catalog->type_count);
        for (uint32_t first = 0, count; first < ROWS; first += count) {
            uint32_t most = 1 + (uint32_t)(usage_next(&random) % 150);

            for (count = 1; count < most && first + count < ROWS; count++)
                if (rows[first + count].type != rows[first].type)
                    break;
            usage_run_into_cells(cells, rows + first, count, NULL);
        }
        expect_rows(cells, &scope, rows, ROWS, seed);
        close_cells(cells);
        free(rows);
    }
    catalog_free(catalog);
}

Test(cells, blocks_give_the_same_as_rows, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);

    for (uint64_t seed = 11; seed <= 13; seed++) {
        struct usage_row *rows = make_rows(seed, ROWS);
        struct naive_scope scope = {catalog, seed % 2 == 0, everything};
        struct cells *cells = open_cells(catalog, scope.by_group, NULL);

        /* In several blocks of dictionaries of their own, so that codes mean other strings. */
        for (uint32_t from = 0; from < ROWS; from += ROWS / 4)
            add_blocks(cells, CATALOG_NONE, rows + from, ROWS / 4);
        expect_rows(cells, &scope, rows, ROWS, seed);
        close_cells(cells);
        free(rows);
    }
    catalog_free(catalog);
}

Test(cells, blocks_are_cut_to_the_bounds, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    const struct cells_bounds cases[] = {
        {CATALOG_NONE, 1, INT64_MIN, INT64_MAX},
        {4, CATALOG_NONE, INT64_MIN, INT64_MAX},
        {CATALOG_NONE, CATALOG_NONE, INT64_C(-1200000000), 0},
        {0, 2, INT64_C(-60000000), INT64_C(600000000)},
    };

    for (uint64_t seed = 0; seed < VT_COUNT(cases); seed++) {
        struct usage_row *rows = make_rows(seed, ROWS);
        struct naive_scope scope = {catalog, true, cases[seed]};
        struct cells *cells = open_cells(catalog, true, &cases[seed]);
        struct cells *all = open_cells(catalog, false, NULL);
        struct cells *folded = open_cells(catalog, true, &cases[seed]);

        add_blocks(cells, CATALOG_NONE, rows, ROWS);
        expect_rows(cells, &scope, rows, ROWS, seed);
        add_blocks(all, CATALOG_NONE, rows, ROWS);
        cr_expect(cells_fold_all(folded, all) == VT_OK);
        expect_rows(folded, &scope, rows, ROWS, seed);
        close_cells(folded);
        close_cells(all);
        close_cells(cells);
        free(rows);
    }
    catalog_free(catalog);
}

Test(cells, one_meter_of_a_block_is_only_that_one, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct usage_row *rows = make_rows(5, ROWS);
    struct naive_scope scope = {catalog, false, everything};
    struct cells *cells = open_cells(catalog, false, NULL);

    scope.bounds.meter = 2;
    add_blocks(cells, 2, rows, ROWS);
    expect_rows(cells, &scope, rows, ROWS, 5);
    close_cells(cells);
    free(rows);
    catalog_free(catalog);
}

Test(cells, partitions_fold_to_the_whole_in_any_order, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);

    for (uint64_t seed = 21; seed <= 23; seed++) {
        uint64_t random = seed;
        struct usage_row *rows = make_rows(seed, ROWS);
        struct naive_scope scope = {catalog, true, everything};
        struct cells *parts[PARTS];
        struct cells *whole = open_cells(catalog, true, NULL);

        for (uint32_t p = 0; p < PARTS; p++)
            parts[p] = open_cells(catalog, false, NULL);
        for (uint32_t i = 0; i < ROWS; i++)
            usage_into_cells(parts[usage_next(&random) % PARTS], &rows[i], NULL);
        for (uint32_t p = 0, step = 1 + (uint32_t)(seed % (PARTS - 1)); p < PARTS; p++)
            cr_expect(cells_fold_all(whole, parts[p * step % PARTS]) == VT_OK);
        for (uint32_t p = 0; p < PARTS; p++)
            close_cells(parts[p]); /* the whole keeps nothing of its parts */
        expect_rows(whole, &scope, rows, ROWS, seed);
        close_cells(whole);
        free(rows);
    }
    catalog_free(catalog);
}

struct window_name {
    uint32_t meter;
    uint32_t tenant;
    int64_t start_us;
};

struct window_names {
    struct window_name *name;
    uint32_t count;
};

static vt_err
note_window(void *context, const struct cell_key *key, const struct cell_value *value)
{
    struct window_names *names = context;
    struct window_name name = {key->meter, key->tenant, key->window_start_us};

    (void)value;
    /* Sorted: the cells of one window follow each other. */
    if (names->count == 0 || memcmp(&names->name[names->count - 1], &name, sizeof name) != 0)
        names->name[names->count++] = name;
    return VT_OK;
}

Test(cells, windows_fold_one_by_one, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct usage_row *rows = make_rows(31, ROWS);
    struct naive_scope scope = {catalog, true, everything};
    struct cells *from = open_cells(catalog, false, NULL);
    struct cells *into = open_cells(catalog, true, NULL);

    for (uint32_t i = 0; i < ROWS; i++)
        usage_into_cells(from, &rows[i], NULL);
    struct window_names names = {calloc(cells_count(from), sizeof *names.name), 0};

    cr_assert(names.name != NULL);
    cr_assert(cells_each(from, note_window, &names) == VT_OK);
    for (uint32_t i = 0; i < names.count; i++) {
        const struct window_name *n = &names.name[i];

        cr_expect(cells_fold_window(into, from, n->meter, n->tenant, n->start_us) == VT_OK);
    }
    expect_rows(into, &scope, rows, ROWS, 31);
    free(names.name);
    close_cells(into);
    close_cells(from);
    free(rows);
    catalog_free(catalog);
}

struct touch_count {
    uint32_t of_meter[16];
    bool settled; /* what is answered */
};

static bool
count_touch(void *context, const struct cell_key *key)
{
    struct touch_count *count = context;

    count->of_meter[key->meter]++;
    return count->settled;
}

static uint32_t
count_touches(const struct touch_count *count)
{
    uint32_t sum = 0;

    for (uint32_t m = 0; m < VT_COUNT(count->of_meter); m++)
        sum += count->of_meter[m];
    return sum;
}

Test(cells, touches_come_once_a_meter_and_once_a_generation, .timeout = 10)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct cells *cells = open_cells(catalog, false, NULL);
    struct touch_count count = {.settled = false};
    const uint32_t *touched = count.of_meter;
    struct cell_touch touch = {.touched = count_touch, .context = &count};
    struct usage_row *rows = make_rows(41, 1);
    struct usage_row *row = rows;

    row->type = 0;
    row->text[0] = "eu";
    row->text[2] = "small"; /* not for users, whose filter takes the empty model */
    row->text[4] = "u1";
    row->present[1] = 1;
    row->present[3] = 0; /* no cost: not for cheapest and dearest */
    for (uint32_t i = 0; i < 3; i++)
        usage_into_cells(cells, row, &touch);
    const uint32_t want[] = {3, 3, 0, 0, 3, 0, 3, 0};

    for (uint32_t m = 0; m < VT_COUNT(want); m++)
        cr_expect(touched[m] == want[m], "meter %u: %u touches", m, touched[m]);
    for (touch.generation = 7; touch.generation < 9; touch.generation++) {
        usage_into_cells(cells, row, &touch);
        usage_into_cells(cells, row, &touch);
    }
    cr_expect(touched[0] == 5, "%u touches of two generations", touched[0]);
    uint32_t before = count_touches(&count);

    row->text[0] = "us";
    touch.generation = 8;
    usage_into_cells(cells, row, &touch);
    uint32_t after = count_touches(&count);

    cr_expect(after > before, "another group of a final window is told of");
    count.settled = true;
    touch.generation = 9;
    usage_into_cells(cells, row, &touch);
    before = count_touches(&count);
    cr_expect(before > after, "an open window is told of once");
    row->text[0] = "ap";
    usage_into_cells(cells, row, &touch);
    cr_expect(count_touches(&count) == before, "whatever the group");
    row->time_us += INT64_C(86400000000) * 2;
    usage_into_cells(cells, row, &touch);
    cr_expect(count_touches(&count) == 2 * before - after, "and so is another window");
    close_cells(cells);
    free(rows);
    catalog_free(catalog);
}

Test(cells, a_block_without_ids_is_refused_for_last, .timeout = 10)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct cells *cells = open_cells(catalog, false, NULL);
    struct dict *dict = NULL;
    struct arena arena;
    struct usage_row *rows = make_rows(51, 50);
    struct usage_pick pick = {rows, 50, rows[0].tenant, 0};

    for (uint32_t i = 0; i < 50; i++)
        rows[i].type = rows[i].type == 0 ? 0 : 1;
    arena_init(&arena, 4096);
    cr_assert(dict_open(&dict) == VT_OK);
    struct row_block block = usage_block(&arena, catalog, dict, &pick);

    block.id = NULL;
    cr_expect(cells_add_block(cells, 4, &block) == VT_INVALID);
    cr_expect(cells_add_block(cells, 0, &block) == VT_OK);
    block.tenant = VT_STR("nobody");
    block.id = NULL;
    cr_expect(cells_add_block(cells, CATALOG_NONE, &block) == VT_OK, "an unknown tenant is no one");
    arena_deinit(&arena);
    dict_close(dict);
    close_cells(cells);
    free(rows);
    catalog_free(catalog);
}

/* A block of another time of the catalog: no cost column at all, tokens at another scale, user held
 * as a number. */
Test(cells, columns_are_bound_by_name_kind_and_scale, .timeout = 10)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct cells *cells = open_cells(catalog, true, NULL);
    const uint64_t position[] = {1, 2};
    const int64_t time_us[] = {5, 6}, tokens[] = {-3, 10}, user[] = {1, 2};
    const uint32_t source[] = {0, 0}, region[] = {1, 0};
    const struct vt_str dict[] = {{"", 0}, {"eu", 2}};
    const struct row_id id[] = {{(const uint8_t *)"a", 1, ROW_ID_TEXT},
                                {(const uint8_t *)"b", 1, ROW_ID_TEXT}};
    const struct row_column columns[] = {
        {.name = VT_STR("user"), .kind = FIELD_DECIMAL, .value = user},
        {.name = VT_STR("tokens"), .kind = FIELD_DECIMAL, .scale = 0, .value = tokens},
        {.name = VT_STR("region"), .kind = FIELD_STRING, .code = region},
    };
    struct row_block block = {.tenant = VT_STR("acme"),
                              .type = VT_STR("call"),
                              .row_count = 2,
                              .position = position,
                              .time_us = time_us,
                              .source = source,
                              .id = id,
                              .column_count = VT_COUNT(columns),
                              .columns = columns,
                              .dict_count = VT_COUNT(dict),
                              .dict = dict,
                              .dict_id = UINT64_MAX};
    static const char *const want_lines[] = {
        "acme|balance|0|,|1|1000|6  b", "acme|balance|0|eu,|1|-300|5  a", "acme|calls|0||2|2",
        "acme|tokens|0|,|1|1000",       "acme|tokens|0|eu,|1|-300",
    };
    struct lines have = {.line = NULL}, want = {.line = NULL};

    for (uint32_t i = 0; i < VT_COUNT(want_lines); i++)
        lines_add(&want, want_lines[i]);

    cr_expect(cells_add_block(cells, CATALOG_NONE, &block) == VT_OK);
    lines_of_cells(cells, &have);
    const char *differ = lines_differ(&have, &want);

    cr_expect(differ == NULL, "%s", differ);
    lines_deinit(&have);
    lines_deinit(&want);
    close_cells(cells);
    catalog_free(catalog);
}

Test(cells, sums_beyond_128_bits_are_refused, .timeout = 10)
{
    struct cell_value one, other;
    vt_i128 largest = (vt_i128)((~(vt_u128)0) >> 1);

    cell_value_init(&one);
    cell_value_init(&other);
    one.count = other.count = 1;
    one.number = largest;
    cr_expect(cell_value_fold(AGG_SUM, &one, &other) == VT_OK, "nothing may be added");
    other.number = 1;
    cr_expect(cell_value_fold(AGG_SUM, &one, &other) == VT_OVERFLOW);
    one.count = UINT64_MAX;
    cr_expect(cell_value_fold(AGG_COUNT, &one, &other) == VT_OVERFLOW);
    cell_value_deinit(&one);
    cell_value_deinit(&other);
}

/* Values by themselves, as rating folds them: in any order, empty ones change nothing. */
Test(cells, values_fold_alike_in_any_order, .timeout = 10)
{
    const enum aggregation all[] = {AGG_SUM, AGG_COUNT, AGG_MIN, AGG_MAX, AGG_LAST};
    struct cell_value in[4];

    for (uint32_t i = 0; i < 4; i++) {
        cell_value_init(&in[i]);
        in[i].count = i == 2 ? 0 : i + 1;
        in[i].number = i == 2 ? 1000 : (vt_i128)((i * 7) % 5) - 2;
        in[i].time_us = i == 0 ? 5 : 6;
        in[i].source = i == 1 ? VT_STR("b") : VT_STR("a");
        in[i].id = (struct row_id){(const uint8_t *)"x", 1, ROW_ID_TEXT};
    }
    for (uint32_t a = 0; a < VT_COUNT(all); a++) {
        vt_i128 want = 0, result;

        for (uint32_t turn = 0; turn < 4; turn++) {
            struct cell_value into;

            cell_value_init(&into);
            cr_expect(!cell_value_result(all[a], &into, &result), "nothing is shown of nothing");
            for (uint32_t i = 0; i < 4; i++)
                cr_expect(cell_value_fold(all[a], &into, &in[(i + turn) % 4]) == VT_OK);
            cr_expect(cell_value_result(all[a], &into, &result));
            cr_expect(into.count == 7);
            want = turn == 0 ? result : want;
            cr_expect(result == want, "aggregation %d, turn %u", (int)all[a], turn);
            cell_value_deinit(&into);
        }
    }
}

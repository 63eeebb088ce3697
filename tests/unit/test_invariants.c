/*
 * Goal:   the invariants of tests/INVARIANTS.md that no other test holds by itself: what the
 *         answers do not depend on.
 * Method: the same events brought to an engine in another order, without other tenants, under
 *         another zone, locale and wall clock; windows, lines and unrated usage are compared as
 *         text.
 */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rich_store.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define EVENTS  120U
#define FRAME   7U
#define WALL_US INT64_C(1700000000000000)

static uint64_t
draw(uint64_t *state)
{
    /* SplitMix64 (G. Steele et al., 2014). */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Different events, of one tenant (empty: of all). */
static uint32_t
numbers_of(struct vt_str tenant, uint32_t out_numbers[EVENTS])
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < EVENTS; n++)
        if (!rich_event_repeats(n) && (tenant.size == 0 || rich_event_is_of(n, tenant)))
            out_numbers[count++] = n;
    return count;
}

/* What an engine says of `tenant` (empty: of all) that took these events; the caller frees it. */
static char *
answers(const uint32_t *numbers, uint32_t count, struct vt_str tenant, int64_t now_us)
{
    const struct engine_rig_options options = {
        .seed = 7,
        .worker_count = 2,
        .partition_count = 4,
        .lane_count = 2,
        .lane_bytes = 256 << 10,
        .commit_bytes_max = 32 << 10,
        .cut_bytes = 50000,
        .dedup_ids_max = 1 << 12,
    };
    struct windows_query windows = {.tenant = tenant, .start_us = INT64_MIN, .end_us = INT64_MAX};
    struct answer_text text = {0};
    struct view_sink sink = {answer_flush, &text};
    struct engine_rig rig;
    struct view view;
    uint64_t rows;

    engine_rig_open(&rig, &options);
    rig.now_us = now_us;
    rich_store_catalog(&rig);
    for (uint32_t at = 0; at < count; at += FRAME) {
        rich_store_events(&rig, numbers + at, count - at < FRAME ? count - at : FRAME);
        rig.now_us += 20 * VT_US_PER_SECOND;
    }
    cr_assert(core_view_now(rig.core, true, &view) == VT_OK);
    struct lines_query lines = {.catalog = view.catalog, .tenant = tenant};

    cr_assert(view_windows(&view, &windows, &sink) == VT_OK);
    cr_assert(view_lines(&view, &lines, &sink, &rows) == VT_OK);
    cr_assert(view_unrated(&view, &lines, &sink, &rows) == VT_OK);
    view_put(&view);
    engine_rig_close(&rig);
    cr_assert(text.size > 1000, "there is something to compare");
    return text.data;
}

Test(invariants, n13_the_order_of_arrival_changes_no_total, .timeout = 60)
{
    uint32_t numbers[EVENTS];
    uint32_t count = numbers_of(VT_STR(""), numbers);
    char *want = answers(numbers, count, VT_STR(""), WALL_US);

    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t random = seed;

        for (uint32_t i = count - 1; i > 0; i--) {
            uint32_t j = (uint32_t)(draw(&random) % (i + 1));
            uint32_t number = numbers[i];

            numbers[i] = numbers[j];
            numbers[j] = number;
        }
        char *got = answers(numbers, count, VT_STR(""), WALL_US);

        cr_expect(strcmp(want, got) == 0, "seed %u: %s\nnot\n%s", (unsigned)seed, got, want);
        free(got);
    }
    free(want);
}

Test(invariants, n27_a_tenants_answers_are_the_same_without_the_others, .timeout = 60)
{
    const struct vt_str tenants[] = {VT_STR("acme"), VT_STR("m\xc3\xbcller")};

    for (size_t t = 0; t < VT_COUNT(tenants); t++) {
        uint32_t numbers[EVENTS];
        char *among = answers(numbers, numbers_of(VT_STR(""), numbers), tenants[t], WALL_US);
        char *alone = answers(numbers, numbers_of(tenants[t], numbers), tenants[t], WALL_US);

        cr_expect(strcmp(among, alone) == 0, "%s\nalone:\n%s", among, alone);
        free(among);
        free(alone);
    }
}

Test(invariants, n29_neither_zone_nor_locale_nor_clock_changes_an_answer, .timeout = 60)
{
    static const char *const zones[] = {"Asia/Kolkata", "America/St_Johns", "UTC"};
    static const char *const locales[] = {"C.UTF-8", "de_DE.UTF-8", ""};
    uint32_t numbers[EVENTS];
    uint32_t count = numbers_of(VT_STR(""), numbers);
    char *want = answers(numbers, count, VT_STR(""), WALL_US);

    for (size_t i = 0; i < VT_COUNT(zones); i++) {
        cr_assert(setenv("TZ", zones[i], 1) == 0);
        tzset();
        (void)setlocale(LC_ALL, locales[i]); /* as far as it is installed */
        char *got =
            answers(numbers, count, VT_STR(""), WALL_US - (int64_t)i * 40000000 * VT_US_PER_SECOND);

        cr_expect(strcmp(want, got) == 0, "zone %s: %s\nnot\n%s", zones[i], got, want);
        free(got);
    }
    free(want);
}

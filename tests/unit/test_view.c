/*
 * Goal:   what a reader gets depends on the order of commits alone: not on cuts, workers, restarts
 *         or the size of a page; and what was settled, closed or refused shows.
 * Method: a whole engine above the simulated disk, fed the same commits in several shapes.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer_text.h"
#include "engine_rig.h"
#include "event_maker.h"
#include "venturi/assert.h"
#include "venturi/time.h"
#include "zone_files.h"

#define HEAD                                                                       \
    "{\"event_types\": [{\"type\": \"call\", \"fields\": [{\"name\": \"tokens\","  \
    " \"kind\": \"decimal\", \"scale\": 0}]}], \"meters\": [{\"key\": \"calls\","  \
    " \"event_type\": \"call\", \"aggregation\": \"count\", \"window\": \"1m\"}]," \
    " \"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}"
#define TAIL    "], \"plans\": [], \"contracts\": []}"
#define CATALOG HEAD TAIL
#define LARGER  HEAD ", {\"key\": \"newco\"}" TAIL
#define OTHER                                                                                  \
    "{\"event_types\": [], \"meters\": [], \"tenants\": [{\"key\": \"acme\"}], \"plans\": []," \
    " \"contracts\": []}"

#define COMMITS 40
#define BATCH   30

struct world {
    struct engine_rig rig;
    struct arena arena;
    uint64_t ids;
};

static void
world_open(struct world *world, const struct engine_rig_options *shape)
{
    struct engine_rig_options options = *shape;

    options.partition_count = 3;
    options.lane_count = 2;
    options.lane_bytes = 4 << 20;
    options.commit_bytes_max = 512 << 10;
    options.dedup_ids_max = 1 << 16;
    world->ids = 0;
    arena_init(&world->arena, 1 << 16);
    engine_rig_open(&world->rig, &options);
    engine_rig_catalog(&world->rig, VT_STR(CATALOG));
}

static void
world_close(struct world *world)
{
    engine_rig_close(&world->rig);
    arena_deinit(&world->arena);
}

/* A commit of `count` new calls, a second after the one before. */
static void
world_commit(struct world *world, struct vt_str tenant, uint32_t count)
{
    uint8_t *payload = arena_alloc(&world->arena, count * 256u);
    uint8_t *at = payload;

    cr_assert(payload != NULL);
    for (uint32_t i = 0; i < count; i++) {
        char id[24];
        struct made_event event = {
            .tenant = tenant,
            .type = VT_STR("call"),
            .time_us = world->rig.now_us,
            .field_count = 1,
            .fields = {{.name = VT_STR("tokens"), .number = 1}},
        };

        event.id = (struct vt_str){
            id, (uint32_t)snprintf(id, sizeof id, "%llu", (unsigned long long)++world->ids)};
        struct vt_bytes bytes = event_bytes(&world->arena, &event);

        memcpy(at, bytes.data, bytes.size);
        at += bytes.size;
    }
    cr_assert(engine_rig_frame(&world->rig, VT_FRAME_BATCH_ROWS, count,
                               (struct vt_bytes){payload, (uint64_t)(at - payload)}) == VT_OK);
    engine_rig_settle(&world->rig);
    world->rig.now_us += VT_US_PER_SECOND;
}

static void
world_fill(struct world *world, uint32_t restart_every)
{
    for (uint32_t i = 0; i < COMMITS; i++) {
        world_commit(world, i % 3 == 0 ? VT_STR("globex") : VT_STR("acme"), BATCH);
        if (i % 8 == 7)
            world->rig.now_us += 600 * VT_US_PER_SECOND; /* windows fall due */
        if (restart_every != 0 && i % restart_every == restart_every - 1)
            engine_rig_restart(&world->rig, i % 2 == 0, false);
    }
}

static struct view
view_now(struct world *world)
{
    struct view view;

    engine_rig_settle(&world->rig);
    engine_rig_check(core_view_now(world->rig.core, true, &view), "view");
    return view;
}

static struct tally
tally_now(struct world *world)
{
    struct view view = view_now(world);
    struct tally sum = {0};

    for (uint32_t p = 0; p < view.part_count; p++) {
        sum.received += view.parts[p].tally.received;
        sum.accepted += view.parts[p].tally.accepted;
        sum.duplicates += view.parts[p].tally.duplicates;
    }
    view_put(&view);
    return sum;
}

static char *
windows_text(struct world *world, struct vt_str tenant)
{
    struct windows_query query = {.tenant = tenant, .start_us = INT64_MIN, .end_us = INT64_MAX};
    struct answer_text text = {0};
    struct view_sink sink = {answer_flush, &text};
    struct view view = view_now(world);

    engine_rig_check(view_windows(&view, &query, &sink), "windows");
    view_put(&view);
    return text.data;
}

/* The whole feed by pages of `limit` rows, behind each other. */
static char *
feed_text(struct world *world, uint64_t limit, char cursor[ANSWER_CURSOR_MAX])
{
    struct answer_text text = {0};
    struct feed_query query = {.limit = limit};
    struct view view = view_now(world);
    uint64_t rows = 1;

    while (rows > 0) {
        engine_rig_check(answer_feed(&view, &query, &text, &rows), "feed");
        query.cursor = answer_cursor(&text, cursor);
    }
    view_put(&view);
    return text.data;
}

static const struct shape_case {
    const char *name;
    uint32_t workers;
    uint32_t restart_every;
    uint64_t cut_bytes;
} shape_cases[] = {
    /* clang-format off */
    { "one epoch",              1,  0, UINT64_C(1) << 30 },
    { "many cuts",              1,  0, 8 << 10 },
    { "two workers, some cuts", 2,  0, 20 << 10 },
    { "restarts and cuts",      3,  7, 12 << 10 },
    { "restarts alone",         1,  9, UINT64_C(1) << 30 },
    /* clang-format on */
};

Test(view, answers_do_not_depend_on_cuts_workers_and_restarts, .timeout = 60)
{
    char *want_windows = NULL;
    char *want_feed = NULL;
    char want_digest[65] = "";

    for (size_t i = 0; i < VT_COUNT(shape_cases); i++) {
        const struct shape_case *c = &shape_cases[i];
        struct engine_rig_options shape = {
            .seed = 1, .worker_count = c->workers, .cut_bytes = c->cut_bytes};
        char cursor[ANSWER_CURSOR_MAX];
        char digest[65];
        struct world world;

        world_open(&world, &shape);
        world_fill(&world, c->restart_every);
        engine_rig_digest(&world.rig, digest);
        char *windows = windows_text(&world, (struct vt_str){NULL, 0});
        char *feed = feed_text(&world, 0, cursor);

        cr_assert(windows != NULL && feed != NULL);
        if (i == 0) {
            want_windows = windows;
            want_feed = feed;
            memcpy(want_digest, digest, sizeof digest);
        } else {
            cr_expect(strcmp(windows, want_windows) == 0, "%s: windows", c->name);
            cr_expect(strcmp(feed, want_feed) == 0, "%s: feed", c->name);
            cr_expect(strcmp(digest, want_digest) == 0, "%s: digest", c->name);
            free(windows);
            free(feed);
        }
        world_close(&world);
    }
    free(want_windows);
    free(want_feed);
}

Test(view, pages_of_any_size_make_the_same_feed, .timeout = 60)
{
    static const uint64_t limits[] = {1, 2, 3, 7, 1000};
    struct engine_rig_options shape = {.seed = 1, .worker_count = 1, .cut_bytes = 20 << 10};
    char cursor[ANSWER_CURSOR_MAX];
    struct world world;

    world_open(&world, &shape);
    world_fill(&world, 0);
    char *whole = feed_text(&world, 0, cursor);

    for (size_t i = 0; i < VT_COUNT(limits); i++) {
        char *pages = feed_text(&world, limits[i], cursor);

        cr_expect(strcmp(pages, whole) == 0, "pages of %llu", (unsigned long long)limits[i]);
        free(pages);
    }
    free(whole);
    world_close(&world);
}

Test(view, a_cursor_of_another_store_is_refused, .timeout = 60)
{
    struct engine_rig_options shape = {.seed = 1, .worker_count = 1, .cut_bytes = 1 << 20};
    char cursor[ANSWER_CURSOR_MAX] = {0};
    struct answer_text text = {0};
    struct world one;
    struct world other;
    uint64_t rows = 0;

    world_open(&one, &shape);
    shape.seed = 4;
    world_open(&other, &shape);
    world_fill(&one, 0);
    world_fill(&other, 0);
    free(feed_text(&one, 0, cursor));
    struct view view = view_now(&other);
    struct feed_query query = {.cursor = {cursor, (uint32_t)strlen(cursor)}};

    cr_expect(answer_feed(&view, &query, &text, &rows) == VT_BAD_CURSOR);
    cr_expect(rows == 0);
    view_put(&view);
    free(text.data);
    world_close(&one);
    world_close(&other);
}

Test(view, a_tenant_sees_its_own_windows, .timeout = 60)
{
    struct engine_rig_options shape = {.seed = 1, .worker_count = 2, .cut_bytes = 20 << 10};
    struct world world;

    world_open(&world, &shape);
    world_fill(&world, 0);
    char *whole = windows_text(&world, (struct vt_str){NULL, 0});
    char *acme = windows_text(&world, VT_STR("acme"));
    char *globex = windows_text(&world, VT_STR("globex"));

    cr_expect(strstr(acme, "globex") == NULL && strstr(globex, "acme") == NULL);
    cr_expect(strlen(acme) + strlen(globex) == strlen(whole));
    free(whole);
    free(acme);
    free(globex);
    world_close(&world);
}

Test(view, exceptions_are_kept_until_they_are_settled, .timeout = 60)
{
    struct engine_rig_options shape = {.seed = 1, .worker_count = 1, .cut_bytes = 1 << 20};
    struct world world;

    world_open(&world, &shape);
    world_commit(&world, VT_STR("acme"), 5);
    world_commit(&world, VT_STR("newco"), 4);
    struct tally tally = tally_now(&world);

    cr_expect(tally.received == 9 && tally.accepted == 5);
    cr_expect(engine_rig_retry_all(&world.rig) == 4, "retried in vain, they stay");
    cr_expect(tally_now(&world).accepted == 5);
    engine_rig_catalog(&world.rig, VT_STR(LARGER));
    cr_expect(engine_rig_retry_all(&world.rig) == 4);
    tally = tally_now(&world);
    cr_expect(tally.received == 9 && tally.accepted == 9 && tally.duplicates == 0);
    cr_expect(engine_rig_retry_all(&world.rig) == 0, "nothing is open any more");
    world_close(&world);
}

Test(view, a_catalog_that_alters_is_refused_and_nothing_changes, .timeout = 60)
{
    struct engine_rig_options shape = {.seed = 1, .worker_count = 1, .cut_bytes = 1 << 20};
    struct zone_files files = {0};
    struct catalog_zones source = zone_files_source(&files);
    struct world world;
    char before[65];
    char after[65];

    world_open(&world, &shape);
    world_commit(&world, VT_STR("acme"), 5);
    engine_rig_digest(&world.rig, before);
    vt_err err = core_add_catalog(world.rig.core, VT_STR(OTHER), &source, NULL);

    cr_expect(err != VT_OK && err != VT_AGAIN, "%s", vt_err_name(err));
    vt_err_clear();
    engine_rig_digest(&world.rig, after);
    cr_expect(strcmp(before, after) == 0);
    zone_files_free(&files);
    world_close(&world);
}

/* By the clock the window would stay open for ever: time does not move here. */
Test(view, a_close_makes_windows_final_once, .timeout = 60)
{
    struct engine_rig_options shape = {.seed = 1, .worker_count = 1, .cut_bytes = 1 << 20};
    char cursor[ANSWER_CURSOR_MAX] = {0};
    struct world world;

    world_open(&world, &shape);
    world_commit(&world, VT_STR("acme"), 5);
    world_commit(&world, VT_STR("globex"), 5);
    cr_expect(feed_text(&world, 0, cursor) == NULL, "nothing is final yet");
    struct close_order order = {.tenant = VT_STR("acme"),
                                .before_us = world.rig.now_us + 3600 * VT_US_PER_SECOND};

    for (uint32_t round = 0; round < 2; round++) {
        cr_assert(core_add_close(world.rig.core, &order, NULL) == VT_OK, "%s", vt_err_last());
        engine_rig_settle(&world.rig);
        char *feed = feed_text(&world, 0, cursor);

        cr_assert(feed != NULL);
        cr_expect(strstr(feed, "globex") == NULL && strstr(feed, "acme") != NULL);
        cr_expect(strchr(feed, '\n') == strrchr(feed, '\n'), "one revision: %s", feed);
        free(feed);
    }
    world_close(&world);
}

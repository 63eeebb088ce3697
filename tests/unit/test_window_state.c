/*
 * Goal:   the feed says what the semantics ask: finals, revisions of dirty groups, closes, late
 *         groups; the same whatever cuts, seals and restarts stand between.
 * Method: scripts with their feed written out; then random scripts beside a model that keeps all
 *         rows and computes every due group anew, in many shapes of epochs and segments.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "window_rig.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

enum { TOKENS = 0, BALANCE = 4, A_SECONDS = 7, LATE_SUM = 8 };

/* A row of tenant 1, "acme", type job: of the meter a_seconds alone, grace 60 s, window 1 m. */
static struct usage_row
job(int64_t time_us, const char *region, int64_t seconds)
{
    static uint64_t number;
    struct usage_row row = {.tenant = 1, .type = 1, .time_us = time_us, .source = ""};

    (void)snprintf(row.id_text, sizeof row.id_text, "job-%llu", (unsigned long long)number++);
    row.id =
        (struct row_id){(const uint8_t *)row.id_text, (uint16_t)strlen(row.id_text), ROW_ID_TEXT};
    row.text[1] = region;
    row.value[0] = seconds;
    row.present[0] = 1;
    return row;
}

/* One step of a script: a commit, and what it holds. Times are seconds. */
struct step {
    int64_t arrival;
    char act; /* 'r' row, ' ' nothing, 'c' close before `time`, '|' cut, 's' seal */
    int64_t time;
    const char *region;
    int64_t seconds;
};

struct script {
    const char *name;
    struct step steps[16];
    const char *feed[10];
};

static const struct script scripts[] = {
    {"final at the end and grace, all groups together",
     {{10, 'r', 5, "us", 3},
      {20, 'r', 15, "eu", 4},
      {30, 'r', 25, "eu", 5},
      {119, ' ', 0, NULL, 0},
      {120, ' ', 0, NULL, 0},
      {200, ' ', 0, NULL, 0}},
     {"5|acme|a_seconds|0|eu,|1|3|2|9|9", "5|acme|a_seconds|0|us,|1|3|1|3|3"}},
    {"backfill gets its grace from the first arrival",
     {{500, 'r', 5, "us", 3},
      {559, 'r', 6, "us", 1},
      {560, 'r', 7, "us", 1},
      {561, ' ', 0, NULL, 0}},
     {"3|acme|a_seconds|0|us,|1|2|2|4|4"}},
    {"a burst makes one revision, grace after its first event",
     {{10, 'r', 5, "us", 3},
      {120, ' ', 0, NULL, 0},
      {130, 'r', 6, "us", 1},
      {150, 'r', 7, "us", 1},
      {189, 'r', 8, "us", 1},
      {190, 'r', 9, "us", 10},
      {249, ' ', 0, NULL, 0},
      {250, ' ', 0, NULL, 0}},
     {"2|acme|a_seconds|0|us,|1|1|1|3|3", "6|acme|a_seconds|0|us,|2|4|4|6|3",
      "8|acme|a_seconds|0|us,|3|5|5|16|10"}},
    {"a late group begins with revision 2",
     {{10, 'r', 5, "us", 3},
      {120, ' ', 0, NULL, 0},
      {130, 'r', 6, "eu", 7},
      {190, ' ', 0, NULL, 0},
      {191, 'r', 6, "eu", -7},
      {251, ' ', 0, NULL, 0}},
     {"2|acme|a_seconds|0|us,|1|1|1|3|3", "4|acme|a_seconds|0|eu,|2|2|1|7|7",
      "6|acme|a_seconds|0|eu,|3|3|2|0|-7"}},
    {"groups become due one by one",
     {{10, 'r', 5, "us", 3},
      {11, 'r', 5, "eu", 4},
      {120, ' ', 0, NULL, 0},
      {130, 'r', 6, "us", 1},
      {140, 'r', 6, "eu", 1},
      {190, ' ', 0, NULL, 0},
      {200, ' ', 0, NULL, 0}},
     {"3|acme|a_seconds|0|eu,|1|2|1|4|4", "3|acme|a_seconds|0|us,|1|2|1|3|3",
      "6|acme|a_seconds|0|us,|2|4|2|4|1", "7|acme|a_seconds|0|eu,|2|4|2|5|1"}},
    {"a close makes final what ends before it, and no more",
     {{10, 'r', 5, "us", 3},
      {70, 'r', 65, "us", 4},
      {71, 'c', 119, NULL, 0},
      {72, 'r', 7, "us", 1},
      {73, 'c', 60, NULL, 0},
      {180, ' ', 0, NULL, 0}},
     {"3|acme|a_seconds|0|us,|1|2|1|3|3|closed", "5|acme|a_seconds|0|us,|2|3|2|4|1|closed",
      "6|acme|a_seconds|60|us,|1|3|1|4|4"}},
    {"a window that was final in a segment or frozen epoch is not final again",
     {{10, 'r', 5, "us", 3},
      {120, '|', 0, NULL, 0},
      {121, '|', 0, NULL, 0},
      {122, 's', 0, NULL, 0},
      {130, 'r', 6, "us", 1},
      {131, 'r', 6, "eu", 2},
      {190, '|', 0, NULL, 0},
      {191, 's', 0, NULL, 0},
      {192, 's', 0, NULL, 0},
      {193, 'r', 7, "us", 5},
      {260, ' ', 0, NULL, 0}},
     {"2|acme|a_seconds|0|us,|1|1|1|3|3", "7|acme|a_seconds|0|us,|2|3|2|4|1",
      "8|acme|a_seconds|0|eu,|2|3|1|2|2", "11|acme|a_seconds|0|us,|3|4|3|9|5"}},
    {"an older window that was never there is opened",
     {{100, 'r', 95, "us", 3},
      {101, 'r', 5, "us", 4},
      {161, ' ', 0, NULL, 0},
      {180, ' ', 0, NULL, 0}},
     {"3|acme|a_seconds|0|us,|1|2|1|4|4", "4|acme|a_seconds|60|us,|1|2|1|3|3"}},
};

static void
run_script(const struct script *script, bool restart)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct rig rig;
    struct lines want = {.line = NULL};

    rig_open(&rig, catalog);
    for (uint32_t i = 0; i < VT_COUNT(script->steps) && script->steps[i].act != '\0'; i++) {
        const struct step *step = &script->steps[i];

        rig_commit(&rig, step->arrival * SECOND);
        if (step->act == 'r') {
            struct usage_row row = job(step->time * SECOND, step->region, step->seconds);

            rig_row(&rig, &row);
        } else if (step->act == 'c') {
            rig_close_before(&rig, CATALOG_NONE, step->time * SECOND);
        }
        if (step->act == '|' || restart)
            rig_cut(&rig, catalog, restart);
        if (step->act == 's')
            rig_seal(&rig);
    }
    for (uint32_t i = 0; i < VT_COUNT(script->feed) && script->feed[i] != NULL; i++) {
        /* Starts stand in seconds in the scripts. */
        char line[256];
        long long number = 0, start = 0;
        char meter[64] = "", rest[128] = "";
        const char *at = script->feed[i];
        char *end;

        number = strtoll(at, &end, 10);
        const char *names = end + 1;
        const char *second = strchr(strchr(names, '|') + 1, '|') + 1;

        (void)snprintf(meter, sizeof meter, "%.*s", (int)(second - names - 1), names);
        start = strtoll(second, &end, 10);
        (void)snprintf(rest, sizeof rest, "%s", end);
        (void)snprintf(line, sizeof line, "%lld|%s|%lld%s", number, meter, start * SECOND, rest);
        lines_add(&want, line);
    }
    const char *differ = lines_differ(&rig.feed, &want);

    cr_expect(differ == NULL, "%s%s: %s", script->name, restart ? ", restarted" : "", differ);
    lines_deinit(&want);
    rig_close(&rig);
    catalog_free(catalog);
}

Test(window_state, scripts_give_their_feed, .timeout = 20)
{
    for (uint32_t i = 0; i < VT_COUNT(scripts); i++)
        run_script(&scripts[i], false);
}

Test(window_state, a_restart_after_every_commit_changes_nothing, .timeout = 20)
{
    for (uint32_t i = 0; i < VT_COUNT(scripts); i++)
        run_script(&scripts[i], true);
}

/* ---- the model */

struct model_win {
    uint32_t meter;
    uint32_t tenant;
    int64_t start_us;
    int64_t first_us;
    bool final;
};

struct model_group {
    uint32_t win;
    char text[96];
    int64_t dirty_us; /* -1: clean */
    uint32_t revision;
    int64_t total;
};

struct model {
    const struct catalog *catalog;
    struct model_win *wins;
    uint32_t win_count;
    struct model_group *groups;
    uint32_t group_count;
    struct lines feed;
};

static uint32_t
model_win(struct model *model, const struct model_win *like)
{
    uint32_t w = 0;

    for (; w < model->win_count; w++) {
        if (model->wins[w].meter == like->meter && model->wins[w].tenant == like->tenant &&
            model->wins[w].start_us == like->start_us)
            return w;
    }
    model->wins = realloc(model->wins, (w + 1) * sizeof *model->wins);
    VT_ASSERT(model->wins != NULL);
    model->wins[model->win_count++] = *like;
    return w;
}

static struct model_group *
model_group(struct model *model, uint32_t win, const char *text)
{
    uint32_t g = 0;

    for (; g < model->group_count; g++) {
        if (model->groups[g].win == win && strcmp(model->groups[g].text, text) == 0)
            return &model->groups[g];
    }
    model->groups = realloc(model->groups, (g + 1) * sizeof *model->groups);
    VT_ASSERT(model->groups != NULL);
    model->group_count++;
    model->groups[g] = (struct model_group){.win = win, .dirty_us = -1};
    (void)snprintf(model->groups[g].text, sizeof model->groups[g].text, "%s", text);
    return &model->groups[g];
}

static void
model_row(struct model *model, const struct usage_row *row, int64_t arrival_us)
{
    for (uint32_t m = 0; m < model->catalog->meter_count; m++) {
        const struct catalog_meter *meter = &model->catalog->meters[m];
        struct model_win like = {m, row->tenant, 0, arrival_us, false};
        char group[96] = "";

        if (!usage_measures(model->catalog, m, row))
            continue;
        like.start_us = usage_window(model->catalog, m, row);
        uint32_t win = model_win(model, &like);

        for (uint32_t g = 0; g < meter->group_count; g++) {
            size_t used = strlen(group);

            (void)snprintf(group + used, sizeof group - used, "%s,",
                           row->text[meter->group_slots[g]]);
        }
        struct model_group *of = model_group(model, win, group);

        if (model->wins[win].final && of->dirty_us == -1)
            of->dirty_us = arrival_us;
    }
}

/* What is due of a window at the rig's tick, or at a close: totals from all rows. */
static void
model_revise(struct model *model, const struct rig *rig, uint32_t w, bool closed,
             struct lines *lines)
{
    struct model_win *win = &model->wins[w];
    int64_t grace_us = model->catalog->meters[win->meter].grace_us;
    struct naive_scope scope = {
        model->catalog, true, {win->meter, win->tenant, win->start_us, win->start_us + 1}};
    struct lines totals = {.line = NULL};

    lines_of_rows(&scope, rig->rows, rig->row_count, &totals);
    for (uint32_t i = 0; i < totals.count; i++) {
        /* tenant|meter|start|group|count|result */
        char *parts[7] = {NULL}, *save = totals.line[i], line[512];

        for (uint32_t p = 0; p < 6; p++)
            parts[p] = strsep(&save, "|");
        struct model_group *group = model_group(model, w, parts[3]);
        int64_t total = strtoll(parts[5], NULL, 10);

        if (win->final &&
            (group->dirty_us == -1 || (!closed && group->dirty_us + grace_us > rig->arrival_us)))
            continue;
        group->revision = !win->final ? 1 : group->revision == 0 ? 2 : group->revision + 1;
        (void)snprintf(line, sizeof line, "%llu|%s|%s|%s|%s|%u|%llu|%s|%lld|%lld%s",
                       (unsigned long long)rig->commit, parts[0], parts[1], parts[2], parts[3],
                       group->revision, (unsigned long long)rig->position, parts[4],
                       (long long)total, (long long)(total - group->total),
                       closed ? "|closed" : "");
        lines_add(lines, line);
        group->total = total;
        group->dirty_us = -1;
    }
    win->final = true;
    lines_deinit(&totals);
}

static const struct model *sorted_model; /* qsort has no context */

static int
win_order(const void *a, const void *b)
{
    const struct model_win *one = &sorted_model->wins[*(const uint32_t *)a];
    const struct model_win *other = &sorted_model->wins[*(const uint32_t *)b];
    const struct catalog *catalog = sorted_model->catalog;
    int order =
        vt_str_compare(catalog->tenants[one->tenant].key, catalog->tenants[other->tenant].key);

    if (order == 0)
        order = vt_str_compare(catalog->meters[one->meter].key, catalog->meters[other->meter].key);
    return order != 0 ? order : one->start_us < other->start_us ? -1 : 1;
}

struct model_close {
    bool closed;
    uint32_t tenant;
    int64_t before_us;
};

/* Whether the window has something to say. */
static bool
model_due(const struct model *model, const struct rig *rig, uint32_t w,
          const struct model_close *close)
{
    const struct model_win *win = &model->wins[w];
    const struct catalog_meter *meter = &model->catalog->meters[win->meter];
    int64_t end_us = win->start_us + meter->window_us;
    bool dirty = false;

    for (uint32_t g = 0; g < model->group_count; g++) {
        const struct model_group *group = &model->groups[g];

        if (group->win == w && group->dirty_us != -1)
            dirty = dirty || close->closed || group->dirty_us + meter->grace_us <= rig->arrival_us;
    }
    if (close->closed)
        return end_us <= close->before_us && (!win->final || dirty) &&
               (close->tenant == CATALOG_NONE || close->tenant == win->tenant);
    if (win->final)
        return dirty;
    return (end_us > win->first_us ? end_us : win->first_us) + meter->grace_us <= rig->arrival_us;
}

static uint32_t
model_tick(struct model *model, const struct rig *rig, const struct model_close *close)
{
    uint32_t *due = malloc((model->win_count + 1) * sizeof *due), count = 0;

    VT_ASSERT(due != NULL);
    for (uint32_t w = 0; w < model->win_count; w++) {
        if (model_due(model, rig, w, close))
            due[count++] = w;
    }
    sorted_model = model;
    qsort(due, count, sizeof *due, win_order);
    for (uint32_t i = 0; i < count; i++)
        model_revise(model, rig, due[i], close->closed, &model->feed);
    free(due);
    return count;
}

/* How the run is cut. */
struct shape {
    const char *name;
    uint32_t cut_every; /* commits on average; 0: never */
    uint32_t seal_percent;
    bool restart;
    bool every_touch;
};

static const struct shape shapes[] = {
    {"one epoch", 0, 0, false, false},
    {"every touch", 0, 0, false, true},
    {"frozen epochs", 12, 0, false, false},
    {"segments at once", 12, 100, false, false},
    {"some segments, restarts", 8, 60, true, false},
    {"a cut a commit", 1, 98, true, false},
};

struct run {
    uint64_t seed;
    const struct shape *shape;
    uint32_t commits;
    struct catalog *catalogs[2]; /* the second from the middle on; NULL: the first to the end */
};

static void
maybe_cut(struct rig *rig, uint64_t *random, const struct run *run, uint32_t commit)
{
    const struct shape *shape = run->shape;
    bool middle = commit == run->commits / 2 && run->catalogs[1] != NULL;

    if (middle)
        rig_cut(rig, run->catalogs[1], shape->restart);
    else if (shape->cut_every != 0 && usage_next(random) % shape->cut_every == 0)
        rig_cut(rig, rig->catalog, shape->restart);
    while (rig->frozen_count > 0 &&
           (usage_next(random) % 100 < shape->seal_percent || rig->frozen_count > 20))
        rig_seal(rig);
}

/* One random script; what happens does not depend on the shape. */
static void
run_model(const struct run *run, struct lines *out_feed)
{
    uint64_t random = run->seed, cuts = run->seed + 1000;
    struct rig rig;
    struct model model = {.catalog = run->catalogs[0]};
    const struct model_close tick = {.closed = false};
    int64_t arrival_us = 1719792000 * SECOND;

    rig_open(&rig, run->catalogs[0]);
    rig.every_touch = run->shape->every_touch;
    for (uint32_t c = 0; c < run->commits; c++) {
        int64_t second = arrival_us / SECOND;

        arrival_us += (int64_t)(usage_next(&random) % 3 == 0 ? usage_next(&random) % 500000
                                                             : usage_next(&random) % (40 * SECOND));
        rig_commit(&rig, arrival_us);
        if (c == 0 || arrival_us / SECOND != second)
            (void)model_tick(&model, &rig, &tick);
        for (uint64_t n = usage_next(&random) % 5; n > 0; n--) {
            bool old = usage_next(&random) % 4 == 0;
            struct usage_times times = {arrival_us - (old ? 20 * MINUTE : MINUTE),
                                        (old ? 20 : 1) * MINUTE};
            struct usage_row row;

            usage_row_make(&random, rig.row_count, &times, &row);
            row.value[1] %= 10000;
            model_row(&model, &row, arrival_us);
            rig_row(&rig, &row);
        }
        if (usage_next(&random) % 25 == 0) {
            struct model_close close = {true, (uint32_t)(usage_next(&random) % 4),
                                        arrival_us - (int64_t)(usage_next(&random) % (5 * MINUTE))};

            close.tenant = close.tenant == 3 ? CATALOG_NONE : close.tenant;
            uint64_t told = window_state_count_before(rig.state, close.tenant, close.before_us);
            uint32_t count = model_tick(&model, &rig, &close);

            cr_expect(told == count, "a close of %u was told as %u", count, (unsigned)told);
            rig_close_before(&rig, close.tenant, close.before_us);
        }
        maybe_cut(&rig, &cuts, run, c);
        model.catalog = rig.catalog;
    }
    const char *differ = lines_differ(&rig.feed, &model.feed);

    cr_expect(differ == NULL, "seed %llu, %s: %s", (unsigned long long)run->seed, run->shape->name,
              differ);
    cr_expect(rig.feed.count > 100, "only %u entries", rig.feed.count);
    *out_feed = rig.feed;
    rig.feed = (struct lines){.line = NULL};
    lines_deinit(&model.feed);
    free(model.wins);
    free(model.groups);
    rig_close(&rig);
}

Test(window_state, random_scripts_are_the_model_in_every_shape, .timeout = 120)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);

    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct lines first = {.line = NULL};

        for (uint32_t s = 0; s < VT_COUNT(shapes); s++) {
            struct run run = {seed, &shapes[s], 100, {catalog, NULL}};
            struct lines feed = {.line = NULL};

            run_model(&run, s == 0 ? &first : &feed);
            if (s == 0)
                continue;
            const char *differ = lines_differ(&feed, &first);

            cr_expect(differ == NULL, "seed %llu, %s: %s", (unsigned long long)seed, shapes[s].name,
                      differ);
            lines_deinit(&feed);
        }
        lines_deinit(&first);
    }
    catalog_free(catalog);
}

/* A meter comes into force in the middle: totals are complete, and only windows that get an event
 * from then on are in the feed. */
Test(window_state, a_new_meter_has_complete_totals, .timeout = 120)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct catalog *next = usage_catalog(usage_catalog_next_text);

    for (uint64_t seed = 31; seed <= 33; seed++) {
        for (uint32_t s = 0; s < VT_COUNT(shapes); s++) {
            struct run run = {seed, &shapes[s], 80, {catalog, next}};
            struct lines feed = {.line = NULL};
            uint32_t late = 0;

            run_model(&run, &feed);
            for (uint32_t i = 0; i < feed.count; i++)
                late += strstr(feed.line[i], "|late_sum|") != NULL;
            cr_expect(late > 0, "seed %llu: the new meter is in the feed",
                      (unsigned long long)seed);
            lines_deinit(&feed);
        }
    }
    catalog_free(next);
    catalog_free(catalog);
}

Test(window_state, traffic_in_order_asks_no_segment, .timeout = 20)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct rig rig;

    rig_open(&rig, catalog);
    for (int64_t t = 0; t < 600; t += 7) {
        struct usage_row row = job(t * SECOND, "eu", 1);

        rig_commit(&rig, t * SECOND);
        rig_row(&rig, &row);
        if (t % 5 == 0)
            rig_cut(&rig, catalog, false);
        if (t % 3 == 0)
            rig_seal(&rig);
    }
    cr_expect(rig.feed.count >= 5);
    cr_expect(rig.finds == 0, "%u questions", rig.finds);
    rig_close(&rig);
    catalog_free(catalog);
}

Test(window_state, says_when_it_is_due, .timeout = 5)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct rig rig;
    struct usage_row row = job(5 * SECOND, "eu", 1);

    rig_open(&rig, catalog);
    cr_expect(window_state_due_us(rig.state) == INT64_MAX);
    rig_commit(&rig, 0);
    rig_row(&rig, &row);
    cr_expect(window_state_due_us(rig.state) == 120 * SECOND);
    cr_expect(window_state_count_before(rig.state, CATALOG_NONE, 60 * SECOND - 1) == 0);
    cr_expect(window_state_count_before(rig.state, CATALOG_NONE, 60 * SECOND) == 1);
    cr_expect(window_state_count_before(rig.state, 0, 60 * SECOND) == 0, "another tenant");
    rig_commit(&rig, 120 * SECOND);
    cr_expect(window_state_due_us(rig.state) == INT64_MAX);
    rig_row(&rig, &row);
    cr_expect(window_state_due_us(rig.state) == 180 * SECOND);
    rig_close_before(&rig, CATALOG_NONE, 60 * SECOND);
    cr_expect(window_state_due_us(rig.state) == INT64_MAX);
    rig_close(&rig);
    catalog_free(catalog);
}

/* Every cut and every flipped byte of saved states is refused or read, never a crash. */
Test(window_state, damaged_states_are_refused, .timeout = 60)
{
    struct catalog *catalog = usage_catalog(usage_catalog_text);
    struct rig rig;
    struct vt_bytes saved, again;
    struct window_state *state = NULL;

    rig_open(&rig, catalog);
    for (int64_t t = 0; t < 400; t += 40) {
        struct usage_row row = job((t % 170) * SECOND, t % 80 == 0 ? "eu" : "us", 1);

        rig_commit(&rig, t * SECOND);
        rig_row(&rig, &row);
    }
    struct window_history history = rig_history(&rig);

    cr_assert(window_state_save(rig.state, &history, &saved) == VT_OK);
    cr_assert(window_state_open(catalog, saved, &state) == VT_OK);
    cr_assert(window_state_save(state, &history, &again) == VT_OK);
    cr_expect(saved.size == again.size && memcmp(saved.data, again.data, saved.size) == 0);
    window_state_close(state);
    for (uint64_t size = 1; size < saved.size; size++) {
        uint8_t *cut = malloc(size);

        VT_ASSERT(cut != NULL);
        memcpy(cut, saved.data, size);
        cr_expect(window_state_open(catalog, (struct vt_bytes){cut, size}, &state) ==
                  VT_BAD_FORMAT);
        free(cut);
    }
    uint8_t *flipped = (uint8_t *)(uintptr_t)again.data;

    for (uint64_t at = 0; at < again.size; at++) {
        flipped[at] ^= 0x81;
        vt_err err = window_state_open(catalog, again, &state);

        if (err == VT_OK)
            window_state_close(state);
        else
            cr_expect(err == VT_BAD_FORMAT, "byte %u: %s", (unsigned)at, vt_err_name(err));
        flipped[at] ^= 0x81;
    }
    free(flipped);
    free(vt_owned(saved.data));
    rig_close(&rig);
    catalog_free(catalog);
}

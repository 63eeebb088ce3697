/*
 * Goal:   the door of the core refuses what it must, for the right reason, and keeps nothing of it;
 *         sessions, arrival times and cursors follow their rules.
 * Method: a whole engine above the simulated disk; frames made by hand.
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

#define CATALOG                                                                    \
    "{\"event_types\": [{\"type\": \"call\", \"fields\": [{\"name\": \"tokens\","  \
    " \"kind\": \"decimal\", \"scale\": 0}]}], \"meters\": [{\"key\": \"calls\","  \
    " \"event_type\": \"call\", \"aggregation\": \"count\", \"window\": \"1m\"}]," \
    " \"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}], \"plans\": [],"   \
    " \"contracts\": []}"
#define EVENTS_MAX 64

struct door {
    struct engine_rig rig;
    struct arena arena;
    uint64_t ids;
};

static void
door_open(struct door *door, uint64_t dedup_ids_max)
{
    struct engine_rig_options options = {
        .seed = 1,
        .worker_count = 1,
        .partition_count = 1,
        .lane_count = 2,
        .lane_bytes = 4 << 20,
        .commit_bytes_max = 512 << 10,
        .cut_bytes = 1 << 20,
        .dedup_ids_max = dedup_ids_max,
    };

    door->ids = 0;
    arena_init(&door->arena, 1 << 16);
    engine_rig_open(&door->rig, &options);
    engine_rig_catalog(&door->rig, VT_STR(CATALOG));
}

static void
door_close(struct door *door)
{
    engine_rig_close(&door->rig);
    arena_deinit(&door->arena);
}

/* `count` new events of a tenant. */
static struct core_frame
frame_of(struct door *door, struct vt_str tenant, uint32_t count)
{
    uint8_t *payload = arena_alloc(&door->arena, count * 512u);
    uint8_t *at = payload;

    cr_assert(payload != NULL && count <= EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        char id[24];
        struct made_event event = {
            .tenant = tenant,
            .type = VT_STR("call"),
            .time_us = INT64_C(1672531200000000),
            .field_count = 1,
            .fields = {{.name = VT_STR("tokens"), .number = 1}},
        };

        event.id = (struct vt_str){
            id, (uint32_t)snprintf(id, sizeof id, "%llu", (unsigned long long)++door->ids)};
        struct vt_bytes bytes = event_bytes(&door->arena, &event);

        memcpy(at, bytes.data, bytes.size);
        at += bytes.size;
    }
    struct vt_bytes bytes = {payload, (uint64_t)(at - payload)};

    return (struct core_frame){
        .frame_type = VT_FRAME_BATCH_ROWS,
        .event_count = count,
        .payload_crc = vt_crc32c(bytes.data, bytes.size),
        .payload = bytes,
    };
}

static struct tally
tally_now(struct door *door)
{
    struct view view;

    engine_rig_settle(&door->rig);
    engine_rig_check(core_view_now(door->rig.core, false, &view), "view");
    struct tally tally = view.parts[0].tally;

    view_put(&view);
    return tally;
}

Test(core, a_token_of_one_tenant_sends_for_no_other, .timeout = 20)
{
    struct door door;

    door_open(&door, 1 << 14);
    struct core_frame own = frame_of(&door, VT_STR("acme"), 3);
    struct core_frame other = frame_of(&door, VT_STR("globex"), 3);

    own.tenant = other.tenant = VT_STR("acme");
    cr_expect(core_add_frame(door.rig.core, &own) == VT_OK);
    cr_expect(core_add_frame(door.rig.core, &other) == VT_FORBIDDEN);
    cr_expect(tally_now(&door).received == 3, "nothing of a refused frame is kept");
    door_close(&door);
}

Test(core, what_might_not_fit_the_index_is_refused_before_it_is_logged, .timeout = 20)
{
    struct door door;
    uint64_t taken = 0;
    vt_err err = VT_OK;

    door_open(&door, 1025);
    /* Nothing is polled in between: what is in flight counts as well. */
    for (uint32_t i = 0; err == VT_OK && i < 100; i++) {
        struct core_frame frame = frame_of(&door, VT_STR("acme"), EVENTS_MAX);

        err = core_add_frame(door.rig.core, &frame);
        if (err == VT_AGAIN) {
            engine_rig_check(core_submit(door.rig.core, door.rig.now_us), "submit");
            err = core_add_frame(door.rig.core, &frame);
        }
        taken += err == VT_OK ? EVENTS_MAX : 0;
    }
    cr_expect(err == VT_DEDUP_FULL, "%s", vt_err_name(err));
    cr_expect(taken == 1025 / EVENTS_MAX * EVENTS_MAX, "%llu", (unsigned long long)taken);
    cr_expect(tally_now(&door).accepted == taken);
    door_close(&door);
}

Test(core, arrival_never_goes_back, .timeout = 20)
{
    struct door door;
    int64_t before_us = 0;

    door_open(&door, 1 << 14);
    for (uint32_t i = 0; i < 6; i++) {
        struct core_frame frame = frame_of(&door, VT_STR("acme"), 1);
        struct view view;

        door.rig.now_us += (i % 2 == 0 ? 5 : -7) * VT_US_PER_SECOND;
        cr_assert(core_add_frame(door.rig.core, &frame) == VT_OK);
        engine_rig_settle(&door.rig);
        engine_rig_check(core_view_now(door.rig.core, false, &view), "view");
        cr_expect(view.arrival_us >= before_us && view.arrival_us >= door.rig.now_us);
        before_us = view.arrival_us;
        view_put(&view);
    }
    door_close(&door);
}

static const struct session_case {
    const char *name;
    uint64_t epoch;
    uint64_t sequence;
    bool same; /* the bytes of the first frame, which has 4 events at sequence 1 */
    vt_err want;
    uint64_t received;
    uint64_t duplicates;
} session_cases[] = {
    /* clang-format off */
    { "the next",               2, 5, false, VT_OK,             8, 0 },
    { "the same again",         2, 1, true,  VT_OK,             8, 4 },
    { "other bytes",            2, 1, false, VT_BAD_SEQUENCE,   4, 0 },
    { "other bounds",           2, 2, false, VT_BAD_SEQUENCE,   4, 0 },
    { "one beyond, a gap",      2, 6, false, VT_OK,             8, 0 },
    { "no sequence",            2, 0, false, VT_BAD_SEQUENCE,   4, 0 },
    { "a newer epoch",          3, 1, false, VT_OK,             8, 0 },
    { "an epoch that ended",    1, 1, false, VT_PRODUCER_TAKEN, 4, 0 },
    /* clang-format on */
};

Test(core, a_session_takes_each_sequence_once, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(session_cases); i++) {
        const struct session_case *c = &session_cases[i];
        struct core_session session;
        struct door door;

        door_open(&door, 1 << 14);
        cr_assert(core_session_open(door.rig.core, 1, VT_STR("p"), 2, &session) == VT_OK);
        cr_expect(session.sequence_next == 1);
        struct core_frame first = frame_of(&door, VT_STR("acme"), 4);
        struct core_frame second = c->same ? first : frame_of(&door, VT_STR("acme"), 4);

        first.producer = second.producer = session.producer;
        first.epoch = 2;
        first.sequence = 1;
        second.epoch = c->epoch;
        second.sequence = c->sequence;
        cr_assert(core_add_frame(door.rig.core, &first) == VT_OK);
        engine_rig_settle(&door.rig);
        vt_err got = core_add_frame(door.rig.core, &second);
        struct tally tally = tally_now(&door);

        cr_expect(got == c->want, "%s: %s", c->name, vt_err_name(got));
        cr_expect(tally.received == c->received && tally.duplicates == c->duplicates,
                  "%s: %llu received, %llu duplicates", c->name, (unsigned long long)tally.received,
                  (unsigned long long)tally.duplicates);
        door_close(&door);
    }
}

static const struct cursor_case {
    const char *name;
    uint32_t at; /* of a hexadecimal digit that is changed */
    uint32_t cut;
    vt_err want;
} cursor_cases[] = {
    /* clang-format off */
    { "as it was",        0, 0, VT_OK },
    { "history",          1, 0, VT_BAD_CURSOR },
    { "commit",          17, 0, VT_BAD_CURSOR },
    { "index",           41, 0, VT_BAD_CURSOR },
    { "signature",       60, 0, VT_BAD_CURSOR },
    { "cut short",        0, 1, VT_BAD_CURSOR },
    /* clang-format on */
};

Test(core, a_cursor_that_was_changed_is_refused, .timeout = 20)
{
    char cursor[ANSWER_CURSOR_MAX];
    struct answer_text text = {0};
    struct feed_query query = {.limit = 0};
    struct door door;
    struct view view;
    uint64_t rows = 0;

    door_open(&door, 1 << 14);
    struct core_frame frame = frame_of(&door, VT_STR("acme"), 1);

    cr_assert(core_add_frame(door.rig.core, &frame) == VT_OK);
    engine_rig_settle(&door.rig);
    door.rig.now_us += 3600 * VT_US_PER_SECOND;
    engine_rig_settle(&door.rig);
    engine_rig_check(core_view_now(door.rig.core, false, &view), "view");
    cr_assert(answer_feed(&view, &query, &text, &rows) == VT_OK);
    cr_assert(rows == 1, "%llu rows", (unsigned long long)rows);
    struct vt_str whole = answer_cursor(&text, cursor);

    for (size_t i = 0; i < VT_COUNT(cursor_cases); i++) {
        const struct cursor_case *c = &cursor_cases[i];
        char changed[ANSWER_CURSOR_MAX];

        memcpy(changed, whole.data, whole.size);
        if (c->at > 0)
            changed[c->at] = changed[c->at] == '0' ? '1' : '0';
        query.cursor = (struct vt_str){changed, whole.size - c->cut};
        vt_err got = answer_feed(&view, &query, &text, &rows);

        cr_expect(got == c->want, "%s: %s", c->name, vt_err_name(got));
        cr_expect(got != VT_OK || rows == 0, "%s: the row of the cursor comes again", c->name);
    }
    view_put(&view);
    free(text.data);
    door_close(&door);
}

static uint64_t
cursor_number(struct vt_str cursor)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < 8; i++) {
        char digits[3] = {cursor.data[16 + 2 * i], cursor.data[17 + 2 * i], '\0'};

        number |= (uint64_t)strtoul(digits, NULL, 16) << (8 * i);
    }
    return number;
}

static const struct fork_case {
    const char *name;
    uint64_t history_change; /* of the fork that the view names */
    uint64_t number_less;    /* the fork lies so many commits before the cursor */
    vt_err want;
} fork_cases[] = {
    /* clang-format off */
    { "the fork lies at the cursor",           0, 0, VT_OK },
    { "the fork lies before the cursor",       0, 1, VT_BAD_CURSOR },
    { "the store comes from another history",  1, 0, VT_BAD_CURSOR },
    /* clang-format on */
};

Test(core, a_cursor_of_before_a_restore_holds_up_to_the_fork, .timeout = 20)
{
    char cursor[ANSWER_CURSOR_MAX];
    struct answer_text text = {0};
    struct feed_query query = {.limit = 0};
    struct door door;
    struct view view;
    uint64_t rows = 0;

    door_open(&door, 1 << 14);
    struct core_frame frame = frame_of(&door, VT_STR("acme"), 1);

    cr_assert(core_add_frame(door.rig.core, &frame) == VT_OK);
    engine_rig_settle(&door.rig);
    door.rig.now_us += 3600 * VT_US_PER_SECOND;
    engine_rig_settle(&door.rig);
    engine_rig_check(core_view_now(door.rig.core, false, &view), "view");
    cr_assert(answer_feed(&view, &query, &text, &rows) == VT_OK && rows == 1);
    query.cursor = answer_cursor(&text, cursor);
    uint64_t history = view.history;

    view.history++; /* as after a restore */
    view.fork_count = 2;
    for (size_t i = 0; i < VT_COUNT(fork_cases); i++) {
        const struct fork_case *c = &fork_cases[i];

        view.forks[0] = (struct store_fork){.history = history + 7, .number = UINT64_MAX};
        view.forks[1] = (struct store_fork){.history = history + c->history_change,
                                            .number = cursor_number(query.cursor) - c->number_less};
        vt_err_clear();
        vt_err got = answer_feed(&view, &query, &text, &rows);

        cr_expect(got == c->want, "%s: %s", c->name, vt_err_name(got));
        if (c->number_less > 0)
            cr_expect(strstr(vt_err_last(), "fork") != NULL, "%s: %s", c->name, vt_err_last());
    }
    view_put(&view);
    free(text.data);
    door_close(&door);
}

/*
 * Goal:   a partition decides each event once and counts it once: new, duplicate, conflict or
 *         exception, whatever lies between (cuts, seals, restarts, another catalog, retries).
 * Method: a table of single decisions; scripts for retry, discard and state; random runs beside a
 *         naive model that keeps everything it ever accepted in one array.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "epoch.h"
#include "msgpack_cursor.h"
#include "part.h"
#include "part_internal.h"
#include "part_world.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define HOUR_US (INT64_C(3600) * VT_US_PER_SECOND)

static struct part_world world;

static void
setup(void)
{
    vt_err err = part_world_open(&world);

    if (err == VT_UNSUPPORTED)
        cr_skip_test("io_uring is switched off here");
    cr_assert(err == VT_OK);
}

static void
teardown(void)
{
    part_world_close(&world);
}

TestSuite(part, .init = setup, .fini = teardown, .timeout = 120);

static struct vt_str
text_of(const char *text)
{
    return (struct vt_str){text, text == NULL ? 0 : (uint32_t)strlen(text)};
}

/* An event in short; NULL is a key that is not there. */
struct spec {
    const char *tenant;
    const char *type;
    const char *id;
    const char *source;
    const char *region;
    const char *tokens;
    const char *cost;
    const char *note;
    int64_t late_us; /* before the world's arrival */
};

static struct made_event
event_of(const struct spec *spec, int64_t now_us)
{
    struct made_event event = {
        .tenant = text_of(spec->tenant),
        .type = text_of(spec->type),
        .id = text_of(spec->id),
        .source = text_of(spec->source),
        .time_us = now_us - spec->late_us,
    };
    const struct made_field fields[] = {
        {VT_STR("region"), text_of(spec->region), 0},
        {VT_STR("tokens"), text_of(spec->tokens), 0},
        {VT_STR("cost"), text_of(spec->cost), 0},
        {VT_STR("note"), text_of(spec->note), 0},
    };

    for (size_t i = 0; i < VT_COUNT(fields); i++)
        if (fields[i].text.data != NULL)
            event.fields[event.field_count++] = fields[i];
    return event;
}

static struct tally
total(void)
{
    struct part_snapshot snapshot;

    cr_assert(part_snapshot_take(world.part, false, &snapshot) == VT_OK);
    struct tally tally = snapshot.tally;

    part_snapshot_put(&snapshot);
    return tally;
}

/* --- single decisions */

static const struct decision {
    const char *name;
    struct spec spec;
    uint8_t verdict;
    uint8_t reason;
} decisions[] = {
    {"new", {"acme", "call", "1", NULL, "eu", "5", "0.5", NULL, 0}, VT_ACCEPTED, 0},
    {"again", {"acme", "call", "1", NULL, "eu", "5", "0.5", NULL, 0}, VT_DUPLICATE, 0},
    {"absent source is \"\"",
     {"acme", "call", "1", "", "eu", "5", "0.5", NULL, 0},
     VT_DUPLICATE,
     0},
    {"5.0 is 5", {"acme", "call", "1", NULL, "eu", "5.0", "5e-1", NULL, 0}, VT_DUPLICATE, 0},
    {"undeclared is not compared",
     {"acme", "call", "1", NULL, "eu", "5", "0.5", "x", 0},
     VT_DUPLICATE,
     0},
    {"other time", {"acme", "call", "1", NULL, "eu", "5", "0.5", NULL, 1}, VT_CONFLICT, 0},
    {"other string", {"acme", "call", "1", NULL, "us", "5", "0.5", NULL, 0}, VT_CONFLICT, 0},
    {"no string", {"acme", "call", "1", NULL, NULL, "5", "0.5", NULL, 0}, VT_CONFLICT, 0},
    {"other decimal", {"acme", "call", "1", NULL, "eu", "6", "0.5", NULL, 0}, VT_CONFLICT, 0},
    {"decimal is missing", {"acme", "call", "1", NULL, "eu", "5", NULL, NULL, 0}, VT_CONFLICT, 0},
    {"other type", {"acme", "slow", "1", NULL, NULL, "5", NULL, NULL, 0}, VT_CONFLICT, 0},
    {"missing is not 0", {"acme", "call", "2", NULL, "eu", "5", NULL, NULL, 0}, VT_ACCEPTED, 0},
    {"0 is not missing", {"acme", "call", "2", NULL, "eu", "5", "0", NULL, 0}, VT_CONFLICT, 0},
    {"other source", {"acme", "call", "1", "s", "eu", "5", "0.5", NULL, 0}, VT_ACCEPTED, 0},
    {"other tenant", {"globex", "call", "1", NULL, "eu", "5", NULL, NULL, 0}, VT_ACCEPTED, 0},
    {"id of 36 bytes",
     {"acme", "call", "0A1b2c3d-0000-0000-0000-000000000001", NULL, NULL, "1", NULL, NULL, 0},
     VT_ACCEPTED,
     0},
    {"that is no other UUID",
     {"acme", "call", "0a1b2c3d-0000-0000-0000-000000000001", NULL, NULL, "1", NULL, NULL, 0},
     VT_ACCEPTED,
     0},
    {"the UUID again",
     {"acme", "call", "0a1b2c3d-0000-0000-0000-000000000001", NULL, NULL, "1", NULL, NULL, 0},
     VT_DUPLICATE,
     0},
    {"malformed",
     {"acme", "call", "1", "~p", "eu", "5", NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_MALFORMED},
    {"unknown tenant",
     {"nobody", "call", "1", NULL, "eu", "5", NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_UNKNOWN_TENANT},
    {"no tenant",
     {NULL, "call", "1", NULL, "eu", "5", NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_UNKNOWN_TENANT},
    {"unknown type",
     {"acme", "later", "1", NULL, "eu", "5", NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_UNKNOWN_EVENT_TYPE},
    {"no id",
     {"acme", "call", NULL, NULL, "eu", "5", NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_MISSING_ID},
    {"bad time",
     {"acme", "call", "9", NULL, "eu", "5", NULL, NULL, INT64_MAX / 2},
     VT_EXCEPTION,
     VT_REASON_BAD_TIME},
    {"missing field",
     {"acme", "call", "9", NULL, "eu", NULL, NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_MISSING_FIELD},
    {"bad value",
     {"acme", "call", "9", NULL, "eu", "five", NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_BAD_VALUE},
    {"scale exceeded",
     {"acme", "call", "9", NULL, "eu", "5.5", NULL, NULL, 0},
     VT_EXCEPTION,
     VT_REASON_SCALE_EXCEEDED},
    {"out of range",
     {"acme", "call", "9", NULL, "eu", "9e18", "9e18", NULL, 0},
     VT_EXCEPTION,
     VT_REASON_VALUE_OUT_OF_RANGE},
    {"exactly at the horizon",
     {"acme", "slow", "l1", NULL, NULL, "5", NULL, NULL, HOUR_US},
     VT_ACCEPTED,
     0},
    {"beyond the horizon",
     {"acme", "slow", "l2", NULL, NULL, "5", NULL, NULL, HOUR_US + 1},
     VT_EXCEPTION,
     VT_REASON_LATE_BEYOND_HORIZON},
    {"late without a limit",
     {"acme", "call", "l3", NULL, NULL, "5", NULL, NULL, 900 * HOUR_US},
     VT_ACCEPTED,
     0},
    {"a minute ahead",
     {"acme", "slow", "f1", NULL, NULL, "5", NULL, NULL, -HOUR_US / 60},
     VT_ACCEPTED,
     0},
    {"further ahead",
     {"acme", "slow", "f2", NULL, NULL, "5", NULL, NULL, -HOUR_US / 60 - 1},
     VT_EXCEPTION,
     VT_REASON_FUTURE_EVENT},
    {"late and a duplicate",
     {"acme", "slow", "1", NULL, NULL, "5", NULL, NULL, 2 * HOUR_US},
     VT_EXCEPTION,
     VT_REASON_LATE_BEYOND_HORIZON},
    {"an exception uses no identity",
     {"acme", "call", "9", NULL, "eu", "5", NULL, NULL, 0},
     VT_ACCEPTED,
     0},
};

/* All decisions once: `each` cuts, seals or restarts after every event. */
static void
check_decisions(void (*each)(struct part_world *), bool one_batch)
{
    struct made_event events[VT_COUNT(decisions)];
    struct tally want = {0};
    struct batch *batch = NULL;

    for (size_t i = 0; i < VT_COUNT(decisions); i++)
        events[i] = event_of(&decisions[i].spec, world.arrival_us);
    if (one_batch)
        batch = part_world_commit(&world, events, VT_COUNT(decisions), 0);
    for (uint32_t i = 0; i < VT_COUNT(decisions); i++) {
        const struct decision *d = &decisions[i];

        if (!one_batch) {
            batch = part_world_commit(&world, &events[i], 1, 0);
            each(&world);
        }
        uint32_t at = one_batch ? i : 0;

        cr_expect(batch->verdict[at] == d->verdict && batch->reason[at] == d->reason,
                  "%s: verdict %u, reason %s", d->name, batch->verdict[at],
                  vt_reason_name(batch->reason[at]));
        want.received++;
        want.accepted += d->verdict == VT_ACCEPTED;
        want.duplicates += d->verdict == VT_DUPLICATE || d->verdict == VT_CONFLICT;
        want.conflicts += d->verdict == VT_CONFLICT;
        want.exceptions += d->verdict == VT_EXCEPTION;
        if (d->verdict == VT_EXCEPTION)
            want.by_reason[d->reason]++;
    }
    struct tally have = total();

    cr_expect(memcmp(&have, &want, sizeof want) == 0);
}

static void
nothing(struct part_world *w)
{
    (void)w;
}

static void
cut_only(struct part_world *w)
{
    part_world_cut(w, w->catalog);
}

static void
cut_and_seal(struct part_world *w)
{
    part_world_cut(w, w->catalog);
    part_world_seal(w);
}

Test(part, decides_within_one_batch)
{
    check_decisions(nothing, true);
}

Test(part, decides_across_commits)
{
    check_decisions(nothing, false);
}

Test(part, decides_across_frozen_epochs)
{
    check_decisions(cut_only, false);
}

Test(part, decides_across_segments)
{
    check_decisions(cut_and_seal, false);
}

Test(part, decides_across_restarts)
{
    check_decisions(part_world_restart, false);
}

/* --- conflicts show both */

static struct vt_str
key_text(struct vt_bytes raw, const char *key)
{
    struct msgpack_cursor cursor = msgpack_cursor_of(raw);
    struct msgpack_item map;
    struct msgpack_item item;

    cr_assert(msgpack_cursor_expect(&cursor, MP_MAP, &map) == VT_OK);
    for (uint32_t i = 0; i < map.count * 2 + 32; i++) {
        if (msgpack_cursor_left(&cursor) == 0)
            break;
        cr_assert(msgpack_cursor_next(&cursor, &item) == VT_OK);
        if (item.kind == MP_STRING && vt_str_equal(msgpack_item_text(&item), text_of(key))) {
            cr_assert(msgpack_cursor_next(&cursor, &item) == VT_OK);
            return msgpack_item_text(&item);
        }
    }
    return (struct vt_str){NULL, 0};
}

Test(part, a_conflict_keeps_both_contents)
{
    for (int round = 0; round < 3; round++) {
        const struct spec first = {"acme", "call", "c", "src", "eu", "12", "0.250000", "hello", 5};
        struct spec second = first;
        struct made_event event = event_of(&first, world.arrival_us);
        struct part_snapshot snapshot;
        int64_t now_us = world.arrival_us;

        event.trace = VT_STR("trace-1");
        if (round == 0)
            (void)part_world_commit(&world, &event, 1, 0);
        if (round == 1)
            cut_only(&world);
        if (round == 2)
            part_world_restart(&world);
        second.region = "us";
        event = event_of(&second, now_us);
        cr_assert(part_world_commit(&world, &event, 1, 0)->verdict[0] == VT_CONFLICT);
        cr_assert(part_snapshot_take(world.part, false, &snapshot) == VT_OK);
        const struct epoch_mark *mark = &snapshot.marks[snapshot.mark_count - 1];
        const struct exception_entry *entry =
            epoch_exception_at(mark->epoch, mark->exception_count - 1);

        cr_expect(entry->reason == VT_REASON_NONE);
        cr_expect(entry->first_position == 1);
        cr_expect(entry->position == world.maker.position - 1);
        cr_expect(vt_str_equal(entry->tenant, VT_STR("acme")));
        cr_expect(vt_str_equal(key_text(entry->raw, "region"), VT_STR("us")));
        cr_expect(vt_str_equal(key_text(entry->first, "region"), VT_STR("eu")), "round %d", round);
        cr_expect(vt_str_equal(key_text(entry->first, "tenant"), VT_STR("acme")));
        cr_expect(vt_str_equal(key_text(entry->first, "type"), VT_STR("call")));
        cr_expect(vt_str_equal(key_text(entry->first, "id"), VT_STR("c")), "round %d", round);
        cr_expect(vt_str_equal(key_text(entry->first, "source"), VT_STR("src")));
        cr_expect(vt_str_equal(key_text(entry->first, "cost"), VT_STR("0.25")));
        cr_expect(vt_str_equal(key_text(entry->first, "note"), VT_STR("hello")), "round %d", round);
        cr_expect(vt_str_equal(key_text(entry->first, "trace_id"), VT_STR("trace-1")), "round %d",
                  round);
        part_snapshot_put(&snapshot);
    }
}

/*
 * Method: a row made by hand, whose undeclared fields stand in any order; the bytes wanted by hand
 *         too.
 */
Test(part, raw_shows_declared_and_undeclared_fields)
{
    static const uint8_t extra[] = "\x83\xa1"
                                   "a\x01\xa5props\x81\xa1p\x93\x01\x02\x03\xa8trace_id\xa1t";
    static const char want[] = "\x87\xa6tenant\xa4"
                               "acme\xa4type\xa4"
                               "call\xa2id\xa1i\xa4time\x07\xa5props\x83\xa4"
                               "cost\xc7\x05\x01"
                               "-0.25\xa4"
                               "same\xff\xa1p\x93\x01\x02\x03\xa1"
                               "a\x01\xa8trace_id\xa1t";
    const uint64_t position = 9;
    const int64_t time_us = 7;
    const uint32_t code = 0;
    const int64_t values[3] = {-250000, -1000, 5};
    const uint8_t present[3] = {1, 1, 0};
    const struct row_id id = {(const uint8_t *)"i", 1, ROW_ID_TEXT};
    const struct vt_bytes undeclared = {extra, sizeof extra - 1};
    const struct vt_str dict = VT_STR("");
    const struct row_column columns[] = {
        {.name = VT_STR("cost"), .kind = FIELD_DECIMAL, .scale = 6, .value = values},
        {.name = VT_STR("same"), .kind = FIELD_DECIMAL, .scale = 3, .value = values + 1},
        {.name = VT_STR("no"), .kind = FIELD_DECIMAL, .value = values + 2, .present = present + 2},
        {.name = VT_STR("empty"), .kind = FIELD_STRING, .code = &code},
    };
    const struct row_block row = {
        .tenant = VT_STR("acme"),
        .type = VT_STR("call"),
        .row_count = 1,
        .position = &position,
        .time_us = &time_us,
        .source = &code,
        .id = &id,
        .extra = &undeclared,
        .column_count = VT_COUNT(columns),
        .columns = columns,
        .dict_count = 1,
        .dict = &dict,
    };
    struct arena arena;
    struct vt_bytes raw;

    arena_init(&arena, 4096);
    cr_assert(part_raw(&arena, &row, &raw) == VT_OK);
    cr_expect(raw.size == sizeof want - 1);
    cr_expect(memcmp(raw.data, want, sizeof want - 1) == 0);
    arena_deinit(&arena);
}

/* --- sessions, resends, room */

Test(part, sequence_ids_are_not_deduplicated_here)
{
    const struct spec spec = {"acme", "call", NULL, NULL, "eu", "1", NULL, NULL, 0};
    struct made_event events[3];

    for (int i = 0; i < 3; i++)
        events[i] = event_of(&spec, world.arrival_us);
    world.maker.producer = VT_STR("meter");
    struct batch *batch = part_world_commit(&world, events, 3, 0);

    for (int i = 0; i < 3; i++)
        cr_expect(batch->verdict[i] == VT_ACCEPTED);
    cr_expect(part_dedup_used(world.part) == 0);
}

Test(part, a_resend_is_received_and_duplicate)
{
    struct part_snapshot snapshot;

    part_world_begin(&world, 0, 0);
    cr_assert(part_count_resend(world.part, VT_STR("globex"), 5) == VT_OK);
    cr_assert(part_count_resend(world.part, VT_STR("who"), 2) == VT_OK);
    part_world_end(&world);
    cr_assert(part_snapshot_take(world.part, true, &snapshot) == VT_OK);
    cr_expect(snapshot.tally.received == 7 && snapshot.tally.duplicates == 7);
    cr_assert(snapshot.tenant_count == 2);
    cr_expect(snapshot.tenants[0].size == 0 && snapshot.tenant_tallies[0].duplicates == 2);
    cr_expect(vt_str_equal(snapshot.tenants[1], VT_STR("globex")));
    cr_expect(snapshot.tenant_tallies[1].received == 5);
    part_snapshot_put(&snapshot);
}

/* The door keeps the budget; a table without a free slot is an error all the same. */
Test(part, a_full_table_is_an_error_and_says_so)
{
    enum { IDS = 60 }; /* one line of 32, and tags that are shared */
    struct spec spec = {"acme", "call", "1", NULL, "eu", "1", NULL, NULL, 0};
    static struct made_event events[IDS];
    static char ids[IDS][8];
    uint32_t select[IDS];
    struct dedup *small = NULL;

    part_free(world.part);
    world.part = NULL;
    cr_assert(dedup_open(2, 1, &small) == VT_OK);
    struct part_options options = {
        .key = world.maker.key,
        .catalog = world.catalogs[0],
        .dedup = small,
        .next_commit = 1,
        .next_position = 1,
    };

    cr_assert(part_open(&options, &world.part) == VT_OK);
    cr_expect(part_dedup_used(world.part) == 0);
    for (uint32_t i = 0; i < IDS; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%u", i);
        spec.id = ids[i];
        events[i] = event_of(&spec, world.arrival_us);
        select[i] = i;
    }
    struct batch *batch = event_batch(&world.maker, world.catalogs[0], events, IDS);

    cr_assert(part_begin(world.part, &(struct commit_meta){1, 1, IDS, world.arrival_us}) == VT_OK);
    cr_expect(part_apply(world.part, batch, select, IDS) == VT_DEDUP_FULL);
    part_free(world.part);
    world.part = NULL;
    dedup_close(small);
}

/* --- retry and discard */

Test(part, a_retry_moves_an_event_to_its_tenant)
{
    struct spec spec = {"newco", "call", "n1", NULL, "eu", "3", NULL, NULL, 0};
    struct made_event event = event_of(&spec, world.arrival_us);
    struct part_snapshot snapshot;
    uint64_t position = world.maker.position;

    cr_assert(part_world_commit(&world, &event, 1, 0)->verdict[0] == VT_EXCEPTION);
    cr_expect(part_world_settle(&world, &position, 1, false) == 0, "nothing has changed");
    cr_expect(total().exceptions == 1);
    part_world_cut(&world, 1);
    uint64_t twice[4] = {position, position, 77777, position};

    cr_expect(part_world_settle(&world, twice, 4, false) == 1);
    cr_expect(part_world_settle(&world, &position, 1, false) == 0, "it is settled");
    cr_expect(part_world_settle(&world, &position, 1, true) == 0);
    cr_assert(part_snapshot_take(world.part, true, &snapshot) == VT_OK);
    cr_expect(snapshot.tally.received == 1 && snapshot.tally.accepted == 1);
    cr_expect(snapshot.tally.exceptions == 0);
    cr_assert(snapshot.tenant_count == 1, "the row of unknown tenants is empty again");
    cr_expect(vt_str_equal(snapshot.tenants[0], VT_STR("newco")));
    cr_expect(snapshot.tenant_tallies[0].received == 1);
    part_snapshot_put(&snapshot);
    /* Its identity is taken now. */
    cr_expect(part_world_commit(&world, &event, 1, 0)->verdict[0] == VT_DUPLICATE);
}

Test(part, a_retry_may_be_a_duplicate_or_a_conflict)
{
    struct spec spec = {"acme", "later", "x", NULL, NULL, "3", NULL, NULL, 0};
    struct made_event events[3];
    uint64_t positions[3];

    for (uint32_t i = 0; i < 3; i++) {
        spec.tokens = i == 2 ? "4" : "3";
        events[i] = event_of(&spec, world.arrival_us);
        positions[i] = world.maker.position + i;
    }
    (void)part_world_commit(&world, events, 3, 0);
    part_world_cut(&world, 1);
    part_world_restart(&world);
    uint64_t at = world.maker.position;

    cr_expect(part_world_settle(&world, positions, 3, false) == 3);
    struct tally tally = total();

    cr_expect(tally.received == 3 && tally.accepted == 1 && tally.duplicates == 2);
    cr_expect(tally.conflicts == 1 && tally.exceptions == 0);
    uint64_t conflict = at + 2;

    cr_expect(part_world_settle(&world, &conflict, 1, false) == 0, "a conflict is not tried again");
    part_world_restart(&world);
    cr_expect(part_world_settle(&world, &conflict, 1, true) == 1, "it can be discarded");
    cr_expect(part_world_settle(&world, &conflict, 1, true) == 0);
    struct tally after = total();

    cr_expect(memcmp(&after, &tally, sizeof tally) == 0, "a discarded one stays counted");
}

Test(part, lateness_of_a_retry_is_that_of_its_commit)
{
    struct spec spec = {"acme", "slow", "f", NULL, NULL, "3", NULL, NULL, -HOUR_US};
    struct made_event event = event_of(&spec, world.arrival_us);
    uint64_t position = world.maker.position;

    cr_assert(part_world_commit(&world, &event, 1, 0)->reason[0] == VT_REASON_FUTURE_EVENT);
    cr_expect(part_world_settle(&world, &position, 1, false) == 0);
    part_world_begin(&world, 0, HOUR_US);
    part_world_end(&world);
    cr_expect(part_world_settle(&world, &position, 1, false) == 1);
    cr_expect(total().accepted == 1);
}

Test(part, a_session_event_keeps_its_name_through_a_retry)
{
    const struct spec spec = {"newco", "call", NULL, NULL, "eu", "1", NULL, NULL, 0};
    struct made_event event = event_of(&spec, world.arrival_us);
    uint64_t position = world.maker.position;
    struct part_snapshot snapshot;
    struct row_block block;
    struct arena arena;
    char text[48];

    world.maker.producer = VT_STR("meter");
    cr_assert(part_world_commit(&world, &event, 1, 0)->verdict[0] == VT_EXCEPTION);
    part_world_cut(&world, 1);
    part_world_restart(&world);
    cr_expect(part_world_settle(&world, &position, 1, false) == 1);
    cr_expect(part_dedup_used(world.part) == 0);
    cr_assert(part_snapshot_take(world.part, false, &snapshot) == VT_OK);
    arena_init(&arena, 4096);
    cr_assert(epoch_fetch(snapshot.marks[0].epoch, 0, &arena, &block) == VT_OK);
    cr_expect(block.id[0].kind == ROW_ID_SEQUENCE);
    cr_expect(vt_str_equal(row_id_text(&block.id[0], text),
                           VT_STR("00000000000000000001-00000000000000000001")));
    cr_expect(vt_str_equal(block.dict[block.source[0]], VT_STR("~meter")));
    arena_deinit(&arena);
    part_snapshot_put(&snapshot);
}

Test(part, a_forged_source_is_never_believed)
{
    const struct spec spec = {"acme",   "call", "00000000000000000001-00000000000000000001",
                              "~meter", "eu",   "1",
                              NULL,     NULL,   0};
    struct made_event event = event_of(&spec, world.arrival_us);
    uint64_t position = world.maker.position;

    cr_assert(part_world_commit(&world, &event, 1, 0)->reason[0] == VT_REASON_MALFORMED);
    cr_expect(part_world_settle(&world, &position, 1, false) == 0);
    cr_expect(total().exceptions == 1);
    cr_expect(part_world_settle(&world, &position, 1, true) == 1);
    cr_expect(total().exceptions == 1, "discarded ones stay counted");
}

/* --- windows: the clock of ticks, and closes */

static uint32_t
feed_count(void)
{
    struct part_snapshot snapshot;

    cr_assert(part_snapshot_take(world.part, false, &snapshot) == VT_OK);
    uint32_t count = snapshot.marks[snapshot.mark_count - 1].feed_count;

    part_snapshot_put(&snapshot);
    return count;
}

static void
empty_commit(int64_t later_us)
{
    part_world_begin(&world, 0, later_us);
    part_world_end(&world);
}

Test(part, a_tick_is_the_first_commit_of_a_second)
{
    /* Their windows have ended: the hour's of tokens and the day's of calls. */
    struct spec spec = {"acme", "call", "1", NULL, "eu", "5", NULL, NULL, 48 * HOUR_US};
    struct made_event event = event_of(&spec, world.arrival_us);

    cr_expect(part_due_us(world.part) == INT64_MAX);
    (void)part_world_commit(&world, &event, 1, 1000);
    cr_expect(part_due_us(world.part) <= world.arrival_us);
    empty_commit(1000);
    cr_expect(feed_count() == 0, "the second has had its tick");
    empty_commit(998000); /* the first microsecond of the next */
    cr_expect(feed_count() == 2);
    cr_expect(part_due_us(world.part) == INT64_MAX);
    /* The same cells again in the same epoch: they are dirty once more. */
    spec.id = "2";
    event = event_of(&spec, world.arrival_us);
    event.time_us -= VT_US_PER_SECOND;
    (void)part_world_commit(&world, &event, 1, 1000);
    cr_expect(feed_count() == 2);
    empty_commit(VT_US_PER_SECOND);
    cr_expect(feed_count() == 4);
}

Test(part, a_close_is_for_its_tenant_until_its_time)
{
    struct spec spec = {"acme", "call", "1", NULL, "eu", "5", NULL, NULL, 0};
    struct made_event events[2] = {event_of(&spec, world.arrival_us)};
    static const struct {
        const char *tenant;
        int64_t before_us; /* after now */
        uint32_t feed;     /* of the two hours, the two days */
    } closes[] = {
        {"acme", 0, 0},        {"nobody", 48 * HOUR_US, 0},
        {"acme", HOUR_US, 1},  {"globex", 48 * HOUR_US, 3},
        {"", 48 * HOUR_US, 4},
    };

    spec.tenant = "globex";
    events[1] = event_of(&spec, world.arrival_us);
    (void)part_world_commit(&world, events, 2, 0);
    for (size_t i = 0; i < VT_COUNT(closes); i++) {
        struct close_order order = {text_of(closes[i].tenant),
                                    world.arrival_us + closes[i].before_us};

        part_world_begin(&world, 0, 1000);
        cr_assert(part_close_windows(world.part, &order) == VT_OK);
        part_world_end(&world);
        cr_expect(feed_count() == closes[i].feed, "close %zu: %u", i, feed_count());
    }
}

/* --- the state */

Test(part, content_is_that_of_the_first_ones_catalog)
{
    struct spec old = {"acme", "call", "a", NULL, "eu", "1", NULL, "x", 0};
    struct spec new = {"acme", "call", "b", NULL, "eu", "1", NULL, "x", 0};
    int64_t now_us = world.arrival_us;
    struct made_event event = event_of(&old, now_us);

    (void)part_world_commit(&world, &event, 1, 0);
    part_world_cut(&world, 1); /* declares note */
    event = event_of(&new, now_us);
    (void)part_world_commit(&world, &event, 1, 0);
    for (int round = 0; round < 2; round++) {
        old.note = "y";
        event = event_of(&old, now_us);
        cr_expect(part_world_commit(&world, &event, 1, 0)->verdict[0] == VT_DUPLICATE);
        new.note = "y";
        event = event_of(&new, now_us);
        cr_expect(part_world_commit(&world, &event, 1, 0)->verdict[0] == VT_CONFLICT);
        part_world_restart(&world);
    }
}

Test(part, damaged_state_is_refused)
{
    struct made_event event = event_of(&decisions[0].spec, world.arrival_us);

    (void)part_world_commit(&world, &event, 1, 0);
    part_world_restart(&world);
    cr_assert(world.state.size > 0);
    uint8_t *copy = malloc(world.state.size);
    struct part *part = NULL;
    struct part_options options = {
        .key = world.maker.key,
        .catalog = world.catalogs[0],
        .dedup = world.dedup,
        .next_commit = world.number + 1,
        .next_position = world.maker.position,
        .state = {copy, world.state.size},
        .sealed_count = world.sealed_count,
        .sealed = world.sealed,
    };

    cr_assert(copy != NULL);
    for (uint64_t at = 0; at < world.state.size; at++) {
        memcpy(copy, world.state.data, world.state.size);
        copy[at] ^= 0x10;
        vt_err_clear();
        cr_assert(part_open(&options, &part) != VT_OK, "byte %lu", (unsigned long)at);
    }
    memcpy(copy, world.state.data, world.state.size);
    for (uint64_t size = 1; size < world.state.size; size++) {
        options.state.size = size;
        cr_assert(part_open(&options, &part) != VT_OK, "size %lu", (unsigned long)size);
    }
    options.state.size = world.state.size;
    options.partition = 3;
    cr_expect(part_open(&options, &part) == VT_BAD_PLACE);
    free(copy);
    vt_err_clear();
}

Test(part, the_same_log_gives_the_same_state)
{
    struct vt_bytes states[2] = {{NULL, 0}, {NULL, 0}};

    for (int round = 0; round < 2; round++) {
        struct made_event events[VT_COUNT(decisions)];

        for (size_t i = 0; i < VT_COUNT(decisions); i++)
            events[i] = event_of(&decisions[i].spec, world.arrival_us);
        (void)part_world_commit(&world, events, VT_COUNT(decisions), 0);
        part_world_cut(&world, 1);
        if (round == 0)
            part_world_restart(&world);
        (void)part_world_commit(&world, events, VT_COUNT(decisions), 5 * HOUR_US);
        part_world_cut(&world, 1);
        part_world_seal(&world);
        uint8_t *copy = malloc(world.state.size);

        cr_assert(copy != NULL);
        memcpy(copy, world.state.data, world.state.size);
        states[round] = (struct vt_bytes){copy, world.state.size};
        if (round == 0) {
            part_world_close(&world);
            setup();
        }
    }
    cr_expect(states[0].size == states[1].size);
    cr_expect(memcmp(states[0].data, states[1].data, states[0].size) == 0);
    for (int round = 0; round < 2; round++)
        free(vt_owned(states[round].data));
}

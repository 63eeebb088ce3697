/*
 * Goal:   a partition equals a naive model that keeps all it ever saw in arrays, whatever the
 *         batches, and whatever lies between them: cuts, seals, restarts, a wider catalog, retries,
 *         discards.
 * Method: random runs from a printed seed (VENTURI_SEED sets it). After each step verdicts, reasons
 *         and counters, of the whole and of each tenant, are those of the model; at the end the
 *         rows are.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "epoch.h"
#include "part.h"
#include "part_world.h"
#include "sealed.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define HOUR_US     (INT64_C(3600) * VT_US_PER_SECOND)
#define FIRST_MAX   8192
#define PENDING_MAX 8192
#define BATCH_MAX   100
#define TENANTS     3 /* acme, globex, newco */

static uint64_t seed;

static uint32_t
pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % below);
}

/* --- the model's event: small numbers instead of text */

enum { TYPE_CALL, TYPE_SLOW, TYPE_LATER, TYPE_NONE };
enum {
    FAULT_NONE,
    FAULT_MALFORMED,
    FAULT_TIME,
    FAULT_MISSING,
    FAULT_VALUE,
    FAULT_SCALE,
    FAULT_RANGE
};

struct fact {
    uint32_t tenant; /* 3: nobody */
    uint32_t type;
    uint32_t id; /* 0: none */
    uint32_t source;
    uint32_t region;
    uint32_t tokens;
    uint32_t cost; /* 0: absent */
    uint32_t note;
    uint32_t fault;
    int64_t time_us;
    bool session;
};

/* The first of an identity. */
struct first {
    struct fact fact;
    bool has_note; /* its catalog declares the field */
    uint64_t position;
};

struct pending {
    struct fact fact;
    uint64_t position;
    uint32_t row; /* of the tallies: 1 + tenant, 0 unknown */
    uint8_t reason;
};

struct model {
    struct first *firsts;
    uint32_t first_count;
    struct pending *pending;
    uint32_t pending_count;
    struct tally rows[TENANTS + 1];
    uint64_t seen[VT_REASON_COUNT];
    uint64_t verdicts[4];
    uint64_t retried;
};

static const char *const tenant_texts[] = {"acme", "globex", "newco", "nobody"};
static const char *const type_texts[] = {"call", "slow", "later", "none"};
static const char *const source_texts[] = {"", "s1", "a longer source"};
static const char *const region_texts[] = {"", "eu", "us"};
static const char *const token_texts[] = {"1", "2", "3"};
static const char *const cost_texts[] = {NULL, "0", "0.25"};
static const char *const note_texts[] = {"", "n1", "n2"};

static struct fact
make_fact(int64_t now_us, bool session)
{
    struct fact fact = {
        .tenant = pick(20) == 0 ? 2 + pick(2) : pick(2),
        .type = pick(20) == 0 ? 1 + pick(3) : TYPE_CALL,
        .id = session && pick(2) == 0 ? 0 : 1 + pick(300),
        .source = pick(10) == 0 ? pick(3) : 0,
        .region = pick(8) == 0 ? pick(3) : 1,
        .tokens = pick(8) == 0 ? pick(3) : 1,
        .cost = pick(8) == 0 ? pick(3) : 2,
        .note = pick(6) == 0 ? pick(3) : 1,
        .fault = pick(15) == 0 ? pick(7) : FAULT_NONE,
        .time_us = INT64_C(1700000000000000) + pick(4) * HOUR_US,
        .session = session,
    };

    if (!session && pick(60) == 0)
        fact.id = 0;
    if (fact.type == TYPE_SLOW)
        fact.time_us = now_us + ((int64_t)pick(5) - 3) * HOUR_US / 2;
    return fact;
}

static struct made_event
event_of(const struct fact *fact, char buffer[24])
{
    struct made_event event = {.time_us = fact->fault == FAULT_TIME ? INT64_MIN : fact->time_us};
    const char *tokens = token_texts[fact->tokens];
    const char *source = fact->fault == FAULT_MALFORMED ? "~x" : source_texts[fact->source];
    const char *texts[4] = {region_texts[fact->region], NULL, cost_texts[fact->cost],
                            note_texts[fact->note]};
    const char *names[4] = {"region", "tokens", "cost", "note"};

    (void)snprintf(buffer, 24, "id-%u", fact->id);
    if (fact->fault == FAULT_VALUE)
        tokens = "1x";
    if (fact->fault == FAULT_SCALE)
        tokens = "1.5";
    if (fact->fault == FAULT_RANGE)
        tokens = "1e30";
    texts[1] = fact->fault == FAULT_MISSING ? NULL : tokens;
    event.tenant =
        (struct vt_str){tenant_texts[fact->tenant], (uint32_t)strlen(tenant_texts[fact->tenant])};
    event.type = (struct vt_str){type_texts[fact->type], (uint32_t)strlen(type_texts[fact->type])};
    event.source = (struct vt_str){source, (uint32_t)strlen(source)};
    if (fact->id != 0)
        event.id = (struct vt_str){buffer, (uint32_t)strlen(buffer)};
    else if (fact->fault != FAULT_MALFORMED && fact->session)
        event.source = (struct vt_str){NULL, 0};
    for (uint32_t i = 0; i < VT_COUNT(names); i++)
        if (texts[i] != NULL)
            event.fields[event.field_count++] = (struct made_field){
                {names[i], (uint32_t)strlen(names[i])}, {texts[i], (uint32_t)strlen(texts[i])}, 0};
    return event;
}

/* --- what the model says */

static uint8_t
judge(const struct fact *fact, uint32_t catalog, int64_t arrival_us)
{
    static const uint8_t by_fault[] = {VT_REASON_NONE,
                                       VT_REASON_MALFORMED,
                                       VT_REASON_BAD_TIME,
                                       VT_REASON_MISSING_FIELD,
                                       VT_REASON_BAD_VALUE,
                                       VT_REASON_SCALE_EXCEEDED,
                                       VT_REASON_VALUE_OUT_OF_RANGE};

    if (fact->fault == FAULT_MALFORMED)
        return VT_REASON_MALFORMED;
    if (fact->tenant == 3 || (fact->tenant == 2 && catalog == 0))
        return VT_REASON_UNKNOWN_TENANT;
    if (fact->type == TYPE_NONE || (fact->type == TYPE_LATER && catalog == 0))
        return VT_REASON_UNKNOWN_EVENT_TYPE;
    if (fact->id == 0 && !fact->session)
        return VT_REASON_MISSING_ID;
    if (fact->fault != FAULT_NONE)
        return by_fault[fact->fault];
    if (fact->type == TYPE_SLOW && fact->time_us < arrival_us - HOUR_US)
        return VT_REASON_LATE_BEYOND_HORIZON;
    if (fact->type == TYPE_SLOW && fact->time_us > arrival_us + HOUR_US / 60)
        return VT_REASON_FUTURE_EVENT;
    return VT_REASON_NONE;
}

static bool
same_content(const struct first *first, const struct fact *fact)
{
    const struct fact *a = &first->fact;

    if (a->type != fact->type || a->time_us != fact->time_us || a->tokens != fact->tokens)
        return false;
    if (a->type != TYPE_CALL)
        return true;
    return a->region == fact->region && a->cost == fact->cost &&
           (!first->has_note || a->note == fact->note);
}

static uint8_t
take(struct model *model, const struct fact *fact, uint32_t catalog, uint64_t position)
{
    for (uint32_t i = 0; fact->id != 0 && i < model->first_count; i++) {
        const struct first *first = &model->firsts[i];

        if (first->fact.tenant == fact->tenant && first->fact.id == fact->id &&
            first->fact.source == fact->source)
            return same_content(first, fact) ? VT_DUPLICATE : VT_CONFLICT;
    }
    cr_assert(model->first_count < FIRST_MAX);
    model->firsts[model->first_count++] =
        (struct first){*fact, catalog == 1 && fact->type == TYPE_CALL, position};
    return VT_ACCEPTED;
}

static void
count(struct tally *tally, uint8_t verdict, uint8_t reason)
{
    tally->received++;
    tally->accepted += verdict == VT_ACCEPTED;
    tally->duplicates += verdict == VT_DUPLICATE || verdict == VT_CONFLICT;
    tally->conflicts += verdict == VT_CONFLICT;
    tally->exceptions += verdict == VT_EXCEPTION;
    tally->by_reason[reason] += verdict == VT_EXCEPTION;
}

/* The counters: a tenant's own if it is known, whatever else is wrong. */
static uint32_t
row_of(const struct fact *fact, uint32_t catalog)
{
    return fact->tenant < 2 + catalog ? fact->tenant + 1 : 0;
}

static void
add_pending(struct model *model, const struct fact *fact, uint64_t position, uint8_t reason)
{
    cr_assert(model->pending_count < PENDING_MAX);
    model->pending[model->pending_count++] =
        (struct pending){.fact = *fact, .position = position, .reason = reason};
}

static uint8_t
model_event(struct model *model, const struct part_world *world, const struct fact *fact,
            uint64_t position, uint8_t *out_reason)
{
    uint8_t reason = judge(fact, world->catalog, world->arrival_us);
    uint8_t verdict = VT_EXCEPTION;
    uint32_t row = row_of(fact, world->catalog);

    if (reason == VT_REASON_NONE)
        verdict = take(model, fact, world->catalog, position);
    if (verdict == VT_EXCEPTION || verdict == VT_CONFLICT) {
        add_pending(model, fact, position, reason);
        model->pending[model->pending_count - 1].row = row;
    }
    count(&model->rows[row], verdict, reason);
    model->verdicts[verdict]++;
    model->seen[reason]++;
    *out_reason = reason;
    return verdict;
}

static void
drop_pending(struct model *model, uint32_t index)
{
    model->pending_count--;
    memmove(&model->pending[index], &model->pending[index + 1],
            (model->pending_count - index) * sizeof *model->pending);
}

/* True where the entry was settled. */
static bool
model_retry(struct model *model, const struct part_world *world, uint64_t position, uint64_t at)
{
    for (uint32_t i = 0; i < model->pending_count; i++) {
        struct pending entry = model->pending[i];

        if (entry.position != position)
            continue;
        if (entry.reason == VT_REASON_NONE || entry.reason == VT_REASON_MALFORMED ||
            judge(&entry.fact, world->catalog, world->arrival_us) != VT_REASON_NONE)
            return false;
        uint8_t verdict = take(model, &entry.fact, world->catalog, at);

        drop_pending(model, i);
        model->rows[entry.row].received--;
        model->rows[entry.row].exceptions--;
        model->rows[entry.row].by_reason[entry.reason]--;
        count(&model->rows[entry.fact.tenant + 1], verdict, VT_REASON_NONE);
        if (verdict == VT_CONFLICT)
            add_pending(model, &entry.fact, at, VT_REASON_NONE);
        if (verdict == VT_CONFLICT)
            model->pending[model->pending_count - 1].row = entry.fact.tenant + 1;
        model->retried++;
        return true;
    }
    return false;
}

/* --- steps */

static void
step_batch(struct part_world *world, struct model *model)
{
    static struct fact facts[BATCH_MAX];
    static struct made_event events[BATCH_MAX];
    static char buffers[BATCH_MAX][24];
    bool session = pick(3) == 0;
    uint32_t events_count = pick(4) == 0 ? 1 : 1 + pick(BATCH_MAX);
    uint64_t first_position = world->maker.position;
    int64_t later_us = pick(5) == 0 ? HOUR_US / 4 : 1000;

    for (uint32_t i = 0; i < events_count; i++) {
        facts[i] = make_fact(world->arrival_us + later_us, session);
        events[i] = event_of(&facts[i], buffers[i]);
    }
    world->maker.producer = session ? VT_STR("meter") : (struct vt_str){NULL, 0};
    struct batch *batch = part_world_commit(world, events, events_count, later_us);

    for (uint32_t i = 0; i < events_count; i++) {
        uint8_t reason;
        uint8_t verdict = model_event(model, world, &facts[i], first_position + i, &reason);

        cr_assert(batch->verdict[i] == verdict && batch->reason[i] == reason,
                  "event %u: verdict %u, not %u; reason %s, not %s", i, batch->verdict[i], verdict,
                  vt_reason_name(batch->reason[i]), vt_reason_name(reason));
    }
}

static void
step_settle(struct part_world *world, struct model *model)
{
    uint64_t positions[64];
    uint32_t chosen = 0;
    bool discard = pick(3) == 0;
    uint32_t want = 0;

    for (; chosen < 64 && model->pending_count > 0 && pick(20) != 0; chosen++)
        positions[chosen] =
            pick(6) == 0 ? pick(5000) : model->pending[pick(model->pending_count)].position;
    uint64_t at = world->maker.position;
    uint32_t have = part_world_settle(world, positions, chosen, discard);

    for (uint32_t i = 0; i < chosen; i++) {
        if (!discard) {
            want += model_retry(model, world, positions[i], at + i);
            continue;
        }
        for (uint32_t k = 0; k < model->pending_count; k++) {
            if (model->pending[k].position != positions[i])
                continue;
            drop_pending(model, k);
            want++;
            break;
        }
    }
    cr_assert(have == want, "%s: %u settled, not %u", discard ? "discard" : "retry", have, want);
}

static void
check_tallies(const struct part_world *world, const struct model *model)
{
    struct part_snapshot snapshot;
    uint32_t rows_with = 0;

    cr_assert(part_snapshot_take(world->part, true, &snapshot) == VT_OK);
    for (uint32_t row = 0; row <= TENANTS; row++) {
        const struct tally *want = &model->rows[row];
        struct vt_str name = {NULL, 0};

        if (row > 0)
            name = (struct vt_str){tenant_texts[row - 1], (uint32_t)strlen(tenant_texts[row - 1])};
        for (uint32_t t = 0; t < snapshot.tenant_count; t++) {
            if (!vt_str_equal(snapshot.tenants[t], name))
                continue;
            cr_assert(memcmp(&snapshot.tenant_tallies[t], want, sizeof *want) == 0, "row %u", row);
            rows_with++;
            want = NULL;
            break;
        }
        cr_assert(want == NULL || want->received == 0, "row %u is missing", row);
    }
    cr_assert(rows_with == snapshot.tenant_count);
    part_snapshot_put(&snapshot);
}

/* --- the rows at the end */

struct row_check {
    const struct model *model;
    uint64_t rows;
};

static vt_err
check_rows(void *context, const struct row_block *block)
{
    struct row_check *check = context;

    for (uint32_t i = 0; i < block->row_count; i++) {
        bool found = false;

        for (uint32_t f = 0; !found && f < check->model->first_count; f++) {
            const struct first *first = &check->model->firsts[f];

            found =
                first->position == block->position[i] && first->fact.time_us == block->time_us[i] &&
                vt_str_equal(block->tenant,
                             (struct vt_str){tenant_texts[first->fact.tenant],
                                             (uint32_t)strlen(tenant_texts[first->fact.tenant])});
        }
        cr_assert(found, "row at position %" PRIu64, block->position[i]);
        check->rows++;
    }
    return VT_OK;
}

static vt_err
check_epoch_rows(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    (void)identity;
    return check_rows(context, block);
}

static void
check_all_rows(const struct part_world *world, const struct model *model)
{
    struct row_check check = {.model = model};
    struct part_snapshot snapshot;
    struct epoch_scan scan = {CATALOG_NONE, CATALOG_NONE, check_epoch_rows, &check};
    struct scan_options options = {.block = check_rows, .context = &check};

    cr_assert(part_snapshot_take(world->part, false, &snapshot) == VT_OK);
    for (uint32_t i = 0; i < snapshot.mark_count; i++)
        cr_assert(epoch_scan_rows(&snapshot.marks[i], &scan) == VT_OK);
    for (uint32_t i = 0; i < snapshot.sealed_count; i++)
        cr_assert(sealed_scan(snapshot.sealed[i], &options) == VT_OK);
    cr_assert(check.rows == model->first_count, "%" PRIu64 " rows, not %u", check.rows,
              model->first_count);
    part_snapshot_put(&snapshot);
}

static void
run(struct model *model, uint32_t steps)
{
    struct part_world world;

    cr_assert(part_world_open(&world) == VT_OK);
    for (uint32_t step = 0; step < steps; step++) {
        uint32_t what = pick(20);

        if (what < 13)
            step_batch(&world, model);
        else if (what < 16)
            step_settle(&world, model);
        else if (what == 16)
            part_world_cut(&world, step > steps / 2 ? 1 : world.catalog);
        else if (what == 17)
            part_world_seal(&world);
        else if (what == 18)
            part_world_restart(&world);
        check_tallies(&world, model);
    }
    check_all_rows(&world, model);
    part_world_close(&world);
}

Test(part_model, equals_the_naive_one, .timeout = 170)
{
    enum { RUNS = 6, STEPS = 90 };
    const char *given = getenv("VENTURI_SEED");
    struct model sum = {0};
    struct part_world probe;

    if (part_world_open(&probe) == VT_UNSUPPORTED)
        cr_skip_test("io_uring is switched off here");
    part_world_close(&probe);
    seed = given != NULL ? strtoull(given, NULL, 0)
                         : (uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    printf("VENTURI_SEED=%" PRIu64 "\n", seed);
    (void)fflush(stdout);
    for (uint32_t i = 0; i < RUNS; i++) {
        struct model model = {.firsts = calloc(FIRST_MAX, sizeof(struct first)),
                              .pending = calloc(PENDING_MAX, sizeof(struct pending))};

        cr_assert(model.firsts != NULL && model.pending != NULL);
        run(&model, STEPS);
        for (uint32_t reason = 0; reason < VT_REASON_COUNT; reason++)
            sum.seen[reason] += model.seen[reason];
        for (uint32_t verdict = 0; verdict < 4; verdict++)
            sum.verdicts[verdict] += model.verdicts[verdict];
        sum.retried += model.retried;
        free(model.firsts);
        free(model.pending);
    }
    for (uint8_t reason = 0; reason < VT_REASON_COUNT; reason++) {
        printf("%s %" PRIu64 ", ", vt_reason_name(reason), sum.seen[reason]);
        cr_expect(sum.seen[reason] > 0, "no event was %s", vt_reason_name(reason));
    }
    printf("duplicates %" PRIu64 ", conflicts %" PRIu64 ", retried %" PRIu64 "\n",
           sum.verdicts[VT_DUPLICATE], sum.verdicts[VT_CONFLICT], sum.retried);
    cr_expect(sum.retried > 0 && sum.verdicts[VT_CONFLICT] > 0 && sum.verdicts[VT_DUPLICATE] > 0);
}

/* sim_check.c - what must hold of an engine that a crash left behind: see sim_world.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_frame.h"
#include "sim_world.h"
#include "venturi/assert.h"

#define TOKEN_ID 7 /* of sim_world.c */

uint64_t
sim_feed_text(const struct view *view, struct vt_str cursor, uint64_t limit,
              struct answer_text *text)
{
    struct feed_query page = {.cursor = cursor, .limit = limit};
    uint64_t rows = 0;

    sim_must(answer_feed(view, &page, text, &rows), "view_feed");
    return rows;
}

/* ---- life of an engine */

static void
engine_acked(void *context, void *waiter, const struct core_ack *ack)
{
    struct sim_world *world = context;
    const struct sim_item *item = waiter;
    struct core_stats stats;

    core_get_stats(world->main.core, &stats);
    sim_must(ack->err, "an ack");
    if (item->commit == 0 || item->commit > world->model->last)
        sim_die("an ack of what no commit has");
    world->acks++;
    if (ack->settled != item->settled)
        sim_die("commit %" PRIu64 " settled %u, not %u", item->commit, ack->settled, item->settled);
    if (item->kind == SIM_FRAME && ack->batch == NULL)
        sim_die("commit %" PRIu64 ": a new frame is acked as a resend", item->commit);
    for (uint32_t i = 0; item->kind == SIM_FRAME && i < item->frame.event_count; i++)
        if (ack->batch->verdict[i] != item->verdicts[i])
            sim_die("commit %" PRIu64 ", event %u: verdict %u, not %u", item->commit, i,
                    ack->batch->verdict[i], item->verdicts[i]);
    if (item->commit > world->shown)
        world->shown = item->commit;
    if (world->acked != NULL)
        world->acked(world->acked_context, item->commit);
}

vt_err
sim_engine_open(struct sim_engine *engine, struct sim_world *world, uint32_t worker_count)
{
    const struct store_options options = {
        .dir = engine->dir == NULL ? "s" : engine->dir,
        .create = true,
        .read_only = engine->read_only,
        .lane_count = 3,
        .lane_bytes = 128 << 10,
        .commit_bytes_max = 16 << 10,
        .buffer_count = 6,
        .partition_count = 2,
    };
    struct core_callbacks callbacks;

    vt_err_clear();
    vt_err err = store_open(engine->io, &options, &engine->store);

    if (err != VT_OK)
        return err;
    engine->inline_state = (struct core_inline){.worker_count = worker_count,
                                                .acked = world == NULL ? NULL : engine_acked,
                                                .context = world};
    core_inline_callbacks(&engine->inline_state, &callbacks);
    struct core_options core = {
        .io = engine->io,
        .seal_io = engine->io,
        .store = engine->store,
        .worker_count = worker_count,
        .dedup_ids_max = 1 << 14,
        .cut_bytes = 44000,
        .merge_width = engine->unmerged ? 1 : 2,
        .callbacks = &callbacks,
        .read_only = engine->read_only,
    };

    err = core_open(&core, &engine->core);
    engine->inline_state.core = engine->core;
    return err;
}

void
sim_engine_close(struct sim_engine *engine)
{
    struct log *log = engine->store == NULL || engine->read_only ? NULL : store_log(engine->store);

    while (log != NULL && log_in_flight(log) > 0)
        sim_must(io_poll(engine->io, 1), "io_poll");
    core_close(engine->core);
    store_close(engine->store);
    engine->core = NULL;
    engine->store = NULL;
}

uint64_t
sim_engine_commits(const struct sim_engine *engine)
{
    struct core_stats stats;

    core_get_stats(engine->core, &stats);
    return stats.commits;
}

/* ---- checks */

void
sim_check_view(const struct view *view, const struct sim_world *world, uint64_t number)
{
    static char want[SIM_WINDOWS_BYTES];
    const struct sim_model *model = world->model;
    const struct tally *wanted = &model->states[number].tally;
    struct windows_query query = {.start_us = INT64_MIN, .end_us = INT64_MAX};
    struct answer_text windows = {0};
    struct view_sink sink = {answer_flush, &windows};
    struct tally tally = {0};

    for (uint32_t p = 0; p < view->part_count; p++) {
        tally.received += view->parts[p].tally.received;
        tally.accepted += view->parts[p].tally.accepted;
        tally.duplicates += view->parts[p].tally.duplicates;
        tally.conflicts += view->parts[p].tally.conflicts;
        tally.exceptions += view->parts[p].tally.exceptions;
    }
    if (tally.received != tally.accepted + tally.duplicates + tally.exceptions)
        sim_die("commit %" PRIu64 ": the counters do not add up", number);
    if (tally.received != wanted->received || tally.accepted != wanted->accepted ||
        tally.duplicates != wanted->duplicates || tally.conflicts != wanted->conflicts)
        sim_die("commit %" PRIu64 ": %" PRIu64 " received, %" PRIu64 " accepted, %" PRIu64
                " duplicates, %" PRIu64 " conflicts; not %" PRIu64 ", %" PRIu64 ", %" PRIu64
                ", %" PRIu64,
                number, tally.received, tally.accepted, tally.duplicates, tally.conflicts,
                wanted->received, wanted->accepted, wanted->duplicates, wanted->conflicts);
    if (view->position != model->states[number].position)
        sim_die("commit %" PRIu64 ": position %" PRIu64 ", not %" PRIu64, number, view->position,
                model->states[number].position);
    sim_must(view_windows(view, &query, &sink), "view_windows");
    uint64_t size = sim_model_windows(model, number, want);

    if (size != windows.size || (size > 0 && memcmp(want, windows.data, size) != 0))
        sim_die("commit %" PRIu64 ": windows\n%.*s, recounted\n%s", number, (int)windows.size,
                windows.data == NULL ? "" : windows.data, want);
    free(windows.data);
}

void
sim_check_feed(const struct view *view, const struct sim_world *world, uint64_t number,
               uint64_t limit)
{
    uint64_t want = world->model->states[number].feed_bytes;
    struct answer_text text = {0};
    struct vt_str cursor = {NULL, 0};
    char last[ANSWER_CURSOR_MAX];

    while (sim_feed_text(view, cursor, limit, &text) == limit && limit > 0)
        cursor = answer_cursor(&text, last);
    if (text.size != want || (want > 0 && memcmp(text.data, world->feed.data, want) != 0))
        sim_die("commit %" PRIu64 ", pages of %" PRIu64
                ": the feed has changed:\n%.*s, it was\n%.*s",
                number, limit, (int)text.size, text.data == NULL ? "" : text.data, (int)want,
                world->feed.data);
    free(text.data);
}

static void
check_sessions(struct sim_engine *engine, const struct sim_world *world, uint64_t number)
{
    const struct sim_state *state = &world->model->states[number];

    for (uint32_t p = 0; p < SIM_PRODUCERS_MAX; p++) {
        const struct sim_producer *want = &state->producers[p];
        char name[2] = {(char)('p' + p), '\0'};
        struct core_session session;

        if (want->epoch == 0)
            continue;
        sim_must(core_session_open(engine->core, TOKEN_ID, (struct vt_str){name, 1}, want->epoch,
                                   &session),
                 "core_session_open");
        if (session.producer == 0 || session.sequence_next != want->next)
            sim_die("commit %" PRIu64 ": producer %s goes on at %" PRIu64 ", not %" PRIu64, number,
                    name, session.sequence_next, want->next);
        if (want->epoch > 1 && core_session_open(engine->core, TOKEN_ID, (struct vt_str){name, 1},
                                                 want->epoch - 1, &session) != VT_PRODUCER_TAKEN)
            sim_die("commit %" PRIu64 ": an epoch that has ended is open again", number);
    }
}

static void
check_digest(const struct view *view, const struct sim_world *world, uint64_t number)
{
    uint8_t digest[32];

    sim_must(view_digest(view, digest), "view_digest");
    if (memcmp(digest, world->model->states[number].digest, sizeof digest) != 0)
        sim_die("commit %" PRIu64 ": another digest than that of the twin", number);
}

uint64_t
sim_world_check(struct sim_engine *engine, const struct sim_world *world, uint64_t random)
{
    const struct sim_model *model = world->model;
    uint64_t number = sim_engine_commits(engine);
    struct view view;

    if (number < world->shown)
        sim_die("%" PRIu64 " commits are there, but %" PRIu64 " were acked or shown", number,
                world->shown);
    if (number > model->last)
        sim_die("commit %" PRIu64 " was never made", number);
    if (model->states[number].catalog == 0)
        return number;
    sim_must(core_view_now(engine->core, true, &view), "core_view_now");
    sim_check_view(&view, world, number);
    check_digest(&view, world, number);
    if (random % 4 == 0)
        sim_check_feed(&view, world, number, random % 16 == 0 ? 20 : 0);
    view_put(&view);
    if (!engine->read_only)
        check_sessions(engine, world, number);
    return number;
}

/*
 * sim_engine - crashes a whole engine after the operations of a simulated disk, with several
 * subsets of what was not durable, also while it recovers, seals and edits the manifest, and fails
 * calls once and for ever. Two things say what must be there afterwards: a twin engine that is fed
 * the same and never crashes, and a naive model (sim_model.h). After each crash, by the numbers of
 * the list of invariants that the project keeps:
 *
 *    1  every acked commit, and every one that a view has shown, is there
 *    2  verdicts, counters and rows are those of the model: counted exactly once
 *    3  what was not acked is there as a whole commit or not at all: the digest is that of the twin
 *       after as many commits
 *    6  positions are dense: the last one is the model's
 *    9  received = accepted + duplicates + exceptions
 *   10  the windows equal a recount from the model's rows
 *   11  the state after a restart is the state before it
 *   14, 16  the feed begins with what it was; pages by cursor make up the whole of it
 *   23, 24  a producer goes on at its next sequence
 *   30  a reader beside the process sees the same
 *   34  the same seed makes the same trace
 *
 * usage: sim_engine [--points N] [--faults N] [--seconds N] [--seed S]
 *
 * A crash point is a distinct (trace of operations, operation, surviving subset).
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answer_text.h"
#include "crash_points.h"
#include "io_sim.h"
#include "sim_model.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define POINTS_DEFAULT  UINT64_C(2500)
#define FAULTS_DEFAULT  UINT64_C(150)
#define SECONDS_DEFAULT UINT64_C(30)
#define TOKEN_ID        7
#define WALL_US         INT64_C(1700000000000000)

struct engine {
    struct io *io;
    struct store *store;
    struct core *core;
    struct core_inline inline_state;
    bool read_only;
};

/* One history on one disk, through several processes. */
struct world {
    struct sim_model *model;
    struct engine main;
    struct engine twin; /* the same calls, settled after each commit, on a disk without faults */
    struct answer_text feed; /* of the twin */
    uint64_t random;
    int64_t now_us;
    uint64_t shown; /* greatest commit that was acked or shown by a view */
    uint64_t next_id;
    bool may_fail; /* calls are made to fail */
};

struct trial {
    struct world *world;
    struct io *io;
    uint32_t every; /* operations between two crashes */
    uint32_t subsets;
    uint32_t depth; /* crashes within recovery */
    uint64_t random;
};

static uint64_t seed_of_run;
static struct crash_points points;
static uint64_t points_max = POINTS_DEFAULT;
static uint64_t lost_count; /* commits that were not acked and are gone */
static uint64_t acks_count;
static uint64_t seals_count;
static time_t deadline;

static uint64_t
draw(uint64_t *state)
{
    /* SplitMix64 (G. Steele et al., 2014). */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "sim_engine: --seed %" PRIu64 ": ", seed_of_run);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, " [%s]\n", vt_err_last());
    va_end(arguments);
    exit(1);
}

static void
must(vt_err err, const char *what)
{
    if (err != VT_OK)
        die("%s: %s", what, vt_err_name(err));
}

static bool
is_over(void)
{
    return time(NULL) >= deadline;
}

static uint64_t
feed_text(const struct view *view, struct vt_str cursor, uint64_t limit, struct answer_text *text)
{
    struct feed_query page = {.cursor = cursor, .limit = limit};
    uint64_t rows = 0;

    must(answer_feed(view, &page, text, &rows), "view_feed");
    return rows;
}

/* ---- life of an engine */

static void
engine_acked(void *context, void *waiter, const struct core_ack *ack)
{
    struct world *world = context;
    const struct sim_item *item = waiter;
    struct core_stats stats;

    core_get_stats(world->main.core, &stats);
    must(ack->err, "an ack");
    if (item->commit == 0 || item->commit > world->model->last)
        die("an ack of what no commit has");
    acks_count++;
    if (ack->settled != item->settled)
        die("commit %" PRIu64 " settled %u, not %u", item->commit, ack->settled, item->settled);
    if (item->kind == SIM_FRAME && ack->batch == NULL)
        die("commit %" PRIu64 ": a new frame is acked as a resend", item->commit);
    for (uint32_t i = 0; item->kind == SIM_FRAME && i < item->frame.event_count; i++)
        if (ack->batch->verdict[i] != item->verdicts[i])
            die("commit %" PRIu64 ", event %u: verdict %u, not %u", item->commit, i,
                ack->batch->verdict[i], item->verdicts[i]);
    if (item->commit > world->shown)
        world->shown = item->commit;
}

static vt_err
engine_open(struct engine *engine, struct world *world, uint32_t worker_count)
{
    const struct store_options options = {
        .dir = "s",
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
        .callbacks = &callbacks,
        .read_only = engine->read_only,
    };

    err = core_open(&core, &engine->core);
    engine->inline_state.core = engine->core;
    return err;
}

/* What is in flight comes home unseen. */
static void
engine_close(struct engine *engine)
{
    struct log *log = engine->store == NULL || engine->read_only ? NULL : store_log(engine->store);

    while (log != NULL && log_in_flight(log) > 0)
        must(io_poll(engine->io, 1), "io_poll");
    core_close(engine->core);
    store_close(engine->store);
    engine->core = NULL;
    engine->store = NULL;
}

static uint64_t
engine_commits(const struct engine *engine)
{
    struct core_stats stats;

    core_get_stats(engine->core, &stats);
    return stats.commits;
}

/* ---- checks */

static void
check_view(const struct view *view, const struct world *world, uint64_t number)
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
        die("commit %" PRIu64 ": the counters do not add up", number);
    if (tally.received != wanted->received || tally.accepted != wanted->accepted ||
        tally.duplicates != wanted->duplicates || tally.conflicts != wanted->conflicts)
        die("commit %" PRIu64 ": %" PRIu64 " received, %" PRIu64 " accepted, %" PRIu64
            " duplicates, %" PRIu64 " conflicts; not %" PRIu64 ", %" PRIu64 ", %" PRIu64
            ", %" PRIu64,
            number, tally.received, tally.accepted, tally.duplicates, tally.conflicts,
            wanted->received, wanted->accepted, wanted->duplicates, wanted->conflicts);
    if (view->position != model->states[number].position)
        die("commit %" PRIu64 ": position %" PRIu64 ", not %" PRIu64, number, view->position,
            model->states[number].position);
    must(view_windows(view, &query, &sink), "view_windows");
    uint64_t size = sim_model_windows(model, number, want);

    if (size != windows.size || (size > 0 && memcmp(want, windows.data, size) != 0))
        die("commit %" PRIu64 ": windows\n%.*s, recounted\n%s", number, (int)windows.size,
            windows.data == NULL ? "" : windows.data, want);
    free(windows.data);
}

/* The feed is what the twin's was after this commit, whole and in pages. */
static void
check_feed(const struct view *view, const struct world *world, uint64_t number, uint64_t limit)
{
    uint64_t want = world->model->states[number].feed_bytes;
    struct answer_text text = {0};
    struct vt_str cursor = {NULL, 0};
    char last[ANSWER_CURSOR_MAX];

    while (feed_text(view, cursor, limit, &text) == limit && limit > 0)
        cursor = answer_cursor(&text, last);
    if (text.size != want || (want > 0 && memcmp(text.data, world->feed.data, want) != 0))
        die("commit %" PRIu64 ", pages of %" PRIu64 ": the feed has changed:\n%.*s, it was\n%.*s",
            number, limit, (int)text.size, text.data == NULL ? "" : text.data, (int)want,
            world->feed.data);
    free(text.data);
}

static void
check_sessions(struct engine *engine, const struct world *world, uint64_t number)
{
    const struct sim_state *state = &world->model->states[number];

    for (uint32_t p = 0; p < SIM_PRODUCERS_MAX; p++) {
        const struct sim_producer *want = &state->producers[p];
        char name[2] = {(char)('p' + p), '\0'};
        struct core_session session;

        if (want->epoch == 0)
            continue;
        must(core_session_open(engine->core, TOKEN_ID, (struct vt_str){name, 1}, want->epoch,
                               &session),
             "core_session_open");
        if (session.producer == 0 || session.sequence_next != want->next)
            die("commit %" PRIu64 ": producer %s goes on at %" PRIu64 ", not %" PRIu64, number,
                name, session.sequence_next, want->next);
        if (want->epoch > 1 && core_session_open(engine->core, TOKEN_ID, (struct vt_str){name, 1},
                                                 want->epoch - 1, &session) != VT_PRODUCER_TAKEN)
            die("commit %" PRIu64 ": an epoch that has ended is open again", number);
    }
}

static void
check_digest(const struct view *view, const struct world *world, uint64_t number)
{
    uint8_t digest[32];

    must(view_digest(view, digest), "view_digest");
    if (memcmp(digest, world->model->states[number].digest, sizeof digest) != 0)
        die("commit %" PRIu64 ": another digest than that of the twin", number);
}

/* An engine that was just opened. Gives the commit up to which it has everything. */
static uint64_t
check_recovered(struct engine *engine, const struct world *world, uint64_t random)
{
    const struct sim_model *model = world->model;
    uint64_t number = engine_commits(engine);
    struct view view;

    if (number < world->shown)
        die("%" PRIu64 " commits are there, but %" PRIu64 " were acked or shown", number,
            world->shown);
    if (number > model->last)
        die("commit %" PRIu64 " was never made", number);
    if (model->states[number].catalog == 0)
        return number;
    must(core_view_now(engine->core, true, &view), "core_view_now");
    check_view(&view, world, number);
    check_digest(&view, world, number);
    if (random % 4 == 0)
        check_feed(&view, world, number, random % 16 == 0 ? 20 : 0);
    view_put(&view);
    if (!engine->read_only)
        check_sessions(engine, world, number);
    return number;
}

static void trial_after(void *context);

/* Opens what a crash left; a crash inside of that is a crash too. */
static void
check_image(struct io *io, struct world *world, uint32_t depth, uint64_t random)
{
    struct engine engine = {.io = io};
    struct trial trial = {.world = world,
                          .io = io,
                          .every = 1 + (uint32_t)(random % 5),
                          .subsets = 1,
                          .depth = depth,
                          .random = random};

    if (depth > 0)
        io_sim_set_hook(io, trial_after, &trial);
    vt_err err = engine_open(&engine, NULL, 1 + (uint32_t)(random % 2));

    io_sim_set_hook(io, NULL, NULL);
    if (err != VT_OK)
        die("open after a crash: %s", vt_err_name(err));
    uint64_t number = check_recovered(&engine, world, random);

    if (random % 8 == 0) {
        struct engine reader = {.io = io, .read_only = true};

        must(engine_open(&reader, NULL, 1), "a reader beside");
        if (check_recovered(&reader, world, random) != number)
            die("a reader sees another commit than the process itself");
        engine_close(&reader);
    }
    engine_close(&engine);
    io_close(io);
}

/* After an operation: crash, in several ways, and look. */
static void
trial_after(void *context)
{
    struct trial *trial = context;

    if (io_sim_operations(trial->io) % trial->every != 0)
        return;
    for (uint32_t i = 0; i < trial->subsets && points.count < points_max && !is_over(); i++) {
        struct io_sim_crash crash = {.seed = draw(&trial->random)};
        uint64_t subset;
        struct io *io;

        crash.kill = crash.seed % 8 == 0;
        must(io_sim_crash(trial->io, &crash, &subset, &io), "io_sim_crash");
        crash_points_add(&points,
                         io_sim_trace(trial->io) * 31 + io_sim_operations(trial->io) * 7 + subset);
        check_image(io, trial->world, trial->depth == 0 ? 0 : trial->depth - 1,
                    draw(&trial->random));
    }
}

/* ---- a process and its twin */

/* The twin goes where main is, on a disk of its own. */
static void
twin_clone(struct world *world)
{
    struct io_sim_crash copy = {.seed = 1, .kill = true};
    uint64_t subset;

    if (world->twin.core != NULL)
        engine_close(&world->twin);
    if (world->twin.io != NULL)
        io_close(world->twin.io);
    must(io_sim_crash(world->main.io, &copy, &subset, &world->twin.io), "io_sim_crash");
    must(engine_open(&world->twin, NULL, 1), "the twin's open");
}

static vt_err
world_open(struct world *world)
{
    vt_err err = engine_open(&world->main, world, 1 + (uint32_t)(draw(&world->random) % 2));

    if (err != VT_OK) {
        if (!world->may_fail)
            die("open: %s", vt_err_name(err));
        io_sim_set_hook(world->main.io, NULL, NULL);
        engine_close(&world->main);
        return err;
    }
    uint64_t number = check_recovered(&world->main, world, 0);

    lost_count += world->model->last - number;
    sim_model_back(world->model, number);
    world->feed.size = sim_model_now(world->model)->feed_bytes;
    twin_clone(world);
    return VT_OK;
}

static void
twin_settle(struct world *world)
{
    struct core *core = world->twin.core;
    struct sim_state *state = &world->model->states[world->model->last];
    char cursor[ANSWER_CURSOR_MAX];
    struct view view;

    while (!core_idle(core))
        must(core_poll(core, 1), "the twin's poll");
    if (state->catalog == 0)
        return;
    must(core_view_now(core, true, &view), "the twin's view");
    check_view(&view, world, world->model->last);
    must(view_digest(&view, state->digest), "the twin's digest");
    /* Only what is new; from time to time the whole of it. */
    (void)feed_text(&view, answer_cursor(&world->feed, cursor), 0, &world->feed);
    state->feed_bytes = world->feed.size;
    if (world->model->last % 16 == 0)
        check_feed(&view, world, world->model->last, 0);
    view_put(&view);
}

/* The model and the twin know the commit before main begins to write it. False where main fails. */
static bool
world_submit(struct world *world)
{
    struct core *core = world->main.core;
    uint64_t before = world->model->last;
    int64_t arrival_us = sim_model_now(world->model)->arrival_us;

    if (arrival_us < world->now_us)
        arrival_us = world->now_us;
    must(core_submit(world->twin.core, world->now_us), "the twin's submit");
    if (engine_commits(&world->twin) == before) {
        if (world->model->open_count != 0)
            die("a submit makes no commit");
        return core_submit(core, world->now_us) == VT_OK && engine_commits(&world->main) == before;
    }
    sim_model_commit(world->model, arrival_us);
    twin_settle(world);
    for (uint32_t tries = 0; engine_commits(&world->main) == before; tries++) {
        if (tries == 1000 && world->may_fail) /* a disk that is full for ever */
            return false;
        if (tries == 1000)
            die("the lanes stay full");
        if (core_submit(core, world->now_us) != VT_OK || core_poll(core, tries > 0) != VT_OK)
            return false;
    }
    return true;
}

static bool
world_poll(struct world *world, int64_t wait_ns)
{
    return core_poll(world->main.core, wait_ns) == VT_OK;
}

/* ---- what a process is asked for */

static void
frame_fill(struct world *world, struct sim_frame *frame)
{
    bool session_ids = frame->producer != 0 && draw(&world->random) % 2 == 0;

    frame->event_count = 1 + (uint32_t)(draw(&world->random) % SIM_EVENTS_MAX);
    for (uint32_t i = 0; i < frame->event_count; i++) {
        uint64_t choice = draw(&world->random);
        struct sim_event *event = &frame->events[i];

        event->tenant = (enum sim_tenant)(choice % 7 % SIM_TENANTS);
        event->content = (uint32_t)(choice >> 8) % 40;
        event->flaw = choice >> 16 % 64 == 0 ? SIM_NO_TOKENS : SIM_SOUND;
        if ((choice >> 24) % 16 == 0)
            event->flaw = SIM_LATER_TYPE;
        if ((choice >> 28) % 16 == 0)
            event->flaw = SIM_NO_TOKENS;
        if (session_ids)
            event->id = SIM_SESSION_ID | (uint64_t)frame->producer << 56 | frame->epoch << 40 |
                        (frame->sequence + i);
        else if ((choice >> 32) % 3 > 0)
            event->id = ++world->next_id;
        else
            event->id = 1 + (choice >> 40) % (world->next_id + 1);
        /* A repeat is mostly the same event again. */
        if (!session_ids && (choice >> 32) % 3 == 0 && (choice >> 50) % 4 > 0)
            event->content = (uint32_t)(event->id * 2654435761u % 40);
        else if (!session_ids && (choice >> 32) % 3 > 0)
            event->content = (uint32_t)(event->id * 2654435761u % 40);
    }
}

/* A new frame of a producer, a resend of an old one, or one without a session. */
static void
frame_choose(struct world *world, struct sim_item *item)
{
    const struct sim_state *state = sim_model_now(world->model);
    struct sim_frame *frame = &item->frame;
    uint64_t choice = draw(&world->random);
    uint32_t p = (uint32_t)(choice >> 8) % SIM_PRODUCERS_MAX;

    if (choice % 4 < 2 || world->model->open_count > 1) {
        frame_fill(world, frame);
        return;
    }
    if (choice % 4 == 2 && state->frame_count > 0) {
        const struct sim_frame *old = &world->model->frames[(choice >> 16) % state->frame_count];

        if (old->epoch == state->producers[old->producer - 1].epoch) {
            *frame = *old;
            item->kind = SIM_RESEND;
            return;
        }
    }
    frame->producer = p + 1;
    frame->epoch = state->producers[p].epoch == 0 ? 1 : state->producers[p].epoch;
    frame->sequence = state->producers[p].epoch == 0 ? 1 : state->producers[p].next;
    if (state->producers[p].epoch > 0 && (choice >> 24) % 8 == 0) {
        frame->epoch++;
        frame->sequence = 1;
    }
    frame_fill(world, frame);
}

/* The producer's id in an engine; new producers are made known by a record of their own. */
static vt_err
session_of(struct core *core, const struct sim_frame *frame, uint64_t *out_producer)
{
    char name[2] = {(char)('p' + frame->producer - 1), '\0'};
    struct core_session session;

    *out_producer = 0;
    if (frame->producer == 0)
        return VT_OK;
    vt_err err =
        core_session_open(core, TOKEN_ID, (struct vt_str){name, 1}, frame->epoch, &session);

    if (err == VT_OK)
        *out_producer = session.producer;
    return err;
}

static vt_err
frame_add(struct core *core, const struct sim_frame *frame, void *waiter)
{
    struct arena arena;
    uint64_t producer = 0;

    arena_init(&arena, 4096);
    struct vt_bytes payload = sim_model_payload(&arena, frame);
    struct core_frame sent = {
        .frame_type = VT_FRAME_BATCH_ROWS,
        .event_count = frame->event_count,
        .payload_crc = vt_crc32c(payload.data, payload.size),
        .payload = payload,
        .epoch = frame->epoch,
        .sequence = frame->sequence,
        .waiter = waiter,
    };
    vt_err err = session_of(core, frame, &producer);

    sent.producer = producer;
    if (err == VT_OK)
        err = core_add_frame(core, &sent);
    arena_deinit(&arena);
    return err;
}

static vt_err
item_add(struct core *core, const struct world *world, struct sim_item *item, bool is_main)
{
    const struct sim_state *state = sim_model_now(world->model);
    void *waiter = is_main ? item : NULL;
    struct close_order order = {.before_us = world->now_us};

    switch (item->kind) {
    case SIM_FRAME:
    case SIM_RESEND:
        return frame_add(core, &item->frame, waiter);
    case SIM_CATALOG:
        return core_add_catalog(core, sim_model_catalog(state->catalog), NULL, waiter);
    case SIM_CLOSE:
        order.tenant = item->position_count % 2 == 0 ? VT_STR("acme") : (struct vt_str){NULL, 0};
        return core_add_close(core, &order, waiter);
    case SIM_RETRY:
    case SIM_DISCARD:
        return core_add_settle(core, item->kind == SIM_RETRY, item->positions, item->position_count,
                               waiter);
    }
    return VT_INVALID;
}

/* Into main and the twin alike. False where main fails. */
static bool
world_add(struct world *world, struct sim_item *item)
{
    vt_err err = VT_AGAIN;

    for (uint32_t tries = 0; err == VT_AGAIN && tries < 1000; tries++) {
        err = item_add(world->main.core, world, item, true);
        if (err == VT_AGAIN && core_open_any(world->main.core)) {
            sim_model_item_undo(world->model);
            (void)world_submit(world); /* the item was not in it; another time */
            return core_failed(world->main.core) == VT_OK;
        }
        if (err == VT_AGAIN && !world_poll(world, 1))
            break;
    }
    if (err != VT_OK) {
        bool full = err == VT_DISK_FULL || err == VT_AGAIN;

        if (core_failed(world->main.core) == VT_OK && !(full && world->may_fail))
            die("record of kind %d: %s", (int)item->kind, vt_err_name(err));
        return false;
    }
    must(item_add(world->twin.core, world, item, false), "the twin's record");
    return true;
}

static void
positions_choose(struct world *world, struct sim_item *item)
{
    const struct sim_model *model = world->model;
    uint32_t count = sim_model_now(model)->exception_count;

    item->position_count = 1 + (uint32_t)(draw(&world->random) % SIM_EVENTS_MAX);
    for (uint32_t i = 0; i < item->position_count; i++) {
        uint64_t at = draw(&world->random) % (count + 1);

        item->positions[i] = le64_put(at == count ? 1 + draw(&world->random) % 1000
                                                  : model->exceptions[at].position);
    }
}

static bool
step_record(struct world *world)
{
    uint64_t choice = draw(&world->random) % 16;
    const struct sim_state *state = sim_model_now(world->model);
    enum sim_kind kind = choice < 11 ? SIM_FRAME : choice < 12 ? SIM_CLOSE : SIM_RETRY;

    if (choice == 15)
        kind = SIM_DISCARD;
    if (state->catalog == 0 || (state->catalog == 1 && state->row_count > 40 && choice == 10))
        kind = SIM_CATALOG;
    /* A catalog, and what depends on the order of frames, begins a commit of its own. */
    if (kind == SIM_CATALOG && world->model->open_count > 0 && !world_submit(world))
        return false;
    struct sim_item *item = sim_model_item(world->model, kind);

    if (item == NULL)
        return world_submit(world);
    if (kind == SIM_FRAME)
        frame_choose(world, item);
    if (kind == SIM_RETRY || kind == SIM_DISCARD)
        positions_choose(world, item);
    item->position_count += kind == SIM_CLOSE ? (uint32_t)choice : 0;
    bool fine = world_add(world, item);

    return fine && (kind != SIM_CATALOG || world_submit(world));
}

static bool
step_view(struct world *world)
{
    struct view view;

    if (sim_model_now(world->model)->catalog == 0)
        return true;
    vt_err err = core_view_now(world->main.core, true, &view);

    if (err != VT_OK)
        return false;
    if (view.commit > world->shown)
        world->shown = view.commit;
    check_view(&view, world, view.commit);
    check_feed(&view, world, view.commit, 16);
    view_put(&view);
    return true;
}

/* One step of a process, as a random number says. False where it failed. */
static bool
step(struct world *world)
{
    uint64_t choice = draw(&world->random) % 32;

    if (choice < 16)
        return step_record(world);
    if (choice < 24)
        return world_submit(world);
    if (choice < 29)
        return world_poll(world, choice % 2);
    if (choice < 30)
        return step_view(world);
    world->now_us += (int64_t)(draw(&world->random) % 100) * VT_US_PER_SECOND;
    core_look(world->main.core);
    return core_failed(world->main.core) == VT_OK;
}

static bool
world_stop(struct world *world)
{
    struct core *core = world->main.core;

    if (world->model->open_count > 0 && !world_submit(world))
        return false;
    for (uint32_t tries = 0; !core_idle(core) && tries < 1000; tries++)
        if (!world_poll(world, 1))
            return false;
    /* The twin is opened anew with the next process, so its log may end here, too. */
    must(core_stop(world->twin.core, world->now_us), "the twin's stop");
    int64_t arrival_us = sim_model_now(world->model)->arrival_us;

    sim_model_commit(world->model, arrival_us < world->now_us ? world->now_us : arrival_us);
    twin_settle(world);
    vt_err err = core_stop(core, world->now_us);

    for (; err == VT_AGAIN && world_poll(world, 1); err = core_stop(core, world->now_us))
        ;
    return err == VT_OK && world_poll(world, 1);
}

/* ---- runs */

static void
world_init(struct world *world, struct sim_model *model, uint64_t seed)
{
    *world = (struct world){.model = model, .random = seed, .now_us = WALL_US};
    sim_model_open(model);
    must(io_sim_open(seed, &world->main.io), "io_sim_open");
}

static void
world_free(struct world *world)
{
    io_sim_set_hook(world->main.io, NULL, NULL);
    engine_close(&world->main);
    io_close(world->main.io);
    if (world->twin.core != NULL)
        engine_close(&world->twin);
    if (world->twin.io != NULL)
        io_close(world->twin.io);
    free(world->feed.data);
    sim_model_close(world->model);
}

/* The process ends as a kill or a power cut ends it, and the disk is what that leaves. */
static void
world_crash(struct world *world, bool kill)
{
    struct io_sim_crash crash = {.seed = draw(&world->random), .kill = kill};
    struct io *next = NULL;
    uint64_t subset;

    io_sim_set_hook(world->main.io, NULL, NULL);
    must(io_sim_crash(world->main.io, &crash, &subset, &next), "io_sim_crash");
    engine_close(&world->main);
    io_close(world->main.io);
    world->main.io = next;
}

/* Processes on one disk: each ends by a clean stop, a kill or a power cut. Gives the trace. */
static uint64_t
run_random(uint64_t seed, const struct trial *how)
{
    static struct sim_model model;
    struct world world;
    struct trial trial = *how;
    uint64_t trace = 0;

    world_init(&world, &model, seed);
    trial.world = &world;
    trial.random = seed ^ UINT64_C(0xabcdef);
    for (int generation = 0; generation < 4; generation++) {
        trial.io = world.main.io;
        if (trial.every > 0)
            io_sim_set_hook(world.main.io, trial_after, &trial);
        must(world_open(&world), "open");
        for (int i = 0; i < 150 && model.last + 40 < SIM_COMMITS_MAX; i++)
            if (!step(&world))
                die("the engine fails: %s", vt_err_name(core_failed(world.main.core)));
        uint64_t end = draw(&world.random) % 4;
        struct core_stats stats;

        if (end == 0 && !world_stop(&world))
            die("the engine cannot stop");
        core_get_stats(world.main.core, &stats);
        seals_count += stats.cuts;
        trace = trace * 31 + io_sim_trace(world.main.io);
        world_crash(&world, end < 2);
    }
    must(world_open(&world), "open");
    trace = trace * 31 + io_sim_trace(world.main.io);
    world_free(&world);
    return trace;
}

/* A run in which a call fails; with `later` the first process is spared, so that it is a recovery
 * that meets the failure. Whatever was acked is there when the disk is well again. */
static void
run_fault(uint64_t seed, const struct io_sim_fault *fault, bool later)
{
    static const struct io_sim_fault none;
    static struct sim_model model;
    struct world world;

    world_init(&world, &model, seed);
    world.may_fail = true;
    for (int generation = 0; generation < 3; generation++) {
        if (generation > 0 || !later)
            io_sim_set_fault(world.main.io, fault);
        if (world_open(&world) == VT_OK)
            for (int i = 0; i < 60 && step(&world); i++)
                ;
        world_crash(&world, generation != 1);
    }
    io_sim_set_fault(world.main.io, &none);
    world.may_fail = false;
    must(world_open(&world), "open when the disk is well again");
    for (int i = 0; i < 30; i++)
        if (!step(&world))
            die("the engine fails on a disk that is well");
    world_free(&world);
}

static bool
makes_sense(enum io_sim_kind kind, enum io_sim_failure failure)
{
    switch (failure) {
    case IO_SIM_EIO:
        return true;
    case IO_SIM_ENOSPC:
        return kind != IO_SIM_OPEN && kind != IO_SIM_READ && kind != IO_SIM_SIZE &&
               kind != IO_SIM_LIST;
    case IO_SIM_SHORT:
    case IO_SIM_CANCELLED:
        return kind == IO_SIM_COMPLETE;
    }
    return false;
}

static uint64_t
run_faults(uint64_t seed, uint64_t count)
{
    uint64_t random = seed;
    uint64_t runs = 0;

    while (runs < count && !is_over()) {
        uint64_t choice = draw(&random);
        const struct io_sim_fault fault = {
            .kind = (enum io_sim_kind)(choice % IO_SIM_KIND_COUNT),
            .failure = (enum io_sim_failure)((choice >> 8) % (IO_SIM_CANCELLED + 1)),
            .nth = 1 + (choice >> 16) % 40,
            .for_ever = (choice >> 32) % 2 == 0,
        };

        if (!makes_sense(fault.kind, fault.failure))
            continue;
        seed_of_run = seed + runs;
        run_fault(seed_of_run, &fault, (choice >> 33) % 2 == 0);
        runs++;
    }
    return runs;
}

static uint64_t
number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "sim_engine: %s is no number\n", text);
        exit(2);
    }
    return number;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"points", required_argument, NULL, 'p'},
        {"faults", required_argument, NULL, 'f'},
        {"seconds", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    uint64_t faults = FAULTS_DEFAULT;
    uint64_t seconds = SECONDS_DEFAULT;
    uint64_t seed = 1;
    uint64_t runs = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) { /* NOLINT(*-mt-unsafe) */
        if (option == 'p')
            points_max = number_of(optarg);
        else if (option == 'f')
            faults = number_of(optarg);
        else if (option == 't')
            seconds = number_of(optarg);
        else if (option == 's')
            seed = number_of(optarg);
        else
            return 2;
    }
    deadline = time(NULL) + (time_t)(points_max > 0 ? seconds / 2 : seconds);
    const struct trial none = {0};

    for (uint64_t i = 0; i < 2; i++) {
        seed_of_run = seed + i;
        if (run_random(seed_of_run, &none) != run_random(seed_of_run, &none))
            die("the same seed makes another trace");
    }
    uint64_t fault_runs = run_faults(seed * 1000003, faults);

    deadline = time(NULL) + (time_t)(seconds / 2);
    for (; points.count < points_max && !is_over(); runs++) {
        /* Some runs crash inside recovery, others in more places. */
        struct trial how = {.every = runs % 2 == 0 ? 5 : 2,
                            .subsets = 2 + (uint32_t)(runs % 3),
                            .depth = runs % 2 == 0};

        seed_of_run = seed + runs;
        (void)run_random(seed_of_run, &how);
    }
    printf("sim_engine: seed %" PRIu64 ": %" PRIu64 " distinct crash points in %" PRIu64
           " runs, %" PRIu64 " runs with failures, %" PRIu64 " acks, %" PRIu64 " cuts, %" PRIu64
           " unacked commits lost: all sane\n",
           seed, points.count, runs, fault_runs, acks_count, seals_count, lost_count);
    crash_points_free(&points);
    return 0;
}

/* sim_world.c - a process, its twin, and what they are asked for: see sim_world.h. */
#include "sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_frame.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define TOKEN_ID 7
#define WAIT_NS  INT64_C(10000000) /* for a disk that is real */
#define WALL_US  INT64_C(1700000000000000)

/* The twin goes where main is, on a disk of its own. */
static void
twin_clone(struct sim_world *world)
{
    struct io_sim_crash copy = {.seed = 1, .kill = true};
    uint64_t subset;

    if (world->twin.core != NULL)
        sim_engine_close(&world->twin);
    if (world->twin.io != NULL)
        io_close(world->twin.io);
    sim_must(io_sim_crash(world->origin == NULL ? world->main.io : world->origin, &copy, &subset,
                          &world->twin.io),
             "io_sim_crash");
    world->twin.unmerged = true;
    sim_must(sim_engine_open(&world->twin, NULL, 1), "the twin's open");
}

vt_err
sim_world_open(struct sim_world *world)
{
    vt_err err = sim_engine_open(&world->main, world, 1 + (uint32_t)(sim_draw(&world->random) % 2));

    if (err != VT_OK) {
        if (!world->may_fail)
            sim_die("open: %s", vt_err_name(err));
        io_sim_set_hook(world->main.io, NULL, NULL);
        sim_engine_close(&world->main);
        return err;
    }
    uint64_t number = sim_world_check(&world->main, world, 0);

    world->lost += world->model->last - number;
    sim_model_back(world->model, number);
    world->feed.size = sim_model_now(world->model)->feed_bytes;
    twin_clone(world);
    return VT_OK;
}

static void
twin_settle(struct sim_world *world)
{
    struct core *core = world->twin.core;
    struct sim_state *state = &world->model->states[world->model->last];
    char cursor[ANSWER_CURSOR_MAX];
    struct view view;

    while (!core_idle(core))
        sim_must(core_poll(core, 1), "the twin's poll");
    if (state->catalog == 0)
        return;
    sim_must(core_view_now(core, true, &view), "the twin's view");
    sim_check_view(&view, world, world->model->last);
    sim_must(view_digest(&view, state->digest), "the twin's digest");
    /* Only what is new; from time to time the whole of it. */
    (void)sim_feed_text(&view, answer_cursor(&world->feed, cursor), 0, &world->feed);
    state->feed_bytes = world->feed.size;
    if (world->model->last % 16 == 0)
        sim_check_feed(&view, world, world->model->last, 0);
    view_put(&view);
}

/* The model and the twin know the commit before main begins to write it. False where main fails. */
static bool
sim_world_submit(struct sim_world *world)
{
    struct core *core = world->main.core;
    uint64_t before = world->model->last;
    int64_t arrival_us = sim_model_now(world->model)->arrival_us;

    if (arrival_us < world->now_us)
        arrival_us = world->now_us;
    sim_must(core_submit(world->twin.core, world->now_us), "the twin's submit");
    if (sim_engine_commits(&world->twin) == before) {
        if (world->model->open_count != 0)
            sim_die("a submit makes no commit");
        return core_submit(core, world->now_us) == VT_OK &&
               sim_engine_commits(&world->main) == before;
    }
    sim_model_commit(world->model, arrival_us);
    twin_settle(world);
    for (uint32_t tries = 0; sim_engine_commits(&world->main) == before; tries++) {
        if (tries == 1000 && world->may_fail) /* a disk that is full for ever */
            return false;
        if (tries == 1000)
            sim_die("the lanes stay full");
        if (core_submit(core, world->now_us) != VT_OK ||
            core_poll(core, tries > 0 ? WAIT_NS : 0) != VT_OK)
            return false;
    }
    return true;
}

static bool
world_poll(struct sim_world *world, int64_t wait_ns)
{
    return core_poll(world->main.core, wait_ns) == VT_OK;
}

/* ---- what a process is asked for */

static void
frame_fill(struct sim_world *world, struct sim_frame *frame)
{
    bool session_ids = frame->producer != 0 && sim_draw(&world->random) % 2 == 0;

    frame->event_count = 1 + (uint32_t)(sim_draw(&world->random) % SIM_EVENTS_MAX);
    for (uint32_t i = 0; i < frame->event_count; i++) {
        uint64_t choice = sim_draw(&world->random);
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
frame_choose(struct sim_world *world, struct sim_item *item)
{
    const struct sim_state *state = sim_model_now(world->model);
    struct sim_frame *frame = &item->frame;
    uint64_t choice = sim_draw(&world->random);
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
item_add(struct core *core, const struct sim_world *world, struct sim_item *item, bool is_main)
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
world_add(struct sim_world *world, struct sim_item *item)
{
    vt_err err = VT_AGAIN;

    for (uint32_t tries = 0; err == VT_AGAIN && tries < 1000; tries++) {
        err = item_add(world->main.core, world, item, true);
        if (err == VT_AGAIN && core_open_any(world->main.core)) {
            sim_model_item_undo(world->model);
            (void)sim_world_submit(world); /* the item was not in it; another time */
            return core_failed(world->main.core) == VT_OK;
        }
        if (err == VT_AGAIN && !world_poll(world, WAIT_NS))
            break;
    }
    if (err != VT_OK) {
        bool full = err == VT_DISK_FULL || err == VT_AGAIN;

        if (core_failed(world->main.core) == VT_OK && !(full && world->may_fail))
            sim_die("record of kind %d: %s", (int)item->kind, vt_err_name(err));
        return false;
    }
    sim_must(item_add(world->twin.core, world, item, false), "the twin's record");
    return true;
}

static void
positions_choose(struct sim_world *world, struct sim_item *item)
{
    const struct sim_model *model = world->model;
    uint32_t count = sim_model_now(model)->exception_count;

    item->position_count = 1 + (uint32_t)(sim_draw(&world->random) % SIM_EVENTS_MAX);
    for (uint32_t i = 0; i < item->position_count; i++) {
        uint64_t at = sim_draw(&world->random) % (count + 1);

        item->positions[i] = le64_put(at == count ? 1 + sim_draw(&world->random) % 1000
                                                  : model->exceptions[at].position);
    }
}

static bool
step_record(struct sim_world *world)
{
    uint64_t choice = sim_draw(&world->random) % 16;
    const struct sim_state *state = sim_model_now(world->model);
    enum sim_kind kind = choice < 11 ? SIM_FRAME : choice < 12 ? SIM_CLOSE : SIM_RETRY;

    if (choice == 15)
        kind = SIM_DISCARD;
    if (state->catalog == 0 || (state->catalog == 1 && state->row_count > 40 && choice == 10))
        kind = SIM_CATALOG;
    /* A catalog, and what depends on the order of frames, begins a commit of its own. */
    if (kind == SIM_CATALOG && world->model->open_count > 0 && !sim_world_submit(world))
        return false;
    struct sim_item *item = sim_model_item(world->model, kind);

    if (item == NULL)
        return sim_world_submit(world);
    if (kind == SIM_FRAME)
        frame_choose(world, item);
    if (kind == SIM_RETRY || kind == SIM_DISCARD)
        positions_choose(world, item);
    item->position_count += kind == SIM_CLOSE ? (uint32_t)choice : 0;
    bool fine = world_add(world, item);

    return fine && (kind != SIM_CATALOG || sim_world_submit(world));
}

static bool
step_view(struct sim_world *world)
{
    struct view view;

    if (sim_model_now(world->model)->catalog == 0)
        return true;
    vt_err err = core_view_now(world->main.core, true, &view);

    if (err != VT_OK)
        return false;
    if (view.commit > world->shown)
        world->shown = view.commit;
    sim_check_view(&view, world, view.commit);
    sim_check_feed(&view, world, view.commit, 16);
    view_put(&view);
    return true;
}

/* One step of a process, as a random number says. False where it failed. */
bool
sim_world_step(struct sim_world *world)
{
    uint64_t choice = sim_draw(&world->random) % 32;

    if (choice < 16)
        return step_record(world);
    if (choice < 24)
        return sim_world_submit(world);
    if (choice < 29)
        return world_poll(world, choice % 2);
    if (choice < 30)
        return step_view(world);
    world->now_us += (int64_t)(sim_draw(&world->random) % 100) * VT_US_PER_SECOND;
    core_look(world->main.core);
    return core_failed(world->main.core) == VT_OK;
}

bool
sim_world_stop(struct sim_world *world)
{
    struct core *core = world->main.core;

    if (world->model->open_count > 0 && !sim_world_submit(world))
        return false;
    for (uint32_t tries = 0; !core_idle(core) && tries < 1000; tries++)
        if (!world_poll(world, WAIT_NS))
            return false;
    /* The twin is opened anew with the next process, so its log may end here, too. */
    sim_must(core_stop(world->twin.core, world->now_us), "the twin's stop");
    int64_t arrival_us = sim_model_now(world->model)->arrival_us;

    sim_model_commit(world->model, arrival_us < world->now_us ? world->now_us : arrival_us);
    twin_settle(world);
    vt_err err = core_stop(core, world->now_us);

    for (; err == VT_AGAIN && world_poll(world, WAIT_NS); err = core_stop(core, world->now_us))
        ;
    return err == VT_OK && world_poll(world, WAIT_NS);
}

/* ---- its life */

void
sim_world_init(struct sim_world *world, struct sim_model *model, uint64_t seed)
{
    *world = (struct sim_world){.model = model, .random = seed, .now_us = WALL_US};
    sim_model_open(model);
    sim_must(io_sim_open(seed, &world->main.io), "io_sim_open");
}

static void
file_copy(struct io *from, const char *from_path, struct io *to, const char *to_path)
{
    struct io_file *source;
    struct io_file *target;
    uint64_t bytes;

    sim_must(io_open(from, from_path, IO_OPEN_READ, &source), from_path);
    sim_must(io_size(source, &bytes), from_path);
    uint8_t *data = malloc(bytes + 1);

    VT_ASSERT(data != NULL);
    sim_must(io_read_at(source, data, bytes, 0), from_path);
    sim_must(io_open(to, to_path, IO_OPEN_WRITE | IO_OPEN_CREATE, &target), to_path);
    sim_must(io_write_at(target, data, bytes, 0), to_path);
    sim_must(io_sync(target), to_path);
    io_close_file(source);
    io_close_file(target);
    free(data);
}

void
sim_world_move(struct sim_world *world, struct io *io, const char *dir)
{
    struct io_name_list names;
    char from[256];
    char to[256];

    sim_must(sim_engine_open(&world->main, NULL, 1), "open");
    sim_engine_close(&world->main);
    sim_must(io_make_dir(io, dir), dir);
    (void)snprintf(to, sizeof to, "%s/segments", dir);
    sim_must(io_make_dir(io, to), to);
    sim_must(io_list_dir(world->main.io, "s", &names), "list");
    for (uint32_t i = 0; i < names.count; i++) {
        if (strcmp(names.names[i], "segments") == 0)
            continue;
        (void)snprintf(from, sizeof from, "s/%s", names.names[i]);
        (void)snprintf(to, sizeof to, "%s/%s", dir, names.names[i]);
        file_copy(world->main.io, from, io, to);
    }
    io_name_list_free(&names);
    sim_must(io_sync_dir(io, dir), dir);
    world->origin = world->main.io;
    world->main.io = io;
    world->main.dir = dir;
}

void
sim_world_free(struct sim_world *world)
{
    if (world->origin == NULL)
        io_sim_set_hook(world->main.io, NULL, NULL);
    sim_engine_close(&world->main);
    io_close(world->main.io);
    if (world->twin.core != NULL)
        sim_engine_close(&world->twin);
    if (world->twin.io != NULL)
        io_close(world->twin.io);
    if (world->origin != NULL)
        io_close(world->origin);
    free(world->feed.data);
    sim_model_close(world->model);
}

void
sim_world_crash(struct sim_world *world, bool kill)
{
    struct io_sim_crash crash = {.seed = sim_draw(&world->random), .kill = kill};
    struct io *next = NULL;
    uint64_t subset;

    io_sim_set_hook(world->main.io, NULL, NULL);
    sim_must(io_sim_crash(world->main.io, &crash, &subset, &next), "io_sim_crash");
    sim_engine_close(&world->main);
    io_close(world->main.io);
    world->main.io = next;
}

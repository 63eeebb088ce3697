/* The core where things go wrong: refusals, a full log, failures, a stop. Its inner state is looked
 * at where no call shows it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "event_maker.h"
#include "io_sim.h"
#include "sim_model.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define WALL_US INT64_C(1700000000000000)

struct rig {
    struct io *io;
    struct store *store;
    struct core *core;
    struct core_inline inline_state;
    struct core_callbacks callbacks;
    struct arena arena;
    uint64_t dedup_ids_max;
    uint64_t next_id;
    uint32_t acks;
    struct view *view;
    struct cut *held; /* with `hold`: cuts that nobody seals */
    bool hold;
};

static void
rig_acked(void *context, void *waiter, const struct core_ack *ack)
{
    struct rig *rig = context;

    (void)waiter;
    cr_assert_eq(ack->err, VT_OK);
    rig->acks++;
}

static void
rig_seal(void *context, struct cut *cut)
{
    struct rig *rig = context;

    if (rig->hold) {
        cut->next = rig->held;
        rig->held = cut;
        return;
    }
    core_seal(rig->core, cut);
    vt_err err = core_sealed(rig->core, cut);

    (void)err; /* in core_failed */
}

static void
rig_viewed(void *context, void *waiter, struct view *view, vt_err err)
{
    struct rig *rig = context;

    (void)waiter;
    cr_assert_eq(err, VT_OK);
    rig->view = view;
}

static void
rig_dispatch(void *context, struct work *work)
{
    struct rig *rig = context;

    core_work(rig->core, 0, work);
}

static void
rig_open(struct rig *rig)
{
    struct store_options options = {
        .dir = "store",
        .create = true,
        .partition_count = 2,
        .lane_count = 2,
        .lane_bytes = 64 << 10,
        .commit_bytes_max = 16 << 10,
    };

    cr_assert_eq(store_open(rig->io, &options, &rig->store), VT_OK, "%s", vt_err_last());
    rig->callbacks = (struct core_callbacks){
        .dispatch = rig_dispatch,
        .seal = rig_seal,
        .acked = rig_acked,
        .viewed = rig_viewed,
        .context = rig,
    };
    struct core_options core = {
        .io = rig->io,
        .seal_io = rig->io,
        .store = rig->store,
        .worker_count = 1,
        .dedup_ids_max = rig->dedup_ids_max,
        .callbacks = &rig->callbacks,
    };

    cr_assert_eq(core_open(&core, &rig->core), VT_OK, "%s", vt_err_last());
}

static void
rig_shut(struct rig *rig)
{
    struct log *log = store_log(rig->store);

    while (log_in_flight(log) > 0)
        cr_assert_eq(io_poll(rig->io, 1), VT_OK);
    while (rig->held != NULL) {
        struct cut *cut = rig->held;

        rig->held = cut->next;
        core_cut_free(rig->core, cut);
    }
    core_close(rig->core);
    store_close(rig->store);
}

static void
rig_end(struct rig *rig)
{
    rig_shut(rig);
    io_close(rig->io);
    arena_deinit(&rig->arena);
}

static void
rig_poll(struct rig *rig)
{
    for (uint32_t i = 0; i < 50 && core_failed(rig->core) == VT_OK && rig->core->first != NULL; i++)
        (void)!core_poll(rig->core, 1000);
}

static void
rig_submit(struct rig *rig)
{
    cr_assert_eq(core_submit(rig->core, WALL_US), VT_OK, "%s", vt_err_last());
    rig_poll(rig);
}

static void
rig_start(struct rig *rig, uint64_t dedup_ids_max)
{
    *rig = (struct rig){.dedup_ids_max = dedup_ids_max};
    cr_assert_eq(io_sim_open(1, &rig->io), VT_OK);
    arena_init(&rig->arena, 1 << 16);
    rig_open(rig);
    cr_assert_eq(core_add_catalog(rig->core, sim_model_catalog(0), NULL, rig), VT_OK, "%s",
                 vt_err_last());
    rig_submit(rig);
    cr_assert_eq(rig->acks, 1);
    rig->acks = 0;
}

/* The process is killed; the next one finds what was written. */
static void
rig_kill(struct rig *rig)
{
    struct io_sim_crash how = {.kill = true};
    struct io *after = NULL;
    uint64_t subset;

    cr_assert_eq(io_sim_crash(rig->io, &how, &subset, &after), VT_OK);
    rig_shut(rig);
    io_close(rig->io);
    rig->io = after;
}

static struct core_frame
rig_frame(struct rig *rig, uint32_t count, struct vt_str tenant)
{
    uint8_t *payload = arena_alloc(&rig->arena, count * 512ull);
    uint64_t size = 0;

    for (uint32_t i = 0; i < count; i++) {
        char id[24];
        struct made_event event = {
            .tenant = tenant,
            .type = VT_STR("call"),
            .id = {id, (uint32_t)snprintf(id, sizeof id, "id-%lu", (unsigned long)rig->next_id++)},
            .source = VT_STR("here"),
            .time_us = WALL_US,
            .field_count = 2,
            .fields = {{VT_STR("region"), VT_STR("eu"), 0}, {VT_STR("tokens"), {NULL, 0}, 5}},
        };
        struct vt_bytes bytes = event_bytes(&rig->arena, &event);

        memcpy(payload + size, bytes.data, bytes.size);
        size += bytes.size;
    }
    return (struct core_frame){
        .frame_type = VT_FRAME_BATCH_ROWS,
        .event_count = count,
        .payload_crc = vt_crc32c(payload, size),
        .payload = {payload, size},
        .waiter = rig,
    };
}

static uint64_t
rig_durable(const struct rig *rig)
{
    struct core_stats stats;

    core_get_stats(rig->core, &stats);
    return stats.commits_durable;
}

Test(core_failures, a_view_does_not_know_a_catalog_that_is_not_in_force)
{
    struct rig rig;

    rig_start(&rig, 0);
    const struct catalog *before = core_catalog(rig.core);

    cr_assert_eq(core_add_catalog(rig.core, sim_model_catalog(1), NULL, NULL), VT_OK);
    cr_assert_eq(core_view_ask(rig.core, true, NULL), VT_OK);
    rig_poll(&rig);
    cr_assert_neq(rig.view, NULL);
    cr_expect_eq(rig.view->catalog, before);
    view_put(rig.view);
    free(rig.view);
    rig_submit(&rig);
    cr_assert_eq(core_view_ask(rig.core, true, NULL), VT_OK);
    rig_poll(&rig);
    cr_expect_eq(rig.view->catalog, core_catalog(rig.core));
    view_put(rig.view);
    free(rig.view);
    rig_end(&rig);
}

Test(core_failures, a_tick_that_falls_due_after_the_end_mark_is_no_failure)
{
    struct rig rig;

    rig_start(&rig, 0);
    struct core_frame frame = rig_frame(&rig, 1, VT_STR("acme"));

    cr_assert_eq(core_add_frame(rig.core, &frame), VT_OK);
    cr_assert_eq(core_stop(rig.core, WALL_US), VT_OK);
    cr_expect_eq(core_submit(rig.core, WALL_US + 30 * INT64_C(86400) * VT_US_PER_SECOND), VT_OK,
                 "%s", vt_err_last());
    rig_poll(&rig);
    cr_expect_eq(core_failed(rig.core), VT_OK);
    cr_expect_eq(rig.acks, 1);
    frame = rig_frame(&rig, 1, VT_STR("acme"));
    cr_expect_eq(core_add_frame(rig.core, &frame), VT_STOPPING);
    rig_end(&rig);
}

Test(core_failures, refused_frames_leave_no_memory_behind)
{
    struct rig rig;

    rig_start(&rig, 0);
    struct core_frame frame = rig_frame(&rig, 50, VT_STR("acme"));

    frame.tenant = VT_STR("globex");
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(core_add_frame(rig.core, &frame), VT_FORBIDDEN);
    cr_assert_neq(rig.core->open, NULL);
    cr_expect_eq(rig.core->open->arena.used_bytes, 0);
    frame.tenant = VT_STR("acme");
    cr_assert_eq(core_add_frame(rig.core, &frame), VT_OK);
    rig_submit(&rig);
    cr_expect_eq(rig.acks, 1);
    rig_end(&rig);
}

/* One lane is filled by large commits, the other has small ones. */
Test(core_failures, a_full_tail_can_be_sealed_after_a_crash)
{
    struct rig rig;
    uint64_t before;

    rig_start(&rig, 0);
    rig.hold = true;
    for (uint32_t i = 0; i < 40; i++) {
        struct core_frame frame = rig_frame(&rig, i % 2 == 0 ? 120 : 1, VT_STR("acme"));

        if (core_add_frame(rig.core, &frame) != VT_OK)
            break;
        rig_submit(&rig);
    }
    cr_assert_neq(rig.held, NULL, "there was a cut");
    before = rig_durable(&rig);
    rig_kill(&rig);
    rig.hold = false;
    rig_open(&rig);
    cr_assert_geq(rig_durable(&rig), before);
    before = rig_durable(&rig);
    struct core_frame frame = rig_frame(&rig, 1, VT_STR("acme"));

    for (uint32_t i = 0; i < 4; i++) { /* one for each lane, at least */
        frame = rig_frame(&rig, 120, VT_STR("acme"));
        cr_expect_eq(core_add_frame(rig.core, &frame), VT_OK);
        rig_submit(&rig);
    }
    cr_expect_geq(rig_durable(&rig), before + 4);
    rig_end(&rig);
}

Test(core_failures, a_retry_that_might_not_fit_the_index_is_refused)
{
    struct rig rig;
    le64 positions[100];

    rig_start(&rig, 1000);
    uint64_t room = 1000;

    for (uint32_t i = 0; i < VT_COUNT(positions); i++)
        positions[i] = le64_put(i + 1);
    for (uint64_t left = room - 50; left > 0;) {
        struct core_frame frame =
            rig_frame(&rig, left < 100 ? (uint32_t)left : 100, VT_STR("acme"));
        uint64_t used[2] = {part_dedup_used(rig.core->parts[0]),
                            part_dedup_used(rig.core->parts[1])};

        cr_assert_eq(core_add_frame(rig.core, &frame), VT_OK, "%s", vt_err_last());
        rig_submit(&rig);
        cr_assert_eq(part_dedup_used(rig.core->parts[0]) + part_dedup_used(rig.core->parts[1]),
                     used[0] + used[1] + frame.event_count);
        left -= frame.event_count;
    }
    cr_expect_eq(core_add_settle(rig.core, true, positions, 100, NULL), VT_DEDUP_FULL);
    cr_expect_eq(core_add_settle(rig.core, true, positions, 30, NULL), VT_OK);
    cr_expect_eq(core_add_settle(rig.core, true, positions, 30, NULL), VT_DEDUP_FULL,
                 "what is in flight counts");
    cr_expect_eq(core_add_settle(rig.core, false, positions, 100, NULL), VT_OK);
    rig_submit(&rig);
    cr_expect_eq(core_add_settle(rig.core, true, positions, 30, NULL), VT_OK);
    rig_submit(&rig);
    rig_end(&rig);
}

Test(core_failures, a_seal_that_fails_says_why_and_loses_nothing)
{
    struct rig rig;
    struct io_sim_fault fault = {
        .kind = IO_SIM_CREATE, .failure = IO_SIM_EIO, .nth = 1, .for_ever = true};
    uint32_t sent = 0;

    rig_start(&rig, 0);
    fault.nth = io_sim_calls(rig.io, IO_SIM_CREATE) + 1;
    io_sim_set_fault(rig.io, &fault);
    while (core_failed(rig.core) == VT_OK && sent < 100) {
        struct core_frame frame = rig_frame(&rig, 100, VT_STR("acme"));

        cr_assert_eq(core_add_frame(rig.core, &frame), VT_OK);
        sent++;
        (void)!core_submit(rig.core, WALL_US);
        rig_poll(&rig);
    }
    cr_assert_neq(core_failed(rig.core), VT_OK);
    cr_expect_neq(strstr(vt_err_last(), "sealing commit"), NULL, "%s", vt_err_last());
    uint64_t acked = rig.acks;
    struct core_frame frame = rig_frame(&rig, 1, VT_STR("acme"));

    cr_expect_neq(core_add_frame(rig.core, &frame), VT_OK);
    cr_expect_neq(core_submit(rig.core, WALL_US), VT_OK);
    fault = (struct io_sim_fault){.nth = 0};
    rig_kill(&rig);
    io_sim_set_fault(rig.io, &fault);
    rig_open(&rig);
    cr_expect_geq(rig.core->position_next, acked * 100 + 1);
    cr_expect_gt(store_segment_count(rig.store), 0, "sealed by the recovery");
    rig_end(&rig);
}

Test(core_failures, after_a_failed_worker_nothing_is_acked)
{
    struct rig rig;

    rig_start(&rig, 0);
    rig.core->worker_failed[0] = true; /* as after an error in a commit before */
    struct core_frame frame = rig_frame(&rig, 1, VT_STR("acme"));

    cr_assert_eq(core_add_frame(rig.core, &frame), VT_OK);
    (void)!core_submit(rig.core, WALL_US);
    rig_poll(&rig);
    cr_expect_eq(core_failed(rig.core), VT_BROKEN);
    cr_expect_eq(rig.acks, 0);
    rig_end(&rig);
}

/* Else what a hostile sender leaves in memory until the cut has no bound that fits a machine. */
Test(core_failures, events_of_one_byte_bring_the_cut_soon)
{
    struct rig rig;
    uint8_t payload[4000];
    struct core_stats before;
    struct core_stats after;

    rig_start(&rig, 0);
    memset(payload, 0x80, sizeof payload); /* empty maps: malformed, kept as exceptions */
    struct core_frame frame = {
        .frame_type = VT_FRAME_BATCH_ROWS,
        .event_count = sizeof payload,
        .payload_crc = vt_crc32c(payload, sizeof payload),
        .payload = {payload, sizeof payload},
        .waiter = &rig,
    };

    core_get_stats(rig.core, &before);
    cr_assert_eq(core_add_frame(rig.core, &frame), VT_OK, "%s", vt_err_last());
    rig_submit(&rig);
    core_get_stats(rig.core, &after);
    cr_expect_eq(rig.acks, 1);
    cr_expect_eq(after.cuts, before.cuts + 1);
    rig_end(&rig);
}

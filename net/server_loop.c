/* server_loop.c - the front thread's rounds. See net.h. */
#include <liburing.h>
#include <stdio.h>
#include <time.h>

#include "server_internal.h"
#include "venturi/assert.h"

#define COMMIT_BYTES_GOAL (UINT32_C(256) << 10) /* a larger write gains nothing: docs/DESIGN.md */
#define PUMP_ROUNDS_MAX   4
#define DUE_PAUSE_NS      INT64_C(1000000)
#define ROUND_NS          INT64_C(50000000)   /* deadlines are looked at so often at least */
#define LOOK_NS           INT64_C(1000000000) /* between two looks at the disk's space */
#define DRAIN_FULL_NS     INT64_C(5000000000) /* for what a full disk keeps from being written */

int64_t
server_wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * VT_US_PER_SECOND + now.tv_nsec / 1000;
}

struct vt_mono
server_mono(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct vt_mono){(int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec};
}

/* One read of the eventfd is always on the ring; while it is, nobody needs to ask whether something
 * happened. */
static vt_err
wake_arm(struct server *server)
{
    if (server->wake_armed)
        return VT_OK;
    struct io_uring_sqe *sqe = io_uring_get_sqe(io_uring_ring(server->io));

    if (sqe == NULL)
        return VT_OK; /* the queue is full: the next round */
    io_uring_prep_read(sqe, server->wake_fd, &server->wake_word, sizeof server->wake_word, 0);
    io_uring_sqe_set_data64(sqe, SERVER_USER_DATA);
    server->wake_armed = true;
    return VT_OK;
}

/* Group commit: send what there is when a lane is free, else let it grow to the goal. */
static vt_err
commit_maybe(struct server *server)
{
    struct log *log = store_log(server->store);

    if (core_open_any(server->core)) {
        uint64_t in_flight = log_last(log) - log_durable(log);

        if (in_flight < server->lane_count || core_open_bytes(server->core) >= COMMIT_BYTES_GOAL)
            return core_submit(server->core, server_wall_us());
        return VT_OK;
    }
    int64_t now_us = server_wall_us();

    return core_due_us(server->core) <= now_us ? core_submit(server->core, now_us) : VT_OK;
}

static vt_err
cuts_take(struct server *server)
{
    struct cut *cut = workers_sealed(server->workers);

    return cut == NULL ? VT_OK : core_sealed(server->core, cut);
}

int64_t
server_write_age_ns(const struct server *server)
{
    const struct log *log = store_log(server->store);

    return log_durable(log) == log_last(log) ? 0 : server_mono().ns - server->moved_ns;
}

/* An operator reads it where no metric is looked at. */
static void
disk_say(struct server *server)
{
    struct core_stats stats;

    core_get_stats(server->core, &stats);
    if (stats.disk_full == server->said_full)
        return;
    server->said_full = stats.disk_full;
    if (stats.disk_full)
        (void)fprintf(stderr,
                      "venturid: the disk is full: %llu bytes are free, %llu are kept to seal what "
                      "was taken; no events are taken until there are more\n",
                      (unsigned long long)stats.disk_free_bytes,
                      (unsigned long long)stats.disk_kept_bytes);
    else
        (void)fprintf(stderr, "venturid: the disk has space again: events are taken\n");
}

static void
disk_look(struct server *server)
{
    const struct log *log = store_log(server->store);
    int64_t now_ns = server_mono().ns;

    if (log_durable(log) != server->durable || log_durable(log) == log_last(log))
        server->moved_ns = now_ns;
    server->durable = log_durable(log);
    if (now_ns >= server->look_ns) {
        server->look_ns = now_ns + LOOK_NS;
        core_look(server->core);
        disk_say(server);
    }
}

static vt_err
merges_take(struct server *server)
{
    struct core_merge *merge = workers_merged(server->workers);

    return merge == NULL ? VT_OK : core_merged(server->core, merge);
}

static int64_t
wait_for(const struct server *server, int64_t wait_ns)
{
    int64_t due_us = core_due_us(server->core);
    int64_t wait = wait_ns;

    if (due_us != INT64_MAX) {
        int64_t until_ns = (due_us - server_wall_us()) * 1000;

        /* What is due and was not done just now waits for a lane, a buffer or the sealer. Each of
         * them wakes us; asking again at once would take the processor from them. */
        until_ns = until_ns < DUE_PAUSE_NS ? DUE_PAUSE_NS : until_ns;
        wait = until_ns < wait ? until_ns : wait;
    }
    return wait;
}

vt_err
server_step(struct server *server, int64_t wait_ns)
{
    vt_err err = wake_arm(server);

    if (err == VT_OK)
        err = core_poll(server->core, wait_for(server, wait_ns));
    if (err == VT_OK)
        err = cuts_take(server);
    if (err == VT_OK)
        err = merges_take(server);
    if (err != VT_OK)
        return err;
    disk_look(server);
    server_calls_take(server);
    /* A commit that is sent off makes room for the frames that waited for it: they need not wait
     * for the next completion. */
    for (uint32_t round = 0; err == VT_OK && round < PUMP_ROUNDS_MAX; round++) {
        if (server->conns != NULL)
            conns_pump(server->conns, server_mono());
        err = commit_maybe(server);
        if (server->conns == NULL || !conns_waiting(server->conns) || core_open_any(server->core))
            break;
    }
    return err;
}

/* A full disk may keep the end mark from finding room. Without it the next start is as after a
 * crash, which is right, too. */
static bool
drain_overdue(const struct server *server)
{
    struct core_stats stats;

    core_get_stats(server->core, &stats);
    return stats.seal_waits && server_mono().ns - server->drain_ns > DRAIN_FULL_NS;
}

/* A clean stop: no new frames, answer what is in flight, seal nothing more than is under way, an
 * end mark. */
static vt_err
drain(struct server *server, bool *out_done)
{
    if (!server->draining) {
        server->draining = true;
        server->drain_ns = server_mono().ns;
        if (server->conns != NULL)
            conns_stop(server->conns);
    }
    bool quiet = (server->conns == NULL || conns_idle(server->conns)) &&
                 server->in_core_first == NULL && server->waiting_first == NULL &&
                 core_idle(server->core);

    *out_done = (quiet && server->end_marked) || drain_overdue(server);
    if (!quiet || server->end_marked)
        return VT_OK;
    vt_err err = core_stop(server->core, server_wall_us());

    server->end_marked = err == VT_OK;
    return err == VT_AGAIN ? VT_OK : err;
}

vt_err
server_run(struct server *server)
{
    bool done = false;
    vt_err err = VT_OK;

    while (err == VT_OK && !done) {
        err = server_step(server, ROUND_NS);
        if (err == VT_OK && atomic_load_explicit(&server->stopping, memory_order_relaxed))
            err = drain(server, &done);
    }
    if (err != VT_OK)
        (void)core_failed(server->core); /* puts the first failure's detail in place */
    return err;
}

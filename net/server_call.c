/* server_call.c - see call.h: both ends of a call. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server_internal.h"
#include "venturi/assert.h"

vt_err
call_wait(struct server *server, struct call *call)
{
    uint64_t one = 1;

    call->waiter.kind = WAITER_CALL;
    call->next = NULL;
    call->done = false;
    call->err = VT_OK;
    call->detail[0] = '\0';
    pthread_mutex_lock(&server->mailbox_lock);
    if (server->mailbox_closed) {
        pthread_mutex_unlock(&server->mailbox_lock);
        return call->err = VT_STOPPING;
    }
    if (server->mailbox_last == NULL)
        server->mailbox_first = call;
    else
        server->mailbox_last->next = call;
    server->mailbox_last = call;
    pthread_mutex_unlock(&server->mailbox_lock);
    ssize_t written = write(server->wake_fd, &one, sizeof one);

    (void)written; /* a full counter wakes as well */
    pthread_mutex_lock(&server->mailbox_lock);
    while (!call->done)
        pthread_cond_wait(&server->mailbox_answered, &server->mailbox_lock);
    pthread_mutex_unlock(&server->mailbox_lock);
    return call->err;
}

static void
call_answer(struct server *server, struct call *call, vt_err err)
{
    call->err = err;
    if (err != VT_OK)
        (void)snprintf(call->detail, sizeof call->detail, "%s", vt_err_last());
    vt_err_clear();
    pthread_mutex_lock(&server->mailbox_lock);
    call->done = true;
    pthread_cond_broadcast(&server->mailbox_answered);
    pthread_mutex_unlock(&server->mailbox_lock);
}

/* VT_OK: the core has it and will answer. */
static vt_err
call_start(struct server *server, struct call *call)
{
    struct catalog_zones source = zones_source(server->zones);

    switch (call->kind) {
    case CALL_FRAME:
        call->frame.waiter = call;
        return core_add_frame(server->core, &call->frame);
    case CALL_VIEW:
        return core_view_ask(server->core, call->want_tenants, call);
    case CALL_CATALOG:
        return core_add_catalog(server->core, call->text, &source, call);
    case CALL_CLOSE:
        return core_add_close(server->core, &call->close, call);
    case CALL_SETTLE:
        return core_add_settle(server->core, call->retry, call->positions, call->position_count,
                               call);
    case CALL_STATS:
        core_get_stats(server->core, &call->stats);
        if (server->conns != NULL)
            conns_get_stats(server->conns, &call->conns);
        call->write_age_ns = server_write_age_ns(server);
        return VT_END; /* answered on the spot */
    }
    VT_ASSERT(false);
    return VT_INVALID;
}

static void
in_core_add(struct server *server, struct call *call)
{
    call->previous = NULL;
    call->next = server->in_core_first;
    if (call->next != NULL)
        call->next->previous = call;
    server->in_core_first = call;
}

static void
in_core_remove(struct server *server, struct call *call)
{
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        server->in_core_first = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
}

/* False where it must wait for the core. */
static bool
call_try(struct server *server, struct call *call)
{
    vt_err err = server->draining ? VT_STOPPING : call_start(server, call);

    if (err == VT_AGAIN)
        return false;
    if (err == VT_OK)
        in_core_add(server, call);
    else
        call_answer(server, call, err == VT_END ? VT_OK : err);
    return true;
}

static bool
only_asks(const struct call *call)
{
    return call->kind == CALL_STATS || call->kind == CALL_VIEW;
}

static void
waiting_add(struct server *server, struct call *call)
{
    call->next = NULL;
    if (server->waiting_last == NULL)
        server->waiting_first = call;
    else
        server->waiting_last->next = call;
    server->waiting_last = call;
}

void
server_calls_take(struct server *server)
{
    pthread_mutex_lock(&server->mailbox_lock);
    struct call *taken = server->mailbox_first;

    if (taken != NULL) {
        if (server->waiting_last == NULL)
            server->waiting_first = taken;
        else
            server->waiting_last->next = taken;
        server->waiting_last = server->mailbox_last;
    }
    server->mailbox_first = NULL;
    server->mailbox_last = NULL;
    pthread_mutex_unlock(&server->mailbox_lock);
    struct call *call = server->waiting_first;
    bool blocked = false;

    server->waiting_first = NULL;
    server->waiting_last = NULL;
    while (call != NULL) {
        struct call *next = call->next; /* once answered it is the caller's again */

        /* Those who bring something keep their order; who only asks does not wait behind them. */
        if ((blocked && !only_asks(call)) || !call_try(server, call)) {
            blocked = true;
            waiting_add(server, call);
        }
        call = next;
    }
}

void
server_call_acked(struct server *server, struct call *call, const struct core_ack *ack)
{
    const struct batch *batch = ack->batch;

    in_core_remove(server, call);
    call->position = ack->position;
    call->event_count = ack->event_count;
    call->settled = ack->settled;
    if (batch != NULL) {
        call->verdicts = malloc(2 * (size_t)batch->event_count);
        if (call->verdicts == NULL) {
            call_answer(server, call, VT_NOMEM);
            return;
        }
        memcpy(call->verdicts, batch->verdict, batch->event_count);
        memcpy(call->verdicts + batch->event_count, batch->reason, batch->event_count);
        for (uint32_t e = 0; e < batch->event_count; e++)
            call->accepted += batch->verdict[e] == VT_ACCEPTED;
    }
    call_answer(server, call, ack->err);
}

void
server_call_viewed(struct server *server, struct call *call, struct view *view, vt_err err)
{
    in_core_remove(server, call);
    call->view = view;
    call_answer(server, call, err);
}

/* Nobody waits for ever: what came too late, or what the core will not answer any more, is told
 * so. */
void
server_calls_close(struct server *server)
{
    pthread_mutex_lock(&server->mailbox_lock);
    server->mailbox_closed = true;
    pthread_mutex_unlock(&server->mailbox_lock);
    server->draining = true;
    server_calls_take(server);
    while (server->in_core_first != NULL) {
        struct call *call = server->in_core_first;

        in_core_remove(server, call);
        call_answer(server, call, VT_STOPPING);
    }
}

/*
 * io_uring.c - the real disk: synchronous calls from io_posix.c, durable writes by the ring. The
 * ring is single issuer with deferred task run: completions are made where the owner polls, never
 * in an interrupt of its work. net/ puts its own entries on the same ring; bit 0 of the user data
 * says whose a completion is, since an io_op is aligned.
 *
 * A write that completes short is sent again once for the rest (a full disk shows itself so: the
 * rest then fails with its reason); anything but the exact count after that is a failure of the
 * operation.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "io_internal.h"
#include "venturi/assert.h"

/* Room for the receives of net/, which complete many times per entry. */
#define CQ_ENTRIES_MIN 4096U

struct uring_io {
    struct io base;
    struct io_ops ops;
    bool has_ring;
    struct io_uring ring;
    uint32_t entries;
    uint32_t in_flight;
    void (*foreign)(void *context, uint64_t user_data, int32_t result, uint32_t flags);
    void *foreign_context;
};

static struct uring_io *
uring_of(struct io *io)
{
    return (struct uring_io *)io;
}

static vt_err
ring_failed(int error, const char *what)
{
    const char *name = strerrorname_np(error);

    return vt_err_detail(VT_IO, "%s: %s", what, name == NULL ? "?" : name);
}

/* Queues the part of op->buffer beyond op->done_bytes. */
static vt_err
queue_write(struct uring_io *io, struct io_op *op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);

    if (sqe == NULL) {
        /* net/ filled the queue; the kernel takes all of it at once. */
        int submitted = io_uring_submit(&io->ring);

        if (submitted < 0 && submitted != -EBUSY && submitted != -EAGAIN)
            return ring_failed(-submitted, "io_uring_submit");
        sqe = io_uring_get_sqe(&io->ring);
        if (sqe == NULL)
            return VT_AGAIN;
    }
    io_uring_prep_write(sqe, io_posix_fd(op->file), (uint8_t *)op->buffer + op->done_bytes,
                        op->bytes - op->done_bytes, op->offset + op->done_bytes);
    sqe->rw_flags = RWF_DSYNC;
    io_uring_sqe_set_data(sqe, op);
    return VT_OK;
}

static vt_err
uring_write_start(struct io *base, struct io_op *op)
{
    struct uring_io *io = uring_of(base);

    VT_ASSERT(((uintptr_t)op & 1) == 0);
    if (!io->has_ring)
        return vt_err_detail(VT_UNSUPPORTED, "this io was opened without a ring");
    if (io->in_flight == io->entries)
        return VT_AGAIN;
    vt_err err = queue_write(io, op);

    if (err == VT_OK)
        io->in_flight++;
    return err;
}

/* The verdict on a completion; VT_AGAIN means that the rest was queued again. */
static vt_err
judge_write(struct uring_io *io, struct io_op *op, int32_t result)
{
    uint32_t rest = op->bytes - op->done_bytes;

    if (result == -ECANCELED)
        return vt_err_detail(VT_CANCELLED, "a write was cancelled");
    if (result == -ENOSPC || result == -EDQUOT)
        return vt_err_detail(VT_FULL, "a write found the disk full");
    if (result < 0)
        return ring_failed(-result, "write");
    if ((uint32_t)result == rest)
        return VT_OK;
    /* Direct I/O goes on at a block; a write that got nowhere is not tried again. */
    uint32_t whole = (uint32_t)result / IO_ALIGN * IO_ALIGN;

    if (op->done_bytes > 0 || whole == 0 || whole >= rest)
        return vt_err_detail(VT_IO, "a write of %u bytes ended after %u", op->bytes,
                             op->done_bytes + (uint32_t)result);
    op->done_bytes = whole;
    vt_err err = queue_write(io, op);

    return err == VT_OK ? VT_AGAIN : vt_err_detail(VT_IO, "the rest of a short write was refused");
}

static void
complete_write(struct uring_io *io, struct io_op *op, int32_t result)
{
    vt_err err = judge_write(io, op, result);

    if (err == VT_AGAIN)
        return;
    VT_ASSERT(io->in_flight > 0);
    io->in_flight--;
    if (err != VT_OK)
        op->file->dead = true;
    op->done(op, err);
}

/* Hands over what has completed. A callback may start writes; they are submitted by the caller. */
static void
deliver(struct uring_io *io)
{
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&io->ring, &cqe) == 0) {
        uint64_t user_data = cqe->user_data;
        int32_t result = cqe->res;
        uint32_t flags = cqe->flags;

        io_uring_cqe_seen(&io->ring, cqe);
        if ((user_data & 1) != 0) {
            VT_ASSERT(io->foreign != NULL);
            io->foreign(io->foreign_context, user_data, result, flags);
        } else {
            complete_write(io, (struct io_op *)user_data, result); /* NOLINT(*-no-int-to-ptr) */
        }
    }
}

static bool
may_go_on(int result)
{
    /* EBUSY and EAGAIN: completions must be taken first, which is what follows. */
    return result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY ||
           result == -EAGAIN;
}

static vt_err
uring_poll(struct io *base, int64_t wait_ns)
{
    struct uring_io *io = uring_of(base);
    int result;

    if (!io->has_ring)
        return VT_OK;
    if (wait_ns > 0) {
        struct __kernel_timespec time = {wait_ns / 1000000000, wait_ns % 1000000000};
        struct io_uring_cqe *cqe;

        result = io_uring_submit_and_wait_timeout(&io->ring, &cqe, 1, &time, NULL);
    } else {
        result = io_uring_submit_and_get_events(&io->ring);
    }
    if (!may_go_on(result))
        return ring_failed(-result, "io_uring_enter");
    deliver(io);
    if (io_uring_sq_ready(&io->ring) > 0) {
        /* What callbacks started need not wait for the next round of the owner's loop. */
        result = io_uring_submit(&io->ring);
        if (!may_go_on(result))
            return ring_failed(-result, "io_uring_submit");
    }
    return VT_OK;
}

static void
uring_close(struct io *base)
{
    struct uring_io *io = uring_of(base);

    VT_ASSERT(io->in_flight == 0);
    if (io->has_ring)
        io_uring_queue_exit(&io->ring);
    free(io);
}

static vt_err
ring_open(struct uring_io *io, uint32_t entries)
{
    struct io_uring_params params;
    int result;

    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                   IORING_SETUP_CLAMP;
    params.cq_entries = entries * 8 > CQ_ENTRIES_MIN ? entries * 8 : CQ_ENTRIES_MIN;
    result = io_uring_queue_init_params(entries, &io->ring, &params);
    if (result == -ENOSYS || result == -EPERM || result == -EACCES)
        return vt_err_detail(VT_UNSUPPORTED,
                             "io_uring is switched off on this system (%s); see the sysctl "
                             "kernel.io_uring_disabled and the container's seccomp profile",
                             strerrorname_np(-result));
    if (result == -EINVAL)
        return vt_err_detail(VT_UNSUPPORTED, "this kernel's io_uring is too old; Linux 6.1 has "
                                             "what is needed");
    if (result < 0)
        return ring_failed(-result, "io_uring_setup");
    io->has_ring = true;
    io->entries = entries;
    return VT_OK;
}

/* --- readers' rings */

struct read_ring {
    struct io_uring ring;
    uint32_t depth;
};

/* No ring is no failure: the reads are made one by one. */
static void *
read_ring_open(uint32_t depth)
{
    struct read_ring *ring = calloc(1, sizeof *ring);

    if (ring == NULL)
        return NULL;
    ring->depth = depth;
    if (io_uring_queue_init(depth, &ring->ring, 0) < 0) {
        free(ring);
        return NULL;
    }
    return ring;
}

static void
read_ring_close(void *state)
{
    struct read_ring *ring = state;

    io_uring_queue_exit(&ring->ring);
    free(ring);
}

/* Takes one completion; false where the kernel gives none. */
static bool
read_ring_take(struct read_ring *ring, struct io_read *reads)
{
    struct io_uring_cqe *cqe;
    int result;

    do {
        result = io_uring_wait_cqe(&ring->ring, &cqe);
    } while (result == -EINTR);
    if (result < 0)
        return false;
    struct io_read *read = &reads[cqe->user_data];

    if (cqe->res >= 0 && (uint32_t)cqe->res == read->bytes)
        read->err = VT_OK;
    io_uring_cqe_seen(&ring->ring, cqe);
    return true;
}

static void
read_ring_read(void *state, struct io_read *reads, uint32_t count)
{
    struct read_ring *ring = state;
    uint32_t started = 0;
    uint32_t taken = 0;

    while (taken < count) {
        while (started < count && started - taken < ring->depth) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

            if (sqe == NULL)
                break;
            io_uring_prep_read(sqe, io_posix_fd(reads[started].file), reads[started].buffer,
                               reads[started].bytes, reads[started].offset);
            io_uring_sqe_set_data64(sqe, started);
            started++;
        }
        int submitted = io_uring_submit(&ring->ring);

        /* The kernel owns the buffers of what it took until they complete: nothing may be left. */
        VT_ASSERT(submitted >= 0 || submitted == -EINTR || submitted == -EAGAIN ||
                  submitted == -EBUSY);
        VT_ASSERT(started > taken);
        bool got = read_ring_take(ring, reads);

        VT_ASSERT(got);
        taken++;
    }
}

vt_err
io_uring_open(uint32_t entries, struct io **out_io)
{
    struct uring_io *io = calloc(1, sizeof *io);

    if (io == NULL)
        return VT_NOMEM;
    io_posix_fill(&io->ops);
    io->ops.write_start = uring_write_start;
    io->ops.poll = uring_poll;
    io->ops.close = uring_close;
    io->ops.ring_open = read_ring_open;
    io->ops.ring_read = read_ring_read;
    io->ops.ring_close = read_ring_close;
    io->base.ops = &io->ops;
    if (entries > 0) {
        vt_err err = ring_open(io, entries);

        if (err != VT_OK) {
            free(io);
            return err;
        }
    }
    *out_io = &io->base;
    return VT_OK;
}

struct io_uring *
io_uring_ring(struct io *base)
{
    struct uring_io *io = uring_of(base);

    /* The simulated disk has no ring either. */
    if (base->ops->poll != uring_poll || !io->has_ring)
        return NULL;
    return &io->ring;
}

void
io_uring_set_foreign(struct io *base,
                     void (*foreign)(void *context, uint64_t user_data, int32_t result,
                                     uint32_t flags),
                     void *context)
{
    VT_ASSERT(io_uring_ring(base) != NULL);
    uring_of(base)->foreign = foreign;
    uring_of(base)->foreign_context = context;
}

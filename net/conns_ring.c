/* conns_ring.c - the connections' entries on the ring, their receive buffers and their output. See
 * conns_internal.h. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "conns_internal.h"
#include "venturi/assert.h"

#define BUFFER_GROUP     1
#define BUFFER_RING_SIZE (CONNS_BUFFER_COUNT * sizeof(struct io_uring_buf))
#define BUFFER_SIZE      ((size_t)CONNS_BUFFER_COUNT * CONNS_BUFFER_BYTES)
#define OUT_BYTES_MIN    UINT32_C(1024)

/* ---- receive buffers */

/* liburing 2.3 lacks the set-up call: the ring of buffers is memory of ours that is registered. */
vt_err
conns_buffers_open(struct conns *conns)
{
    int protection = PROT_READ | PROT_WRITE;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *ring = mmap(NULL, BUFFER_RING_SIZE, protection, flags, -1, 0);
    void *buffers = mmap(NULL, BUFFER_SIZE, protection, flags, -1, 0);

    conns->buffer_ring = ring == MAP_FAILED ? NULL : ring;
    conns->buffers = buffers == MAP_FAILED ? NULL : buffers;
    if (conns->buffer_ring == NULL || conns->buffers == NULL)
        return VT_NOMEM;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)ring,
        .ring_entries = CONNS_BUFFER_COUNT,
        .bgid = BUFFER_GROUP,
    };
    int result = io_uring_register_buf_ring(conns->ring, &registration, 0);

    if (result < 0)
        return vt_err_detail(VT_UNSUPPORTED, "io_uring has no buffer rings (%s); Linux 6.1 has",
                             strerrorname_np(-result));
    io_uring_buf_ring_init(conns->buffer_ring);
    for (uint16_t i = 0; i < CONNS_BUFFER_COUNT; i++)
        conns_buffer_put(conns, i);
    return VT_OK;
}

/* Nothing may be receiving. */
void
conns_buffers_close(struct conns *conns)
{
    if (conns->buffer_ring != NULL) {
        /* Fails only where it was not registered. */
        (void)io_uring_unregister_buf_ring(conns->ring, BUFFER_GROUP);
        munmap(conns->buffer_ring, BUFFER_RING_SIZE);
    }
    if (conns->buffers != NULL)
        munmap(conns->buffers, BUFFER_SIZE);
    conns->buffer_ring = NULL;
    conns->buffers = NULL;
}

void
conns_buffer_put(struct conns *conns, uint16_t buffer)
{
    VT_ASSERT(buffer < CONNS_BUFFER_COUNT);
    io_uring_buf_ring_add(conns->buffer_ring, conns->buffers + (size_t)buffer * CONNS_BUFFER_BYTES,
                          CONNS_BUFFER_BYTES, buffer, io_uring_buf_ring_mask(CONNS_BUFFER_COUNT),
                          0);
    io_uring_buf_ring_advance(conns->buffer_ring, 1);
    conns->buffers_free++;
    VT_ASSERT(conns->buffers_free <= CONNS_BUFFER_COUNT);
}

/* ---- entries */

/* Bit 0 says that it is not the store's, bit 1 is the server's own; then the kind and the slot. */
static uint64_t
user_data_of(enum conn_op op, uint32_t slot)
{
    return UINT64_C(1) | (uint64_t)op << 2 | (uint64_t)slot << 8;
}

static struct io_uring_sqe *
entry_get(struct conns *conns)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(conns->ring);

    if (entry != NULL)
        return entry;
    /* Full: the kernel takes all of it at once. A failure shows itself by no entry. */
    (void)io_uring_submit(conns->ring);
    return io_uring_get_sqe(conns->ring);
}

bool
conns_try_accept(struct conns *conns)
{
    VT_ASSERT(!conns->accepting);
    struct io_uring_sqe *entry = entry_get(conns);

    if (entry == NULL)
        return false;
    io_uring_prep_multishot_accept(entry, conns->options.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(entry, user_data_of(OP_ACCEPT, 0));
    conns->accepting = true;
    conns->ring_ops++;
    return true;
}

bool
conns_try_cancel_accept(struct conns *conns)
{
    struct io_uring_sqe *entry = entry_get(conns);

    if (entry == NULL)
        return false;
    io_uring_prep_cancel64(entry, user_data_of(OP_ACCEPT, 0), 0);
    io_uring_sqe_set_data64(entry, user_data_of(OP_CANCEL, 0));
    return true;
}

bool
conn_try_receive(struct conns *conns, struct conn *conn)
{
    VT_ASSERT(!conn->receiving);
    struct io_uring_sqe *entry = entry_get(conns);

    if (entry == NULL)
        return false;
    io_uring_prep_recv_multishot(entry, conn->fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data64(entry, user_data_of(OP_RECEIVE, conn_slot(conns, conn)));
    conn->receiving = true;
    conn->cancelling = false;
    conns->ring_ops++;
    return true;
}

bool
conn_try_cancel_receive(struct conns *conns, struct conn *conn)
{
    VT_ASSERT(conn->receiving);
    struct io_uring_sqe *entry = entry_get(conns);

    if (entry == NULL)
        return false;
    io_uring_prep_cancel64(entry, user_data_of(OP_RECEIVE, conn_slot(conns, conn)), 0);
    io_uring_sqe_set_data64(entry, user_data_of(OP_CANCEL, conn_slot(conns, conn)));
    conn->cancelling = true;
    return true;
}

/* ---- output */

uint32_t
conn_out_bytes(const struct conn *conn)
{
    return conn->out[0].size + conn->out[1].size - conn->out_sent;
}

bool
conn_try_send(struct conns *conns, struct conn *conn)
{
    VT_ASSERT(!conn->sending);
    const struct conn_out *out = &conn->out[conn->out_at];

    VT_ASSERT(conn->out_sent < out->size);
    struct io_uring_sqe *entry = entry_get(conns);

    if (entry == NULL)
        return false;
    io_uring_prep_send(entry, conn->fd, out->data + conn->out_sent, out->size - conn->out_sent,
                       MSG_NOSIGNAL);
    io_uring_sqe_set_data64(entry, user_data_of(OP_SEND, conn_slot(conns, conn)));
    conn->sending = true;
    conns->ring_ops++;
    return true;
}

/* An empty buffer that one large answer had grown. */
static void
out_trim(struct conn_out *out)
{
    out->size = 0;
    if (out->capacity <= CONNS_OUT_KEEP)
        return;
    free(out->data);
    *out = (struct conn_out){.data = NULL};
}

void
conn_sent(struct conns *conns, struct conn *conn, uint32_t bytes)
{
    struct conn_out *out = &conn->out[conn->out_at];

    VT_ASSERT(bytes <= out->size - conn->out_sent);
    conn->out_sent += bytes;
    conn->out_ns = conns->now_ns;
    if (conn->out_sent < out->size)
        return;
    out_trim(out);
    conn->out_sent = 0;
    conn->out_at ^= 1;
}

/* The buffer that is not the kernel's. Before the first send all goes to one. */
static struct conn_out *
out_open(struct conn *conn)
{
    bool taken = conn->sending || conn->out_sent > 0;

    return &conn->out[taken ? conn->out_at ^ 1 : conn->out_at];
}

uint8_t *
conn_out_begin(struct conns *conns, struct conn *conn, uint32_t payload_bytes)
{
    struct conn_out *out = out_open(conn);
    uint32_t bytes = (uint32_t)sizeof(struct vt_frame_header) + payload_bytes;
    uint32_t capacity = out->capacity == 0 ? OUT_BYTES_MIN : out->capacity;

    if (conn_out_bytes(conn) == 0)
        conn->out_ns = conns->now_ns;
    if (conn_out_bytes(conn) + bytes > CONNS_OUT_HARD) {
        conn_kill(conns, conn);
        return NULL;
    }
    while (capacity < out->size + bytes)
        capacity *= 2;
    if (capacity > out->capacity) {
        uint8_t *grown = realloc(out->data, capacity);

        if (grown == NULL) {
            conn_kill(conns, conn);
            return NULL;
        }
        out->data = grown;
        out->capacity = capacity;
    }
    uint8_t *frame = out->data + out->size;

    /* The length waits in its place of the header for conn_out_end. */
    ((struct vt_frame_header *)frame)->length = le32_put(payload_bytes);
    return frame + sizeof(struct vt_frame_header);
}

void
conn_out_end(struct conns *conns, struct conn *conn, enum vt_frame_type type, uint64_t sequence)
{
    struct conn_out *out = out_open(conn);
    struct vt_frame_header *header = (struct vt_frame_header *)(out->data + out->size);
    uint32_t bytes = le32_get(header->length);

    VT_ASSERT(out->size + sizeof *header + bytes <= out->capacity);
    vt_frame_header_init(header, type, sequence, 0,
                         (struct vt_bytes){(const uint8_t *)(header + 1), bytes});
    out->size += (uint32_t)sizeof *header + bytes;
    if (conn_out_bytes(conn) > CONNS_OUT_SOFT)
        conn->paused = true;
    conn_ready(conns, conn);
}

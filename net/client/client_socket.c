/* client_socket.c - see client_internal.h. Sockets do not block; poll waits. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client_internal.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define INPUT_BYTES_MIN  (UINT32_C(64) << 10)
#define INPUT_BYTES_MAX  ((UINT32_C(2) << 20) + 64)
#define ANSWER_BYTES_MAX (UINT32_C(2) << 20) /* an ack of 65,536 verdicts has half a MiB */
#define HEADER_BYTES     ((uint32_t)sizeof(struct vt_frame_header))

int64_t
client_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
client_disconnect(struct vt_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->input_fill = 0;
    client->sent = 0;
    client->rewind = false;
    client->sent_bytes = 0;
    client->flying = 0;
    client->flying_bytes = 0;
    client->lost_ms = client_now_ms();
}

static vt_err
socket_failed(const struct vt_client *client, int code)
{
    return vt_err_detail(VT_IO, "%s: %s", client->options.address, strerrordesc_np(code));
}

vt_err
client_wait(struct vt_client *client, bool to_write, uint32_t wait_ms)
{
    struct pollfd entry = {
        .fd = client->fd,
        .events = (short)(POLLIN | (to_write ? POLLOUT : 0)),
    };

    VT_ASSERT(client->fd >= 0);
    if (poll(&entry, 1, (int)wait_ms) < 0 && errno != EINTR)
        return socket_failed(client, errno);
    return VT_OK;
}

vt_err
client_write(struct vt_client *client, const uint8_t *bytes, uint32_t size, uint32_t *out_written)
{
    ssize_t written = send(client->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (written < 0 && errno != EAGAIN && errno != EINTR)
        return socket_failed(client, errno);
    *out_written = written < 0 ? 0 : (uint32_t)written;
    return VT_OK;
}

static vt_err
input_reserve(struct vt_client *client)
{
    uint32_t capacity = client->input_capacity == 0 ? INPUT_BYTES_MIN : client->input_capacity * 2;

    if (client->input_fill < client->input_capacity)
        return VT_OK;
    if (capacity > INPUT_BYTES_MAX)
        capacity = INPUT_BYTES_MAX;
    if (capacity == client->input_capacity)
        return vt_err_detail(VT_TOO_LARGE, "%s: a frame without an end", client->options.address);
    uint8_t *grown = realloc(client->input, capacity);

    if (grown == NULL)
        return VT_NOMEM;
    client->input = grown;
    client->input_capacity = capacity;
    return VT_OK;
}

vt_err
client_read(struct vt_client *client)
{
    vt_err err = input_reserve(client);

    if (err != VT_OK)
        return err;
    ssize_t got = recv(client->fd, client->input + client->input_fill,
                       client->input_capacity - client->input_fill, MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? VT_OK : socket_failed(client, errno);
    if (got == 0)
        return vt_err_detail(VT_END, "%s: the daemon closed the connection",
                             client->options.address);
    client->input_fill += (uint32_t)got;
    client->heard_ms = client_now_ms();
    return VT_OK;
}

vt_err
client_input_next(const struct vt_client *client, struct client_input *out_input)
{
    const struct vt_frame_header *header = (const struct vt_frame_header *)client->input;

    if (client->input_fill < HEADER_BYTES)
        return VT_INCOMPLETE;
    vt_err err = vt_frame_header_check(header, ANSWER_BYTES_MAX);

    if (err != VT_OK)
        return vt_err_detail(err, "%s: an answer's header: %s", client->options.address,
                             vt_err_text(err));
    uint32_t length = le32_get(header->length);

    if (client->input_fill - HEADER_BYTES < length)
        return VT_INCOMPLETE;
    if (vt_crc32c(client->input + HEADER_BYTES, length) != le32_get(header->payload_crc))
        return vt_err_detail(VT_BAD_CRC, "%s: an answer's payload is damaged",
                             client->options.address);
    *out_input = (struct client_input){
        .type = header->type,
        .sequence = le64_get(header->sequence),
        .payload = {client->input + HEADER_BYTES, length},
    };
    return VT_OK;
}

void
client_input_drop(struct vt_client *client, const struct client_input *input)
{
    uint32_t bytes = HEADER_BYTES + (uint32_t)input->payload.size;

    VT_ASSERT(bytes <= client->input_fill);
    client->input_fill -= bytes;
    memmove(client->input, client->input + bytes, client->input_fill);
}

/* ---- connecting */

/* 0 where it is none: a larger number would be taken modulo 65536 on the way. */
static uint32_t
port_read(const char *digits)
{
    unsigned long port = strtoul(digits, NULL, 10);

    return port > UINT16_MAX ? 0 : (uint32_t)port;
}

static vt_err
address_find(const char *address, struct addrinfo **out_found)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    const char *start = address;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    if (colon == NULL || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || port_read(colon + 1) == 0)
        return vt_err_detail(VT_INVALID, "%s: not HOST:PORT", address);
    size_t size = (size_t)(colon - address);

    if (size >= 2 && address[0] == '[' && address[size - 1] == ']') {
        start++;
        size -= 2;
    }
    if (size >= sizeof host)
        return vt_err_detail(VT_INVALID, "%s: the host is too long", address);
    memcpy(host, start, size);
    host[size] = '\0';
    int failed = getaddrinfo(size == 0 ? "127.0.0.1" : host, colon + 1, &hints, out_found);

    return failed == 0 ? VT_OK
                       : vt_err_detail(VT_NOT_FOUND, "%s: %s", address, gai_strerror(failed));
}

static vt_err
connect_one(struct vt_client *client, const struct addrinfo *address, int64_t until_ms)
{
    int one = 1;
    int code = 0;
    socklen_t code_size = sizeof code;

    client->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        return socket_failed(client, errno);
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* only slower */
    if (connect(client->fd, address->ai_addr, address->ai_addrlen) == 0)
        return VT_OK;
    if (errno != EINPROGRESS)
        return socket_failed(client, errno);
    struct pollfd entry = {.fd = client->fd, .events = POLLOUT};
    int64_t left = until_ms - client_now_ms();
    int ready = poll(&entry, 1, left > 0 ? (int)left : 0);

    if (ready == 0)
        return vt_err_detail(VT_DEADLINE, "%s: no connection in time", client->options.address);
    if (ready < 0 || getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &code, &code_size) != 0)
        return socket_failed(client, errno);
    return code == 0 ? VT_OK : socket_failed(client, code);
}

static vt_err
hello_send(struct vt_client *client)
{
    uint8_t bytes[sizeof(struct vt_frame_header) + sizeof(struct vt_hello_head) + 510];
    const struct vt_client_options *options = &client->options;
    struct vt_hello_head head = {
        .version_max = le16_put(VT_FRAME_VERSION),
        .token_size = (uint8_t)options->token.size,
        .producer_size = (uint8_t)options->producer.size,
        .epoch = le64_put(options->epoch),
    };
    uint8_t *payload = bytes + HEADER_BYTES;
    uint32_t size = (uint32_t)sizeof head;
    struct vt_frame_header header;

    memcpy(payload, &head, sizeof head);
    memcpy(payload + size, options->token.data, options->token.size);
    size += options->token.size;
    if (options->producer.size > 0)
        memcpy(payload + size, options->producer.data, options->producer.size);
    size += options->producer.size;
    vt_frame_header_init(&header, VT_FRAME_HELLO, 0, 0, (struct vt_bytes){payload, size});
    memcpy(bytes, &header, sizeof header);
    /* A new connection takes these few bytes at once. */
    ssize_t written = send(client->fd, bytes, HEADER_BYTES + size, MSG_NOSIGNAL);

    if (written < 0)
        return socket_failed(client, errno);
    return written == (ssize_t)(HEADER_BYTES + size)
               ? VT_OK
               : vt_err_detail(VT_IO, "%s: the hello does not go out", client->options.address);
}

vt_err
client_connect(struct vt_client *client)
{
    struct addrinfo *found = NULL;
    int64_t until_ms = client_now_ms() + client->options.connect_ms;

    VT_ASSERT(client->fd < 0);
    vt_err err = address_find(client->options.address, &found);

    if (err != VT_OK)
        return err;
    err = VT_NOT_FOUND;
    for (const struct addrinfo *at = found; at != NULL && err != VT_OK; at = at->ai_next) {
        vt_err_clear();
        err = connect_one(client, at, until_ms);
        if (err != VT_OK)
            client_disconnect(client);
    }
    freeaddrinfo(found);
    if (err == VT_OK)
        err = hello_send(client);
    if (err != VT_OK)
        client_disconnect(client);
    client->heard_ms = client_now_ms();
    return err;
}

/*
 * Goal:   every frame is settled exactly once, whatever becomes of the connections, and what the
 *         daemon has is not sent again; a daemon that misbehaves ends the client with an error.
 * Method: a daemon by script on a thread of its own: it says welcome, takes frames, answers some,
 *         and closes, connection after connection; the client's callbacks are counted.
 */
#include "venturi/client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "venturi/assert.h"

#define FRAMES      12U
#define CONNECTIONS 4U
#define EVENTS      5U

/* What the daemon does with one connection. */
struct act {
    uint64_t sequence_next; /* of its welcome */
    uint32_t take;          /* frames that it reads before it closes */
    uint32_t ack;           /* of these it acks the first */
    uint64_t refuse;        /* and refuses the one of this sequence instead */
    uint8_t full[FRAMES];   /* its disk is full the first so many times that a frame comes */
    uint16_t fatal;         /* sends this error at last */
    uint64_t history;
    bool garbage; /* answers with bytes that are no frame */
};

struct fake {
    int listen_fd;
    uint16_t port;
    uint32_t act_count;
    struct act acts[CONNECTIONS];
    pthread_t thread;
    uint64_t seen[64]; /* sequences of all frames in the order of arrival */
    uint32_t seen_count;
};

struct counts {
    uint32_t acked[FRAMES];
    uint32_t resumed[FRAMES];
    uint32_t refused[FRAMES];
    uint32_t waits;
    uint32_t waits_over;
    vt_err refusal;   /* that is expected; 0: VT_FORBIDDEN */
    uint64_t full_ms; /* option */
};

static bool
read_exact(int fd, void *bytes, size_t size)
{
    uint8_t *at = bytes;

    while (size > 0) {
        ssize_t got = recv(fd, at, size, 0);

        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

static bool
read_frame(int fd, struct vt_frame_header *header)
{
    static uint8_t payload[4096];

    return read_exact(fd, header, sizeof *header) && le32_get(header->length) <= sizeof payload &&
           read_exact(fd, payload, le32_get(header->length));
}

static void
write_frame(int fd, enum vt_frame_type type, uint64_t sequence, const void *payload, size_t size)
{
    struct vt_frame_header header;

    vt_frame_header_init(&header, type, sequence, 0, (struct vt_bytes){payload, size});
    (void)!send(fd, &header, sizeof header, MSG_NOSIGNAL);
    (void)!send(fd, payload, size, MSG_NOSIGNAL);
}

static void
write_error(int fd, uint16_t code, uint16_t flags, uint64_t sequence)
{
    struct vt_error_head head = {.code = le16_put(code),
                                 .flags = le16_put(flags),
                                 .text_size = le32_put(0),
                                 .sequence = le64_put(sequence)};

    write_frame(fd, VT_FRAME_ERROR, sequence, &head, sizeof head);
}

static uint32_t
times_seen(const struct fake *fake, uint32_t index)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < fake->seen_count; i++)
        count += fake->seen[i] == 1 + (uint64_t)index * EVENTS;
    return count;
}

static void
perform(struct fake *fake, const struct act *act, int fd)
{
    struct vt_frame_header header;
    struct vt_welcome welcome = {
        .version = le16_put(1),
        .frame_bytes_max = le32_put(1 << 20),
        .batch_events_max = le32_put(65536),
        .credit_frames = le32_put(4),
        .credit_bytes = le32_put(1 << 20),
        .sequence_next = le64_put(act->sequence_next),
        .history = le64_put(act->history),
    };

    if (!read_frame(fd, &header) || header.type != VT_FRAME_HELLO)
        return;
    if (act->garbage) {
        (void)!send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n 123456", 36, MSG_NOSIGNAL);
        return;
    }
    write_frame(fd, VT_FRAME_WELCOME, 0, &welcome, sizeof welcome);
    for (uint32_t i = 0; i < act->take && read_frame(fd, &header); i++) {
        uint64_t sequence = le64_get(header.sequence);

        if (fake->seen_count < VT_COUNT(fake->seen))
            fake->seen[fake->seen_count++] = sequence;
        if (sequence == act->refuse) {
            write_error(fd, VT_FORBIDDEN, 0, sequence);
            continue;
        }
        uint64_t index = (sequence - 1) / EVENTS;

        if (index < FRAMES && times_seen(fake, (uint32_t)index) <= act->full[index]) {
            write_error(fd, VT_DISK_FULL, 0, sequence);
            continue;
        }
        if (i >= act->ack)
            continue;
        struct vt_ack_head ack = {
            .sequence = header.sequence,
            .position = le64_put(sequence),
            .event_count = header.event_count,
            .accepted = header.event_count,
        };

        write_frame(fd, VT_FRAME_ACK, sequence, &ack, sizeof ack);
    }
    if (act->fatal != 0)
        write_error(fd, act->fatal, VT_ERROR_FATAL, 0);
}

static void *
fake_main(void *context)
{
    struct fake *fake = context;

    for (uint32_t i = 0; i < fake->act_count; i++) {
        int fd = accept(fake->listen_fd, NULL, NULL);
        uint8_t rest[256];

        if (fd < 0)
            return NULL;
        perform(fake, &fake->acts[i], fd);
        /* Unread bytes would make the close a reset, which overtakes what was said. */
        shutdown(fd, SHUT_WR);
        while (recv(fd, rest, sizeof rest, 0) > 0)
            continue;
        close(fd);
    }
    return NULL;
}

static void
fake_start(struct fake *fake)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    fake->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fake->listen_fd >= 0);
    cr_assert(bind(fake->listen_fd, (struct sockaddr *)&address, sizeof address) == 0);
    cr_assert(listen(fake->listen_fd, 8) == 0);
    cr_assert(getsockname(fake->listen_fd, (struct sockaddr *)&address, &size) == 0);
    fake->port = ntohs(address.sin_port);
    cr_assert(pthread_create(&fake->thread, NULL, fake_main, fake) == 0);
}

static void
fake_end(struct fake *fake)
{
    shutdown(fake->listen_fd, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    close(fake->listen_fd);
}

static void
on_acked(void *context, const struct vt_client_ack *ack)
{
    struct counts *counts = context;
    uint64_t index = (ack->sequence - 1) / EVENTS;

    cr_assert(index < FRAMES && ack->event_count == EVENTS);
    if (ack->resumed)
        counts->resumed[index]++;
    else
        counts->acked[index]++;
}

static void
on_refused(void *context, const struct vt_client_refusal *refusal)
{
    struct counts *counts = context;

    cr_assert(refusal->err == (counts->refusal == VT_OK ? VT_FORBIDDEN : counts->refusal));
    counts->refused[(refusal->sequence - 1) / EVENTS]++;
}

static void
on_waiting(void *context, const struct vt_str *text)
{
    struct counts *counts = context;

    counts->waits += text != NULL;
    counts->waits_over += text == NULL;
}

static vt_err
run(struct fake *fake, struct counts *counts, const char *producer)
{
    char address[32];
    struct vt_client *client = NULL;
    uint8_t payload[100] = {1, 2, 3};

    fake_start(fake);
    snprintf(address, sizeof address, "127.0.0.1:%u", fake->port);
    struct vt_client_options options = {
        .address = address,
        .token = VT_STR("vt_x"),
        .producer = {producer, (uint32_t)strlen(producer)},
        .epoch = 1,
        .connect_ms = 400,
        .away_ms = 1000,
        .full_ms = counts->full_ms,
        .acked = on_acked,
        .waiting = on_waiting,
        .refused = on_refused,
        .context = counts,
    };
    vt_err err = vt_client_open(&options, &client);

    for (uint32_t i = 0; err == VT_OK && i < FRAMES; i++)
        err = vt_client_send(client, VT_FRAME_BATCH_ROWS, EVENTS,
                             (struct vt_bytes){payload, sizeof payload});
    if (err == VT_OK)
        err = vt_client_flush(client);
    vt_client_close(client);
    fake_end(fake);
    return err;
}

Test(client, a_session_resumes_where_the_daemon_says, .timeout = 20)
{
    /* Frames 0 and 1 are acked; 2 is durable without an ack; 3 is lost. Then 3 to 6 are taken and
     * acked but for 6; the third connection has nothing of 6. */
    struct fake fake = {.act_count = 3,
                        .acts = {{.sequence_next = 1, .take = 4, .ack = 2},
                                 {.sequence_next = 1 + 3 * EVENTS, .take = 4, .ack = 3},
                                 {.sequence_next = 1 + 6 * EVENTS, .take = 100, .ack = 100}}};
    struct counts counts = {.acked = {0}};

    cr_assert(run(&fake, &counts, "p") == VT_OK, "%s", vt_err_last());
    for (uint32_t i = 0; i < FRAMES; i++) {
        cr_expect(counts.acked[i] == (i == 2 ? 0 : 1), "frame %u: acked %u times", i,
                  counts.acked[i]);
        cr_expect(counts.resumed[i] == (i == 2 ? 1 : 0), "frame %u: resumed %u times", i,
                  counts.resumed[i]);
        cr_expect(times_seen(&fake, i) == (i == 3 || i == 6 ? 2 : 1), "frame %u: sent %u times", i,
                  times_seen(&fake, i));
    }
}

Test(client, without_a_session_all_that_is_open_goes_again, .timeout = 20)
{
    struct fake fake = {
        .act_count = 2,
        .acts = {{.sequence_next = 0, .take = 4, .ack = 2}, {.take = 100, .ack = 100}}};
    struct counts counts = {.acked = {0}};

    cr_assert(run(&fake, &counts, "") == VT_OK, "%s", vt_err_last());
    for (uint32_t i = 0; i < FRAMES; i++) {
        cr_expect(counts.acked[i] == 1 && counts.resumed[i] == 0, "frame %u", i);
        cr_expect(times_seen(&fake, i) == (i == 2 || i == 3 ? 2 : 1), "frame %u", i);
    }
}

Test(client, a_refused_frame_is_told_and_the_others_go_on, .timeout = 20)
{
    struct fake fake = {
        .act_count = 1,
        .acts = {{.sequence_next = 1, .take = 100, .ack = 100, .refuse = 1 + 3 * EVENTS}}};
    struct counts counts = {.acked = {0}};

    cr_assert(run(&fake, &counts, "p") == VT_OK, "%s", vt_err_last());
    for (uint32_t i = 0; i < FRAMES; i++) {
        cr_expect(counts.refused[i] == (i == 3 ? 1 : 0), "frame %u", i);
        cr_expect(counts.acked[i] == (i == 3 ? 0 : 1), "frame %u", i);
    }
}

/* Frame 1 is refused twice and frame 2 once, while those around them are taken: some were on their
 * way by then. */
static const struct fake full_twice = {
    .act_count = 1,
    .acts = {{.sequence_next = 1, .take = 100, .ack = 100, .full = {[1] = 2, [2] = 1}}},
};

Test(client, a_full_disk_is_waited_for, .timeout = 30)
{
    struct fake fake = full_twice;
    struct counts counts = {.full_ms = 20000};

    cr_assert(run(&fake, &counts, "p") == VT_OK, "%s", vt_err_last());
    for (uint32_t i = 0; i < FRAMES; i++) {
        cr_expect(counts.acked[i] == 1 && counts.refused[i] == 0, "frame %u", i);
        cr_expect(times_seen(&fake, i) == (i == 1   ? 3
                                           : i == 2 ? 2
                                                    : 1),
                  "frame %u: sent %u times", i, times_seen(&fake, i));
    }
    cr_expect(counts.waits > 0 && counts.waits_over == counts.waits, "%u waits, %u over",
              counts.waits, counts.waits_over);
}

Test(client, a_disk_that_stays_full_ends_the_wait, .timeout = 30)
{
    struct fake fake = {.act_count = 1, .acts = {{.sequence_next = 1, .take = 100}}};
    struct counts counts = {.full_ms = 1500};

    memset(fake.acts[0].full, UINT8_MAX, sizeof fake.acts[0].full);
    cr_expect(run(&fake, &counts, "p") == VT_DISK_FULL, "%s", vt_err_last());
    cr_expect(counts.acked[0] == 0 && counts.refused[0] == 0);
    cr_expect(counts.waits == 1 && counts.waits_over == 0);
}

Test(client, who_does_not_wait_is_refused, .timeout = 30)
{
    struct fake fake = full_twice;
    struct counts counts = {.refusal = VT_DISK_FULL};

    cr_assert(run(&fake, &counts, "p") == VT_OK, "%s", vt_err_last());
    for (uint32_t i = 0; i < FRAMES; i++) {
        bool refused = i == 1 || i == 2;

        cr_expect(counts.acked[i] == !refused && counts.refused[i] == refused, "frame %u", i);
    }
    cr_expect_eq(counts.waits, 0);
}

static const struct end_case {
    const char *name;
    uint32_t act_count;
    struct act acts[2];
    vt_err want;
} end_cases[] = {
    /* clang-format off */
    { "a token refused", 1, { { .sequence_next = 1, .fatal = VT_BAD_TOKEN } }, VT_BAD_TOKEN },
    { "a newer connection",     1, { { .sequence_next = 1, .take = 2, .ack = 1,
                                       .fatal = VT_PRODUCER_TAKEN } }, VT_PRODUCER_TAKEN },
    { "no daemon of ours",      1, { { .garbage = true } }, VT_BAD_MAGIC },
    { "another store",          2, { { .sequence_next = 1, .take = 2, .ack = 1 },
                                     { .sequence_next = 1, .history = 7 } }, VT_DIFFERENT },
    { "half of a frame",        2, { { .sequence_next = 1, .take = 2, .ack = 1 },
                                     { .sequence_next = 8 } }, VT_BAD_SEQUENCE },
    { "stopping, then silence", 1, { { .sequence_next = 1, .take = 2, .ack = 2,
                                       .fatal = VT_STOPPING } }, VT_DEADLINE },
    /* clang-format on */
};

Test(client, each_end_has_its_error, .timeout = 40)
{
    for (size_t i = 0; i < VT_COUNT(end_cases); i++) {
        const struct end_case *c = &end_cases[i];
        struct fake fake = {.act_count = c->act_count};
        struct counts counts = {.acked = {0}};

        memcpy(fake.acts, c->acts, sizeof c->acts);
        vt_err got = run(&fake, &counts, "p");

        cr_expect(got == c->want, "%s: want %s, got %s (%s)", c->name, vt_err_name(c->want),
                  vt_err_name(got), vt_err_last());
    }
}

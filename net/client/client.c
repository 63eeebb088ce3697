/* client.c - see venturi/client.h: what is in flight, what became of it, and coming back. */
#include "venturi/client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client_internal.h"
#include "venturi/assert.h"

#define CONNECT_MS_DEFAULT 5000U
#define SILENCE_MS_DEFAULT 30000U
#define BACKOFF_MS_FIRST   20U
#define BACKOFF_MS_MOST    500U
#define FLUSH_WAIT_MS      1000U
#define FULL_PAUSE_MS      1000U
#define NAME_BYTES_MAX     255U

/* ---- the ring of frames */

static struct client_frame *
frame_at(struct vt_client *client, uint32_t index)
{
    return &client->frames[(client->first + index) % CLIENT_PENDING_MAX];
}

/* The frame that an answer names; NULL where there is none. Answers come in about the order of the
 * frames, so it is near the front. */
static struct client_frame *
frame_find(struct vt_client *client, uint64_t sequence)
{
    for (uint32_t i = 0; i < client->count; i++) {
        struct client_frame *frame = frame_at(client, i);

        if (frame->sequence == sequence && !frame->settled)
            return frame;
    }
    return NULL;
}

static void
frame_settle(struct vt_client *client, struct client_frame *frame, bool was_sent)
{
    VT_ASSERT(!frame->settled);
    frame->settled = true;
    client->queued_bytes -= frame->size;
    if (was_sent) {
        VT_ASSERT(client->flying > 0);
        client->flying--;
        client->flying_bytes -= frame->size;
    }
    while (client->count > 0 && client->frames[client->first].settled) {
        free(client->frames[client->first].bytes);
        client->frames[client->first].bytes = NULL;
        client->first = (client->first + 1) % CLIENT_PENDING_MAX;
        client->count--;
        if (client->sent > 0)
            client->sent--;
    }
}

/* ---- a full disk
 *
 * A frame that the daemon refuses with VT_DISK_FULL stays, and so do those behind it that it
 * refuses as well. When all that is in flight is answered, sending begins anew at the oldest frame
 * that is not settled: one, after a pause, and all the others once that one is acked. So frames
 * keep their order, and one that was taken meanwhile is not sent again. */

static void
full_begin(struct vt_client *client, const struct vt_str *text)
{
    if (!client->full) {
        client->full = true;
        client->full_since_ms = client_now_ms();
        if (client->options.waiting != NULL)
            client->options.waiting(client->options.context, text);
    }
    client->full_next_ms = client_now_ms() + FULL_PAUSE_MS;
}

static void
full_end(struct vt_client *client)
{
    client->full = false;
    if (client->options.waiting != NULL)
        client->options.waiting(client->options.context, NULL);
}

static void
full_take(struct vt_client *client, const struct client_frame *frame, const struct vt_str *text)
{
    VT_ASSERT(client->flying > 0 && !frame->settled);
    client->flying--;
    client->flying_bytes -= frame->size;
    client->rewind = true;
    full_begin(client, text);
}

static int64_t
full_left_ms(const struct vt_client *client)
{
    uint64_t waited = (uint64_t)(client_now_ms() - client->full_since_ms);

    return waited >= client->options.full_ms ? 0 : (int64_t)(client->options.full_ms - waited);
}

/* Whether no new frame may go out now. */
static bool
full_holds(struct vt_client *client)
{
    if (!client->full && !client->rewind)
        return false;
    if (client->flying > 0 || (client->full && client_now_ms() < client->full_next_ms))
        return true;
    if (client->rewind)
        client->sent = 0;
    client->rewind = false;
    return false;
}

/* ---- answers */

static vt_err
bad_answer(const struct vt_client *client, const char *what)
{
    return vt_err_detail(VT_BAD_FORMAT, "%s: %s", client->options.address, what);
}

static vt_err
take_ack(struct vt_client *client, const struct client_input *input)
{
    struct vt_ack_head head;

    if (input->payload.size < sizeof head)
        return bad_answer(client, "an ack is too short");
    memcpy(&head, input->payload.data, sizeof head);
    uint32_t verdict_count = le32_get(head.verdict_count);
    struct client_frame *frame = frame_find(client, le64_get(head.sequence));

    if (input->payload.size != sizeof head + verdict_count * sizeof(struct vt_ack_entry))
        return bad_answer(client, "an ack's verdicts do not fill it");
    if (frame == NULL || frame->event_count != le32_get(head.event_count) ||
        (uint64_t)le32_get(head.accepted) + verdict_count > frame->event_count)
        return bad_answer(client, "an ack names no frame in flight");
    struct vt_client_ack ack = {
        .sequence = frame->sequence,
        .position = le64_get(head.position),
        .event_count = frame->event_count,
        .accepted = le32_get(head.accepted),
        .verdict_count = verdict_count,
        .verdicts = (const struct vt_ack_entry *)(input->payload.data + sizeof head),
        /* The daemon had the frame from an earlier connection: all verdicts are gone. */
        .resumed = le32_get(head.accepted) == 0 && verdict_count == 0,
    };

    if (client->options.acked != NULL)
        client->options.acked(client->options.context, &ack);
    frame_settle(client, frame, true);
    if (client->full && !client->rewind) /* else it was sent before the disk was full */
        full_end(client);
    return VT_OK;
}

/* Errors after which another connection would end alike. */
static bool
is_final(vt_err err)
{
    return err == VT_BAD_TOKEN || err == VT_FORBIDDEN || err == VT_BAD_HELLO ||
           err == VT_PRODUCER_TAKEN || err == VT_BAD_VERSION || err == VT_BAD_MAGIC ||
           err == VT_BAD_TYPE || err == VT_BAD_RESERVED || err == VT_BAD_LENGTH ||
           err == VT_BAD_FORMAT || err == VT_BAD_UTF8 || err == VT_TOO_LARGE || err == VT_TOO_DEEP;
}

static vt_err
take_error(struct vt_client *client, const struct client_input *input)
{
    struct vt_error_head head;

    if (input->payload.size < sizeof head)
        return bad_answer(client, "an error is too short");
    memcpy(&head, input->payload.data, sizeof head);
    vt_err code = (vt_err)le16_get(head.code);
    struct vt_str text = {(const char *)input->payload.data + sizeof head,
                          le32_get(head.text_size)};

    if (input->payload.size != sizeof head + text.size)
        return bad_answer(client, "an error's text does not fill it");
    struct client_frame *frame = frame_find(client, le64_get(head.sequence));

    if (frame != NULL && (le16_get(head.flags) & VT_ERROR_FATAL) == 0) {
        struct vt_client_refusal refusal = {frame->sequence, frame->event_count, code, text};

        if (code == VT_DISK_FULL && client->options.full_ms > 0) {
            full_take(client, frame, &text);
            return VT_OK;
        }
        if (client->options.refused != NULL)
            client->options.refused(client->options.context, &refusal);
        frame_settle(client, frame, true);
        return VT_OK;
    }
    (void)vt_err_detail(code, "%s: %.*s", client->options.address, (int)text.size, text.data);
    if (code == VT_DISK_FULL && client->options.full_ms > 0) {
        full_begin(client, &text);
        return code;
    }
    return is_final(code) ? code : VT_END;
}

/* Frames that are durable are settled; the rest goes out again. */
static vt_err
resume(struct vt_client *client, uint64_t sequence_next)
{
    if (client->options.producer.size == 0)
        return VT_OK;
    /* Settling may take frames off the front; those that stay keep their order. */
    for (uint32_t i = 0; i < client->count;) {
        struct client_frame *frame = frame_at(client, i);
        uint32_t count_before = client->count;

        if (!frame->settled && frame->sequence + frame->event_count <= sequence_next) {
            struct vt_client_ack ack = {
                .sequence = frame->sequence,
                .event_count = frame->event_count,
                .resumed = true,
            };

            if (client->options.acked != NULL)
                client->options.acked(client->options.context, &ack);
            frame_settle(client, frame, false);
        } else if (!frame->settled && frame->sequence < sequence_next) {
            return vt_err_detail(VT_BAD_SEQUENCE, "%s: it has half of a frame",
                                 client->options.address);
        }
        i = client->count < count_before ? 0 : i + 1;
    }
    return VT_OK;
}

static vt_err
take_welcome(struct vt_client *client, const struct client_input *input)
{
    struct vt_welcome welcome;
    struct vt_client_info *info = &client->info;

    if (input->payload.size != sizeof welcome)
        return bad_answer(client, "a welcome is not of its size");
    memcpy(&welcome, input->payload.data, sizeof welcome);
    if (client->welcomed_once && info->history != le64_get(welcome.history))
        return vt_err_detail(VT_DIFFERENT,
                             "%s: it is another store, or was restored: what was "
                             "acked may be gone from it",
                             client->options.address);
    info->frame_bytes_max = le32_get(welcome.frame_bytes_max);
    info->batch_events_max = le32_get(welcome.batch_events_max);
    info->credit_frames = le32_get(welcome.credit_frames);
    info->credit_bytes = le32_get(welcome.credit_bytes);
    info->position = le64_get(welcome.position);
    info->history = le64_get(welcome.history);
    if (info->credit_frames == 0 || info->frame_bytes_max == 0)
        return bad_answer(client, "a welcome without credit");
    if (client->welcomed_once) {
        info->reconnects++;
        return resume(client, le64_get(welcome.sequence_next));
    }
    client->welcomed_once = true;
    info->sequence_next = client->options.producer.size > 0 ? le64_get(welcome.sequence_next) : 1;
    info->sequence_first = info->sequence_next;
    return VT_OK;
}

/* All frames that are whole. */
static vt_err
take_input(struct vt_client *client)
{
    struct client_input input;
    vt_err err;

    while ((err = client_input_next(client, &input)) == VT_OK) {
        if (input.type == VT_FRAME_ACK)
            err = take_ack(client, &input);
        else if (input.type == VT_FRAME_ERROR)
            err = take_error(client, &input);
        else if (input.type != VT_FRAME_PONG)
            err = bad_answer(client, "a frame that it should not send");
        if (err != VT_OK)
            return err;
        client_input_drop(client, &input);
    }
    return err == VT_INCOMPLETE ? VT_OK : err;
}

/* ---- connections */

/* Waits for the answer to the hello. */
static vt_err
welcome_wait(struct vt_client *client)
{
    int64_t until_ms = client_now_ms() + client->options.connect_ms;
    struct client_input input;
    vt_err err;

    while ((err = client_input_next(client, &input)) == VT_INCOMPLETE) {
        int64_t left = until_ms - client_now_ms();

        if (left <= 0)
            return vt_err_detail(VT_DEADLINE, "%s: no welcome in time; is this the frame port?",
                                 client->options.address);
        err = client_wait(client, false, (uint32_t)left);
        if (err == VT_OK)
            err = client_read(client);
        if (err != VT_OK)
            return err;
    }
    if (err != VT_OK)
        return err;
    if (input.type == VT_FRAME_ERROR)
        return take_error(client, &input);
    if (input.type != VT_FRAME_WELCOME)
        return bad_answer(client, "a hello is not answered by a welcome");
    err = take_welcome(client, &input);
    client_input_drop(client, &input);
    return err;
}

static void
sleep_ms(uint32_t ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

    (void)nanosleep(&time, NULL); /* a signal only makes the next attempt come earlier */
}

/* Whether an attempt that ended so may end otherwise later. */
static bool
may_come_back(vt_err err)
{
    return err == VT_IO || err == VT_END || err == VT_DEADLINE || err == VT_BAD_CRC ||
           err == VT_DISK_FULL;
}

/* Until there is a connection, a final error, or away_ms are over since the last one was lost. */
static vt_err
connect_again(struct vt_client *client)
{
    uint32_t backoff_ms = BACKOFF_MS_FIRST;
    int64_t until_ms = client->lost_ms + (int64_t)client->options.away_ms;

    for (;;) {
        vt_err_clear();
        vt_err err = client_connect(client);

        if (err == VT_OK)
            err = welcome_wait(client);
        if (err == VT_OK)
            return VT_OK;
        if (client->fd >= 0)
            client_disconnect(client);
        if (!may_come_back(err))
            return err;
        int64_t left = err == VT_DISK_FULL ? full_left_ms(client) : until_ms - client_now_ms();

        if (left <= 0)
            return err == VT_END ? VT_IO : err;
        sleep_ms(left < backoff_ms ? (uint32_t)left : backoff_ms);
        backoff_ms = backoff_ms * 2 > BACKOFF_MS_MOST ? BACKOFF_MS_MOST : backoff_ms * 2;
    }
}

/* ---- rounds */

/* The next frame that the credit lets out, or NULL. */
static struct client_frame *
frame_to_send(struct vt_client *client)
{
    if (client->sent_bytes == 0 && full_holds(client))
        return NULL;
    while (client->sent < client->count && client->sent_bytes == 0 &&
           frame_at(client, client->sent)->settled)
        client->sent++;
    if (client->sent == client->count)
        return NULL;
    struct client_frame *frame = frame_at(client, client->sent);
    bool credit =
        client->flying == 0 || (client->flying < client->info.credit_frames &&
                                client->flying_bytes + frame->size <= client->info.credit_bytes);

    return credit || client->sent_bytes > 0 ? frame : NULL;
}

static vt_err
write_frames(struct vt_client *client)
{
    for (;;) {
        struct client_frame *frame = frame_to_send(client);
        uint32_t written = 0;

        if (frame == NULL)
            return VT_OK;
        vt_err err = client_write(client, frame->bytes + client->sent_bytes,
                                  frame->size - client->sent_bytes, &written);

        if (err != VT_OK)
            return err;
        client->sent_bytes += written;
        if (client->sent_bytes < frame->size)
            return VT_OK;
        client->sent_bytes = 0;
        client->sent++;
        client->flying++;
        client->flying_bytes += frame->size;
    }
}

static vt_err
round_once(struct vt_client *client, uint32_t wait_ms)
{
    if (client->fd < 0) {
        vt_err err = connect_again(client);

        if (err != VT_OK)
            return err;
    }
    vt_err err = write_frames(client);

    if (client->full && wait_ms > FULL_PAUSE_MS / 10)
        wait_ms = FULL_PAUSE_MS / 10; /* the pause may be over before anything comes */
    if (err == VT_OK)
        err = client_wait(client, frame_to_send(client) != NULL, wait_ms);
    if (err == VT_OK)
        err = client_read(client);
    /* What came before the connection broke still counts. */
    vt_err input_err = take_input(client);

    if (input_err != VT_OK)
        return input_err;
    if (err == VT_OK && client->flying > 0 &&
        client_now_ms() - client->heard_ms > client->options.silence_ms)
        return vt_err_detail(VT_DEADLINE, "%s: no answer for %u ms", client->options.address,
                             client->options.silence_ms);
    if (err == VT_OK && client->full && full_left_ms(client) == 0)
        return vt_err_detail(VT_DISK_FULL, "%s: its disk has been full for %llu s",
                             client->options.address,
                             (unsigned long long)client->options.full_ms / 1000);
    return err == VT_OK ? write_frames(client) : err;
}

vt_err
vt_client_poll(struct vt_client *client, uint32_t wait_ms)
{
    if (client->failed != VT_OK)
        return client->failed;
    if (client->flying == 0)
        client->heard_ms = client_now_ms(); /* nothing is due */
    vt_err_clear();
    vt_err err = round_once(client, wait_ms);

    if (err == VT_OK)
        return VT_OK;
    bool was_connected = client->fd >= 0;

    if (was_connected)
        client_disconnect(client);
    /* A connection that is lost now comes back in the next round; with nothing in flight that is
     * when the next batch is sent. */
    if (was_connected && may_come_back(err) && err != VT_DISK_FULL && client->options.away_ms > 0)
        return VT_OK;
    client->failed = err == VT_END ? VT_IO : err;
    return client->failed;
}

static bool
has_room(const struct vt_client *client, uint64_t bytes)
{
    if (client->count == 0)
        return true;
    return client->count < CLIENT_PENDING_MAX && client->count < client->info.credit_frames &&
           client->queued_bytes + bytes <= client->info.credit_bytes;
}

vt_err
vt_client_send(struct vt_client *client, enum vt_frame_type type, uint32_t event_count,
               struct vt_bytes payload)
{
    struct vt_frame_header header;
    uint64_t size = sizeof header + payload.size;

    VT_ASSERT(type == VT_FRAME_BATCH_ROWS || type == VT_FRAME_BATCH_COLUMNS);
    if (client->failed != VT_OK)
        return client->failed;
    if (event_count == 0 || event_count > client->info.batch_events_max)
        return vt_err_detail(VT_BAD_LENGTH, "a batch of %u events: 1 to %u are allowed",
                             event_count, client->info.batch_events_max);
    if (payload.size > client->info.frame_bytes_max)
        return vt_err_detail(VT_TOO_LARGE, "a batch of %llu bytes: at most %u are allowed",
                             (unsigned long long)payload.size, client->info.frame_bytes_max);
    while (!has_room(client, size)) {
        vt_err err = vt_client_poll(client, FLUSH_WAIT_MS);

        if (err != VT_OK)
            return err;
    }
    uint8_t *bytes = malloc(size);

    if (bytes == NULL)
        return VT_NOMEM;
    vt_frame_header_init(&header, type, client->info.sequence_next, event_count, payload);
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, payload.data, payload.size);
    *frame_at(client, client->count) = (struct client_frame){
        .bytes = bytes,
        .size = (uint32_t)size,
        .event_count = event_count,
        .sequence = client->info.sequence_next,
    };
    client->count++;
    client->queued_bytes += size;
    client->info.sequence_next += event_count;
    return vt_client_poll(client, 0);
}

vt_err
vt_client_flush(struct vt_client *client)
{
    vt_err err = client->failed;

    while (err == VT_OK && client->count > 0)
        err = vt_client_poll(client, FLUSH_WAIT_MS);
    return err;
}

/* ---- life */

static char *
copy_text(struct vt_str text)
{
    char *copy = malloc(text.size + 1U);

    if (copy == NULL)
        return NULL;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static vt_err
options_copy(struct vt_client *client, const struct vt_client_options *options)
{
    struct vt_client_options *own = &client->options;

    *own = *options;
    if (own->connect_ms == 0)
        own->connect_ms = CONNECT_MS_DEFAULT;
    if (own->silence_ms == 0)
        own->silence_ms = SILENCE_MS_DEFAULT;
    client->address =
        copy_text((struct vt_str){options->address, (uint32_t)strlen(options->address)});
    client->token = copy_text(options->token);
    client->producer = copy_text(options->producer);
    if (client->address == NULL || client->token == NULL || client->producer == NULL)
        return VT_NOMEM;
    own->address = client->address;
    own->token.data = client->token;
    own->producer.data = client->producer;
    return VT_OK;
}

vt_err
vt_client_open(const struct vt_client_options *options, struct vt_client **out_client)
{
    VT_ASSERT(options->address != NULL);
    if (options->token.size == 0 || options->token.size > NAME_BYTES_MAX ||
        options->producer.size > NAME_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "token and producer have at most %u bytes",
                             NAME_BYTES_MAX);
    struct vt_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return VT_NOMEM;
    client->fd = -1;
    client->lost_ms = client_now_ms();
    vt_err err = options_copy(client, options);

    if (err == VT_OK)
        err = connect_again(client);
    if (err != VT_OK) {
        vt_client_close(client);
        return err;
    }
    *out_client = client;
    return VT_OK;
}

void
vt_client_close(struct vt_client *client)
{
    if (client == NULL)
        return;
    if (client->fd >= 0)
        client_disconnect(client);
    for (uint32_t i = 0; i < client->count; i++)
        free(frame_at(client, i)->bytes);
    free(client->input);
    free(client->address);
    free(client->token);
    free(client->producer);
    free(client);
}

void
vt_client_get_info(const struct vt_client *client, struct vt_client_info *out_info)
{
    *out_info = client->info;
}

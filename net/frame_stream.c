/* frame_stream.c - see frame_stream.h. */
#include "frame_stream.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

#define HEADER_BYTES     ((uint32_t)sizeof(struct vt_frame_header))
#define BUFFER_BYTES_MIN 256U

void
frame_stream_init(struct frame_stream *stream, uint32_t length_max)
{
    *stream = (struct frame_stream){.length_max = length_max};
}

void
frame_stream_deinit(struct frame_stream *stream)
{
    free(stream->buffer);
    *stream = (struct frame_stream){.failed = VT_BROKEN};
}

void
frame_stream_limit(struct frame_stream *stream, uint32_t length_max)
{
    VT_ASSERT(length_max <= UINT32_MAX - HEADER_BYTES);
    stream->length_max = length_max;
}

bool
frame_stream_partial(const struct frame_stream *stream)
{
    return stream->fill > 0 && !stream->whole;
}

void
frame_stream_shrink(struct frame_stream *stream)
{
    if (stream->fill > 0)
        return;
    free(stream->buffer);
    stream->buffer = NULL;
    stream->capacity = 0;
}

static vt_err
buffer_reserve(struct frame_stream *stream, uint32_t bytes)
{
    uint32_t capacity = stream->capacity == 0 ? BUFFER_BYTES_MIN : stream->capacity;

    if (bytes <= stream->capacity)
        return VT_OK;
    while (capacity < bytes)
        capacity = capacity > UINT32_MAX / 2 ? bytes : capacity * 2;
    uint8_t *grown = realloc(stream->buffer, capacity);

    if (grown == NULL)
        return VT_NOMEM;
    stream->buffer = grown;
    stream->capacity = capacity;
    return VT_OK;
}

/* Moves bytes of the input behind what is gathered, until `goal` bytes are there. */
static vt_err
gather(struct frame_stream *stream, struct vt_bytes *input, uint32_t goal)
{
    VT_ASSERT(goal >= stream->fill);
    uint32_t want = goal - stream->fill;
    uint32_t take = input->size < want ? (uint32_t)input->size : want;

    if (take > 0) {
        vt_err err = buffer_reserve(stream, goal);

        if (err != VT_OK)
            return err;
        memcpy(stream->buffer + stream->fill, input->data, take);
        stream->fill += take;
        input->data += take;
        input->size -= take;
    }
    return take == want ? VT_OK : VT_INCOMPLETE;
}

static vt_err
frame_check(const uint8_t *at, struct frame *out_frame)
{
    const struct vt_frame_header *header = (const struct vt_frame_header *)at;
    struct frame frame = {
        .type = header->type,
        .event_count = le32_get(header->event_count),
        .payload_crc = le32_get(header->payload_crc),
        .sequence = le64_get(header->sequence),
        .payload = {at + HEADER_BYTES, le32_get(header->length)},
    };

    if (vt_crc32c(frame.payload.data, frame.payload.size) != frame.payload_crc)
        return vt_err_detail(VT_BAD_CRC, "frame: the payload does not fit its checksum");
    *out_frame = frame;
    return VT_OK;
}

static vt_err
header_check(const struct frame_stream *stream, const uint8_t *at)
{
    vt_err err = vt_frame_header_check((const struct vt_frame_header *)at, stream->length_max);

    return err == VT_OK ? VT_OK : vt_err_detail(err, "frame header: %s", vt_err_text(err));
}

/* A frame that began in an earlier piece. */
static vt_err
next_gathered(struct frame_stream *stream, struct vt_bytes *input, struct frame *out_frame)
{
    vt_err err = VT_OK;

    if (stream->fill < HEADER_BYTES) {
        err = gather(stream, input, HEADER_BYTES);
        if (err == VT_OK)
            err = header_check(stream, stream->buffer);
    }
    if (err != VT_OK)
        return err;
    const struct vt_frame_header *header = (const struct vt_frame_header *)stream->buffer;

    err = gather(stream, input, HEADER_BYTES + le32_get(header->length));
    if (err == VT_OK)
        err = frame_check(stream->buffer, out_frame);
    stream->whole = err == VT_OK;
    return err;
}

/* A frame that begins in this piece: taken where it lies, if it ends there too. */
static vt_err
next_in_place(struct frame_stream *stream, struct vt_bytes *input, struct frame *out_frame)
{
    if (input->size < HEADER_BYTES)
        return gather(stream, input, HEADER_BYTES);
    vt_err err = header_check(stream, input->data);

    if (err != VT_OK)
        return err;
    uint32_t bytes = HEADER_BYTES + le32_get(((const struct vt_frame_header *)input->data)->length);

    if (input->size < bytes)
        return gather(stream, input, bytes);
    err = frame_check(input->data, out_frame);
    input->data += bytes;
    input->size -= bytes;
    return err;
}

vt_err
frame_stream_next(struct frame_stream *stream, struct vt_bytes *input, struct frame *out_frame)
{
    vt_err err;

    if (stream->failed != VT_OK)
        return stream->failed;
    if (stream->whole) {
        stream->whole = false;
        stream->fill = 0;
    }
    if (input->size == 0)
        return VT_INCOMPLETE;
    if (stream->fill > 0)
        err = next_gathered(stream, input, out_frame);
    else
        err = next_in_place(stream, input, out_frame);
    if (err != VT_OK && err != VT_INCOMPLETE)
        stream->failed = err;
    VT_ASSERT(err != VT_INCOMPLETE || input->size == 0);
    return err;
}

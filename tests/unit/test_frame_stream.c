/*
 * Goal:   frames come out of a stream alike, however it is cut into pieces, and damage ends it with
 *         the right reason.
 * Method: a stream of frames of many sizes is cut at every place into two pieces, and at random
 *         into many; the frames must be those that were put in. Then single bytes of it are broken.
 */
#include "frame_stream.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

#define STREAM_FRAMES 7
#define LENGTH_MAX    2000U

static const uint32_t payload_sizes[STREAM_FRAMES] = {1, 31, 0, 700, 2000, 64, 5};

struct made {
    uint8_t bytes[8192];
    uint32_t size;
};

static void
frame_make(struct made *made, enum vt_frame_type type, uint64_t sequence, uint32_t size)
{
    struct vt_frame_header header;
    uint8_t *payload = made->bytes + made->size + sizeof header;

    for (uint32_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(sequence * 31 + i * 7);
    vt_frame_header_init(&header, type, sequence, type == VT_FRAME_BATCH_ROWS ? 3 : 0,
                         (struct vt_bytes){payload, size});
    memcpy(made->bytes + made->size, &header, sizeof header);
    made->size += (uint32_t)sizeof header + size;
}

static void
stream_make(struct made *made)
{
    made->size = 0;
    for (uint32_t i = 0; i < STREAM_FRAMES; i++)
        frame_make(made, i % 2 == 0 ? VT_FRAME_BATCH_ROWS : VT_FRAME_PING, 100 + i,
                   payload_sizes[i]);
}

static bool
frame_is(const struct frame *frame, uint32_t index)
{
    bool same = frame->sequence == 100 + index && frame->payload.size == payload_sizes[index] &&
                frame->event_count == (index % 2 == 0 ? 3U : 0U);

    for (uint32_t i = 0; same && i < payload_sizes[index]; i++)
        same = frame->payload.data[i] == (uint8_t)((100 + index) * 31 + i * 7);
    return same;
}

/* Feeds one piece, in memory of its own so that a sanitizer sees a byte too far. */
static vt_err
feed(struct frame_stream *stream, const uint8_t *bytes, uint32_t size, uint32_t *frames)
{
    uint8_t *copy = malloc(size + 1U);
    struct vt_bytes input = {copy, size};
    struct frame frame;
    vt_err err;

    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    while ((err = frame_stream_next(stream, &input, &frame)) == VT_OK) {
        cr_assert(*frames < STREAM_FRAMES);
        cr_assert(frame_is(&frame, *frames), "frame %u is another one", *frames);
        (*frames)++;
    }
    free(copy);
    return err;
}

Test(frame_stream, cut_at_every_place_gives_the_same_frames, .timeout = 20)
{
    struct made made;

    stream_make(&made);
    for (uint32_t cut = 0; cut <= made.size; cut++) {
        struct frame_stream stream;
        uint32_t frames = 0;

        frame_stream_init(&stream, LENGTH_MAX);
        cr_assert(feed(&stream, made.bytes, cut, &frames) == VT_INCOMPLETE);
        cr_assert(feed(&stream, made.bytes + cut, made.size - cut, &frames) == VT_INCOMPLETE);
        cr_expect(frames == STREAM_FRAMES, "cut at %u: %u frames", cut, frames);
        cr_expect(!frame_stream_partial(&stream));
        frame_stream_deinit(&stream);
    }
}

Test(frame_stream, single_bytes_give_the_same_frames, .timeout = 20)
{
    struct made made;
    struct frame_stream stream;
    uint32_t frames = 0;

    stream_make(&made);
    frame_stream_init(&stream, LENGTH_MAX);
    for (uint32_t i = 0; i < made.size; i++) {
        cr_assert(feed(&stream, made.bytes + i, 1, &frames) == VT_INCOMPLETE);
        cr_expect(stream.capacity <= 2 * (LENGTH_MAX + 32), "it grows to a frame at most");
    }
    cr_expect(frames == STREAM_FRAMES);
    frame_stream_deinit(&stream);
}

static const struct damage_case {
    const char *name;
    uint32_t at; /* from the start of the second frame */
    uint8_t flip;
    bool repair;
    vt_err want;
} damage_cases[] = {
    /* clang-format off */
    { "magic",          0, 0x01, false, VT_BAD_MAGIC },
    { "header torn",    9, 0x01, false, VT_BAD_CRC },
    { "version",        4, 0x02, true,  VT_BAD_VERSION },
    { "type",           5, 0x20, true,  VT_BAD_TYPE },
    { "flags",          6, 0x01, true,  VT_BAD_RESERVED },
    { "oversize",      10, 0x40, true,  VT_TOO_LARGE },
    { "payload crc",   12, 0x01, true,  VT_BAD_CRC },
    { "payload",       40, 0x80, false, VT_BAD_CRC },
    { "events",        24, 0x01, true,  VT_BAD_RESERVED },
    /* clang-format on */
};

Test(frame_stream, damage_ends_the_stream_with_its_reason, .timeout = 20)
{
    for (size_t i = 0; i < VT_COUNT(damage_cases); i++) {
        const struct damage_case *c = &damage_cases[i];
        struct made made;
        uint32_t second = 32 + payload_sizes[0];

        stream_make(&made);
        struct vt_frame_header *header = (struct vt_frame_header *)(made.bytes + second);

        made.bytes[second + c->at] ^= c->flip;
        if (c->repair)
            header->header_crc =
                le32_put(vt_crc32c(header, offsetof(struct vt_frame_header, header_crc)));
        for (uint32_t piece = 1; piece < 200; piece += 11) {
            struct frame_stream stream;
            uint32_t frames = 0;
            vt_err err = VT_INCOMPLETE;

            frame_stream_init(&stream, LENGTH_MAX);
            for (uint32_t at = 0; err == VT_INCOMPLETE && at < made.size; at += piece)
                err = feed(&stream, made.bytes + at,
                           made.size - at < piece ? made.size - at : piece, &frames);
            cr_expect(err == c->want, "%s: want %s, got %s", c->name, vt_err_name(c->want),
                      vt_err_name(err));
            cr_expect(frames == 1, "%s: the frames before it count", c->name);
            cr_expect(feed(&stream, made.bytes, 1, &frames) == c->want, "it stays ended");
            frame_stream_deinit(&stream);
        }
    }
}

Test(frame_stream, a_new_limit_holds_from_the_next_header_on, .timeout = 5)
{
    struct made made;
    struct frame_stream stream;
    struct frame frame;

    stream_make(&made);
    frame_stream_init(&stream, 1);
    struct vt_bytes input = {made.bytes, made.size};

    cr_assert(frame_stream_next(&stream, &input, &frame) == VT_OK);
    frame_stream_limit(&stream, 31);
    cr_assert(frame_stream_next(&stream, &input, &frame) == VT_OK);
    cr_assert(frame_stream_next(&stream, &input, &frame) == VT_OK);
    cr_expect(frame_stream_next(&stream, &input, &frame) == VT_TOO_LARGE);
    frame_stream_deinit(&stream);
}

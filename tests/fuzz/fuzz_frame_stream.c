/*
 * Goal:   arbitrary bytes, cut anywhere, give the same frames as in one piece, without a byte read
 *         too far, and no more memory than a checked header announced.
 * Method: the first bytes of the input say how the rest is cut; it goes through one stream whole
 *         and through another in pieces; frames and verdicts must agree. A checksum that is
 *         one bit off is mended in some inputs, so that the fuzzer gets past it.
 */
#include <stdlib.h>
#include <string.h>

#include "frame_stream.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define LENGTH_MAX  4096U
#define HEADER_SIZE ((uint32_t)sizeof(struct vt_frame_header))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint32_t count;
    uint64_t hash;
    vt_err err;
};

static void
drain(struct frame_stream *stream, const uint8_t *data, uint32_t size, struct seen *seen)
{
    uint8_t *copy = malloc(size + 1U);
    struct vt_bytes input = {copy, size};
    struct frame frame;

    VT_ASSERT(copy != NULL);
    memcpy(copy, data, size);
    while ((seen->err = frame_stream_next(stream, &input, &frame)) == VT_OK) {
        seen->count++;
        seen->hash = seen->hash * 31 + frame.sequence + frame.type + frame.event_count +
                     vt_crc32c(frame.payload.data, frame.payload.size);
        VT_ASSERT(frame.payload.size <= LENGTH_MAX);
    }
    VT_ASSERT(stream->capacity <= 2 * (LENGTH_MAX + HEADER_SIZE));
    free(copy);
}

/* Makes the checksums of the frames that lie one behind the other right. */
static void
mend(uint8_t *bytes, uint32_t size)
{
    uint32_t at = 0;

    while (size - at >= HEADER_SIZE) {
        struct vt_frame_header *header = (struct vt_frame_header *)(bytes + at);
        uint32_t length = le32_get(header->length);

        if (length > size - at - HEADER_SIZE)
            length = size - at - HEADER_SIZE;
        header->payload_crc = le32_put(vt_crc32c(header + 1, length));
        header->header_crc =
            le32_put(vt_crc32c(header, offsetof(struct vt_frame_header, header_crc)));
        at += HEADER_SIZE + length;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_stream whole;
    struct frame_stream pieces;
    struct seen one = {.err = VT_INCOMPLETE};
    struct seen other = {.err = VT_INCOMPLETE};

    if (size < 4 || size > 65536)
        return 0;
    uint32_t rest = (uint32_t)size - 4;
    uint8_t *bytes = malloc(rest + 1U);

    VT_ASSERT(bytes != NULL);
    memcpy(bytes, data + 4, rest);
    if ((data[3] & 1) != 0)
        mend(bytes, rest);
    frame_stream_init(&whole, LENGTH_MAX);
    frame_stream_init(&pieces, LENGTH_MAX);
    drain(&whole, bytes, rest, &one);
    uint32_t at = 0;

    for (uint32_t i = 0; at < rest; i++) {
        uint32_t piece = data[i % 3] % 97 + 1U;

        if (piece > rest - at)
            piece = rest - at;
        drain(&pieces, bytes + at, piece, &other);
        at += piece;
    }
    VT_ASSERT(one.count == other.count);
    VT_ASSERT(one.hash == other.hash);
    VT_ASSERT(one.err == other.err);
    frame_stream_deinit(&whole);
    frame_stream_deinit(&pieces);
    free(bytes);
    return 0;
}

/*
 * frame_stream.h - frames out of a stream of bytes that arrives in pieces of any size. A frame that
 * lies whole in one piece is handed out where it lies; one that spans pieces is gathered in a
 * buffer of the stream's own, which grows to what a checked header announced and no further.
 *
 * Errors: any error but VT_INCOMPLETE says that the place of the next frame is lost; the connection
 *         must end. Every call after it gives the same error.
 * Thread: its owner's; it knows no sockets, so that it can be fuzzed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"
#include "venturi/wire.h"

struct frame {
    uint8_t type; /* enum vt_frame_type */
    uint32_t event_count;
    uint32_t payload_crc;
    uint64_t sequence;
    struct vt_bytes payload; /* checked against payload_crc */
};

struct frame_stream {
    uint32_t length_max; /* of a payload */
    uint32_t fill;       /* bytes gathered of an unfinished frame, header included */
    uint32_t capacity;
    bool whole; /* the buffer holds a frame that was handed out */
    vt_err failed;
    uint8_t *buffer; /* malloc; NULL until a frame spans pieces */
};

void frame_stream_init(struct frame_stream *stream, uint32_t length_max);
void frame_stream_deinit(struct frame_stream *stream);

/* From the next header on. */
void frame_stream_limit(struct frame_stream *stream, uint32_t length_max);

/* The next frame, whose payload is valid until the next call and no longer than *input's bytes.
 * *input moves on behind what was taken. VT_INCOMPLETE: all of it was taken and no frame is whole.
 */
VT_MUST_CHECK vt_err frame_stream_next(struct frame_stream *stream, struct vt_bytes *input,
                                       struct frame *out_frame);

/* Whether a frame has begun and is not whole. */
bool frame_stream_partial(const struct frame_stream *stream);

/* Gives the buffer back where nothing is in it. */
void frame_stream_shrink(struct frame_stream *stream);

/*
 * column_frame.h - columns that stand in the caller's arrays to the payload of a BATCH_COLUMNS
 * frame: for senders whose data has this shape already. column_batch.h collects events one by one.
 *
 * Memory: none of its own; the caller brings column_frame_bytes() of it.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/wire.h"

struct column_strings {
    uint32_t count; /* of `strings`, at least 1 */
    const struct vt_str *strings;
    const uint32_t *codes; /* of each event, below count; NULL: 0 for all */
};

struct column_field {
    struct vt_str name;
    bool decimal;
    uint32_t scale;                /* decimals */
    const int64_t *mantissas;      /* decimals: one an event */
    const uint8_t *present;        /* decimals: a byte an event, 0 or 1; NULL: all are */
    struct column_strings strings; /* of a string field; "" is absent */
};

enum column_ids { COLUMN_IDS_SEQUENCE, COLUMN_IDS_TEXT, COLUMN_IDS_UUID };

struct column_frame {
    uint32_t event_count;
    struct vt_str type;
    struct column_strings tenants;
    enum column_ids ids;
    const uint16_t *id_sizes;      /* text */
    const uint8_t *id_data;        /* text, one after the other; UUIDs of 16 bytes each */
    struct column_strings sources; /* count 0: no source */
    const int64_t *times_us;
    uint32_t field_count;
    const struct column_field *fields;
    struct column_strings traces; /* count 0: none */
};

/* Enough for column_frame_encode. */
uint64_t column_frame_bytes(const struct column_frame *frame);

/* Writes the payload and gives its size. */
uint64_t column_frame_encode(const struct column_frame *frame, uint8_t *out_payload);

/*
 * column_batch.h - collects events of one type, one by one, into the payload of a BATCH_COLUMNS
 * frame. Strings go through a dictionary for each column.
 *
 * Life:   open, rounds of add*, encode, clear; close.
 * Memory: grows to what the largest batch needs and stays.
 * Errors: VT_FULL: send what is there and clear, then add again. VT_TOO_LARGE: the event fits no
 *         frame. VT_NOMEM.
 * Thread: the caller's.
 */
#pragma once

#include "column_frame.h"
#include "venturi/err.h"

struct column_batch;

struct column_batch_field {
    struct vt_str name;
    bool decimal;
    uint32_t scale; /* decimals: of every mantissa */
};

struct column_batch_options {
    struct vt_str type; /* names are borrowed for the life of the batch */
    enum column_ids ids;
    uint32_t field_count; /* at most VT_COLUMNS_MAX */
    const struct column_batch_field *fields;
    uint32_t events_max;
    uint32_t bytes_max; /* of the payload */
};

struct column_value {
    bool present; /* decimals */
    int64_t mantissa;
    struct vt_str text; /* strings; "" is absent */
};

struct column_event {
    struct vt_str tenant;
    struct vt_str source;
    struct vt_str trace;
    struct vt_bytes id; /* text or 16 bytes; not looked at where ids are sequences */
    int64_t time_us;
    const struct column_value *values; /* one for each field */
};

VT_MUST_CHECK vt_err column_batch_open(const struct column_batch_options *options,
                                       struct column_batch **out_batch);

/* NULL is allowed. */
void column_batch_close(struct column_batch *batch);

/* Copies the event. On any error the batch has the events that it had. */
VT_MUST_CHECK vt_err column_batch_add(struct column_batch *batch, const struct column_event *event);

uint32_t column_batch_count(const struct column_batch *batch);

/* The payload of all events added since the last clear, at least one; valid until the next call. */
VT_MUST_CHECK vt_err column_batch_encode(struct column_batch *batch, struct vt_bytes *out_payload);

void column_batch_clear(struct column_batch *batch);

/*
 * row_batch.h - collects events of rows, one msgpack map each, into the payload of a BATCH_ROWS
 * frame.
 *
 * Life:   init, rounds of add*, payload, clear; deinit.
 * Memory: taken at init.
 * Errors: VT_FULL: send what is there and clear, then add again. VT_TOO_LARGE: the event fits no
 *         frame.
 * Thread: the caller's.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

struct row_batch {
    uint8_t *data;
    uint32_t bytes;
    uint32_t bytes_max;
    uint32_t event_count;
    uint32_t events_max;
};

/* The limits are those of the welcome; events_max may be lower. */
VT_MUST_CHECK vt_err row_batch_init(struct row_batch *batch, uint32_t bytes_max,
                                    uint32_t events_max);
void row_batch_deinit(struct row_batch *batch);

VT_MUST_CHECK vt_err row_batch_add(struct row_batch *batch, struct vt_bytes event);

/* Valid until the next call that changes the batch. */
struct vt_bytes row_batch_payload(const struct row_batch *batch);

void row_batch_clear(struct row_batch *batch);

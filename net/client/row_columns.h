/*
 * row_columns.h - events of rows, as json_row.h makes and row_batch.h collects them, to frames of
 * columns wherever they can be columns. What the daemon says of an event is the same either way.
 *
 * A frame of columns holds one type, and an event says less there: no key that nobody knows, no ""
 * as a value, no number of over 18 digits. So a batch becomes a few frames in the order of its
 * events: stretches that are columns as columns, the others, and stretches that are too short to be
 * worth a frame, as the rows that they were.
 *
 * Life:   open, rounds of begin and next until there is no more; close.
 * Memory: grows to what the largest batch needs and stays.
 * Errors: VT_NOMEM.
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"
#include "venturi/wire.h"

struct row_columns;

struct row_columns_frame {
    enum vt_frame_type type;
    uint32_t event_count;
    struct vt_bytes payload; /* until the next call */
};

/* `bytes_max` of a payload; a stretch of fewer than `events_min` events stays rows. */
VT_MUST_CHECK vt_err row_columns_open(uint32_t bytes_max, uint32_t events_min,
                                      struct row_columns **out_columns);
void row_columns_close(struct row_columns *columns); /* NULL is allowed */

/* `rows` are event_count events of row_sizes[] bytes, and stay the caller's, unchanged until the
 * last frame is out. */
VT_MUST_CHECK vt_err row_columns_begin(struct row_columns *columns, struct vt_bytes rows,
                                       const uint32_t *row_sizes, uint32_t event_count);
/* VT_END: every event was in a frame. */
VT_MUST_CHECK vt_err row_columns_next(struct row_columns *columns,
                                      struct row_columns_frame *out_frame);

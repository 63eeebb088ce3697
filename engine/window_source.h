/*
 * window_source.h - where the values of windows come from beside the cells in memory: segments. A
 * table of the calls of sealed.h that windows need, so that they can be tried without files, and
 * the step from a segment to a table of cells by groups: its cells where it has them, a scan of its
 * rows where the meter is newer than the segment.
 *
 * Thread: the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cells.h"
#include "epoch.h"
#include "sealed.h"

struct window_calls {
    const struct catalog *(*catalog)(const struct sealed *sealed);
    uint64_t (*last_commit)(const struct sealed *sealed);
    bool (*has_cells)(const struct sealed *sealed, const struct catalog *catalog, uint32_t meter);
    vt_err (*each_cell)(const struct sealed *sealed, const struct cell_filter *filter,
                        vt_err (*each)(void *context, const struct sealed_cell *cell,
                                       const struct cell_value *value),
                        void *context);
    vt_err (*scan)(const struct sealed *sealed, const struct scan_options *options);
    vt_err (*find_feed)(const struct sealed *sealed, const struct feed_search *window,
                        vt_err (*each)(void *context, const struct feed_row *row), void *context);
};

/* Those of sealed.h. */
extern const struct window_calls window_sealed_calls;

/* Whether the segment's cells hold what windows of this meter show: its own catalog defines the
 * meter alike (type, aggregation, field, filter, window) and keeps the dimensions of its
 * group_by. */
bool window_source_serves(const struct window_calls *calls, const struct sealed *sealed,
                          const struct catalog *catalog, uint32_t meter);

/* The cells of one meter, of one tenant or (CATALOG_NONE) all, of windows that start in [start,
 * end), into a table by groups. Only where window_source_serves. */
struct window_range {
    uint32_t meter;
    uint32_t tenant;
    int64_t start_us;
    int64_t end_us;
};
VT_MUST_CHECK vt_err window_source_cells(const struct window_calls *calls,
                                         const struct sealed *sealed,
                                         const struct window_range *range, struct cells *into);

/* The rows of a type, of one tenant or all, into those meters whose byte in `wanted` ([meter]) is
 * not 0, within the bounds of `into`. */
struct window_scan {
    uint32_t type;
    uint32_t tenant;
    const uint8_t *wanted;
};
VT_MUST_CHECK vt_err window_source_scan(const struct window_calls *calls,
                                        const struct sealed *sealed, const struct window_scan *scan,
                                        struct cells *into);
/* The same of an epoch in memory, below the mark. */
VT_MUST_CHECK vt_err window_epoch_scan(const struct epoch_mark *mark,
                                       const struct window_scan *scan, struct cells *into);

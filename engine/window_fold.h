/*
 * window_fold.h - windows as readers see them: totals of (tenant, meter, window, group) now, open
 * and final, folded from any mix of segments and rows in memory, as far as a query
 * asks for them.
 *
 * Life:   window_fold_open, add each source once, window_fold_each, window_fold_close.
 * Errors: those of the sources; after one the fold is of no use.
 * Thread: one reader's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cells.h"
#include "epoch.h"
#include "json_out.h"
#include "window_source.h"

struct window_fold;

struct window_fold_options {
    const struct catalog *catalog; /* whose meters are shown; must outlive the fold */
    struct vt_str tenant;          /* empty: all */
    struct vt_str meter;           /* empty: all */
    int64_t start_us;              /* windows that start in [start, end) */
    int64_t end_us;
    const struct window_calls *calls; /* NULL: window_sealed_calls */
};
VT_MUST_CHECK vt_err window_fold_open(const struct window_fold_options *options,
                                      struct window_fold **out_fold);
void window_fold_close(struct window_fold *fold); /* NULL is allowed */

/* Its cells, and its rows for meters that came into force after it was sealed. */
VT_MUST_CHECK vt_err window_fold_add_sealed(struct window_fold *fold, const struct sealed *sealed);
/* Its rows: the cells of an epoch are its owner's. */
VT_MUST_CHECK vt_err window_fold_add_epoch(struct window_fold *fold, const struct epoch_mark *mark);
VT_MUST_CHECK vt_err window_fold_add_block(struct window_fold *fold, const struct row_block *block);
/* Cells of a catalog whose meters of one key are defined as in the fold's. */
VT_MUST_CHECK vt_err window_fold_add_cells(struct window_fold *fold, const struct cells *cells);

struct window_row {
    struct vt_str tenant;
    struct vt_str meter;
    int64_t start_us;
    int64_t end_us;
    uint32_t group_count;
    struct vt_str group_names[CELL_DIMS_MAX];
    struct vt_str group_values[CELL_DIMS_MAX];
    uint64_t count;
    vt_i128 value; /* in units of 10^-scale */
    uint32_t scale;
};
/* In the order (tenant, meter, start, group by the bytes of its values in the order of
 * group_by). */
VT_MUST_CHECK vt_err window_fold_each(const struct window_fold *fold,
                                      vt_err (*each)(void *context, const struct window_row *row),
                                      void *context);

/* One line: tenant, meter, window_start, window_end, group, count, value. */
void json_put_window(struct json_out *out, const struct window_row *row);

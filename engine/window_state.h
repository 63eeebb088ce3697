/*
 * window_state.h - which windows of a partition are open, due or dirty, and the revisions that
 * follow. Kept by the partition's owner; a function of the log.
 *
 * A window (meter, tenant, start) is final at the first tick at or after max(end, arrival of its
 * first event) + grace, or at a close record; all its groups get revision 1. Later events make
 * groups dirty; a group's next revision comes at the first tick at least grace after the first of
 * them. A group that appears only after its window became final begins with revision 2 and its
 * whole total as difference.
 *
 * Whether a window that is not open was final before is asked of the segments and frozen epochs
 * through struct window_history, once an epoch and window.
 */
#pragma once

#include <stdint.h>

#include "cells.h"
#include "epoch.h"
#include "sealed.h"

struct window_state;

/* What the state needs from the partition: its epochs and segments. Borrowed for the call. */
struct window_history {
    uint32_t sealed_count;
    struct sealed *const *sealed;
    uint32_t frozen_count;
    struct epoch *const *frozen; /* oldest first; after the segments */
    struct epoch *open;
};

VT_MUST_CHECK vt_err window_state_open(const struct catalog *catalog, struct vt_bytes saved,
                                       struct window_state **out_state);
void window_state_close(struct window_state *state);
/* A catalog that extends the old one comes into force (at a cut). */
VT_MUST_CHECK vt_err window_state_catalog(struct window_state *state, const struct catalog *next);

/* A cell of the open epoch was touched by an event of a commit that arrived at arrival_us. */
VT_MUST_CHECK vt_err window_state_touch(struct window_state *state,
                                        const struct window_history *history,
                                        const struct cell_key *key, int64_t arrival_us);

struct window_tick {
    uint64_t number;   /* of the commit */
    uint64_t position; /* last position before this commit */
    int64_t arrival_us;
};
/* Appends the revisions that are due to history->open's feed, ordered by (tenant, meter, start,
 * group bytes). */
VT_MUST_CHECK vt_err window_state_tick(struct window_state *state,
                                       const struct window_history *history,
                                       const struct window_tick *tick);
/* The same for all open or dirty windows of the scope that end at or before before_us; tenant
 * CATALOG_NONE: all. */
VT_MUST_CHECK vt_err window_state_close_before(struct window_state *state,
                                               const struct window_history *history,
                                               const struct window_tick *tick, uint32_t tenant,
                                               int64_t before_us);
/* What a close would make final, without doing it. */
uint64_t window_state_count_before(const struct window_state *state, uint32_t tenant,
                                   int64_t before_us);

int64_t window_state_due_us(const struct window_state *state);
/* malloc; the caller frees. Deterministic: sorted by keys, by names, not by codes. */
VT_MUST_CHECK vt_err window_state_save(const struct window_state *state,
                                       const struct window_history *history,
                                       struct vt_bytes *out_saved);

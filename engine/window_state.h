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
 *   not known --first event--> OPEN --due or close--> FINAL --event--> FINAL, dirty --due or
 *   close--> FINAL
 *
 * Open and dirty windows are kept; final ones without dirty groups until the epoch ends. An event
 * in a window that is not kept belongs to a new window if its start is above all that its (meter,
 * tenant) has had; else the segments and frozen epochs are asked, through struct window_history and
 * once an epoch and window, whether the window was final.
 *
 * Totals are complete at every revision, also of meters that came into force when there was history
 * already: what is older than the meter is read from rows. But only windows that receive an event
 * after the meter came into force enter the feed.
 *
 * Life:   window_state_open (empty, or as saved at a cut), touches and ticks in the order of the
 *         log, close.
 * Errors: of the segments and VT_NOMEM; after one the state is of no use.
 * Thread: the partition's owner.
 */
#pragma once

#include <stdint.h>

#include "cells.h"
#include "epoch.h"
#include "sealed.h"
#include "window_source.h"

struct window_state;

/* What the state needs from the partition: its epochs and segments. Borrowed for the call. */
struct window_history {
    uint32_t sealed_count;
    struct sealed *const *sealed; /* oldest first */
    uint32_t frozen_count;
    struct epoch *const *frozen; /* oldest first; after the segments */
    struct epoch *open;
    const struct window_calls *calls; /* NULL: window_sealed_calls; tests give others */
};

/* `saved` is empty for a new store. VT_BAD_FORMAT: it is none of ours, or names what the catalog
 * has not. */
VT_MUST_CHECK vt_err window_state_open(const struct catalog *catalog, struct vt_bytes saved,
                                       struct window_state **out_state);
void window_state_close(struct window_state *state); /* NULL is allowed */
/* A catalog that extends the old one comes into force (at a cut). */
VT_MUST_CHECK vt_err window_state_catalog(struct window_state *state, const struct catalog *next);

/* A cell of the open epoch was touched by an event of a commit that arrived at arrival_us. To be
 * called, in each epoch and after each tick or close record, at least for the first event of an
 * open window and for the first of each group of a final one. *out_open: the window is open; until
 * the next of those nothing more is to be told of it. */
VT_MUST_CHECK vt_err window_state_touch(struct window_state *state,
                                        const struct window_history *history,
                                        const struct cell_key *key, int64_t arrival_us,
                                        bool *out_open);

struct window_tick {
    uint64_t number;   /* of the commit */
    uint64_t position; /* last position before this commit */
    int64_t arrival_us;
};
/* Appends the revisions that are due to history->open's feed, ordered by (tenant, meter, start,
 * group bytes): the keys by bytes, then the values in the order of group_by. */
VT_MUST_CHECK vt_err window_state_tick(struct window_state *state,
                                       const struct window_history *history,
                                       const struct window_tick *tick);
/* The same for all open or dirty windows of the scope that end at or before before_us; tenant
 * CATALOG_NONE: all. */
VT_MUST_CHECK vt_err window_state_close_before(struct window_state *state,
                                               const struct window_history *history,
                                               const struct window_tick *tick, uint32_t tenant,
                                               int64_t before_us);
/* How many windows a close would give revisions to, without doing it. */
uint64_t window_state_count_before(const struct window_state *state, uint32_t tenant,
                                   int64_t before_us);

/* When the first revision is due; INT64_MAX where none is. */
int64_t window_state_due_us(const struct window_state *state);
/* malloc; the caller frees. Deterministic: sorted by keys, by names, not by codes. */
VT_MUST_CHECK vt_err window_state_save(const struct window_state *state,
                                       const struct window_history *history,
                                       struct vt_bytes *out_saved);

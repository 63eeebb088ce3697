/*
 * window_rig.h - a partition's windows without a partition: epochs that take rows, segments that
 * are kept in memory, commits with their ticks, cuts, restarts and closes. What the feed gets is
 * collected as lines.
 *
 * A line is "commit|tenant|meter|start|group,|revision|position|count|total|difference", with
 * "|closed" where a close made it.
 *
 * Life:   rig_open, commits, rig_close.
 * Thread: the test's.
 */
#pragma once

#include "engine/epoch.h"
#include "engine/window_fold.h"
#include "engine/window_state.h"
#include "event_maker.h"
#include "usage_rows.h"

#define RIG_ROWS_MAX   4096
#define RIG_EPOCHS_MAX 128

/* Stands behind a struct sealed pointer for rig_calls. */
struct rig_segment {
    const struct catalog *catalog;
    uint64_t last_commit;
    struct epoch *epoch; /* frozen; its cells and feed are the segment's */
    const struct usage_row *rows;
    uint32_t row_count;
};
extern const struct window_calls rig_calls;

struct rig {
    const struct catalog *catalog;
    struct window_state *state;
    struct epoch *open;
    struct epoch *frozen[RIG_EPOCHS_MAX];
    struct rig_segment frozen_as[RIG_EPOCHS_MAX]; /* what each becomes */
    uint32_t frozen_count;
    struct rig_segment segments[RIG_EPOCHS_MAX];
    struct sealed *sealed[RIG_EPOCHS_MAX];
    uint32_t sealed_count;
    struct event_maker maker;
    struct usage_row *rows; /* [RIG_ROWS_MAX] */
    uint32_t row_count;
    uint32_t epoch_first_row;
    uint64_t commit;
    uint64_t position;
    int64_t arrival_us;
    uint32_t generation; /* of touches; see cells.h */
    bool every_touch;    /* not only one a generation */
    uint32_t feed_seen;  /* entries of the open epoch in the lines */
    uint32_t finds;      /* questions to segments about feeds */
    struct lines feed;
};

void rig_open(struct rig *rig, const struct catalog *catalog);
void rig_close(struct rig *rig);
/* A commit that arrives then; the first of a second is a tick. */
void rig_commit(struct rig *rig, int64_t arrival_us);
/* A row of this commit; copied. */
void rig_row(struct rig *rig, const struct usage_row *row);
void rig_close_before(struct rig *rig, uint32_t tenant, int64_t before_us);
/* The end of the epoch; `restart`: the state is saved and opened again from the bytes. */
void rig_cut(struct rig *rig, const struct catalog *next, bool restart);
/* The oldest frozen epoch becomes a segment, if there is one. */
void rig_seal(struct rig *rig);
struct window_history rig_history(struct rig *rig);

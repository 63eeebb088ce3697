/*
 * part_world.h - a partition over a real store of its own, for tests: commits, cuts, sealing,
 * restarts.
 *
 * Catalogs, each extending the one before:
 *   0  tenants acme, globex; types call (region string, tokens decimal 0, cost decimal 6 optional)
 *      and slow (tokens decimal 0; late_limit 1h, future_limit 1m); meters tokens by region, calls
 *   1  and tenant newco, type later (tokens decimal 0), call.note string
 *
 * Life:   part_world_open, ..., part_world_close (which removes the directory).
 * Thread: the test's.
 */
#pragma once

#include "engine/dedup.h"
#include "engine/part.h"
#include "event_maker.h"

#define WORLD_CUTS_MAX     64
#define WORLD_SEGMENTS_MAX 64

struct world_cut {
    struct epoch *epoch;
    const struct catalog *catalog;
    uint64_t commit;
    struct vt_bytes state;
};

struct part_world {
    char dir[64];
    struct io *io;
    struct store *store;
    struct zones *zones;
    struct catalog *catalogs[2];
    uint32_t catalog; /* in force */
    struct part *part;
    struct event_maker maker;
    uint64_t number; /* of the last commit */
    int64_t arrival_us;
    uint64_t dedup_ids_max;
    struct dedup *dedup;
    uint32_t cut_count; /* frozen and not sealed */
    struct world_cut cuts[WORLD_CUTS_MAX];
    uint32_t sealed_count;
    struct sealed *sealed[WORLD_SEGMENTS_MAX];
    struct vt_bytes state; /* of the last cut that is sealed */
};

/* VT_UNSUPPORTED where this system has no io_uring. */
VT_MUST_CHECK vt_err part_world_open(struct part_world *world);
/* The same with meters of every aggregation and more dimensions; tenants and types as above. */
VT_MUST_CHECK vt_err part_world_open_wide(struct part_world *world);
void part_world_close(struct part_world *world);

/* A commit of one batch; verdicts are in it. `arrival_us` is added to the clock. */
struct batch *part_world_commit(struct part_world *world, const struct made_event *events,
                                uint32_t count, int64_t arrival_us);
/* A commit without events that the caller fills and ends. */
void part_world_begin(struct part_world *world, uint32_t positions, int64_t arrival_us);
void part_world_end(struct part_world *world);
uint32_t part_world_settle(struct part_world *world, const uint64_t *positions, uint32_t count,
                           bool discard);

void part_world_cut(struct part_world *world, uint32_t next_catalog);
/* Seals what is frozen. */
void part_world_seal(struct part_world *world);
/* Cuts, seals, and opens the partition again from state and segments. */
void part_world_restart(struct part_world *world);

/*
 * sim_world.h - one history of a whole engine on one disk, through several processes, and what must
 * be there after each. Two things say so: a twin engine that is fed the same on a disk without
 * faults and never crashes, and a naive model (sim_model.h). By the numbers of the table of
 * invariants (tests/INVARIANTS.md), sim_world_check holds:
 *
 *    1  every acked commit, and every one that a view has shown, is there
 *    2  verdicts, counters and rows are those of the model: counted exactly once
 *    3  what was not acked is there as a whole commit or not at all: the digest is that of the twin
 *       after as many commits
 *    4  the commits are those of the model, without a gap, to some commit
 *    6  positions are dense: the last one is the model's
 *    9  received = accepted + duplicates + exceptions
 *   10  the windows equal a recount from the model's rows
 *   11  the state after a restart is the state before it
 *   14, 16  the feed begins with what it was; pages by cursor make up the whole of it
 *   23, 24  a producer goes on at its next sequence; an epoch that ended stays closed
 *
 * Life:   sim_world_init (main.io is a simulated disk; sim_world_move: a real one), sim_world_open,
 *         step*, stop or crash, open ...; sim_world_free.
 * Errors: what is wrong ends the program (sim_die). A step is false where the engine failed.
 * Thread: one.
 */
#pragma once

#include "answer_text.h"
#include "sim_model.h"
#include "storage/storage.h"

struct sim_engine {
    struct io *io;
    const char *dir; /* NULL: "s" */
    struct store *store;
    struct core *core;
    struct core_inline inline_state;
    bool read_only;
    bool unmerged; /* it merges no segments: what it answers must be the same */
};

struct sim_world {
    struct sim_model *model;
    struct sim_engine main;
    struct io *origin;       /* where the store was made, before sim_world_move; NULL: main.io */
    struct sim_engine twin;  /* the same calls, settled after each commit, on a simulated disk */
    struct answer_text feed; /* of the twin */
    uint64_t random;
    int64_t now_us;
    uint64_t shown; /* greatest commit that was acked or shown by a view */
    uint64_t next_id;
    uint64_t acks;
    uint64_t lost;                                 /* commits that were not acked and are gone */
    bool may_fail;                                 /* calls are made to fail */
    void (*acked)(void *context, uint64_t commit); /* NULL is allowed: a commit was acked */
    void *acked_context;
};

/* `world` NULL: nobody wants the acks. */
VT_MUST_CHECK vt_err sim_engine_open(struct sim_engine *engine, struct sim_world *world,
                                     uint32_t worker_count);
void sim_engine_close(struct sim_engine *engine); /* what is in flight comes home unseen */
uint64_t sim_engine_commits(const struct sim_engine *engine);

/* An engine that was just opened. Gives the commit up to which it has everything. */
uint64_t sim_world_check(struct sim_engine *engine, const struct sim_world *world, uint64_t random);
void sim_check_view(const struct view *view, const struct sim_world *world, uint64_t number);
/* The feed is what the twin's was after this commit, in pages of `limit` rows; 0: whole. */
void sim_check_feed(const struct view *view, const struct sim_world *world, uint64_t number,
                    uint64_t limit);
uint64_t sim_feed_text(const struct view *view, struct vt_str cursor, uint64_t limit,
                       struct answer_text *text);

void sim_world_init(struct sim_world *world, struct sim_model *model, uint64_t seed);
void sim_world_free(struct sim_world *world);
/* Before the first open: makes the store on the simulated disk, so that the twin has its keys, and
 * copies it to `dir` of `io`, where main goes on. The world owns `io`; `dir` stays the caller's. */
void sim_world_move(struct sim_world *world, struct io *io, const char *dir);

/* Opens main and checks it; the model and the twin go back to what it has. Fails only where calls
 * are made to fail. */
VT_MUST_CHECK vt_err sim_world_open(struct sim_world *world);
bool sim_world_step(struct sim_world *world); /* one, as a random number says */
bool sim_world_stop(struct sim_world *world); /* cleanly */
/* The process ends as a kill or a power cut ends it, and the disk is what that leaves. */
void sim_world_crash(struct sim_world *world, bool kill);

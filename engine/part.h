/*
 * part.h - a partition: the state of some tenants, and the only code that changes it. One thread
 * owns it; there are no locks. Everything it does is a function of the order of commits.
 *
 * Per commit: part_begin (arrival: runs the tick where this commit is the first of a second), then
 * the records in order (part_apply for a batch, part_close_windows, part_retry, part_discard), then
 * part_end.
 *
 * Exactly once: an identity not in the tag table is new, exactly. A tag is a candidate, confirmed
 * in this epoch, in frozen epochs, in the id runs of segments, newest first; then content is
 * compared: duplicate or conflict.
 *
 * Which exceptions are open is not in the state: it follows from the entries of segments and
 * epochs.
 *
 * Life:   part_open (with the state of the last seal and the segments), commits, part_free.
 * Errors: any error but those of part_open leaves the partition behind its log: the engine stops.
 *         That the tag table has room is made sure at the door (core_admit.c).
 * Thread: the owner's, but part_due_us and part_dedup_used, which any thread may ask.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "catalog.h"
#include "epoch.h"
#include "fence.h"
#include "sealed.h"
#include "venturi/hash.h"

struct dedup;
struct part;

struct part_options {
    uint32_t partition;
    struct vt_hash_key key;
    const struct catalog *catalog; /* in force */
    struct dedup *dedup;           /* the store's, borrowed; has room for what is sealed */
    struct io *io;                 /* the segments' disk; NULL: they are read one id at a time */
    uint64_t next_commit;          /* number and position that come next */
    uint64_t next_position;
    struct fence *fence;   /* told of damage in segments; NULL: it is an error and no more */
    struct vt_bytes state; /* what part_save made at the last cut; empty for a new store */
    uint32_t sealed_count;
    struct sealed **sealed; /* this partition's segments, oldest first; the part takes references */
};
VT_MUST_CHECK vt_err part_open(const struct part_options *options, struct part **out_part);
void part_free(struct part *part); /* NULL is allowed */

struct commit_meta {
    uint64_t number;
    uint64_t first_position;
    uint32_t event_count;
    int64_t arrival_us;
};
VT_MUST_CHECK vt_err part_begin(struct part *part, const struct commit_meta *commit);

/* The batch's events of this partition: `select` holds their indexes, ascending. Writes verdict and
 * reason of those. */
VT_MUST_CHECK vt_err part_apply(struct part *part, struct batch *batch, const uint32_t *select,
                                uint32_t select_count);

/* A whole frame came again: `count` events of the tenants' are duplicates. Per tenant name, from
 * the core. */
VT_MUST_CHECK vt_err part_count_resend(struct part *part, struct vt_str tenant, uint32_t count);

/* Windows that end at or before `before_us` become final now. tenant "" is all of this
 * partition's. */
struct close_order {
    struct vt_str tenant;
    int64_t before_us;
};
VT_MUST_CHECK vt_err part_close_windows(struct part *part, const struct close_order *order);

/* Exceptions to judge again or to give up, by their positions. Those that are not this partition's,
 * or not open any more, are passed over.
 *
 * Retry: the raw event is decoded under the catalog in force, lateness is judged against the
 *        arrival
 * of the retry's commit, then it is deduplicated like any other. One that becomes a row takes
 * position first_position + its place in the list, so that known-at has it from its retry on; it is
 * not received again: the event moves from the counters of its exception (unknown tenants share one
 * row) to those of its tenant, received included, as accepted or duplicate. A repeat with other
 * content becomes a duplicate and leaves a conflict at that position. One that is still an
 * exception stays as it is, open, under its old position and with its first reason, even where
 * another one would apply now: entry, listing and counters by reason say the same for ever. What
 * was malformed stays so under any catalog and is not tried. Conflicts can only be discarded.
 *
 * Discard: the entry leaves the list of open ones and stays counted. */
struct settle_order {
    const le64 *positions;
    uint32_t count;
    uint64_t first_position; /* at which the record stands */
};
/* *out_settled: how many were settled here. */
VT_MUST_CHECK vt_err part_retry(struct part *part, const struct settle_order *order,
                                uint32_t *out_settled);
VT_MUST_CHECK vt_err part_discard(struct part *part, const struct settle_order *order,
                                  uint32_t *out_settled);

VT_MUST_CHECK vt_err part_end(struct part *part);

/* Whether a tick would do anything at or after which arrival time; INT64_MAX where nothing is
 * due. */
int64_t part_due_us(const struct part *part);

/* At a cut: freezes the epoch (a reference for the caller), serializes the part's own state as of
 * the cut (malloc, the caller frees), and begins a new epoch under `catalog` (the same or the
 * next). */
VT_MUST_CHECK vt_err part_cut(struct part *part, const struct catalog *next_catalog,
                              struct epoch **out_epoch, struct vt_bytes *out_state);

/* The oldest frozen epoch, that of the commit `cut`, is sealed as `sealed`: look there from now on.
 * NULL: it was empty and has no segment. */
VT_MUST_CHECK vt_err part_sealed(struct part *part, uint64_t cut, struct sealed *sealed);

/* `count` segments, the oldest of which has this identity, have become one with the same in it. */
VT_MUST_CHECK vt_err part_merged(struct part *part, const struct segment_id *first, uint32_t count,
                                 struct sealed *merged);

/* Counters of a tenant, or of everything. exceptions counts open and discarded ones. */
struct tally {
    uint64_t received;
    uint64_t accepted;
    uint64_t duplicates;
    uint64_t conflicts;
    uint64_t exceptions;
    uint64_t by_reason[16];
};

/* A snapshot for readers, between commits. */
struct part_snapshot {
    uint32_t partition;
    uint32_t mark_count; /* frozen epochs, oldest first, then the open one */
    struct epoch_mark *marks;
    uint32_t sealed_count; /* oldest first; references */
    struct sealed **sealed;
    struct tally tally; /* of the partition */
    uint32_t
        tenant_count; /* that were ever seen; names borrowed from catalog or "" for unknown ones */
    struct vt_str *tenants;
    struct tally *tenant_tallies;
};
VT_MUST_CHECK vt_err part_snapshot_take(struct part *part, bool want_tenants,
                                        struct part_snapshot *out_snapshot);
void part_snapshot_put(struct part_snapshot *snapshot);

/* Ids that it remembers: what counts towards the budget. */
uint64_t part_dedup_used(const struct part *part);

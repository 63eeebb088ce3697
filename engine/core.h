/*
 * core.h - the engine put together: from frames to commits, from commits to partitions, to cuts, to
 * views. It owns no thread and reads no clock: time, frames and completions are handed in, work
 * goes out by callbacks. The daemon runs core_work on worker threads, core_seal on a sealer and
 * core_merge on a merger; tests and tools run the very same inline (core_inline).
 *
 *   front thread                                   workers                       sealer
 *   core_add_frame  copy, decode, sessions
 *   core_submit     number, log write ──dispatch──▶ core_work: part_apply
 *   core_poll       durable? done? ──▶ acked()
 *                   at a cut ─────────────────────▶ part_cut
 *                   all parts cut ──seal()──────────────────────────────────────▶ core_seal:
 *                   segments,
 *   core_sealed     lanes are free  ──dispatch──▶ part_sealed                       manifest edit
 *   core_poll       what to merge?  ──merge()──▶ core_merge: the merger writes, the sealer edits
 *   core_merged     all have an edit ──dispatch──▶ part_merged; then the inputs' files go
 *
 * One order: every change of state is a record in a commit; verdicts and acks follow commit by
 * commit. A view is given out only when the commit that it shows is durable.
 *
 * Life:   core_open (recovers: state of the last seal, then the tail), calls, core_stop (waits for
 *         nothing: the caller polls until core_idle), core_close.
 * Errors: after a failed write, or an error that a worker met, core_failed says why; nothing is
 *         acked any more and the process should end. A full disk is no failure: what is taken stays
 *         in the lanes, the door refuses with VT_DISK_FULL, all else goes on, and core_look finds
 *         out when there is space again. Damage in sealed data fences its partition: fence.h.
 * Thread: the front thread, but core_work (worker's), core_seal (sealer's) and core_merge (by its
 *         stage).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "catalog.h"
#include "part.h"
#include "storage/storage.h"
#include "view.h"

struct core;
struct work;       /* one thing for every worker to do, in order */
struct cut;        /* frozen epochs of all partitions, to be sealed */
struct core_merge; /* segments that become one */

struct core_ack {
    vt_err err;
    uint64_t sequence; /* of the frame */
    uint64_t position; /* last position of the commit */
    uint32_t event_count;
    uint32_t settled; /* of a retry or discard */
    const struct batch *batch;
};

struct core_callbacks {
    /* Every worker must call core_work(core, worker, work) in the order of dispatch. */
    void (*dispatch)(void *context, struct work *work);
    /* The sealer must call core_seal(core, cut), then the front thread core_sealed(core, cut). One
     * at a time. */
    void (*seal)(void *context, struct cut *cut);
    /* The thread of the merge's stage must call core_merge(core, merge, pause), then the front
     * thread core_merged(core, merge). One at a time. NULL: segments are not merged. */
    void (*merge)(void *context, struct core_merge *merge);
    /* A batch is durable and its verdicts are decided; `batch` is NULL for a resend of
     * `event_count` events, for a record that is no frame, or where err is not VT_OK. Valid for the
     * call. */
    void (*acked)(void *context, void *waiter, const struct core_ack *ack);
    /* A view that was asked for. The receiver owns it (view_put, then free). */
    void (*viewed)(void *context, void *waiter, struct view *view, vt_err err);
    /* On a worker's thread that met damage: sleep a little; false: it shall give up, which ends the
     * core. NULL: it gives up at once. */
    bool (*damage_wait)(void *context);
    void *context;
};

struct core_options {
    struct io *io;      /* the front thread's; with a ring unless read_only */
    struct io *seal_io; /* the sealer's and the merger's; synchronous calls only */
    struct store *store;
    uint32_t worker_count;                  /* 1 to STORE_PARTITIONS_MAX */
    uint64_t dedup_ids_max;                 /* of the whole store; 0: 64 Mi; see dedup.h */
    uint64_t cut_bytes;                     /* bytes of frames after which a cut comes; 0: 64 MiB */
    const struct core_callbacks *callbacks; /* NULL: core_inline */
    uint32_t merge_width; /* segments that become one, 2 to 16; 0: 8, 1: none ever */
    bool read_only;       /* recover and view only */
};

VT_MUST_CHECK vt_err core_open(const struct core_options *options, struct core **out_core);
void core_close(struct core *core); /* NULL is allowed */

/* The catalog in force for what comes next; NULL before the first. Lives until core_close. */
const struct catalog *core_catalog(const struct core *core);

/* A producer session. Makes the producer known (a record) where it is new. `epoch` below the
 * producer's current one is VT_PRODUCER_TAKEN; above it starts a new one. */
struct core_session {
    uint64_t producer;
    uint64_t epoch;
    uint64_t sequence_next;
};
VT_MUST_CHECK vt_err core_session_open(struct core *core, uint64_t token_id, struct vt_str name,
                                       uint64_t epoch, struct core_session *out_session);

struct core_frame {
    uint8_t frame_type;
    uint32_t event_count;
    uint32_t payload_crc;
    struct vt_bytes payload; /* copied */
    uint64_t producer;       /* 0: no session */
    uint64_t epoch;
    uint64_t sequence;
    struct vt_str
        tenant; /* the token's only tenant: another one in the frame is VT_FORBIDDEN; empty: any */
    void *waiter;
};
/* VT_OK: it is in the open commit and will be acked. VT_AGAIN: no buffer is free, or too much is
 * unsealed; try after core_poll. Anything else refuses the frame (nothing of it is kept), with a
 * detail for its sender: VT_DISK_FULL until there is space, VT_DEDUP_FULL. */
VT_MUST_CHECK vt_err core_add_frame(struct core *core, const struct core_frame *frame);

/* Control records; each is acked like a frame. The catalog is checked to be an extension. */
VT_MUST_CHECK vt_err core_add_catalog(struct core *core, struct vt_str text,
                                      const struct catalog_zones *zones, void *waiter);
VT_MUST_CHECK vt_err core_add_close(struct core *core, const struct close_order *order,
                                    void *waiter);
VT_MUST_CHECK vt_err core_add_settle(struct core *core, bool retry, const le64 *positions,
                                     uint32_t count, void *waiter);

/* Bytes in the open commit; whether anything waits for a submit. */
uint32_t core_open_bytes(const struct core *core);
bool core_open_any(const struct core *core);

/* Closes the open commit and sends it off; nothing to do where it is empty and no tick is due.
 * now_us is the wall clock; the arrival time is max(previous, now). */
VT_MUST_CHECK vt_err core_submit(struct core *core, int64_t now_us);

/* Earliest wall time at which an empty commit is needed (something is due); INT64_MAX: none. */
int64_t core_due_us(const struct core *core);

/* Delivers what is finished: acks, views, cuts. Calls io_poll(wait_ns) first. */
VT_MUST_CHECK vt_err core_poll(struct core *core, int64_t wait_ns);

/* Asks for a view at the last submitted commit; viewed() gets it when that is durable and done. */
VT_MUST_CHECK vt_err core_view_ask(struct core *core, bool want_tenants, void *waiter);

/* A clean stop: submits an end mark. Then poll until core_idle. VT_AGAIN: poll and call again. */
VT_MUST_CHECK vt_err core_stop(struct core *core, int64_t now_us);
/* Nothing in flight, no cut unsealed but what waits for space: the next start seals that. */
bool core_idle(const struct core *core);

vt_err core_failed(const struct core *core); /* VT_OK while all is well */

/* Which partitions are fenced; NULL with read_only. For any thread, while the core lives. */
struct fence *core_fence(const struct core *core);

/* On worker `worker`'s thread: its partitions' share of the work. */
void core_work(struct core *core, uint32_t worker, struct work *work);

/* On the sealer's thread: writes and opens the segments of a cut, then the manifest edit. Where the
 * disk is full the reserve is given up for it. */
void core_seal(struct core *core, struct cut *cut);
/* On the front thread afterwards: the lanes are free again, and the news for the workers. A cut
 * that found no space waits for core_look. */
VT_MUST_CHECK vt_err core_sealed(struct core *core, struct cut *cut);

/* Looks how much space is left, and tries what waits for it. Once a second; each frame between two
 * looks is measured by the last one. */
void core_look(struct core *core);

/* A merge goes through three stages, each a core_merge on the thread that it says and then a
 * core_merged on the front thread, until that asks for the next by the callback or is done. */
enum core_merge_stage {
    CORE_MERGE_WRITE = 1, /* the merger's: writes and opens the merged segment */
    CORE_MERGE_EDIT,      /* the sealer's, which has the manifest */
    CORE_MERGE_DROP,      /* the merger's: removes the inputs' files */
};
enum core_merge_stage core_merge_stage(const struct core_merge *merge);
/* Asked between pieces of the writing; an error ends the merge, which is no failure of the core. */
struct core_pause {
    vt_err (*pause)(void *context);
    void *context;
};
void core_merge(struct core *core, struct core_merge *merge, const struct core_pause *pause);
VT_MUST_CHECK vt_err core_merged(struct core *core, struct core_merge *merge);

/* Runs everything on the calling thread, at once: for tests, tools and recovery. */
struct core_inline {
    struct core *core;
    uint32_t worker_count;
    void (*acked)(void *context, void *waiter, const struct core_ack *ack); /* NULL is allowed */
    void *context;
};
void core_inline_callbacks(struct core_inline *inline_state, struct core_callbacks *out_callbacks);

/* A view now, inline: polls until the last submitted commit is durable. */
VT_MUST_CHECK vt_err core_view_now(struct core *core, bool want_tenants, struct view *out_view);

/* Counters for metrics; read on the front thread. */
struct core_stats {
    uint64_t commits;
    uint64_t commits_durable;
    uint64_t frames;
    uint64_t frames_refused;
    uint64_t events;
    uint64_t bytes;
    uint64_t cuts;
    uint64_t cuts_waiting;
    uint64_t segments;
    uint64_t merges;
    uint64_t merges_failed; /* called off at a stop, too */
    uint64_t merge_rows;    /* written by merges */
    uint64_t merge_bytes;
    uint64_t dedup_ids;
    uint64_t dedup_ids_max;
    uint64_t position;
    uint64_t disk_free_bytes; /* at the last look */
    uint64_t disk_kept_bytes; /* below so many free bytes nothing is taken */
    bool disk_full;           /* the door refuses with VT_DISK_FULL */
    bool seal_waits;          /* a cut found no space */
    uint64_t fenced;          /* partitions whose sealed data waits for a repair */
};
void core_get_stats(const struct core *core, struct core_stats *out_stats);

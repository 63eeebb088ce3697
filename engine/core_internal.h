/*
 * core_internal.h - what the files of the core share: the state of the front thread, and the works
 * that travel to the workers. core.h has the picture.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "batch_cache.h"
#include "core.h"
#include "dedup.h"
#include "ptr_table.h"

#define CORE_MAGIC             UINT32_C(0x45524f43) /* "CORE": set at init, cleared at deinit */
#define CORE_DEDUP_IDS_DEFAULT (UINT64_C(64) << 20)
#define CORE_CUT_BYTES_DEFAULT (UINT64_C(64) << 20)
#define CORE_CUT_BYTES_MAX     (UINT64_C(320) << 20) /* for what an epoch can hold */
#define CORE_WORK_ARENA_BYTES  (UINT64_C(256) << 10)
#define CORE_CUTS_WAITING_MAX  2    /* more unsealed cuts than this hold ingest back */
#define CORE_INTERVALS_MAX     4096 /* frames of a producer whose hashes are kept apart */
#define CORE_INTERVALS_SAVED   (UINT32_C(1) << 20)  /* of all producers in the state of a cut */
#define CORE_PRODUCERS_MAX     500000               /* names ever seen in a store */
#define CORE_OPEN_ARENA_MAX    (UINT64_C(64) << 20) /* decoded for one commit, refused frames too */

/* One record of a commit, as the workers and the acks need it. */
struct core_item {
    uint8_t kind; /* enum log_kind */
    bool resend;
    struct batch *batch;     /* LOG_FRAME but resends */
    uint32_t *select;        /* event indexes, grouped by partition, ascending in each */
    uint32_t *select_start;  /* [partition_count + 1] */
    struct vt_bytes payload; /* control records and resends; in the commit's buffer */
    uint64_t first_position;
    uint32_t event_count;
    uint64_t producer;
    uint64_t epoch;
    uint64_t sequence;
    void *waiter;
    uint32_t ids;             /* that may have to be remembered, at most; 0 once recovered */
    _Atomic uint32_t settled; /* summed by the workers */
};

#define CORE_MERGE_WIDTH_DEFAULT 8

enum work_kind { WORK_COMMIT = 1, WORK_SNAPSHOT, WORK_SEALED, WORK_MERGED };

/* Filled by the front thread before dispatch, shared with the workers until `remaining` is zero. */
struct work {
    enum work_kind kind;
    struct work *next; /* front thread's queue */
    _Atomic uint32_t
        remaining; /* workers that have not finished; released by each, acquired by the front */
    _Atomic uint32_t failed; /* first vt_err of a worker */
    char failed_detail[256]; /* written by the worker that set `failed` */
    struct arena arena;

    struct commit_meta meta; /* WORK_COMMIT; WORK_SNAPSHOT: of the last commit before it */
    struct log_buffer *buffer;
    uint32_t item_count;
    struct core_item *items;
    const struct catalog *next_catalog; /* in force after this commit; the same as before, mostly */
    struct cut *cut;                    /* the cut after this commit, or NULL */

    struct core_merge *merge; /* WORK_MERGED; the core has it */

    struct part_snapshot *snapshots; /* WORK_SNAPSHOT: [partition_count] */
    const struct catalog *catalog;
    bool want_tenants;
    void *waiter;
};

struct cut {
    struct cut *next;
    uint64_t commit;
    uint64_t last_position;
    int64_t arrival_us;
    uint64_t bytes;      /* counted since the cut before it */
    uint64_t check;      /* of the commit, as is `start` */
    uint64_t start;      /* set when it goes to the sealer */
    bool reserve;        /* the store's reserves are held; the sealer's while it has the cut */
    bool edit_tried;     /* the next start may find the edit: the segments stay */
    uint32_t partitions; /* done: those below it */
    uint64_t state_bytes;
    struct epoch **epochs;          /* [partition_count]; frozen, a reference each */
    struct vt_bytes *part_states;   /* [partition_count]; malloc */
    struct vt_bytes core_state;     /* front thread's own state as of the commit; malloc */
    struct sealed **sealed;         /* [partition_count]; NULL where the epoch was empty */
    struct store_segment *segments; /* [partition_count] */
    uint32_t segment_count;
    vt_err err; /* of the sealing */
    char detail[256];
};

/* Filled by the front thread; the stage's thread has it meanwhile. */
struct core_merge {
    const struct catalog *catalog;
    uint32_t input_count;
    struct store_segment inputs[SEAL_MERGE_MAX];
    struct store_segment segment; /* what they became */
    struct sealed *sealed;
    enum core_merge_stage stage;
    bool given;              /* to the stage's thread */
    _Atomic uint32_t cancel; /* written by the front thread */
    vt_err err;
    char detail[256];
};

/* Events first .. end-1 of a producer's epoch; hash 0 where several frames were merged. */
struct core_interval {
    uint64_t first;
    uint64_t end;
    uint64_t hash;
};

/* What a producer is found by. */
struct core_producer_name {
    uint64_t id;
    uint64_t token_id;
    uint32_t size;
    char text[];
};

struct core_producer {
    struct core_producer_name *owner; /* malloc */
    uint64_t token_id;
    struct vt_str name; /* the owner's */
    uint64_t epoch;
    uint64_t durable_next; /* first sequence not durable without a gap */
    uint32_t in_flight;    /* frames noted and not yet durable; zero while recovering */
    uint32_t interval_count;
    uint32_t interval_capacity;
    struct core_interval *intervals; /* ascending, disjoint */
};

struct core_catalog {
    uint64_t commit; /* its record's; in force from the next commit on */
    struct catalog *catalog;
    struct vt_bytes packed; /* malloc */
};

/* What the disk has left, and what is kept of it: core_space.c. */
struct core_space {
    uint64_t free_bytes;    /* at the last look */
    uint64_t stalled_bytes; /* and at the last seal that found too little */
    uint64_t reserve_bytes; /* of the store's reserve for a seal; constant */
    uint64_t state_bytes;   /* of the last seal */
    uint32_t looks;         /* since that seal */
    bool reserve;           /* both reserves are held */
    bool stalled;           /* the oldest cut waits for space */
    bool full;              /* the door is shut until there is enough */
};

struct core {
    uint32_t magic;
    struct core_options options;
    struct core_callbacks callbacks;
    struct core_inline inline_state; /* where options had no callbacks */
    struct store_info store;
    struct log *log; /* NULL with read_only and during recovery */
    struct batch_cache *batch_cache;
    uint32_t partition_count;
    struct fence *fence; /* NULL with read_only */
    struct part **parts; /* [partition_count]; NULL before the first catalog */

    uint32_t catalog_count;
    struct core_catalog *catalogs;
    uint64_t producer_count; /* ids are 1 .. producer_count */
    uint64_t producer_capacity;
    struct core_producer *producers;
    struct ptr_table producer_names; /* of struct core_producer_name, by token and name */

    struct work *open; /* the commit being filled, or NULL */
    uint32_t open_item_capacity;
    bool open_closed;   /* a catalog record is in it: nothing may follow */
    struct work *first; /* dispatched, oldest first */
    struct work *last;

    uint64_t commit_last; /* submitted or recovered */
    uint64_t position_next;
    int64_t arrival_last_us;
    uint64_t bytes_since_cut;
    struct dedup *dedup;    /* from the first catalog on; shared by all workers */
    uint64_t ids_in_flight; /* admitted, not yet acked */
    uint64_t ids_room;      /* at least so many more fit: refreshed where it does not suffice */
    bool ended;             /* the end mark was submitted */
    bool worker_failed[STORE_PARTITIONS_MAX]; /* [worker]; each its worker's own */

    struct cut *cut_first; /* complete, oldest first; the first is with the sealer where sealing */
    struct cut *cut_last;
    uint32_t cuts_waiting; /* taken, not yet sealed */
    bool sealing;
    uint64_t bytes_waiting; /* of those cuts */
    struct core_space space;

    struct core_merge *merge; /* under way, or NULL */
    bool merge_look;          /* the list of segments has changed since the last look */
    bool merge_off;           /* an edit failed: no more until the next start */
    uint64_t merge_after[STORE_PARTITIONS_MAX]; /* cuts before which a partition is left alone */

    vt_err failed;
    char failed_detail[320];
    struct core_stats stats;
};

/* core.c */
uint64_t core_ids_known(const struct core *core); /* remembered by all partitions */
vt_err core_fail(struct core *core, vt_err err, const char *detail);
void core_dispatch(struct core *core, struct work *work);
vt_err core_work_open(struct core *core, enum work_kind kind, struct work **out_work);
void core_work_free(struct core *core, struct work *work);

/* core_admit.c */
VT_MUST_CHECK vt_err core_decode(struct core *core, struct work *work,
                                 const struct core_frame *frame, struct core_item *item);
VT_MUST_CHECK vt_err core_item_add(struct core *core, struct work *work,
                                   struct core_item **out_item);

VT_MUST_CHECK vt_err core_control_add(struct core *core, uint8_t kind, struct vt_bytes payload,
                                      struct core_item **out_item);

/* core_commit.c: what recovery and the live way have in common: number, positions, and the cut that
 * may follow. */
VT_MUST_CHECK vt_err core_commit_number(struct core *core, struct work *work, uint64_t number,
                                        int64_t arrival_us);

/* core_work.c: everything of one partition in one work. */
VT_MUST_CHECK vt_err core_work_part(struct core *core, uint32_t partition, struct work *work);

/* core_session.c */
enum session_verdict { SESSION_NEW = 1, SESSION_RESEND, SESSION_OVERLAP };
uint64_t core_frame_hash(const struct core_frame *frame);
enum session_verdict core_session_check(const struct core_producer *producer, uint64_t first,
                                        uint64_t end, uint64_t hash);
/* Whether one more frame that is SESSION_NEW can be noted. VT_AGAIN: once what is in flight is
 * durable. */
VT_MUST_CHECK vt_err core_session_room(struct core_producer *producer);
/* Joins old frames until about `keep` intervals are left. */
void core_session_trim(struct core_producer *producer, uint32_t keep);
VT_MUST_CHECK vt_err core_session_note(struct core_producer *producer, uint64_t epoch,
                                       uint64_t first, uint64_t end, uint64_t hash);
void core_session_durable(struct core_producer *producer, uint64_t epoch, uint64_t first,
                          uint64_t end);
struct core_producer *core_producer_at(struct core *core, uint64_t id);
/* Whether an event without an id gets one from its place in the stream; wire.h has the rule. False
 * for NULL. */
bool core_producer_names_events(const struct core_producer *producer);
/* Adds the record that makes a producer known. In core_admit.c. */
VT_MUST_CHECK vt_err core_producer_announce(struct core *core, uint64_t token_id,
                                            struct vt_str name, uint64_t *out_id);
VT_MUST_CHECK vt_err core_producer_add(struct core *core, uint64_t token_id, struct vt_str name,
                                       uint64_t *out_id);
void core_producers_free(struct core *core);

/* core_cut.c */
VT_MUST_CHECK vt_err core_cut_open(struct core *core, struct work *work);
void core_cut_free(struct core *core, struct cut *cut);
void core_cut_ready(struct core *core, struct cut *cut);
void core_seal_next(struct core *core);
void core_seal_again(struct core *core); /* the cut that found no space */

/* core_space.c */
void core_space_open(struct core *core);
/* Both reserves of the store, by the thread that has them: the sealer's while a cut is with it.
 * False where there is no space for both. */
bool core_reserve_take(struct core *core, struct io *io, uint64_t state_bytes);
/* VT_DISK_FULL: nothing that grows the store may be logged now. */
VT_MUST_CHECK vt_err core_space_check(struct core *core);
/* After a seal: `err` is VT_OK or VT_FULL. */
void core_space_sealed(struct core *core, const struct cut *cut, vt_err err);
/* Free bytes below which the door shuts. */
uint64_t core_space_needed(const struct core *core);
/* Whether so much may be written that needs not be. */
bool core_space_spare(const struct core *core, uint64_t bytes);

/* core_merge.c; it has the picture. */
/* Begins a merge, or goes on with one that waits for the manifest. */
void core_merge_next(struct core *core);
void core_merge_swapped(struct core *core); /* every worker has the merged one */
void core_merge_cancel(struct core *core);
void core_merge_free(struct core_merge *merge); /* NULL is allowed */

/* core_state.c: the front thread's state as bytes, and back. */
VT_MUST_CHECK vt_err core_state_save(const struct core *core, struct vt_bytes *out_bytes);
VT_MUST_CHECK vt_err core_state_join(const struct cut *cut, uint32_t partition_count,
                                     struct vt_bytes *out_bytes);
struct core_state_parts {
    struct vt_bytes parts[STORE_PARTITIONS_MAX]; /* borrowed from the state */
};
VT_MUST_CHECK vt_err core_state_load(struct core *core, struct vt_bytes bytes,
                                     struct core_state_parts *out_parts);
VT_MUST_CHECK vt_err core_catalog_add(struct core *core, uint64_t commit, struct vt_bytes packed,
                                      struct catalog *catalog);

/* core_recover.c */
/* The catalog that judged the rows of a segment: the last whose record stands before the cut. The
 * record itself closes the epoch before. NULL: none. */
const struct catalog *core_judging_catalog(const struct core *core, uint64_t cut);
VT_MUST_CHECK vt_err core_recover(struct core *core);
VT_MUST_CHECK vt_err core_parts_open(struct core *core, const struct core_state_parts *states);

/*
 * part_internal.h - what the files of the partition share. Private to part*.c.
 *
 *   part.c           life, commits, ticks, cuts
 *   part_apply.c     events of a batch: judged, deduplicated, appended, counted
 *   part_plain.c     events that ask no question
 *   part_seek.c      candidates looked for in segments, a slice of a batch at a time
 *   part_find.c      the first one of an identity, wherever it stands, and whether content is the
 *                    same
 *   part_raw.c       an accepted row as the map of BATCH_ROWS
 *   part_settle.c    open exceptions; retry and discard
 *   part_state.c     counters by tenant; the state of a cut as bytes
 *   part_snapshot.c  what readers get
 *
 * Thread: the owner's.
 */
#pragma once

#include <stdatomic.h>
#include <stdlib.h>

#include "chunk_list.h"
#include "dedup.h"
#include "part.h"
#include "window_state.h"

#define PART_MAGIC UINT32_C(0x50545256)

/* Counters of a tenant. Row 0 is shared by unknown tenants, and its name is "". */
struct tally_row {
    struct vt_str name; /* the catalog's */
    struct tally tally;
};

/* An exception or conflict that is not settled, or was so only lately. */
struct open_entry {
    uint64_t position;
    uint32_t row; /* of the counters that have it */
    uint8_t reason;
    bool settled;
};

/* By position, ascending: entries are added in the order of the log. */
struct open_list {
    struct open_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t settled_count; /* of them; dropped when they are half */
};

/* New events of the batch at hand that are no rows yet; empty between batches. */
#define PART_PENDING_MAX 256
struct part_pending {
    uint32_t count;
    uint32_t index[PART_PENDING_MAX];
    struct vt_hash128 identity[PART_PENDING_MAX];
};

/* Events of a batch that are claimed together, and whose look-ups in segments go together. */
#define PART_SLICE 1024
#define PART_READS 64 /* in flight */
struct part_slice {
    struct vt_hash128 ks[PART_SLICE]; /* {0, 0}: none */
    bool candidate[PART_SLICE];
    const struct sealed_seek *answer[PART_SLICE]; /* of the segments; NULL: not asked */
    struct arena arena;                           /* of the answers */
};

struct part {
    uint32_t magic;
    uint32_t partition;
    struct vt_hash_key key;
    const struct catalog *catalog;
    struct fence *fence;        /* may be NULL */
    struct dedup *dedup;        /* the store's */
    _Atomic uint64_t ids_known; /* written by the owner */
    struct epoch *epoch;        /* the open one */
    uint32_t frozen_count;
    uint32_t frozen_capacity;
    struct epoch **frozen; /* oldest first */
    uint32_t sealed_count;
    uint32_t sealed_capacity;
    struct sealed **sealed; /* oldest first */
    struct window_state *windows;
    uint32_t generation;     /* of cells' touches: the number of ticks and closes, from 1 */
    _Atomic int64_t due_us;  /* written by the owner at the end of a commit */
    struct commit_meta meta; /* of the commit at hand, or the last one */
    uint64_t last_position;  /* of the last commit */
    bool in_commit;
    struct tally total;
    struct chunk_list rows; /* of struct tally_row */
    uint32_t *row_of;       /* [tenant of the catalog] -> row; 0: none yet */
    struct open_list open;
    struct arena scratch; /* for one event */
    struct part_pending *pending;
    struct part_slice *slice;
    struct io_reader *reader; /* NULL: none */
};

/* For bytes from malloc that a function handed over. */
static inline void
part_bytes_free(struct vt_bytes bytes)
{
    union {
        const uint8_t *read;
        void *owned;
    } data = {.read = bytes.data};

    free(data.owned);
}

/* A segment that the partition gets, before its readers do. */
static inline void
part_guard(const struct part *part, struct sealed *sealed)
{
    if (part->fence == NULL)
        return;
    struct segment_guard guard = fence_guard(part->fence, part->partition);

    sealed_set_guard(sealed, &guard);
}

/* The position before the commit at hand is what a tick or close of it names. */
struct window_tick part_tick(const struct part *part);
struct window_history part_history(const struct part *part);

/* --- part_apply.c */

/* Judges lateness of event `index`, which is valid so far: gives its reason. */
uint8_t part_judge_time(const struct part *part, const struct batch *batch, uint32_t index);
/* A valid event: new, or a repeat. Notes the row, or appends the conflict; counts nothing. */
struct part_event {
    const struct batch *batch;
    uint32_t index;
    const struct vt_hash128 *k;       /* {0, 0} for a sequence */
    bool candidate;                   /* what part_claim said of it */
    const struct sealed_seek *answer; /* of the segments, where they were asked; else NULL */
};
VT_MUST_CHECK vt_err part_take(struct part *part, const struct part_event *event,
                               uint8_t *out_verdict);
/* Remembers the identity of a valid event, if it is no sequence, and says whether it may have been
 * known. An event that is claimed is taken next. */
VT_MUST_CHECK vt_err part_claim(struct part *part, const struct part_event *event,
                                bool *out_candidate);

/* What is noted becomes rows and cells. Before the batch goes. */
VT_MUST_CHECK vt_err part_flush(struct part *part, const struct batch *batch);

/* The windows that rows of one type belong to. Their cells are made when somebody wants them. */
VT_MUST_CHECK vt_err part_windows_take(struct part *part, row_ref first, uint32_t count);

/* --- part_plain.c: as part_apply, of a batch that is plain. */
VT_MUST_CHECK vt_err part_apply_plain(struct part *part, const struct batch *batch,
                                      const uint32_t *select, uint32_t select_count);

/* --- part_seek.c */

/* Asks the segments for the candidates among the first `count` of part->slice, which are events
 * `select` of the batch; the worker waits for the reads of all of them. */
VT_MUST_CHECK vt_err part_seek(struct part *part, const struct batch *batch, const uint32_t *select,
                               uint32_t count);

/* --- part_find.c */

/* The row of this identity, newest place first; VT_NOT_FOUND. Memory from part->scratch, or of the
 * answer. The worker waits for the reads of an id that the segments were not asked for. */
VT_MUST_CHECK vt_err part_find(struct part *part, const struct row_wanted *wanted,
                               const struct sealed_seek *answer, struct row_block *out_row);
/* Whether event `index` has the content of the row: type, time, and the row's fields. */
bool part_content_equal(const struct batch *batch, uint32_t index, const struct row_block *row);

/* --- part_raw.c */
VT_MUST_CHECK vt_err part_raw(struct arena *arena, const struct row_block *row,
                              struct vt_bytes *out_raw);

/* --- part_settle.c */
VT_MUST_CHECK vt_err open_list_add(struct open_list *list, const struct open_entry *entry);
/* What the segments say is open. */
VT_MUST_CHECK vt_err part_open_entries(struct part *part);

/* --- part_state.c */

/* The counters of a tenant by its index in the catalog; CATALOG_NONE: unknown. */
VT_MUST_CHECK vt_err part_row(struct part *part, uint32_t tenant, uint32_t *out_row);
/* The counters of an exception, from what its entry says: so it is the same after a restart. */
VT_MUST_CHECK vt_err part_row_of_entry(struct part *part, const struct catalog *judge,
                                       const struct exception_entry *entry, uint32_t *out_row);
static inline struct tally *
part_tally(const struct part *part, uint32_t row)
{
    return &((struct tally_row *)chunk_list_at(&part->rows, row))->tally;
}
/* Names and indexes of the next catalog, which extends the one before. */
VT_MUST_CHECK vt_err part_rows_rebind(struct part *part, const struct catalog *next);
/* received = accepted + duplicates + exceptions, and conflicts are among the duplicates. */
bool tally_holds(const struct tally *tally);
VT_MUST_CHECK vt_err part_state_save(const struct part *part, struct vt_bytes *out_state);
/* Counters from the bytes; *out_windows is the part of the window states, in them. */
VT_MUST_CHECK vt_err part_state_load(struct part *part, struct vt_bytes state,
                                     struct vt_bytes *out_windows);

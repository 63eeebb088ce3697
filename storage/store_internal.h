/*
 * store_internal.h - the store's object, shared by the files that make up storage.h.
 *
 * Thread: the one that opened it.
 */
#pragma once

#include <pthread.h>

#include "log_internal.h"
#include "manifest.h"
#include "recovery.h"
#include "storage/storage.h"
#include "superblock.h"

#define STORE_DIR_BYTES_MAX   200
#define STORE_PATH_BYTES      256
#define STORE_LOCK_WAIT_NS    INT64_C(20000000)
#define STORE_LOCK_TRIES      250     /* 5 s: a killed process holds its lock up to 72 ms */
#define STORE_PART_SUFFIX     ".part" /* of a segment that is being copied */
#define STORE_STATE_BYTES_MAX (UINT64_C(256) << 20)

struct store {
    struct io *io;
    /* Guards the segments that the manifest names and its edits: a seal's is the sealer's, a
     * merge's may be the store's thread's. Nobody holds it for longer than an edit. */
    pthread_mutex_t edits_lock;
    pthread_mutex_t *edits; /* that lock; NULL where one thread has the store (copy_files.c) */
    char dir[STORE_DIR_BYTES_MAX + 1];
    struct io_file *lock;
    struct superblock superblock;
    uint32_t superblock_bad; /* bit i: copy i was not good at open */
    uint32_t manifest_bad;
    struct manifest *manifest;
    struct io_file *lane_files[STORE_LANES_MAX];
    struct chain_lanes lanes;
    struct chain chain;
    uint32_t tail_index; /* next commit of the chain to give */
    bool tail_done;
    uint8_t *tail_data;
    struct log_record *tail_records;
    struct log *log;
    uint64_t start;
    bool read_only;
};

/* Of a store that is const to its caller, too: the lock is no part of what it holds. */
void store_edits_lock(const struct store *store);
void store_edits_unlock(const struct store *store);

/* DIR/name. */
void store_path(const struct store *store, const char *name, char out_path[STORE_PATH_BYTES]);

/* The lock, waited for; makes the directory where `create`. The other one does not wait, and does
 * not make a file: VT_LOCKED, VT_NOT_FOUND. */
VT_MUST_CHECK vt_err store_take_lock(struct store *store, bool create);
VT_MUST_CHECK vt_err store_try_lock(struct store *store);
VT_MUST_CHECK vt_err store_open_manifest(struct store *store); /* anew where it is open */
VT_MUST_CHECK vt_err store_open_lanes(struct store *store, uint32_t flags);

/* store_create.c: steps that make a directory a store's. */
bool store_name_exists(struct store *store, const char *name);
/* A new file. With `full` every block is written once, so that later writes allocate nothing and
 * change no metadata; else it has its size only. */
VT_MUST_CHECK vt_err store_make_lane(struct store *store, uint32_t lane, bool full);
/* The superblock under a name, which is never without a whole file once it has one. */
VT_MUST_CHECK vt_err store_write_superblock(struct store *store, const char *name);
/* Renames within DIR, durable. */
VT_MUST_CHECK vt_err store_publish(struct store *store, const char *from, const char *to);

/* Makes what is not there: all but the lock. Crash-safe: DIR/store appears last. */
VT_MUST_CHECK vt_err store_create(struct store *store, const struct store_options *options);
VT_MUST_CHECK vt_err store_heal_superblock(struct store *store);

/* store_segments.c: a segment as the manifest names it. */
struct manifest_segment store_segment_named(const struct store_segment *segment);
bool store_segment_is_named(const struct manifest_state *state, const struct segment_id *id);
/* Removes segment files that the manifest, whose copies are equal, does not name. What cannot be
 * removed is left to the next start. */
void store_sweep(struct store *store);

/* What the manifest says that recovery needs. */
struct chain_base store_base(const struct store *store);

/*
 * storage.h - facade of the log store: a directory with one order of commits, sealed segments and
 * the manifest that names them. It knows rows, columns and sections, not meters or prices.
 *
 *   DIR/lock            held for the life of the process
 *   DIR/store           superblock, written once: store id, history, key, partitions, lanes
 *   DIR/manifest-0, -1  append-only edits with checksums, two copies
 *   DIR/lane-00 ..      the tail: commits since the last seal
 *   DIR/segments/CUT-PARTITION.vseg, and CUT-PARTITION-LEVEL.vseg of merged ones
 *   DIR/reserve         space for one seal, and DIR/reserve.start for the manifests of a start:
 *                       allocated, never written; given up where the disk is full
 *
 * Life:   store_open (lock, superblock, manifest, start number + 1 durable, scan of the lanes), the
 *         tail by store_tail_next until VT_END, then appends; store_close.
 *         read_only: no lock, no write, no log; safe beside a running daemon.
 * Errors: damage below the end of the chain is VT_DAMAGED with file and offset, and nothing is cut.
 *         Segment files that no manifest names are what a crash left of a seal or a merge; an open
 *         for writing removes them.
 * Thread: the thread that opened it. While a cut is with another thread (the sealer), that one has
 *         store_seal_write and the reserves; segments may be listed and merged by the store's
 *         thread meanwhile (a lock is held over each edit), but an index into the list holds only
 *         as long as no edit comes between.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/io.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "venturi/hash.h"

#define STORE_PARTITIONS_MAX 256
#define STORE_LANES_MAX      16

struct store;

struct store_options {
    const char *dir;
    bool create; /* make it where it is not there; the fields below are for that only */
    bool read_only;
    uint32_t partition_count;  /* 1 to STORE_PARTITIONS_MAX; 0: 16 */
    uint32_t lane_count;       /* 1 to STORE_LANES_MAX; 0: 4 */
    uint64_t lane_bytes;       /* multiple of 4096, at least 4 commits; 0: 64 MiB */
    uint32_t commit_bytes_max; /* 0: 2 MiB */
    uint32_t buffer_count;     /* buffers of the log; 0: 16. Not stored */
};

/* A history that this store's own went on from: all commits up to `number` are its, too. */
#define STORE_FORKS_MAX 5 /* older ones are forgotten */
struct store_fork {
    uint64_t history;
    uint64_t number;
    uint64_t position; /* last one of `number`, at the time of the restore */
};

struct store_info {
    uint64_t store;      /* random id */
    uint64_t history;    /* another one after a restore */
    uint32_t fork_count; /* restores that led here, oldest first */
    struct store_fork forks[STORE_FORKS_MAX];
    struct vt_hash_key key; /* of tenants and ids */
    uint8_t secret[32];     /* signs cursors */
    uint32_t partition_count;
    uint32_t commit_bytes_max;
    uint64_t lane_bytes;
    uint64_t start;           /* of this process; the last one's with read_only */
    uint64_t sealed_commit;   /* 0: nothing sealed */
    uint64_t sealed_position; /* last position at or below sealed_commit */
};

VT_MUST_CHECK vt_err store_open(struct io *io, const struct store_options *options,
                                struct store **out_store);
void store_close(struct store *store); /* NULL is allowed; the log must be idle */

void store_get_info(const struct store *store, struct store_info *out_info);

/* Recovered commits beyond the sealed ones, in order; VT_END after the last. The commit is valid
 * until the next call. Payload checksums were verified. */
VT_MUST_CHECK vt_err store_tail_next(struct store *store, struct log_commit *out_commit);

/* NULL with read_only, or before the tail was read to its end. */
struct log *store_log(struct store *store);

/* Segments that the manifest names, ordered by (cut, partition). */
struct store_segment {
    struct segment_id id;
    uint64_t file_bytes;
    uint32_t check; /* segment_check of the file; 0: not known */
    uint64_t rows;
    char path[256];
};
uint32_t store_segment_count(const struct store *store);
void store_segment_at(const struct store *store, uint32_t index, struct store_segment *out_segment);

/* The path that a segment of this identity has; makes no file. */
void store_segment_path(const struct store *store, const struct segment_id *id, char out_path[256]);

/* One manifest edit: the order is sealed up to commit `cut`, these segments are part of the store,
 * and `state` (opaque, at most 256 MiB) replaces the engine's state as of the cut. Durable in both
 * copies on VT_OK; then the lanes are released. In three steps, since the second one waits for the
 * disk:
 *   store_seal_prepare   store's thread: the cut fits the order; fills in check and start
 *   store_seal_write     any thread that has the seal: the edit. After a failure it is unknown
 *                        whether the next start finds it, so the segments must stay where they are
 *   store_seal_release   store's thread: the lanes' places may be written again
 * store_seal_commit is all of them. */
struct store_seal {
    uint64_t cut;
    uint64_t last_position;
    int64_t arrival_us; /* of commit `cut` */
    uint64_t check;     /* of commit `cut`, as is `start`: filled in by store_seal_prepare */
    uint64_t start;
    const struct store_segment *segments;
    uint32_t segment_count;
    struct vt_bytes state;
};
VT_MUST_CHECK vt_err store_seal_prepare(const struct store *store, struct store_seal *seal);
VT_MUST_CHECK vt_err store_seal_write(struct store *store, const struct store_seal *seal);
void store_seal_release(struct store *store, uint64_t cut);
VT_MUST_CHECK vt_err store_seal_commit(struct store *store, const struct store_seal *seal);

/* One manifest edit: `merged`, durable and read back, takes the place of segments of one partition
 * that follow each other, and has the cut of the last of them, a level above theirs, and the whole
 * of their range. VT_INVALID where that is not so. The files of the others stay where they are:
 * store_segment_drop. After any other error it is unknown whether a start will find the edit: both
 * files stay as they are then. */
VT_MUST_CHECK vt_err store_merge_commit(struct store *store, const struct store_segment *inputs,
                                        uint32_t input_count, const struct store_segment *merged);

/* Removes the file of a segment that the manifest no longer names. Who has it open reads on. What
 * cannot be removed, a later start does. Any thread, with its own io. */
void store_segment_drop(struct io *io, const struct store_segment *segment);

/* Two, so that a seal cannot use up what the next start needs. store_open gives up one or both
 * where it finds the disk full. */
enum store_reserve { STORE_RESERVE_SEAL, STORE_RESERVE_START };

/* The reserve has at least `bytes` afterwards, whatever it had. VT_FULL: there is none. With the io
 * of the calling thread. */
VT_MUST_CHECK vt_err store_reserve_take(struct store *store, struct io *io,
                                        enum store_reserve which, uint64_t bytes);
/* Its space is free for others; nothing to do where there is none. */
VT_MUST_CHECK vt_err store_reserve_give(struct store *store, struct io *io,
                                        enum store_reserve which);
/* What the store's file system has left. */
VT_MUST_CHECK vt_err store_free_bytes(const struct store *store, struct io *io,
                                      uint64_t *out_bytes);

/* The state of the last seal, borrowed until the next; empty where there is none. */
struct vt_bytes store_state(const struct store *store);
/* Arrival of the last sealed commit. */
int64_t store_sealed_arrival(const struct store *store);

/* Checks superblock, manifest, lanes and segments; calls `report` for each damage and counts
 * them. A manifest copy without the last edit of the other one counts: a crash may leave that,
 * which the next start heals, but a flipped bit looks the same. */
struct store_damage {
    const char *file;
    uint64_t offset;
    vt_err err;
    const char *text;
    const struct store_segment *segment; /* NULL: not of a segment */
    const struct chunk_info *chunk;      /* of it; NULL: header, directory, gaps, all of it */
};
struct store_check {
    uint64_t files;
    uint64_t bytes;
    uint64_t commits;
    uint64_t damages;
};
VT_MUST_CHECK vt_err store_verify(struct store *store,
                                  void (*report)(void *context, const struct store_damage *damage),
                                  void *context, struct store_check *out_check);
/* The same of one file alone, named by its path as store_verify names it. */
VT_MUST_CHECK vt_err store_verify_file(struct store *store, const char *path,
                                       void (*report)(void *context,
                                                      const struct store_damage *damage),
                                       void *context);

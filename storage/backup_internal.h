/*
 * backup_internal.h - the state of a backup, shared by backup.c (rounds, manifest, segments) and
 * backup_tail.c (commits).
 *
 * Thread: one.
 */
#pragma once

#include "copy_internal.h"

#define BACKUP_AHEAD_MAX   4096U
#define BACKUP_BATCH_BYTES (UINT64_C(16) << 20)
#define BACKUP_NOTES_MAX   4096U /* notes of the end before the manifest is written anew */

/* Where the next commit of a lane of the store may begin. */
struct backup_head {
    uint64_t offset;
    bool known; /* else only the lane's begin is tried */
};

struct backup {
    struct io *io;
    char dir[STORE_DIR_BYTES_MAX + 1];
    struct store *from;                 /* read-only; opened anew where the order took a turn */
    struct store *copy;                 /* its chain's last_* say how far it reaches */
    struct lane lanes[STORE_LANES_MAX]; /* of the copy: commits that are not sealed there */
    struct backup_head heads[STORE_LANES_MAX];
    struct commit_info *ahead; /* found in the store and not copied, in order */
    uint32_t ahead_count;
    uint64_t manifest_bytes; /* of the store's manifest-0 when it was last taken, and */
    uint64_t manifest_first; /* the sequence of its first edit: both equal, so it is the same */
    uint32_t notes;          /* of the end, in the copy's manifest since it was written anew */
    bool fresh;              /* the copy has no superblock under its name yet */
    bool lost;               /* the chain of the store must be scanned */
    bool sweep;              /* the manifest was taken: files may have lost their names */
    uint8_t *buffer;         /* a commit */
    struct backup_state state;
};

/* --- backup_tail.c */

/* What the copy has beyond its cut; its lanes are adopted. */
VT_MUST_CHECK vt_err backup_tail_scan(struct backup *backup);
/* Takes back what the copy has beyond commit `number`. */
VT_MUST_CHECK vt_err backup_tail_back(struct backup *backup, uint64_t number);
/* The copy's manifest was replaced: what it has sealed is released. */
void backup_tail_release(struct backup *backup);
/* Forgets what was found; `chain` is the store's as scanned just now. */
VT_MUST_CHECK vt_err backup_tail_begin(struct backup *backup, const struct chain *chain);
/* Finds commits behind the last one that was found. */
VT_MUST_CHECK vt_err backup_tail_look(struct backup *backup);
/* Copies what was found, as far as it fits. */
VT_MUST_CHECK vt_err backup_tail_copy(struct backup *backup);

/*
 * superblock.h - DIR/store: what a store is, written once when it is made. Two copies, so that one
 * bad sector does not cost all of it.
 *
 * FILE, 8192 bytes: the struct at 0 and at 4096, the rest of each block zero
 *   off size field
 *     0    4 magic            bytes 'V' 'T' 'S' '1'
 *     4    4 crc32c           of bytes 8..255
 *     8    2 version          1; a reader refuses another one, and writes nothing
 *    10    2 reserved
 *    12    4 copy             0 or 1
 *    16    8 store            random id, not zero
 *    24    8 history          another one after a restore
 *    32   16 key              of tenants and ids
 *    48   32 secret           signs cursors
 *    80    4 partition_count
 *    84    4 lane_count
 *    88    8 lane_bytes
 *    96    4 commit_bytes_max
 *   100    4 flags            SUPERBLOCK_COPY: a second copy, which no daemon opens
 *   104    4 fork_count       0 to SUPERBLOCK_FORKS_MAX
 *   108    4 reserved
 *   112  120 forks            oldest first: history, number, position: 8 each; the rest zero
 *   232   24 reserved
 *
 * The file appears under its name when all the rest of the store is durable, by rename of
 * store.new; before that there is no store.
 *
 * Thread: one.
 */
#pragma once

#include "storage/storage.h"

#define SUPERBLOCK_COPY      UINT32_C(1)
#define SUPERBLOCK_FORKS_MAX STORE_FORKS_MAX

struct superblock {
    uint64_t store;
    uint64_t history;
    struct vt_hash_key key;
    uint8_t secret[32];
    uint32_t partition_count;
    uint32_t lane_count;
    uint64_t lane_bytes;
    uint32_t commit_bytes_max;
    uint32_t flags;
    uint32_t fork_count;
    struct store_fork forks[SUPERBLOCK_FORKS_MAX];
};

/* A new file at `path`, durable but for its name. */
VT_MUST_CHECK vt_err superblock_write(struct io *io, const char *path,
                                      const struct superblock *superblock);

/* VT_NOT_FOUND without detail where there is no file; VT_DAMAGED where no copy is good. `out_bad`
 * has bit i set where copy i is not. */
VT_MUST_CHECK vt_err superblock_read(struct io *io, const char *path, uint32_t *out_bad,
                                     struct superblock *out_superblock);

/* Whether a store could be made so. VT_INVALID with detail. */
VT_MUST_CHECK vt_err superblock_check(const struct superblock *superblock);

/*
 * segment_internal.h - an open segment, shared by segment_reader.c (reading) and segment_verify.c.
 *
 * Thread: any but for `files`, which one thread at a time changes under the lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "codec.h"
#include "segment.h"
#include "segment_format.h"

#define SEGMENT_PATH_BYTES   256
#define SEGMENT_REOPENED_MAX 16

/* The file, and those that stood under its name before it was repaired: another thread may still
 * read from them. */
struct segment_files {
    _Atomic(struct io_file *) now; /* released by segment_reopen, acquired by readers */
    struct io_file *before[SEGMENT_REOPENED_MAX];
    uint32_t before_count;
    pthread_mutex_t lock;
};

struct segment {
    struct io *io;
    struct segment_files *files; /* the one thing that changes */
    struct segment_guard guard;
    struct segment_id id;
    uint32_t seed;
    uint64_t file_bytes;
    struct segment_extent extent;
    struct segment_entry *entries; /* extent.chunk_count, ascending by key */
    char path[SEGMENT_PATH_BYTES];
};

/* Damage at an offset of the file. A newer version is no damage and keeps its name. */
vt_err segment_damaged(const struct segment *segment, uint64_t offset, vt_err reason,
                       const char *what);

/* A read within the size that the file had at open. */
VT_MUST_CHECK vt_err segment_bytes_read(const struct segment *segment, void *out, uint64_t size,
                                        uint64_t offset);

/* Header and trailer, against `id` where it is not NULL; then the directory, which the caller
 * frees. */
VT_MUST_CHECK vt_err segment_ends_read(struct segment *segment, const struct segment_id *id);
VT_MUST_CHECK vt_err segment_directory_read(struct segment *segment);

/* A chunk read and decoded, without asking the guard. */
VT_MUST_CHECK vt_err segment_chunk_check(const struct segment *segment,
                                         const struct chunk_info *info);

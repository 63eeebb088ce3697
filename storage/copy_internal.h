/*
 * copy_internal.h - what backup, restore and repair share: a directory that is written like a
 * store's but by no log, and files that are copied and checked.
 *
 * Thread: one.
 */
#pragma once

#include "lane.h"
#include "storage/backup.h"
#include "store_internal.h"

/* One file to another place, checked there against its own checksums and what the manifest says of
 * it, durable under its name but for the directory. `from` is blamed where it is damaged.
 * VT_NOT_FOUND where it is gone. */
struct copy_file {
    struct io *io;
    const char *from;
    const char *to;
};
VT_MUST_CHECK vt_err copy_segment(const struct copy_file *file,
                                  const struct manifest_segment *segment, uint64_t store);

/* Whether the file at `path` is this segment, whole and undamaged. */
VT_MUST_CHECK vt_err copy_segment_check(struct io *io, const char *path,
                                        const struct manifest_segment *segment, uint64_t store);

bool copy_segment_equal(const struct manifest_segment *a, const struct manifest_segment *b);

/* The name that a segment has in a store. */
void copy_segment_path(const struct store *store, const struct manifest_segment *segment,
                       char out_path[STORE_PATH_BYTES]);

/* Files of upper floors that go along where they are there. */
VT_MUST_CHECK vt_err copy_extras(struct io *io, const char *from, const char *to);

/* A struct store that opens nothing by itself, for a directory that is made: store_close gives back
 * what it has by then. */
VT_MUST_CHECK vt_err copy_store_new(struct io *io, const char *dir, struct store **out_store);

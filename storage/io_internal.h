/*
 * io_internal.h - what the two disks behind io.h share: the table of operations and the first
 * members of their objects. io.c dispatches, and keeps the rule that a file which failed a write or
 * sync once is dead, so that neither disk can forget it.
 *
 * Thread: as io.h.
 */
#pragma once

#include "storage/io.h"

struct io_ops {
    vt_err (*open)(struct io *io, const char *path, uint32_t flags, struct io_file **out_file);
    void (*close_file)(struct io_file *file);
    vt_err (*read_at)(struct io_file *file, void *buffer, uint64_t bytes, uint64_t offset);
    vt_err (*write_at)(struct io_file *file, const void *buffer, uint64_t bytes, uint64_t offset);
    vt_err (*sync)(struct io_file *file);
    vt_err (*size)(struct io_file *file, uint64_t *out_bytes);
    vt_err (*truncate)(struct io_file *file, uint64_t bytes);
    vt_err (*allocate)(struct io_file *file, uint64_t bytes);
    vt_err (*lock)(struct io_file *file);
    vt_err (*make_dir)(struct io *io, const char *path);
    vt_err (*rename)(struct io *io, const char *from, const char *to);
    vt_err (*unlink)(struct io *io, const char *path);
    vt_err (*sync_dir)(struct io *io, const char *path);
    vt_err (*list_dir)(struct io *io, const char *path, struct io_name_list *out_list);
    vt_err (*free_bytes)(struct io *io, const char *path, uint64_t *out_bytes);
    vt_err (*write_start)(struct io *io, struct io_op *op);
    vt_err (*poll)(struct io *io, int64_t wait_ns);
    /* Optional: a reader's ring, NULL where there is none to be had, and reads through it. What it
     * cannot do is left for read_at. */
    void *(*ring_open)(uint32_t depth);
    void (*ring_read)(void *ring, struct io_read *reads, uint32_t count);
    void (*ring_close)(void *ring);
    vt_err (*random)(struct io *io, void *out_bytes, uint32_t bytes);
    void (*sleep)(struct io *io, int64_t ns);
    void (*close)(struct io *io);
};

struct io {
    const struct io_ops *ops;
};

struct io_file {
    struct io *io;
    bool dead; /* written by the thread that uses the file; see io.h */
};

/* Fills everything but write_start, poll and close: the synchronous half of the real disk. */
void io_posix_fill(struct io_ops *ops);
int io_posix_fd(const struct io_file *file);

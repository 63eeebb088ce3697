/*
 * io.h - the table of effects through which every byte reaches the disk. Two implementations stand
 * behind it: io_uring.c, and io_sim.c, a disk in memory that crashes, tears, reorders and fails on
 * command. Nothing in storage/ calls the kernel for files any other way.
 *
 * EINTR, short transfers and EAGAIN are settled inside: a transfer is whole or it failed. A write
 * or sync that failed makes its file dead (io_file_dead), and every later one on it fails with
 * VT_BROKEN, because after EIO a second fdatasync succeeds although the data is gone.
 *
 * Life:   io_uring_open or io_sim_open, files, io_close.
 * Thread: synchronous calls on different files may come from any thread; start, poll and the
 *         completion callbacks belong to the thread that opened the io.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define IO_ALIGN 4096 /* of addresses, offsets and lengths with IO_OPEN_DIRECT */

struct io;
struct io_file;

enum io_open_flags {
    IO_OPEN_READ = 0,
    IO_OPEN_WRITE = 1,  /* read and write */
    IO_OPEN_CREATE = 2, /* must not exist: VT_EXISTS */
    IO_OPEN_DIRECT =
        4, /* O_DIRECT; falls back to buffered with DSYNC where the file system refuses */
};

/* One asynchronous transfer. Owned by the io from start to its callback, as is the buffer. */
struct io_op {
    void (*done)(struct io_op *op, vt_err result); /* on the owner's thread, from io_poll */
    struct io_file *file;
    void *buffer;
    uint64_t offset;
    uint32_t bytes;
    uint32_t done_bytes; /* the io's own */
};

struct io_name_list {
    char (*names)[64];
    uint32_t count;
};

/* Files. Paths are borrowed for the call. */
VT_MUST_CHECK vt_err io_open(struct io *io, const char *path, uint32_t flags,
                             struct io_file **out_file);
void io_close_file(struct io_file *file);      /* NULL is allowed */
bool io_file_dead(const struct io_file *file); /* a write or sync failed: no further one is taken */
VT_MUST_CHECK vt_err io_read_at(struct io_file *file, void *buffer, uint64_t bytes,
                                uint64_t offset); /* VT_END where the file is shorter */
VT_MUST_CHECK vt_err io_write_at(struct io_file *file, const void *buffer, uint64_t bytes,
                                 uint64_t offset); /* VT_FULL, VT_IO */
VT_MUST_CHECK vt_err io_sync(struct io_file *file);
VT_MUST_CHECK vt_err io_size(struct io_file *file, uint64_t *out_bytes);
VT_MUST_CHECK vt_err io_truncate(struct io_file *file, uint64_t bytes);
/* Space for the file's first `bytes`, which it then has at least. VT_FULL: some of it may be there;
 * the file is not dead by it. */
VT_MUST_CHECK vt_err io_allocate(struct io_file *file, uint64_t bytes);
/* Exclusive, for the life of the file; VT_LOCKED at once. */
VT_MUST_CHECK vt_err io_lock(struct io_file *file);

/* Many reads at once. Each has its own result, as io_read_at gives it. Where the disk has a ring, a
 * reader has a small one of its own, so that up to `depth` reads are in flight; else they are made
 * one after the other. The files may be of another io than the reader's, but of the same disk.
 *
 * Thread: a reader belongs to the thread that reads with it first. */
struct io_read {
    struct io_file *file;
    void *buffer;
    uint64_t offset;
    uint32_t bytes;
    vt_err err; /* VT_OK once all bytes are there */
};
struct io_reader;
VT_MUST_CHECK vt_err io_reader_open(struct io *io, uint32_t depth, struct io_reader **out_reader);
void io_reader_read(struct io_reader *reader, struct io_read *reads, uint32_t count);
void io_reader_close(struct io_reader *reader); /* NULL is allowed */

/* Names. Durable only after io_sync_dir of the directory. */
VT_MUST_CHECK vt_err io_make_dir(struct io *io, const char *path); /* VT_OK where it exists */
VT_MUST_CHECK vt_err io_rename(struct io *io, const char *from, const char *to);
VT_MUST_CHECK vt_err io_unlink(struct io *io, const char *path);
VT_MUST_CHECK vt_err io_sync_dir(struct io *io, const char *path);
VT_MUST_CHECK vt_err io_list_dir(struct io *io, const char *path, struct io_name_list *out_list);
void io_name_list_free(struct io_name_list *list);

/* What the file system of a directory has left for a process without privileges. A quota does not
 * show in it: VT_FULL may come although this says otherwise. */
VT_MUST_CHECK vt_err io_free_bytes(struct io *io, const char *path, uint64_t *out_bytes);

/* Starts a durable write (DSYNC). VT_AGAIN where as many as the queue holds are in flight. The
 * result arrives by op->done: VT_OK means that exactly all bytes are durable. */
VT_MUST_CHECK vt_err io_write_start(struct io *io, struct io_op *op);

/* Submits what was started and delivers completions; with `wait_ns` > 0 waits that long for one. */
VT_MUST_CHECK vt_err io_poll(struct io *io, int64_t wait_ns);

/* Randomness for keys, secrets and ids; the simulator's is seeded. */
VT_MUST_CHECK vt_err io_random(struct io *io, void *out_bytes, uint32_t bytes);
void io_sleep(struct io *io, int64_t ns);

void io_close(struct io *io); /* NULL is allowed; nothing may be in flight */

/* The real disk. `entries` is the depth of the ring; 0 opens an io without a ring, which has the
 * synchronous calls only (tools, the sealer's thread). VT_UNSUPPORTED, with the reason as detail,
 * where io_uring is switched off. */
VT_MUST_CHECK vt_err io_uring_open(uint32_t entries, struct io **out_io);

/* The ring itself, for net/, which shares it: completions whose user data has bit 0 set are handed
 * to `foreign` instead (user data, res, flags of the cqe). NULL without a ring. */
struct io_uring;
struct io_uring *io_uring_ring(struct io *io);
void io_uring_set_foreign(struct io *io,
                          void (*foreign)(void *context, uint64_t user_data, int32_t result,
                                          uint32_t flags),
                          void *context);

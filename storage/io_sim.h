/*
 * io_sim.h - a disk in memory behind io.h that does everything a disk may do, by one seed: it
 * delivers completions late and out of order, loses what was not synced, tears it, fails on command
 * and crashes. Same seed, same calls: same bytes, same trace.
 *
 * What is durable: the sectors (512 bytes) of a completed DSYNC write; all of a file after io_sync
 * of it; a directory's names after io_sync_dir of it. All else may be lost by a crash in any
 * subset.
 *
 * Life:   io_sim_open, io_close. A crash makes a second disk and leaves the first as it is, so that
 *         a test goes on with either. Disks share pages by reference: a crash costs little.
 * Thread: one for all disks that descend from each other.
 */
#pragma once

#include "storage/io.h"

enum io_sim_kind {
    IO_SIM_OPEN,
    IO_SIM_CREATE,
    IO_SIM_READ,
    IO_SIM_WRITE,
    IO_SIM_SYNC,
    IO_SIM_SIZE,
    IO_SIM_NAME, /* make_dir, rename, unlink */
    IO_SIM_SYNC_DIR,
    IO_SIM_LIST,
    IO_SIM_COMPLETE, /* of a write that was started */
    IO_SIM_DURABLE,  /* WRITE, SYNC, SYNC_DIR and COMPLETE, counted together */
    IO_SIM_KIND_COUNT,
};

enum io_sim_failure { IO_SIM_EIO, IO_SIM_ENOSPC, IO_SIM_SHORT, IO_SIM_CANCELLED };

/* The nth call (from 1) of a kind fails, or all from it on. */
struct io_sim_fault {
    enum io_sim_kind kind;
    enum io_sim_failure failure;
    uint64_t nth; /* 0: none */
    bool for_ever;
};

VT_MUST_CHECK vt_err io_sim_open(uint64_t seed, struct io **out_io);

void io_sim_set_fault(struct io *io, const struct io_sim_fault *fault);

/* All files together may take so many bytes, in blocks of 4096; UINT64_MAX: no limit, as at open. A
 * write that needs more leaves what fits and fails with VT_FULL. A crash keeps the limit. */
void io_sim_set_space(struct io *io, uint64_t bytes);
uint64_t io_sim_used(const struct io *io);

/* While it hangs no write that was started completes. */
void io_sim_set_hang(struct io *io, bool hangs);

uint64_t io_sim_calls(const struct io *io, enum io_sim_kind kind);

/* Called after each operation that changes what a crash could leave. */
void io_sim_set_hook(struct io *io, void (*hook)(void *context), void *context);
uint64_t io_sim_operations(const struct io *io); /* of those */
uint64_t io_sim_trace(const struct io *io);      /* a hash of all of them */

struct io_sim_crash {
    uint64_t seed;
    bool kill; /* the process only: what was written stays, synced or not */
};

/* The disk as a crash now leaves it; `seed` says which subset survives. *out_subset is a hash of
 * it. */
VT_MUST_CHECK vt_err io_sim_crash(const struct io *io, const struct io_sim_crash *crash,
                                  uint64_t *out_subset, struct io **out_io);

/* The bytes of a file as they are now, for tests and fuzzers that make images of their own. Both
 * are durable at once, with their names and directories. */
VT_MUST_CHECK vt_err io_sim_put_file(struct io *io, const char *path, struct vt_bytes bytes);

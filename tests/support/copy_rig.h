/*
 * copy_rig.h - a small store on a simulated disk for tests of its second copy: commits and segments
 * with bytes that a seed decides, and comparison of two directories byte by byte of what they hold.
 *
 * Life:   copy_rig_open (opens the store for writing, makes it where it is not there), steps,
 *         copy_rig_close.
 * Errors: anything that the rig itself cannot do ends the program.
 * Thread: one.
 */
#pragma once

#include "storage/backup.h"
#include "storage/io_sim.h"
#include "storage/storage.h"

struct copy_rig {
    struct io *io;
    struct store *store;
    struct log *log;
    uint64_t position;
    uint64_t random;
    bool bare; /* seals without segments */
};

uint64_t copy_rig_draw(uint64_t *state);

void copy_rig_open(struct copy_rig *rig, struct io *io, const char *dir, uint64_t seed);
/* Commits, each durable before the next; fewer where the lanes are full. */
void copy_rig_append(struct copy_rig *rig, uint32_t count);
/* Segments of some partitions, up to the last commit. */
void copy_rig_seal(struct copy_rig *rig);
void copy_rig_close(struct copy_rig *rig);

/* What a directory holds, read as a store. */
struct copy_rig_image {
    uint64_t sealed;
    uint64_t last; /* commit */
    uint64_t segments;
    uint64_t history;
    uint64_t start;
    uint64_t checks[4096]; /* of the tail's commits: a hash of records and place in the order */
    uint64_t files[1024];  /* of the segments: a hash of name and bytes */
    uint64_t state;        /* a hash */
};
/* The result of opening or of reading on; VT_OK only where every checksum is right. */
vt_err copy_rig_read(struct io *io, const char *dir, struct copy_rig_image *out_image);

/* All bytes of a file; malloc. */
struct vt_bytes copy_rig_file(struct io *io, const char *path);

/*
 * store_files.h - the files of a store on a disk, byte by byte: which bytes are data, and where the
 * part begins that a byte belongs to, which is what a report of its damage has to name.
 *
 *   data        all of superblock, manifests and segments; of a lane the blocks of the commits that
 *               are not sealed, padding included
 *   not data    of a lane all else: zeros, sealed commits, commits of a start that a newer one has
 *               made void. The lock has no bytes.
 *   part        superblock: a copy; manifest: an edit; lane: a commit; segment: header, chunk,
 *               directory, trailer, and each byte between chunks by itself
 *
 * Life:   store_files_open (the store is closed), store_files_write*, store_files_close.
 * Errors: a failure ends the program.
 * Thread: one.
 */
#pragma once

#include <stdbool.h>

#include "storage/storage.h"

#define STORE_FILES_MAX 64

struct store_file {
    char path[256];
    struct io_file *file;
    uint8_t *bytes; /* as they are when nothing is damaged */
    uint64_t size;
    uint64_t *part; /* of each byte: where its part begins; UINT64_MAX: no data */
};

struct store_files {
    struct io *io;
    uint32_t count;
    struct store_file files[STORE_FILES_MAX];
};

void store_files_open(struct io *io, const char *dir, struct store_files *out_files);
void store_files_close(struct store_files *files);

static inline bool
store_file_is_data(const struct store_file *file, uint64_t at)
{
    return file->part[at] != UINT64_MAX;
}

/* Writes and syncs, so that a crash would keep it. */
void store_file_write(const struct store_file *file, struct vt_bytes bytes, uint64_t at);
/* As it was, size and bytes. */
void store_file_restore(const struct store_file *file);

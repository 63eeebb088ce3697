/*
 * http_spool.h - an answer on its way out: the first MiB in memory, all of it in an unlinked file
 * from there on. So the status line is sent only when the whole answer is there, no answer is cut
 * short after a 200, and memory stays bounded however large the answer is.
 *
 * Life:   spool_init, spool_add*, then either spool_take into a response or spool_deinit.
 * Errors: VT_NOMEM, VT_FULL (the disk of temporary files), VT_IO.
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "venturi/err.h"

#define SPOOL_MEMORY_BYTES_MAX (UINT64_C(1) << 20)

struct spool {
    char *data; /* malloc; what is not in the file */
    uint64_t size;
    uint64_t capacity;
    int fd; /* -1: all is in memory; else data is a buffer before it */
    uint64_t file_bytes;
};

void spool_init(struct spool *spool);
void spool_deinit(struct spool *spool);

VT_MUST_CHECK vt_err spool_add(struct spool *spool, const void *data, uint64_t size);
/* Appends all of `from`, which is finished by it. */
VT_MUST_CHECK vt_err spool_add_spool(struct spool *spool, struct spool *from);
/* Forgets what is in it. */
void spool_clear(struct spool *spool);
/* After it all bytes are in memory (fd -1) or all in the file. */
VT_MUST_CHECK vt_err spool_finish(struct spool *spool);

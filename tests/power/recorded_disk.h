/*
 * recorded_disk.h - a block device whose every write and flush is recorded, so that the disk that a
 * power cut would leave can be made afterwards: a process serves one file by FUSE, a loop device
 * stands on the file, and a file system on that. What a flush has confirmed is durable; of what
 * came after it any subset may be, torn at 512 bytes.
 *
 *   file system ──▶ /dev/loopN ──▶ FUSE file "disk" ──▶ image in memory, record of (write | flush)
 *
 * Life:   recorded_disk_open, use, recorded_disk_stop (nothing is recorded any more; the record
 *         stays), images, recorded_disk_close.
 * Errors: VT_UNSUPPORTED with the reason where this system has no FUSE, no loop device or no right
 *         to mount; VT_IO else.
 * Thread: one, beside the process that serves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

struct recorded_disk;

VT_MUST_CHECK vt_err recorded_disk_open(uint64_t bytes, const char *dir,
                                        struct recorded_disk **out_disk);
void recorded_disk_stop(struct recorded_disk *disk);
void recorded_disk_close(struct recorded_disk *disk); /* NULL is allowed */

const char *recorded_disk_device(const struct recorded_disk *disk);

/* Writes and flushes so far; at a moment when something is known to be durable, all that made it so
 * is among them. */
uint64_t recorded_disk_count(const struct recorded_disk *disk);

struct recorded {
    bool flush;
    uint64_t offset;
    struct vt_bytes bytes;
};
void recorded_disk_at(const struct recorded_disk *disk, uint64_t index, struct recorded *out);

/* A loop device on a plain file, and what stands on it. */
VT_MUST_CHECK vt_err loop_attach(const char *path, int *out_fd, char out_device[32]);
void loop_detach(int fd);

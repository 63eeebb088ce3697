/*
 * fence.h - partitions in whose sealed data damage was met, until it is repaired. A reader that
 * meets bad bytes raises the fence of the partition; from then on reads of it are refused at once,
 * naming file and offset, and so are frames with events for it, because whether such an event is a
 * repeat might not be found out. Others go on. Whoever asks next tries the damaged chunk again,
 * also in a file that a repair has put under the name: the fence falls by itself.
 *
 * A worker that meets damage can neither leave out an event of the log nor guess its verdict: it
 * waits, and nothing is acked meanwhile, until the chunk is repaired or the daemon is stopped.
 *
 * Life:   fence_open, fence_guard for each segment of a partition while nobody else has it,
 *         fence_start once recovery is over (before that damage is the reader's error and no more),
 *         fence_close after all segments.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/segment.h"
#include "venturi/err.h"

struct fence;

struct fence_options {
    uint32_t partition_count;
    /* Sleeps a little; false: give up. NULL: nobody waits. */
    bool (*wait)(void *context);
    void *context;
};

VT_MUST_CHECK vt_err fence_open(const struct fence_options *options, struct fence **out_fence);
void fence_close(struct fence *fence); /* NULL is allowed */
void fence_start(struct fence *fence);

struct segment_guard fence_guard(struct fence *fence, uint32_t partition);

/* The calling thread waits where it meets damage. */
void fence_thread_waits(bool waits);

/* VT_FENCED with detail. The first is of one partition, the other of any. */
VT_MUST_CHECK vt_err fence_check(struct fence *fence, uint32_t partition);
VT_MUST_CHECK vt_err fence_check_all(struct fence *fence);
/* The same of a worker that waits now. */
VT_MUST_CHECK vt_err fence_check_waiting(struct fence *fence);

/* Partitions that are fenced. */
uint32_t fence_count(const struct fence *fence);

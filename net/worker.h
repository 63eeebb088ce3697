/*
 * worker.h - the threads behind the front one: workers, each with a ring of works from the front
 * thread, the sealer and the merger. They spin briefly, then sleep on a futex; the front thread
 * wakes the sleeping ones only.
 *
 * Life:   workers_open starts the threads, workers_close ends and joins them (their rings must be
 *         empty).
 * Thread: open, push and close on the front thread.
 */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

struct workers;

VT_MUST_CHECK vt_err workers_open(uint32_t count, int wake_fd, struct workers **out_workers);
/* The core did not exist yet when the callbacks were made. Starts the threads. */
VT_MUST_CHECK vt_err workers_start(struct workers *workers, struct core *core);
void workers_close(struct workers *workers); /* NULL is allowed */

/* To every worker, in order. A full ring makes the front thread wait: it cannot happen before
 * WORKER_RING_SLOTS commits are in flight, and the log has fewer buffers. */
void workers_push(struct workers *workers, struct work *work);

void workers_seal(struct workers *workers, struct cut *cut);
/* One at a time, a stage at a time: the merger takes what the others leave of the processor, an
 * edit is the sealer's. */
void workers_merge(struct workers *workers, struct core_merge *merge);
/* The merge whose stage was finished since the last call, or NULL. */
struct core_merge *workers_merged(struct workers *workers);
/* The cut that the sealer finished since the last call, or NULL. */
struct cut *workers_sealed(struct workers *workers);

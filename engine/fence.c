/* fence.c - see fence.h. */
#include "fence.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

struct fence_part {
    struct fence *fence;
    uint32_t partition;
    _Atomic(const struct segment *) segment; /* that has the damage; NULL: none. Written under the
                                                lock */
    struct chunk_info chunk;                 /* under the lock */
    char text[320];                          /* likewise */
};

struct fence {
    struct fence_options options;
    pthread_mutex_t lock;
    _Atomic bool started;
    _Atomic uint32_t count;   /* of partitions with damage */
    _Atomic uint32_t waiting; /* partition + 1 of a worker that waits; 0: none */
    struct fence_part parts[];
};

/* What a thread does is no state of any object: workers wait, readers do not. */
static _Thread_local bool thread_waits;

vt_err
fence_open(const struct fence_options *options, struct fence **out_fence)
{
    struct fence *fence =
        calloc(1, sizeof *fence + options->partition_count * sizeof fence->parts[0]);

    VT_ASSERT(options->partition_count > 0);
    if (fence == NULL)
        return VT_NOMEM;
    fence->options = *options;
    pthread_mutex_init(&fence->lock, NULL);
    for (uint32_t p = 0; p < options->partition_count; p++) {
        fence->parts[p].fence = fence;
        fence->parts[p].partition = p;
    }
    *out_fence = fence;
    return VT_OK;
}

void
fence_close(struct fence *fence)
{
    if (fence == NULL)
        return;
    pthread_mutex_destroy(&fence->lock);
    free(fence);
}

void
fence_start(struct fence *fence)
{
    atomic_store(&fence->started, true);
}

void
fence_thread_waits(bool waits)
{
    thread_waits = waits;
}

uint32_t
fence_count(const struct fence *fence)
{
    return atomic_load(&fence->count);
}

static bool
is_raised(const struct fence_part *part)
{
    return atomic_load(&part->segment) != NULL;
}

/* Under the lock. */
static void
lower(struct fence_part *part)
{
    if (!is_raised(part))
        return;
    atomic_store(&part->segment, NULL);
    atomic_fetch_sub(&part->fence->count, 1);
}

/* Under the lock. The detail of the damage is the thread's; the first one found stays. */
static void
raise_by(struct fence_part *part, const struct segment *segment, const struct chunk_info *chunk)
{
    if (is_raised(part))
        return;
    part->chunk = *chunk;
    if (strstr(vt_err_last(), "offset ") != NULL)
        (void)snprintf(part->text, sizeof part->text, "%s", vt_err_last());
    else
        (void)snprintf(part->text, sizeof part->text, "%s (offset %llu)", vt_err_last(),
                       (unsigned long long)chunk->offset);
    atomic_store(&part->segment, segment);
    atomic_fetch_add(&part->fence->count, 1);
}

/* Whether the chunk that raised the fence is good by now. */
static bool
is_mended(struct fence_part *part)
{
    const struct segment *segment = atomic_load(&part->segment);

    return segment == NULL || segment_reopen(segment, &part->chunk) == VT_OK;
}

static vt_err
told(const struct fence_part *part)
{
    vt_err_clear();
    return vt_err_detail(VT_FENCED, "partition %u is fenced until `venturi repair` mends %s",
                         part->partition, part->text);
}

vt_err
fence_check(struct fence *fence, uint32_t partition)
{
    struct fence_part *part = &fence->parts[partition];
    vt_err err = VT_OK;

    VT_ASSERT(partition < fence->options.partition_count);
    if (!is_raised(part))
        return VT_OK;
    pthread_mutex_lock(&fence->lock);
    if (is_mended(part))
        lower(part);
    else
        err = told(part);
    pthread_mutex_unlock(&fence->lock);
    if (err == VT_OK)
        vt_err_clear();
    return err;
}

vt_err
fence_check_all(struct fence *fence)
{
    vt_err err = VT_OK;

    for (uint32_t p = 0; err == VT_OK && p < fence->options.partition_count; p++)
        err = fence_check(fence, p);
    return err;
}

vt_err
fence_check_waiting(struct fence *fence)
{
    uint32_t waiting = atomic_load(&fence->waiting);
    vt_err err = VT_OK;

    if (waiting == 0)
        return VT_OK;
    pthread_mutex_lock(&fence->lock);
    err = told(&fence->parts[waiting - 1]);
    pthread_mutex_unlock(&fence->lock);
    return err;
}

/* A worker: until the chunk is good. False: it is not to be. */
static bool
wait_for(struct fence_part *part, const struct segment *segment, const struct chunk_info *chunk)
{
    struct fence *fence = part->fence;
    bool good = segment_reopen(segment, chunk) == VT_OK;

    if (fence->options.wait == NULL)
        return good;
    atomic_store(&fence->waiting, part->partition + 1);
    while (!good && fence->options.wait(fence->options.context))
        good = segment_reopen(segment, chunk) == VT_OK;
    atomic_store(&fence->waiting, 0);
    return good;
}

static vt_err
guard_damaged(void *context, const struct segment *segment, const struct chunk_info *chunk,
              vt_err err)
{
    struct fence_part *part = context;
    struct fence *fence = part->fence;

    if (!atomic_load(&fence->started))
        return err;
    pthread_mutex_lock(&fence->lock);
    raise_by(part, segment, chunk);
    pthread_mutex_unlock(&fence->lock);
    bool good =
        thread_waits ? wait_for(part, segment, chunk) : segment_reopen(segment, chunk) == VT_OK;

    if (!good)
        return err;
    vt_err_clear();
    vt_err others = fence_check(fence, part->partition); /* falls where this was its reason */

    (void)others;
    vt_err_clear();
    return VT_AGAIN;
}

static void
guard_closed(void *context, const struct segment *segment)
{
    struct fence_part *part = context;

    if (atomic_load(&part->segment) != segment)
        return;
    pthread_mutex_lock(&part->fence->lock);
    if (atomic_load(&part->segment) == segment)
        lower(part);
    pthread_mutex_unlock(&part->fence->lock);
}

struct segment_guard
fence_guard(struct fence *fence, uint32_t partition)
{
    VT_ASSERT(partition < fence->options.partition_count);
    return (struct segment_guard){guard_damaged, guard_closed, &fence->parts[partition]};
}

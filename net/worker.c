/* worker.c - see worker.h. */
#include "worker.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "venturi/assert.h"
#include "venturi/ring.h"

#define WORKER_RING_SLOTS 1024
#define MERGER_NICE       15  /* a thirtieth of the processor that others want */
#define WORKER_SPINS      200 /* some microseconds: a wake-up costs about five */

/* One consumer of pointers: a worker, the sealer or the merger. */
struct lane_thread {
    struct vt_ring ring;
    _Atomic uint32_t asleep; /* written by the thread; 1 while it waits on this very word */
    _Atomic uint32_t stop;   /* written by the front thread */
    uint32_t index;
    bool started;
    pthread_t thread;
    struct workers *workers;
};

struct workers {
    struct core *core;
    uint32_t count;
    int wake_fd;
    struct lane_thread *threads; /* [count] workers, then the sealer and the merger */
    struct vt_ring finished;     /* from the sealer to the front thread */
    /* One merge at a time. The first is set by the front thread and taken by the sealer, the second
     * set by who had the merge and taken by the front thread. */
    _Atomic(struct core_merge *) edit;
    _Atomic(struct core_merge *) merged;
};

static inline void
cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void
futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void
futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The next message, or false at the stop. */
static bool
thread_take(struct lane_thread *self, void **out_message)
{
    for (;;) {
        for (uint32_t spin = 0; spin < WORKER_SPINS; spin++) {
            if (vt_ring_try_pop(&self->ring, out_message))
                return true;
            cpu_relax();
        }
        if (atomic_load_explicit(&self->stop, memory_order_acquire))
            return false;
        /* Sequentially consistent with thread_give: either it sees `asleep`, or we see its
         * message. */
        atomic_store(&self->asleep, 1);
        atomic_thread_fence(memory_order_seq_cst); /* the pop's loads may not come before it */
        if (vt_ring_try_pop(&self->ring, out_message)) {
            atomic_store(&self->asleep, 0);
            return true;
        }
        if (!atomic_load(&self->stop))
            futex_wait(&self->asleep, 1);
        atomic_store(&self->asleep, 0);
    }
}

static void
thread_give(struct lane_thread *thread, void *message)
{
    while (!vt_ring_try_push(&thread->ring, &message))
        usleep(50);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_exchange(&thread->asleep, 0) == 1)
        futex_wake(&thread->asleep);
}

static void
wake_front(const struct workers *workers)
{
    uint64_t one = 1;
    ssize_t written = write(workers->wake_fd, &one, sizeof one);

    VT_ASSERT(written == (ssize_t)sizeof one || errno == EAGAIN || errno == EINTR);
}

static void *
worker_main(void *context)
{
    struct lane_thread *self = context;
    struct workers *workers = self->workers;
    void *message = NULL;

    while (thread_take(self, &message)) {
        core_work(workers->core, self->index, message);
        wake_front(workers);
    }
    return NULL;
}

static void
merge_do(struct workers *workers, struct core_merge *merge, const struct core_pause *pause)
{
    core_merge(workers->core, merge, pause);
    atomic_store_explicit(&workers->merged, merge, memory_order_release);
    wake_front(workers);
}

/* A message is a cut, or NULL: there is a merge that wants its edit. */
static void *
sealer_main(void *context)
{
    struct lane_thread *self = context;
    struct workers *workers = self->workers;
    void *message = NULL;

    while (thread_take(self, &message)) {
        if (message == NULL) {
            merge_do(workers, atomic_exchange_explicit(&workers->edit, NULL, memory_order_acquire),
                     NULL);
            continue;
        }
        core_seal(workers->core, message);
        while (!vt_ring_try_push(&workers->finished, &message))
            usleep(50);
        wake_front(workers);
    }
    return NULL;
}

static vt_err
merger_pause(void *context)
{
    const struct lane_thread *self = context;

    return atomic_load_explicit(&self->stop, memory_order_acquire) ? VT_AGAIN : VT_OK;
}

static void *
merger_main(void *context)
{
    struct lane_thread *self = context;
    struct workers *workers = self->workers;
    const struct core_pause pause = {merger_pause, self};
    void *merge = NULL;

    /* Ingest and sealing come first; segments that are merged later cost a look more until then.
     * Where the system refuses, it is merged at the common priority. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), MERGER_NICE);
    while (thread_take(self, &merge))
        merge_do(workers, merge, &pause);
    return NULL;
}

vt_err
workers_open(uint32_t count, int wake_fd, struct workers **out_workers)
{
    VT_ASSERT(count > 0);
    struct workers *workers = calloc(1, sizeof *workers);

    if (workers == NULL)
        return VT_NOMEM;
    workers->count = count;
    workers->wake_fd = wake_fd;
    vt_err err = vt_ring_init(&workers->finished, 64, sizeof(void *));

    if (err == VT_OK) {
        void *threads = NULL;

        if (posix_memalign(&threads, 128, (count + 2u) * sizeof(struct lane_thread)) == 0) {
            workers->threads = threads;
            memset(threads, 0, (count + 2u) * sizeof(struct lane_thread));
        } else {
            err = VT_NOMEM;
        }
    }
    for (uint32_t i = 0; err == VT_OK && i < count + 2; i++) {
        workers->threads[i].index = i;
        workers->threads[i].workers = workers;
        err = vt_ring_init(&workers->threads[i].ring, WORKER_RING_SLOTS, sizeof(void *));
    }
    if (err != VT_OK) {
        workers_close(workers);
        return err;
    }
    *out_workers = workers;
    return VT_OK;
}

vt_err
workers_start(struct workers *workers, struct core *core)
{
    sigset_t all;
    sigset_t before;

    VT_ASSERT(workers->core == NULL);
    workers->core = core;
    /* Signals are the front thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < workers->count + 2; i++) {
        struct lane_thread *thread = &workers->threads[i];
        void *(*run)(void *) = i < workers->count    ? worker_main
                               : i == workers->count ? sealer_main
                                                     : merger_main;

        if (pthread_create(&thread->thread, NULL, run, thread) != 0)
            err = vt_err_detail(VT_NOMEM, "no thread can be started");
        else
            thread->started = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

void
workers_close(struct workers *workers)
{
    if (workers == NULL)
        return;
    for (uint32_t i = 0; workers->threads != NULL && i < workers->count + 2; i++) {
        struct lane_thread *thread = &workers->threads[i];

        if (thread->started) {
            atomic_store(&thread->stop, 1);
            atomic_store(&thread->asleep, 0);
            futex_wake(&thread->asleep);
            pthread_join(thread->thread, NULL);
        }
        vt_ring_deinit(&thread->ring);
    }
    free(workers->threads);
    vt_ring_deinit(&workers->finished);
    free(workers);
}

void
workers_push(struct workers *workers, struct work *work)
{
    for (uint32_t i = 0; i < workers->count; i++)
        thread_give(&workers->threads[i], work);
}

void
workers_seal(struct workers *workers, struct cut *cut)
{
    thread_give(&workers->threads[workers->count], cut);
}

void
workers_merge(struct workers *workers, struct core_merge *merge)
{
    switch (core_merge_stage(merge)) {
    case CORE_MERGE_WRITE:
    case CORE_MERGE_DROP:
        thread_give(&workers->threads[workers->count + 1], merge);
        return;
    case CORE_MERGE_EDIT:
        atomic_store_explicit(&workers->edit, merge, memory_order_release);
        thread_give(&workers->threads[workers->count], NULL);
        return;
    }
}

struct core_merge *
workers_merged(struct workers *workers)
{
    return atomic_exchange_explicit(&workers->merged, NULL, memory_order_acquire);
}

struct cut *
workers_sealed(struct workers *workers)
{
    void *message = NULL;

    return vt_ring_try_pop(&workers->finished, &message) ? message : NULL;
}

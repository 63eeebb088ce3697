/*
 * stopper.h - SIGINT and SIGTERM are waited for on a thread of its own, so that no handler and no
 * global is needed.
 *
 * Life:   stopper_start before other threads are started, for they inherit that the two are
 *         blocked; stopper_end, from where on both stay blocked.
 * Thread: the main thread; asked() runs on the stopper's.
 */
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct stopper {
    void (*asked)(void *context, int signal); /* for each of them that comes */
    void *context;
    pthread_t thread;
    sigset_t signals;
    _Atomic bool ended; /* set by stopper_end, read by the thread */
};

/* False where the system refuses. `stopper` has asked and context set, and stays where it is. */
bool stopper_start(struct stopper *stopper);
void stopper_end(struct stopper *stopper);

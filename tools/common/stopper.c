#include "stopper.h"

#include "venturi/assert.h"

static void *
stopper_main(void *context)
{
    struct stopper *stopper = context;
    int number = 0;

    while (sigwait(&stopper->signals, &number) == 0) {
        if (atomic_load_explicit(&stopper->ended, memory_order_acquire))
            break;
        stopper->asked(stopper->context, number);
    }
    return NULL;
}

bool
stopper_start(struct stopper *stopper)
{
    VT_ASSERT(stopper->asked != NULL);
    sigemptyset(&stopper->signals);
    sigaddset(&stopper->signals, SIGTERM);
    sigaddset(&stopper->signals, SIGINT);
    return pthread_sigmask(SIG_BLOCK, &stopper->signals, NULL) == 0 &&
           pthread_create(&stopper->thread, NULL, stopper_main, stopper) == 0;
}

void
stopper_end(struct stopper *stopper)
{
    atomic_store_explicit(&stopper->ended, true, memory_order_release);
    pthread_kill(stopper->thread, SIGINT); /* wakes it: it has not been joined */
    pthread_join(stopper->thread, NULL);
}

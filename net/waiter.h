/*
 * waiter.h - what every waiter that net/ hands to the core begins with, so that an ack finds its
 * way back.
 *
 * Thread: the front thread.
 */
#pragma once

#include <stdint.h>

enum waiter_kind { WAITER_CONN = 1, WAITER_CALL = 2, WAITER_SERVER = 3 };

struct waiter {
    uint8_t kind; /* enum waiter_kind */
};

/*
 * assert.h - checks of our own invariants. Never on bytes from disk, network, configuration or a
 * clock: those get a vt_err.
 *
 * VT_ASSERT     always on, also in releases
 * VT_VERIFY     the costly kind, for builds with VENTURI_VERIFY
 * VT_SOMETIMES  marks a condition of which tests must see both outcomes; costs nothing elsewhere
 */
#pragma once

#include <stdint.h>

/* Prints place and condition to standard error and aborts. */
__attribute__((noreturn, cold)) void vt_assert_failed(const char *condition, const char *file,
                                                      int line);

#define VT_ASSERT(condition)                                  \
    do {                                                      \
        if (__builtin_expect(!(condition), 0))                \
            vt_assert_failed(#condition, __FILE__, __LINE__); \
    } while (0)

#ifdef VENTURI_VERIFY
#define VT_VERIFY(condition) VT_ASSERT(condition)
#else
#define VT_VERIFY(condition)     \
    do {                         \
        (void)sizeof(condition); \
    } while (0)
#endif

#define VT_SOMETIMES(condition) ((void)(condition))

#define VT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

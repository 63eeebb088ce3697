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

/* Expressions and not blocks, so that an assertion does not count as a level of nesting. */
#define VT_ASSERT(condition)                      \
    (__builtin_expect(!!(condition), 1) ? (void)0 \
                                        : vt_assert_failed(#condition, __FILE__, __LINE__))

#ifdef VENTURI_VERIFY
#define VT_VERIFY(condition) VT_ASSERT(condition)
#else
#define VT_VERIFY(condition) ((void)sizeof(condition))
#endif

#define VT_SOMETIMES(condition) ((void)(condition))

/* Releases zero all variables of functions (-ftrivial-auto-var-init). Before a large one of a hot
 * path, which is written before it is read: not this one. */
#if defined(__has_attribute) && !defined(VENTURI_VERIFY)
#if __has_attribute(uninitialized)
#define VT_UNINITIALIZED __attribute__((uninitialized))
#endif
#endif
#ifndef VT_UNINITIALIZED
#define VT_UNINITIALIZED
#endif

#define VT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

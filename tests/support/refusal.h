/*
 * refusal.h - a good catalog, and cases of what becomes of it when one piece of its text is
 * replaced.
 *
 * Thread: one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct refusal {
    const char *name;
    const char *find; /* stands once in the good catalog; NULL: the whole text */
    const char *put;  /* quotes are written ' in all of these */
    const char *want; /* the detail of the error; NULL: it loads */
};

/* With quotes as JSON has them; the caller frees it. NULL where memory is short. */
char *good_catalog(void);

/* Prints each case that comes out otherwise and gives their number. */
uint32_t refusals_check(const struct refusal *cases, size_t count);

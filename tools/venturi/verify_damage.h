/*
 * verify_damage.h - one damage as people or programs read it: where it is, and which tenants, rows
 * and times it concerns.
 *
 * Thread: the main thread.
 */
#pragma once

#include "store_view.h"

struct verify_teller {
    const char *name;          /* of the command, for messages */
    bool json;                 /* a line of JSON on standard output; else on standard error */
    const struct store *store; /* whose state has the catalogs */
    struct io *io;
};
void verify_damage_tell(const struct verify_teller *teller, const struct store_damage *damage);

/*
 * rich_store.h - a small store that has something of everything, written by a fixed script: ids of
 * every kind, every aggregation, several types and tenants, duplicates, conflicts, exceptions,
 * undeclared fields, late events and revisions, a close, two catalogs, a retry, several segments
 * and a tail that is not sealed, cleanly stopped. Its bytes are a function of the script alone: the
 * disk's seed makes the keys, the zone is part of the script.
 *
 * Life:   rich_store_write, then rig->io is the disk; engine_rig_close.
 * Errors: a failure ends the program.
 * Thread: one.
 */
#pragma once

#include "answer_text.h"
#include "engine_rig.h"

#define RICH_FRAME_MAX 64
#define RICH_DIR       "store" /* of the rig */

/* `step` (NULL is allowed) is called after each commit, everything of it being on the disk. */
struct rich_watch {
    void (*step)(void *context, struct io *io);
    void *context;
};
void rich_store_write(struct engine_rig *rig, const struct rich_watch *watch);

/* Its first catalog, and its events by number, each with an id of its own, as one frame: for tests
 * that bring them in another way. Of the numbers that rich_event_repeats says no to, each is
 * another event. */
void rich_store_catalog(struct engine_rig *rig);
void rich_store_events(struct engine_rig *rig, const uint32_t *numbers, uint32_t count);
bool rich_event_repeats(uint32_t number);
bool rich_event_is_of(uint32_t number, struct vt_str tenant);

/* All that the store answers, and its digest, as text. The first error, of opening or answering, is
 * the result; the text then has what came before it. Opens for reading only. */
VT_MUST_CHECK vt_err rich_store_answers(struct io *io, const char *dir,
                                        struct answer_text *out_text);

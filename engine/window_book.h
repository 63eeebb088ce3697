/*
 * window_book.h - the inside of the window states, shared by window_state.c (states and their
 * times), window_emit.c (values and feed entries), window_feed.c (earlier revisions) and
 * window_save.c. Private to them.
 *
 * Thread: the partition's owner.
 */
#pragma once

#include "arena.h"
#include "ptr_table.h"
#include "window_state.h"

/* Group values in order, each a size of 32 bits and its bytes. */
#define GROUP_BYTES_MAX (CELL_DIMS_MAX * UINT64_C(4100)) /* an event has strings of 1 KiB at most */

/* A group with events since the window's last revision. */
struct dirty {
    struct dirty *next; /* of the window, in the order in which they became dirty */
    struct win *win;
    uint64_t hash;
    int64_t since_us; /* arrival of the first of the events */
    vt_i128 total;    /* of the last revision; filled in when the next is made */
    uint32_t revision;
    uint32_t bytes;
    uint8_t group[];
};

struct win {
    uint64_t hash;
    uint32_t meter;
    uint32_t tenant;
    int64_t start_us;
    int64_t first_us;      /* arrival of its first event; where final has no meaning */
    uint64_t first_commit; /* no segment before it has cells of a meter that it knew */
    bool final;
    struct dirty *dirty; /* oldest first; since a meter's grace is one, the first is due first */
    struct dirty *dirty_last;
};

/* The greatest window start that a (meter, tenant) has had. */
struct high {
    uint64_t hash;
    uint32_t meter;
    uint32_t tenant;
    int64_t start_us;
};

struct due {
    int64_t at_us;
    struct win *win;
};

/* The feed of one epoch by windows; see window_feed.c. */
struct feed_index;

struct window_state {
    const struct catalog *catalog;
    const struct epoch *epoch; /* the open one when last seen; first_commit tells it from another */
    uint64_t epoch_commit;     /* at the same address */
    struct ptr_table windows;
    struct ptr_table dirties;
    struct ptr_table highs;
    struct arena arena; /* highs */
    struct due *heap;   /* binary, the earliest first; one entry for each open or dirty window */
    uint64_t heap_count;
    uint64_t heap_max;
    struct feed_index *indexes;
    uint8_t pack[GROUP_BYTES_MAX];
};

/* window_state.c */
uint64_t win_hash(uint32_t meter, uint32_t tenant, int64_t start_us);
struct win *win_find(const struct window_state *state, uint32_t meter, uint32_t tenant,
                     int64_t start_us);
/* A new one, zero but for its key, in the table. */
vt_err win_open(struct window_state *state, const struct win *like, struct win **out_win);
/* Into the heap, by what is due of it first. */
vt_err win_schedule(struct window_state *state, struct win *win);
vt_err high_raise(struct window_state *state, uint32_t meter, uint32_t tenant, int64_t start_us,
                  bool *out_above);

vt_err group_pack(struct window_state *state, const struct vt_str *values, uint32_t count,
                  uint32_t *out_bytes); /* into state->pack */
struct dirty *dirty_find(const struct window_state *state, const struct win *win,
                         const uint8_t *group, uint32_t bytes);
/* At the end of the window's list. */
vt_err dirty_open(struct window_state *state, struct win *win, struct vt_bytes group,
                  int64_t since_us);
/* Those due at or before due_us leave; the list begins with them. */
void dirty_settle(struct window_state *state, struct win *win, int64_t due_us);

int64_t win_due_us(const struct window_state *state, const struct win *win);
int64_t dirty_due_us(const struct window_state *state, const struct dirty *dirty);

static inline const struct window_calls *
history_calls(const struct window_history *history)
{
    return history->calls != NULL ? history->calls : &window_sealed_calls;
}

/* window_emit.c: revisions of these windows. All open ones become final; dirty groups that are due
 * at or before due_us get theirs. */
struct emit_order {
    struct win *const *wins;
    uint64_t count;
    int64_t due_us;
    bool closed;
};
vt_err window_emit(struct window_state *state, const struct window_history *history,
                   const struct window_tick *tick, const struct emit_order *order);

/* window_save.c: windows, groups and highs as they were saved, into an empty state. */
vt_err window_load(struct window_state *state, struct vt_bytes saved);

/* window_feed.c */
/* Whether the feed has anything of this window. */
vt_err feed_was_final(struct window_state *state, const struct window_history *history,
                      const struct win *key, bool *out_final);
/* Fills in revision and total of the window's dirty groups. */
vt_err feed_previous(struct window_state *state, const struct window_history *history,
                     const struct win *win);
/* Forgets epochs that are not in the history. */
void feed_prune(struct window_state *state, const struct window_history *history);
void feed_forget(struct window_state *state);

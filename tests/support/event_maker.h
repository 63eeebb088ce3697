/*
 * event_maker.h - events for tests, from a struct to a decoded batch of rows.
 *
 * Life:   event_maker_init, event_batch*, event_maker_deinit; batches live until then.
 * Thread: the test's.
 */
#pragma once

#include "engine/batch.h"

#define MADE_FIELDS_MAX 6

struct made_field {
    struct vt_str name;
    struct vt_str text; /* data NULL: the number counts */
    int64_t number;
};

/* A view without data is a key that is not there. */
struct made_event {
    struct vt_str tenant;
    struct vt_str type;
    struct vt_str id;
    struct vt_str source;
    struct vt_str trace;
    int64_t time_us;
    uint32_t field_count;
    struct made_field fields[MADE_FIELDS_MAX];
};

struct event_maker {
    struct arena arena;
    struct vt_hash_key key;
    struct vt_str producer; /* of the session; empty: none */
    uint64_t sequence;      /* of the next event */
    uint64_t position;      /* of the next event */
};

void event_maker_init(struct event_maker *maker);
void event_maker_deinit(struct event_maker *maker);

/* The event as one msgpack map; memory from the arena. */
struct vt_bytes event_bytes(struct arena *arena, const struct made_event *event);

/* Decodes; numbers the events on. Aborts where the batch is refused. */
struct batch *event_batch(struct event_maker *maker, const struct catalog *catalog,
                          const struct made_event *events, uint32_t count);

/*
 * batch.h - a batch as the engine reads it: one frame's events as columns, validated against a
 * catalog, with the partition of each event. Made at the door from the bytes in the commit buffer,
 * into which its strings and ids point; made again, alike, when the log is replayed.
 *
 * A structural error (not the format of wire.h, a bound exceeded) refuses the whole frame with an
 * error that says where ("event 17: map: key is no string"); an event that is merely wrong becomes
 * an exception with its reason. Validation is that of SEMANTICS.md but for late_beyond_horizon and
 * future_event, which need the commit's arrival time (part.c).
 *
 * Thread: made by the front thread; then `verdict`, `reason` of an event are written by the owner
 * of its partition only, until the batch's commit is done.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "block.h"
#include "catalog.h"
#include "venturi/hash.h"
#include "venturi/wire.h"

struct log_record;

struct batch {
    const struct catalog *catalog;
    struct vt_bytes payload; /* of the frame */
    uint8_t frame_type;
    uint32_t event_count;
    uint64_t first_position;
    int64_t arrival_us; /* both set by the core when the commit is numbered */
    uint64_t number;    /* of the commit; set with them */

    uint8_t *reason;     /* enum vt_reason; VT_REASON_NONE: valid */
    uint8_t *verdict;    /* enum vt_verdict, decided by the owner */
    uint16_t *partition; /* keyed hash of the tenant's name mod N; of "" where it has none */
    uint32_t *tenant;    /* index in catalog->tenants, or CATALOG_NONE */
    uint16_t *type;      /* index in catalog->types, or UINT16_MAX */
    int64_t *time_us;
    uint32_t *source;      /* code */
    struct row_id *id;     /* NULL where `plain`: batch_id makes them */
    uint32_t *tenant_name; /* code; "" where it is no string */

    /* All events are valid and stay so whenever they are judged, of one type, and named by their
     * place in the session's stream: nothing is left to be asked of each. */
    bool plain;
    uint64_t epoch; /* of the session, and the sequence of event 0 */
    uint64_t sequence;

    /* Column s of event e: its value in slot s of its own type. Columns of strings and of decimals
     * are separate arrays because types may differ within a batch of rows: strings[s] and
     * decimals[s] are NULL where no type in the batch has such a field at slot s. */
    uint32_t slot_count;
    uint32_t **string_code;    /* [slot][event] */
    int64_t **decimal_value;   /* [slot][event] */
    uint8_t **decimal_present; /* [slot][event] */

    /* Distinct strings have distinct codes. Those of an event that is malformed need not be
     * UTF-8. */
    uint32_t string_count; /* string 0 is "" */
    struct vt_str *strings;
    uint64_t strings_id; /* other than 0: batches that have it have the same strings */

    /* What the catalog does not declare: a msgpack map {"props": {...}, "trace_id": any, other
     * keys}, with only what is there; empty where nothing is. NULL where no event has any. */
    struct vt_bytes *extra;
    struct vt_bytes *row; /* rows: the event's own map in the payload; NULL for columns */

    void *reader; /* private: what batch_raw needs of a columnar frame */
};

/* The id of an event; `scratch` is where its bytes may be. */
static inline struct row_id
batch_id(const struct batch *batch, uint32_t event, uint8_t scratch[16])
{
    if (!batch->plain)
        return batch->id[event];
    le64 numbers[2] = {le64_put(batch->epoch), le64_put(batch->sequence + event)};

    memcpy(scratch, numbers, sizeof numbers);
    return (struct row_id){scratch, sizeof numbers, ROW_ID_SEQUENCE};
}

struct batch_cache;

struct batch_options {
    const struct catalog *catalog;
    struct vt_hash_key key; /* of the store: partitions */
    uint32_t partition_count;
    struct vt_str producer; /* name of the session's producer; empty without */
    uint64_t epoch;         /* of the session */
    uint64_t sequence;      /* of the first event */

    /* A retry: `~NAME` and "EPOCH-SEQUENCE" are what batch_raw made. Not for an event whose reason
     * was VT_REASON_MALFORMED: no catalog changes that verdict, and a forged source would be
     * believed. */
    bool allow_reserved_source;

    struct batch_cache *cache; /* of the store, for frames of columns; NULL: none */
};

/* A frame as its header describes it. */
struct batch_frame {
    uint8_t type;
    uint32_t event_count;
    struct vt_bytes payload;
};

/* All memory comes from the arena; the payload must outlive the batch. Validates structure, then
 * events. */
VT_MUST_CHECK vt_err batch_decode(struct arena *arena, const struct batch_options *options,
                                  const struct batch_frame *frame, struct batch **out_batch);

/* Event `index` as one msgpack map in the form of BATCH_ROWS, whatever form it came in: what an
 * exception keeps. From the arena where it must be made. A session's event gets its generated id
 * and source. */
VT_MUST_CHECK vt_err batch_raw(struct arena *arena, const struct batch *batch, uint32_t index,
                               struct vt_bytes *out_raw);

/* partition = high 64 bits of the keyed hash of the name, mod N. */
uint32_t batch_partition(const struct vt_hash_key *key, uint32_t partition_count,
                         struct vt_str tenant);

/* K of (tenant, source, id): what the dedup index is keyed by. Equal identities give equal hashes
 * whatever form the id came in. */
struct vt_hash128 batch_identity(const struct vt_hash_key *key, struct vt_str tenant,
                                 struct vt_str source, const struct row_id *id);

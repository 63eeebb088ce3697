/*
 * batch_reader.h - what the decoders of rows and of columns share. Private to batch*.c.
 *
 * Life:   one reader a batch, in the batch's arena.
 * Thread: the front thread.
 */
#pragma once

#include "batch.h"
#include "msgpack_cursor.h"
#include "msgpack_put.h"
#include "string_table.h"

/* What is known of a tenant's name in this batch: a small direct-mapped cache by its code. */
struct tenant_memo {
    uint32_t code; /* UINT32_MAX: free */
    uint32_t tenant;
    uint32_t partition;
};
#define TENANT_MEMOS 256

/* One field or one of the other keys of an event of rows. */
struct row_entry {
    struct vt_str key;
    struct vt_bytes pair; /* key and value as they stand in the payload */
    struct msgpack_item value;
    bool ill_formed; /* text that is no UTF-8, in the key or anywhere in the value */
    bool dropped;    /* the key stands again further on: the last one counts */
};

struct row_entries {
    struct row_entry *at;
    uint32_t count;
    uint32_t capacity;
    bool suspect; /* an entry may make the event malformed */
};

/* One of the keys that the semantics know, as it was last given; MP_NIL: absent. */
struct row_value {
    struct msgpack_item item;
    bool ill_formed;
};

struct row_event {
    struct row_value tenant;
    struct row_value type;
    struct row_value id;
    struct row_value source;
    struct row_value time;
    struct row_value props_value; /* a map's items are in `props` */
    struct row_entries props;
    struct row_entries others; /* trace_id and keys that nobody knows */
};

/* A type's fields stand mostly in one order: the slot of the k-th key of the last event of the
 * type. */
struct type_shape {
    uint16_t hint[CATALOG_FIELDS_MAX];
    uint32_t entry[CATALOG_FIELDS_MAX]; /* scratch: slot -> index in props, CATALOG_NONE: absent */
};

/* A column of the frame as it came, for batch_raw: codes are those of batch->strings. */
struct wire_column {
    struct vt_str name;
    enum field_kind kind;
    uint32_t scale;
    bool ill_formed;         /* the name is no UTF-8 */
    const uint32_t *code;    /* strings */
    const uint8_t *mantissa; /* decimals: le64 in the payload, not aligned */
    const uint8_t *bits;     /* decimals: NULL where all events have the field */
};

struct batch_reader {
    struct arena *arena;
    const struct batch_options *options;
    struct batch *batch;
    struct string_table strings;
    struct msgpack_cursor cursor;
    struct tenant_memo memos[TENANT_MEMOS];
    uint8_t *id_bytes; /* 16 an event: UUIDs that came as text, sequences; NULL until needed */
    uint32_t session_source; /* code of "~NAME" */
    /* rows */
    struct row_event event;
    struct type_shape **shapes; /* by type */
    struct vt_str type_name;    /* of the event before */
    uint32_t type;
    uint32_t *table; /* scratch of row_entries_settle */
    uint32_t table_size;
    /* columns */
    uint32_t field_count;
    struct wire_column *fields;
    const uint32_t *trace; /* codes; NULL without the column */
    struct vt_str type_text;
};

/* --- batch.c */
VT_MUST_CHECK vt_err batch_tenant(struct batch_reader *reader, uint32_t event, uint32_t code);
VT_MUST_CHECK vt_err batch_slots_prepare(struct batch_reader *reader, uint32_t type);
VT_MUST_CHECK vt_err batch_id_set(struct batch_reader *reader, uint32_t event,
                                  struct vt_bytes text);
VT_MUST_CHECK vt_err batch_id_sequence(struct batch_reader *reader, uint32_t event);
/* The reason for a failed number, of batch_number() and the like; VT_REASON_NONE for VT_OK. */
uint8_t batch_number_reason(vt_err err);

static inline bool
batch_has_session(const struct batch_reader *reader)
{
    return reader->options->producer.size > 0;
}

/* --- batch_rows.c */
VT_MUST_CHECK vt_err batch_rows_decode(struct batch_reader *reader);

/* --- batch_judge.c: the event in reader->event becomes row `event` of the batch. */
VT_MUST_CHECK vt_err batch_judge(struct batch_reader *reader, uint32_t event);

/* --- batch_extra.c */
/* Marks every entry whose key stands again further on as dropped. */
VT_MUST_CHECK vt_err row_entries_settle(struct batch_reader *reader, struct row_entries *entries);
/* The map of what the event's type does not declare; `undeclared` of its props are no field of
 * it. */
VT_MUST_CHECK vt_err batch_extra_rows(struct batch_reader *reader, uint32_t event,
                                      const struct catalog_type *type, uint32_t undeclared);
/* Makes batch->extra where it is not there yet. */
VT_MUST_CHECK vt_err batch_extra_prepare(struct batch *batch, struct arena *arena);

/* --- batch_columns.c */
VT_MUST_CHECK vt_err batch_columns_decode(struct batch_reader *reader);

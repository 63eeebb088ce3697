/*
 * batch_reader.h - what the decoders of rows and of columns share. Private to batch*.c.
 *
 * Life:   one reader a batch, in the batch's arena.
 * Thread: the front thread.
 */
#pragma once

#include "batch.h"
#include "batch_cache.h"
#include "msgpack_cursor.h"
#include "msgpack_put.h"
#include "string_table.h"

/* What is known of a tenant's name in this batch: a small direct-mapped cache by its code. */
struct tenant_memo {
    uint32_t code; /* plus 1; 0: free */
    uint32_t tenant;
    uint32_t partition;
};
#define TENANT_MEMOS 1024

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

/* What a string column holds decides what its strings may be. */
enum wire_text { WIRE_TEXT_NAME, WIRE_TEXT_SOURCE, WIRE_TEXT_FIELD, WIRE_TEXT_TRACE };

/* A string column of the frame: its dictionary is judged and interned once an entry. */
struct wire_strings {
    enum wire_text kind;
    struct vt_bytes dictionary; /* behind its head, in the payload */
    uint32_t first;             /* code of the first string that it brought */
    uint32_t string_count;      /* that it brought */
    const uint32_t *tenant; /* of the dictionary's strings, from the cache; NULL: look them up */
    const uint32_t *partition;
    uint32_t count; /* of the dictionary */
    uint32_t *map;  /* place in it -> code in batch->strings */
    uint8_t *bad;   /* place -> makes an event malformed */
    bool any_bad;
    uint32_t width;      /* bytes of a code */
    const uint8_t *wire; /* codes; NULL: 0 for every event */
    uint32_t *code;      /* of each event, in batch->strings; NULL: no such column */
};

/* A column of `fields` as it came. */
struct wire_column {
    struct vt_str name;
    enum field_kind kind;
    bool declared; /* by the type */
    uint32_t scale;
    struct wire_strings strings;
    const uint8_t *mantissa; /* decimals: le64 in the payload, not aligned */
    const uint8_t *bits;     /* decimals: NULL where all events have the field */
};

enum wire_id { WIRE_ID_NONE, WIRE_ID_TEXT, WIRE_ID_UUID };

struct wire_ids {
    enum wire_id form;
    const uint8_t *sizes; /* text: le16 */
    const uint8_t *data;
    uint32_t *offset; /* text: of each event's in `data` */
};

/* Of the strings of the tenants' dictionary: for the cache. */
struct batch_cache_tenants {
    const uint32_t *tenant;
    const uint32_t *partition;
};
struct batch_cache_entry;

struct batch_reader {
    struct arena *arena;
    const struct batch_options *options;
    struct batch *batch;
    struct string_table strings;
    struct msgpack_cursor cursor;
    struct tenant_memo *memos; /* [TENANT_MEMOS]; NULL until needed */
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
    struct batch_cache_entry *cache_place; /* where this frame would stand; NULL: no cache */
    struct batch_cache_entry *cache_entry; /* all dictionaries so far are those of this one */
    struct batch_cache_tenants cache_tenants;
    uint32_t dictionary_count; /* read so far; the first ones are noted */
    struct wire_strings *dictionaries[BATCH_CACHE_COLUMNS_MAX];
    struct vt_bytes type_text;
    struct wire_strings tenants;
    struct wire_strings sources;
    struct wire_strings traces;
    struct wire_ids ids;
    const uint8_t *times; /* int64, not aligned */
    uint32_t column_count;
    struct wire_column *columns;
};

/* --- batch.c */
/* Before batch_tenant_find. */
VT_MUST_CHECK vt_err batch_memos_prepare(struct batch_reader *reader);
/* The column of ids, zeroed. */
VT_MUST_CHECK vt_err batch_ids_prepare(struct batch_reader *reader);
/* Never NULL; valid until the next call. */
const struct tenant_memo *batch_tenant_find(struct batch_reader *reader, uint32_t code);
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

/* --- batch_wire.c: a frame of columns, read into the reader without regard to the catalog */
VT_MUST_CHECK vt_err batch_wire_read(struct batch_reader *reader);
/* out[i] = map[code of event i]; `map` has one entry for each string of the column. */
void batch_codes_gather(const struct wire_strings *column, const uint32_t *map, uint32_t count,
                        uint32_t *out);

/* Integer `i` of an array that is not aligned; width 1, 2 or 4. */
static inline uint32_t
batch_wire_code(const uint8_t *wire, uint32_t width, uint32_t i)
{
    uint16_t code;

    if (width == 1)
        return wire[i];
    if (width == 4)
        return vt_load32(wire + UINT64_C(4) * i);
    memcpy(&code, wire + UINT64_C(2) * i, sizeof code);
    return code;
}

/* --- batch_cache.c: before the first dictionary, at each, and when the frame is decoded */
void batch_cache_begin(struct batch_reader *reader, struct vt_str type);
/* Fills the column, whose count is set, where the dictionary at the cursor is known. */
bool batch_cache_take(struct batch_reader *reader, enum wire_text kind,
                      struct wire_strings *column);
void batch_cache_end(struct batch_reader *reader, struct vt_str type);

/* --- batch_columns.c */
VT_MUST_CHECK vt_err batch_columns_decode(struct batch_reader *reader);

static inline bool
wire_column_has(const struct wire_column *column, uint32_t event)
{
    if (column->kind == FIELD_STRING)
        return column->strings.code[event] != 0;
    return column->bits == NULL || (column->bits[event / 8] >> (event % 8) & 1) != 0;
}

/* --- batch_raw.c */
/* Bytes that one field of a columnar frame takes at most as a pair of a map, and the pair. */
uint64_t batch_pair_bytes(const struct batch_reader *reader, const struct wire_column *column,
                          uint32_t event);
uint8_t *batch_pair_put(const struct batch_reader *reader, const struct wire_column *column,
                        uint32_t event, uint8_t *at);

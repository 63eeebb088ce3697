#include "batch_reader.h"
#include "venturi/assert.h"
#include "venturi/utf8.h"

#define LEVEL_EVENT 1
#define LEVEL_VALUE 2 /* of a key of the event; `props` is one */
#define LEVEL_FIELD 3

#define ENTRIES_MIN UINT32_C(32)

/* Reads one value whole; of an array or map the item tells the kind, and what is in it is passed
 * over. */
static vt_err
value_read(struct msgpack_cursor *cursor, uint32_t level, struct msgpack_item *out_item,
           bool *out_ill_formed)
{
    const uint8_t *begin = cursor->at;
    bool well_formed = true;
    vt_err err = msgpack_cursor_next(cursor, out_item);

    if (err != VT_OK)
        return err;
    if (out_item->kind == MP_STRING) {
        well_formed = vt_utf8_valid(out_item->bytes);
    } else if (out_item->count > 0) {
        cursor->at = begin;
        err = msgpack_cursor_skim(cursor, level, &well_formed);
    }
    *out_ill_formed = !well_formed;
    return err;
}

static vt_err
key_read(struct msgpack_cursor *cursor, struct vt_str *out_key)
{
    struct msgpack_item item;
    vt_err err = msgpack_cursor_expect(cursor, MP_STRING, &item);

    if (err != VT_OK) {
        cursor->problem = err == VT_BAD_FORMAT && msgpack_cursor_left(cursor) > 0
                              ? "map: key is no string"
                              : cursor->problem;
        return err;
    }
    *out_key = msgpack_item_text(&item);
    return VT_OK;
}

static vt_err
entry_room(struct batch_reader *reader, struct row_entries *entries)
{
    if (entries->count < entries->capacity)
        return VT_OK;
    uint32_t capacity = entries->capacity == 0 ? ENTRIES_MIN : entries->capacity * 2;
    struct row_entry *at = arena_alloc(reader->arena, (uint64_t)capacity * sizeof *at);

    if (at == NULL)
        return VT_NOMEM;
    if (entries->count > 0)
        memcpy(at, entries->at, (uint64_t)entries->count * sizeof *at);
    entries->at = at;
    entries->capacity = capacity;
    return VT_OK;
}

/* The value that belongs to `key`, which begins at `pair`, as one more entry. */
static vt_err
entry_read(struct batch_reader *reader, uint32_t level, const uint8_t *pair, struct vt_str key,
           struct row_entries *entries)
{
    struct msgpack_cursor *cursor = &reader->cursor;
    vt_err err = entry_room(reader, entries);

    if (err != VT_OK)
        return err;
    struct row_entry *entry = &entries->at[entries->count];

    err = value_read(cursor, level, &entry->value, &entry->ill_formed);
    if (err != VT_OK)
        return err;
    entry->key = key;
    entry->pair = (struct vt_bytes){pair, (uint64_t)(cursor->at - pair)};
    entry->dropped = false;
    if (!vt_utf8_valid((struct vt_bytes){(const uint8_t *)key.data, key.size}))
        entry->ill_formed = true;
    bool too_long = level == LEVEL_FIELD && entry->value.kind == MP_STRING &&
                    entry->value.bytes.size > VT_TEXT_BYTES_MAX;

    entries->suspect = entries->suspect || entry->ill_formed || too_long;
    entries->count++;
    return VT_OK;
}

/* `props`: a map's pairs become entries, anything else is only looked at for its kind. */
static vt_err
props_read(struct batch_reader *reader)
{
    struct msgpack_cursor *cursor = &reader->cursor;
    struct row_event *event = &reader->event;
    const uint8_t *begin = cursor->at;
    vt_err err = msgpack_cursor_next(cursor, &event->props_value.item);

    event->props.count = 0;
    event->props.suspect = false;
    event->props_value.ill_formed = false;
    if (err != VT_OK)
        return err;
    if (event->props_value.item.kind != MP_MAP) {
        cursor->at = begin;
        return value_read(cursor, LEVEL_VALUE, &event->props_value.item,
                          &event->props_value.ill_formed);
    }
    for (uint32_t i = 0; i < event->props_value.item.count; i++) {
        const uint8_t *pair = cursor->at;
        struct vt_str key;

        err = key_read(cursor, &key);
        if (err == VT_OK)
            err = entry_read(reader, LEVEL_FIELD, pair, key, &event->props);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

/* Where the value of a key that the semantics know is kept; NULL for other keys. */
static struct row_value *
known_value(struct row_event *event, struct vt_str key)
{
    switch (key.size) {
    case 2:
        return memcmp(key.data, "id", 2) == 0 ? &event->id : NULL;
    case 4:
        if (memcmp(key.data, "type", 4) == 0)
            return &event->type;
        return memcmp(key.data, "time", 4) == 0 ? &event->time : NULL;
    case 5:
        return memcmp(key.data, "props", 5) == 0 ? &event->props_value : NULL;
    case 6:
        if (memcmp(key.data, "tenant", 6) == 0)
            return &event->tenant;
        return memcmp(key.data, "source", 6) == 0 ? &event->source : NULL;
    default:
        return NULL;
    }
}

/* The pair of which `pair` is the first byte. Of a key given twice the last counts, so a value
 * simply replaces the one before. */
static vt_err
pair_read(struct batch_reader *reader)
{
    struct msgpack_cursor *cursor = &reader->cursor;
    struct row_event *event = &reader->event;
    const uint8_t *pair = cursor->at;
    struct vt_str key;
    vt_err err = key_read(cursor, &key);

    if (err != VT_OK)
        return err;
    struct row_value *known = known_value(event, key);

    if (known == NULL)
        return entry_read(reader, LEVEL_VALUE, pair, key, &event->others);
    if (known == &event->props_value)
        return props_read(reader);
    return value_read(cursor, LEVEL_VALUE, &known->item, &known->ill_formed);
}

static void
event_clear(struct row_event *event)
{
    static const struct row_value absent = {.item = {.kind = MP_NIL}};

    event->tenant = absent;
    event->type = absent;
    event->id = absent;
    event->source = absent;
    event->time = absent;
    event->props_value = absent;
    event->props.count = 0;
    event->props.suspect = false;
    event->others.count = 0;
    event->others.suspect = false;
}

static vt_err
event_read(struct batch_reader *reader)
{
    struct msgpack_item map;
    vt_err err = msgpack_cursor_expect(&reader->cursor, MP_MAP, &map);

    if (err != VT_OK)
        return err;
    event_clear(&reader->event);
    for (uint32_t i = 0; i < map.count; i++) {
        err = pair_read(reader);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

vt_err
batch_rows_decode(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;
    struct msgpack_cursor *cursor = &reader->cursor;

    batch->row = arena_alloc(reader->arena, (uint64_t)batch->event_count * sizeof *batch->row);
    reader->shapes =
        arena_zalloc(reader->arena, (uint64_t)batch->catalog->type_count * sizeof(void *));
    if (batch->row == NULL || reader->shapes == NULL || batch_memos_prepare(reader) != VT_OK ||
        batch_ids_prepare(reader) != VT_OK)
        return VT_NOMEM;
    reader->type = CATALOG_NONE;
    for (uint32_t i = 0; i < batch->event_count; i++) {
        const uint8_t *begin = cursor->at;
        vt_err err = event_read(reader);

        if (err != VT_OK)
            return vt_err_detail(err, "event %u: byte %u: %s", i,
                                 (uint32_t)msgpack_cursor_offset(cursor),
                                 cursor->problem != NULL ? cursor->problem : vt_err_text(err));
        batch->row[i] = (struct vt_bytes){begin, (uint64_t)(cursor->at - begin)};
        err = batch_judge(reader, i);
        if (err != VT_OK)
            return err;
    }
    if (msgpack_cursor_left(cursor) > 0)
        return vt_err_detail(VT_BAD_FORMAT, "byte %u: more bytes than events",
                             (uint32_t)msgpack_cursor_offset(cursor));
    return VT_OK;
}

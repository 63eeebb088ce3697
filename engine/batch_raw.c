/* batch_raw.c - one event of a batch as a map of BATCH_ROWS again. */
#include "batch_reader.h"
#include "venturi/assert.h"

/* --- a columnar field as a pair */

uint64_t
batch_pair_bytes(const struct batch_reader *reader, const struct wire_column *column,
                 uint32_t event)
{
    uint64_t bytes = UINT64_C(2) * MSGPACK_HEAD_BYTES + column->name.size;

    if (column->kind == FIELD_STRING)
        return bytes + reader->strings.strings[column->strings.code[event]].size;
    return bytes + VT_DECIMAL_BYTES;
}

uint8_t *
batch_pair_put(const struct batch_reader *reader, const struct wire_column *column, uint32_t event,
               uint8_t *at)
{
    char text[VT_DECIMAL_BYTES];

    VT_ASSERT(wire_column_has(column, event));
    at = msgpack_put_text(at, column->name);
    if (column->kind == FIELD_STRING)
        return msgpack_put_text(at, reader->strings.strings[column->strings.code[event]]);
    int64_t mantissa = (int64_t)vt_load64(column->mantissa + UINT64_C(8) * event);

    if (column->scale == 0)
        return msgpack_put_integer(at, mantissa);
    uint32_t size = vt_decimal_format(mantissa, column->scale, text);

    return msgpack_put_number_text(at, (struct vt_str){text, size});
}

/* --- rows */

static bool
is_id_or_source(struct vt_str key)
{
    return vt_str_equal(key, VT_STR("id")) || vt_str_equal(key, VT_STR("source"));
}

/* The map of the payload with the generated id and source in place of what it says of them. The
 * payload was read once, so that nothing here can fail. */
static vt_err
raw_of_session_row(struct arena *arena, struct vt_bytes row, struct vt_str source, struct vt_str id,
                   struct vt_bytes *out_raw)
{
    struct msgpack_cursor cursor = msgpack_cursor_of(row);
    struct msgpack_item map;
    uint8_t *data =
        arena_alloc(arena, row.size + source.size + id.size + UINT64_C(6) * MSGPACK_HEAD_BYTES);
    uint32_t pairs = 2;

    if (data == NULL)
        return VT_NOMEM;
    vt_err err = msgpack_cursor_expect(&cursor, MP_MAP, &map);
    uint8_t *body = data + MSGPACK_HEAD_BYTES; /* behind the longest header; moved up at the end */
    uint8_t *at = msgpack_put_text(body, VT_STR("source"));

    at = msgpack_put_text(at, source);
    at = msgpack_put_text(at, VT_STR("id"));
    at = msgpack_put_text(at, id);
    for (uint32_t i = 0; err == VT_OK && i < map.count; i++) {
        const uint8_t *pair = cursor.at;
        struct msgpack_item key;
        bool well_formed;

        err = msgpack_cursor_expect(&cursor, MP_STRING, &key);
        if (err == VT_OK)
            err = msgpack_cursor_skim(&cursor, 2, &well_formed);
        if (err != VT_OK || is_id_or_source(msgpack_item_text(&key)))
            continue;
        memcpy(at, pair, (uint64_t)(cursor.at - pair));
        at += cursor.at - pair;
        pairs++;
    }
    VT_ASSERT(err == VT_OK);
    uint8_t *begin = msgpack_put_map(data, pairs);

    memmove(begin, body, (uint64_t)(at - body));
    *out_raw = (struct vt_bytes){data, (uint64_t)(at - body) + (uint64_t)(begin - data)};
    return VT_OK;
}

/* --- columns */

static struct vt_str
string_of(const struct batch_reader *reader, const struct wire_strings *column, uint32_t event)
{
    if (column->code == NULL)
        return (struct vt_str){NULL, 0};
    return reader->strings.strings[column->code[event]];
}

/* As it came, also where it was too long. */
static struct vt_str
id_of(const struct batch_reader *reader, uint32_t event, char buffer[48])
{
    const struct wire_ids *ids = &reader->ids;
    uint8_t scratch[16];
    struct row_id id = batch_id(reader->batch, event, scratch);

    if (ids->form != WIRE_ID_TEXT || id.kind == ROW_ID_SEQUENCE)
        return row_id_text(&id, buffer);
    return (struct vt_str){(const char *)ids->data + ids->offset[event],
                           batch_wire_code(ids->sizes, 2, event)};
}

static uint8_t *
text_pair_put(uint8_t *at, struct vt_str key, struct vt_str text, uint32_t *pairs)
{
    if (text.size == 0)
        return at;
    *pairs += 1;
    at = msgpack_put_text(at, key);
    return msgpack_put_text(at, text);
}

static vt_err
raw_of_columns(struct arena *arena, const struct batch_reader *reader, uint32_t event,
               struct vt_bytes *out_raw)
{
    const struct batch *batch = reader->batch;
    char buffer[48];
    struct vt_str id = id_of(reader, event, buffer);
    struct vt_str type = {(const char *)reader->type_text.data, (uint32_t)reader->type_text.size};
    struct vt_str tenant = string_of(reader, &reader->tenants, event);
    struct vt_str trace = string_of(reader, &reader->traces, event);
    bool named = !batch->plain && batch->id[event].kind != ROW_ID_SEQUENCE;
    struct vt_str source = named ? string_of(reader, &reader->sources, event)
                                 : reader->strings.strings[batch->source[event]];
    uint64_t bytes = UINT64_C(16) * MSGPACK_HEAD_BYTES + 64 + id.size + type.size + tenant.size +
                     trace.size + source.size;
    uint32_t pairs = 2; /* time and props are always there */
    uint32_t props = 0;

    for (uint32_t i = 0; i < reader->column_count; i++) {
        if (!wire_column_has(&reader->columns[i], event))
            continue;
        bytes += batch_pair_bytes(reader, &reader->columns[i], event);
        props++;
    }
    uint8_t *data = arena_alloc(arena, bytes);

    if (data == NULL)
        return VT_NOMEM;
    uint8_t *at = data + 1; /* at most seven pairs: a header of one byte */

    at = text_pair_put(at, VT_STR("tenant"), tenant, &pairs);
    at = text_pair_put(at, VT_STR("type"), type, &pairs);
    at = text_pair_put(at, VT_STR("id"), id, &pairs);
    at = text_pair_put(at, VT_STR("source"), source, &pairs);
    at = msgpack_put_text(at, VT_STR("time"));
    at = msgpack_put_integer(at, (int64_t)vt_load64(reader->times + UINT64_C(8) * event));
    at = msgpack_put_text(at, VT_STR("props"));
    at = msgpack_put_map(at, props);
    for (uint32_t i = 0; i < reader->column_count; i++)
        if (wire_column_has(&reader->columns[i], event))
            at = batch_pair_put(reader, &reader->columns[i], event, at);
    at = text_pair_put(at, VT_STR("trace_id"), trace, &pairs);
    (void)msgpack_put_map(data, pairs);
    VT_ASSERT((uint64_t)(at - data) <= bytes);
    *out_raw = (struct vt_bytes){data, (uint64_t)(at - data)};
    return VT_OK;
}

vt_err
batch_raw(struct arena *arena, const struct batch *batch, uint32_t index, struct vt_bytes *out_raw)
{
    const struct batch_reader *reader = batch->reader;
    char buffer[48];

    VT_ASSERT(index < batch->event_count);
    if (batch->row == NULL)
        return raw_of_columns(arena, reader, index, out_raw);
    if (batch->id[index].kind != ROW_ID_SEQUENCE || reader->options->allow_reserved_source) {
        *out_raw = batch->row[index];
        return VT_OK;
    }
    struct vt_str id = row_id_text(&batch->id[index], buffer);

    return raw_of_session_row(arena, batch->row[index], batch->strings[batch->source[index]], id,
                              out_raw);
}

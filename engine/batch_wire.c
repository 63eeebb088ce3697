/* batch_wire.c - the structure of a BATCH_COLUMNS frame. Lengths and codes are checked by column,
 * each dictionary entry once, so that no loop over events has a branch. */
#include "batch_reader.h"
#include "venturi/assert.h"
#include "venturi/utf8.h"

static vt_err
refuse(struct batch_reader *reader, const char *problem)
{
    reader->cursor.problem = problem;
    return VT_BAD_FORMAT;
}

/* The next item is bin of exactly this size. */
static vt_err
bin_read(struct batch_reader *reader, uint64_t size, const char *problem, const uint8_t **out_data)
{
    const uint8_t *begin = reader->cursor.at;
    struct msgpack_item item;
    vt_err err = msgpack_cursor_expect(&reader->cursor, MP_BIN, &item);

    if (err != VT_OK)
        return err;
    if (item.bytes.size != size) {
        reader->cursor.at = begin;
        return refuse(reader, problem);
    }
    *out_data = item.bytes.data;
    return VT_OK;
}

/* --- string columns */

static uint32_t
codes_max(const uint8_t *wire, uint32_t width, uint32_t count)
{
    uint32_t max = 0;

    if (width == 1) {
        uint8_t max8 = 0;

        for (uint32_t i = 0; i < count; i++)
            max8 = wire[i] > max8 ? wire[i] : max8;
        return max8;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = batch_wire_code(wire, width, i);

        max = code > max ? code : max;
    }
    return max;
}

/* out[i] = map[code of event i]. */
void
batch_codes_gather(const struct wire_strings *column, const uint32_t *map, uint32_t count,
                   uint32_t *out)
{
    const uint8_t *wire = column->wire;

    if (wire == NULL) {
        for (uint32_t i = 0; i < count; i++)
            out[i] = map[0];
    } else if (column->width == 1) {
        for (uint32_t i = 0; i < count; i++)
            out[i] = map[wire[i]];
    } else {
        for (uint32_t i = 0; i < count; i++)
            out[i] = map[batch_wire_code(wire, column->width, i)];
    }
}

static vt_err
dictionary_intern(struct batch_reader *reader, enum wire_text kind, struct wire_strings *column)
{
    uint32_t count = column->count;
    struct msgpack_item item;

    column->any_bad = false;
    column->map = arena_alloc(reader->arena, (uint64_t)count * sizeof *column->map);
    column->bad = arena_alloc(reader->arena, count);
    if (column->map == NULL || column->bad == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        vt_err err = msgpack_cursor_expect(&reader->cursor, MP_STRING, &item);

        if (err == VT_OK)
            err = string_table_code(&reader->strings, msgpack_item_text(&item), &column->map[i]);
        if (err != VT_OK)
            return err;
        bool bad = !vt_utf8_valid(item.bytes) ||
                   (kind != WIRE_TEXT_TRACE && item.bytes.size > VT_TEXT_BYTES_MAX) ||
                   (kind == WIRE_TEXT_SOURCE && item.bytes.size > 0 && item.bytes.data[0] == '~' &&
                    !reader->options->allow_reserved_source);

        column->bad[i] = bad;
        column->any_bad = column->any_bad || bad;
    }
    return VT_OK;
}

static vt_err
dictionary_read(struct batch_reader *reader, enum wire_text kind, struct wire_strings *column)
{
    struct msgpack_item item;
    vt_err err = msgpack_cursor_expect(&reader->cursor, MP_ARRAY, &item);

    if (err != VT_OK)
        return err;
    if (item.count == 0)
        return refuse(reader, "string column without a string");
    const uint8_t *begin = reader->cursor.at;

    column->kind = kind;
    column->count = item.count;
    column->first = reader->strings.count;
    if (!batch_cache_take(reader, kind, column))
        err = dictionary_intern(reader, kind, column);
    if (err != VT_OK)
        return err;
    column->dictionary = (struct vt_bytes){begin, (uint64_t)(reader->cursor.at - begin)};
    column->string_count = reader->strings.count - column->first;
    if (reader->dictionary_count < BATCH_CACHE_COLUMNS_MAX)
        reader->dictionaries[reader->dictionary_count] = column;
    reader->dictionary_count++;
    return VT_OK;
}

/* The rest of a string column whose array is open: dictionary and codes. */
static vt_err
strings_read(struct batch_reader *reader, enum wire_text kind, struct wire_strings *column)
{
    uint32_t events = reader->batch->event_count;
    struct msgpack_item item;
    vt_err err = dictionary_read(reader, kind, column);

    if (err != VT_OK)
        return err;
    const uint8_t *begin = reader->cursor.at;

    if (column->count <= UINT8_MAX + 1)
        column->width = 1;
    else
        column->width = column->count <= UINT16_MAX + 1 ? 2 : 4;
    err = msgpack_cursor_expect(&reader->cursor, MP_BIN, &item);
    if (err != VT_OK)
        return err;
    column->wire = item.bytes.size == 0 ? NULL : item.bytes.data;
    if (column->wire != NULL) {
        const char *problem = NULL;

        if (item.bytes.size != (uint64_t)events * column->width)
            problem = "string column: not one code an event";
        else if (codes_max(column->wire, column->width, events) >= column->count)
            problem = "string column: a code beyond its strings";
        if (problem != NULL) {
            reader->cursor.at = begin;
            return refuse(reader, problem);
        }
    }
    column->code = arena_alloc(reader->arena, (uint64_t)events * sizeof *column->code);
    if (column->code == NULL)
        return VT_NOMEM;
    batch_codes_gather(column, column->map, events, column->code);
    return VT_OK;
}

static vt_err
pair_expect(struct batch_reader *reader)
{
    const uint8_t *begin = reader->cursor.at;
    struct msgpack_item item;
    vt_err err = msgpack_cursor_expect(&reader->cursor, MP_ARRAY, &item);

    if (err == VT_OK && item.count != 2) {
        reader->cursor.at = begin;
        return refuse(reader, "no array of two");
    }
    return err;
}

/* Whether a nil stands next; it is then taken. */
static bool
nil_take(struct batch_reader *reader)
{
    if (msgpack_cursor_left(&reader->cursor) == 0 || *reader->cursor.at != 0xC0)
        return false;
    reader->cursor.at++;
    return true;
}

static vt_err
string_column_read(struct batch_reader *reader, enum wire_text kind, struct wire_strings *column)
{
    vt_err err = pair_expect(reader);

    return err == VT_OK ? strings_read(reader, kind, column) : err;
}

/* --- fields */

static vt_err
decimals_read(struct batch_reader *reader, uint32_t elements, struct wire_column *column)
{
    uint32_t events = reader->batch->event_count;
    vt_err err = bin_read(reader, UINT64_C(8) * events, "decimal column: not 8 bytes an event",
                          &column->mantissa);

    column->kind = FIELD_DECIMAL;
    column->bits = NULL;
    if (err != VT_OK || elements == 2)
        return err;
    const uint8_t *begin = reader->cursor.at;

    err = bin_read(reader, (events + 7) / 8, "decimal column: not a bit an event", &column->bits);
    if (err != VT_OK)
        return err;
    if (events % 8 != 0 && column->bits[events / 8] >> (events % 8) != 0) {
        reader->cursor.at = begin;
        return refuse(reader, "decimal column: a bit beyond the last event");
    }
    return VT_OK;
}

static vt_err
field_read(struct batch_reader *reader, struct wire_column *column)
{
    struct msgpack_cursor *cursor = &reader->cursor;
    const uint8_t *begin = cursor->at;
    struct msgpack_item item;
    vt_err err = msgpack_cursor_expect(cursor, MP_ARRAY, &item);

    if (err != VT_OK)
        return err;
    uint32_t elements = item.count;
    struct msgpack_cursor peek = *cursor;

    if (elements == 2 || elements == 3)
        err = msgpack_cursor_next(&peek, &item);
    if (err == VT_OK && elements == 2 && item.kind == MP_ARRAY) {
        column->kind = FIELD_STRING;
        return strings_read(reader, WIRE_TEXT_FIELD, &column->strings);
    }
    if (err != VT_OK || (elements != 2 && elements != 3) || item.kind != MP_INT) {
        cursor->at = begin;
        return refuse(reader, "neither a string column nor a decimal column");
    }
    if (item.integer < 0 || item.integer > VT_SCALE_MAX)
        return refuse(reader, "decimal column: the scale is not 0 to 18");
    column->scale = (uint32_t)item.integer;
    *cursor = peek;
    return decimals_read(reader, elements, column);
}

static vt_err
fields_read(struct batch_reader *reader)
{
    struct msgpack_cursor *cursor = &reader->cursor;
    const uint8_t *begin = cursor->at;
    struct msgpack_item map;
    struct msgpack_item name;
    vt_err err = msgpack_cursor_expect(cursor, MP_MAP, &map);

    if (err != VT_OK)
        return err;
    if (map.count > VT_COLUMNS_MAX) {
        cursor->at = begin;
        return refuse(reader, "more fields than allowed");
    }
    reader->columns = arena_zalloc(reader->arena, (uint64_t)map.count * sizeof(struct wire_column));
    if (reader->columns == NULL)
        return VT_NOMEM;
    for (; reader->column_count < map.count; reader->column_count++) {
        struct wire_column *column = &reader->columns[reader->column_count];

        begin = cursor->at;
        err = msgpack_cursor_expect(cursor, MP_STRING, &name);
        if (err != VT_OK)
            return err;
        column->name = msgpack_item_text(&name);
        for (uint32_t i = 0; i < reader->column_count; i++) {
            if (vt_str_equal(reader->columns[i].name, column->name)) {
                cursor->at = begin;
                return refuse(reader, "a field stands twice");
            }
        }
        err = field_read(reader, column);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

/* --- ids */

/* Where each id begins; together they must be the whole text. */
static vt_err
offsets_make(struct batch_reader *reader, uint64_t text_size)
{
    struct wire_ids *ids = &reader->ids;
    uint32_t events = reader->batch->event_count;
    uint64_t offset = 0;

    ids->offset = arena_alloc(reader->arena, (uint64_t)events * sizeof *ids->offset);
    if (ids->offset == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < events; i++) {
        ids->offset[i] = (uint32_t)offset; /* at most 65,536 x 65,535 */
        offset += batch_wire_code(ids->sizes, 2, i);
    }
    if (offset != text_size)
        return refuse(reader, "ids: their lengths are not those of the text");
    return VT_OK;
}

static vt_err
ids_text_read(struct batch_reader *reader)
{
    uint32_t events = reader->batch->event_count;
    struct msgpack_item text;
    vt_err err =
        bin_read(reader, UINT64_C(2) * events, "ids: not one length an event", &reader->ids.sizes);

    if (err == VT_OK)
        err = msgpack_cursor_expect(&reader->cursor, MP_BIN, &text);
    if (err != VT_OK)
        return err;
    reader->ids.form = WIRE_ID_TEXT;
    reader->ids.data = text.bytes.data;
    return offsets_make(reader, text.bytes.size);
}

static vt_err
ids_read(struct batch_reader *reader)
{
    struct msgpack_cursor *cursor = &reader->cursor;
    const uint8_t *begin = cursor->at;
    uint32_t events = reader->batch->event_count;
    struct msgpack_item array;
    struct msgpack_item form;

    if (nil_take(reader)) {
        reader->ids.form = WIRE_ID_NONE;
        if (batch_has_session(reader))
            return VT_OK;
        cursor->at = begin;
        return refuse(reader, "events without ids need a producer's session");
    }
    vt_err err = msgpack_cursor_expect(cursor, MP_ARRAY, &array);

    if (err == VT_OK && array.count > 0)
        err = msgpack_cursor_expect(cursor, MP_INT, &form);
    if (err != VT_OK)
        return err;
    if (array.count == 3 && form.integer == 0)
        return ids_text_read(reader);
    if (array.count == 2 && form.integer == 1) {
        reader->ids.form = WIRE_ID_UUID;
        return bin_read(reader, UINT64_C(16) * events, "ids: not 16 bytes an event",
                        &reader->ids.data);
    }
    cursor->at = begin;
    return refuse(reader, "ids: of no known form");
}

/* --- the frame */

vt_err
batch_wire_read(struct batch_reader *reader)
{
    struct msgpack_cursor *cursor = &reader->cursor;
    uint64_t events = reader->batch->event_count;
    struct msgpack_item array;
    struct msgpack_item type;
    vt_err err = msgpack_cursor_expect(cursor, MP_ARRAY, &array);

    if (err == VT_OK && array.count != 6 && array.count != 7)
        err = refuse(reader, "no array of 6 or 7");
    if (err == VT_OK)
        err = msgpack_cursor_expect(cursor, MP_STRING, &type);
    if (err == VT_OK)
        batch_cache_begin(reader, msgpack_item_text(&type));
    if (err == VT_OK)
        err = string_column_read(reader, WIRE_TEXT_NAME, &reader->tenants);
    if (err == VT_OK)
        err = ids_read(reader);
    if (err == VT_OK && !nil_take(reader))
        err = string_column_read(reader, WIRE_TEXT_SOURCE, &reader->sources);
    if (err == VT_OK)
        err = bin_read(reader, 8 * events, "time: not 8 bytes an event", &reader->times);
    if (err == VT_OK)
        err = fields_read(reader);
    if (err == VT_OK && array.count == 7 && !nil_take(reader))
        err = string_column_read(reader, WIRE_TEXT_TRACE, &reader->traces);
    if (err == VT_OK && msgpack_cursor_left(cursor) > 0)
        err = refuse(reader, "more bytes than the columns");
    if (err != VT_OK)
        return vt_err_detail(err, "columns: byte %u: %s", (uint32_t)msgpack_cursor_offset(cursor),
                             cursor->problem != NULL ? cursor->problem : vt_err_text(err));
    reader->type_text = type.bytes;
    VT_ASSERT(reader->tenants.code != NULL);
    return VT_OK;
}

#include "row_columns.h"

#include <msgpack.h>
#include <stdlib.h>

#include "column_batch.h"
#include "venturi/assert.h"
#include "venturi/time.h"
#include "venturi/utf8.h"

#define FIELDS_MAX 64U /* of an event, and of a frame */
#define DIGITS_MAX 18  /* so many always fit 64 bits */
#define UUID_TEXT  36U
#define UUID_BYTES 16U

/* A field of one event. */
struct plain_field {
    struct vt_str name;
    struct vt_str text; /* strings; numbers: data is NULL */
    int64_t mantissa;
    uint8_t scale;
    uint8_t whole_digits; /* before the point */
};

/* One event of the batch. */
struct plain {
    struct vt_bytes row;
    bool fits; /* it can be an event of columns; else only `row` counts */
    struct vt_str type;
    struct vt_str tenant;
    struct vt_str source;
    struct vt_str trace;
    struct vt_str id;
    int64_t time_us;
    uint32_t field_first;
    uint32_t field_count;
};

/* A column of a stretch. */
struct shape_column {
    struct vt_str name;
    bool decimal;
    uint8_t scale;
    uint8_t whole_digits;
};

struct shape {
    uint32_t count;
    struct shape_column columns[FIELDS_MAX];
};

struct row_columns {
    uint32_t bytes_max;
    uint32_t events_min;
    msgpack_zone zone;
    struct plain *events;
    uint32_t event_count;
    uint32_t event_capacity;
    uint32_t at; /* the first event that is in no frame yet */
    struct plain_field *fields;
    uint32_t field_count;
    uint32_t field_capacity;
    struct column_batch *batch; /* of the last frame: its payload */
};

/* --- one event */

static struct vt_str
text_of(const msgpack_object *object)
{
    return (struct vt_str){object->via.str.ptr, object->via.str.size};
}

/* A string that neither is nor becomes malformed. */
static bool
is_good_text(const msgpack_object *object)
{
    return object->type == MSGPACK_OBJECT_STR && object->via.str.size <= VT_TEXT_BYTES_MAX &&
           vt_utf8_valid(
               (struct vt_bytes){(const uint8_t *)object->via.str.ptr, object->via.str.size});
}

static bool
text_take(const msgpack_object *object, struct vt_str *inout_text)
{
    if (object->type == MSGPACK_OBJECT_NIL)
        return true;
    if (!is_good_text(object))
        return false;
    *inout_text = text_of(object);
    return true;
}

static bool
time_take(const msgpack_object *object, int64_t *out_us)
{
    struct vt_utc utc;

    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX)
        *out_us = (int64_t)object->via.u64;
    else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        *out_us = object->via.i64;
    else if (object->type == MSGPACK_OBJECT_STR && vt_utc_parse(text_of(object), &utc) == VT_OK)
        *out_us = utc.us;
    else
        return false;
    return true;
}

/* -?digits[.digits] of at most 18 digits, and no -0: what a mantissa says as well. */
static bool
number_take(const char *text, uint32_t size, struct plain_field *field)
{
    bool negative = size > 0 && text[0] == '-';
    bool point = false;
    uint32_t digits = 0;

    field->mantissa = 0;
    field->scale = 0;
    for (uint32_t i = negative; i < size; i++) {
        if (text[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || ++digits > DIGITS_MAX)
            return false;
        field->mantissa = field->mantissa * 10 + (text[i] - '0');
        field->scale += point;
    }
    if (digits == 0 || (negative && field->mantissa == 0))
        return false;
    field->whole_digits = (uint8_t)(digits - field->scale);
    if (negative)
        field->mantissa = -field->mantissa;
    return true;
}

static bool
integer_take(int64_t value, struct plain_field *field)
{
    uint64_t rest = value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value;

    field->mantissa = value;
    field->scale = 0;
    for (field->whole_digits = 0; rest > 0; rest /= 10)
        field->whole_digits++;
    return field->whole_digits <= DIGITS_MAX;
}

static bool
value_take(const msgpack_object *object, struct plain_field *field)
{
    /* A text has no scale: what the place held before must not count as one. */
    *field = (struct plain_field){.name = field->name};
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return object->via.u64 <= INT64_MAX && integer_take((int64_t)object->via.u64, field);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return integer_take(object->via.i64, field);
    case MSGPACK_OBJECT_EXT:
        return object->via.ext.type == VT_EXT_NUMBER &&
               number_take(object->via.ext.ptr, object->via.ext.size, field);
    case MSGPACK_OBJECT_STR:
        field->text = text_of(object);
        return field->text.size > 0 && is_good_text(object);
    case MSGPACK_OBJECT_NIL:
    case MSGPACK_OBJECT_BOOLEAN:
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
    case MSGPACK_OBJECT_ARRAY:
    case MSGPACK_OBJECT_MAP:
    case MSGPACK_OBJECT_BIN:
        return false;
    }
    return false;
}

static vt_err
field_room(struct row_columns *columns)
{
    if (columns->field_capacity - columns->field_count >= FIELDS_MAX)
        return VT_OK;
    uint32_t capacity = columns->field_capacity * 2 + 4 * FIELDS_MAX;
    void *grown = realloc(columns->fields, (size_t)capacity * sizeof columns->fields[0]);

    if (grown == NULL)
        return VT_NOMEM;
    columns->fields = grown;
    columns->field_capacity = capacity;
    return VT_OK;
}

/* The room is there. A null is no field. */
static bool
props_take(struct row_columns *columns, const msgpack_object *object, struct plain *event)
{
    if (object->type == MSGPACK_OBJECT_NIL)
        return true;
    if (object->type != MSGPACK_OBJECT_MAP || object->via.map.size > FIELDS_MAX)
        return false;
    event->field_count = 0;
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];
        struct plain_field *field = &columns->fields[event->field_first + event->field_count];

        if (!is_good_text(&pair->key))
            return false;
        field->name = text_of(&pair->key);
        for (uint32_t k = 0; k < i; k++)
            if (vt_str_equal(text_of(&object->via.map.ptr[k].key), field->name))
                return false;
        if (pair->val.type == MSGPACK_OBJECT_NIL)
            continue;
        if (!value_take(&pair->val, field))
            return false;
        event->field_count++;
    }
    return true;
}

static bool
pair_take(struct row_columns *columns, const msgpack_object_kv *pair, struct plain *event)
{
    struct vt_str key = text_of(&pair->key);

    if (vt_str_equal(key, VT_STR("tenant")))
        return text_take(&pair->val, &event->tenant);
    if (vt_str_equal(key, VT_STR("type")))
        return text_take(&pair->val, &event->type);
    if (vt_str_equal(key, VT_STR("id")))
        return text_take(&pair->val, &event->id);
    if (vt_str_equal(key, VT_STR("source")))
        return text_take(&pair->val, &event->source);
    if (vt_str_equal(key, VT_STR("trace_id")))
        return text_take(&pair->val, &event->trace) &&
               (pair->val.type == MSGPACK_OBJECT_NIL || event->trace.size > 0);
    if (vt_str_equal(key, VT_STR("props")))
        return props_take(columns, &pair->val, event);
    return false;
}

/* Whether the event can be one of columns; then it is filled. */
static bool
event_take(struct row_columns *columns, const msgpack_object *object, struct plain *event)
{
    bool timed = false;

    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];

        if (pair->key.type != MSGPACK_OBJECT_STR)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (vt_str_equal(text_of(&object->via.map.ptr[k].key), text_of(&pair->key)))
                return false;
        if (vt_str_equal(text_of(&pair->key), VT_STR("time"))) {
            timed = time_take(&pair->val, &event->time_us);
            if (!timed)
                return false;
        } else if (!pair_take(columns, pair, event)) {
            return false;
        }
    }
    return timed && event->tenant.size > 0 && event->type.size > 0 &&
           (event->source.size == 0 || event->source.data[0] != '~');
}

/* --- the batch */

/* An event that msgpack-c cannot read stays a row. That is one that nests deeper than 32, too, for
 * which it says that memory is out. */
static void
event_read(struct row_columns *columns, struct plain *event)
{
    msgpack_object object;
    size_t at = 0;

    msgpack_zone_clear(&columns->zone);
    int result = msgpack_unpack((const char *)event->row.data, event->row.size, &at, &columns->zone,
                                &object);

    event->fits = result == MSGPACK_UNPACK_SUCCESS && at == event->row.size &&
                  object.type == MSGPACK_OBJECT_MAP && event_take(columns, &object, event);
    if (event->fits)
        columns->field_count += event->field_count;
}

vt_err
row_columns_begin(struct row_columns *columns, struct vt_bytes rows, const uint32_t *row_sizes,
                  uint32_t event_count)
{
    uint64_t at = 0;
    vt_err err = VT_OK;

    if (event_count > columns->event_capacity) {
        void *grown = realloc(columns->events, (size_t)event_count * sizeof columns->events[0]);

        if (grown == NULL)
            return VT_NOMEM;
        columns->events = grown;
        columns->event_capacity = event_count;
    }
    columns->field_count = 0;
    columns->event_count = event_count;
    columns->at = 0;
    for (uint32_t i = 0; err == VT_OK && i < event_count; i++) {
        columns->events[i] = (struct plain){
            .row = {rows.data + at, row_sizes[i]},
            .field_first = columns->field_count,
        };
        at += row_sizes[i];
        VT_ASSERT(at <= rows.size);
        err = field_room(columns);
        if (err == VT_OK)
            event_read(columns, &columns->events[i]);
    }
    return err;
}

/* --- stretches */

/* Makes room in the shape for a value; false where it does not go with those before. */
static bool
column_join(struct shape *shape, const struct plain_field *field, uint32_t hint)
{
    bool decimal = field->text.data == NULL;
    uint32_t at = hint;

    if (at >= shape->count || !vt_str_equal(shape->columns[at].name, field->name))
        for (at = 0; at < shape->count; at++)
            if (vt_str_equal(shape->columns[at].name, field->name))
                break;
    if (at == FIELDS_MAX)
        return false;
    struct shape_column *column = &shape->columns[at];

    if (at == shape->count) {
        shape->count++;
        *column = (struct shape_column){field->name, decimal, field->scale, field->whole_digits};
        return true;
    }
    if (column->decimal != decimal)
        return false;
    if (!decimal)
        return true;
    uint8_t scale = column->scale > field->scale ? column->scale : field->scale;
    uint8_t whole =
        column->whole_digits > field->whole_digits ? column->whole_digits : field->whole_digits;

    /* Every number of the column is written at its scale. */
    if (scale + whole > DIGITS_MAX)
        return false;
    column->scale = scale;
    column->whole_digits = whole;
    return true;
}

/* How many events from `first` on go into one frame of columns, and their columns. */
static uint32_t
stretch_at(const struct row_columns *columns, uint32_t first, struct shape *out_shape)
{
    uint32_t at = first;

    out_shape->count = 0;
    for (; at < columns->event_count; at++) {
        const struct plain *event = &columns->events[at];
        uint32_t count = out_shape->count;
        bool joins = event->fits && vt_str_equal(event->type, columns->events[first].type);

        for (uint32_t i = 0; joins && i < event->field_count; i++)
            joins = column_join(out_shape, &columns->fields[event->field_first + i], i);
        if (!joins) {
            /* A scale that it raised does no harm: all numbers before it fit there, too. */
            out_shape->count = count;
            break;
        }
    }
    return at - first;
}

/* --- frames */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 8-4-4-4-12 in lower case, which is what the daemon makes of 16 bytes again. */
static bool
uuid_read(struct vt_str text, uint8_t out_bytes[UUID_BYTES])
{
    uint32_t digits = 0;

    if (text.size != UUID_TEXT)
        return false;
    for (uint32_t i = 0; i < UUID_TEXT; i++) {
        int digit = hex_digit(text.data[i]);

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text.data[i] != '-')
                return false;
            continue;
        }
        if (digit < 0)
            return false;
        uint8_t high = digits % 2 == 0 ? 0 : out_bytes[digits / 2];

        out_bytes[digits / 2] = (uint8_t)(high << 4 | (uint8_t)digit);
        digits++;
    }
    return true;
}

static enum column_ids
ids_of(const struct plain *events, uint32_t count)
{
    uint8_t bytes[UUID_BYTES];

    for (uint32_t i = 0; i < count; i++)
        if (!uuid_read(events[i].id, bytes))
            return COLUMN_IDS_TEXT;
    return COLUMN_IDS_UUID;
}

static vt_err
event_put(struct row_columns *columns, const struct shape *shape, enum column_ids ids,
          const struct plain *event)
{
    struct column_value values[FIELDS_MAX];
    uint8_t uuid[UUID_BYTES];
    struct column_event out = {
        .tenant = event->tenant,
        .source = event->source,
        .trace = event->trace,
        .id = {(const uint8_t *)event->id.data, event->id.size},
        .time_us = event->time_us,
        .values = values,
    };

    if (ids == COLUMN_IDS_UUID && uuid_read(event->id, uuid))
        out.id = (struct vt_bytes){uuid, UUID_BYTES};
    for (uint32_t c = 0; c < shape->count; c++) {
        values[c] = (struct column_value){.present = false};
        for (uint32_t i = 0; i < event->field_count; i++) {
            const struct plain_field *field = &columns->fields[event->field_first + i];

            if (!vt_str_equal(field->name, shape->columns[c].name))
                continue;
            values[c].present = true;
            values[c].text = field->text;
            values[c].mantissa = field->mantissa;
            for (uint8_t scale = field->scale; scale < shape->columns[c].scale; scale++)
                values[c].mantissa *= 10;
        }
    }
    return column_batch_add(columns->batch, &out);
}

/* As many of `count` events as one frame holds; none where even the first is too large. */
static vt_err
columns_make(struct row_columns *columns, const struct shape *shape, uint32_t count,
             struct row_columns_frame *out_frame)
{
    const struct plain *events = &columns->events[columns->at];
    struct column_batch_field fields[FIELDS_MAX];
    struct column_batch_options options = {
        .type = events[0].type,
        .ids = ids_of(events, count),
        .field_count = shape->count,
        .fields = fields,
        .events_max = count,
        .bytes_max = columns->bytes_max,
    };

    for (uint32_t c = 0; c < shape->count; c++)
        fields[c] = (struct column_batch_field){shape->columns[c].name, shape->columns[c].decimal,
                                                shape->columns[c].scale};
    column_batch_close(columns->batch);
    columns->batch = NULL;
    vt_err err = column_batch_open(&options, &columns->batch);

    for (uint32_t i = 0; err == VT_OK && i < count; i++)
        err = event_put(columns, shape, options.ids, &events[i]);
    if (err != VT_OK && err != VT_FULL)
        return err;
    out_frame->type = VT_FRAME_BATCH_COLUMNS;
    out_frame->event_count = column_batch_count(columns->batch);
    return column_batch_encode(columns->batch, &out_frame->payload);
}

/* `count` events as the rows that they were; they stand one behind the other. */
static void
rows_make(const struct row_columns *columns, uint32_t count, struct row_columns_frame *out_frame)
{
    const struct plain *first = &columns->events[columns->at];
    const struct plain *last = first + count - 1;

    VT_ASSERT(count > 0);
    *out_frame = (struct row_columns_frame){
        .type = VT_FRAME_BATCH_ROWS,
        .event_count = count,
        .payload = {first->row.data, (uint64_t)(last->row.data - first->row.data) + last->row.size},
    };
}

vt_err
row_columns_next(struct row_columns *columns, struct row_columns_frame *out_frame)
{
    struct shape shape;
    vt_err err = VT_TOO_LARGE;

    if (columns->at == columns->event_count)
        return VT_END;
    uint32_t stretch = stretch_at(columns, columns->at, &shape);

    if (stretch >= columns->events_min)
        err = columns_make(columns, &shape, stretch, out_frame);
    if (err == VT_TOO_LARGE) {
        uint32_t rows = stretch > 0 && stretch < columns->events_min ? stretch : 1;

        /* Up to where columns are worth it again. */
        while (columns->at + rows < columns->event_count) {
            stretch = stretch_at(columns, columns->at + rows, &shape);
            if (stretch >= columns->events_min)
                break;
            rows += stretch > 0 ? stretch : 1;
        }
        rows_make(columns, rows, out_frame);
        err = VT_OK;
    }
    if (err == VT_OK)
        columns->at += out_frame->event_count;
    VT_ASSERT(columns->at <= columns->event_count);
    return err;
}

/* --- life */

vt_err
row_columns_open(uint32_t bytes_max, uint32_t events_min, struct row_columns **out_columns)
{
    struct row_columns *columns = calloc(1, sizeof *columns);

    VT_ASSERT(bytes_max > 0);
    VT_ASSERT(events_min > 0);
    if (columns == NULL)
        return VT_NOMEM;
    columns->bytes_max = bytes_max;
    columns->events_min = events_min;
    if (!msgpack_zone_init(&columns->zone, MSGPACK_ZONE_CHUNK_SIZE)) {
        free(columns);
        return VT_NOMEM;
    }
    *out_columns = columns;
    return VT_OK;
}

void
row_columns_close(struct row_columns *columns)
{
    if (columns == NULL)
        return;
    msgpack_zone_destroy(&columns->zone);
    column_batch_close(columns->batch);
    free(columns->events);
    free(columns->fields);
    free(columns);
}

/*
 * part_raw.c - an accepted row as one msgpack map in the form of BATCH_ROWS, for showing the first
 * of a conflict. Declared fields stand in the order of the type, then what was not declared, as it
 * came.
 */
#include <string.h>

#include "msgpack_cursor.h"
#include "msgpack_put.h"
#include "part_internal.h"
#include "venturi/decimal.h"

/* Pairs of a map, as bytes. */
struct raw_pairs {
    uint32_t count;
    struct vt_bytes bytes;
};

/* The two maps in what was not declared: what stands in `props`, and what stands beside it. The
 * latter may be cut in two by `props`. */
struct raw_extra {
    struct raw_pairs props;
    struct raw_pairs before;
    struct raw_pairs after;
};

static vt_err
extra_pair(struct msgpack_cursor *cursor, struct raw_extra *extra, bool *seen_props)
{
    const uint8_t *begin = cursor->at;
    struct msgpack_item key;
    struct msgpack_cursor value;
    struct msgpack_item map;
    bool well_formed;
    vt_err err = msgpack_cursor_expect(cursor, MP_STRING, &key);

    if (err != VT_OK)
        return err;
    value = *cursor;
    err = msgpack_cursor_skim(cursor, 2, &well_formed);
    if (err != VT_OK)
        return err;
    if (!*seen_props && vt_str_equal(msgpack_item_text(&key), VT_STR("props"))) {
        err = msgpack_cursor_expect(&value, MP_MAP, &map);
        if (err != VT_OK)
            return err;
        *seen_props = true;
        extra->props = (struct raw_pairs){map.count, {value.at, (uint64_t)(cursor->at - value.at)}};
        return VT_OK;
    }
    struct raw_pairs *pairs = *seen_props ? &extra->after : &extra->before;

    if (pairs->count++ == 0)
        pairs->bytes.data = begin;
    pairs->bytes.size = (uint64_t)(cursor->at - pairs->bytes.data);
    return VT_OK;
}

static vt_err
extra_split(struct vt_bytes bytes, struct raw_extra *out_extra)
{
    struct msgpack_cursor cursor = msgpack_cursor_of(bytes);
    struct raw_extra extra = {0};
    struct msgpack_item map;
    bool seen_props = false;

    if (bytes.size == 0) {
        *out_extra = extra;
        return VT_OK;
    }
    vt_err err = msgpack_cursor_expect(&cursor, MP_MAP, &map);

    for (uint32_t i = 0; err == VT_OK && i < map.count; i++)
        err = extra_pair(&cursor, &extra, &seen_props);
    if (err != VT_OK)
        return vt_err_detail(VT_DAMAGED, "the undeclared fields of a row are not readable");
    *out_extra = extra;
    return VT_OK;
}

static bool
field_shown(const struct row_column *column)
{
    if (column->kind == FIELD_STRING)
        return column->code[0] != 0;
    return column->present == NULL || column->present[0] != 0;
}

static uint8_t *
put_bytes(uint8_t *at, struct vt_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *
put_field(uint8_t *at, const struct row_block *row, const struct row_column *column)
{
    char text[VT_DECIMAL_BYTES];
    int64_t whole;

    at = msgpack_put_text(at, column->name);
    if (column->kind == FIELD_STRING)
        return msgpack_put_text(at, row->dict[column->code[0]]);
    struct vt_str number = {text, vt_decimal_format(column->value[0], column->scale, text)};

    if (vt_decimal_parse(number, 0, &whole) == VT_OK)
        return msgpack_put_integer(at, whole);
    return msgpack_put_number_text(at, number);
}

static uint8_t *
put_props(uint8_t *at, const struct row_block *row, const struct raw_extra *extra)
{
    uint32_t count = extra->props.count;

    for (uint32_t c = 0; c < row->column_count; c++)
        count += field_shown(&row->columns[c]);
    at = msgpack_put_map(msgpack_put_text(at, VT_STR("props")), count);
    for (uint32_t c = 0; c < row->column_count; c++)
        if (field_shown(&row->columns[c]))
            at = put_field(at, row, &row->columns[c]);
    return put_bytes(at, extra->props.bytes);
}

/* At least what the map will take. */
static uint64_t
raw_bytes_max(const struct row_block *row, struct vt_bytes extra)
{
    uint64_t bytes = 256 + row->tenant.size + row->type.size + ROW_ID_TEXT_BYTES +
                     row->dict[row->source[0]].size + extra.size;

    for (uint32_t c = 0; c < row->column_count; c++) {
        const struct row_column *column = &row->columns[c];

        bytes += MSGPACK_HEAD_BYTES * 2 + column->name.size + VT_DECIMAL_BYTES;
        if (column->kind == FIELD_STRING)
            bytes += row->dict[column->code[0]].size;
    }
    return bytes;
}

vt_err
part_raw(struct arena *arena, const struct row_block *row, struct vt_bytes *out_raw)
{
    struct vt_bytes undeclared = row->extra == NULL ? (struct vt_bytes){NULL, 0} : row->extra[0];
    struct vt_str source = row->dict[row->source[0]];
    struct raw_extra extra = {0};
    char id[48];
    vt_err err = extra_split(undeclared, &extra);

    VT_ASSERT(row->row_count == 1);
    if (err != VT_OK)
        return err;
    uint64_t bytes_max = raw_bytes_max(row, undeclared);
    uint8_t *begin = arena_alloc(arena, bytes_max);

    if (begin == NULL)
        return VT_NOMEM;
    uint32_t pairs = 5u + (source.size > 0) + extra.before.count + extra.after.count;
    uint8_t *at = msgpack_put_map(begin, pairs);

    at = msgpack_put_text(msgpack_put_text(at, VT_STR("tenant")), row->tenant);
    at = msgpack_put_text(msgpack_put_text(at, VT_STR("type")), row->type);
    at = msgpack_put_text(msgpack_put_text(at, VT_STR("id")), row_id_text(&row->id[0], id));
    if (source.size > 0)
        at = msgpack_put_text(msgpack_put_text(at, VT_STR("source")), source);
    at = msgpack_put_integer(msgpack_put_text(at, VT_STR("time")), row->time_us[0]);
    at = put_props(at, row, &extra);
    at = put_bytes(at, extra.before.bytes);
    at = put_bytes(at, extra.after.bytes);
    VT_ASSERT((uint64_t)(at - begin) <= bytes_max);
    *out_raw = (struct vt_bytes){begin, (uint64_t)(at - begin)};
    return VT_OK;
}

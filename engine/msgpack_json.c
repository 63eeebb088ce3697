/* msgpack_json.c - see msgpack_json.h. A stack of open arrays and maps stands in for recursion. */
#include "msgpack_json.h"

#include <stdio.h>

#include "msgpack_cursor.h"
#include "venturi/assert.h"
#include "venturi/utf8.h"

#define HEX_SHOWN_MAX 256 /* bytes */

struct json_level {
    uint32_t left; /* values (map: keys and values) still to come */
    bool map;
};

static void
put_hex(struct json_out *out, const char *what, struct vt_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    char text[32 + 2 * HEX_SHOWN_MAX];
    int used = snprintf(text, 32, "%s ", what);
    uint64_t shown = bytes.size < HEX_SHOWN_MAX ? bytes.size : HEX_SHOWN_MAX;
    uint32_t at = used < 0 ? 0 : (uint32_t)used;

    for (uint64_t i = 0; i < shown; i++) {
        text[at++] = digits[bytes.data[i] >> 4];
        text[at++] = digits[bytes.data[i] & 15];
    }
    json_string(out, (struct vt_str){text, at});
}

static void
put_string(struct json_out *out, struct vt_bytes bytes, bool key)
{
    if (!vt_utf8_valid(bytes)) {
        if (key)
            json_key(out, VT_STR("not UTF-8"));
        else
            put_hex(out, "not UTF-8", bytes);
        return;
    }
    struct vt_str text = {(const char *)bytes.data, (uint32_t)bytes.size};

    if (key)
        json_key(out, text);
    else
        json_string(out, text);
}

static void
put_number(struct json_out *out, struct vt_bytes text)
{
    if (!msgpack_number_valid(text)) {
        put_string(out, text, false);
        return;
    }
    json_number(out, (struct vt_str){(const char *)text.data, (uint32_t)text.size});
}

static void
put_scalar(struct json_out *out, const struct msgpack_item *item)
{
    switch (item->kind) {
    case MP_NIL:
        json_null(out);
        return;
    case MP_BOOL:
        json_bool(out, item->integer != 0);
        return;
    case MP_INT:
        json_integer(out, item->integer);
        return;
    case MP_UINT:
        json_unsigned(out, item->natural);
        return;
    case MP_STRING:
        put_string(out, item->bytes, false);
        return;
    case MP_NUMBER:
        put_number(out, item->bytes);
        return;
    case MP_FLOAT:
        json_string(out, VT_STR("a binary float"));
        return;
    case MP_BIN:
        put_hex(out, "bytes", item->bytes);
        return;
    case MP_EXT:
        put_hex(out, "ext", item->bytes);
        return;
    case MP_ARRAY:
    case MP_MAP:
        break;
    }
    VT_ASSERT(false);
}

/* Closes what is full. */
static uint32_t
levels_close(struct json_out *out, struct json_level *levels, uint32_t depth)
{
    while (depth > 0 && levels[depth - 1].left == 0) {
        json_close(out, levels[depth - 1].map ? '}' : ']');
        depth--;
    }
    return depth;
}

vt_err
json_put_msgpack(struct json_out *out, struct vt_bytes value)
{
    struct msgpack_cursor cursor = msgpack_cursor_of(value);
    struct msgpack_cursor check = cursor;
    struct json_level levels[VT_DEPTH_MAX + 1];
    uint32_t depth = 0;
    bool well_formed = false;
    vt_err err = msgpack_cursor_skim(&check, 1, &well_formed);

    if (err != VT_OK)
        return err;
    do {
        struct msgpack_item item;
        bool key = depth > 0 && levels[depth - 1].map && levels[depth - 1].left % 2 == 0;

        err = msgpack_cursor_next(&cursor, &item);
        if (err != VT_OK)
            return err;
        if (depth > 0)
            levels[depth - 1].left--;
        if (key) {
            put_string(out, item.bytes, true);
        } else if (item.kind == MP_ARRAY || item.kind == MP_MAP) {
            bool map = item.kind == MP_MAP;

            VT_ASSERT(depth <= VT_DEPTH_MAX);
            json_open(out, map ? '{' : '[');
            levels[depth++] = (struct json_level){map ? item.count * 2 : item.count, map};
        } else {
            put_scalar(out, &item);
        }
        depth = levels_close(out, levels, depth);
    } while (depth > 0);
    return out->err;
}

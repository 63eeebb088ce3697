#include "json_row.h"

#include <msgpack.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "venturi/assert.h"
#include "venturi/utf8.h"
#include "venturi/wire.h"

#define ESCAPE_BYTES 6 /* of \uXXXX */
#define INT64_DIGITS 19

/* An open array or map: its header is one byte until its end, when the count is known. */
struct level {
    size_t head;
    uint32_t count; /* elements, or pairs */
    bool map;
};

struct json_row {
    msgpack_sbuffer out;
    msgpack_packer packer;
    uint32_t open;
    struct level levels[VT_DEPTH_MAX];
    vt_err err;          /* why a callback stopped the parser */
    const char *problem; /* the same for people */
    uint8_t *copy;       /* of the line, without surrogate escapes; NULL until needed */
    uint64_t copy_bytes;
};

/* --- life */

vt_err
json_row_open(struct json_row **out_row)
{
    struct json_row *row = calloc(1, sizeof *row);

    if (row == NULL)
        return VT_NOMEM;
    msgpack_sbuffer_init(&row->out);
    msgpack_packer_init(&row->packer, &row->out, msgpack_sbuffer_write);
    *out_row = row;
    return VT_OK;
}

void
json_row_close(struct json_row *row)
{
    if (row == NULL)
        return;
    msgpack_sbuffer_destroy(&row->out);
    free(row->copy);
    free(row);
}

/* --- surrogates */

/* The code unit of an escape \uXXXX at `at`, or -1. */
static int32_t
escape_read(const uint8_t *at, const uint8_t *end)
{
    int32_t unit = 0;

    if (end - at < ESCAPE_BYTES || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (uint32_t i = 2; i < ESCAPE_BYTES; i++) {
        uint8_t c = at[i];

        if (c >= '0' && c <= '9')
            unit = unit * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            unit = unit * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return unit;
}

static bool
is_high(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool
is_low(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

static uint8_t *
code_point_put(uint8_t *at, uint32_t c)
{
    if (c > 0xFFFF) {
        *at++ = (uint8_t)(0xF0 | c >> 18);
        *at++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    } else {
        *at++ = (uint8_t)(0xE0 | c >> 12);
    }
    *at++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    *at++ = (uint8_t)(0x80 | (c & 0x3F));
    return at;
}

/* The line with surrogate escapes written out, pairs as UTF-8 and lone ones as three bytes (yajl
 * would put '?'); it never grows. Stops once `limit` bytes are written and says how far it read, so
 * that a place in the copy can be found again in the line. */
static uint64_t
surrogates_write_out(struct vt_str line, uint8_t *copy, uint64_t limit, uint64_t *out_read)
{
    const uint8_t *at = (const uint8_t *)line.data;
    const uint8_t *begin = at;
    const uint8_t *end = at + line.size;
    uint8_t *put = copy;

    while (at < end && (uint64_t)(put - copy) < limit) {
        if (*at != '\\') {
            *put++ = *at++;
            continue;
        }
        int32_t unit = escape_read(at, end);

        if (is_high(unit) || is_low(unit)) {
            int32_t next = escape_read(at + ESCAPE_BYTES, end);
            uint32_t c = (uint32_t)unit;

            at += ESCAPE_BYTES;
            if (is_high(unit) && is_low(next)) {
                c = 0x10000 + ((uint32_t)(unit - 0xD800) << 10 | (uint32_t)(next - 0xDC00));
                at += ESCAPE_BYTES;
            }
            put = code_point_put(put, c);
            continue;
        }
        *put++ = *at++; /* the backslash and, so that \\ is over, what it escapes */
        if (at < end)
            *put++ = *at++;
    }
    *out_read = (uint64_t)(at - begin);
    return (uint64_t)(put - copy);
}

/* --- callbacks of the parser */

static int
stop(struct json_row *row, vt_err err, const char *problem)
{
    row->err = err;
    row->problem = problem;
    return 0;
}

/* A value begins: at the root it must be an object, and it must not be too deep. A map counts its
 * keys, not its values. */
static int
value_begin(struct json_row *row, bool map)
{
    if (row->open == 0 && !map)
        return stop(row, VT_BAD_JSON, "this is no JSON object");
    if (row->open == VT_DEPTH_MAX)
        return stop(row, VT_TOO_DEEP, "nested deeper than 64");
    if (row->open > 0 && !row->levels[row->open - 1].map)
        row->levels[row->open - 1].count++;
    return 1;
}

static int
packed(struct json_row *row, int result)
{
    return result == 0 ? 1 : stop(row, VT_NOMEM, "out of memory");
}

static int
on_null(void *context)
{
    struct json_row *row = context;

    return value_begin(row, false) && packed(row, msgpack_pack_nil(&row->packer));
}

static int
on_boolean(void *context, int value)
{
    struct json_row *row = context;

    if (!value_begin(row, false))
        return 0;
    return packed(row, value ? msgpack_pack_true(&row->packer) : msgpack_pack_false(&row->packer));
}

/* Whether the text is that of a 64-bit integer and the integer's own text is the same; -0 is
 * not. */
static bool
integer_parse(const char *text, size_t size, int64_t *out_value)
{
    bool negative = size > 0 && text[0] == '-';
    size_t digits = size - negative;
    uint64_t magnitude = 0;

    if (digits == 0 || digits > INT64_DIGITS)
        return false;
    for (size_t i = negative; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        magnitude = magnitude * 10 + (uint64_t)(text[i] - '0');
    }
    if (magnitude > (uint64_t)INT64_MAX + negative || (negative && magnitude == 0))
        return false;
    *out_value = (int64_t)(negative ? UINT64_C(0) - magnitude : magnitude);
    return true;
}

static int
on_number(void *context, const char *text, size_t size)
{
    struct json_row *row = context;
    int64_t value;

    if (!value_begin(row, false))
        return 0;
    if (integer_parse(text, size, &value))
        return packed(row, msgpack_pack_int64(&row->packer, value));
    if (!packed(row, msgpack_pack_ext(&row->packer, size, VT_EXT_NUMBER)))
        return 0;
    return packed(row, msgpack_pack_ext_body(&row->packer, text, size));
}

static int
text_pack(struct json_row *row, const unsigned char *text, size_t size)
{
    if (!packed(row, msgpack_pack_str(&row->packer, size)))
        return 0;
    return packed(row, msgpack_pack_str_body(&row->packer, text, size));
}

static int
on_string(void *context, const unsigned char *text, size_t size)
{
    struct json_row *row = context;

    return value_begin(row, false) && text_pack(row, text, size);
}

static int
on_key(void *context, const unsigned char *text, size_t size)
{
    struct json_row *row = context;

    VT_ASSERT(row->open > 0);
    row->levels[row->open - 1].count++;
    return text_pack(row, text, size);
}

static int
container_open(struct json_row *row, bool map)
{
    static const char placeholder = 0;

    if (!value_begin(row, map))
        return 0;
    row->levels[row->open++] = (struct level){.head = row->out.size, .count = 0, .map = map};
    return packed(row, msgpack_sbuffer_write(&row->out, &placeholder, 1));
}

/* Writes the header that the placeholder stands for. From 16 elements on it is longer than one byte
 * and what follows moves. */
static int
container_close(struct json_row *row)
{
    VT_ASSERT(row->open > 0);
    struct level *level = &row->levels[--row->open];
    size_t end = row->out.size;

    if (!packed(row, level->map ? msgpack_pack_map(&row->packer, level->count)
                                : msgpack_pack_array(&row->packer, level->count)))
        return 0;
    char head[5];
    size_t head_size = row->out.size - end;
    char *data = row->out.data;

    VT_ASSERT(head_size >= 1 && head_size <= sizeof head);
    memcpy(head, data + end, head_size);
    memmove(data + level->head + head_size, data + level->head + 1, end - level->head - 1);
    memcpy(data + level->head, head, head_size);
    row->out.size = end + head_size - 1;
    return 1;
}

static int
on_map_open(void *context)
{
    return container_open(context, true);
}

static int
on_array_open(void *context)
{
    return container_open(context, false);
}

static int
on_close(void *context)
{
    return container_close(context);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_map_open,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close,
    .yajl_start_array = on_array_open,
    .yajl_end_array = on_close,
};

/* --- a line */

/* Where yajl is more lenient than RFC 8259: other control characters as white space, and UTF-8 by
 * halves. Gives the place of the first byte that may not be there, or the line's size. */
static uint64_t
bad_byte_find(struct vt_str line)
{
    const uint8_t *data = (const uint8_t *)line.data;
    uint64_t i = 0;

    for (uint64_t k = 0; k < line.size; k++)
        if (data[k] < 0x20 && data[k] != '\t' && data[k] != '\r')
            return k;
    if (vt_utf8_valid((struct vt_bytes){data, line.size}))
        return line.size;
    while (i < line.size) {
        uint64_t size = 1;

        while (size <= 4 && size <= line.size - i &&
               !vt_utf8_valid((struct vt_bytes){data + i, size}))
            size++;
        if (size > 4 || size > line.size - i)
            break;
        i += size;
    }
    return i;
}

static bool
has_surrogate_escape(struct vt_str line)
{
    for (uint64_t i = 0; i + ESCAPE_BYTES <= line.size; i++) {
        if (line.data[i] != '\\')
            continue;
        if (line.data[i + 1] == 'u' && (line.data[i + 2] | 0x20) == 'd')
            return true;
        i++;
    }
    return false;
}

static vt_err
copy_make(struct json_row *row, struct vt_str line, struct vt_str *out_copy)
{
    uint64_t read;

    if (row->copy_bytes < line.size) {
        uint8_t *copy = realloc(row->copy, line.size);

        if (copy == NULL)
            return VT_NOMEM;
        row->copy = copy;
        row->copy_bytes = line.size;
    }
    uint64_t size = surrogates_write_out(line, row->copy, UINT64_MAX, &read);

    VT_ASSERT(size <= line.size);
    *out_copy = (struct vt_str){(const char *)row->copy, (uint32_t)size};
    return VT_OK;
}

/* What a callback or else yajl says, in one line: "line 7, column 3: parse error: ...". */
static vt_err
refusal(const struct json_row *row, yajl_handle parser, uint64_t number, uint64_t column)
{
    if (row->err != VT_OK)
        return vt_err_detail(row->err, "line %llu, column %llu: %s", (unsigned long long)number,
                             (unsigned long long)column, row->problem);
    unsigned char *text = yajl_get_error(parser, 0, NULL, 0);
    const char *said = text == NULL ? "no JSON" : (const char *)text;
    vt_err err =
        vt_err_detail(VT_BAD_JSON, "line %llu, column %llu: %.*s", (unsigned long long)number,
                      (unsigned long long)column, (int)strcspn(said, "\n"), said);

    if (text != NULL)
        yajl_free_error(parser, text);
    return err;
}

static vt_err
text_parse(struct json_row *row, struct vt_str line, struct vt_str text, uint64_t number)
{
    yajl_handle parser = yajl_alloc(&callbacks, NULL, row);
    vt_err err = VT_OK;

    if (parser == NULL)
        return VT_NOMEM;
    (void)yajl_config(parser, yajl_dont_validate_strings, 1); /* done already, and of the line */
    yajl_status status = yajl_parse(parser, (const unsigned char *)text.data, text.size);
    uint64_t place = yajl_get_bytes_consumed(parser);

    if (status == yajl_status_ok) {
        place = text.size;
        status = yajl_complete_parse(parser);
    }
    if (status != yajl_status_ok) {
        if (text.data != line.data)
            (void)surrogates_write_out(line, row->copy, place, &place);
        err = refusal(row, parser, number, place == 0 ? 1 : place);
    }
    yajl_free(parser);
    return err;
}

vt_err
json_row_parse(struct json_row *row, struct vt_str line, uint64_t number,
               struct vt_bytes *out_event)
{
    struct vt_str text = line;
    vt_err err = VT_OK;

    vt_err_clear();
    msgpack_sbuffer_clear(&row->out);
    row->open = 0;
    row->err = VT_OK;
    row->problem = NULL;
    if (line.size == 0)
        return vt_err_detail(VT_BAD_JSON, "line %llu, column 1: an empty line",
                             (unsigned long long)number);
    uint64_t bad = bad_byte_find(line);

    if (bad < line.size)
        return vt_err_detail(VT_BAD_JSON, "line %llu, column %llu: byte 0x%02x may not stand here",
                             (unsigned long long)number, (unsigned long long)bad + 1,
                             (unsigned)(uint8_t)line.data[bad]);
    if (has_surrogate_escape(line))
        err = copy_make(row, line, &text);
    if (err == VT_OK)
        err = text_parse(row, line, text, number);
    if (err != VT_OK)
        return err;
    VT_ASSERT(row->open == 0);
    VT_ASSERT(row->out.size > 0);
    *out_event = (struct vt_bytes){(const uint8_t *)row->out.data, row->out.size};
    return VT_OK;
}

/* line_order.c - see line_order.h. */
#include "line_order.h"

#include <stdbool.h>

#include "venturi/assert.h"
#include "venturi/time.h"

/* Six bytes for a unit of UTF-16, two units for a character beyond it: 12 for 4 bytes of UTF-8. */
#define ESCAPED_BYTES 6

static char *
put_unit(char *at, uint32_t unit)
{
    static const char hex[] = "0123456789abcdef";

    *at++ = '\\';
    *at++ = 'u';
    for (uint32_t shift = 16; shift > 0; shift -= 4)
        *at++ = hex[(unit >> (shift - 4)) & 15];
    return at;
}

/* Valid UTF-8 is a matter of ingest; here every byte is at least stepped over. */
static uint32_t
code_point(struct vt_str text, uint32_t at, uint32_t *out_size)
{
    uint32_t lead = (uint8_t)text.data[at];
    uint32_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t point = size == 1 ? lead : lead & (0x7FU >> size);

    if (size > text.size - at)
        size = 1;
    for (uint32_t i = 1; i < size; i++)
        point = point << 6 | ((uint8_t)text.data[at + i] & 0x3F);
    *out_size = size;
    return point;
}

static char *
put_escaped(char *at, struct vt_str text)
{
    static const char special[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* a character, then its letter */
    uint32_t size = 1;

    *at++ = '"';
    for (uint32_t i = 0; i < text.size; i += size) {
        uint32_t point = code_point(text, i, &size);
        uint32_t letter = 0;

        for (uint32_t s = 0; s + 1 < sizeof special && letter == 0; s += 2) {
            if (point == (uint8_t)special[s])
                letter = (uint8_t)special[s + 1];
        }
        if (letter != 0) {
            *at++ = '\\';
            *at++ = (char)letter;
        } else if (point >= 0x20 && point < 0x7F) {
            *at++ = (char)point;
        } else if (point < 0x10000) {
            at = put_unit(at, point);
        } else {
            at = put_unit(at, 0xD800 + ((point - 0x10000) >> 10));
            at = put_unit(at, 0xDC00 + ((point - 0x10000) & 0x3FF));
        }
    }
    *at++ = '"';
    return at;
}

/* The name that follows `previous` in the order of bytes, or the first one. */
static uint32_t
name_after(const struct rated_line *line, uint32_t previous)
{
    uint32_t found = UINT32_MAX;

    for (uint32_t i = 0; i < line->group_count; i++) {
        struct vt_str name = line->group_names[i];

        if (previous != UINT32_MAX && vt_str_compare(name, line->group_names[previous]) <= 0)
            continue;
        if (found == UINT32_MAX || vt_str_compare(name, line->group_names[found]) < 0)
            found = i;
    }
    return found;
}

vt_err
line_group_key(struct arena *arena, const struct rated_line *line, struct vt_str *out_key)
{
    uint64_t bytes = 2;

    if (line->group_count == 0) {
        *out_key = (struct vt_str){"", 0};
        return VT_OK;
    }
    for (uint32_t i = 0; i < line->group_count; i++)
        bytes +=
            ((uint64_t)line->group_names[i].size + line->group_values[i].size + 2) * ESCAPED_BYTES;
    char *text = arena_alloc(arena, bytes);
    char *at = text;

    if (text == NULL)
        return VT_NOMEM;
    *at++ = '{';
    for (uint32_t i = name_after(line, UINT32_MAX); i != UINT32_MAX; i = name_after(line, i)) {
        if (at - text > 1) {
            *at++ = ',';
            *at++ = ' ';
        }
        at = put_escaped(at, line->group_names[i]);
        *at++ = ':';
        *at++ = ' ';
        at = put_escaped(at, line->group_values[i]);
    }
    *at++ = '}';
    VT_ASSERT((uint64_t)(at - text) <= bytes);
    *out_key = (struct vt_str){text, (uint32_t)(at - text)};
    return VT_OK;
}

static int
integer_order(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

int
line_time_order(int64_t a_us, int64_t b_us)
{
    int64_t a_second = vt_floor_us(a_us, VT_US_PER_SECOND);
    int64_t b_second = vt_floor_us(b_us, VT_US_PER_SECOND);

    if (a_second != b_second)
        return integer_order(a_second, b_second);
    if (a_us == a_second || b_us == b_second)
        return integer_order(a_us == a_second, b_us == b_second);
    return integer_order(a_us, b_us);
}

int
line_order(const struct rated_line *a, struct vt_str a_key, const struct rated_line *b,
           struct vt_str b_key)
{
    int order = vt_str_compare(a->tenant, b->tenant);

    if (order == 0)
        order = vt_str_compare(a->contract, b->contract);
    if (order == 0)
        order = line_time_order(a->period_start_us, b->period_start_us);
    if (order == 0)
        order = line_time_order(a->from_us, b->from_us);
    if (order == 0)
        order = line_time_order(a->to_us, b->to_us);
    if (order == 0)
        order = vt_str_compare(a->charge, b->charge);
    if (order == 0)
        order = vt_str_compare(a->kind, b->kind);
    if (order == 0)
        order = integer_order(a->row, b->row);
    return order != 0 ? order : vt_str_compare(a_key, b_key);
}

/* json_out.c - see json_out.h. */
#include "json_out.h"

#include <stdlib.h>
#include <string.h>

#include "rating.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define CAPACITY_FIRST UINT64_C(1024)

void
json_out_init(struct json_out *out)
{
    *out = (struct json_out){.data = NULL};
}

void
json_out_deinit(struct json_out *out)
{
    free(out->data);
    json_out_init(out);
}

void
json_out_reset(struct json_out *out)
{
    out->size = 0;
    out->err = VT_OK;
    out->comma = false;
}

void
json_put_raw(struct json_out *out, const char *text, uint64_t size)
{
    if (out->err != VT_OK || size == 0)
        return;
    if (size > out->capacity - out->size) {
        uint64_t capacity = out->capacity == 0 ? CAPACITY_FIRST : out->capacity * 2;

        while (capacity - out->size < size)
            capacity *= 2;
        char *grown = realloc(out->data, capacity);

        if (grown == NULL) {
            out->err = VT_NOMEM;
            return;
        }
        out->data = grown;
        out->capacity = capacity;
    }
    memcpy(out->data + out->size, text, size);
    out->size += size;
}

static void
put_char(struct json_out *out, char c)
{
    json_put_raw(out, &c, 1);
}

/* Begins a value: after another one in the same array, a comma. */
static void
value_begin(struct json_out *out)
{
    if (out->comma)
        put_char(out, ',');
    out->comma = true;
}

void
json_open(struct json_out *out, char bracket)
{
    VT_ASSERT(bracket == '{' || bracket == '[');
    value_begin(out);
    put_char(out, bracket);
    out->comma = false;
}

void
json_close(struct json_out *out, char bracket)
{
    VT_ASSERT(bracket == '}' || bracket == ']');
    put_char(out, bracket);
    out->comma = true;
}

/* What RFC 8259 asks to escape: quote, backslash and the control characters below a space. */
static void
put_text(struct json_out *out, struct vt_str text)
{
    static const char hex[] = "0123456789abcdef";
    uint32_t plain = 0; /* where the run of plain bytes begins */

    put_char(out, '"');
    for (uint32_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        const char *letter = c == 0 ? NULL : strchr("\"\"\\\\\bb\ff\nn\rr\tt", c);

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        json_put_raw(out, text.data + plain, i - plain);
        plain = i + 1;
        if (letter == NULL) {
            json_put_raw(out, escape, sizeof escape);
        } else {
            put_char(out, '\\');
            put_char(out, letter[1]);
        }
    }
    json_put_raw(out, text.data + plain, text.size - plain);
    put_char(out, '"');
}

void
json_key(struct json_out *out, struct vt_str key)
{
    value_begin(out);
    put_text(out, key);
    put_char(out, ':');
    out->comma = false;
}

void
json_string(struct json_out *out, struct vt_str value)
{
    value_begin(out);
    put_text(out, value);
}

void
json_unsigned(struct json_out *out, uint64_t value)
{
    char digits[20];
    uint32_t at = sizeof digits;

    value_begin(out);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    json_put_raw(out, digits + at, sizeof digits - at);
}

void
json_integer(struct json_out *out, int64_t value)
{
    if (value >= 0) {
        json_unsigned(out, (uint64_t)value);
        return;
    }
    value_begin(out);
    put_char(out, '-');
    out->comma = false;
    json_unsigned(out, 0 - (uint64_t)value);
}

void
json_number(struct json_out *out, struct vt_str text)
{
    value_begin(out);
    json_put_raw(out, text.data, text.size);
}

void
json_bool(struct json_out *out, bool value)
{
    value_begin(out);
    json_put_raw(out, value ? "true" : "false", value ? 4 : 5);
}

void
json_null(struct json_out *out)
{
    value_begin(out);
    json_put_raw(out, "null", 4);
}

void
json_time(struct json_out *out, int64_t us)
{
    char text[VT_RFC3339_BYTES];
    uint32_t size = vt_utc_format((struct vt_utc){us}, text);

    json_string(out, (struct vt_str){text, size});
}

void
json_end_line(struct json_out *out)
{
    put_char(out, '\n');
    out->comma = false;
}

static void
put_pair(struct json_out *out, struct vt_str key, struct vt_str value)
{
    json_key(out, key);
    json_string(out, value);
}

/* All keys of a line up to its currency; the amount is the caller's. */
static void
put_line_head(struct json_out *out, const struct rated_line *line)
{
    put_pair(out, VT_STR("tenant"), line->tenant);
    put_pair(out, VT_STR("contract"), line->contract);
    json_key(out, VT_STR("contract_version"));
    json_integer(out, line->contract_version);
    put_pair(out, VT_STR("plan"), line->plan);
    json_key(out, VT_STR("plan_version"));
    json_integer(out, line->plan_version);
    put_pair(out, VT_STR("charge"), line->charge);
    put_pair(out, VT_STR("kind"), line->kind);
    json_key(out, VT_STR("row"));
    if (line->row < 0)
        json_null(out);
    else
        json_integer(out, line->row);
    json_key(out, VT_STR("period_start"));
    json_time(out, line->period_start_us);
    json_key(out, VT_STR("period_end"));
    json_time(out, line->period_end_us);
    json_key(out, VT_STR("from"));
    json_time(out, line->from_us);
    json_key(out, VT_STR("to"));
    json_time(out, line->to_us);
    json_key(out, VT_STR("group"));
    json_open(out, '{');
    for (uint32_t i = 0; i < line->group_count; i++)
        put_pair(out, line->group_names[i], line->group_values[i]);
    json_close(out, '}');
    put_pair(out, VT_STR("quantity"), line->quantity);
    put_pair(out, VT_STR("billable"), line->billable);
    put_pair(out, VT_STR("amount_exact"), line->amount_exact);
    put_pair(out, VT_STR("currency"), line->currency);
}

void
json_put_line(struct json_out *out, const struct rated_line *line)
{
    json_open(out, '{');
    put_line_head(out, line);
    put_pair(out, VT_STR("amount"), line->amount);
    json_close(out, '}');
    json_end_line(out);
}

void
json_put_adjustment(struct json_out *out, const struct adjustment *adjustment)
{
    json_open(out, '{');
    put_line_head(out, adjustment->line);
    put_pair(out, VT_STR("old_amount"), adjustment->old_amount);
    put_pair(out, VT_STR("new_amount"), adjustment->new_amount);
    put_pair(out, VT_STR("amount"), adjustment->amount);
    json_close(out, '}');
    json_end_line(out);
}

void
json_put_unrated(struct json_out *out, const struct unrated_usage *usage)
{
    json_open(out, '{');
    put_pair(out, VT_STR("tenant"), usage->tenant);
    put_pair(out, VT_STR("meter"), usage->meter);
    put_pair(out, VT_STR("reason"), usage->reason);
    json_key(out, VT_STR("events"));
    json_unsigned(out, usage->events);
    json_key(out, VT_STR("first"));
    json_time(out, usage->first_us);
    json_key(out, VT_STR("last"));
    json_time(out, usage->last_us);
    json_close(out, '}');
    json_end_line(out);
}

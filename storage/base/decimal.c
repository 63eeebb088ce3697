#include "venturi/decimal.h"

#include <stdbool.h>
#include <string.h>

#include "venturi/assert.h"

#define POWER_MAX 19 /* 10^19 is the last power of ten that fits 64 bits */

/* Exponents beyond this mean the same as the bound: no text is so long that its digits make up for
 * it (text sizes are 32-bit), so counting further could only overflow. */
#define EXPONENT_MAX (INT64_C(1) << 40)

/* Longest text of a scale that vt_decimal_format must fit: sign, "0.", digits, terminator. */
#define FORMAT_SCALE_MAX (VT_DECIMAL_BYTES - 4)

static const uint64_t powers[POWER_MAX + 1] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

/* A text taken apart: `digits` are the characters from the first to the last digit that is not
 * zero, a point perhaps among them; the value is those digits x 10^shift. */
struct parts {
    const char *digits;
    uint32_t size;        /* characters of `digits`, 0 for zero */
    uint32_t digit_count; /* the same without the point */
    int64_t shift;
    bool negative;
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *
digits_skip(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* `[+-]digits` to the end of the text. */
static bool
exponent_parse(const char *at, const char *end, int64_t *out_exponent)
{
    bool negative = at < end && *at == '-';
    int64_t exponent = 0;

    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || digits_skip(at, end) != end)
        return false;
    for (; at < end && exponent < EXPONENT_MAX; at++)
        exponent = exponent * 10 + (*at - '0');
    *out_exponent = negative ? -exponent : exponent;
    return true;
}

/* Sets digits, size, digit_count and, from `point` (its place, or the end of the whole part),
 * shift. */
static void
digits_trim(const char *at, const char *end, const char *point, struct parts *parts)
{
    while (at < end && (*at == '0' || *at == '.'))
        at++;
    while (end > at && (end[-1] == '0' || end[-1] == '.'))
        end--;
    parts->digits = at;
    parts->size = (uint32_t)(end - at);
    parts->digit_count = parts->size - (at < point && point < end ? 1 : 0);
    /* Places from the point to the last digit: behind it negative, before it positive. */
    parts->shift = end > point ? -(int64_t)(end - point - 1) : (int64_t)(point - end);
}

static vt_err
text_parse(struct vt_str text, struct parts *out_parts)
{
    const char *at = text.data;
    const char *end = at + text.size;
    struct parts parts = {0};
    int64_t exponent = 0;

    if (text.size == 0)
        return VT_BAD_DECIMAL;
    parts.negative = *at == '-';
    if (parts.negative)
        at++;
    const char *first = at;
    const char *point = digits_skip(at, end);
    const char *last = point;

    if (point == first)
        return VT_BAD_DECIMAL;
    if (point < end && *point == '.') {
        last = digits_skip(point + 1, end);
        if (last == point + 1)
            return VT_BAD_DECIMAL;
    }
    if (last < end) {
        if (*last != 'e' && *last != 'E')
            return VT_BAD_DECIMAL;
        if (!exponent_parse(last + 1, end, &exponent))
            return VT_BAD_DECIMAL;
    }
    digits_trim(first, last, point, &parts);
    parts.shift += exponent;
    *out_parts = parts;
    return VT_OK;
}

/* The value of a sign and a magnitude; -2^63 is allowed. */
static vt_err
signed_of(uint64_t magnitude, bool negative, int64_t *out_value)
{
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return VT_OVERFLOW;
    *out_value = (int64_t)(negative ? UINT64_C(0) - magnitude : magnitude);
    return VT_OK;
}

vt_err
vt_decimal_parse(struct vt_str text, uint32_t scale, int64_t *out_value)
{
    struct parts parts;
    uint64_t magnitude = 0;
    vt_err err;

    VT_ASSERT(scale <= VT_SCALE_MAX);
    err = text_parse(text, &parts);
    if (err != VT_OK)
        return err;
    if (parts.size == 0) { /* zero, whatever its exponent */
        *out_value = 0;
        return VT_OK;
    }
    int64_t power = parts.shift + scale;

    if (power < 0)
        return VT_SCALE;
    if (power + parts.digit_count > POWER_MAX)
        return VT_OVERFLOW; /* at least 10^19 */
    for (uint32_t i = 0; i < parts.size; i++)
        if (parts.digits[i] != '.')
            magnitude = magnitude * 10 + (uint64_t)(parts.digits[i] - '0');
    return signed_of(magnitude * powers[power], parts.negative, out_value);
}

vt_err
vt_decimal_rescale(int64_t value, uint32_t from, uint32_t to, int64_t *out_value)
{
    int64_t result;

    VT_ASSERT(from <= VT_SCALE_MAX);
    VT_ASSERT(to <= VT_SCALE_MAX);
    if (to >= from) {
        if (__builtin_mul_overflow(value, (int64_t)powers[to - from], &result))
            return VT_OVERFLOW;
    } else {
        if (value % (int64_t)powers[from - to] != 0)
            return VT_SCALE;
        result = value / (int64_t)powers[from - to];
    }
    *out_value = result;
    return VT_OK;
}

uint32_t
vt_decimal_format(vt_i128 value, uint32_t scale, char out_text[VT_DECIMAL_BYTES])
{
    char digits[VT_DECIMAL_BYTES]; /* least significant first */
    uint32_t count = 0;
    uint32_t used = 0;
    vt_u128 magnitude = value < 0 ? (vt_u128)0 - (vt_u128)value : (vt_u128)value;

    VT_ASSERT(scale <= FORMAT_SCALE_MAX);
    for (; scale > 0 && magnitude % 10 == 0; scale--)
        magnitude /= 10; /* trailing zeros behind the point; zero loses all of them */
    for (; magnitude > 0 || count <= scale; magnitude /= 10)
        digits[count++] = (char)('0' + (int)(magnitude % 10));
    VT_ASSERT(count + 3 <= VT_DECIMAL_BYTES); /* 39 digits, or a scale and the zero before it */
    if (value < 0)
        out_text[used++] = '-';
    while (count > 0) {
        if (count == scale)
            out_text[used++] = '.';
        out_text[used++] = digits[--count];
    }
    VT_ASSERT(used < VT_DECIMAL_BYTES);
    out_text[used] = '\0';
    return used;
}

/* catalog_read.c - see catalog_read.h. */
#include "catalog_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "venturi/time.h"

#define MESSAGE_BYTES    200
#define EXCERPT_BYTES    40
#define PRICE_DIGITS_MAX 18 /* before and after the point */
#define DURATION_S_MAX   (INT64_C(36525) * 86400)
#define TIME_FIRST_US    (INT64_C(-62135596800) * VT_US_PER_SECOND)
#define TIME_LAST_US     (INT64_C(253402300800) * VT_US_PER_SECOND - 1)
#define PRINTED(text)                                                 \
    ((text).size > EXCERPT_BYTES ? EXCERPT_BYTES : (int)(text).size), \
        ((text).size == 0 ? "" : (text).data)

static struct vt_str
word_str(const char *word)
{
    return (struct vt_str){word, (uint32_t)strlen(word)};
}

bool
word_is(struct vt_str text, const char *word)
{
    return vt_str_equal(text, word_str(word));
}

const struct json_node *
member_of(const struct json_node *object, const char *word)
{
    return json_get(object, word_str(word));
}

vt_err
catalog_refuse(const struct json_node *node, const char *member, const char *format, ...)
{
    char path[JSON_PATH_BYTES];
    char message[MESSAGE_BYTES];
    va_list arguments;

    VT_ASSERT(node != NULL);
    json_path(node, member == NULL ? (struct vt_str){NULL, 0} : word_str(member), path);
    va_start(arguments, format);
    int size = vsnprintf(message, sizeof message, format, arguments);

    va_end(arguments);
    VT_ASSERT(size >= 0);
    return vt_err_detail(VT_BAD_CATALOG, "%s: %s", path, message);
}

vt_err
read_object(const struct json_node *node, const char *const *words, const char *what)
{
    if (node->kind != JSON_OBJECT)
        return catalog_refuse(node, NULL, "%s is an object", what);
    for (const struct json_node *member = node->first; member != NULL; member = member->next) {
        const char *const *word = words;

        while (*word != NULL && !word_is(member->key, *word))
            word++;
        if (*word == NULL)
            return catalog_refuse(member, NULL, "%s has no such field", what);
    }
    return VT_OK;
}

static const char *
kind_name(enum json_kind kind)
{
    switch (kind) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "true or false";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "an array";
    case JSON_OBJECT:
        return "an object";
    }
    return "";
}

vt_err
read_member(const struct json_node *object, const char *word, enum json_kind kind,
            const struct json_node **out_node)
{
    const struct json_node *node = member_of(object, word);

    if (node == NULL) {
        (void)catalog_refuse(object, word, "it is missing");
        return VT_BAD_CATALOG;
    }
    if (node->kind != kind) {
        (void)catalog_refuse(node, NULL, "it must be %s", kind_name(kind));
        return VT_BAD_CATALOG;
    }
    *out_node = node;
    return VT_OK;
}

static vt_err
name_check(const struct json_node *node)
{
    if (node->kind != JSON_STRING)
        return catalog_refuse(node, NULL, "it must be a string");
    if (node->text.size > CATALOG_NAME_BYTES_MAX)
        return catalog_refuse(node, NULL, "longer than 1024 bytes");
    return VT_OK;
}

vt_err
read_name(const struct json_node *object, const char *word, struct vt_str *out_name)
{
    const struct json_node *node = NULL;
    vt_err err = read_member(object, word, JSON_STRING, &node);

    if (err == VT_OK)
        err = name_check(node);
    if (err == VT_OK)
        *out_name = node->text;
    return err;
}

vt_err
read_label(const struct json_node *object, const char *word, struct vt_str *out_label)
{
    const struct json_node *node = member_of(object, word);

    *out_label = (struct vt_str){NULL, 0};
    if (node == NULL || node->kind == JSON_NULL)
        return VT_OK;
    if (node->kind != JSON_STRING)
        return catalog_refuse(node, NULL, "it must be a string");
    *out_label = node->text;
    return VT_OK;
}

vt_err
read_bool(const struct json_node *object, const char *word, bool absent, bool *out_value)
{
    const struct json_node *node = member_of(object, word);

    if (node != NULL && node->kind != JSON_BOOL)
        return catalog_refuse(node, NULL, "it must be true or false");
    *out_value = node == NULL ? absent : node->truth;
    return VT_OK;
}

vt_err
read_integer(const struct json_node *node, int64_t *out_value)
{
    int64_t value = 0;

    if (node->kind != JSON_NUMBER || !node->integer)
        return catalog_refuse(node, NULL, "not an integer");
    bool minus = node->text.data[0] == '-';

    for (uint32_t i = minus ? 1 : 0; i < node->text.size; i++) {
        int64_t digit = node->text.data[i] - '0';

        VT_ASSERT(digit >= 0 && digit <= 9);
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return catalog_refuse(node, NULL, "an integer that does not fit 64 bits");
    }
    if (!minus && __builtin_sub_overflow(0, value, &value))
        return catalog_refuse(node, NULL, "an integer that does not fit 64 bits");
    *out_value = value;
    return VT_OK;
}

/* -?digits[.digits], at most 18 on each side. */
static bool
price_parse(struct vt_str text, struct price *out_price)
{
    const char *at = text.data;
    const char *end = text.size == 0 ? at : text.data + text.size;
    uint32_t digits[2] = {0, 0}; /* before and after the point */
    uint32_t side = 0;
    vt_i128 mantissa = 0;

    bool minus = at < end && *at == '-';

    at += minus ? 1 : 0;
    for (; at < end; at++) {
        if (*at == '.' && side == 0 && digits[0] > 0) {
            side = 1;
            continue;
        }
        if (*at < '0' || *at > '9' || ++digits[side] > PRICE_DIGITS_MAX)
            return false;
        mantissa = mantissa * 10 + (*at - '0');
    }
    if (digits[side] == 0)
        return false;
    while (digits[1] > 0 && mantissa % 10 == 0) {
        mantissa /= 10;
        digits[1]--;
    }
    *out_price = (struct price){.mantissa = minus ? -mantissa : mantissa, .scale = digits[1]};
    return true;
}

vt_err
read_price(const struct json_node *node, struct price *out_price)
{
    bool text = node->kind == JSON_STRING || (node->kind == JSON_NUMBER && node->integer);

    if (node->kind == JSON_NUMBER && !node->integer)
        return catalog_refuse(node, NULL,
                              "not a decimal string: %.*s (a JSON number may be rounded "
                              "on its way: write it as a string)",
                              PRINTED(node->text));
    if (!text)
        return catalog_refuse(node, NULL, "not a decimal string");
    if (!price_parse(node->text, out_price))
        return catalog_refuse(node, NULL,
                              "not a decimal string: \"%.*s\" (up to 18 digits before "
                              "and after the point, no exponent)",
                              PRINTED(node->text));
    return VT_OK;
}

vt_err
read_bound(const struct json_node *node, struct price *out_price)
{
    bool text = node->kind == JSON_STRING || node->kind == JSON_NUMBER;

    if (!text || !price_parse(node->text, out_price))
        return catalog_refuse(node, NULL,
                              "not a decimal string (up to 18 digits before and after "
                              "the point, no exponent)");
    return VT_OK;
}

vt_err
read_price_or_zero(const struct json_node *object, const char *word, struct price *out_price,
                   bool *out_there)
{
    const struct json_node *node = member_of(object, word);

    *out_there = node != NULL;
    *out_price = (struct price){0, 0};
    return node == NULL ? VT_OK : read_price(node, out_price);
}

static vt_i128
mantissa_at(const struct price *price, uint32_t scale)
{
    vt_i128 mantissa = price->mantissa;

    /* 18 digits and another 18 stay below 2^127. */
    for (uint32_t i = price->scale; i < scale; i++)
        mantissa *= 10;
    return mantissa;
}

int
price_compare(const struct price *a, const struct price *b)
{
    uint32_t scale = a->scale > b->scale ? a->scale : b->scale;
    vt_i128 x = mantissa_at(a, scale);
    vt_i128 y = mantissa_at(b, scale);

    VT_ASSERT(scale <= VT_SCALE_MAX);
    return x < y ? -1 : x > y;
}

vt_err
read_time(const struct json_node *node, int64_t *out_us)
{
    struct vt_utc utc = {0};

    if (node->kind == JSON_NUMBER && node->integer) {
        vt_err err = read_integer(node, &utc.us);

        if (err != VT_OK)
            return err;
    } else if (node->kind != JSON_STRING || vt_utc_parse(node->text, &utc) != VT_OK) {
        return catalog_refuse(node, NULL,
                              "not a time (RFC 3339 with a zone, or integer microseconds)");
    }
    if (utc.us < TIME_FIRST_US || utc.us > TIME_LAST_US)
        return catalog_refuse(node, NULL, "a time outside the years 1 to 9999");
    *out_us = utc.us;
    return VT_OK;
}

static int64_t
unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

vt_err
read_duration(const struct json_node *object, const char *word, int64_t *out_us)
{
    const struct json_node *node = member_of(object, word);
    int64_t seconds = 0;

    *out_us = 0;
    if (node == NULL)
        return VT_OK;
    struct vt_str text = node->text;
    bool good = node->kind == JSON_STRING && text.size >= 2 && text.size <= 11;
    int64_t unit = good ? unit_seconds(text.data[text.size - 1]) : 0;

    for (uint32_t i = 0; good && i + 1 < text.size; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
        seconds = seconds * 10 + (text.data[i] - '0');
    }
    if (!good || unit == 0)
        return catalog_refuse(node, NULL,
                              "not a duration (such as \"90s\", \"5m\", \"48h\", \"7d\")");
    if (seconds > DURATION_S_MAX / unit)
        return catalog_refuse(node, NULL, "a duration of over 100 years");
    *out_us = seconds * unit * VT_US_PER_SECOND;
    return VT_OK;
}

vt_err
read_names(struct arena *arena, const struct json_node *object, const char *word,
           struct name_list *out_list)
{
    const struct json_node *list = member_of(object, word);
    uint32_t count = 0;

    *out_list = (struct name_list){0, NULL};
    if (list == NULL)
        return VT_OK;
    if (list->kind != JSON_ARRAY)
        return catalog_refuse(list, NULL, "it must be an array of strings");
    if (list->count > CATALOG_FIELDS_MAX)
        return catalog_refuse(list, NULL, "more than %d dimensions", CATALOG_FIELDS_MAX);
    struct vt_str *names = arena_alloc(arena, list->count * sizeof *names);

    if (names == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = list->first; node != NULL; node = node->next) {
        uint32_t i = 0;
        vt_err err = name_check(node);

        if (err != VT_OK)
            return err;
        while (i < count && !vt_str_equal(names[i], node->text))
            i++;
        if (i == count)
            names[count++] = node->text;
    }
    *out_list = (struct name_list){count, names};
    return VT_OK;
}

/* ---------------------------------------------------------------- filters */

static int
by_bytes(const void *a, const void *b)
{
    return vt_str_compare(*(const struct vt_str *)a, *(const struct vt_str *)b);
}

static vt_err
term_read(struct arena *arena, const struct json_node *node, struct filter_term *out_term)
{
    const struct json_node *value = node->kind == JSON_ARRAY ? node->first : node;
    uint32_t capacity = node->kind == JSON_ARRAY ? node->count : 1;
    uint32_t count = 0;
    struct vt_str *values = arena_alloc(arena, capacity * sizeof *values);

    if (values == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < capacity; i++) {
        if (value->kind != JSON_STRING)
            return catalog_refuse(value, NULL, "it must be a string%s",
                                  value == node ? " or an array of strings" : "");
        values[i] = value->text;
        value = value->next;
    }
    qsort(values, capacity, sizeof *values, by_bytes);
    for (uint32_t i = 0; i < capacity; i++)
        if (count == 0 || !vt_str_equal(values[count - 1], values[i]))
            values[count++] = values[i];
    *out_term = (struct filter_term){.dim = node->key, .value_count = count, .values = values};
    return VT_OK;
}

vt_err
read_filter(struct arena *arena, const struct json_node *object, const char *word,
            struct filter *out_filter)
{
    const struct json_node *node = member_of(object, word);

    *out_filter = (struct filter){0, NULL};
    if (node == NULL || node->kind == JSON_NULL)
        return VT_OK;
    if (node->kind != JSON_OBJECT)
        return catalog_refuse(node, NULL, "it must be an object of dimensions");
    struct filter_term *terms = arena_alloc(arena, node->count * sizeof *terms);

    if (terms == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < node->count; i++) {
        vt_err err = term_read(arena, node->by_key[i], &terms[i]);

        if (err != VT_OK)
            return err;
    }
    *out_filter = (struct filter){node->count, terms};
    return VT_OK;
}

bool
filter_equal(const struct filter *a, const struct filter *b)
{
    if (a->term_count != b->term_count)
        return false;
    for (uint32_t i = 0; i < a->term_count; i++) {
        const struct filter_term *x = &a->terms[i];
        const struct filter_term *y = &b->terms[i];

        if (!vt_str_equal(x->dim, y->dim) || x->value_count != y->value_count)
            return false;
        for (uint32_t j = 0; j < x->value_count; j++)
            if (!vt_str_equal(x->values[j], y->values[j]))
                return false;
    }
    return true;
}

static bool
terms_disjoint(const struct filter_term *a, const struct filter_term *b)
{
    uint32_t i = 0;
    uint32_t j = 0;

    while (i < a->value_count && j < b->value_count) {
        int order = vt_str_compare(a->values[i], b->values[j]);

        if (order == 0)
            return false;
        if (order < 0)
            i++;
        else
            j++;
    }
    return true;
}

bool
filter_disjoint(const struct filter *a, const struct filter *b)
{
    uint32_t i = 0;
    uint32_t j = 0;

    while (i < a->term_count && j < b->term_count) {
        int order = vt_str_compare(a->terms[i].dim, b->terms[j].dim);

        if (order == 0 && terms_disjoint(&a->terms[i], &b->terms[j]))
            return true;
        if (order <= 0)
            i++;
        if (order >= 0)
            j++;
    }
    return false;
}

bool
filter_term_accepts(const struct filter_term *term, struct vt_str value)
{
    uint32_t low = 0;
    uint32_t high = term->value_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = vt_str_compare(term->values[middle], value);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

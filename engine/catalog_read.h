/*
 * catalog_read.h - private to catalog_*.c: values of a catalog's JSON, each checked where it
 * stands. Every refusal is VT_BAD_CATALOG with the JSON path and what is wrong as detail.
 *
 * Memory: results point into the tree's text or the arena given.
 * Thread: one at a time.
 */
#pragma once

#include "arena.h"
#include "catalog.h"
#include "json_tree.h"

#define CATALOG_NAME_BYTES_MAX 1024 /* as of an event's strings */

/* `node` names the place; `member` (may be NULL) a member of it that is missing. */
__attribute__((format(printf, 3, 4))) vt_err
catalog_refuse(const struct json_node *node, const char *member, const char *format, ...);

/* An object of nothing but these words; `words` ends with NULL, `what` is "a meter". */
VT_MUST_CHECK vt_err read_object(const struct json_node *node, const char *const *words,
                                 const char *what);

/* The member of an object, which must be there and of this kind. */
VT_MUST_CHECK vt_err read_member(const struct json_node *object, const char *word,
                                 enum json_kind kind, const struct json_node **out_node);

/* A name: a string of at most CATALOG_NAME_BYTES_MAX. */
VT_MUST_CHECK vt_err read_name(const struct json_node *object, const char *word,
                               struct vt_str *out_name);

/* A string or null or nothing (then empty): names for people. */
VT_MUST_CHECK vt_err read_label(const struct json_node *object, const char *word,
                                struct vt_str *out_label);

VT_MUST_CHECK vt_err read_bool(const struct json_node *object, const char *word, bool absent,
                               bool *out_value);

VT_MUST_CHECK vt_err read_integer(const struct json_node *node, int64_t *out_value);

/* Money and quantities: an integer or a string of up to 18 digits on each side of the point. */
VT_MUST_CHECK vt_err read_price(const struct json_node *node, struct price *out_price);
/* A tier's end: also a JSON number with a point, which is text here and loses nothing. */
VT_MUST_CHECK vt_err read_bound(const struct json_node *node, struct price *out_price);
/* The same as read_price of a member that may be absent: then 0 and *out_there false. */
VT_MUST_CHECK vt_err read_price_or_zero(const struct json_node *object, const char *word,
                                        struct price *out_price, bool *out_there);
/* -1, 0, 1 */
int price_compare(const struct price *a, const struct price *b);

/* RFC 3339 or integer microseconds, of the years 1 to 9999. */
VT_MUST_CHECK vt_err read_time(const struct json_node *node, int64_t *out_us);

/* An integer and one of s, m, h, d; absent: 0. */
VT_MUST_CHECK vt_err read_duration(const struct json_node *object, const char *word,
                                   int64_t *out_us);

struct name_list {
    uint32_t count;
    struct vt_str *names;
};

/* An array of strings, each kept once; absent: empty. */
VT_MUST_CHECK vt_err read_names(struct arena *arena, const struct json_node *object,
                                const char *word, struct name_list *out_list);

/* Dimension to string or array of strings; absent or null: everything passes. Terms come out in the
 * order of their dimensions. */
VT_MUST_CHECK vt_err read_filter(struct arena *arena, const struct json_node *object,
                                 const char *word, struct filter *out_filter);
bool filter_equal(const struct filter *a, const struct filter *b);
/* Whether no event passes both: a dimension that both name has no common value. */
bool filter_disjoint(const struct filter *a, const struct filter *b);

bool word_is(struct vt_str text, const char *word);

/* json_get with a literal. */
const struct json_node *member_of(const struct json_node *object, const char *word);

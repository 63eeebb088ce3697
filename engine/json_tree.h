/*
 * json_tree.h - a whole JSON document as a tree, for control documents (catalogs) only: events
 * never become one. Stricter than RFC 8259: a key given twice in one object is refused, and so is a
 * lone surrogate, because two readers would see two documents. Numbers stay text.
 *
 * Life:   json_tree_parse into arenas; gone with them.
 * Errors: VT_BAD_JSON, VT_BAD_UTF8, VT_TOO_DEEP, VT_TOO_LARGE with path, line and column as detail.
 * Thread: any; a tree is immutable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define JSON_DEPTH_MAX  64
#define JSON_NODES_MAX  (UINT32_C(1) << 23)
#define JSON_PATH_BYTES 300

enum json_kind { JSON_NULL = 1, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_node {
    enum json_kind kind;
    bool truth;         /* JSON_BOOL */
    bool integer;       /* JSON_NUMBER: written without point and exponent */
    uint32_t index;     /* place in its parent */
    uint32_t count;     /* members of an array or object */
    struct vt_str key;  /* in an object */
    struct vt_str text; /* string: its characters; number, array, object: as it was written */
    const struct json_node *parent;
    const struct json_node *next;          /* in its parent */
    const struct json_node *first;         /* members, in the order given */
    const struct json_node *const *by_key; /* object: members in byte order of their keys */
};

struct arena;

/* Nodes go into `nodes`. Strings without escapes point into `text`, others are decoded into
 * `strings`: both must live as long as the strings are used. */
VT_MUST_CHECK vt_err json_tree_parse(struct arena *nodes, struct arena *strings, struct vt_str text,
                                     const struct json_node **out_root);

/* The member of an object, NULL where there is none. */
const struct json_node *json_get(const struct json_node *object, struct vt_str key);

/* "$.plans[1].charges[0].price"; `member` (may be empty) is added as a key. */
void json_path(const struct json_node *node, struct vt_str member, char out_path[JSON_PATH_BYTES]);

/* `base` with the members of `changes` in their place or added, as an object of its own that has
 * the path of `changes`. The members keep their paths. NULL where memory is short. */
const struct json_node *json_merge(struct arena *arena, const struct json_node *base,
                                   const struct json_node *changes);

/* Where `b` first differs from `a` in value, order of keys aside: that node of b, or the container
 * of b in which a member is missing; NULL where they are equal. Numbers are compared as text. */
const struct json_node *json_difference(const struct json_node *a, const struct json_node *b);

/* The same, for members that may be absent (NULL). */
bool json_equal(const struct json_node *a, const struct json_node *b);

/*
 * json_tree.c - see json_tree.h. yajl reads the text and calls back; the open containers stand on a
 * stack of JSON_DEPTH_MAX, so nothing here recurses.
 */
#include "json_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "arena.h"
#include "venturi/assert.h"
#include "venturi/utf8.h"

#define PATH_KEY_BYTES 40 /* of one key in a path; the rest is cut */

/* Members while an array or object is still open. */
struct open_container {
    struct json_node *node;
    struct json_node *last;
    struct vt_str key; /* of the member that comes next */
};

struct tree_builder {
    struct arena *arena;
    struct arena *strings;
    struct vt_str text;
    yajl_handle yajl;
    struct json_node *root;
    uint32_t depth;
    uint32_t nodes;
    vt_err err;
    struct open_container open[JSON_DEPTH_MAX];
};

/* ---------------------------------------------------------------- paths */

static uint32_t
path_add(char *path, uint32_t used, const char *text, uint32_t size)
{
    uint32_t room = JSON_PATH_BYTES - 1 - used;
    uint32_t take = size < room ? size : room;

    memcpy(path + used, text, take);
    path[used + take] = '\0';
    return used + take;
}

static bool
is_plain_key(struct vt_str key)
{
    for (uint32_t i = 0; i < key.size; i++) {
        char c = key.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return key.size > 0;
}

static uint32_t
path_add_key(char *path, uint32_t used, struct vt_str key)
{
    bool plain = is_plain_key(key);
    uint32_t size = key.size < PATH_KEY_BYTES ? key.size : PATH_KEY_BYTES;

    /* Never half a character of UTF-8. */
    while (size < key.size && size > 0 && ((uint8_t)key.data[size] & 0xC0) == 0x80)
        size--;
    used = plain ? path_add(path, used, ".", 1) : path_add(path, used, "[\"", 2);
    used = path_add(path, used, key.data, size);
    if (size < key.size)
        used = path_add(path, used, "...", 3);
    return plain ? used : path_add(path, used, "\"]", 2);
}

void
json_path(const struct json_node *node, struct vt_str member, char out_path[JSON_PATH_BYTES])
{
    const struct json_node *up[JSON_DEPTH_MAX + 1];
    uint32_t count = 0;
    uint32_t used = path_add(out_path, 0, "$", 1);

    for (; node != NULL && node->parent != NULL && count <= JSON_DEPTH_MAX; node = node->parent)
        up[count++] = node;
    while (count-- > 0) {
        if (up[count]->parent->kind == JSON_OBJECT) {
            used = path_add_key(out_path, used, up[count]->key);
        } else {
            char index[16];
            int size = snprintf(index, sizeof index, "[%u]", up[count]->index);

            VT_ASSERT(size > 0 && size < (int)sizeof index);
            used = path_add(out_path, used, index, (uint32_t)size);
        }
    }
    if (member.size > 0)
        used = path_add_key(out_path, used, member);
    VT_ASSERT(used < JSON_PATH_BYTES);
}

/* ---------------------------------------------------------------- errors while building */

static void
place_of(struct vt_str text, uint64_t offset, uint32_t *out_line, uint32_t *out_column)
{
    uint32_t line = 1;
    uint32_t column = 1;

    for (uint64_t i = 0; i < offset && i < text.size; i++) {
        column++;
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        }
    }
    *out_line = line;
    *out_column = column;
}

/* Path of what is being read. */
static void
builder_path(const struct tree_builder *builder, char out_path[JSON_PATH_BYTES])
{
    struct vt_str key = {NULL, 0};
    const struct json_node *node = NULL;

    if (builder->depth > 0) {
        key = builder->open[builder->depth - 1].key;
        node = builder->open[builder->depth - 1].node;
    }
    json_path(node, key, out_path);
}

static int
builder_fail(struct tree_builder *builder, vt_err err, const char *what)
{
    char path[JSON_PATH_BYTES];
    uint32_t line;
    uint32_t column;

    builder_path(builder, path);
    place_of(builder->text, yajl_get_bytes_consumed(builder->yajl), &line, &column);
    builder->err = vt_err_detail(err, "%s: %s (line %u, column %u)", path, what, line, column);
    return 0;
}

/* ---------------------------------------------------------------- yajl's callbacks: 0 stops it */

static struct json_node *
node_add(struct tree_builder *builder, enum json_kind kind)
{
    if (builder->nodes == JSON_NODES_MAX) {
        (void)builder_fail(builder, VT_TOO_LARGE, "too many values");
        return NULL;
    }
    struct json_node *node = arena_zalloc(builder->arena, sizeof *node);

    if (node == NULL) {
        builder->err = VT_NOMEM;
        return NULL;
    }
    builder->nodes++;
    node->kind = kind;
    if (builder->depth == 0) {
        builder->root = node;
        return node;
    }
    struct open_container *open = &builder->open[builder->depth - 1];

    node->parent = open->node;
    node->index = open->node->count++;
    node->key = open->key;
    open->key = (struct vt_str){NULL, 0};
    if (open->last == NULL)
        open->node->first = node;
    else
        open->last->next = node;
    open->last = node;
    return node;
}

/* Text that yajl shows: where it stands in the document it may stay there. */
static vt_err
text_keep(struct tree_builder *builder, const char *data, size_t size, struct vt_str *out_text)
{
    uintptr_t begin = (uintptr_t)builder->text.data;
    uintptr_t at = (uintptr_t)data;
    struct vt_str text = {data, (uint32_t)size};

    VT_ASSERT(size <= builder->text.size);
    if (at < begin || at - begin > builder->text.size) {
        text = arena_copy(builder->strings, text);
        if (text.data == NULL)
            return VT_NOMEM;
    }
    *out_text = text;
    return VT_OK;
}

static int
on_null(void *context)
{
    return node_add(context, JSON_NULL) != NULL;
}

static int
on_boolean(void *context, int value)
{
    struct json_node *node = node_add(context, JSON_BOOL);

    if (node == NULL)
        return 0;
    node->truth = value != 0;
    return 1;
}

static int
on_number(void *context, const char *data, size_t size)
{
    struct tree_builder *builder = context;
    struct json_node *node = node_add(builder, JSON_NUMBER);

    if (node == NULL)
        return 0;
    node->integer = true;
    for (size_t i = 0; i < size; i++)
        if (data[i] == '.' || data[i] == 'e' || data[i] == 'E')
            node->integer = false;
    builder->err = text_keep(builder, data, size, &node->text);
    return builder->err == VT_OK;
}

static int
on_string(void *context, const unsigned char *data, size_t size)
{
    struct tree_builder *builder = context;
    struct json_node *node = node_add(builder, JSON_STRING);

    if (node == NULL)
        return 0;
    builder->err = text_keep(builder, (const char *)data, size, &node->text);
    return builder->err == VT_OK;
}

static int
on_key(void *context, const unsigned char *data, size_t size)
{
    struct tree_builder *builder = context;

    VT_ASSERT(builder->depth > 0);
    builder->err =
        text_keep(builder, (const char *)data, size, &builder->open[builder->depth - 1].key);
    return builder->err == VT_OK;
}

static int
container_begin(struct tree_builder *builder, enum json_kind kind)
{
    if (builder->depth == JSON_DEPTH_MAX)
        return builder_fail(builder, VT_TOO_DEEP, "nested too deeply");
    struct json_node *node = node_add(builder, kind);

    if (node == NULL)
        return 0;
    /* The bracket is the last byte that yajl took. */
    uint64_t consumed = yajl_get_bytes_consumed(builder->yajl);

    VT_ASSERT(consumed >= 1 && consumed <= builder->text.size);
    node->text.data = builder->text.data + consumed - 1;
    builder->open[builder->depth++] = (struct open_container){.node = node};
    return 1;
}

static struct json_node *
container_end(struct tree_builder *builder)
{
    VT_ASSERT(builder->depth > 0);
    struct json_node *node = builder->open[--builder->depth].node;
    uint64_t end = yajl_get_bytes_consumed(builder->yajl);
    uint64_t begin = (uint64_t)(node->text.data - builder->text.data);

    VT_ASSERT(end > begin && end <= builder->text.size);
    node->text.size = (uint32_t)(end - begin);
    return node;
}

static int
by_key(const void *a, const void *b)
{
    const struct json_node *x = *(const struct json_node *const *)a;
    const struct json_node *y = *(const struct json_node *const *)b;
    int order = vt_str_compare(x->key, y->key);

    if (order != 0)
        return order;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The sorted members; a key that stands twice comes out in *out_twice. */
static vt_err
members_sort(struct arena *arena, struct json_node *object, const struct json_node **out_twice)
{
    const struct json_node **sorted =
        arena_alloc(arena, object->count * sizeof(const struct json_node *));
    uint32_t count = 0;

    if (sorted == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = object->first; node != NULL; node = node->next)
        sorted[count++] = node;
    VT_ASSERT(count == object->count);
    qsort(sorted, count, sizeof(const struct json_node *), by_key);
    object->by_key = sorted;
    *out_twice = NULL;
    for (uint32_t i = 1; i < count; i++)
        if (vt_str_equal(sorted[i - 1]->key, sorted[i]->key) &&
            (*out_twice == NULL || sorted[i]->index < (*out_twice)->index))
            *out_twice = sorted[i];
    return VT_OK;
}

static int
on_start_map(void *context)
{
    return container_begin(context, JSON_OBJECT);
}

static int
on_end_map(void *context)
{
    struct tree_builder *builder = context;
    struct json_node *object = container_end(builder);
    const struct json_node *twice = NULL;
    char path[JSON_PATH_BYTES];

    builder->err = members_sort(builder->arena, object, &twice);
    if (builder->err == VT_OK && twice != NULL) {
        json_path(twice, (struct vt_str){NULL, 0}, path);
        builder->err = vt_err_detail(VT_BAD_JSON, "%s: this key stands twice in one object", path);
    }
    return builder->err == VT_OK;
}

static int
on_start_array(void *context)
{
    return container_begin(context, JSON_ARRAY);
}

static int
on_end_array(void *context)
{
    (void)container_end(context);
    return 1;
}

/* ---------------------------------------------------------------- what yajl lets through */

static int32_t
hex_unit(const char *at, const char *end)
{
    int32_t value = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];

        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return value;
}

/* After the backslash of a string: how many bytes the escape takes, 0 for a surrogate without its
 * other half (yajl would make a question mark of it). What is no escape at all is left for yajl to
 * refuse. */
static uint32_t
escape_bytes(const char *at, const char *end)
{
    if (end - at < 1 || at[0] != 'u')
        return 1;
    int32_t unit = hex_unit(at + 1, end);

    if (unit < 0xD800 || unit > 0xDFFF)
        return 1;
    if (unit > 0xDBFF || end - at < 7 || at[5] != '\\' || at[6] != 'u')
        return 0;
    int32_t low = hex_unit(at + 7, end);

    return low >= 0xDC00 && low <= 0xDFFF ? 11 : 0;
}

/* Whether the bytes are UTF-8 without lone surrogates and without the two control characters that
 * yajl takes for white space. */
static vt_err
text_check(struct vt_str text)
{
    const char *at = text.data;
    const char *end = text.data + text.size;
    bool in_string = false;
    const char *what = NULL;
    uint32_t line;
    uint32_t column;

    if (!vt_utf8_valid((struct vt_bytes){(const uint8_t *)text.data, text.size}))
        return vt_err_detail(VT_BAD_UTF8, "$: the text is not valid UTF-8");
    while (at < end && what == NULL) {
        char c = *at++;

        if (c == '"') {
            in_string = !in_string;
        } else if (c == '\\' && in_string) {
            uint32_t size = escape_bytes(at, end);

            if (size == 0)
                what = "a lone surrogate";
            at += size <= (uint64_t)(end - at) ? size : 0;
        } else if (c == '\v' || c == '\f') {
            what = "a control character";
        }
    }
    if (what == NULL)
        return VT_OK;
    place_of(text, (uint64_t)(at - text.data) - 1, &line, &column);
    return vt_err_detail(VT_BAD_JSON, "$: %s (line %u, column %u)", what, line, column);
}

vt_err
json_tree_parse(struct arena *nodes, struct arena *strings, struct vt_str text,
                const struct json_node **out_root)
{
    static const yajl_callbacks callbacks = {on_null,    on_boolean,     NULL,         NULL,
                                             on_number,  on_string,      on_start_map, on_key,
                                             on_end_map, on_start_array, on_end_array};
    struct tree_builder builder = {.arena = nodes, .strings = strings, .text = text};

    if (text.size == 0)
        return vt_err_detail(VT_BAD_JSON, "$: the text is empty");
    vt_err err = text_check(text);

    if (err != VT_OK)
        return err;
    builder.yajl = yajl_alloc(&callbacks, NULL, &builder);
    if (builder.yajl == NULL)
        return VT_NOMEM;
    yajl_status status = yajl_parse(builder.yajl, (const unsigned char *)text.data, text.size);

    if (status == yajl_status_error && builder.err == VT_OK)
        (void)builder_fail(&builder, VT_BAD_JSON, "no valid JSON");
    if (status == yajl_status_ok && yajl_complete_parse(builder.yajl) != yajl_status_ok &&
        builder.err == VT_OK)
        builder.err = vt_err_detail(VT_BAD_JSON, "$: the text ends too early");
    yajl_free(builder.yajl);
    if (builder.err != VT_OK)
        return builder.err;
    VT_ASSERT(builder.depth == 0);
    VT_ASSERT(builder.root != NULL);
    *out_root = builder.root;
    return VT_OK;
}

/* ---------------------------------------------------------------- reading */

const struct json_node *
json_get(const struct json_node *object, struct vt_str key)
{
    VT_ASSERT(object->kind == JSON_OBJECT);
    uint32_t low = 0;
    uint32_t high = object->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = vt_str_compare(object->by_key[middle]->key, key);

        if (order == 0)
            return object->by_key[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static struct json_node *
member_copy(struct arena *arena, struct json_node *object, struct json_node *last,
            const struct json_node *member)
{
    struct json_node *copy = arena_alloc(arena, sizeof *copy);

    if (copy == NULL)
        return NULL;
    *copy = *member;
    copy->next = NULL;
    if (last == NULL)
        object->first = copy;
    else
        last->next = copy;
    object->count++;
    return copy;
}

const struct json_node *
json_merge(struct arena *arena, const struct json_node *base, const struct json_node *changes)
{
    struct json_node *merged = arena_alloc(arena, sizeof *merged);
    struct json_node *last = NULL;
    const struct json_node *twice = NULL;

    VT_ASSERT(base->kind == JSON_OBJECT);
    VT_ASSERT(changes->kind == JSON_OBJECT);
    if (merged == NULL)
        return NULL;
    *merged = *changes;
    merged->first = NULL;
    merged->count = 0;
    for (const struct json_node *node = base->first; node != NULL; node = node->next) {
        const struct json_node *change = json_get(changes, node->key);

        last = member_copy(arena, merged, last, change != NULL ? change : node);
        if (last == NULL)
            return NULL;
    }
    for (const struct json_node *node = changes->first; node != NULL; node = node->next) {
        if (json_get(base, node->key) != NULL)
            continue;
        last = member_copy(arena, merged, last, node);
        if (last == NULL)
            return NULL;
    }
    if (members_sort(arena, merged, &twice) != VT_OK)
        return NULL;
    VT_ASSERT(twice == NULL);
    return merged;
}

/* ---------------------------------------------------------------- comparing */

/* Two containers of one kind and count whose members are being compared. */
struct compare_frame {
    const struct json_node *a; /* array: the next member; object: the object itself */
    const struct json_node *b; /* the next member */
    const struct json_node *b_container;
};

static bool
same_value(const struct json_node *a, const struct json_node *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->truth == b->truth;
    case JSON_NUMBER:
    case JSON_STRING:
        return vt_str_equal(a->text, b->text);
    case JSON_ARRAY:
    case JSON_OBJECT:
        return a->count == b->count;
    }
    return false;
}

static struct compare_frame
frame_of(const struct json_node *a, const struct json_node *b)
{
    return (struct compare_frame){a->kind == JSON_OBJECT ? a : a->first, b->first, b};
}

const struct json_node *
json_difference(const struct json_node *a, const struct json_node *b)
{
    struct compare_frame stack[JSON_DEPTH_MAX];
    uint32_t depth = 0;

    if (!same_value(a, b))
        return b;
    if (b->kind == JSON_ARRAY || b->kind == JSON_OBJECT)
        stack[depth++] = frame_of(a, b);
    while (depth > 0) {
        struct compare_frame *top = &stack[depth - 1];
        const struct json_node *mine = top->b;
        const struct json_node *other = top->a;

        if (mine == NULL) {
            depth--;
            continue;
        }
        top->b = mine->next;
        if (top->b_container->kind == JSON_OBJECT)
            other = json_get(other, mine->key);
        else
            top->a = other->next;
        if (other == NULL || !same_value(other, mine))
            return mine;
        if (mine->kind == JSON_ARRAY || mine->kind == JSON_OBJECT) {
            VT_ASSERT(depth < JSON_DEPTH_MAX);
            stack[depth++] = frame_of(other, mine);
        }
    }
    return NULL;
}

bool
json_equal(const struct json_node *a, const struct json_node *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return json_difference(a, b) == NULL;
}

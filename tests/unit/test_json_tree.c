/*
 * Goal:   a control document becomes a tree that knows its paths; what two readers could see
 *         differently is refused; values are compared whatever the order of keys.
 * Method: tables of texts; nesting at and over the limit; pairs of documents and the first
 *         difference.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "arena.h"
#include "json_tree.h"
#include "venturi/assert.h"

static struct vt_str
str(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

static const struct json_node *
parse(struct arena *arena, const char *text)
{
    const struct json_node *root = NULL;

    vt_err_clear();
    cr_assert_eq(json_tree_parse(arena, arena, str(text), &root), VT_OK, "%s: %s", text,
                 vt_err_last());
    return root;
}

Test(json_tree, knows_kinds_texts_and_paths, .timeout = 5)
{
    struct arena arena;
    char path[JSON_PATH_BYTES];

    arena_init(&arena, 4096);
    const struct json_node *root =
        parse(&arena, "{\"a\": [1, 2.50, -0e3, {\"b c\": \"x\\n\\u00e9\"}], \"t\": true }");
    const struct json_node *list = json_get(root, str("a"));

    cr_assert_not_null(list);
    cr_expect_eq(list->count, 4);
    cr_expect(vt_str_equal(list->text, str("[1, 2.50, -0e3, {\"b c\": \"x\\n\\u00e9\"}]")));
    cr_expect(list->first->integer);
    cr_expect_not(list->first->next->integer);
    cr_expect(vt_str_equal(list->first->next->text, str("2.50")));
    cr_expect_not(list->first->next->next->integer);
    const struct json_node *object = list->first->next->next->next;
    const struct json_node *inner = json_get(object, str("b c"));

    cr_expect(vt_str_equal(object->text, str("{\"b c\": \"x\\n\\u00e9\"}")));
    cr_expect(vt_str_equal(inner->text, str("x\n\xC3\xA9")));
    json_path(inner, (struct vt_str){NULL, 0}, path);
    cr_expect_str_eq(path, "$.a[3][\"b c\"]");
    json_path(root, str("new"), path);
    cr_expect_str_eq(path, "$.new");
    cr_expect_null(json_get(root, str("b")));
    arena_deinit(&arena);
}

Test(json_tree, nests_to_its_limit_and_no_further, .timeout = 5)
{
    struct arena arena;
    char text[2 * JSON_DEPTH_MAX + 3];
    const struct json_node *root = NULL;

    arena_init(&arena, 4096);
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        vt_err_clear();
        vt_err err =
            json_tree_parse(&arena, &arena, (struct vt_str){text, (uint32_t)depth * 2}, &root);

        cr_expect_eq(err, depth == JSON_DEPTH_MAX ? VT_OK : VT_TOO_DEEP, "%zu", depth);
        if (err == VT_OK)
            cr_expect_null(json_difference(root, root));
    }
    arena_deinit(&arena);
}

static const struct {
    const char *a;
    const char *b;
    const char *path; /* of the first difference in b; NULL: equal */
} pairs[] = {
    /* clang-format off */
    { "{}", "{ }", NULL },
    { "{\"x\": 1, \"y\": [true, null]}", "{\"y\": [true, null], \"x\": 1}", NULL },
    { "\"\\u0041\"", "\"A\"", NULL },
    { "[1]", "[1.0]", "$[0]" },
    { "[1]", "[\"1\"]", "$[0]" },
    { "[1, 2]", "[2, 1]", "$[0]" },
    { "[1]", "[1, 2]", "$" },
    { "{\"x\": 1}", "{\"y\": 1}", "$.y" },
    { "{\"x\": {\"y\": [0, {\"z\": false}]}}", "{\"x\": {\"y\": [0, {\"z\": true}]}}",
      "$.x.y[1].z" },
    { "{\"x\": [], \"y\": 1}", "{\"x\": {}, \"y\": 1}", "$.x" },
    { "null", "0", "$" },
    /* clang-format on */
};

Test(json_tree, finds_the_first_difference, .timeout = 5)
{
    struct arena arena;

    arena_init(&arena, 4096);
    for (size_t i = 0; i < VT_COUNT(pairs); i++) {
        char path[JSON_PATH_BYTES] = "none";
        const struct json_node *at =
            json_difference(parse(&arena, pairs[i].a), parse(&arena, pairs[i].b));

        if (at != NULL)
            json_path(at, (struct vt_str){NULL, 0}, path);
        cr_expect_str_eq(path, pairs[i].path == NULL ? "none" : pairs[i].path, "%s and %s: %s",
                         pairs[i].a, pairs[i].b, path);
    }
    arena_deinit(&arena);
}

Test(json_tree, a_merge_replaces_and_adds, .timeout = 5)
{
    struct arena arena;
    char path[JSON_PATH_BYTES];

    arena_init(&arena, 4096);
    const struct json_node *root = parse(
        &arena, "{\"base\": {\"a\": 1, \"b\": 2}, \"changes\": {\"c\": 4, \"b\": 3}, \"want\":"
                " {\"a\": 1, \"b\": 3, \"c\": 4}}");
    const struct json_node *merged =
        json_merge(&arena, json_get(root, str("base")), json_get(root, str("changes")));

    cr_assert_not_null(merged);
    cr_expect(json_equal(merged, json_get(root, str("want"))));
    json_path(json_get(merged, str("a")), (struct vt_str){NULL, 0}, path);
    cr_expect_str_eq(path, "$.base.a");
    json_path(json_get(merged, str("b")), (struct vt_str){NULL, 0}, path);
    cr_expect_str_eq(path, "$.changes.b");
    cr_expect(json_equal(NULL, NULL));
    cr_expect_not(json_equal(NULL, root));
    arena_deinit(&arena);
}

/*
 * catalog_extend.c - whether one catalog only adds to another. The two texts are compared as JSON,
 * each section member by member: what stood there must stand there again, value for value ("1.0" is
 * not "1"); only an event type may grow at its end, by fields that old events may lack.
 */
#include <string.h>

#include "catalog_build.h"
#include "venturi/assert.h"

#define TREE_BLOCK_BYTES (UINT64_C(1) << 20)

static vt_err
extension_refuse(const struct json_node *node, const char *what)
{
    char path[JSON_PATH_BYTES];

    json_path(node, (struct vt_str){NULL, 0}, path);
    return vt_err_detail(VT_NOT_EXTENSION, "%s: %s", path, what);
}

static vt_err
same_or_refuse(const struct json_node *old, const struct json_node *new)
{
    const struct json_node *difference = json_difference(old, new);

    if (difference == NULL)
        return VT_OK;
    return extension_refuse(difference, "it may be added to, not changed");
}

/* A new field of an old type: string, or a decimal that is not required. */
static vt_err
field_is_optional(const struct json_node *field)
{
    const struct json_node *kind = member_of(field, "kind");
    const struct json_node *required = member_of(field, "required");

    VT_ASSERT(kind != NULL);
    if (word_is(kind->text, "string") || (required != NULL && !required->truth))
        return VT_OK;
    return extension_refuse(field, "a field that is added to an event type must not be required");
}

static vt_err
fields_extend(const struct json_node *old, const struct json_node *new)
{
    const struct json_node *before = old->first;
    vt_err err = VT_OK;

    if (new->count < old->count)
        return extension_refuse(new, "fields are missing");
    for (const struct json_node *field = new->first; err == VT_OK &&field != NULL;
         field = field->next) {
        err = before == NULL ? field_is_optional(field) : same_or_refuse(before, field);
        before = before == NULL ? NULL : before->next;
    }
    return err;
}

static vt_err
type_extends(const struct json_node *old, const struct json_node *new)
{
    vt_err err = VT_OK;

    if (new->count != old->count)
        return extension_refuse(new, "it may be added to, not changed");
    for (const struct json_node *member = new->first; err == VT_OK &&member != NULL;
         member = member->next) {
        const struct json_node *before = json_get(old, member->key);

        if (before == NULL)
            return extension_refuse(member, "it may be added to, not changed");
        err = word_is(member->key, "fields") ? fields_extend(before, member)
                                             : same_or_refuse(before, member);
    }
    return err;
}

static vt_err
section_extends(const struct json_node *old, const struct json_node *new)
{
    const struct json_node *before = old->first;
    bool types = word_is(new->key, "event_types");
    vt_err err = VT_OK;

    if (new->count < old->count)
        return extension_refuse(new, "something that stood here is missing");
    for (const struct json_node *node = new->first; err == VT_OK &&before != NULL;
         node = node->next) {
        err = types ? type_extends(before, node) : same_or_refuse(before, node);
        before = before->next;
    }
    return err;
}

vt_err
catalog_check_extension(const struct catalog *base, const struct catalog *next)
{
    struct arena arena;
    const struct json_node *old = NULL;
    const struct json_node *new = NULL;

    vt_err_clear();
    if (memcmp(base->sha256, next->sha256, sizeof base->sha256) == 0)
        return VT_OK;
    arena_init(&arena, TREE_BLOCK_BYTES);
    vt_err err = json_tree_parse(&arena, &arena, base->text, &old);

    if (err == VT_OK)
        err = json_tree_parse(&arena, &arena, next->text, &new);
    if (err == VT_OK) {
        /* Both are catalogs: they have the same five sections, all arrays. */
        VT_ASSERT(old->count == new->count);
        for (const struct json_node *section = new->first; err == VT_OK &&section != NULL;
             section = section->next)
            err = section_extends(json_get(old, section->key), section);
    }
    arena_deinit(&arena);
    return err;
}

/* value_set.c - see value_set.h. Up to FEW_MAX codes stand in the set itself: most windows see few
 * values. */
#include "value_set.h"

#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "ptr_table.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define FEW_MAX         6
#define OWN_BLOCK_BYTES 4096

/* Places strings only; chosen ones cost time, never an answer. */
static const struct vt_hash_key own_key = {UINT64_C(0x76616c7565736574), 1};

struct own_strings {
    struct ptr_table table; /* of struct vt_str in the arena */
    struct arena arena;
};

struct value_set {
    struct dict *dict;       /* borrowed; NULL: `own` */
    struct own_strings *own; /* where there is no dict */
    roaring_bitmap_t *codes; /* NULL: few[] */
    uint32_t few_count;
    uint32_t few[FEW_MAX];
};

static uint64_t
own_hash(struct vt_str value)
{
    return vt_siphash(&own_key, value.data, value.size).lo;
}

vt_err
value_set_open(struct value_set **out_set)
{
    struct value_set *set = calloc(1, sizeof *set);

    if (set == NULL)
        return VT_NOMEM;
    set->own = calloc(1, sizeof *set->own);
    if (set->own == NULL) {
        free(set);
        return VT_NOMEM;
    }
    arena_init(&set->own->arena, OWN_BLOCK_BYTES);
    *out_set = set;
    return VT_OK;
}

vt_err
value_set_open_codes(struct dict *dict, struct value_set **out_set)
{
    VT_ASSERT(dict != NULL);
    struct value_set *set = calloc(1, sizeof *set);

    if (set == NULL)
        return VT_NOMEM;
    set->dict = dict;
    *out_set = set;
    return VT_OK;
}

void
value_set_close(struct value_set *set)
{
    if (set == NULL)
        return;
    if (set->own != NULL) {
        ptr_table_deinit(&set->own->table);
        arena_deinit(&set->own->arena);
        free(set->own);
    }
    if (set->codes != NULL)
        roaring_bitmap_free(set->codes);
    free(set);
}

static vt_err
own_add(struct own_strings *own, struct vt_str value)
{
    uint64_t hash = own_hash(value);
    const struct vt_str *held;

    for (uint64_t at = ptr_table_find(&own->table, hash);
         (held = ptr_table_at(&own->table, &at, hash)) != NULL;
         at = ptr_table_next(&own->table, at)) {
        if (vt_str_equal(*held, value))
            return VT_OK;
    }
    vt_err err = ptr_table_reserve(&own->table);

    if (err != VT_OK)
        return err;
    struct vt_str *entry = arena_alloc(&own->arena, sizeof *entry);

    if (entry == NULL)
        return VT_NOMEM;
    *entry = arena_copy(&own->arena, value);
    if (entry->data == NULL)
        return VT_NOMEM;
    ptr_table_put(&own->table, hash, entry);
    return VT_OK;
}

vt_err
value_set_add(struct value_set *set, struct vt_str value)
{
    if (value.size == 0)
        return VT_OK;
    if (set->dict == NULL)
        return own_add(set->own, value);
    uint32_t code;
    vt_err err = dict_code(set->dict, value, &code);

    return err != VT_OK ? err : value_set_add_code(set, code);
}

/* From few to a bitmap. */
static vt_err
codes_begin(struct value_set *set)
{
    VT_ASSERT(set->codes == NULL);
    set->codes = roaring_bitmap_create();
    if (set->codes == NULL)
        return VT_NOMEM;
    roaring_bitmap_add_many(set->codes, set->few_count, set->few);
    set->few_count = 0;
    return VT_OK;
}

vt_err
value_set_add_code(struct value_set *set, uint32_t code)
{
    VT_ASSERT(set->dict != NULL);
    if (code == 0)
        return VT_OK;
    if (set->codes == NULL) {
        for (uint32_t i = 0; i < set->few_count; i++) {
            if (set->few[i] == code)
                return VT_OK;
        }
        if (set->few_count < FEW_MAX) {
            set->few[set->few_count++] = code;
            return VT_OK;
        }
        vt_err err = codes_begin(set);

        if (err != VT_OK)
            return err;
    }
    roaring_bitmap_add(set->codes, code);
    return VT_OK;
}

/* The members as strings, in no order: `count` of them, from malloc. */
static vt_err
strings_of(const struct value_set *set, uint64_t count, struct vt_str **out_strings)
{
    uint64_t filled = 0;

    VT_ASSERT(count > 0);
    struct vt_str *strings = malloc(count * sizeof *strings);
    uint32_t *codes = set->codes == NULL ? NULL : malloc(count * sizeof *codes);

    if (strings == NULL || (set->codes != NULL && codes == NULL)) {
        free(strings);
        free(codes);
        return VT_NOMEM;
    }
    if (set->own != NULL) {
        for (uint64_t i = 0; i <= set->own->table.mask; i++) {
            const struct vt_str *held = set->own->table.slots[i].item;

            if (held != NULL)
                strings[filled++] = *held;
        }
    } else if (codes != NULL) {
        roaring_bitmap_to_uint32_array(set->codes, codes);
        for (; filled < count; filled++)
            strings[filled] = dict_string(set->dict, codes[filled]);
    } else {
        for (; filled < count; filled++)
            strings[filled] = dict_string(set->dict, set->few[filled]);
    }
    VT_ASSERT(filled == count);
    free(codes);
    *out_strings = strings;
    return VT_OK;
}

static vt_err
unite_same_dict(struct value_set *into, const struct value_set *from)
{
    vt_err err = VT_OK;

    if (from->codes != NULL) {
        if (into->codes == NULL)
            err = codes_begin(into);
        if (err == VT_OK)
            roaring_bitmap_or_inplace(into->codes, from->codes);
        return err;
    }
    for (uint32_t i = 0; i < from->few_count && err == VT_OK; i++)
        err = value_set_add_code(into, from->few[i]);
    return err;
}

vt_err
value_set_unite(struct value_set *into, const struct value_set *from)
{
    struct vt_str *strings;
    uint64_t count = value_set_count(from);

    if (count == 0 || into == from)
        return VT_OK;
    if (into->dict != NULL && into->dict == from->dict)
        return unite_same_dict(into, from);
    vt_err err = strings_of(from, count, &strings);

    if (err != VT_OK)
        return err;
    for (uint64_t i = 0; i < count && err == VT_OK; i++)
        err = value_set_add(into, strings[i]);
    free(strings);
    return err;
}

uint64_t
value_set_count(const struct value_set *set)
{
    if (set == NULL)
        return 0;
    if (set->own != NULL)
        return set->own->table.count;
    return set->codes != NULL ? roaring_bitmap_get_cardinality(set->codes) : set->few_count;
}

static int
string_order(const void *a, const void *b)
{
    const struct vt_str *one = a, *other = b;

    return vt_str_compare(*one, *other);
}

vt_err
value_set_each(const struct value_set *set, vt_err (*each)(void *context, struct vt_str value),
               void *context)
{
    struct vt_str *strings;
    uint64_t count = value_set_count(set);

    if (count == 0)
        return VT_OK;
    vt_err err = strings_of(set, count, &strings);

    if (err != VT_OK)
        return err;
    qsort(strings, count, sizeof *strings, string_order);
    for (uint64_t i = 0; i < count && err == VT_OK; i++)
        err = each(context, strings[i]);
    free(strings);
    return err;
}

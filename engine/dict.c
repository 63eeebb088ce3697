/*
 * dict.c - see dict.h. The strings stand in a chunked list, their bytes in an arena; a table with
 * open addressing and linear probing leads from a string to its code. Only the owner reads the
 * table.
 */
#include "dict.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#include "arena.h"
#include "chunk_list.h"
#include "venturi/assert.h"

#define DICT_SLOTS_FIRST 256 /* a power of two */
#define DICT_ARENA_BYTES (UINT64_C(64) << 10)

/* Code 0 is "", which is never in the table: a zero code marks a free slot. */
struct dict_slot {
    uint32_t hash;
    uint32_t code;
};

struct dict {
    uint64_t id;
    struct arena arena;
    struct chunk_list strings; /* of struct vt_str */
    struct dict_slot *slots;
    uint64_t slot_mask;
};

static _Atomic uint64_t dict_id_last;

uint64_t
dict_new_id(void)
{
    return atomic_fetch_add_explicit(&dict_id_last, 1, memory_order_relaxed) + 1;
}

static vt_err
dict_add(struct dict *dict, struct vt_str text)
{
    struct vt_str copy = {"", 0};

    if (text.size > 0)
        copy = arena_copy(&dict->arena, text);
    if (copy.data == NULL)
        return VT_NOMEM;
    struct vt_str *item = chunk_list_add(&dict->strings);

    if (item == NULL)
        return VT_NOMEM;
    *item = copy;
    return VT_OK;
}

vt_err
dict_open(struct dict **out_dict)
{
    struct dict *dict = calloc(1, sizeof *dict);

    if (dict == NULL)
        return VT_NOMEM;
    dict->id = dict_new_id();
    arena_init(&dict->arena, DICT_ARENA_BYTES);
    dict->strings.item_bytes = sizeof(struct vt_str);
    dict->slots = calloc(DICT_SLOTS_FIRST, sizeof *dict->slots);
    dict->slot_mask = DICT_SLOTS_FIRST - 1;
    if (dict->slots == NULL || dict_add(dict, VT_STR("")) != VT_OK) {
        dict_close(dict);
        return VT_NOMEM;
    }
    *out_dict = dict;
    return VT_OK;
}

void
dict_close(struct dict *dict)
{
    if (dict == NULL)
        return;
    free(dict->slots);
    chunk_list_deinit(&dict->strings);
    arena_deinit(&dict->arena);
    free(dict);
}

/* Doubles the table. The upper bits of a hash are lost in a slot, so strings are hashed again. */
static vt_err
dict_grow(struct dict *dict)
{
    uint64_t mask = dict->slot_mask * 2 + 1;
    struct dict_slot *slots = calloc(mask + 1, sizeof *slots);

    if (slots == NULL)
        return VT_NOMEM;
    for (uint32_t code = 1; code < dict->strings.count; code++) {
        struct vt_str text = dict_string(dict, code);
        uint64_t hash = XXH3_64bits(text.data, text.size);
        uint64_t at = hash & mask;

        while (slots[at].code != 0)
            at = (at + 1) & mask;
        slots[at] = (struct dict_slot){(uint32_t)(hash >> 32), code};
    }
    free(dict->slots);
    dict->slots = slots;
    dict->slot_mask = mask;
    return VT_OK;
}

vt_err
dict_code(struct dict *dict, struct vt_str text, uint32_t *out_code)
{
    if (text.size == 0) {
        *out_code = 0;
        return VT_OK;
    }
    uint64_t hash = XXH3_64bits(text.data, text.size);
    uint64_t at = hash & dict->slot_mask;

    for (; dict->slots[at].code != 0; at = (at + 1) & dict->slot_mask) {
        const struct dict_slot *slot = &dict->slots[at];

        if (slot->hash == (uint32_t)(hash >> 32) &&
            vt_str_equal(dict_string(dict, slot->code), text)) {
            *out_code = slot->code;
            return VT_OK;
        }
    }
    uint32_t code = dict->strings.count;

    if (code >= DICT_STRINGS_MAX)
        return VT_FULL;
    if ((uint64_t)code * 2 > dict->slot_mask) {
        vt_err err = dict_grow(dict);

        if (err != VT_OK)
            return err;
        at = hash & dict->slot_mask;
        while (dict->slots[at].code != 0)
            at = (at + 1) & dict->slot_mask;
    }
    vt_err err = dict_add(dict, text);

    if (err != VT_OK)
        return err;
    dict->slots[at] = (struct dict_slot){(uint32_t)(hash >> 32), code};
    *out_code = code;
    return VT_OK;
}

struct vt_str
dict_string(const struct dict *dict, uint32_t code)
{
    /* No look at the count: it is the owner's, and a reader's code lies below its own. */
    return *(const struct vt_str *)chunk_list_at(&dict->strings, code);
}

uint32_t
dict_count(const struct dict *dict)
{
    return dict->strings.count;
}

uint64_t
dict_id(const struct dict *dict)
{
    return dict->id;
}

vt_err
dict_array(const struct dict *dict, uint32_t count, struct vt_str **out_array)
{
    struct vt_str *array = malloc((count == 0 ? 1 : count) * sizeof *array);

    if (array == NULL)
        return VT_NOMEM;
    for (uint32_t code = 0; code < count; code++)
        array[code] = dict_string(dict, code);
    *out_array = array;
    return VT_OK;
}

/* name_index.c - see name_index.h. Linear probing at a load of at most one half. */
#include "name_index.h"

#include "arena.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define SLOTS_MIN 16

void
name_index_init(struct name_index *index, struct arena *arena)
{
    *index = (struct name_index){.arena = arena};
}

/* The slot of the name, or the free one where it belongs. */
static struct name_slot *
slot_of(const struct name_index *index, struct vt_str name)
{
    static const struct vt_hash_key key = {0, 0}; /* the order of slots reaches no output */
    uint32_t mask = index->slot_count - 1;
    uint32_t at = (uint32_t)vt_siphash(&key, name.data, name.size).lo & mask;

    VT_ASSERT(index->used < index->slot_count);
    while (index->slots[at].value != NAME_INDEX_NONE && !vt_str_equal(index->slots[at].name, name))
        at = (at + 1) & mask;
    return &index->slots[at];
}

static vt_err
index_grow(struct name_index *index)
{
    struct name_index bigger = {.arena = index->arena,
                                .slot_count =
                                    index->slot_count == 0 ? SLOTS_MIN : index->slot_count * 2,
                                .used = index->used};

    VT_ASSERT(index->slot_count < UINT32_C(1) << 30);
    bigger.slots = arena_alloc(index->arena, bigger.slot_count * sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < bigger.slot_count; i++)
        bigger.slots[i] = (struct name_slot){.value = NAME_INDEX_NONE};
    for (uint32_t i = 0; i < index->slot_count; i++)
        if (index->slots[i].value != NAME_INDEX_NONE)
            *slot_of(&bigger, index->slots[i].name) = index->slots[i];
    *index = bigger;
    return VT_OK;
}

vt_err
name_index_put(struct name_index *index, struct vt_str name, uint32_t value, uint32_t *out_before)
{
    VT_ASSERT(value != NAME_INDEX_NONE);
    if (index->used >= index->slot_count / 2) {
        vt_err err = index_grow(index);

        if (err != VT_OK)
            return err;
    }
    struct name_slot *slot = slot_of(index, name);

    *out_before = slot->value;
    if (slot->value == NAME_INDEX_NONE) {
        *slot = (struct name_slot){.name = name, .value = value};
        index->used++;
    }
    return VT_OK;
}

uint32_t
name_index_find(const struct name_index *index, struct vt_str name)
{
    if (index->slot_count == 0)
        return NAME_INDEX_NONE;
    return slot_of(index, name)->value;
}

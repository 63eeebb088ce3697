#include "string_table.h"

#include "venturi/assert.h"

/* XXH3 (Y. Collet): a few nanoseconds for a name. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#define CAPACITY_MIN UINT32_C(32)
#define CAPACITY_MAX (UINT32_C(1) << 30)

static uint32_t
text_hash(const struct string_table *table, struct vt_str text)
{
    return (uint32_t)XXH3_64bits_withSeed(text.data, text.size, table->seed);
}

/* Fresh slots and room for `capacity` strings; those that are there move. */
static vt_err
table_grow(struct string_table *table, uint32_t capacity)
{
    uint32_t mask = capacity * 2 - 1;
    struct vt_str *strings = arena_alloc(table->arena, (uint64_t)capacity * sizeof *strings);
    struct string_slot *slots =
        arena_zalloc(table->arena, ((uint64_t)mask + 1) * sizeof(struct string_slot));

    VT_ASSERT((capacity & (capacity - 1)) == 0);
    VT_ASSERT(capacity > table->count);
    if (strings == NULL || slots == NULL)
        return VT_NOMEM;
    if (table->count > 0)
        memcpy(strings, table->strings, (uint64_t)table->count * sizeof *strings);
    for (uint32_t i = 0; table->slots != NULL && i <= table->slot_mask; i++) {
        if (table->slots[i].code == 0)
            continue;
        uint32_t at = table->slots[i].hash & mask;

        while (slots[at].code != 0)
            at = (at + 1) & mask;
        slots[at] = table->slots[i];
    }
    table->strings = strings;
    table->slots = slots;
    table->slot_mask = mask;
    table->capacity = capacity;
    return VT_OK;
}

vt_err
string_table_init(struct string_table *table, struct arena *arena, uint64_t seed,
                  uint32_t count_hint)
{
    uint32_t capacity = CAPACITY_MIN;

    VT_ASSERT(count_hint <= CAPACITY_MAX);
    while (capacity <= count_hint)
        capacity *= 2;
    *table = (struct string_table){.arena = arena, .seed = seed};
    vt_err err = table_grow(table, capacity);

    if (err != VT_OK)
        return err;
    table->strings[0] = VT_STR("");
    table->count = 1;
    return VT_OK;
}

vt_err
string_table_room(struct string_table *table, uint32_t count)
{
    uint32_t capacity = table->capacity;

    VT_ASSERT(count <= CAPACITY_MAX);
    while (capacity < count)
        capacity *= 2;
    struct vt_str *strings = arena_alloc(table->arena, (uint64_t)capacity * sizeof *strings);

    if (strings == NULL)
        return VT_NOMEM;
    memcpy(strings, table->strings, (uint64_t)table->count * sizeof *strings);
    table->strings = strings;
    table->capacity = capacity;
    table->slots = NULL;
    return VT_OK;
}

/* Slots for strings that were written without. */
static vt_err
slots_make(struct string_table *table)
{
    uint32_t mask = table->capacity * 2 - 1;
    struct string_slot *slots =
        arena_zalloc(table->arena, ((uint64_t)mask + 1) * sizeof(struct string_slot));

    if (slots == NULL)
        return VT_NOMEM;
    for (uint32_t code = 1; code < table->count; code++) {
        uint32_t hash = text_hash(table, table->strings[code]);
        uint32_t at = hash & mask;

        while (slots[at].code != 0)
            at = (at + 1) & mask;
        slots[at] = (struct string_slot){hash, code};
    }
    table->slots = slots;
    table->slot_mask = mask;
    return VT_OK;
}

vt_err
string_table_code(struct string_table *table, struct vt_str text, uint32_t *out_code)
{
    if (text.size == 0) {
        *out_code = 0;
        return VT_OK;
    }
    if (table->slots == NULL) {
        vt_err err = slots_make(table);

        if (err != VT_OK)
            return err;
    }
    uint32_t hash = text_hash(table, text);
    uint32_t at = hash & table->slot_mask;

    for (; table->slots[at].code != 0; at = (at + 1) & table->slot_mask) {
        uint32_t code = table->slots[at].code;

        if (table->slots[at].hash == hash && vt_str_equal(table->strings[code], text)) {
            *out_code = code;
            return VT_OK;
        }
    }
    if (table->count == table->capacity) {
        vt_err err =
            table->capacity < CAPACITY_MAX ? table_grow(table, table->capacity * 2) : VT_NOMEM;

        if (err != VT_OK)
            return err;
        at = hash & table->slot_mask;
        while (table->slots[at].code != 0)
            at = (at + 1) & table->slot_mask;
    }
    table->slots[at] = (struct string_slot){hash, table->count};
    table->strings[table->count] = text;
    *out_code = table->count++;
    VT_ASSERT(table->count <= table->capacity);
    return VT_OK;
}

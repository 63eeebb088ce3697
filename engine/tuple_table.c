/* tuple_table.c - see tuple_table.h. */
#include "tuple_table.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define SLOTS_FIRST 64

vt_err
tuple_table_init(struct tuple_table *table, uint32_t width)
{
    uint32_t *slots = calloc(SLOTS_FIRST, sizeof *slots);

    if (slots == NULL)
        return VT_NOMEM;
    *table = (struct tuple_table){.width = width, .slot_mask = SLOTS_FIRST - 1, .slots = slots};
    return VT_OK;
}

void
tuple_table_deinit(struct tuple_table *table)
{
    free(table->keys);
    free(table->slots);
    *table = (struct tuple_table){0};
}

void
tuple_table_reset(struct tuple_table *table)
{
    table->count = 0;
    memset(table->slots, 0, ((size_t)table->slot_mask + 1) * sizeof *table->slots);
}

static void
slot_set(struct tuple_table *table, uint32_t number)
{
    uint32_t at = tuple_hash(tuple_table_key(table, number), table->width);

    while (table->slots[at & table->slot_mask] != 0)
        at++;
    table->slots[at & table->slot_mask] = number + 1;
}

static vt_err
slots_double(struct tuple_table *table)
{
    uint64_t slot_count = ((uint64_t)table->slot_mask + 1) * 2;

    if (slot_count > UINT32_MAX)
        return VT_OVERFLOW;
    uint32_t *slots = calloc(slot_count, sizeof *slots);

    if (slots == NULL)
        return VT_NOMEM;
    free(table->slots);
    table->slots = slots;
    table->slot_mask = (uint32_t)(slot_count - 1);
    for (uint32_t i = 0; i < table->count; i++)
        slot_set(table, i);
    return VT_OK;
}

vt_err
tuple_table_put(struct tuple_table *table, const uint32_t *key, uint32_t *out_number)
{
    uint32_t found = tuple_table_find(table, key);

    VT_ASSERT(table->slots != NULL);
    if (found != TUPLE_NONE) {
        *out_number = found;
        return VT_OK;
    }
    if ((uint64_t)table->count * 2 > table->slot_mask) {
        vt_err err = slots_double(table);

        if (err != VT_OK)
            return err;
    }
    if (table->count == table->capacity) {
        uint64_t capacity = table->capacity == 0 ? SLOTS_FIRST : (uint64_t)table->capacity * 2;
        uint64_t width = table->width == 0 ? 1 : table->width;
        uint32_t *keys = realloc(table->keys, capacity * width * sizeof *keys);

        if (keys == NULL)
            return VT_NOMEM;
        VT_ASSERT(capacity <= UINT32_MAX);
        table->keys = keys;
        table->capacity = (uint32_t)capacity;
    }
    if (table->width > 0)
        memcpy(table->keys + (uint64_t)table->count * table->width, key,
               table->width * sizeof *key);
    *out_number = table->count++;
    slot_set(table, *out_number);
    return VT_OK;
}

/* ptr_table.c - see ptr_table.h. */
#include "ptr_table.h"

#include <stdlib.h>

#include "venturi/assert.h"

#define SLOTS_MIN 16

void
ptr_table_deinit(struct ptr_table *table)
{
    free(table->slots);
    *table = (struct ptr_table){.slots = NULL};
}

vt_err
ptr_table_reserve(struct ptr_table *table)
{
    uint64_t slots = table->slots == NULL ? 0 : table->mask + 1;

    if ((table->count + 1) * 2 <= slots)
        return VT_OK;
    struct ptr_table larger = {.mask = slots == 0 ? SLOTS_MIN - 1 : slots * 2 - 1};

    larger.slots = calloc(larger.mask + 1, sizeof *larger.slots);
    if (larger.slots == NULL)
        return VT_NOMEM;
    for (uint64_t i = 0; i < slots; i++) {
        if (table->slots[i].item != NULL)
            ptr_table_put(&larger, table->slots[i].hash, table->slots[i].item);
    }
    VT_ASSERT(larger.count == table->count);
    free(table->slots);
    *table = larger;
    return VT_OK;
}

void
ptr_table_put(struct ptr_table *table, uint64_t hash, void *item)
{
    uint64_t at = hash & table->mask;

    VT_ASSERT(item != NULL);
    VT_ASSERT((table->count + 1) * 2 <= table->mask + 1);
    while (table->slots[at].item != NULL)
        at = (at + 1) & table->mask;
    table->slots[at] = (struct ptr_slot){hash, item};
    table->count++;
}

void
ptr_table_remove(struct ptr_table *table, uint64_t hash, const void *item)
{
    uint64_t hole = hash & table->mask;

    VT_ASSERT(table->count > 0);
    while (table->slots[hole].item != item) {
        VT_ASSERT(table->slots[hole].item != NULL);
        hole = (hole + 1) & table->mask;
    }
    table->slots[hole].item = NULL;
    table->count--;
    for (uint64_t at = (hole + 1) & table->mask; table->slots[at].item != NULL;
         at = (at + 1) & table->mask) {
        uint64_t home = table->slots[at].hash & table->mask;

        /* Moves back only what would still be at or after its home. */
        if (((at - home) & table->mask) < ((at - hole) & table->mask))
            continue;
        table->slots[hole] = table->slots[at];
        table->slots[at].item = NULL;
        hole = at;
    }
}

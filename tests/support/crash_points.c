/* crash_points.c - see crash_points.h: an open table that doubles. */
#include "crash_points.h"

#include <stdlib.h>

#include "venturi/assert.h"

static uint64_t *
slot_of(const struct crash_points *points, uint64_t hash)
{
    uint64_t i = hash & points->mask;

    while (points->slots[i] != 0 && points->slots[i] != hash)
        i = (i + 1) & points->mask;
    return &points->slots[i];
}

static void
grow(struct crash_points *points)
{
    struct crash_points old = *points;

    points->mask = old.slots == NULL ? 1023 : old.mask * 2 + 1;
    points->slots = calloc(points->mask + 1, sizeof points->slots[0]);
    VT_ASSERT(points->slots != NULL);
    for (uint64_t i = 0; old.slots != NULL && i <= old.mask; i++)
        if (old.slots[i] != 0)
            *slot_of(points, old.slots[i]) = old.slots[i];
    free(old.slots);
}

void
crash_points_add(struct crash_points *points, uint64_t hash)
{
    hash |= hash == 0; /* 0 is an empty slot */
    if (points->slots == NULL || points->count * 2 >= points->mask)
        grow(points);
    uint64_t *slot = slot_of(points, hash);

    points->count += *slot == 0;
    *slot = hash;
}

void
crash_points_free(struct crash_points *points)
{
    free(points->slots);
    *points = (struct crash_points){0};
}

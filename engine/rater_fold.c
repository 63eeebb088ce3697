/* rater_fold.c - cells of one charge folded into one quantity. */
#include <roaring/roaring.h>

#include "rater_slot.h"
#include "venturi/assert.h"

static vt_err
sets_count(const struct usage *usages, uint32_t count, vt_i128 *out)
{
    if (count == 1) {
        *out = (vt_i128)roaring_bitmap_get_cardinality(usages->gauge->more->set);
        return VT_OK;
    }
    roaring_bitmap_t *all = roaring_bitmap_copy(usages->gauge->more->set);

    for (uint32_t i = 1; i < count && all != NULL; i++)
        roaring_bitmap_or_inplace(all, usages[i].gauge->more->set);
    if (all == NULL)
        return VT_NOMEM;
    *out = (vt_i128)roaring_bitmap_get_cardinality(all);
    roaring_bitmap_free(all);
    return VT_OK;
}

static int64_t
last_value(const struct usage *usages, uint32_t count)
{
    const struct event_note *last = &usages->gauge->more->last;

    for (uint32_t i = 1; i < count; i++) {
        const struct event_note *note = &usages[i].gauge->more->last;

        if (event_note_order(note, last) > 0)
            last = note;
    }
    return last->value;
}

vt_err
usages_fold(enum aggregation aggregation, const struct usage *usages, uint32_t count, vt_i128 *out)
{
    vt_i128 value = 0;

    *out = 0;
    if (count == 0)
        return VT_OK;
    if (aggregation == AGG_UNIQUE)
        return sets_count(usages, count, out);
    if (aggregation == AGG_MIN || aggregation == AGG_MAX)
        value = aggregation == AGG_MIN ? usages->gauge->min : usages->gauge->max;
    else if (aggregation == AGG_LAST)
        value = last_value(usages, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct gauge *gauge = usages[i].gauge;

        if (aggregation == AGG_MIN && gauge->min < value)
            value = gauge->min;
        else if (aggregation == AGG_MAX && gauge->max > value)
            value = gauge->max;
        else if (aggregation == AGG_SUM && __builtin_add_overflow(value, gauge->sum, &value))
            return VT_OVERFLOW;
        else if (aggregation == AGG_COUNT)
            value += gauge->count;
    }
    *out = value;
    return VT_OK;
}

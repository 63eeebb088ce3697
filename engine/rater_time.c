/* rater_time.c - the tenant's time line: segments between the edges of contract versions, of plan
 * versions that they follow, and of billing periods, found as events ask for them. */
#include <stdlib.h>
#include <string.h>

#include "rater.h"
#include "venturi/assert.h"
#include "zone.h"

void *
rater_grow(void *array, uint32_t *capacity, uint64_t needed, uint64_t item_bytes)
{
    uint64_t grown = *capacity < 16 ? 16 : *capacity;

    VT_ASSERT(needed > *capacity);
    while (grown < needed)
        grown *= 2;
    if (grown > UINT32_MAX)
        return NULL;
    void *larger = realloc(array, grown * item_bytes);

    if (larger != NULL)
        *capacity = (uint32_t)grown;
    return larger;
}

struct stretch {
    int64_t lo_us;
    int64_t hi_us;
};

static void
stretch_begin(struct stretch *stretch, int64_t us)
{
    if (us > stretch->lo_us)
        stretch->lo_us = us;
}

static void
stretch_end(struct stretch *stretch, int64_t us)
{
    if (us < stretch->hi_us)
        stretch->hi_us = us;
}

/* The plan version in force: the latest that is effective, of equals the one recorded later. */
static uint32_t
plan_in_force(const struct contract_version *version, int64_t us, struct stretch *stretch)
{
    uint32_t found = CATALOG_NONE;
    int64_t from_us = INT64_MIN;

    for (uint32_t i = 0; i < version->plan_count; i++) {
        int64_t effective_us = version->plans[i].effective_from_us;

        if (effective_us > us) {
            stretch_end(stretch, effective_us);
        } else if (effective_us >= from_us) {
            found = i;
            from_us = effective_us;
        }
    }
    stretch_begin(stretch, from_us);
    return found;
}

static struct place
place_at(const struct contract *contract, int64_t us, struct stretch *stretch)
{
    struct place place = {.version = CATALOG_NONE, .plan = CATALOG_NONE};

    for (uint32_t i = 0; i < contract->version_count; i++) {
        const struct contract_version *version = &contract->versions[i];

        if (us >= version->end_us) {
            stretch_begin(stretch, version->end_us);
        } else if (us < version->begin_us) {
            stretch_end(stretch, version->begin_us);
        } else {
            place.version = i;
            stretch_begin(stretch, version->begin_us);
            stretch_end(stretch, version->end_us);
        }
    }
    if (place.version == CATALOG_NONE)
        return place;
    place.plan = plan_in_force(&contract->versions[place.version], us, stretch);
    place.period_us = zone_period_start_us(contract->zone, contract->anchor_day, us);
    place.period_end_us =
        zone_period_next_us(contract->zone, contract->anchor_day, place.period_us);
    VT_ASSERT(place.period_us <= us && us < place.period_end_us);
    stretch_begin(stretch, place.period_us);
    stretch_end(stretch, place.period_end_us);
    return place;
}

/* How many segments end at or before an instant. */
static uint32_t
segments_before(const struct rater *rater, int64_t us)
{
    uint32_t low = 0;
    uint32_t high = rater->segment_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (rater->ordered[middle]->hi_us <= us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static vt_err
segments_reserve(struct rater *rater)
{
    uint32_t capacity = rater->segment_capacity;

    if (rater->segment_count < capacity)
        return VT_OK;
    void *segments = rater_grow(rater->segments, &capacity, (uint64_t)rater->segment_count + 1,
                                sizeof(struct segment *));

    if (segments == NULL)
        return VT_NOMEM;
    rater->segments = segments;
    capacity = rater->segment_capacity;
    void *ordered = rater_grow(rater->ordered, &capacity, (uint64_t)rater->segment_count + 1,
                               sizeof(struct segment *));

    if (ordered == NULL)
        return VT_NOMEM;
    rater->ordered = ordered;
    rater->segment_capacity = capacity;
    return VT_OK;
}

static struct segment *
segment_make(struct rater *rater, int64_t us)
{
    struct arena *arena = &rater->arena;
    uint32_t type_count = rater->catalog->type_count;
    struct stretch stretch = {INT64_MIN, INT64_MAX};
    struct segment *segment = arena_zalloc(arena, sizeof *segment);

    if (segment == NULL)
        return NULL;
    segment->places = arena_zalloc(arena, (rater->contract_count + 1) * sizeof *segment->places);
    segment->cell_of = arena_zalloc(arena, (type_count + 1) * sizeof *segment->cell_of);
    segment->cell_of_max = arena_zalloc(arena, (type_count + 1) * sizeof *segment->cell_of_max);
    if (segment->places == NULL || segment->cell_of == NULL || segment->cell_of_max == NULL)
        return NULL;
    for (uint32_t i = 0; i < rater->contract_count; i++)
        segment->places[i] = place_at(rater->contracts[i], us, &stretch);
    VT_ASSERT(stretch.lo_us <= us && us < stretch.hi_us);
    segment->lo_us = stretch.lo_us;
    segment->hi_us = stretch.hi_us;
    return segment;
}

vt_err
rater_segment(struct rater *rater, int64_t time_us, struct segment **out_segment)
{
    uint32_t at = segments_before(rater, time_us);

    if (at < rater->segment_count && rater->ordered[at]->lo_us <= time_us) {
        *out_segment = rater->ordered[at];
        return VT_OK;
    }
    vt_err err = segments_reserve(rater);

    if (err != VT_OK)
        return err;
    struct segment *segment = segment_make(rater, time_us);

    if (segment == NULL)
        return VT_NOMEM;
    VT_ASSERT(at == rater->segment_count || segment->hi_us <= rater->ordered[at]->lo_us);
    memmove(rater->ordered + at + 1, rater->ordered + at,
            (rater->segment_count - at) * sizeof(struct segment *));
    rater->ordered[at] = segment;
    segment->number = rater->segment_count;
    rater->segments[rater->segment_count++] = segment;
    *out_segment = segment;
    return VT_OK;
}

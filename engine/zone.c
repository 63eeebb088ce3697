/*
 * zone.c - see zone.h. The look-ups follow Python's zoneinfo step by step (also where it takes the
 * last listed offset at the very second of the last transition and the rule only after it), because
 * a billing period's edge is an amount of money.
 */
#include "zone.h"

#include <stdbool.h>
#include <string.h>

#include "arena.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define HEADER_BYTES     44
#define DAY_S            INT64_C(86400)
#define TRANSITION_S_MAX (INT64_C(1) << 60)
#define TYPES_MAX        256
#define TIMES_MAX        100000 /* the largest real file has some hundreds */
#define RULE_BYTES_MAX   256
#define PROBE_DAYS       20 /* into the period, never past its end */
#define PROBE_DAYS_MAX   60

struct tzif_counts {
    uint8_t version;
    uint32_t is_utc;
    uint32_t is_standard;
    uint32_t leap;
    uint32_t time;
    uint32_t type;
    uint32_t name_bytes;
};

struct tzif_types {
    int32_t offset_s[TYPES_MAX];
    bool daylight[TYPES_MAX];
};

static uint32_t
read_be32(struct vt_reader *reader)
{
    return __builtin_bswap32(vt_read_u32(reader));
}

static int64_t
read_time(struct vt_reader *reader, uint32_t time_bytes)
{
    if (time_bytes == 4)
        return (int32_t)read_be32(reader);
    return (int64_t)__builtin_bswap64(vt_read_u64(reader));
}

static bool
counts_read(struct vt_reader *reader, struct tzif_counts *out_counts)
{
    struct vt_bytes magic = vt_read_bytes(reader, 4);

    if (magic.size != 4 || memcmp(magic.data, "TZif", 4) != 0)
        return false;
    out_counts->version = vt_read_u8(reader);
    (void)vt_read_bytes(reader, 15);
    out_counts->is_utc = read_be32(reader);
    out_counts->is_standard = read_be32(reader);
    out_counts->leap = read_be32(reader);
    out_counts->time = read_be32(reader);
    out_counts->type = read_be32(reader);
    out_counts->name_bytes = read_be32(reader);
    return !reader->bad;
}

/* What follows the offsets of a block: abbreviations, leap seconds, indicators. */
static uint64_t
tail_bytes(const struct tzif_counts *counts, uint32_t time_bytes)
{
    return (uint64_t)counts->name_bytes + (uint64_t)counts->leap * (time_bytes + 4) +
           (uint64_t)counts->is_standard + (uint64_t)counts->is_utc;
}

static vt_err
bad_zone(const char *what)
{
    return vt_err_detail(VT_BAD_FORMAT, "time zone file: %s", what);
}

static vt_err
types_read(struct vt_reader *reader, const struct tzif_counts *counts, struct tzif_types *out_types)
{
    for (uint32_t i = 0; i < counts->type; i++) {
        int32_t offset_s = (int32_t)read_be32(reader);
        uint8_t daylight = vt_read_u8(reader);

        (void)vt_read_u8(reader);
        if (offset_s <= -DAY_S || offset_s >= DAY_S)
            return bad_zone("an offset of a day or more");
        out_types->offset_s[i] = offset_s;
        out_types->daylight[i] = daylight != 0;
    }
    return VT_OK;
}

/* Before all transitions: the first type that is no daylight time, else that of the first
 * transition. */
static int32_t
offset_before(const struct tzif_counts *counts, const struct tzif_types *types, uint32_t first)
{
    for (uint32_t i = 0; i < counts->type; i++)
        if (!types->daylight[i])
            return types->offset_s[i];
    return types->offset_s[first];
}

/* Times, offsets and readings of the wall clock. `times` and `indexes` were bounded by the
 * caller. */
static vt_err
transitions_fill(struct arena *arena, const struct tzif_types *types,
                 const struct tzif_counts *counts, struct vt_reader body, struct zone *zone)
{
    uint32_t count = counts->time;
    uint32_t time_bytes = counts->version != 0 ? 8 : 4;
    int64_t *transition_s = arena_alloc(arena, count * sizeof *transition_s);
    int64_t *wall_s = arena_alloc(arena, count * sizeof *wall_s);
    int32_t *offset_s = arena_alloc(arena, (count + UINT64_C(1)) * sizeof *offset_s);

    if (transition_s == NULL || wall_s == NULL || offset_s == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        transition_s[i] = read_time(&body, time_bytes);
        if (transition_s[i] > TRANSITION_S_MAX || transition_s[i] < -TRANSITION_S_MAX ||
            (i > 0 && transition_s[i] <= transition_s[i - 1]))
            return bad_zone("transitions do not ascend");
    }
    uint8_t previous =
        0; /* as zoneinfo has it: type 0 decides how the clock read before the first */

    offset_s[0] = offset_before(counts, types, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t index = vt_read_u8(&body);

        if (index >= counts->type)
            return bad_zone("a transition to an unknown type");
        if (i == 0)
            offset_s[0] = offset_before(counts, types, index);
        int32_t before = types->offset_s[previous];
        int32_t after = types->offset_s[index];

        offset_s[i + 1] = after;
        wall_s[i] = transition_s[i] + (before > after ? before : after);
        previous = index;
    }
    zone->transition_count = count;
    zone->transition_s = transition_s;
    zone->wall_s = wall_s;
    zone->offset_s = offset_s;
    return VT_OK;
}

/* "\n" rule "\n" after the last block. */
static vt_err
footer_read(struct vt_reader *reader, struct vt_str *out_rule)
{
    const uint8_t *begin = reader->at + 1;
    uint64_t left = vt_reader_left(reader);

    if (left < 2 || reader->at[0] != '\n')
        return bad_zone("it has no rule at its end");
    const uint8_t *end = memchr(begin, '\n', left - 1);

    if (end == NULL || end - begin > RULE_BYTES_MAX)
        return bad_zone("its rule does not end");
    *out_rule = (struct vt_str){(const char *)begin, (uint32_t)(end - begin)};
    return VT_OK;
}

/* Sets `reader` to the body of the block that counts: the second, with times of 8 bytes, if there
 * is one. */
static vt_err
block_find(struct vt_reader *reader, struct tzif_counts *out_counts)
{
    struct tzif_counts counts = {0};

    if (!counts_read(reader, &counts))
        return bad_zone("it does not begin as TZif files do");
    if (counts.version != 0 && counts.version < '2')
        return bad_zone("its version is not known");
    if (counts.version != 0) {
        (void)vt_read_bytes(reader, (uint64_t)counts.time * 5 + (uint64_t)counts.type * 6 +
                                        tail_bytes(&counts, 4));
        if (!counts_read(reader, &counts) || counts.version < '2')
            return bad_zone("its second block is missing");
    }
    if (counts.type == 0 || counts.type > TYPES_MAX || counts.time > TIMES_MAX)
        return bad_zone("a count is out of its bounds");
    *out_counts = counts;
    return VT_OK;
}

static vt_err
after_set(struct arena *arena, struct zone *zone, const struct tzif_types *types,
          uint32_t type_count)
{
    if (zone->rule.size > 0) {
        struct vt_str rule = arena_copy(arena, zone->rule);

        if (rule.data == NULL)
            return VT_NOMEM;
        zone->rule = rule;
        return zone_rule_parse(rule, &zone->after);
    }
    zone->after.has_daylight = false;
    zone->after.standard_s = zone->transition_count > 0 ? zone->offset_s[zone->transition_count]
                                                        : types->offset_s[type_count - 1];
    zone->after.daylight_s = zone->after.standard_s;
    return VT_OK;
}

vt_err
zone_parse(struct arena *arena, struct vt_str name, struct vt_bytes tzif, struct zone *out_zone)
{
    struct zone zone = {.name = name};
    struct vt_reader reader = vt_reader_of(tzif);
    struct tzif_counts counts = {0};
    struct tzif_types types = {0};
    vt_err err = block_find(&reader, &counts);

    if (err != VT_OK)
        return err;
    uint32_t time_bytes = counts.version != 0 ? 8 : 4;
    struct vt_reader body =
        vt_reader_of(vt_read_bytes(&reader, (uint64_t)counts.time * (time_bytes + 1)));

    err = types_read(&reader, &counts, &types);
    if (err != VT_OK)
        return err;
    (void)vt_read_bytes(&reader, tail_bytes(&counts, time_bytes));
    if (reader.bad)
        return bad_zone("it ends too early");
    if (counts.version != 0) {
        err = footer_read(&reader, &zone.rule);
        if (err != VT_OK)
            return err;
    }
    err = transitions_fill(arena, &types, &counts, body, &zone);
    if (err == VT_OK)
        err = after_set(arena, &zone, &types, counts.type);
    if (err != VT_OK)
        return err;
    struct vt_str copy = arena_copy(arena, name);
    uint8_t *bytes = arena_alloc(arena, tzif.size);

    if (copy.data == NULL || bytes == NULL)
        return VT_NOMEM;
    memcpy(bytes, tzif.data, tzif.size);
    zone.name = copy;
    zone.tzif = (struct vt_bytes){bytes, tzif.size};
    *out_zone = zone;
    return VT_OK;
}

/* How many of the ascending times are at or before `at`. */
static uint32_t
times_until(const int64_t *times, uint32_t count, int64_t at)
{
    uint32_t low = 0;
    uint32_t high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (at < times[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int32_t
zone_offset_s(const struct zone *zone, int64_t utc_s)
{
    uint32_t count = zone->transition_count;

    VT_ASSERT(zone->offset_s != NULL);
    if (count == 0 || utc_s > zone->transition_s[count - 1])
        return zone_rule_offset_s(&zone->after, utc_s);
    return zone->offset_s[times_until(zone->transition_s, count, utc_s)];
}

static int32_t
local_offset_s(const struct zone *zone, int64_t local_s)
{
    uint32_t count = zone->transition_count;

    if (count > 0 && local_s < zone->wall_s[0])
        return zone->offset_s[0];
    if (count == 0 || local_s > zone->wall_s[count - 1])
        return zone_rule_local_offset_s(&zone->after, local_s);
    return zone->offset_s[times_until(zone->wall_s, count, local_s)];
}

int64_t
zone_local_midnight_us(const struct zone *zone, int64_t year, uint32_t month, uint32_t day)
{
    int64_t local_s = vt_days_from_civil(year, month, day) * DAY_S;

    VT_ASSERT(zone->offset_s != NULL);
    return (local_s - local_offset_s(zone, local_s)) * VT_US_PER_SECOND;
}

/* Midnight of the anchor day in the month that is `month_index` months after January of year 0. */
static int64_t
anchored_start_us(const struct zone *zone, uint32_t anchor_day, int64_t month_index)
{
    int64_t year = vt_floor_us(month_index, 12) / 12;
    uint32_t month = (uint32_t)(month_index - year * 12) + 1;
    int64_t next =
        month == 12 ? vt_days_from_civil(year + 1, 1, 1) : vt_days_from_civil(year, month + 1, 1);
    uint32_t last = (uint32_t)(next - vt_days_from_civil(year, month, 1));

    return zone_local_midnight_us(zone, year, month, anchor_day < last ? anchor_day : last);
}

int64_t
zone_period_start_us(const struct zone *zone, uint32_t anchor_day, int64_t us)
{
    int64_t utc_s = vt_floor_us(us, VT_US_PER_SECOND) / VT_US_PER_SECOND;
    int64_t local_us = (utc_s + zone_offset_s(zone, utc_s)) * VT_US_PER_SECOND;
    int64_t year;
    uint32_t month;
    uint32_t day;

    VT_ASSERT(anchor_day >= 1 && anchor_day <= 31);
    vt_civil_from_days(vt_floor_us(local_us, DAY_S * VT_US_PER_SECOND) / (DAY_S * VT_US_PER_SECOND),
                       &year, &month, &day);
    /* A clock that goes back over midnight can leave the instant before the start of its own local
     * month, hence the largest of three that is not after it. */
    for (int64_t step = 1; step > -1; step--) {
        int64_t start = anchored_start_us(zone, anchor_day, year * 12 + (int64_t)month - 1 + step);

        if (start <= us)
            return start;
    }
    return anchored_start_us(zone, anchor_day, year * 12 + (int64_t)month - 2);
}

int64_t
zone_period_next_us(const struct zone *zone, uint32_t anchor_day, int64_t start_us)
{
    int64_t day_us = DAY_S * VT_US_PER_SECOND;
    int64_t found = start_us;

    for (int64_t day = PROBE_DAYS; day < PROBE_DAYS_MAX && found <= start_us; day++)
        found = zone_period_start_us(zone, anchor_day, start_us + day * day_us);
    VT_ASSERT(found > start_us);
    return found;
}

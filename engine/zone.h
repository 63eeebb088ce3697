/*
 * zone.h - a time zone from the bytes of a TZif file (RFC 8536, with the rule for times after the
 * last transition), and the billing months in it. Offsets equal those of Python's zoneinfo.
 *
 * Memory: the arena's that zone_parse was given.
 * Thread: any; a zone is immutable.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"
#include "zone_rule.h"

struct zone {
    struct vt_str name;
    struct vt_bytes tzif;
    uint32_t transition_count;
    const int64_t *transition_s; /* UTC seconds, ascending */
    const int64_t
        *wall_s; /* of each transition, the later of its two readings of the local clock */
    const int32_t *offset_s; /* transition_count + 1: offset_s[0] before the first */
    struct vt_str rule;      /* POSIX TZ string for times after the last; empty: none */
    struct zone_rule after;  /* the rule, or the last offset for ever */
};

struct arena;

/* Copies what it keeps into the arena. VT_BAD_FORMAT with a detail, VT_NOMEM. */
VT_MUST_CHECK vt_err zone_parse(struct arena *arena, struct vt_str name, struct vt_bytes tzif,
                                struct zone *out_zone);

int32_t zone_offset_s(const struct zone *zone, int64_t utc_s);

/* The first instant of a local date, as Python's datetime(year, month, day, tzinfo).timestamp()
 * with fold 0 has it (a skipped midnight takes the offset before the transition). */
int64_t zone_local_midnight_us(const struct zone *zone, int64_t year, uint32_t month, uint32_t day);

/* Start of the billing month (anchor clamped to the month's length) that holds `us`: the last start
 * at or before it; and the first start after a start. */
int64_t zone_period_start_us(const struct zone *zone, uint32_t anchor_day, int64_t us);
int64_t zone_period_next_us(const struct zone *zone, uint32_t anchor_day, int64_t start_us);

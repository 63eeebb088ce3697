/*
 * zone_rule.h - the rule at the end of a TZif file: the POSIX TZ string as RFC 8536 section 3.3.1
 * has it ("EST5EDT,M3.2.0,M11.1.0"; hours of a rule from -167 to 167).
 *
 * Thread: any; a rule is a value.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

enum zone_day_kind {
    ZONE_DAY_WEEK = 1, /* Mm.w.d: weekday d of week w (5: the last) of month m */
    ZONE_DAY_JULIAN,   /* Jn: 1 to 365, 29 February is never counted */
    ZONE_DAY_OF_YEAR   /* n: 0 to 365 */
};

struct zone_change {
    enum zone_day_kind kind;
    uint32_t month;
    uint32_t week;
    uint32_t day;   /* of the week from Sunday, or of the year */
    int32_t time_s; /* from the day's midnight, local time before the change */
};

struct zone_rule {
    bool has_daylight;
    int32_t standard_s;
    int32_t daylight_s;
    struct zone_change start;
    struct zone_change end;
};

/* VT_BAD_FORMAT with a detail. */
VT_MUST_CHECK vt_err zone_rule_parse(struct vt_str text, struct zone_rule *out_rule);

/* Offset at an instant, and at a reading of the local clock (where it reads so twice, the
 * first). */
int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t utc_s);
int32_t zone_rule_local_offset_s(const struct zone_rule *rule, int64_t local_s);

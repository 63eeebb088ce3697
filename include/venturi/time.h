/*
 * time.h - the two kinds of time, which cannot be mixed: event time (a civil instant, microseconds
 * since 1970-01-01T00:00:00Z) and the monotonic clock (nanoseconds). Text is RFC 3339 as the
 * semantics say: strict, with a zone, digits beyond microseconds truncated.
 *
 * Thread: any; nothing here reads a clock.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

struct vt_utc {
    int64_t us;
};

struct vt_mono {
    int64_t ns;
};

#define VT_US_PER_SECOND INT64_C(1000000)

/* Events lie from year 2 to before 9999-01-01T00:00:00Z, both as microseconds. */
#define VT_EVENT_FIRST_US (INT64_C(-62104060800) * VT_US_PER_SECOND)
#define VT_EVENT_LAST_US  (INT64_C(253370764800) * VT_US_PER_SECOND - 1)

/* "2026-07-01T00:00:00.000001Z" and its terminator. */
#define VT_RFC3339_BYTES 32

/* Any time that the grammar allows and that lies, once in UTC, in the years 1 to 9999, also outside
 * the range of events (the caller judges that). VT_BAD_TIME for everything else. */
VT_MUST_CHECK vt_err vt_utc_parse(struct vt_str text, struct vt_utc *out_utc);

/* Writes at most VT_RFC3339_BYTES with the terminator, six digits of a second only where they are
 * not zero, and gives the length. Years outside 0 to 9999 come out with a sign or more digits. */
uint32_t vt_utc_format(struct vt_utc utc, char out_text[VT_RFC3339_BYTES]);

/* Days since 1970-01-01 of a proleptic Gregorian date, and back. Months are 1 to 12. */
int64_t vt_days_from_civil(int64_t year, uint32_t month, uint32_t day);
void vt_civil_from_days(int64_t days, int64_t *out_year, uint32_t *out_month, uint32_t *out_day);

/* Rounds towards minus infinity: the start of the window of `size_us` that holds `us`. */
static inline int64_t
vt_floor_us(int64_t us, int64_t size_us)
{
    int64_t rest = us % size_us;

    return us - (rest < 0 ? rest + size_us : rest);
}

/*
 * Goal:   times are read as the semantics say and written so that they are read back.
 * Method: a table of the grammar's edges; every day of 12,000 years both ways against a calendar
 * that
 *         counts day by day; random instants written and read back, the seed printed.
 */
#include "venturi/time.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "venturi/assert.h"

#define BAD INT64_MIN

static const struct time_case {
    const char *name;
    const char *text;
    int64_t want; /* BAD: refused */
} time_cases[] = {
    /* clang-format off */
    { "the epoch",                 "1970-01-01T00:00:00Z", 0 },
    { "small t and z",             "1970-01-01t00:00:00z", 0 },
    { "a space",                   "1970-01-01 00:00:01Z", 1000000 },
    { "before the epoch",          "1969-12-31T23:59:59.999999Z", -1 },
    { "a leap day",                "2024-02-29T00:00:00Z", INT64_C(1709164800000000) },
    { "a leap day of a century",   "2000-02-29T00:00:00Z", INT64_C(951782400000000) },
    { "no leap day",               "2023-02-29T00:00:00Z", BAD },
    { "no leap day in 1900",       "1900-02-29T00:00:00Z", BAD },
    { "April has 30 days",         "2026-04-31T00:00:00Z", BAD },
    { "December has 31",           "2026-12-31T23:59:59Z", INT64_C(1798761599000000) },
    { "day 0",                     "2026-01-00T00:00:00Z", BAD },
    { "month 0",                   "2026-00-01T00:00:00Z", BAD },
    { "month 13",                  "2026-13-01T00:00:00Z", BAD },
    { "one digit of a fraction",   "1970-01-01T00:00:00.5Z", 500000 },
    { "six digits",                "1970-01-01T00:00:00.000001Z", 1 },
    { "seven: truncated",          "1970-01-01T00:00:00.0000019Z", 1 },
    { "truncated before 1970 too", "1969-12-31T23:59:59.9999999Z", -1 },
    { "forty digits", "1970-01-01T00:00:00.1234567890123456789012345678901234567890Z", 123456 },
    { "a point without digits",    "1970-01-01T00:00:00.Z", BAD },
    { "a comma",                   "1970-01-01T00:00:00,5Z", BAD },
    { "east is earlier",           "1970-01-01T01:00:00+01:00", 0 },
    { "west is later",             "1969-12-31T23:30:00-00:30", 0 },
    { "minus zero",                "1970-01-01T00:00:00-00:00", 0 },
    { "the greatest offset",       "1970-01-01T23:59:00+23:59", 0 },
    { "offset 24:00",              "1970-01-01T00:00:00+24:00", BAD },
    { "offset 00:60",              "1970-01-01T00:00:00+00:60", BAD },
    { "offset without colon",      "1970-01-01T00:00:00+0100", BAD },
    { "offset of hours only",      "1970-01-01T00:00:00+01", BAD },
    { "offset with seconds",       "1970-01-01T00:00:00+01:00:00", BAD },
    { "a fraction and an offset",  "1970-01-01T01:00:00.25+01:00", 250000 },
    { "no zone",                   "1970-01-01T00:00:00", BAD },
    { "no zone, a fraction",       "1970-01-01T00:00:00.5", BAD },
    { "second 60",                 "2016-12-31T23:59:60Z", BAD },
    { "minute 60",                 "1970-01-01T00:60:00Z", BAD },
    { "hour 24",                   "1970-01-01T24:00:00Z", BAD },
    { "no seconds",                "1970-01-01T00:00Z", BAD },
    { "a date",                    "1970-01-01", BAD },
    { "empty",                     "", BAD },
    { "leading space",             " 1970-01-01T00:00:00Z", BAD },
    { "trailing space",            "1970-01-01T00:00:00Z ", BAD },
    { "trailing letter",           "1970-01-01T00:00:00ZZ", BAD },
    { "another separator",         "1970-01-01_00:00:00Z", BAD },
    { "a year of five digits",     "10000-01-01T00:00:00Z", BAD },
    { "a year of two digits",      "70-01-01T00:00:00Z", BAD },
    { "a negative year",           "-001-01-01T00:00:00Z", BAD },
    { "a sign among digits",       "1970-+1-01T00:00:00Z", BAD },
    { "integer",                   "0", BAD },
    { "year 0",                    "0000-12-31T23:59:59Z", BAD },
    { "year 1",                    "0001-01-01T00:00:00Z", INT64_C(-62135596800000000) },
    { "year 1, carried below it",  "0001-01-01T00:00:00+00:01", BAD },
    { "year 2",                    "0002-01-01T00:00:00Z", VT_EVENT_FIRST_US },
    { "the last event",            "9998-12-31T23:59:59.999999Z", VT_EVENT_LAST_US },
    { "the last instant",          "9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999) },
    { "year 9999, carried beyond", "9999-12-31T23:59:59-00:01", BAD },
    /* clang-format on */
};

Test(time, parse_follows_the_grammar, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(time_cases); i++) {
        const struct time_case *c = &time_cases[i];
        struct vt_utc utc = {77};
        vt_err err = vt_utc_parse((struct vt_str){c->text, (uint32_t)strlen(c->text)}, &utc);

        cr_expect(err == (c->want == BAD ? VT_BAD_TIME : VT_OK), "%s: %s", c->name,
                  vt_err_name(err));
        cr_expect(utc.us == (c->want == BAD ? 77 : c->want), "%s: %lld", c->name,
                  (long long)utc.us);
    }
}

Test(time, parse_reads_nothing_behind_its_text, .timeout = 5)
{
    const char text[] = "2026-07-01T12:34:56.123456+01:00";

    /* Each prefix in a block of its own, so that a read too far is seen by a sanitizer. */
    for (uint32_t size = 0; size < sizeof text; size++) {
        char *copy = malloc(size + (size == 0));
        struct vt_utc utc;

        cr_assert_not_null(copy);
        memcpy(copy, text, size);
        vt_err err = vt_utc_parse((struct vt_str){copy, size}, &utc);
        cr_expect((err == VT_OK) == (size == sizeof text - 1), "%u characters", size);
        free(copy);
    }
}

static const struct format_case {
    int64_t us;
    const char *want;
} format_cases[] = {
    {0, "1970-01-01T00:00:00Z"},
    {1, "1970-01-01T00:00:00.000001Z"},
    {-1, "1969-12-31T23:59:59.999999Z"},
    {120000, "1970-01-01T00:00:00.120000Z"},
    {INT64_C(951782400000000), "2000-02-29T00:00:00Z"},
    {INT64_C(-62135596800000000), "0001-01-01T00:00:00Z"},
    {VT_EVENT_FIRST_US, "0002-01-01T00:00:00Z"},
    {VT_EVENT_LAST_US, "9998-12-31T23:59:59.999999Z"},
    {INT64_MAX, "294247-01-10T04:00:54.775807Z"},
    {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
};

Test(time, format_is_total, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(format_cases); i++) {
        char text[VT_RFC3339_BYTES];
        uint32_t size = vt_utc_format((struct vt_utc){format_cases[i].us}, text);

        cr_expect_str_eq(text, format_cases[i].want);
        cr_expect(size == strlen(text));
    }
}

Test(time, days_and_dates_follow_the_calendar, .timeout = 30)
{
    static const uint32_t days_of[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = vt_days_from_civil(-1000, 1, 1);

    for (int64_t year = -1000; year < 11000; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        for (uint32_t month = 1; month <= 12; month++) {
            uint32_t last = days_of[month - 1] + (leap && month == 2 ? 1 : 0);

            for (uint32_t day = 1; day <= last; day++, days++) {
                int64_t y;
                uint32_t m;
                uint32_t d;

                cr_assert(vt_days_from_civil(year, month, day) == days);
                vt_civil_from_days(days, &y, &m, &d);
                cr_assert(y == year && m == month && d == day);
            }
        }
    }
    cr_expect(vt_days_from_civil(1970, 1, 1) == 0);
}

Test(time, what_is_written_is_read_back, .timeout = 30)
{
    uint64_t x = (uint64_t)time(NULL) * UINT64_C(0x9E3779B97F4A7C15) | 1;

    printf("seed %llu\n", (unsigned long long)x);
    for (int i = 0; i < 200000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        int64_t us =
            VT_EVENT_FIRST_US + (int64_t)(x % (uint64_t)(VT_EVENT_LAST_US - VT_EVENT_FIRST_US + 1));
        char text[VT_RFC3339_BYTES];
        struct vt_utc back = {0};

        if (i % 3 == 0)
            us -= us % VT_US_PER_SECOND;
        uint32_t size = vt_utc_format((struct vt_utc){us}, text);

        cr_assert(vt_utc_parse((struct vt_str){text, size}, &back) == VT_OK, "%s", text);
        cr_assert(back.us == us, "%s", text);
    }
}

Test(time, windows_floor_towards_the_past, .timeout = 5)
{
    cr_expect(vt_floor_us(59, 60) == 0);
    cr_expect(vt_floor_us(60, 60) == 60);
    cr_expect(vt_floor_us(-1, 60) == -60);
    cr_expect(vt_floor_us(-60, 60) == -60);
    cr_expect(vt_floor_us(-61, 60) == -120);
}

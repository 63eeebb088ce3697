/* zone_rule.c - see zone_rule.h. */
#include "zone_rule.h"

#include "venturi/assert.h"
#include "venturi/time.h"

#define DAY_S             INT64_C(86400)
#define OFFSET_HOURS_MAX  24
#define TIME_HOURS_MAX    167
#define NAME_BYTES_MIN    1
#define DEFAULT_CHANGE_S  7200 /* 02:00 */
#define DEFAULT_FORWARD_S 3600

/* Reads through the text; the first thing that does not fit sets `bad`. */
struct rule_cursor {
    const char *at;
    const char *end;
    bool bad;
};

static bool
rule_next_is(const struct rule_cursor *cursor, char c)
{
    return cursor->at < cursor->end && *cursor->at == c;
}

static bool
rule_take(struct rule_cursor *cursor, char c)
{
    if (!rule_next_is(cursor, c))
        return false;
    cursor->at++;
    return true;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static uint32_t
rule_number(struct rule_cursor *cursor, uint32_t digits_max)
{
    uint32_t value = 0;
    uint32_t digits = 0;

    while (cursor->at < cursor->end && is_digit(*cursor->at) && digits < digits_max) {
        value = value * 10 + (uint32_t)(*cursor->at++ - '0');
        digits++;
    }
    if (digits == 0)
        cursor->bad = true;
    return value;
}

/* A zone's abbreviation: letters, or anything of [A-Za-z0-9+-] in angle brackets. */
static void
rule_skip_name(struct rule_cursor *cursor)
{
    bool quoted = rule_take(cursor, '<');
    const char *begin = cursor->at;

    while (cursor->at < cursor->end &&
           (is_letter(*cursor->at) ||
            (quoted && (is_digit(*cursor->at) || *cursor->at == '+' || *cursor->at == '-'))))
        cursor->at++;
    if (cursor->at - begin < NAME_BYTES_MIN || (quoted && !rule_take(cursor, '>')))
        cursor->bad = true;
}

/* [+-]h[hh][:mm[:ss]] in seconds. */
static int32_t
rule_time(struct rule_cursor *cursor, uint32_t hours_max)
{
    bool minus = rule_take(cursor, '-');
    uint32_t minutes = 0;
    uint32_t seconds = 0;

    if (!minus)
        (void)rule_take(cursor, '+');
    uint32_t hours = rule_number(cursor, 3);

    if (rule_take(cursor, ':')) {
        minutes = rule_number(cursor, 2);
        if (rule_take(cursor, ':'))
            seconds = rule_number(cursor, 2);
    }
    if (hours > hours_max || minutes > 59 || seconds > 59)
        cursor->bad = true;
    if (cursor->bad)
        return 0;
    int32_t value = (int32_t)(hours * 3600 + minutes * 60 + seconds);

    return minus ? -value : value;
}

static void
rule_change(struct rule_cursor *cursor, struct zone_change *out_change)
{
    struct zone_change change = {.time_s = DEFAULT_CHANGE_S};

    if (!rule_take(cursor, ','))
        cursor->bad = true;
    if (rule_take(cursor, 'M')) {
        change.kind = ZONE_DAY_WEEK;
        change.month = rule_number(cursor, 2);
        cursor->bad |= !rule_take(cursor, '.');
        change.week = rule_number(cursor, 1);
        cursor->bad |= !rule_take(cursor, '.');
        change.day = rule_number(cursor, 1);
        if (change.month < 1 || change.month > 12 || change.week < 1 || change.week > 5 ||
            change.day > 6)
            cursor->bad = true;
    } else {
        change.kind = rule_take(cursor, 'J') ? ZONE_DAY_JULIAN : ZONE_DAY_OF_YEAR;
        change.day = rule_number(cursor, 3);
        if (change.day > 365 || (change.kind == ZONE_DAY_JULIAN && change.day == 0))
            cursor->bad = true;
    }
    if (rule_take(cursor, '/'))
        change.time_s = rule_time(cursor, TIME_HOURS_MAX);
    *out_change = change;
}

vt_err
zone_rule_parse(struct vt_str text, struct zone_rule *out_rule)
{
    struct rule_cursor cursor = {text.data, text.data, false};
    struct zone_rule rule = {.has_daylight = false};

    if (text.size > 0)
        cursor.end = text.data + text.size;
    rule_skip_name(&cursor);
    /* POSIX counts hours west of Greenwich. */
    rule.standard_s = -rule_time(&cursor, OFFSET_HOURS_MAX);
    rule.daylight_s = rule.standard_s;
    if (!cursor.bad && cursor.at < cursor.end) {
        rule.has_daylight = true;
        rule_skip_name(&cursor);
        rule.daylight_s = rule_next_is(&cursor, ',') ? rule.standard_s + DEFAULT_FORWARD_S
                                                     : -rule_time(&cursor, OFFSET_HOURS_MAX);
        rule_change(&cursor, &rule.start);
        rule_change(&cursor, &rule.end);
    }
    if (rule.standard_s <= -DAY_S || rule.standard_s >= DAY_S || rule.daylight_s <= -DAY_S ||
        rule.daylight_s >= DAY_S)
        cursor.bad = true;
    if (cursor.bad || cursor.at != cursor.end)
        return vt_err_detail(VT_BAD_FORMAT, "no rule of a time zone: '%.*s'",
                             text.size > 64 ? 64 : (int)text.size, text.size > 0 ? text.data : "");
    *out_rule = rule;
    return VT_OK;
}

static bool
is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since 1970 of weekday `day` in week `week` of a month. */
static int64_t
week_day(const struct zone_change *change, int64_t year)
{
    int64_t first = vt_days_from_civil(year, change->month, 1);
    int64_t next = change->month == 12 ? vt_days_from_civil(year + 1, 1, 1)
                                       : vt_days_from_civil(year, change->month + 1, 1);
    /* 1970-01-01 was a Thursday, 4 counted from Sunday. */
    int64_t weekday = ((first + 4) % 7 + 7) % 7;
    int64_t day =
        first + ((int64_t)change->day - weekday + 7) % 7 + (int64_t)(change->week - 1) * 7;

    return day >= next ? day - 7 : day;
}

/* Seconds since 1970 on the clock that is in force before the change. */
static int64_t
change_s(const struct zone_change *change, int64_t year)
{
    int64_t day = 0;

    switch (change->kind) {
    case ZONE_DAY_WEEK:
        day = week_day(change, year);
        break;
    case ZONE_DAY_JULIAN:
        day = vt_days_from_civil(year, 1, 1) + (int64_t)change->day - 1;
        if (change->day >= 60 && is_leap(year))
            day++;
        break;
    case ZONE_DAY_OF_YEAR:
        day = vt_days_from_civil(year, 1, 1) + (int64_t)change->day;
        break;
    }
    return day * DAY_S + change->time_s;
}

static int64_t
year_of(int64_t seconds)
{
    int64_t year;
    uint32_t month;
    uint32_t day;
    int64_t days = seconds / DAY_S - (seconds % DAY_S < 0 ? 1 : 0);

    vt_civil_from_days(days, &year, &month, &day);
    return year;
}

static int32_t
offset_between(const struct zone_rule *rule, int64_t start, int64_t end, int64_t at)
{
    bool daylight = start < end ? start <= at && at < end : !(end <= at && at < start);

    return daylight ? rule->daylight_s : rule->standard_s;
}

int32_t
zone_rule_offset_s(const struct zone_rule *rule, int64_t utc_s)
{
    if (!rule->has_daylight)
        return rule->standard_s;
    int64_t year = year_of(utc_s);

    return offset_between(rule, change_s(&rule->start, year) - rule->standard_s,
                          change_s(&rule->end, year) - rule->daylight_s, utc_s);
}

int32_t
zone_rule_local_offset_s(const struct zone_rule *rule, int64_t local_s)
{
    if (!rule->has_daylight)
        return rule->standard_s;
    int64_t year = year_of(local_s);
    int64_t forward = (int64_t)rule->daylight_s - rule->standard_s;
    int64_t start = change_s(&rule->start, year);
    int64_t end = change_s(&rule->end, year);

    /* Of two readings the first: the larger offset lasts from the end of the gap to the end of the
     * time that comes twice. */
    if (forward >= 0)
        start += forward;
    else
        end -= forward;
    return offset_between(rule, start, end, local_s);
}

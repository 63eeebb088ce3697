#include "venturi/time.h"

#include <stdbool.h>
#include <stdio.h>

#include "venturi/assert.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define DAYS_PER_ERA    INT64_C(146097) /* 400 years */
#define YEAR_FIRST      1
#define YEAR_LAST       9999

/* Both directions after H. Hinnant, "chrono-compatible low-level date algorithms" (2013): years
 * begin in March, so that the leap day comes last; eras are 400 years. */
int64_t
vt_days_from_civil(int64_t year, uint32_t month, uint32_t day)
{
    VT_ASSERT(month >= 1 && month <= 12);
    VT_ASSERT(day >= 1 && day <= 31);

    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t month_from_march = month > 2 ? (int64_t)month - 3 : (int64_t)month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_ERA + day_of_era - 719468;
}

void
vt_civil_from_days(int64_t days, int64_t *out_year, uint32_t *out_month, uint32_t *out_day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = z - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

    VT_ASSERT(month >= 1 && month <= 12);
    *out_year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    *out_month = (uint32_t)month;
    *out_day = (uint32_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
}

static uint32_t
days_in_month(int64_t year, uint32_t month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    VT_ASSERT(month >= 1 && month <= 12);
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads `count` digits; false where one of them is none. */
static bool
digits_read(const char *at, uint32_t count, uint32_t *out_value)
{
    uint32_t value = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!is_digit(at[i]))
            return false;
        value = value * 10 + (uint32_t)(at[i] - '0');
    }
    *out_value = value;
    return true;
}

/* `yyyy-mm-ddThh:mm:ss`, 19 characters, to seconds. */
static bool
civil_parse(const char *at, int64_t *out_seconds)
{
    uint32_t year;
    uint32_t month;
    uint32_t day;
    uint32_t hour;
    uint32_t minute;
    uint32_t second;

    if (!digits_read(at, 4, &year) || at[4] != '-' || !digits_read(at + 5, 2, &month) ||
        at[7] != '-' || !digits_read(at + 8, 2, &day))
        return false;
    if (at[10] != 'T' && at[10] != 't' && at[10] != ' ')
        return false;
    if (!digits_read(at + 11, 2, &hour) || at[13] != ':' || !digits_read(at + 14, 2, &minute) ||
        at[16] != ':' || !digits_read(at + 17, 2, &second))
        return false;
    if (year < YEAR_FIRST || month < 1 || month > 12)
        return false;
    if (day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    *out_seconds = vt_days_from_civil(year, month, day) * SECONDS_PER_DAY + (int64_t)hour * 3600 +
                   (int64_t)minute * 60 + second;
    return true;
}

/* The rest of the text is exactly `Z`, `z` or `+hh:mm`. */
static bool
zone_parse(const char *at, uint32_t size, int64_t *out_offset_seconds)
{
    uint32_t hours;
    uint32_t minutes;

    if (size == 1 && (at[0] == 'Z' || at[0] == 'z')) {
        *out_offset_seconds = 0;
        return true;
    }
    if (size != 6 || (at[0] != '+' && at[0] != '-') || at[3] != ':')
        return false;
    if (!digits_read(at + 1, 2, &hours) || !digits_read(at + 4, 2, &minutes))
        return false;
    if (hours > 23 || minutes > 59)
        return false;
    int64_t offset = (int64_t)hours * 3600 + (int64_t)minutes * 60;

    *out_offset_seconds = at[0] == '-' ? -offset : offset;
    return true;
}

vt_err
vt_utc_parse(struct vt_str text, struct vt_utc *out_utc)
{
    int64_t seconds;
    int64_t offset;
    int64_t us = 0;
    uint32_t i = 19;

    if (text.size < 20 || !civil_parse(text.data, &seconds))
        return VT_BAD_TIME;
    if (text.data[i] == '.') {
        uint32_t first = ++i;
        int64_t unit = VT_US_PER_SECOND / 10;

        for (; i < text.size && is_digit(text.data[i]); i++, unit /= 10)
            us += (text.data[i] - '0') * unit; /* the unit becomes 0: truncation */
        if (i == first)
            return VT_BAD_TIME;
    }
    if (!zone_parse(text.data + i, text.size - i, &offset))
        return VT_BAD_TIME;
    seconds -= offset;
    /* An offset may carry an instant out of the years that can be written. */
    if (seconds < vt_days_from_civil(YEAR_FIRST, 1, 1) * SECONDS_PER_DAY ||
        seconds >= vt_days_from_civil(YEAR_LAST + 1, 1, 1) * SECONDS_PER_DAY)
        return VT_BAD_TIME;
    out_utc->us = seconds * VT_US_PER_SECOND + us;
    return VT_OK;
}

uint32_t
vt_utc_format(struct vt_utc utc, char out_text[VT_RFC3339_BYTES])
{
    int64_t year;
    uint32_t month;
    uint32_t day;
    int64_t us_of_day = utc.us % (SECONDS_PER_DAY * VT_US_PER_SECOND);
    int64_t days = utc.us / (SECONDS_PER_DAY * VT_US_PER_SECOND);

    if (us_of_day < 0) {
        us_of_day += SECONDS_PER_DAY * VT_US_PER_SECOND;
        days -= 1;
    }
    vt_civil_from_days(days, &year, &month, &day);
    int64_t second = us_of_day / VT_US_PER_SECOND;
    int64_t us = us_of_day % VT_US_PER_SECOND;
    int size = snprintf(out_text, VT_RFC3339_BYTES, "%04lld-%02u-%02uT%02u:%02u:%02u",
                        (long long)year, month, day, (unsigned)(second / 3600),
                        (unsigned)(second / 60 % 60), (unsigned)(second % 60));

    VT_ASSERT(size > 0 && size < VT_RFC3339_BYTES);
    uint32_t used = (uint32_t)size;

    if (us != 0)
        size = snprintf(out_text + used, VT_RFC3339_BYTES - used, ".%06uZ", (unsigned)us);
    else
        size = snprintf(out_text + used, VT_RFC3339_BYTES - used, "Z");
    VT_ASSERT(size > 0 && (uint32_t)size < VT_RFC3339_BYTES - used);
    return used + (uint32_t)size;
}

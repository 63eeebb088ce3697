/*
 * Goal:   time-zone files are read within their bounds and mean what RFC 8536 says; billing months
 *         begin at the first instant of a local date. (tests/prop/zones.py compares with Python
 *         over all zones.)
 * Method: rules by a table; files built here byte by byte; every cut of a good file; instants of
 *         the system's zones where clocks do odd things.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "venturi/assert.h"
#include "venturi/time.h"
#include "zone.h"
#include "zones.h"

#define HOUR 3600
#define DAY  86400

static struct vt_str
str(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

static int64_t
us(const char *text)
{
    struct vt_utc utc = {0};

    cr_assert_eq(vt_utc_parse(str(text), &utc), VT_OK, "%s", text);
    return utc.us;
}

static int64_t
seconds(const char *text)
{
    return us(text) / VT_US_PER_SECOND;
}

/* ---------------------------------------------------------------- rules */

static const struct {
    const char *rule;
    const char *at;
    int32_t offset_s; /* INT32_MAX: refused */
} rules[] = {
    /* clang-format off */
    { "UTC0", "2024-07-01T00:00:00Z", 0 },
    { "EST5", "2024-07-01T00:00:00Z", -5 * HOUR },
    { "<+0530>-5:30", "2024-07-01T00:00:00Z", 5 * HOUR + HOUR / 2 },
    { "LMT-0:17:30", "2024-07-01T00:00:00Z", 1050 },
    { "EST5EDT,M3.2.0,M11.1.0", "2024-03-10T06:59:59Z", -5 * HOUR },
    { "EST5EDT,M3.2.0,M11.1.0", "2024-03-10T07:00:00Z", -4 * HOUR },
    { "EST5EDT,M3.2.0,M11.1.0", "2024-11-03T05:59:59Z", -4 * HOUR },
    { "EST5EDT,M3.2.0,M11.1.0", "2024-11-03T06:00:00Z", -5 * HOUR },
    { "NZST-12NZDT,M9.5.0,M4.1.0/3", "2024-01-01T00:00:00Z", 13 * HOUR },
    { "NZST-12NZDT,M9.5.0,M4.1.0/3", "2024-04-06T13:59:59Z", 13 * HOUR },
    { "NZST-12NZDT,M9.5.0,M4.1.0/3", "2024-04-06T14:00:00Z", 12 * HOUR },
    { "CET-1CEST,M3.5.0,M10.5.0/3", "2023-03-26T00:59:59Z", HOUR },
    { "CET-1CEST,M3.5.0,M10.5.0/3", "2023-03-26T01:00:00Z", 2 * HOUR },
    { "CET-1CEST,M3.5.0,M10.5.0/3", "2024-10-27T01:00:00Z", HOUR },
    { "IST-1GMT0,M10.5.0,M3.5.0/1", "2024-07-01T00:00:00Z", HOUR },
    { "IST-1GMT0,M10.5.0,M3.5.0/1", "2024-12-01T00:00:00Z", 0 },
    { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T00:59:59Z", -2 * HOUR },
    { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00Z", -HOUR },
    { "EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-03-29T23:59:59Z", 2 * HOUR },
    { "EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-03-30T00:00:00Z", 3 * HOUR },
    { "AAA0BBB,J60/0,J300/0", "2024-02-29T23:59:59Z", 0 },
    { "AAA0BBB,J60/0,J300/0", "2024-03-01T00:00:00Z", HOUR },
    { "AAA0BBB,59/0,J300/0", "2024-02-28T23:59:59Z", 0 },
    { "AAA0BBB,59/0,J300/0", "2024-02-29T00:00:00Z", HOUR },
    { "", "2024-01-01T00:00:00Z", INT32_MAX },
    { "UTC", "2024-01-01T00:00:00Z", INT32_MAX },
    { "UTC25", "2024-01-01T00:00:00Z", INT32_MAX },
    { "UTC24", "2024-01-01T00:00:00Z", INT32_MAX },
    { "UTC0 ", "2024-01-01T00:00:00Z", INT32_MAX },
    { "UTC0:60", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,M3.2.0", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,M13.2.0,M11.1.0", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,M3.0.0,M11.1.0", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,M3.6.0,M11.1.0", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,M3.2.7,M11.1.0", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,M3.2.0/168,M11.1.0", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,J0,J366", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,366,J1", "2024-01-01T00:00:00Z", INT32_MAX },
    { "EST5EDT,M3.2.0,M11.1.0,", "2024-01-01T00:00:00Z", INT32_MAX },
    { "<+05-5", "2024-01-01T00:00:00Z", INT32_MAX },
    /* clang-format on */
};

Test(zone, a_rule_says_the_offset, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(rules); i++) {
        struct zone_rule rule;
        vt_err err = zone_rule_parse(str(rules[i].rule), &rule);

        vt_err_clear();
        cr_expect_eq(err, rules[i].offset_s == INT32_MAX ? VT_BAD_FORMAT : VT_OK, "'%s': %s",
                     rules[i].rule, vt_err_name(err));
        if (err != VT_OK)
            continue;
        int32_t offset_s = zone_rule_offset_s(&rule, seconds(rules[i].at));

        cr_expect_eq(offset_s, rules[i].offset_s, "'%s' at %s: %d", rules[i].rule, rules[i].at,
                     offset_s);
    }
}

/* ---------------------------------------------------------------- files */

/* Version 2 with an empty first block: one transition at 1970-01-02 from +1 h to +2 h, rule
 * CCC-2. */
#define ZEROS4        "\0\0\0\0"
#define ZEROS15       ZEROS4 ZEROS4 ZEROS4 "\0\0\0"
#define FIRST_BLOCK   "TZif2" ZEROS15 ZEROS4 ZEROS4 ZEROS4 ZEROS4 "\0\0\0\1\0\0\0\1" ZEROS4 "\0\0\0"
#define SECOND_HEADER "TZif2" ZEROS15 ZEROS4 ZEROS4 ZEROS4 "\0\0\0\1\0\0\0\2\0\0\0\4"
#define SECOND_BODY                                         \
    ZEROS4 "\0\1\x51\x80\1\0\0\x0E\x10\0\0\0\0\x1C\x20\0\0" \
           "CCC\0"

static const char small_zone[] = FIRST_BLOCK SECOND_HEADER SECOND_BODY "\nCCC-2\n";
#define SMALL_BYTES (sizeof small_zone - 1)
#define SECOND_AT   (sizeof FIRST_BLOCK - 1)

/* A copy of exactly `size` bytes, so that a read behind it is seen. */
static vt_err
parse_copy(const char *bytes, size_t size, struct arena *arena, struct zone *out_zone)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    vt_err_clear();
    vt_err err = zone_parse(arena, VT_STR("Test/Small"), (struct vt_bytes){copy, size}, out_zone);

    free(copy);
    return err;
}

Test(zone, reads_a_file_and_keeps_a_copy, .timeout = 5)
{
    struct arena arena;
    struct zone zone;

    arena_init(&arena, 4096);
    cr_assert_eq(parse_copy(small_zone, SMALL_BYTES, &arena, &zone), VT_OK, "%s", vt_err_last());
    cr_expect_eq(zone.transition_count, 1);
    cr_expect_eq(zone_offset_s(&zone, DAY - 1), HOUR);
    cr_expect_eq(zone_offset_s(&zone, DAY), 2 * HOUR);
    cr_expect_eq(zone_offset_s(&zone, INT64_C(100) * 366 * DAY), 2 * HOUR);
    cr_expect_eq(zone_offset_s(&zone, -INT64_C(1000) * 366 * DAY), HOUR);
    cr_expect_eq(zone.tzif.size, SMALL_BYTES);
    cr_expect(memcmp(zone.tzif.data, small_zone, SMALL_BYTES) == 0);
    cr_expect(vt_str_equal(zone.rule, VT_STR("CCC-2")));
    arena_deinit(&arena);
}

Test(zone, every_cut_of_a_file_is_refused, .timeout = 20)
{
    struct arena arena;
    struct zone zone;

    arena_init(&arena, 4096);
    for (size_t size = 0; size < SMALL_BYTES; size++)
        cr_expect_eq(parse_copy(small_zone, size, &arena, &zone), VT_BAD_FORMAT, "%zu bytes", size);
    arena_deinit(&arena);
}

static const struct {
    const char *name;
    size_t at;
    uint8_t put;
} damages[] = {
    /* clang-format off */
    { "magic",                       0, 'X' },
    { "version 1 by number",         4, 1 },
    { "magic of the second block",   SECOND_AT, 'X' },
    { "version of the second block", SECOND_AT + 4, 0 },
    { "2^24 indicators",             SECOND_AT + 20, 1 },
    { "2^31 transitions",            SECOND_AT + 32, 0x80 },
    { "no types",                    SECOND_AT + 39, 0 },
    { "257 types",                   SECOND_AT + 38, 1 },
    { "a transition after 2^60",     SECOND_AT + 44, 0x7F },
    { "an unknown type",             SECOND_AT + 52, 2 },
    { "an offset of years",          SECOND_AT + 53, 0x7F },
    { "an offset of years back",     SECOND_AT + 59, 0x80 },
    { "no newline before the rule",  SECOND_AT + 69, ' ' },
    { "no newline after the rule",   SMALL_BYTES - 1, '2' },
    { "no rule that is known",       SECOND_AT + 73, '?' },
    /* clang-format on */
};

Test(zone, names_each_damage_as_such, .timeout = 5)
{
    struct arena arena;
    struct zone zone;
    char bytes[SMALL_BYTES];

    arena_init(&arena, 4096);
    for (size_t i = 0; i < VT_COUNT(damages); i++) {
        memcpy(bytes, small_zone, SMALL_BYTES);
        bytes[damages[i].at] = (char)damages[i].put;
        vt_err err = parse_copy(bytes, SMALL_BYTES, &arena, &zone);

        cr_expect_eq(err, VT_BAD_FORMAT, "%s: %s", damages[i].name, vt_err_name(err));
        cr_expect_str_neq(vt_err_last(), "", "%s", damages[i].name);
    }
    arena_deinit(&arena);
}

/* ---------------------------------------------------------------- billing months */

static const struct {
    const char *zone;
    uint32_t anchor;
    const char *at;
    const char *start;
    const char *next;
} periods[] = {
    /* clang-format off */
    { "Etc/UTC", 1, "2024-02-29T23:59:59.999999Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z" },
    { "Etc/UTC", 1, "2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z", "2024-04-01T00:00:00Z" },
    { "Etc/UTC", 31, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z" },
    { "Etc/UTC", 31, "2024-02-28T23:59:59Z", "2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z" },
    { "Etc/UTC", 30, "1969-12-31T23:59:59.5Z", "1969-12-30T00:00:00Z", "1970-01-30T00:00:00Z" },
    { "Europe/Berlin", 1, "2024-03-31T21:59:59Z", "2024-02-29T23:00:00Z", "2024-03-31T22:00:00Z" },
    /* The clock goes from 00:01 on the first back to 23:01: the instant lies in October by its
     * local date and in November by the start that it has passed. */
    { "America/St_Johns", 1, "2009-11-01T03:00:00Z", "2009-11-01T02:30:00Z",
      "2009-12-01T03:30:00Z" },
    /* Apia had no 30 December 2011. */
    { "Pacific/Apia", 30, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2012-01-29T10:00:00Z" },
    { "Pacific/Apia", 31, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2012-01-30T10:00:00Z" },
    /* Midnight twice, and no midnight. */
    { "America/Havana", 5, "2023-11-05T04:30:00Z", "2023-11-05T04:00:00Z", "2023-12-05T05:00:00Z" },
    { "Africa/Cairo", 26, "2024-04-25T22:00:00Z", "2024-04-25T22:00:00Z", "2024-05-25T21:00:00Z" },
    { "America/Sao_Paulo", 15, "2017-10-15T03:00:00Z", "2017-10-15T03:00:00Z",
      "2017-11-15T02:00:00Z" },
    { "Etc/UTC", 31, "9998-12-31T23:59:59Z", "9998-12-31T00:00:00Z", "9999-01-31T00:00:00Z" },
    /* clang-format on */
};

Test(zone, billing_months_begin_at_local_midnight, .timeout = 10)
{
    struct zones *files;
    struct arena arena;

    cr_assert_eq(zones_open(&files), VT_OK);
    struct catalog_zones source = zones_source(files);

    arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < VT_COUNT(periods); i++) {
        struct vt_bytes tzif;
        struct zone zone;
        char text[2][VT_RFC3339_BYTES];

        cr_assert_eq(source.read(source.context, str(periods[i].zone), &tzif), VT_OK);
        cr_assert_eq(zone_parse(&arena, str(periods[i].zone), tzif, &zone), VT_OK);
        int64_t start = zone_period_start_us(&zone, periods[i].anchor, us(periods[i].at));

        vt_utc_format((struct vt_utc){start}, text[0]);
        vt_utc_format((struct vt_utc){zone_period_next_us(&zone, periods[i].anchor, start)},
                      text[1]);
        cr_expect_str_eq(text[0], periods[i].start, "%s %u at %s starts %s", periods[i].zone,
                         periods[i].anchor, periods[i].at, text[0]);
        cr_expect_str_eq(text[1], periods[i].next, "%s %u at %s: next %s", periods[i].zone,
                         periods[i].anchor, periods[i].at, text[1]);
    }
    arena_deinit(&arena);
    zones_close(files);
}

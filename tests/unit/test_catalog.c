/*
 * Goal:   a catalog means what the semantics say, and every contract, charge and meter comes out
 *         right.
 * Method: catalogs of a few lines, read and looked at; the catalog of the demo from its file.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "venturi/assert.h"
#include "zone.h"
#include "zones.h"

static struct zones *files;

static void
setup(void)
{
    cr_assert_eq(zones_open(&files), VT_OK);
}

static void
teardown(void)
{
    zones_close(files);
}

TestSuite(catalog, .init = setup, .fini = teardown, .timeout = 20);

static struct vt_str
str(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

static struct catalog *
load(const char *text)
{
    struct catalog_zones zones = zones_source(files);
    struct catalog *catalog = NULL;
    vt_err err = catalog_load(str(text), &zones, &catalog);

    cr_assert(err == VT_OK, "%s: %s", vt_err_name(err), vt_err_last());
    return catalog;
}

#define HEAD                                                                                     \
    "{\"event_types\": [{\"type\": \"t\", \"fields\": [{\"name\": \"d\", \"kind\": \"string\"}," \
    " {\"name\": \"e\", \"kind\": \"string\"},"                                                  \
    " {\"name\": \"q\", \"kind\": \"decimal\", \"scale\": 2}]}],"                                \
    " \"meters\": [{\"key\": \"m\", \"event_type\": \"t\", \"aggregation\": \"sum\","            \
    " \"field\": \"q\", \"window\": \"1h\", \"grace\": \"90s\"},"                                \
    " {\"key\": \"top\", \"event_type\": \"t\", \"aggregation\": \"max\","                       \
    " \"field\": \"q\", \"window\": \"1d\", \"group_by\": [\"e\"]}],"                            \
    " \"tenants\": [{\"key\": \"a\", \"tax\": {\"x\": [1, 2]}}, {\"key\": \"b\", \"name\": "     \
    "\"B\"}]"
#define PLAN(charges)                                                       \
    ", \"plans\": [{\"key\": \"p\", \"version\": 1, \"currency\": \"USD\"," \
    " \"effective_from\": \"2024-01-01T00:00:00Z\", \"charges\": [" charges "]}]"
#define NO_CONTRACT ", \"contracts\": []}"

Test(catalog, reads_types_meters_and_tenants)
{
    struct catalog *catalog = load(HEAD PLAN("") NO_CONTRACT);

    cr_assert_eq(catalog->type_count, 1);
    cr_expect_eq(catalog->types[0].field_count, 3);
    cr_expect_eq(catalog_type_slot(&catalog->types[0], str("q")), 2);
    cr_expect_eq(catalog->types[0].fields[2].scale, 2);
    cr_expect(catalog->types[0].fields[2].required);
    cr_expect_eq(catalog_find_meter(catalog, str("top")), 1);
    cr_expect_eq(catalog_find_meter(catalog, str("none")), CATALOG_NONE);
    cr_expect_eq(catalog->meters[0].grace_us, INT64_C(90000000));
    cr_expect_eq(catalog->meters[0].window_us, INT64_C(3600000000));
    cr_expect_eq(catalog->meters[1].dim_count, 1);
    cr_expect_eq(catalog->meters[1].dim_slots[0], 1);
    cr_expect_eq(catalog_find_tenant(catalog, str("b")), 1);
    cr_expect(
        vt_str_equal(catalog->tenants[0].json, str("{\"key\": \"a\", \"tax\": {\"x\": [1, 2]}}")));
    cr_expect(vt_str_equal(catalog->tenants[1].name, str("B")));
    catalog_free(catalog);
}

Test(catalog, merges_rows_with_their_charge)
{
    struct catalog *catalog = load(
        HEAD PLAN("{\"key\": \"c\", \"meter\": \"m\", \"model\": \"per_unit\", \"price\": \"2.50\","
                  " \"prices\": [{\"when\": {\"d\": [\"y\", \"x\", \"x\"]}, \"price\": -3},"
                  " {\"included\": \"10\"}]}") NO_CONTRACT);
    const struct charge *charge = &catalog->plans[0].charges[0];

    cr_assert(charge->has_rows);
    cr_assert_eq(charge->row_count, 2);
    cr_expect_eq(charge->rows[0].when.terms[0].value_count, 2);
    cr_expect(vt_str_equal(charge->rows[0].when.terms[0].values[0], str("x")));
    cr_expect(charge->rows[0].terms.price.mantissa == -3);
    cr_expect(charge->rows[1].terms.price.mantissa == 25 && charge->rows[1].terms.price.scale == 1);
    cr_expect(charge->rows[1].terms.included.mantissa == 10);
    cr_expect_eq(catalog->meters[0].dim_count, 1, "the row's dimension is kept in the cells");
    catalog_free(catalog);
}

Test(catalog, keeps_every_dimension_that_is_read)
{
    struct catalog *catalog =
        load(HEAD PLAN("{\"key\": \"c\", \"meter\": \"top\", \"model\": \"per_unit\", "
                       "\"price\": 1,"
                       " \"price_by\": [\"d\", \"d\"], \"split_by\": [\"e\", \"d\", "
                       "\"e\"]}") ", \"contracts\": [{\"key\": \"k\", \"tenant\": "
                                  "\"a\", \"plan\": \"p\","
                                  " \"plan_version\": 1, \"from\": 0, \"usage_filter\": "
                                  "{\"e\": \"1\"}}]}");
    const struct charge *charge = &catalog->plans[0].charges[0];

    cr_expect_eq(charge->price_by_count, 1);
    cr_assert_eq(charge->split_count, 1, "what price_by has already is not split again");
    cr_expect(vt_str_equal(charge->split_by[0], str("e")));
    cr_expect_eq(catalog->meters[1].dim_count, 2);
    cr_assert_eq(catalog->meters[0].dim_count, 1, "a usage_filter concerns every meter");
    cr_expect_eq(catalog->meters[0].dim_slots[0], 1);
    cr_expect(vt_str_equal(catalog->contracts[0].zone->name, str("UTC")));
    cr_expect_eq(catalog->contracts[0].anchor_day, 1);
    catalog_free(catalog);
}

Test(catalog, needs_no_source_of_zones_for_utc)
{
    struct catalog *catalog = NULL;
    struct vt_str text = str(HEAD PLAN("") ", \"contracts\": [{\"key\": \"k\", \"tenant\": \"a\","
                                           " \"plan\": \"p\", \"plan_version\": 1, \"from\": 0}]}");

    cr_assert_eq(catalog_load(text, NULL, &catalog), VT_OK, "%s", vt_err_last());
    cr_expect_eq(zone_offset_s(catalog->contracts[0].zone, 1700000000), 0);
    catalog_free(catalog);
}

/* ---------------------------------------------------------------- versions of a contract */

#define TWO_PLANS                                                                                  \
    ", \"plans\": [{\"key\": \"p\", \"version\": 1, \"currency\": \"USD\", \"effective_from\": 0," \
    " \"charges\": [{\"key\": \"c\", \"meter\": \"m\", \"model\": \"per_unit\", \"price\": 1}]},"  \
    " {\"key\": \"e\", \"version\": 7, \"currency\": \"EUR\", \"effective_from\": 0, "             \
    "\"charges\": []},"                                                                            \
    " {\"key\": \"p\", \"version\": 2, \"currency\": \"USD\", \"effective_from\": 50,"             \
    " \"charges\": [{\"key\": \"c\", \"meter\": \"m\", \"model\": \"per_unit\", \"price\": 2}]}]"
#define VERSION(n, rest) "{\"key\": \"k\", \"tenant\": \"a\", \"version\": " #n ", " rest "}"
#define LATEST           "\"plan\": \"p\", \"plan_version\": \"latest\""
#define EURO             "\"plan\": \"e\", \"plan_version\": 7"
#define GO_ON            "\"counters\": \"continue\""
#define APART            "\"counters\": \"separate\""

static const struct {
    const char *name;
    const char *versions;
    const char *want; /* version:begin-end of those that last, or the detail of the refusal */
} spans[] = {
    /* clang-format off */
    { "one, open", VERSION(1, LATEST ", \"from\": 10"), "1:10-open " },
    { "the next one ends it", VERSION(1, LATEST ", \"from\": 10, \"to\": 90") ","
      VERSION(2, LATEST ", \"from\": 40, " GO_ON), "1:10-40 2:40-open " },
    { "a gap", VERSION(1, LATEST ", \"from\": 10, \"to\": 20") ","
      VERSION(2, LATEST ", \"from\": 40, " GO_ON), "1:10-20 2:40-open " },
    { "by from, not by the file", VERSION(1, LATEST ", \"from\": 40, " APART) ","
      VERSION(2, LATEST ", \"from\": 10"), "2:10-40 1:40-open " },
    { "of equals the later recorded", VERSION(1, LATEST ", \"from\": 10") ","
      VERSION(2, LATEST ", \"from\": 10, " APART), "2:10-open " },
    { "ends as it begins", VERSION(1, LATEST ", \"from\": 10") ","
      VERSION(2, LATEST ", \"from\": 30, \"to\": 30, " APART), "1:10-30 " },
    { "ends before it begins", VERSION(1, LATEST ", \"from\": 10, \"to\": 5"), "" },
    { "an end at 1970 is an end", VERSION(1, LATEST ", \"from\": -10, \"to\": 0"), "1:-10-0 " },
    { "another currency after separate", VERSION(1, LATEST ", \"from\": 10") ","
      VERSION(2, EURO ", \"from\": 30, " APART), "1:10-30 2:30-open " },
    { "another currency while counters continue", VERSION(1, LATEST ", \"from\": 10") ","
      VERSION(2, EURO ", \"from\": 30, " GO_ON),
      "$.contracts[1]: the currency changes while counters continue" },
    { "the same past a version that is empty", VERSION(1, LATEST ", \"from\": 10") ","
      VERSION(2, EURO ", \"from\": 30, " APART) "," VERSION(3, EURO ", \"from\": 30, " GO_ON),
      "$.contracts[2]: the currency changes while counters continue" },
    { "an empty one and a gap keep them apart", VERSION(1, LATEST ", \"from\": 10, \"to\": 20") ","
      VERSION(2, EURO ", \"from\": 30, " APART) "," VERSION(3, EURO ", \"from\": 30, " GO_ON),
      "1:10-20 3:30-open " },
    /* clang-format on */
};

static void
spans_print(const struct contract *contract, char out[256])
{
    int used = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < contract->version_count; i++) {
        const struct contract_version *version = &contract->versions[i];
        char end[32] = "open";

        if (version->end_us != INT64_MAX)
            (void)snprintf(end, sizeof end, "%lld", (long long)version->end_us);
        used += snprintf(out + used, 256 - (size_t)used, "%lld:%lld-%s ",
                         (long long)version->version, (long long)version->begin_us, end);
        cr_assert_lt(used, 256);
    }
}

Test(catalog, versions_last_until_the_next)
{
    for (size_t i = 0; i < VT_COUNT(spans); i++) {
        struct catalog_zones zones = zones_source(files);
        struct catalog *catalog = NULL;
        char text[4096];
        char got[256];

        (void)snprintf(text, sizeof text, "%s%s, \"contracts\": [%s]}", HEAD, TWO_PLANS,
                       spans[i].versions);
        if (catalog_load(str(text), &zones, &catalog) == VT_OK)
            spans_print(&catalog->contracts[0], got);
        else
            (void)snprintf(got, sizeof got, "%s", vt_err_last());
        cr_expect_str_eq(got, spans[i].want, "%s: %s", spans[i].name, got);
        catalog_free(catalog);
    }
}

Test(catalog, overrides_change_copies_of_what_is_followed)
{
    struct catalog *catalog = load(HEAD TWO_PLANS ", \"contracts\": [" VERSION(
        1, LATEST ", \"from\": 10, \"overrides\": {\"c\": {\"price\": "
                  "\"0.5\", \"minimum\": 3}}") "," VERSION(2, "\"plan\": \"p\", \"plan_version\": "
                                                              "2, \"from\": 20, " GO_ON) "]}");
    const struct contract_version *versions = catalog->contracts[0].versions;

    cr_assert_eq(versions[0].plan_count, 2);
    for (uint32_t p = 0; p < 2; p++) {
        const struct charge *charge = &versions[0].plans[p].charges[0];

        cr_expect(charge->rows[0].terms.price.mantissa == 5);
        cr_expect_eq(charge->rows[0].terms.price.scale, 1);
        cr_expect(charge->has_minimum);
        cr_expect_eq(versions[0].plans[p].version, p + 1);
    }
    cr_expect(catalog->plans[0].charges[0].rows[0].terms.price.mantissa == 1, "the plan stays");
    cr_assert_eq(versions[1].plan_count, 1);
    cr_expect(versions[1].plans[0].charges[0].rows[0].terms.price.mantissa == 2);
    cr_expect_not(versions[1].plans[0].charges[0].has_minimum);
    catalog_free(catalog);
}

Test(catalog, the_demo_catalog_loads)
{
    char path[512];
    char *text = malloc(1 << 16);
    const char *source = getenv("VENTURI_SRC");

    cr_assert_not_null(text);
    (void)snprintf(path, sizeof path, "%s/tests/data/azure-llm-2023/catalog.json",
                   source == NULL ? "." : source);
    FILE *stream = fopen(path, "rb");

    if (stream == NULL) {
        free(text);
        cr_skip_test("no data here: %s", path);
    }
    size_t size = fread(text, 1, (1 << 16) - 1, stream);

    cr_assert_eq(fclose(stream), 0);
    text[size] = '\0';
    struct catalog *catalog = load(text);

    cr_expect_eq(catalog->contract_count, 2);
    cr_expect_eq(catalog->contracts[1].versions[0].plan_count, 2);
    cr_expect_eq(catalog->zone_count, 2);
    cr_expect_eq(zone_offset_s(catalog->contracts[1].zone, 1700000000), 3600);
    catalog_free(catalog);
    free(text);
}

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

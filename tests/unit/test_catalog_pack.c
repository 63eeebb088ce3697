/*
 * Goal:   a catalog's commit gives the catalog back, and only as it was written; a catalog that
 *         follows it may add and never alter.
 * Method: pack the good catalog, unpack it, damage it; replace pieces of the good catalog and ask
 *         whether the result extends it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "refusal.h"
#include "venturi/assert.h"
#include "venturi/hash.h"
#include "zone.h"
#include "zones.h"

static struct catalog *
load(const char *text)
{
    struct zones *files;
    struct catalog *catalog = NULL;

    cr_assert_eq(zones_open(&files), VT_OK);
    struct catalog_zones source = zones_source(files);
    vt_err err = catalog_load((struct vt_str){text, (uint32_t)strlen(text)}, &source, &catalog);

    zones_close(files);
    cr_assert_eq(err, VT_OK, "%s", vt_err_last());
    return catalog;
}

static struct catalog *
load_good(void)
{
    char *text = good_catalog();

    cr_assert_not_null(text);
    struct catalog *catalog = load(text);

    free(text);
    return catalog;
}

Test(catalog_pack, gives_back_text_and_zones, .timeout = 10)
{
    struct catalog *catalog = load_good();
    struct catalog *back = NULL;
    uint8_t *bytes[2];
    uint64_t size[2];

    cr_assert_eq(catalog_pack(catalog, &bytes[0], &size[0]), VT_OK);
    cr_assert_eq(catalog_unpack((struct vt_bytes){bytes[0], size[0]}, &back), VT_OK, "%s",
                 vt_err_last());
    cr_expect(vt_str_equal(back->text, catalog->text));
    cr_expect(memcmp(back->sha256, catalog->sha256, 32) == 0);
    cr_assert_eq(back->zone_count, 2);
    for (uint32_t i = 0; i < back->zone_count; i++) {
        cr_expect(vt_str_equal(back->zones[i].name, catalog->zones[i].name));
        cr_expect_eq(back->zones[i].tzif.size, catalog->zones[i].tzif.size);
    }
    cr_assert_eq(catalog_pack(back, &bytes[1], &size[1]), VT_OK);
    cr_expect_eq(size[0], size[1]);
    cr_expect(memcmp(bytes[0], bytes[1], size[0]) == 0, "packing twice gives the same bytes");
    free(bytes[0]);
    free(bytes[1]);
    catalog_free(back);
    catalog_free(catalog);
}

static const struct {
    const char *name;
    uint32_t at;
    uint8_t put;
    bool repair; /* the checksum: the check behind it is the one under test */
    vt_err want;
} damages[] = {
    /* clang-format off */
    { "magic",              0, 'X', false, VT_BAD_MAGIC },
    { "checksum",           4, 0x5A, false, VT_BAD_CRC },
    { "text",             100, 0x01, false, VT_BAD_CRC },
    { "version",            8, 2, true, VT_BAD_VERSION },
    { "flags",             11, 1, true, VT_BAD_RESERVED },
    { "one zone more",     12, 3, true, VT_BAD_LENGTH },
    { "one zone less",     12, 1, true, VT_BAD_LENGTH },
    { "millions of zones", 15, 1, true, VT_BAD_LENGTH },
    { "a longer text",     16, 0xFF, true, VT_BAD_LENGTH },
    { "a text of exabytes", 22, 0x7F, true, VT_BAD_LENGTH },
    { "a text that is no catalog", 24, '[', true, VT_BAD_CATALOG },
    /* clang-format on */
};

static vt_err
unpack_copy(const uint8_t *bytes, uint64_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    struct catalog *catalog = NULL;

    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    vt_err err = catalog_unpack((struct vt_bytes){copy, size}, &catalog);

    free(copy);
    catalog_free(catalog);
    return err;
}

Test(catalog_pack, names_each_damage, .timeout = 20)
{
    struct catalog *catalog = load_good();
    uint8_t *bytes;
    uint64_t size;

    cr_assert_eq(catalog_pack(catalog, &bytes, &size), VT_OK);
    for (size_t i = 0; i < VT_COUNT(damages); i++) {
        uint8_t *copy = malloc(size);

        cr_assert_not_null(copy);
        memcpy(copy, bytes, size);
        copy[damages[i].at] = damages[i].put;
        if (damages[i].repair) {
            le32 crc = le32_put(vt_crc32c(copy + 8, size - 8));

            memcpy(copy + 4, &crc, sizeof crc);
        }
        vt_err err = unpack_copy(copy, size);

        cr_expect_eq(err, damages[i].want, "%s: %s", damages[i].name, vt_err_name(err));
        free(copy);
    }
    for (uint64_t cut = 0; cut < 64; cut++)
        cr_expect_neq(unpack_copy(bytes, cut), VT_OK, "%lu bytes", (unsigned long)cut);
    cr_expect_eq(unpack_copy(bytes, size - 1), VT_BAD_CRC);
    free(bytes);
    catalog_free(catalog);
}

static const struct {
    const char *name;
    const char *find;
    const char *put;
    const char *want; /* NULL: it extends */
} extensions[] = {
    /* clang-format off */
    { "space alone", "\"tenants\":", "\"tenants\" : ", NULL },
    { "keys in another order", "\"key\": \"n\", \"event_type\": \"t\"",
      "\"event_type\": \"t\", \"key\": \"n\"", NULL },
    { "a tenant more", "{\"key\": \"b\"}]", "{\"key\": \"b\"}, {\"key\": \"c\"}]", NULL },
    { "an optional field more", "\"scale\": 2}]",
      "\"scale\": 2}, {\"name\": \"f\", \"kind\": \"string\"}]", NULL },
    { "an optional decimal more", "\"scale\": 2}]",
      "\"scale\": 2}, {\"name\": \"f\", \"kind\": \"decimal\", \"required\": false}]", NULL },
    { "a type more", "\"kind\": \"string\"}]}],",
      "\"kind\": \"string\"}]}, {\"type\": \"v\", \"fields\": []}],", NULL },
    { "a required field more", "\"scale\": 2}]",
      "\"scale\": 2}, {\"name\": \"f\", \"kind\": \"decimal\"}]",
      "$.event_types[0].fields[3]: a field that is added to an event type must not be required" },
    { "a field more that says it is required", "\"scale\": 2}]",
      "\"scale\": 2}, {\"name\": \"f\", \"kind\": \"decimal\", \"required\": true}]",
      "$.event_types[0].fields[3]: a field that is added to an event type must not be required" },
    { "a field taken away", "{\"name\": \"x\", \"kind\": \"string\"}", "",
      "$.event_types[1].fields: fields are missing" },
    { "a field in between", "{\"name\": \"q\"",
      "{\"name\": \"f\", \"kind\": \"string\"}, {\"name\": \"q\"",
      "$.event_types[0].fields[2]: it may be added to, not changed" },
    { "a scale changed", "\"scale\": 2", "\"scale\": 3",
      "$.event_types[0].fields[2].scale: it may be added to, not changed" },
    { "a limit changed", "\"48h\"", "\"2d\"",
      "$.event_types[0].late_limit: it may be added to, not changed" },
    { "a limit taken away", "\"late_limit\": \"48h\", ", "",
      "$.event_types[0]: it may be added to, not changed" },
    { "a price changed", "\"price\": \"99\"", "\"price\": \"98\"",
      "$.plans[0].charges[6].price: it may be added to, not changed" },
    { "a price written otherwise", "\"price\": \"99\"", "\"price\": \"99.0\"",
      "$.plans[0].charges[6].price: it may be added to, not changed" },
    { "a charge more", "\"price\": \"99\"}]",
      "\"price\": \"99\"}, {\"key\": \"new\", \"model\": \"fixed\", \"price\": \"1\"}]",
      "$.plans[0].charges: it may be added to, not changed" },
    { "a tenant in front", "\"tenants\": [", "\"tenants\": [{\"key\": \"c\"}, ",
      "$.tenants[0]: it may be added to, not changed" },
    { "a contract taken away", ",\n  {\"key\": \"k2\", \"tenant\": \"b\", \"plan\": \"euro\","
      " \"plan_version\": \"latest\",\n   \"from\": \"2024-01-01T00:00:00Z\","
      " \"to\": \"2025-01-01T00:00:00Z\"}]", "]",
      "$.contracts: something that stood here is missing" },
    { "a contract's end is set", "\"to\": null", "\"to\": \"2027-01-01T00:00:00Z\"",
      "$.contracts[1].to: it may be added to, not changed" },
    /* clang-format on */
};

Test(catalog_extend, only_additions_pass, .timeout = 20)
{
    struct catalog *base = load_good();
    char *text = good_catalog();

    cr_assert_not_null(text);
    cr_expect_eq(catalog_check_extension(base, base), VT_OK);
    for (size_t i = 0; i < VT_COUNT(extensions); i++) {
        const char *at = strstr(text, extensions[i].find);
        char *changed = malloc(strlen(text) + 1024);

        cr_assert_not_null(changed);
        cr_assert_not_null(at, "%s", extensions[i].name);
        (void)snprintf(changed, strlen(text) + 1024, "%.*s%s%s", (int)(at - text), text,
                       extensions[i].put, at + strlen(extensions[i].find));
        struct catalog *next = load(changed);
        vt_err err = catalog_check_extension(base, next);

        if (extensions[i].want == NULL) {
            cr_expect_eq(err, VT_OK, "%s: %s", extensions[i].name, vt_err_last());
        } else {
            cr_expect_eq(err, VT_NOT_EXTENSION, "%s", extensions[i].name);
            cr_expect_str_eq(vt_err_last(), extensions[i].want, "%s: %s", extensions[i].name,
                             vt_err_last());
        }
        catalog_free(next);
        free(changed);
    }
    free(text);
    catalog_free(base);
}

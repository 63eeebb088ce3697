/*
 * fuzz_catalog.c - any bytes as a catalog's text, as its packed form and as a time-zone file. What
 * loads must pack, unpack to the same text, pack to the same bytes, and extend itself.
 *
 * The first byte chooses; packed bytes get a good checksum, so that what lies behind it is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "catalog.h"
#include "venturi/assert.h"
#include "venturi/hash.h"
#include "zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input itself is every zone that a catalog may name. */
static vt_err
any_zone(void *context, struct vt_str name, struct vt_bytes *out_tzif)
{
    (void)name;
    *out_tzif = *(const struct vt_bytes *)context;
    return VT_OK;
}

static void
try_catalog(struct catalog *catalog)
{
    struct catalog *back = NULL;
    uint8_t *bytes[2];
    uint64_t size[2];

    VT_ASSERT(catalog_pack(catalog, &bytes[0], &size[0]) == VT_OK);
    VT_ASSERT(catalog_unpack((struct vt_bytes){bytes[0], size[0]}, &back) == VT_OK);
    VT_ASSERT(vt_str_equal(catalog->text, back->text));
    VT_ASSERT(catalog_pack(back, &bytes[1], &size[1]) == VT_OK);
    VT_ASSERT(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0);
    VT_ASSERT(catalog_check_extension(catalog, back) == VT_OK);
    free(bytes[0]);
    free(bytes[1]);
    catalog_free(back);
    catalog_free(catalog);
}

static void
try_text(const uint8_t *data, size_t size)
{
    struct vt_bytes input = {data, size};
    struct catalog_zones zones = {any_zone, &input};
    struct catalog *catalog = NULL;

    if (catalog_load((struct vt_str){(const char *)data, (uint32_t)size}, &zones, &catalog) ==
        VT_OK)
        try_catalog(catalog);
    else
        VT_ASSERT(vt_err_last()[0] == '$');
}

static void
try_packed(const uint8_t *data, size_t size)
{
    struct catalog *catalog = NULL;
    uint8_t *copy = malloc(size + 1);

    VT_ASSERT(copy != NULL);
    memcpy(copy, data, size);
    if (size >= 8) {
        le32 crc = le32_put(vt_crc32c(copy + 8, size - 8));

        memcpy(copy, "VCP1", 4);
        memcpy(copy + 4, &crc, sizeof crc);
    }
    if (catalog_unpack((struct vt_bytes){copy, size}, &catalog) == VT_OK)
        try_catalog(catalog);
    free(copy);
}

static void
try_zone(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct zone zone;

    arena_init(&arena, 1 << 16);
    if (zone_parse(&arena, VT_STR("Fuzz"), (struct vt_bytes){data, size}, &zone) == VT_OK) {
        for (int64_t year = 2; year < 9998; year += 311) {
            int64_t at = zone_local_midnight_us(&zone, year, 1 + (uint32_t)(year % 12), 28);

            VT_ASSERT(zone_period_start_us(&zone, 31, at) <= at);
        }
    }
    arena_deinit(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vt_err_clear();
    if (size == 0)
        return 0;
    if (data[0] == 'P')
        try_packed(data + 1, size - 1);
    else if (data[0] == 'Z')
        try_zone(data + 1, size - 1);
    else
        try_text(data, size);
    return 0;
}

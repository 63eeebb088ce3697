/*
 * catalog_pack.c - a catalog as the bytes of its commit, version 1. Integers are little-endian.
 *
 *   pack_header | text | zone 0 | zone 1 | ...     zone: pack_zone | name | TZif bytes
 *
 *   off size field       rule
 *     0    4 magic       bytes 'V' 'C' 'P' '1'
 *     4    4 crc32c      of everything from byte 8 to the end
 *     8    2 version     1
 *    10    2 flags       zero
 *    12    4 zone_count  zones in the order in which contracts first name them
 *    16    8 text_bytes  of the catalog's text, at most CATALOG_BYTES_MAX
 *
 * A reader takes nothing that is not exactly this long, and then loads the text as any other text:
 * a pack is never believed further than its checksum.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_build.h"
#include "venturi/assert.h"
#include "venturi/hash.h"
#include "zone.h"

#define PACK_MAGIC   UINT32_C(0x31504356)
#define PACK_VERSION 1
#define CHECKED_FROM 8

struct pack_header {
    le32 magic;
    le32 crc32c;
    le16 version;
    le16 flags;
    le32 zone_count;
    le64 text_bytes;
};
_Static_assert(sizeof(struct pack_header) == 24, "the table above");
_Static_assert(offsetof(struct pack_header, version) == CHECKED_FROM, "the table above");

struct pack_zone {
    le32 name_bytes;
    le32 tzif_bytes;
};
_Static_assert(sizeof(struct pack_zone) == 8, "two lengths");

struct packed_zones {
    struct vt_reader at; /* of the first zone */
    uint32_t count;
};

static uint64_t
pack_bytes(const struct catalog *catalog)
{
    uint64_t size = sizeof(struct pack_header) + catalog->text.size;

    for (uint32_t i = 0; i < catalog->zone_count; i++)
        size +=
            sizeof(struct pack_zone) + catalog->zones[i].name.size + catalog->zones[i].tzif.size;
    return size;
}

static uint8_t *
put(uint8_t *at, const void *data, uint64_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

vt_err
catalog_pack(const struct catalog *catalog, uint8_t **out_bytes, uint64_t *out_size)
{
    uint64_t size = pack_bytes(catalog);
    struct pack_header header = {.magic = le32_put(PACK_MAGIC),
                                 .version = le16_put(PACK_VERSION),
                                 .zone_count = le32_put(catalog->zone_count),
                                 .text_bytes = le64_put(catalog->text.size)};
    uint8_t *bytes = malloc(size);

    if (bytes == NULL)
        return VT_NOMEM;
    uint8_t *at = put(bytes, &header, sizeof header);

    at = put(at, catalog->text.data, catalog->text.size);
    for (uint32_t i = 0; i < catalog->zone_count; i++) {
        const struct zone *zone = &catalog->zones[i];
        struct pack_zone lengths = {.name_bytes = le32_put(zone->name.size),
                                    .tzif_bytes = le32_put((uint32_t)zone->tzif.size)};

        VT_ASSERT(zone->tzif.size <= ZONE_BYTES_MAX);
        at = put(at, &lengths, sizeof lengths);
        at = put(at, zone->name.data, zone->name.size);
        at = put(at, zone->tzif.data, zone->tzif.size);
    }
    VT_ASSERT(at == bytes + size);
    header.crc32c = le32_put(vt_crc32c(bytes + CHECKED_FROM, size - CHECKED_FROM));
    memcpy(bytes, &header, sizeof header);
    *out_bytes = bytes;
    *out_size = size;
    return VT_OK;
}

static bool
zone_next(struct vt_reader *reader, struct vt_str *out_name, struct vt_bytes *out_tzif)
{
    uint32_t name_bytes = vt_read_u32(reader);
    uint32_t tzif_bytes = vt_read_u32(reader);

    if (tzif_bytes > ZONE_BYTES_MAX)
        reader->bad = true;
    struct vt_bytes name = vt_read_bytes(reader, name_bytes);

    *out_name = (struct vt_str){(const char *)name.data, (uint32_t)name.size};
    *out_tzif = vt_read_bytes(reader, tzif_bytes);
    return !reader->bad;
}

static vt_err
packed_zone_read(void *context, struct vt_str name, struct vt_bytes *out_tzif)
{
    const struct packed_zones *zones = context;
    struct vt_reader reader = zones->at;
    struct vt_str found;
    struct vt_bytes tzif;

    for (uint32_t i = 0; i < zones->count && zone_next(&reader, &found, &tzif); i++) {
        if (vt_str_equal(found, name)) {
            *out_tzif = tzif;
            return VT_OK;
        }
    }
    return VT_NOT_FOUND;
}

/* Length, checksum and lengths of all parts. */
static vt_err
pack_check(struct vt_bytes packed, struct vt_str *out_text, struct packed_zones *out_zones)
{
    struct vt_reader reader = vt_reader_of(packed);
    struct pack_header header;
    struct vt_str name;
    struct vt_bytes tzif;

    if (packed.size < sizeof header)
        return vt_err_detail(VT_BAD_LENGTH, "a packed catalog ends in its header");
    memcpy(&header, vt_read_bytes(&reader, sizeof header).data, sizeof header);
    if (le32_get(header.magic) != PACK_MAGIC)
        return vt_err_detail(VT_BAD_MAGIC, "no packed catalog");
    if (le32_get(header.crc32c) !=
        vt_crc32c(packed.data + CHECKED_FROM, packed.size - CHECKED_FROM))
        return vt_err_detail(VT_BAD_CRC, "a packed catalog is damaged");
    if (le16_get(header.version) != PACK_VERSION)
        return vt_err_detail(VT_BAD_VERSION, "a packed catalog of version %u",
                             le16_get(header.version));
    if (le16_get(header.flags) != 0)
        return vt_err_detail(VT_BAD_RESERVED, "a packed catalog with unknown flags");
    uint64_t text_bytes = le64_get(header.text_bytes);
    uint32_t zone_count = le32_get(header.zone_count);

    if (text_bytes > CATALOG_BYTES_MAX || zone_count > CATALOG_ZONES_MAX)
        return vt_err_detail(VT_BAD_LENGTH, "a packed catalog over its limits");
    struct vt_bytes text = vt_read_bytes(&reader, text_bytes);
    struct packed_zones zones = {reader, zone_count};

    for (uint32_t i = 0; i < zone_count && !reader.bad; i++)
        (void)zone_next(&reader, &name, &tzif);
    if (reader.bad || vt_reader_left(&reader) != 0)
        return vt_err_detail(VT_BAD_LENGTH, "a packed catalog whose parts do not fill it");
    *out_text = (struct vt_str){(const char *)text.data, (uint32_t)text.size};
    *out_zones = zones;
    return VT_OK;
}

vt_err
catalog_unpack(struct vt_bytes packed, struct catalog **out_catalog)
{
    struct packed_zones zones = {.count = 0};
    struct catalog_zones source = {.read = packed_zone_read, .context = &zones};
    struct vt_str text = {NULL, 0};

    vt_err_clear();
    vt_err err = pack_check(packed, &text, &zones);

    return err == VT_OK ? catalog_load(text, &source, out_catalog) : err;
}

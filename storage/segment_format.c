#include "segment_format.h"

#include <stdbool.h>

#include "codec.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

/* Where the checked bytes of header and trailer begin. */
#define CHECKED_FROM 8
#define CHECKED_SIZE 56

#define KEY_BYTES 12

_Static_assert(sizeof(struct segment_header) == CHECKED_FROM + CHECKED_SIZE, "all but the crc");
_Static_assert(sizeof(struct segment_trailer) == CHECKED_FROM + CHECKED_SIZE, "all but the crc");
_Static_assert(offsetof(struct segment_entry, codec) == KEY_BYTES, "the key stands first");

static bool
all_zero(const uint8_t *bytes, uint32_t size)
{
    uint8_t any = 0;

    for (uint32_t i = 0; i < size; i++)
        any |= bytes[i];
    return any == 0;
}

uint32_t
segment_seed(const struct segment_header *header)
{
    return vt_crc32c((const uint8_t *)header + CHECKED_FROM, CHECKED_SIZE);
}

void
segment_header_init(struct segment_header *header, const struct segment_id *id)
{
    *header = (struct segment_header){
        .magic = le32_put(SEGMENT_MAGIC),
        .version = le16_put(SEGMENT_VERSION),
        .partition = le32_put(id->partition),
        .level = le32_put(id->level),
        .store = le64_put(id->store),
        .cut = le64_put(id->cut),
        .first_position = le64_put(id->first_position),
        .last_position = le64_put(id->last_position),
    };
    header->crc32c = le32_put(segment_seed(header));
}

void
segment_header_id(const struct segment_header *header, struct segment_id *out_id)
{
    *out_id = (struct segment_id){
        .store = le64_get(header->store),
        .cut = le64_get(header->cut),
        .first_position = le64_get(header->first_position),
        .last_position = le64_get(header->last_position),
        .partition = le32_get(header->partition),
        .level = le32_get(header->level),
    };
}

vt_err
segment_header_check(const struct segment_header *header, const struct segment_id *id)
{
    struct segment_id found;

    if (le32_get(header->magic) != SEGMENT_MAGIC)
        return VT_BAD_MAGIC;
    if (le32_get(header->crc32c) != segment_seed(header))
        return VT_BAD_CRC;
    if (le16_get(header->version) != SEGMENT_VERSION)
        return VT_BAD_VERSION;
    if (le16_get(header->flags) != 0 || !all_zero(header->reserved, sizeof header->reserved))
        return VT_BAD_RESERVED;
    if (id == NULL)
        return VT_OK;
    segment_header_id(header, &found);
    if (found.store != id->store || found.cut != id->cut || found.partition != id->partition ||
        found.level != id->level)
        return VT_BAD_PLACE;
    if (found.first_position != id->first_position || found.last_position != id->last_position)
        return VT_BAD_PLACE;
    return VT_OK;
}

uint32_t
segment_chunk_seed(uint32_t seed, const struct chunk_key *key)
{
    struct segment_entry entry = {
        .kind = le16_put(key->kind),
        .table = le16_put(key->table),
        .column = le32_put(key->column),
        .block = le32_put(key->block),
    };

    return vt_crc32c_more(seed, &entry, KEY_BYTES);
}

static int
order_of(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b;
}

uint32_t
segment_part_seed_of(uint32_t seed, const struct chunk_key *key, uint32_t part)
{
    le32 number = le32_put(part);

    return vt_crc32c_more(segment_chunk_seed(seed, key), &number, sizeof number);
}

int
segment_key_compare(const struct chunk_key *a, const struct chunk_key *b)
{
    int order = order_of(a->kind, b->kind);

    if (order == 0)
        order = order_of(a->table, b->table);
    if (order == 0)
        order = order_of(a->column, b->column);
    if (order == 0)
        order = order_of(a->block, b->block);
    return order;
}

void
segment_entry_init(struct segment_entry *entry, const struct chunk_info *info)
{
    *entry = (struct segment_entry){
        .kind = le16_put(info->key.kind),
        .table = le16_put(info->key.table),
        .column = le32_put(info->key.column),
        .block = le32_put(info->key.block),
        .codec = info->codec,
        .offset = le64_put(info->offset),
        .stored_bytes = le32_put(info->stored_bytes),
        .count = le32_put(info->count),
        .min = le64_put((uint64_t)info->min),
        .max = le64_put((uint64_t)info->max),
        .stored_crc = le32_put(info->stored_crc),
        .decoded_crc = le32_put(info->decoded_crc),
    };
}

void
segment_entry_info(const struct segment_entry *entry, struct chunk_info *out_info)
{
    *out_info = (struct chunk_info){
        .key = {.kind = le16_get(entry->kind),
                .table = le16_get(entry->table),
                .column = le32_get(entry->column),
                .block = le32_get(entry->block)},
        .codec = entry->codec,
        .count = le32_get(entry->count),
        .offset = le64_get(entry->offset),
        .stored_bytes = le32_get(entry->stored_bytes),
        .stored_crc = le32_get(entry->stored_crc),
        .decoded_crc = le32_get(entry->decoded_crc),
        .min = (int64_t)le64_get(entry->min),
        .max = (int64_t)le64_get(entry->max),
    };
}

vt_err
segment_entry_check(const struct segment_entry *entry, uint64_t directory_offset)
{
    struct chunk_info info;

    segment_entry_info(entry, &info);
    if (!all_zero(entry->reserved, sizeof entry->reserved) ||
        !all_zero(entry->reserved_end, sizeof entry->reserved_end))
        return VT_BAD_RESERVED;
    if (info.offset % SEGMENT_ALIGN != 0 || info.offset < sizeof(struct segment_header))
        return VT_BAD_LENGTH;
    if (info.offset > directory_offset || info.stored_bytes > directory_offset - info.offset)
        return VT_BAD_LENGTH;
    if (!codec_is_integer(info.codec) && !codec_is_bytes(info.codec))
        return VT_BAD_FORMAT;
    if (!codec_size_possible(info.codec, info.stored_bytes, info.count))
        return VT_BAD_LENGTH;
    if (codec_is_integer(info.codec))
        return info.min <= info.max ? VT_OK : VT_BAD_FORMAT;
    return info.min == 0 && info.max == 0 ? VT_OK : VT_BAD_RESERVED;
}

static uint32_t
trailer_crc(const struct segment_trailer *trailer, uint32_t seed)
{
    return vt_crc32c_more(seed, (const uint8_t *)trailer + CHECKED_FROM, CHECKED_SIZE);
}

/* Bytes of a file whose directory begins at `directory_offset`. */
static uint64_t
file_bytes_of(uint64_t directory_offset, uint32_t chunk_count)
{
    return directory_offset + (uint64_t)chunk_count * sizeof(struct segment_entry) +
           sizeof(struct segment_trailer);
}

void
segment_trailer_init(struct segment_trailer *trailer, uint32_t seed,
                     const struct segment_extent *extent)
{
    VT_ASSERT(extent->chunk_count <= SEGMENT_CHUNKS_MAX);
    VT_ASSERT(extent->directory_offset % SEGMENT_ALIGN == 0);
    *trailer = (struct segment_trailer){
        .magic = le32_put(SEGMENT_END_MAGIC),
        .chunk_count = le32_put(extent->chunk_count),
        .directory_crc = le32_put(extent->directory_crc),
        .directory_offset = le64_put(extent->directory_offset),
        .file_bytes = le64_put(file_bytes_of(extent->directory_offset, extent->chunk_count)),
    };
    trailer->crc32c = le32_put(trailer_crc(trailer, seed));
}

vt_err
segment_trailer_check(const struct segment_trailer *trailer, uint32_t seed, uint64_t file_bytes,
                      struct segment_extent *out_extent)
{
    struct segment_extent extent = {
        .check = le32_get(trailer->crc32c),
        .chunk_count = le32_get(trailer->chunk_count),
        .directory_crc = le32_get(trailer->directory_crc),
        .directory_offset = le64_get(trailer->directory_offset),
    };

    if (le32_get(trailer->magic) != SEGMENT_END_MAGIC)
        return VT_BAD_MAGIC;
    if (le32_get(trailer->crc32c) != trailer_crc(trailer, seed))
        return VT_BAD_CRC;
    if (!all_zero(trailer->reserved, sizeof trailer->reserved))
        return VT_BAD_RESERVED;
    if (extent.chunk_count > SEGMENT_CHUNKS_MAX || extent.directory_offset > file_bytes)
        return VT_BAD_LENGTH;
    if (extent.directory_offset % SEGMENT_ALIGN != 0 ||
        extent.directory_offset < sizeof(struct segment_header))
        return VT_BAD_LENGTH;
    if (le64_get(trailer->file_bytes) != file_bytes ||
        file_bytes_of(extent.directory_offset, extent.chunk_count) != file_bytes)
        return VT_BAD_LENGTH;
    *out_extent = extent;
    return VT_OK;
}

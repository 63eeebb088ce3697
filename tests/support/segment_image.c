#include "segment_image.h"

#include <string.h>

#include "storage/segment_format.h"
#include "venturi/hash.h"

static void
chunk_mend(uint8_t *image, uint64_t size, uint32_t seed, struct segment_entry *entry)
{
    struct chunk_info info;

    segment_entry_info(entry, &info);
    if (info.offset > size || info.stored_bytes > size - info.offset)
        return;
    entry->stored_crc = le32_put(vt_crc32c_more(segment_chunk_seed(seed, &info.key),
                                                image + info.offset, info.stored_bytes));
}

void
segment_image_mend(uint8_t *image, uint64_t size)
{
    struct segment_header header;
    struct segment_trailer trailer;

    if (size < sizeof header + sizeof trailer)
        return;
    memcpy(&header, image, sizeof header);
    uint32_t seed = segment_seed(&header);

    header.crc32c = le32_put(seed);
    memcpy(image, &header, sizeof header);
    memcpy(&trailer, image + size - sizeof trailer, sizeof trailer);
    uint64_t offset = le64_get(trailer.directory_offset);
    uint64_t bytes = (uint64_t)le32_get(trailer.chunk_count) * sizeof(struct segment_entry);

    if (offset <= size && bytes <= size - offset) {
        for (uint64_t at = offset; at < offset + bytes; at += sizeof(struct segment_entry)) {
            struct segment_entry entry;

            memcpy(&entry, image + at, sizeof entry);
            chunk_mend(image, size, seed, &entry);
            memcpy(image + at, &entry, sizeof entry);
        }
        trailer.directory_crc = le32_put(vt_crc32c_more(seed, image + offset, bytes));
    }
    trailer.crc32c = le32_put(vt_crc32c_more(seed, (const uint8_t *)&trailer + 8, 56));
    memcpy(image + size - sizeof trailer, &trailer, sizeof trailer);
}

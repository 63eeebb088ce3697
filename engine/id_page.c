/* id_page.c - see id_page.h. */
#include "id_page.h"

#include <string.h>

#include "dedup.h"
#include "venturi/assert.h"

#define KEYS_HEAD  12
#define IDS_HEAD   10
#define KIND_MIXED 255
#define SIZE_MIXED 65535
#define ROW_BITS   32 /* most */

/* --- bits */

static uint64_t
bits_bytes(uint64_t bits)
{
    return (bits + 7) / 8;
}

/* Into zeroed bytes, `width` at most 40. */
static void
bits_put(uint8_t *out, uint64_t at, uint32_t width, uint64_t value)
{
    VT_ASSERT(width == 64 || value >> width == 0);
    value <<= at % 8;
    for (uint64_t byte = at / 8; value != 0; byte++, value >>= 8)
        out[byte] |= (uint8_t)value;
}

static uint64_t
bits_get(const uint8_t *bytes, uint64_t at, uint32_t width)
{
    return vt_load64(bytes + at / 8) >> (at % 8) & ((UINT64_C(1) << width) - 1);
}

static uint32_t
bit_length(uint64_t value)
{
    return value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
}

static void
crc_put(uint32_t seed, uint8_t *page, uint64_t bytes)
{
    le32 crc = le32_put(vt_crc32c_more(seed, page + 4, bytes - 4));

    memcpy(page, &crc, sizeof crc);
}

static bool
crc_holds(uint32_t seed, struct vt_bytes page)
{
    return vt_crc32c_more(seed, page.data + 4, page.size - 4) == vt_load32(page.data);
}

/* --- keys */

/* Two bits an id go to the map where the lower part has the mean distance's length. */
static uint32_t
low_bits_of(uint64_t range, uint32_t count)
{
    return range / count == 0 ? 0 : bit_length(range / count) - 1;
}

uint32_t
id_page_put_keys(uint32_t seed, const struct run_id *ids, uint32_t count, uint8_t *out)
{
    VT_ASSERT(count >= 1 && count <= ID_PAGE_IDS);
    uint64_t first = ids[0].key;
    uint64_t range = ids[count - 1].key - first;
    uint32_t low_bits = low_bits_of(range, count);
    uint64_t high_bits = count + (range >> low_bits);
    uint64_t bytes = KEYS_HEAD + bits_bytes(high_bits) + bits_bytes((uint64_t)count * low_bits);
    uint8_t *high = out + KEYS_HEAD;
    uint8_t *low = high + bits_bytes(high_bits);
    le64 first_bytes = le64_put(first);
    le16 high_bytes = le16_put((uint16_t)high_bits);

    VT_ASSERT(ids[count - 1].key >> DEDUP_KEY_BITS == 0);
    VT_ASSERT(bytes <= ID_PAGE_KEY_BYTES);
    memset(out, 0, bytes);
    memcpy(out + 4, &first_bytes, 5);
    out[9] = (uint8_t)low_bits;
    memcpy(out + 10, &high_bytes, sizeof high_bytes);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t above = ids[i].key - first;

        VT_ASSERT(i == 0 || ids[i - 1].key <= ids[i].key);
        bits_put(high, (above >> low_bits) + i, 1, 1);
        bits_put(low, (uint64_t)i * low_bits, low_bits, above & ((UINT64_C(1) << low_bits) - 1));
    }
    crc_put(seed, out, bytes);
    return (uint32_t)bytes;
}

uint64_t
id_page_keys_size(struct vt_bytes rest, uint32_t count)
{
    if (rest.size < KEYS_HEAD)
        return 0;
    uint32_t high_bits = rest.data[10] | (uint32_t)rest.data[11] << 8;
    uint64_t size = KEYS_HEAD + bits_bytes(high_bits) + bits_bytes((uint64_t)count * rest.data[9]);

    return size <= rest.size ? size : 0;
}

/* The parts of a page of keys whose checksum holds. */
struct key_page {
    uint64_t first;
    uint32_t low_bits;
    uint32_t high_bits;
    const uint8_t *high;
    const uint8_t *low;
};

static vt_err
key_page_open(uint32_t seed, struct vt_bytes page, uint32_t count, struct key_page *out)
{
    if (page.size < KEYS_HEAD)
        return VT_BAD_LENGTH;
    if (!crc_holds(seed, page))
        return VT_BAD_CRC;
    out->first = vt_load64(page.data + 4) & ((UINT64_C(1) << DEDUP_KEY_BITS) - 1);
    out->low_bits = page.data[9];
    out->high_bits = page.data[10] | (uint32_t)page.data[11] << 8;
    if (out->low_bits > DEDUP_KEY_BITS ||
        page.size !=
            KEYS_HEAD + bits_bytes(out->high_bits) + bits_bytes((uint64_t)count * out->low_bits))
        return VT_BAD_FORMAT;
    out->high = page.data + KEYS_HEAD;
    out->low = out->high + bits_bytes(out->high_bits);
    return VT_OK;
}

vt_err
id_page_get_keys(uint32_t seed, struct vt_bytes page, uint32_t count, uint64_t *out_keys)
{
    struct key_page parts;
    uint64_t before = 0;
    uint32_t found = 0;
    vt_err err = key_page_open(seed, page, count, &parts);

    if (err != VT_OK)
        return err;
    for (uint32_t word = 0; word < parts.high_bits; word += 64) {
        uint64_t ones = vt_load64(parts.high + word / 8);
        uint32_t left = parts.high_bits - word;

        ones &= left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
        for (; ones != 0 && found < count; ones &= ones - 1, found++) {
            uint64_t upper = word + (uint64_t)__builtin_ctzll(ones) - found;
            uint64_t lower = bits_get(parts.low, (uint64_t)found * parts.low_bits, parts.low_bits);
            uint64_t key = parts.first + (upper << parts.low_bits | lower);

            if (key < before || key >> DEDUP_KEY_BITS != 0)
                return VT_BAD_FORMAT;
            before = key;
            out_keys[found] = key;
        }
        if (ones != 0)
            return VT_BAD_FORMAT; /* more keys than ids */
    }
    return found == count ? VT_OK : VT_BAD_FORMAT;
}

/* --- ids */

uint64_t
id_page_bound(const struct run_id *ids, uint32_t count)
{
    uint64_t bytes = IDS_HEAD + (uint64_t)count * (ROW_BITS / 8 + 3);

    for (uint32_t i = 0; i < count; i++)
        bytes += ids[i].id.size;
    return bytes + ID_PAGE_KEY_BYTES;
}

/* What the ids of a page have in common. */
struct ids_shape {
    uint32_t row_bits;
    uint8_t kind;
    uint16_t size;
    uint16_t prefix;
};

static struct ids_shape
shape_of(const struct run_id *ids, uint32_t count)
{
    const struct row_id *first = &ids[0].id;
    struct ids_shape shape = {.row_bits = 1, .kind = first->kind, .prefix = first->size};
    bool same_size = true;

    for (uint32_t i = 0; i < count; i++) {
        const struct row_id *id = &ids[i].id;
        uint16_t common = 0;

        VT_ASSERT(id->kind != ROW_ID_SEQUENCE && id->size <= ROW_ID_TEXT_BYTES);
        shape.row_bits =
            bit_length(ids[i].row) > shape.row_bits ? bit_length(ids[i].row) : shape.row_bits;
        if (id->kind != first->kind)
            shape.kind = KIND_MIXED;
        same_size = same_size && id->size == first->size;
        while (common < shape.prefix && common < id->size &&
               id->data[common] == first->data[common])
            common++;
        shape.prefix = common;
    }
    shape.size = same_size ? (uint16_t)(first->size - shape.prefix) : SIZE_MIXED;
    return shape;
}

uint32_t
id_page_put_ids(uint32_t seed, const struct run_id *ids, uint32_t count, uint8_t *out)
{
    VT_ASSERT(count >= 1 && count <= ID_PAGE_IDS);
    struct ids_shape shape = shape_of(ids, count);
    uint64_t row_bytes = bits_bytes((uint64_t)count * shape.row_bits);
    le16 size = le16_put(shape.size);
    le16 prefix = le16_put(shape.prefix);
    uint8_t *at = out + IDS_HEAD;

    out[4] = (uint8_t)shape.row_bits;
    out[5] = shape.kind;
    memcpy(out + 6, &size, sizeof size);
    memcpy(out + 8, &prefix, sizeof prefix);
    memset(at, 0, row_bytes);
    for (uint32_t i = 0; i < count; i++)
        bits_put(at, (uint64_t)i * shape.row_bits, shape.row_bits, ids[i].row);
    at += row_bytes;
    if (shape.prefix > 0)
        memcpy(at, ids[0].id.data, shape.prefix);
    at += shape.prefix;
    for (uint32_t i = 0; shape.kind == KIND_MIXED && i < count; i++)
        *at++ = ids[i].id.kind;
    for (uint32_t i = 0; shape.size == SIZE_MIXED && i < count; i++, at += sizeof size) {
        size = le16_put((uint16_t)(ids[i].id.size - shape.prefix));
        memcpy(at, &size, sizeof size);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t rest = ids[i].id.size - (uint64_t)shape.prefix;

        if (rest > 0)
            memcpy(at, ids[i].id.data + shape.prefix, rest);
        at += rest;
    }
    crc_put(seed, out, (uint64_t)(at - out));
    return (uint32_t)(at - out);
}

vt_err
id_page_open(uint32_t seed, struct vt_bytes page, uint32_t count, struct id_page *out_page)
{
    struct vt_reader reader = vt_reader_of(page);

    if (page.size < IDS_HEAD)
        return VT_BAD_LENGTH;
    if (!crc_holds(seed, page))
        return VT_BAD_CRC;
    struct id_page opened = {
        .page = page,
        .count = count,
        .row_bits = page.data[4],
        .kind = page.data[5],
        .size = (uint16_t)(page.data[6] | page.data[7] << 8),
    };
    uint16_t prefix = (uint16_t)(page.data[8] | page.data[9] << 8);

    if (opened.row_bits == 0 || opened.row_bits > ROW_BITS || prefix > ROW_ID_TEXT_BYTES ||
        (opened.kind != KIND_MIXED && opened.kind >= ROW_ID_SEQUENCE))
        return VT_BAD_FORMAT;
    (void)vt_read_bytes(&reader, IDS_HEAD + bits_bytes((uint64_t)count * opened.row_bits));
    opened.prefix = vt_read_bytes(&reader, prefix);
    if (opened.kind == KIND_MIXED)
        opened.kinds = vt_read_bytes(&reader, count).data;
    if (opened.size == SIZE_MIXED)
        opened.sizes = vt_read_bytes(&reader, (uint64_t)count * 2).data;
    opened.ids = vt_read_bytes(&reader, vt_reader_left(&reader));
    if (reader.bad)
        return VT_BAD_FORMAT;
    *out_page = opened;
    return VT_OK;
}

uint32_t
id_page_skip(const struct id_page *page, uint32_t index, uint64_t *out_offset)
{
    VT_ASSERT(index < page->count);
    if (page->size == SIZE_MIXED)
        index = 0;
    *out_offset = (uint64_t)index * page->size;
    return index;
}

vt_err
id_page_next(const struct id_page *page, uint32_t index, uint64_t *offset,
             uint8_t buffer[ID_PAGE_ID_BYTES], struct run_id *out_id)
{
    VT_ASSERT(index < page->count);
    uint8_t kind = page->kind == KIND_MIXED ? page->kinds[index] : page->kind;
    uint64_t rest = page->size;

    if (page->size == SIZE_MIXED)
        rest = page->sizes[(uint64_t)index * 2] | (uint64_t)page->sizes[(uint64_t)index * 2 + 1]
                                                      << 8;
    uint64_t size = page->prefix.size + rest;

    if (kind >= ROW_ID_SEQUENCE || size > ROW_ID_TEXT_BYTES ||
        (kind == ROW_ID_UUID && size != 16) || *offset > page->ids.size ||
        rest > page->ids.size - *offset)
        return VT_BAD_FORMAT;
    const uint8_t *data = page->ids.data + *offset;

    if (page->prefix.size > 0) {
        memcpy(buffer, page->prefix.data, page->prefix.size);
        if (rest > 0)
            memcpy(buffer + page->prefix.size, data, rest);
        data = buffer;
    }
    *out_id = (struct run_id){
        .row = (uint32_t)bits_get(page->page.data + IDS_HEAD, (uint64_t)index * page->row_bits,
                                  page->row_bits),
        .id = {.data = data, .size = (uint16_t)size, .kind = kind},
    };
    *offset += rest;
    if (index + 1 == page->count && *offset != page->ids.size)
        return VT_BAD_FORMAT;
    return VT_OK;
}

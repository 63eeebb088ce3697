/*
 * Goal:   pages of an id run give back what was put in, in as few bytes as promised; each flipped
 *         bit is found, and a page that lies is refused without reading past its end.
 * Method: runs of many shapes (UUIDs, texts with and without a prefix, mixed, keys dense, equal and
 *         far apart) through encoder and decoder; every bit of small pages flipped; every byte
 *         changed with the checksum made good again, in memory that ends where the slack ends.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dedup.h"
#include "id_page.h"
#include "venturi/assert.h"

#define SEED  UINT32_C(0x5eed)
#define BYTES 300000

static uint64_t
mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static struct run_id ids[ID_PAGE_IDS];
static uint8_t texts[ID_PAGE_IDS][ROW_ID_TEXT_BYTES];

enum form { FORM_UUID, FORM_COUNTER, FORM_MIXED, FORM_LONG, FORM_SAME };

static struct row_id
id_of(enum form form, uint32_t i)
{
    uint8_t *text = texts[i];
    uint64_t parts[2] = {mix(i), mix(~(uint64_t)i)};
    struct row_id id = {.data = text, .size = 16, .kind = ROW_ID_UUID};

    memcpy(text, parts, sizeof parts);
    if (form == FORM_UUID || (form == FORM_MIXED && i % 3 == 0))
        return id;
    id.kind = ROW_ID_TEXT;
    if (form == FORM_COUNTER)
        id.size = (uint16_t)snprintf((char *)text, 64, "order-2024-%u", i * 977);
    else if (form == FORM_MIXED)
        id.size = (uint16_t)(1 + mix(i) % 40);
    else if (form == FORM_LONG)
        id.size = (uint16_t)(ROW_ID_TEXT_BYTES - i % 2);
    else
        memcpy(text, "the same for all", 16);
    return id;
}

static void
ids_make(enum form form, uint32_t count, uint64_t distance)
{
    uint64_t key = distance == 0 ? 77 : mix(distance) % distance;

    for (uint32_t i = 0; i < count; i++) {
        ids[i] = (struct run_id){key, (uint32_t)(mix(i * 31) % 120000), id_of(form, i)};
        key += distance == 0 ? 0 : mix(i) % (2 * distance);
    }
    cr_assert(key >> DEDUP_KEY_BITS == 0);
}

static const struct page_case {
    const char *name;
    enum form form;
    uint32_t count;
    uint64_t distance;
    uint32_t keys_max; /* bytes */
    uint32_t ids_max;
} page_cases[] = {
    /* clang-format off */
    /* log2(distance) + 2 bits a key; 17 bits a row: 544 bytes */
    { "uuid, run of 100,000", FORM_UUID,    256, (UINT64_C(1) << 40) / 100000,  850, 4650 },
    { "uuid, run of 6 M",     FORM_UUID,    256, (UINT64_C(1) << 40) / 6000000, 660, 4650 },
    { "one id",               FORM_UUID,    1,   1000,                          20,  29 },
    { "two far apart",        FORM_UUID,    2,   UINT64_C(1) << 37,             30,  60 },
    { "all keys equal",       FORM_UUID,    256, 0,                             50,  4650 },
    { "texts with a prefix",  FORM_COUNTER, 256, 1 << 20,                       800, 2613 },
    { "mixed",                FORM_MIXED,   255, 1 << 20,                       800, BYTES },
    { "longest",              FORM_LONG,    256, 1,                             200, BYTES },
    { "equal ids",            FORM_SAME,    100, 3,                             100, 239 },
    /* clang-format on */
};

/* Page bytes in memory of their own, so that a sanitizer sees a read past the slack. */
static struct vt_bytes
page_copy(const uint8_t *page, uint32_t bytes)
{
    uint8_t *copy = calloc(1, bytes + ID_PAGE_SLACK);

    cr_assert(copy != NULL);
    memcpy(copy, page, bytes);
    return (struct vt_bytes){copy, bytes};
}

static bool
ids_come_back(struct vt_bytes page, uint32_t count)
{
    uint8_t text[ID_PAGE_ID_BYTES];
    struct id_page opened;
    struct run_id got;
    uint64_t offset = 0;

    if (id_page_open(SEED, page, count, &opened) != VT_OK)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (id_page_next(&opened, i, &offset, text, &got) != VT_OK || got.row != ids[i].row ||
            got.id.kind != ids[i].id.kind || got.id.size != ids[i].id.size ||
            memcmp(got.id.data, ids[i].id.data, got.id.size) != 0)
            return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = id_page_skip(&opened, i, &offset);

        for (; at <= i; at++)
            if (id_page_next(&opened, at, &offset, text, &got) != VT_OK)
                return false;
        if (got.row != ids[i].row || got.id.size != ids[i].id.size)
            return false;
    }
    return true;
}

Test(id_page, gives_back_what_was_put, .timeout = 30)
{
    static uint8_t out[BYTES];

    for (size_t c = 0; c < VT_COUNT(page_cases); c++) {
        const struct page_case *one = &page_cases[c];
        uint64_t keys[ID_PAGE_IDS];

        ids_make(one->form, one->count, one->distance);
        uint32_t size = id_page_put_keys(SEED, ids, one->count, out);
        struct vt_bytes page = page_copy(out, size);

        cr_expect(size <= one->keys_max, "%s: %u bytes of keys", one->name, size);
        cr_expect(id_page_keys_size(page, one->count) == size, "%s", one->name);
        cr_assert(id_page_get_keys(SEED, page, one->count, keys) == VT_OK, "%s", one->name);
        for (uint32_t i = 0; i < one->count; i++)
            cr_assert(keys[i] == ids[i].key, "%s: key %u", one->name, i);
        free(vt_owned(page.data));

        cr_assert(id_page_bound(ids, one->count) <= BYTES);
        size = id_page_put_ids(SEED, ids, one->count, out);
        page = page_copy(out, size);
        cr_expect(size <= one->ids_max, "%s: %u bytes of ids", one->name, size);
        cr_expect(size <= id_page_bound(ids, one->count), "%s", one->name);
        cr_expect(ids_come_back(page, one->count), "%s", one->name);
        free(vt_owned(page.data));
    }
}

Test(id_page, finds_every_flipped_bit, .timeout = 30)
{
    static uint8_t out[BYTES];
    uint64_t keys[ID_PAGE_IDS];
    struct id_page opened;

    ids_make(FORM_MIXED, 20, 5000);
    uint32_t size = id_page_put_keys(SEED, ids, 20, out);
    struct vt_bytes page = page_copy(out, size);

    for (uint32_t bit = 0; bit < size * 8; bit++) {
        uint8_t *byte = (uint8_t *)vt_owned(page.data) + bit / 8;

        *byte ^= (uint8_t)(1 << bit % 8);
        cr_expect(id_page_get_keys(SEED, page, 20, keys) == VT_BAD_CRC, "bit %u of keys", bit);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    cr_expect(id_page_get_keys(SEED + 1, page, 20, keys) == VT_BAD_CRC, "another place");
    free(vt_owned(page.data));
    size = id_page_put_ids(SEED, ids, 20, out);
    page = page_copy(out, size);
    for (uint32_t bit = 0; bit < size * 8; bit++) {
        uint8_t *byte = (uint8_t *)vt_owned(page.data) + bit / 8;

        *byte ^= (uint8_t)(1 << bit % 8);
        cr_expect(id_page_open(SEED, page, 20, &opened) == VT_BAD_CRC, "bit %u of ids", bit);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    cr_expect(id_page_open(SEED + 1, page, 20, &opened) == VT_BAD_CRC, "another place");
    free(vt_owned(page.data));
}

/* The checksum is made good after each change: whatever the page says, nothing beyond it is read,
 * and keys that come back ascend. */
Test(id_page, a_page_that_lies_is_harmless, .timeout = 60)
{
    static uint8_t out[BYTES];
    uint64_t seed = 20251003;

    for (uint64_t round = 0; round < 60000; round++) {
        uint32_t count = (uint32_t)(1 + mix(seed + round) % 40);
        enum form form = (enum form)(mix(round) % 3);
        bool of_keys = mix(round * 3) % 2 == 0;

        ids_make(form, count, 1 + mix(round * 5) % 100000);
        uint32_t size = of_keys ? id_page_put_keys(SEED, ids, count, out)
                                : id_page_put_ids(SEED, ids, count, out);

        for (uint64_t change = 0; change <= mix(round * 7) % 3; change++)
            out[4 + mix(round * 11 + change) % (change == 0 ? 8 : size - 4)] =
                (uint8_t)mix(round * 13 + change);
        size -= (uint32_t)(mix(round * 17) % 4 == 0 ? mix(round * 19) % (size - 4) : 0);
        le32 crc = le32_put(vt_crc32c_more(SEED, out + 4, size - 4));

        memcpy(out, &crc, sizeof crc);
        struct vt_bytes page = page_copy(out, size);
        uint64_t keys[ID_PAGE_IDS];
        uint8_t text[ID_PAGE_ID_BYTES];
        struct id_page opened;
        struct run_id got;
        uint64_t offset = 0;

        if (of_keys && id_page_get_keys(SEED, page, count, keys) == VT_OK) {
            for (uint32_t i = 1; i < count; i++)
                cr_assert(keys[i - 1] <= keys[i]);
        } else if (!of_keys && id_page_open(SEED, page, count, &opened) == VT_OK) {
            for (uint32_t i = 0; i < count; i++)
                if (id_page_next(&opened, i, &offset, text, &got) != VT_OK)
                    break;
        }
        free(vt_owned(page.data));
    }
}

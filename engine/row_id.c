#include "block.h"

#include "venturi/assert.h"

#define SEQUENCE_DIGITS 20
#define UUID_TEXT_BYTES 36

/* Where the hyphens of a UUID's text stand: 8-4-4-4-12. */
static bool
is_hyphen_place(uint32_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

/* A lower-case hexadecimal digit's value plus 1; 0 for every other character. A table, for whether
 * a digit is a letter cannot be predicted: with branches this took a quarter of decoding a row. */
static const uint8_t nibbles[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool
row_id_uuid_parse(struct vt_bytes text, uint8_t out_uuid[16])
{
    static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    uint8_t uuid[16];
    bool good = true;

    if (text.size != UUID_TEXT_BYTES || text.data[8] != '-' || text.data[13] != '-' ||
        text.data[18] != '-' || text.data[23] != '-')
        return false;
    for (uint32_t i = 0; i < sizeof uuid; i++) {
        uint32_t high = nibbles[text.data[places[i]]];
        uint32_t low = nibbles[text.data[places[i] + 1]];

        good &= (high != 0) & (low != 0);
        uuid[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    if (!good)
        return false;
    memcpy(out_uuid, uuid, sizeof uuid);
    return true;
}

static void
digits_put(uint64_t number, char *out_text)
{
    for (uint32_t i = SEQUENCE_DIGITS; i > 0; i--, number /= 10)
        out_text[i - 1] = (char)('0' + number % 10);
}

struct vt_str
row_id_text(const struct row_id *id, char buffer[48])
{
    static const char hex[] = "0123456789abcdef";
    uint32_t at = 0;

    if (id->kind == ROW_ID_TEXT)
        return (struct vt_str){(const char *)id->data, id->size};
    VT_ASSERT(id->size == 16);
    if (id->kind == ROW_ID_SEQUENCE) {
        digits_put(vt_load64(id->data), buffer);
        buffer[SEQUENCE_DIGITS] = '-';
        digits_put(vt_load64(id->data + 8), buffer + SEQUENCE_DIGITS + 1);
        return (struct vt_str){buffer, SEQUENCE_DIGITS * 2 + 1};
    }
    VT_ASSERT(id->kind == ROW_ID_UUID);
    for (uint32_t i = 0; i < 16; i++) {
        if (is_hyphen_place(at))
            buffer[at++] = '-';
        buffer[at++] = hex[id->data[i] >> 4];
        buffer[at++] = hex[id->data[i] & 0x0F];
    }
    return (struct vt_str){buffer, at};
}

int
row_id_compare(const struct row_id *a, const struct row_id *b)
{
    char text_a[48];
    char text_b[48];

    /* Digits of fixed width, and hexadecimal ones in lower case, order as their numbers do. */
    if (a->kind == ROW_ID_UUID && b->kind == ROW_ID_UUID)
        return memcmp(a->data, b->data, 16);
    if (a->kind == ROW_ID_SEQUENCE && b->kind == ROW_ID_SEQUENCE) {
        uint64_t epoch_a = vt_load64(a->data);
        uint64_t epoch_b = vt_load64(b->data);
        uint64_t sequence_a = vt_load64(a->data + 8);
        uint64_t sequence_b = vt_load64(b->data + 8);

        if (epoch_a != epoch_b)
            return epoch_a < epoch_b ? -1 : 1;
        return sequence_a < sequence_b ? -1 : sequence_a > sequence_b;
    }
    return vt_str_compare(row_id_text(a, text_a), row_id_text(b, text_b));
}

const struct row_column *
row_block_column(const struct row_block *block, struct vt_str name)
{
    for (uint32_t i = 0; i < block->column_count; i++)
        if (vt_str_equal(block->columns[i].name, name))
            return &block->columns[i];
    return NULL;
}

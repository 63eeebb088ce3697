/*
 * seal_ids.c - the id run: identities in the order of K. K is uniform, so they are counted into as
 * many buckets as there are identities by K's high bits, and what shares a bucket is put in order
 * by insertion (bucket sort; E. J. Isaac, R. C. Singleton, 1956): linear, and no comparison sort of
 * the whole.
 */
#include <stdlib.h>

#include "seal_internal.h"
#include "venturi/assert.h"
#include "venturi/decimal.h"

enum { ID_HI, ID_LO, ID_ROW, ID_SIZE, ID_COLUMNS };
#define ID_BYTES_COLUMN 4

static int
identity_order(const struct seal_identity *a, const struct seal_identity *b)
{
    if (a->k.hi != b->k.hi)
        return a->k.hi < b->k.hi ? -1 : 1;
    if (a->k.lo != b->k.lo)
        return a->k.lo < b->k.lo ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static uint64_t
bucket_of(const struct seal_identity *identity, uint64_t count)
{
    return (uint64_t)((vt_u128)identity->k.hi * count >> 64);
}

static vt_err
identities_sort(struct seal *seal)
{
    uint64_t count = seal->identity_count;
    uint64_t *starts = calloc(count + 1, sizeof *starts);
    struct seal_identity *sorted = calloc(count + 1, sizeof *sorted);

    if (starts == NULL || sorted == NULL) {
        free(starts);
        free(sorted);
        return VT_NOMEM;
    }
    for (uint64_t i = 0; i < count; i++)
        starts[bucket_of(&seal->identities[i], count) + 1]++;
    for (uint64_t b = 1; b <= count; b++)
        starts[b] += starts[b - 1];
    for (uint64_t i = 0; i < count; i++)
        sorted[starts[bucket_of(&seal->identities[i], count)]++] = seal->identities[i];
    for (uint64_t i = 1; i < count; i++) {
        struct seal_identity moved = sorted[i];
        uint64_t at = i;

        for (; at > 0 && identity_order(&moved, &sorted[at - 1]) < 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = moved;
    }
    free(starts);
    free(seal->identities);
    seal->identities = sorted;
    seal->identity_capacity = count + 1;
    return VT_OK;
}

static vt_err
put_block(struct seal *seal, uint32_t block, struct int_columns *columns, struct byte_list *bytes)
{
    uint64_t first = (uint64_t)block * SEAL_ID_BLOCK;
    uint64_t end = first + SEAL_ID_BLOCK;
    vt_err err = VT_OK;

    columns->row_count = 0;
    bytes->size = 0;
    end = end < seal->identity_count ? end : seal->identity_count;
    for (uint64_t i = first; err == VT_OK && i < end; i++) {
        const struct seal_identity *identity = &seal->identities[i];

        err = int_columns_add(columns);
        if (err != VT_OK)
            break;
        uint32_t at = columns->row_count - 1;

        columns->values[ID_HI][at] = (int64_t)(identity->k.hi ^ (UINT64_C(1) << 63));
        columns->values[ID_LO][at] = (int64_t)(identity->k.lo & 0xffff);
        columns->values[ID_ROW][at] = identity->row;
        columns->values[ID_SIZE][at] = (int64_t)identity->id.kind << 16 | identity->id.size;
        err = byte_list_add(bytes, identity->id.data, identity->id.size);
    }
    if (err == VT_OK)
        err = seal_put_columns(seal, SEAL_IDS, block, columns);
    struct chunk_key key = {.kind = SEAL_IDS, .column = ID_BYTES_COLUMN, .block = block};

    return err == VT_OK ? seal_put_bytes(seal, key, byte_list_view(bytes)) : err;
}

vt_err
seal_ids(struct seal *seal)
{
    struct int_columns columns = {0};
    struct byte_list bytes = {0};
    vt_err err = identities_sort(seal);

    if (err == VT_OK)
        err = int_columns_init(&columns, ID_COLUMNS);
    uint64_t blocks = (seal->identity_count + SEAL_ID_BLOCK - 1) / SEAL_ID_BLOCK;

    for (uint32_t block = 0; err == VT_OK && block < blocks; block++)
        err = put_block(seal, block, &columns, &bytes);
    int_columns_deinit(&columns);
    byte_list_deinit(&bytes);
    seal->meta.identities = le64_put(seal->identity_count);
    return err;
}

/* sealed_ids.c - the id run of a segment: look-ups by identity, tags, ids by row. See sealed.h. */
#include <stdlib.h>
#include <string.h>

#include "sealed_internal.h"
#include "venturi/assert.h"

#define FIND_ARENA_BYTES (UINT64_C(256) << 10)

enum { ID_HI, ID_LO, ID_ROW, ID_SIZE, ID_BYTES };

static uint32_t
id_block_count(const struct sealed *sealed, uint32_t block)
{
    uint64_t first = (uint64_t)block * SEAL_ID_BLOCK;
    uint64_t left = sealed->identities - first;

    return left < SEAL_ID_BLOCK ? (uint32_t)left : SEAL_ID_BLOCK;
}

static vt_err
id_column(const struct sealed *sealed, struct arena *arena, uint32_t block, uint32_t column,
          const int64_t **out_values)
{
    struct chunk_key key = {.kind = SEAL_IDS, .column = column, .block = block};

    return sealed_integers(sealed, arena, key, id_block_count(sealed, block), out_values);
}

static int64_t
flipped(uint64_t hi)
{
    return (int64_t)(hi ^ (UINT64_C(1) << 63));
}

vt_err
sealed_each_identity(const struct sealed *sealed,
                     void (*each)(void *context, const struct vt_hash128 *k), void *context)
{
    struct arena arena;
    uint64_t blocks = (sealed->identities + SEAL_ID_BLOCK - 1) / SEAL_ID_BLOCK;
    vt_err err = VT_OK;

    arena_init(&arena, FIND_ARENA_BYTES);
    for (uint32_t block = 0; err == VT_OK && block < blocks; block++) {
        const int64_t *hi = NULL;
        const int64_t *lo = NULL;

        arena_reset(&arena);
        err = id_column(sealed, &arena, block, ID_HI, &hi);
        if (err == VT_OK)
            err = id_column(sealed, &arena, block, ID_LO, &lo);
        for (uint32_t i = 0; err == VT_OK && i < id_block_count(sealed, block); i++) {
            /* The tag table uses the high half and the low 16 bits: what the run keeps of K. */
            struct vt_hash128 k = {(uint64_t)hi[i] ^ (UINT64_C(1) << 63), (uint64_t)lo[i]};

            each(context, &k);
        }
    }
    arena_deinit(&arena);
    return err;
}

vt_err
sealed_ids_by_row(const struct sealed *sealed, struct arena *arena, struct row_id **out_ids)
{
    struct row_id *ids = arena_zalloc(arena, (sealed->rows + 1) * sizeof *ids);
    uint64_t blocks = (sealed->identities + SEAL_ID_BLOCK - 1) / SEAL_ID_BLOCK;
    vt_err err = ids == NULL ? VT_NOMEM : VT_OK;

    for (uint32_t block = 0; err == VT_OK && block < blocks; block++) {
        struct chunk_key key = {.kind = SEAL_IDS, .column = ID_BYTES, .block = block};
        const int64_t *rows = NULL;
        const int64_t *sizes = NULL;
        struct vt_bytes bytes = {NULL, 0};

        err = id_column(sealed, arena, block, ID_ROW, &rows);
        if (err == VT_OK)
            err = id_column(sealed, arena, block, ID_SIZE, &sizes);
        if (err == VT_OK)
            err = sealed_bytes(sealed, arena, key, &bytes);
        struct vt_reader reader = vt_reader_of(bytes);

        for (uint32_t i = 0; err == VT_OK && i < id_block_count(sealed, block); i++) {
            struct vt_bytes id = vt_read_bytes(&reader, (uint64_t)sizes[i] & 0xffff);

            if (reader.bad || (uint64_t)rows[i] >= sealed->rows)
                err = sealed_damaged(sealed, "its id run does not fit its rows");
            else
                ids[rows[i]] =
                    (struct row_id){id.data, (uint16_t)id.size, (uint8_t)(sizes[i] >> 16)};
        }
    }
    if (err == VT_OK)
        *out_ids = ids;
    return err;
}

/* The block or group that holds a row, of `count` with ascending first rows from 0 on. */
static uint32_t
holder_of_row(const int64_t *firsts, uint32_t count, int64_t row)
{
    uint32_t low = 0;
    uint32_t high = count - 1;

    VT_ASSERT(count > 0);
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;

        if (firsts[middle] <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void
block_keep_one(struct row_block *block, struct row_column *columns, uint32_t at)
{
    block->row_count = 1;
    block->position += at;
    block->time_us += at;
    block->source += at;
    if (block->extra != NULL)
        block->extra += at;
    for (uint32_t c = 0; c < block->column_count; c++) {
        columns[c] = block->columns[c];
        if (columns[c].value != NULL)
            columns[c].value += at;
        if (columns[c].present != NULL)
            columns[c].present += at;
        if (columns[c].code != NULL)
            columns[c].code += at;
    }
    block->columns = columns;
}

/* The row, if tenant and source are those wanted. */
static vt_err
row_confirm(const struct sealed *sealed, const struct row_wanted *wanted, int64_t row,
            struct arena *arena, struct row_block *out_row)
{
    const struct sealed_directory *directory = NULL;
    struct row_block block;
    vt_err err = sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    if (row < 0 || (uint64_t)row >= sealed->rows)
        return sealed_damaged(sealed, "its id run does not fit its rows");
    uint32_t group = holder_of_row(directory->group_first, directory->group_count, row);
    struct vt_str tenant = sealed->catalog->tenants[directory->group_tenant[group]].key;

    if (!vt_str_equal(tenant, wanted->tenant))
        return VT_NOT_FOUND;
    struct block_request request = {
        .block = holder_of_row(directory->block_first, directory->block_count, row),
        .want_extra = true};

    err = sealed_read_block(sealed, arena, &request, &block);
    if (err != VT_OK)
        return err;
    struct row_column *columns = arena_alloc(arena, block.column_count * sizeof *columns);
    struct row_id *id = arena_alloc(arena, sizeof *id);

    if (columns == NULL || id == NULL)
        return VT_NOMEM;
    block_keep_one(&block, columns, (uint32_t)(row - directory->block_first[request.block]));
    if (!vt_str_equal(block.dict[block.source[0]], wanted->source))
        return VT_NOT_FOUND;
    *id = *wanted->id;
    block.id = id;
    block.tenant = tenant;
    *out_row = block;
    return VT_OK;
}

/* Whether entry `at` of an id block is the id wanted, byte for byte. */
static vt_err
entry_compare(const struct sealed *sealed, const struct row_wanted *wanted, uint32_t block,
              uint32_t at, struct arena *arena)
{
    struct chunk_key key = {.kind = SEAL_IDS, .column = ID_BYTES, .block = block};
    const int64_t *lo = NULL;
    const int64_t *sizes = NULL;
    struct vt_bytes bytes = {NULL, 0};
    uint64_t offset = 0;
    vt_err err = id_column(sealed, arena, block, ID_LO, &lo);

    if (err != VT_OK)
        return err;
    if ((uint64_t)lo[at] != (wanted->identity->lo & 0xffff))
        return VT_NOT_FOUND;
    err = id_column(sealed, arena, block, ID_SIZE, &sizes);
    if (err == VT_OK)
        err = sealed_bytes(sealed, arena, key, &bytes);
    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < at; i++)
        offset += (uint64_t)sizes[i] & 0xffff;
    uint64_t size = (uint64_t)sizes[at] & 0xffff;

    if (offset > bytes.size || size > bytes.size - offset)
        return sealed_damaged(sealed, "its id run is cut short");
    bool equal = sizes[at] >> 16 == wanted->id->kind && size == wanted->id->size &&
                 (size == 0 || memcmp(bytes.data + offset, wanted->id->data, size) == 0);

    return equal ? VT_OK : VT_NOT_FOUND;
}

static vt_err
find_in_block(const struct sealed *sealed, const struct row_wanted *wanted, uint32_t block,
              struct arena *arena, struct row_block *out_row)
{
    int64_t key = flipped(wanted->identity->hi);
    uint32_t count = id_block_count(sealed, block);
    const int64_t *hi = NULL;
    const int64_t *rows = NULL;
    uint32_t low = 0;
    uint32_t high = count;
    vt_err err = id_column(sealed, arena, block, ID_HI, &hi);

    if (err != VT_OK)
        return err;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (hi[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    err = VT_NOT_FOUND;
    for (; err == VT_NOT_FOUND && low < count && hi[low] == key; low++) {
        err = entry_compare(sealed, wanted, block, low, arena);
        if (err == VT_OK)
            err = id_column(sealed, arena, block, ID_ROW, &rows);
        if (err == VT_OK)
            err = row_confirm(sealed, wanted, rows[low], arena, out_row);
    }
    return err;
}

vt_err
sealed_find(const struct sealed *sealed, const struct row_wanted *wanted, struct arena *arena,
            struct row_block *out_row)
{
    const struct sealed_directory *directory = NULL;
    int64_t key = flipped(wanted->identity->hi);
    vt_err err = sealed->identities == 0 ? VT_NOT_FOUND : sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    uint32_t low = 0;
    uint32_t high = directory->id_block_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (directory->id_block_max[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    err = VT_NOT_FOUND;
    for (; err == VT_NOT_FOUND && low < directory->id_block_count &&
           directory->id_block_min[low] <= key;
         low++)
        err = find_in_block(sealed, wanted, low, arena, out_row);
    return err;
}

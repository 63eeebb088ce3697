/* seal_ids.c - the id run: identities in the order of K, in blocks. See sealed_format.h. */
#include <stdlib.h>

#include "seal_internal.h"
#include "venturi/assert.h"

enum { ID_HI, ID_LO, ID_ROW, ID_SIZE, ID_COLUMNS };
#define ID_BYTES_COLUMN 4

vt_err
seal_ids_open(struct seal *seal, struct seal_ids *ids)
{
    ids->seal = seal;
    return int_columns_init(&ids->columns, ID_COLUMNS);
}

static vt_err
block_put(struct seal_ids *ids)
{
    struct chunk_key key = {.kind = SEAL_IDS, .column = ID_BYTES_COLUMN, .block = ids->block};

    if (ids->columns.row_count == 0)
        return VT_OK;
    vt_err err = seal_put_columns(ids->seal, SEAL_IDS, ids->block, &ids->columns);

    if (err == VT_OK)
        err = seal_put_bytes(ids->seal, key, byte_list_view(&ids->bytes));
    ids->columns.row_count = 0;
    ids->bytes.size = 0;
    ids->block++;
    return err;
}

vt_err
seal_ids_put(struct seal_ids *ids, const struct run_id *entry)
{
    int64_t **values = ids->columns.values;
    vt_err err = int_columns_add(&ids->columns);

    if (err != VT_OK)
        return err;
    uint32_t at = ids->columns.row_count - 1;

    VT_ASSERT(entry->id.kind != ROW_ID_SEQUENCE);
    values[ID_HI][at] = (int64_t)(entry->hi ^ (UINT64_C(1) << 63));
    VT_ASSERT(at == 0 || values[ID_HI][at - 1] <= values[ID_HI][at]);
    values[ID_LO][at] = entry->lo;
    values[ID_ROW][at] = entry->row;
    values[ID_SIZE][at] = (int64_t)entry->id.kind << 16 | entry->id.size;
    ids->count++;
    err = byte_list_add(&ids->bytes, entry->id.data, entry->id.size);
    return err == VT_OK && ids->columns.row_count == SEAL_ID_BLOCK ? block_put(ids) : err;
}

vt_err
seal_ids_finish(struct seal_ids *ids)
{
    ids->seal->meta.identities = le64_put(ids->count);
    return block_put(ids);
}

void
seal_ids_close(struct seal_ids *ids)
{
    int_columns_deinit(&ids->columns);
    byte_list_deinit(&ids->bytes);
}

/* seal_rows.c - rows by (type, tenant, position) as blocks of columns, and the tables that find
 * them. Where the rows come from is the caller's business. See sealed_format.h. */
#include <stdlib.h>
#include <string.h>

#include "seal_internal.h"
#include "venturi/assert.h"

enum { BLOCK_TYPE, BLOCK_FIRST, BLOCK_ROWS, BLOCK_COLUMNS };

vt_err
seal_rows_open(struct seal *seal)
{
    vt_err err = int_columns_init(&seal->rows, SEAL_ROW_PRESENT + CATALOG_FIELDS_MAX);

    if (err == VT_OK)
        err = int_columns_init(&seal->groups, SEAL_GROUP_COLUMNS);
    if (err == VT_OK)
        err = int_columns_init(&seal->blocks, BLOCK_COLUMNS);
    seal->extra_size = malloc(SEAL_ROW_BLOCK * sizeof(int64_t));
    return err == VT_OK && seal->extra_size == NULL ? VT_NOMEM : err;
}

static bool
all_present(const int64_t *present, uint32_t count)
{
    int64_t all = 1;

    for (uint32_t i = 0; i < count; i++)
        all &= present[i];
    return all == 1;
}

static vt_err
put_slots(struct seal *seal)
{
    const struct catalog_type *type = &seal->catalog->types[seal->type];
    uint32_t count = seal->rows.row_count;
    vt_err err = VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < type->field_count; s++) {
        struct chunk_key key = {
            .kind = SEAL_ROWS, .column = SEAL_ROW_SLOT + s, .block = seal->block_next};
        const int64_t *present = seal->rows.values[SEAL_ROW_PRESENT + s];

        err = seal_put(seal, key, seal->rows.values[SEAL_ROW_SLOT + s], count);
        if (err != VT_OK || type->fields[s].kind != FIELD_DECIMAL || all_present(present, count))
            continue;
        key.column = SEAL_ROW_PRESENT + s;
        err = seal_put(seal, key, present, count);
    }
    return err;
}

static vt_err
put_extra(struct seal *seal)
{
    struct chunk_key key = {.kind = SEAL_EXTRA, .column = 0, .block = seal->block_next};

    if (!seal->extra_any)
        return VT_OK;
    vt_err err = seal_put(seal, key, seal->extra_size, seal->rows.row_count);

    key.column = 1;
    if (err == VT_OK)
        err = seal_put_bytes(seal, key, byte_list_view(&seal->extra));
    return err;
}

vt_err
seal_rows_flush(struct seal *seal)
{
    uint32_t count = seal->rows.row_count;
    vt_err err = VT_OK;

    if (count == 0)
        return VT_OK;
    for (uint32_t c = SEAL_ROW_POSITION; err == VT_OK && c <= SEAL_ROW_SEQUENCE; c++) {
        struct chunk_key key = {.kind = SEAL_ROWS, .column = c, .block = seal->block_next};

        err = seal_put(seal, key, seal->rows.values[c], count);
    }
    if (err == VT_OK)
        err = put_slots(seal);
    if (err == VT_OK)
        err = put_extra(seal);
    if (err == VT_OK)
        err = int_columns_add(&seal->blocks);
    if (err != VT_OK)
        return err;
    uint32_t at = seal->blocks.row_count - 1;

    seal->blocks.values[BLOCK_TYPE][at] = seal->type;
    seal->blocks.values[BLOCK_FIRST][at] = seal->row_next - count;
    seal->blocks.values[BLOCK_ROWS][at] = count;
    seal->block_next++;
    seal->rows.row_count = 0;
    seal->extra.size = 0;
    seal->extra_any = false;
    return VT_OK;
}

uint32_t
seal_rows_room(const struct seal *seal)
{
    VT_ASSERT(seal->rows.row_count < SEAL_ROW_BLOCK);
    return SEAL_ROW_BLOCK - seal->rows.row_count;
}

/* Most types have few slots. */
int64_t *
seal_row_column(struct seal *seal, uint32_t column)
{
    int64_t **values = &seal->rows.values[column];

    VT_ASSERT(column < seal->rows.column_count);
    if (*values == NULL)
        *values = malloc(SEAL_ROW_BLOCK * sizeof(int64_t));
    return *values == NULL ? NULL : *values + seal->rows.row_count;
}

vt_err
seal_extra_add(struct seal *seal, const int64_t *sizes, uint32_t count, struct vt_bytes bytes)
{
    int64_t *to = seal->extra_size + seal->rows.row_count;

    VT_ASSERT(count <= seal_rows_room(seal));
    if (sizes == NULL) {
        memset(to, 0, count * sizeof *to);
        return VT_OK;
    }
    memcpy(to, sizes, count * sizeof *to);
    seal->extra_any = seal->extra_any || bytes.size > 0;
    return byte_list_add(&seal->extra, bytes.data, bytes.size);
}

vt_err
seal_rows_added(struct seal *seal, uint32_t count)
{
    VT_ASSERT(seal->groups.row_count > 0);
    VT_ASSERT(count <= seal_rows_room(seal));
    if (count > UINT32_MAX - seal->row_next)
        return vt_err_detail(VT_TOO_LARGE, "a segment has more rows than have numbers");
    seal->groups.values[SEAL_GROUP_ROWS][seal->groups.row_count - 1] += count;
    seal->row_next += count;
    seal->rows.row_count += count;
    return seal->rows.row_count == SEAL_ROW_BLOCK ? seal_rows_flush(seal) : VT_OK;
}

vt_err
seal_group(struct seal *seal, uint32_t tenant)
{
    uint32_t at = seal->groups.row_count;
    int64_t **values = seal->groups.values;

    VT_ASSERT(tenant < seal->catalog->tenant_count);
    VT_ASSERT(at == 0 || values[SEAL_GROUP_TYPE][at - 1] < seal->type ||
              (values[SEAL_GROUP_TYPE][at - 1] == seal->type &&
               values[SEAL_GROUP_TENANT][at - 1] < tenant));
    vt_err err = int_columns_add(&seal->groups);

    if (err != VT_OK)
        return err;
    seal->groups.values[SEAL_GROUP_TYPE][at] = seal->type;
    seal->groups.values[SEAL_GROUP_TENANT][at] = tenant;
    seal->groups.values[SEAL_GROUP_FIRST][at] = seal->row_next;
    return VT_OK;
}

vt_err
seal_stub_add(struct seal *seal, const struct seal_stub *stub)
{
    VT_ASSERT(seal->groups.row_count > 0);
    seal->groups.values[SEAL_GROUP_STUBS][seal->groups.row_count - 1]++;
    return byte_list_add(&seal->stubs, stub, sizeof *stub);
}

vt_err
seal_rows_finish(struct seal *seal)
{
    struct chunk_key key = {.kind = SEAL_CONTENT};

    VT_ASSERT(seal->rows.row_count == 0);
    vt_err err = seal_put_columns(seal, SEAL_GROUPS, 0, &seal->groups);

    if (err == VT_OK)
        err = seal_put_columns(seal, SEAL_BLOCKS, 0, &seal->blocks);
    if (err == VT_OK)
        err = seal_put_bytes(seal, key, byte_list_view(&seal->stubs));
    seal->meta.rows = le64_put(seal->row_next);
    seal->meta.groups = le32_put(seal->groups.row_count);
    seal->meta.blocks = le32_put(seal->blocks.row_count);
    return err;
}

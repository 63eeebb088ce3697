/* seal_rows.c - rows by (type, tenant, position) into blocks of columns. See sealed_format.h. */
#include <stdlib.h>
#include <string.h>

#include "seal_internal.h"
#include "venturi/assert.h"

enum { GROUP_TYPE, GROUP_TENANT, GROUP_FIRST, GROUP_ROWS, GROUP_COLUMNS };
enum { BLOCK_TYPE, BLOCK_FIRST, BLOCK_ROWS, BLOCK_COLUMNS };

/* Columns of the block at hand: fixed ones, values by slot, presence by slot. */
static uint32_t
slot_column(uint32_t slot)
{
    return SEAL_ROW_SLOT + slot;
}

static uint32_t
present_column(uint32_t slot)
{
    return SEAL_ROW_PRESENT + slot;
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
    const struct catalog_type *type = &seal->epoch->catalog->types[seal->type];
    uint32_t count = seal->rows.row_count;
    vt_err err = VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < type->field_count; s++) {
        struct chunk_key key = {
            .kind = SEAL_ROWS, .column = slot_column(s), .block = seal->block_next};
        const int64_t *present = seal->rows.values[present_column(s)];

        err = seal_put(seal, key, seal->rows.values[slot_column(s)], count);
        if (err != VT_OK || type->fields[s].kind != FIELD_DECIMAL || all_present(present, count))
            continue;
        key.column = present_column(s);
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

static vt_err
block_flush(struct seal *seal)
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

static vt_err
identity_add(struct seal *seal, const struct vt_hash128 *k, const struct row_id *id)
{
    if (seal->identity_count == seal->identity_capacity) {
        uint64_t capacity = seal->identity_capacity == 0 ? 1024 : seal->identity_capacity * 2;
        struct seal_identity *grown = realloc(seal->identities, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        seal->identities = grown;
        seal->identity_capacity = capacity;
    }
    seal->identities[seal->identity_count++] =
        (struct seal_identity){.k = *k, .row = seal->row_next, .id = *id};
    return VT_OK;
}

static void
row_slots(struct seal *seal, const struct row_block *block, uint32_t row, uint32_t at)
{
    for (uint32_t s = 0; s < block->column_count; s++) {
        const struct row_column *column = &block->columns[s];

        if (column->kind == FIELD_STRING) {
            seal->rows.values[slot_column(s)][at] = column->code[row];
            continue;
        }
        int64_t present = column->present == NULL ? 1 : column->present[row];

        seal->rows.values[slot_column(s)][at] = present ? column->value[row] : 0;
        seal->rows.values[present_column(s)][at] = present;
    }
}

static vt_err
row_add(struct seal *seal, const struct row_block *block, uint32_t row, const struct vt_hash128 *k)
{
    const struct row_id *id = &block->id[row];
    int64_t **values = seal->rows.values;
    vt_err err = int_columns_add(&seal->rows);

    if (err != VT_OK)
        return err;
    uint32_t at = seal->rows.row_count - 1;

    values[SEAL_ROW_POSITION][at] = (int64_t)block->position[row];
    values[SEAL_ROW_TIME][at] = block->time_us[row];
    values[SEAL_ROW_SOURCE][at] = block->source[row];
    values[SEAL_ROW_ID_KIND][at] = id->kind;
    if (id->kind == ROW_ID_SEQUENCE) {
        values[SEAL_ROW_EPOCH][at] = (int64_t)vt_load64(id->data);
        values[SEAL_ROW_SEQUENCE][at] = (int64_t)vt_load64(id->data + 8);
    } else {
        err = identity_add(seal, k, id);
    }
    row_slots(seal, block, row, at);
    struct vt_bytes extra = block->extra == NULL ? (struct vt_bytes){NULL, 0} : block->extra[row];

    seal->extra_size[at] = (int64_t)extra.size;
    seal->extra_any = seal->extra_any || extra.size > 0;
    if (err == VT_OK)
        err = byte_list_add(&seal->extra, extra.data, extra.size);
    seal->row_next++;
    if (err == VT_OK && seal->rows.row_count == SEAL_ROW_BLOCK)
        err = block_flush(seal);
    return err;
}

static vt_err
group_end(struct seal *seal)
{
    uint8_t digest[32];
    vt_err err = content_finish(seal->content, digest);

    return err == VT_OK ? byte_list_add(&seal->contents, digest, sizeof digest) : err;
}

/* The group of the block: the last one, or a new one where the tenant changed. */
static vt_err
group_of(struct seal *seal, uint32_t tenant, uint32_t rows)
{
    uint32_t last = seal->groups.row_count;

    if (last == 0 || seal->groups.values[GROUP_TYPE][last - 1] != seal->type ||
        seal->groups.values[GROUP_TENANT][last - 1] != tenant) {
        vt_err err = last == 0 ? VT_OK : group_end(seal);

        if (err == VT_OK)
            err = int_columns_add(&seal->groups);
        if (err != VT_OK)
            return err;
        VT_ASSERT(last == 0 || seal->groups.values[GROUP_TYPE][last - 1] < seal->type ||
                  seal->groups.values[GROUP_TENANT][last - 1] < tenant);
        seal->groups.values[GROUP_TYPE][last] = seal->type;
        seal->groups.values[GROUP_TENANT][last] = tenant;
        seal->groups.values[GROUP_FIRST][last] = seal->row_next;
        last++;
    }
    seal->groups.values[GROUP_ROWS][last - 1] += rows;
    return VT_OK;
}

static vt_err
block_add(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    struct seal *seal = context;
    uint32_t tenant = catalog_find_tenant(seal->epoch->catalog, block->tenant);

    VT_ASSERT(tenant != CATALOG_NONE);
    vt_err err = group_of(seal, tenant, block->row_count);

    if (err == VT_OK)
        err = content_add(seal->content, block, 0, block->row_count);
    for (uint32_t row = 0; err == VT_OK && row < block->row_count; row++)
        err = row_add(seal, block, row, &identity[row]);
    return err;
}

static vt_err
put_directory(struct seal *seal)
{
    struct chunk_key key = {.kind = SEAL_CONTENT};
    vt_err err = seal->groups.row_count == 0 ? VT_OK : group_end(seal);

    if (err == VT_OK)
        err = seal_put_columns(seal, SEAL_GROUPS, 0, &seal->groups);
    if (err == VT_OK)
        err = seal_put_columns(seal, SEAL_BLOCKS, 0, &seal->blocks);
    if (err == VT_OK)
        err = seal_put_bytes(seal, key, byte_list_view(&seal->contents));
    seal->meta.rows = le64_put(seal->row_next);
    seal->meta.groups = le32_put(seal->groups.row_count);
    seal->meta.blocks = le32_put(seal->blocks.row_count);
    return err;
}

vt_err
seal_rows(struct seal *seal)
{
    vt_err err = int_columns_init(&seal->rows, SEAL_ROW_PRESENT + CATALOG_FIELDS_MAX);

    if (err == VT_OK)
        err = int_columns_init(&seal->groups, GROUP_COLUMNS);
    if (err == VT_OK)
        err = int_columns_init(&seal->blocks, BLOCK_COLUMNS);
    seal->extra_size = malloc(SEAL_ROW_BLOCK * sizeof(int64_t));
    if (err == VT_OK && seal->extra_size == NULL)
        err = VT_NOMEM;
    for (seal->type = 0; err == VT_OK && seal->type < seal->epoch->catalog->type_count;
         seal->type++) {
        struct epoch_scan scan = {
            .tenant = CATALOG_NONE,
            .type = seal->type,
            .block = block_add,
            .context = seal,
        };

        err = epoch_scan_rows(seal->mark, &scan);
        if (err == VT_OK)
            err = block_flush(seal);
    }
    return err == VT_OK ? put_directory(seal) : err;
}

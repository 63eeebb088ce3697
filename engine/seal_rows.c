/* seal_rows.c - rows by (type, tenant, position) into blocks of columns. See sealed_format.h. */
#include <stdlib.h>
#include <string.h>

#include "seal_internal.h"
#include "venturi/assert.h"

enum { GROUP_TYPE, GROUP_TENANT, GROUP_FIRST, GROUP_ROWS, GROUP_COLUMNS };
enum { BLOCK_TYPE, BLOCK_FIRST, BLOCK_ROWS, BLOCK_COLUMNS };

struct row_range {
    uint32_t first;
    uint32_t count;
};

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

/* The column's buffer, made on first use: most types have few slots. */
static int64_t *
column_of(struct seal *seal, uint32_t column)
{
    int64_t **values = &seal->rows.values[column];

    if (*values == NULL)
        *values = malloc(SEAL_ROW_BLOCK * sizeof(int64_t));
    return *values == NULL ? NULL : *values + seal->rows.row_count;
}

static vt_err
copy_slot(struct seal *seal, const struct row_column *column, uint32_t slot,
          const struct row_range *range)
{
    int64_t *values = column_of(seal, slot_column(slot));
    int64_t *present = column->kind == FIELD_DECIMAL ? column_of(seal, present_column(slot)) : NULL;

    if (values == NULL || (present == NULL && column->kind == FIELD_DECIMAL))
        return VT_NOMEM;
    if (present == NULL) {
        for (uint32_t i = 0; i < range->count; i++)
            values[i] = column->code[range->first + i];
        return VT_OK;
    }
    for (uint32_t i = 0; i < range->count; i++) {
        present[i] = column->present == NULL ? 1 : column->present[range->first + i];
        values[i] = present[i] != 0 ? column->value[range->first + i] : 0;
    }
    return VT_OK;
}

static vt_err
copy_fixed(struct seal *seal, const struct row_block *block, const struct row_range *range)
{
    int64_t *position = column_of(seal, SEAL_ROW_POSITION);
    int64_t *time_us = column_of(seal, SEAL_ROW_TIME);
    int64_t *source = column_of(seal, SEAL_ROW_SOURCE);
    int64_t *kind = column_of(seal, SEAL_ROW_ID_KIND);
    int64_t *epoch = column_of(seal, SEAL_ROW_EPOCH);
    int64_t *sequence = column_of(seal, SEAL_ROW_SEQUENCE);

    if (position == NULL || time_us == NULL || source == NULL || kind == NULL || epoch == NULL ||
        sequence == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < range->count; i++) {
        const struct row_id *id = &block->id[range->first + i];
        bool counted = id->kind == ROW_ID_SEQUENCE;

        position[i] = (int64_t)block->position[range->first + i];
        time_us[i] = block->time_us[range->first + i];
        source[i] = block->source[range->first + i];
        kind[i] = id->kind;
        epoch[i] = counted ? (int64_t)vt_load64(id->data) : 0;
        sequence[i] = counted ? (int64_t)vt_load64(id->data + 8) : 0;
    }
    return VT_OK;
}

static vt_err
copy_extra(struct seal *seal, const struct row_block *block, const struct row_range *range)
{
    int64_t *sizes = seal->extra_size + seal->rows.row_count;
    vt_err err = VT_OK;

    if (block->extra == NULL) {
        memset(sizes, 0, range->count * sizeof *sizes);
        return VT_OK;
    }
    for (uint32_t i = 0; err == VT_OK && i < range->count; i++) {
        struct vt_bytes extra = block->extra[range->first + i];

        sizes[i] = (int64_t)extra.size;
        seal->extra_any = seal->extra_any || extra.size > 0;
        err = byte_list_add(&seal->extra, extra.data, extra.size);
    }
    return err;
}

/* Rows of a block that fit the buffers, column by column. */
static vt_err
copy_rows(struct seal *seal, const struct row_block *block, const struct vt_hash128 *identity,
          const struct row_range *range)
{
    vt_err err = copy_fixed(seal, block, range);

    for (uint32_t s = 0; err == VT_OK && s < block->column_count; s++)
        err = copy_slot(seal, &block->columns[s], s, range);
    if (err == VT_OK)
        err = copy_extra(seal, block, range);
    for (uint32_t i = range->first; err == VT_OK && i < range->first + range->count; i++) {
        if (block->id[i].kind != ROW_ID_SEQUENCE)
            err = identity_add(seal, &identity[i], &block->id[i]);
        seal->row_next++;
    }
    seal->rows.row_count += range->count;
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
    for (uint32_t row = 0; err == VT_OK && row < block->row_count;) {
        uint32_t room = SEAL_ROW_BLOCK - seal->rows.row_count;
        struct row_range range = {row, block->row_count - row};

        range.count = range.count < room ? range.count : room;
        err = copy_rows(seal, block, identity, &range);
        row += range.count;
        if (err == VT_OK && seal->rows.row_count == SEAL_ROW_BLOCK)
            err = block_flush(seal);
    }
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

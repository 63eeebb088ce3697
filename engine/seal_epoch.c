/*
 * seal_epoch.c - the rows of an epoch on their way into a segment, and their identities and cells.
 * The scan of the epoch counts rows into place by tenant (epoch_scan.c); here they are copied
 * column by column. K is uniform, so identities are counted into as many buckets as there are by
 * K's high bits, and what shares a bucket is put in order by insertion (bucket sort; E. J. Isaac,
 * R. C. Singleton, 1956): linear, and no comparison sort of the whole.
 */
#include <stdlib.h>
#include <string.h>

#include "dedup.h"
#include "seal_internal.h"
#include "venturi/assert.h"
#include "venturi/decimal.h"

struct identity {
    struct vt_hash128 k;
    uint32_t row;
    struct row_id id; /* data is the epoch's */
};

struct epoch_copy {
    struct seal *seal;
    struct content *content;
    struct cells *cells;
    uint64_t group_rows; /* of the group at hand, 0: there is none yet */
    int64_t *sizes;      /* of the extras of a run, [SEAL_ROW_BLOCK] */
    struct byte_list extra;
    struct identity *identities;
    uint64_t identity_count;
    uint64_t identity_capacity;
};

struct row_range {
    uint32_t first;
    uint32_t count;
};

static vt_err
identity_add(struct epoch_copy *copy, const struct vt_hash128 *k, uint32_t row,
             const struct row_id *id)
{
    if (copy->identity_count == copy->identity_capacity) {
        uint64_t capacity = copy->identity_capacity == 0 ? 1024 : copy->identity_capacity * 2;
        struct identity *grown = realloc(copy->identities, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        copy->identities = grown;
        copy->identity_capacity = capacity;
    }
    copy->identities[copy->identity_count++] = (struct identity){.k = *k, .row = row, .id = *id};
    return VT_OK;
}

static vt_err
copy_slot(struct seal *seal, const struct row_column *column, uint32_t slot,
          const struct row_range *range)
{
    int64_t *values = seal_row_column(seal, SEAL_ROW_SLOT + slot);
    int64_t *present =
        column->kind == FIELD_DECIMAL ? seal_row_column(seal, SEAL_ROW_PRESENT + slot) : NULL;

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
    int64_t *position = seal_row_column(seal, SEAL_ROW_POSITION);
    int64_t *time_us = seal_row_column(seal, SEAL_ROW_TIME);
    int64_t *source = seal_row_column(seal, SEAL_ROW_SOURCE);
    int64_t *kind = seal_row_column(seal, SEAL_ROW_ID_KIND);
    int64_t *epoch = seal_row_column(seal, SEAL_ROW_EPOCH);
    int64_t *sequence = seal_row_column(seal, SEAL_ROW_SEQUENCE);

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
copy_extra(struct epoch_copy *copy, const struct row_block *block, const struct row_range *range)
{
    vt_err err = VT_OK;

    if (block->extra == NULL)
        return seal_extra_add(copy->seal, NULL, range->count, (struct vt_bytes){NULL, 0});
    copy->extra.size = 0;
    for (uint32_t i = 0; err == VT_OK && i < range->count; i++) {
        struct vt_bytes extra = block->extra[range->first + i];

        copy->sizes[i] = (int64_t)extra.size;
        err = byte_list_add(&copy->extra, extra.data, extra.size);
    }
    if (err != VT_OK)
        return err;
    return seal_extra_add(copy->seal, copy->sizes, range->count, byte_list_view(&copy->extra));
}

/* Rows of a block that fit the buffers, column by column. */
static vt_err
copy_rows(struct epoch_copy *copy, const struct row_block *block, const struct vt_hash128 *identity,
          const struct row_range *range)
{
    struct seal *seal = copy->seal;
    vt_err err = copy_fixed(seal, block, range);

    for (uint32_t s = 0; err == VT_OK && s < block->column_count; s++)
        err = copy_slot(seal, &block->columns[s], s, range);
    if (err == VT_OK)
        err = copy_extra(copy, block, range);
    for (uint32_t i = 0; err == VT_OK && i < range->count; i++)
        if (block->id[range->first + i].kind != ROW_ID_SEQUENCE)
            err = identity_add(copy, &identity[range->first + i], seal->row_next + i,
                               &block->id[range->first + i]);
    return err == VT_OK ? seal_rows_added(seal, range->count) : err;
}

static vt_err
group_end(struct epoch_copy *copy)
{
    struct seal_stub stub = {.rows = le64_put(copy->group_rows)};

    if (copy->group_rows == 0)
        return VT_OK;
    copy->group_rows = 0;
    vt_err err = content_finish(copy->content, stub.sha256);

    return err == VT_OK ? seal_stub_add(copy->seal, &stub) : err;
}

/* The group of the block: the last one, or a new one where the tenant changed. */
static vt_err
group_of(struct epoch_copy *copy, uint32_t tenant)
{
    const struct int_columns *groups = &copy->seal->groups;

    if (copy->group_rows > 0 && groups->values[SEAL_GROUP_TENANT][groups->row_count - 1] == tenant)
        return VT_OK;
    vt_err err = group_end(copy);

    return err == VT_OK ? seal_group(copy->seal, tenant) : err;
}

static vt_err
block_add(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    struct epoch_copy *copy = context;
    uint32_t tenant = catalog_find_tenant(copy->seal->catalog, block->tenant);

    VT_ASSERT(tenant != CATALOG_NONE);
    vt_err err = group_of(copy, tenant);

    if (err == VT_OK)
        err = content_add(copy->content, block, 0, block->row_count);
    if (err == VT_OK)
        err = cells_add_block(copy->cells, CATALOG_NONE, block);
    copy->group_rows += block->row_count;
    for (uint32_t row = 0; err == VT_OK && row < block->row_count;) {
        uint32_t room = seal_rows_room(copy->seal);
        struct row_range range = {row, block->row_count - row};

        range.count = range.count < room ? range.count : room;
        err = copy_rows(copy, block, identity, &range);
        row += range.count;
    }
    return err;
}

static vt_err
rows_copy(struct epoch_copy *copy, const struct epoch_mark *mark)
{
    struct seal *seal = copy->seal;
    vt_err err = VT_OK;

    for (seal->type = 0; err == VT_OK && seal->type < seal->catalog->type_count; seal->type++) {
        struct epoch_scan scan = {
            .tenant = CATALOG_NONE,
            .type = seal->type,
            .block = block_add,
            .context = copy,
        };

        err = epoch_scan_rows(mark, &scan);
        if (err == VT_OK)
            err = group_end(copy);
        if (err == VT_OK)
            err = seal_rows_flush(seal);
    }
    return err == VT_OK ? seal_rows_finish(seal) : err;
}

static int
identity_order(const struct identity *a, const struct identity *b)
{
    uint64_t key_a = dedup_key(&a->k);
    uint64_t key_b = dedup_key(&b->k);

    if (key_a != key_b)
        return key_a < key_b ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static uint64_t
bucket_of(const struct identity *identity, uint64_t count)
{
    return (uint64_t)((vt_u128)identity->k.hi * count >> 64);
}

static vt_err
identities_sort(struct epoch_copy *copy)
{
    uint64_t count = copy->identity_count;
    uint64_t *starts = calloc(count + 1, sizeof *starts);
    struct identity *sorted = calloc(count + 1, sizeof *sorted);

    if (starts == NULL || sorted == NULL) {
        free(starts);
        free(sorted);
        return VT_NOMEM;
    }
    for (uint64_t i = 0; i < count; i++)
        starts[bucket_of(&copy->identities[i], count) + 1]++;
    for (uint64_t b = 1; b <= count; b++)
        starts[b] += starts[b - 1];
    for (uint64_t i = 0; i < count; i++)
        sorted[starts[bucket_of(&copy->identities[i], count)]++] = copy->identities[i];
    for (uint64_t i = 1; i < count; i++) {
        struct identity moved = sorted[i];
        uint64_t at = i;

        for (; at > 0 && identity_order(&moved, &sorted[at - 1]) < 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = moved;
    }
    free(starts);
    free(copy->identities);
    copy->identities = sorted;
    copy->identity_capacity = count + 1;
    return VT_OK;
}

static vt_err
identities_put(struct epoch_copy *copy)
{
    struct seal_ids ids = {0};
    vt_err err = identities_sort(copy);

    if (err == VT_OK)
        err = seal_ids_open(copy->seal, &ids);
    for (uint64_t i = 0; err == VT_OK && i < copy->identity_count; i++) {
        const struct identity *identity = &copy->identities[i];
        struct run_id entry = {dedup_key(&identity->k), identity->row, identity->id};

        err = seal_ids_put(&ids, &entry);
    }
    if (err == VT_OK)
        err = seal_ids_finish(&ids);
    seal_ids_close(&ids);
    return err;
}

vt_err
seal_epoch(struct seal *seal, const struct epoch_mark *mark, struct cells *cells)
{
    struct epoch_copy copy = {.seal = seal, .cells = cells};
    vt_err err = content_open(true, &copy.content);

    copy.sizes = malloc(SEAL_ROW_BLOCK * sizeof *copy.sizes);
    if (err == VT_OK && copy.sizes == NULL)
        err = VT_NOMEM;
    if (err == VT_OK)
        err = rows_copy(&copy, mark);
    if (err == VT_OK)
        err = identities_put(&copy);
    content_close(copy.content);
    byte_list_deinit(&copy.extra);
    free(copy.sizes);
    free(copy.identities);
    return err;
}

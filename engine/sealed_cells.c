/* sealed_cells.c - the cells of a segment's footer. See sealed.h. */
#include <string.h>

#include "sealed_internal.h"
#include "sealed_walk.h"
#include "value_set.h"
#include "venturi/assert.h"

#define CELLS_ARENA_BYTES (UINT64_C(512) << 10)

struct cell_scan {
    const struct sealed *sealed;
    const struct sealed_directory *directory;
    const struct cell_filter *filter;
    int64_t meter;  /* -1: all */
    int64_t tenant; /* -1: all */
    struct arena arena;
    vt_err (*each)(void *context, const struct sealed_cell *cell, const struct cell_value *value);
    void *context;
};

/* Whether the zone map of a column leaves room for values in [first, last]. */
static bool
zone_overlaps(const struct sealed *sealed, uint32_t column, uint32_t block, int64_t first,
              int64_t last)
{
    struct chunk_key key = {.kind = SEAL_CELLS, .column = column, .block = block};
    struct chunk_info info;

    /* A chunk that is missing is damage: the read that follows says so. */
    if (segment_find(sealed->segment, key, &info) != VT_OK)
        return true;
    return info.min <= last && info.max >= first;
}

static bool
block_wanted(const struct cell_scan *scan, uint32_t block)
{
    const struct cell_filter *filter = scan->filter;

    if (filter->end_us == INT64_MIN)
        return false;
    if (!zone_overlaps(scan->sealed, SEAL_CELL_START, block, filter->start_us, filter->end_us - 1))
        return false;
    if (scan->meter >= 0 &&
        !zone_overlaps(scan->sealed, SEAL_CELL_METER, block, scan->meter, scan->meter))
        return false;
    return scan->tenant < 0 ||
           zone_overlaps(scan->sealed, SEAL_CELL_TENANT, block, scan->tenant, scan->tenant);
}

vt_err
sealed_cell_block(const struct sealed *sealed, struct arena *arena, uint32_t index,
                  struct sealed_cell_block *out_block)
{
    uint64_t left = sealed->cells - (uint64_t)index * SEAL_CELL_BLOCK;
    uint32_t column_count = SEAL_CELL_DIM + seal_dims_max(sealed->catalog);
    struct chunk_key key = {.kind = SEAL_CELLS, .block = index};
    struct sealed_cell_block block = {.count = SEAL_CELL_BLOCK};
    struct chunk_info info;
    struct vt_bytes ids = {NULL, 0};
    vt_err err = VT_OK;

    if (left < SEAL_CELL_BLOCK)
        block.count = (uint32_t)left;
    for (uint32_t c = 0; err == VT_OK && c < column_count; c++) {
        if (c > SEAL_CELL_SET_SIZE && c < SEAL_CELL_DIM)
            continue;
        key.column = c;
        err = sealed_integers(sealed, arena, key, block.count, &block.columns[c]);
    }
    key = (struct chunk_key){.kind = SEAL_CELL_IDS, .block = index};
    if (err == VT_OK)
        err = sealed_bytes(sealed, arena, key, &ids);
    block.ids = vt_reader_of(ids);
    key.kind = SEAL_CELL_SETS;
    if (err == VT_OK && segment_find(sealed->segment, key, &info) == VT_OK) {
        block.set_count = info.count;
        err = sealed_integers(sealed, arena, key, info.count, &block.sets);
    }
    if (err == VT_OK)
        *out_block = block;
    return err;
}

static vt_err
string_at(const struct cell_scan *scan, int64_t code, struct vt_str *out_text)
{
    if (code < 0 || code >= scan->sealed->strings)
        return sealed_damaged(scan->sealed, "a cell's code is beyond the dictionary");
    *out_text = scan->directory->dict[code];
    return VT_OK;
}

/* The set of a `unique` cell, whose codes are the next in the block. */
static vt_err
set_read(struct cell_scan *scan, struct sealed_cell_block *block, uint64_t size,
         struct value_set *set)
{
    vt_err err = VT_OK;

    if (size > block->set_count - block->set_at)
        return sealed_damaged(scan->sealed, "the sets of its cells are cut short");
    for (uint64_t i = 0; err == VT_OK && i < size; i++) {
        struct vt_str text;

        err = string_at(scan, block->sets[block->set_at + i], &text);
        if (err == VT_OK)
            err = value_set_add(set, text);
    }
    return err;
}

static vt_err
cell_hand_over(struct cell_scan *scan, struct sealed_cell_block *block, uint32_t at,
               const struct sealed_cell *cell)
{
    uint64_t set_size = (uint64_t)block->columns[SEAL_CELL_SET_SIZE][at];
    struct cell_value value = {
        .count = (uint64_t)block->columns[SEAL_CELL_COUNT][at],
        .number = (vt_i128)((vt_u128)(uint64_t)block->columns[SEAL_CELL_NUMBER_HI][at] << 64 |
                            (uint64_t)block->columns[SEAL_CELL_NUMBER_LO][at]),
        .time_us = block->columns[SEAL_CELL_TIME][at],
    };
    int64_t id = block->columns[SEAL_CELL_ID][at];
    struct vt_reader ids = block->ids;
    vt_err err = string_at(scan, block->columns[SEAL_CELL_SOURCE][at], &value.source);
    struct vt_bytes bytes = vt_read_bytes(&ids, (uint64_t)id & 0xffff);

    value.id = (struct row_id){bytes.data, (uint16_t)bytes.size, (uint8_t)(id >> 16)};
    if (err == VT_OK && set_size > 0) {
        err = value_set_open(&value.set);
        if (err == VT_OK)
            err = set_read(scan, block, set_size, value.set);
    }
    if (err == VT_OK)
        err = scan->each(scan->context, cell, &value);
    value_set_close(value.set);
    return err;
}

static bool
cell_wanted(const struct cell_scan *scan, const struct sealed_cell_block *block, uint32_t at)
{
    VT_ASSERT(block->columns[SEAL_CELL_START] != NULL); /* block_load() has set every column */
    int64_t start = block->columns[SEAL_CELL_START][at];

    return start >= scan->filter->start_us && start < scan->filter->end_us &&
           (scan->meter < 0 || block->columns[SEAL_CELL_METER][at] == scan->meter) &&
           (scan->tenant < 0 || block->columns[SEAL_CELL_TENANT][at] == scan->tenant);
}

static vt_err
cell_read(struct cell_scan *scan, struct sealed_cell_block *block, uint32_t at)
{
    const struct catalog *catalog = scan->sealed->catalog;
    int64_t meter_index = block->columns[SEAL_CELL_METER][at];
    int64_t tenant_index = block->columns[SEAL_CELL_TENANT][at];
    struct vt_str names[CELL_DIMS_MAX];
    struct vt_str values[CELL_DIMS_MAX];
    vt_err err = VT_OK;

    if (meter_index < 0 || meter_index >= catalog->meter_count || tenant_index < 0 ||
        tenant_index >= catalog->tenant_count)
        return sealed_damaged(scan->sealed, "a cell is of no meter or tenant of its catalog");
    const struct catalog_meter *meter = &catalog->meters[meter_index];

    for (uint32_t d = 0; err == VT_OK && d < meter->dim_count; d++) {
        names[d] = catalog->types[meter->type].fields[meter->dim_slots[d]].name;
        err = string_at(scan, block->columns[SEAL_CELL_DIM + d][at], &values[d]);
    }
    struct sealed_cell cell = {
        .meter = meter->key,
        .tenant = catalog->tenants[tenant_index].key,
        .window_start_us = block->columns[SEAL_CELL_START][at],
        .dim_count = meter->dim_count,
        .dim_names = names,
        .dim_values = values,
    };

    return err == VT_OK ? cell_hand_over(scan, block, at, &cell) : err;
}

static vt_err
block_scan(struct cell_scan *scan, uint32_t index)
{
    struct sealed_cell_block block = {0};

    arena_reset(&scan->arena);
    vt_err err = sealed_cell_block(scan->sealed, &scan->arena, index, &block);

    for (uint32_t at = 0; err == VT_OK && at < block.count; at++) {
        if (cell_wanted(scan, &block, at))
            err = cell_read(scan, &block, at);
        /* What the cell owns of the block's lists is passed over whether it was wanted or not. */
        (void)vt_read_bytes(&block.ids, (uint64_t)block.columns[SEAL_CELL_ID][at] & 0xffff);
        block.set_at += (uint64_t)block.columns[SEAL_CELL_SET_SIZE][at];
        if (err == VT_OK && (block.ids.bad || block.set_at > block.set_count))
            err = sealed_damaged(scan->sealed, "the ids or sets of its cells are cut short");
    }
    return err;
}

vt_err
sealed_each_cell(const struct sealed *sealed, const struct cell_filter *filter,
                 vt_err (*each)(void *context, const struct sealed_cell *cell,
                                const struct cell_value *value),
                 void *context)
{
    struct cell_scan scan = {
        .sealed = sealed,
        .filter = filter,
        .meter = -1,
        .tenant = -1,
        .each = each,
        .context = context,
    };

    if (filter->meter.size > 0) {
        uint32_t meter = catalog_find_meter(sealed->catalog, filter->meter);

        if (meter == CATALOG_NONE)
            return VT_OK;
        scan.meter = meter;
    }
    if (filter->tenant.size > 0) {
        uint32_t tenant = catalog_find_tenant(sealed->catalog, filter->tenant);

        if (tenant == CATALOG_NONE)
            return VT_OK;
        scan.tenant = tenant;
    }
    vt_err err = sealed_load(sealed, &scan.directory);

    if (err != VT_OK)
        return err;
    arena_init(&scan.arena, CELLS_ARENA_BYTES);
    uint64_t blocks = (sealed->cells + SEAL_CELL_BLOCK - 1) / SEAL_CELL_BLOCK;

    for (uint32_t b = 0; err == VT_OK && b < blocks; b++)
        if (block_wanted(&scan, b))
            err = block_scan(&scan, b);
    arena_deinit(&scan.arena);
    return err;
}

static bool
filters_equal(const struct filter *a, const struct filter *b)
{
    if (a->term_count != b->term_count)
        return false;
    for (uint32_t t = 0; t < a->term_count; t++) {
        const struct filter_term *one = &a->terms[t];
        const struct filter_term *other = &b->terms[t];

        if (!vt_str_equal(one->dim, other->dim) || one->value_count != other->value_count)
            return false;
        for (uint32_t v = 0; v < one->value_count; v++)
            if (!vt_str_equal(one->values[v], other->values[v]))
                return false;
    }
    return true;
}

static bool
has_dim(const struct catalog *catalog, const struct catalog_meter *meter, struct vt_str name)
{
    for (uint32_t d = 0; d < meter->dim_count; d++)
        if (vt_str_equal(catalog->types[meter->type].fields[meter->dim_slots[d]].name, name))
            return true;
    return false;
}

bool
sealed_has_cells(const struct sealed *sealed, const struct catalog *catalog, uint32_t meter)
{
    const struct catalog_meter *wanted = &catalog->meters[meter];
    uint32_t found = catalog_find_meter(sealed->catalog, wanted->key);

    if (found == CATALOG_NONE)
        return false;
    const struct catalog_meter *mine = &sealed->catalog->meters[found];
    const struct catalog_type *wanted_type = &catalog->types[wanted->type];
    const struct catalog_type *my_type = &sealed->catalog->types[mine->type];

    if (!vt_str_equal(wanted_type->name, my_type->name) ||
        wanted->aggregation != mine->aggregation || wanted->window_us != mine->window_us ||
        !filters_equal(&wanted->filter, &mine->filter))
        return false;
    if ((wanted->field == CATALOG_NONE) != (mine->field == CATALOG_NONE))
        return false;
    if (wanted->field != CATALOG_NONE &&
        !vt_str_equal(wanted_type->fields[wanted->field].name, my_type->fields[mine->field].name))
        return false;
    for (uint32_t g = 0; g < wanted->group_count; g++)
        if (!has_dim(sealed->catalog, mine, wanted_type->fields[wanted->group_slots[g]].name))
            return false;
    return true;
}

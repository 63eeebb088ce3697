/* seal_cells.c - cells as the footer of a segment. See sealed_format.h. */
#include <stdlib.h>

#include "seal_internal.h"
#include "venturi/assert.h"

vt_err
seal_cells_open(struct seal *seal, struct seal_cells *cells)
{
    cells->seal = seal;
    vt_err err = int_columns_init(&cells->columns, SEAL_CELL_DIM + seal_dims_max(seal->catalog));

    return err == VT_OK ? int_columns_init(&cells->sets, 1) : err;
}

static vt_err
cells_flush(struct seal_cells *cells)
{
    struct chunk_key ids = {.kind = SEAL_CELL_IDS, .block = cells->block};
    struct chunk_key sets = {.kind = SEAL_CELL_SETS, .block = cells->block};

    if (cells->columns.row_count == 0)
        return VT_OK;
    vt_err err = seal_put_columns(cells->seal, SEAL_CELLS, cells->block, &cells->columns);

    if (err == VT_OK)
        err = seal_put_bytes(cells->seal, ids, byte_list_view(&cells->ids));
    if (err == VT_OK)
        err = seal_put(cells->seal, sets, cells->sets.values[0], cells->sets.row_count);
    cells->columns.row_count = 0;
    cells->sets.row_count = 0;
    cells->ids.size = 0;
    cells->block++;
    return err;
}

/* Every string of a value is in the dictionary: this finds it and adds none. */
static vt_err
known_code(const struct seal *seal, struct vt_str value, uint32_t *out_code)
{
    vt_err err = dict_code(seal->dict, value, out_code);

    VT_ASSERT(err != VT_OK || *out_code < seal->dict_count);
    return err;
}

static vt_err
set_add(void *context, struct vt_str value)
{
    struct seal_cells *cells = context;
    uint32_t code = 0;
    vt_err err = known_code(cells->seal, value, &code);

    if (err == VT_OK)
        err = int_columns_add(&cells->sets);
    if (err == VT_OK)
        cells->sets.values[0][cells->sets.row_count - 1] = code;
    return err;
}

static vt_err
cell_members(struct seal_cells *cells, const struct cell_value *value, uint32_t at)
{
    int64_t **columns = cells->columns.values;
    const struct catalog_meter *meter = &cells->seal->catalog->meters[columns[SEAL_CELL_METER][at]];
    uint32_t source = 0;
    uint32_t before = cells->sets.row_count;
    vt_err err = VT_OK;

    if (meter->aggregation == AGG_LAST && value->count > 0) {
        columns[SEAL_CELL_TIME][at] = value->time_us;
        err = known_code(cells->seal, value->source, &source);
        columns[SEAL_CELL_SOURCE][at] = source;
        columns[SEAL_CELL_ID][at] = (int64_t)value->id.kind << 16 | value->id.size;
        if (err == VT_OK)
            err = byte_list_add(&cells->ids, value->id.data, value->id.size);
    }
    if (meter->aggregation == AGG_UNIQUE && value->set != NULL) {
        err = value_set_each(value->set, set_add, cells);
        columns[SEAL_CELL_SET_SIZE][at] = cells->sets.row_count - before;
    }
    return err;
}

vt_err
seal_cells_put(struct seal_cells *cells, const struct cell_key *key, const struct cell_value *value)
{
    vt_err err = int_columns_add(&cells->columns);

    if (err != VT_OK)
        return err;
    uint32_t at = cells->columns.row_count - 1;
    int64_t **columns = cells->columns.values;

    columns[SEAL_CELL_METER][at] = key->meter;
    columns[SEAL_CELL_TENANT][at] = key->tenant;
    columns[SEAL_CELL_START][at] = key->window_start_us;
    columns[SEAL_CELL_COUNT][at] = (int64_t)value->count;
    columns[SEAL_CELL_NUMBER_LO][at] = (int64_t)(uint64_t)value->number;
    columns[SEAL_CELL_NUMBER_HI][at] = (int64_t)(value->number >> 64);
    for (uint32_t d = 0; d < key->dim_count; d++)
        columns[SEAL_CELL_DIM + d][at] = key->dims[d];
    cells->count++;
    err = cell_members(cells, value, at);
    if (err == VT_OK && cells->columns.row_count == SEAL_CELL_BLOCK)
        err = cells_flush(cells);
    return err;
}

vt_err
seal_cells_finish(struct seal_cells *cells)
{
    cells->seal->meta.cells = le64_put(cells->count);
    return cells_flush(cells);
}

void
seal_cells_close(struct seal_cells *cells)
{
    int_columns_deinit(&cells->columns);
    int_columns_deinit(&cells->sets);
    byte_list_deinit(&cells->ids);
}

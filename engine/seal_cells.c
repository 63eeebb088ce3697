/* seal_cells.c - the frozen delta as the footer of its segment. See sealed_format.h. */
#include <stdlib.h>

#include "seal_internal.h"
#include "venturi/assert.h"

struct cell_seal {
    struct seal *seal;
    struct int_columns columns;
    struct int_columns sets; /* one column */
    struct byte_list ids;
    uint32_t block;
    uint64_t count;
};

static vt_err
cells_flush(struct cell_seal *state)
{
    struct chunk_key ids = {.kind = SEAL_CELL_IDS, .block = state->block};
    struct chunk_key sets = {.kind = SEAL_CELL_SETS, .block = state->block};

    if (state->columns.row_count == 0)
        return VT_OK;
    vt_err err = seal_put_columns(state->seal, SEAL_CELLS, state->block, &state->columns);

    if (err == VT_OK)
        err = seal_put_bytes(state->seal, ids, byte_list_view(&state->ids));
    if (err == VT_OK)
        err = seal_put(state->seal, sets, state->sets.values[0], state->sets.row_count);
    state->columns.row_count = 0;
    state->sets.row_count = 0;
    state->ids.size = 0;
    state->block++;
    return err;
}

static vt_err
set_add(void *context, struct vt_str value)
{
    struct cell_seal *state = context;
    uint32_t code = 0;
    /* Every value of a set came through the epoch's dictionary: this finds it and adds none. */
    vt_err err = dict_code(state->seal->epoch->dict, value, &code);

    VT_ASSERT(err != VT_OK || code < state->seal->mark->dict_count);
    if (err == VT_OK)
        err = int_columns_add(&state->sets);
    if (err == VT_OK)
        state->sets.values[0][state->sets.row_count - 1] = code;
    return err;
}

static vt_err
cell_members(struct cell_seal *state, const struct cell_value *value, uint32_t at)
{
    const struct catalog_meter *meter =
        &state->seal->epoch->catalog->meters[state->columns.values[SEAL_CELL_METER][at]];
    uint32_t source = 0;
    uint32_t before = state->sets.row_count;
    vt_err err = VT_OK;

    if (meter->aggregation == AGG_LAST && value->count > 0) {
        state->columns.values[SEAL_CELL_TIME][at] = value->time_us;
        err = dict_code(state->seal->epoch->dict, value->source, &source);
        VT_ASSERT(source < state->seal->mark->dict_count);
        state->columns.values[SEAL_CELL_SOURCE][at] = source;
        state->columns.values[SEAL_CELL_ID][at] = (int64_t)value->id.kind << 16 | value->id.size;
        if (err == VT_OK)
            err = byte_list_add(&state->ids, value->id.data, value->id.size);
    }
    if (meter->aggregation == AGG_UNIQUE && value->set != NULL) {
        err = value_set_each(value->set, set_add, state);
        state->columns.values[SEAL_CELL_SET_SIZE][at] = state->sets.row_count - before;
    }
    return err;
}

static vt_err
cell_add(void *context, const struct cell_key *key, const struct cell_value *value)
{
    struct cell_seal *state = context;
    vt_err err = int_columns_add(&state->columns);

    if (err != VT_OK)
        return err;
    uint32_t at = state->columns.row_count - 1;
    int64_t **columns = state->columns.values;

    columns[SEAL_CELL_METER][at] = key->meter;
    columns[SEAL_CELL_TENANT][at] = key->tenant;
    columns[SEAL_CELL_START][at] = key->window_start_us;
    columns[SEAL_CELL_COUNT][at] = (int64_t)value->count;
    columns[SEAL_CELL_NUMBER_LO][at] = (int64_t)(uint64_t)value->number;
    columns[SEAL_CELL_NUMBER_HI][at] = (int64_t)(value->number >> 64);
    for (uint32_t d = 0; d < key->dim_count; d++)
        columns[SEAL_CELL_DIM + d][at] = key->dims[d];
    state->count++;
    err = cell_members(state, value, at);
    if (err == VT_OK && state->columns.row_count == SEAL_CELL_BLOCK)
        err = cells_flush(state);
    return err;
}

vt_err
seal_cells(struct seal *seal)
{
    struct cell_seal state = {.seal = seal};
    vt_err err =
        int_columns_init(&state.columns, SEAL_CELL_DIM + seal_dims_max(seal->epoch->catalog));

    if (err == VT_OK)
        err = int_columns_init(&state.sets, 1);
    if (err == VT_OK)
        err = cells_each(seal->epoch->cells, cell_add, &state);
    if (err == VT_OK)
        err = cells_flush(&state);
    int_columns_deinit(&state.columns);
    int_columns_deinit(&state.sets);
    byte_list_deinit(&state.ids);
    seal->meta.cells = le64_put(state.count);
    return err;
}

/* sealed_walk.c - see sealed_walk.h. */
#include "sealed_walk.h"

#include "sealed_internal.h"
#include "venturi/assert.h"

#define WALK_ARENA_BYTES (UINT64_C(256) << 10)

void
sealed_cell_walk_open(const struct sealed *sealed, struct sealed_cell_walk *walk)
{
    *walk = (struct sealed_cell_walk){.sealed = sealed};
    arena_init(&walk->arena, WALK_ARENA_BYTES);
}

static bool
codes_known(const struct sealed *sealed, const int64_t *codes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if ((uint64_t)codes[i] >= sealed->strings)
            return false;
    return true;
}

/* What the columns say of cell `at`; false where its parts are not there. */
static bool
cell_take(struct sealed_cell_walk *walk, uint32_t at, struct sealed_walk_cell *cell)
{
    const struct catalog *catalog = walk->sealed->catalog;
    struct sealed_cell_block *block = &walk->block;
    const int64_t *const *columns = block->columns;
    uint64_t meter = (uint64_t)columns[SEAL_CELL_METER][at];
    uint64_t tenant = (uint64_t)columns[SEAL_CELL_TENANT][at];
    int64_t id = columns[SEAL_CELL_ID][at];
    struct vt_bytes bytes = vt_read_bytes(&block->ids, (uint64_t)id & 0xffff);
    uint64_t set_size = (uint64_t)columns[SEAL_CELL_SET_SIZE][at];

    if (block->ids.bad || meter >= catalog->meter_count || tenant >= catalog->tenant_count ||
        set_size > block->set_count - block->set_at ||
        !codes_known(walk->sealed, &columns[SEAL_CELL_SOURCE][at], 1))
        return false;
    *cell = (struct sealed_walk_cell){
        .key = {.meter = (uint32_t)meter,
                .tenant = (uint32_t)tenant,
                .window_start_us = columns[SEAL_CELL_START][at],
                .dim_count = catalog->meters[meter].dim_count},
        .value = {.count = (uint64_t)columns[SEAL_CELL_COUNT][at],
                  .number = (vt_i128)((vt_u128)(uint64_t)columns[SEAL_CELL_NUMBER_HI][at] << 64 |
                                      (uint64_t)columns[SEAL_CELL_NUMBER_LO][at]),
                  .time_us = columns[SEAL_CELL_TIME][at],
                  .id = {bytes.data, (uint16_t)bytes.size, (uint8_t)(id >> 16)}},
        .source = (uint32_t)columns[SEAL_CELL_SOURCE][at],
        .set_size = set_size,
        .set = set_size == 0 ? NULL : block->sets + block->set_at,
    };
    block->set_at += set_size;
    for (uint32_t d = 0; d < cell->key.dim_count; d++) {
        if (!codes_known(walk->sealed, &columns[SEAL_CELL_DIM + d][at], 1))
            return false;
        cell->key.dims[d] = (uint32_t)columns[SEAL_CELL_DIM + d][at];
    }
    return cell->value.count > 0 && codes_known(walk->sealed, cell->set, set_size);
}

vt_err
sealed_cell_walk_next(struct sealed_cell_walk *walk, struct sealed_walk_cell *out_cell)
{
    if (walk->at == walk->block.count) {
        if ((uint64_t)walk->block_next * SEAL_CELL_BLOCK >= walk->sealed->cells)
            return VT_END;
        arena_reset(&walk->arena);
        vt_err err = sealed_cell_block(walk->sealed, &walk->arena, walk->block_next, &walk->block);

        if (err != VT_OK)
            return err;
        walk->block_next++;
        walk->at = 0;
    }
    return cell_take(walk, walk->at++, out_cell)
               ? VT_OK
               : sealed_damaged(walk->sealed, "its cells are cut short");
}

void
sealed_cell_walk_close(struct sealed_cell_walk *walk)
{
    arena_deinit(&walk->arena);
}

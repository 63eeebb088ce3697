/*
 * epoch_scan.c - rows of an epoch as blocks of one tenant and one type. A counting sort (H. Seward,
 * 1954) puts the row numbers of each type in the order of their tenants; it is stable, so within a
 * tenant they stay in the order of their positions. Then the columns are gathered, block by block.
 */
#include <stdlib.h>

#include "epoch_private.h"
#include "venturi/assert.h"

#define SCAN_ARENA_BYTES (UINT64_C(1) << 20)

static void
gather_decimal(const struct epoch_gather *gather, uint32_t slot, int64_t *values, uint8_t *present)
{
    const struct row_table *table = &gather->epoch->tables[gather->type];

    for (uint32_t i = 0; i < gather->count; i++) {
        const struct row_chunk *chunk = table->chunks[gather->rows[i] / EPOCH_CHUNK_ROWS];
        uint32_t at = gather->rows[i] % EPOCH_CHUNK_ROWS;

        values[i] = chunk->value[slot][at];
        present[i] = chunk->present[slot][at];
    }
}

static vt_err
gather_columns(const struct epoch_gather *gather, struct row_column *columns)
{
    const struct row_table *table = &gather->epoch->tables[gather->type];
    const struct catalog_type *type = &gather->epoch->catalog->types[gather->type];

    for (uint32_t s = 0; s < type->field_count; s++) {
        const struct catalog_field *field = &type->fields[s];

        columns[s] =
            (struct row_column){.name = field->name, .kind = field->kind, .scale = field->scale};
        if (field->kind == FIELD_DECIMAL) {
            int64_t *values = arena_alloc(gather->arena, gather->count * sizeof *values);
            uint8_t *present = arena_alloc(gather->arena, gather->count);

            if (values == NULL || present == NULL)
                return VT_NOMEM;
            gather_decimal(gather, s, values, present);
            columns[s].value = values;
            columns[s].present = present;
            continue;
        }
        uint32_t *codes = arena_alloc(gather->arena, gather->count * sizeof *codes);

        if (codes == NULL)
            return VT_NOMEM;
        for (uint32_t i = 0; i < gather->count; i++)
            codes[i] = table->chunks[gather->rows[i] / EPOCH_CHUNK_ROWS]
                           ->code[s][gather->rows[i] % EPOCH_CHUNK_ROWS];
        columns[s].code = codes;
    }
    return VT_OK;
}

/* NULL where no row has any. */
static vt_err
gather_extra(const struct epoch_gather *gather, const struct vt_bytes **out_extra)
{
    const struct row_table *table = &gather->epoch->tables[gather->type];
    struct vt_bytes *extra = NULL;

    for (uint32_t i = 0; i < gather->count; i++) {
        /* Pairs with the release in append_extra. */
        const struct vt_bytes *column = atomic_load_explicit(
            &table->chunks[gather->rows[i] / EPOCH_CHUNK_ROWS]->extra, memory_order_acquire);

        if (column == NULL || column[gather->rows[i] % EPOCH_CHUNK_ROWS].size == 0)
            continue;
        if (extra == NULL)
            extra = arena_zalloc(gather->arena, gather->count * sizeof *extra);
        if (extra == NULL)
            return VT_NOMEM;
        extra[i] = column[gather->rows[i] % EPOCH_CHUNK_ROWS];
    }
    *out_extra = extra;
    return VT_OK;
}

/* NULL where no chunk of the rows has any. */
static vt_err
gather_identities(const struct epoch_gather *gather, const struct vt_hash128 **out_identity)
{
    const struct row_table *table = &gather->epoch->tables[gather->type];
    struct vt_hash128 *identity = NULL;

    for (uint32_t i = 0; i < gather->count; i++) {
        /* Pairs with the release in append_identity_column. */
        const struct vt_hash128 *column = atomic_load_explicit(
            &table->chunks[gather->rows[i] / EPOCH_CHUNK_ROWS]->identity, memory_order_acquire);

        if (column == NULL)
            continue;
        if (identity == NULL)
            identity = arena_zalloc(gather->arena, gather->count * sizeof *identity);
        if (identity == NULL)
            return VT_NOMEM;
        identity[i] = column[gather->rows[i] % EPOCH_CHUNK_ROWS];
    }
    *out_identity = identity;
    return VT_OK;
}

vt_err
epoch_gather_block(const struct epoch_gather *gather, struct row_block *out_block,
                   const struct vt_hash128 **out_identity)
{
    const struct row_table *table = &gather->epoch->tables[gather->type];
    const struct catalog_type *type = &gather->epoch->catalog->types[gather->type];
    struct arena *arena = gather->arena;
    uint64_t count = gather->count;
    uint64_t *position = arena_alloc(arena, count * sizeof *position);
    int64_t *time_us = arena_alloc(arena, count * sizeof *time_us);
    uint32_t *source = arena_alloc(arena, count * sizeof *source);
    struct row_id *id = arena_alloc(arena, count * sizeof *id);
    struct row_column *columns = arena_alloc(arena, type->field_count * sizeof *columns);
    uint32_t tenant = 0;

    VT_ASSERT(count > 0);
    if (position == NULL || time_us == NULL || source == NULL || id == NULL || columns == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const struct row_chunk *chunk = table->chunks[gather->rows[i] / EPOCH_CHUNK_ROWS];
        uint32_t at = gather->rows[i] % EPOCH_CHUNK_ROWS;

        position[i] = chunk->position[at];
        time_us[i] = chunk->time_us[at];
        source[i] = chunk->source[at];
        id[i] = id_column_get(&chunk->id, at);
        VT_VERIFY(i == 0 || (chunk->tenant[at] == tenant && position[i] > position[i - 1]));
        tenant = chunk->tenant[at];
    }
    struct row_block block = {
        .tenant = gather->epoch->catalog->tenants[tenant].key,
        .type = type->name,
        .row_count = gather->count,
        .position = position,
        .time_us = time_us,
        .source = source,
        .id = id,
        .column_count = type->field_count,
        .columns = columns,
    };
    vt_err err = gather_columns(gather, columns);

    if (err == VT_OK)
        err = gather_extra(gather, &block.extra);
    if (err == VT_OK)
        err = gather_identities(gather, out_identity);
    if (err == VT_OK)
        *out_block = block;
    return err;
}

/* --- scan */

struct scan_state {
    const struct epoch_mark *mark;
    const struct epoch_scan *scan;
    uint32_t bucket_count; /* tenants, or 1 where one is asked for */
    uint32_t **begins;     /* [type][bucket + 1] into `orders`; NULL: the type is not asked for */
    uint32_t **orders;     /* [type][...] row numbers */
    struct vt_str *dict;
    struct arena arena;
};

/* Row r's bucket, or bucket_count where it is not asked for. */
static uint32_t
scan_bucket(const struct scan_state *state, const struct row_table *table, uint32_t row)
{
    uint32_t tenant = table->chunks[row / EPOCH_CHUNK_ROWS]->tenant[row % EPOCH_CHUNK_ROWS];

    if (state->scan->tenant == CATALOG_NONE)
        return tenant;
    return tenant == state->scan->tenant ? 0 : state->bucket_count;
}

static vt_err
scan_sort(struct scan_state *state, uint32_t type)
{
    const struct row_table *table = &state->mark->epoch->tables[type];
    uint32_t row_count = state->mark->row_counts[type];
    /* begins[b + 2] counts bucket b, then begins[b + 1] is where its next row goes; in the end
     * begins[b] is where it begins. The last place takes the rows that are not asked for. */
    uint32_t *begins = calloc((uint64_t)state->bucket_count + 3, sizeof *begins);

    state->begins[type] = begins;
    if (begins == NULL)
        return VT_NOMEM;
    for (uint32_t row = 0; row < row_count; row++)
        begins[scan_bucket(state, table, row) + 2]++;
    begins[state->bucket_count + 2] = 0;
    for (uint32_t b = 0; b < state->bucket_count; b++)
        begins[b + 2] += begins[b + 1];
    uint32_t *order = malloc(((uint64_t)begins[state->bucket_count + 1] + 1) * sizeof *order);

    state->orders[type] = order;
    if (order == NULL)
        return VT_NOMEM;
    for (uint32_t row = 0; row < row_count; row++) {
        uint32_t bucket = scan_bucket(state, table, row);

        if (bucket < state->bucket_count)
            order[begins[bucket + 1]++] = row;
    }
    return VT_OK;
}

static vt_err
scan_cluster(struct scan_state *state, uint32_t type, uint32_t bucket)
{
    uint32_t begin = state->begins[type][bucket];
    uint32_t end = state->begins[type][bucket + 1];

    while (begin < end) {
        const struct vt_hash128 *identity = NULL;
        struct row_block block;
        struct epoch_gather gather = {
            .epoch = state->mark->epoch,
            .type = type,
            .rows = state->orders[type] + begin,
            .count = end - begin < EPOCH_BLOCK_ROWS ? end - begin : EPOCH_BLOCK_ROWS,
            .arena = &state->arena,
        };

        arena_reset(&state->arena);
        vt_err err = epoch_gather_block(&gather, &block, &identity);

        if (err != VT_OK)
            return err;
        block.dict_count = state->mark->dict_count;
        block.dict = state->dict;
        block.dict_id = dict_id(state->mark->epoch->dict);
        err = state->scan->block(state->scan->context, &block, identity);
        if (err != VT_OK)
            return err;
        begin += gather.count;
    }
    return VT_OK;
}

static vt_err
scan_run(struct scan_state *state)
{
    uint32_t type_count = state->mark->type_count;
    vt_err err = dict_array(state->mark->epoch->dict, state->mark->dict_count, &state->dict);

    for (uint32_t type = 0; err == VT_OK && type < type_count; type++)
        if ((state->scan->type == CATALOG_NONE || state->scan->type == type) &&
            state->mark->row_counts[type] > 0)
            err = scan_sort(state, type);
    for (uint32_t bucket = 0; err == VT_OK && bucket < state->bucket_count; bucket++)
        for (uint32_t type = 0; err == VT_OK && type < type_count; type++)
            if (state->begins[type] != NULL)
                err = scan_cluster(state, type, bucket);
    return err;
}

vt_err
epoch_scan_rows(const struct epoch_mark *mark, const struct epoch_scan *scan)
{
    struct scan_state state = {
        .mark = mark,
        .scan = scan,
        .bucket_count = scan->tenant == CATALOG_NONE ? mark->epoch->catalog->tenant_count : 1,
        .begins = calloc((uint64_t)mark->type_count + 1, sizeof(uint32_t *)),
        .orders = calloc((uint64_t)mark->type_count + 1, sizeof(uint32_t *)),
    };
    vt_err err = VT_NOMEM;

    arena_init(&state.arena, SCAN_ARENA_BYTES);
    if (state.begins != NULL && state.orders != NULL)
        err = scan_run(&state);
    for (uint32_t type = 0; type < mark->type_count; type++) {
        if (state.begins != NULL)
            free(state.begins[type]);
        if (state.orders != NULL)
            free(state.orders[type]);
    }
    free(state.begins);
    free(state.orders);
    free(state.dict);
    arena_deinit(&state.arena);
    return err;
}

/* --- one row */

/* Gives the row's strings codes of their own, so that nobody copies the dictionary for one row. */
static vt_err
fetch_dict(const struct epoch *epoch, struct arena *arena, struct row_block *block)
{
    struct vt_str *dict = arena_alloc(arena, (block->column_count + 2) * sizeof *dict);
    struct row_column *columns = arena_alloc(arena, block->column_count * sizeof *columns);
    uint32_t *codes = arena_alloc(arena, (block->column_count + 1) * sizeof *codes);

    if (dict == NULL || columns == NULL || codes == NULL)
        return VT_NOMEM;
    dict[0] = VT_STR("");
    dict[1] = dict_string(epoch->dict, block->source[0]);
    block->dict_count = 2;
    codes[0] = block->source[0] == 0 ? 0 : 1;
    block->source = codes;
    for (uint32_t s = 0; s < block->column_count; s++) {
        columns[s] = block->columns[s];
        if (columns[s].kind != FIELD_STRING)
            continue;
        codes[s + 1] = columns[s].code[0] == 0 ? 0 : block->dict_count;
        if (codes[s + 1] != 0)
            dict[block->dict_count++] = dict_string(epoch->dict, columns[s].code[0]);
        columns[s].code = &codes[s + 1];
    }
    block->columns = columns;
    block->dict = dict;
    block->dict_id = dict_new_id();
    return VT_OK;
}

vt_err
epoch_fetch(const struct epoch *epoch, row_ref row, struct arena *arena,
            struct row_block *out_block)
{
    const struct vt_hash128 *identity = NULL;
    uint32_t number = (uint32_t)row;
    struct row_block block;
    struct epoch_gather gather = {
        .epoch = epoch, .type = (uint32_t)(row >> 32), .rows = &number, .count = 1, .arena = arena};
    vt_err err = epoch_gather_block(&gather, &block, &identity);

    if (err == VT_OK)
        err = fetch_dict(epoch, arena, &block);
    if (err == VT_OK)
        *out_block = block;
    return err;
}

/* sealed_rows.c - blocks of rows out of a segment. See sealed.h. */
#include <stdlib.h>
#include <string.h>

#include "sealed_internal.h"
#include "venturi/assert.h"

#define SCAN_ARENA_BYTES (UINT64_C(2) << 20)

static bool
column_wanted(const struct block_request *request, struct vt_str name)
{
    if (request->columns == NULL)
        return true;
    for (uint32_t c = 0; c < request->column_count; c++)
        if (vt_str_equal(request->columns[c], name))
            return true;
    return false;
}

/* The column of one field, whose name, kind and scale stand in it. */
static vt_err
read_column(const struct sealed *sealed, struct arena *arena, uint32_t block, uint32_t slot,
            struct row_column *column)
{
    const struct sealed_directory *directory = NULL;
    struct chunk_key key = {.kind = SEAL_ROWS, .column = SEAL_ROW_SLOT + slot, .block = block};
    struct chunk_info info;
    vt_err err = sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    uint32_t count = (uint32_t)directory->block_rows[block];

    if (column->kind == FIELD_STRING)
        return sealed_codes(sealed, arena, key, count, &column->code);
    err = sealed_integers(sealed, arena, key, count, &column->value);
    key.column = SEAL_ROW_PRESENT + slot;
    if (err == VT_OK && segment_find(sealed->segment, key, &info) == VT_OK)
        err = sealed_flags(sealed, arena, key, count, &column->present);
    return err;
}

static vt_err
read_columns(const struct sealed *sealed, struct arena *arena, const struct block_request *request,
             const struct catalog_type *type, struct row_block *block)
{
    struct row_column *columns = arena_alloc(arena, type->field_count * sizeof *columns);
    vt_err err = columns == NULL ? VT_NOMEM : VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < type->field_count; s++) {
        if (!column_wanted(request, type->fields[s].name))
            continue;
        struct row_column *column = &columns[block->column_count++];

        *column = (struct row_column){.name = type->fields[s].name,
                                      .kind = type->fields[s].kind,
                                      .scale = type->fields[s].scale};
        err = read_column(sealed, arena, request->block, s, column);
    }
    block->columns = columns;
    return err;
}

/* Sequence ids are columns of the block; the others come from the id run, by row. */
static vt_err
read_ids(const struct sealed *sealed, struct arena *arena, const struct block_request *request,
         uint32_t first_row, struct row_block *block)
{
    struct chunk_key key = {.kind = SEAL_ROWS, .block = request->block};
    const int64_t *kinds = NULL;
    const int64_t *epochs = NULL;
    const int64_t *sequences = NULL;

    key.column = SEAL_ROW_ID_KIND;
    vt_err err = sealed_integers(sealed, arena, key, block->row_count, &kinds);

    key.column = SEAL_ROW_EPOCH;
    if (err == VT_OK)
        err = sealed_integers(sealed, arena, key, block->row_count, &epochs);
    key.column = SEAL_ROW_SEQUENCE;
    if (err == VT_OK)
        err = sealed_integers(sealed, arena, key, block->row_count, &sequences);
    if (err != VT_OK)
        return err;
    struct row_id *ids = arena_alloc(arena, block->row_count * sizeof *ids);
    le64(*pairs)[2] = arena_alloc(arena, block->row_count * sizeof *pairs);

    if (ids == NULL || pairs == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < block->row_count; i++) {
        if (kinds[i] != ROW_ID_SEQUENCE) {
            ids[i] = request->ids == NULL ? (struct row_id){NULL, 0, ROW_ID_TEXT}
                                          : request->ids[first_row + i];
            continue;
        }
        pairs[i][0] = le64_put((uint64_t)epochs[i]);
        pairs[i][1] = le64_put((uint64_t)sequences[i]);
        ids[i] = (struct row_id){pairs[i][0].byte, 16, ROW_ID_SEQUENCE};
    }
    block->id = ids;
    return VT_OK;
}

static vt_err
read_extra(const struct sealed *sealed, struct arena *arena, uint32_t block_index,
           struct row_block *block)
{
    struct chunk_key key = {.kind = SEAL_EXTRA, .block = block_index};
    struct chunk_info info;
    const int64_t *sizes = NULL;
    struct vt_bytes bytes = {NULL, 0};

    if (segment_find(sealed->segment, key, &info) != VT_OK)
        return VT_OK;
    vt_err err = sealed_integers(sealed, arena, key, block->row_count, &sizes);

    key.column = 1;
    if (err == VT_OK)
        err = sealed_bytes(sealed, arena, key, &bytes);
    struct vt_bytes *extra = arena_alloc(arena, block->row_count * sizeof *extra);
    struct vt_reader reader = vt_reader_of(bytes);

    if (err != VT_OK)
        return err;
    if (extra == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < block->row_count; i++)
        extra[i] = vt_read_bytes(&reader, (uint64_t)sizes[i]);
    block->extra = extra;
    return reader.bad ? sealed_damaged(sealed, "undeclared fields are cut short") : VT_OK;
}

vt_err
sealed_read_block(const struct sealed *sealed, struct arena *arena,
                  const struct block_request *request, struct row_block *out_block)
{
    const struct sealed_directory *directory = NULL;
    struct chunk_key key = {.kind = SEAL_ROWS, .block = request->block};
    const int64_t *positions = NULL;
    vt_err err = sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    VT_ASSERT(request->block < directory->block_count);
    const struct catalog_type *type =
        &sealed->catalog->types[directory->block_type[request->block]];
    struct row_block block = {
        .type = type->name,
        .row_count = (uint32_t)directory->block_rows[request->block],
        .dict_count = sealed->strings,
        .dict = directory->dict,
        .dict_id = sealed->dict_id,
    };

    key.column = SEAL_ROW_POSITION;
    err = sealed_integers(sealed, arena, key, block.row_count, &positions);
    block.position = (const uint64_t *)positions;
    key.column = SEAL_ROW_TIME;
    if (err == VT_OK)
        err = sealed_integers(sealed, arena, key, block.row_count, &block.time_us);
    key.column = SEAL_ROW_SOURCE;
    if (err == VT_OK)
        err = sealed_codes(sealed, arena, key, block.row_count, &block.source);
    if (err == VT_OK)
        err = read_columns(sealed, arena, request, type, &block);
    if (err == VT_OK && request->want_ids)
        err = read_ids(sealed, arena, request, (uint32_t)directory->block_first[request->block],
                       &block);
    if (err == VT_OK && request->want_extra)
        err = read_extra(sealed, arena, request->block, &block);
    if (err == VT_OK)
        *out_block = block;
    return err;
}

/* Rows first .. first + count - 1 of a block as a block of their own; columns from the arena. */
static vt_err
block_slice(struct arena *arena, const struct row_block *block, uint32_t first, uint32_t count,
            struct row_block *out_slice)
{
    struct row_column *columns = arena_alloc(arena, block->column_count * sizeof *columns);

    if (columns == NULL)
        return VT_NOMEM;
    *out_slice = *block;
    out_slice->row_count = count;
    out_slice->position += first;
    out_slice->time_us += first;
    out_slice->source += first;
    if (block->id != NULL)
        out_slice->id += first;
    if (block->extra != NULL)
        out_slice->extra += first;
    for (uint32_t c = 0; c < block->column_count; c++) {
        columns[c] = block->columns[c];
        if (columns[c].value != NULL)
            columns[c].value += first;
        if (columns[c].present != NULL)
            columns[c].present += first;
        if (columns[c].code != NULL)
            columns[c].code += first;
    }
    out_slice->columns = columns;
    return VT_OK;
}

struct row_scan {
    const struct sealed *sealed;
    const struct scan_options *options;
    const struct sealed_directory *directory;
    int64_t tenant; /* -1: all */
    struct arena arena;
    const struct row_id *ids;
};

static bool
group_wanted(const struct row_scan *scan, uint32_t group)
{
    return scan->tenant < 0 || scan->directory->group_tenant[group] == scan->tenant;
}

/* Hands over the groups that lie in a block; reads it only where one is wanted. */
static vt_err
scan_block(struct row_scan *scan, uint32_t block_index, uint32_t *group)
{
    const struct sealed_directory *directory = scan->directory;
    int64_t begin = directory->block_first[block_index];
    int64_t end = begin + directory->block_rows[block_index];
    struct row_block block = {0};
    bool read = false;
    vt_err err = VT_OK;

    while (err == VT_OK && *group < directory->group_count &&
           directory->group_first[*group] < end) {
        int64_t first = directory->group_first[*group];
        int64_t last = first + directory->group_rows[*group];
        int64_t from = first > begin ? first : begin;
        int64_t to = last < end ? last : end;

        if (group_wanted(scan, *group)) {
            struct block_request request = {
                .block = block_index,
                .want_ids = scan->options->want_ids,
                .want_extra = scan->options->want_extra,
                .column_count = scan->options->column_count,
                .columns = scan->options->columns,
                .ids = scan->ids,
            };
            struct row_block slice;

            if (!read)
                err = sealed_read_block(scan->sealed, &scan->arena, &request, &block);
            read = true;
            if (err == VT_OK)
                err = block_slice(&scan->arena, &block, (uint32_t)(from - begin),
                                  (uint32_t)(to - from), &slice);
            if (err == VT_OK) {
                slice.tenant = scan->sealed->catalog->tenants[directory->group_tenant[*group]].key;
                err = scan->options->block(scan->options->context, &slice);
            }
        }
        if (last > end)
            break; /* it goes on in the next block */
        (*group)++;
    }
    return err;
}

static vt_err
scan_all(struct row_scan *scan, uint32_t type)
{
    uint32_t group = 0;
    vt_err err = VT_OK;

    for (uint32_t b = 0; err == VT_OK && b < scan->directory->block_count; b++) {
        int64_t begin = scan->directory->block_first[b];

        while (group < scan->directory->group_count &&
               scan->directory->group_first[group] + scan->directory->group_rows[group] <= begin)
            group++;
        if (type != CATALOG_NONE && scan->directory->block_type[b] != type)
            continue;
        arena_reset(&scan->arena);
        err = scan_block(scan, b, &group);
    }
    return err;
}

vt_err
sealed_scan(const struct sealed *sealed, const struct scan_options *options)
{
    struct row_scan scan = {.sealed = sealed, .options = options, .tenant = -1};
    struct arena id_arena;
    struct row_id *ids = NULL;
    uint32_t type = CATALOG_NONE;

    if (options->type.size > 0) {
        type = catalog_find_type(sealed->catalog, options->type);
        if (type == CATALOG_NONE)
            return VT_OK;
    }
    if (options->tenant.size > 0) {
        uint32_t tenant = catalog_find_tenant(sealed->catalog, options->tenant);

        if (tenant == CATALOG_NONE)
            return VT_OK;
        scan.tenant = tenant;
    }
    vt_err err = sealed_load(sealed, &scan.directory);

    if (err != VT_OK)
        return err;
    arena_init(&scan.arena, SCAN_ARENA_BYTES);
    arena_init(&id_arena, SCAN_ARENA_BYTES);
    if (options->want_ids && sealed->identities > 0)
        err = sealed_ids_by_row(sealed, &id_arena, &ids);
    scan.ids = ids;
    if (err == VT_OK)
        err = scan_all(&scan, type);
    arena_deinit(&scan.arena);
    arena_deinit(&id_arena);
    return err;
}

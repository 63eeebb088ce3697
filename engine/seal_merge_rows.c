/* seal_merge_rows.c - the rows of a merge: group by group, and in each the runs of the inputs one
 * after the other, column by column. Nothing is sorted. See seal_merge.h. */
#include <stdlib.h>
#include <string.h>

#include "seal_merge.h"
#include "venturi/assert.h"

#define ROWS_ARENA_BYTES (UINT64_C(2) << 20)

/* Where an input's rows are read: its blocks come one after the other. */
struct row_source {
    struct merge_input *input;
    struct arena arena;  /* of the block at hand */
    uint32_t block_next; /* the one after it */
    int64_t begin;       /* rows of the block at hand: [begin, end) */
    int64_t end;
    const int64_t *fixed[SEAL_ROW_SEQUENCE + 1]; /* but the sources */
    const uint32_t *source;
    const int64_t *value[CATALOG_FIELDS_MAX];   /* of decimals */
    const int64_t *present[CATALOG_FIELDS_MAX]; /* NULL: all are */
    const uint32_t *code[CATALOG_FIELDS_MAX];   /* of strings */
    const int64_t *extra_size;                  /* NULL: no row has any */
    struct vt_reader extra;                     /* of rows not yet copied */
    const struct sealed_stub *stubs;            /* of the groups to come */
    struct arena stub_arena;
};

struct row_merge {
    struct merge *merge;
    struct row_source sources[SEAL_MERGE_MAX];
};

static vt_err
slots_read(struct row_source *source, const struct catalog_type *type, uint32_t block,
           uint32_t rows)
{
    const struct sealed *sealed = source->input->sealed;
    struct chunk_info info;
    vt_err err = VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < type->field_count; s++) {
        struct chunk_key key = {.kind = SEAL_ROWS, .column = SEAL_ROW_SLOT + s, .block = block};

        if (type->fields[s].kind == FIELD_STRING) {
            err = sealed_codes(sealed, &source->arena, key, rows, &source->code[s]);
            continue;
        }
        err = sealed_integers(sealed, &source->arena, key, rows, &source->value[s]);
        key.column = SEAL_ROW_PRESENT + s;
        source->present[s] = NULL;
        if (err == VT_OK && segment_find(sealed->segment, key, &info) == VT_OK)
            err = sealed_integers(sealed, &source->arena, key, rows, &source->present[s]);
    }
    return err;
}

static vt_err
extra_read(struct row_source *source, uint32_t block, uint32_t rows)
{
    const struct sealed *sealed = source->input->sealed;
    struct chunk_key key = {.kind = SEAL_EXTRA, .block = block};
    struct vt_bytes bytes = {NULL, 0};
    struct chunk_info info;

    source->extra_size = NULL;
    if (segment_find(sealed->segment, key, &info) != VT_OK)
        return VT_OK;
    vt_err err = sealed_integers(sealed, &source->arena, key, rows, &source->extra_size);

    key.column = 1;
    if (err == VT_OK)
        err = sealed_bytes(sealed, &source->arena, key, &bytes);
    source->extra = vt_reader_of(bytes);
    return err;
}

static vt_err
block_read(struct row_source *source, uint32_t type_index)
{
    const struct sealed *sealed = source->input->sealed;
    const struct sealed_directory *directory = source->input->directory;
    uint32_t block = source->block_next;
    const struct catalog_type *type = &sealed->catalog->types[type_index];

    if (block >= directory->block_count || directory->block_type[block] != (int64_t)type_index)
        return sealed_damaged(sealed, "its blocks do not fit its groups");
    uint32_t rows = (uint32_t)directory->block_rows[block];
    vt_err err = VT_OK;

    arena_reset(&source->arena);
    for (uint32_t c = SEAL_ROW_POSITION; err == VT_OK && c <= SEAL_ROW_SEQUENCE; c++) {
        struct chunk_key key = {.kind = SEAL_ROWS, .column = c, .block = block};

        err = c == SEAL_ROW_SOURCE
                  ? sealed_codes(sealed, &source->arena, key, rows, &source->source)
                  : sealed_integers(sealed, &source->arena, key, rows, &source->fixed[c]);
    }
    if (err == VT_OK)
        err = slots_read(source, type, block, rows);
    if (err == VT_OK)
        err = extra_read(source, block, rows);
    source->begin = directory->block_first[block];
    source->end = source->begin + rows;
    source->block_next++;
    return err;
}

/* Rows at .. at + count - 1 of the block at hand. */
struct row_run {
    uint32_t at;
    uint32_t count;
};

static vt_err
codes_copy(struct seal *seal, const struct merge_input *input, uint32_t column,
           const uint32_t *codes, uint32_t count)
{
    int64_t *to = seal_row_column(seal, column);

    if (to == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        to[i] = input->codes[codes[i]];
    return VT_OK;
}

static vt_err
values_copy(struct seal *seal, uint32_t column, const int64_t *values, uint32_t count)
{
    int64_t *to = seal_row_column(seal, column);

    if (to == NULL)
        return VT_NOMEM;
    memcpy(to, values, count * sizeof *to);
    return VT_OK;
}

static vt_err
present_copy(struct seal *seal, uint32_t column, const int64_t *present, uint32_t count)
{
    int64_t *to = seal_row_column(seal, column);

    if (to == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        to[i] = present == NULL ? 1 : present[i];
    return VT_OK;
}

static vt_err
slots_copy(struct seal *seal, const struct row_source *source, const struct row_run *run)
{
    const struct catalog_type *type = &seal->catalog->types[seal->type];
    vt_err err = VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < type->field_count; s++) {
        if (type->fields[s].kind == FIELD_STRING) {
            err = codes_copy(seal, source->input, SEAL_ROW_SLOT + s, source->code[s] + run->at,
                             run->count);
            continue;
        }
        const int64_t *present = source->present[s];

        err = values_copy(seal, SEAL_ROW_SLOT + s, source->value[s] + run->at, run->count);
        if (err == VT_OK)
            err = present_copy(seal, SEAL_ROW_PRESENT + s,
                               present == NULL ? NULL : present + run->at, run->count);
    }
    return err;
}

static vt_err
extra_copy(struct seal *seal, struct row_source *source, const struct row_run *run)
{
    uint64_t bytes = 0;

    if (source->extra_size == NULL)
        return seal_extra_add(seal, NULL, run->count, (struct vt_bytes){NULL, 0});
    for (uint32_t i = 0; i < run->count; i++)
        if (__builtin_add_overflow(bytes, (uint64_t)source->extra_size[run->at + i], &bytes))
            return sealed_damaged(source->input->sealed, "undeclared fields are cut short");
    struct vt_bytes extra = vt_read_bytes(&source->extra, bytes);

    if (source->extra.bad)
        return sealed_damaged(source->input->sealed, "undeclared fields are cut short");
    return seal_extra_add(seal, source->extra_size + run->at, run->count, extra);
}

static vt_err
run_copy(struct seal *seal, struct row_source *source, const struct row_run *run)
{
    vt_err err = VT_OK;

    for (uint32_t c = SEAL_ROW_POSITION; err == VT_OK && c <= SEAL_ROW_SEQUENCE; c++)
        err = c == SEAL_ROW_SOURCE
                  ? codes_copy(seal, source->input, c, source->source + run->at, run->count)
                  : values_copy(seal, c, source->fixed[c] + run->at, run->count);
    if (err == VT_OK)
        err = slots_copy(seal, source, run);
    if (err == VT_OK)
        err = extra_copy(seal, source, run);
    return err == VT_OK ? seal_rows_added(seal, run->count) : err;
}

static vt_err
stubs_copy(struct seal *seal, struct row_source *source, uint32_t group)
{
    vt_err err = VT_OK;

    for (int64_t i = 0; err == VT_OK && i < source->input->directory->group_stubs[group]; i++) {
        struct seal_stub stub = {.rows = le64_put(source->stubs->rows)};

        memcpy(stub.sha256, source->stubs->sha256, sizeof stub.sha256);
        err = seal_stub_add(seal, &stub);
        source->stubs++;
    }
    return err;
}

/* The next group of an input, which is of the type and tenant at hand. */
static vt_err
group_copy(struct merge *merge, struct row_source *source)
{
    struct merge_input *input = source->input;

    VT_ASSERT(input != NULL);
    uint32_t group = input->group++;
    int64_t row = input->directory->group_first[group];
    int64_t end = row + input->directory->group_rows[group];
    vt_err err = VT_OK;

    input->group_first[group] = merge->seal.row_next;
    while (err == VT_OK && row < end) {
        if (row == source->end)
            err = block_read(source, merge->seal.type);
        if (err != VT_OK)
            break;
        int64_t last = end < source->end ? end : source->end;
        uint32_t room = seal_rows_room(&merge->seal);
        struct row_run run = {(uint32_t)(row - source->begin), (uint32_t)(last - row)};

        run.count = run.count < room ? run.count : room;
        err = run_copy(&merge->seal, source, &run);
        row += run.count;
        if (err == VT_OK)
            err = merge_step(merge, run.count);
    }
    return err == VT_OK ? stubs_copy(&merge->seal, source, group) : err;
}

/* The least tenant whose group of the type at hand is next in an input; CATALOG_NONE: none is. */
static uint32_t
next_tenant(const struct merge *merge)
{
    uint32_t least = CATALOG_NONE;

    for (uint32_t i = 0; i < merge->input_count; i++) {
        const struct merge_input *input = &merge->inputs[i];
        const struct sealed_directory *directory = input->directory;

        if (input->group == directory->group_count ||
            directory->group_type[input->group] != (int64_t)merge->seal.type)
            continue;
        uint32_t tenant = (uint32_t)directory->group_tenant[input->group];

        if (least == CATALOG_NONE || tenant < least)
            least = tenant;
    }
    return least;
}

static vt_err
type_copy(struct row_merge *rows)
{
    struct merge *merge = rows->merge;
    vt_err err = VT_OK;

    for (;;) {
        uint32_t tenant = next_tenant(merge);

        if (tenant == CATALOG_NONE)
            return seal_rows_flush(&merge->seal);
        err = seal_group(&merge->seal, tenant);
        for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++) {
            const struct merge_input *input = &merge->inputs[i];
            const struct sealed_directory *directory = input->directory;

            if (input->group < directory->group_count &&
                directory->group_type[input->group] == (int64_t)merge->seal.type &&
                directory->group_tenant[input->group] == (int64_t)tenant)
                err = group_copy(merge, &rows->sources[i]);
        }
        if (err != VT_OK)
            return err;
    }
}

static vt_err
source_open(struct row_source *source, struct merge_input *input)
{
    source->input = input;
    arena_init(&source->arena, ROWS_ARENA_BYTES);
    arena_init(&source->stub_arena, 4096);
    return sealed_stubs(input->sealed, &source->stub_arena, &source->stubs);
}

vt_err
merge_rows(struct merge *merge)
{
    struct row_merge *rows = calloc(1, sizeof *rows);
    vt_err err = rows == NULL ? VT_NOMEM : VT_OK;

    if (rows == NULL)
        return err;
    rows->merge = merge;
    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++)
        err = source_open(&rows->sources[i], &merge->inputs[i]);
    for (merge->seal.type = 0; err == VT_OK && merge->seal.type < merge->seal.catalog->type_count;
         merge->seal.type++)
        err = type_copy(rows);
    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++)
        if (merge->inputs[i].group < merge->inputs[i].directory->group_count)
            err = sealed_damaged(merge->inputs[i].sealed, "its groups are not in order");
    for (uint32_t i = 0; i < merge->input_count; i++) {
        arena_deinit(&rows->sources[i].arena);
        arena_deinit(&rows->sources[i].stub_arena);
    }
    free(rows);
    return err == VT_OK ? seal_rows_finish(&merge->seal) : err;
}

/* seal_merge_cells.c - the cells of a merge: those of the inputs in their order, those of one key
 * folded. See seal_merge.h. */
#include <stdlib.h>

#include "seal_merge.h"
#include "venturi/assert.h"

struct cell_source {
    const struct merge_input *input;
    struct sealed_cell_walk walk;
    struct sealed_walk_cell head; /* the next cell, in the codes of the input */
    bool over;
};

struct cell_merge {
    struct merge *merge;
    struct cell_source sources[SEAL_MERGE_MAX];
    struct seal_cells cells;
    uint64_t counted; /* events of the cells read */
    uint64_t written;
};

static vt_err
source_next(struct cell_source *source)
{
    vt_err err = sealed_cell_walk_next(&source->walk, &source->head);

    source->over = err == VT_END;
    return source->over ? VT_OK : err;
}

/* The order of cells.h: (tenant, meter, window start, strings of dims). */
static int
head_order(const struct cell_source *one, const struct cell_source *other)
{
    const struct catalog *catalog = one->input->sealed->catalog;
    const struct cell_key *a = &one->head.key;
    const struct cell_key *b = &other->head.key;

    if (a->tenant != b->tenant)
        return vt_str_compare(catalog->tenants[a->tenant].key, catalog->tenants[b->tenant].key);
    if (a->meter != b->meter)
        return vt_str_compare(catalog->meters[a->meter].key, catalog->meters[b->meter].key);
    if (a->window_start_us != b->window_start_us)
        return a->window_start_us < b->window_start_us ? -1 : 1;
    for (uint32_t d = 0; d < a->dim_count; d++)
        if (one->input->codes[a->dims[d]] != other->input->codes[b->dims[d]])
            return vt_str_compare(one->input->directory->dict[a->dims[d]],
                                  other->input->directory->dict[b->dims[d]]);
    return 0;
}

/* The head as a value over the dictionary of the merged segment; its set is the caller's. */
static vt_err
head_value(const struct cell_merge *cells, const struct cell_source *source,
           struct cell_value *value)
{
    const struct sealed_walk_cell *head = &source->head;
    struct dict *dict = cells->merge->seal.dict;
    vt_err err = VT_OK;

    *value = head->value;
    value->source = source->input->directory->dict[head->source];
    if (head->set_size == 0)
        return VT_OK;
    err = value_set_open_codes(dict, &value->set);
    for (uint64_t i = 0; err == VT_OK && i < head->set_size; i++)
        err = value_set_add_code(value->set, source->input->codes[head->set[i]]);
    return err;
}

/* Folds the heads with the key of the least one, and puts the cell. */
static vt_err
fold_equal(struct cell_merge *cells, const struct cell_source *least, const bool *equal)
{
    enum aggregation aggregation =
        cells->merge->seal.catalog->meters[least->head.key.meter].aggregation;
    struct cell_key key = least->head.key;
    struct cell_value folded;
    vt_err err = VT_OK;

    cell_value_init(&folded);
    for (uint32_t i = 0; err == VT_OK && i < cells->merge->input_count; i++) {
        struct cell_value value;

        if (!equal[i])
            continue;
        cell_value_init(&value);
        cells->counted += cells->sources[i].head.value.count;
        err = head_value(cells, &cells->sources[i], &value);
        if (err == VT_OK)
            err = cell_value_fold(aggregation, &folded, &value);
        cell_value_deinit(&value);
    }
    for (uint32_t d = 0; d < key.dim_count; d++)
        key.dims[d] = least->input->codes[key.dims[d]];
    cells->written += folded.count;
    if (err == VT_OK)
        err = seal_cells_put(&cells->cells, &key, &folded);
    cell_value_deinit(&folded);
    return err;
}

/* The cells with the least key; *out_any is false where there are none left. */
static vt_err
next_put(struct cell_merge *cells, bool *out_any)
{
    uint32_t count = cells->merge->input_count;
    struct cell_source *least = NULL;
    bool equal[SEAL_MERGE_MAX] = {false};

    for (uint32_t i = 0; i < count; i++)
        if (!cells->sources[i].over && (least == NULL || head_order(&cells->sources[i], least) < 0))
            least = &cells->sources[i];
    *out_any = least != NULL;
    if (least == NULL)
        return VT_OK;
    for (uint32_t i = 0; i < count; i++)
        equal[i] = !cells->sources[i].over && head_order(&cells->sources[i], least) == 0;
    vt_err err = fold_equal(cells, least, equal);

    for (uint32_t i = 0; err == VT_OK && i < count; i++)
        if (equal[i])
            err = source_next(&cells->sources[i]);
    return err == VT_OK ? merge_step(cells->merge, 2) : err;
}

vt_err
merge_cells(struct merge *merge)
{
    struct cell_merge *cells = calloc(1, sizeof *cells);
    bool any = true;

    if (cells == NULL)
        return VT_NOMEM;
    cells->merge = merge;
    vt_err err = seal_cells_open(&merge->seal, &cells->cells);

    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++) {
        struct cell_source *source = &cells->sources[i];

        source->input = &merge->inputs[i];
        sealed_cell_walk_open(merge->inputs[i].sealed, &source->walk);
        err = source_next(source);
    }
    while (err == VT_OK && any)
        err = next_put(cells, &any);
    if (err == VT_OK) {
        VT_ASSERT(cells->counted == cells->written);
        err = seal_cells_finish(&cells->cells);
    }
    for (uint32_t i = 0; i < merge->input_count; i++)
        sealed_cell_walk_close(&cells->sources[i].walk);
    seal_cells_close(&cells->cells);
    free(cells);
    return err;
}

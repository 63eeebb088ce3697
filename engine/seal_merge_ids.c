/* seal_merge_ids.c - the id run of a merge: the runs of the inputs, which are in the order of K,
 * with the rows' new numbers. See seal_merge.h. */
#include <stdlib.h>

#include "seal_merge.h"
#include "venturi/assert.h"

struct id_source {
    const struct merge_input *input;
    struct sealed_id_walk walk;
    struct run_id head; /* the next entry, its row as the input has it */
    bool over;
};

static vt_err
source_next(struct id_source *source)
{
    vt_err err = sealed_id_walk_next(&source->walk, &source->head);

    source->over = err == VT_END;
    return source->over ? VT_OK : err;
}

/* The number in the merged segment of a row of an input. */
static uint32_t
row_of(const struct merge_input *input, uint32_t row)
{
    const struct sealed_directory *directory = input->directory;
    uint32_t group = sealed_holder(directory->group_first, directory->group_count, row);

    return input->group_first[group] + (row - (uint32_t)directory->group_first[group]);
}

static vt_err
sources_merge(struct merge *merge, struct id_source *sources, struct seal_ids *ids)
{
    vt_err err = VT_OK;

    while (err == VT_OK) {
        struct id_source *least = NULL;

        /* Of equal ones the oldest input's comes first. */
        for (uint32_t i = 0; i < merge->input_count; i++)
            if (!sources[i].over && (least == NULL || sources[i].head.key < least->head.key))
                least = &sources[i];
        if (least == NULL)
            return VT_OK;
        least->head.row = row_of(least->input, least->head.row);
        err = seal_ids_put(ids, &least->head);
        if (err == VT_OK)
            err = source_next(least);
        if (err == VT_OK)
            err = merge_step(merge, 1);
    }
    return err;
}

vt_err
merge_ids(struct merge *merge)
{
    struct id_source *sources = calloc(merge->input_count, sizeof *sources);
    struct seal_ids ids = {0};
    vt_err err = sources == NULL ? VT_NOMEM : seal_ids_open(&merge->seal, &ids);

    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++) {
        sources[i].input = &merge->inputs[i];
        sealed_id_walk_open(merge->inputs[i].sealed, &sources[i].walk);
        err = source_next(&sources[i]);
    }
    if (err == VT_OK)
        err = sources_merge(merge, sources, &ids);
    if (err == VT_OK)
        err = seal_ids_finish(&ids);
    for (uint32_t i = 0; sources != NULL && i < merge->input_count; i++)
        sealed_id_walk_close(&sources[i].walk);
    seal_ids_close(&ids);
    free(sources);
    return err;
}

/* rating.c - see rating.h; rater.h says which file does what. Here: the rows' way into cells. */
#include "rating.h"

#include <stdlib.h>
#include <string.h>

#include "rater.h"
#include "rater_lines.h"
#include "venturi/assert.h"

#define ARENA_BYTES       (UINT64_C(1) << 16)
#define LINES_ARENA_BYTES (UINT64_C(1) << 18)

vt_err
rater_open(const struct rater_options *options, struct rater **out_rater)
{
    struct rater *rater = calloc(1, sizeof *rater);

    VT_ASSERT(options->tenant < options->catalog->tenant_count);
    if (rater == NULL)
        return VT_NOMEM;
    rater->catalog = options->catalog;
    rater->options = *options;
    rater->tenant = options->catalog->tenants[options->tenant].key;
    arena_init(&rater->arena, ARENA_BYTES);
    vt_err err = rater_setup(rater);

    if (err != VT_OK) {
        rater_close(rater);
        return err;
    }
    *out_rater = rater;
    return VT_OK;
}

static void
type_free(struct rater_type *type)
{
    uint64_t gauge_count = (uint64_t)type->cell_count * type->input_count;

    for (uint64_t i = 0; i < gauge_count; i++)
        gauge_more_free(type->gauges[i].more);
    free(type->gauges);
    free(type->cells);
    rater_type_deinit_tuples(type);
}

void
rater_close(struct rater *rater)
{
    if (rater == NULL)
        return;
    for (uint32_t i = 0; i < rater->catalog->type_count && rater->types != NULL; i++)
        type_free(&rater->types[i]);
    for (uint32_t i = 0; i < rater->segment_count; i++) {
        for (uint32_t t = 0; t < rater->catalog->type_count; t++)
            free(rater->segments[i]->cell_of[t]);
    }
    free(rater->segments);
    free(rater->ordered);
    free(rater->pending);
    free(rater->seen);
    code_pages_deinit(&rater->value_codes);
    code_pages_deinit(&rater->source_codes);
    dict_close(rater->dims);
    dict_close(rater->values);
    arena_deinit(&rater->arena);
    free(rater);
}

bool
rater_needs_ids(const struct rater *rater)
{
    return rater->needs_ids;
}

vt_err
rater_finish(struct rater *rater, const struct rating_sink *sink)
{
    struct arena arena;
    struct line_sheet *sheet = NULL;
    vt_err err = VT_OK;

    if (rater->broken)
        return VT_BROKEN;
    arena_init(&arena, LINES_ARENA_BYTES);
    if (sink->line != NULL) {
        err = line_sheet_open(&arena, rater->tenant, &sheet);
        if (err == VT_OK)
            err = rater_rate(rater, sheet);
        if (err == VT_OK)
            err = line_sheet_print(sheet, sink);
        line_sheet_close(sheet);
    }
    if (err == VT_OK && sink->unrated != NULL)
        err = rater_unrated(rater, sink);
    arena_deinit(&arena);
    return err;
}

/* rater_add.c - rows into cells. A chunk of rows goes through steps, each over one column: segment
 * and tuple give the cell, then every field is added to the gauges of its cell. Where a whole chunk
 * lies in one cell the step is a plain reduction of a column. */
#include <stdlib.h>
#include <string.h>

#include "rater.h"
#include "venturi/assert.h"

struct feed {
    struct rater *rater;
    struct rater_type *type;
    uint32_t type_number;
    const struct row_block *block;
    struct binding binding;
    struct segment *segment; /* of the row before */
    struct chunk chunk;
};

/* A new cell; from the first one with usage that no line covers the type keeps times. */
static vt_err
cell_make(struct feed *feed, uint32_t tuple, uint32_t *out_cell)
{
    struct rater *rater = feed->rater;
    struct rater_type *type = feed->type;
    uint32_t number = type->cell_count;

    if (number == type->cell_capacity) {
        uint32_t capacity = type->cell_capacity;
        void *cells = rater_grow(type->cells, &capacity, (uint64_t)number + 1, sizeof *type->cells);

        if (cells == NULL)
            return VT_NOMEM;
        type->cells = cells;
        capacity = type->cell_capacity;
        void *gauges = rater_grow(type->gauges, &capacity, (uint64_t)number + 1,
                                  sizeof *type->gauges * type->input_count);

        if (gauges == NULL)
            return VT_NOMEM;
        type->gauges = gauges;
        type->cell_capacity = capacity;
    }
    type->cells[number] = (struct cell){feed->segment->number, tuple};
    for (uint32_t i = 0; i < type->input_count; i++) {
        *rater_gauge(type, number, i) = (struct gauge){
            .min = INT64_MAX, .max = INT64_MIN, .first_us = INT64_MAX, .last_us = INT64_MIN};
    }
    for (uint32_t i = 0; i < rater->catalog->meter_count && !type->track_times; i++) {
        const struct catalog_meter *meter = &rater->catalog->meters[i];

        if (meter->type == feed->type_number && rater_passes(rater, type, tuple, &meter->filter))
            type->track_times = rater_cover(rater, i, feed->segment, tuple) != COVER_RATED;
    }
    type->cell_count++;
    *out_cell = number;
    return VT_OK;
}

/* The number of the cell, plus 1, of a tuple in the segment of the feed. */
static vt_err
cell_find(struct feed *feed, uint32_t tuple, uint32_t *out_cell)
{
    struct segment *segment = feed->segment;
    uint32_t t = feed->type_number;

    if (tuple >= segment->cell_of_max[t]) {
        uint32_t old = segment->cell_of_max[t];
        void *grown = rater_grow(segment->cell_of[t], &segment->cell_of_max[t], (uint64_t)tuple + 1,
                                 sizeof **segment->cell_of);

        if (grown == NULL)
            return VT_NOMEM;
        segment->cell_of[t] = grown;
        memset(segment->cell_of[t] + old, 0,
               (segment->cell_of_max[t] - old) * sizeof **segment->cell_of);
    }
    uint32_t *known = &segment->cell_of[t][tuple];

    if (*known == 0) {
        vt_err err = cell_make(feed, tuple, out_cell);

        if (err != VT_OK)
            return err;
        *known = *out_cell + 1;
    }
    *out_cell = *known - 1;
    return VT_OK;
}

/* All rows lie in the segment of the feed. */
static vt_err
chunk_cells_near(struct feed *feed)
{
    struct chunk *chunk = &feed->chunk;
    uint32_t t = feed->type_number;
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < chunk->count && err == VT_OK; i++) {
        uint32_t tuple = chunk->tuple[i];
        uint32_t known =
            tuple < feed->segment->cell_of_max[t] ? feed->segment->cell_of[t][tuple] : 0;

        chunk->cell[i] = known - 1;
        if (known == 0)
            err = cell_find(feed, tuple, &chunk->cell[i]);
    }
    return err;
}

static vt_err
chunk_cells(struct feed *feed)
{
    struct chunk *chunk = &feed->chunk;
    const int64_t *time_us = feed->block->time_us + chunk->first;
    int64_t first_us = time_us[0];
    int64_t last_us = time_us[0];
    vt_err err = VT_OK;

    for (uint32_t i = 1; i < chunk->count; i++) {
        first_us = time_us[i] < first_us ? time_us[i] : first_us;
        last_us = time_us[i] > last_us ? time_us[i] : last_us;
    }
    chunk->first_us = first_us;
    chunk->last_us = last_us;
    if (feed->segment == NULL || first_us < feed->segment->lo_us ||
        first_us >= feed->segment->hi_us)
        err = rater_segment(feed->rater, first_us, &feed->segment);
    if (err != VT_OK)
        return err;
    bool is_near = last_us < feed->segment->hi_us;

    chunk->one_cell = chunk->one_tuple && is_near;
    if (chunk->one_cell)
        return cell_find(feed, chunk->tuple[0], &chunk->cell[0]);
    if (is_near)
        return chunk_cells_near(feed);
    for (uint32_t i = 0; i < chunk->count && err == VT_OK; i++) {
        if (time_us[i] < feed->segment->lo_us || time_us[i] >= feed->segment->hi_us)
            err = rater_segment(feed->rater, time_us[i], &feed->segment);
        if (err == VT_OK)
            err = cell_find(feed, chunk->tuple[chunk->one_tuple ? 0 : i], &chunk->cell[i]);
    }
    return err;
}

/* The sum of a chunk: low and high halves of values made unsigned, so that the loop needs 64 bits
 * only. */
static vt_i128
column_sum(const int64_t *value, uint32_t count)
{
    const uint64_t bias = UINT64_C(1) << 63;
    uint64_t low = 0;
    uint64_t high = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t shifted = (uint64_t)value[i] ^ bias;

        low += shifted & UINT32_MAX;
        high += shifted >> 32;
    }
    return ((vt_i128)high << 32) + low - (vt_i128)bias * count;
}

static void
times_add(struct gauge *gauge, int64_t time_us)
{
    gauge->first_us = time_us < gauge->first_us ? time_us : gauge->first_us;
    gauge->last_us = time_us > gauge->last_us ? time_us : gauge->last_us;
}

static void
one_cell_add(struct feed *feed, uint32_t input)
{
    const struct chunk *chunk = &feed->chunk;
    const struct bound_input *bound = &feed->binding.inputs[input];
    struct gauge *gauge = rater_gauge(feed->type, chunk->cell[0], input);

    gauge->count += chunk->count;
    if (bound->value != NULL)
        gauge->sum += column_sum(bound->value + chunk->first, chunk->count);
    times_add(gauge, chunk->first_us);
    times_add(gauge, chunk->last_us);
}

/* Whether the rows of a chunk have the field, by row: the general form. */
static bool
row_has(const struct input *input, const struct bound_input *bound, uint32_t row)
{
    if (input->slot == CATALOG_NONE)
        return true;
    if (input->is_string)
        return bound->code != NULL && bound->code[row] != 0;
    return bound->value != NULL && (bound->present == NULL || bound->present[row] != 0);
}

static void
cells_add(struct feed *feed, uint32_t number)
{
    const struct chunk *chunk = &feed->chunk;
    const struct rater_type *type = feed->type;
    const struct input *input = &type->inputs[number];
    const struct bound_input *bound = &feed->binding.inputs[number];
    bool with_times = type->track_times;

    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t row = chunk->first + i;
        struct gauge *gauge = rater_gauge(type, chunk->cell[i], number);

        if (!row_has(input, bound, row))
            continue;
        gauge->count++;
        if (bound->value != NULL)
            gauge->sum += bound->value[row];
        if (with_times)
            times_add(gauge, feed->block->time_us[row]);
    }
}

/* The usual case of cells_add: a decimal that every row has, or the rows themselves. */
static void
cells_add_full(struct feed *feed, uint32_t number)
{
    const struct chunk *chunk = &feed->chunk;
    const struct rater_type *type = feed->type;
    struct gauge *gauges = type->gauges + number;
    const int64_t *value = feed->binding.inputs[number].value;
    uint32_t stride = type->input_count;

    if (value == NULL) {
        for (uint32_t i = 0; i < chunk->count; i++)
            gauges[(uint64_t)chunk->cell[i] * stride].count++;
        return;
    }
    value += chunk->first;
    for (uint32_t i = 0; i < chunk->count; i++) {
        struct gauge *gauge = &gauges[(uint64_t)chunk->cell[i] * stride];

        gauge->count++;
        gauge->sum += value[i];
    }
}

static void
cells_range(struct feed *feed, uint32_t number)
{
    const struct chunk *chunk = &feed->chunk;
    const struct bound_input *bound = &feed->binding.inputs[number];

    VT_ASSERT(bound->value != NULL);
    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t row = chunk->first + i;
        struct gauge *gauge = rater_gauge(feed->type, chunk->cell[i], number);

        if (bound->present != NULL && bound->present[row] == 0)
            continue;
        if (bound->value[row] < gauge->min)
            gauge->min = bound->value[row];
        if (bound->value[row] > gauge->max)
            gauge->max = bound->value[row];
    }
}

static vt_err
chunk_input(struct feed *feed, uint32_t number)
{
    struct chunk *chunk = &feed->chunk;
    const struct input *input = &feed->type->inputs[number];
    const struct bound_input *bound = &feed->binding.inputs[number];
    bool has_all = number == 0 || (bound->value != NULL && bound->present == NULL);
    uint32_t simple = WANT_SUM;

    if (number > 0 && bound->value == NULL && bound->code == NULL)
        return VT_OK; /* no row has it */
    if (has_all && chunk->one_cell)
        one_cell_add(feed, number);
    bool more = (input->wants & ~simple) != 0;

    if (chunk->one_cell && (more || !has_all)) {
        for (uint32_t i = 1; i < chunk->count; i++)
            chunk->cell[i] = chunk->cell[0];
    }
    if (!chunk->one_cell && has_all && !feed->type->track_times)
        cells_add_full(feed, number);
    else if (!chunk->one_cell || !has_all)
        cells_add(feed, number);
    if ((input->wants & (uint32_t)WANT_RANGE) != 0)
        cells_range(feed, number);
    if ((input->wants & ~(simple | (uint32_t)WANT_RANGE)) == 0)
        return VT_OK;
    struct gather gather = {feed->rater,  feed->type,   &feed->binding, number,
                            chunk->first, chunk->count, chunk->cell};

    return rater_gather_more(&gather);
}

/* Codes belong to one dictionary: with another one all that is known of them is forgotten. */
static void
caches_follow(struct rater *rater, const struct binding *binding)
{
    const struct row_block *block = binding->block;

    if (!binding->own_strings && rater->has_dict && rater->dict_id == block->dict_id)
        return;
    for (uint32_t i = 0; i < rater->catalog->type_count; i++) {
        for (uint32_t d = 0; d < rater->types[i].dim_count; d++)
            code_pages_forget(&rater->types[i].dims[d].known);
    }
    code_pages_forget(&rater->value_codes);
    code_pages_forget(&rater->source_codes);
    rater->has_dict = !binding->own_strings;
    rater->dict_id = block->dict_id;
}

static vt_err
feed_block(struct feed *feed)
{
    const struct row_block *block = feed->block;
    struct chunk *chunk = &feed->chunk;
    vt_err err = VT_OK;

    caches_follow(feed->rater, &feed->binding);
    for (uint32_t row = 0; row < block->row_count && err == VT_OK; row += CHUNK_ROWS) {
        uint32_t left = block->row_count - row;

        chunk->first = row;
        chunk->count = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        err = rater_chunk_tuples(feed->rater, feed->type, &feed->binding, chunk);
        if (err == VT_OK)
            err = chunk_cells(feed);
        for (uint32_t i = 0; i < feed->type->input_count && err == VT_OK; i++) {
            if (feed->type->inputs[i].is_used)
                err = chunk_input(feed, i);
        }
    }
    if (err == VT_OK)
        err = rater_settle(feed->rater, block);
    return err;
}

vt_err
rater_add(struct rater *rater, const struct row_block *block)
{
    uint32_t type_number = catalog_find_type(rater->catalog, block->type);

    VT_ASSERT(vt_str_equal(block->tenant, rater->tenant));
    VT_ASSERT(!rater->needs_ids || block->id != NULL);
    if (rater->broken)
        return VT_BROKEN;
    if (type_number == CATALOG_NONE || block->row_count == 0)
        return VT_OK; /* nothing meters a type that this catalog does not have */
    struct feed *feed = malloc(sizeof *feed);
    struct arena arena;

    if (feed == NULL)
        return VT_NOMEM;
    feed->rater = rater;
    feed->type = &rater->types[type_number];
    feed->type_number = type_number;
    feed->block = block;
    feed->segment = NULL;
    arena_init(&arena, UINT64_C(1) << 14);
    vt_err err = rater_bind(&arena, feed->type, block, &feed->binding);

    if (err == VT_OK) {
        err = feed_block(feed);
        /* A block that was added in part cannot be taken back. */
        rater->broken = err != VT_OK;
    }
    arena_deinit(&arena);
    free(feed);
    return err;
}

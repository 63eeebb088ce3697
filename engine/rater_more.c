/* rater_more.c - what a sum cannot say: the last event, the set of strings, the events of
 * percentages. */
#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "rater.h"
#include "venturi/assert.h"

void
gauge_more_free(struct gauge_more *more)
{
    if (more == NULL)
        return;
    if (more->set != NULL)
        roaring_bitmap_free(more->set);
    free(more->last_bytes);
    free(more->bag);
    free(more->events);
    free(more);
}

/* By (time, source, id). */
int
event_note_order(const struct event_note *a, const struct event_note *b)
{
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us ? -1 : 1;
    int order = vt_str_compare(a->source, b->source);

    return order != 0 ? order : row_id_compare(&a->id, &b->id);
}

static struct event_note
note_of_row(const struct row_block *block, const struct bound_input *bound, uint32_t row)
{
    return (struct event_note){.time_us = block->time_us[row],
                               .value = bound->value[row],
                               .source = block->dict[block->source[row]],
                               .id = block->id[row]};
}

static struct gauge_more *
more_of(struct gauge *gauge)
{
    if (gauge->more == NULL)
        gauge->more = calloc(1, sizeof *gauge->more);
    return gauge->more;
}

/* Strings and ids of a block end with it: until then the greatest row is remembered by its number,
 * and copied once at the block's end. */
static vt_err
last_add(const struct gather *gather, struct gauge_more *more, uint32_t row)
{
    struct rater *rater = gather->rater;
    const struct row_block *block = gather->binding->block;
    const struct bound_input *bound = &gather->binding->inputs[gather->input];

    if (more->has_last && block->time_us[row] < more->last.time_us)
        return VT_OK;
    struct event_note note = note_of_row(block, bound, row);

    if (more->has_last && event_note_order(&note, &more->last) <= 0)
        return VT_OK;
    if (!more->has_pending) {
        if (rater->pending_count == rater->pending_capacity) {
            void *grown = rater_grow(rater->pending, &rater->pending_capacity,
                                     (uint64_t)rater->pending_count + 1, sizeof *rater->pending);

            if (grown == NULL)
                return VT_NOMEM;
            rater->pending = grown;
        }
        rater->pending[rater->pending_count++] = more;
    }
    more->last = note;
    more->has_last = true;
    more->has_pending = true;
    return VT_OK;
}

/* Copies what the greatest row of the block borrowed from it. */
vt_err
rater_settle(struct rater *rater, const struct row_block *block)
{
    (void)block;
    for (uint32_t i = 0; i < rater->pending_count; i++) {
        struct gauge_more *more = rater->pending[i];
        uint64_t size = (uint64_t)more->last.source.size + more->last.id.size;

        VT_ASSERT(more->has_pending);
        if (size > more->last_capacity) {
            void *grown = rater_grow(more->last_bytes, &more->last_capacity, size, sizeof(uint8_t));

            if (grown == NULL)
                return VT_NOMEM;
            more->last_bytes = grown;
        }
        if (more->last.source.size > 0)
            memcpy(more->last_bytes, more->last.source.data, more->last.source.size);
        if (more->last.id.size > 0)
            memcpy(more->last_bytes + more->last.source.size, more->last.id.data,
                   more->last.id.size);
        more->last.source.data = (const char *)more->last_bytes;
        more->last.id.data = more->last_bytes + more->last.source.size;
        more->has_pending = false;
    }
    rater->pending_count = 0;
    return VT_OK;
}

/* The rater's own code of a string of the block. */
static vt_err
value_code(const struct gather *gather, uint32_t local, uint32_t *out_code)
{
    struct code_cache *cache = &gather->rater->value_codes;
    uint32_t number = tuple_table_find(&cache->codes, &local);

    if (number != TUPLE_NONE) {
        *out_code = cache->own[number];
        return VT_OK;
    }
    if (local >= gather->binding->string_count)
        return vt_err_detail(VT_INVALID, "a string's code is outside its dictionary");
    vt_err err = dict_code(gather->rater->values, gather->binding->strings[local], out_code);

    if (err == VT_OK)
        err = tuple_table_put(&cache->codes, &local, &number);
    if (err != VT_OK)
        return err;
    if (number >= cache->capacity) {
        void *grown =
            rater_grow(cache->own, &cache->capacity, (uint64_t)number + 1, sizeof *cache->own);

        if (grown == NULL)
            return VT_NOMEM;
        cache->own = grown;
    }
    cache->own[number] = *out_code;
    return VT_OK;
}

static vt_err
set_add(const struct gather *gather, struct gauge_more *more, uint32_t row)
{
    uint32_t local = gather->binding->inputs[gather->input].code[row];
    uint32_t code;
    vt_err err = value_code(gather, local, &code);

    if (err != VT_OK)
        return err;
    if (more->set == NULL)
        more->set = roaring_bitmap_create();
    if (more->set == NULL)
        return VT_NOMEM;
    roaring_bitmap_add(more->set, code);
    return VT_OK;
}

static int
value_order(const void *left, const void *right)
{
    const struct value_count *a = left;
    const struct value_count *b = right;

    return a->value < b->value ? -1 : a->value > b->value;
}

/* Equal values become one entry. */
void
gauge_bag_compact(struct gauge_more *more)
{
    uint32_t kept = 0;

    if (more->bag_count == 0)
        return;
    qsort(more->bag, more->bag_count, sizeof *more->bag, value_order);
    for (uint32_t i = 1; i < more->bag_count; i++) {
        if (more->bag[i].value == more->bag[kept].value)
            more->bag[kept].count += more->bag[i].count;
        else
            more->bag[++kept] = more->bag[i];
    }
    more->bag_count = kept + 1;
}

static vt_err
bag_add(struct gauge_more *more, int64_t value)
{
    if (more->bag_count > 0 && more->bag[more->bag_count - 1].value == value) {
        more->bag[more->bag_count - 1].count++;
        return VT_OK;
    }
    bool is_full = more->bag_count == more->bag_capacity;

    if (is_full)
        gauge_bag_compact(more);
    /* Where compaction did not free half, the array doubles: few compactions in all. */
    if (is_full && more->bag_count >= more->bag_capacity / 2) {
        void *grown = rater_grow(more->bag, &more->bag_capacity, (uint64_t)more->bag_capacity + 1,
                                 sizeof *more->bag);

        if (grown == NULL)
            return VT_NOMEM;
        more->bag = grown;
    }
    more->bag[more->bag_count++] = (struct value_count){value, 1};
    return VT_OK;
}

static vt_err
event_add(const struct gather *gather, struct gauge_more *more, uint32_t row)
{
    struct rater *rater = gather->rater;
    const struct row_block *block = gather->binding->block;
    struct event_note note = note_of_row(block, &gather->binding->inputs[gather->input], row);
    uint32_t source;

    if (more->event_count == more->event_capacity) {
        uint64_t capacity = more->event_capacity == 0 ? 16 : more->event_capacity * 2;
        void *grown = realloc(more->events, capacity * sizeof *more->events);

        if (grown == NULL)
            return VT_NOMEM;
        more->events = grown;
        more->event_capacity = capacity;
    }
    vt_err err = dict_code(rater->dims, note.source, &source);
    uint8_t *id = arena_alloc(&rater->arena, (uint64_t)note.id.size + 1);

    if (err != VT_OK || id == NULL)
        return err != VT_OK ? err : VT_NOMEM;
    if (note.id.size > 0)
        memcpy(id, note.id.data, note.id.size);
    note.source = dict_string(rater->dims, source);
    note.id.data = id;
    more->events[more->event_count++] = note;
    return VT_OK;
}

static vt_err
row_add(const struct gather *gather, struct gauge_more *more, uint32_t row)
{
    uint32_t wants = gather->type->inputs[gather->input].wants;
    vt_err err = VT_OK;

    if ((wants & (uint32_t)WANT_LAST) != 0)
        err = last_add(gather, more, row);
    if (err == VT_OK && (wants & (uint32_t)WANT_SET) != 0)
        err = set_add(gather, more, row);
    if (err == VT_OK && (wants & (uint32_t)WANT_BAG) != 0)
        err = bag_add(more, gather->binding->inputs[gather->input].value[row]);
    if (err == VT_OK && (wants & (uint32_t)WANT_EVENTS) != 0)
        err = event_add(gather, more, row);
    return err;
}

vt_err
rater_gather_more(const struct gather *gather)
{
    const struct bound_input *bound = &gather->binding->inputs[gather->input];
    vt_err err = VT_OK;

    VT_ASSERT(bound->value != NULL || bound->code != NULL);
    for (uint32_t i = 0; i < gather->count && err == VT_OK; i++) {
        uint32_t row = gather->first + i;
        struct gauge *gauge = rater_gauge(gather->type, gather->cell[i], gather->input);

        if (bound->code != NULL ? bound->code[row] == 0
                                : bound->present != NULL && bound->present[row] == 0)
            continue;
        struct gauge_more *more = more_of(gauge);

        if (more == NULL)
            return VT_NOMEM;
        err = row_add(gather, more, row);
    }
    return err;
}

/* rater_more.c - what a sum cannot say: the last event, the set of strings, the events of
 * percentages. */
#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "rater.h"
#include "venturi/assert.h"

#define SEEN_BITS 14 /* 128 KiB */
#define BAG_FIRST 64

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
            void *grown =
                rater_grow(rater->pending, &rater->pending_capacity,
                           (uint64_t)rater->pending_count + 1, sizeof(struct gauge_more *));

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

/* The code in `dict` of a string of the block. */
static vt_err
own_code(const struct gather *gather, struct code_pages *known, struct dict *dict, uint32_t code,
         uint32_t *out_own)
{
    uint32_t own = code_pages_get(known, code);
    vt_err err = VT_OK;

    if (own == CODE_NONE) {
        struct vt_str text;

        if (!binding_string(gather->binding, code, &text))
            return vt_err_detail(VT_INVALID, "a string's code is outside its dictionary");
        err = dict_code(dict, text, &own);
        if (err == VT_OK)
            err = code_pages_put(known, code, own);
    }
    *out_own = own;
    return err;
}

/* Whether a value was added to a set not long ago: most are, and the set need not be asked. */
static bool
seen_lately(struct rater *rater, const struct gauge_more *more, uint32_t code)
{
    uint64_t key = ((uint64_t)more->set_number << 32 | code) + 1;
    uint64_t slot = (key * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - SEEN_BITS);
    bool is_seen = rater->seen[slot] == key;

    rater->seen[slot] = key;
    return is_seen;
}

static vt_err
set_add(const struct gather *gather, struct gauge_more *more, uint32_t row)
{
    struct rater *rater = gather->rater;
    const uint32_t *local = gather->binding->inputs[gather->input].code;
    uint32_t code = 0;

    VT_ASSERT(local != NULL);
    vt_err err = own_code(gather, &rater->value_codes, rater->values, local[row], &code);

    if (err != VT_OK)
        return err;
    if (rater->seen == NULL)
        rater->seen = calloc(UINT64_C(1) << SEEN_BITS, sizeof *rater->seen);
    if (rater->seen == NULL)
        return VT_NOMEM;
    if (more->set == NULL) {
        more->set = roaring_bitmap_create();
        more->set_number = ++rater->set_count;
    }
    if (more->set == NULL)
        return VT_NOMEM;
    if (!seen_lately(rater, more, code))
        roaring_bitmap_add(more->set, code);
    return VT_OK;
}

/* The place of a value in the bag: its own, or an empty one. */
static struct value_count *
bag_place(const struct gauge_more *more, int64_t value)
{
    uint64_t hash = (uint64_t)value * UINT64_C(0x9E3779B97F4A7C15);

    for (uint64_t at = hash >> 32;; at++) {
        struct value_count *place = &more->bag[at & (more->bag_capacity - 1)];

        if (place->count == 0 || place->value == value)
            return place;
    }
}

static vt_err
bag_double(struct gauge_more *more)
{
    struct value_count *old = more->bag;
    uint32_t old_capacity = more->bag_capacity;
    uint64_t capacity = old_capacity == 0 ? BAG_FIRST : (uint64_t)old_capacity * 2;

    if (capacity > UINT32_MAX)
        return VT_OVERFLOW;
    struct value_count *bag = calloc(capacity, sizeof *bag);

    if (bag == NULL)
        return VT_NOMEM;
    more->bag = bag;
    more->bag_capacity = (uint32_t)capacity;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].count > 0)
            *bag_place(more, old[i].value) = old[i];
    }
    free(old);
    return VT_OK;
}

static vt_err
bag_add(struct gauge_more *more, int64_t value)
{
    vt_err err = VT_OK;

    if (more->bag_count >= more->bag_capacity / 2)
        err = bag_double(more);
    if (err != VT_OK)
        return err;
    struct value_count *place = bag_place(more, value);

    more->bag_count += place->count == 0 ? 1 : 0;
    place->value = value;
    place->count++;
    return VT_OK;
}

static vt_err
event_add(const struct gather *gather, struct gauge_more *more, uint32_t row)
{
    struct rater *rater = gather->rater;
    const struct row_block *block = gather->binding->block;
    struct event_note note = note_of_row(block, &gather->binding->inputs[gather->input], row);
    uint32_t source = 0;

    if (more->event_count == more->event_capacity) {
        uint64_t capacity = more->event_capacity == 0 ? 16 : more->event_capacity * 2;
        void *grown = realloc(more->events, capacity * sizeof *more->events);

        if (grown == NULL)
            return VT_NOMEM;
        more->events = grown;
        more->event_capacity = capacity;
    }
    vt_err err = own_code(gather, &rater->source_codes, rater->dims, block->source[row], &source);
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

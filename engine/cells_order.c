/*
 * cells_order.c - see cells.h: the order in which cells are shown. It is one of strings, so the
 * strings get ranks first; the ranks of a cell then mostly fit one word, and words are sorted by
 * their bytes, from the least on (radix sort; H. Seward, 1954).
 */
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cells_table.h"
#include "venturi/assert.h"

#define DIGIT_BITS 8
#define START_UNIT (INT64_C(60) * VT_US_PER_SECOND) /* window starts are whole minutes */

/* (tenant key, meter key, window start, strings of dims). */
static int
cell_order(const void *a, const void *b, void *context)
{
    const struct cell *one = *(struct cell *const *)a, *other = *(struct cell *const *)b;
    const struct cells *cells = context;
    const struct catalog *catalog = cells->catalog;

    if (one->tenant != other->tenant)
        return vt_str_compare(catalog->tenants[one->tenant].key,
                              catalog->tenants[other->tenant].key);
    if (one->meter != other->meter)
        return vt_str_compare(catalog->meters[one->meter].key, catalog->meters[other->meter].key);
    if (one->window_start_us != other->window_start_us)
        return one->window_start_us < other->window_start_us ? -1 : 1;
    for (uint32_t i = 0; i < cells->plans[one->meter].dim_count; i++) {
        if (one->dims[i] != other->dims[i])
            return vt_str_compare(dict_string(cells->dict, one->dims[i]),
                                  dict_string(cells->dict, other->dims[i]));
    }
    return 0;
}

/* A cell by a number that is ordered as it is, but for dimensions beyond the second. */
struct cell_place {
    uint64_t key;
    struct cell *cell;
};

static int
place_order(const void *a, const void *b, void *context)
{
    const struct cell_place *one = a, *other = b;

    return cell_order(&one->cell, &other->cell, context);
}

static int
string_order(const void *a, const void *b, void *context)
{
    const struct vt_str *strings = context;

    return vt_str_compare(strings[*(const uint32_t *)a], strings[*(const uint32_t *)b]);
}

/* *out_ranks[i]: how many of the strings, which are distinct, come before string i. malloc. */
static vt_err
ranks_make(struct vt_str *strings, uint32_t count, uint32_t **out_ranks)
{
    uint32_t *order = malloc(((uint64_t)count + 1) * sizeof *order);
    uint32_t *ranks = malloc(((uint64_t)count + 1) * sizeof *ranks);

    if (order == NULL || ranks == NULL) {
        free(order);
        free(ranks);
        return VT_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, string_order, strings);
    for (uint32_t i = 0; i < count; i++)
        ranks[order[i]] = i;
    free(order);
    *out_ranks = ranks;
    return VT_OK;
}

/* How a place's key is made of ranks: each in so many bits, the first ones above. */
struct key_plan {
    uint32_t *tenant; /* ranks; malloc */
    uint32_t *meter;
    uint32_t *code;
    uint32_t meter_bits;
    uint32_t start_bits;
    uint32_t code_bits;
    uint32_t bits; /* of all; 0: there is no key, cell_order decides alone */
    uint32_t dims; /* in the key: at most 2 */
    int64_t start_us;
};

static void
key_plan_deinit(struct key_plan *plan)
{
    free(plan->tenant);
    free(plan->meter);
    free(plan->code);
}

static uint32_t
bits_of(uint64_t most)
{
    return most == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(most);
}

static vt_err
code_ranks(const struct cells *cells, uint32_t count, uint32_t **out_ranks)
{
    struct vt_str *strings = NULL;
    vt_err err = dict_array(cells->dict, count, &strings);

    if (err == VT_OK)
        err = ranks_make(strings, count, out_ranks);
    free(strings);
    return err;
}

/* Ranks of the tenants that have cells; the others have any. */
static vt_err
tenant_ranks(const struct cells *cells, uint32_t **out_ranks)
{
    const struct catalog *catalog = cells->catalog;
    uint64_t most = (uint64_t)catalog->tenant_count + 1;
    uint32_t *all = calloc(most, sizeof *all);
    struct vt_str *keys = malloc(most * sizeof *keys);
    uint32_t *ranks = NULL;
    uint32_t count = 0;
    vt_err err = all == NULL || keys == NULL ? VT_NOMEM : VT_OK;

    for (uint64_t i = 0; err == VT_OK && i <= cells->table.mask; i++) {
        const struct cell *cell = cells->table.slots[i].item;

        if (cell != NULL && all[cell->tenant] == 0) {
            keys[count++] = catalog->tenants[cell->tenant].key;
            all[cell->tenant] = count;
        }
    }
    if (err == VT_OK)
        err = ranks_make(keys, count, &ranks);
    for (uint32_t i = 0; err == VT_OK && i < catalog->tenant_count; i++)
        all[i] = all[i] == 0 ? 0 : ranks[all[i] - 1];
    free(keys);
    free(ranks);
    if (err != VT_OK)
        free(all);
    else
        *out_ranks = all;
    return err;
}

static vt_err
meter_ranks(const struct cells *cells, uint32_t **out_ranks)
{
    const struct catalog *catalog = cells->catalog;
    struct vt_str *keys = malloc(((uint64_t)catalog->meter_count + 1) * sizeof *keys);

    if (keys == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < catalog->meter_count; i++)
        keys[i] = catalog->meters[i].key;
    vt_err err = ranks_make(keys, catalog->meter_count, out_ranks);

    free(keys);
    return err;
}

/* The widths of a key's parts; false where they do not fit, or would not say it all. */
static bool
key_plan_fits(const struct cells *cells, struct key_plan *plan)
{
    uint32_t codes = dict_count(cells->dict);
    int64_t last_us = INT64_MIN;
    uint32_t dims = 0;

    plan->start_us = INT64_MAX;
    for (uint64_t i = 0; i <= cells->table.mask; i++) {
        const struct cell *cell = cells->table.slots[i].item;

        if (cell == NULL)
            continue;
        if (cell->window_start_us % START_UNIT != 0)
            return false;
        plan->start_us =
            cell->window_start_us < plan->start_us ? cell->window_start_us : plan->start_us;
        last_us = cell->window_start_us > last_us ? cell->window_start_us : last_us;
        dims =
            cells->plans[cell->meter].dim_count > dims ? cells->plans[cell->meter].dim_count : dims;
    }
    plan->dims = dims < 2 ? dims : 2;
    plan->meter_bits = bits_of(cells->catalog->meter_count);
    plan->start_bits = bits_of(((uint64_t)last_us - (uint64_t)plan->start_us) / START_UNIT);
    plan->code_bits = bits_of(codes);
    plan->bits = bits_of(cells->catalog->tenant_count) + plan->meter_bits + plan->start_bits +
                 plan->dims * plan->code_bits;
    /* Few cells of a large catalog or dictionary: ranks would cost more than they save. */
    return plan->bits <= 64 && (uint64_t)cells->catalog->meter_count + codes <= cells->table.count;
}

static vt_err
key_plan_init(const struct cells *cells, struct key_plan *plan)
{
    *plan = (struct key_plan){.bits = 0};
    if (!key_plan_fits(cells, plan)) {
        plan->bits = 0;
        return VT_OK;
    }
    vt_err err = tenant_ranks(cells, &plan->tenant);

    if (err == VT_OK)
        err = meter_ranks(cells, &plan->meter);
    return err == VT_OK ? code_ranks(cells, dict_count(cells->dict), &plan->code) : err;
}

static uint64_t
key_of(const struct cells *cells, const struct key_plan *plan, const struct cell *cell)
{
    uint32_t dim_count = cells->plans[cell->meter].dim_count;
    uint64_t start = ((uint64_t)cell->window_start_us - (uint64_t)plan->start_us) / START_UNIT;
    uint64_t key = plan->tenant[cell->tenant];

    key = key << plan->meter_bits | plan->meter[cell->meter];
    key = key << plan->start_bits | start;
    for (uint32_t d = 0; d < plan->dims; d++)
        key = key << plan->code_bits | (d < dim_count ? plan->code[cell->dims[d]] : 0);
    return key;
}

/* By the low `bits` of the keys; stable. The sorted ones are in *places, the others in *spare. */
static void
radix_sort(struct cell_place **places, struct cell_place **spare, uint64_t count, uint32_t bits)
{
    for (uint32_t shift = 0; shift < bits; shift += DIGIT_BITS) {
        uint64_t begin[(1 << DIGIT_BITS) + 1] = {0};
        struct cell_place *from = *places, *to = *spare;

        for (uint64_t i = 0; i < count; i++)
            begin[(from[i].key >> shift & ((1 << DIGIT_BITS) - 1)) + 1]++;
        for (uint32_t digit = 1; digit < 1 << DIGIT_BITS; digit++)
            begin[digit] += begin[digit - 1];
        for (uint64_t i = 0; i < count; i++)
            to[begin[from[i].key >> shift & ((1 << DIGIT_BITS) - 1)]++] = from[i];
        *places = to;
        *spare = from;
    }
}

static vt_err
cells_sort(const struct cells *cells, struct cell_place **places, struct cell_place **spare)
{
    struct cells order_by = *cells; /* qsort_r's context is not const */
    struct key_plan plan;
    uint64_t count = 0;
    vt_err err = key_plan_init(cells, &plan);

    for (uint64_t i = 0; err == VT_OK && i <= cells->table.mask; i++) {
        struct cell *cell = cells->table.slots[i].item;

        if (cell != NULL)
            (*places)[count++] =
                (struct cell_place){plan.bits == 0 ? 0 : key_of(cells, &plan, cell), cell};
    }
    VT_ASSERT(err != VT_OK || count == cells->table.count);
    if (err == VT_OK)
        radix_sort(places, spare, count, plan.bits);
    for (uint64_t i = 0, run; err == VT_OK && i < count; i += run) {
        for (run = 1; i + run < count && (*places)[i + run].key == (*places)[i].key;)
            run++;
        if (run > 1)
            qsort_r(*places + i, run, sizeof **places, place_order, &order_by);
    }
    key_plan_deinit(&plan);
    return err;
}

static vt_err
give(const struct cells *cells, const struct cell *cell,
     vt_err (*each)(void *context, const struct cell_key *key, const struct cell_value *value),
     void *context)
{
    struct cell_value value;
    struct cell_key key;

    cell_get_key(cells, cell, &key);
    cell_get_value(cells, cell, &value);
    VT_ASSERT(value.count > 0);
    return each(context, &key, &value);
}

vt_err
cells_each(const struct cells *cells,
           vt_err (*each)(void *context, const struct cell_key *key,
                          const struct cell_value *value),
           void *context)
{
    uint64_t count = cells->table.count;

    if (count == 0)
        return VT_OK;
    struct cell_place *places = malloc(count * sizeof *places);
    struct cell_place *spare = malloc(count * sizeof *spare);
    struct cells order_by = *cells;
    vt_err err = VT_NOMEM;

    if (places != NULL && spare != NULL)
        err = cells_sort(cells, &places, &spare);
    for (uint64_t i = 0; i < count && err == VT_OK; i++) {
        VT_VERIFY(i == 0 || cell_order(&places[i - 1].cell, &places[i].cell, &order_by) < 0);
        err = give(cells, places[i].cell, each, context);
    }
    free(places);
    free(spare);
    return err;
}

/* rater_setup.c - which contracts are the tenant's, and which dimensions and fields of each type
 * rating must keep apart: all that a meter, usage filter, charge or row of theirs reads. */
#include <stdlib.h>

#include "rater.h"
#include "venturi/assert.h"

/* All charges that any version of the tenant's contracts may price by. */
struct charge_cursor {
    const struct rater *rater;
    uint32_t contract;
    uint32_t version;
    uint32_t plan;
    uint32_t charge;
};

static const struct charge *
charge_next(struct charge_cursor *cursor)
{
    while (cursor->contract < cursor->rater->contract_count) {
        const struct contract *contract = cursor->rater->contracts[cursor->contract];

        if (cursor->version == contract->version_count) {
            cursor->contract++;
            cursor->version = 0;
            continue;
        }
        const struct contract_version *version = &contract->versions[cursor->version];

        if (cursor->plan == version->plan_count) {
            cursor->version++;
            cursor->plan = 0;
            continue;
        }
        const struct plan *plan = &version->plans[cursor->plan];

        if (cursor->charge < plan->charge_count)
            return &plan->charges[cursor->charge++];
        cursor->plan++;
        cursor->charge = 0;
    }
    return NULL;
}

static vt_err
contracts_find(struct rater *rater)
{
    const struct catalog *catalog = rater->catalog;

    rater->contracts =
        arena_alloc(&rater->arena, (catalog->contract_count + 1) * sizeof(struct contract *));
    if (rater->contracts == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < catalog->contract_count; i++) {
        if (catalog->contracts[i].tenant == rater->options.tenant)
            rater->contracts[rater->contract_count++] = &catalog->contracts[i];
    }
    return VT_OK;
}

static void
dim_add(struct rater_type *type, struct vt_str name)
{
    uint32_t slot = catalog_type_slot(type->type, name);

    if (slot == CATALOG_NONE || type->type->fields[slot].kind != FIELD_STRING)
        return;
    for (uint32_t i = 0; i < type->dim_count; i++) {
        if (type->dims[i].slot == slot)
            return;
    }
    VT_ASSERT(type->dim_count < type->type->field_count);
    type->dims[type->dim_count++].slot = slot;
}

static void
dims_add_filter(struct rater_type *type, const struct filter *filter)
{
    for (uint32_t i = 0; i < filter->term_count; i++)
        dim_add(type, filter->terms[i].dim);
}

static void
dims_add_charge(struct rater_type *type, const struct charge *charge)
{
    dims_add_filter(type, &charge->filter);
    for (uint32_t i = 0; i < charge->row_count; i++)
        dims_add_filter(type, &charge->rows[i].when);
    for (uint32_t i = 0; i < charge->split_count; i++)
        dim_add(type, charge->split_by[i]);
    for (uint32_t i = 0; i < charge->price_by_count; i++)
        dim_add(type, charge->price_by[i]);
}

static uint32_t
input_add(struct rater_type *type, uint32_t slot)
{
    uint32_t found = 0;

    while (found < type->input_count && type->inputs[found].slot != slot)
        found++;
    if (found == type->input_count) {
        type->inputs[type->input_count++] = (struct input){
            .slot = slot,
            .is_string = slot != CATALOG_NONE && type->type->fields[slot].kind == FIELD_STRING};
    }
    return found;
}

static bool
has_free_units(const struct charge *charge)
{
    for (uint32_t i = 0; i < charge->row_count; i++) {
        if (charge->rows[i].terms.included.mantissa != 0)
            return true;
    }
    return false;
}

/* What a charge needs of its meter's field. */
static uint32_t
wants_of(const struct catalog_meter *meter, const struct charge *charge)
{
    if (charge->model == MODEL_PERCENTAGE && meter->aggregation == AGG_SUM)
        return (uint32_t)WANT_SUM | (uint32_t)(has_free_units(charge) ? WANT_EVENTS : WANT_BAG);
    switch (meter->aggregation) {
    case AGG_SUM:
        return WANT_SUM;
    case AGG_COUNT:
        return 0;
    case AGG_MIN:
    case AGG_MAX:
        return WANT_RANGE;
    case AGG_LAST:
        return WANT_LAST;
    case AGG_UNIQUE:
        return WANT_SET;
    }
    VT_ASSERT(false);
    return 0;
}

static vt_err
types_alloc(struct rater *rater)
{
    const struct catalog *catalog = rater->catalog;
    struct arena *arena = &rater->arena;

    rater->types = arena_zalloc(arena, (catalog->type_count + 1) * sizeof *rater->types);
    rater->meter_input =
        arena_zalloc(arena, (catalog->meter_count + 1) * sizeof *rater->meter_input);
    if (rater->types == NULL || rater->meter_input == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < catalog->type_count; i++) {
        struct rater_type *type = &rater->types[i];
        uint64_t fields = (uint64_t)catalog->types[i].field_count + 1;

        type->type = &catalog->types[i];
        type->dims = arena_zalloc(arena, fields * sizeof *type->dims);
        type->inputs = arena_zalloc(arena, fields * sizeof *type->inputs);
        if (type->dims == NULL || type->inputs == NULL)
            return VT_NOMEM;
        (void)input_add(type, CATALOG_NONE); /* input 0: the rows */
    }
    return VT_OK;
}

static vt_err
tables_init(struct rater *rater)
{
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < rater->catalog->type_count && err == VT_OK; i++)
        err = rater_type_init_tuples(&rater->types[i]);
    if (err == VT_OK)
        err = dict_open(&rater->dims);
    if (err == VT_OK)
        err = dict_open(&rater->values);
    return err;
}

vt_err
rater_setup(struct rater *rater)
{
    const struct catalog *catalog = rater->catalog;
    vt_err err = contracts_find(rater);

    if (err == VT_OK)
        err = types_alloc(rater);
    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < catalog->meter_count; i++) {
        const struct catalog_meter *meter = &catalog->meters[i];
        struct rater_type *type = &rater->types[meter->type];

        rater->meter_input[i] = input_add(type, meter->field);
        type->inputs[rater->meter_input[i]].is_used = true;
        dims_add_filter(type, &meter->filter);
    }
    for (uint32_t i = 0; i < rater->contract_count; i++) {
        for (uint32_t v = 0; v < rater->contracts[i]->version_count; v++) {
            for (uint32_t t = 0; t < catalog->type_count; t++)
                dims_add_filter(&rater->types[t], &rater->contracts[i]->versions[v].usage_filter);
        }
    }
    struct charge_cursor cursor = {.rater = rater};
    const struct charge *charge = charge_next(&cursor);

    while (charge != NULL) {
        if (charge->meter != CATALOG_NONE) {
            const struct catalog_meter *meter = &catalog->meters[charge->meter];
            struct rater_type *type = &rater->types[meter->type];
            struct input *input = &type->inputs[rater->meter_input[charge->meter]];

            dims_add_charge(type, charge);
            input->wants |= wants_of(meter, charge);
            if ((input->wants & ((uint32_t)WANT_LAST | (uint32_t)WANT_EVENTS)) != 0)
                rater->needs_ids = true;
        }
        charge = charge_next(&cursor);
    }
    return tables_init(rater);
}

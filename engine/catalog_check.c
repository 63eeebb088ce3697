/* catalog_check.c - what versions of a contract, and contracts of a tenant, must not do to each
 * other. */
#include <stdlib.h>

#include "catalog_build.h"
#include "venturi/assert.h"

/* A charge as it was first seen in a chain of versions whose counters run on. */
struct shape {
    const struct charge *charge;
    const struct json_node *node;
    const struct filter *usage_filter;
};

struct chain {
    struct arena *arena;
    struct name_index keys;
    struct shape *shapes; /* by the number in keys */
    uint32_t count;
    uint32_t capacity;
    const struct plan *currency; /* the first plan of the chain */
};

static bool
is_level(enum aggregation aggregation)
{
    return aggregation != AGG_SUM && aggregation != AGG_COUNT;
}

static bool
same_filters(const struct shape *a, const struct shape *b)
{
    if (!filter_equal(&a->charge->filter, &b->charge->filter) ||
        !filter_equal(a->usage_filter, b->usage_filter) ||
        a->charge->has_rows != b->charge->has_rows || a->charge->row_count != b->charge->row_count)
        return false;
    for (uint32_t i = 0; i < a->charge->row_count; i++)
        if (!filter_equal(&a->charge->rows[i].when, &b->charge->rows[i].when))
            return false;
    return true;
}

/* NULL, or what a charge changes although its counters run on. */
static const char *
shape_change(const struct catalog_build *build, const struct shape *a, const struct shape *b)
{
    if (a->charge->model != b->charge->model)
        return "model";
    if (a->charge->meter != b->charge->meter)
        return "meter";
    if (!json_equal(member_of(a->node, "price_by"), member_of(b->node, "price_by")))
        return "price_by";
    if (!json_equal(member_of(a->node, "package_size"), member_of(b->node, "package_size")))
        return "package_size";
    if (a->charge->meter != CATALOG_NONE && is_level(build->meters[a->charge->meter].aggregation) &&
        !same_filters(a, b))
        return "its filters (it is on a level meter)";
    return NULL;
}

static vt_err
shape_put(struct chain *chain, struct vt_str key, const struct shape *shape)
{
    uint32_t before;

    if (chain->count == chain->capacity) {
        uint32_t capacity = chain->capacity == 0 ? 16 : chain->capacity * 2;
        struct shape *shapes = arena_alloc(chain->arena, capacity * sizeof *shapes);

        if (shapes == NULL)
            return VT_NOMEM;
        for (uint32_t i = 0; i < chain->count; i++)
            shapes[i] = chain->shapes[i];
        chain->shapes = shapes;
        chain->capacity = capacity;
    }
    chain->shapes[chain->count] = *shape;
    return name_index_put(&chain->keys, key, chain->count++, &before);
}

static vt_err
chain_add_charge(const struct catalog_build *build, struct chain *chain,
                 const struct version_build *version, const struct shape *shape)
{
    uint32_t known = name_index_find(&chain->keys, shape->charge->key);

    if (known == NAME_INDEX_NONE)
        return shape_put(chain, shape->charge->key, shape);
    const char *change = shape_change(build, &chain->shapes[known], shape);

    if (change == NULL)
        return VT_OK;
    return catalog_refuse(version->node, NULL, "charge %.*s changes %s while counters continue",
                          shape->charge->key.size > 40 ? 40 : (int)shape->charge->key.size,
                          shape->charge->key.data, change);
}

static vt_err
chain_add(const struct catalog_build *build, struct chain *chain,
          const struct version_build *version)
{
    for (uint32_t p = 0; p < version->version.plan_count; p++) {
        const struct plan *plan = &version->version.plans[p];

        if (chain->currency == NULL)
            chain->currency = plan;
        if (!vt_str_equal(plan->currency, chain->currency->currency))
            return catalog_refuse(version->node, NULL,
                                  "the currency changes while counters continue");
        for (uint32_t c = 0; c < plan->charge_count; c++) {
            struct shape shape = {.charge = &plan->charges[c],
                                  .node = version->charge_nodes[p][c],
                                  .usage_filter = &version->version.usage_filter};
            vt_err err = chain_add_charge(build, chain, version, &shape);

            if (err != VT_OK)
                return err;
        }
    }
    return VT_OK;
}

static void
chain_begin(struct chain *chain, struct arena *arena)
{
    *chain = (struct chain){.arena = arena};
    name_index_init(&chain->keys, arena);
}

/* A contract of one version that follows a plan as it is: the verdict depends on the plan alone. */
static bool
fits_as_its_plan(const struct contract_build *contract, const struct version_build *version)
{
    return contract->count == 1 && !version->overridden && version->group->fits;
}

/* `lasting`: as counters really run, past versions that are empty and not over gaps. Without it as
 * the versions are written: an empty one that is separate breaks the chain, a gap does not. Both
 * must hold. */
static vt_err
counters_check(const struct catalog_build *build, const struct contract_build *contract,
               struct arena *arena, bool lasting)
{
    struct chain chain;
    int64_t end_us = INT64_MIN;

    chain_begin(&chain, arena);
    for (uint32_t i = 0; i < contract->count; i++) {
        const struct version_build *version = &build->versions[contract->first + i];
        const struct contract_version *v = &version->version;

        if (lasting && v->begin_us >= v->end_us)
            continue;
        if (!v->counters_continue || (lasting && v->begin_us != end_us))
            chain_begin(&chain, arena);
        vt_err err = chain_add(build, &chain, version);

        if (err != VT_OK)
            return err;
        end_us = v->end_us;
    }
    return VT_OK;
}

vt_err
check_counters(struct catalog_build *build)
{
    struct arena arena;
    vt_err err = VT_OK;

    arena_init(&arena, 1 << 16);
    for (uint32_t i = 0; err == VT_OK && i < build->contract_count; i++) {
        const struct contract_build *contract = &build->contracts[i];
        struct version_build *version = &build->versions[contract->first];

        if (fits_as_its_plan(contract, version))
            continue;
        arena_reset(&arena);
        err = counters_check(build, contract, &arena, false);
        if (err == VT_OK)
            err = counters_check(build, contract, &arena, true);
        if (err == VT_OK && contract->count == 1 && !version->overridden &&
            version->version.plan_latest)
            version->group->fits = true;
    }
    arena_deinit(&arena);
    return err;
}

/* ---------------------------------------------------------------- overlaps */

static int
by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* The meters that any charge of a version prices. Overrides change none of them. */
static vt_err
priced_find(struct catalog_build *build, struct version_build *version)
{
    uint32_t total = 0;
    uint32_t count = 0;

    for (uint32_t p = 0; p < version->version.plan_count; p++)
        total += version->version.plans[p].charge_count;
    uint32_t *meters = arena_alloc(&build->scratch, total * sizeof *meters);

    if (meters == NULL)
        return VT_NOMEM;
    for (uint32_t p = 0; p < version->version.plan_count; p++) {
        const struct plan *plan = &version->version.plans[p];

        for (uint32_t c = 0; c < plan->charge_count; c++)
            if (plan->charges[c].meter != CATALOG_NONE)
                meters[count++] = plan->charges[c].meter;
    }
    qsort(meters, count, sizeof *meters, by_number);
    version->priced = meters;
    version->priced_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || meters[i] != meters[i - 1])
            meters[version->priced_count++] = meters[i];
    return VT_OK;
}

static bool
price_common_meter(const struct version_build *a, const struct version_build *b)
{
    uint32_t i = 0;
    uint32_t j = 0;

    while (i < a->priced_count && j < b->priced_count) {
        if (a->priced[i] == b->priced[j])
            return true;
        if (a->priced[i] < b->priced[j])
            i++;
        else
            j++;
    }
    return false;
}

static int
by_tenant_and_begin(const void *a, const void *b)
{
    const struct version_build *x = *(const struct version_build *const *)a;
    const struct version_build *y = *(const struct version_build *const *)b;

    if (x->tenant != y->tenant)
        return x->tenant < y->tenant ? -1 : 1;
    if (x->version.begin_us != y->version.begin_us)
        return x->version.begin_us < y->version.begin_us ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static vt_err
overlap_refuse(const struct catalog_build *build, const struct version_build *one,
               const struct version_build *other)
{
    const struct version_build *later = one->sequence > other->sequence ? one : other;
    const struct version_build *earlier = later == one ? other : one;
    struct vt_str key = build->contracts[earlier->contract].contract.key;

    return catalog_refuse(later->node, NULL, "it prices the same usage as contract %.*s",
                          key.size > 40 ? 40 : (int)key.size, key.data);
}

vt_err
check_overlaps(struct catalog_build *build)
{
    uint32_t count = build->version_count;
    const struct version_build **sorted =
        arena_alloc(&build->scratch, count * sizeof(const struct version_build *));

    if (sorted == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        vt_err err = priced_find(build, &build->versions[i]);

        if (err != VT_OK)
            return err;
        sorted[i] = &build->versions[i];
    }
    qsort(sorted, count, sizeof(const struct version_build *), by_tenant_and_begin);
    for (uint32_t i = 0; i < count; i++) {
        const struct version_build *one = sorted[i];

        for (uint32_t j = i + 1; j < count && sorted[j]->tenant == one->tenant &&
                                 sorted[j]->version.begin_us < one->version.end_us;
             j++) {
            /* It begins while `one` lasts. An empty version is refused where it stands inside
             * another one, and only there. */
            if (sorted[j]->contract == one->contract ||
                sorted[j]->version.end_us <= one->version.begin_us ||
                !price_common_meter(one, sorted[j]))
                continue;
            if (!filter_disjoint(&one->version.usage_filter, &sorted[j]->version.usage_filter))
                return overlap_refuse(build, one, sorted[j]);
        }
    }
    return VT_OK;
}

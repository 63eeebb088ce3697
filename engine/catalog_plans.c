/* catalog_plans.c - plans and their charges: models, rows, tiers. */
#include "catalog_build.h"
#include "currency.h"
#include "venturi/assert.h"

#define MODEL_BIT(model) (1U << (model))
#define PER_UNIT         MODEL_BIT(MODEL_PER_UNIT)
#define TIERED           (MODEL_BIT(MODEL_GRADUATED) | MODEL_BIT(MODEL_VOLUME))
#define PACKAGE          MODEL_BIT(MODEL_PACKAGE)
#define PERCENTAGE       MODEL_BIT(MODEL_PERCENTAGE)
#define FIXED            MODEL_BIT(MODEL_FIXED)
#define USAGE            (PER_UNIT | TIERED | PACKAGE | PERCENTAGE)
#define ANY              (USAGE | FIXED)

static const struct {
    const char *name;
    enum price_model model;
} model_table[] = {
    {"per_unit", MODEL_PER_UNIT}, {"graduated", MODEL_GRADUATED},   {"volume", MODEL_VOLUME},
    {"package", MODEL_PACKAGE},   {"percentage", MODEL_PERCENTAGE}, {"fixed", MODEL_FIXED},
};

/* Which models have a field, on the charge and on a row of its table. */
static const struct {
    const char *word;
    uint32_t charge;
    uint32_t row;
} charge_words[] = {
    /* clang-format off */
    { "key",                    ANY,                       0 },
    { "name",                   ANY,                       0 },
    { "model",                  ANY,                       0 },
    { "prorate",                ANY,                       0 },
    { "discount_percent",       ANY,                       0 },
    { "counts_toward_commitment", ANY,                     0 },
    { "meter",                  USAGE,                     0 },
    { "filter",                 USAGE,                     0 },
    { "split_by",               USAGE,                     0 },
    { "price_by",               USAGE,                     0 },
    { "prices",                 USAGE,                     0 },
    { "included",               USAGE,                     USAGE },
    { "prorate_quantity",       USAGE,                     0 },
    { "minimum",                USAGE,                     0 },
    { "maximum",                USAGE,                     0 },
    { "when",                   0,                         USAGE },
    { "price",                  PER_UNIT | PACKAGE | FIXED, PER_UNIT | PACKAGE },
    { "package_size",           PACKAGE,                   PACKAGE },
    { "tiers",                  TIERED,                    TIERED },
    { "rate",                   PERCENTAGE,                PERCENTAGE },
    { "fixed_per_event",        PERCENTAGE,                PERCENTAGE },
    { "per_event_min",          PERCENTAGE,                PERCENTAGE },
    { "per_event_max",          PERCENTAGE,                PERCENTAGE },
    /* clang-format on */
};

/* The charge, and the row over it (NULL without a table): where a term is read. */
struct terms_source {
    const struct json_node *charge;
    const struct json_node *row;
    bool partial; /* a charge with a table need not have what its rows have */
};

static const char *
model_name(enum price_model model)
{
    for (size_t i = 0; i < VT_COUNT(model_table); i++)
        if (model_table[i].model == model)
            return model_table[i].name;
    return "";
}

static vt_err
check_words(const struct json_node *node, enum price_model model, bool row)
{
    for (const struct json_node *member = node->first; member != NULL; member = member->next) {
        uint32_t models = 0;

        for (size_t i = 0; i < VT_COUNT(charge_words); i++)
            if (word_is(member->key, charge_words[i].word))
                models = row ? charge_words[i].row : charge_words[i].charge;
        if ((models & MODEL_BIT(model)) == 0)
            return catalog_refuse(member, NULL, "a %s %s has no such field", model_name(model),
                                  row ? "row" : "charge");
    }
    return VT_OK;
}

/* ---------------------------------------------------------------- terms */

static const struct json_node *
term_of(const struct terms_source *source, const char *word)
{
    const struct json_node *node = source->row == NULL ? NULL : member_of(source->row, word);

    return node != NULL ? node : member_of(source->charge, word);
}

static const struct json_node *
place_of(const struct terms_source *source)
{
    return source->row == NULL ? source->charge : source->row;
}

/* Money that must be there; nothing but its form is asked of a charge whose rows have their own. */
static vt_err
term_needed(const struct terms_source *source, const char *word, struct price *out_price)
{
    const struct json_node *node = term_of(source, word);

    if (node != NULL)
        return read_price(node, out_price);
    *out_price = (struct price){0, 0};
    return source->partial ? VT_OK : catalog_refuse(place_of(source), word, "it is missing");
}

static vt_err
term_or_zero(const struct terms_source *source, const char *word, struct price *out_price,
             bool *out_there)
{
    const struct json_node *node = term_of(source, word);

    *out_there = node != NULL;
    *out_price = (struct price){0, 0};
    return node == NULL ? VT_OK : read_price(node, out_price);
}

static vt_err
tier_read(const struct json_node *node, const struct price *low, struct tier *out_tier)
{
    static const char *const words[] = {"up_to", "price", "flat", NULL};
    struct tier tier = {.open = true};
    bool there;
    vt_err err = read_object(node, words, "a tier");

    if (err != VT_OK)
        return err;
    const struct json_node *up_to = member_of(node, "up_to");
    const struct json_node *price = member_of(node, "price");

    if (up_to != NULL && up_to->kind != JSON_NULL) {
        tier.open = false;
        err = read_bound(up_to, &tier.up_to);
        if (err == VT_OK && price_compare(low, &tier.up_to) >= 0)
            err = catalog_refuse(up_to, NULL, "tiers do not ascend");
    }
    if (err != VT_OK)
        return err;
    if (price == NULL)
        return catalog_refuse(node, "price", "it is missing");
    err = read_price(price, &tier.price);
    if (err == VT_OK)
        err = read_price_or_zero(node, "flat", &tier.flat, &there);
    if (err == VT_OK)
        *out_tier = tier;
    return err;
}

static vt_err
tiers_read(struct catalog_build *build, const struct terms_source *source,
           struct price_terms *terms)
{
    const struct json_node *list = term_of(source, "tiers");
    struct price low = {0, 0};

    if (list == NULL)
        return source->partial ? VT_OK : catalog_refuse(place_of(source), "tiers", "it is missing");
    if (list->kind != JSON_ARRAY || list->count == 0)
        return catalog_refuse(list, NULL, "it must be an array of at least one tier");
    struct tier *tiers = arena_alloc(build->arena, list->count * sizeof *tiers);

    if (tiers == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = list->first; node != NULL; node = node->next) {
        struct tier *tier = &tiers[node->index];
        vt_err err = tier_read(node, &low, tier);

        if (err != VT_OK)
            return err;
        if (tier->open != (node->next == NULL))
            return catalog_refuse(node, "up_to", "the last tier, and only it, is open");
        low = tier->up_to;
    }
    terms->tier_count = list->count;
    terms->tiers = tiers;
    return VT_OK;
}

static vt_err
package_read(const struct terms_source *source, struct price_terms *terms)
{
    vt_err err = term_needed(source, "price", &terms->price);

    if (err == VT_OK)
        err = term_needed(source, "package_size", &terms->package_size);
    if (err != VT_OK)
        return err;
    const struct json_node *size = term_of(source, "package_size");

    if (size != NULL && terms->package_size.mantissa <= 0)
        return catalog_refuse(size, NULL, "a package holds more than 0 units");
    return VT_OK;
}

static vt_err
percentage_read(const struct terms_source *source, struct price_terms *terms)
{
    bool there;
    vt_err err = term_needed(source, "rate", &terms->rate);

    if (err == VT_OK)
        err = term_or_zero(source, "fixed_per_event", &terms->fixed_per_event, &there);
    if (err == VT_OK)
        err =
            term_or_zero(source, "per_event_min", &terms->per_event_min, &terms->has_per_event_min);
    if (err == VT_OK)
        err =
            term_or_zero(source, "per_event_max", &terms->per_event_max, &terms->has_per_event_max);
    return err;
}

static vt_err
terms_read(struct catalog_build *build, const struct terms_source *source,
           struct price_terms *out_terms)
{
    struct price_terms terms = {.model = out_terms->model};
    bool there;
    vt_err err = VT_OK;

    switch (terms.model) {
    case MODEL_PER_UNIT:
    case MODEL_FIXED:
        err = term_needed(source, "price", &terms.price);
        break;
    case MODEL_GRADUATED:
    case MODEL_VOLUME:
        err = tiers_read(build, source, &terms);
        break;
    case MODEL_PACKAGE:
        err = package_read(source, &terms);
        break;
    case MODEL_PERCENTAGE:
        err = percentage_read(source, &terms);
        break;
    }
    if (err == VT_OK)
        err = term_or_zero(source, "included", &terms.included, &there);
    if (err == VT_OK)
        *out_terms = terms;
    return err;
}

/* ---------------------------------------------------------------- rows and dimensions */

vt_err
check_filter_dims(const struct catalog_type *type, const struct json_node *object, const char *word,
                  const struct filter *filter)
{
    for (uint32_t i = 0; i < filter->term_count; i++) {
        uint32_t slot = catalog_type_slot(type, filter->terms[i].dim);

        if (slot == CATALOG_NONE || type->fields[slot].kind != FIELD_STRING)
            return catalog_refuse(json_get(member_of(object, word), filter->terms[i].dim), NULL,
                                  "no string field of the event type");
    }
    return VT_OK;
}

/* Notes what a charge reads on its meter. The dimensions were checked. */
static void
dims_note(struct catalog_build *build, uint32_t meter, const struct vt_str *names, uint32_t count)
{
    const struct catalog_type *type = &build->types[build->meters[meter].type];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = catalog_type_slot(type, names[i]);

        VT_ASSERT(slot < CATALOG_FIELDS_MAX);
        build->meter_dims[meter] |= UINT64_C(1) << slot;
    }
}

static vt_err
charge_filter_read(struct catalog_build *build, const struct json_node *object, const char *word,
                   uint32_t meter, struct filter *out_filter)
{
    struct filter filter;
    vt_err err = read_filter(build->arena, object, word, &filter);

    if (err == VT_OK)
        err = check_filter_dims(&build->types[build->meters[meter].type], object, word, &filter);
    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < filter.term_count; i++)
        dims_note(build, meter, &filter.terms[i].dim, 1);
    *out_filter = filter;
    return VT_OK;
}

static vt_err
charge_dims_read(struct catalog_build *build, const struct json_node *node, const char *word,
                 uint32_t meter, struct name_list *out_list)
{
    const struct catalog_type *type = &build->types[build->meters[meter].type];
    struct name_list list;
    vt_err err = read_names(build->arena, node, word, &list);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t slot = catalog_type_slot(type, list.names[i]);

        if (slot == CATALOG_NONE || type->fields[slot].kind != FIELD_STRING)
            return catalog_refuse(
                member_of(node, word), NULL, "%.*s is no string field of the event type",
                list.names[i].size > 40 ? 40 : (int)list.names[i].size, list.names[i].data);
    }
    dims_note(build, meter, list.names, list.count);
    *out_list = list;
    return VT_OK;
}

static vt_err
row_read(struct catalog_build *build, const struct json_node *charge_node,
         const struct json_node *node, const struct charge *charge, struct price_row *out_row)
{
    struct terms_source source = {.charge = charge_node, .row = node};
    struct price_row row = {.terms.model = charge->model};

    if (node->kind != JSON_OBJECT)
        return catalog_refuse(node, NULL, "a row is an object");
    vt_err err = check_words(node, charge->model, true);

    if (err == VT_OK)
        err = charge_filter_read(build, node, "when", charge->meter, &row.when);
    if (err == VT_OK)
        err = terms_read(build, &source, &row.terms);
    if (err == VT_OK)
        *out_row = row;
    return err;
}

static vt_err
rows_read(struct catalog_build *build, const struct json_node *node, struct charge *charge)
{
    const struct json_node *list = member_of(node, "prices");
    struct terms_source source = {.charge = node, .row = NULL, .partial = list != NULL};
    struct price_row whole = {.terms.model = charge->model};

    if (list != NULL && list->kind != JSON_ARRAY)
        return catalog_refuse(list, NULL, "it must be an array of rows");
    if (list != NULL && member_of(node, "included") != NULL)
        return catalog_refuse(node, "included", "with a price table, included belongs to its rows");
    vt_err err = terms_read(build, &source, &whole.terms);

    if (err != VT_OK)
        return err;
    charge->has_rows = list != NULL;
    charge->row_count = list == NULL ? 1 : list->count;
    struct price_row *rows = arena_alloc(build->arena, charge->row_count * sizeof *rows);

    if (rows == NULL)
        return VT_NOMEM;
    charge->rows = rows;
    if (list == NULL) {
        rows[0] = whole;
        return VT_OK;
    }
    for (const struct json_node *row = list->first; row != NULL; row = row->next) {
        err = row_read(build, node, row, charge, &rows[row->index]);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

/* ---------------------------------------------------------------- charges */

static vt_err
model_read(const struct json_node *node, enum price_model *out_model)
{
    struct vt_str name = {NULL, 0};
    vt_err err = read_name(node, "model", &name);

    if (err != VT_OK)
        return err;
    for (size_t i = 0; i < VT_COUNT(model_table); i++) {
        if (word_is(name, model_table[i].name)) {
            *out_model = model_table[i].model;
            return VT_OK;
        }
    }
    return catalog_refuse(node, "model", "unknown model");
}

/* Dimensions that price_by has already add nothing to split_by. */
static vt_err
split_read(struct catalog_build *build, const struct json_node *node, struct charge *charge)
{
    struct name_list price = {0};
    struct name_list split = {0};
    vt_err err = charge_dims_read(build, node, "price_by", charge->meter, &price);

    if (err == VT_OK)
        err = charge_dims_read(build, node, "split_by", charge->meter, &split);
    if (err != VT_OK)
        return err;
    charge->price_by_count = price.count;
    charge->price_by = price.names;
    charge->split_by = split.names;
    for (uint32_t i = 0; i < split.count; i++) {
        uint32_t j = 0;

        while (j < price.count && !vt_str_equal(price.names[j], split.names[i]))
            j++;
        if (j == price.count)
            split.names[charge->split_count++] = split.names[i];
    }
    return VT_OK;
}

static vt_err
bounds_read(const struct json_node *node, struct charge *charge)
{
    vt_err err = read_price_or_zero(node, "minimum", &charge->minimum, &charge->has_minimum);

    if (err == VT_OK)
        err = read_price_or_zero(node, "maximum", &charge->maximum, &charge->has_maximum);
    if (err == VT_OK && charge->has_minimum && charge->has_maximum &&
        price_compare(&charge->minimum, &charge->maximum) > 0)
        err = catalog_refuse(node, "minimum", "minimum over maximum");
    return err;
}

static vt_err
usage_charge_read(struct catalog_build *build, const struct json_node *node, struct charge *charge)
{
    struct vt_str meter = {NULL, 0};
    vt_err err = read_name(node, "meter", &meter);

    if (err != VT_OK)
        return err;
    charge->meter = name_index_find(&build->catalog->index->meters, meter);
    if (charge->meter == CATALOG_NONE)
        return catalog_refuse(node, "meter", "unknown meter");
    enum aggregation aggregation = build->meters[charge->meter].aggregation;

    if (charge->model == MODEL_PERCENTAGE && aggregation != AGG_SUM && aggregation != AGG_COUNT)
        return catalog_refuse(node, "meter", "percentage needs a sum or count meter");
    err = charge_filter_read(build, node, "filter", charge->meter, &charge->filter);
    if (err == VT_OK)
        err = split_read(build, node, charge);
    if (err == VT_OK)
        err = read_bool(node, "prorate_quantity", false, &charge->prorate_quantity);
    if (err == VT_OK)
        err = bounds_read(node, charge);
    if (err == VT_OK)
        err = rows_read(build, node, charge);
    return err;
}

vt_err
build_charge(struct catalog_build *build, const struct json_node *node, struct charge *out_charge)
{
    struct charge charge = {.meter = CATALOG_NONE};
    struct vt_str label;
    bool there;

    if (node->kind != JSON_OBJECT)
        return catalog_refuse(node, NULL, "a charge is an object");
    vt_err err = read_name(node, "key", &charge.key);

    if (err == VT_OK && vt_str_equal(charge.key, VT_STR("true_up")))
        err = catalog_refuse(node, "key", "true_up is a reserved key");
    if (err == VT_OK)
        err = model_read(node, &charge.model);
    if (err == VT_OK)
        err = check_words(node, charge.model, false);
    if (err == VT_OK)
        err = read_label(node, "name", &label);
    if (err == VT_OK)
        err = read_bool(node, "prorate", true, &charge.prorate);
    if (err == VT_OK)
        err = read_bool(node, "counts_toward_commitment", true, &charge.counts_toward_commitment);
    if (err == VT_OK)
        err = read_price_or_zero(node, "discount_percent", &charge.discount_percent, &there);
    if (err == VT_OK)
        err = charge.model == MODEL_FIXED ? rows_read(build, node, &charge)
                                          : usage_charge_read(build, node, &charge);
    if (err == VT_OK)
        *out_charge = charge;
    return err;
}

/* ---------------------------------------------------------------- plans */

static vt_err
charges_read(struct catalog_build *build, const struct json_node *list, struct plan *plan)
{
    struct charge *charges = arena_alloc(build->arena, list->count * sizeof *charges);
    struct name_index keys;

    if (charges == NULL)
        return VT_NOMEM;
    name_index_init(&keys, &build->scratch);
    for (const struct json_node *node = list->first; node != NULL; node = node->next) {
        vt_err err = build_charge(build, node, &charges[node->index]);

        if (err == VT_OK)
            err = put_unique(&keys, node, "key", node->index);
        if (err != VT_OK)
            return err;
    }
    plan->charge_count = list->count;
    plan->charges = charges;
    return VT_OK;
}

static vt_err
plan_money_read(const struct json_node *node, struct plan *plan)
{
    struct vt_str rounding = VT_STR("half_up");
    bool there;
    vt_err err = read_name(node, "currency", &plan->currency);

    if (err == VT_OK && !currency_minor_digits(plan->currency, &plan->minor_digits))
        err = catalog_refuse(node, "currency", "unknown currency (a code of ISO 4217)");
    if (err == VT_OK && member_of(node, "rounding") != NULL)
        err = read_name(node, "rounding", &rounding);
    if (err == VT_OK)
        err = read_price_or_zero(node, "minimum_commitment", &plan->minimum_commitment, &there);
    if (err != VT_OK)
        return err;
    plan->rounding = ROUND_HALF_UP;
    if (vt_str_equal(rounding, VT_STR("half_even")))
        plan->rounding = ROUND_HALF_EVEN;
    else if (!vt_str_equal(rounding, VT_STR("half_up")))
        err = catalog_refuse(node, "rounding", "unknown rounding (half_up or half_even)");
    return err;
}

static vt_err
plan_read(struct catalog_build *build, const struct json_node *node, struct plan *out_plan)
{
    static const char *const words[] = {
        "key",     "version", "currency",    "rounding", "minimum_commitment", "effective_from",
        "charges", "name",    "description", NULL};
    struct plan plan = {.charge_count = 0};
    const struct json_node *number = NULL;
    const struct json_node *from = NULL;
    const struct json_node *charges = NULL;
    struct vt_str label;
    vt_err err = read_object(node, words, "a plan");

    if (err == VT_OK)
        err = read_name(node, "key", &plan.key);
    if (err == VT_OK)
        err = read_member(node, "version", JSON_NUMBER, &number);
    if (err == VT_OK)
        err = read_integer(number, &plan.version);
    if (err == VT_OK)
        err = plan_money_read(node, &plan);
    if (err != VT_OK)
        return err;
    from = member_of(node, "effective_from");
    if (from == NULL)
        return catalog_refuse(node, "effective_from", "it is missing");
    err = read_time(from, &plan.effective_from_us);
    if (err == VT_OK)
        err = read_label(node, "name", &label);
    if (err == VT_OK)
        err = read_label(node, "description", &label);
    if (err == VT_OK)
        err = read_member(node, "charges", JSON_ARRAY, &charges);
    if (err == VT_OK)
        err = charges_read(build, charges, &plan);
    if (err == VT_OK)
        *out_plan = plan;
    return err;
}

/* Counts the versions of each plan and finds the number of its group for each; refuses one given
 * twice. */
static vt_err
groups_count(struct catalog_build *build, const struct json_node *section, uint32_t *group_of)
{
    struct name_index seen;

    name_index_init(&seen, &build->scratch);
    for (const struct json_node *node = section->first; node != NULL; node = node->next) {
        const struct plan *plan = &build->plans[node->index];
        uint32_t before;
        bool there;
        vt_err err = put_versioned(build, &seen, plan->key, plan->version, &there);

        if (err != VT_OK)
            return err;
        if (there)
            return catalog_refuse(node, "version", "this version of the plan stands twice");
        err = name_index_put(&build->group_index, plan->key, build->group_count, &before);
        if (err != VT_OK)
            return err;
        if (before == NAME_INDEX_NONE) {
            before = build->group_count++;
            build->groups[before] = (struct plan_group){.key = plan->key};
        }
        group_of[node->index] = before;
        build->groups[before].count++;
    }
    return VT_OK;
}

static vt_err
charge_nodes_list(struct catalog_build *build, const struct json_node *plan,
                  const struct json_node *const **out_nodes)
{
    const struct json_node *list = member_of(plan, "charges");
    const struct json_node **nodes =
        arena_alloc(&build->scratch, list->count * sizeof(const struct json_node *));

    if (nodes == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = list->first; node != NULL; node = node->next)
        nodes[node->index] = node;
    *out_nodes = nodes;
    return VT_OK;
}

/* Plans again, those of one key together, so that a contract can point at all versions that it
 * follows. */
static vt_err
plans_group(struct catalog_build *build, const struct json_node *section)
{
    uint32_t count = section->count;
    uint32_t *group_of = arena_alloc(&build->scratch, count * sizeof *group_of);
    uint32_t first = 0;

    build->groups = arena_alloc(&build->scratch, count * sizeof *build->groups);
    build->grouped = arena_alloc(build->arena, count * sizeof *build->grouped);
    build->grouped_charge_nodes =
        arena_alloc(&build->scratch, count * sizeof *build->grouped_charge_nodes);
    if (group_of == NULL || build->groups == NULL || build->grouped == NULL ||
        build->grouped_charge_nodes == NULL)
        return VT_NOMEM;
    name_index_init(&build->group_index, &build->scratch);
    vt_err err = groups_count(build, section, group_of);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < build->group_count; i++) {
        build->groups[i].first = first;
        first += build->groups[i].count;
        build->groups[i].count = 0;
    }
    VT_ASSERT(first == count);
    for (const struct json_node *node = section->first; node != NULL; node = node->next) {
        struct plan_group *group = &build->groups[group_of[node->index]];
        uint32_t at = group->first + group->count++;

        build->grouped[at] = build->plans[node->index];
        err = charge_nodes_list(build, node, &build->grouped_charge_nodes[at]);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

vt_err
build_plans(struct catalog_build *build)
{
    const struct json_node *section = NULL;
    vt_err err = build_section(build, "plans", &section);

    if (err != VT_OK)
        return err;
    build->plans = arena_alloc(build->arena, section->count * sizeof *build->plans);
    if (build->plans == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = section->first; node != NULL; node = node->next) {
        err = plan_read(build, node, &build->plans[node->index]);
        if (err != VT_OK)
            return err;
    }
    build->catalog->plans = build->plans;
    build->catalog->plan_count = section->count;
    return plans_group(build, section);
}

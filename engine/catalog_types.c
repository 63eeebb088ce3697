/* catalog_types.c - event types, meters and tenants of a catalog. */
#include "catalog_build.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define SECONDS_US(n) ((n)*VT_US_PER_SECOND)

/* ---------------------------------------------------------------- event types */

static vt_err
field_read(const struct json_node *node, struct catalog_field *out_field)
{
    static const char *const words[] = {"name", "kind",        "scale", "required",
                                        "unit", "description", NULL};
    struct catalog_field field = {.kind = FIELD_STRING};
    struct vt_str kind = {NULL, 0};
    struct vt_str label;
    vt_err err = read_object(node, words, "a field");

    if (err == VT_OK)
        err = read_name(node, "name", &field.name);
    if (err == VT_OK)
        err = read_name(node, "kind", &kind);
    if (err == VT_OK)
        err = read_label(node, "unit", &label);
    if (err == VT_OK)
        err = read_label(node, "description", &label);
    if (err != VT_OK)
        return err;
    if (vt_str_equal(kind, VT_STR("decimal")))
        field.kind = FIELD_DECIMAL;
    else if (!vt_str_equal(kind, VT_STR("string")))
        return catalog_refuse(node, "kind", "unknown kind (string or decimal)");
    err = read_bool(node, "required", field.kind == FIELD_DECIMAL, &field.required);
    if (err != VT_OK)
        return err;
    if (field.kind == FIELD_STRING && field.required)
        return catalog_refuse(node, "required", "a string field is never required: absent is \"\"");
    const struct json_node *scale = member_of(node, "scale");
    int64_t digits = 0;

    if (scale != NULL) {
        if (field.kind == FIELD_STRING)
            return catalog_refuse(scale, NULL, "a string field has no scale");
        if (scale->kind != JSON_NUMBER || !scale->integer ||
            read_integer(scale, &digits) != VT_OK || digits < 0 || digits > VT_SCALE_MAX)
            return catalog_refuse(scale, NULL, "scale is 0 to 18");
    }
    field.scale = (uint32_t)digits;
    *out_field = field;
    return VT_OK;
}

static vt_err
fields_read(struct catalog_build *build, const struct json_node *list, struct catalog_type *type)
{
    if (list->count > CATALOG_FIELDS_MAX)
        return catalog_refuse(list, NULL, "more than %d fields", CATALOG_FIELDS_MAX);
    struct catalog_field *fields = arena_alloc(build->arena, list->count * sizeof *fields);

    if (fields == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = list->first; node != NULL; node = node->next) {
        vt_err err = field_read(node, &fields[node->index]);

        if (err != VT_OK)
            return err;
        for (uint32_t i = 0; i < node->index; i++)
            if (vt_str_equal(fields[i].name, fields[node->index].name))
                return catalog_refuse(node, "name", "this field stands twice");
    }
    type->field_count = list->count;
    type->fields = fields;
    return VT_OK;
}

static vt_err
type_read(struct catalog_build *build, const struct json_node *node, struct catalog_type *out_type)
{
    static const char *const words[] = {"type", "fields",      "late_limit", "future_limit",
                                        "name", "description", NULL};
    struct catalog_type type = {.field_count = 0};
    const struct json_node *fields = NULL;
    struct vt_str label;
    vt_err err = read_object(node, words, "an event type");

    if (err == VT_OK)
        err = read_name(node, "type", &type.name);
    if (err == VT_OK)
        err = put_unique(&build->catalog->index->types, node, "type", node->index);
    if (err == VT_OK)
        err = read_duration(node, "late_limit", &type.late_limit_us);
    if (err == VT_OK)
        err = read_duration(node, "future_limit", &type.future_limit_us);
    if (err == VT_OK)
        err = read_label(node, "name", &label);
    if (err == VT_OK)
        err = read_label(node, "description", &label);
    if (err == VT_OK)
        err = read_member(node, "fields", JSON_ARRAY, &fields);
    if (err == VT_OK)
        err = fields_read(build, fields, &type);
    if (err == VT_OK)
        *out_type = type;
    return err;
}

vt_err
build_types(struct catalog_build *build)
{
    const struct json_node *section = NULL;
    vt_err err = build_section(build, "event_types", &section);

    if (err != VT_OK)
        return err;
    build->types = arena_alloc(build->arena, section->count * sizeof *build->types);
    if (build->types == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = section->first; node != NULL; node = node->next) {
        err = type_read(build, node, &build->types[node->index]);
        if (err != VT_OK)
            return err;
    }
    build->catalog->types = build->types;
    build->catalog->type_count = section->count;
    return VT_OK;
}

/* ---------------------------------------------------------------- meters */

static const struct {
    const char *name;
    int64_t us;
} window_table[] = {
    {"1m", SECONDS_US(60)},   {"5m", SECONDS_US(300)},   {"15m", SECONDS_US(900)},
    {"1h", SECONDS_US(3600)}, {"1d", SECONDS_US(86400)},
};

static const struct {
    const char *name;
    enum aggregation aggregation;
} aggregation_table[] = {
    {"sum", AGG_SUM}, {"count", AGG_COUNT}, {"min", AGG_MIN},
    {"max", AGG_MAX}, {"last", AGG_LAST},   {"unique", AGG_UNIQUE},
};

static vt_err
window_read(const struct json_node *node, int64_t *out_us)
{
    struct vt_str name = {NULL, 0};
    vt_err err = read_name(node, "window", &name);

    if (err != VT_OK)
        return err;
    for (size_t i = 0; i < VT_COUNT(window_table); i++) {
        if (word_is(name, window_table[i].name)) {
            *out_us = window_table[i].us;
            return VT_OK;
        }
    }
    return catalog_refuse(node, "window", "unknown window (1m, 5m, 15m, 1h or 1d)");
}

static vt_err
aggregation_read(const struct json_node *node, enum aggregation *out_aggregation)
{
    struct vt_str name = {NULL, 0};
    vt_err err = read_name(node, "aggregation", &name);

    if (err != VT_OK)
        return err;
    for (size_t i = 0; i < VT_COUNT(aggregation_table); i++) {
        if (word_is(name, aggregation_table[i].name)) {
            *out_aggregation = aggregation_table[i].aggregation;
            return VT_OK;
        }
    }
    return catalog_refuse(node, "aggregation",
                          "unknown aggregation (sum, count, min, max, last or unique)");
}

/* The field that a meter aggregates: a decimal one, for `unique` a string one, none for `count`. */
static vt_err
meter_field_read(const struct catalog_type *type, const struct json_node *node,
                 struct catalog_meter *meter)
{
    enum field_kind wanted = meter->aggregation == AGG_UNIQUE ? FIELD_STRING : FIELD_DECIMAL;
    const struct json_node *given = member_of(node, "field");
    struct vt_str name = {NULL, 0};

    meter->field = CATALOG_NONE;
    if (meter->aggregation == AGG_COUNT) {
        if (given != NULL && given->kind != JSON_NULL)
            return catalog_refuse(given, NULL, "a count meter counts events and has no field");
        return VT_OK;
    }
    vt_err err = read_name(node, "field", &name);

    if (err != VT_OK)
        return err;
    uint32_t slot = catalog_type_slot(type, name);

    if (slot == CATALOG_NONE || type->fields[slot].kind != wanted)
        return catalog_refuse(given, NULL, "it needs a %s field of the event type",
                              wanted == FIELD_STRING ? "string" : "decimal");
    meter->field = slot;
    meter->scale = wanted == FIELD_DECIMAL ? type->fields[slot].scale : 0;
    return VT_OK;
}

static vt_err
group_by_read(struct catalog_build *build, const struct json_node *node,
              struct catalog_meter *meter)
{
    const struct catalog_type *type = &build->types[meter->type];
    struct name_list list;
    vt_err err = read_names(&build->scratch, node, "group_by", &list);

    if (err != VT_OK)
        return err;
    meter->group_count = list.count;
    uint32_t *slots = arena_alloc(build->arena, meter->group_count * sizeof *slots);

    if (slots == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < meter->group_count; i++) {
        slots[i] = catalog_type_slot(type, list.names[i]);
        if (slots[i] == CATALOG_NONE || type->fields[slots[i]].kind != FIELD_STRING)
            return catalog_refuse(node, "group_by", "%.*s is no string field of the event type",
                                  list.names[i].size > 40 ? 40 : (int)list.names[i].size,
                                  list.names[i].data);
        build->meter_dims[node->index] |= UINT64_C(1) << slots[i];
    }
    meter->group_slots = slots;
    return VT_OK;
}

static vt_err
meter_read(struct catalog_build *build, const struct json_node *node,
           struct catalog_meter *out_meter)
{
    static const char *const words[] = {"key",    "event_type", "aggregation", "field",
                                        "filter", "group_by",   "window",      "grace",
                                        "unit",   "name",       "description", NULL};
    struct catalog_meter meter = {.field = CATALOG_NONE};
    struct vt_str name = {NULL, 0};
    struct vt_str label;
    vt_err err = read_object(node, words, "a meter");

    if (err == VT_OK)
        err = read_name(node, "key", &meter.key);
    if (err == VT_OK)
        err = put_unique(&build->catalog->index->meters, node, "key", node->index);
    if (err == VT_OK)
        err = read_name(node, "event_type", &name);
    if (err != VT_OK)
        return err;
    meter.type = name_index_find(&build->catalog->index->types, name);
    if (meter.type == CATALOG_NONE)
        return catalog_refuse(node, "event_type", "unknown event type");
    err = aggregation_read(node, &meter.aggregation);
    if (err == VT_OK)
        err = window_read(node, &meter.window_us);
    if (err == VT_OK)
        err = read_duration(node, "grace", &meter.grace_us);
    if (err == VT_OK)
        err = meter_field_read(&build->types[meter.type], node, &meter);
    if (err == VT_OK)
        err = group_by_read(build, node, &meter);
    if (err == VT_OK)
        err = read_filter(build->arena, node, "filter", &meter.filter);
    if (err == VT_OK)
        err = check_filter_dims(&build->types[meter.type], node, "filter", &meter.filter);
    if (err == VT_OK)
        err = read_label(node, "unit", &meter.unit);
    if (err == VT_OK)
        err = read_label(node, "name", &label);
    if (err == VT_OK)
        err = read_label(node, "description", &label);
    if (err == VT_OK)
        *out_meter = meter;
    return err;
}

vt_err
build_meters(struct catalog_build *build)
{
    const struct json_node *section = NULL;
    vt_err err = build_section(build, "meters", &section);

    if (err != VT_OK)
        return err;
    build->meters = arena_alloc(build->arena, section->count * sizeof *build->meters);
    build->meter_dims = arena_zalloc(&build->scratch, section->count * sizeof *build->meter_dims);
    if (build->meters == NULL || build->meter_dims == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = section->first; node != NULL; node = node->next) {
        err = meter_read(build, node, &build->meters[node->index]);
        if (err != VT_OK)
            return err;
    }
    build->catalog->meters = build->meters;
    build->catalog->meter_count = section->count;
    return VT_OK;
}

/* A usage_filter concerns every meter whose type has its dimension: usage of any of them may be
 * asked whether a contract covers it. */
static uint64_t
usage_dims_of(const struct catalog_build *build, const struct catalog_type *type)
{
    uint64_t dims = 0;

    for (uint32_t slot = 0; slot < type->field_count; slot++)
        if (type->fields[slot].kind == FIELD_STRING &&
            name_index_find(&build->usage_dims, type->fields[slot].name) != NAME_INDEX_NONE)
            dims |= UINT64_C(1) << slot;
    return dims;
}

vt_err
build_meter_dims(struct catalog_build *build)
{
    for (uint32_t i = 0; i < build->catalog->meter_count; i++) {
        struct catalog_meter *meter = &build->meters[i];
        uint64_t dims = build->meter_dims[i] | usage_dims_of(build, &build->types[meter->type]);
        uint32_t *slots = arena_alloc(build->arena, CATALOG_FIELDS_MAX * sizeof *slots);

        if (slots == NULL)
            return VT_NOMEM;
        meter->dim_count = 0;
        for (uint32_t slot = 0; slot < CATALOG_FIELDS_MAX; slot++)
            if ((dims >> slot & 1) != 0)
                slots[meter->dim_count++] = slot;
        VT_ASSERT(meter->dim_count >= meter->group_count);
        meter->dim_slots = slots;
    }
    return VT_OK;
}

/* ---------------------------------------------------------------- tenants */

/* Any further attributes are the tenant's own; only the key is ours, and a name where it is a
 * string. */
static vt_err
tenant_read(struct catalog_build *build, const struct json_node *node,
            struct catalog_tenant *out_tenant)
{
    struct catalog_tenant tenant = {.json = node->text};

    if (node->kind != JSON_OBJECT)
        return catalog_refuse(node, NULL, "a tenant is an object");
    vt_err err = read_name(node, "key", &tenant.key);

    if (err == VT_OK)
        err = put_unique(&build->catalog->index->tenants, node, "key", node->index);
    if (err != VT_OK)
        return err;
    const struct json_node *name = member_of(node, "name");

    if (name != NULL && name->kind == JSON_STRING)
        tenant.name = name->text;
    *out_tenant = tenant;
    return VT_OK;
}

vt_err
build_tenants(struct catalog_build *build)
{
    const struct json_node *section = NULL;
    vt_err err = build_section(build, "tenants", &section);

    if (err != VT_OK)
        return err;
    struct catalog_tenant *tenants = arena_alloc(build->arena, section->count * sizeof *tenants);

    if (tenants == NULL)
        return VT_NOMEM;
    for (const struct json_node *node = section->first; node != NULL; node = node->next) {
        err = tenant_read(build, node, &tenants[node->index]);
        if (err != VT_OK)
            return err;
    }
    build->catalog->tenants = tenants;
    build->catalog->tenant_count = section->count;
    return VT_OK;
}

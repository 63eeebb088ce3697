#include "hand_catalog.h"

#include "venturi/assert.h"

static const struct catalog_field call_fields[] = {
    {.name = {"region", 6}, .kind = FIELD_STRING},
    {.name = {"model", 5}, .kind = FIELD_STRING},
    {.name = {"tokens", 6}, .kind = FIELD_DECIMAL, .scale = 0, .required = true},
    {.name = {"cost", 4}, .kind = FIELD_DECIMAL, .scale = 6, .required = false},
};
static const struct catalog_field job_fields[] = {
    {.name = {"seconds", 7}, .kind = FIELD_DECIMAL, .scale = 3, .required = true},
    {.name = {"region", 6}, .kind = FIELD_STRING},
    {.name = {"units", 5}, .kind = FIELD_DECIMAL, .scale = 18, .required = false},
};
static const struct catalog_type types[] = {
    {.name = {"call", 4}, .field_count = 4, .fields = call_fields},
    {.name = {"job", 3}, .field_count = 3, .fields = job_fields},
    {.name = {"ping", 4}, .field_count = 0, .fields = NULL},
};
static const struct catalog_tenant tenants[] = {
    {.key = {"acme", 4}},
    {.key = {"globex", 6}},
    {.key = {"z\xc3\xbcrich", 7}},
};
static const struct catalog by_hand = {
    .type_count = VT_COUNT(types),
    .types = types,
    .tenant_count = VT_COUNT(tenants),
    .tenants = tenants,
};

const struct catalog *
hand_catalog(void)
{
    return &by_hand;
}

/* Weak: the engine's own take their place where they are linked. */
__attribute__((weak)) uint32_t
catalog_find_type(const struct catalog *catalog, struct vt_str name)
{
    for (uint32_t i = 0; i < catalog->type_count; i++)
        if (vt_str_equal(catalog->types[i].name, name))
            return i;
    return CATALOG_NONE;
}

__attribute__((weak)) uint32_t
catalog_find_tenant(const struct catalog *catalog, struct vt_str key)
{
    for (uint32_t i = 0; i < catalog->tenant_count; i++)
        if (vt_str_equal(catalog->tenants[i].key, key))
            return i;
    return CATALOG_NONE;
}

__attribute__((weak)) uint32_t
catalog_type_slot(const struct catalog_type *type, struct vt_str field)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (vt_str_equal(type->fields[i].name, field))
            return i;
    return CATALOG_NONE;
}

__attribute__((weak)) bool
filter_term_accepts(const struct filter_term *term, struct vt_str value)
{
    for (uint32_t i = 0; i < term->value_count; i++)
        if (vt_str_equal(term->values[i], value))
            return true;
    return false;
}

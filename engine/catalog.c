/*
 * catalog.c - see catalog.h. Loading in the order of the references: types, meters, tenants, plans,
 * contracts. The JSON tree lives in a scratch arena and is gone when the catalog stands; its
 * strings point into the catalog's own copy of the text.
 */
#include "catalog.h"

#include <stdlib.h>
#include <string.h>

#include "catalog_build.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define KEEP_BLOCK_BYTES    (UINT64_C(1) << 16)
#define SCRATCH_BLOCK_BYTES (UINT64_C(1) << 20)

static const char *const sections[] = {"event_types", "meters",    "tenants",
                                       "plans",       "contracts", NULL};

vt_err
build_section(struct catalog_build *build, const char *word, const struct json_node **out_section)
{
    return read_member(build->root, word, JSON_ARRAY, out_section);
}

vt_err
put_unique(struct name_index *index, const struct json_node *object, const char *word,
           uint32_t value)
{
    uint32_t before;
    const struct json_node *node = member_of(object, word);

    VT_ASSERT(node != NULL);
    vt_err err = name_index_put(index, node->text, value, &before);

    if (err == VT_OK && before != NAME_INDEX_NONE)
        err = catalog_refuse(node, NULL, "\"%.*s\" stands twice",
                             node->text.size > 40 ? 40 : (int)node->text.size,
                             node->text.size == 0 ? "" : node->text.data);
    return err;
}

vt_err
put_versioned(struct catalog_build *build, struct name_index *index, struct vt_str name,
              int64_t number, bool *out_there)
{
    char *key = arena_alloc(&build->scratch, name.size + sizeof number);
    uint32_t before;

    if (key == NULL)
        return VT_NOMEM;
    memcpy(key, &number, sizeof number);
    if (name.size > 0)
        memcpy(key + sizeof number, name.data, name.size);
    vt_err err = name_index_put(index, (struct vt_str){key, name.size + (uint32_t)sizeof number}, 0,
                                &before);

    if (err == VT_OK)
        *out_there = before != NAME_INDEX_NONE;
    return err;
}

static vt_err
catalog_new(struct vt_str text, struct catalog **out_catalog)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);

    if (catalog == NULL)
        return VT_NOMEM;
    catalog->index = calloc(1, sizeof *catalog->index);
    if (catalog->index == NULL) {
        free(catalog);
        return VT_NOMEM;
    }
    arena_init(&catalog->index->arena, KEEP_BLOCK_BYTES);
    name_index_init(&catalog->index->types, &catalog->index->arena);
    name_index_init(&catalog->index->tenants, &catalog->index->arena);
    name_index_init(&catalog->index->meters, &catalog->index->arena);
    catalog->text = arena_copy(&catalog->index->arena, text);
    if (catalog->text.data == NULL) {
        catalog_free(catalog);
        return VT_NOMEM;
    }
    vt_sha256(text.data, text.size, catalog->sha256);
    *out_catalog = catalog;
    return VT_OK;
}

static vt_err
catalog_build(struct catalog_build *build)
{
    vt_err (*const steps[])(struct catalog_build *) = {
        build_types,     build_meters,   build_tenants,  build_plans,
        build_contracts, check_counters, check_overlaps, build_meter_dims};
    vt_err err = json_tree_parse(&build->scratch, build->arena, build->catalog->text, &build->root);

    if (err != VT_OK)
        return err == VT_NOMEM ? err : VT_BAD_CATALOG; /* the detail says which */
    err = read_object(build->root, sections, "a catalog");
    for (size_t i = 0; err == VT_OK && i < VT_COUNT(steps); i++)
        err = steps[i](build);
    return err;
}

vt_err
catalog_load(struct vt_str text, const struct catalog_zones *zones, struct catalog **out_catalog)
{
    struct catalog_build build = {.zone_source = zones};

    vt_err_clear();
    if (text.size > CATALOG_BYTES_MAX)
        return vt_err_detail(VT_BAD_CATALOG, "$: the catalog is larger than 64 MiB");
    vt_err err = catalog_new(text, &build.catalog);

    if (err != VT_OK)
        return err;
    build.arena = &build.catalog->index->arena;
    arena_init(&build.scratch, SCRATCH_BLOCK_BYTES);
    err = catalog_build(&build);
    arena_deinit(&build.scratch);
    if (err != VT_OK) {
        catalog_free(build.catalog);
        return err;
    }
    *out_catalog = build.catalog;
    return VT_OK;
}

void
catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    arena_deinit(&catalog->index->arena);
    free(catalog->index);
    free(catalog);
}

uint32_t
catalog_find_type(const struct catalog *catalog, struct vt_str name)
{
    return name_index_find(&catalog->index->types, name);
}

uint32_t
catalog_find_tenant(const struct catalog *catalog, struct vt_str key)
{
    return name_index_find(&catalog->index->tenants, key);
}

uint32_t
catalog_find_meter(const struct catalog *catalog, struct vt_str key)
{
    return name_index_find(&catalog->index->meters, key);
}

uint32_t
catalog_type_slot(const struct catalog_type *type, struct vt_str field)
{
    for (uint32_t slot = 0; slot < type->field_count; slot++)
        if (vt_str_equal(type->fields[slot].name, field))
            return slot;
    return CATALOG_NONE;
}

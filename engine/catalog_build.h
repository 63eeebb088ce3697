/*
 * catalog_build.h - private to catalog_*.c: a catalog while it is being read. Sections are read in
 * this order: types, meters, tenants, plans, contracts; then the checks between contracts, then the
 * dimensions that a meter's cells must keep.
 *
 * Memory: what the catalog keeps comes from `arena`; the JSON tree and tables of the checks from
 *         `scratch`.
 * Thread: one at a time.
 */
#pragma once

#include "arena.h"
#include "catalog.h"
#include "catalog_read.h"
#include "json_tree.h"
#include "name_index.h"

/* What the packed form holds. */
#define CATALOG_ZONES_MAX (UINT32_C(1) << 12)
#define ZONE_BYTES_MAX    (UINT32_C(1) << 20)

struct catalog_index {
    struct arena arena;
    struct name_index types;
    struct name_index tenants;
    struct name_index meters;
};

/* All versions of one plan, in the order recorded. */
struct plan_group {
    struct vt_str key;
    uint32_t first; /* in catalog_build.grouped */
    uint32_t count;
    bool fits; /* its versions were found to share their counters well */
};

/* One version of a contract, with the JSON that checks compare. */
struct version_build {
    struct contract_version version;
    const struct json_node *node;
    uint32_t contract; /* index in contracts */
    uint32_t tenant;
    uint32_t sequence; /* place in the file */
    struct plan_group *group;
    const struct json_node *const *const
        *charge_nodes;      /* by plan, by charge; overrides merged in */
    const uint32_t *priced; /* meters, ascending */
    uint32_t priced_count;
    bool overridden;
};

struct contract_build {
    struct contract contract;
    uint32_t first; /* in catalog_build.versions, once they are grouped */
    uint32_t count;
    uint32_t zone;
};

struct catalog_build {
    struct catalog *catalog;
    struct arena *arena;
    struct arena scratch;
    const struct json_node *root;
    const struct catalog_zones *zone_source;

    struct catalog_type *types;
    struct catalog_meter *meters;
    uint64_t *meter_dims; /* a bit a slot: read by some charge, row, filter or contract */
    struct plan *plans;   /* in the order of the file */

    struct name_index group_index;
    uint32_t group_count;
    struct plan_group *groups;
    struct plan *grouped;                                 /* plans by group */
    const struct json_node *const **grouped_charge_nodes; /* beside them */

    uint32_t version_count;
    struct version_build *versions; /* by contract, then by begin */
    uint32_t contract_count;
    struct contract_build *contracts;
    struct name_index usage_dims; /* that any usage_filter names */
};

/* The array of a section of the catalog; `out_first` is NULL where it is empty. */
VT_MUST_CHECK vt_err build_section(struct catalog_build *build, const char *word,
                                   const struct json_node **out_section);

VT_MUST_CHECK vt_err build_types(struct catalog_build *build);
VT_MUST_CHECK vt_err build_meters(struct catalog_build *build);
VT_MUST_CHECK vt_err build_meter_dims(struct catalog_build *build);
VT_MUST_CHECK vt_err build_tenants(struct catalog_build *build);
VT_MUST_CHECK vt_err build_plans(struct catalog_build *build);
VT_MUST_CHECK vt_err build_contracts(struct catalog_build *build);
VT_MUST_CHECK vt_err build_zones(struct catalog_build *build);

/* Counters that run on must count the same thing; no usage is priced by two contracts. */
VT_MUST_CHECK vt_err check_counters(struct catalog_build *build);
VT_MUST_CHECK vt_err check_overlaps(struct catalog_build *build);

/* One charge of a plan, its overrides merged into `node`. */
VT_MUST_CHECK vt_err build_charge(struct catalog_build *build, const struct json_node *node,
                                  struct charge *out_charge);

/* The dimensions of a filter are string fields of the type (`name` for the message). */
VT_MUST_CHECK vt_err check_filter_dims(const struct catalog_type *type,
                                       const struct json_node *object, const char *word,
                                       const struct filter *filter);

/* Puts (name, number) under one key; *out_there says that it was there. */
VT_MUST_CHECK vt_err put_versioned(struct catalog_build *build, struct name_index *index,
                                   struct vt_str name, int64_t number, bool *out_there);

VT_MUST_CHECK vt_err put_unique(struct name_index *index, const struct json_node *object,
                                const char *word, uint32_t value);

/*
 * catalog_contracts.c - contracts: versions, overrides, zones. A contract's versions stand in the
 * order of their `from` (of equals in the order of the file); one ends where the next begins, also
 * where that next one is itself empty. Empty ones take part in the checks and are then left out.
 */
#include <stdlib.h>
#include <string.h>

#include "catalog_build.h"
#include "venturi/assert.h"
#include "venturi/time.h"
#include "zone.h"

#define ZONE_NAME_BYTES_MAX 255

static const char *const contract_words[] = {"key",
                                             "tenant",
                                             "plan",
                                             "plan_version",
                                             "version",
                                             "from",
                                             "to",
                                             "billing_anchor_day",
                                             "time_zone",
                                             "overrides",
                                             "usage_filter",
                                             "counters",
                                             "name",
                                             "description",
                                             NULL};

/* ---------------------------------------------------------------- overrides */

static bool
is_one_of(struct vt_str word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (word_is(word, *words))
            return true;
    return false;
}

/* A field that every row of the table sets would change nothing. */
static vt_err
override_reaches(const struct json_node *change, const struct json_node *charge)
{
    const struct json_node *rows = member_of(charge, "prices");

    if (rows == NULL || member_of(change->parent, "prices") != NULL)
        return VT_OK;
    for (const struct json_node *row = rows->first; row != NULL; row = row->next)
        if (json_get(row, change->key) == NULL)
            return VT_OK;
    return catalog_refuse(change, NULL, "every row sets it already");
}

/* The changes of one charge, against all plan versions that the contract version may follow. */
static vt_err
override_check(const struct version_build *version, const struct json_node *changes)
{
    static const char *const kept[] = {"key", "meter", "model", "price_by", NULL};
    bool found = false;

    if (changes->kind != JSON_OBJECT)
        return catalog_refuse(changes, NULL, "an override is an object of fields");
    for (const struct json_node *change = changes->first; change != NULL; change = change->next)
        if (is_one_of(change->key, kept))
            return catalog_refuse(change, NULL, "key, meter, model and price_by stay as they are");
    for (uint32_t p = 0; p < version->version.plan_count; p++) {
        const struct plan *plan = &version->version.plans[p];

        for (uint32_t c = 0; c < plan->charge_count; c++) {
            if (!vt_str_equal(plan->charges[c].key, changes->key))
                continue;
            found = true;
            for (const struct json_node *change = changes->first; change != NULL;
                 change = change->next) {
                vt_err err = override_reaches(change, version->charge_nodes[p][c]);

                if (err != VT_OK)
                    return err;
            }
        }
    }
    return found ? VT_OK : catalog_refuse(changes, NULL, "the plan has no such charge");
}

/* A copy of one plan with the overrides applied, and of its nodes. */
static vt_err
plan_override(struct catalog_build *build, const struct json_node *overrides, struct plan *plan,
              const struct json_node *const **nodes)
{
    uint32_t count = plan->charge_count;
    struct charge *charges = arena_alloc(build->arena, count * sizeof *charges);
    const struct json_node **merged =
        arena_alloc(&build->scratch, count * sizeof(const struct json_node *));

    if (charges == NULL || merged == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const struct json_node *changes = json_get(overrides, plan->charges[i].key);

        charges[i] = plan->charges[i];
        merged[i] = (*nodes)[i];
        if (changes == NULL)
            continue;
        merged[i] = json_merge(&build->scratch, merged[i], changes);
        if (merged[i] == NULL)
            return VT_NOMEM;
        vt_err err = build_charge(build, merged[i], &charges[i]);

        if (err != VT_OK)
            return err;
    }
    plan->charges = charges;
    *nodes = merged;
    return VT_OK;
}

static vt_err
overrides_read(struct catalog_build *build, struct version_build *version)
{
    const struct json_node *overrides = member_of(version->node, "overrides");
    uint32_t count = version->version.plan_count;

    if (overrides == NULL || overrides->kind == JSON_NULL)
        return VT_OK;
    if (overrides->kind != JSON_OBJECT)
        return catalog_refuse(overrides, NULL, "it must be an object of charges");
    if (overrides->count == 0)
        return VT_OK;
    for (const struct json_node *node = overrides->first; node != NULL; node = node->next) {
        vt_err err = override_check(version, node);

        if (err != VT_OK)
            return err;
    }
    struct plan *plans = arena_alloc(build->arena, count * sizeof *plans);
    const struct json_node *const **nodes = arena_alloc(&build->scratch, count * sizeof *nodes);

    if (plans == NULL || nodes == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        plans[i] = version->version.plans[i];
        nodes[i] = version->charge_nodes[i];
        vt_err err = plan_override(build, overrides, &plans[i], &nodes[i]);

        if (err != VT_OK)
            return err;
    }
    version->version.plans = plans;
    version->charge_nodes = nodes;
    version->overridden = true;
    return VT_OK;
}

/* ---------------------------------------------------------------- one version */

static vt_err
plan_version_read(struct catalog_build *build, struct version_build *version)
{
    const struct json_node *node = member_of(version->node, "plan_version");
    struct contract_version *v = &version->version;
    uint32_t first = version->group->first;

    if (node == NULL)
        return catalog_refuse(version->node, "plan_version",
                              "it is missing (a number or \"latest\")");
    v->plans = &build->grouped[first];
    v->plan_count = version->group->count;
    version->charge_nodes = &build->grouped_charge_nodes[first];
    v->plan_latest = node->kind == JSON_STRING && vt_str_equal(node->text, VT_STR("latest"));
    if (v->plan_latest)
        return VT_OK;
    if (node->kind != JSON_NUMBER || !node->integer)
        return catalog_refuse(node, NULL, "it must be a number or \"latest\"");
    vt_err err = read_integer(node, &v->plan_version);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < version->group->count; i++) {
        if (build->grouped[first + i].version == v->plan_version) {
            v->plans = &build->grouped[first + i];
            v->plan_count = 1;
            version->charge_nodes = &build->grouped_charge_nodes[first + i];
            return VT_OK;
        }
    }
    return catalog_refuse(node, NULL, "the plan has no such version");
}

static vt_err
plan_reference_read(struct catalog_build *build, struct version_build *version)
{
    vt_err err = read_name(version->node, "plan", &version->version.plan_key);

    if (err != VT_OK)
        return err;
    uint32_t group = name_index_find(&build->group_index, version->version.plan_key);

    if (group == NAME_INDEX_NONE)
        return catalog_refuse(version->node, "plan", "unknown plan");
    version->group = &build->groups[group];
    err = plan_version_read(build, version);
    if (err == VT_OK)
        err = overrides_read(build, version);
    return err;
}

static vt_err
span_read(const struct json_node *node, struct contract_version *version)
{
    const struct json_node *from = member_of(node, "from");
    const struct json_node *to = member_of(node, "to");

    if (from == NULL)
        return catalog_refuse(node, "from", "it is missing");
    vt_err err = read_time(from, &version->begin_us);

    version->end_us = INT64_MAX;
    if (err == VT_OK && to != NULL && to->kind != JSON_NULL)
        err = read_time(to, &version->end_us);
    return err;
}

static vt_err
counters_read(const struct json_node *node, struct contract_version *version)
{
    const struct json_node *counters = member_of(node, "counters");
    struct vt_str text = {NULL, 0};

    version->counters_continue = false;
    if (counters == NULL || counters->kind == JSON_NULL)
        return VT_OK;
    vt_err err = read_name(node, "counters", &text);

    if (err != VT_OK)
        return err;
    version->counters_continue = vt_str_equal(text, VT_STR("continue"));
    if (!version->counters_continue && !vt_str_equal(text, VT_STR("separate")))
        return catalog_refuse(counters, NULL, "it must be \"separate\" or \"continue\"");
    return VT_OK;
}

/* The dimensions of a usage_filter are string fields of some event type. */
static vt_err
usage_filter_read(struct catalog_build *build, struct version_build *version)
{
    struct filter *filter = &version->version.usage_filter;
    vt_err err = read_filter(build->arena, version->node, "usage_filter", filter);

    for (uint32_t i = 0; err == VT_OK && i < filter->term_count; i++) {
        struct vt_str dim = filter->terms[i].dim;
        bool found = false;
        uint32_t before;

        if (name_index_find(&build->usage_dims, dim) != NAME_INDEX_NONE)
            continue;
        for (uint32_t t = 0; t < build->catalog->type_count && !found; t++) {
            uint32_t slot = catalog_type_slot(&build->types[t], dim);

            found = slot != CATALOG_NONE && build->types[t].fields[slot].kind == FIELD_STRING;
        }
        if (!found)
            return catalog_refuse(json_get(member_of(version->node, "usage_filter"), dim), NULL,
                                  "no string field of any event type");
        err = name_index_put(&build->usage_dims, dim, 0, &before);
    }
    return err;
}

static vt_err
version_read(struct catalog_build *build, const struct json_node *node,
             struct version_build *out_version)
{
    struct version_build version = {.node = node, .sequence = node->index};
    const struct json_node *number = NULL;
    struct vt_str tenant = {NULL, 0};
    struct vt_str label;
    vt_err err = read_object(node, contract_words, "a contract");

    if (err != VT_OK)
        return err;
    number = member_of(node, "version");
    version.version.version = 1;
    if (number != NULL)
        err = read_integer(number, &version.version.version);
    if (err == VT_OK)
        err = read_name(node, "tenant", &tenant);
    if (err != VT_OK)
        return err;
    version.tenant = name_index_find(&build->catalog->index->tenants, tenant);
    if (version.tenant == CATALOG_NONE)
        return catalog_refuse(node, "tenant", "unknown tenant");
    err = span_read(node, &version.version);
    if (err == VT_OK)
        err = counters_read(node, &version.version);
    if (err == VT_OK)
        err = usage_filter_read(build, &version);
    if (err == VT_OK)
        err = plan_reference_read(build, &version);
    if (err == VT_OK)
        err = read_label(node, "name", &label);
    if (err == VT_OK)
        err = read_label(node, "description", &label);
    if (err == VT_OK)
        *out_version = version;
    return err;
}

/* ---------------------------------------------------------------- versions by contract */

static int
by_contract_and_begin(const void *a, const void *b)
{
    const struct version_build *x = a;
    const struct version_build *y = b;

    if (x->contract != y->contract)
        return x->contract < y->contract ? -1 : 1;
    if (x->version.begin_us != y->version.begin_us)
        return x->version.begin_us < y->version.begin_us ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Reads all versions and numbers the contracts in the order in which their keys first appear. */
static vt_err
versions_read(struct catalog_build *build, const struct json_node *section)
{
    struct name_index contracts;
    struct name_index seen;

    name_index_init(&contracts, &build->scratch);
    name_index_init(&seen, &build->scratch);
    for (const struct json_node *node = section->first; node != NULL; node = node->next) {
        struct version_build *version = &build->versions[node->index];
        struct vt_str key = {NULL, 0};
        bool there = false;
        vt_err err = version_read(build, node, version);

        if (err == VT_OK)
            err = read_name(node, "key", &key);
        if (err == VT_OK)
            err = put_versioned(build, &seen, key, version->version.version, &there);
        if (err == VT_OK)
            err = name_index_put(&contracts, key, build->contract_count, &version->contract);
        if (err != VT_OK)
            return err;
        if (there)
            return catalog_refuse(node, "version", "this version of the contract stands twice");
        if (version->contract == NAME_INDEX_NONE) {
            version->contract = build->contract_count++;
            build->contracts[version->contract] = (struct contract_build){.contract.key = key};
        }
        build->contracts[version->contract].count++;
    }
    build->version_count = section->count;
    return VT_OK;
}

static vt_err
versions_agree(const struct version_build *first, const struct version_build *other)
{
    static const char *const words[] = {"tenant", "time_zone", "billing_anchor_day", NULL};

    for (const char *const *word = words; *word != NULL; word++)
        if (!json_equal(member_of(first->node, *word), member_of(other->node, *word)))
            return catalog_refuse(other->node, *word, "versions of a contract differ in %s", *word);
    return VT_OK;
}

static vt_err
anchor_read(const struct json_node *node, uint32_t *out_day)
{
    const struct json_node *anchor = member_of(node, "billing_anchor_day");
    int64_t day = 1;
    vt_err err = anchor == NULL ? VT_OK : read_integer(anchor, &day);

    if (err == VT_OK && (day < 1 || day > 31))
        err = catalog_refuse(anchor, NULL, "billing_anchor_day is 1 to 31");
    if (err == VT_OK)
        *out_day = (uint32_t)day;
    return err;
}

/* Ends each version where the next begins and fills the contract with those that last. */
static vt_err
contract_fill(struct catalog_build *build, struct contract_build *contract)
{
    struct version_build *versions = &build->versions[contract->first];
    struct contract_version *kept = arena_alloc(build->arena, contract->count * sizeof *kept);
    uint32_t count = 0;

    if (kept == NULL)
        return VT_NOMEM;
    vt_err err = anchor_read(versions[0].node, &contract->contract.anchor_day);

    for (uint32_t i = 0; err == VT_OK && i < contract->count; i++) {
        struct contract_version *version = &versions[i].version;

        if (i > 0) {
            const struct json_node *counters = member_of(versions[i].node, "counters");

            err = versions_agree(&versions[0], &versions[i]);
            if (err == VT_OK && (counters == NULL || counters->kind == JSON_NULL))
                err = catalog_refuse(versions[i].node, "counters",
                                     "it is missing (\"separate\" or \"continue\")");
        }
        if (i + 1 < contract->count && versions[i + 1].version.begin_us < version->end_us)
            version->end_us = versions[i + 1].version.begin_us;
        if (version->begin_us < version->end_us)
            kept[count++] = *version;
    }
    contract->contract.tenant = versions[0].tenant;
    contract->contract.version_count = count;
    contract->contract.versions = kept;
    return err;
}

static vt_err
contracts_publish(struct catalog_build *build)
{
    struct contract *contracts =
        arena_alloc(build->arena, build->contract_count * sizeof *contracts);

    if (contracts == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < build->contract_count; i++) {
        contracts[i] = build->contracts[i].contract;
        contracts[i].zone = &build->catalog->zones[build->contracts[i].zone];
    }
    build->catalog->contracts = contracts;
    build->catalog->contract_count = build->contract_count;
    return VT_OK;
}

vt_err
build_contracts(struct catalog_build *build)
{
    const struct json_node *section = NULL;
    vt_err err = build_section(build, "contracts", &section);
    uint32_t first = 0;

    if (err != VT_OK)
        return err;
    build->versions = arena_alloc(&build->scratch, section->count * sizeof *build->versions);
    build->contracts = arena_alloc(&build->scratch, section->count * sizeof *build->contracts);
    if (build->versions == NULL || build->contracts == NULL)
        return VT_NOMEM;
    name_index_init(&build->usage_dims, &build->scratch);
    err = versions_read(build, section);
    if (err != VT_OK)
        return err;
    qsort(build->versions, build->version_count, sizeof *build->versions, by_contract_and_begin);
    for (uint32_t i = 0; i < build->contract_count; i++) {
        build->contracts[i].first = first;
        first += build->contracts[i].count;
        err = contract_fill(build, &build->contracts[i]);
        if (err != VT_OK)
            return err;
    }
    VT_ASSERT(first == build->version_count);
    err = build_zones(build);
    return err == VT_OK ? contracts_publish(build) : err;
}

/* ---------------------------------------------------------------- time zones */

/* What UTC's file says, so that a catalog without another zone needs no time-zone database. */
static const char utc_tzif[] =
    "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
    "\0\0\0\0\0\0UTC\0"
    "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
    "\0\0\0\0\0\0UTC\0"
    "\nUTC0\n";

/* The source may make a file's name of it. */
static bool
is_zone_name(struct vt_str name)
{
    if (name.size == 0 || name.size > ZONE_NAME_BYTES_MAX || name.data[0] == '/')
        return false;
    for (uint32_t i = 0; i < name.size; i++) {
        char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("_+-/", c) != NULL)))
            return false;
    }
    return true;
}

static vt_err
zone_load(struct catalog_build *build, const struct json_node *node, struct vt_str name,
          struct zone *out_zone)
{
    struct vt_bytes tzif = {(const uint8_t *)utc_tzif, sizeof utc_tzif - 1};
    vt_err err = VT_OK;

    if (!is_zone_name(name))
        return catalog_refuse(node, NULL, "unknown time zone");
    if (!vt_str_equal(name, VT_STR("UTC"))) {
        err = build->zone_source == NULL
                  ? VT_NOT_FOUND
                  : build->zone_source->read(build->zone_source->context, name, &tzif);
    }
    if (err == VT_OK)
        err = tzif.size > ZONE_BYTES_MAX ? VT_BAD_FORMAT
                                         : zone_parse(build->arena, name, tzif, out_zone);
    if (err == VT_NOT_FOUND || err == VT_BAD_FORMAT) {
        vt_err_clear(); /* the path says more than what the source may have said */
        return catalog_refuse(node, NULL,
                              err == VT_NOT_FOUND ? "unknown time zone"
                                                  : "the time zone's file is damaged");
    }
    return err;
}

vt_err
build_zones(struct catalog_build *build)
{
    struct name_index names;
    struct zone *zones = arena_zalloc(build->arena, build->contract_count * sizeof *zones);
    uint32_t count = 0;

    if (zones == NULL)
        return VT_NOMEM;
    name_index_init(&names, &build->scratch);
    for (uint32_t i = 0; i < build->contract_count; i++) {
        struct contract_build *contract = &build->contracts[i];
        const struct json_node *node =
            member_of(build->versions[contract->first].node, "time_zone");
        struct vt_str name = node == NULL ? VT_STR("UTC") : node->text;

        if (node != NULL && node->kind != JSON_STRING)
            return catalog_refuse(node, NULL, "it must be a string");
        vt_err err = name_index_put(&names, name, count, &contract->zone);

        if (err == VT_OK && contract->zone == NAME_INDEX_NONE) {
            if (count == CATALOG_ZONES_MAX)
                return catalog_refuse(build->versions[contract->first].node, "time_zone",
                                      "more than %u time zones", CATALOG_ZONES_MAX);
            contract->zone = count;
            err = zone_load(build, node, name, &zones[count++]);
        }
        if (err != VT_OK)
            return err;
    }
    build->catalog->zones = zones;
    build->catalog->zone_count = count;
    return VT_OK;
}

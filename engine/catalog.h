/*
 * catalog.h - a catalog, validated whole and immutable: event types, meters, tenants, plans,
 * contracts. What it must be is said in docs/SEMANTICS.md; a refusal names the JSON path of the
 * first problem in vt_err_last(), for example "$.plans[1].charges[0].tiers[2].price: not a decimal
 * string: 0.1".
 *
 * Beyond the oracle's catalog a meter may say "grace" and an event type "late_limit" and
 * "future_limit": an integer and one of s, m, h, d ("90s", "48h"); grace is 0s where nothing is
 * said, the limits are off.
 *
 * Life:   catalog_load, then read by any thread, catalog_free.
 * Memory: one arena; every pointer lives as long as the catalog.
 * Errors: VT_BAD_CATALOG, VT_NOT_EXTENSION, with the path as detail.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/decimal.h"
#include "venturi/err.h"

#define CATALOG_NONE       UINT32_MAX
#define CATALOG_BYTES_MAX  (UINT32_C(64) << 20)
#define CATALOG_FIELDS_MAX 64 /* of one event type */

enum field_kind { FIELD_STRING = 1, FIELD_DECIMAL = 2 };

enum aggregation { AGG_SUM = 1, AGG_COUNT, AGG_MIN, AGG_MAX, AGG_LAST, AGG_UNIQUE };

enum price_model {
    MODEL_PER_UNIT = 1,
    MODEL_GRADUATED,
    MODEL_VOLUME,
    MODEL_PACKAGE,
    MODEL_PERCENTAGE,
    MODEL_FIXED
};

enum rounding_mode { ROUND_HALF_UP = 1, ROUND_HALF_EVEN };

/* mantissa x 10^-scale, exactly; scale 0 to 18. */
struct price {
    vt_i128 mantissa;
    uint32_t scale;
};

struct catalog_field {
    struct vt_str name;
    enum field_kind kind;
    uint32_t scale; /* decimals */
    bool required;  /* decimals */
};

struct catalog_type {
    struct vt_str name;
    uint32_t field_count;
    const struct catalog_field *fields; /* the index is the field's slot */
    int64_t late_limit_us;              /* 0: off; an event older than arrival - limit is late */
    int64_t future_limit_us;            /* 0: off */
};

/* An event passes where for each term its value of `dim` ("" where its type has no such field) is
 * one of `values`. No terms: everything passes. Values are sorted by bytes and distinct. */
struct filter_term {
    struct vt_str dim;
    uint32_t value_count;
    const struct vt_str *values;
};
struct filter {
    uint32_t term_count;
    const struct filter_term *terms;
};

struct catalog_meter {
    struct vt_str key;
    uint32_t type;  /* index in types */
    uint32_t field; /* slot; CATALOG_NONE for count */
    enum aggregation aggregation;
    struct filter filter;
    uint32_t group_count;
    const uint32_t *group_slots; /* in the order of group_by */
    uint32_t
        dim_count; /* union of group_by and all that any charge, row or contract of this catalog */
    const uint32_t *dim_slots; /* reads on this meter (not its own filter), ascending slots */
    int64_t window_us;
    int64_t grace_us;
    struct vt_str unit;
    uint32_t scale; /* of its quantity: the field's; 0 for count and unique */
};

struct catalog_tenant {
    struct vt_str key;
    struct vt_str name;
    struct vt_str json; /* the whole object as it was written */
};

struct tier {
    bool open; /* the last: no up_to */
    struct price up_to;
    struct price price;
    struct price flat;
};

/* The terms of a charge without a table, or of one row with the charge's merged in. */
struct price_terms {
    enum price_model model;
    struct price price;        /* per_unit, package, fixed */
    struct price package_size; /* package; above zero */
    uint32_t tier_count;       /* graduated, volume */
    const struct tier *tiers;
    struct price rate; /* percentage */
    struct price fixed_per_event;
    bool has_per_event_min;
    bool has_per_event_max;
    struct price per_event_min;
    struct price per_event_max;
    struct price included;
};

struct price_row {
    struct filter when;
    struct price_terms terms;
};

struct charge {
    struct vt_str key;
    enum price_model model;
    uint32_t meter; /* CATALOG_NONE for fixed */
    struct filter filter;
    uint32_t split_count;
    const struct vt_str *split_by; /* dimensions, in the order given */
    uint32_t price_by_count;
    const struct vt_str *price_by;
    bool has_rows;
    uint32_t row_count; /* 1 without a table: rows[0] has the charge's own terms and no `when` */
    const struct price_row *rows;
    bool prorate;
    bool prorate_quantity;
    bool has_minimum;
    bool has_maximum;
    bool counts_toward_commitment;
    struct price minimum;
    struct price maximum;
    struct price discount_percent;
};

struct plan {
    struct vt_str key;
    int64_t version;
    struct vt_str currency; /* ISO 4217 */
    uint32_t minor_digits;
    enum rounding_mode rounding;
    int64_t effective_from_us;
    struct price minimum_commitment;
    uint32_t charge_count;
    const struct charge *charges;
};

/* One version of a contract; its plans already have its overrides applied. */
struct contract_version {
    int64_t version;
    struct vt_str plan_key;
    bool plan_latest;
    int64_t plan_version; /* where not latest */
    uint32_t
        plan_count; /* of this plan key and, where pinned, this version; in the order recorded */
    const struct plan *plans;
    struct filter usage_filter;
    int64_t begin_us;
    int64_t end_us; /* INT64_MAX: open */
    bool counters_continue;
};

struct zone;

struct contract {
    struct vt_str key;
    uint32_t tenant;
    uint32_t anchor_day;
    const struct zone *zone;
    uint32_t version_count;
    const struct contract_version *versions; /* by begin; empty ones (end <= begin) left out */
};

struct catalog {
    struct vt_str text; /* as given */
    uint8_t sha256[32];
    uint32_t type_count;
    const struct catalog_type *types;
    uint32_t meter_count;
    const struct catalog_meter *meters;
    uint32_t tenant_count;
    const struct catalog_tenant *tenants;
    uint32_t plan_count;
    const struct plan *plans; /* without overrides */
    uint32_t contract_count;
    const struct contract *contracts; /* in the order in which their keys first appear */
    uint32_t zone_count;
    const struct zone *zones;
    struct catalog_index *index; /* private: names to numbers */
};

/* Where the bytes of a zone's TZif file come from: the engine opens no file. The bytes stay valid
 * until catalog_load returns. VT_NOT_FOUND: no such zone. */
struct catalog_zones {
    vt_err (*read)(void *context, struct vt_str name, struct vt_bytes *out_tzif);
    void *context;
};

VT_MUST_CHECK vt_err catalog_load(struct vt_str text, const struct catalog_zones *zones,
                                  struct catalog **out_catalog);
void catalog_free(struct catalog *catalog); /* NULL is allowed */

/* VT_OK where `next` only adds to `base`: types may gain optional fields, everything that base has
 * stands in next unchanged and at the same place. */
VT_MUST_CHECK vt_err catalog_check_extension(const struct catalog *base,
                                             const struct catalog *next);

/* CATALOG_NONE where there is none. */
uint32_t catalog_find_type(const struct catalog *catalog, struct vt_str name);
uint32_t catalog_find_tenant(const struct catalog *catalog, struct vt_str key);
uint32_t catalog_find_meter(const struct catalog *catalog, struct vt_str key);
uint32_t catalog_type_slot(const struct catalog_type *type, struct vt_str field);

/* `value` is the event's value of each term's dim, in the order of terms. */
bool filter_term_accepts(const struct filter_term *term, struct vt_str value);

/* The catalog commit: text and the TZif bytes of every zone that it names, so that a replay has the
 * very transitions of the day. catalog_unpack needs no zone source. The caller frees *out_bytes. */
VT_MUST_CHECK vt_err catalog_pack(const struct catalog *catalog, uint8_t **out_bytes,
                                  uint64_t *out_size);
VT_MUST_CHECK vt_err catalog_unpack(struct vt_bytes packed, struct catalog **out_catalog);

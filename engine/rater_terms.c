/* rater_terms.c - who covers a cell and which charge and row takes it; usage that no line
 * covers. */
#include "rater.h"
#include "venturi/assert.h"

struct vt_str
rater_dim(const struct rater *rater, const struct rater_type *type, uint32_t tuple,
          struct vt_str name)
{
    VT_ASSERT(tuple < type->tuples.count);
    for (uint32_t i = 0; i < type->dim_count; i++) {
        const struct rater_dim *dim = &type->dims[i];

        if (vt_str_equal(type->type->fields[dim->slot].name, name)) {
            uint32_t number = tuple_table_key(&type->tuples, tuple)[i];

            return dict_string(rater->dims, *tuple_table_key(&dim->numbers, number));
        }
    }
    return (struct vt_str){"", 0};
}

bool
rater_passes(const struct rater *rater, const struct rater_type *type, uint32_t tuple,
             const struct filter *filter)
{
    for (uint32_t i = 0; i < filter->term_count; i++) {
        const struct filter_term *term = &filter->terms[i];

        if (!filter_term_accepts(term, rater_dim(rater, type, tuple, term->dim)))
            return false;
    }
    return true;
}

uint32_t
rater_row(const struct rater *rater, const struct rater_type *type, uint32_t tuple,
          const struct charge *charge)
{
    if (!rater_passes(rater, type, tuple, &charge->filter))
        return CATALOG_NONE;
    for (uint32_t i = 0; i < charge->row_count; i++) {
        if (rater_passes(rater, type, tuple, &charge->rows[i].when))
            return i;
    }
    return CATALOG_NONE;
}

/* How far the plan of one place gets with usage of a meter. */
static enum cover
plan_cover(const struct rater *rater, uint32_t meter, const struct plan *plan, uint32_t tuple)
{
    const struct rater_type *type = &rater->types[rater->catalog->meters[meter].type];
    enum cover cover = COVER_NOT_PRICED;

    for (uint32_t i = 0; i < plan->charge_count && cover != COVER_RATED; i++) {
        const struct charge *charge = &plan->charges[i];

        if (charge->meter != meter)
            continue;
        cover = COVER_NO_CHARGE;
        if (rater_row(rater, type, tuple, charge) != CATALOG_NONE)
            cover = COVER_RATED;
    }
    return cover;
}

enum cover
rater_cover(const struct rater *rater, uint32_t meter, const struct segment *segment,
            uint32_t tuple)
{
    const struct rater_type *type = &rater->types[rater->catalog->meters[meter].type];
    enum cover best = COVER_NO_CONTRACT;

    for (uint32_t i = 0; i < rater->contract_count && best != COVER_RATED; i++) {
        const struct place *place = &segment->places[i];

        if (place->version == CATALOG_NONE)
            continue;
        const struct contract_version *version = &rater->contracts[i]->versions[place->version];
        enum cover cover = COVER_NO_PLAN;

        if (!rater_passes(rater, type, tuple, &version->usage_filter))
            continue;
        if (place->plan != CATALOG_NONE)
            cover = plan_cover(rater, meter, &version->plans[place->plan], tuple);
        if (cover > best)
            best = cover;
    }
    return best;
}

static void
usage_add(struct unrated_usage *usage, const struct gauge *gauge)
{
    if (usage->events == 0 || gauge->first_us < usage->first_us)
        usage->first_us = gauge->first_us;
    if (usage->events == 0 || gauge->last_us > usage->last_us)
        usage->last_us = gauge->last_us;
    usage->events += gauge->count;
}

/* Usage of one meter that no line covers, by reason. */
static void
meter_unrated(const struct rater *rater, uint32_t number,
              struct unrated_usage by_reason[COVER_RATED])
{
    const struct catalog_meter *meter = &rater->catalog->meters[number];
    const struct rater_type *type = &rater->types[meter->type];

    for (uint32_t i = 0; i < type->cell_count && type->track_times; i++) {
        const struct cell *cell = &type->cells[i];
        const struct gauge *gauge = rater_gauge(type, i, rater->meter_input[number]);

        if (gauge->count == 0 || !rater_passes(rater, type, cell->tuple, &meter->filter))
            continue;
        enum cover cover = rater_cover(rater, number, rater->segments[cell->segment], cell->tuple);

        if (cover != COVER_RATED)
            usage_add(&by_reason[cover], gauge);
    }
}

/* Meters in the order of their keys: each call finds the next one after `previous`. */
static uint32_t
meter_after(const struct catalog *catalog, uint32_t previous)
{
    uint32_t found = CATALOG_NONE;

    for (uint32_t i = 0; i < catalog->meter_count; i++) {
        struct vt_str key = catalog->meters[i].key;

        if (previous != CATALOG_NONE && vt_str_compare(key, catalog->meters[previous].key) <= 0)
            continue;
        if (found == CATALOG_NONE || vt_str_compare(key, catalog->meters[found].key) < 0)
            found = i;
    }
    return found;
}

vt_err
rater_unrated(const struct rater *rater, const struct rating_sink *sink)
{
    /* Ordered by the texts of the reasons. */
    const struct {
        enum cover cover;
        struct vt_str text;
    } reasons[] = {
        {COVER_NO_CHARGE, VT_STR("no_charge")},
        {COVER_NO_CONTRACT, VT_STR("no_contract")},
        {COVER_NO_PLAN, VT_STR("no_plan_version")},
        {COVER_NOT_PRICED, VT_STR("not_priced")},
    };
    const struct catalog *catalog = rater->catalog;
    vt_err err = VT_OK;

    for (uint32_t i = meter_after(catalog, CATALOG_NONE); i != CATALOG_NONE;
         i = meter_after(catalog, i)) {
        struct unrated_usage found[COVER_RATED] = {{.events = 0}};

        meter_unrated(rater, i, found);
        for (uint32_t r = 0; r < VT_COUNT(reasons) && err == VT_OK; r++) {
            struct unrated_usage *usage = &found[reasons[r].cover];

            usage->tenant = rater->tenant;
            usage->meter = catalog->meters[i].key;
            usage->reason = reasons[r].text;
            if (usage->events > 0)
                err = sink->unrated(sink->context, usage);
        }
    }
    return err;
}

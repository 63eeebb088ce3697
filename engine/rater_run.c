/* rater_run.c - the billing periods of each contract, their runs, and in each run the charges and
 * the plan's commitment. */
#include <stdlib.h>
#include <string.h>

#include "money.h"
#include "rater_slot.h"
#include "venturi/assert.h"
#include "zone.h"

#define SCRATCH_BYTES (UINT64_C(1) << 16)

/* One contract while it is rated. */
struct rate_job {
    const struct rater *rater;
    const struct contract *contract;
    uint32_t number; /* in rater->contracts */
    struct line_sheet *sheet;
    struct arena arena;   /* of the contract */
    struct arena scratch; /* of a charge */
    uint32_t cell_count;
    struct covered_cell *cells;
};

static const struct charge *
charge_of(const struct plan *plan, struct vt_str key)
{
    for (uint32_t i = 0; i < plan->charge_count; i++) {
        if (vt_str_equal(plan->charges[i].key, key))
            return &plan->charges[i];
    }
    return NULL;
}

/* One charge through all parts that have it, from its first one on. */
static vt_err
charge_run(const struct rate_run *run, uint32_t first, const struct charge *charge, mpq_t counted)
{
    struct charge_parts parts = {.count = 0};
    vt_err err;
    mpq_t money;

    arena_reset(run->scratch);
    parts.at = arena_alloc(run->scratch, run->part_count * sizeof *parts.at);
    if (parts.at == NULL)
        return VT_NOMEM;
    for (uint32_t i = first; i < run->part_count; i++) {
        const struct charge *here = charge_of(run->parts[i].plan, charge->key);

        if (here != NULL)
            parts.at[parts.count++] = (struct charge_part){&run->parts[i], here};
    }
    VT_ASSERT(parts.count > 0 && parts.at[0].charge == charge);
    mpq_init(money);
    err = charge_rate(run, &parts, money);
    if (charge->counts_toward_commitment)
        mpq_add(counted, counted, money);
    mpq_clear(money);
    return err;
}

static vt_err
commitment_rate(const struct rate_run *run, const mpq_t counted)
{
    const struct part *last = &run->parts[run->part_count - 1];
    struct emission emission = emission_of(run, last);
    vt_err err = VT_OK;
    mpq_t floor;
    mpq_t share;

    mpq_inits(floor, share, NULL);
    for (uint32_t i = 0; i < run->part_count; i++) {
        mpq_t commitment;

        mpq_init(commitment);
        money_set_price(commitment, &run->parts[i].plan->minimum_commitment);
        share_of_period(share, run, &run->parts[i], NULL);
        mpq_mul(commitment, commitment, share);
        mpq_add(floor, floor, commitment);
        mpq_clear(commitment);
    }
    round_for(floor, floor, last);
    if (mpq_sgn(floor) > 0 && mpq_cmp(counted, floor) < 0) {
        mpq_sub(floor, floor, counted);
        emission.charge = VT_STR("true_up");
        emission.kind = VT_STR("true_up");
        err = run_emit(run, &emission, floor);
    }
    mpq_clears(floor, share, NULL);
    return err;
}

static bool
is_first_with(const struct rate_run *run, uint32_t part, const struct charge *charge)
{
    for (uint32_t i = 0; i < part; i++) {
        if (charge_of(run->parts[i].plan, charge->key) != NULL)
            return false;
    }
    return true;
}

static vt_err
run_rate(const struct rate_run *run)
{
    vt_err err = VT_OK;
    mpq_t counted;

    if (run->part_count == 0)
        return VT_OK;
    mpq_init(counted);
    for (uint32_t p = 0; p < run->part_count; p++) {
        const struct plan *plan = run->parts[p].plan;

        for (uint32_t c = 0; c < plan->charge_count && err == VT_OK; c++) {
            if (is_first_with(run, p, &plan->charges[c]))
                err = charge_run(run, p, &plan->charges[c], counted);
        }
    }
    if (err == VT_OK)
        err = commitment_rate(run, counted);
    mpq_clear(counted);
    return err;
}

/* ---- a period ---- */

static int
instant_order(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

static const struct plan *
plan_at(const struct contract_version *version, int64_t us)
{
    const struct plan *found = NULL;

    for (uint32_t i = 0; i < version->plan_count; i++) {
        const struct plan *plan = &version->plans[i];

        if (plan->effective_from_us <= us &&
            (found == NULL || plan->effective_from_us >= found->effective_from_us))
            found = plan;
    }
    return found;
}

/* Cuts [lo, hi) of a version where a plan version that it follows comes into force. */
static vt_err
parts_cut(struct rate_job *job, const struct contract_version *version, int64_t lo_us,
          int64_t hi_us, struct rate_run *run)
{
    uint64_t cuts_max = (uint64_t)version->plan_count + 2;
    int64_t *cuts = arena_alloc(&job->arena, cuts_max * sizeof *cuts);
    struct part *parts = arena_alloc(&job->arena, (run->part_count + cuts_max) * sizeof *parts);
    uint32_t count = 0;

    if (cuts == NULL || parts == NULL)
        return VT_NOMEM;
    if (run->part_count > 0)
        memcpy(parts, run->parts, run->part_count * sizeof *parts);
    run->parts = parts;
    cuts[count++] = lo_us;
    for (uint32_t i = 0; i < version->plan_count; i++) {
        int64_t us = version->plans[i].effective_from_us;

        if (us > lo_us && us < hi_us)
            cuts[count++] = us;
    }
    cuts[count++] = hi_us;
    qsort(cuts, count, sizeof *cuts, instant_order);
    for (uint32_t i = 0; i + 1 < count; i++) {
        const struct plan *plan = plan_at(version, cuts[i]);

        if (plan != NULL && cuts[i] < cuts[i + 1])
            parts[run->part_count++] = (struct part){cuts[i], cuts[i + 1], version, plan};
    }
    return VT_OK;
}

/* The cells of the run, found by time among those of the contract. */
static void
run_take_cells(const struct rate_job *job, struct rate_run *run)
{
    uint32_t first = 0;
    uint32_t end;

    while (first < job->cell_count && job->cells[first].lo_us < run->begin_us)
        first++;
    for (end = first; end < job->cell_count && job->cells[end].lo_us < run->end_us; end++)
        continue;
    run->cells = job->cells + first;
    run->cell_count = end - first;
}

static vt_err
period_rate(struct rate_job *job, int64_t period_us)
{
    const struct contract *contract = job->contract;
    int64_t end_us = zone_period_next_us(contract->zone, contract->anchor_day, period_us);
    struct rate_run run = {.rater = job->rater,
                           .contract = contract,
                           .sheet = job->sheet,
                           .scratch = &job->scratch,
                           .period_us = period_us,
                           .period_end_us = end_us};
    bool is_open = false;
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < contract->version_count && err == VT_OK; i++) {
        const struct contract_version *version = &contract->versions[i];
        int64_t lo_us = version->begin_us > period_us ? version->begin_us : period_us;
        int64_t hi_us = version->end_us < end_us ? version->end_us : end_us;

        if (lo_us >= hi_us)
            continue;
        if (is_open && !(version->counters_continue && run.end_us == lo_us)) {
            run_take_cells(job, &run);
            err = run_rate(&run);
            is_open = false;
        }
        if (!is_open) {
            run.begin_us = lo_us;
            run.part_count = 0;
        }
        is_open = true;
        run.end_us = hi_us;
        if (err == VT_OK)
            err = parts_cut(job, version, lo_us, hi_us, &run);
    }
    if (is_open && err == VT_OK) {
        run_take_cells(job, &run);
        err = run_rate(&run);
    }
    return err;
}

/* ---- a contract ---- */

static int
covered_order(const void *left, const void *right)
{
    const struct covered_cell *a = left;
    const struct covered_cell *b = right;

    if (a->lo_us != b->lo_us)
        return a->lo_us < b->lo_us ? -1 : 1;
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    return a->cell < b->cell ? -1 : a->cell > b->cell;
}

/* All cells that some version of the contract covers, whatever their type and whether or not
 * metered: they say which periods have usage. */
static vt_err
cells_cover(struct rate_job *job)
{
    const struct rater *rater = job->rater;
    uint64_t cells_max = 1;

    for (uint32_t t = 0; t < rater->catalog->type_count; t++)
        cells_max += rater->types[t].cell_count;
    job->cells = malloc(cells_max * sizeof *job->cells);
    if (job->cells == NULL)
        return VT_NOMEM;
    for (uint32_t t = 0; t < rater->catalog->type_count; t++) {
        const struct rater_type *type = &rater->types[t];

        for (uint32_t i = 0; i < type->cell_count; i++) {
            const struct segment *segment = rater->segments[type->cells[i].segment];
            const struct place *place = &segment->places[job->number];

            if (place->version == CATALOG_NONE)
                continue;
            const struct contract_version *version = &job->contract->versions[place->version];

            if (rater_passes(rater, type, type->cells[i].tuple, &version->usage_filter))
                job->cells[job->cell_count++] =
                    (struct covered_cell){segment->lo_us, place->period_us, t, i};
        }
    }
    qsort(job->cells, job->cell_count, sizeof *job->cells, covered_order);
    return VT_OK;
}

static bool
is_in_range(const struct rate_job *job, int64_t period_us)
{
    const struct rater_options *options = &job->rater->options;
    const struct contract *contract = job->contract;

    if (!options->has_range)
        return true;
    return period_us < options->end_us &&
           zone_period_next_us(contract->zone, contract->anchor_day, period_us) > options->start_us;
}

static vt_err
contract_rate(struct rate_job *job)
{
    const struct rater_options *options = &job->rater->options;
    const struct contract *contract = job->contract;
    vt_err err = cells_cover(job);

    if (err == VT_OK && options->has_at)
        return period_rate(
            job, zone_period_start_us(contract->zone, contract->anchor_day, options->at_us));
    for (uint32_t i = 0; i < job->cell_count && err == VT_OK; i++) {
        int64_t period_us = job->cells[i].period_us;

        if (i > 0 && job->cells[i - 1].period_us == period_us)
            continue;
        if (is_in_range(job, period_us))
            err = period_rate(job, period_us);
    }
    return err;
}

vt_err
rater_rate(const struct rater *rater, struct line_sheet *sheet)
{
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < rater->contract_count && err == VT_OK; i++) {
        struct rate_job job = {
            .rater = rater, .contract = rater->contracts[i], .number = i, .sheet = sheet};

        arena_init(&job.arena, SCRATCH_BYTES);
        arena_init(&job.scratch, SCRATCH_BYTES);
        err = contract_rate(&job);
        arena_deinit(&job.scratch);
        arena_deinit(&job.arena);
        free(job.cells);
    }
    return err;
}

/*
 * view_rating.c - lines, unrated usage and adjustments of a view. One pass over the rows feeds the
 * raters of all tenants; a tenant lives in one partition, so threads take partitions and share
 * nothing. Raters are finished in the order of the tenants' keys, whatever the threads did.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "view_internal.h"

#define RATING_THREADS_MAX 64

/* Raters of one catalog. */
struct rater_set {
    const struct catalog *catalog;
    struct rater **raters; /* [tenant]; NULL: not asked for */
};

struct rating {
    const struct view *view;
    const struct lines_query *query;
    uint32_t set_count; /* 2 where adjustments are wanted: new, old */
    struct rater_set sets[2];
    _Atomic uint64_t rows;
    _Atomic uint32_t next_part;
    _Atomic uint32_t failed;
    char failed_detail[512];
    pthread_mutex_t lock; /* of failed_detail */
};

static void
rating_fail(struct rating *rating, vt_err err)
{
    pthread_mutex_lock(&rating->lock);
    if (atomic_load(&rating->failed) == VT_OK) {
        (void)snprintf(rating->failed_detail, sizeof rating->failed_detail, "%s", vt_err_last());
        atomic_store(&rating->failed, err);
    }
    pthread_mutex_unlock(&rating->lock);
}

static vt_err
block_rate(void *context, const struct row_block *block)
{
    struct rating *rating = context;

    for (uint32_t s = 0; s < rating->set_count; s++) {
        struct rater_set *set = &rating->sets[s];
        uint32_t tenant = catalog_find_tenant(set->catalog, block->tenant);

        if (tenant == CATALOG_NONE)
            return vt_err_detail(VT_INVALID,
                                 "tenant %.*s has accepted usage and is not in the catalog",
                                 (int)block->tenant.size, block->tenant.data);
        vt_err err = set->raters[tenant] == NULL ? VT_OK : rater_add(set->raters[tenant], block);

        if (err != VT_OK)
            return err;
    }
    atomic_fetch_add_explicit(&rating->rows, block->row_count, memory_order_relaxed);
    return VT_OK;
}

static bool
part_needs_ids(const struct rating *rating, uint32_t partition)
{
    for (uint32_t s = 0; s < rating->set_count; s++)
        for (uint32_t t = 0; t < rating->sets[s].catalog->tenant_count; t++)
            if (rating->sets[s].raters[t] != NULL && rater_needs_ids(rating->sets[s].raters[t]) &&
                batch_partition(&rating->view->key, rating->view->part_count,
                                rating->sets[s].catalog->tenants[t].key) == partition)
                return true;
    return false;
}

static vt_err
part_rate(struct rating *rating, const struct part_snapshot *part)
{
    struct scan_options options = {
        .tenant = rating->query->tenant,
        .want_ids = part_needs_ids(rating, part->partition),
        .want_extra = true, /* fields that only a later catalog declares */
        .block = block_rate,
        .context = rating,
    };

    return view_scan_part(part, &options);
}

static void *
rating_main(void *context)
{
    struct rating *rating = context;

    while (atomic_load_explicit(&rating->failed, memory_order_relaxed) == VT_OK) {
        uint32_t p = atomic_fetch_add_explicit(&rating->next_part, 1, memory_order_relaxed);

        if (p >= rating->view->part_count)
            break;
        if (!view_part_has(rating->view, &rating->view->parts[p], rating->query->tenant))
            continue;
        vt_err err = part_rate(rating, &rating->view->parts[p]);

        if (err != VT_OK)
            rating_fail(rating, err);
    }
    return NULL;
}

static vt_err
rating_run(struct rating *rating)
{
    pthread_t threads[RATING_THREADS_MAX];
    uint32_t wanted = rating->query->threads;
    uint32_t started = 0;

    wanted = wanted > rating->view->part_count ? rating->view->part_count : wanted;
    wanted = wanted > RATING_THREADS_MAX ? RATING_THREADS_MAX : wanted;
    /* The caller's thread is one of them; where another cannot be started, fewer do the same
     * work. */
    for (uint32_t i = 1; i < wanted; i++)
        if (pthread_create(&threads[started], NULL, rating_main, rating) == 0)
            started++;
    rating_main(rating);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    uint32_t failed = atomic_load(&rating->failed);

    return failed == VT_OK ? VT_OK : vt_err_detail((vt_err)failed, "%s", rating->failed_detail);
}

static vt_err
raters_open(struct rater_set *set, const struct lines_query *query)
{
    set->raters = calloc(set->catalog->tenant_count + 1u, sizeof(struct rater *));
    if (set->raters == NULL)
        return VT_NOMEM;
    for (uint32_t t = 0; t < set->catalog->tenant_count; t++) {
        struct rater_options options = {
            .catalog = set->catalog,
            .tenant = t,
            .has_at = query->has_at,
            .at_us = query->at_us,
            .has_range = query->has_range,
            .start_us = query->start_us,
            .end_us = query->end_us,
        };

        if (query->tenant.size > 0 && !vt_str_equal(query->tenant, set->catalog->tenants[t].key))
            continue;
        vt_err err = rater_open(&options, &set->raters[t]);

        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

static vt_err
rating_open(struct rating *rating)
{
    vt_err err = VT_OK;

    pthread_mutex_init(&rating->lock, NULL);
    for (uint32_t s = 0; err == VT_OK && s < rating->set_count; s++)
        err = raters_open(&rating->sets[s], rating->query);
    return err;
}

static void
rating_close(struct rating *rating)
{
    for (uint32_t s = 0; s < rating->set_count; s++) {
        struct rater_set *set = &rating->sets[s];

        for (uint32_t t = 0; set->raters != NULL && t < set->catalog->tenant_count; t++)
            rater_close(set->raters[t]);
        free(set->raters);
    }
    pthread_mutex_destroy(&rating->lock);
}

static int
tenant_order(const void *a, const void *b)
{
    const struct catalog_tenant *const *one = a;
    const struct catalog_tenant *const *other = b;

    return vt_str_compare((*one)->key, (*other)->key);
}

/* The tenants of a catalog by key; malloc. */
static vt_err
tenants_sorted(const struct catalog *catalog, const struct catalog_tenant ***out_tenants)
{
    const struct catalog_tenant **tenants =
        malloc((catalog->tenant_count + 1u) * sizeof(struct catalog_tenant *));

    if (tenants == NULL)
        return VT_NOMEM;
    for (uint32_t t = 0; t < catalog->tenant_count; t++)
        tenants[t] = &catalog->tenants[t];
    qsort(tenants, catalog->tenant_count, sizeof(struct catalog_tenant *), tenant_order);
    *out_tenants = tenants;
    return VT_OK;
}

struct rating_out {
    const struct view_sink *sink;
    struct json_out out;
};

static vt_err
line_put(void *context, const struct rated_line *line)
{
    struct rating_out *state = context;

    json_put_line(&state->out, line);
    return view_flush(state->sink, &state->out, false);
}

static vt_err
unrated_put(void *context, const struct unrated_usage *usage)
{
    struct rating_out *state = context;

    json_put_unrated(&state->out, usage);
    return view_flush(state->sink, &state->out, false);
}

/* Finishes the raters of one set in the order of tenants. */
static vt_err
raters_finish(const struct rater_set *set, const struct rating_sink *sink)
{
    const struct catalog_tenant **tenants = NULL;
    vt_err err = tenants_sorted(set->catalog, &tenants);

    for (uint32_t i = 0; err == VT_OK && i < set->catalog->tenant_count; i++) {
        struct rater *rater = set->raters[tenants[i] - set->catalog->tenants];

        if (rater != NULL)
            err = rater_finish(rater, sink);
    }
    free(tenants);
    return err;
}

static vt_err
view_rate(const struct view *view, const struct lines_query *query,
          const struct rating_sink *rating_sink, struct rating_out *state, uint64_t *out_rows)
{
    struct rating rating = {
        .view = view,
        .query = query,
        .set_count = 1,
        .sets = {{.catalog = query->catalog}},
    };
    vt_err err = rating_open(&rating);

    json_out_init(&state->out);
    if (err == VT_OK)
        err = rating_run(&rating);
    if (err == VT_OK)
        err = raters_finish(&rating.sets[0], rating_sink);
    if (err == VT_OK)
        err = view_flush(state->sink, &state->out, true);
    json_out_deinit(&state->out);
    if (out_rows != NULL)
        *out_rows = atomic_load(&rating.rows);
    rating_close(&rating);
    return err;
}

vt_err
view_lines(const struct view *view, const struct lines_query *query, const struct view_sink *sink,
           uint64_t *out_rows)
{
    struct rating_out state = {.sink = sink};
    struct rating_sink rating_sink = {.line = line_put, .context = &state};

    return view_rate(view, query, &rating_sink, &state, out_rows);
}

vt_err
view_unrated(const struct view *view, const struct lines_query *query, const struct view_sink *sink,
             uint64_t *out_rows)
{
    struct rating_out state = {.sink = sink};
    struct rating_sink rating_sink = {.unrated = unrated_put, .context = &state};

    return view_rate(view, query, &rating_sink, &state, out_rows);
}

static vt_err
line_collect(void *context, const struct rated_line *line)
{
    return line_set_add(context, line);
}

static vt_err
adjustment_put(void *context, const struct adjustment *adjustment)
{
    struct rating_out *state = context;

    json_put_adjustment(&state->out, adjustment);
    return view_flush(state->sink, &state->out, false);
}

/* The lines of one tenant by one catalog; none where the catalog does not have it. */
static vt_err
tenant_lines(const struct rater_set *set, struct vt_str key, struct line_set **out_lines)
{
    uint32_t tenant = catalog_find_tenant(set->catalog, key);
    vt_err err = line_set_open(out_lines);

    if (err != VT_OK || tenant == CATALOG_NONE || set->raters[tenant] == NULL)
        return err;
    struct rating_sink sink = {.line = line_collect, .context = *out_lines};

    return rater_finish(set->raters[tenant], &sink);
}

static vt_err
tenant_adjust(const struct rating *rating, struct vt_str key, struct rating_out *state)
{
    struct line_set *after = NULL;
    struct line_set *before = NULL;
    vt_err err = tenant_lines(&rating->sets[0], key, &after);

    if (err == VT_OK)
        err = tenant_lines(&rating->sets[1], key, &before);
    if (err == VT_OK)
        err = line_set_compare(before, after, adjustment_put, state);
    line_set_close(after);
    line_set_close(before);
    return err;
}

vt_err
view_adjustments(const struct view *view, const struct lines_query *query,
                 const struct catalog *against, const struct view_sink *sink, uint64_t *out_rows)
{
    struct rating rating = {
        .view = view,
        .query = query,
        .set_count = 2,
        .sets = {{.catalog = query->catalog}, {.catalog = against}},
    };
    struct rating_out state = {.sink = sink};
    const struct catalog_tenant **tenants = NULL;
    vt_err err = rating_open(&rating);

    json_out_init(&state.out);
    if (err == VT_OK)
        err = rating_run(&rating);
    if (err == VT_OK)
        err = tenants_sorted(query->catalog, &tenants);
    for (uint32_t i = 0; err == VT_OK && i < query->catalog->tenant_count; i++)
        err = tenant_adjust(&rating, tenants[i]->key, &state);
    free(tenants);
    if (err == VT_OK)
        err = view_flush(sink, &state.out, true);
    json_out_deinit(&state.out);
    if (out_rows != NULL)
        *out_rows = atomic_load(&rating.rows);
    rating_close(&rating);
    return err;
}

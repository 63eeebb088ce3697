/* view.c - see view.h: rows, windows, summary. */
#include "view.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "view_internal.h"
#include "window_fold.h"

void
view_put(struct view *view)
{
    for (uint32_t p = 0; view->parts != NULL && p < view->part_count; p++)
        part_snapshot_put(&view->parts[p]);
    free(view->parts);
    view->parts = NULL;
    view->part_count = 0;
}

vt_err
view_flush(const struct view_sink *sink, struct json_out *out, bool last)
{
    if (out->err != VT_OK)
        return out->err;
    if (out->size == 0 || (!last && out->size < VIEW_FLUSH_BYTES))
        return VT_OK;
    return sink->flush(sink->context, out);
}

bool
view_part_has(const struct view *view, const struct part_snapshot *part, struct vt_str tenant)
{
    return tenant.size == 0 ||
           batch_partition(&view->key, view->part_count, tenant) == part->partition;
}

vt_err
view_fenced(const struct view *view, struct vt_str tenant)
{
    if (view->fence == NULL)
        return VT_OK;
    if (tenant.size == 0)
        return fence_check_all(view->fence);
    return fence_check(view->fence, batch_partition(&view->key, view->part_count, tenant));
}

static vt_err
epoch_block(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    const struct scan_options *options = context;

    (void)identity;
    return options->block(options->context, block);
}

static vt_err
scan_mark(const struct epoch_mark *mark, const struct scan_options *options)
{
    const struct catalog *catalog = mark->epoch->catalog;
    struct epoch_scan scan = {
        .tenant = CATALOG_NONE,
        .type = CATALOG_NONE,
        .block = epoch_block,
        .context = vt_owned(options), /* read-only in epoch_block */
    };

    if (options->tenant.size > 0) {
        scan.tenant = catalog_find_tenant(catalog, options->tenant);
        if (scan.tenant == CATALOG_NONE)
            return VT_OK;
    }
    if (options->type.size > 0) {
        scan.type = catalog_find_type(catalog, options->type);
        if (scan.type == CATALOG_NONE)
            return VT_OK;
    }
    return epoch_scan_rows(mark, &scan);
}

vt_err
view_scan_part(const struct part_snapshot *part, const struct scan_options *options)
{
    vt_err err = VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < part->sealed_count; s++)
        err = sealed_scan(part->sealed[s], options);
    for (uint32_t m = 0; err == VT_OK && m < part->mark_count; m++)
        err = scan_mark(&part->marks[m], options);
    return err;
}

vt_err
view_scan(const struct view *view, const struct scan_options *options)
{
    vt_err err = VT_OK;

    for (uint32_t p = 0; err == VT_OK && p < view->part_count; p++)
        if (view_part_has(view, &view->parts[p], options->tenant))
            err = view_scan_part(&view->parts[p], options);
    return err;
}

struct windows_out {
    const struct view_sink *sink;
    struct json_out out;
};

static vt_err
window_put(void *context, const struct window_row *row)
{
    struct windows_out *state = context;

    json_put_window(&state->out, row);
    return view_flush(state->sink, &state->out, false);
}

static vt_err
windows_fold(const struct view *view, const struct windows_query *query, struct window_fold *fold)
{
    vt_err err = VT_OK;

    for (uint32_t p = 0; err == VT_OK && p < view->part_count; p++) {
        const struct part_snapshot *part = &view->parts[p];

        if (!view_part_has(view, part, query->tenant))
            continue;
        for (uint32_t s = 0; err == VT_OK && s < part->sealed_count; s++)
            err = window_fold_add_sealed(fold, part->sealed[s]);
        for (uint32_t m = 0; err == VT_OK && m < part->mark_count; m++)
            err = window_fold_add_epoch(fold, &part->marks[m]);
    }
    return err;
}

vt_err
view_windows(const struct view *view, const struct windows_query *query,
             const struct view_sink *sink)
{
    struct window_fold_options options = {
        .catalog = view->catalog,
        .tenant = query->tenant,
        .meter = query->meter,
        .start_us = query->start_us,
        .end_us = query->end_us,
    };
    struct window_fold *fold = NULL;
    struct windows_out state = {.sink = sink};
    vt_err err = window_fold_open(&options, &fold);

    if (err != VT_OK)
        return err;
    json_out_init(&state.out);
    err = windows_fold(view, query, fold);
    if (err == VT_OK)
        err = window_fold_each(fold, window_put, &state);
    if (err == VT_OK)
        err = view_flush(sink, &state.out, true);
    json_out_deinit(&state.out);
    window_fold_close(fold);
    return err;
}

static void
tally_add(struct tally *into, const struct tally *from)
{
    into->received += from->received;
    into->accepted += from->accepted;
    into->duplicates += from->duplicates;
    into->conflicts += from->conflicts;
    into->exceptions += from->exceptions;
    for (size_t r = 0; r < VT_COUNT(into->by_reason); r++)
        into->by_reason[r] += from->by_reason[r];
}

/* Reasons in the order of their names. */
static const uint8_t reasons_by_name[] = {
    VT_REASON_BAD_TIME,           VT_REASON_BAD_VALUE,
    VT_REASON_FUTURE_EVENT,       VT_REASON_LATE_BEYOND_HORIZON,
    VT_REASON_MALFORMED,          VT_REASON_MISSING_FIELD,
    VT_REASON_MISSING_ID,         VT_REASON_SCALE_EXCEEDED,
    VT_REASON_UNKNOWN_EVENT_TYPE, VT_REASON_UNKNOWN_TENANT,
    VT_REASON_VALUE_OUT_OF_RANGE,
};
_Static_assert(sizeof reasons_by_name == VT_REASON_COUNT - 1, "every reason but none");

static void
tally_put(struct json_out *out, const struct tally *tally)
{
    json_key(out, VT_STR("accepted"));
    json_unsigned(out, tally->accepted);
    json_key(out, VT_STR("conflicts"));
    json_unsigned(out, tally->conflicts);
    json_key(out, VT_STR("duplicates"));
    json_unsigned(out, tally->duplicates);
    json_key(out, VT_STR("exceptions"));
    json_unsigned(out, tally->exceptions);
    json_key(out, VT_STR("received"));
    json_unsigned(out, tally->received);
    json_key(out, VT_STR("exceptions_by_reason"));
    json_open(out, '{');
    for (size_t i = 0; i < VT_COUNT(reasons_by_name); i++) {
        uint64_t count = tally->by_reason[reasons_by_name[i]];
        const char *name = vt_reason_name(reasons_by_name[i]);

        if (count == 0)
            continue;
        json_key(out, (struct vt_str){name, (uint32_t)strlen(name)});
        json_unsigned(out, count);
    }
    json_close(out, '}');
}

struct tenant_tally {
    struct vt_str name;
    const struct tally *tally;
};

static int
tenant_compare(const void *a, const void *b)
{
    const struct tenant_tally *one = a;
    const struct tenant_tally *other = b;

    return vt_str_compare(one->name, other->name);
}

static vt_err
tenants_put(const struct view *view, const struct view_sink *sink, struct json_out *out)
{
    uint64_t count = 0;

    for (uint32_t p = 0; p < view->part_count; p++)
        count += view->parts[p].tenant_count;
    struct tenant_tally *all = malloc((count + 1) * sizeof *all);

    if (all == NULL)
        return VT_NOMEM;
    count = 0;
    for (uint32_t p = 0; p < view->part_count; p++)
        for (uint32_t t = 0; t < view->parts[p].tenant_count; t++)
            all[count++] =
                (struct tenant_tally){view->parts[p].tenants[t], &view->parts[p].tenant_tallies[t]};
    qsort(all, count, sizeof *all, tenant_compare);
    json_key(out, VT_STR("tenants"));
    json_open(out, '[');
    vt_err err = VT_OK;

    for (uint64_t t = 0; err == VT_OK && t < count;) {
        struct tally sum = {0};
        struct vt_str name = all[t].name;

        /* Unknown tenants have a row in every partition: one line for all of them. */
        for (; t < count && vt_str_equal(all[t].name, name); t++)
            tally_add(&sum, all[t].tally);
        json_open(out, '{');
        json_key(out, VT_STR("tenant"));
        if (name.size == 0)
            json_null(out);
        else
            json_string(out, name);
        tally_put(out, &sum);
        json_close(out, '}');
        err = view_flush(sink, out, false);
    }
    free(all);
    json_close(out, ']');
    return err;
}

vt_err
view_summary(const struct view *view, bool by_tenant, const struct view_sink *sink)
{
    struct json_out out;
    struct tally sum = {0};
    vt_err err = VT_OK;

    for (uint32_t p = 0; p < view->part_count; p++)
        tally_add(&sum, &view->parts[p].tally);
    json_out_init(&out);
    json_open(&out, '{');
    tally_put(&out, &sum);
    if (by_tenant)
        err = tenants_put(view, sink, &out);
    json_close(&out, '}');
    json_end_line(&out);
    if (err == VT_OK)
        err = view_flush(sink, &out, true);
    json_out_deinit(&out);
    return err;
}

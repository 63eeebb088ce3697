/*
 * core_merge.c - small segments become larger ones, by what ingest leaves of the processor.
 *
 * WHAT TO MERGE is a function of the manifest's list alone: of all runs of `width` segments of one
 * partition that follow each other, have one level, were judged under one catalog, and have
 * together no more rows and bytes than the limits below, the one of the lowest level, and of those
 * the one that ends first in the list. It becomes one segment of the next level (size-tiered
 * merging; P. O'Neil et al., The log-structured merge-tree, 1996).
 *
 * WHAT IT COSTS: a row is written once at its cut and once a level. With a width of 8, 16
 * partitions and cuts of 64 MiB a segment begins with some 200,000 rows; one of level 1 has 1.6 M,
 * and 8 of those would be beyond the limit: a row is written twice and read back as often, and a
 * partition has one segment for each 8 cuts and at most 7 more. (A width of 4 ends with fewer, at
 * level 2, and writes each row three times.) Smaller cuts have more levels. The limit bounds what a
 * merge holds in memory, and how long a scan with ids takes to begin. Some 140 ns of processor a
 * row (bench_core), at a low priority: under a load that leaves nothing segments stay small.
 *
 *   front thread                         merger              sealer               workers
 *   core_merge_next ──merge()──────────▶ reads, writes
 *   core_merged     ──merge()──────────────────────────────▶ manifest edit
 *   core_merged     ──dispatch──────────────────────────────────────────────▶ part_merged
 *   all have it     ──merge()──────────▶ unlinks inputs
 *   core_merged     done, the next one
 *
 * The list is the sealer's while it seals (core->sealing): it is looked at, and edited, between
 * two cuts, and cuts come first. A merge that fails costs nothing but the work: the inputs stay.
 * Its partition is left alone for a number of cuts. An edit that failed may have happened or not,
 * so then neither file is touched, and merging ends until the next start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "venturi/assert.h"

#define MERGE_ROWS_MAX  (UINT64_C(8) << 20)
#define MERGE_BYTES_MAX (UINT64_C(256) << 20)
#define MERGE_PAUSE     16 /* cuts for which a partition is left alone after a failure */

/* The last segments of a partition that follow each other and are alike. */
struct run {
    const struct catalog *catalog;
    uint32_t level;
    uint32_t count;                   /* at most the width */
    uint32_t indexes[SEAL_MERGE_MAX]; /* in the manifest */
};

static uint32_t
width_of(const struct core *core)
{
    return core->options.merge_width;
}

static bool
run_fits(const struct core *core, const struct run *run)
{
    uint64_t rows = 0;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < run->count; i++) {
        struct store_segment segment;

        store_segment_at(core->options.store, run->indexes[i], &segment);
        rows += segment.rows;
        bytes += segment.file_bytes;
    }
    return rows <= MERGE_ROWS_MAX && bytes <= MERGE_BYTES_MAX;
}

/* Takes the next segment of a partition into its run. */
static void
run_add(struct run *run, uint32_t width, uint32_t index, const struct store_segment *segment,
        const struct catalog *catalog)
{
    if (run->count > 0 && (run->catalog != catalog || run->level != segment->id.level))
        run->count = 0;
    if (run->count == width) {
        run->count--;
        memmove(run->indexes, run->indexes + 1, run->count * sizeof run->indexes[0]);
    }
    run->catalog = catalog;
    run->level = segment->id.level;
    run->indexes[run->count++] = index;
}

/* The run to merge next; its count is 0 where there is none. */
static void
run_choose(const struct core *core, struct run *runs, struct run *out_run)
{
    uint32_t width = width_of(core);
    uint32_t count = store_segment_count(core->options.store);

    out_run->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct store_segment segment;

        store_segment_at(core->options.store, i, &segment);
        struct run *run = &runs[segment.id.partition];

        run_add(run, width, i, &segment, core_judging_catalog(core, segment.id.cut));
        if (run->count == width && (out_run->count == 0 || run->level < out_run->level) &&
            core->merge_after[segment.id.partition] <= core->stats.cuts && run_fits(core, run))
            *out_run = *run;
    }
}

static vt_err
merge_open(const struct core *core, const struct run *run, struct core_merge **out_merge)
{
    struct core_merge *merge = calloc(1, sizeof *merge);

    if (merge == NULL)
        return VT_NOMEM;
    merge->stage = CORE_MERGE_WRITE;
    merge->catalog = run->catalog;
    merge->input_count = run->count;
    for (uint32_t i = 0; i < run->count; i++)
        store_segment_at(core->options.store, run->indexes[i], &merge->inputs[i]);
    *out_merge = merge;
    return VT_OK;
}

void
core_merge_free(struct core_merge *merge)
{
    if (merge == NULL)
        return;
    sealed_put(merge->sealed);
    free(merge);
}

static void
give(struct core *core)
{
    core->merge->given = true;
    core->callbacks.merge(core->callbacks.context, core->merge);
}

static uint64_t
input_bytes(const struct core_merge *merge)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < merge->input_count; i++)
        bytes += merge->inputs[i].file_bytes;
    return bytes;
}

/* What the list says is next, if anything, and there is space for it. */
static void
merge_begin(struct core *core)
{
    struct run run = {.count = 0};
    struct run *runs = calloc(core->partition_count, sizeof *runs);

    core->merge_look = false;
    core->stats.segments = store_segment_count(core->options.store);
    if (runs != NULL)
        run_choose(core, runs, &run);
    free(runs);
    if (run.count == 0 || merge_open(core, &run, &core->merge) != VT_OK)
        return; /* where memory is short: after the next cut */
    if (core_space_spare(core, input_bytes(core->merge))) {
        give(core);
        return;
    }
    core_merge_free(core->merge);
    core->merge = NULL;
}

void
core_merge_next(struct core *core)
{
    struct core_merge *merge = core->merge;

    if (core->sealing || core->failed != VT_OK || core->callbacks.merge == NULL)
        return;
    if (merge != NULL && merge->stage == CORE_MERGE_EDIT && !merge->given) {
        core->sealing = true; /* the manifest is the sealer's until it has the edit */
        give(core);
    }
    if (merge == NULL && core->merge_look && !core->merge_off && !core->ended && width_of(core) > 1)
        merge_begin(core);
}

/* --- the merger's thread */

struct pause_of {
    struct core_merge *merge;
    const struct core_pause *pause;
};

static vt_err
merge_pause(void *context)
{
    const struct pause_of *of = context;

    if (atomic_load_explicit(&of->merge->cancel, memory_order_relaxed))
        return vt_err_detail(VT_AGAIN, "the merge was called off");
    return of->pause == NULL ? VT_OK : of->pause->pause(of->pause->context);
}

static vt_err
merge_write(const struct core *core, struct core_merge *merge, const struct core_pause *pause)
{
    struct pause_of of = {merge, pause};
    struct sealed *inputs[SEAL_MERGE_MAX] = {NULL};
    struct seal_merge_options options = {
        .io = core->options.seal_io,
        .store = core->options.store,
        .input_count = merge->input_count,
        .inputs = inputs,
        .pause = merge_pause,
        .context = &of,
    };
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++)
        err = sealed_open(core->options.seal_io, &merge->inputs[i], merge->catalog, &inputs[i]);
    if (err == VT_OK)
        err = seal_merge(&options, &merge->segment);
    if (err == VT_OK) {
        err = sealed_open(core->options.seal_io, &merge->segment, merge->catalog, &merge->sealed);
        if (err != VT_OK)
            store_segment_drop(core->options.seal_io, &merge->segment);
    }
    for (uint32_t i = 0; i < merge->input_count; i++)
        sealed_put(inputs[i]);
    return err;
}

enum core_merge_stage
core_merge_stage(const struct core_merge *merge)
{
    return merge->stage;
}

void
core_merge(struct core *core, struct core_merge *merge, const struct core_pause *pause)
{
    merge->err = VT_OK;
    vt_err_clear();
    switch (merge->stage) {
    case CORE_MERGE_WRITE:
        merge->err = merge_write(core, merge, pause);
        break;
    case CORE_MERGE_EDIT:
        merge->err = store_merge_commit(core->options.store, merge->inputs, merge->input_count,
                                        &merge->segment);
        VT_ASSERT(merge->err != VT_INVALID);
        break;
    case CORE_MERGE_DROP:
        for (uint32_t i = 0; i < merge->input_count; i++)
            store_segment_drop(core->options.seal_io, &merge->inputs[i]);
        break;
    }
}

/* --- the front thread again */

static void
merge_end(struct core *core)
{
    core_merge_free(core->merge);
    core->merge = NULL;
    core->merge_look = true;
}

static void
merge_fail(struct core *core)
{
    const struct core_merge *merge = core->merge;

    core->stats.merges_failed++;
    core->merge_after[merge->inputs[0].id.partition] = core->stats.cuts + MERGE_PAUSE;
    merge_end(core); /* another partition may go on */
}

/* The manifest has it, or may have. */
static vt_err
merge_edited(struct core *core)
{
    struct core_merge *merge = core->merge;
    struct work *work = NULL;

    VT_ASSERT(core->sealing);
    core->sealing = false;
    if (merge->err != VT_OK) {
        core->merge_off = true;
        merge_fail(core);
        core_seal_next(core); /* its edit writes both copies anew, or fails for good */
        return VT_OK;
    }
    vt_err err = core_work_open(core, WORK_MERGED, &work);

    if (err != VT_OK)
        return core_fail(core, err, vt_err_last());
    merge->stage = CORE_MERGE_DROP; /* once every worker has the merged one */
    core->stats.merges++;
    core->stats.merge_rows += merge->segment.rows;
    core->stats.merge_bytes += merge->segment.file_bytes;
    work->merge = merge;
    work->meta.number = core->commit_last;
    core_dispatch(core, work);
    core_seal_next(core);
    return VT_OK;
}

vt_err
core_merged(struct core *core, struct core_merge *merge)
{
    VT_ASSERT(core->magic == CORE_MAGIC);
    VT_ASSERT(core->merge == merge);
    merge->given = false;
    if (core->failed != VT_OK)
        return core->failed; /* core_close has it */
    switch (merge->stage) {
    case CORE_MERGE_WRITE:
        if (merge->err != VT_OK) {
            merge_fail(core);
            return VT_OK;
        }
        merge->stage = CORE_MERGE_EDIT;
        core_merge_next(core);
        return VT_OK;
    case CORE_MERGE_EDIT:
        return merge_edited(core);
    case CORE_MERGE_DROP:
        merge_end(core);
        return VT_OK;
    }
    VT_ASSERT(false);
    return VT_INVALID;
}

void
core_merge_swapped(struct core *core)
{
    VT_ASSERT(core->merge != NULL && core->merge->stage == CORE_MERGE_DROP);
    VT_ASSERT(!core->merge->given);
    give(core);
}

void
core_merge_cancel(struct core *core)
{
    if (core->merge != NULL)
        atomic_store_explicit(&core->merge->cancel, 1, memory_order_relaxed);
}

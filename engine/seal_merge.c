/* seal_merge.c - segments that follow each other become one. See seal_merge.h and sealed.h. */
#include "seal_merge.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define PAUSE_WORK UINT32_C(16384) /* a block of rows: a millisecond or two */

vt_err
merge_step(struct merge *merge, uint32_t work)
{
    merge->steps += work;
    if (merge->steps < PAUSE_WORK || merge->options->pause == NULL)
        return VT_OK;
    merge->steps = 0;
    return merge->options->pause(merge->options->context);
}

/* --- strings */

/* The strings of an input, in its order, after those of the inputs before it. */
static vt_err
strings_add(struct merge *merge, struct merge_input *input)
{
    uint32_t count = input->sealed->strings;
    vt_err err = VT_OK;

    input->codes = malloc(((uint64_t)count + 1) * sizeof *input->codes);
    if (input->codes == NULL)
        return VT_NOMEM;
    for (uint32_t code = 0; err == VT_OK && code < count; code++)
        err = dict_code(merge->seal.dict, input->directory->dict[code], &input->codes[code]);
    return err;
}

static vt_err
input_open(struct merge *merge, struct sealed *sealed, struct merge_input *input)
{
    input->sealed = sealed;
    vt_err err = sealed_load(sealed, &input->directory);

    if (err != VT_OK)
        return err;
    input->group_first =
        malloc(((uint64_t)input->directory->group_count + 1) * sizeof *input->group_first);
    return input->group_first == NULL ? VT_NOMEM : strings_add(merge, input);
}

/* --- lists */

struct list_merge {
    struct merge *merge;
    struct merge_input *input;
    struct seal_list list;
};

static vt_err
exception_put(void *context, const struct exception_entry *entry)
{
    struct list_merge *lists = context;
    vt_err err = seal_exceptions_put(&lists->list, entry);

    return err == VT_OK ? merge_step(lists->merge, 8) : err;
}

static vt_err
merge_exceptions(struct merge *merge)
{
    struct list_merge lists = {.merge = merge};
    vt_err err = seal_exceptions_open(&merge->seal, &lists.list);

    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++)
        err = sealed_each_exception(merge->inputs[i].sealed, exception_put, &lists);
    if (err == VT_OK)
        err = seal_exceptions_finish(&lists.list);
    seal_list_close(&lists.list);
    return err;
}

static vt_err
settle_put(void *context, const struct settle_entry *entry)
{
    struct list_merge *lists = context;
    vt_err err = seal_settles_put(&lists->list, entry);

    return err == VT_OK ? merge_step(lists->merge, 1) : err;
}

static vt_err
merge_settles(struct merge *merge)
{
    struct list_merge lists = {.merge = merge};
    vt_err err = seal_settles_open(&merge->seal, &lists.list);

    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++)
        err = sealed_each_settle(merge->inputs[i].sealed, settle_put, &lists);
    if (err == VT_OK)
        err = seal_settles_finish(&lists.list);
    seal_list_close(&lists.list);
    return err;
}

static vt_err
feed_put(void *context, const struct feed_entry *entry)
{
    struct list_merge *lists = context;
    uint32_t group_count = lists->merge->seal.catalog->meters[entry->meter].group_count;
    struct feed_entry moved = *entry;

    for (uint32_t g = 0; g < group_count; g++)
        moved.group[g] = lists->input->codes[entry->group[g]];
    vt_err err = seal_feed_put(&lists->list, &moved);

    return err == VT_OK ? merge_step(lists->merge, 1) : err;
}

static vt_err
merge_feed(struct merge *merge)
{
    struct list_merge lists = {.merge = merge};
    vt_err err = seal_feed_open(&merge->seal, &lists.list);

    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++) {
        lists.input = &merge->inputs[i];
        err = sealed_each_feed_entry(lists.input->sealed, feed_put, &lists);
    }
    if (err == VT_OK)
        err = seal_feed_finish(&lists.list);
    seal_list_close(&lists.list);
    return err;
}

/* --- all */

/* What went in has come out: the inputs are given up for it. */
static void
assert_all_there(const struct merge *merge)
{
    const struct seal_meta *meta = &merge->seal.meta;
    uint64_t rows = 0;
    uint64_t identities = 0;
    uint64_t lists = 0;

    for (uint32_t i = 0; i < merge->input_count; i++) {
        const struct sealed *sealed = merge->inputs[i].sealed;

        rows += sealed->rows;
        identities += sealed->identities;
        lists += (uint64_t)sealed->exceptions + sealed->settles + sealed->feed;
    }
    VT_ASSERT(rows == le64_get(meta->rows));
    VT_ASSERT(identities == le64_get(meta->identities));
    VT_ASSERT(lists == (uint64_t)le32_get(meta->exceptions) + le32_get(meta->settles) +
                           le32_get(meta->feed));
}

static vt_err
merge_all(struct merge *merge)
{
    vt_err err = merge_rows(merge);

    if (err == VT_OK)
        err = merge_ids(merge);
    if (err == VT_OK)
        err = merge_cells(merge);
    if (err == VT_OK)
        err = seal_strings(&merge->seal);
    if (err == VT_OK)
        err = merge_exceptions(merge);
    if (err == VT_OK)
        err = merge_settles(merge);
    if (err == VT_OK)
        err = merge_feed(merge);
    if (err == VT_OK)
        assert_all_there(merge);
    return err;
}

static void
merge_deinit(struct merge *merge)
{
    for (uint32_t i = 0; i < merge->input_count; i++) {
        free(merge->inputs[i].codes);
        free(merge->inputs[i].group_first);
    }
    seal_close(&merge->seal);
    if (merge->seal.dict != NULL)
        dict_close(merge->seal.dict);
    free(merge);
}

static void
name_output(const struct seal_merge_options *options, struct store_segment *segment)
{
    const struct segment_id *first = sealed_id(options->inputs[0]);

    segment->id = *sealed_id(options->inputs[options->input_count - 1]);
    segment->id.first_position = first->first_position;
    segment->id.level = first->level + 1;
    store_segment_path(options->store, &segment->id, segment->path);
}

vt_err
seal_merge(const struct seal_merge_options *options, struct store_segment *out_segment)
{
    struct store_segment segment = {0};
    struct merge *merge = calloc(1, sizeof *merge);

    VT_ASSERT(options->input_count >= 2 && options->input_count <= SEAL_MERGE_MAX);
    if (merge == NULL)
        return VT_NOMEM;
    merge->options = options;
    merge->input_count = options->input_count;
    merge->seal.catalog = sealed_catalog(options->inputs[0]);
    name_output(options, &segment);
    vt_err err = dict_open(&merge->seal.dict);

    for (uint32_t i = 0; err == VT_OK && i < merge->input_count; i++) {
        VT_ASSERT(sealed_catalog(options->inputs[i]) == merge->seal.catalog);
        VT_ASSERT(sealed_id(options->inputs[i])->level + 1 == segment.id.level);
        err = input_open(merge, options->inputs[i], &merge->inputs[i]);
    }
    if (err == VT_OK) {
        merge->seal.dict_count = dict_count(merge->seal.dict);
        err = seal_open(options->io, &segment, &merge->seal);
    }
    if (err == VT_OK)
        err = merge_all(merge);
    if (err == VT_OK)
        err = seal_finish(&merge->seal, &segment);
    merge_deinit(merge);
    if (err == VT_OK)
        *out_segment = segment;
    return err;
}

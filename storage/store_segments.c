/*
 * store_segments.c - the segments of a store: their names, those that the manifest has, merged ones
 * that take the place of others, and files that nobody names. See storage.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"
#include "venturi/assert.h"

#define NAME_BYTES       64
#define CUT_DIGITS       20
#define PARTITION_DIGITS 3
#define LEVEL_DIGITS     2
#define LEVEL_MAX        99

/* The file's own name. */
static void
name_of(const struct segment_id *id, char out_name[NAME_BYTES])
{
    int size = id->level == 0 ? snprintf(out_name, NAME_BYTES, "%020" PRIu64 "-%03u.vseg", id->cut,
                                         id->partition)
                              : snprintf(out_name, NAME_BYTES, "%020" PRIu64 "-%03u-%02u.vseg",
                                         id->cut, id->partition, id->level);

    VT_ASSERT(id->level <= LEVEL_MAX);
    VT_ASSERT(size > 0 && size < NAME_BYTES);
}

void
store_segment_path(const struct store *store, const struct segment_id *id, char out_path[256])
{
    char name[NAME_BYTES];

    name_of(id, name);
    int size = snprintf(out_path, 256, "%s/segments/%s", store->dir, name);

    VT_ASSERT(size > 0 && size < 256);
}

struct manifest_segment
store_segment_named(const struct store_segment *segment)
{
    return (struct manifest_segment){
        .cut = segment->id.cut,
        .first_position = segment->id.first_position,
        .last_position = segment->id.last_position,
        .file_bytes = segment->file_bytes,
        .rows = segment->rows,
        .partition = segment->id.partition,
        .level = segment->id.level,
        .check = segment->check,
    };
}

uint32_t
store_segment_count(const struct store *store)
{
    store_edits_lock(store);
    uint32_t count = manifest_get(store->manifest)->segment_count;

    store_edits_unlock(store);
    return count;
}

void
store_segment_at(const struct store *store, uint32_t index, struct store_segment *out_segment)
{
    const struct manifest_state *state = manifest_get(store->manifest);

    store_edits_lock(store);
    VT_ASSERT(index < state->segment_count);
    const struct manifest_segment *segment = &state->segments[index];

    *out_segment = (struct store_segment){
        .id = {.store = store->superblock.store,
               .cut = segment->cut,
               .first_position = segment->first_position,
               .last_position = segment->last_position,
               .partition = segment->partition,
               .level = segment->level},
        .file_bytes = segment->file_bytes,
        .rows = segment->rows,
        .check = segment->check,
    };
    store_edits_unlock(store);
    store_segment_path(store, &out_segment->id, out_segment->path);
}

/* --- merging */

/* Whether `inputs` are all that the manifest has of their partition from the first to the last. */
static bool
follow_each_other(const struct store *store, const struct store_segment *inputs, uint32_t count)
{
    const struct manifest_state *state = manifest_get(store->manifest);
    const struct segment_id *first = &inputs[0].id;
    uint32_t found = 0;

    for (uint32_t i = 0; i < state->segment_count && found < count; i++) {
        const struct manifest_segment *segment = &state->segments[i];

        if (segment->partition != first->partition || segment->cut < first->cut)
            continue;
        if (segment->cut != inputs[found].id.cut || segment->level != inputs[found].id.level)
            return false;
        found++;
    }
    return found == count;
}

static vt_err
check_merge(const struct store *store, const struct store_segment *inputs, uint32_t count,
            const struct store_segment *merged)
{
    uint64_t rows = 0;

    if (store->log == NULL || count < 2 || !follow_each_other(store, inputs, count))
        return vt_err_detail(VT_INVALID, "segments to merge do not follow each other");
    for (uint32_t i = 0; i < count; i++) {
        rows += inputs[i].rows;
        if (inputs[i].id.level != inputs[0].id.level)
            return vt_err_detail(VT_INVALID, "segments to merge are of two levels");
    }
    const struct segment_id want = {
        .store = store->superblock.store,
        .cut = inputs[count - 1].id.cut,
        .first_position = inputs[0].id.first_position,
        .last_position = inputs[count - 1].id.last_position,
        .partition = inputs[0].id.partition,
        .level = inputs[0].id.level + 1,
    };
    const struct segment_id *have = &merged->id;

    if (have->store != want.store || have->cut != want.cut ||
        have->first_position != want.first_position || have->last_position != want.last_position ||
        have->partition != want.partition || have->level != want.level || merged->rows != rows)
        return vt_err_detail(VT_INVALID, "a merged segment is not what its inputs were");
    return VT_OK;
}

vt_err
store_merge_commit(struct store *store, const struct store_segment *inputs, uint32_t input_count,
                   const struct store_segment *merged)
{
    struct manifest_segment *segments = calloc((size_t)input_count + 1, sizeof *segments);
    const struct manifest_merge edit = {segments, input_count, 1};

    if (segments == NULL)
        return VT_NOMEM;
    store_edits_lock(store);
    vt_err err = check_merge(store, inputs, input_count, merged);

    if (err == VT_OK) {
        for (uint32_t i = 0; i < input_count; i++)
            segments[i] = store_segment_named(&inputs[i]);
        segments[input_count] = store_segment_named(merged);
        err = manifest_merge(store->manifest, &edit);
    }
    store_edits_unlock(store);
    free(segments);
    return err;
}

/* --- files that nobody names */

void
store_segment_drop(struct io *io, const struct store_segment *segment)
{
    /* A crash may bring the name back, and an error may keep it: a start looks for such files. */
    vt_err ignored = io_unlink(io, segment->path);

    (void)ignored;
}

/* `digits` of them at *at, which moves on. */
static bool
number_read(const char **at, uint32_t digits, uint64_t *out_number)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9' || __builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, (uint64_t)(**at - '0'), &number))
            return false;
    }
    *out_number = number;
    return true;
}

/* Whether it is a name that a segment may have, and of which. */
static bool
name_read(const char *name, struct segment_id *out_id)
{
    const char *at = name;
    uint64_t cut = 0;
    uint64_t partition = 0;
    uint64_t level = 0;
    char again[NAME_BYTES];

    if (!number_read(&at, CUT_DIGITS, &cut) || *at++ != '-' ||
        !number_read(&at, PARTITION_DIGITS, &partition))
        return false;
    if (*at == '-') {
        at++;
        if (!number_read(&at, LEVEL_DIGITS, &level))
            return false;
    }
    *out_id =
        (struct segment_id){.cut = cut, .partition = (uint32_t)partition, .level = (uint32_t)level};
    name_of(out_id, again);
    return strcmp(name, again) == 0;
}

/* What a copying that was killed left. */
static bool
is_part(const char *name)
{
    const size_t suffix = sizeof STORE_PART_SUFFIX - 1;
    size_t size = strlen(name);

    return size > suffix && strcmp(name + size - suffix, STORE_PART_SUFFIX) == 0;
}

bool
store_segment_is_named(const struct manifest_state *state, const struct segment_id *id)
{
    uint32_t low = 0;
    uint32_t high = state->segment_count;

    /* Ordered by (cut, partition, level). */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct manifest_segment *segment = &state->segments[middle];

        if (segment->cut != id->cut               ? segment->cut < id->cut
            : segment->partition != id->partition ? segment->partition < id->partition
                                                  : segment->level < id->level)
            low = middle + 1;
        else
            high = middle;
    }
    return low < state->segment_count && state->segments[low].cut == id->cut &&
           state->segments[low].partition == id->partition &&
           state->segments[low].level == id->level;
}

void
store_sweep(struct store *store)
{
    const struct manifest_state *state = manifest_get(store->manifest);
    struct io_name_list list = {0};
    char dir[STORE_PATH_BYTES];

    store_path(store, "segments", dir);
    if (io_list_dir(store->io, dir, &list) != VT_OK)
        list.count = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        struct store_segment segment = {.rows = 0};

        if (is_part(list.names[i])) {
            int size = snprintf(segment.path, sizeof segment.path, "%s/%s", dir, list.names[i]);

            if (size > 0 && (size_t)size < sizeof segment.path)
                store_segment_drop(store->io, &segment);
            continue;
        }
        if (!name_read(list.names[i], &segment.id) || store_segment_is_named(state, &segment.id))
            continue;
        store_segment_path(store, &segment.id, segment.path);
        store_segment_drop(store->io, &segment);
    }
    io_name_list_free(&list);
    vt_err_clear();
}

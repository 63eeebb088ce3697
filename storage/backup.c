/*
 * backup.c - rounds of a backup: the copy's directory, the manifest, segments, what is swept. The
 * order and why stand in backup.h; commits are in backup_tail.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup_internal.h"
#include "manifest_format.h"
#include "venturi/assert.h"

/* ---- the copy's directory */

static vt_err
copy_create(struct backup *backup)
{
    struct store *copy = backup->copy;
    char segments[STORE_PATH_BYTES];
    vt_err err;

    if (!store_name_exists(copy, "store.new") &&
        (store_name_exists(copy, "manifest-0") || store_name_exists(copy, "lane-00")))
        return vt_err_detail(VT_EXISTS,
                             "%s is no copy, and not empty: a backup begins with a directory of "
                             "its own",
                             copy->dir);
    err = store_write_superblock(copy, "store.new");
    for (uint32_t i = 0; err == VT_OK && i < copy->superblock.lane_count; i++)
        err = store_make_lane(copy, i, false);
    store_path(copy, "segments", segments);
    if (err == VT_OK)
        err = io_make_dir(copy->io, segments);
    if (err == VT_OK)
        err = io_sync_dir(copy->io, copy->dir);
    if (err == VT_OK)
        err = manifest_create(copy->io, copy->dir, copy->superblock.store);
    backup->fresh = true;
    return err;
}

static vt_err
copy_check(const struct backup *backup)
{
    const struct superblock *from = &backup->from->superblock;
    const struct superblock *to = &backup->copy->superblock;

    if ((to->flags & SUPERBLOCK_COPY) == 0)
        return vt_err_detail(VT_EXISTS, "%s is a store and no copy", backup->copy->dir);
    if (from->store != to->store || from->history != to->history)
        return vt_err_detail(VT_BAD_PLACE,
                             "%s is a copy of history %016" PRIx64 " of store %016" PRIx64
                             ", and %s is history %016" PRIx64 " of %016" PRIx64,
                             backup->copy->dir, to->history, to->store, backup->from->dir,
                             from->history, from->store);
    return VT_OK;
}

static vt_err
copy_open(struct backup *backup, const char *to)
{
    char path[STORE_PATH_BYTES];
    struct store *copy;
    vt_err err = copy_store_new(backup->io, to, &backup->copy);

    if (err != VT_OK)
        return err;
    copy = backup->copy;
    err = store_take_lock(copy, true);
    store_path(copy, "store", path);
    if (err == VT_OK)
        err = superblock_read(copy->io, path, &copy->superblock_bad, &copy->superblock);
    if (err == VT_NOT_FOUND) {
        copy->superblock = backup->from->superblock;
        copy->superblock.flags |= SUPERBLOCK_COPY;
        err = copy_create(backup);
    } else if (err == VT_OK) {
        err = copy_check(backup);
        if (err == VT_OK && copy->superblock_bad != 0)
            err = store_heal_superblock(copy);
    }
    if (err == VT_OK)
        err = store_open_manifest(copy);
    return err == VT_OK ? store_open_lanes(copy, IO_OPEN_WRITE) : err;
}

/* ---- segments and manifest */

/* Both lists are in one order; `at` walks through the copy's. */
static bool
copy_has(const struct manifest_state *copy, const struct manifest_segment *segment, uint32_t *at)
{
    while (*at < copy->segment_count && manifest_segment_compare(&copy->segments[*at], segment) < 0)
        (*at)++;
    return *at < copy->segment_count && copy_segment_equal(&copy->segments[*at], segment);
}

static vt_err
segment_take(struct backup *backup, const struct manifest_segment *segment)
{
    char from[STORE_PATH_BYTES];
    char to[STORE_PATH_BYTES];
    const struct copy_file file = {backup->io, from, to};
    uint64_t store = backup->copy->superblock.store;

    copy_segment_path(backup->from, segment, from);
    copy_segment_path(backup->copy, segment, to);
    /* A backup that was killed may have left it. */
    vt_err err = copy_segment_check(backup->io, to, segment, store);

    if (err == VT_OK)
        return VT_OK;
    vt_err_clear();
    err = copy_segment(&file, segment, store);
    if (err == VT_NOT_FOUND)
        return VT_AGAIN; /* merged away: a newer manifest says so */
    if (err != VT_OK)
        return err;
    backup->state.segments++;
    backup->state.segment_bytes += segment->file_bytes;
    return VT_OK;
}

static vt_err
segments_take(struct backup *backup, const struct manifest_state *state)
{
    const struct manifest_state *have = manifest_get(backup->copy->manifest);
    char segments[STORE_PATH_BYTES];
    bool any = false;
    uint32_t at = 0;
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < state->segment_count; i++) {
        if (copy_has(have, &state->segments[i], &at))
            continue;
        any = true;
        err = segment_take(backup, &state->segments[i]);
    }
    store_path(backup->copy, "segments", segments);
    return err == VT_OK && any ? io_sync_dir(backup->io, segments) : err;
}

/* The copy becomes the store as of its last cut, with the commits after it that it has. */
static vt_err
manifest_take(struct backup *backup, const struct manifest_state *from)
{
    struct store *copy = backup->copy;
    struct manifest_state state = *from;
    vt_err err = segments_take(backup, from);

    if (err == VT_OK)
        err = copy_extras(backup->io, backup->dir, copy->dir);
    if (err != VT_OK)
        return err;
    state.known_number = copy->chain.last_number > state.sealed.number ? copy->chain.last_number
                                                                       : state.sealed.number;
    err = manifest_replace(copy->manifest, &state);
    if (err == VT_OK && backup->fresh) {
        err = store_publish(copy, "store.new", "store");
        backup->fresh = err != VT_OK;
    }
    if (err != VT_OK)
        return err;
    backup->notes = 0;
    backup->sweep = true;
    backup_tail_release(backup);
    return VT_OK;
}

/* ---- the store's side */

/* Its manifest is another one when its length or the first edit's number is. */
static vt_err
manifest_look(const struct backup *backup, uint64_t *out_bytes, uint64_t *out_first)
{
    uint8_t head[MANIFEST_EDIT_BYTES];
    char path[STORE_PATH_BYTES];
    struct io_file *file = NULL;
    uint64_t bytes = 0;

    store_path(backup->from, "manifest-0", path);
    vt_err err = io_open(backup->io, path, IO_OPEN_READ, &file);

    if (err == VT_OK)
        err = io_size(file, &bytes);
    if (err == VT_OK)
        err = io_read_at(file, head, sizeof head, 0);
    io_close_file(file);
    if (err == VT_NOT_FOUND || err == VT_END) { /* damaged, and read from the other copy */
        vt_err_clear();
        *out_bytes = *out_first = 0;
        return VT_OK;
    }
    if (err != VT_OK)
        return err;
    *out_bytes = bytes;
    *out_first = vt_load64(head + MANIFEST_SEQUENCE_AT);
    return VT_OK;
}

/* The greatest commit that copy and store have in common, of those that the copy has. Below the
 * store's cut there is no other: what it sealed was durable when the copy read it. */
static uint64_t
common_number(const struct backup *backup)
{
    const struct chain *from = &backup->from->chain;
    const struct chain *to = &backup->copy->chain;
    uint64_t number = to->last_number;

    for (; number > to->base.number; number--) {
        uint64_t check = to->commits[number - to->base.number - 1].check;

        if (number < from->base.number || number > from->last_number)
            continue;
        if (check == (number == from->base.number
                          ? from->base.check
                          : from->commits[number - from->base.number - 1].check))
            break;
    }
    return number;
}

/* Reads the store from the start: its manifest, the chain in its lanes. */
static vt_err
resync(struct backup *backup)
{
    const struct store_options options = {.dir = backup->dir, .read_only = true};
    vt_err err = VT_OK;

    store_close(backup->from);
    backup->from = NULL;
    err = store_open(backup->io, &options, &backup->from);
    if (err == VT_OK)
        err = copy_check(backup);
    if (err == VT_OK)
        err = manifest_look(backup, &backup->manifest_bytes, &backup->manifest_first);
    if (err == VT_OK)
        err = backup_tail_scan(backup);
    if (err == VT_OK && backup->copy->chain.last_number > backup->from->chain.base.number)
        err = backup_tail_back(backup, common_number(backup));
    if (err == VT_OK)
        err = manifest_take(backup, manifest_get(backup->from->manifest));
    if (err == VT_OK)
        err = backup_tail_begin(backup, &backup->from->chain);
    if (err == VT_OK)
        backup->lost = false;
    return err;
}

/* The store's manifest where it is another one than was taken. */
static vt_err
manifest_follow(struct backup *backup)
{
    const struct manifest_state *have = manifest_get(backup->copy->manifest);
    struct manifest *manifest = NULL;
    uint64_t bytes = 0;
    uint64_t first = 0;
    vt_err err = manifest_look(backup, &bytes, &first);

    if (err != VT_OK || (bytes == backup->manifest_bytes && first == backup->manifest_first))
        return err;
    err = manifest_open(backup->io, backup->dir, backup->from->superblock.store, &manifest);
    if (err != VT_OK)
        return err;
    const struct manifest_state *state = manifest_get(manifest);

    /* A start, or a cut beyond what the copy has: where the order goes on must be looked for. */
    if (state->start != have->start || state->sealed.number > backup->copy->chain.last_number)
        backup->lost = true;
    else
        err = manifest_take(backup, state);
    manifest_close(manifest);
    if (err == VT_OK && !backup->lost) {
        backup->manifest_bytes = bytes;
        backup->manifest_first = first;
    }
    return err;
}

static void
lag_note(struct backup *backup)
{
    struct backup_state *state = &backup->state;

    state->lag_commits = backup->ahead_count;
    state->lag_bytes = 0;
    state->lag_arrival_us = backup->ahead_count > 0 ? backup->ahead[0].arrival_us : 0;
    for (uint32_t i = 0; i < backup->ahead_count; i++)
        state->lag_bytes += backup->ahead[i].bytes;
}

vt_err
backup_round(struct backup *backup)
{
    vt_err err = backup->lost ? VT_OK : manifest_follow(backup);

    if (err == VT_OK && backup->lost)
        err = resync(backup);
    if (err == VT_OK)
        err = backup_tail_look(backup);
    if (err != VT_OK) {
        backup->lost = true;
        return err;
    }
    lag_note(backup);
    err = backup_tail_copy(backup);
    if (err == VT_OK && backup->sweep) {
        store_sweep(backup->copy);
        backup->sweep = false;
    }
    return err;
}

void
backup_get_state(const struct backup *backup, struct backup_state *out_state)
{
    const struct chain *chain = &backup->copy->chain;

    *out_state = backup->state;
    out_state->commit = chain->last_number;
    out_state->position = chain->last_position;
    out_state->arrival_us = chain->last_arrival_us;
}

/* ---- life */

vt_err
backup_open(struct io *io, const struct backup_options *options, struct backup **out_backup)
{
    const struct store_options from = {.dir = options->dir, .read_only = true};
    struct backup *backup = calloc(1, sizeof *backup);
    size_t size = strlen(options->dir);
    vt_err err = VT_NOMEM;

    if (backup == NULL)
        return VT_NOMEM;
    backup->io = io;
    backup->lost = true;
    backup->ahead = calloc(BACKUP_AHEAD_MAX, sizeof backup->ahead[0]);
    if (backup->ahead != NULL)
        err = store_open(io, &from, &backup->from); /* refuses a name that is too long */
    if (err == VT_OK) {
        memcpy(backup->dir, options->dir, size + 1);
        err = (backup->from->superblock.flags & SUPERBLOCK_COPY) == 0
                  ? VT_OK
                  : vt_err_detail(VT_INVALID, "%s is a copy itself", options->dir);
    }
    if (err == VT_OK) {
        backup->buffer = aligned_alloc(IO_ALIGN, backup->from->superblock.commit_bytes_max);
        err = backup->buffer == NULL ? VT_NOMEM : copy_open(backup, options->to);
    }
    if (err != VT_OK) {
        backup_close(backup);
        return err;
    }
    *out_backup = backup;
    return VT_OK;
}

void
backup_close(struct backup *backup)
{
    if (backup == NULL)
        return;
    for (uint32_t i = 0; i < STORE_LANES_MAX; i++)
        lane_deinit(&backup->lanes[i]);
    store_close(backup->from);
    store_close(backup->copy);
    free(backup->ahead);
    free(backup->buffer);
    free(backup);
}

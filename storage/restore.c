/*
 * restore.c - a store of a copy; see backup.h. As when a store is made, its superblock comes last,
 * so a restore that was killed leaves no store.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "copy_internal.h"
#include "venturi/assert.h"

struct restore {
    struct io *io;
    struct store *from;
    struct store *to;
    struct restore_result result;
};

/* The lock that this very restore has taken is all that may be there. */
static vt_err
check_empty(const struct store *to)
{
    struct io_name_list names;
    vt_err err = io_list_dir(to->io, to->dir, &names);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; err == VT_OK && i < names.count; i++)
        if (strcmp(names.names[i], "lock") != 0)
            err = vt_err_detail(VT_EXISTS, "%s is not empty: there is %s", to->dir, names.names[i]);
    io_name_list_free(&names);
    return err;
}

/* The copy's history ends at its last commit, and so do those before it which went on beyond. */
static void
fork_add(struct superblock *superblock, const struct chain *chain)
{
    uint32_t *count = &superblock->fork_count;

    for (uint32_t i = 0; i < *count; i++)
        if (superblock->forks[i].number > chain->last_number) {
            superblock->forks[i].number = chain->last_number;
            superblock->forks[i].position = chain->last_position;
        }
    if (*count == SUPERBLOCK_FORKS_MAX) {
        memmove(superblock->forks, superblock->forks + 1,
                (SUPERBLOCK_FORKS_MAX - 1) * sizeof superblock->forks[0]);
        (*count)--;
    }
    superblock->forks[(*count)++] = (struct store_fork){
        .history = superblock->history,
        .number = chain->last_number,
        .position = chain->last_position,
    };
}

static vt_err
identity_make(struct restore *restore)
{
    struct superblock *superblock = &restore->to->superblock;
    uint64_t old = restore->from->superblock.history;
    vt_err err = VT_OK;

    *superblock = restore->from->superblock;
    superblock->flags &= ~SUPERBLOCK_COPY;
    fork_add(superblock, &restore->from->chain);
    while (err == VT_OK && superblock->history == old)
        err = io_random(restore->io, &superblock->history, sizeof superblock->history);
    restore->result.old_history = old;
    restore->result.history = superblock->history;
    return err;
}

/* Above any number that the old store may have used since the copy was made: starts are counted in
 * the low half, restores in the high one; a random part keeps two restores of one copy apart. */
static vt_err
start_make(struct restore *restore, uint64_t *out_start)
{
    uint64_t newest = manifest_get(restore->from->manifest)->start;
    uint32_t random = 0;
    vt_err err = io_random(restore->io, &random, sizeof random);

    if (newest >> 32 == UINT32_MAX)
        return vt_err_detail(VT_OVERFLOW, "%s: no start number is left", restore->from->dir);
    *out_start = ((newest >> 32) + 1) << 32 | random >> 1;
    return err;
}

static vt_err
segments_put(struct restore *restore)
{
    const struct manifest_state *state = manifest_get(restore->from->manifest);
    char dir[STORE_PATH_BYTES];
    vt_err err = VT_OK;

    store_path(restore->to, "segments", dir);
    err = io_make_dir(restore->io, dir);
    for (uint32_t i = 0; err == VT_OK && i < state->segment_count; i++) {
        char from[STORE_PATH_BYTES];
        char to[STORE_PATH_BYTES];
        const struct copy_file file = {restore->io, from, to};

        copy_segment_path(restore->from, &state->segments[i], from);
        copy_segment_path(restore->to, &state->segments[i], to);
        err = copy_segment(&file, &state->segments[i], restore->to->superblock.store);
        if (err == VT_NOT_FOUND)
            err = vt_err_detail(VT_DAMAGED, "%s at 0: the file is missing", from);
        restore->result.segments++;
        restore->result.bytes += state->segments[i].file_bytes;
    }
    return err == VT_OK ? io_sync_dir(restore->io, dir) : err;
}

/* Each commit in the place that it has. */
static vt_err
commits_put(struct restore *restore)
{
    const struct chain *chain = &restore->from->chain;
    struct store *to = restore->to;
    uint8_t *buffer = aligned_alloc(IO_ALIGN, to->superblock.commit_bytes_max);
    vt_err err = buffer == NULL ? VT_NOMEM : store_open_lanes(to, IO_OPEN_WRITE);

    for (uint32_t i = 0; err == VT_OK && i < chain->count; i++) {
        const struct commit_info *info = &chain->commits[i];

        err = chain_read(&restore->from->lanes, info, buffer);
        if (err == VT_OK)
            err = io_write_at(to->lane_files[info->lane], buffer, commit_padded(info->bytes),
                              info->offset);
        restore->result.commits++;
        restore->result.bytes += info->bytes;
    }
    for (uint32_t i = 0; err == VT_OK && i < to->lanes.lane_count; i++)
        err = io_sync(to->lane_files[i]);
    free(buffer);
    return err;
}

static vt_err
manifest_put(struct restore *restore)
{
    const struct chain *chain = &restore->from->chain;
    struct store *to = restore->to;
    struct manifest_state state = *manifest_get(restore->from->manifest);
    vt_err err = start_make(restore, &state.start);

    state.follows_number = chain->last_number;
    state.follows_check = chain->last_check;
    state.known_number = chain->last_number;
    if (err == VT_OK)
        err = manifest_create(restore->io, to->dir, to->superblock.store);
    if (err == VT_OK)
        err = store_open_manifest(to);
    return err == VT_OK ? manifest_replace(to->manifest, &state) : err;
}

static vt_err
store_put(struct restore *restore)
{
    struct store *to = restore->to;
    vt_err err = check_empty(to);

    if (err == VT_OK)
        err = identity_make(restore);
    if (err == VT_OK)
        err = store_write_superblock(to, "store.new");
    for (uint32_t i = 0; err == VT_OK && i < to->superblock.lane_count; i++)
        err = store_make_lane(to, i, true);
    if (err == VT_OK)
        err = segments_put(restore);
    if (err == VT_OK)
        err = commits_put(restore);
    if (err == VT_OK)
        err = manifest_put(restore);
    if (err == VT_OK)
        err = copy_extras(restore->io, restore->from->dir, to->dir);
    return err == VT_OK ? store_publish(to, "store.new", "store") : err;
}

vt_err
restore_run(struct io *io, const struct restore_options *options, struct restore_result *out_result)
{
    const struct store_options from = {.dir = options->from, .read_only = true};
    struct restore restore = {.io = io};
    vt_err err = store_open(io, &from, &restore.from);

    if (err == VT_OK && (restore.from->superblock.flags & SUPERBLOCK_COPY) == 0)
        err = vt_err_detail(VT_INVALID, "%s is a store and no copy", options->from);
    if (err == VT_OK)
        err = copy_store_new(io, options->dir, &restore.to);
    if (err == VT_OK)
        err = store_take_lock(restore.to, true);
    if (err == VT_OK)
        err = store_put(&restore);
    if (err == VT_OK) {
        restore.result.commit = restore.from->chain.last_number;
        restore.result.position = restore.from->chain.last_position;
        restore.result.arrival_us = restore.from->chain.last_arrival_us;
        *out_result = restore.result;
    }
    store_close(restore.from);
    store_close(restore.to);
    return err;
}

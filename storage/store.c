/*
 * store.c - the store behind storage.h: opening, the tail, sealing.
 *
 * Opening for writing, and why in this order:
 *   lock                 two processes never write one store
 *   superblock, manifest
 *   scan of the lanes    the chain's end
 *   settling the lanes   a commit that was read may be in a volatile cache only (its writer was
 *                        killed before the completion); what is built upon it must not outlive it
 *   start number + 1     durable, with the commit that it follows, before the first write
 *   sweep                of segment files that no manifest names: both copies are equal now
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"
#include "venturi/assert.h"

#define BUFFERS_DEFAULT    16U
#define READ_ONLY_TRIES    16
#define READ_ONLY_PAUSE_NS INT64_C(10000000)

void
store_path(const struct store *store, const char *name, char out_path[STORE_PATH_BYTES])
{
    int size = snprintf(out_path, STORE_PATH_BYTES, "%s/%s", store->dir, name);

    VT_ASSERT(size > 0 && size < STORE_PATH_BYTES);
}

void
store_edits_lock(const struct store *store)
{
    int failed = store->edits == NULL ? 0 : pthread_mutex_lock(store->edits);

    VT_ASSERT(failed == 0);
}

void
store_edits_unlock(const struct store *store)
{
    int failed = store->edits == NULL ? 0 : pthread_mutex_unlock(store->edits);

    VT_ASSERT(failed == 0);
}

struct chain_base
store_base(const struct store *store)
{
    const struct manifest_state *state = manifest_get(store->manifest);

    return (struct chain_base){
        .number = state->sealed.number,
        .check = state->sealed.check,
        .start = state->sealed.start,
        .position = state->sealed.position,
        .arrival_us = state->sealed.arrival_us,
        .last_start = state->start,
        .follows_number = state->follows_number,
        .follows_check = state->follows_check,
        .known_number = state->known_number,
        .copy = (store->superblock.flags & SUPERBLOCK_COPY) != 0,
    };
}

/* The directory that holds DIR's own name. */
static vt_err
sync_parent(struct store *store)
{
    char parent[STORE_DIR_BYTES_MAX + 1];
    size_t size = strlen(store->dir);

    memcpy(parent, store->dir, size + 1);
    while (size > 0 && parent[size - 1] != '/')
        size--;
    if (size == 0)
        return io_sync_dir(store->io, ".");
    parent[size > 1 ? size - 1 : 1] = '\0';
    return io_sync_dir(store->io, parent);
}

vt_err
store_try_lock(struct store *store)
{
    char path[STORE_PATH_BYTES];
    vt_err err = VT_OK;

    store_path(store, "lock", path);
    if (store->lock == NULL)
        err = io_open(store->io, path, IO_OPEN_WRITE, &store->lock);
    return err == VT_OK ? io_lock(store->lock) : err;
}

vt_err
store_take_lock(struct store *store, bool create)
{
    char path[STORE_PATH_BYTES];
    vt_err err;

    if (create) {
        err = io_make_dir(store->io, store->dir);
        if (err == VT_OK)
            err = sync_parent(store);
        if (err != VT_OK)
            return err;
    }
    store_path(store, "lock", path);
    err = io_open(store->io, path, IO_OPEN_WRITE, &store->lock);
    if (err == VT_NOT_FOUND && create)
        err = io_open(store->io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &store->lock);
    /* Two creators at once: the other one's file is as good. */
    if (err == VT_EXISTS)
        err = io_open(store->io, path, IO_OPEN_WRITE, &store->lock);
    if (err == VT_NOT_FOUND)
        return vt_err_detail(err, "there is no store in %s", store->dir);
    for (int i = 0; err == VT_OK; i++) {
        err = io_lock(store->lock);
        if (err != VT_LOCKED)
            return err;
        if (i == STORE_LOCK_TRIES)
            return vt_err_detail(err, "%s is held by another process", path);
        io_sleep(store->io, STORE_LOCK_WAIT_NS);
        err = VT_OK;
    }
    return err;
}

static vt_err
read_superblock(struct store *store, const struct store_options *options)
{
    char path[STORE_PATH_BYTES];
    vt_err err;

    store_path(store, "store", path);
    err = superblock_read(store->io, path, &store->superblock_bad, &store->superblock);
    if (err == VT_NOT_FOUND && options->create && !options->read_only)
        err = store_create(store, options);
    if (err == VT_NOT_FOUND)
        return vt_err_detail(err, "there is no store in %s", store->dir);
    if (err == VT_OK && !options->read_only && (store->superblock.flags & SUPERBLOCK_COPY) != 0)
        return vt_err_detail(VT_INVALID,
                             "%s is a second copy, which nothing but a backup writes; `venturi "
                             "restore` makes a store of it",
                             store->dir);
    if (err == VT_OK && store->superblock_bad != 0 && !options->read_only)
        err = store_heal_superblock(store);
    return err;
}

vt_err
store_open_lanes(struct store *store, uint32_t flags)
{
    for (uint32_t i = 0; i < store->superblock.lane_count; i++) {
        char name[16];
        char path[STORE_PATH_BYTES];

        (void)snprintf(name, sizeof name, "lane-%02u", i);
        store_path(store, name, path);
        vt_err err = io_open(store->io, path, flags, &store->lane_files[i]);

        if (err == VT_NOT_FOUND)
            return vt_err_detail(VT_DAMAGED, "%s at 0: the file is missing", path);
        if (err != VT_OK)
            return err;
    }
    store->lanes = (struct chain_lanes){
        .files = store->lane_files,
        .dir = store->dir,
        .store = store->superblock.store,
        .lane_bytes = store->superblock.lane_bytes,
        .lane_count = store->superblock.lane_count,
        .commit_bytes_max = store->superblock.commit_bytes_max,
    };
    return VT_OK;
}

vt_err
store_open_manifest(struct store *store)
{
    manifest_close(store->manifest);
    store->manifest = NULL;
    vt_err err = manifest_open(store->io, store->dir, store->superblock.store, &store->manifest);

    if (err == VT_OK)
        store->manifest_bad = manifest_bad_copies(store->manifest);
    return err;
}

/* Whether a daemon sealed or started between the last look at the manifest and now; looks again. */
static vt_err
manifest_moved(struct store *store, bool *out_moved)
{
    uint64_t sealed = manifest_get(store->manifest)->sealed.number;
    uint64_t start = manifest_get(store->manifest)->start;
    vt_err err = store_open_manifest(store);

    if (err != VT_OK)
        return err;
    *out_moved = manifest_get(store->manifest)->sealed.number != sealed ||
                 manifest_get(store->manifest)->start != start;
    return VT_OK;
}

/* One try to see a chain beside a running daemon; VT_AGAIN where it moved meanwhile.
 *
 * A lane that was read early may lack what a later one proves durable. So a chain that ends early
 * is read a second time: what the first pass proved was durable before the second began. */
static vt_err
scan_beside(struct store *store)
{
    struct chain_base base = store_base(store);
    bool moved;
    vt_err err = chain_scan(&store->lanes, &base, true, &store->chain);

    if (err != VT_OK)
        return err;
    uint64_t proven = store->chain.proven;

    if (store->chain.last_number < proven) {
        chain_deinit(&store->chain);
        err = chain_scan(&store->lanes, &base, true, &store->chain);
        if (err != VT_OK)
            return err;
    }
    err = manifest_moved(store, &moved);
    if (err == VT_OK && moved)
        err = VT_AGAIN;
    if (err == VT_OK && store->chain.last_number < proven)
        err = chain_missing(&store->chain, &store->lanes);
    if (err != VT_OK)
        chain_deinit(&store->chain);
    return err;
}

static vt_err
open_read_only(struct store *store)
{
    vt_err err = VT_AGAIN;

    for (int i = 0; err == VT_AGAIN && i < READ_ONLY_TRIES; i++) {
        if (i > 0)
            io_sleep(store->io, READ_ONLY_PAUSE_NS);
        err = scan_beside(store);
    }
    store->start = manifest_get(store->manifest)->start;
    return err;
}

/* On a full disk the new manifests take the place of a reserve, whose maker will ask for it
 * again. */
static vt_err
start_note(struct store *store)
{
    static const enum store_reserve reserves[] = {STORE_RESERVE_START, STORE_RESERVE_SEAL};
    uint64_t number = store->chain.last_number;
    vt_err err = manifest_start(store->manifest, store->start, number, store->chain.last_check);

    for (size_t i = 0; err == VT_FULL && i < VT_COUNT(reserves); i++) {
        err = store_reserve_give(store, store->io, reserves[i]);
        if (err != VT_OK)
            return err;
        vt_err_clear();
        err = manifest_start(store->manifest, store->start, number, store->chain.last_check);
    }
    return err;
}

static vt_err
open_to_write(struct store *store, const struct store_options *options)
{
    struct chain_base base = store_base(store);
    vt_err err = chain_scan(&store->lanes, &base, false, &store->chain);

    if (err == VT_OK)
        err = chain_settle(&store->chain, &store->lanes);
    if (err != VT_OK)
        return err;
    store->start = base.last_start + 1;
    if (store->start == 0)
        return vt_err_detail(VT_DAMAGED, "%s: the start number is used up", store->dir);
    err = start_note(store);
    if (err != VT_OK)
        return err;
    store_sweep(store);
    const struct log_options log_options = {
        .io = store->io,
        .lanes = &store->lanes,
        .chain = &store->chain,
        .start = store->start,
        .buffer_count = options->buffer_count == 0 ? BUFFERS_DEFAULT : options->buffer_count,
    };

    return log_open(&log_options, &store->log);
}

static vt_err
take_tail_memory(struct store *store)
{
    uint32_t records = 1;

    for (uint32_t i = 0; i < store->chain.count; i++)
        if (store->chain.commits[i].record_count > records)
            records = store->chain.commits[i].record_count;
    store->tail_data = aligned_alloc(IO_ALIGN, store->superblock.commit_bytes_max);
    store->tail_records = calloc(records, sizeof store->tail_records[0]);
    return store->tail_data == NULL || store->tail_records == NULL ? VT_NOMEM : VT_OK;
}

vt_err
store_open(struct io *io, const struct store_options *options, struct store **out_store)
{
    size_t size = strlen(options->dir);
    struct store *store;
    vt_err err = VT_OK;

    if (size == 0 || size > STORE_DIR_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "a store's directory has 1 to %d bytes",
                             STORE_DIR_BYTES_MAX);
    store = calloc(1, sizeof *store);
    if (store == NULL)
        return VT_NOMEM;
    if (pthread_mutex_init(&store->edits_lock, NULL) == 0)
        store->edits = &store->edits_lock;
    VT_ASSERT(store->edits != NULL);
    store->io = io;
    store->read_only = options->read_only;
    memcpy(store->dir, options->dir, size + 1);
    if (!options->read_only)
        err = store_take_lock(store, options->create);
    if (err == VT_OK)
        err = read_superblock(store, options);
    if (err == VT_OK)
        err = store_open_manifest(store);
    if (err == VT_OK)
        err = store_open_lanes(store,
                               IO_OPEN_DIRECT | (store->read_only ? IO_OPEN_READ : IO_OPEN_WRITE));
    if (err == VT_OK)
        err = options->read_only ? open_read_only(store) : open_to_write(store, options);
    if (err == VT_OK)
        err = take_tail_memory(store);
    if (err != VT_OK) {
        store_close(store);
        return err;
    }
    *out_store = store;
    return VT_OK;
}

/* Says in the manifest where the log ended, so that losing its last commits shows. */
static void
note_end(struct store *store)
{
    uint64_t last = log_last(store->log);

    if (log_failed(store->log) != VT_OK || log_durable(store->log) != last ||
        manifest_get(store->manifest)->known_number >= last)
        return;
    /* Without the note the next start is as after a crash, which is right too. */
    (void)!manifest_end(store->manifest, last);
}

void
store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->log != NULL) {
        note_end(store);
        log_close(store->log);
    }
    chain_deinit(&store->chain);
    manifest_close(store->manifest);
    for (uint32_t i = 0; i < STORE_LANES_MAX; i++)
        io_close_file(store->lane_files[i]);
    free(store->tail_data);
    free(store->tail_records);
    io_close_file(store->lock);
    if (store->edits != NULL)
        pthread_mutex_destroy(store->edits);
    free(store);
}

void
store_get_info(const struct store *store, struct store_info *out_info)
{
    const struct superblock *superblock = &store->superblock;
    const struct manifest_state *state = manifest_get(store->manifest);

    *out_info = (struct store_info){
        .store = superblock->store,
        .history = superblock->history,
        .fork_count = superblock->fork_count,
        .key = superblock->key,
        .partition_count = superblock->partition_count,
        .commit_bytes_max = superblock->commit_bytes_max,
        .lane_bytes = superblock->lane_bytes,
        .start = store->start,
        .sealed_commit = state->sealed.number,
        .sealed_position = state->sealed.position,
    };
    memcpy(out_info->secret, superblock->secret, sizeof out_info->secret);
    memcpy(out_info->forks, superblock->forks, sizeof out_info->forks);
}

vt_err
store_tail_next(struct store *store, struct log_commit *out_commit)
{
    if (store->tail_index == store->chain.count) {
        store->tail_done = true;
        return VT_END;
    }
    const struct commit_info *info = &store->chain.commits[store->tail_index];
    vt_err err = chain_read(&store->lanes, info, store->tail_data);

    if (err == VT_AGAIN && !store->read_only)
        err = VT_DAMAGED;
    if (err == VT_AGAIN || err == VT_DAMAGED)
        return vt_err_detail(err, "%s/lane-%02u at %" PRIu64 ": commit %" PRIu64 " has changed",
                             store->dir, info->lane, info->offset, info->number);
    if (err != VT_OK)
        return err;
    commit_records(store->tail_data, store->tail_records);
    *out_commit = (struct log_commit){
        .number = info->number,
        .start = info->start,
        .first_position = info->first_position,
        .arrival_us = info->arrival_us,
        .event_count = info->event_count,
        .record_count = info->record_count,
        .bytes = info->bytes,
        .flags = info->flags,
        .records = store->tail_records,
    };
    store->tail_index++;
    return VT_OK;
}

struct log *
store_log(struct store *store)
{
    return store->tail_done ? store->log : NULL;
}

struct vt_bytes
store_state(const struct store *store)
{
    const struct manifest_state *state = manifest_get(store->manifest);

    return (struct vt_bytes){state->state, state->state_bytes};
}

int64_t
store_sealed_arrival(const struct store *store)
{
    return manifest_get(store->manifest)->sealed.arrival_us;
}

vt_err
store_seal_prepare(const struct store *store, struct store_seal *seal)
{
    struct log_mark mark;

    if (store->log == NULL || seal->cut > log_durable(store->log) ||
        log_mark_of(store->log, seal->cut, &mark) != VT_OK)
        return vt_err_detail(VT_INVALID, "commit %" PRIu64 " is not durable or is sealed",
                             seal->cut);
    if (seal->last_position != mark.last_position || seal->arrival_us != mark.arrival_us)
        return vt_err_detail(VT_INVALID, "a seal's position or arrival is not that of its cut");
    seal->check = mark.check;
    seal->start = mark.start;
    return VT_OK;
}

static vt_err
check_seal(const struct store *store, const struct store_seal *seal)
{
    if (seal->state.size > STORE_STATE_BYTES_MAX)
        return vt_err_detail(VT_TOO_LARGE, "the engine's state has %" PRIu64 " bytes",
                             seal->state.size);
    for (uint32_t i = 0; i < seal->segment_count; i++) {
        const struct store_segment *segment = &seal->segments[i];

        if (segment->id.cut != seal->cut || segment->id.level != 0 ||
            segment->id.store != store->superblock.store ||
            segment->id.partition >= store->superblock.partition_count)
            return vt_err_detail(VT_INVALID, "a seal's segment is not of its cut");
    }
    return VT_OK;
}

vt_err
store_seal_write(struct store *store, const struct store_seal *seal)
{
    struct manifest_seal edit = {
        .cut =
            {
                .number = seal->cut,
                .position = seal->last_position,
                .arrival_us = seal->arrival_us,
                .check = seal->check,
                .start = seal->start,
            },
        .segment_count = seal->segment_count,
        .state = seal->state,
    };
    vt_err err = check_seal(store, seal);

    if (err != VT_OK)
        return err;
    struct manifest_segment *segments = calloc((size_t)seal->segment_count + 1, sizeof *segments);

    if (segments == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < seal->segment_count; i++)
        segments[i] = store_segment_named(&seal->segments[i]);
    edit.segments = segments;
    store_edits_lock(store);
    err = manifest_seal(store->manifest, &edit);
    store_edits_unlock(store);
    free(segments);
    return err;
}

void
store_seal_release(struct store *store, uint64_t cut)
{
    log_release(store->log, cut);
}

vt_err
store_seal_commit(struct store *store, const struct store_seal *seal)
{
    struct store_seal whole = *seal;
    vt_err err = store_seal_prepare(store, &whole);

    if (err == VT_OK)
        err = store_seal_write(store, &whole);
    if (err == VT_OK)
        store_seal_release(store, seal->cut);
    return err;
}

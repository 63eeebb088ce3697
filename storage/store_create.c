/*
 * store_create.c - makes a store. The order is what makes it crash-safe:
 *
 *   store.new, durable with its name    from here on "unfinished" is written down
 *   lanes in full, manifest, segments/  all durable
 *   store.new -> store                  from here on there is a store
 *
 * A directory with lanes or manifests but neither of the two has lost its superblock: nothing there
 * may be overwritten.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"
#include "venturi/assert.h"

#define FILL_BYTES_MAX     (UINT64_C(1) << 20)
#define PARTITIONS_DEFAULT 16U
#define LANES_DEFAULT      4U
#define LANE_BYTES_DEFAULT (UINT64_C(64) << 20)
#define COMMIT_DEFAULT     (UINT32_C(2) << 20)

bool
store_name_exists(struct store *store, const char *name)
{
    char path[STORE_PATH_BYTES];
    struct io_file *file;

    store_path(store, name, path);
    if (io_open(store->io, path, IO_OPEN_READ, &file) != VT_OK)
        return false;
    io_close_file(file);
    return true;
}

static vt_err
unlink_name(struct store *store, const char *name)
{
    char path[STORE_PATH_BYTES];

    store_path(store, name, path);
    vt_err err = io_unlink(store->io, path);

    return err == VT_NOT_FOUND ? VT_OK : err;
}

static vt_err
write_zeros(struct io_file *file, const uint8_t *zeros, uint64_t part, uint64_t bytes)
{
    vt_err err = VT_OK;

    for (uint64_t at = 0; err == VT_OK && at < bytes; at += part) {
        uint64_t left = bytes - at;

        err = io_write_at(file, zeros, left < part ? left : part, at);
    }
    return err;
}

vt_err
store_make_lane(struct store *store, uint32_t lane, bool full)
{
    uint64_t bytes = store->superblock.lane_bytes;
    uint64_t part = bytes < FILL_BYTES_MAX ? bytes : FILL_BYTES_MAX;
    uint8_t *zeros = aligned_alloc(IO_ALIGN, part);
    struct io_file *file = NULL;
    char name[16];
    char path[STORE_PATH_BYTES];

    if (zeros == NULL)
        return VT_NOMEM;
    memset(zeros, 0, part);
    (void)snprintf(name, sizeof name, "lane-%02u", lane);
    store_path(store, name, path);
    vt_err err = unlink_name(store, name);

    if (err == VT_OK)
        err = io_open(store->io, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, &file);
    if (err == VT_OK)
        err = full ? write_zeros(file, zeros, part, bytes) : io_truncate(file, bytes);
    if (err == VT_OK)
        err = io_sync(file);
    io_close_file(file);
    free(zeros);
    return err;
}

static vt_err
draw(struct store *store, const struct store_options *options)
{
    struct superblock *superblock = &store->superblock;
    vt_err err = VT_OK;

    *superblock = (struct superblock){
        .partition_count =
            options->partition_count == 0 ? PARTITIONS_DEFAULT : options->partition_count,
        .lane_count = options->lane_count == 0 ? LANES_DEFAULT : options->lane_count,
        .lane_bytes = options->lane_bytes == 0 ? LANE_BYTES_DEFAULT : options->lane_bytes,
        .commit_bytes_max =
            options->commit_bytes_max == 0 ? COMMIT_DEFAULT : options->commit_bytes_max,
    };
    while (err == VT_OK && superblock->store == 0)
        err = io_random(store->io, &superblock->store, sizeof superblock->store);
    if (err == VT_OK)
        err = io_random(store->io, &superblock->history, sizeof superblock->history);
    if (err == VT_OK)
        err = io_random(store->io, &superblock->key, sizeof superblock->key);
    if (err == VT_OK)
        err = io_random(store->io, superblock->secret, sizeof superblock->secret);
    return err == VT_OK ? superblock_check(superblock) : err;
}

vt_err
store_publish(struct store *store, const char *from, const char *to)
{
    char from_path[STORE_PATH_BYTES];
    char to_path[STORE_PATH_BYTES];

    store_path(store, from, from_path);
    store_path(store, to, to_path);
    vt_err err = io_rename(store->io, from_path, to_path);

    return err == VT_OK ? io_sync_dir(store->io, store->dir) : err;
}

vt_err
store_write_superblock(struct store *store, const char *name)
{
    char path[STORE_PATH_BYTES];

    store_path(store, "store.tmp", path);
    vt_err err = unlink_name(store, "store.tmp");

    if (err == VT_OK)
        err = superblock_write(store->io, path, &store->superblock);
    return err == VT_OK ? store_publish(store, "store.tmp", name) : err;
}

vt_err
store_create(struct store *store, const struct store_options *options)
{
    char segments[STORE_PATH_BYTES];
    vt_err err;

    if (!store_name_exists(store, "store.new") &&
        (store_name_exists(store, "manifest-0") || store_name_exists(store, "manifest-1") ||
         store_name_exists(store, "lane-00")))
        return vt_err_detail(VT_DAMAGED,
                             "%s/store at 0: the superblock is missing, but the rest "
                             "of a store is there",
                             store->dir);
    err = draw(store, options);
    if (err == VT_OK)
        err = store_write_superblock(store, "store.new");
    for (uint32_t i = 0; err == VT_OK && i < store->superblock.lane_count; i++)
        err = store_make_lane(store, i, true);
    store_path(store, "segments", segments);
    if (err == VT_OK)
        err = io_make_dir(store->io, segments);
    if (err == VT_OK)
        err = io_sync_dir(store->io, store->dir);
    if (err == VT_OK)
        err = manifest_create(store->io, store->dir, store->superblock.store);
    return err == VT_OK ? store_publish(store, "store.new", "store") : err;
}

vt_err
store_heal_superblock(struct store *store)
{
    return store_write_superblock(store, "store");
}

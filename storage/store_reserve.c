/*
 * store_reserve.c - space that is kept: files that have blocks and no content. Their names need not
 * be durable: a start that finds none makes others.
 */
#include "store_internal.h"

static void
reserve_path(const struct store *store, enum store_reserve which, char path[STORE_PATH_BYTES])
{
    store_path(store, which == STORE_RESERVE_SEAL ? "reserve" : "reserve.start", path);
}

vt_err
store_reserve_give(struct store *store, struct io *io, enum store_reserve which)
{
    char path[STORE_PATH_BYTES];

    reserve_path(store, which, path);
    vt_err err = io_unlink(io, path);

    if (err != VT_OK)
        return err == VT_NOT_FOUND ? VT_OK : err;
    /* Journals give freed blocks out again only when the unlink is committed. */
    return io_sync_dir(io, store->dir);
}

/* Opens or makes it. */
static vt_err
reserve_open(struct io *io, const char *path, struct io_file **out_file)
{
    vt_err err = io_open(io, path, IO_OPEN_WRITE, out_file);

    return err == VT_NOT_FOUND ? io_open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, out_file) : err;
}

vt_err
store_reserve_take(struct store *store, struct io *io, enum store_reserve which, uint64_t bytes)
{
    char path[STORE_PATH_BYTES];
    struct io_file *file = NULL;

    reserve_path(store, which, path);
    vt_err err = reserve_open(io, path, &file);

    if (err != VT_OK)
        return err;
    err = io_allocate(file, bytes);
    io_close_file(file);
    if (err != VT_FULL)
        return err;
    /* A part of it helps nobody. */
    vt_err ignored = store_reserve_give(store, io, which);

    (void)ignored;
    return err;
}

vt_err
store_free_bytes(const struct store *store, struct io *io, uint64_t *out_bytes)
{
    return io_free_bytes(io, store->dir, out_bytes);
}

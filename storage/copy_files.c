/*
 * copy_files.c - see copy_internal.h: whole files, copied under another name, checked there, and
 * only then renamed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy_internal.h"
#include "venturi/assert.h"

#define PIECE_BYTES (UINT64_C(1) << 20)

/* What venturid keeps beside the store; see net/token.h. The clear text of the first token stays
 * where it is. */
static const char *const extras[] = {"tokens"};

static struct segment_id
id_of(const struct manifest_segment *segment, uint64_t store)
{
    return (struct segment_id){
        .store = store,
        .cut = segment->cut,
        .first_position = segment->first_position,
        .last_position = segment->last_position,
        .partition = segment->partition,
        .level = segment->level,
    };
}

void
copy_segment_path(const struct store *store, const struct manifest_segment *segment,
                  char out_path[STORE_PATH_BYTES])
{
    struct segment_id id = id_of(segment, store->superblock.store);

    store_segment_path(store, &id, out_path);
}

bool
copy_segment_equal(const struct manifest_segment *a, const struct manifest_segment *b)
{
    return a->cut == b->cut && a->partition == b->partition &&
           a->first_position == b->first_position && a->last_position == b->last_position &&
           a->file_bytes == b->file_bytes && a->level == b->level && a->check == b->check;
}

vt_err
copy_segment_check(struct io *io, const char *path, const struct manifest_segment *named,
                   uint64_t store)
{
    struct segment_id id = id_of(named, store);
    struct segment *segment = NULL;
    vt_err err = segment_open(io, path, &id, &segment);

    if (err == VT_OK && named->check != 0 && named->check != segment_check(segment))
        err = vt_err_detail(VT_DAMAGED, "%s: offset 0: it is not the file that the manifest names",
                            path);
    if (err == VT_OK)
        err = segment_verify(segment);
    segment_close(segment);
    return err;
}

/* All of an open file into a new one, synced. */
static vt_err
bytes_copy(struct io_file *from, struct io_file *to)
{
    uint8_t *piece = malloc(PIECE_BYTES);
    uint64_t bytes = 0;
    vt_err err = piece == NULL ? VT_NOMEM : io_size(from, &bytes);

    for (uint64_t at = 0; err == VT_OK && at < bytes; at += PIECE_BYTES) {
        uint64_t size = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;

        err = io_read_at(from, piece, size, at);
        if (err == VT_OK)
            err = io_write_at(to, piece, size, at);
    }
    free(piece);
    return err == VT_OK ? io_sync(to) : err;
}

/* A file under a name for the time being. */
static vt_err
part_copy(const struct copy_file *file, const char *part)
{
    struct io_file *from = NULL;
    struct io_file *to = NULL;
    vt_err err = io_unlink(file->io, part);

    if (err == VT_NOT_FOUND)
        err = VT_OK;
    if (err == VT_OK)
        err = io_open(file->io, file->from, IO_OPEN_READ, &from);
    if (err == VT_OK)
        err = io_open(file->io, part, IO_OPEN_WRITE | IO_OPEN_CREATE, &to);
    if (err == VT_OK)
        err = bytes_copy(from, to);
    io_close_file(from);
    io_close_file(to);
    return err;
}

static void
part_path(const char *path, char out_part[STORE_PATH_BYTES + sizeof STORE_PART_SUFFIX])
{
    int size = snprintf(out_part, STORE_PATH_BYTES + sizeof STORE_PART_SUFFIX,
                        "%s" STORE_PART_SUFFIX, path);

    VT_ASSERT(size > 0 && (size_t)size < STORE_PATH_BYTES + sizeof STORE_PART_SUFFIX);
}

vt_err
copy_segment(const struct copy_file *file, const struct manifest_segment *segment, uint64_t store)
{
    char part[STORE_PATH_BYTES + sizeof STORE_PART_SUFFIX];

    part_path(file->to, part);
    vt_err err = part_copy(file, part);

    if (err == VT_OK)
        err = copy_segment_check(file->io, part, segment, store);
    if (err == VT_OK)
        return io_rename(file->io, part, file->to);
    vt_err ignored = io_unlink(file->io, part); /* else the next round does it */

    (void)ignored;
    if (err < VT_BAD_MAGIC || err > VT_DAMAGED)
        return err;
    /* Bad bytes arrived: were they so, or did they become so on their way? */
    vt_err_clear();
    err = copy_segment_check(file->io, file->from, segment, store);
    return err != VT_OK ? err
                        : vt_err_detail(VT_IO, "%s reads differently from what was written", part);
}

/* Files of a few lines that others replace whole. */
static vt_err
extra_copy(struct io *io, const char *from, const char *to)
{
    char part[STORE_PATH_BYTES + sizeof STORE_PART_SUFFIX];
    const struct copy_file file = {io, from, to};

    part_path(to, part);
    vt_err err = part_copy(&file, part);

    if (err == VT_NOT_FOUND)
        return VT_OK;
    return err == VT_OK ? io_rename(io, part, to) : err;
}

vt_err
copy_extras(struct io *io, const char *from, const char *to)
{
    vt_err err = VT_OK;

    for (size_t i = 0; err == VT_OK && i < VT_COUNT(extras); i++) {
        char from_path[STORE_PATH_BYTES];
        char to_path[STORE_PATH_BYTES];
        int from_size = snprintf(from_path, sizeof from_path, "%s/%s", from, extras[i]);
        int to_size = snprintf(to_path, sizeof to_path, "%s/%s", to, extras[i]);

        VT_ASSERT(from_size > 0 && from_size < STORE_PATH_BYTES);
        VT_ASSERT(to_size > 0 && to_size < STORE_PATH_BYTES);
        err = extra_copy(io, from_path, to_path);
    }
    return err == VT_OK ? io_sync_dir(io, to) : err;
}

vt_err
copy_store_new(struct io *io, const char *dir, struct store **out_store)
{
    size_t size = strlen(dir);

    if (size == 0 || size > STORE_DIR_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "a store's directory has 1 to %d bytes",
                             STORE_DIR_BYTES_MAX);
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL)
        return VT_NOMEM;
    store->io = io;
    memcpy(store->dir, dir, size + 1);
    *out_store = store;
    return VT_OK;
}

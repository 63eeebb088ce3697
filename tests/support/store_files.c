/* store_files.c - see store_files.h. */
#include "store_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_rig.h"
#include "storage/manifest_format.h"
#include "storage/segment_format.h"
#include "storage/store_internal.h"
#include "venturi/assert.h"

#define COPY_BYTES 4096U

static struct store_file *
file_add(struct store_files *files, const char *path)
{
    VT_ASSERT(files->count < STORE_FILES_MAX);
    struct store_file *file = &files->files[files->count++];

    (void)snprintf(file->path, sizeof file->path, "%s", path);
    engine_rig_check(io_open(files->io, path, IO_OPEN_WRITE, &file->file), path);
    engine_rig_check(io_size(file->file, &file->size), path);
    file->bytes = malloc(file->size + 1);
    file->part = malloc((file->size + 1) * sizeof file->part[0]);
    VT_ASSERT(file->bytes != NULL && file->part != NULL);
    engine_rig_check(io_read_at(file->file, file->bytes, file->size, 0), path);
    for (uint64_t i = 0; i < file->size; i++)
        file->part[i] = UINT64_MAX;
    return file;
}

static void
mark(struct store_file *file, uint64_t from, uint64_t to)
{
    VT_ASSERT(from <= to && to <= file->size);
    for (uint64_t i = from; i < to; i++) {
        VT_ASSERT(file->part[i] == UINT64_MAX);
        file->part[i] = from;
    }
}

static void
mark_edits(struct store_file *file)
{
    for (uint64_t at = 0; at < file->size;) {
        uint64_t payload = vt_load64(file->bytes + at + 40);
        uint64_t bytes =
            (payload + 2 * MANIFEST_EDIT_BYTES - 1) / MANIFEST_EDIT_BYTES * MANIFEST_EDIT_BYTES;

        mark(file, at, at + bytes);
        at += bytes;
    }
}

static void
mark_segment(struct store_files *files, struct store_file *file)
{
    uint64_t trailer = file->size - sizeof(struct segment_trailer);
    struct segment *segment;
    struct chunk_info info;

    engine_rig_check(segment_open(files->io, file->path, NULL, &segment), file->path);
    mark(file, 0, sizeof(struct segment_header));
    for (uint32_t i = 0; i < segment_chunk_count(segment); i++) {
        segment_chunk_at(segment, i, &info);
        mark(file, info.offset, info.offset + info.stored_bytes);
    }
    uint64_t directory =
        trailer - segment_chunk_count(segment) * (uint64_t)sizeof(struct segment_entry);

    mark(file, directory, trailer);
    mark(file, trailer, file->size);
    for (uint64_t at = 0; at < file->size; at++)
        if (file->part[at] == UINT64_MAX)
            file->part[at] = at;
    segment_close(segment);
}

static void
lanes_add(struct store_files *files, const struct store *store)
{
    char path[256];

    for (uint32_t lane = 0; lane < store->lanes.lane_count; lane++) {
        (void)snprintf(path, sizeof path, "%s/lane-%02u", store->dir, lane);
        struct store_file *file = file_add(files, path);

        for (uint32_t i = 0; i < store->chain.count; i++) {
            const struct commit_info *info = &store->chain.commits[i];

            if (info->lane == lane)
                mark(file, info->offset, info->offset + commit_padded(info->bytes));
        }
    }
}

void
store_files_open(struct io *io, const char *dir, struct store_files *out_files)
{
    const struct store_options options = {.dir = dir, .read_only = true};
    struct store *store;
    struct store_segment segment;
    char path[256];

    *out_files = (struct store_files){.io = io};
    engine_rig_check(store_open(io, &options, &store), "store_open");
    (void)snprintf(path, sizeof path, "%s/store", dir);
    struct store_file *file = file_add(out_files, path);

    for (uint64_t at = 0; at < file->size; at += COPY_BYTES)
        mark(file, at, at + COPY_BYTES);
    for (uint32_t copy = 0; copy < 2; copy++) {
        (void)snprintf(path, sizeof path, "%s/manifest-%u", dir, copy);
        mark_edits(file_add(out_files, path));
    }
    lanes_add(out_files, store);
    for (uint32_t i = 0; i < store_segment_count(store); i++) {
        store_segment_at(store, i, &segment);
        mark_segment(out_files, file_add(out_files, segment.path));
    }
    store_close(store);
}

void
store_files_close(struct store_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        io_close_file(files->files[i].file);
        free(files->files[i].bytes);
        free(files->files[i].part);
    }
    files->count = 0;
}

void
store_file_write(const struct store_file *file, struct vt_bytes bytes, uint64_t at)
{
    engine_rig_check(io_write_at(file->file, bytes.data, bytes.size, at), file->path);
    engine_rig_check(io_sync(file->file), file->path);
}

void
store_file_restore(const struct store_file *file)
{
    uint64_t size;

    engine_rig_check(io_size(file->file, &size), file->path);
    if (size != file->size)
        engine_rig_check(io_truncate(file->file, file->size), file->path);
    store_file_write(file, (struct vt_bytes){file->bytes, file->size}, 0);
}

#include "segment_internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "codec_scan.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define MIN_FILE_BYTES (sizeof(struct segment_header) + sizeof(struct segment_trailer))

vt_err
segment_damaged(const struct segment *segment, uint64_t offset, vt_err reason, const char *what)
{
    return vt_err_detail(reason == VT_BAD_VERSION ? VT_BAD_VERSION : VT_DAMAGED,
                         "%s: offset %llu: %s: %s", segment->path, (unsigned long long)offset, what,
                         vt_err_text(reason));
}

static struct io_file *
file_of(const struct segment *segment)
{
    return atomic_load_explicit(&segment->files->now, memory_order_acquire);
}

vt_err
segment_bytes_read(const struct segment *segment, void *out, uint64_t size, uint64_t offset)
{
    if (size == 0)
        return VT_OK;
    vt_err err = io_read_at(file_of(segment), out, size, offset);

    if (err == VT_END)
        return segment_damaged(segment, offset, VT_BAD_LENGTH, "the file became shorter");
    if (err != VT_OK)
        return vt_err_detail(err, "%s: offset %llu: %s", segment->path, (unsigned long long)offset,
                             vt_err_text(err));
    return VT_OK;
}

vt_err
segment_ends_read(struct segment *segment, const struct segment_id *id)
{
    struct segment_header header;
    struct segment_trailer trailer;
    vt_err err = io_size(file_of(segment), &segment->file_bytes);

    if (err != VT_OK)
        return vt_err_detail(err, "%s: %s", segment->path, vt_err_text(err));
    if (segment->file_bytes < MIN_FILE_BYTES)
        return segment_damaged(segment, segment->file_bytes, VT_BAD_LENGTH,
                               "the file is too short");
    err = segment_bytes_read(segment, &header, sizeof header, 0);
    if (err != VT_OK)
        return err;
    err = segment_header_check(&header, id);
    if (err != VT_OK)
        return segment_damaged(segment, 0, err, "header");
    segment_header_id(&header, &segment->id);
    segment->seed = segment_seed(&header);

    uint64_t offset = segment->file_bytes - sizeof trailer;

    err = segment_bytes_read(segment, &trailer, sizeof trailer, offset);
    if (err != VT_OK)
        return err;
    err = segment_trailer_check(&trailer, segment->seed, segment->file_bytes, &segment->extent);
    return err == VT_OK ? VT_OK : segment_damaged(segment, offset, err, "trailer");
}

/* Its size is within the file's, which the trailer's check saw to. */
vt_err
segment_directory_read(struct segment *segment)
{
    const struct segment_extent *extent = &segment->extent;
    uint64_t size = (uint64_t)extent->chunk_count * sizeof *segment->entries;
    struct chunk_info before = {0};
    struct chunk_info info;

    segment->entries = malloc(size + 1); /* never none */
    if (segment->entries == NULL)
        return VT_NOMEM;
    vt_err err = segment_bytes_read(segment, segment->entries, size, extent->directory_offset);

    if (err != VT_OK)
        return err;
    if (vt_crc32c_more(segment->seed, segment->entries, size) != extent->directory_crc)
        return segment_damaged(segment, extent->directory_offset, VT_BAD_CRC, "directory");
    for (uint32_t i = 0; i < extent->chunk_count; i++) {
        uint64_t offset = extent->directory_offset + (uint64_t)i * sizeof *segment->entries;

        err = segment_entry_check(&segment->entries[i], extent->directory_offset);
        if (err != VT_OK)
            return segment_damaged(segment, offset, err, "directory entry");
        segment_entry_info(&segment->entries[i], &info);
        if (i > 0 && segment_key_compare(&before.key, &info.key) >= 0)
            return segment_damaged(segment, offset, VT_BAD_FORMAT, "directory order");
        before = info;
    }
    return VT_OK;
}

static vt_err
files_open(struct io *io, const char *path, struct segment_files **out_files)
{
    struct segment_files *files = calloc(1, sizeof *files);
    struct io_file *file = NULL;

    if (files == NULL)
        return VT_NOMEM;
    vt_err err = io_open(io, path, IO_OPEN_READ, &file);

    if (err != VT_OK) {
        free(files);
        return err;
    }
    atomic_store_explicit(&files->now, file, memory_order_relaxed);
    pthread_mutex_init(&files->lock, NULL);
    *out_files = files;
    return VT_OK;
}

static void
files_close(struct segment_files *files)
{
    if (files == NULL)
        return;
    io_close_file(atomic_load_explicit(&files->now, memory_order_relaxed));
    for (uint32_t i = 0; i < files->before_count; i++)
        io_close_file(files->before[i]);
    pthread_mutex_destroy(&files->lock);
    free(files);
}

vt_err
segment_open(struct io *io, const char *path, const struct segment_id *id,
             struct segment **out_segment)
{
    vt_err err;

    if (strlen(path) >= SEGMENT_PATH_BYTES)
        return vt_err_detail(VT_INVALID, "%s: the path is too long", path);
    struct segment *segment = calloc(1, sizeof *segment);

    if (segment == NULL)
        return VT_NOMEM;
    segment->io = io;
    memcpy(segment->path, path, strlen(path) + 1);
    err = files_open(io, path, &segment->files);
    if (err == VT_OK)
        err = segment_ends_read(segment, id);
    if (err == VT_OK)
        err = segment_directory_read(segment);
    if (err != VT_OK) {
        segment_close(segment);
        return err;
    }
    *out_segment = segment;
    return VT_OK;
}

void
segment_close(struct segment *segment)
{
    if (segment == NULL)
        return;
    if (segment->guard.closed != NULL)
        segment->guard.closed(segment->guard.context, segment);
    files_close(segment->files);
    free(segment->entries);
    free(segment);
}

void
segment_set_guard(struct segment *segment, const struct segment_guard *guard)
{
    segment->guard = *guard;
}

const struct segment_id *
segment_identity(const struct segment *segment)
{
    return &segment->id;
}

uint32_t
segment_check(const struct segment *segment)
{
    return segment->extent.check;
}

const char *
segment_path(const struct segment *segment)
{
    return segment->path;
}

uint32_t
segment_chunk_count(const struct segment *segment)
{
    return segment->extent.chunk_count;
}

void
segment_chunk_at(const struct segment *segment, uint32_t index, struct chunk_info *out_info)
{
    VT_ASSERT(index < segment->extent.chunk_count);
    segment_entry_info(&segment->entries[index], out_info);
}

vt_err
segment_find(const struct segment *segment, struct chunk_key key, struct chunk_info *out_info)
{
    uint32_t low = 0;
    uint32_t high = segment->extent.chunk_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct chunk_info info;

        segment_entry_info(&segment->entries[middle], &info);
        int order = segment_key_compare(&key, &info.key);

        if (order == 0) {
            *out_info = info;
            return VT_OK;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return VT_NOT_FOUND;
}

/* The stored bytes of a chunk into `out`, checked. */
static vt_err
stored_read(const struct segment *segment, const struct chunk_info *info, uint8_t *out)
{
    VT_ASSERT(info->offset <= segment->extent.directory_offset);
    VT_ASSERT(info->stored_bytes <= segment->extent.directory_offset - info->offset);
    vt_err err = segment_bytes_read(segment, out, info->stored_bytes, info->offset);

    if (err != VT_OK)
        return err;
    uint32_t seed = segment_chunk_seed(segment->seed, &info->key);

    if (vt_crc32c_more(seed, out, info->stored_bytes) != info->stored_crc)
        return segment_damaged(segment, info->offset, VT_BAD_CRC, "stored bytes of a chunk");
    return VT_OK;
}

/* The same into memory of its own; the caller frees it. */
static vt_err
stored_take(const struct segment *segment, const struct chunk_info *info, uint8_t **out_stored)
{
    uint8_t *stored = malloc((size_t)info->stored_bytes + 1); /* never none */

    if (stored == NULL)
        return VT_NOMEM;
    vt_err err = stored_read(segment, info, stored);

    if (err != VT_OK) {
        free(stored);
        return err;
    }
    *out_stored = stored;
    return VT_OK;
}

static vt_err
integers_read(const struct segment *segment, const struct chunk_info *info, int64_t *out_values)
{
    uint32_t crc = segment_chunk_seed(segment->seed, &info->key);
    uint8_t *stored;

    if (!codec_is_integer(info->codec))
        return segment_damaged(segment, info->offset, VT_BAD_FORMAT,
                               "a chunk that is not of integers");
    vt_err err = stored_take(segment, info, &stored);

    if (err != VT_OK)
        return err;
    err = codec_decode_integers(info->codec, (struct vt_bytes){stored, info->stored_bytes},
                                info->count, out_values, &crc);
    free(stored);
    if (err != VT_OK)
        return segment_damaged(segment, info->offset, err, "a chunk of integers");
    if (crc != info->decoded_crc)
        return segment_damaged(segment, info->offset, VT_BAD_CRC, "integers of a chunk");
    return VT_OK;
}

static vt_err
chunk_bytes_read(const struct segment *segment, const struct chunk_info *info, uint8_t *out_bytes)
{
    uint32_t seed = segment_chunk_seed(segment->seed, &info->key);
    uint8_t *stored;
    vt_err err;

    if (!codec_is_bytes(info->codec))
        return segment_damaged(segment, info->offset, VT_BAD_FORMAT,
                               "a chunk that is not of bytes");
    VT_ASSERT(info->codec != CODEC_RAW || info->stored_bytes == info->count); /* since open */
    if (info->codec == CODEC_RAW) { /* straight to where they are wanted */
        err = stored_read(segment, info, out_bytes);
        if (err != VT_OK)
            return err;
    } else {
        err = stored_take(segment, info, &stored);
        if (err != VT_OK)
            return err;
        err = codec_decode_bytes(info->codec, (struct vt_bytes){stored, info->stored_bytes},
                                 info->count, out_bytes);
        free(stored);
        if (err != VT_OK)
            return segment_damaged(segment, info->offset, err, "a chunk of bytes");
    }
    if (vt_crc32c_more(seed, out_bytes, info->count) != info->decoded_crc)
        return segment_damaged(segment, info->offset, VT_BAD_CRC, "bytes of a chunk");
    return VT_OK;
}

uint32_t
segment_part_seed(const struct segment *segment, struct chunk_key key, uint32_t part)
{
    return segment_part_seed_of(segment->seed, &key, part);
}

vt_err
segment_part_damaged(const struct segment *segment, const struct chunk_info *info, uint64_t offset,
                     vt_err reason)
{
    return segment_damaged(segment, info->offset + offset, reason, "a part of a chunk");
}

vt_err
segment_read_part(const struct segment *segment, const struct chunk_info *info, uint64_t offset,
                  struct segment_part *part)
{
    if (info->codec != CODEC_RAW || offset > info->count || part->bytes > info->count - offset)
        return segment_part_damaged(segment, info, 0, VT_BAD_LENGTH);
    return segment_bytes_read(segment, part->buffer, part->bytes, info->offset + offset);
}

vt_err
segment_plan_part(const struct segment *segment, const struct chunk_info *info, uint64_t offset,
                  const struct segment_part *part, struct io_read *out_read)
{
    if (info->codec != CODEC_RAW || offset > info->count || part->bytes > info->count - offset)
        return segment_part_damaged(segment, info, 0, VT_BAD_LENGTH);
    *out_read = (struct io_read){.file = file_of(segment),
                                 .buffer = part->buffer,
                                 .offset = info->offset + offset,
                                 .bytes = part->bytes};
    return VT_OK;
}

static vt_err
zone_check(const struct segment *segment, const struct chunk_info *info, const int64_t *values)
{
    struct scan_span span = scan_span(values, info->count);

    if (span.min == info->min && span.max == info->max)
        return VT_OK;
    return segment_damaged(segment, info->offset, VT_BAD_FORMAT, "the zone map of a chunk");
}

vt_err
segment_ask_guard(const struct segment *segment, const struct chunk_info *chunk, vt_err err)
{
    if ((err != VT_DAMAGED && err != VT_IO) || segment->guard.damaged == NULL)
        return err;
    return segment->guard.damaged(segment->guard.context, segment, chunk, err);
}

/* Whether a read is to be made again; else *err is its result. */
static bool
again(const struct segment *segment, const struct chunk_info *info, vt_err *err)
{
    *err = segment_ask_guard(segment, info, *err);
    return *err == VT_AGAIN;
}

vt_err
segment_read_integers(const struct segment *segment, const struct chunk_info *info,
                      int64_t *out_values)
{
    vt_err err;

    do
        err = integers_read(segment, info, out_values);
    while (again(segment, info, &err));
    return err;
}

vt_err
segment_read_bytes(const struct segment *segment, const struct chunk_info *info, uint8_t *out_bytes)
{
    vt_err err;

    do
        err = chunk_bytes_read(segment, info, out_bytes);
    while (again(segment, info, &err));
    return err;
}

vt_err
segment_chunk_check(const struct segment *segment, const struct chunk_info *info)
{
    bool integers = codec_is_integer(info->codec);
    uint64_t size = (uint64_t)info->count * (integers ? sizeof(int64_t) : 1);
    void *decoded = calloc(1, size + 1); /* never none */
    vt_err err;

    if (decoded == NULL)
        return VT_NOMEM;
    if (integers)
        err = integers_read(segment, info, decoded);
    else
        err = chunk_bytes_read(segment, info, decoded);
    if (err == VT_OK && integers)
        err = zone_check(segment, info, decoded);
    free(decoded);
    return err;
}

/* Whether the file that stands under the name now is this segment, and its chunk good. */
static vt_err
fresh_check(const struct segment *segment, struct segment_files *files,
            const struct chunk_info *info)
{
    struct segment fresh = {.io = segment->io, .files = files};

    memcpy(fresh.path, segment->path, sizeof fresh.path);
    vt_err err = segment_ends_read(&fresh, &segment->id);

    /* What is in memory holds for the new file when the trailer is the same: it has the checksum of
     * the directory, which has those of the chunks. */
    if (err == VT_OK &&
        (fresh.extent.check != segment->extent.check || fresh.file_bytes != segment->file_bytes))
        err = VT_DAMAGED;
    return err == VT_OK ? segment_chunk_check(&fresh, info) : err;
}

vt_err
segment_reopen(const struct segment *segment, const struct chunk_info *info)
{
    struct segment_files *files = segment->files;
    struct segment_files *fresh = NULL;

    pthread_mutex_lock(&files->lock);
    vt_err err = segment_chunk_check(segment, info); /* another thread may have done it */

    if (err == VT_OK || files->before_count == SEGMENT_REOPENED_MAX) {
        pthread_mutex_unlock(&files->lock);
        return err;
    }
    err = files_open(segment->io, segment->path, &fresh);
    if (err == VT_OK)
        err = fresh_check(segment, fresh, info);
    if (err == VT_OK) {
        files->before[files->before_count++] =
            atomic_load_explicit(&files->now, memory_order_relaxed);
        atomic_store_explicit(&files->now, atomic_load_explicit(&fresh->now, memory_order_relaxed),
                              memory_order_release);
        atomic_store_explicit(&fresh->now, NULL, memory_order_relaxed);
    }
    files_close(fresh);
    pthread_mutex_unlock(&files->lock);
    return err;
}

#include <stdbool.h>
#include <stdlib.h>

#include "codec.h"
#include "codec_scan.h"
#include "segment.h"
#include "segment_format.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define PATH_BYTES_MAX 256

#define MIN_FILE_BYTES (sizeof(struct segment_header) + sizeof(struct segment_trailer))

struct segment {
    struct io_file *file;
    struct segment_id id;
    uint32_t seed;
    uint64_t file_bytes;
    struct segment_extent extent;
    struct segment_entry *entries; /* extent.chunk_count, ascending by key */
    char path[PATH_BYTES_MAX];
};

/* Damage at an offset of the file. A newer version is no damage and keeps its name. */
static vt_err
damaged(const struct segment *segment, uint64_t offset, vt_err reason, const char *what)
{
    return vt_err_detail(reason == VT_BAD_VERSION ? VT_BAD_VERSION : VT_DAMAGED,
                         "%s: offset %llu: %s: %s", segment->path, (unsigned long long)offset, what,
                         vt_err_text(reason));
}

/* A read within the size that the file had at open. */
static vt_err
bytes_read(const struct segment *segment, void *out, uint64_t size, uint64_t offset)
{
    if (size == 0)
        return VT_OK;
    vt_err err = io_read_at(segment->file, out, size, offset);

    if (err == VT_END)
        return damaged(segment, offset, VT_BAD_LENGTH, "the file became shorter");
    if (err != VT_OK)
        return vt_err_detail(err, "%s: offset %llu: %s", segment->path, (unsigned long long)offset,
                             vt_err_text(err));
    return VT_OK;
}

/* Header and trailer, against `id` where it is not NULL. */
static vt_err
ends_read(struct segment *segment, const struct segment_id *id)
{
    struct segment_header header;
    struct segment_trailer trailer;
    vt_err err = io_size(segment->file, &segment->file_bytes);

    if (err != VT_OK)
        return vt_err_detail(err, "%s: %s", segment->path, vt_err_text(err));
    if (segment->file_bytes < MIN_FILE_BYTES)
        return damaged(segment, segment->file_bytes, VT_BAD_LENGTH, "the file is too short");
    err = bytes_read(segment, &header, sizeof header, 0);
    if (err != VT_OK)
        return err;
    err = segment_header_check(&header, id);
    if (err != VT_OK)
        return damaged(segment, 0, err, "header");
    segment_header_id(&header, &segment->id);
    segment->seed = segment_seed(&header);

    uint64_t offset = segment->file_bytes - sizeof trailer;

    err = bytes_read(segment, &trailer, sizeof trailer, offset);
    if (err != VT_OK)
        return err;
    err = segment_trailer_check(&trailer, segment->seed, segment->file_bytes, &segment->extent);
    return err == VT_OK ? VT_OK : damaged(segment, offset, err, "trailer");
}

/* The directory; its size is within the file's, which the trailer's check saw to. */
static vt_err
directory_read(struct segment *segment)
{
    const struct segment_extent *extent = &segment->extent;
    uint64_t size = (uint64_t)extent->chunk_count * sizeof *segment->entries;
    struct chunk_info before = {0};
    struct chunk_info info;

    segment->entries = malloc(size + 1); /* never none */
    if (segment->entries == NULL)
        return VT_NOMEM;
    vt_err err = bytes_read(segment, segment->entries, size, extent->directory_offset);

    if (err != VT_OK)
        return err;
    if (vt_crc32c_more(segment->seed, segment->entries, size) != extent->directory_crc)
        return damaged(segment, extent->directory_offset, VT_BAD_CRC, "directory");
    for (uint32_t i = 0; i < extent->chunk_count; i++) {
        uint64_t offset = extent->directory_offset + (uint64_t)i * sizeof *segment->entries;

        err = segment_entry_check(&segment->entries[i], extent->directory_offset);
        if (err != VT_OK)
            return damaged(segment, offset, err, "directory entry");
        segment_entry_info(&segment->entries[i], &info);
        if (i > 0 && segment_key_compare(&before.key, &info.key) >= 0)
            return damaged(segment, offset, VT_BAD_FORMAT, "directory order");
        before = info;
    }
    return VT_OK;
}

vt_err
segment_open(struct io *io, const char *path, const struct segment_id *id,
             struct segment **out_segment)
{
    vt_err err;

    if (strlen(path) >= PATH_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "%s: the path is too long", path);
    struct segment *segment = calloc(1, sizeof *segment);

    if (segment == NULL)
        return VT_NOMEM;
    memcpy(segment->path, path, strlen(path) + 1);
    err = io_open(io, path, IO_OPEN_READ, &segment->file);
    if (err == VT_OK)
        err = ends_read(segment, id);
    if (err == VT_OK)
        err = directory_read(segment);
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
    io_close_file(segment->file);
    free(segment->entries);
    free(segment);
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
    vt_err err = bytes_read(segment, out, info->stored_bytes, info->offset);

    if (err != VT_OK)
        return err;
    uint32_t seed = segment_chunk_seed(segment->seed, &info->key);

    if (vt_crc32c_more(seed, out, info->stored_bytes) != info->stored_crc)
        return damaged(segment, info->offset, VT_BAD_CRC, "stored bytes of a chunk");
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

vt_err
segment_read_integers(const struct segment *segment, const struct chunk_info *info,
                      int64_t *out_values)
{
    uint32_t crc = segment_chunk_seed(segment->seed, &info->key);
    uint8_t *stored;

    if (!codec_is_integer(info->codec))
        return damaged(segment, info->offset, VT_BAD_FORMAT, "a chunk that is not of integers");
    vt_err err = stored_take(segment, info, &stored);

    if (err != VT_OK)
        return err;
    err = codec_decode_integers(info->codec, (struct vt_bytes){stored, info->stored_bytes},
                                info->count, out_values, &crc);
    free(stored);
    if (err != VT_OK)
        return damaged(segment, info->offset, err, "a chunk of integers");
    if (crc != info->decoded_crc)
        return damaged(segment, info->offset, VT_BAD_CRC, "integers of a chunk");
    return VT_OK;
}

vt_err
segment_read_bytes(const struct segment *segment, const struct chunk_info *info, uint8_t *out_bytes)
{
    uint32_t seed = segment_chunk_seed(segment->seed, &info->key);
    uint8_t *stored;
    vt_err err;

    if (!codec_is_bytes(info->codec))
        return damaged(segment, info->offset, VT_BAD_FORMAT, "a chunk that is not of bytes");
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
            return damaged(segment, info->offset, err, "a chunk of bytes");
    }
    if (vt_crc32c_more(seed, out_bytes, info->count) != info->decoded_crc)
        return damaged(segment, info->offset, VT_BAD_CRC, "bytes of a chunk");
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
    return damaged(segment, info->offset + offset, reason, "a part of a chunk");
}

vt_err
segment_read_part(const struct segment *segment, const struct chunk_info *info, uint64_t offset,
                  struct segment_part *part)
{
    if (info->codec != CODEC_RAW || offset > info->count || part->bytes > info->count - offset)
        return segment_part_damaged(segment, info, 0, VT_BAD_LENGTH);
    return bytes_read(segment, part->buffer, part->bytes, info->offset + offset);
}

vt_err
segment_plan_part(const struct segment *segment, const struct chunk_info *info, uint64_t offset,
                  const struct segment_part *part, struct io_read *out_read)
{
    if (info->codec != CODEC_RAW || offset > info->count || part->bytes > info->count - offset)
        return segment_part_damaged(segment, info, 0, VT_BAD_LENGTH);
    *out_read = (struct io_read){.file = segment->file,
                                 .buffer = part->buffer,
                                 .offset = info->offset + offset,
                                 .bytes = part->bytes};
    return VT_OK;
}

static int
offset_order(const void *a, const void *b)
{
    const struct chunk_info *left = a;
    const struct chunk_info *right = b;

    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    /* An empty chunk shares its place with the next one, and stands before it. */
    return left->stored_bytes < right->stored_bytes ? -1 : left->stored_bytes > right->stored_bytes;
}

/* The bytes between two parts are fewer than SEGMENT_ALIGN, and zero. */
static vt_err
gap_verify(const struct segment *segment, uint64_t end, uint64_t next)
{
    uint8_t gap[SEGMENT_ALIGN] = {0};

    if (segment_align(end) != next)
        return damaged(segment, end, VT_BAD_PLACE, "chunks overlap or leave a gap");
    vt_err err = bytes_read(segment, gap, next - end, end);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < SEGMENT_ALIGN; i++)
        if (gap[i] != 0)
            return damaged(segment, end + i, VT_BAD_RESERVED, "between chunks");
    return VT_OK;
}

static vt_err
zone_verify(const struct segment *segment, const struct chunk_info *info, const int64_t *values)
{
    struct scan_span span = scan_span(values, info->count);

    if (span.min == info->min && span.max == info->max)
        return VT_OK;
    return damaged(segment, info->offset, VT_BAD_FORMAT, "the zone map of a chunk");
}

static vt_err
chunk_verify(const struct segment *segment, const struct chunk_info *info)
{
    bool integers = codec_is_integer(info->codec);
    uint64_t size = (uint64_t)info->count * (integers ? sizeof(int64_t) : 1);
    void *decoded = calloc(1, size + 1); /* never none */
    vt_err err;

    if (decoded == NULL)
        return VT_NOMEM;
    if (integers) {
        err = segment_read_integers(segment, info, decoded);
        if (err == VT_OK)
            err = zone_verify(segment, info, decoded);
    } else {
        err = segment_read_bytes(segment, info, decoded);
    }
    free(decoded);
    return err;
}

/* Ends and directory once more from the file; what is in memory was checked at open. */
static vt_err
frame_verify(const struct segment *segment, const char *path)
{
    struct segment again = {.file = segment->file};

    memcpy(again.path, path, strlen(path) + 1);
    vt_err err = ends_read(&again, &segment->id);

    if (err == VT_OK)
        err = directory_read(&again);
    free(again.entries);
    return err;
}

vt_err
segment_verify(const struct segment *segment)
{
    uint32_t count = segment->extent.chunk_count;
    uint64_t end = sizeof(struct segment_header);
    vt_err err = frame_verify(segment, segment->path);

    if (err != VT_OK)
        return err;
    struct chunk_info *infos = malloc(count * sizeof *infos + 1);

    if (infos == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        segment_entry_info(&segment->entries[i], &infos[i]);
    if (count > 0)
        qsort(infos, count, sizeof *infos, offset_order);
    for (uint32_t i = 0; i < count && err == VT_OK; i++) {
        err = gap_verify(segment, end, infos[i].offset);
        if (err == VT_OK)
            err = chunk_verify(segment, &infos[i]);
        end = infos[i].offset + infos[i].stored_bytes;
    }
    if (err == VT_OK)
        err = gap_verify(segment, end, segment->extent.directory_offset);
    free(infos);
    return err;
}

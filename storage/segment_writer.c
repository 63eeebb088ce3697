#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec.h"
#include "segment.h"
#include "segment_format.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

/* What is pending goes to the file once it is this long: large writes, and a bounded buffer. */
#define FLUSH_BYTES (UINT64_C(1) << 20)

#define PATH_BYTES_MAX 256

struct segment_writer {
    struct io *io;
    struct io_file *file;
    struct segment_id id;
    uint32_t seed;
    uint32_t check; /* of the trailer */
    bool finished;
    vt_err broken; /* the first failure; every later call gives it */
    uint8_t *pending;
    uint64_t pending_bytes;
    uint64_t pending_room;
    uint64_t written; /* bytes of the file before `pending` */
    struct chunk_info *chunks;
    uint32_t chunk_count;
    uint32_t chunk_room;
    char path[PATH_BYTES_MAX];
};

static vt_err
writer_break(struct segment_writer *writer, vt_err err)
{
    if (writer->broken == VT_OK)
        writer->broken = err;
    return vt_err_detail(err, "%s: segment not written: %s", writer->path, vt_err_text(err));
}

/* Room for `bytes` more behind what is pending. */
static vt_err
pending_reserve(struct segment_writer *writer, uint64_t bytes)
{
    uint64_t need = writer->pending_bytes + bytes;

    if (need <= writer->pending_room)
        return VT_OK;
    uint64_t room = need + need / 2;
    uint8_t *grown = realloc(writer->pending, room);

    if (grown == NULL)
        return VT_NOMEM;
    writer->pending = grown;
    writer->pending_room = room;
    return VT_OK;
}

static vt_err
pending_flush(struct segment_writer *writer)
{
    if (writer->pending_bytes == 0)
        return VT_OK;
    vt_err err = io_write_at(writer->file, writer->pending, writer->pending_bytes, writer->written);

    if (err != VT_OK)
        return err;
    writer->written += writer->pending_bytes;
    writer->pending_bytes = 0;
    return VT_OK;
}

/* Zeros up to where the next part begins; room was reserved. */
static uint64_t
pending_align(struct segment_writer *writer)
{
    uint64_t end = writer->written + writer->pending_bytes;
    uint64_t next = segment_align(end);

    VT_ASSERT(writer->pending_bytes + (next - end) <= writer->pending_room);
    memset(writer->pending + writer->pending_bytes, 0, next - end);
    writer->pending_bytes += next - end;
    return next;
}

static vt_err
pending_add(struct segment_writer *writer, const void *bytes, uint64_t size)
{
    vt_err err = pending_reserve(writer, size);

    if (err != VT_OK)
        return err;
    if (size > 0)
        memcpy(writer->pending + writer->pending_bytes, bytes, size);
    writer->pending_bytes += size;
    return VT_OK;
}

/* A file of this name that no manifest names is what a crash left of an earlier try at the same
 * cut; the store never asks for a name that its manifest has. */
static vt_err
file_create(struct io *io, const char *path, struct io_file **out_file)
{
    vt_err err = io_open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, out_file);

    if (err != VT_EXISTS)
        return err;
    vt_err_clear();
    err = io_unlink(io, path);
    if (err != VT_OK)
        return err;
    return io_open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, out_file);
}

vt_err
segment_writer_open(struct io *io, const char *path, const struct segment_id *id,
                    struct segment_writer **out_writer)
{
    struct segment_header header;
    vt_err err;

    if (strlen(path) >= PATH_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "%s: the path is too long", path);
    struct segment_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL)
        return VT_NOMEM;
    writer->io = io;
    writer->id = *id;
    memcpy(writer->path, path, strlen(path) + 1);
    /* Pair: what is written passes the check that the reader will make. */
    segment_header_init(&header, id);
    VT_ASSERT(segment_header_check(&header, id) == VT_OK);
    writer->seed = segment_seed(&header);
    err = pending_add(writer, &header, sizeof header);
    if (err == VT_OK)
        err = file_create(io, path, &writer->file);
    if (err != VT_OK) {
        free(writer->pending);
        free(writer);
        return err;
    }
    *out_writer = writer;
    return VT_OK;
}

/* The place of a new chunk in the file, with room for `bound` bytes there and for its entry. */
static vt_err
chunk_begin(struct segment_writer *writer, uint64_t bound, struct chunk_info *info)
{
    vt_err err;

    if (writer->broken != VT_OK)
        return writer->broken;
    VT_ASSERT(!writer->finished);
    if (writer->chunk_count == SEGMENT_CHUNKS_MAX)
        return vt_err_detail(VT_TOO_LARGE, "%s: too many chunks", writer->path);
    if (writer->chunk_count == writer->chunk_room) {
        uint32_t room = writer->chunk_room == 0 ? 64 : writer->chunk_room * 2;
        struct chunk_info *grown = realloc(writer->chunks, room * sizeof *grown);

        if (grown == NULL)
            return writer_break(writer, VT_NOMEM);
        writer->chunks = grown;
        writer->chunk_room = room;
    }
    err = pending_reserve(writer, bound + SEGMENT_ALIGN);
    if (err != VT_OK)
        return writer_break(writer, err);
    info->offset = pending_align(writer);
    return VT_OK;
}

/* Takes in what was encoded at the end of `pending`; info->decoded_crc is set. */
static vt_err
chunk_end(struct segment_writer *writer, const struct codec_result *result, struct chunk_info *info)
{
    const uint8_t *stored = writer->pending + writer->pending_bytes;

    info->codec = result->codec;
    info->stored_bytes = result->bytes;
    info->min = result->min;
    info->max = result->max;
    info->stored_crc =
        vt_crc32c_more(segment_chunk_seed(writer->seed, &info->key), stored, result->bytes);
    writer->pending_bytes += result->bytes;
    VT_ASSERT(writer->pending_bytes <= writer->pending_room);
    writer->chunks[writer->chunk_count++] = *info;
    if (writer->pending_bytes < FLUSH_BYTES)
        return VT_OK;
    vt_err err = pending_flush(writer);

    return err == VT_OK ? VT_OK : writer_break(writer, err);
}

vt_err
segment_put_integers(struct segment_writer *writer, struct chunk_key key, const int64_t *values,
                     uint32_t count)
{
    struct chunk_info info = {.key = key, .count = count};

    if (count == 0 || count > CODEC_VALUES_MAX)
        return vt_err_detail(VT_INVALID, "%s: a chunk of %u integers", writer->path, count);
    vt_err err = chunk_begin(writer, codec_integers_bound(count), &info);

    if (err != VT_OK)
        return err;
    struct codec_result result =
        codec_encode_integers(values, count, writer->pending + writer->pending_bytes);

    info.decoded_crc = vt_crc32c_more(segment_chunk_seed(writer->seed, &key), values,
                                      (uint64_t)count * sizeof *values);
    return chunk_end(writer, &result, &info);
}

vt_err
segment_put_bytes(struct segment_writer *writer, struct chunk_key key, struct vt_bytes bytes)
{
    struct chunk_info info = {.key = key, .count = (uint32_t)bytes.size};

    if (bytes.size > CODEC_BYTES_MAX)
        return vt_err_detail(VT_TOO_LARGE, "%s: a chunk of %llu bytes", writer->path,
                             (unsigned long long)bytes.size);
    vt_err err = chunk_begin(writer, codec_bytes_bound((uint32_t)bytes.size), &info);

    if (err != VT_OK)
        return err;
    struct codec_result result = codec_encode_bytes(bytes, writer->pending + writer->pending_bytes);

    info.decoded_crc =
        vt_crc32c_more(segment_chunk_seed(writer->seed, &key), bytes.data, bytes.size);
    return chunk_end(writer, &result, &info);
}

vt_err
segment_put_parts(struct segment_writer *writer, struct chunk_key key, struct vt_bytes bytes)
{
    struct chunk_info info = {.key = key, .count = (uint32_t)bytes.size};
    struct codec_result result = {.codec = CODEC_RAW, .bytes = (uint32_t)bytes.size};

    if (bytes.size > CODEC_BYTES_MAX)
        return vt_err_detail(VT_TOO_LARGE, "%s: a chunk of %llu bytes", writer->path,
                             (unsigned long long)bytes.size);
    vt_err err = chunk_begin(writer, bytes.size, &info);

    if (err != VT_OK)
        return err;
    if (bytes.size > 0)
        memcpy(writer->pending + writer->pending_bytes, bytes.data, bytes.size);
    info.decoded_crc =
        vt_crc32c_more(segment_chunk_seed(writer->seed, &key), bytes.data, bytes.size);
    return chunk_end(writer, &result, &info);
}

uint32_t
segment_writer_part_seed(const struct segment_writer *writer, struct chunk_key key, uint32_t part)
{
    return segment_part_seed_of(writer->seed, &key, part);
}

static int
chunk_order(const void *a, const void *b)
{
    const struct chunk_info *left = a;
    const struct chunk_info *right = b;

    return segment_key_compare(&left->key, &right->key);
}

/* Directory and trailer behind the last chunk. */
static vt_err
directory_write(struct segment_writer *writer)
{
    struct segment_extent extent = {.chunk_count = writer->chunk_count,
                                    .directory_crc = writer->seed};
    struct segment_trailer trailer;
    vt_err err = pending_reserve(writer, SEGMENT_ALIGN);

    if (err != VT_OK)
        return err;
    extent.directory_offset = pending_align(writer);
    if (writer->chunk_count > 0)
        qsort(writer->chunks, writer->chunk_count, sizeof *writer->chunks, chunk_order);
    for (uint32_t i = 0; i < writer->chunk_count; i++) {
        struct segment_entry entry;

        if (i > 0 && chunk_order(&writer->chunks[i - 1], &writer->chunks[i]) == 0)
            return vt_err_detail(VT_EXISTS, "%s: two chunks have one key", writer->path);
        segment_entry_init(&entry, &writer->chunks[i]);
        VT_ASSERT(segment_entry_check(&entry, extent.directory_offset) == VT_OK);
        extent.directory_crc = vt_crc32c_more(extent.directory_crc, &entry, sizeof entry);
        err = pending_add(writer, &entry, sizeof entry);
        if (err != VT_OK)
            return err;
    }
    segment_trailer_init(&trailer, writer->seed, &extent);
    writer->check = le32_get(trailer.crc32c);
    err = pending_add(writer, &trailer, sizeof trailer);
    return err == VT_OK ? pending_flush(writer) : err;
}

/* Makes the file's name durable. */
static vt_err
parent_sync(struct io *io, const char *path)
{
    char parent[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return io_sync_dir(io, ".");
    if (slash == path)
        return io_sync_dir(io, "/");
    size_t size = (size_t)(slash - path);

    VT_ASSERT(size < sizeof parent);
    memcpy(parent, path, size);
    parent[size] = '\0';
    return io_sync_dir(io, parent);
}

/* Reads the file as any reader will. */
static vt_err
written_verify(const struct segment_writer *writer)
{
    struct segment *segment;
    vt_err err = segment_open(writer->io, writer->path, &writer->id, &segment);

    if (err != VT_OK)
        return err;
    err = segment_verify(segment);
    segment_close(segment);
    return err;
}

vt_err
segment_writer_finish(struct segment_writer *writer, uint64_t *out_file_bytes)
{
    vt_err err;

    if (writer->broken != VT_OK)
        return writer->broken;
    VT_ASSERT(!writer->finished);
    err = directory_write(writer);
    if (err == VT_OK)
        err = io_sync(writer->file);
    if (err == VT_OK)
        err = parent_sync(writer->io, writer->path);
    if (err == VT_OK)
        err = written_verify(writer);
    if (err != VT_OK)
        return writer_break(writer, err);
    writer->finished = true;
    *out_file_bytes = writer->written;
    return VT_OK;
}

uint32_t
segment_writer_check(const struct segment_writer *writer)
{
    VT_ASSERT(writer->finished);
    return writer->check;
}

void
segment_writer_close(struct segment_writer *writer)
{
    if (writer == NULL)
        return;
    io_close_file(writer->file);
    /* No manifest names it. Where this fails, the next try at this cut replaces it. */
    if (!writer->finished) {
        vt_err ignored = io_unlink(writer->io, writer->path);

        (void)ignored;
    }
    free(writer->pending);
    free(writer->chunks);
    free(writer);
}

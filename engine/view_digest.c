/*
 * view_digest.c - one digest of all that follows from the log: accepted rows by tenant and type in
 * the order of their positions, tallies, windows, open exceptions, feed. It does not depend on
 * where cuts fell: rows are hashed in one stream a (tenant, type), whatever segment or epoch they
 * stand in.
 */
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "venturi/assert.h"
#include "view_internal.h"

struct stream {
    struct vt_str tenant; /* in the arena */
    struct vt_str type;
    struct content *content;
    uint64_t rows;
};

struct digest {
    struct content *outer;
    struct arena arena;
    struct stream *streams; /* by (tenant, type) */
    uint32_t count;
    uint32_t capacity;
    uint8_t secret[32]; /* cursors are left out, but view_feed wants one */
};

static int
stream_order(const struct stream *stream, struct vt_str tenant, struct vt_str type)
{
    int order = vt_str_compare(stream->tenant, tenant);

    return order != 0 ? order : vt_str_compare(stream->type, type);
}

static vt_err
stream_insert(struct digest *digest, uint32_t at, const struct row_block *block)
{
    if (digest->count == digest->capacity) {
        uint32_t capacity = digest->capacity == 0 ? 64 : digest->capacity * 2;
        struct stream *grown = realloc(digest->streams, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        digest->streams = grown;
        digest->capacity = capacity;
    }
    struct stream stream = {.tenant = arena_copy(&digest->arena, block->tenant),
                            .type = arena_copy(&digest->arena, block->type)};
    vt_err err = stream.tenant.data == NULL || stream.type.data == NULL
                     ? VT_NOMEM
                     : content_open(false, &stream.content);

    if (err != VT_OK)
        return err;
    memmove(&digest->streams[at + 1], &digest->streams[at],
            (digest->count - at) * sizeof digest->streams[0]);
    digest->streams[at] = stream;
    digest->count++;
    return VT_OK;
}

static vt_err
block_digest(void *context, const struct row_block *block)
{
    struct digest *digest = context;
    uint32_t low = 0;
    uint32_t high = digest->count;
    vt_err err = VT_OK;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (stream_order(&digest->streams[middle], block->tenant, block->type) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == digest->count ||
        stream_order(&digest->streams[low], block->tenant, block->type) != 0)
        err = stream_insert(digest, low, block);
    if (err == VT_OK)
        err = content_add(digest->streams[low].content, block, 0, block->row_count);
    if (err == VT_OK)
        digest->streams[low].rows += block->row_count;
    return err;
}

static vt_err
text_digest(void *context, struct json_out *out)
{
    struct digest *digest = context;
    vt_err err = content_add_bytes(digest->outer, out->data, out->size);

    json_out_reset(out);
    return err;
}

static vt_err
rows_digest(const struct view *view, struct digest *digest)
{
    struct scan_options options = {
        .want_ids = true,
        .want_extra = true,
        .block = block_digest,
        .context = digest,
    };
    vt_err err = view_scan(view, &options);

    for (uint32_t s = 0; err == VT_OK && s < digest->count; s++) {
        struct stream *stream = &digest->streams[s];
        uint8_t sha256[32];

        err = content_finish(stream->content, sha256);
        if (err == VT_OK)
            err = content_add_bytes(digest->outer, stream->tenant.data, stream->tenant.size);
        if (err == VT_OK)
            err = content_add_bytes(digest->outer, stream->type.data, stream->type.size);
        if (err == VT_OK)
            err = content_add_bytes(digest->outer, &stream->rows, sizeof stream->rows);
        if (err == VT_OK)
            err = content_add_bytes(digest->outer, sha256, sizeof sha256);
    }
    return err;
}

static vt_err
answers_digest(const struct view *view, struct digest *digest)
{
    struct view_sink sink = {.flush = text_digest, .context = digest};
    struct windows_query windows = {.start_us = INT64_MIN, .end_us = INT64_MAX};
    struct exceptions_query exceptions = {.limit = 0};
    struct feed_query feed = {.limit = 0, .secret = digest->secret};
    uint64_t rows = 0;
    vt_err err = view_summary(view, true, &sink);

    if (err == VT_OK)
        err = view_windows(view, &windows, &sink);
    if (err == VT_OK)
        err = view_exceptions(view, &exceptions, &sink);
    /* Cursors signed with zeros, and of no history: what was restored from a copy has the digest of
     * the store that the copy was made of. */
    struct view nameless = *view;

    nameless.history = 0;
    if (err == VT_OK)
        err = view_feed(&nameless, &feed, &sink, &rows);
    return err;
}

vt_err
view_digest(const struct view *view, uint8_t out_sha256[32])
{
    struct digest digest = {0};
    vt_err err = content_open(false, &digest.outer);

    arena_init(&digest.arena, 4096);
    if (err == VT_OK)
        err = rows_digest(view, &digest);
    if (err == VT_OK)
        err = answers_digest(view, &digest);
    if (err == VT_OK)
        err = content_finish(digest.outer, out_sha256);
    for (uint32_t s = 0; s < digest.count; s++)
        content_close(digest.streams[s].content);
    free(digest.streams);
    arena_deinit(&digest.arena);
    content_close(digest.outer);
    return err;
}

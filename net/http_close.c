/*
 * http_close.c - POST /v1/close: which windows a close record gives revisions to, and the record.
 * They are the groups of windows that end at or before the time and whose last revision, if they
 * have one, is not their present total. Both answers print the same text for a group, so texts are
 * compared: of the feed's rows by a hash of what names the group.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define SLOTS_FIRST 1024

struct group_slot {
    uint8_t name[16]; /* of SHA-256 over what names the group; all zero: free */
    uint8_t total[16];
};

struct closing {
    struct http_request *request;
    struct group_slot *slots; /* open addressing, a power of two */
    uint64_t slot_count;
    uint64_t used;
    uint64_t listed;
};

static void
text_digest(const char *text, uint64_t size, uint8_t out_digest[16])
{
    uint8_t sha256[32];

    vt_sha256(text, size, sha256);
    memcpy(out_digest, sha256, 16);
}

static bool
slot_free(const struct group_slot *slot)
{
    static const uint8_t zeros[16];

    return memcmp(slot->name, zeros, sizeof zeros) == 0;
}

static struct group_slot *
slot_find(const struct closing *closing, const uint8_t name[16])
{
    uint64_t at = vt_load64(name) & (closing->slot_count - 1);

    VT_ASSERT(closing->used < closing->slot_count);
    while (!slot_free(&closing->slots[at]) && memcmp(closing->slots[at].name, name, 16) != 0)
        at = (at + 1) & (closing->slot_count - 1);
    return &closing->slots[at];
}

static vt_err
slots_grow(struct closing *closing)
{
    struct closing grown = {.slot_count =
                                closing->slot_count == 0 ? SLOTS_FIRST : closing->slot_count * 2};

    grown.slots = calloc(grown.slot_count, sizeof grown.slots[0]);
    if (grown.slots == NULL)
        return VT_NOMEM;
    for (uint64_t i = 0; i < closing->slot_count; i++)
        if (!slot_free(&closing->slots[i]))
            *slot_find(&grown, closing->slots[i].name) = closing->slots[i];
    free(closing->slots);
    closing->slots = grown.slots;
    closing->slot_count = grown.slot_count;
    return VT_OK;
}

/* The last place of `word` in the line; the numbers and times that follow it hold no such text. */
static const char *
last_place(const char *line, uint64_t size, const char *word)
{
    size_t word_bytes = strlen(word);

    for (uint64_t at = size < word_bytes ? 0 : size - word_bytes + 1; at > 0; at--)
        if (memcmp(line + at - 1, word, word_bytes) == 0)
            return line + at - 1;
    return NULL;
}

/* {"kind":"window", NAME ,"revision":R, TOTAL ,"difference":... */
static vt_err
feed_line(struct closing *closing, const char *line, uint64_t size)
{
    static const char head[] = "{\"kind\":\"window\",";
    const char *name = line + sizeof head - 1;
    const char *name_end = last_place(line, size, ",\"revision\":");
    const char *total = last_place(line, size, ",\"count\":");
    const char *total_end = last_place(line, size, ",\"difference\":");
    uint8_t digest[16];

    if (size < sizeof head || memcmp(line, head, sizeof head - 1) != 0 || name_end == NULL ||
        total == NULL || total_end == NULL || name_end < name || total_end < total)
        return VT_OK; /* not the revision of a window */
    if (2 * (closing->used + 1) > closing->slot_count) {
        vt_err err = slots_grow(closing);

        if (err != VT_OK)
            return err;
    }
    text_digest(name, (uint64_t)(name_end - name), digest);
    struct group_slot *slot = slot_find(closing, digest);

    closing->used += slot_free(slot);
    memcpy(slot->name, digest, sizeof digest);
    text_digest(total, (uint64_t)(total_end - total), slot->total);
    return VT_OK;
}

/* "window_end":"TIME" stands before the group. */
static bool
ends_before(const char *line, uint64_t size, int64_t before_us)
{
    static const char word[] = "\",\"window_end\":\"";
    const char *found = memmem(line, size, word, sizeof word - 1);
    struct vt_utc end;

    if (found == NULL)
        return false;
    const char *text = found + sizeof word - 1;
    const char *text_end = memchr(text, '"', size - (uint64_t)(text - line));

    return text_end != NULL &&
           vt_utc_parse((struct vt_str){text, (uint32_t)(text_end - text)}, &end) == VT_OK &&
           end.us <= before_us;
}

/* { NAME TOTAL } */
static vt_err
window_line(struct closing *closing, const char *line, uint64_t size)
{
    const char *name = line + 1;
    const char *total = last_place(line, size, ",\"count\":");
    const char *end = line + size - sizeof "}\n" + 1;
    uint8_t digest[16];

    if (total == NULL || !ends_before(line, size, closing->request->query.before_us))
        return VT_OK;
    if (closing->slot_count > 0) {
        text_digest(name, (uint64_t)(total - name), digest);
        const struct group_slot *slot = slot_find(closing, digest);

        text_digest(total, (uint64_t)(end - total), digest);
        if (!slot_free(slot) && memcmp(slot->total, digest, sizeof digest) == 0)
            return VT_OK; /* its last revision says this already */
    }
    closing->listed++;
    return spool_add(&closing->request->spool, line, size);
}

typedef vt_err (*line_function)(struct closing *closing, const char *line, uint64_t size);

static vt_err
each_line(struct closing *closing, struct json_out *out, line_function see)
{
    vt_err err = out->err;

    for (uint64_t at = 0; err == VT_OK && at < out->size;) {
        const char *end = memchr(out->data + at, '\n', out->size - at);
        uint64_t size = end == NULL ? out->size - at : (uint64_t)(end - out->data) - at + 1;

        err = see(closing, out->data + at, size);
        at += size;
    }
    json_out_reset(out);
    return err;
}

static vt_err
feed_see(void *context, struct json_out *out)
{
    return each_line(context, out, feed_line);
}

static vt_err
windows_see(void *context, struct json_out *out)
{
    return each_line(context, out, window_line);
}

/* Puts the groups that a close would give revisions to into the answer. */
static vt_err
list_closing(struct closing *closing, const struct view *view)
{
    struct http_request *request = closing->request;
    struct feed_query feed = {.secret = request->http->options.secret};
    struct windows_query windows = {
        .tenant = request->query.tenant,
        .start_us = INT64_MIN,
        .end_us = request->query.before_us,
    };
    struct view_sink feed_sink = {feed_see, closing};
    struct view_sink windows_sink = {windows_see, closing};
    uint64_t rows = 0;
    vt_err err = view_feed(view, &feed, &feed_sink, &rows);

    return err == VT_OK ? view_windows(view, &windows, &windows_sink) : err;
}

static vt_err
check_close(const struct http_request *request, const struct view *view)
{
    const struct http_query *query = &request->query;

    if (query->tenant.size > 0 && catalog_find_tenant(view->catalog, query->tenant) == CATALOG_NONE)
        return vt_err_detail(VT_NOT_FOUND, "the catalog has no tenant %.*s",
                             (int)query->tenant.size, query->tenant.data);
    if (query->before_us > server_wall_us() && !query->force)
        return vt_err_detail(VT_INVALID,
                             "before lies in the future: windows that are still filling would be "
                             "closed; force=true does it");
    return VT_OK;
}

static vt_err
close_now(struct http_request *request)
{
    struct call call = {
        .kind = CALL_CLOSE,
        .close = {.tenant = request->query.tenant, .before_us = request->query.before_us},
    };
    vt_err err = request_call(request, &call);

    if (err == VT_OK)
        request_position(request, call.position);
    return err;
}

static vt_err
put_end(struct closing *closing)
{
    struct http_request *request = closing->request;
    struct json_out out;

    json_out_init(&out);
    json_open(&out, '{');
    json_key(&out, VT_STR("closed"));
    json_unsigned(&out, closing->listed);
    json_key(&out, VT_STR("before"));
    json_time(&out, request->query.before_us);
    json_key(&out, VT_STR("dry_run"));
    json_bool(&out, request->query.dry_run);
    json_key(&out, VT_STR("position"));
    json_unsigned(&out, request->position);
    json_close(&out, '}');
    json_end_line(&out);
    vt_err err = request_put(request, &out);

    json_out_deinit(&out);
    return err;
}

vt_err
handle_close(struct http_request *request)
{
    struct closing closing = {.request = request};
    struct view *view = NULL;
    vt_err err = request_view(request, false, &view);

    if (err == VT_OK)
        err = check_close(request, view);
    if (err == VT_OK)
        err = list_closing(&closing, view);
    request_view_put(view);
    free(closing.slots);
    if (err == VT_OK && !request->query.dry_run)
        err = close_now(request);
    return err == VT_OK ? put_end(&closing) : err;
}

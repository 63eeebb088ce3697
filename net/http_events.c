/*
 * http_events.c - POST /v1/events: JSON Lines to row frames, each a commit's, one after the other.
 * Nothing is said to be taken before it is durable and judged. Where a later frame is refused the
 * earlier ones are in the log; the detail says up to which line, and sending all of it again is
 * safe, since every event is counted once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"
#include "net/client/json_row.h"
#include "net/client/row_batch.h"
#include "venturi/assert.h"
#include "venturi/hash.h"
#include "venturi/wire.h"

/* The record's head goes into the commit as well. */
#define FRAME_BYTES_MAX (VT_FRAME_BYTES_MAX - 8192)

struct ingest {
    struct http_request *request;
    struct json_row *row;
    struct row_batch batch;
    uint64_t *lines; /* [VT_BATCH_EVENTS_MAX]: the line of each event of the batch */
    struct json_out out;
    struct spool others;  /* events that were not simply accepted */
    struct spool refused; /* lines that are no events */
    bool others_any;
    bool refused_any;
    uint64_t refused_count;
    uint64_t received;
    uint64_t accepted;
    uint64_t duplicates;
    uint64_t conflicts;
    uint64_t exceptions;
    uint64_t position;
    uint64_t line;
    uint64_t durable_lines;
};

static void
key_text(struct json_out *out, struct vt_str key, const char *text)
{
    json_key(out, key);
    json_string(out, (struct vt_str){text, (uint32_t)strlen(text)});
}

/* Moves a finished element to one of the two lists. */
static vt_err
element_add(struct ingest *ingest, struct spool *list, bool *any)
{
    vt_err err = ingest->out.err;

    if (err == VT_OK && *any)
        err = spool_add(list, ",", 1);
    if (err == VT_OK)
        err = spool_add(list, ingest->out.data, ingest->out.size);
    json_out_reset(&ingest->out);
    *any = true;
    return err;
}

static vt_err
refuse_line(struct ingest *ingest, vt_err why)
{
    struct json_out *out = &ingest->out;

    json_open(out, '{');
    json_key(out, VT_STR("line"));
    json_unsigned(out, ingest->line);
    key_text(out, VT_STR("code"), vt_err_name(why));
    key_text(out, VT_STR("detail"), vt_err_last()[0] == '\0' ? vt_err_text(why) : vt_err_last());
    json_close(out, '}');
    vt_err_clear();
    ingest->refused_count++;
    return element_add(ingest, &ingest->refused, &ingest->refused_any);
}

static vt_err
note_verdict(struct ingest *ingest, uint32_t event, uint8_t verdict, uint8_t reason)
{
    static const char *const names[] = {"accepted", "duplicate", "conflict", "exception"};
    struct json_out *out = &ingest->out;

    VT_ASSERT(verdict < VT_COUNT(names));
    ingest->received++;
    ingest->accepted += verdict == VT_ACCEPTED;
    ingest->duplicates += verdict == VT_DUPLICATE || verdict == VT_CONFLICT;
    ingest->conflicts += verdict == VT_CONFLICT;
    ingest->exceptions += verdict == VT_EXCEPTION;
    if (verdict == VT_ACCEPTED)
        return VT_OK;
    json_open(out, '{');
    json_key(out, VT_STR("line"));
    json_unsigned(out, ingest->lines[event]);
    key_text(out, VT_STR("verdict"), names[verdict]);
    if (verdict == VT_EXCEPTION)
        key_text(out, VT_STR("reason"), vt_reason_name(reason));
    json_close(out, '}');
    return element_add(ingest, &ingest->others, &ingest->others_any);
}

static vt_err
batch_send(struct ingest *ingest)
{
    struct vt_bytes payload = row_batch_payload(&ingest->batch);
    struct call call = {
        .kind = CALL_FRAME,
        .frame =
            {
                .frame_type = VT_FRAME_BATCH_ROWS,
                .event_count = ingest->batch.event_count,
                .payload_crc = vt_crc32c(payload.data, payload.size),
                .payload = payload,
                .tenant = ingest->request->grant.tenant,
            },
    };

    if (ingest->batch.event_count == 0)
        return VT_OK;
    vt_err err = request_call(ingest->request, &call);

    VT_ASSERT(err != VT_OK || call.verdicts != NULL);
    VT_ASSERT(err != VT_OK || call.event_count == ingest->batch.event_count);
    for (uint32_t e = 0; err == VT_OK && e < call.event_count; e++)
        err = note_verdict(ingest, e, call.verdicts[e], call.verdicts[call.event_count + e]);
    if (err == VT_OK) {
        ingest->position = call.position;
        ingest->durable_lines = ingest->lines[call.event_count - 1];
        row_batch_clear(&ingest->batch);
    }
    free(call.verdicts);
    return err;
}

static vt_err
line_add(struct ingest *ingest, struct vt_str line)
{
    struct vt_bytes event;
    vt_err err = json_row_parse(ingest->row, line, ingest->line, &event);

    if (err == VT_BAD_JSON || err == VT_TOO_DEEP)
        return refuse_line(ingest, err);
    if (err != VT_OK)
        return err;
    err = row_batch_add(&ingest->batch, event);
    if (err == VT_FULL) {
        err = batch_send(ingest);
        if (err == VT_OK)
            err = row_batch_add(&ingest->batch, event);
    }
    if (err == VT_TOO_LARGE)
        return refuse_line(ingest, err);
    if (err == VT_OK)
        ingest->lines[ingest->batch.event_count - 1] = ingest->line;
    return err;
}

static vt_err
lines_read(struct ingest *ingest)
{
    const char *body = (const char *)ingest->request->body;
    uint64_t size = ingest->request->body_bytes;
    vt_err err = VT_OK;

    for (uint64_t at = 0; err == VT_OK && at < size;) {
        const char *end = memchr(body + at, '\n', size - at);
        uint64_t bytes = end == NULL ? size - at : (uint64_t)(end - body) - at;

        ingest->line++;
        err = line_add(ingest, (struct vt_str){body + at, (uint32_t)bytes});
        at += bytes + 1;
    }
    return err == VT_OK ? batch_send(ingest) : err;
}

static vt_err
answer_put(struct ingest *ingest)
{
    struct http_request *request = ingest->request;
    struct json_out *out = &ingest->out;
    const struct {
        struct vt_str key;
        uint64_t value;
    } counts[] = {
        {VT_STR("received"), ingest->received},
        {VT_STR("accepted"), ingest->accepted},
        {VT_STR("duplicates"), ingest->duplicates},
        {VT_STR("conflicts"), ingest->conflicts},
        {VT_STR("exceptions"), ingest->exceptions},
        {VT_STR("refused_lines"), ingest->refused_count},
        {VT_STR("position"), ingest->position},
    };

    json_open(out, '{');
    for (size_t i = 0; i < VT_COUNT(counts); i++) {
        json_key(out, counts[i].key);
        json_unsigned(out, counts[i].value);
    }
    json_key(out, VT_STR("not_accepted"));
    json_put_raw(out, "[", 1);
    vt_err err = request_put(request, out);

    if (err == VT_OK)
        err = spool_add_spool(&request->spool, &ingest->others);
    if (err == VT_OK)
        err = spool_add(&request->spool, "],\"refused\":[", 13);
    if (err == VT_OK)
        err = spool_add_spool(&request->spool, &ingest->refused);
    return err == VT_OK ? spool_add(&request->spool, "]}\n", 3) : err;
}

/* The message of the frame's refusal, and what became of the lines before it. */
static vt_err
refuse_rest(struct ingest *ingest, vt_err err)
{
    char detail[256];

    if (ingest->durable_lines == 0)
        return err;
    (void)snprintf(detail, sizeof detail, "%s", vt_err_last());
    vt_err_clear();
    return vt_err_detail(err, "lines 1 to %llu are taken, what follows is not: %s",
                         (unsigned long long)ingest->durable_lines,
                         detail[0] == '\0' ? vt_err_text(err) : detail);
}

vt_err
handle_events(struct http_request *request)
{
    struct ingest ingest = {.request = request};
    vt_err err = json_row_open(&ingest.row);

    json_out_init(&ingest.out);
    spool_init(&ingest.others);
    spool_init(&ingest.refused);
    ingest.lines = malloc(VT_BATCH_EVENTS_MAX * sizeof ingest.lines[0]);
    if (err == VT_OK && ingest.lines == NULL)
        err = VT_NOMEM;
    if (err == VT_OK)
        err = row_batch_init(&ingest.batch, FRAME_BYTES_MAX, VT_BATCH_EVENTS_MAX);
    if (err == VT_OK)
        err = lines_read(&ingest);
    if (err == VT_OK) {
        request->content_type = HTTP_JSON;
        if (ingest.position > 0)
            request_position(request, ingest.position);
        else
            ingest.position = atomic_load(&request->http->position);
        err = answer_put(&ingest);
    } else {
        err = refuse_rest(&ingest, err);
    }
    row_batch_deinit(&ingest.batch);
    free(ingest.lines);
    spool_deinit(&ingest.refused);
    spool_deinit(&ingest.others);
    json_out_deinit(&ingest.out);
    json_row_close(ingest.row);
    return err;
}

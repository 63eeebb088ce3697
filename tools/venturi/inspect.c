/* inspect.c - venturi inspect: what is in a store, or in one segment of it, as JSON Lines. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "store_view.h"
#include "tools/common/options.h"
#include "venturi/assert.h"

static const char help[] =
    "venturi inspect - what is in a store, down to a record\n"
    "\n"
    "example: venturi inspect --data data\n"
    "         venturi inspect --data data data/segments/00000000000000000042-003.vseg\n"
    "         venturi inspect --data data | jq -c 'select(.kind == \"record\")'\n"
    "\n"
    "usage: venturi inspect --data DIR [FILE]\n"
    "\n"
    "JSON Lines: the store, its segments, the commits that are not sealed yet and their records;\n"
    "with FILE the chunks of that segment. Never writes; safe beside a running daemon.\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 4 damage (file and offset on standard error)\n";

static const char *
kind_name(uint8_t kind)
{
    switch ((enum log_kind)kind) {
    case LOG_FRAME:
        return "frame";
    case LOG_CATALOG:
        return "catalog";
    case LOG_CLOSE:
        return "close";
    case LOG_RETRY:
        return "retry";
    case LOG_DISCARD:
        return "discard";
    case LOG_CANCEL:
        return "cancel";
    case LOG_REPLACE:
        return "replace";
    case LOG_ISSUE:
        return "issue";
    case LOG_RETENTION:
        return "retention";
    case LOG_CLOCK:
        return "clock";
    case LOG_START:
        return "start";
    case LOG_PRODUCER:
        return "producer";
    case LOG_TICK:
        return "tick";
    }
    return "unknown";
}

static struct vt_str
text_of(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

struct member {
    const char *key;
    uint64_t value;
};

/* {"kind":KIND, members..., further ones by the caller } */
static void
line_open(struct json_out *out, const char *kind, const struct member *members, uint32_t count)
{
    json_open(out, '{');
    json_key(out, VT_STR("kind"));
    json_string(out, text_of(kind));
    for (uint32_t i = 0; i < count; i++) {
        json_key(out, text_of(members[i].key));
        json_unsigned(out, members[i].value);
    }
}

static vt_err
line_close(struct json_out *out)
{
    json_close(out, '}');
    json_end_line(out);
    if (out->err != VT_OK)
        return out->err;
    return stdout_sink().flush(NULL, out);
}

/* ---- the store */

static vt_err
store_print(struct json_out *out, const struct store_view *view, const char *dir)
{
    struct store_info info;

    store_get_info(view->store, &info);
    const struct member members[] = {
        {"store", info.store},
        {"history", info.history},
        {"partitions", info.partition_count},
        {"start", info.start},
        {"segments", store_segment_count(view->store)},
        {"sealed_commit", info.sealed_commit},
        {"sealed_position", info.sealed_position},
        {"state_bytes", store_state(view->store).size},
    };

    line_open(out, "store", members, VT_COUNT(members));
    json_key(out, VT_STR("dir"));
    json_string(out, text_of(dir));
    return line_close(out);
}

static vt_err
segments_print(struct json_out *out, const struct store_view *view)
{
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < store_segment_count(view->store); i++) {
        struct store_segment segment;

        store_segment_at(view->store, i, &segment);
        const struct member members[] = {
            {"cut", segment.id.cut},
            {"partition", segment.id.partition},
            {"first_position", segment.id.first_position},
            {"last_position", segment.id.last_position},
            {"level", segment.id.level},
            {"rows", segment.rows},
            {"bytes", segment.file_bytes},
        };

        line_open(out, "segment", members, VT_COUNT(members));
        json_key(out, VT_STR("path"));
        json_string(out, text_of(segment.path));
        err = line_close(out);
    }
    return err;
}

static vt_err
record_print(struct json_out *out, const struct log_commit *commit, uint32_t index)
{
    const struct log_record *record = &commit->records[index];
    const struct member members[] = {
        {"commit", commit->number},         {"index", index},
        {"bytes", record->bytes},           {"payload_crc", record->payload_crc},
        {"frame_type", record->frame_type}, {"flags", record->flags},
        {"events", record->event_count},    {"producer", record->producer},
        {"epoch", record->epoch},           {"sequence", record->sequence},
    };

    line_open(out, "record", members, VT_COUNT(members));
    json_key(out, VT_STR("record"));
    json_string(out, text_of(kind_name(record->kind)));
    return line_close(out);
}

static vt_err
commit_print(struct json_out *out, const struct log_commit *commit)
{
    const struct member members[] = {
        {"commit", commit->number},
        {"start", commit->start},
        {"first_position", commit->first_position},
        {"events", commit->event_count},
        {"records", commit->record_count},
        {"bytes", commit->bytes},
        {"flags", commit->flags},
    };

    line_open(out, "commit", members, VT_COUNT(members));
    json_key(out, VT_STR("arrival"));
    json_time(out, commit->arrival_us);
    vt_err err = line_close(out);

    for (uint32_t r = 0; err == VT_OK && r < commit->record_count; r++)
        err = record_print(out, commit, r);
    return err;
}

static vt_err
store_inspect(struct json_out *out, struct store_view *view, const char *dir)
{
    struct log_commit commit;
    vt_err err = store_print(out, view, dir);

    if (err == VT_OK)
        err = segments_print(out, view);
    while (err == VT_OK) {
        err = store_tail_next(view->store, &commit);
        if (err == VT_OK)
            err = commit_print(out, &commit);
    }
    return err == VT_END ? VT_OK : err;
}

/* ---- a segment */

static vt_err
chunk_print(struct json_out *out, const struct chunk_info *chunk)
{
    const struct member members[] = {
        {"chunk_kind", chunk->key.kind},   {"table", chunk->key.table},
        {"column", chunk->key.column},     {"block", chunk->key.block},
        {"codec", chunk->codec},           {"count", chunk->count},
        {"offset", chunk->offset},         {"stored_bytes", chunk->stored_bytes},
        {"stored_crc", chunk->stored_crc}, {"decoded_crc", chunk->decoded_crc},
    };

    line_open(out, "chunk", members, VT_COUNT(members));
    json_key(out, VT_STR("min"));
    json_integer(out, chunk->min);
    json_key(out, VT_STR("max"));
    json_integer(out, chunk->max);
    return line_close(out);
}

static vt_err
segment_inspect(struct json_out *out, struct io *io, const char *path)
{
    struct segment *segment = NULL;
    vt_err err = segment_open(io, path, NULL, &segment);

    if (err != VT_OK)
        return err;
    const struct segment_id *id = segment_identity(segment);
    const struct member members[] = {
        {"store", id->store},
        {"cut", id->cut},
        {"partition", id->partition},
        {"first_position", id->first_position},
        {"last_position", id->last_position},
        {"level", id->level},
        {"chunks", segment_chunk_count(segment)},
    };

    line_open(out, "segment", members, VT_COUNT(members));
    json_key(out, VT_STR("path"));
    json_string(out, text_of(path));
    err = line_close(out);
    for (uint32_t i = 0; err == VT_OK && i < segment_chunk_count(segment); i++) {
        struct chunk_info chunk;

        segment_chunk_at(segment, i, &chunk);
        err = chunk_print(out, &chunk);
    }
    if (err == VT_OK)
        err = segment_verify(segment);
    segment_close(segment);
    return err;
}

int
command_inspect(int argc, char **argv)
{
    struct store_view view = {.io = NULL};
    struct json_out out;
    const char *data = NULL;
    const struct option_spec specs[] = {
        {.name = "data", .kind = OPTION_TEXT, .target = &data},
        {.name = NULL},
    };
    int first = 0;
    int status = options_read(argc, argv, help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (argc - first > 1)
        return options_misused(argv[0], "%s: not expected", argv[first + 1]);
    if (data == NULL)
        return options_misused(argv[0], "--data is needed");
    json_out_init(&out);
    vt_err err = store_view_open_files(data, &view);

    if (err == VT_OK)
        err = first < argc ? segment_inspect(&out, view.io, argv[first])
                           : store_inspect(&out, &view, data);
    json_out_deinit(&out);
    store_view_close(&view);
    if (err == VT_OK && fflush(stdout) != 0)
        err = VT_IO;
    return err == VT_OK ? EXIT_DONE : store_view_failed(argv[0], err);
}

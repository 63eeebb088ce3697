/* engine_rig.c - see engine_rig.h. */
#include "engine_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/io_sim.h"
#include "venturi/assert.h"
#include "venturi/time.h"
#include "zone_files.h"

void
engine_rig_check(vt_err err, const char *what)
{
    if (err == VT_OK)
        return;
    fprintf(stderr, "rig: %s: %s: %s\n", what, vt_err_name(err), vt_err_last());
    exit(1);
}

static void
engine_open(struct engine_rig *rig)
{
    struct store_options options = {
        .dir = rig->options.dir == NULL ? "store" : rig->options.dir,
        .create = true,
        .partition_count = rig->options.partition_count,
        .lane_count = rig->options.lane_count,
        .lane_bytes = rig->options.lane_bytes,
        .commit_bytes_max = rig->options.commit_bytes_max,
    };

    engine_rig_check(store_open(rig->io, &options, &rig->store), "store_open");
    struct core_options core = {
        .io = rig->io,
        .seal_io = rig->io,
        .store = rig->store,
        .worker_count = rig->options.worker_count,
        .dedup_ids_max = rig->options.dedup_ids_max,
        .merge_width = rig->options.merge_width,
        .cut_bytes = rig->options.cut_bytes,
    };

    engine_rig_check(core_open(&core, &rig->core), "core_open");
}

static void
engine_close(struct engine_rig *rig)
{
    core_close(rig->core);
    store_close(rig->store);
    rig->core = NULL;
    rig->store = NULL;
}

void
engine_rig_open(struct engine_rig *rig, const struct engine_rig_options *options)
{
    memset(rig, 0, sizeof *rig);
    rig->options = *options;
    /* Before or after most events, so that windows fall due now, later or never. */
    rig->now_us =
        (options->seed % 3 == 0 ? INT64_C(1500000000) : INT64_C(2000000000)) * VT_US_PER_SECOND;
    engine_rig_check(options->dir == NULL ? io_sim_open(options->seed, &rig->io)
                                          : io_uring_open(64, &rig->io),
                     "io");
    engine_open(rig);
}

void
engine_rig_close(struct engine_rig *rig)
{
    engine_close(rig);
    io_close(rig->io);
    rig->io = NULL;
}

static void
poll_idle(struct engine_rig *rig)
{
    while (!core_idle(rig->core)) {
        if (core_open_any(rig->core))
            engine_rig_check(core_submit(rig->core, rig->now_us), "core_submit");
        engine_rig_check(core_poll(rig->core, 1000000), "core_poll");
    }
}

static void
stop(struct engine_rig *rig)
{
    vt_err err = core_stop(rig->core, rig->now_us);

    for (; err == VT_AGAIN; err = core_stop(rig->core, rig->now_us))
        engine_rig_check(core_poll(rig->core, 1000000), "core_poll");
    engine_rig_check(err, "core_stop");
    poll_idle(rig);
}

void
engine_rig_stop(struct engine_rig *rig)
{
    engine_rig_settle(rig);
    stop(rig);
    engine_close(rig);
}

void
engine_rig_restart(struct engine_rig *rig, bool crash, bool clean)
{
    struct io *after = NULL;
    uint64_t subset = 0;

    engine_rig_settle(rig);
    if (clean)
        stop(rig);
    if (crash && rig->options.dir == NULL) {
        struct io_sim_crash how = {.seed = rig->options.seed + rig->restarts};

        engine_rig_check(io_sim_crash(rig->io, &how, &subset, &after), "io_sim_crash");
        rig->crashes++;
    }
    engine_close(rig);
    if (after != NULL) {
        io_close(rig->io);
        rig->io = after;
    }
    rig->restarts++;
    engine_open(rig);
}

void
engine_rig_submit(struct engine_rig *rig)
{
    engine_rig_check(core_submit(rig->core, rig->now_us), "core_submit");
    engine_rig_check(core_poll(rig->core, 0), "core_poll");
}

void
engine_rig_settle(struct engine_rig *rig)
{
    engine_rig_submit(rig);
    poll_idle(rig);
}

void
engine_rig_catalog(struct engine_rig *rig, struct vt_str text)
{
    struct zone_files files = {0};
    struct catalog_zones source = zone_files_source(&files);
    vt_err err = core_add_catalog(rig->core, text, &source, NULL);

    while (err == VT_AGAIN) {
        engine_rig_settle(rig);
        err = core_add_catalog(rig->core, text, &source, NULL);
    }
    zone_files_free(&files);
    engine_rig_check(err, "core_add_catalog");
    engine_rig_settle(rig);
}

vt_err
engine_rig_frame(struct engine_rig *rig, uint8_t frame_type, uint32_t event_count,
                 struct vt_bytes payload)
{
    struct core_frame frame = {
        .frame_type = frame_type,
        .event_count = event_count,
        .payload_crc = vt_crc32c(payload.data, payload.size),
        .payload = payload,
    };
    vt_err err = core_add_frame(rig->core, &frame);

    for (uint32_t tries = 0; err == VT_AGAIN && tries < 1000; tries++) {
        engine_rig_submit(rig);
        engine_rig_check(core_poll(rig->core, 1000000), "core_poll");
        err = core_add_frame(rig->core, &frame);
    }
    return err;
}

struct print_state {
    const char *prefix;
    le64 *positions;
    uint32_t count;
    uint32_t capacity;
};

static vt_err
print_flush(void *context, struct json_out *out)
{
    struct print_state *state = context;

    for (uint64_t at = 0; at < out->size;) {
        const char *end = memchr(out->data + at, '\n', out->size - at);
        uint64_t size = end == NULL ? out->size - at : (uint64_t)(end - out->data) - at + 1;

        fputs(state->prefix, stdout);
        fwrite(out->data + at, 1, size, stdout);
        at += size;
    }
    json_out_reset(out);
    return VT_OK;
}

void
engine_rig_print(struct engine_rig *rig, enum engine_rig_answer answer, const char *prefix,
                 const int64_t *at_us)
{
    struct print_state state = {.prefix = prefix};
    struct view_sink sink = {print_flush, &state};
    struct view view;
    uint8_t secret[32] = {1};
    uint64_t rows = 0;

    engine_rig_settle(rig);
    engine_rig_check(core_view_now(rig->core, true, &view), "core_view_now");
    struct windows_query windows = {.start_us = INT64_MIN, .end_us = INT64_MAX};
    struct lines_query lines = {.catalog = view.catalog,
                                .has_at = at_us != NULL,
                                .at_us = at_us == NULL ? 0 : *at_us,
                                .threads = 1 + (uint32_t)(rig->options.seed % 2)};
    struct exceptions_query exceptions = {0};
    struct feed_query feed = {.secret = secret};
    vt_err err = VT_INVALID;

    switch (answer) {
    case RIG_SUMMARY:
        err = view_summary(&view, false, &sink);
        break;
    case RIG_WINDOWS:
        err = view_windows(&view, &windows, &sink);
        break;
    case RIG_LINES:
        err = view_lines(&view, &lines, &sink, &rows);
        break;
    case RIG_UNRATED:
        err = view_unrated(&view, &lines, &sink, &rows);
        break;
    case RIG_EXCEPTIONS:
        err = view_exceptions(&view, &exceptions, &sink);
        break;
    case RIG_FEED:
        err = view_feed(&view, &feed, &sink, &rows);
        break;
    }
    engine_rig_check(err, prefix);
    view_put(&view);
}

/* "position":N of each line. */
static vt_err
positions_flush(void *context, struct json_out *out)
{
    static const char word[] = "{\"position\":";
    struct print_state *state = context;

    for (uint64_t at = 0; at + sizeof word < out->size; at++) {
        if (memcmp(out->data + at, word, sizeof word - 1) != 0 ||
            (at > 0 && out->data[at - 1] != '\n'))
            continue;
        if (state->count == state->capacity) {
            state->capacity = state->capacity == 0 ? 256 : state->capacity * 2;
            state->positions = realloc(state->positions, state->capacity * sizeof(le64));
            engine_rig_check(state->positions == NULL ? VT_NOMEM : VT_OK, "positions");
        }
        state->positions[state->count++] =
            le64_put(strtoull(out->data + at + sizeof word - 1, NULL, 10));
    }
    json_out_reset(out);
    return VT_OK;
}

uint32_t
engine_rig_retry_all(struct engine_rig *rig)
{
    struct print_state state = {.prefix = ""};
    struct view_sink sink = {positions_flush, &state};
    struct exceptions_query query = {0};
    struct view view;
    uint32_t settled = 0;

    engine_rig_settle(rig);
    engine_rig_check(core_view_now(rig->core, false, &view), "core_view_now");
    engine_rig_check(view_exceptions(&view, &query, &sink), "view_exceptions");
    view_put(&view);
    for (uint32_t at = 0; at < state.count; at += 500) {
        uint32_t count = state.count - at < 500 ? state.count - at : 500;
        vt_err err = core_add_settle(rig->core, true, state.positions + at, count, NULL);

        if (err == VT_AGAIN) {
            engine_rig_settle(rig);
            err = core_add_settle(rig->core, true, state.positions + at, count, NULL);
        }
        engine_rig_check(err, "core_add_settle");
        settled += count;
    }
    engine_rig_settle(rig);
    free(state.positions);
    return settled;
}

void
engine_rig_digest(struct engine_rig *rig, char out_hex[65])
{
    struct view view;
    uint8_t digest[32];

    engine_rig_settle(rig);
    engine_rig_check(core_view_now(rig->core, true, &view), "core_view_now");
    engine_rig_check(view_digest(&view, digest), "view_digest");
    view_put(&view);
    for (uint32_t i = 0; i < 32; i++)
        snprintf(out_hex + 2 * i, 3, "%02x", digest[i]);
}

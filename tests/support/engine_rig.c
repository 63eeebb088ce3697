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
rig_check(vt_err err, const char *what)
{
    if (err == VT_OK)
        return;
    fprintf(stderr, "rig: %s: %s: %s\n", what, vt_err_name(err), vt_err_last());
    exit(1);
}

static void
engine_open(struct rig *rig)
{
    struct store_options options = {
        .dir = rig->options.dir == NULL ? "store" : rig->options.dir,
        .create = true,
        .partition_count = rig->options.partition_count,
        .lane_count = rig->options.lane_count,
        .lane_bytes = rig->options.lane_bytes,
        .commit_bytes_max = rig->options.commit_bytes_max,
    };

    rig_check(store_open(rig->io, &options, &rig->store), "store_open");
    struct core_options core = {
        .io = rig->io,
        .seal_io = rig->io,
        .store = rig->store,
        .worker_count = rig->options.worker_count,
        .dedup_ids_max = rig->options.dedup_ids_max,
        .cut_bytes = rig->options.cut_bytes,
    };

    rig_check(core_open(&core, &rig->core), "core_open");
}

static void
engine_close(struct rig *rig)
{
    core_close(rig->core);
    store_close(rig->store);
    rig->core = NULL;
    rig->store = NULL;
}

void
rig_open(struct rig *rig, const struct rig_options *options)
{
    memset(rig, 0, sizeof *rig);
    rig->options = *options;
    /* Before or after most events, so that windows fall due now, later or never. */
    rig->now_us = (options->seed % 3 == 0 ? INT64_C(1500000000) : INT64_C(2000000000)) *
                  VT_US_PER_SECOND;
    rig_check(options->dir == NULL ? io_sim_open(options->seed, &rig->io)
                                   : io_uring_open(64, &rig->io),
              "io");
    engine_open(rig);
}

void
rig_close(struct rig *rig)
{
    engine_close(rig);
    io_close(rig->io);
    rig->io = NULL;
}

static void
poll_idle(struct rig *rig)
{
    while (!core_idle(rig->core)) {
        if (core_open_any(rig->core))
            rig_check(core_submit(rig->core, rig->now_us), "core_submit");
        rig_check(core_poll(rig->core, 1000000), "core_poll");
    }
}

void
rig_restart(struct rig *rig, bool crash, bool clean)
{
    struct io *after = NULL;
    uint64_t subset = 0;

    rig_settle(rig);
    if (clean) {
        vt_err err = core_stop(rig->core, rig->now_us);

        for (; err == VT_AGAIN; err = core_stop(rig->core, rig->now_us))
            rig_check(core_poll(rig->core, 1000000), "core_poll");
        rig_check(err, "core_stop");
        poll_idle(rig);
    }
    if (crash && rig->options.dir == NULL) {
        struct io_sim_crash how = {.seed = rig->options.seed + rig->restarts};

        rig_check(io_sim_crash(rig->io, &how, &subset, &after), "io_sim_crash");
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
rig_submit(struct rig *rig)
{
    rig_check(core_submit(rig->core, rig->now_us), "core_submit");
    rig_check(core_poll(rig->core, 0), "core_poll");
}

void
rig_settle(struct rig *rig)
{
    rig_submit(rig);
    poll_idle(rig);
}

void
rig_catalog(struct rig *rig, struct vt_str text)
{
    struct zone_files files = {0};
    struct catalog_zones source = zone_files_source(&files);
    vt_err err = core_add_catalog(rig->core, text, &source, NULL);

    while (err == VT_AGAIN) {
        rig_settle(rig);
        err = core_add_catalog(rig->core, text, &source, NULL);
    }
    zone_files_free(&files);
    rig_check(err, "core_add_catalog");
    rig_settle(rig);
}

vt_err
rig_frame(struct rig *rig, uint8_t frame_type, uint32_t event_count, struct vt_bytes payload)
{
    struct core_frame frame = {
        .frame_type = frame_type,
        .event_count = event_count,
        .payload_crc = vt_crc32c(payload.data, payload.size),
        .payload = payload,
    };
    vt_err err = core_add_frame(rig->core, &frame);

    for (uint32_t tries = 0; err == VT_AGAIN && tries < 1000; tries++) {
        rig_submit(rig);
        rig_check(core_poll(rig->core, 1000000), "core_poll");
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
rig_print(struct rig *rig, enum rig_answer answer, const char *prefix, const int64_t *at_us)
{
    struct print_state state = {.prefix = prefix};
    struct view_sink sink = {print_flush, &state};
    struct view view;
    uint8_t secret[32] = {1};
    uint64_t rows = 0;

    rig_settle(rig);
    rig_check(core_view_now(rig->core, true, &view), "core_view_now");
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
    rig_check(err, prefix);
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
            rig_check(state->positions == NULL ? VT_NOMEM : VT_OK, "positions");
        }
        state->positions[state->count++] =
            le64_put(strtoull(out->data + at + sizeof word - 1, NULL, 10));
    }
    json_out_reset(out);
    return VT_OK;
}

uint32_t
rig_retry_all(struct rig *rig)
{
    struct print_state state = {.prefix = ""};
    struct view_sink sink = {positions_flush, &state};
    struct exceptions_query query = {0};
    struct view view;
    uint32_t settled = 0;

    rig_settle(rig);
    rig_check(core_view_now(rig->core, false, &view), "core_view_now");
    rig_check(view_exceptions(&view, &query, &sink), "view_exceptions");
    view_put(&view);
    for (uint32_t at = 0; at < state.count; at += 500) {
        uint32_t count = state.count - at < 500 ? state.count - at : 500;
        vt_err err = core_add_settle(rig->core, true, state.positions + at, count, NULL);

        if (err == VT_AGAIN) {
            rig_settle(rig);
            err = core_add_settle(rig->core, true, state.positions + at, count, NULL);
        }
        rig_check(err, "core_add_settle");
        settled += count;
    }
    rig_settle(rig);
    free(state.positions);
    return settled;
}

void
rig_digest(struct rig *rig, char out_hex[65])
{
    struct view view;
    uint8_t digest[32];

    rig_settle(rig);
    rig_check(core_view_now(rig->core, true, &view), "core_view_now");
    rig_check(view_digest(&view, digest), "view_digest");
    view_put(&view);
    for (uint32_t i = 0; i < 32; i++)
        snprintf(out_hex + 2 * i, 3, "%02x", digest[i]);
}

/*
 * bench_core - the engine alone, on one thread and without sockets: W1 frames of columns through
 * the core over a real directory, then its lines by a scan, then the merges of its segments, which
 * the first phase leaves out. One line of JSON a phase.
 *
 * usage: bench_core DIR EVENTS [BATCH] [uuid|sequence]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/engine.h"
#include "storage/storage.h"
#include "tools/common/workload.h"
#include "venturi/hash.h"

static int64_t
now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void
check(vt_err err, const char *what)
{
    if (err == VT_OK)
        return;
    (void)fprintf(stderr, "bench_core: %s: %s: %s\n", what, vt_err_name(err), vt_err_last());
    exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

struct bench {
    struct io *io;
    struct io *seal_io;
    struct store *store;
    struct core *core;
    struct workload *workload;
    uint64_t generate_ns; /* by the clock, and of the processor */
    uint64_t generate_cpu_ns;
    struct core_inline inline_state;
    int64_t merge_ns;
    int64_t merge_cpu_ns;
};

static void
add_frame(struct bench *bench, uint8_t *payload, struct core_session *session, uint64_t *sequence)
{
    struct column_frame frame;
    int64_t start = now_ns(CLOCK_MONOTONIC);
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

    workload_frame(bench->workload, &frame);
    uint64_t bytes = column_frame_encode(&frame, payload);

    bench->generate_ns += (uint64_t)(now_ns(CLOCK_MONOTONIC) - start);
    bench->generate_cpu_ns += (uint64_t)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    struct core_frame add = {
        .frame_type = VT_FRAME_BATCH_COLUMNS,
        .event_count = frame.event_count,
        .payload_crc = vt_crc32c(payload, bytes),
        .payload = {payload, bytes},
        .producer = session->producer,
        .epoch = session->epoch,
        .sequence = *sequence,
    };
    vt_err err = core_add_frame(bench->core, &add);

    while (err == VT_AGAIN) {
        check(core_submit(bench->core, now_ns(CLOCK_REALTIME) / 1000), "core_submit");
        check(core_poll(bench->core, 100000), "core_poll");
        err = core_add_frame(bench->core, &add);
    }
    check(err, "core_add_frame");
    *sequence += frame.event_count;
    if (core_open_bytes(bench->core) >= 256u << 10)
        check(core_submit(bench->core, now_ns(CLOCK_REALTIME) / 1000), "core_submit");
    check(core_poll(bench->core, 0), "core_poll");
}

static vt_err
count_flush(void *context, struct json_out *out)
{
    *(uint64_t *)context += out->size;
    json_out_reset(out);
    return VT_OK;
}

static void
bench_lines(struct bench *bench)
{
    struct view view;
    uint64_t bytes = 0;
    uint64_t rows = 0;
    struct view_sink sink = {count_flush, &bytes};

    check(core_view_now(bench->core, false, &view), "core_view_now");
    for (uint32_t threads = 1; threads <= 2; threads++) {
        struct lines_query query = {.catalog = view.catalog, .threads = threads};
        int64_t start = now_ns(CLOCK_MONOTONIC);

        check(view_lines(&view, &query, &sink, &rows), "view_lines");
        int64_t ns = now_ns(CLOCK_MONOTONIC) - start;

        printf("{\"phase\":\"lines\",\"threads\":%u,\"rows\":%llu,\"rows_per_second\":%lld}\n",
               threads, (unsigned long long)rows, (long long)((int64_t)rows * 1000000000 / ns));
    }
    view_put(&view);
}

static uint64_t
segment_bytes(const struct store *store)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < store_segment_count(store); i++) {
        struct store_segment segment;

        store_segment_at(store, i, &segment);
        bytes += segment.file_bytes;
    }
    return bytes;
}

static struct bench *merging; /* whose merges are timed: the callbacks' context is the core's */

static void
timed_merge(void *context, struct core_merge *merge)
{
    int64_t start = now_ns(CLOCK_MONOTONIC);
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

    (void)context;
    core_merge(merging->core, merge, NULL);
    merging->merge_ns += now_ns(CLOCK_MONOTONIC) - start;
    merging->merge_cpu_ns += now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    check(core_merged(merging->core, merge), "core_merged");
}

/* Opens what was ingested again and merges until nothing is left to merge. */
static void
bench_merges(struct bench *bench, const struct core_options *like, const char *dir, uint64_t events)
{
    struct store_options store = {.dir = dir};
    struct core_options options = *like;
    struct core_callbacks callbacks;
    struct core_stats stats = {0};
    struct core_stats before;

    check(store_open(bench->io, &store, &bench->store), "store_open");
    bench->inline_state.worker_count = 1;
    core_inline_callbacks(&bench->inline_state, &callbacks);
    callbacks.merge = timed_merge;
    merging = bench;
    options.store = bench->store;
    options.merge_width = 0;
    options.callbacks = &callbacks;
    check(core_open(&options, &bench->core), "core_open");
    bench->inline_state.core = bench->core;
    uint64_t segments = store_segment_count(bench->store);

    do {
        before = stats;
        for (uint32_t i = 0; i < 4; i++) /* the edit, the workers, the files */
            check(core_poll(bench->core, 0), "core_poll");
        core_get_stats(bench->core, &stats);
    } while (stats.merges != before.merges);
    if (stats.merges > 0)
        printf("{\"phase\":\"merge\",\"merges\":%llu,\"segments_before\":%llu,\"segments\":%llu,"
               "\"rows_per_second\":%lld,\"cpu_ns_per_row\":%lld,\"bytes_per_row\":%llu,"
               "\"rows_written_per_1000_events\":%llu,\"segment_bytes_per_event\":%llu}\n",
               (unsigned long long)stats.merges, (unsigned long long)segments,
               (unsigned long long)stats.segments,
               (long long)((int64_t)stats.merge_rows * 1000000000 / bench->merge_ns),
               (long long)(bench->merge_cpu_ns / (int64_t)stats.merge_rows),
               (unsigned long long)(stats.merge_bytes / stats.merge_rows),
               (unsigned long long)(stats.merge_rows * 1000 / events),
               (unsigned long long)(segment_bytes(bench->store) / events));
}

static void
engine_open(struct bench *bench, const char *dir, uint64_t events, struct core_options *out_core)
{
    struct store_options store = {.dir = dir, .create = true};

    check(io_uring_open(256, &bench->io), "io_uring_open");
    check(io_uring_open(0, &bench->seal_io), "io_uring_open");
    check(store_open(bench->io, &store, &bench->store), "store_open");
    *out_core = (struct core_options){.io = bench->io,
                                      .seal_io = bench->seal_io,
                                      .store = bench->store,
                                      .worker_count = 1,
                                      .merge_width = 1,
                                      .dedup_ids_max = events * 8 + (1 << 20)};
    check(core_open(out_core, &bench->core), "core_open");
}

static void
engine_begin(struct bench *bench, struct vt_str catalog, struct core_session *out_session)
{
    check(core_add_catalog(bench->core, catalog, NULL, NULL), "core_add_catalog");
    check(core_submit(bench->core, now_ns(CLOCK_REALTIME) / 1000), "core_submit");
    check(core_session_open(bench->core, 1, VT_STR("bench"), 1, out_session), "core_session_open");
}

int
main(int argc, char **argv)
{
    struct bench bench = {0};
    struct core_options core;
    struct core_session session = {0};
    char *catalog = NULL;
    uint32_t catalog_bytes = 0;

    if (argc < 3)
        return 2;
    uint64_t events = strtoull(argv[2], NULL, 10);
    uint32_t batch = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1000;
    bool uuid = argc > 4 && strcmp(argv[4], "uuid") == 0;
    struct workload_options options = {
        .seed = 1,
        .batch = batch,
        .ids = uuid ? COLUMN_IDS_UUID : COLUMN_IDS_SEQUENCE,
        .start_us = now_ns(CLOCK_REALTIME) / 1000,
    };

    check(workload_catalog(0, &catalog, &catalog_bytes), "workload_catalog");
    engine_open(&bench, argv[1], events, &core);
    engine_begin(&bench, (struct vt_str){catalog, catalog_bytes}, &session);
    check(workload_open(&options, &bench.workload), "workload_open");
    uint8_t *payload = malloc((uint64_t)batch * 64 + (1 << 20));
    uint64_t sequence = 1;
    int64_t start = now_ns(CLOCK_MONOTONIC);
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

    while (workload_events(bench.workload) < events)
        add_frame(&bench, payload, &session, &sequence);
    while (!core_idle(bench.core)) {
        check(core_submit(bench.core, now_ns(CLOCK_REALTIME) / 1000), "core_submit");
        check(core_poll(bench.core, 1000000), "core_poll");
    }
    int64_t ns = now_ns(CLOCK_MONOTONIC) - start - (int64_t)bench.generate_ns;

    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu - (int64_t)bench.generate_cpu_ns;
    printf("{\"phase\":\"ingest\",\"events\":%llu,\"batch\":%u,\"ids\":\"%s\",\"events_per_"
           "second\":%lld,"
           "\"cpu_ns_per_event\":%lld,\"generate_ns_per_event\":%llu,\"segment_bytes_per_event\":%"
           "llu}\n",
           (unsigned long long)workload_events(bench.workload), batch, uuid ? "uuid" : "sequence",
           (long long)((int64_t)workload_events(bench.workload) * 1000000000 / ns),
           (long long)(cpu / (int64_t)workload_events(bench.workload)),
           (unsigned long long)(bench.generate_cpu_ns / workload_events(bench.workload)),
           (unsigned long long)(segment_bytes(bench.store) / workload_events(bench.workload)));
    bench_lines(&bench);
    uint64_t taken = workload_events(bench.workload);

    workload_close(bench.workload);
    core_close(bench.core);
    store_close(bench.store);
    bench_merges(&bench, &core, argv[1], taken);
    core_close(bench.core);
    store_close(bench.store);
    io_close(bench.seal_io);
    io_close(bench.io);
    free(payload);
    free(catalog);
    return 0;
}

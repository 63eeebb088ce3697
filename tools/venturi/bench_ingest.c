/* bench_ingest.c - venturi bench ingest: W1 frames of columns into a daemon, as fast as it takes
 * them. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "bench.h"
#include "store_view.h"
#include "tools/common/options.h"
#include "tools/common/workload.h"
#include "venturi/client.h"

#define FRAMES_TIMED (1u << 22) /* latencies beyond these are not kept */

static const char help[] =
    "venturi bench ingest - how many durable, exactly-once events a second this machine takes\n"
    "\n"
    "example: venturi bench ingest\n"
    "         venturi bench ingest --seconds 60 --batch 10000 --ids uuid --data /var/tmp/bench\n"
    "\n"
    "usage: venturi bench ingest [options]\n"
    "\n"
    "Starts a daemon of its own, streams workload W1 (docs/BENCHMARKS.md) as columns over loopback "
    "in a\n"
    "closed loop, waits for every ack, stops the daemon, and counts what its store holds: exit "
    "status 4\n"
    "where an event was lost or counted twice. With ids of their own 1 % of the events are "
    "repeats.\n"
    "\n"
    "  --events N     how many                                   (10000000)\n"
    "  --seconds N    for so long instead\n"
    "  --batch N      events of a frame, 1 to 65536              (1000)\n"
    "  --ids KIND     sequence (of the producer), uuid or uuid7  (sequence)\n"
    "  --tenants N    1 to 1000000                               (1000)\n"
    "  --workers N    of the daemon                              (its default)\n"
    "  --seed N       of the workload                            (1)\n"
    "  --start-us N   event time of the first event, microseconds since 1970 (now)\n"
    "  --data DIR     keep the store here for verify, replay and summary\n"
    "  --json         end with one line of JSON\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage\n";

struct run {
    struct vt_client *client;
    struct workload *workload;
    uint8_t *payload;
    double *sent; /* by frame */
    double *latency;
    uint64_t frames_sent;
    uint64_t frames_acked;
    uint64_t events_acked;
    uint64_t duplicates;
    uint64_t refused;
    uint32_t batch;
};

double
bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
frame_acked(void *context, const struct vt_client_ack *ack)
{
    struct run *run = context;

    if (run->frames_acked < FRAMES_TIMED)
        run->latency[run->frames_acked] = bench_now() - run->sent[run->frames_acked % FRAMES_TIMED];
    run->frames_acked++;
    run->events_acked += ack->event_count;
    run->duplicates += ack->event_count - ack->accepted;
}

static void
frame_refused(void *context, const struct vt_client_refusal *refusal)
{
    struct run *run = context;

    if (run->refused == 0)
        (void)fprintf(stderr, "venturi bench ingest: a frame was refused: %.*s\n",
                      (int)refusal->text.size, refusal->text.data);
    run->refused += refusal->event_count;
    run->frames_acked++;
}

static vt_err
stream(struct run *run, const struct bench_ingest_options *options)
{
    double end = bench_now() + (double)options->seconds;
    vt_err err = VT_OK;

    while (err == VT_OK &&
           (options->seconds > 0 ? bench_now() < end
                                 : workload_events(run->workload) < options->events)) {
        struct column_frame frame;

        workload_frame(run->workload, &frame);
        uint64_t bytes = column_frame_encode(&frame, run->payload);

        run->sent[run->frames_sent++ % FRAMES_TIMED] = bench_now();
        err = vt_client_send(run->client, VT_FRAME_BATCH_COLUMNS, frame.event_count,
                             (struct vt_bytes){run->payload, bytes});
    }
    return err == VT_OK ? vt_client_flush(run->client) : err;
}

static int
number_order(const void *a, const void *b)
{
    const double *one = a;
    const double *other = b;

    return *one < *other ? -1 : *one > *other;
}

static void
latencies(struct run *run, struct bench_ingest_result *result)
{
    uint64_t count = run->frames_acked < FRAMES_TIMED ? run->frames_acked : FRAMES_TIMED;

    if (count == 0 || run->latency == NULL)
        return;
    qsort(run->latency, count, sizeof(double), number_order);
    result->ack_us_p50 = run->latency[count / 2] * 1e6;
    result->ack_us_p99 = run->latency[count - 1 - count / 100] * 1e6;
    result->ack_us_max = run->latency[count - 1] * 1e6;
}

static double
own_cpu(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static vt_err
drive(const struct bench_ingest_options *options, const struct bench_daemon *daemon,
      struct bench_ingest_result *result)
{
    struct run run = {.batch = (uint32_t)options->batch};
    struct timespec wall;
    struct vt_client_options client = {
        .address = daemon->address,
        .token = {daemon->token, (uint32_t)strlen(daemon->token)},
        .producer = VT_STR("bench"),
        .epoch = 1,
        .away_ms = 1000,
        .acked = frame_acked,
        .refused = frame_refused,
        .context = &run,
    };

    clock_gettime(CLOCK_REALTIME, &wall);
    struct workload_options workload = {
        .seed = options->seed,
        .tenant_count = (uint32_t)options->tenants,
        .batch = run.batch,
        .ids = options->uuid ? COLUMN_IDS_UUID : COLUMN_IDS_SEQUENCE,
        .ids_by_time = options->ids_by_time,
        .start_us =
            options->start_us > 0 ? (int64_t)options->start_us : (int64_t)wall.tv_sec * 1000000,
    };
    vt_err err = workload_open(&workload, &run.workload);

    run.payload = malloc(options->batch * 80 + (UINT64_C(1) << 20) + options->tenants * 32);
    run.sent = malloc(FRAMES_TIMED * sizeof(double));
    run.latency = malloc(FRAMES_TIMED * sizeof(double));
    if (err == VT_OK && (run.payload == NULL || run.sent == NULL || run.latency == NULL))
        err = VT_NOMEM;
    if (err == VT_OK)
        err = vt_client_open(&client, &run.client);
    if (err == VT_OK)
        err = bench_backlog(daemon, &result->backlog_start);
    double cpu = own_cpu();
    double start = bench_now();

    if (err == VT_OK)
        err = stream(&run, options);
    result->seconds = bench_now() - start;
    result->client_cpu_seconds = own_cpu() - cpu;
    if (err == VT_OK)
        err = bench_backlog(daemon, &result->backlog_end);
    result->frames = run.frames_sent;
    if (run.workload != NULL) {
        result->events = workload_events(run.workload);
        result->repeats = workload_repeats(run.workload);
    }
    latencies(&run, result);
    if (err == VT_OK && (run.refused > 0 || run.events_acked != result->events ||
                         run.duplicates != result->repeats))
        err = vt_err_detail(VT_DIFFERENT,
                            "%" PRIu64 " events sent with %" PRIu64 " repeats; acks say %" PRIu64
                            " with %" PRIu64 " and %" PRIu64 " refused",
                            result->events, result->repeats, run.events_acked, run.duplicates,
                            run.refused);
    vt_client_close(run.client);
    workload_close(run.workload);
    free(run.payload);
    free(run.sent);
    free(run.latency);
    return err;
}

static uint64_t
files_bytes(const char *dir)
{
    DIR *open = opendir(dir);
    uint64_t bytes = 0;

    if (open == NULL)
        return 0;
    for (;;) {
        const struct dirent *entry = readdir(open); /* NOLINT(concurrency-mt-unsafe): one thread */
        char path[768];
        struct stat status;

        if (entry == NULL)
            break;
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
            bytes += (uint64_t)status.st_size;
    }
    closedir(open);
    return bytes;
}

static uint64_t
store_bytes(const char *dir)
{
    char segments[512];

    (void)snprintf(segments, sizeof segments, "%s/segments", dir);
    return files_bytes(dir) + files_bytes(segments);
}

/* Counts from the files alone what the store holds. */
static vt_err
check_store(const char *dir, const struct bench_ingest_result *result)
{
    struct store_view store = {0};
    uint64_t received = 0;
    uint64_t accepted = 0;
    vt_err err = store_view_open(dir, &store);

    if (err != VT_OK)
        return err;
    for (uint32_t p = 0; p < store.view.part_count; p++) {
        received += store.view.parts[p].tally.received;
        accepted += store.view.parts[p].tally.accepted;
    }
    store_view_close(&store);
    if (received != result->events || accepted != result->events - result->repeats)
        return vt_err_detail(VT_DIFFERENT,
                             "sent %" PRIu64 " events, %" PRIu64
                             " of them repeats; the store has %" PRIu64 " received, %" PRIu64
                             " accepted",
                             result->events, result->repeats, received, accepted);
    return VT_OK;
}

vt_err
bench_ingest_run(const struct bench_ingest_options *options, struct bench_ingest_result *out_result,
                 struct bench_daemon *out_daemon)
{
    char *catalog = NULL;
    struct bench_daemon_options daemon = {.data = options->data, .workers = options->workers};
    vt_err err = workload_catalog((uint32_t)options->tenants, &catalog, &daemon.catalog_bytes);

    memset(out_result, 0, sizeof *out_result);
    daemon.catalog = catalog;
    /* Zipf makes partitions unequal, and each has its share of the budget. */
    daemon.dedup_ids =
        options->uuid ? (options->seconds > 0 ? UINT64_C(1) << 30 : options->events * 4) : 0;
    if (err == VT_OK)
        err = bench_daemon_start(&daemon, out_daemon);
    free(catalog);
    if (err != VT_OK)
        return err;
    bench_host_read(out_daemon->dir, &out_result->host);
    err = drive(options, out_daemon, out_result);
    vt_err stopped = bench_daemon_stop(out_daemon);

    err = err == VT_OK ? stopped : err;
    out_result->daemon_cpu_seconds = out_daemon->cpu_seconds;
    out_result->daemon_memory_bytes = out_daemon->memory_bytes;
    out_result->store_bytes = store_bytes(out_daemon->dir);
    return err == VT_OK ? check_store(out_daemon->dir, out_result) : err;
}

static const char *
ids_name(const struct bench_ingest_options *options)
{
    if (!options->uuid)
        return "sequence";
    return options->ids_by_time ? "uuid7" : "uuid";
}

static void
print_result(const struct bench_ingest_options *options, const struct bench_ingest_result *result,
             bool json)
{
    double rate = (double)result->events / result->seconds;

    printf("workload W1, columns, ids %s, %" PRIu64 " events a frame, %" PRIu64
           " tenants, closed loop, one connection\n"
           "%" PRIu64 " events (%" PRIu64
           " repeats) in %.2f s: %.0f durable events/s, all counted exactly once\n"
           "ack of a frame: p50 %.0f us, p99 %.0f us, max %.0f us\n"
           "CPU: daemon %.2f s, client %.2f s (with the generator); daemon's peak memory %.0f MiB\n"
           "all files of the store, lanes included: %.1f bytes an event\n"
           "cuts not sealed: %" PRIu64 " before the first frame, %" PRIu64
           " after the last ack; load of the machine before: %.1f\n",
           ids_name(options), options->batch, options->tenants, result->events, result->repeats,
           result->seconds, rate, result->ack_us_p50, result->ack_us_p99, result->ack_us_max,
           result->daemon_cpu_seconds, result->client_cpu_seconds,
           (double)result->daemon_memory_bytes / 1048576.0,
           (double)result->store_bytes / (double)result->events, result->backlog_start,
           result->backlog_end, result->host.load);
    if (json) {
        printf(
            "{\"bench\":\"ingest\",\"workload\":\"W1\",\"form\":\"columns\",\"ids\":\"%s\","
            "\"batch\":%" PRIu64 ",\"tenants\":%" PRIu64 ",\"events\":%" PRIu64
            ",\"repeats\":%" PRIu64
            ",\"seconds\":%.3f,\"events_per_second\":%.0f,\"ack_us_p50\":%.0f,\"ack_us_p99\":%.0f,"
            "\"daemon_cpu_seconds\":%.3f,\"client_cpu_seconds\":%.3f,\"store_bytes\":%" PRIu64
            ",\"backlog_start\":%" PRIu64 ",\"backlog_end\":%" PRIu64 ",\"machine\":",
            ids_name(options), options->batch, options->tenants, result->events, result->repeats,
            result->seconds, rate, result->ack_us_p50, result->ack_us_p99,
            result->daemon_cpu_seconds, result->client_cpu_seconds, result->store_bytes,
            result->backlog_start, result->backlog_end);
        bench_host_print(&result->host);
        puts("}");
    }
}

int
bench_ingest_command(int argc, char **argv)
{
    struct bench_ingest_options options = {
        .events = 10000000, .batch = 1000, .seed = 1, .tenants = 1000};
    struct bench_ingest_result result;
    struct bench_daemon daemon = {.pid = -1};
    const char *ids = "sequence";
    bool json = false;
    int first = 0;
    const struct option_spec specs[] = {
        {.name = "events",
         .kind = OPTION_NUMBER,
         .target = &options.events,
         .least = 1,
         .most = UINT64_C(1) << 40},
        {.name = "seconds",
         .kind = OPTION_NUMBER,
         .target = &options.seconds,
         .least = 1,
         .most = 86400},
        {.name = "batch",
         .kind = OPTION_NUMBER,
         .target = &options.batch,
         .least = 1,
         .most = 65536},
        {.name = "ids", .kind = OPTION_TEXT, .target = &ids},
        {.name = "tenants",
         .kind = OPTION_NUMBER,
         .target = &options.tenants,
         .least = 1,
         .most = 1000000},
        {.name = "workers",
         .kind = OPTION_NUMBER,
         .target = &options.workers,
         .least = 1,
         .most = 64},
        {.name = "seed", .kind = OPTION_NUMBER, .target = &options.seed},
        {.name = "start-us",
         .kind = OPTION_NUMBER,
         .target = &options.start_us,
         .most = UINT64_C(1) << 52},
        {.name = "data", .kind = OPTION_TEXT, .target = &options.data},
        {.name = "json", .kind = OPTION_FLAG, .target = &json},
        {.name = NULL},
    };
    int status = options_read(argc, argv, help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    options.ids_by_time = strcmp(ids, "uuid7") == 0;
    options.uuid = options.ids_by_time || strcmp(ids, "uuid") == 0;
    if (strcmp(ids, ids_name(&options)) != 0)
        return options_misused(argv[0], "--ids %s: sequence, uuid or uuid7", ids);
    vt_err err = bench_ingest_run(&options, &result, &daemon);

    bench_daemon_clean(&daemon);
    if (err != VT_OK) {
        (void)options_failed(argv[0], NULL, err);
        return err == VT_DIFFERENT ? EXIT_DIFFERENT : EXIT_FAILED;
    }
    print_result(&options, &result, json);
    return EXIT_DONE;
}

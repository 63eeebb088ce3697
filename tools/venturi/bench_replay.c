/* bench_replay.c - venturi bench replay: how fast history is rated again by a scan of its rows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "store_view.h"
#include "tools/common/options.h"

#define RUNS_MAX 99

static const char help[] =
    "venturi bench replay - how many events a second are rated again from the log alone\n"
    "\n"
    "example: venturi bench replay\n"
    "         venturi bench ingest --events 20000000 --data /var/tmp/bench\n"
    "         venturi bench replay --data /var/tmp/bench --threads 2\n"
    "\n"
    "usage: venturi bench replay [options]\n"
    "\n"
    "Rates every accepted row of a store by its own catalog, warm, with all checksums: reading, "
    "decoding,\n"
    "pricing (W1: per_unit), lines. Without --data it first ingests W1 into a temporary store.\n"
    "\n"
    "  --data DIR     a store\n"
    "  --events N     to ingest where there is no --data   (10000000)\n"
    "  --threads N    1 to 64                              (2)\n"
    "  --runs N       after one to warm up                 (5)\n"
    "  --json         end with one line of JSON\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage\n";

static vt_err
count_flush(void *context, struct json_out *out)
{
    *(uint64_t *)context += out->size;
    json_out_reset(out);
    return VT_OK;
}

static int
number_order(const void *a, const void *b)
{
    const double *one = a;
    const double *other = b;

    return *one < *other ? -1 : *one > *other;
}

struct replay_runs {
    uint64_t count;
    uint64_t threads;
    uint64_t rows;
    double rates[RUNS_MAX];
};

static vt_err
replay_all(const char *dir, struct replay_runs *runs)
{
    struct store_view store = {0};
    uint64_t bytes = 0;
    struct view_sink sink = {count_flush, &bytes};
    vt_err err = store_view_open(dir, &store);

    for (uint64_t run = 0; err == VT_OK && run <= runs->count; run++) {
        struct lines_query query = {.catalog = store.view.catalog,
                                    .threads = (uint32_t)runs->threads};
        double start = bench_now();

        err = view_lines(&store.view, &query, &sink, &runs->rows);
        if (run > 0)
            runs->rates[run - 1] = (double)runs->rows / (bench_now() - start);
    }
    store_view_close(&store);
    return err;
}

int
bench_replay_command(int argc, char **argv)
{
    struct bench_ingest_options ingest = {
        .events = 10000000, .batch = 1000, .seed = 1, .tenants = 1000};
    struct bench_ingest_result result;
    struct bench_daemon daemon = {.pid = -1};
    struct replay_runs runs = {.count = 5, .threads = 2};
    const char *data = NULL;
    bool json = false;
    int first = 0;
    const struct option_spec specs[] = {
        {.name = "data", .kind = OPTION_TEXT, .target = &data},
        {.name = "events",
         .kind = OPTION_NUMBER,
         .target = &ingest.events,
         .least = 1,
         .most = UINT64_C(1) << 40},
        {.name = "threads", .kind = OPTION_NUMBER, .target = &runs.threads, .least = 1, .most = 64},
        {.name = "runs",
         .kind = OPTION_NUMBER,
         .target = &runs.count,
         .least = 1,
         .most = RUNS_MAX},
        {.name = "json", .kind = OPTION_FLAG, .target = &json},
        {.name = NULL},
    };
    int status = options_read(argc, argv, help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    vt_err err = data == NULL ? bench_ingest_run(&ingest, &result, &daemon) : VT_OK;

    if (err == VT_OK)
        err = replay_all(data == NULL ? daemon.dir : data, &runs);
    bench_daemon_clean(&daemon);
    if (err != VT_OK)
        return options_failed(argv[0], NULL, err);
    qsort(runs.rates, runs.count, sizeof(double), number_order);
    double median = runs.rates[runs.count / 2];

    printf("%" PRIu64 " rows, %" PRIu64
           " threads, warm, checksums on, by scan: median %.0f rows/s (%.0f to %.0f in %" PRIu64
           " runs)\n",
           runs.rows, runs.threads, median, runs.rates[0], runs.rates[runs.count - 1], runs.count);
    if (json)
        printf("{\"bench\":\"replay\",\"rows\":%" PRIu64 ",\"threads\":%" PRIu64
               ",\"runs\":%" PRIu64 ",\"events_per_second\":%.0f,\"least\":%.0f,\"most\":%.0f}\n",
               runs.rows, runs.threads, runs.count, median, runs.rates[0],
               runs.rates[runs.count - 1]);
    return EXIT_DONE;
}

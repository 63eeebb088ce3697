/* http_metrics.c - counters as Prometheus reads them (text format 0.0.4). Few and of a fixed
 * number: no tenant, no path. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "http_internal.h"
#include "venturi/assert.h"

#define LINE_BYTES 512

struct metric {
    const char *name;
    const char *type;
    const char *help;
    uint64_t value;
};

static vt_err
metric_put(struct spool *spool, const struct metric *metric)
{
    char text[LINE_BYTES];
    int size =
        snprintf(text, sizeof text, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", metric->name,
                 metric->help, metric->name, metric->type, metric->name, metric->value);

    VT_ASSERT(size > 0 && size < LINE_BYTES);
    return spool_add(spool, text, (uint64_t)size);
}

static vt_err
answers_put(struct http_request *request)
{
    static const char head[] =
        "# HELP venturi_http_answers_total HTTP answers by status; code 0 is any other.\n"
        "# TYPE venturi_http_answers_total counter\n";
    char text[LINE_BYTES];
    vt_err err = spool_add(&request->spool, head, sizeof head - 1);

    for (uint32_t i = 0; err == VT_OK && i < HTTP_STATUSES_MAX; i++) {
        uint64_t count = atomic_load(&request->http->answers[i]);

        if (i > 0 && http_status_at(i) == 0 && http_status_at(i - 1) == 0)
            break;
        int size = snprintf(text, sizeof text,
                            "venturi_http_answers_total{code=\"%" PRIu32 "\"} %" PRIu64 "\n",
                            http_status_at(i), count);

        VT_ASSERT(size > 0 && size < LINE_BYTES);
        err = spool_add(&request->spool, text, (uint64_t)size);
    }
    return err;
}

static vt_err
metrics_put(struct http_request *request, const struct metric *metrics, size_t count)
{
    vt_err err = VT_OK;

    for (size_t i = 0; err == VT_OK && i < count; i++)
        err = metric_put(&request->spool, &metrics[i]);
    return err;
}

static vt_err
engine_put(struct http_request *request, const struct call *call)
{
    const struct core_stats *stats = &call->stats;
    const struct metric metrics[] = {
        {"venturi_events_total", "counter", "Events taken since the start.", stats->events},
        {"venturi_frame_bytes_total", "counter", "Bytes of frames taken since the start.",
         stats->bytes},
        {"venturi_frames_total", "counter", "Frames taken since the start.", stats->frames},
        {"venturi_frames_refused_total", "counter", "Frames refused at the door.",
         stats->frames_refused},
        {"venturi_commits_total", "counter", "Commits made since the start.", stats->commits},
        {"venturi_commit_durable", "gauge", "Number of the last durable commit.",
         stats->commits_durable},
        {"venturi_log_position", "gauge", "Position of the last event.", stats->position},
        {"venturi_cuts_total", "counter", "Cuts made since the start.", stats->cuts},
        {"venturi_cuts_waiting", "gauge", "Cuts that are not sealed yet.", stats->cuts_waiting},
        {"venturi_commit_age_seconds", "gauge",
         "Since the last commit became durable, while one is being written.",
         (uint64_t)call->write_age_ns / 1000000000},
        {"venturi_disk_free_bytes", "gauge", "What the store's file system has left.",
         stats->disk_free_bytes},
        {"venturi_disk_kept_bytes", "gauge", "Free bytes below which no events are taken.",
         stats->disk_kept_bytes},
        {"venturi_disk_full", "gauge", "1: events are refused with VT_DISK_FULL.",
         stats->disk_full},
        {"venturi_seal_waits", "gauge", "1: a cut found no space and waits.", stats->seal_waits},
        {"venturi_segments", "gauge", "Segments of the store.", stats->segments},
        {"venturi_merges_total", "counter", "Merges of segments since the start.", stats->merges},
        {"venturi_merges_failed_total", "counter", "Merges that came to nothing.",
         stats->merges_failed},
        {"venturi_merge_rows_total", "counter", "Rows that merges have written.",
         stats->merge_rows},
        {"venturi_merge_bytes_total", "counter", "Bytes that merges have written.",
         stats->merge_bytes},
        {"venturi_dedup_ids", "gauge", "Remembered ids.", stats->dedup_ids},
        {"venturi_dedup_ids_max", "gauge", "Ids that the budget holds.", stats->dedup_ids_max},
        {"venturi_fenced_partitions", "gauge",
         "Partitions whose sealed data is damaged and waits for venturi repair.", stats->fenced},
    };

    return metrics_put(request, metrics, VT_COUNT(metrics));
}

static vt_err
faces_put(struct http_request *request, const struct conns_stats *conns)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t up_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - request->http->started.ns;
    const struct metric metrics[] = {
        {"venturi_frame_connections", "gauge", "Open frame connections.", conns->open},
        {"venturi_frame_connections_total", "counter", "Frame connections accepted.",
         conns->accepted},
        {"venturi_frame_connections_refused_total", "counter",
         "Frame connections turned away, for there were too many or the daemon was ending.",
         conns->refused},
        {"venturi_frame_connections_overdue_total", "counter",
         "Frame connections ended because the peer missed a deadline.", conns->closed_by_deadline},
        {"venturi_frame_errors_total", "counter", "Error frames sent.", conns->errors_sent},
        {"venturi_received_bytes_total", "counter", "Bytes received on frame connections.",
         conns->bytes_received},
        {"venturi_http_connections", "gauge", "Open HTTP connections.",
         atomic_load(&request->http->connections)},
        {"venturi_http_body_bytes", "gauge", "Memory held by request bodies.",
         atomic_load(&request->http->body_bytes)},
        {"venturi_uptime_seconds", "gauge", "Seconds since the start.",
         (uint64_t)up_ns / 1000000000},
    };

    return metrics_put(request, metrics, VT_COUNT(metrics));
}

vt_err
handle_metrics(struct http_request *request)
{
    static const char build[] = "# HELP venturi_build_info The version that runs.\n"
                                "# TYPE venturi_build_info gauge\n"
                                "venturi_build_info{version=\"" VENTURI_VERSION "\"} 1\n";
    struct call call = {.kind = CALL_STATS};
    vt_err err = request_call(request, &call);

    if (err != VT_OK)
        return err;
    request_position(request, call.stats.position);
    request->content_type = "text/plain; version=0.0.4; charset=utf-8";
    err = engine_put(request, &call);
    if (err == VT_OK)
        err = faces_put(request, &call.conns);
    if (err == VT_OK)
        err = answers_put(request);
    return err == VT_OK ? spool_add(&request->spool, build, sizeof build - 1) : err;
}

/*
 * engine_probe - runs a whole engine over a catalog and a file of events, in batches, with
 * restarts, crashes and cuts between as a seed says, and prints what it answers, for comparison
 * with the oracle.
 *
 * usage: engine_probe SEED CATALOG.json EVENTS.jsonl [--at US] [--dir DIR] [--then CATALOG2.json]
 *
 * --then applies a catalog after the events and retries every exception. Output: lines that begin
 * with S (summary), W (windows), L (lines), U (unrated), D (digest), N (what the run did, as JSON).
 *
 * The digest is taken before and after each restart; where they differ the program ends with 4.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_rig.h"
#include "json_row.h"
#include "row_batch.h"
#include "row_columns.h"
#include "venturi/assert.h"
#include "venturi/time.h"

struct probe {
    struct engine_rig rig;
    uint64_t random;
    struct row_batch batch;
    struct row_columns *columns; /* NULL: all goes as rows */
    uint32_t *row_sizes;
    uint64_t column_frames;
    uint32_t batch_events;
    bool many; /* small batches only, so that there are many, and many cuts */
    uint64_t frames;
    uint64_t events;
    uint64_t clean;
};

static uint64_t
next_random(struct probe *probe, uint64_t below)
{
    /* SplitMix64 (G. Steele et al., 2014). */
    uint64_t z = (probe->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static char *
file_read(const char *path, size_t *out_size)
{
    FILE *file = fopen(path, "rbe");
    size_t capacity = 1 << 16;
    size_t size = 0;
    char *text = malloc(capacity);

    if (file == NULL || text == NULL) {
        fprintf(stderr, "engine_probe: %s cannot be read\n", path);
        exit(1);
    }
    for (;;) {
        size_t got = fread(text + size, 1, capacity - size, file);

        size += got;
        if (got == 0)
            break;
        if (size == capacity) {
            capacity *= 2;
            text = realloc(text, capacity);
            if (text == NULL)
                exit(1);
        }
    }
    fclose(file);
    *out_size = size;
    return text;
}

static uint32_t
random_batch(struct probe *probe)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 7, 20, 30, 100, 1000, 10000};

    return sizes[next_random(probe, probe->many ? 7 : VT_COUNT(sizes))];
}

/* PROBE_DEBUG=1 shows the answers around each restart: to find out what a digest differs in. */
static void
debug_print(struct probe *probe, const char *prefix)
{
    if (getenv("PROBE_DEBUG") == NULL)
        return;
    engine_rig_print(&probe->rig, RIG_SUMMARY, prefix, NULL);
    engine_rig_print(&probe->rig, RIG_WINDOWS, prefix, NULL);
    engine_rig_print(&probe->rig, RIG_EXCEPTIONS, prefix, NULL);
    engine_rig_print(&probe->rig, RIG_FEED, prefix, NULL);
}

static void
restart_maybe(struct probe *probe)
{
    char before[65];
    char after[65];

    if (next_random(probe, probe->many ? 16 : 6) != 0)
        return;
    engine_rig_digest(&probe->rig, before);
    debug_print(probe, "before ");
    bool crash = next_random(probe, 2) == 0;
    bool clean = !crash && next_random(probe, 2) == 0;

    probe->clean += clean;
    engine_rig_restart(&probe->rig, crash, clean);
    engine_rig_digest(&probe->rig, after);
    debug_print(probe, "after  ");
    if (strcmp(before, after) != 0) {
        fprintf(stderr, "engine_probe: digest %s before a restart, %s after it\n", before, after);
        exit(4);
    }
}

static void
send_rows(struct probe *probe)
{
    engine_rig_check(engine_rig_frame(&probe->rig, VT_FRAME_BATCH_ROWS, probe->batch.event_count,
                                      row_batch_payload(&probe->batch)),
                     "frame");
    probe->frames++;
}

static void
send_columns(struct probe *probe)
{
    struct row_columns_frame frame;
    uint32_t count = 0;
    vt_err err;

    engine_rig_check(row_columns_begin(probe->columns, row_batch_payload(&probe->batch),
                                       probe->row_sizes, probe->batch.event_count),
                     "row_columns_begin");
    while ((err = row_columns_next(probe->columns, &frame)) == VT_OK) {
        engine_rig_check(
            engine_rig_frame(&probe->rig, (uint8_t)frame.type, frame.event_count, frame.payload),
            "frame");
        count += frame.event_count;
        probe->frames++;
        probe->column_frames += frame.type == VT_FRAME_BATCH_COLUMNS;
    }
    VT_ASSERT(err == VT_END);
    VT_ASSERT(count == probe->batch.event_count);
}

static void
flush(struct probe *probe)
{
    if (probe->batch.event_count == 0)
        return;
    if (probe->columns == NULL)
        send_rows(probe);
    else
        send_columns(probe);
    probe->events += probe->batch.event_count;
    row_batch_clear(&probe->batch);
    probe->batch_events = random_batch(probe);
    probe->rig.now_us += (int64_t)next_random(probe, 3 * VT_US_PER_SECOND);
    if (next_random(probe, 2) == 0)
        engine_rig_submit(&probe->rig);
    restart_maybe(probe);
}

static void
feed(struct probe *probe, const char *text, size_t size)
{
    struct json_row *row = NULL;

    engine_rig_check(json_row_open(&row), "json_row_open");
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t bytes = end == NULL ? size - at : (size_t)(end - text) - at;
        struct vt_bytes event;

        if (json_row_parse(row, (struct vt_str){text + at, (uint32_t)bytes}, 1, &event) == VT_OK) {
            if (row_batch_add(&probe->batch, event) != VT_OK) {
                flush(probe);
                engine_rig_check(row_batch_add(&probe->batch, event), "event");
            }
            probe->row_sizes[probe->batch.event_count - 1] = (uint32_t)event.size;
            if (probe->batch.event_count >= probe->batch_events)
                flush(probe);
        }
        at += bytes + 1;
    }
    flush(probe);
    json_row_close(row);
}

/* The highest level of a segment: 0 where nothing was merged. */
static uint32_t
merge_level(const struct probe *probe)
{
    uint32_t level = 0;

    for (uint32_t i = 0; i < store_segment_count(probe->rig.store); i++) {
        struct store_segment segment;

        store_segment_at(probe->rig.store, i, &segment);
        level = segment.id.level > level ? segment.id.level : level;
    }
    return level;
}

static void
answer(struct probe *probe, const int64_t *at_us)
{
    char digest[65];

    engine_rig_print(&probe->rig, RIG_SUMMARY, "S ", NULL);
    engine_rig_print(&probe->rig, RIG_WINDOWS, "W ", NULL);
    engine_rig_print(&probe->rig, RIG_LINES, "L ", at_us);
    engine_rig_print(&probe->rig, RIG_UNRATED, "U ", at_us);
    engine_rig_digest(&probe->rig, digest);
    printf("D %s\n", digest);
}

int
main(int argc, char **argv)
{
    struct probe probe = {0};
    const char *dir = NULL;
    const char *then = NULL;
    int64_t at_us = 0;
    bool has_at = false;

    if (argc < 4) {
        fprintf(stderr,
                "usage: engine_probe SEED CATALOG EVENTS [--at US] [--dir DIR] [--then CATALOG]\n");
        return 2;
    }
    for (int i = 4; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--at") == 0) {
            at_us = strtoll(argv[i + 1], NULL, 10);
            has_at = true;
        } else if (strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        } else if (strcmp(argv[i], "--then") == 0) {
            then = argv[i + 1];
        }
    }
    probe.random = strtoull(argv[1], NULL, 10);
    bool large = next_random(&probe, 10) == 0;
    struct engine_rig_options options = {
        .dir = dir,
        .seed = probe.random,
        .worker_count = 1 + (uint32_t)next_random(&probe, 2),
        .partition_count = 1 + (uint32_t)(next_random(&probe, 2) * next_random(&probe, 4)),
        .lane_count = 1 + (uint32_t)next_random(&probe, 4),
        .commit_bytes_max = large ? 2 << 20 : 256 << 10,
        .lane_bytes = large ? 8 << 20 : 1 << 20,
        .cut_bytes = UINT64_C(1) << (12 + next_random(&probe, 4) * next_random(&probe, 4)),
        .dedup_ids_max = 1 << 18,
        .merge_width = 2 + (uint32_t)(next_random(&probe, 2) * next_random(&probe, 3)),
    };
    size_t catalog_bytes = 0;
    size_t event_bytes = 0;
    char *catalog = file_read(argv[2], &catalog_bytes);
    char *events = file_read(argv[3], &event_bytes);

    engine_rig_open(&probe.rig, &options);
    engine_rig_catalog(&probe.rig, (struct vt_str){catalog, (uint32_t)catalog_bytes});
    engine_rig_check(
        row_batch_init(&probe.batch, options.commit_bytes_max - 8192, VT_BATCH_EVENTS_MAX),
        "row_batch_init");
    probe.many = next_random(&probe, 4) > 0;
    probe.batch_events = random_batch(&probe);
    probe.row_sizes = calloc(VT_BATCH_EVENTS_MAX, sizeof *probe.row_sizes);
    if (probe.row_sizes == NULL)
        return 1;
    if (next_random(&probe, 2) == 0)
        engine_rig_check(row_columns_open(options.commit_bytes_max - 8192,
                                          1 + (uint32_t)next_random(&probe, 4), &probe.columns),
                         "row_columns_open");
    feed(&probe, events, event_bytes);
    uint32_t retried = 0;

    if (then != NULL) {
        size_t then_bytes = 0;
        char *text = file_read(then, &then_bytes);

        engine_rig_catalog(&probe.rig, (struct vt_str){text, (uint32_t)then_bytes});
        retried = engine_rig_retry_all(&probe.rig);
        restart_maybe(&probe);
        free(text);
    }
    answer(&probe, has_at ? &at_us : NULL);
    printf("N {\"frames\":%llu,\"events\":%llu,\"restarts\":%llu,\"crashes\":%llu,\"clean\":%llu,"
           "\"segments\":%u,\"merge_level\":%u,\"retried\":%u,\"columns\":%llu}\n",
           (unsigned long long)probe.frames, (unsigned long long)probe.events,
           (unsigned long long)probe.rig.restarts, (unsigned long long)probe.rig.crashes,
           (unsigned long long)probe.clean, store_segment_count(probe.rig.store),
           merge_level(&probe), retried, (unsigned long long)probe.column_frames);
    row_batch_deinit(&probe.batch);
    row_columns_close(probe.columns);
    free(probe.row_sizes);
    engine_rig_close(&probe.rig);
    free(catalog);
    free(events);
    return 0;
}

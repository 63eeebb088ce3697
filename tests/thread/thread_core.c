/*
 * Goal:   the daemon's threads share an engine without a race: the front thread admits and commits,
 *         workers apply, the sealer seals cut after cut, readers answer from views meanwhile; and
 *         every view is exactly the state at its position.
 * Method: the real workers and rings over a store in a temporary directory. Every view goes to one
 *         of two readers, which compares counters with windows, asks for lines and the feed, and
 *         takes the digest; two views of one position must have the same. Under ThreadSanitizer any
 *         race ends the program.
 *
 * Exit 77 where the system has no io_uring.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "answer_text.h"
#include "event_maker.h"
#include "venturi/assert.h"
#include "venturi/ring.h"
#include "venturi/time.h"
#include "worker.h"

#define WORKERS    3U
#define READERS    2U
#define FRAMES     400U
#define EVENTS     40U
#define VIEW_EVERY 8U
#define VIEWS_MAX  (2 * FRAMES / VIEW_EVERY + 8)
#define DAY_US     INT64_C(1672531200000000)

static const char catalog_text[] =
    "{\"event_types\": [{\"type\": \"call\", \"fields\": [{\"name\": \"region\", \"kind\":"
    " \"string\"}, {\"name\": \"tokens\", \"kind\": \"decimal\", \"scale\": 0}]}],"
    " \"meters\": [{\"key\": \"calls\", \"event_type\": \"call\", \"aggregation\": \"count\","
    " \"group_by\": [\"region\"], \"window\": \"1h\"}],"
    " \"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}, {\"key\": \"initech\"}],"
    " \"plans\": [{\"key\": \"p\", \"version\": 1, \"currency\": \"USD\", \"effective_from\":"
    " \"2022-01-01T00:00:00Z\", \"charges\": [{\"key\": \"c\", \"meter\": \"calls\", \"model\":"
    " \"per_unit\", \"price\": \"0.01\"}]}],"
    " \"contracts\": [{\"key\": \"k\", \"tenant\": \"acme\", \"plan\": \"p\", \"plan_version\":"
    " \"latest\", \"version\": 1, \"from\": \"2022-01-01T00:00:00Z\", \"to\": null,"
    " \"billing_anchor_day\": 1, \"time_zone\": \"UTC\"}]}";

struct reader {
    struct vt_ring ring; /* views from the front thread */
    pthread_t thread;
    uint32_t index;
    uint32_t views;
};

struct seen {
    uint64_t position;
    uint8_t digest[32];
};

struct front {
    char dir[64];
    struct io *io;
    struct io *seal_io;
    struct store *store;
    struct core *core;
    struct workers *workers;
    struct arena arena;
    int wake_fd;
    int64_t now_us;
    uint64_t ids;
    uint64_t acked;
    uint32_t views_asked;
    uint32_t views_given;
};

static struct reader readers[READERS];
static _Atomic uint32_t stopping; /* written by the front thread */
static struct seen seen[VIEWS_MAX];
static uint32_t seen_count; /* both by seen_lock */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static void
must(vt_err err, const char *what)
{
    if (err == VT_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, vt_err_name(err), vt_err_last());
    exit(1);
}

/* ---- readers */

static uint64_t
windows_count(const char *text)
{
    static const char word[] = "\"count\":";
    uint64_t sum = 0;

    for (const char *at = text; at != NULL && (at = strstr(at, word)) != NULL;) {
        at += sizeof word - 1;
        sum += strtoull(at, NULL, 10);
    }
    return sum;
}

static void
digest_note(const struct view *view)
{
    uint8_t digest[32];

    must(view_digest(view, digest), "view_digest");
    pthread_mutex_lock(&seen_lock);
    for (uint32_t i = 0; i < seen_count; i++)
        if (seen[i].position == view->position &&
            memcmp(seen[i].digest, digest, sizeof digest) != 0) {
            fprintf(stderr, "two views of position %lu differ\n", (unsigned long)view->position);
            exit(1);
        }
    VT_ASSERT(seen_count < VIEWS_MAX);
    seen[seen_count].position = view->position;
    memcpy(seen[seen_count++].digest, digest, sizeof digest);
    pthread_mutex_unlock(&seen_lock);
}

static void
view_read(const struct view *view)
{
    struct windows_query windows = {.start_us = INT64_MIN, .end_us = INT64_MAX};
    struct lines_query lines = {.catalog = view->catalog, .threads = 2};
    struct feed_query page = {.limit = 0};
    struct answer_text text = {0};
    struct view_sink sink = {answer_flush, &text};
    uint64_t accepted = 0;
    uint64_t rows = 0;

    for (uint32_t p = 0; p < view->part_count; p++)
        accepted += view->parts[p].tally.accepted;
    must(view_windows(view, &windows, &sink), "view_windows");
    if (windows_count(text.data) != accepted) {
        fprintf(stderr, "position %lu: windows of %lu events, %lu accepted\n",
                (unsigned long)view->position, (unsigned long)windows_count(text.data),
                (unsigned long)accepted);
        exit(1);
    }
    must(view_lines(view, &lines, &sink, &rows), "view_lines");
    must(answer_feed(view, &page, &text, &rows), "view_feed");
    digest_note(view);
    free(text.data);
}

static void *
reader_main(void *argument)
{
    struct reader *reader = argument;

    for (;;) {
        void *message = NULL;
        bool last = atomic_load_explicit(&stopping, memory_order_acquire) != 0;

        if (vt_ring_try_pop(&reader->ring, &message)) {
            struct view *view = message;

            view_read(view);
            view_put(view);
            free(view);
            reader->views++;
        } else if (last) {
            return NULL;
        } else {
            sched_yield();
        }
    }
}

/* ---- the front thread */

static void
front_dispatch(void *context, struct work *work)
{
    workers_push(((struct front *)context)->workers, work);
}

static void
front_seal(void *context, struct cut *cut)
{
    workers_seal(((struct front *)context)->workers, cut);
}

static void
front_merge(void *context, struct core_merge *merge)
{
    workers_merge(((struct front *)context)->workers, merge);
}

static void
front_acked(void *context, void *waiter, const struct core_ack *ack)
{
    struct front *front = context;

    (void)waiter;
    must(ack->err, "ack");
    front->acked += ack->event_count;
}

static void
front_viewed(void *context, void *waiter, struct view *view, vt_err err)
{
    struct front *front = context;
    struct reader *reader = &readers[front->views_given++ % READERS];

    (void)waiter;
    must(err, "view");
    while (!vt_ring_try_push(&reader->ring, &view))
        sched_yield();
}

static void
front_step(struct front *front, bool submit)
{
    struct cut *cut = workers_sealed(front->workers);

    if (cut != NULL)
        must(core_sealed(front->core, cut), "core_sealed");
    struct core_merge *merge = workers_merged(front->workers);

    if (merge != NULL)
        must(core_merged(front->core, merge), "core_merged");
    if (submit)
        must(core_submit(front->core, front->now_us), "core_submit");
    must(core_poll(front->core, 200000), "core_poll");
}

static void
front_open(struct front *front)
{
    struct core_callbacks callbacks = {
        .dispatch = front_dispatch,
        .seal = front_seal,
        .merge = front_merge,
        .acked = front_acked,
        .viewed = front_viewed,
        .context = front,
    };
    struct store_options store = {
        .dir = front->dir,
        .create = true,
        .partition_count = 4,
        .lane_count = 2,
        .lane_bytes = 1 << 20,
        .commit_bytes_max = 64 << 10,
    };

    must(store_open(front->io, &store, &front->store), "store_open");
    struct core_options core = {
        .io = front->io,
        .seal_io = front->seal_io,
        .store = front->store,
        .worker_count = WORKERS,
        .dedup_ids_max = 1 << 16,
        .cut_bytes = 150000,
        .merge_width = 2,
        .callbacks = &callbacks,
    };

    must(workers_open(WORKERS, front->wake_fd, &front->workers), "workers_open");
    must(core_open(&core, &front->core), "core_open");
    must(workers_start(front->workers, front->core), "workers_start");
}

static void
front_idle(struct front *front)
{
    while (!core_idle(front->core))
        front_step(front, core_open_any(front->core));
}

static void
front_close(struct front *front)
{
    front_idle(front);
    workers_close(front->workers);
    core_close(front->core);
    store_close(front->store);
}

static vt_err
zone_none(void *context, struct vt_str name, struct vt_bytes *out_tzif)
{
    static const uint8_t utc[] =
        "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\1\0\0\0\4\0\0\0\0\0\0UTC\0"
        "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\1\0\0\0\4\0\0\0\0\0\0UTC\0\nUTC0\n";

    (void)context;
    (void)name;
    *out_tzif = (struct vt_bytes){utc, sizeof utc - 1};
    return VT_OK;
}

static struct core_frame
frame_make(struct front *front, uint32_t round)
{
    static const char *const tenants[] = {"acme", "globex", "initech"};
    static const char *const regions[] = {"eu", "us"};
    uint8_t *payload;
    uint8_t *at;

    arena_reset(&front->arena);
    at = payload = arena_alloc(&front->arena, EVENTS * 512);
    VT_ASSERT(payload != NULL);
    for (uint32_t i = 0; i < EVENTS; i++) {
        char id[24];
        const char *tenant = tenants[(round + i) % VT_COUNT(tenants)];
        struct made_event event = {
            .tenant = {tenant, (uint32_t)strlen(tenant)},
            .type = VT_STR("call"),
            .time_us = DAY_US + (round % 50) * 3600 * VT_US_PER_SECOND + i,
            .field_count = 2,
            .fields = {{.name = VT_STR("tokens"), .number = i},
                       {.name = VT_STR("region"), .text = {regions[i % 2], 2}}},
        };

        /* Every tenth event is one that came before. */
        uint64_t number = i % 10 == 9 && front->ids > 200 ? front->ids - 150 : ++front->ids;

        event.id =
            (struct vt_str){id, (uint32_t)snprintf(id, sizeof id, "%lu", (unsigned long)number)};
        struct vt_bytes bytes = event_bytes(&front->arena, &event);

        memcpy(at, bytes.data, bytes.size);
        at += bytes.size;
    }
    struct vt_bytes bytes = {payload, (uint64_t)(at - payload)};

    return (struct core_frame){
        .frame_type = VT_FRAME_BATCH_ROWS,
        .event_count = EVENTS,
        .payload_crc = vt_crc32c(bytes.data, bytes.size),
        .payload = bytes,
        .waiter = front,
    };
}

static void
front_run(struct front *front)
{
    struct catalog_zones zones = {.read = zone_none};
    struct vt_str text = {catalog_text, sizeof catalog_text - 1};

    if (core_catalog(front->core) == NULL)
        must(core_add_catalog(front->core, text, &zones, NULL), "core_add_catalog");
    front_idle(front);
    for (uint32_t round = 0; round < FRAMES; round++) {
        struct core_frame frame = frame_make(front, round);
        vt_err err = core_add_frame(front->core, &frame);

        for (; err == VT_AGAIN; err = core_add_frame(front->core, &frame))
            front_step(front, true);
        must(err, "core_add_frame");
        front->now_us += VT_US_PER_SECOND / 3;
        front_step(front, round % 3 == 0);
        if (round % VIEW_EVERY == 0) {
            must(core_view_ask(front->core, round % 2 == 0, front), "core_view_ask");
            front->views_asked++;
            if (round % 16 == 0) { /* the same position again, perhaps after a cut was sealed */
                must(core_view_ask(front->core, true, front), "core_view_ask");
                front->views_asked++;
            }
        }
    }
    front_idle(front);
}

static void
dir_remove(struct front *front, const char *folder)
{
    struct io_name_list names;
    char path[512];

    if (io_list_dir(front->seal_io, folder, &names) == VT_OK) {
        for (uint32_t i = 0; i < names.count; i++) {
            (void)snprintf(path, sizeof path, "%s/%s", folder, names.names[i]);
            (void)unlink(path);
        }
        io_name_list_free(&names);
    }
    (void)rmdir(folder);
}

int
main(void)
{
    struct front front = {.dir = "/var/tmp/venturi-thread-XXXXXX", .now_us = DAY_US};
    char segments[128];

    if (mkdtemp(front.dir) == NULL || io_uring_open(64, &front.io) != VT_OK)
        return 77;
    must(io_uring_open(0, &front.seal_io), "io");
    front.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    arena_init(&front.arena, 1 << 16);
    for (uint32_t i = 0; i < READERS; i++) {
        must(vt_ring_init(&readers[i].ring, 8, sizeof(void *)), "ring");
        VT_ASSERT(pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]) == 0);
    }
    front_open(&front);
    front_run(&front);
    struct core_stats stats;

    do { /* the merger gets what the others leave: perhaps nothing until now */
        front_step(&front, false);
        core_get_stats(front.core, &stats);
    } while (stats.merges == 0);

    atomic_store_explicit(&stopping, 1, memory_order_release);
    for (uint32_t i = 0; i < READERS; i++) {
        VT_ASSERT(pthread_join(readers[i].thread, NULL) == 0);
        vt_ring_deinit(&readers[i].ring);
    }
    /* A view may borrow from the core until it is put. */
    front_close(&front);
    (void)snprintf(segments, sizeof segments, "%s/segments", front.dir);
    dir_remove(&front, segments);
    dir_remove(&front, front.dir);
    io_close(front.seal_io);
    io_close(front.io);
    close(front.wake_fd);
    arena_deinit(&front.arena);
    printf("%lu events acked, %lu cuts, %lu merges, %u and %u views read\n",
           (unsigned long)front.acked, (unsigned long)stats.cuts, (unsigned long)stats.merges,
           readers[0].views, readers[1].views);
    return front.acked == FRAMES * EVENTS && front.views_given == front.views_asked &&
                   stats.cuts > 4 && stats.merges > 0
               ? 0
               : 1;
}

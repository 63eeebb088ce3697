/* bench_ids.c - venturi bench dedup: what it costs to remember every id for ever. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "tools/common/options.h"
#include "tools/common/workload.h"
#include "venturi/client.h"
#include "venturi/wire.h"

#define BATCH   UINT32_C(1000)
#define TENANTS UINT32_C(1000)

static const char help[] =
    "venturi bench dedup - what it costs to remember every id, and to ask for one again\n"
    "\n"
    "example: venturi bench dedup\n"
    "         venturi bench dedup --ids 100000000 --data /var/tmp/bench --json\n"
    "\n"
    "usage: venturi bench dedup [options]\n"
    "\n"
    "Starts a daemon of its own and streams W1 (docs/BENCHMARKS.md) with random UUIDs as columns,\n"
    "durable acks, one connection: new ids until N are remembered; a restart; then frames spread\n"
    "evenly over that history once more, from the disk and from the page cache; new ones; those\n"
    "again at once. Every verdict is checked: a difference is a repeat that was taken for new, a\n"
    "new one for a repeat, or either for a conflict.\n"
    "\n"
    "  --ids N        to remember                                (10000000)\n"
    "  --repeats N    events sent again, of the remembered ones  (200000)\n"
    "  --data DIR     keep the store here\n"
    "  --json         end with one line of JSON\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 4 a verdict was wrong\n";

/* One stream of frames through the daemon. */
struct pass {
    const char *name;
    uint32_t lane;   /* of the workload: other ids */
    uint64_t events; /* of the workload */
    uint64_t every;  /* one frame of so many is sent */
    bool known;      /* all that is sent is remembered */

    uint64_t sent;
    uint64_t repeats;
    double seconds;
    double daemon_cpu_seconds;
    uint64_t acked;
    uint64_t accepted;
    uint64_t conflicts;
    uint64_t refused;
};

enum { PASS_FIRST, PASS_COLD, PASS_WARM, PASS_NEW, PASS_AGAIN, PASSES };

struct ids_run {
    uint64_t ids;
    uint64_t start_us; /* event time: the same for the same events */
    uint64_t epoch;    /* of the producer: another for each pass */
    struct bench_daemon daemon;
    struct bench_daemon_options start;
    struct pass passes[PASSES];
    uint64_t resident_empty;
    uint64_t resident;
    double restart_seconds;
    struct bench_host host;
};

static void
pass_acked(void *context, const struct vt_client_ack *ack)
{
    struct pass *pass = context;

    pass->acked += ack->event_count;
    pass->accepted += ack->accepted;
    for (uint32_t i = 0; i < ack->verdict_count; i++)
        pass->conflicts += ack->verdicts[i].verdict == VT_CONFLICT;
}

static void
pass_refused(void *context, const struct vt_client_refusal *refusal)
{
    struct pass *pass = context;

    if (pass->refused == 0)
        (void)fprintf(stderr, "venturi bench dedup: a frame was refused: %.*s\n",
                      (int)refusal->text.size, refusal->text.data);
    pass->refused += refusal->event_count;
}

/* A field of /proc/PID/FILE in its own unit; 0 where it is not there. */
static uint64_t
proc_number(pid_t pid, const char *file, const char *name)
{
    char path[64];
    char line[512];
    uint64_t number = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *open = fopen(path, "re");

    if (open == NULL)
        return 0;
    while (fgets(line, sizeof line, open) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            number = strtoull(line + strlen(name), NULL, 10);
    (void)fclose(open);
    return number;
}

static uint64_t
resident_bytes(pid_t pid)
{
    return proc_number(pid, "status", "VmRSS:") * 1024;
}

/* CPU of the daemon so far: fields 14 and 15 behind the name in parentheses. */
static double
daemon_cpu(pid_t pid)
{
    char path[64];
    char line[1024];
    double seconds = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *open = fopen(path, "re");

    if (open == NULL)
        return 0;
    if (fgets(line, sizeof line, open) != NULL) {
        char *at = strrchr(line, ')');

        for (int field = 2; at != NULL && field < 14; field++)
            at = strchr(at + 1, ' ');
        if (at != NULL) {
            uint64_t user = strtoull(at, &at, 10);
            uint64_t system = strtoull(at, NULL, 10);

            seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
        }
    }
    (void)fclose(open);
    return seconds;
}

/* What of the segments is in the page cache leaves it. */
static void
cache_drop(const char *dir)
{
    char folder[512];

    (void)snprintf(folder, sizeof folder, "%s/segments", dir);
    DIR *open = opendir(folder);

    for (const struct dirent *entry = NULL; open != NULL;) {
        char path[800];

        entry = readdir(open); /* NOLINT(concurrency-mt-unsafe): one thread */
        if (entry == NULL)
            break;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int file = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

        if (file < 0)
            continue;
        (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        (void)close(file);
    }
    if (open != NULL)
        (void)closedir(open);
}

static vt_err
pass_stream(struct pass *pass, struct workload *workload, struct vt_client *client)
{
    uint8_t *payload = malloc((UINT64_C(1) << 20) + UINT64_C(80) * BATCH + UINT64_C(32) * TENANTS);
    vt_err err = payload == NULL ? VT_NOMEM : VT_OK;
    double waited = 0; /* for the generator, where most frames are left out */
    double start = bench_now();

    for (uint64_t frame = 0; err == VT_OK && workload_events(workload) < pass->events; frame++) {
        struct column_frame columns;
        double before = bench_now();

        workload_frame(workload, &columns);
        if (frame % pass->every != 0) {
            waited += bench_now() - before;
            continue;
        }
        uint64_t bytes = column_frame_encode(&columns, payload);

        pass->sent += columns.event_count;
        err = vt_client_send(client, VT_FRAME_BATCH_COLUMNS, columns.event_count,
                             (struct vt_bytes){payload, bytes});
    }
    if (err == VT_OK)
        err = vt_client_flush(client);
    pass->seconds = bench_now() - start - waited;
    free(payload);
    return err;
}

static vt_err
pass_check(const struct pass *pass)
{
    uint64_t want = pass->known ? 0 : pass->sent - pass->repeats;

    if (pass->refused == 0 && pass->conflicts == 0 && pass->acked == pass->sent &&
        pass->accepted == want)
        return VT_OK;
    return vt_err_detail(VT_DIFFERENT,
                         "%s: %" PRIu64 " events sent, %" PRIu64 " of them new; acks say %" PRIu64
                         " with %" PRIu64 " new, %" PRIu64 " conflicts, %" PRIu64 " refused",
                         pass->name, pass->sent, want, pass->acked, pass->accepted, pass->conflicts,
                         pass->refused);
}

static vt_err
pass_run(struct ids_run *run, struct pass *pass)
{
    struct workload *workload = NULL;
    struct vt_client *client = NULL;
    struct workload_options options = {
        .seed = 1,
        .lane = pass->lane,
        .tenant_count = TENANTS,
        .batch = BATCH,
        .ids = COLUMN_IDS_UUID,
        .start_us = (int64_t)run->start_us,
    };
    struct vt_client_options session = {
        .address = run->daemon.address,
        .token = {run->daemon.token, (uint32_t)strlen(run->daemon.token)},
        .producer = VT_STR("bench"),
        .epoch = ++run->epoch,
        .away_ms = 1000,
        .acked = pass_acked,
        .refused = pass_refused,
        .context = pass,
    };
    vt_err err = workload_open(&options, &workload);

    if (err == VT_OK)
        err = vt_client_open(&session, &client);
    double cpu = daemon_cpu(run->daemon.pid);

    if (err == VT_OK)
        err = pass_stream(pass, workload, client);
    pass->daemon_cpu_seconds = daemon_cpu(run->daemon.pid) - cpu;
    if (workload != NULL)
        pass->repeats = workload_repeats(workload);
    vt_client_close(client);
    workload_close(workload);
    return err == VT_OK ? pass_check(pass) : err;
}

static vt_err
restart(struct ids_run *run)
{
    char dir[sizeof run->daemon.dir];
    bool temporary = run->daemon.temporary;
    vt_err err = bench_daemon_stop(&run->daemon);

    if (err != VT_OK)
        return err;
    (void)snprintf(dir, sizeof dir, "%s", run->daemon.dir);
    run->start.data = dir;
    double start = bench_now();

    err = bench_daemon_start(&run->start, &run->daemon);
    run->start.data = NULL;
    run->restart_seconds = bench_now() - start;
    run->daemon.temporary = temporary;
    return err;
}

static vt_err
all_passes(struct ids_run *run)
{
    run->resident_empty = resident_bytes(run->daemon.pid);
    vt_err err = pass_run(run, &run->passes[PASS_FIRST]);

    if (err == VT_OK)
        err = restart(run);
    if (err == VT_OK) {
        run->resident = resident_bytes(run->daemon.pid);
        cache_drop(run->daemon.dir);
    }
    for (uint32_t i = PASS_COLD; err == VT_OK && i < PASSES; i++)
        err = pass_run(run, &run->passes[i]);
    return err;
}

static void
run_print(const struct ids_run *run, bool json)
{
    const struct pass *first = &run->passes[PASS_FIRST];
    uint64_t ids = first->accepted;
    double each = (double)(run->resident - run->resident_empty) / (double)ids;

    printf("%" PRIu64 " ids remembered; restart with them %.2f s; resident %.2f bytes an id "
           "(%.1f MiB more than empty)\n",
           ids, run->restart_seconds, each,
           (double)(run->resident - run->resident_empty) / 1048576.0);
    for (uint32_t i = 0; i < PASSES; i++) {
        const struct pass *pass = &run->passes[i];

        printf("%-34s %10" PRIu64 " events, %9.0f a second, %6.0f ns of the daemon's CPU each\n",
               pass->name, pass->sent, (double)pass->sent / pass->seconds,
               pass->daemon_cpu_seconds * 1e9 / (double)pass->sent);
    }
    printf("every verdict as it must be\n");
    if (!json)
        return;
    printf("{\"bench\":\"dedup\",\"ids\":%" PRIu64
           ",\"restart_seconds\":%.3f,\"resident_bytes_per_id\":%.3f,\"passes\":[",
           ids, run->restart_seconds, each);
    for (uint32_t i = 0; i < PASSES; i++) {
        const struct pass *pass = &run->passes[i];

        printf("%s{\"name\":\"%s\",\"events\":%" PRIu64
               ",\"seconds\":%.3f,\"daemon_cpu_seconds\":%.3f}",
               i == 0 ? "" : ",", pass->name, pass->sent, pass->seconds, pass->daemon_cpu_seconds);
    }
    printf("],\"host\":");
    bench_host_print(&run->host);
    printf("}\n");
}

static void
passes_plan(struct ids_run *run, uint64_t repeats)
{
    uint64_t every = run->ids / repeats == 0 ? 1 : run->ids / repeats;

    run->passes[PASS_FIRST] =
        (struct pass){.name = "new, from none", .events = run->ids, .every = 1};
    run->passes[PASS_COLD] = (struct pass){
        .name = "repeated, from the disk", .events = run->ids, .every = every, .known = true};
    run->passes[PASS_WARM] = (struct pass){
        .name = "repeated, from the page cache", .events = run->ids, .every = every, .known = true};
    run->passes[PASS_NEW] =
        (struct pass){.name = "new, beside all", .lane = 1, .events = repeats * 5, .every = 1};
    run->passes[PASS_AGAIN] = (struct pass){
        .name = "repeated at once", .lane = 1, .events = repeats * 5, .every = 1, .known = true};
}

static vt_err
ids_bench(struct ids_run *run, const char *data, uint64_t repeats)
{
    char *catalog = NULL;
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    run->start_us = (uint64_t)wall.tv_sec * 1000000;
    passes_plan(run, repeats);
    vt_err err = workload_catalog(TENANTS, &catalog, &run->start.catalog_bytes);

    run->start.catalog = catalog;
    run->start.data = data;
    run->start.dedup_ids = run->ids + repeats * 10 + (1 << 20);
    if (err == VT_OK)
        err = bench_daemon_start(&run->start, &run->daemon);
    if (err == VT_OK) {
        err = all_passes(run);
        bench_host_read(run->daemon.dir, &run->host);
        vt_err stopped = bench_daemon_stop(&run->daemon);

        err = err == VT_OK ? stopped : err;
        bench_daemon_clean(&run->daemon);
    }
    free(catalog);
    return err;
}

int
bench_ids_command(int argc, char **argv)
{
    static struct ids_run run;
    const char *data = NULL;
    uint64_t repeats = 200000;
    bool json = false;
    int first = 0;

    run = (struct ids_run){.ids = 10000000};
    const struct option_spec specs[] = {
        {.name = "ids",
         .kind = OPTION_NUMBER,
         .target = &run.ids,
         .least = 1000,
         .most = UINT64_C(1) << 36},
        {.name = "repeats",
         .kind = OPTION_NUMBER,
         .target = &repeats,
         .least = 1000,
         .most = UINT64_C(1) << 32},
        {.name = "data", .kind = OPTION_TEXT, .target = &data},
        {.name = "json", .kind = OPTION_FLAG, .target = &json},
        {.name = NULL},
    };
    int status = options_read(argc, argv, help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    vt_err err = ids_bench(&run, data, repeats);

    if (err != VT_OK) {
        (void)options_failed(argv[0], NULL, err);
        return err == VT_DIFFERENT ? EXIT_DIFFERENT : EXIT_FAILED;
    }
    run_print(&run, json);
    return EXIT_DONE;
}

/* venturid.c - the daemon: reads the command line, wires the floors together, prints. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/net.h"
#include "tools/common/options.h"
#include "tools/common/stopper.h"

static const char usage_text[] =
    "venturid - takes usage events in, counts each once, aggregates and prices them\n"
    "\n"
    "example: venturid --data data --catalog catalog.json\n"
    "         venturid --data data --listen 0.0.0.0:7400 --http 0.0.0.0:8080\n"
    "         venturid --memory --dedup-ids 1000000000\n"
    "\n"
    "usage: venturid --data DIR [--catalog FILE] [options]\n"
    "\n"
    "  --data DIR         the store; made where there is none\n"
    "  --catalog FILE     applied at the start; a new store needs one        (the store's own)\n"
    "  --listen HOST:PORT for frames; port 0 picks one and says which        (127.0.0.1:7400)\n"
    "  --http HOST:PORT   for HTTP                                           (127.0.0.1:8080)\n"
    "  --workers N        1 to 64                                            (processors - 1)\n"
    "  --dedup-ids N      ids to remember at most, 2.7 bytes each            (67108864)\n"
    "  --cut-bytes N      bytes of frames between two cuts; K, M, G          (64M)\n"
    "  --memory           print how much memory the options take, and exit\n"
    "what a frame connection may take, in seconds:\n"
    "  --hello-timeout N  for its hello                                      (5)\n"
    "  --frame-timeout N  from a frame's first byte to its last              (10)\n"
    "  --idle-timeout N   without a byte, and with nothing to be acked       (60)\n"
    "  --output-timeout N without reading a byte of the acks that wait       (60)\n"
    "of a new store:\n"
    "  --partitions N     1 to 64                                            (16)\n"
    "  --lanes N          1 to 16                                            (4)\n"
    "  --lane-bytes N     of each lane; K, M, G                              (64M)\n"
    "  --version, --help\n"
    "\n"
    "The first start writes an admin token to DIR/admin.token. SIGTERM and SIGINT end it cleanly.\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage\n";

#define DEDUP_IDS_DEFAULT (UINT64_C(64) << 20)
#define CUT_BYTES_DEFAULT (UINT64_C(64) << 20)
#define TIMEOUT_MOST_S    86400

/* Set by main, read by the stopper's thread; NULL: not open yet. */
typedef _Atomic(struct server *) server_slot;

static void
stop_asked(void *context, int signal)
{
    struct server *server = atomic_load_explicit((server_slot *)context, memory_order_acquire);

    /* Recovery writes nothing that a crash could not interrupt as well. */
    if (server == NULL)
        _exit(128 + signal);
    server_stop(server);
}

/* A connection is a descriptor. */
static void
descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* else there are fewer connections */
}

/* "HOST" of "HOST:PORT". */
static int
host_size(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon == NULL ? (int)strlen(address) : (int)(colon - address);
}

static void
ready_print(const struct server *server, const struct server_options *options)
{
    struct server_ports ports;

    server_get_ports(server, &ports);
    (void)fprintf(stderr, "venturid: frames on %.*s:%u, http on %.*s:%u\n",
                  host_size(options->listen), options->listen, ports.frames,
                  host_size(options->http), options->http, ports.http);
}

/* The large parts; docs/DESIGN.md says how they come about. */
static int
memory_print(const struct server_options *options)
{
    uint64_t ids = options->dedup_ids_max == 0 ? DEDUP_IDS_DEFAULT : options->dedup_ids_max;
    uint64_t cut = options->cut_bytes == 0 ? CUT_BYTES_DEFAULT : options->cut_bytes;
    uint64_t dedup = ids / 10 * 27;
    uint64_t rows = cut * 4;
    uint64_t receive = UINT64_C(16) << 20;

    printf("remembered ids      %12llu\n", (unsigned long long)ids);
    printf("dedup index         %12llu bytes\n", (unsigned long long)dedup);
    printf("unsealed rows       %12llu bytes, about\n", (unsigned long long)rows);
    printf("receive buffers     %12llu bytes\n", (unsigned long long)receive);
    if (fflush(stdout) != 0)
        return EXIT_FAILED;
    return EXIT_DONE;
}

static int
serve(const struct server_options *options, const char *name)
{
    server_slot slot = NULL;
    struct stopper stopper = {.asked = stop_asked, .context = &slot};
    struct server *server = NULL;

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || !stopper_start(&stopper))
        return options_failed(name, "signals", VT_UNSUPPORTED);
    descriptors_raise();
    vt_err err = server_open(options, &server);

    if (err != VT_OK)
        return options_failed(name, NULL, err); /* its thread ends with the process */
    atomic_store_explicit(&slot, server, memory_order_release);
    ready_print(server, options);
    err = server_run(server);
    int status = err == VT_OK ? EXIT_DONE : options_failed(name, NULL, err);

    stopper_end(&stopper);
    server_close(server);
    return status;
}

/* Numbers as the command line has them; 0 where it says nothing. */
struct numbers {
    uint64_t workers;
    uint64_t partitions;
    uint64_t lanes;
    uint64_t hello_s;
    uint64_t frame_s;
    uint64_t idle_s;
    uint64_t output_s;
};

static void
numbers_take(const struct numbers *numbers, struct server_options *options)
{
    options->workers = (uint32_t)numbers->workers;
    options->partitions = (uint32_t)numbers->partitions;
    options->lanes = (uint32_t)numbers->lanes;
    options->hello_s = (uint32_t)numbers->hello_s;
    options->frame_s = (uint32_t)numbers->frame_s;
    options->idle_s = (uint32_t)numbers->idle_s;
    options->output_s = (uint32_t)numbers->output_s;
}

int
main(int argc, char **argv)
{
    struct server_options options = {.listen = "127.0.0.1:7400", .http = "127.0.0.1:8080"};
    struct numbers numbers = {0};
    static char name[] = "venturid";
    bool memory = false;
    int first = 0;
    const struct option_spec specs[] = {
        {"data", OPTION_TEXT, &options.data_dir, 0, 0},
        {"catalog", OPTION_TEXT, &options.catalog_path, 0, 0},
        {"listen", OPTION_TEXT, &options.listen, 0, 0},
        {"http", OPTION_TEXT, &options.http, 0, 0},
        {"workers", OPTION_NUMBER, &numbers.workers, 1, 64},
        {"partitions", OPTION_NUMBER, &numbers.partitions, 1, 64},
        {"lanes", OPTION_NUMBER, &numbers.lanes, 1, 16},
        {"lane-bytes", OPTION_BYTES, &options.lane_bytes, UINT64_C(1) << 20, UINT64_C(1) << 40},
        {"cut-bytes", OPTION_BYTES, &options.cut_bytes, UINT64_C(64) << 10, UINT64_C(1) << 34},
        {"dedup-ids", OPTION_NUMBER, &options.dedup_ids_max, 1000, UINT64_C(1) << 36},
        {"hello-timeout", OPTION_NUMBER, &numbers.hello_s, 1, TIMEOUT_MOST_S},
        {"frame-timeout", OPTION_NUMBER, &numbers.frame_s, 1, TIMEOUT_MOST_S},
        {"idle-timeout", OPTION_NUMBER, &numbers.idle_s, 1, TIMEOUT_MOST_S},
        {"output-timeout", OPTION_NUMBER, &numbers.output_s, 1, TIMEOUT_MOST_S},
        {"memory", OPTION_FLAG, &memory, 0, 0},
        {NULL, OPTION_FLAG, NULL, 0, 0},
    };

    argv[0] = name; /* in messages, wherever it was started from */
    int status = options_read(argc, argv, usage_text, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (first < argc)
        return options_misused(argv[0], "%s: no operand is expected", argv[first]);
    numbers_take(&numbers, &options);
    if (server_address_check(options.listen) != VT_OK ||
        server_address_check(options.http) != VT_OK)
        return options_misused(argv[0], "%s", vt_err_last());
    if (memory)
        return memory_print(&options);
    if (options.data_dir == NULL)
        return options_misused(argv[0], "--data is missing");
    return serve(&options, argv[0]);
}

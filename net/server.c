/* server.c - see net.h: putting store, core, threads and faces together, and taking them apart. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server_internal.h"
#include "storage/base/text_file.h"
#include "venturi/assert.h"

#define SERVER_RING_ENTRIES 4096
#define DAMAGE_WAIT_NS      100000000L
#define DRAIN_ROUNDS        500
#define DRAIN_WAIT_NS       INT64_C(10000000)

static void
server_dispatch(void *context, struct work *work)
{
    struct server *server = context;

    workers_push(server->workers, work);
}

static void
server_seal(void *context, struct cut *cut)
{
    struct server *server = context;

    workers_seal(server->workers, cut);
}

/* A worker met damage: it asks again until the bytes are repaired or the daemon is to stop. */
static bool
server_damage_wait(void *context)
{
    struct server *server = context;
    const struct timespec wait = {0, DAMAGE_WAIT_NS};

    (void)nanosleep(&wait, NULL); /* woken early is no harm */
    return atomic_load(&server->stopping) == 0;
}

static void
server_merge(void *context, struct core_merge *merge)
{
    struct server *server = context;

    workers_merge(server->workers, merge);
}

static void
server_acked(void *context, void *waiter, const struct core_ack *ack)
{
    struct server *server = context;
    struct waiter *head = waiter;

    switch ((enum waiter_kind)head->kind) {
    case WAITER_CONN:
        conns_acked(server->conns, waiter, ack);
        return;
    case WAITER_CALL:
        server_call_acked(server, waiter, ack);
        return;
    case WAITER_SERVER:
        server->self_answered = true;
        return;
    }
}

static void
server_viewed(void *context, void *waiter, struct view *view, vt_err err)
{
    server_call_viewed(context, waiter, view, err);
}

/* Digits, of a number up to 65535: more would be taken modulo 65536 on the way. */
static bool
is_port(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size <= 5 && strspn(text, "0123456789") == size &&
           strtoul(text, NULL, 10) <= UINT16_MAX;
}

/* "HOST:PORT", "[V6]:PORT" or ":PORT" to its two parts. */
static vt_err
split_address(const char *address, char host[128], char port[16])
{
    const char *colon = strrchr(address, ':');

    if (colon == NULL || !is_port(colon + 1))
        return vt_err_detail(VT_INVALID, "%s: not HOST:PORT", address);
    size_t size = (size_t)(colon - address);
    const char *start = address;

    if (size >= 2 && address[0] == '[' && address[size - 1] == ']') {
        start++;
        size -= 2;
    }
    if (size >= 128)
        return vt_err_detail(VT_INVALID, "%s: the host is too long", address);
    (void)snprintf(host, 128, "%.*s", size == 0 ? 9 : (int)size, size == 0 ? "127.0.0.1" : start);
    (void)snprintf(port, 16, "%s", colon + 1);
    return VT_OK;
}

vt_err
server_address_check(const char *address)
{
    char host[128];
    char port[16];

    return split_address(address, host, port);
}

static vt_err
listen_on(const char *address, int *out_fd, uint16_t *out_port)
{
    char host[128];
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    struct sockaddr_storage bound;
    socklen_t bound_size = sizeof bound;
    int one = 1;

    memset(&bound, 0, sizeof bound);
    vt_err err = split_address(address, host, port);

    if (err != VT_OK)
        return err;
    int failed = getaddrinfo(host, port, &hints, &found);

    if (failed != 0)
        return vt_err_detail(VT_INVALID, "%s: %s", address, gai_strerror(failed));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* a comfort only */
    bool bad = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
               listen(fd, 1024) != 0 ||
               getsockname(fd, (struct sockaddr *)&bound, &bound_size) != 0;
    int code = errno;

    freeaddrinfo(found);
    if (bad) {
        if (fd >= 0)
            close(fd);
        return vt_err_detail(VT_IO, "%s: %s", address, strerrordesc_np(code));
    }
    *out_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    *out_fd = fd;
    return VT_OK;
}

static vt_err
open_store(struct server *server)
{
    const struct server_options *options = &server->options;
    struct store_options store_options = {
        .dir = options->data_dir,
        .create = true,
        .partition_count = options->partitions,
        .lane_count = options->lanes,
        .lane_bytes = options->lane_bytes,
    };
    vt_err err = io_uring_open(SERVER_RING_ENTRIES, &server->io);

    if (err == VT_OK)
        err = io_uring_open(0, &server->seal_io);
    if (err == VT_OK)
        err = store_open(server->io, &store_options, &server->store);
    if (err == VT_OK)
        store_get_info(server->store, &server->info);
    if (err == VT_OK)
        err = tokens_open(options->data_dir, &server->tokens);
    if (err == VT_OK)
        err = zones_open(&server->zones);
    return err;
}

static vt_err
open_core(struct server *server)
{
    struct core_callbacks callbacks = {
        .dispatch = server_dispatch,
        .seal = server_seal,
        .merge = server_merge,
        .acked = server_acked,
        .viewed = server_viewed,
        .damage_wait = server_damage_wait,
        .context = server,
    };
    struct core_options options = {
        .io = server->io,
        .seal_io = server->seal_io,
        .store = server->store,
        .worker_count = server->options.workers,
        .dedup_ids_max = server->options.dedup_ids_max,
        .cut_bytes = server->options.cut_bytes,
        .callbacks = &callbacks,
    };
    vt_err err = workers_open(server->options.workers, server->wake_fd, &server->workers);

    if (err == VT_OK)
        err = core_open(&options, &server->core);
    if (err == VT_OK)
        err = workers_start(server->workers, server->core);
    return err;
}

/* An equal file does nothing, an extension is applied; any other, or a broken one, is reported, and
 * the store starts with what it has. Without anything in the store the file must do. */
static vt_err
apply_catalog(struct server *server)
{
    char *text = NULL;
    uint32_t size = 0;
    struct catalog_zones source = zones_source(server->zones);
    const struct catalog *now = core_catalog(server->core);

    if (server->options.catalog_path == NULL)
        return now != NULL ? VT_OK
                           : vt_err_detail(VT_NOT_FOUND, "a new store needs a catalog (--catalog)");
    vt_err err = text_file_read(server->options.catalog_path, CATALOG_BYTES_MAX, &text, &size);

    if (err == VT_OK && now != NULL && vt_str_equal(now->text, (struct vt_str){text, size})) {
        free(text);
        return VT_OK;
    }
    server->self.kind = WAITER_SERVER;
    server->self_answered = false;
    if (err == VT_OK)
        err = core_add_catalog(server->core, (struct vt_str){text, size}, &source, &server->self);
    free(text);
    if (err != VT_OK)
        err = text_file_blame(server->options.catalog_path, err);
    if (err != VT_OK && now != NULL) {
        (void)fprintf(stderr, "venturid: the catalog is not applied: %s\n", vt_err_last());
        vt_err_clear();
        return VT_OK;
    }
    if (err == VT_OK)
        err = core_submit(server->core, server_wall_us());
    while (err == VT_OK && !server->self_answered)
        err = server_step(server, 1000000);
    return err;
}

static vt_err
open_faces(struct server *server)
{
    int fd = -1;
    vt_err err = VT_OK;

    if (server->options.listen != NULL) {
        err = listen_on(server->options.listen, &fd, &server->frame_port);
        if (err != VT_OK)
            return err;
        struct conns_options options = {
            .io = server->io,
            .core = server->core,
            .tokens = server->tokens,
            .listen_fd = fd,
            .history = server->info.history,
            .deadlines = {server->options.hello_s, server->options.frame_s, server->options.idle_s,
                          server->options.output_s},
        };

        err = conns_open(&options, &server->conns);
    }
    if (err == VT_OK && server->options.http != NULL) {
        char host[128];
        char port[16];
        char *end = NULL;

        err = split_address(server->options.http, host, port);
        struct http_options options = {
            .server = server,
            .tokens = server->tokens,
            .secret = server->info.secret,
            .host = host,
            .port = err == VT_OK ? (uint16_t)strtoul(port, &end, 10) : 0,
            .threads = 2,
        };

        if (err == VT_OK)
            err = http_open(&options, &server->http);
    }
    return err;
}

static void
foreign_complete(void *context, uint64_t user_data, int32_t result, uint32_t flags)
{
    struct server *server = context;

    if (user_data == SERVER_USER_DATA)
        server->wake_armed = false;
    else if (server->conns != NULL)
        conns_complete(server->conns, user_data, result, flags);
}

vt_err
server_open(const struct server_options *options, struct server **out_server)
{
    VT_ASSERT(options->data_dir != NULL);
    struct server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return VT_NOMEM;
    server->options = *options;
    server->lane_count = options->lanes == 0 ? 4 : options->lanes;
    if (server->options.workers == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);

        server->options.workers = processors > 2 ? (uint32_t)processors - 1 : 1;
    }
    if (server->options.workers > STORE_PARTITIONS_MAX)
        server->options.workers = STORE_PARTITIONS_MAX;
    pthread_mutex_init(&server->mailbox_lock, NULL);
    pthread_cond_init(&server->mailbox_answered, NULL);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    vt_err err = server->wake_fd < 0 ? VT_IO : open_store(server);

    if (err == VT_OK) {
        io_uring_set_foreign(server->io, foreign_complete, server);
        err = open_core(server);
    }
    if (err == VT_OK)
        err = apply_catalog(server);
    if (err == VT_OK)
        err = open_faces(server);
    if (err != VT_OK) {
        server_close(server);
        return err;
    }
    *out_server = server;
    return VT_OK;
}

void
server_get_ports(const struct server *server, struct server_ports *out_ports)
{
    out_ports->frames = server->frame_port;
    out_ports->http = server->http == NULL ? 0 : http_port(server->http);
}

void
server_stop(struct server *server)
{
    uint64_t one = 1;

    atomic_store(&server->stopping, 1);
    ssize_t written = write(server->wake_fd, &one, sizeof one);

    (void)written; /* a full counter wakes as well */
}

/* After a failure writes may still be the kernel's. False where it keeps them: then their memory
 * and files are better left as they are. */
static bool
writes_drain(struct server *server)
{
    struct log *log = server->store == NULL ? NULL : store_log(server->store);

    for (uint32_t round = 0; log != NULL && log_in_flight(log) > 0 && round < DRAIN_ROUNDS; round++)
        if (io_poll(server->io, DRAIN_WAIT_NS) != VT_OK)
            return false;
    return log == NULL || log_in_flight(log) == 0;
}

void
server_close(struct server *server)
{
    if (server == NULL)
        return;
    server_calls_close(server);
    http_close(server->http);
    conns_close(server->conns);
    server->conns = NULL; /* cancellations may still complete */
    workers_close(server->workers);
    core_close(server->core);
    zones_close(server->zones);
    tokens_close(server->tokens);
    if (writes_drain(server)) {
        store_close(server->store);
        io_close(server->seal_io);
        io_close(server->io);
    }
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    pthread_cond_destroy(&server->mailbox_answered);
    pthread_mutex_destroy(&server->mailbox_lock);
    free(server);
}

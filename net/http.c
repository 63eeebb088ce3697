/* http.c - see http.h: the listener, the threads, the end. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_entry.h"
#include "http_internal.h"
#include "venturi/assert.h"

#define IDLE_SECONDS_MAX  60u
#define HEAD_BYTES_MAX    (32u << 10) /* of a connection's memory: request line and headers */
#define CONNECTIONS_MAX   1024u
#define JOBS_FOR_A_THREAD 4u /* jobs wait for disks and for the log, so there are more of them */

static vt_err
listen_http(const struct http_options *options, int *out_fd, uint16_t *out_port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    struct sockaddr_storage bound;
    socklen_t bound_bytes = sizeof bound;
    int one = 1;

    memset(&bound, 0, sizeof bound);
    int failed = getaddrinfo(options->host, NULL, &hints, &found);

    if (failed != 0)
        return vt_err_detail(VT_INVALID, "%s: %s", options->host, gai_strerror(failed));
    if (found->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_port = htons(options->port);
    else
        ((struct sockaddr_in *)(void *)found->ai_addr)->sin_port = htons(options->port);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* a comfort only */
    bool bad = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
               listen(fd, 1024) != 0 ||
               getsockname(fd, (struct sockaddr *)&bound, &bound_bytes) != 0;
    int code = errno;

    freeaddrinfo(found);
    if (bad) {
        if (fd >= 0)
            close(fd);
        return vt_err_detail(VT_IO, "%s port %u: %s", options->host, options->port,
                             strerrordesc_np(code));
    }
    *out_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    *out_fd = fd;
    return VT_OK;
}

/* ---- jobs */

/* Damage that this request met has fenced its partition: say so, as the next one is told. */
static vt_err
damage_tell(struct http_request *request, vt_err err)
{
    struct fence *fence = core_fence(request->http->options.server->core);
    char detail[512];

    (void)snprintf(detail, sizeof detail, "%s", vt_err_last());
    vt_err fenced = fence == NULL ? VT_OK : fence_check_all(fence);

    if (fenced != VT_OK)
        return fenced;
    vt_err_clear();
    return vt_err_detail(err, "%s", detail);
}

void
http_handle(struct http_request *request)
{
    vt_err_clear();
    vt_err err = request->route->handle(request);

    if (err == VT_DAMAGED || err == VT_IO)
        err = damage_tell(request, err);
    if (err != VT_OK)
        request_refuse(request, err, 0);
    vt_err_clear();
    request->state = REQUEST_ANSWERED;
}

static void
job_run(struct http_request *request)
{
    http_handle(request);
    /* From here on it is the connection's thread's again. */
    MHD_resume_connection(request->connection);
}

static void *
job_main(void *context)
{
    struct http *http = context;

    for (;;) {
        pthread_mutex_lock(&http->lock);
        while (http->first == NULL && !http->closing)
            pthread_cond_wait(&http->wanted, &http->lock);
        struct http_request *request = http->first;

        if (request != NULL) {
            http->first = request->next;
            if (http->first == NULL)
                http->last = NULL;
        }
        pthread_mutex_unlock(&http->lock);
        if (request == NULL)
            return NULL; /* closing, and nothing waits */
        job_run(request);
    }
}

bool
http_job_add(struct http *http, struct http_request *request)
{
    pthread_mutex_lock(&http->lock);
    bool taken = !http->closing;

    /* Suspended under the lock: a job may end, and resume it, before this function does. */
    if (taken) {
        request->state = REQUEST_QUEUED;
        request->next = NULL;
        MHD_suspend_connection(request->connection);
        if (http->last == NULL)
            http->first = request;
        else
            http->last->next = request;
        http->last = request;
        pthread_cond_signal(&http->wanted);
    }
    pthread_mutex_unlock(&http->lock);
    return taken;
}

static vt_err
jobs_start(struct http *http)
{
    uint32_t wanted = http->options.threads * JOBS_FOR_A_THREAD;

    wanted = wanted == 0 ? JOBS_FOR_A_THREAD : wanted;
    wanted = wanted > HTTP_JOBS_MAX ? HTTP_JOBS_MAX : wanted;
    for (uint32_t i = 0; i < wanted; i++) {
        if (pthread_create(&http->jobs[i], NULL, job_main, http) != 0)
            return vt_err_detail(VT_NOMEM, "no thread for HTTP: %s", strerrordesc_np(errno));
        http->job_count++;
    }
    return VT_OK;
}

/* No new connections are taken; what is queued is answered (by now every call says VT_STOPPING). */
static void
jobs_end(struct http *http)
{
    pthread_mutex_lock(&http->lock);
    http->closing = true;
    pthread_cond_broadcast(&http->wanted);
    pthread_mutex_unlock(&http->lock);
    for (uint32_t i = 0; i < http->job_count; i++)
        pthread_join(http->jobs[i], NULL);
}

/* ---- life */

static vt_err
daemon_start(struct http *http)
{
    int fd = -1;
    vt_err err = listen_http(&http->options, &fd, &http->port);

    if (err != VT_OK)
        return err;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, http->options.threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };

    /* A pool of one is said by leaving the pool away. */
    if (http->options.threads < 2)
        pool[0].option = MHD_OPTION_END;
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, http_entry, http,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_NOTIFY_COMPLETED, http_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, http_connection, http, MHD_OPTION_CONNECTION_LIMIT,
        CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES_MAX, MHD_OPTION_EXTERNAL_LOGGER,
        http_log, NULL, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (http->daemon == NULL) {
        close(fd);
        return vt_err_detail(VT_IO, "libmicrohttpd does not start");
    }
    return VT_OK;
}

vt_err
http_open(const struct http_options *options, struct http **out_http)
{
    VT_ASSERT(options->server != NULL);
    VT_ASSERT(options->secret != NULL);
    struct http *http = calloc(1, sizeof *http);
    struct timespec now;

    if (http == NULL)
        return VT_NOMEM;
    http->options = *options;
    clock_gettime(CLOCK_MONOTONIC, &now);
    http->started.ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->wanted, NULL);
    vt_err err = jobs_start(http);

    if (err == VT_OK)
        err = daemon_start(http);
    http->options.host = NULL; /* was borrowed for the call */
    if (err != VT_OK) {
        http_close(http);
        return err;
    }
    *out_http = http;
    return VT_OK;
}

uint16_t
http_port(const struct http *http)
{
    return http->port;
}

void
http_close(struct http *http)
{
    if (http == NULL)
        return;
    if (http->daemon != NULL) {
        MHD_socket listener = MHD_quiesce_daemon(http->daemon);

        if (listener != MHD_INVALID_SOCKET)
            close(listener);
    }
    /* Jobs end first: libmicrohttpd may not stop while a connection is suspended. */
    jobs_end(http);
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    VT_ASSERT(http->first == NULL);
    pthread_cond_destroy(&http->wanted);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

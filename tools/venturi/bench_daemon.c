/* bench_daemon.c - see bench_daemon.h. */
#include "bench_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/common/options.h"
#include "venturi/bytes.h"

#define READY_LINE_BYTES 512

static vt_err
catalog_write(const struct bench_daemon_options *options, const char *dir, char path[320])
{
    (void)snprintf(path, 320, "%s/bench-catalog.json", dir);
    FILE *file = fopen(path, "wbe");

    if (file == NULL)
        return vt_err_detail(VT_IO, "%s: %s", path, strerrordesc_np(errno));
    bool bad = fwrite(options->catalog, 1, options->catalog_bytes, file) != options->catalog_bytes;

    if (fclose(file) != 0 || bad)
        return vt_err_detail(VT_IO, "%s cannot be written", path);
    return VT_OK;
}

/* The daemon's program stands beside this one. */
static vt_err
program_path(char path[512])
{
    ssize_t size = readlink("/proc/self/exe", path, 480);

    if (size <= 0)
        return vt_err_detail(VT_IO, "where this program stands is not known");
    path[size] = '\0';
    char *slash = strrchr(path, '/');

    (void)snprintf(slash + 1, 32, "venturid");
    return VT_OK;
}

static void
child_run(const struct bench_daemon_options *options, const char *dir, const char *catalog, int fd)
{
    char program[512];
    char workers[24];
    char ids[24];
    char *arguments[16] = {program}; /* execv() changes none of them */
    int count = 1;

    if (program_path(program) != VT_OK)
        _exit(127);
    arguments[count++] = vt_owned("--data");
    arguments[count++] = vt_owned(dir);
    arguments[count++] = vt_owned("--catalog");
    arguments[count++] = vt_owned(catalog);
    arguments[count++] = vt_owned("--listen");
    arguments[count++] = vt_owned("127.0.0.1:0");
    arguments[count++] = vt_owned("--http");
    arguments[count++] = vt_owned("127.0.0.1:0");
    if (options->workers > 0) {
        (void)snprintf(workers, sizeof workers, "%llu", (unsigned long long)options->workers);
        arguments[count++] = vt_owned("--workers");
        arguments[count++] = workers;
    }
    if (options->dedup_ids > 0) {
        (void)snprintf(ids, sizeof ids, "%llu", (unsigned long long)options->dedup_ids);
        arguments[count++] = vt_owned("--dedup-ids");
        arguments[count++] = ids;
    }
    arguments[count] = NULL;
    if (dup2(fd, STDERR_FILENO) < 0)
        _exit(127);
    execv(program, arguments);
    _exit(127);
}

/* What stands behind the word, up to a comma or the end of the line; false: not there yet. */
static bool
address_take(const char *line, const char *word, char address[64])
{
    const char *found = strstr(line, word);
    const char *begin = found == NULL ? NULL : found + strlen(word);
    const char *end = found == NULL ? NULL : strpbrk(begin, ",\n");

    if (end == NULL)
        return false;
    (void)snprintf(address, 64, "%.*s", (int)(end - begin), begin);
    return true;
}

/* Reads standard error of the daemon until it says where it listens. */
static vt_err
ready_wait(int fd, struct bench_daemon *daemon)
{
    char line[READY_LINE_BYTES];
    size_t size = 0;

    while (size < sizeof line - 1) {
        ssize_t got = read(fd, line + size, sizeof line - 1 - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
        line[size] = '\0';
        if (address_take(line, "frames on ", daemon->address) &&
            address_take(line, "http on ", daemon->http))
            return VT_OK;
    }
    line[size] = '\0';
    return vt_err_detail(VT_BROKEN, "the daemon did not start: %s", line);
}

vt_err
bench_daemon_start(const struct bench_daemon_options *options, struct bench_daemon *out_daemon)
{
    struct bench_daemon daemon = {.pid = -1, .temporary = options->data == NULL};
    char catalog[320];
    char token_path[320];
    int pipes[2];

    if (daemon.temporary) {
        const char *base = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): one thread */

        (void)snprintf(daemon.dir, sizeof daemon.dir, "%s/venturi-bench-XXXXXX",
                       base == NULL ? "/tmp" : base);
        if (mkdtemp(daemon.dir) == NULL)
            return vt_err_detail(VT_IO, "%s: %s", daemon.dir, strerrordesc_np(errno));
    } else {
        (void)snprintf(daemon.dir, sizeof daemon.dir, "%s", options->data);
        if (mkdir(daemon.dir, 0700) != 0 && errno != EEXIST)
            return vt_err_detail(VT_IO, "%s: %s", daemon.dir, strerrordesc_np(errno));
    }
    vt_err err = catalog_write(options, daemon.dir, catalog);

    if (err != VT_OK)
        return err;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return vt_err_detail(VT_IO, "no pipe");
    daemon.pid = fork();
    if (daemon.pid == 0)
        child_run(options, daemon.dir, catalog, pipes[1]);
    close(pipes[1]);
    err = daemon.pid < 0 ? VT_NOMEM : ready_wait(pipes[0], &daemon);
    /* What it says later goes nowhere: the pipe stays open so that it never blocks on a closed
     * one. */
    (void)snprintf(token_path, sizeof token_path, "%s/admin.token", daemon.dir);
    if (err == VT_OK)
        err = token_load(token_path, daemon.token);
    if (err != VT_OK && daemon.pid > 0) {
        kill(daemon.pid, SIGKILL);
        waitpid(daemon.pid, NULL, 0);
    }
    *out_daemon = daemon;
    return err;
}

vt_err
bench_daemon_stop(struct bench_daemon *daemon)
{
    struct rusage usage;
    int status = 0;

    kill(daemon->pid, SIGTERM);
    while (wait4(daemon->pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return vt_err_detail(VT_BROKEN, "the daemon is gone");
    daemon->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                          (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    daemon->memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return vt_err_detail(VT_BROKEN, "the daemon ended with status %d", status);
    return VT_OK;
}

static int
file_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void
bench_daemon_clean(const struct bench_daemon *daemon)
{
    if (daemon->temporary)
        (void)nftw(daemon->dir, file_remove, 8, FTW_DEPTH | FTW_PHYS); /* NOLINT(*-mt-unsafe) */
}

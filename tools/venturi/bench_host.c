/* bench_host.c - see bench_host.h. */
#include "bench_host.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "remote.h"
#include "venturi/assert.h"
#include "venturi/bytes.h"

#define LINE_BYTES 512

/* Printable ASCII that needs no escape in JSON; the rest becomes a blank. */
static void
text_take(const char *text, char *out, size_t size)
{
    size_t used = 0;

    for (; *text != '\0' && *text != '\n' && used < size - 1; text++) {
        bool plain = *text >= ' ' && *text <= '~' && *text != '"' && *text != '\\';

        out[used] = ' ';
        if (plain)
            out[used] = *text;
        used++;
    }
    out[used] = '\0';
}

static void
processor_read(struct bench_host *host)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[LINE_BYTES];

    while (file != NULL && host->processor[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');

        if (colon != NULL && strncmp(line, "model name", 10) == 0)
            text_take(colon + 2, host->processor, sizeof host->processor);
    }
    if (file != NULL)
        (void)fclose(file); /* was only read */
}

static void
filesystem_read(const char *dir, struct bench_host *host)
{
    static const struct {
        uint64_t magic;
        const char *name;
    } known[] = {{0xEF53, "ext4"},      {0x58465342, "xfs"},     {0x9123683E, "btrfs"},
                 {0x01021994, "tmpfs"}, {0x794c7630, "overlay"}, {0x2fc12fc1, "zfs"}};
    struct statfs status;

    if (statfs(dir, &status) != 0)
        return;
    (void)snprintf(host->filesystem, sizeof host->filesystem, "0x%" PRIx64,
                   (uint64_t)status.f_type);
    for (size_t i = 0; i < VT_COUNT(known); i++)
        if (known[i].magic == (uint64_t)status.f_type)
            (void)snprintf(host->filesystem, sizeof host->filesystem, "%s", known[i].name);
}

void
bench_host_read(const char *dir, struct bench_host *out_host)
{
    struct utsname names;
    struct sysinfo info;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    memset(out_host, 0, sizeof *out_host);
    out_host->processors = processors > 0 ? (uint32_t)processors : 0;
    if (uname(&names) == 0) {
        char kernel[sizeof names.sysname + sizeof names.release + sizeof names.machine + 3];

        (void)snprintf(kernel, sizeof kernel, "%s %s %s", names.sysname, names.release,
                       names.machine);
        text_take(kernel, out_host->kernel, sizeof out_host->kernel);
    }
    if (sysinfo(&info) == 0) {
        out_host->memory_bytes = (uint64_t)info.totalram * info.mem_unit;
        out_host->load = (double)info.loads[0] / (double)(1 << SI_LOAD_SHIFT);
    }
    processor_read(out_host);
    filesystem_read(dir, out_host);
}

void
bench_host_print(const struct bench_host *host)
{
    printf("{\"processor\":\"%s\",\"processors\":%" PRIu32 ",\"memory_bytes\":%" PRIu64
           ",\"kernel\":\"%s\",\"filesystem\":\"%s\",\"load_before\":%.2f}",
           host->processor, host->processors, host->memory_bytes, host->kernel, host->filesystem,
           host->load);
}

vt_err
bench_backlog(const struct bench_daemon *daemon, uint64_t *out_cuts)
{
    static const char name[] = "\nventuri_cuts_waiting ";
    const struct remote_request request = {.path = "/metrics", .keep = true};
    struct remote_answer answer = {.text = NULL};
    struct remote *remote = NULL;
    char url[96];

    (void)snprintf(url, sizeof url, "http://%s", daemon->http);
    vt_err err = remote_open(url, daemon->token, &remote);

    if (err == VT_OK)
        err = remote_do(remote, &request, &answer);
    const char *found = err == VT_OK && answer.text != NULL ? strstr(answer.text, name) : NULL;

    if (found == NULL && err == VT_OK)
        err = vt_err_detail(VT_BAD_FORMAT, "the daemon's metrics do not say what is unsealed");
    if (found != NULL)
        *out_cuts = strtoull(found + sizeof name - 1, NULL, 10);
    remote_close(remote);
    return err;
}

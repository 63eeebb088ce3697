#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "venturi/assert.h"

#define SHOW_NS         INT64_C(100000000)
#define NS_PER_SECOND   INT64_C(1000000000)
#define COLUMNS_DEFAULT 80U
#define BAR_CELLS       20U
#define LINE_BYTES      256U

static const char wipe[] = "\r\x1b[K";

static int64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* A terminal that knows no escapes gets none. */
static bool
is_terminal(void)
{
    const char *term = getenv("TERM"); // NOLINT(concurrency-mt-unsafe)

    return isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

static void
interrupted(void *context, int number)
{
    sigset_t one;
    ssize_t written = write(STDERR_FILENO, wipe, sizeof wipe - 1);

    (void)context;
    (void)written; /* it is the end anyway */
    sigemptyset(&one);
    sigaddset(&one, number);
    if (signal(number, SIG_DFL) == SIG_ERR || pthread_sigmask(SIG_UNBLOCK, &one, NULL) != 0 ||
        raise(number) != 0)
        _exit(128 + number);
}

void
progress_open(struct progress *progress, uint64_t bytes_all)
{
    *progress = (struct progress){.bytes_all = bytes_all, .began_ns = now_ns()};
    progress->stopper.asked = interrupted;
    progress->on = is_terminal() && stopper_start(&progress->stopper);
}

/* "[#####...............]  25%  ", or nothing where the end is not known. */
static void
bar_put(const struct progress *progress, const struct progress_counts *counts, char *out_text,
        size_t size)
{
    char cells[BAR_CELLS + 1];
    uint64_t settled = counts->acked + counts->refused_events;
    uint64_t percent;

    out_text[0] = '\0';
    if (progress->bytes_all == 0)
        return;
    /* Files beyond 2^57 bytes do not exist; one that grew meanwhile is whole at 100. */
    percent =
        counts->bytes >= progress->bytes_all ? 100 : counts->bytes * 100 / progress->bytes_all;
    /* What was read is not done before it is settled. */
    if (counts->sent > settled)
        percent = percent * (settled * 1000 / counts->sent) / 1000;
    VT_ASSERT(percent <= 100);
    for (uint32_t i = 0; i < BAR_CELLS; i++)
        cells[i] = i < percent * BAR_CELLS / 100 ? '#' : '.';
    cells[BAR_CELLS] = '\0';
    (void)snprintf(out_text, size, "[%s] %3" PRIu64 "%%  ", cells, percent);
}

static uint32_t
columns_of_terminal(void)
{
    struct winsize size = {.ws_col = 0};

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

void
progress_show(struct progress *progress, const struct progress_counts *counts)
{
    char bar[64];
    char line[LINE_BYTES];

    if (!progress->on)
        return;
    int64_t now = now_ns();

    if (progress->standing && now - progress->shown_ns < SHOW_NS)
        return;
    uint64_t ms = (uint64_t)(now - progress->began_ns) / 1000000 + 1;
    uint32_t columns = columns_of_terminal();

    bar_put(progress, counts, bar, sizeof bar);
    (void)snprintf(line, sizeof line,
                   "%s%" PRIu64 " sent, %" PRIu64 " acked, %" PRIu64 " refused, %" PRIu64 "/s", bar,
                   counts->sent, counts->acked, counts->refused_events + counts->refused_lines,
                   counts->acked * 1000 / ms);
    /* A line that wraps could not be wiped. */
    if (columns <= sizeof line)
        line[columns - 1] = '\0';
    (void)fprintf(stderr, "%s%s", wipe, line);
    (void)fflush(stderr);
    progress->standing = true;
    progress->shown_ns = now;
}

void
progress_clear(struct progress *progress)
{
    if (!progress->standing)
        return;
    (void)fputs(wipe, stderr);
    (void)fflush(stderr);
    progress->standing = false;
}

void
progress_close(struct progress *progress)
{
    progress_clear(progress);
    if (progress->on)
        stopper_end(&progress->stopper);
    progress->on = false;
}

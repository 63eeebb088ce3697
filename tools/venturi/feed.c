/* feed.c - venturi feed: the revisions of windows, from a cursor on. A page is printed when it is
 * there whole, so that what was printed ends with a line and its cursor, whatever happens. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "commands.h"
#include "tools/common/stopper.h"

#define FOLLOW_WAIT_NS    250000000L
#define FEED_PAGE         10000
#define TIMEOUT_DEFAULT_S 60

static const char help[] =
    "venturi feed - every revision of every window, once, in one order\n"
    "\n"
    "example: venturi feed --from http://127.0.0.1:8080 --follow\n"
    "         venturi feed --from http://127.0.0.1:8080 --cursor 61bf1a8d...\n"
    "\n"
    "usage: venturi feed --from URL [options]\n"
    "\n"
    "Each line has its cursor; the same cursor gives the same lines after it. Counted exactly\n"
    "once is what is stored together with the cursor of the last line. --follow ends with status "
    "0\n"
    "at SIGINT or SIGTERM and names the cursor to go on with; a daemon that goes away meanwhile "
    "is\n"
    "waited for.\n"
    "\n" ASK_HELP "  --cursor C         begin after the line that has it\n"
    "  --limit N          lines of one request, 1 to 100000            (10000)\n"
    "  --follow           go on as revisions appear, until interrupted\n"
    "  --timeout SECONDS  with --follow: how long to wait for a daemon that is away   (60)\n"
    "\n" ASK_STATUS_HELP;

struct feed {
    const struct ask *ask;
    const char *name; /* of the command, for messages */
    bool follow;
    uint64_t timeout_s;
    struct remote_request request;
    char cursor[REMOTE_CURSOR_BYTES];
    bool answered; /* the daemon was there */
    bool away;     /* and is not any more, since: */
    int64_t away_ns;
    _Atomic bool stop; /* set by the stopper's thread */
};

static int64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
wait_a_while(void)
{
    const struct timespec wait = {0, FOLLOW_WAIT_NS};

    (void)nanosleep(&wait, NULL); /* woken early is no harm */
}

/* A second one while standard output takes nothing: then it is not waited for. */
static void
stop_asked(void *context, int signal)
{
    struct feed *feed = context;

    if (atomic_exchange(&feed->stop, true))
        _exit(128 + signal);
}

static bool
is_stopped(void *context)
{
    struct feed *feed = context;

    return atomic_load(&feed->stop);
}

/* Whether it makes sense to ask again: the daemon was there, and may come back. */
static bool
may_come_back(struct feed *feed, vt_err err)
{
    if (!feed->follow || !feed->answered || (err != VT_IO && !vt_err_may_retry(err)))
        return false;
    if (!feed->away) {
        (void)fprintf(stderr, "%s: %s; waiting for it\n", feed->name, vt_err_last());
        feed->away = true;
        feed->away_ns = now_ns();
    }
    return (uint64_t)(now_ns() - feed->away_ns) / 1000000000 < feed->timeout_s;
}

/* The lines after the cursor; over a daemon that goes away and comes back. VT_CANCELLED: stopped
 * meanwhile. */
static vt_err
page_get(struct feed *feed, struct remote_answer *out_answer)
{
    for (;;) {
        vt_err err = is_stopped(feed) ? VT_CANCELLED
                                      : remote_do(feed->ask->remote, &feed->request, out_answer);

        if (err == VT_OK && feed->away)
            (void)fprintf(stderr, "%s: it is back\n", feed->name);
        if (err == VT_OK) {
            feed->answered = true;
            feed->away = false;
            return VT_OK;
        }
        if (err == VT_CANCELLED || !may_come_back(feed, err))
            return err;
        wait_a_while();
    }
}

static vt_err
page_print(const struct remote_answer *answer)
{
    if (answer->bytes > 0 && fwrite(answer->text, 1, answer->bytes, stdout) != answer->bytes)
        return vt_err_detail(VT_IO, "standard output: %s", strerrordesc_np(errno));
    if (fflush(stdout) != 0)
        return vt_err_detail(VT_IO, "standard output: %s", strerrordesc_np(errno));
    return VT_OK;
}

/* Until there is no more, or with --follow until stopped. */
static vt_err
feed_run(struct feed *feed)
{
    for (;;) {
        struct remote_answer answer;
        vt_err err = page_get(feed, &answer);

        if (err == VT_OK)
            err = page_print(&answer);
        if (err == VT_CANCELLED)
            return VT_OK;
        if (err != VT_OK || (answer.bytes == 0 && !feed->follow))
            return err;
        if (answer.cursor[0] != '\0') { /* else nothing yet, from the beginning */
            memcpy(feed->cursor, answer.cursor, sizeof feed->cursor);
            feed->request.params[0].value = feed->cursor;
        }
        if (answer.bytes == 0)
            wait_a_while();
    }
}

static int
feed_follow(struct feed *feed)
{
    struct stopper stopper = {.asked = stop_asked, .context = feed};

    if (!stopper_start(&stopper))
        return options_failed(feed->name, "signals", VT_UNSUPPORTED);
    vt_err err = feed_run(feed);

    stopper_end(&stopper);
    const char *cursor = feed->request.params[0].value;

    if (err != VT_OK)
        return options_failed(feed->name, NULL, err);
    if (cursor == NULL)
        (void)fprintf(stderr, "%s: ended before the first line\n", feed->name);
    else
        (void)fprintf(stderr, "%s: ended; go on with --cursor %s\n", feed->name, cursor);
    return EXIT_DONE;
}

int
command_feed(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    uint64_t limit = FEED_PAGE;
    char limit_text[24];
    struct feed feed = {
        .ask = &ask,
        .name = argv[0],
        .timeout_s = TIMEOUT_DEFAULT_S,
        .request = {.path = "/v1/feed",
                    .params = {{"cursor", NULL}, {"limit", limit_text}},
                    .keep = true,
                    .given_up = is_stopped,
                    .context = &feed},
    };
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&ask),
        ASK_SPEC_TOKEN(&ask),
        {.name = "cursor", .kind = OPTION_TEXT, .target = &feed.request.params[0].value},
        {.name = "limit", .kind = OPTION_NUMBER, .target = &limit, .least = 1, .most = 100000},
        {.name = "follow", .kind = OPTION_FLAG, .target = &feed.follow},
        {.name = "timeout",
         .kind = OPTION_NUMBER,
         .target = &feed.timeout_s,
         .least = 0,
         .most = 1000000},
        {.name = NULL},
    };
    const struct ask_command command = {help, specs, 0};
    int first = 0;
    int status = ask_open(&ask, argc, argv, &command, &first);

    (void)snprintf(limit_text, sizeof limit_text, "%llu", (unsigned long long)limit);

    if (status == OPTIONS_GO && feed.follow) {
        status = feed_follow(&feed);
    } else if (status == OPTIONS_GO) {
        vt_err err = feed_run(&feed);

        status = err == VT_OK ? EXIT_DONE : options_failed(argv[0], NULL, err);
    }
    ask_close(&ask);
    return status;
}

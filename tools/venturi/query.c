/* query.c - the subcommands that ask: windows, lines, unrated, summary, feed, and close. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "commands.h"
#include "venturi/assert.h"

#define FOLLOW_WAIT_NS 250000000L
#define FEED_PAGE      "10000"

static const char windows_help[] =
    "venturi windows - totals by window, open and final, as they are now\n"
    "\n"
    "example: venturi windows --from http://127.0.0.1:8080 --tenant acme --meter calls\n"
    "\n"
    "usage: venturi windows --from URL [options]\n"
    "\n" ASK_HELP "  --tenant T         only this tenant\n"
    "  --meter M          only this meter\n"
    "  --start TIME       only windows that start in [start, end); RFC 3339 with a zone\n"
    "  --end TIME\n"
    "\n" ASK_STATUS_HELP;

int
command_windows(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    struct remote_request request = {
        .path = "/v1/windows",
        .params = {{"tenant", NULL}, {"meter", NULL}, {"start", NULL}, {"end", NULL}},
    };
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&ask),
        ASK_SPEC_TOKEN(&ask),
        {.name = "tenant", .kind = OPTION_TEXT, .target = &request.params[0].value},
        {.name = "meter", .kind = OPTION_TEXT, .target = &request.params[1].value},
        {.name = "start", .kind = OPTION_TEXT, .target = &request.params[2].value},
        {.name = "end", .kind = OPTION_TEXT, .target = &request.params[3].value},
        {.name = NULL},
    };
    const struct ask_command command = {windows_help, specs, 0};
    int first = 0;
    int status = ask_open(&ask, argc, argv, &command, &first);

    if (status == OPTIONS_GO)
        status = ask_do(&ask, argv[0], &request);
    ask_close(&ask);
    return status;
}

static const char lines_help[] =
    "venturi lines - rated lines of every billing period with usage\n"
    "\n"
    "example: venturi lines --from http://127.0.0.1:8080 --tenant acme\n"
    "\n"
    "usage: venturi lines --from URL [options]\n"
    "\n" ASK_HELP "  --tenant T         only this tenant\n"
    "  --at TIME          the billing period that holds TIME, usage or not\n"
    "\n" ASK_STATUS_HELP;

int
command_lines(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    struct remote_request request = {
        .path = "/v1/lines",
        .params = {{"tenant", NULL}, {"at", NULL}},
    };
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&ask),
        ASK_SPEC_TOKEN(&ask),
        {.name = "tenant", .kind = OPTION_TEXT, .target = &request.params[0].value},
        {.name = "at", .kind = OPTION_TEXT, .target = &request.params[1].value},
        {.name = NULL},
    };
    const struct ask_command command = {lines_help, specs, 0};
    int first = 0;
    int status = ask_open(&ask, argc, argv, &command, &first);

    if (status == OPTIONS_GO)
        status = ask_do(&ask, argv[0], &request);
    ask_close(&ask);
    return status;
}

static const char unrated_help[] = "venturi unrated - usage that no line has, and why\n"
                                   "\n"
                                   "example: venturi unrated --from http://127.0.0.1:8080\n"
                                   "\n"
                                   "usage: venturi unrated --from URL [options]\n"
                                   "\n" ASK_HELP "  --tenant T         only this tenant\n"
                                   "\n" ASK_STATUS_HELP;

int
command_unrated(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    struct remote_request request = {.path = "/v1/unrated", .params = {{"tenant", NULL}}};
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&ask),
        ASK_SPEC_TOKEN(&ask),
        {.name = "tenant", .kind = OPTION_TEXT, .target = &request.params[0].value},
        {.name = NULL},
    };
    const struct ask_command command = {unrated_help, specs, 0};
    int first = 0;
    int status = ask_open(&ask, argc, argv, &command, &first);

    if (status == OPTIONS_GO)
        status = ask_do(&ask, argv[0], &request);
    ask_close(&ask);
    return status;
}

static const char summary_help[] =
    "venturi summary - what was received, accepted, repeated and refused\n"
    "\n"
    "example: venturi summary --from http://127.0.0.1:8080 --by-tenant\n"
    "\n"
    "usage: venturi summary --from URL [options]\n"
    "\n" ASK_HELP "  --by-tenant        a row for each tenant as well\n"
    "\n" ASK_STATUS_HELP;

int
command_summary(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    bool by_tenant = false;
    struct remote_request request = {.path = "/v1/summary", .params = {{"by", NULL}}};
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&ask),
        ASK_SPEC_TOKEN(&ask),
        {.name = "by-tenant", .kind = OPTION_FLAG, .target = &by_tenant},
        {.name = NULL},
    };
    const struct ask_command command = {summary_help, specs, 0};
    int first = 0;
    int status = ask_open(&ask, argc, argv, &command, &first);

    if (by_tenant)
        request.params[0].value = "tenant";
    if (status == OPTIONS_GO)
        status = ask_do(&ask, argv[0], &request);
    ask_close(&ask);
    return status;
}

static const char close_help[] =
    "venturi close - close windows now that end at or before a time\n"
    "\n"
    "example: venturi close --from http://127.0.0.1:8080 --before 2026-07-01T00:00:00Z --dry-run\n"
    "\n"
    "usage: venturi close --from URL --before TIME [options]\n"
    "\n"
    "Prints the groups of windows that get a revision by it, and last how many they are.\n"
    "\n" ASK_HELP "  --before TIME      RFC 3339 with a zone\n"
    "  --tenant T         only this tenant's\n"
    "  --dry-run          say what would be closed, close nothing\n"
    "  --force            also where TIME lies in the future\n"
    "\n" ASK_STATUS_HELP;

int
command_close(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    bool dry_run = false;
    bool force = false;
    struct remote_request request = {
        .path = "/v1/close",
        .post = true,
        .params = {{"before", NULL}, {"tenant", NULL}, {"dry_run", NULL}, {"force", NULL}},
    };
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&ask),
        ASK_SPEC_TOKEN(&ask),
        {.name = "before", .kind = OPTION_TEXT, .target = &request.params[0].value},
        {.name = "tenant", .kind = OPTION_TEXT, .target = &request.params[1].value},
        {.name = "dry-run", .kind = OPTION_FLAG, .target = &dry_run},
        {.name = "force", .kind = OPTION_FLAG, .target = &force},
        {.name = NULL},
    };
    const struct ask_command command = {close_help, specs, 0};
    int first = 0;
    int status = ask_open(&ask, argc, argv, &command, &first);

    request.params[2].value = dry_run ? "true" : NULL;
    request.params[3].value = force ? "true" : NULL;
    if (status == OPTIONS_GO && request.params[0].value == NULL)
        status = options_misused(argv[0], "--before TIME is needed");
    if (status == OPTIONS_GO)
        status = ask_do(&ask, argv[0], &request);
    ask_close(&ask);
    return status;
}

/* ---- feed */

static const char feed_help[] =
    "venturi feed - every revision of every window, once, in one order\n"
    "\n"
    "example: venturi feed --from http://127.0.0.1:8080 --follow\n"
    "         venturi feed --from http://127.0.0.1:8080 --cursor 61bf1a8d...\n"
    "\n"
    "usage: venturi feed --from URL [options]\n"
    "\n"
    "Each line has its cursor; the same cursor gives the same lines after it. Counted exactly\n"
    "once is what is stored together with the cursor of the last line.\n"
    "\n" ASK_HELP "  --cursor C         begin after the line that has it\n"
    "  --limit N          lines of one request                         (10000)\n"
    "  --follow           go on as revisions appear, until interrupted\n"
    "\n" ASK_STATUS_HELP;

static vt_err
feed_run(const struct ask *ask, const struct remote_request *first, bool follow)
{
    const struct timespec wait = {0, FOLLOW_WAIT_NS};
    struct remote_request request = *first;
    char cursor[REMOTE_CURSOR_BYTES];

    for (;;) {
        struct remote_answer answer;
        vt_err err = remote_do(ask->remote, &request, &answer);

        if (err != VT_OK)
            return err;
        if (fflush(stdout) != 0)
            return vt_err_detail(VT_IO, "standard output takes no more");
        if (answer.bytes == 0 && !follow)
            return VT_OK;
        if (answer.bytes == 0)
            (void)nanosleep(&wait, NULL); /* woken early is no harm */
        if (answer.cursor[0] == '\0')
            continue; /* nothing yet, from the beginning */
        memcpy(cursor, answer.cursor, sizeof cursor);
        request.params[0].value = cursor;
    }
}

int
command_feed(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    bool follow = false;
    struct remote_request request = {
        .path = "/v1/feed",
        .params = {{"cursor", NULL}, {"limit", FEED_PAGE}},
    };
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&ask),
        ASK_SPEC_TOKEN(&ask),
        {.name = "cursor", .kind = OPTION_TEXT, .target = &request.params[0].value},
        {.name = "limit", .kind = OPTION_TEXT, .target = &request.params[1].value},
        {.name = "follow", .kind = OPTION_FLAG, .target = &follow},
        {.name = NULL},
    };
    const struct ask_command command = {feed_help, specs, 0};
    int first = 0;
    int status = ask_open(&ask, argc, argv, &command, &first);

    if (status == OPTIONS_GO) {
        vt_err err = feed_run(&ask, &request, follow);

        status = err == VT_OK ? EXIT_DONE : options_failed(argv[0], NULL, err);
    }
    ask_close(&ask);
    return status;
}

/* query.c - the subcommands that ask one question: windows, lines, unrated, summary and close. Each
 * is a row of a table. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "commands.h"
#include "venturi/assert.h"
#include "venturi/time.h"

/* An option, and the parameter of the request that it becomes. */
struct question_option {
    const char *name; /* NULL ends the list */
    const char *param;
    const char *flag;  /* the parameter's value where the option has none; NULL: the option's own */
    const char *needs; /* what is missing where it is not given; NULL: it need not be */
    bool time;
};

/* The daemon would refuse it, too; here it is a mistake in the command line. */
static int
time_check(const char *command, const char *option, const char *text)
{
    struct vt_utc utc;

    if (vt_utc_parse((struct vt_str){text, (uint32_t)strlen(text)}, &utc) == VT_OK)
        return OPTIONS_GO;
    return options_misused(command, "--%s %s: not an RFC 3339 time with a zone", option, text);
}

struct question {
    const char *help;
    const char *path;
    bool post;
    struct question_option options[REMOTE_PARAMS_MAX + 1];
};

static int
question_ask(const struct question *question, int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    struct remote_request request = {.path = question->path, .post = question->post};
    struct option_spec specs[REMOTE_PARAMS_MAX + 3] = {ASK_SPEC_FROM(&ask), ASK_SPEC_TOKEN(&ask)};
    bool flags[REMOTE_PARAMS_MAX] = {false};
    const struct ask_command command = {question->help, specs, 0};
    int first = 0;

    for (uint32_t i = 0; question->options[i].name != NULL; i++) {
        const struct question_option *option = &question->options[i];

        VT_ASSERT(i < REMOTE_PARAMS_MAX);
        request.params[i].name = option->param;
        specs[i + 2].name = option->name;
        specs[i + 2].kind = option->flag != NULL ? OPTION_FLAG : OPTION_TEXT;
        specs[i + 2].target =
            option->flag != NULL ? (void *)&flags[i] : (void *)&request.params[i].value;
    }
    int status = ask_open(&ask, argc, argv, &command, &first);

    for (uint32_t i = 0; question->options[i].name != NULL; i++) {
        const struct question_option *option = &question->options[i];

        if (flags[i])
            request.params[i].value = option->flag;
        if (status == OPTIONS_GO && option->needs != NULL && request.params[i].value == NULL)
            status = options_misused(argv[0], "--%s %s is needed", option->name, option->needs);
        if (status == OPTIONS_GO && option->time && request.params[i].value != NULL)
            status = time_check(argv[0], option->name, request.params[i].value);
    }
    if (status == OPTIONS_GO)
        status = ask_do(&ask, argv[0], &request);
    ask_close(&ask);
    return status;
}

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
    static const struct question question = {
        .help = windows_help,
        .path = "/v1/windows",
        .options =
            {
                {.name = "tenant", .param = "tenant"},
                {.name = "meter", .param = "meter"},
                {.name = "start", .param = "start", .time = true},
                {.name = "end", .param = "end", .time = true},
            },
    };

    return question_ask(&question, argc, argv);
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
    static const struct question question = {
        .help = lines_help,
        .path = "/v1/lines",
        .options =
            {
                {.name = "tenant", .param = "tenant"},
                {.name = "at", .param = "at", .time = true},
            },
    };

    return question_ask(&question, argc, argv);
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
    static const struct question question = {
        .help = unrated_help,
        .path = "/v1/unrated",
        .options =
            {
                {.name = "tenant", .param = "tenant"},
            },
    };

    return question_ask(&question, argc, argv);
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
    static const struct question question = {
        .help = summary_help,
        .path = "/v1/summary",
        .options =
            {
                {.name = "by-tenant", .param = "by", .flag = "tenant"},
            },
    };

    return question_ask(&question, argc, argv);
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
    static const struct question question = {
        .help = close_help,
        .path = "/v1/close",
        .post = true,
        .options =
            {
                {.name = "before", .param = "before", .time = true, .needs = "TIME"},
                {.name = "tenant", .param = "tenant"},
                {.name = "dry-run", .param = "dry_run", .flag = "true"},
                {.name = "force", .param = "force", .flag = "true"},
            },
    };

    return question_ask(&question, argc, argv);
}

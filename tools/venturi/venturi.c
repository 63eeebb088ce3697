/* venturi.c - the tool: reads the command line and hands over to a subcommand. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "tools/common/options.h"
#include "venturi/assert.h"

static const char usage_head[] =
    "venturi - sends usage events, asks for windows and lines, replays and inspects the log\n"
    "\n"
    "example: venturi send --to 127.0.0.1:7400 --token-file data/admin.token events.jsonl\n"
    "         venturi windows --from http://127.0.0.1:8080\n"
    "         venturi send --help\n"
    "\n"
    "usage: venturi COMMAND [options]\n"
    "\n";

static const char usage_tail[] =
    "\n"
    "  --version    print the version and exit\n"
    "  --help       print this text and exit\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 3 done but some input was refused, 4 a difference\n"
    "or damage was found\n";

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} commands[] = {
#define COMMAND_ROW(name, function, text) {name, function, text},
    COMMAND_TABLE(COMMAND_ROW)
#undef COMMAND_ROW
};

static int
print_usage(FILE *file)
{
    (void)fputs(usage_head, file);
    for (size_t i = 0; i < VT_COUNT(commands); i++)
        (void)fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].text);
    (void)fputs(usage_tail, file);
    return fflush(file) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int
main(int argc, char **argv)
{
    static char name[64];

    if (argc < 2) {
        (void)print_usage(stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < VT_COUNT(commands); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        (void)snprintf(name, sizeof name, "venturi %s", commands[i].name);
        argv[1] = name;
        return commands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "--help") == 0)
        return print_usage(stdout);
    if (strcmp(argv[1], "--version") == 0)
        return puts("venturi " VENTURI_VERSION) == EOF ? EXIT_FAILED : EXIT_DONE;
    return options_misused("venturi", "%s: there is no such command", argv[1]);
}

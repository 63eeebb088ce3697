/* venturid.c - the daemon: reads the command line, wires the floors together, prints. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage_text[] =
    "venturid - takes usage events in, counts each once, aggregates and prices them\n"
    "\n"
    "example: venturid --data data --catalog catalog.json\n"
    "\n"
    "usage: venturid --data DIR --catalog FILE [options]\n"
    "\n"
    "  --version    print the version and exit\n"
    "  --help       print this text and exit\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage\n";

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int
print_text(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return EXIT_FAILED;
    return EXIT_DONE;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    /* One thread so far, hence getopt's static state is safe. */
    int option = getopt_long(argc, argv, "", options, NULL); // NOLINT(concurrency-mt-unsafe)

    if (option == 'v')
        return print_text("venturid " VENTURI_VERSION "\n");
    if (option == 'h')
        return print_text(usage_text);
    (void)fputs(usage_text, stderr);
    return EXIT_USAGE;
}

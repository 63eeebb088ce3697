/* bench.c - venturi bench: which benchmark. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "tools/common/options.h"

static const char help[] =
    "venturi bench - load generator and reports\n"
    "\n"
    "example: venturi bench ingest --seconds 60 --json\n"
    "         venturi bench replay\n"
    "\n"
    "usage: venturi bench ingest|replay|dedup [options]\n"
    "\n"
    "  ingest     durable, exactly-once events a second    (venturi bench ingest --help)\n"
    "  replay     events a second rated again from the log (venturi bench replay --help)\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage\n";

int
command_bench(int argc, char **argv)
{
    static char name[64];

    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
    if (argc >= 2 && strcmp(argv[1], "--version") == 0)
        return puts("venturi " VENTURI_VERSION) == EOF ? EXIT_FAILED : EXIT_DONE;
    if (argc < 2)
        return options_misused(argv[0], "ingest, replay or dedup?");
    (void)snprintf(name, sizeof name, "venturi bench %.32s", argv[1]);
    if (strcmp(argv[1], "ingest") == 0) {
        argv[1] = name;
        return bench_ingest_command(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "replay") == 0) {
        argv[1] = name;
        return bench_replay_command(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "dedup") == 0) {
        argv[1] = name;
        return bench_ids_command(argc - 1, argv + 1);
    }
    return options_misused(argv[0], "%s: there is no such benchmark", argv[1]);
}

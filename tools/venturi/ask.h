/*
 * ask.h - what the subcommands over HTTP have in common: --from, --token-file, and the way from an
 * error to an exit status.
 *
 * Thread: the main thread.
 */
#pragma once

#include "remote.h"
#include "tools/common/options.h"

struct ask {
    const char *from;
    const char *token_file;
    struct remote *remote;
};

/* The first two of a command's options. */
#define ASK_SPEC_FROM(ask)                                          \
    {                                                               \
        .name = "from", .kind = OPTION_TEXT, .target = &(ask)->from \
    }
#define ASK_SPEC_TOKEN(ask)                                                     \
    {                                                                           \
        .name = "token-file", .kind = OPTION_TEXT, .target = &(ask)->token_file \
    }

#define ASK_HELP                                                                 \
    "  --from URL         the daemon's HTTP address, as http://127.0.0.1:8080\n" \
    "  --token-file FILE  the token; else the environment variable VENTURI_TOKEN\n"
#define ASK_STATUS_HELP "exit status: 0 done, 1 failed, 2 usage\n"

struct ask_command {
    const char *help;
    const struct option_spec *specs; /* ended by one without a name */
    uint32_t operand_count;          /* how many must follow the options */
};
/* Reads the options and opens the connection. OPTIONS_GO, or the status to exit with.
 * argv[*out_first] is the first operand. */
int ask_open(struct ask *ask, int argc, char **argv, const struct ask_command *command,
             int *out_first);
void ask_close(struct ask *ask);

/* One request; the status to exit with. */
int ask_do(const struct ask *ask, const char *name, const struct remote_request *request);

/*
 * options.h - what the command lines of venturid and venturi have in common: long options, help
 * texts that begin with examples, exit statuses, tokens, the one message of a failure.
 *
 * Thread: the main thread, before others are started.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/err.h"

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_REFUSED = 3,   /* done, but some input was refused */
    EXIT_DIFFERENT = 4, /* a difference or damage was found */
};

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char * */
    OPTION_LIST,   /* struct option_list: may be repeated */
    OPTION_NUMBER, /* uint64_t */
    OPTION_BYTES,  /* uint64_t; the number may end in K, M or G, of 1024 */
};

#define OPTIONS_MAX     40
#define OPTION_LIST_MAX 256

struct option_list {
    uint32_t count;
    const char *item[OPTION_LIST_MAX];
};

struct option_spec {
    const char *name; /* without the dashes; NULL ends a table */
    enum option_kind kind;
    void *target;   /* keeps its value where the option is not given */
    uint64_t least; /* numbers; most 0: no bounds */
    uint64_t most;
};

/* Reads the options; argv[*out_first] is the first operand. OPTIONS_GO, or the status to exit with:
 * --help printed `help` to standard output, or a mistake was told on standard error. --help and
 * --version need not stand in `specs`. argv[0] is named in messages. */
#define OPTIONS_GO (-1)
int options_read(int argc, char **argv, const char *help, const struct option_spec *specs,
                 int *out_first);

/* Prints "NAME: what and why" once and gives EXIT_FAILED. `what` may be NULL. */
int options_failed(const char *name, const char *what, vt_err err);
/* A mistake in the command line: EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int options_misused(const char *name, const char *format,
                                                          ...);

/* The token of --token-file, else of the environment variable VENTURI_TOKEN, without white space
 * around it. VT_NOT_FOUND where there is neither. */
#define TOKEN_LINE_BYTES 256
VT_MUST_CHECK vt_err token_load(const char *path, char out_token[TOKEN_LINE_BYTES]);

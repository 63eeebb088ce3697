/* ask.c - see ask.h. */
#include "ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "venturi/assert.h"

int
ask_open(struct ask *ask, int argc, char **argv, const struct ask_command *command, int *out_first)
{
    char token[TOKEN_LINE_BYTES];
    int first = 0;
    int status = options_read(argc, argv, command->help, command->specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (argc - first > (int)command->operand_count)
        return options_misused(argv[0], "%s: not expected",
                               argv[first + (int)command->operand_count]);
    if (argc - first < (int)command->operand_count)
        return options_misused(argv[0], "an operand is missing");
    if (ask->from == NULL)
        return options_misused(argv[0], "--from URL is needed");
    vt_err err = token_load(ask->token_file, token);

    if (err == VT_OK)
        err = remote_open(ask->from, token, &ask->remote);
    if (err == VT_INVALID)
        return options_misused(argv[0], "%s", vt_err_last());
    if (err != VT_OK)
        return options_failed(argv[0], NULL, err);
    *out_first = first;
    return OPTIONS_GO;
}

void
ask_close(struct ask *ask)
{
    remote_close(ask->remote);
    ask->remote = NULL;
}

int
ask_do(const struct ask *ask, const char *name, const struct remote_request *request)
{
    struct remote_answer answer;
    vt_err err = remote_do(ask->remote, request, &answer);

    if (err == VT_OK && fflush(stdout) != 0)
        err = vt_err_detail(VT_IO, "standard output: %s", strerrordesc_np(errno));
    return err == VT_OK ? EXIT_DONE : options_failed(name, NULL, err);
}

/*
 * commands.h - the subcommands of venturi: a line each in the table, and a function
 *   int command_NAME(int argc, char **argv);
 * with argv[0] "venturi NAME" for messages, that returns an exit status (options.h).
 *
 * Thread: the main thread.
 */
#pragma once

/*    name, function, one line for venturi --help */
#define COMMAND_TABLE(X) X("send", command_send, "send events from a file of JSON Lines")

#define COMMAND_DECLARE(name, function, text) int function(int argc, char **argv);
COMMAND_TABLE(COMMAND_DECLARE)
#undef COMMAND_DECLARE

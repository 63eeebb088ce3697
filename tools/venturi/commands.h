/*
 * commands.h - the subcommands of venturi: a line each in the table, and a function
 *   int command_NAME(int argc, char **argv);
 * with argv[0] "venturi NAME" for messages, that returns an exit status (options.h).
 *
 * Thread: the main thread.
 */
#pragma once

/*    name, function, one line for venturi --help */
#define COMMAND_TABLE(X)                                                            \
    X("send", command_send, "send events from a file of JSON Lines")                \
    X("windows", command_windows, "totals by window, open and final")               \
    X("lines", command_lines, "rated lines")                                        \
    X("unrated", command_unrated, "usage that no line has, and why")                \
    X("summary", command_summary, "what was received, accepted, repeated, refused") \
    X("feed", command_feed, "revisions of windows, each once")                      \
    X("close", command_close, "close windows now")                                  \
    X("catalog", command_catalog, "apply, diff or show the catalog")                \
    X("exceptions", command_exceptions, "list, retry or discard exceptions")        \
    X("replay", command_replay, "rate history from the log alone")                  \
    X("verify", command_verify, "every checksum, the chain, the counts")            \
    X("inspect", command_inspect, "what is in a store, down to a record")           \
    X("backup", command_backup, "a second copy, beside a running daemon")           \
    X("restore", command_restore, "a store of a second copy")                       \
    X("repair", command_repair, "damaged files, bit for bit from a second copy")    \
    X("bench", command_bench, "load generator and reports")

#define COMMAND_DECLARE(name, function, text) int function(int argc, char **argv);
COMMAND_TABLE(COMMAND_DECLARE)
#undef COMMAND_DECLARE

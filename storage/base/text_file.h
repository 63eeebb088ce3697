/*
 * text_file.h - a whole file, of a size that has a limit, in memory: catalogs, tokens, whatever a
 * person wrote and names on a command line.
 *
 * Errors: one line with the name and why: VT_NOT_FOUND, VT_TOO_LARGE, VT_IO, VT_NOMEM.
 * Thread: any.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "venturi/err.h"

/* The text ends with a NUL that *out_size does not count; malloc, the caller frees. */
VT_MUST_CHECK vt_err text_file_read(const char *path, uint32_t bytes_max, char **out_text,
                                    uint32_t *out_size);

/* The same of what is open already, to its end; `name` is for messages. */
VT_MUST_CHECK vt_err text_stream_read(FILE *file, const char *name, uint32_t bytes_max,
                                      char **out_text, uint32_t *out_size);

/* Puts the name of the file that failed to mean something in front of the detail; gives `err`. */
vt_err text_file_blame(const char *path, vt_err err);

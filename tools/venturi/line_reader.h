/*
 * line_reader.h - the lines of a file or pipe, each ended by LF alone, numbered from 1. The last
 * one may lack its LF.
 *
 * Memory: a buffer that grows to the longest line, LINE_BYTES_MAX at most.
 * Thread: the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define LINE_BYTES_MAX (UINT32_C(8) << 20)

struct line_reader {
    int fd;
    const char *name; /* for messages */
    char *buffer;
    uint32_t start;
    uint32_t fill;
    uint32_t capacity;
    uint32_t looked; /* bytes from start on without an LF */
    bool ended;
    bool skipping; /* the rest of a line that is too long */
    uint64_t number;
    uint64_t bytes_taken; /* of the lines so far */
    uint64_t bytes_all;   /* of a file, when it was opened; 0: not known */
};

/* "-" is standard input. A directory is refused here. */
VT_MUST_CHECK vt_err line_reader_open(const char *path, struct line_reader *out_reader);
void line_reader_close(struct line_reader *reader);

/* The next line, valid until the next call. VT_AGAIN: a pipe has nothing yet; VT_END; VT_TOO_LARGE:
 * this line (reader->number) is longer than LINE_BYTES_MAX, the next one can be read. */
VT_MUST_CHECK vt_err line_reader_next(struct line_reader *reader, struct vt_str *out_line);

/* line_reader.c - see line_reader.h. */
#include "line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "venturi/assert.h"

#define BUFFER_BYTES_MIN (UINT32_C(256) << 10)

static vt_err
failed(const char *name, int error)
{
    return vt_err_detail(error == ENOENT ? VT_NOT_FOUND : VT_IO, "%s: %s", name,
                         strerrordesc_np(error));
}

vt_err
line_reader_open(const char *path, struct line_reader *out_reader)
{
    struct line_reader reader = {.fd = STDIN_FILENO, .name = path};
    struct stat info = {.st_mode = 0};

    if (strcmp(path, "-") == 0)
        reader.name = "standard input";
    else
        reader.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader.fd < 0)
        return failed(path, errno);
    if (fstat(reader.fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        int error = S_ISDIR(info.st_mode) ? EISDIR : errno;

        line_reader_close(&reader);
        return failed(path, error);
    }
    if (S_ISREG(info.st_mode) && info.st_size > 0)
        reader.bytes_all = (uint64_t)info.st_size;
    reader.buffer = malloc(BUFFER_BYTES_MIN);
    reader.capacity = BUFFER_BYTES_MIN;
    if (reader.buffer == NULL) {
        line_reader_close(&reader);
        return VT_NOMEM;
    }
    *out_reader = reader;
    return VT_OK;
}

void
line_reader_close(struct line_reader *reader)
{
    if (reader->fd > STDIN_FILENO)
        close(reader->fd);
    free(reader->buffer);
    *reader = (struct line_reader){.fd = -1};
}

/* Room for more bytes behind what is there. */
static vt_err
make_room(struct line_reader *reader)
{
    if (reader->start > 0) {
        memmove(reader->buffer, reader->buffer + reader->start, reader->fill - reader->start);
        reader->fill -= reader->start;
        reader->start = 0;
    }
    if (reader->fill < reader->capacity)
        return VT_OK;
    VT_ASSERT(reader->capacity > 0 && reader->capacity < LINE_BYTES_MAX);
    char *grown = realloc(reader->buffer, reader->capacity * 2UL);

    if (grown == NULL)
        return VT_NOMEM;
    reader->buffer = grown;
    reader->capacity *= 2;
    return VT_OK;
}

static vt_err
read_more(struct line_reader *reader)
{
    struct pollfd entry = {.fd = reader->fd, .events = POLLIN};
    vt_err err = make_room(reader);

    if (err != VT_OK)
        return err;
    if (poll(&entry, 1, 0) == 0)
        return VT_AGAIN;
    ssize_t got = read(reader->fd, reader->buffer + reader->fill, reader->capacity - reader->fill);

    if (got < 0 && errno == EINTR)
        return VT_OK;
    if (got < 0)
        return failed(reader->name, errno);
    reader->ended = got == 0;
    reader->fill += (uint32_t)got;
    return VT_OK;
}

/* A whole line is in the buffer, or what there is before the end. */
static vt_err
line_take(struct line_reader *reader, uint32_t size, uint32_t skip, struct vt_str *out_line)
{
    struct vt_str line = {reader->buffer + reader->start, size};

    reader->start += size + skip;
    reader->bytes_taken += (uint64_t)size + skip;
    reader->looked = 0;
    if (reader->skipping) {
        reader->skipping = false;
        return VT_TOO_LARGE;
    }
    reader->number++;
    *out_line = line;
    return VT_OK;
}

vt_err
line_reader_next(struct line_reader *reader, struct vt_str *out_line)
{
    for (;;) {
        uint32_t size = reader->fill - reader->start;
        const char *line = reader->buffer + reader->start;
        const char *end = size == reader->looked
                              ? NULL
                              : memchr(line + reader->looked, '\n', size - reader->looked);

        if (end != NULL)
            return line_take(reader, (uint32_t)(end - line), 1, out_line);
        reader->looked = size;
        if (reader->ended)
            return size == 0 && !reader->skipping ? VT_END : line_take(reader, size, 0, out_line);
        if (size >= LINE_BYTES_MAX || reader->skipping) {
            /* Its number is taken once; its bytes are thrown away as they come. */
            reader->number += !reader->skipping;
            reader->skipping = true;
            reader->bytes_taken += size;
            reader->start = reader->fill;
            reader->looked = 0;
        }
        vt_err err = read_more(reader);

        if (err != VT_OK)
            return err;
    }
}

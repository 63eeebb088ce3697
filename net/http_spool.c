/* http_spool.c - see http_spool.h. */
#include "http_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "venturi/assert.h"

#define SPOOL_COPY_BYTES 65536

void
spool_init(struct spool *spool)
{
    *spool = (struct spool){.fd = -1};
}

void
spool_deinit(struct spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    free(spool->data);
    spool_init(spool);
}

void
spool_clear(struct spool *spool)
{
    spool_deinit(spool);
}

/* Not /tmp first: there it may be memory again. */
static vt_err
file_open(int *out_fd)
{
    static const char *const places[] = {"/var/tmp", "/tmp"};

    for (size_t i = 0; i < VT_COUNT(places); i++) {
        int fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0) {
            *out_fd = fd;
            return VT_OK;
        }
    }
    return vt_err_detail(VT_IO, "no temporary file: %s", strerrordesc_np(errno));
}

static vt_err
file_write(struct spool *spool, const char *data, uint64_t size)
{
    while (size > 0) {
        ssize_t written = write(spool->fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return vt_err_detail(errno == ENOSPC ? VT_FULL : VT_IO, "temporary file: %s",
                                 strerrordesc_np(errno));
        data += written;
        size -= (uint64_t)written;
        spool->file_bytes += (uint64_t)written;
    }
    return VT_OK;
}

static vt_err
memory_to_file(struct spool *spool)
{
    vt_err err = spool->fd < 0 ? file_open(&spool->fd) : VT_OK;

    if (err == VT_OK)
        err = file_write(spool, spool->data, spool->size);
    if (err == VT_OK)
        spool->size = 0;
    return err;
}

vt_err
spool_add(struct spool *spool, const void *data, uint64_t size)
{
    if (size == 0)
        return VT_OK;
    if (size > SPOOL_MEMORY_BYTES_MAX - spool->size) {
        vt_err err = memory_to_file(spool);

        if (err != VT_OK || size > SPOOL_MEMORY_BYTES_MAX)
            return err != VT_OK ? err : file_write(spool, data, size);
    }
    if (spool->size + size > spool->capacity) {
        uint64_t capacity = spool->capacity == 0 ? 4096 : spool->capacity;

        while (capacity < spool->size + size)
            capacity *= 2;
        char *grown = realloc(spool->data, capacity);

        if (grown == NULL)
            return VT_NOMEM;
        spool->data = grown;
        spool->capacity = capacity;
    }
    memcpy(spool->data + spool->size, data, size);
    spool->size += size;
    VT_ASSERT(spool->size <= SPOOL_MEMORY_BYTES_MAX);
    return VT_OK;
}

vt_err
spool_finish(struct spool *spool)
{
    return spool->fd < 0 ? VT_OK : memory_to_file(spool);
}

vt_err
spool_add_spool(struct spool *spool, struct spool *from)
{
    char buffer[SPOOL_COPY_BYTES];
    vt_err err = spool_finish(from);

    if (err != VT_OK || from->fd < 0)
        return err != VT_OK ? err : spool_add(spool, from->data, from->size);
    for (uint64_t at = 0; err == VT_OK && at < from->file_bytes;) {
        ssize_t got = pread(from->fd, buffer, sizeof buffer, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return vt_err_detail(VT_IO, "temporary file: %s", strerrordesc_np(errno));
        err = spool_add(spool, buffer, (uint64_t)got);
        at += (uint64_t)got;
    }
    return err;
}

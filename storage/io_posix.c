/*
 * io_posix.c - the synchronous half of the real disk: files and names by plain system calls. It
 * serves an io with a ring and one without alike.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "io_internal.h"
#include "venturi/assert.h"

/* One system call moves at most this much; Linux stops at 2 GiB less a page. */
#define TRANSFER_BYTES_MAX (UINT64_C(1) << 30)

struct posix_file {
    struct io_file base;
    int fd;
    bool direct;
};

/* No default name: an errno that the table below does not know is input or output that failed. */
static vt_err
from_errno(int error)
{
    static const struct {
        int error;
        vt_err err;
    } table[] = {
        {ENOENT, VT_NOT_FOUND}, {EEXIST, VT_EXISTS}, {ENOSPC, VT_FULL},
        {EDQUOT, VT_FULL},      {ENOMEM, VT_NOMEM},  {EWOULDBLOCK, VT_LOCKED},
    };

    for (size_t i = 0; i < VT_COUNT(table); i++)
        if (table[i].error == error)
            return table[i].err;
    return VT_IO;
}

static vt_err
failed(int error, const char *what, const char *path)
{
    const char *why = strerrordesc_np(error);

    return vt_err_detail(from_errno(error), "%s %s: %s", what, path, why == NULL ? "?" : why);
}

static struct posix_file *
posix_of(struct io_file *file)
{
    return (struct posix_file *)file;
}

int
io_posix_fd(const struct io_file *file)
{
    return ((const struct posix_file *)file)->fd;
}

static vt_err
posix_open(struct io *io, const char *path, uint32_t flags, struct io_file **out_file)
{
    int mode = (flags & IO_OPEN_WRITE) != 0 ? O_RDWR : O_RDONLY;
    bool direct = (flags & IO_OPEN_DIRECT) != 0;
    struct posix_file *file = calloc(1, sizeof *file);

    if (file == NULL)
        return VT_NOMEM;
    mode |= O_CLOEXEC | ((flags & IO_OPEN_CREATE) != 0 ? O_CREAT | O_EXCL : 0);
    /* The superblock holds secrets, so nothing in a store is anyone else's to read. */
    file->fd = open(path, mode | (direct ? O_DIRECT : 0), 0600);
    if (file->fd < 0 && errno == EINVAL && direct) {
        direct = false;
        /* O_EXCL may have made the file before the refusal. */
        file->fd = open(path, mode & ~O_EXCL, 0600);
    }
    if (file->fd < 0) {
        int error = errno;

        free(file);
        /* A file that is not there is an answer, not a failure: no detail. */
        return error == ENOENT ? VT_NOT_FOUND : failed(error, "open", path);
    }
    file->base.io = io;
    file->direct = direct;
    *out_file = &file->base;
    return VT_OK;
}

static void
posix_close_file(struct io_file *file)
{
    /* A write that mattered was synced; nothing hangs on the result of close. */
    (void)close(posix_of(file)->fd);
    free(file);
}

static vt_err
posix_read_at(struct io_file *file, void *buffer, uint64_t bytes, uint64_t offset)
{
    uint8_t *at = buffer;

    while (bytes > 0) {
        uint64_t part = bytes < TRANSFER_BYTES_MAX ? bytes : TRANSFER_BYTES_MAX;
        ssize_t got = pread(posix_of(file)->fd, at, part, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(errno, "read", "of a file");
        if (got == 0)
            return VT_END;
        at += got;
        offset += (uint64_t)got;
        bytes -= (uint64_t)got;
    }
    return VT_OK;
}

static vt_err
posix_write_at(struct io_file *file, const void *buffer, uint64_t bytes, uint64_t offset)
{
    const uint8_t *at = buffer;

    while (bytes > 0) {
        uint64_t part = bytes < TRANSFER_BYTES_MAX ? bytes : TRANSFER_BYTES_MAX;
        ssize_t put = pwrite(posix_of(file)->fd, at, part, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return failed(put < 0 ? errno : EIO, "write", "to a file");
        at += put;
        offset += (uint64_t)put;
        bytes -= (uint64_t)put;
    }
    return VT_OK;
}

static vt_err
posix_sync(struct io_file *file)
{
    /* EINTR is not retried: what the kernel did with the pages before it is unknown. */
    if (fdatasync(posix_of(file)->fd) != 0)
        return failed(errno, "fdatasync", "of a file");
    return VT_OK;
}

static vt_err
posix_size(struct io_file *file, uint64_t *out_bytes)
{
    struct stat stat;

    if (fstat(posix_of(file)->fd, &stat) != 0)
        return failed(errno, "fstat", "of a file");
    *out_bytes = (uint64_t)stat.st_size;
    return VT_OK;
}

static vt_err
posix_truncate(struct io_file *file, uint64_t bytes)
{
    if (ftruncate(posix_of(file)->fd, (off_t)bytes) != 0)
        return failed(errno, "ftruncate", "of a file");
    return VT_OK;
}

/* Where the file system cannot allocate, zeros are written; that is as good where it keeps them. */
static vt_err
posix_allocate(struct io_file *file, uint64_t bytes)
{
    static const uint8_t zeros[65536];
    int error = EINTR;
    uint64_t at = 0;
    vt_err err = posix_size(file, &at);

    while (error == EINTR)
        error = fallocate(posix_of(file)->fd, 0, 0, (off_t)bytes) == 0 ? 0 : errno;
    if (error != EOPNOTSUPP)
        return error == 0 ? VT_OK : failed(error, "fallocate", "of a file");
    for (; err == VT_OK && at < bytes; at += sizeof zeros)
        err =
            posix_write_at(file, zeros, bytes - at < sizeof zeros ? bytes - at : sizeof zeros, at);
    return err == VT_OK ? posix_sync(file) : err;
}

static vt_err
posix_lock(struct io_file *file)
{
    while (flock(posix_of(file)->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        /* Being locked is an answer, not a failure: no detail. */
        return errno == EWOULDBLOCK ? VT_LOCKED : failed(errno, "flock", "of a file");
    }
    return VT_OK;
}

static vt_err
posix_make_dir(struct io *io, const char *path)
{
    struct stat stat_of;

    (void)io;
    if (mkdir(path, 0777) == 0)
        return VT_OK;
    if (errno != EEXIST)
        return failed(errno, "mkdir", path);
    if (stat(path, &stat_of) != 0)
        return failed(errno, "stat", path);
    return S_ISDIR(stat_of.st_mode) ? VT_OK : failed(ENOTDIR, "mkdir", path);
}

static vt_err
posix_rename(struct io *io, const char *from, const char *to)
{
    (void)io;
    return rename(from, to) == 0 ? VT_OK : failed(errno, "rename to", to);
}

static vt_err
posix_unlink(struct io *io, const char *path)
{
    (void)io;
    if (unlink(path) == 0)
        return VT_OK;
    return errno == ENOENT ? VT_NOT_FOUND : failed(errno, "unlink", path);
}

static vt_err
posix_sync_dir(struct io *io, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    vt_err err = VT_OK;

    (void)io;
    if (fd < 0)
        return failed(errno, "open directory", path);
    if (fsync(fd) != 0)
        err = failed(errno, "fsync of directory", path);
    (void)close(fd);
    return err;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Adds a name; the array grows by doubling. Names that do not fit are none of ours. */
static vt_err
add_name(struct io_name_list *list, uint32_t *capacity, const char *name)
{
    size_t size = strlen(name);

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || size >= sizeof list->names[0])
        return VT_OK;
    if (list->count == *capacity) {
        uint32_t grown = *capacity == 0 ? 16 : *capacity * 2;
        void *names = realloc(list->names, (size_t)grown * sizeof list->names[0]);

        if (names == NULL)
            return VT_NOMEM;
        list->names = names;
        *capacity = grown;
    }
    memcpy(list->names[list->count], name, size + 1);
    list->count++;
    return VT_OK;
}

static vt_err
posix_list_dir(struct io *io, const char *path, struct io_name_list *out_list)
{
    struct io_name_list list = {NULL, 0};
    uint32_t capacity = 0;
    vt_err err = VT_OK;
    DIR *dir = opendir(path);

    (void)io;
    if (dir == NULL)
        return failed(errno, "open directory", path);
    while (err == VT_OK) {
        errno = 0;
        /* The stream is this call's own, which is all that glibc asks for. */
        const struct dirent *entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe) */

        if (entry == NULL) {
            if (errno != 0)
                err = failed(errno, "read directory", path);
            break;
        }
        err = add_name(&list, &capacity, entry->d_name);
    }
    (void)closedir(dir);
    if (err != VT_OK) {
        io_name_list_free(&list);
        return err;
    }
    if (list.count > 0)
        qsort(list.names, list.count, sizeof list.names[0], compare_names);
    *out_list = list;
    return VT_OK;
}

static vt_err
posix_free_bytes(struct io *io, const char *path, uint64_t *out_bytes)
{
    struct statvfs stat;

    (void)io;
    if (statvfs(path, &stat) != 0)
        return failed(errno, "statvfs", path);
    *out_bytes = (uint64_t)stat.f_bavail * stat.f_frsize;
    return VT_OK;
}

static vt_err
posix_random(struct io *io, void *out_bytes, uint32_t bytes)
{
    uint8_t *at = out_bytes;

    (void)io;
    while (bytes > 0) {
        ssize_t got = getrandom(at, bytes, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return failed(errno, "getrandom", "");
        at += got;
        bytes -= (uint32_t)got;
    }
    return VT_OK;
}

static void
posix_sleep(struct io *io, int64_t ns)
{
    struct timespec time = {ns / 1000000000, ns % 1000000000};

    (void)io;
    /* Cut short by a signal it is shorter; every caller loops on its own condition. */
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

void
io_posix_fill(struct io_ops *ops)
{
    ops->open = posix_open;
    ops->close_file = posix_close_file;
    ops->read_at = posix_read_at;
    ops->write_at = posix_write_at;
    ops->sync = posix_sync;
    ops->size = posix_size;
    ops->truncate = posix_truncate;
    ops->allocate = posix_allocate;
    ops->lock = posix_lock;
    ops->make_dir = posix_make_dir;
    ops->rename = posix_rename;
    ops->unlink = posix_unlink;
    ops->sync_dir = posix_sync_dir;
    ops->list_dir = posix_list_dir;
    ops->free_bytes = posix_free_bytes;
    ops->random = posix_random;
    ops->sleep = posix_sleep;
}

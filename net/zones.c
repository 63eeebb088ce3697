/* zones.c - see zones.h. */
#include "zones.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_BYTES_MAX (1 << 20)

/* Files read so far: they live until zones_close, because the catalog borrows them while it
 * loads. */
struct zone_file {
    struct zone_file *next;
    uint64_t size;
    uint8_t data[];
};

struct zones {
    struct zone_file *files;
};

/* A zone's name is a path below the zone directory, made of letters, digits, + - _ and /; no
 * component begins with a point. */
static bool
name_is_sound(struct vt_str name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_/.";

    if (name.size == 0 || name.size > 128 || name.data[0] == '/')
        return false;
    for (uint32_t i = 0; i < name.size; i++) {
        bool begins = i == 0 || name.data[i - 1] == '/';

        if (name.data[i] == '\0' || strchr(allowed, name.data[i]) == NULL)
            return false;
        if (begins && name.data[i] == '.')
            return false;
    }
    return true;
}

static vt_err
file_read(int fd, struct zone_file **out_file)
{
    struct stat status;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > ZONE_BYTES_MAX)
        return VT_NOT_FOUND;
    struct zone_file *file = malloc(sizeof *file + (size_t)status.st_size);

    if (file == NULL)
        return VT_NOMEM;
    file->size = (uint64_t)status.st_size;
    for (uint64_t at = 0; at < file->size;) {
        ssize_t got = read(fd, file->data + at, file->size - at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            free(file);
            (void)vt_err_detail(VT_IO, "a zone file cannot be read");
            return VT_IO;
        }
        at += (uint64_t)got;
    }
    *out_file = file;
    return VT_OK;
}

static vt_err
zone_read(void *context, struct vt_str name, struct vt_bytes *out_tzif)
{
    struct zones *zones = context;
    struct zone_file *file = NULL;
    char path[512];
    const char *dir = getenv("TZDIR"); /* NOLINT(concurrency-mt-unsafe): nothing sets it */

    if (!name_is_sound(name))
        return VT_NOT_FOUND;
    int length = snprintf(path, sizeof path, "%s/%.*s", dir != NULL ? dir : "/usr/share/zoneinfo",
                          (int)name.size, name.data);

    if (length < 0 || (size_t)length >= sizeof path)
        return VT_NOT_FOUND;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return VT_NOT_FOUND;
    vt_err err = file_read(fd, &file);

    close(fd);
    if (err != VT_OK)
        return err;
    file->next = zones->files;
    zones->files = file;
    *out_tzif = (struct vt_bytes){file->data, file->size};
    return VT_OK;
}

vt_err
zones_open(struct zones **out_zones)
{
    struct zones *zones = calloc(1, sizeof *zones);

    if (zones == NULL)
        return VT_NOMEM;
    *out_zones = zones;
    return VT_OK;
}

void
zones_close(struct zones *zones)
{
    while (zones != NULL && zones->files != NULL) {
        struct zone_file *next = zones->files->next;

        free(zones->files);
        zones->files = next;
    }
    free(zones);
}

struct catalog_zones
zones_source(struct zones *zones)
{
    return (struct catalog_zones){.read = zone_read, .context = zones};
}

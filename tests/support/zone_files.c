/* zone_files.c - see zone_files.h. */
#include "zone_files.h"

#include <stdio.h>
#include <stdlib.h>

#define ZONE_BYTES_MAX (1u << 20)

static vt_err
zone_file_read(void *context, struct vt_str name, struct vt_bytes *out_tzif)
{
    struct zone_files *files = context;
    char path[256];
    int length = snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", (int)name.size, name.data);

    if (length < 0 || (size_t)length >= sizeof path || files->count == ZONE_FILES_MAX ||
        name.size == 0 || name.data[0] == '/' || name.data[0] == '.')
        return VT_NOT_FOUND;
    FILE *file = fopen(path, "rbe");
    uint8_t *data = file == NULL ? NULL : malloc(ZONE_BYTES_MAX);

    if (data == NULL) {
        if (file != NULL)
            fclose(file);
        return VT_NOT_FOUND;
    }
    size_t size = fread(data, 1, ZONE_BYTES_MAX, file);

    fclose(file);
    files->data[files->count++] = data;
    *out_tzif = (struct vt_bytes){data, size};
    return size == 0 ? VT_NOT_FOUND : VT_OK;
}

struct catalog_zones
zone_files_source(struct zone_files *files)
{
    return (struct catalog_zones){.read = zone_file_read, .context = files};
}

void
zone_files_free(struct zone_files *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        free(files->data[i]);
    files->count = 0;
}

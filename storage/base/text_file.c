#include "text_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define BYTES_FIRST (UINT32_C(64) << 10)

static vt_err
failed(const char *name, int error)
{
    return vt_err_detail(error == ENOENT ? VT_NOT_FOUND : VT_IO, "%s: %s", name,
                         strerrordesc_np(error));
}

vt_err
text_stream_read(FILE *file, const char *name, uint32_t bytes_max, char **out_text,
                 uint32_t *out_size)
{
    uint32_t most = bytes_max + 1; /* one more, to see that there is more */
    uint32_t capacity = most < BYTES_FIRST ? most : BYTES_FIRST;
    uint32_t size = 0;
    char *text = NULL;
    vt_err err = VT_OK;

    VT_ASSERT(bytes_max < UINT32_MAX / 2);
    for (;;) {
        char *grown = realloc(text, (size_t)capacity + 1);

        if (grown == NULL) {
            err = VT_NOMEM;
            break;
        }
        text = grown;
        size += (uint32_t)fread(text + size, 1, capacity - size, file);
        if (ferror(file) != 0)
            err = failed(name, errno);
        else if (size > bytes_max)
            err = vt_err_detail(VT_TOO_LARGE, "%s: it is larger than %u bytes", name, bytes_max);
        if (err != VT_OK || size < capacity)
            break;
        capacity = capacity > most / 2 ? most : capacity * 2;
    }
    if (err != VT_OK) {
        free(text);
        return err;
    }
    text[size] = '\0';
    *out_text = text;
    *out_size = size;
    return VT_OK;
}

vt_err
text_file_read(const char *path, uint32_t bytes_max, char **out_text, uint32_t *out_size)
{
    FILE *file = fopen(path, "rbe");

    if (file == NULL)
        return failed(path, errno);
    vt_err err = text_stream_read(file, path, bytes_max, out_text, out_size);

    (void)fclose(file); /* was only read */
    return err;
}

vt_err
text_file_blame(const char *path, vt_err err)
{
    char detail[512];

    VT_ASSERT(err != VT_OK);
    (void)snprintf(detail, sizeof detail, "%s",
                   vt_err_last()[0] != '\0' ? vt_err_last() : vt_err_text(err));
    if (strncmp(detail, path, strlen(path)) == 0)
        return err; /* it is named already */
    vt_err_clear();
    return vt_err_detail(err, "%s: %s", path, detail);
}

/*
 * Goal:   no bytes make a codec or the reader of segments read or write where they must not, and
 *         what is encoded comes back.
 * Method: the first byte chooses among: integers decoded from the rest, bytes decoded from the
 *         rest, the rest as a column that is encoded and decoded, the rest as a file, and the rest
 *         as a file whose checksums are mended, so that the checks behind them are reached. Buffers
 *         have the exact size.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec.h"
#include "segment.h"
#include "segment_image.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define COUNT_MAX     UINT32_C(20000)
#define RAW_BYTES_MAX (UINT32_C(1) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Codec, count (3 bytes), stored bytes. */
static void
integers_decode(const uint8_t *data, size_t size)
{
    if (size < 4)
        return;
    uint32_t count = (vt_load32(data) >> 8) % COUNT_MAX + 1;
    int64_t *values = malloc(count * sizeof *values);
    uint32_t crc = 0;

    VT_ASSERT(values != NULL);
    vt_err err =
        codec_decode_integers(data[0], (struct vt_bytes){data + 4, size - 4}, count, values, &crc);

    VT_ASSERT(err != VT_OK || crc == vt_crc32c(values, count * sizeof *values));
    free(values);
}

static void
bytes_decode(const uint8_t *data, size_t size)
{
    if (size < 4)
        return;
    uint32_t count = (vt_load32(data) >> 8) % RAW_BYTES_MAX;
    uint8_t *bytes = malloc((size_t)count + 1);

    VT_ASSERT(bytes != NULL);
    vt_err err = codec_decode_bytes(data[0], (struct vt_bytes){data + 4, size - 4}, count, bytes);

    VT_ASSERT(err == VT_OK || err == VT_BAD_FORMAT);
    free(bytes);
}

/* Shift, repeats, then the column as 1 to 8 bytes a value. */
static void
column_round_trip(const uint8_t *data, size_t size)
{
    if (size < 3)
        return;
    uint32_t width = data[0] % 8 + 1;
    uint32_t repeat = data[1] % 64 + 1;
    uint32_t steps = (uint32_t)((size - 2) / width);
    uint32_t count = steps * repeat;

    if (count == 0 || count > COUNT_MAX)
        return;
    int64_t *values = malloc(count * sizeof *values);
    int64_t *got = malloc(count * sizeof *got);
    uint8_t *out = malloc(codec_integers_bound(count));
    uint32_t crc = 7;

    VT_ASSERT(values != NULL && got != NULL && out != NULL);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = 0;
        memcpy(&values[i], data + 2 + (size_t)(i / repeat) * width, width);
    }
    struct codec_result result = codec_encode_integers(values, count, out);
    vt_err err =
        codec_decode_integers(result.codec, (struct vt_bytes){out, result.bytes}, count, got, &crc);

    VT_ASSERT(err == VT_OK);
    VT_ASSERT(memcmp(values, got, count * sizeof *got) == 0);
    VT_ASSERT(crc == vt_crc32c_more(7, values, count * sizeof *values));
    free(values);
    free(got);
    free(out);
}

static void
file_read(const uint8_t *image, size_t size)
{
    static struct io *io;
    static int fd = -1;
    static char path[64];
    struct segment *segment = NULL;

    if (io == NULL) {
        vt_err err = io_uring_open(0, &io);

        VT_ASSERT(err == VT_OK);
        fd = memfd_create("segment", MFD_CLOEXEC);
        VT_ASSERT(fd >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    int cut = ftruncate(fd, 0);
    ssize_t written = pwrite(fd, image, size, 0);

    VT_ASSERT(cut == 0 && written == (ssize_t)size);
    vt_err_clear();
    vt_err err = segment_open(io, path, NULL, &segment);

    if (err == VT_OK) {
        err = segment_verify(segment);
        segment_close(segment);
    }
    VT_ASSERT(err == VT_OK || vt_err_last()[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t mode = data[0] % 5;

    data++;
    size--;
    if (mode == 0)
        integers_decode(data, size);
    else if (mode == 1)
        bytes_decode(data, size);
    else if (mode == 2)
        column_round_trip(data, size);
    else if (mode == 3)
        file_read(data, size);
    if (mode != 4 || size == 0)
        return 0;
    uint8_t *image = malloc(size);

    VT_ASSERT(image != NULL);
    memcpy(image, data, size);
    segment_image_mend(image, size);
    file_read(image, size);
    free(image);
    return 0;
}

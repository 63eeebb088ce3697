/*
 * fuzz_rows.c - any bytes as the payload of a BATCH_ROWS frame. The first byte is the number of
 * events and says whether the connection has a producer.
 */
#include <stdint.h>

#include "batch_fuzz.h"
#include "hand_catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct batch_options options = {
        .catalog = hand_catalog(), .key = {1, 2}, .partition_count = 7, .epoch = 3, .sequence = 4};

    if ((data[0] & 0x80) != 0)
        options.producer = VT_STR("p");
    struct vt_bytes payload = {data + 1, size - 1};
    struct batch_frame frame = {VT_FRAME_BATCH_ROWS, data[0] & 0x7F, payload};

    (void)batch_fuzz_frame(&options, &frame);
    return 0;
}

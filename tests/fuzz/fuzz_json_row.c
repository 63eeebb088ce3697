/*
 * fuzz_json_row.c - any bytes as a line of JSON. What json_row makes of one is a frame's event that
 * the door never refuses, and msgpack-c reads it.
 */
#include <stdint.h>

#include "batch_fuzz.h"
#include "hand_catalog.h"
#include "json_row.h"
#include "venturi/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_row *row;
    struct vt_bytes event;

    if (row == NULL)
        VT_ASSERT(json_row_open(&row) == VT_OK);
    vt_err err =
        json_row_parse(row, (struct vt_str){(const char *)data, (uint32_t)size}, 1, &event);

    if (err != VT_OK) {
        VT_ASSERT(err == VT_BAD_JSON || err == VT_TOO_DEEP);
        VT_ASSERT(vt_err_last()[0] == 'l');
        return 0;
    }
    struct batch_options options = {.catalog = hand_catalog(), .key = {1, 2}, .partition_count = 7};
    struct batch_frame frame = {VT_FRAME_BATCH_ROWS, 1, event};

    VT_ASSERT(batch_fuzz_library_reads(event));
    err = batch_fuzz_frame(&options, &frame);
    VT_ASSERT(err == VT_OK);
    return 0;
}

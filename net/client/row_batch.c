#include "row_batch.h"

#include <stdlib.h>

#include "venturi/assert.h"
#include "venturi/wire.h"

vt_err
row_batch_init(struct row_batch *batch, uint32_t bytes_max, uint32_t events_max)
{
    VT_ASSERT(bytes_max > 0);
    VT_ASSERT(events_max > 0);
    VT_ASSERT(events_max <= VT_BATCH_EVENTS_MAX);
    uint8_t *data = malloc(bytes_max);

    if (data == NULL)
        return VT_NOMEM;
    *batch = (struct row_batch){.data = data, .bytes_max = bytes_max, .events_max = events_max};
    return VT_OK;
}

void
row_batch_deinit(struct row_batch *batch)
{
    free(batch->data);
    *batch = (struct row_batch){.data = NULL};
}

vt_err
row_batch_add(struct row_batch *batch, struct vt_bytes event)
{
    VT_ASSERT(batch->data != NULL);
    VT_ASSERT(event.size > 0);
    if (event.size > batch->bytes_max)
        return VT_TOO_LARGE;
    if (batch->event_count == batch->events_max || event.size > batch->bytes_max - batch->bytes)
        return VT_FULL;
    memcpy(batch->data + batch->bytes, event.data, event.size);
    batch->bytes += (uint32_t)event.size;
    batch->event_count++;
    return VT_OK;
}

struct vt_bytes
row_batch_payload(const struct row_batch *batch)
{
    return (struct vt_bytes){batch->data, batch->bytes};
}

void
row_batch_clear(struct row_batch *batch)
{
    batch->bytes = 0;
    batch->event_count = 0;
}

#include "venturi/wire.h"

#include "venturi/assert.h"
#include "venturi/hash.h"

#define CHECKED_BYTES offsetof(struct vt_frame_header, header_crc)

static const char *const reason_names[VT_REASON_COUNT] = {
#define REASON_NAME(name, number, text) [number] = (text),
    VT_REASON_TABLE(REASON_NAME)
#undef REASON_NAME
};

const char *
vt_reason_name(uint8_t reason)
{
    return reason < VT_REASON_COUNT ? reason_names[reason] : "unknown";
}

static bool
is_batch(uint8_t type)
{
    return type == VT_FRAME_BATCH_COLUMNS || type == VT_FRAME_BATCH_ROWS;
}

void
vt_frame_header_init(struct vt_frame_header *header, enum vt_frame_type type, uint64_t sequence,
                     uint32_t event_count, struct vt_bytes payload)
{
    VT_ASSERT(payload.size <= UINT32_MAX);
    VT_ASSERT(is_batch((uint8_t)type) ? event_count > 0 && event_count <= VT_BATCH_EVENTS_MAX
                                      : event_count == 0);
    *header = (struct vt_frame_header){
        .magic = le32_put(VT_FRAME_MAGIC),
        .version = VT_FRAME_VERSION,
        .type = (uint8_t)type,
        .flags = le16_put(0),
        .length = le32_put((uint32_t)payload.size),
        .payload_crc = le32_put(vt_crc32c(payload.data, payload.size)),
        .sequence = le64_put(sequence),
        .event_count = le32_put(event_count),
    };
    header->header_crc = le32_put(vt_crc32c(header, CHECKED_BYTES));
}

vt_err
vt_frame_header_check(const struct vt_frame_header *header, uint32_t length_max)
{
    uint32_t event_count = le32_get(header->event_count);

    if (le32_get(header->magic) != VT_FRAME_MAGIC)
        return VT_BAD_MAGIC;
    if (le32_get(header->header_crc) != vt_crc32c(header, CHECKED_BYTES))
        return VT_BAD_CRC;
    if (header->version != VT_FRAME_VERSION)
        return VT_BAD_VERSION;
    if (header->type < VT_FRAME_HELLO || header->type > VT_FRAME_PONG)
        return VT_BAD_TYPE;
    if (le16_get(header->flags) != 0)
        return VT_BAD_RESERVED;
    if (le32_get(header->length) > length_max)
        return VT_TOO_LARGE;
    if (!is_batch(header->type))
        return event_count == 0 ? VT_OK : VT_BAD_RESERVED;
    return event_count > 0 && event_count <= VT_BATCH_EVENTS_MAX ? VT_OK : VT_BAD_LENGTH;
}

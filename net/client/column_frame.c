#include "column_frame.h"

#include "venturi/assert.h"

#define HEAD_BYTES 5 /* of the longest header of a string, bin, array or map */

static uint32_t
code_width(const struct column_strings *column)
{
    if (column->count <= UINT8_MAX + 1)
        return 1;
    return column->count <= UINT16_MAX + 1 ? 2 : 4;
}

static uint64_t
strings_bytes(const struct column_strings *column, uint32_t events)
{
    uint64_t bytes = UINT64_C(3) * HEAD_BYTES + (uint64_t)events * code_width(column);

    for (uint32_t i = 0; i < column->count; i++)
        bytes += HEAD_BYTES + (uint64_t)column->strings[i].size;
    return bytes;
}

static uint64_t
id_text_bytes(const struct column_frame *frame)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < frame->event_count; i++)
        bytes += frame->id_sizes[i];
    return bytes;
}

uint64_t
column_frame_bytes(const struct column_frame *frame)
{
    uint64_t events = frame->event_count;
    uint64_t bytes = UINT64_C(8) * HEAD_BYTES + frame->type.size + 8 * events;

    bytes += strings_bytes(&frame->tenants, frame->event_count);
    bytes += strings_bytes(&frame->sources, frame->event_count);
    bytes += strings_bytes(&frame->traces, frame->event_count);
    if (frame->ids == COLUMN_IDS_TEXT)
        bytes += 2 * events + id_text_bytes(frame);
    else if (frame->ids == COLUMN_IDS_UUID)
        bytes += 16 * events;
    for (uint32_t i = 0; i < frame->field_count; i++) {
        const struct column_field *field = &frame->fields[i];

        bytes += UINT64_C(4) * HEAD_BYTES + field->name.size;
        bytes += field->decimal ? 8 * events + (events + 7) / 8
                                : strings_bytes(&field->strings, frame->event_count);
    }
    return bytes;
}

/* `lead` and the low bytes of `number`, most significant first. */
static uint8_t *
head_put(uint8_t *at, uint32_t lead, uint64_t number, uint32_t size)
{
    *at++ = (uint8_t)lead;
    for (uint32_t i = size; i > 0; i--)
        *at++ = (uint8_t)(number >> (8 * (i - 1)));
    return at;
}

static uint8_t *
text_put(uint8_t *at, struct vt_str text)
{
    if (text.size < 32)
        at = head_put(at, 0xA0 | text.size, 0, 0);
    else if (text.size <= UINT8_MAX)
        at = head_put(at, 0xD9, text.size, 1);
    else if (text.size <= UINT16_MAX)
        at = head_put(at, 0xDA, text.size, 2);
    else
        at = head_put(at, 0xDB, text.size, 4);
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

static uint8_t *
array_put(uint8_t *at, uint32_t count)
{
    if (count < 16)
        return head_put(at, 0x90 | count, 0, 0);
    return count <= UINT16_MAX ? head_put(at, 0xDC, count, 2) : head_put(at, 0xDD, count, 4);
}

static uint8_t *
bin_put(uint8_t *at, const void *data, uint64_t size)
{
    at = size <= UINT8_MAX ? head_put(at, 0xC4, size, 1) : head_put(at, 0xC6, size, 4);
    if (data != NULL && size > 0)
        memcpy(at, data, size);
    return at + size;
}

static void
codes_put(uint8_t *at, const struct column_strings *column, uint32_t events)
{
    const uint32_t *codes = column->codes;

    switch (code_width(column)) {
    case 1:
        for (uint32_t i = 0; i < events; i++)
            at[i] = (uint8_t)codes[i];
        break;
    case 2:
        for (uint32_t i = 0; i < events; i++) {
            le16 code = le16_put((uint16_t)codes[i]);

            memcpy(at + UINT64_C(2) * i, &code, sizeof code);
        }
        break;
    default:
        memcpy(at, codes, UINT64_C(4) * events);
        break;
    }
}

static uint8_t *
strings_put(uint8_t *at, const struct column_strings *column, uint32_t events)
{
    VT_ASSERT(column->count > 0);
    at = array_put(at, 2);
    at = array_put(at, column->count);
    for (uint32_t i = 0; i < column->count; i++)
        at = text_put(at, column->strings[i]);
    if (column->codes == NULL || column->count == 1)
        return bin_put(at, NULL, 0);
    uint64_t size = (uint64_t)events * code_width(column);

    at = bin_put(at, NULL, size);
    codes_put(at - size, column, events);
    return at;
}

static uint8_t *
optional_strings_put(uint8_t *at, const struct column_strings *column, uint32_t events)
{
    return column->count == 0 ? head_put(at, 0xC0, 0, 0) : strings_put(at, column, events);
}

static uint8_t *
ids_put(uint8_t *at, const struct column_frame *frame)
{
    switch (frame->ids) {
    case COLUMN_IDS_TEXT:
        at = array_put(at, 3);
        at = head_put(at, 0, 0, 0);
        at = bin_put(at, frame->id_sizes, UINT64_C(2) * frame->event_count);
        return bin_put(at, frame->id_data, id_text_bytes(frame));
    case COLUMN_IDS_UUID:
        at = array_put(at, 2);
        at = head_put(at, 1, 0, 0);
        return bin_put(at, frame->id_data, UINT64_C(16) * frame->event_count);
    case COLUMN_IDS_SEQUENCE:
        break;
    }
    return head_put(at, 0xC0, 0, 0);
}

static uint8_t *
decimals_put(uint8_t *at, const struct column_field *field, uint32_t events)
{
    uint32_t bits = (events + 7) / 8;

    VT_ASSERT(field->scale <= 18);
    at = array_put(at, field->present == NULL ? 2 : 3);
    at = head_put(at, field->scale, 0, 0);
    at = bin_put(at, field->mantissas, UINT64_C(8) * events);
    if (field->present == NULL)
        return at;
    at = bin_put(at, NULL, bits);
    memset(at - bits, 0, bits);
    for (uint32_t i = 0; i < events; i++)
        (at - bits)[i / 8] |= (uint8_t)(field->present[i] << (i % 8));
    return at;
}

uint64_t
column_frame_encode(const struct column_frame *frame, uint8_t *out_payload)
{
    uint32_t events = frame->event_count;
    uint8_t *at = array_put(out_payload, frame->traces.count == 0 ? 6 : 7);

    VT_ASSERT(events > 0);
    VT_ASSERT(events <= VT_BATCH_EVENTS_MAX);
    VT_ASSERT(frame->field_count <= VT_COLUMNS_MAX);
    at = text_put(at, frame->type);
    at = strings_put(at, &frame->tenants, events);
    at = ids_put(at, frame);
    at = optional_strings_put(at, &frame->sources, events);
    at = bin_put(at, frame->times_us, UINT64_C(8) * events);
    at = frame->field_count < 16 ? head_put(at, 0x80 | frame->field_count, 0, 0)
                                 : head_put(at, 0xDE, frame->field_count, 2);
    for (uint32_t i = 0; i < frame->field_count; i++) {
        const struct column_field *field = &frame->fields[i];

        at = text_put(at, field->name);
        at = field->decimal ? decimals_put(at, field, events)
                            : strings_put(at, &field->strings, events);
    }
    if (frame->traces.count > 0)
        at = strings_put(at, &frame->traces, events);
    return (uint64_t)(at - out_payload);
}

/*
 * commit.c - checks of a commit's bytes, and the making of its checksum.
 *
 * XXH3-64 (Y. Collet, xxHash 0.8) covers header and table; CRC32C covers each payload, because a
 * frame arrives with one made by its sender and is not read a second time for another.
 */
#include "commit.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

#define COMMIT_MAGIC    UINT32_C(0x31435456) /* 'V' 'T' 'C' '1' */
#define COMMIT_VERSION  1U
#define CHECKED_FROM    16U
#define ZEROS_BYTES_MAX COMMIT_BLOCK_BYTES

static uint64_t
check_of(const struct commit_head *head)
{
    const uint8_t *data = (const uint8_t *)head;

    return XXH3_64bits_withSeed(data + CHECKED_FROM, le32_get(head->head_bytes) - CHECKED_FROM,
                                vt_load64(data));
}

void
commit_seal(struct commit_head *head)
{
    VT_ASSERT(le32_get(head->head_bytes) ==
              LOG_COMMIT_HEAD_BYTES + le32_get(head->record_count) * sizeof(struct commit_record));
    head->magic = le32_put(COMMIT_MAGIC);
    head->version = le16_put(COMMIT_VERSION);
    head->check = le64_put(check_of(head));
}

static bool
is_zero(const uint8_t *data, uint64_t bytes)
{
    static const uint8_t zeros[ZEROS_BYTES_MAX];

    VT_ASSERT(bytes <= sizeof zeros);
    return memcmp(data, zeros, bytes) == 0;
}

vt_err
commit_check_first(const struct commit_head *head, const struct commit_place *place)
{
    uint32_t bytes = le32_get(head->bytes);
    uint32_t record_count = le32_get(head->record_count);
    uint64_t number = le64_get(head->number);

    if (le32_get(head->magic) != COMMIT_MAGIC)
        return VT_BAD_MAGIC;
    if (le16_get(head->version) != COMMIT_VERSION)
        return VT_BAD_VERSION;
    if (le64_get(head->store) != place->store || le64_get(head->offset) != place->offset ||
        le32_get(head->lane) != place->lane)
        return VT_BAD_PLACE;
    if (number == 0 || number % place->lane_count != place->lane)
        return VT_BAD_PLACE;
    if (bytes < LOG_COMMIT_HEAD_BYTES || bytes > place->commit_bytes_max ||
        commit_padded(bytes) > place->lane_bytes - place->offset)
        return VT_BAD_LENGTH;
    if (record_count > (bytes - LOG_COMMIT_HEAD_BYTES) / sizeof(struct commit_record))
        return VT_BAD_LENGTH;
    if (le32_get(head->head_bytes) !=
        LOG_COMMIT_HEAD_BYTES + record_count * sizeof(struct commit_record))
        return VT_BAD_LENGTH;
    return VT_OK;
}

/* The table's own rules: payloads ascend, do not overlap and stay inside; their events add up. */
static vt_err
check_table(const struct commit_head *head)
{
    const struct commit_record *record = (const struct commit_record *)(head + 1);
    uint32_t count = le32_get(head->record_count);
    uint32_t bytes = le32_get(head->bytes);
    uint64_t end = le32_get(head->head_bytes);
    uint64_t event_count = 0;

    for (uint32_t i = 0; i < count; i++, record++) {
        uint64_t offset = le32_get(record->offset);

        /* Gaps are alignment, and before the first payload at most a block. */
        if (offset % 8 != 0 || offset < end || offset - end >= (i == 0 ? COMMIT_BLOCK_BYTES : 8))
            return VT_BAD_LENGTH;
        if (offset > bytes || le32_get(record->bytes) > bytes - offset)
            return VT_BAD_LENGTH;
        if (le32_get(record->reserved) != 0)
            return VT_BAD_RESERVED;
        if (record->kind == 0)
            return VT_BAD_TYPE;
        end = offset + le32_get(record->bytes);
        event_count += le32_get(record->event_count);
    }
    if (end != bytes || event_count != le32_get(head->event_count))
        return VT_BAD_LENGTH;
    return VT_OK;
}

/* Whether every payload has its checksum and every gap is zero; the table was checked. */
static bool
check_payloads(const uint8_t *data, const struct commit_head *head)
{
    const struct commit_record *record = (const struct commit_record *)(head + 1);
    uint32_t count = le32_get(head->record_count);
    uint32_t end = le32_get(head->head_bytes);

    for (uint32_t i = 0; i < count; i++, record++) {
        uint32_t offset = le32_get(record->offset);
        uint32_t bytes = le32_get(record->bytes);
        bool resend = (le16_get(record->flags) & LOG_RESEND) != 0;

        if (!is_zero(data + end, offset - end))
            return false;
        /* A frame that came again is logged without the payload that its checksum is of. */
        if (!(resend && bytes == 0) &&
            vt_crc32c(data + offset, bytes) != le32_get(record->payload_crc))
            return false;
        end = offset + bytes;
    }
    return is_zero(data + end, commit_padded(end) - end);
}

static void
read_start(const uint8_t *data, struct commit_info *info)
{
    const struct commit_record *record =
        (const struct commit_record *)(data + sizeof(struct commit_head));

    if (info->record_count == 0 || record->kind != LOG_START ||
        le32_get(record->bytes) != sizeof(struct commit_start) || !info->intact)
        return;
    const struct commit_start *start =
        (const struct commit_start *)(data + le32_get(record->offset));

    info->has_start = true;
    info->follows_number = le64_get(start->number);
    info->follows_check = le64_get(start->check);
}

vt_err
commit_check(const uint8_t *data, const struct commit_place *place, struct commit_info *out_info)
{
    const struct commit_head *head = (const struct commit_head *)data;
    vt_err err;

    if (le64_get(head->check) != check_of(head))
        return VT_BAD_CRC;
    if ((le16_get(head->flags) & ~LOG_COMMIT_END_MARK) != 0 || le32_get(head->reserved0) != 0 ||
        !is_zero(head->reserved1, sizeof head->reserved1))
        return VT_BAD_RESERVED;
    err = check_table(head);
    if (err != VT_OK)
        return err;
    *out_info = (struct commit_info){
        .number = le64_get(head->number),
        .start = le64_get(head->start),
        .check = le64_get(head->check),
        .previous = le64_get(head->previous),
        .first_position = le64_get(head->first_position),
        .arrival_us = (int64_t)le64_get(head->arrival_us),
        .durable = le64_get(head->durable),
        .offset = place->offset,
        .lane = place->lane,
        .bytes = le32_get(head->bytes),
        .event_count = le32_get(head->event_count),
        .record_count = le32_get(head->record_count),
        .flags = le16_get(head->flags),
        .intact = check_payloads(data, head),
    };
    read_start(data, out_info);
    return VT_OK;
}

void
commit_records(const uint8_t *data, struct log_record *out_records)
{
    const struct commit_head *head = (const struct commit_head *)data;
    const struct commit_record *record = (const struct commit_record *)(head + 1);
    uint32_t count = le32_get(head->record_count);

    for (uint32_t i = 0; i < count; i++, record++) {
        out_records[i] = (struct log_record){
            .kind = record->kind,
            .frame_type = record->frame_type,
            .flags = le16_get(record->flags),
            .bytes = le32_get(record->bytes),
            .payload_crc = le32_get(record->payload_crc),
            .event_count = le32_get(record->event_count),
            .producer = le64_get(record->producer),
            .epoch = le64_get(record->epoch),
            .sequence = le64_get(record->sequence),
            .payload = data + le32_get(record->offset),
        };
    }
}

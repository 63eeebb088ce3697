/* seal_lists.c - dictionary, exceptions, settles and feed of a segment. See sealed_format.h. */
#include <stdlib.h>

#include "seal_internal.h"
#include "venturi/assert.h"

enum { SETTLE_POSITION, SETTLE_AT, SETTLE_KIND, SETTLE_COLUMNS };
enum {
    EXCEPTION_POSITION,
    EXCEPTION_FIRST,
    EXCEPTION_ARRIVAL,
    EXCEPTION_REASON,
    EXCEPTION_TENANT_BYTES,
    EXCEPTION_RAW_BYTES,
    EXCEPTION_FIRST_BYTES,
    EXCEPTION_COLUMNS
};
#define EXCEPTION_BYTES_COLUMN 7
#define LIST_BYTES_MAX         (UINT64_C(12) << 20) /* of a bytes chunk; a chunk holds 2^24 */

/* Strings of one block: all their bytes fit a chunk because a string has at most 1,024. */
static vt_err
strings_put(struct seal *seal, uint32_t block, uint32_t first, uint32_t end)
{
    struct int_columns lengths = {0};
    struct byte_list bytes = {0};
    struct chunk_key key = {.kind = SEAL_STRINGS, .block = block};
    vt_err err = int_columns_init(&lengths, 1);

    for (uint32_t code = first; err == VT_OK && code < end; code++) {
        struct vt_str text = dict_string(seal->dict, code);

        err = int_columns_add(&lengths);
        if (err == VT_OK)
            lengths.values[0][code - first] = text.size;
        if (err == VT_OK)
            err = byte_list_add(&bytes, text.data, text.size);
    }
    if (err == VT_OK)
        err = seal_put(seal, key, lengths.values[0], lengths.row_count);
    /* Too long for one chunk: pieces of LIST_BYTES_MAX as columns 1, 2, ... */
    for (uint64_t at = 0; err == VT_OK && at < bytes.size; at += LIST_BYTES_MAX) {
        uint64_t left = bytes.size - at;

        key.column++;
        err = seal_put_bytes(
            seal, key,
            (struct vt_bytes){bytes.data + at, left < LIST_BYTES_MAX ? left : LIST_BYTES_MAX});
    }
    int_columns_deinit(&lengths);
    byte_list_deinit(&bytes);
    return err;
}

vt_err
seal_strings(struct seal *seal)
{
    uint32_t count = seal->dict_count;
    vt_err err = VT_OK;

    for (uint32_t first = 0; err == VT_OK && first < count; first += SEAL_STRINGS_BLOCK) {
        uint32_t end = count - first < SEAL_STRINGS_BLOCK ? count : first + SEAL_STRINGS_BLOCK;

        err = strings_put(seal, first / SEAL_STRINGS_BLOCK, first, end);
    }
    seal->meta.strings = le32_put(count);
    return err;
}

static vt_err
list_open(struct seal *seal, uint32_t column_count, struct seal_list *list)
{
    list->seal = seal;
    return int_columns_init(&list->columns, column_count);
}

void
seal_list_close(struct seal_list *list)
{
    int_columns_deinit(&list->columns);
    byte_list_deinit(&list->bytes);
}

/* The block at hand, columns only. */
static vt_err
list_flush(struct seal_list *list, uint16_t kind)
{
    if (list->columns.row_count == 0)
        return VT_OK;
    vt_err err = seal_put_columns(list->seal, kind, list->block, &list->columns);

    list->columns.row_count = 0;
    list->block++;
    return err;
}

vt_err
seal_exceptions_open(struct seal *seal, struct seal_list *list)
{
    return list_open(seal, EXCEPTION_COLUMNS, list);
}

static vt_err
exceptions_flush(struct seal_list *list)
{
    struct chunk_key key = {
        .kind = SEAL_EXCEPTIONS, .column = EXCEPTION_BYTES_COLUMN, .block = list->block};

    if (list->columns.row_count == 0)
        return VT_OK;
    vt_err err = seal_put_bytes(list->seal, key, byte_list_view(&list->bytes));

    list->bytes.size = 0;
    return err == VT_OK ? list_flush(list, SEAL_EXCEPTIONS) : err;
}

vt_err
seal_exceptions_put(struct seal_list *list, const struct exception_entry *entry)
{
    vt_err err = int_columns_add(&list->columns);

    if (err != VT_OK)
        return err;
    uint32_t at = list->columns.row_count - 1;
    int64_t **values = list->columns.values;

    values[EXCEPTION_POSITION][at] = (int64_t)entry->position;
    values[EXCEPTION_FIRST][at] = (int64_t)entry->first_position;
    values[EXCEPTION_ARRIVAL][at] = entry->arrival_us;
    values[EXCEPTION_REASON][at] = entry->reason;
    values[EXCEPTION_TENANT_BYTES][at] = entry->tenant.size;
    values[EXCEPTION_RAW_BYTES][at] = (int64_t)entry->raw.size;
    values[EXCEPTION_FIRST_BYTES][at] = (int64_t)entry->first.size;
    list->count++;
    err = byte_list_add(&list->bytes, entry->tenant.data, entry->tenant.size);
    if (err == VT_OK)
        err = byte_list_add(&list->bytes, entry->raw.data, entry->raw.size);
    if (err == VT_OK)
        err = byte_list_add(&list->bytes, entry->first.data, entry->first.size);
    if (err == VT_OK &&
        (list->columns.row_count == SEAL_LIST_BLOCK || list->bytes.size >= SEAL_LIST_BYTES))
        err = exceptions_flush(list);
    return err;
}

vt_err
seal_exceptions_finish(struct seal_list *list)
{
    list->seal->meta.exceptions = le32_put(list->count);
    return exceptions_flush(list);
}

vt_err
seal_settles_open(struct seal *seal, struct seal_list *list)
{
    return list_open(seal, SETTLE_COLUMNS, list);
}

vt_err
seal_settles_put(struct seal_list *list, const struct settle_entry *entry)
{
    vt_err err = int_columns_add(&list->columns);

    if (err != VT_OK)
        return err;
    uint32_t at = list->columns.row_count - 1;

    list->columns.values[SETTLE_POSITION][at] = (int64_t)entry->position;
    list->columns.values[SETTLE_AT][at] = (int64_t)entry->at_position;
    list->columns.values[SETTLE_KIND][at] = entry->kind;
    list->count++;
    return list->columns.row_count == SEAL_LIST_BLOCK ? list_flush(list, SEAL_SETTLES) : VT_OK;
}

vt_err
seal_settles_finish(struct seal_list *list)
{
    list->seal->meta.settles = le32_put(list->count);
    return list_flush(list, SEAL_SETTLES);
}

static void
feed_set(struct int_columns *columns, uint32_t at, const struct feed_entry *entry,
         uint32_t group_count)
{
    int64_t **values = columns->values;

    values[SEAL_FEED_NUMBER][at] = (int64_t)entry->number;
    values[SEAL_FEED_METER][at] = entry->meter;
    values[SEAL_FEED_TENANT][at] = entry->tenant;
    values[SEAL_FEED_START][at] = entry->window_start_us;
    values[SEAL_FEED_REVISION][at] = entry->revision;
    values[SEAL_FEED_POSITION][at] = (int64_t)entry->position;
    values[SEAL_FEED_COUNT][at] = (int64_t)entry->count;
    values[SEAL_FEED_TOTAL_LO][at] = (int64_t)(uint64_t)entry->total;
    values[SEAL_FEED_TOTAL_HI][at] = (int64_t)(entry->total >> 64);
    values[SEAL_FEED_DIFFERENCE_LO][at] = (int64_t)(uint64_t)entry->difference;
    values[SEAL_FEED_DIFFERENCE_HI][at] = (int64_t)(entry->difference >> 64);
    values[SEAL_FEED_CLOSED][at] = entry->closed;
    for (uint32_t g = 0; g < group_count; g++)
        values[SEAL_FEED_GROUP + g][at] = entry->group[g];
}

vt_err
seal_feed_open(struct seal *seal, struct seal_list *list)
{
    return list_open(seal, SEAL_FEED_GROUP + seal_groups_max(seal->catalog), list);
}

vt_err
seal_feed_put(struct seal_list *list, const struct feed_entry *entry)
{
    const struct catalog_meter *meter = &list->seal->catalog->meters[entry->meter];
    vt_err err = int_columns_add(&list->columns);

    if (err != VT_OK)
        return err;
    feed_set(&list->columns, list->columns.row_count - 1, entry, meter->group_count);
    list->count++;
    return list->columns.row_count == SEAL_FEED_BLOCK ? list_flush(list, SEAL_FEED) : VT_OK;
}

vt_err
seal_feed_finish(struct seal_list *list)
{
    list->seal->meta.feed = le32_put(list->count);
    return list_flush(list, SEAL_FEED);
}

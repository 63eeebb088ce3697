/* seal_lists.c - dictionary, exceptions, settles and feed of an epoch. See sealed_format.h. */
#include <stdlib.h>

#include "seal_internal.h"
#include "venturi/assert.h"

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
        struct vt_str text = dict_string(seal->epoch->dict, code);

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

static vt_err
seal_strings(struct seal *seal)
{
    uint32_t count = seal->mark->dict_count;
    vt_err err = VT_OK;

    for (uint32_t first = 0; err == VT_OK && first < count; first += SEAL_STRINGS_BLOCK) {
        uint32_t end = count - first < SEAL_STRINGS_BLOCK ? count : first + SEAL_STRINGS_BLOCK;

        err = strings_put(seal, first / SEAL_STRINGS_BLOCK, first, end);
    }
    seal->meta.strings = le32_put(count);
    return err;
}

static vt_err
exception_add(struct int_columns *columns, struct byte_list *bytes,
              const struct exception_entry *entry)
{
    vt_err err = int_columns_add(columns);

    if (err != VT_OK)
        return err;
    uint32_t at = columns->row_count - 1;

    columns->values[EXCEPTION_POSITION][at] = (int64_t)entry->position;
    columns->values[EXCEPTION_FIRST][at] = (int64_t)entry->first_position;
    columns->values[EXCEPTION_ARRIVAL][at] = entry->arrival_us;
    columns->values[EXCEPTION_REASON][at] = entry->reason;
    columns->values[EXCEPTION_TENANT_BYTES][at] = entry->tenant.size;
    columns->values[EXCEPTION_RAW_BYTES][at] = (int64_t)entry->raw.size;
    columns->values[EXCEPTION_FIRST_BYTES][at] = (int64_t)entry->first.size;
    err = byte_list_add(bytes, entry->tenant.data, entry->tenant.size);
    if (err == VT_OK)
        err = byte_list_add(bytes, entry->raw.data, entry->raw.size);
    if (err == VT_OK)
        err = byte_list_add(bytes, entry->first.data, entry->first.size);
    return err;
}

static vt_err
seal_exceptions(struct seal *seal)
{
    struct int_columns columns = {0};
    struct byte_list bytes = {0};
    uint32_t count = seal->mark->exception_count;
    vt_err err = int_columns_init(&columns, EXCEPTION_COLUMNS);

    for (uint32_t i = 0; err == VT_OK && i < count; i++)
        err = exception_add(&columns, &bytes, epoch_exception_at(seal->epoch, i));
    if (err == VT_OK)
        err = seal_put_columns(seal, SEAL_EXCEPTIONS, 0, &columns);
    /* Many pieces where one chunk cannot hold them: block b of column 7. */
    struct chunk_key key = {.kind = SEAL_EXCEPTIONS, .column = EXCEPTION_BYTES_COLUMN};

    for (uint64_t at = 0; err == VT_OK && at < bytes.size; at += LIST_BYTES_MAX, key.block++) {
        uint64_t left = bytes.size - at;

        err = seal_put_bytes(
            seal, key,
            (struct vt_bytes){bytes.data + at, left < LIST_BYTES_MAX ? left : LIST_BYTES_MAX});
    }
    int_columns_deinit(&columns);
    byte_list_deinit(&bytes);
    seal->meta.exceptions = le32_put(count);
    return err;
}

static vt_err
seal_settles(struct seal *seal)
{
    struct int_columns columns = {0};
    vt_err err = int_columns_init(&columns, 3);

    for (uint32_t i = 0; err == VT_OK && i < seal->mark->settle_count; i++) {
        const struct settle_entry *entry = epoch_settle_at(seal->epoch, i);

        err = int_columns_add(&columns);
        if (err != VT_OK)
            break;
        columns.values[0][i] = (int64_t)entry->position;
        columns.values[1][i] = (int64_t)entry->at_position;
        columns.values[2][i] = entry->kind;
    }
    if (err == VT_OK)
        err = seal_put_columns(seal, SEAL_SETTLES, 0, &columns);
    int_columns_deinit(&columns);
    seal->meta.settles = le32_put(seal->mark->settle_count);
    return err;
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

static vt_err
seal_feed(struct seal *seal)
{
    struct int_columns columns = {0};
    const struct catalog *catalog = seal->epoch->catalog;
    uint32_t count = seal->mark->feed_count;
    vt_err err = int_columns_init(&columns, SEAL_FEED_GROUP + seal_groups_max(catalog));

    for (uint32_t i = 0; err == VT_OK && i < count; i++) {
        const struct feed_entry *entry = epoch_feed_at(seal->epoch, i);

        err = int_columns_add(&columns);
        if (err != VT_OK)
            break;
        feed_set(&columns, columns.row_count - 1, entry, catalog->meters[entry->meter].group_count);
        if (columns.row_count < SEAL_FEED_BLOCK && i + 1 < count)
            continue;
        err = seal_put_columns(seal, SEAL_FEED, i / SEAL_FEED_BLOCK, &columns);
        columns.row_count = 0;
    }
    int_columns_deinit(&columns);
    seal->meta.feed = le32_put(count);
    return err;
}

vt_err
seal_lists(struct seal *seal)
{
    vt_err err = seal_strings(seal);

    if (err == VT_OK)
        err = seal_exceptions(seal);
    if (err == VT_OK)
        err = seal_settles(seal);
    if (err == VT_OK)
        err = seal_feed(seal);
    return err;
}

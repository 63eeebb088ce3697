/*
 * part_state.c - counters by tenant, and what a partition keeps of itself at a cut. See
 * part_internal.h.
 *
 * STATE OF A PARTITION, version 1. Integers are little-endian.
 *   off size field         rule
 *     0    4 magic         bytes 'V' 'P' 'S' '1'
 *     4    4 crc32c        of all that follows (VT_BAD_CRC)
 *     8    2 version       1 (VT_BAD_VERSION)
 *    10    2 reserved      zero (VT_BAD_RESERVED)
 *    12    4 partition     the one it belongs to (VT_BAD_PLACE)
 *    16    8 arrival_us    of the last commit; INT64_MIN where there was none
 *    24    4 row_count     counters that follow
 *    28    4 reserved      zero
 *    32    8 windows_size  of the window states, which end the whole
 * then row_count times, names ascending, the first "" for unknown tenants:
 *   le16 size of the name, name; le64 received, accepted, duplicates, conflicts, exceptions; a byte
 *   for the number of reasons that are not zero, for each a byte and an le64, ascending
 */
#include <stdlib.h>
#include <string.h>

#include "part_internal.h"

#define STATE_MAGIC   UINT32_C(0x31535056) /* "VPS1" */
#define STATE_VERSION 1
#define REASONS       VT_COUNT(((struct tally *)0)->by_reason)
#define ROW_BYTES_MAX (2 + VT_TEXT_BYTES_MAX + 5 * sizeof(le64) + 1 + REASONS * (1 + sizeof(le64)))

struct state_head {
    le32 magic;
    le32 crc32c;
    le16 version;
    le16 reserved;
    le32 partition;
    le64 arrival_us;
    le32 row_count;
    le32 reserved2;
    le64 windows_size;
};
_Static_assert(sizeof(struct state_head) == 40, "the table above");
_Static_assert(offsetof(struct state_head, windows_size) == 32, "the table above");
_Static_assert(VT_REASON_COUNT <= REASONS, "every reason has a counter");

/* --- rows */

static struct tally_row *
row_at(const struct part *part, uint32_t row)
{
    return chunk_list_at(&part->rows, row);
}

vt_err
part_row(struct part *part, uint32_t tenant, uint32_t *out_row)
{
    if (tenant == CATALOG_NONE) {
        *out_row = 0;
        return VT_OK;
    }
    VT_ASSERT(tenant < part->catalog->tenant_count);
    if (part->row_of[tenant] == 0) {
        struct tally_row *row = chunk_list_add(&part->rows);

        if (row == NULL)
            return VT_NOMEM;
        row->name = part->catalog->tenants[tenant].key;
        part->row_of[tenant] = part->rows.count - 1;
    }
    *out_row = part->row_of[tenant];
    return VT_OK;
}

vt_err
part_row_of_entry(struct part *part, const struct catalog *judge,
                  const struct exception_entry *entry, uint32_t *out_row)
{
    /* By the catalog of then: a tenant that came later does not own what came before it. */
    uint32_t tenant = catalog_find_tenant(judge, entry->tenant);

    if (tenant != CATALOG_NONE && judge != part->catalog)
        tenant = catalog_find_tenant(part->catalog, entry->tenant);
    return part_row(part, tenant, out_row);
}

vt_err
part_rows_rebind(struct part *part, const struct catalog *next)
{
    uint32_t known = part->catalog->tenant_count;
    uint32_t *row_of = calloc((uint64_t)next->tenant_count + 1, sizeof *row_of);

    VT_ASSERT(next->tenant_count >= known);
    if (row_of == NULL)
        return VT_NOMEM;
    for (uint32_t tenant = 0; tenant < known; tenant++) {
        row_of[tenant] = part->row_of[tenant];
        if (row_of[tenant] == 0)
            continue;
        VT_ASSERT(vt_str_equal(row_at(part, row_of[tenant])->name, next->tenants[tenant].key));
        row_at(part, row_of[tenant])->name = next->tenants[tenant].key;
    }
    free(part->row_of);
    part->row_of = row_of;
    return VT_OK;
}

bool
tally_holds(const struct tally *tally)
{
    uint64_t by_reason = 0;

    for (uint32_t reason = 0; reason < REASONS; reason++)
        by_reason += tally->by_reason[reason];
    return tally->received == tally->accepted + tally->duplicates + tally->exceptions &&
           tally->conflicts <= tally->duplicates && by_reason == tally->exceptions &&
           tally->by_reason[VT_REASON_NONE] == 0;
}

static void
tally_add(struct tally *into, const struct tally *from)
{
    into->received += from->received;
    into->accepted += from->accepted;
    into->duplicates += from->duplicates;
    into->conflicts += from->conflicts;
    into->exceptions += from->exceptions;
    for (uint32_t reason = 0; reason < REASONS; reason++)
        into->by_reason[reason] += from->by_reason[reason];
}

/* --- save */

static int
row_by_name(const void *a, const void *b)
{
    const struct tally_row *const *x = a;
    const struct tally_row *const *y = b;

    return vt_str_compare((*x)->name, (*y)->name);
}

static uint8_t *
put_u64(uint8_t *at, uint64_t value)
{
    le64 bytes = le64_put(value);

    memcpy(at, &bytes, sizeof bytes);
    return at + sizeof bytes;
}

static uint8_t *
put_row(uint8_t *at, const struct tally_row *row)
{
    const struct tally *tally = &row->tally;
    le16 size = le16_put((uint16_t)row->name.size);
    uint8_t reasons = 0;

    VT_ASSERT(row->name.size <= VT_TEXT_BYTES_MAX);
    memcpy(at, &size, sizeof size);
    at += sizeof size;
    if (row->name.size > 0)
        memcpy(at, row->name.data, row->name.size);
    at += row->name.size;
    at = put_u64(at, tally->received);
    at = put_u64(at, tally->accepted);
    at = put_u64(at, tally->duplicates);
    at = put_u64(at, tally->conflicts);
    at = put_u64(at, tally->exceptions);
    for (uint32_t reason = 0; reason < REASONS; reason++)
        if (tally->by_reason[reason] > 0)
            reasons++;
    *at++ = reasons;
    for (uint32_t reason = 0; reason < REASONS; reason++) {
        if (tally->by_reason[reason] == 0)
            continue;
        *at++ = (uint8_t)reason;
        at = put_u64(at, tally->by_reason[reason]);
    }
    return at;
}

/* All rows in the order of their names; the sums are those of the partition. */
static vt_err
rows_put(const struct part *part, uint8_t **at)
{
    uint32_t count = part->rows.count;
    const struct tally_row **rows = calloc(count, sizeof(struct tally_row *));
    struct tally sum = {0};

    if (rows == NULL)
        return VT_NOMEM;
    for (uint32_t row = 0; row < count; row++) {
        rows[row] = row_at(part, row);
        VT_ASSERT(tally_holds(&rows[row]->tally));
        tally_add(&sum, &rows[row]->tally);
    }
    VT_ASSERT(memcmp(&sum, &part->total, sizeof sum) == 0);
    qsort(rows, count, sizeof(struct tally_row *), row_by_name);
    for (uint32_t row = 0; row < count; row++)
        *at = put_row(*at, rows[row]);
    free(rows);
    return VT_OK;
}

vt_err
part_state_save(const struct part *part, struct vt_bytes *out_state)
{
    struct window_history history = part_history(part);
    struct vt_bytes windows = {NULL, 0};
    uint8_t *state = NULL;
    vt_err err = window_state_save(part->windows, &history, &windows);

    if (err == VT_OK) {
        state = malloc(sizeof(struct state_head) + part->rows.count * ROW_BYTES_MAX + windows.size);
        err = state == NULL ? VT_NOMEM : VT_OK;
    }
    uint8_t *at = state + sizeof(struct state_head);

    if (err == VT_OK)
        err = rows_put(part, &at);
    if (err == VT_OK) {
        struct state_head head = {
            .magic = le32_put(STATE_MAGIC),
            .version = le16_put(STATE_VERSION),
            .partition = le32_put(part->partition),
            .arrival_us = le64_put((uint64_t)part->meta.arrival_us),
            .row_count = le32_put(part->rows.count),
            .windows_size = le64_put(windows.size),
        };

        if (windows.size > 0)
            memcpy(at, windows.data, windows.size);
        at += windows.size;
        memcpy(state, &head, sizeof head);
        head.crc32c = le32_put(vt_crc32c(state + 8, (uint64_t)(at - state) - 8));
        memcpy(state, &head, sizeof head);
        *out_state = (struct vt_bytes){state, (uint64_t)(at - state)};
    } else {
        free(state);
    }
    part_bytes_free(windows);
    return err;
}

/* --- load */

static vt_err
head_check(const struct part *part, struct vt_bytes state, struct state_head *out_head)
{
    struct state_head head;

    if (state.size < sizeof head)
        return VT_BAD_LENGTH;
    memcpy(&head, state.data, sizeof head);
    if (le32_get(head.magic) != STATE_MAGIC)
        return VT_BAD_MAGIC;
    if (le32_get(head.crc32c) != vt_crc32c(state.data + 8, state.size - 8))
        return VT_BAD_CRC;
    if (le16_get(head.version) != STATE_VERSION)
        return VT_BAD_VERSION;
    if (le16_get(head.reserved) != 0 || le32_get(head.reserved2) != 0)
        return VT_BAD_RESERVED;
    if (le32_get(head.partition) != part->partition)
        return VT_BAD_PLACE;
    *out_head = head;
    return VT_OK;
}

static vt_err
row_get(struct vt_reader *reader, struct tally_row *out_row)
{
    struct tally_row row = {0};
    uint16_t size = vt_read_u16(reader);
    struct vt_bytes name = vt_read_bytes(reader, size);

    row.name = (struct vt_str){(const char *)name.data, (uint32_t)name.size};
    row.tally.received = vt_read_u64(reader);
    row.tally.accepted = vt_read_u64(reader);
    row.tally.duplicates = vt_read_u64(reader);
    row.tally.conflicts = vt_read_u64(reader);
    row.tally.exceptions = vt_read_u64(reader);
    uint8_t reasons = vt_read_u8(reader);

    for (uint32_t i = 0; i < reasons; i++) {
        uint8_t reason = vt_read_u8(reader);
        uint64_t count = vt_read_u64(reader);

        if (reason >= REASONS)
            return VT_BAD_FORMAT;
        row.tally.by_reason[reason] += count;
    }
    if (reader->bad || !tally_holds(&row.tally))
        return VT_BAD_FORMAT;
    *out_row = row;
    return VT_OK;
}

static vt_err
rows_get(struct part *part, struct vt_reader *reader, uint32_t count)
{
    struct vt_str before = {NULL, 0};

    for (uint32_t i = 0; i < count; i++) {
        struct tally_row row = {0};
        uint32_t tenant = CATALOG_NONE;
        uint32_t place;
        vt_err err = row_get(reader, &row);

        if (err != VT_OK)
            return err;
        if (i == 0 ? row.name.size != 0 : vt_str_compare(before, row.name) >= 0)
            return VT_BAD_FORMAT;
        before = row.name;
        if (i > 0) {
            tenant = catalog_find_tenant(part->catalog, row.name);
            if (tenant == CATALOG_NONE)
                return VT_BAD_FORMAT;
        }
        err = part_row(part, tenant, &place);
        if (err != VT_OK)
            return err;
        *part_tally(part, place) = row.tally;
        tally_add(&part->total, &row.tally);
    }
    return VT_OK;
}

vt_err
part_state_load(struct part *part, struct vt_bytes state, struct vt_bytes *out_windows)
{
    struct state_head head = {0};

    if (state.size == 0)
        return VT_OK; /* a new store */
    vt_err err = head_check(part, state, &head);

    if (err == VT_OK) {
        struct vt_reader reader = vt_reader_of(state);

        (void)vt_read_bytes(&reader, sizeof head);
        err = rows_get(part, &reader, le32_get(head.row_count));
        if (err == VT_OK && vt_reader_left(&reader) != le64_get(head.windows_size))
            err = VT_BAD_LENGTH;
        if (err == VT_OK) {
            part->meta.arrival_us = (int64_t)le64_get(head.arrival_us);
            *out_windows = vt_read_bytes(&reader, le64_get(head.windows_size));
        }
    }
    if (err != VT_OK)
        return vt_err_detail(err, "the state of partition %u is not one that was saved",
                             part->partition);
    return VT_OK;
}

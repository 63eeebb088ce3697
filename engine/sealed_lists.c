/* sealed_lists.c - exceptions, settles and feed of a segment. See sealed.h. */
#include <stdlib.h>
#include <string.h>

#include "sealed_internal.h"
#include "sealed_walk.h"
#include "venturi/assert.h"

#define LISTS_ARENA_BYTES (UINT64_C(256) << 10)
#define EXCEPTION_COLUMNS 7
#define SETTLE_COLUMNS    3
#define FEED_COLUMNS      (SEAL_FEED_GROUP + CELL_DIMS_MAX)

/* A block of a list has as many entries as its first column. */
static vt_err
list_block_count(const struct sealed *sealed, uint16_t kind, uint32_t block, uint32_t left,
                 uint32_t *out_count)
{
    struct chunk_key key = {.kind = kind, .block = block};
    struct chunk_info info;

    if (segment_find(sealed->segment, key, &info) != VT_OK || info.count > left)
        return sealed_damaged(sealed, "its exceptions or settles are cut short");
    *out_count = info.count;
    return VT_OK;
}

/* What hands the exceptions of a block over. */
struct exception_walk {
    const struct sealed *sealed;
    struct arena *arena;
    vt_err (*each)(void *context, const struct exception_entry *entry);
    void *context;
};

static vt_err
exception_block(const struct exception_walk *walk, uint32_t block, uint32_t count)
{
    const struct sealed_table table = {SEAL_EXCEPTIONS, EXCEPTION_COLUMNS, count, block};
    struct chunk_key key = {.kind = SEAL_EXCEPTIONS, .column = EXCEPTION_COLUMNS, .block = block};
    const int64_t *columns[EXCEPTION_COLUMNS];
    struct vt_bytes bytes = {NULL, 0};
    vt_err err = sealed_columns(walk->sealed, walk->arena, &table, columns);

    if (err == VT_OK)
        err = sealed_bytes(walk->sealed, walk->arena, key, &bytes);
    struct vt_reader reader = vt_reader_of(bytes);

    for (uint32_t i = 0; err == VT_OK && i < count; i++) {
        struct vt_bytes tenant = vt_read_bytes(&reader, (uint64_t)columns[4][i]);
        struct exception_entry entry = {
            .position = (uint64_t)columns[0][i],
            .first_position = (uint64_t)columns[1][i],
            .arrival_us = columns[2][i],
            .reason = (uint8_t)columns[3][i],
            .tenant = {(const char *)tenant.data, (uint32_t)tenant.size},
        };

        entry.raw = vt_read_bytes(&reader, (uint64_t)columns[5][i]);
        entry.first = vt_read_bytes(&reader, (uint64_t)columns[6][i]);
        err = reader.bad ? sealed_damaged(walk->sealed, "its exceptions are cut short")
                         : walk->each(walk->context, &entry);
    }
    return err;
}

vt_err
sealed_each_exception(const struct sealed *sealed,
                      vt_err (*each)(void *context, const struct exception_entry *entry),
                      void *context)
{
    struct arena arena;
    struct exception_walk walk = {sealed, &arena, each, context};
    uint32_t count = 0;
    vt_err err = VT_OK;

    arena_init(&arena, LISTS_ARENA_BYTES);
    for (uint32_t done = 0, block = 0; err == VT_OK && done < sealed->exceptions; block++) {
        arena_reset(&arena);
        err = list_block_count(sealed, SEAL_EXCEPTIONS, block, sealed->exceptions - done, &count);
        if (err == VT_OK)
            err = exception_block(&walk, block, count);
        done += count;
    }
    arena_deinit(&arena);
    return err;
}

vt_err
sealed_each_settle(const struct sealed *sealed,
                   vt_err (*each)(void *context, const struct settle_entry *entry), void *context)
{
    struct sealed_table table = {.kind = SEAL_SETTLES, .columns = SETTLE_COLUMNS};
    const int64_t *columns[SETTLE_COLUMNS];
    struct arena arena;
    uint32_t count = 0;
    vt_err err = VT_OK;

    arena_init(&arena, LISTS_ARENA_BYTES);
    for (uint32_t done = 0; err == VT_OK && done < sealed->settles; table.block++) {
        arena_reset(&arena);
        err = list_block_count(sealed, SEAL_SETTLES, table.block, sealed->settles - done, &count);
        table.rows = count;
        if (err == VT_OK)
            err = sealed_columns(sealed, &arena, &table, columns);
        for (uint32_t i = 0; err == VT_OK && i < count; i++) {
            struct settle_entry entry = {.position = (uint64_t)columns[0][i],
                                         .at_position = (uint64_t)columns[1][i],
                                         .kind = (uint8_t)columns[2][i]};

            err = each(context, &entry);
        }
        done += count;
    }
    arena_deinit(&arena);
    return err;
}

/* A walk over the feed, a block at a time. */
struct feed_scan {
    const struct sealed *sealed;
    const struct sealed_directory *directory;
    const int64_t *columns[FEED_COLUMNS];
    uint32_t count; /* of the block at hand */
    struct arena arena;
    vt_err (*each)(void *context, const struct feed_row *row);
    void *context;
};

static uint32_t
feed_block_count(const struct sealed *sealed)
{
    return (sealed->feed + SEAL_FEED_BLOCK - 1) / SEAL_FEED_BLOCK;
}

static vt_err
feed_block_read(struct feed_scan *scan, uint32_t block)
{
    uint32_t left = scan->sealed->feed - block * SEAL_FEED_BLOCK;
    uint32_t column_count = SEAL_FEED_GROUP + seal_groups_max(scan->sealed->catalog);
    vt_err err = VT_OK;

    arena_reset(&scan->arena);
    scan->count = left < SEAL_FEED_BLOCK ? left : SEAL_FEED_BLOCK;
    for (uint32_t c = 0; err == VT_OK && c < column_count; c++) {
        struct chunk_key key = {.kind = SEAL_FEED, .column = c, .block = block};

        if (c > SEAL_FEED_CLOSED && c < SEAL_FEED_GROUP)
            continue;
        err = sealed_integers(scan->sealed, &scan->arena, key, scan->count, &scan->columns[c]);
    }
    return err;
}

static vt_i128
feed_number(const struct feed_scan *scan, uint32_t low, uint32_t at)
{
    return (vt_i128)((vt_u128)(uint64_t)scan->columns[low + 1][at] << 64 |
                     (uint64_t)scan->columns[low][at]);
}

static vt_err
feed_hand_over(const struct feed_scan *scan, uint32_t at, uint32_t index)
{
    const struct catalog *catalog = scan->sealed->catalog;
    int64_t meter_index = scan->columns[SEAL_FEED_METER][at];
    int64_t tenant_index = scan->columns[SEAL_FEED_TENANT][at];
    struct vt_str names[CELL_DIMS_MAX];
    struct vt_str values[CELL_DIMS_MAX];

    if (meter_index < 0 || meter_index >= catalog->meter_count || tenant_index < 0 ||
        tenant_index >= catalog->tenant_count)
        return sealed_damaged(scan->sealed, "a feed entry is of no meter or tenant");
    const struct catalog_meter *meter = &catalog->meters[meter_index];

    for (uint32_t g = 0; g < meter->group_count; g++) {
        int64_t code = scan->columns[SEAL_FEED_GROUP + g][at];

        if (code < 0 || code >= scan->sealed->strings)
            return sealed_damaged(scan->sealed, "a feed entry's code is beyond the dictionary");
        names[g] = catalog->types[meter->type].fields[meter->group_slots[g]].name;
        values[g] = scan->directory->dict[code];
    }
    struct feed_row row = {
        .number = (uint64_t)scan->columns[SEAL_FEED_NUMBER][at],
        .partition = segment_identity(scan->sealed->segment)->partition,
        .index = index,
        .meter = meter->key,
        .tenant = catalog->tenants[tenant_index].key,
        .window_start_us = scan->columns[SEAL_FEED_START][at],
        .group_count = meter->group_count,
        .group_names = names,
        .group_values = values,
        .revision = (uint32_t)scan->columns[SEAL_FEED_REVISION][at],
        .position = (uint64_t)scan->columns[SEAL_FEED_POSITION][at],
        .count = (uint64_t)scan->columns[SEAL_FEED_COUNT][at],
        .total = feed_number(scan, SEAL_FEED_TOTAL_LO, at),
        .difference = feed_number(scan, SEAL_FEED_DIFFERENCE_LO, at),
        .scale = meter->scale,
        .window_us = meter->window_us,
        .closed = scan->columns[SEAL_FEED_CLOSED][at] != 0,
    };

    return scan->each(scan->context, &row);
}

/* Whether the zone map of a feed column leaves room for [first, last]. */
static bool
feed_overlaps(const struct sealed *sealed, uint32_t column, uint32_t block, int64_t first,
              int64_t last)
{
    struct chunk_key key = {.kind = SEAL_FEED, .column = column, .block = block};
    struct chunk_info info;

    /* A chunk that is missing is damage: the read that follows says so. */
    return segment_find(sealed->segment, key, &info) != VT_OK ||
           (info.min <= last && info.max >= first);
}

vt_err
sealed_each_feed(const struct sealed *sealed, uint64_t number_from,
                 vt_err (*each)(void *context, const struct feed_row *row), void *context)
{
    struct feed_scan scan = {.sealed = sealed, .each = each, .context = context};
    uint32_t index = 0;
    int64_t number = -1;

    if (sealed->feed == 0)
        return VT_OK;
    vt_err err = sealed_load(sealed, &scan.directory);

    if (err != VT_OK)
        return err;
    arena_init(&scan.arena, LISTS_ARENA_BYTES);
    /* Numbers ascend, but places among equal ones are counted from their first entry on. */
    for (uint32_t block = 0; err == VT_OK && block < feed_block_count(sealed); block++) {
        err = feed_block_read(&scan, block);
        for (uint32_t i = 0; err == VT_OK && i < scan.count; i++) {
            index = scan.columns[SEAL_FEED_NUMBER][i] == number ? index + 1 : 0;
            number = scan.columns[SEAL_FEED_NUMBER][i];
            if ((uint64_t)number >= number_from)
                err = feed_hand_over(&scan, i, index);
        }
    }
    arena_deinit(&scan.arena);
    return err;
}

/* Entry `at` of the block at hand, by codes; false where they are of nothing. */
static bool
feed_entry_take(const struct feed_scan *scan, uint32_t at, struct feed_entry *entry)
{
    const struct catalog *catalog = scan->sealed->catalog;
    const int64_t *const *columns = scan->columns;
    uint64_t meter = (uint64_t)columns[SEAL_FEED_METER][at];
    uint64_t tenant = (uint64_t)columns[SEAL_FEED_TENANT][at];

    if (meter >= catalog->meter_count || tenant >= catalog->tenant_count)
        return false;
    *entry = (struct feed_entry){
        .number = (uint64_t)columns[SEAL_FEED_NUMBER][at],
        .meter = (uint32_t)meter,
        .tenant = (uint32_t)tenant,
        .window_start_us = columns[SEAL_FEED_START][at],
        .revision = (uint32_t)columns[SEAL_FEED_REVISION][at],
        .position = (uint64_t)columns[SEAL_FEED_POSITION][at],
        .count = (uint64_t)columns[SEAL_FEED_COUNT][at],
        .total = feed_number(scan, SEAL_FEED_TOTAL_LO, at),
        .difference = feed_number(scan, SEAL_FEED_DIFFERENCE_LO, at),
        .closed = columns[SEAL_FEED_CLOSED][at] != 0,
    };
    for (uint32_t g = 0; g < catalog->meters[meter].group_count; g++) {
        uint64_t code = (uint64_t)columns[SEAL_FEED_GROUP + g][at];

        if (code >= scan->sealed->strings)
            return false;
        entry->group[g] = (uint32_t)code;
    }
    return true;
}

vt_err
sealed_each_feed_entry(const struct sealed *sealed,
                       vt_err (*each)(void *context, const struct feed_entry *entry), void *context)
{
    struct feed_scan scan = {.sealed = sealed};
    struct feed_entry entry;
    vt_err err = VT_OK;

    arena_init(&scan.arena, LISTS_ARENA_BYTES);
    for (uint32_t block = 0; err == VT_OK && block < feed_block_count(sealed); block++) {
        err = feed_block_read(&scan, block);
        for (uint32_t i = 0; err == VT_OK && i < scan.count; i++)
            err = feed_entry_take(&scan, i, &entry)
                      ? each(context, &entry)
                      : sealed_damaged(sealed, "a feed entry is of no meter, tenant or group");
    }
    arena_deinit(&scan.arena);
    return err;
}

vt_err
sealed_find_feed(const struct sealed *sealed, const struct feed_search *window,
                 vt_err (*each)(void *context, const struct feed_row *row), void *context)
{
    int64_t start_us = window->start_us;
    struct feed_scan scan = {.sealed = sealed, .each = each, .context = context};
    uint32_t meter_index = catalog_find_meter(sealed->catalog, window->meter);
    uint32_t tenant_index = catalog_find_tenant(sealed->catalog, window->tenant);

    if (sealed->feed == 0 || meter_index == CATALOG_NONE || tenant_index == CATALOG_NONE)
        return VT_OK;
    vt_err err = sealed_load(sealed, &scan.directory);

    if (err != VT_OK)
        return err;
    arena_init(&scan.arena, LISTS_ARENA_BYTES);
    for (uint32_t block = 0; err == VT_OK && block < feed_block_count(sealed); block++) {
        if (!feed_overlaps(sealed, SEAL_FEED_TENANT, block, tenant_index, tenant_index) ||
            !feed_overlaps(sealed, SEAL_FEED_START, block, start_us, start_us) ||
            !feed_overlaps(sealed, SEAL_FEED_METER, block, meter_index, meter_index))
            continue;
        err = feed_block_read(&scan, block);
        for (uint32_t i = 0; err == VT_OK && i < scan.count; i++)
            if (scan.columns[SEAL_FEED_START][i] == start_us &&
                scan.columns[SEAL_FEED_METER][i] == meter_index &&
                scan.columns[SEAL_FEED_TENANT][i] == tenant_index)
                err = feed_hand_over(&scan, i, 0);
    }
    arena_deinit(&scan.arena);
    return err;
}

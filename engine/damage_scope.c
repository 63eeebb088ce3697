/* damage_scope.c - see damage_scope.h. */
#include "damage_scope.h"

#include <stdlib.h>
#include <string.h>

#include "sealed_format.h"
#include "venturi/assert.h"

enum { GROUP_TYPE, GROUP_TENANT, GROUP_FIRST, GROUP_ROWS, GROUP_COLUMNS };
enum { BLOCK_TYPE, BLOCK_FIRST, BLOCK_ROWS, BLOCK_COLUMNS };

/* Rows [first, end) of one type, or of any. */
struct range {
    int64_t first;
    int64_t end;
    int64_t tenant_first; /* indexes in the catalog */
    int64_t tenant_last;
};

static const char *
kind_name(uint16_t kind)
{
    static const char *const names[] = {
        [SEAL_META] = "description",
        [SEAL_STRINGS] = "strings",
        [SEAL_GROUPS] = "groups",
        [SEAL_CONTENT] = "content",
        [SEAL_ROWS] = "rows",
        [SEAL_BLOCKS] = "blocks",
        [SEAL_EXTRA] = "undeclared fields",
        [SEAL_IDS] = "ids",
        [SEAL_CELLS] = "cells",
        [SEAL_CELL_IDS] = "cells",
        [SEAL_CELL_SETS] = "cells",
        [SEAL_EXCEPTIONS] = "exceptions",
        [SEAL_SETTLES] = "settles",
        [SEAL_FEED] = "feed",
    };

    return kind < VT_COUNT(names) && names[kind] != NULL ? names[kind] : "unknown";
}

/* A column of a table, all of it; malloc. VT_NOT_FOUND where it is damaged itself. */
static vt_err
column_read(const struct segment *segment, uint16_t kind, uint32_t column, uint32_t *out_count,
            int64_t **out_values)
{
    struct chunk_info info;
    vt_err err = segment_find(segment, (struct chunk_key){.kind = kind, .column = column}, &info);
    int64_t *values = err == VT_OK ? calloc((size_t)info.count + 1, sizeof *values) : NULL;

    if (err != VT_OK)
        return VT_NOT_FOUND;
    if (values == NULL)
        return VT_NOMEM;
    err = segment_read_integers(segment, &info, values);
    if (err != VT_OK) {
        free(values);
        vt_err_clear();
        return VT_NOT_FOUND;
    }
    *out_count = info.count;
    *out_values = values;
    return VT_OK;
}

struct table {
    uint32_t count;
    int64_t *columns[GROUP_COLUMNS];
};

static void
table_free(struct table *table)
{
    for (uint32_t c = 0; c < GROUP_COLUMNS; c++)
        free(table->columns[c]);
}

static vt_err
table_read(const struct segment *segment, uint16_t kind, uint32_t columns, struct table *table)
{
    vt_err err = VT_OK;

    memset(table, 0, sizeof *table);
    for (uint32_t c = 0; err == VT_OK && c < columns; c++) {
        uint32_t count = 0;

        err = column_read(segment, kind, c, &count, &table->columns[c]);
        if (err == VT_OK && c > 0 && count != table->count)
            err = VT_NOT_FOUND;
        table->count = count;
    }
    if (err != VT_OK) {
        table_free(table);
        memset(table, 0, sizeof *table);
    }
    return err;
}

/* Of the directory, whose checksum holds: smallest and greatest of one column of a kind, in one
 * block or in all. */
static bool
zone_of(const struct segment *segment, struct chunk_key key, bool all_blocks, int64_t *out_min,
        int64_t *out_max)
{
    bool any = false;

    for (uint32_t i = 0; i < segment_chunk_count(segment); i++) {
        struct chunk_info info;

        segment_chunk_at(segment, i, &info);
        if (info.key.kind != key.kind || info.key.column != key.column ||
            (!all_blocks && info.key.block != key.block))
            continue;
        *out_min = !any || info.min < *out_min ? info.min : *out_min;
        *out_max = !any || info.max > *out_max ? info.max : *out_max;
        any = true;
    }
    return any;
}

static struct range
range_of(const struct segment *segment, const struct chunk_info *chunk)
{
    struct range range = {0, INT64_MAX, 0, INT64_MAX};
    struct table blocks;
    struct chunk_key tenant = chunk->key;

    if (chunk->key.kind == SEAL_ROWS || chunk->key.kind == SEAL_EXTRA) {
        if (table_read(segment, SEAL_BLOCKS, BLOCK_COLUMNS, &blocks) == VT_OK &&
            chunk->key.block < blocks.count) {
            range.first = blocks.columns[BLOCK_FIRST][chunk->key.block];
            range.end = range.first + blocks.columns[BLOCK_ROWS][chunk->key.block];
        }
        table_free(&blocks);
    }
    tenant.column = chunk->key.kind == SEAL_FEED ? SEAL_FEED_TENANT : SEAL_CELL_TENANT;
    if (chunk->key.kind == SEAL_CELLS || chunk->key.kind == SEAL_FEED)
        (void)zone_of(segment, tenant, false, &range.tenant_first, &range.tenant_last);
    return range;
}

static void
tenant_add(struct damage_scope *scope, const struct vt_str *tenant)
{
    for (uint32_t i = 0; i < scope->tenant_count; i++)
        if (scope->tenants[i] == tenant)
            return;
    scope->tenants[scope->tenant_count++] = tenant;
}

/* Groups that the range meets: their tenants, types and rows. */
static vt_err
groups_see(const struct segment *segment, const struct catalog *catalog, const struct range *range,
           struct damage_scope *scope)
{
    struct table groups;
    bool several = false;
    vt_err err = table_read(segment, SEAL_GROUPS, GROUP_COLUMNS, &groups);

    if (err != VT_OK)
        return err == VT_NOT_FOUND ? VT_OK : err;
    scope->tenants = calloc((size_t)groups.count + 1, sizeof(struct vt_str *));
    scope->tenants_known = scope->tenants != NULL;
    for (uint32_t g = 0; scope->tenants != NULL && g < groups.count; g++) {
        int64_t tenant = groups.columns[GROUP_TENANT][g];
        int64_t type = groups.columns[GROUP_TYPE][g];
        int64_t first = groups.columns[GROUP_FIRST][g];
        int64_t end = first + groups.columns[GROUP_ROWS][g];

        if (first >= range->end || end <= range->first || tenant < range->tenant_first ||
            tenant > range->tenant_last || tenant < 0 || tenant >= catalog->tenant_count ||
            type < 0 || type >= catalog->type_count)
            continue;
        tenant_add(scope, &catalog->tenants[tenant].key);
        several = several || (scope->type != NULL && scope->type != &catalog->types[type].name);
        scope->type = &catalog->types[type].name;
        scope->rows += (uint64_t)((end < range->end ? end : range->end) -
                                  (first > range->first ? first : range->first));
    }
    if (several)
        scope->type = NULL;
    table_free(&groups);
    return scope->tenants == NULL ? VT_NOMEM : VT_OK;
}

static void
times_see(const struct segment *segment, const struct chunk_info *chunk, struct damage_scope *scope)
{
    struct chunk_key key = chunk->key;
    bool block = true;

    if (chunk->key.kind == SEAL_CELLS) {
        key.column = SEAL_CELL_START;
    } else if (chunk->key.kind == SEAL_FEED) {
        key.column = SEAL_FEED_START;
    } else {
        block = chunk->key.kind == SEAL_ROWS || chunk->key.kind == SEAL_EXTRA;
        key.kind = SEAL_ROWS;
        key.column = SEAL_ROW_TIME;
    }
    scope->times_known = zone_of(segment, key, !block, &scope->first_us, &scope->last_us);
}

vt_err
damage_scope_read(struct io *io, const struct store_damage *damage, const struct catalog *catalog,
                  struct damage_scope *out_scope)
{
    const struct store_segment *named = damage->segment;
    struct damage_scope scope = {.what = "all", .rows = named->rows};
    struct segment *segment = NULL;
    vt_err err = segment_open(io, named->path, &named->id, &segment);

    if (err != VT_OK) { /* without its directory it says no more than the manifest */
        vt_err_clear();
        *out_scope = scope;
        return VT_OK;
    }
    const struct chunk_info whole = {.key = {.kind = SEAL_META}};
    const struct chunk_info *chunk = damage->chunk == NULL ? &whole : damage->chunk;

    if (damage->chunk != NULL)
        scope.what = kind_name(chunk->key.kind);
    times_see(segment, chunk, &scope);
    if (catalog != NULL) {
        struct range range = range_of(segment, chunk);

        scope.rows = 0;
        err = groups_see(segment, catalog, &range, &scope);
        if (!scope.tenants_known)
            scope.rows = named->rows;
    }
    segment_close(segment);
    if (err != VT_OK) {
        free(scope.tenants);
        return err;
    }
    *out_scope = scope;
    return VT_OK;
}

vt_err
damage_catalog(struct vt_bytes state, uint64_t cut, struct catalog **out_catalog)
{
    struct vt_reader reader = vt_reader_of(state);
    struct vt_bytes judged = {NULL, 0};

    /* As core_state.c writes it: magic, version, catalogs in their order. */
    (void)vt_read_u64(&reader);
    uint32_t count = vt_read_u32(&reader);

    for (uint32_t i = 0; i < count && !reader.bad; i++) {
        uint64_t commit = vt_read_u64(&reader);
        struct vt_bytes packed = vt_read_bytes(&reader, vt_read_u64(&reader));

        if (!reader.bad && commit < cut)
            judged = packed;
    }
    if (reader.bad || judged.size == 0)
        return VT_NOT_FOUND;
    return catalog_unpack(judged, out_catalog);
}

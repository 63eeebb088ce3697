/* sealed_ids.c - the id run of a segment: look-ups by identity, tags, ids by row. See sealed.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dedup.h"
#include "sealed_internal.h"
#include "venturi/assert.h"
#include "venturi/decimal.h"

#define FIND_ARENA_BYTES (UINT64_C(256) << 10)

static uint32_t
page_ids(const struct sealed *sealed, uint32_t page)
{
    uint64_t left = sealed->identities - (uint64_t)page * ID_PAGE_IDS;

    return left < ID_PAGE_IDS ? (uint32_t)left : ID_PAGE_IDS;
}

static uint32_t
page_count(const struct sealed *sealed)
{
    return (uint32_t)((sealed->identities + ID_PAGE_IDS - 1) / ID_PAGE_IDS);
}

static struct chunk_key
page_key(enum sealed_id_column column, uint32_t page)
{
    return (struct chunk_key){.kind = SEAL_IDS, .column = column, .block = page / SEAL_ID_PAGES};
}

static uint32_t
page_seed(const struct sealed *sealed, enum sealed_id_column column, uint32_t page)
{
    return segment_part_seed(sealed->segment, page_key(column, page), page % SEAL_ID_PAGES);
}

/* The chunk that has a page, whole and checked, with slack behind. */
static vt_err
chunk_read(const struct sealed *sealed, struct arena *arena, struct chunk_key key,
           struct vt_bytes *out_bytes)
{
    struct chunk_info info;

    if (segment_find(sealed->segment, key, &info) != VT_OK)
        return sealed_damaged(sealed, "its id run is cut short");
    uint8_t *bytes = arena_alloc(arena, (uint64_t)info.count + ID_PAGE_SLACK);

    if (bytes == NULL)
        return VT_NOMEM;
    memset(bytes + info.count, 0, ID_PAGE_SLACK);
    *out_bytes = (struct vt_bytes){bytes, info.count};
    return segment_read_bytes(sealed->segment, &info, bytes);
}

/* The keys of the pages of one block, by `each`. */
static vt_err
strip_block(const struct sealed *sealed, struct vt_bytes chunk, uint32_t page,
            vt_err (*each)(void *context, const uint64_t *keys, uint32_t count), void *context)
{
    uint64_t keys[ID_PAGE_IDS];
    uint32_t end = page + SEAL_ID_PAGES;
    vt_err err = VT_OK;

    end = end < page_count(sealed) ? end : page_count(sealed);
    for (uint64_t at = 0; err == VT_OK && page < end; page++) {
        struct vt_bytes rest = {chunk.data + at, chunk.size - at};
        uint32_t count = page_ids(sealed, page);
        uint64_t size = id_page_keys_size(rest, count);

        rest.size = size;
        if (size == 0 ||
            id_page_get_keys(page_seed(sealed, SEALED_ID_KEYS, page), rest, count, keys) != VT_OK)
            return sealed_damaged(sealed, "a page of keys is no such page");
        err = each(context, keys, count);
        at += size;
    }
    return err;
}

vt_err
sealed_each_key(const struct sealed *sealed,
                vt_err (*each)(void *context, const uint64_t *keys, uint32_t count), void *context)
{
    struct arena arena;
    vt_err err = VT_OK;

    arena_init(&arena, FIND_ARENA_BYTES);
    for (uint32_t page = 0; err == VT_OK && page < page_count(sealed); page += SEAL_ID_PAGES) {
        struct vt_bytes chunk = {NULL, 0};

        arena_reset(&arena);
        err = chunk_read(sealed, &arena, page_key(SEALED_ID_KEYS, page), &chunk);
        if (err == VT_OK)
            err = strip_block(sealed, chunk, page, each, context);
    }
    arena_deinit(&arena);
    return err;
}

/* --- the run from end to end */

void
sealed_id_walk_open(const struct sealed *sealed, struct sealed_id_walk *walk)
{
    memset(walk, 0, sizeof *walk);
    walk->sealed = sealed;
    arena_init(&walk->arena, FIND_ARENA_BYTES);
}

void
sealed_id_walk_close(struct sealed_id_walk *walk)
{
    arena_deinit(&walk->arena);
}

/* A page within its chunk, by the places of the directory. */
static struct vt_bytes
page_of_chunk(struct vt_bytes chunk, const int64_t *ends, uint32_t page)
{
    uint64_t from = page % SEAL_ID_PAGES == 0 ? 0 : (uint64_t)ends[page - 1];
    uint64_t end = (uint64_t)ends[page];

    VT_ASSERT(from < end); /* the directory was checked */
    return end <= chunk.size ? (struct vt_bytes){chunk.data + from, end - from}
                             : (struct vt_bytes){chunk.data, 0};
}

static vt_err
run_page(struct sealed_id_walk *walk)
{
    const struct sealed *sealed = walk->sealed;
    uint32_t page = walk->page;
    uint32_t count = page_ids(sealed, page);
    vt_err err = sealed_load(sealed, &walk->directory);

    if (page % SEAL_ID_PAGES == 0) {
        arena_reset(&walk->arena);
        if (err == VT_OK)
            err =
                chunk_read(sealed, &walk->arena, page_key(SEALED_ID_KEYS, page), &walk->keys_chunk);
        if (err == VT_OK)
            err = chunk_read(sealed, &walk->arena, page_key(SEALED_ID_IDS, page), &walk->ids_chunk);
    }
    if (err != VT_OK)
        return err;
    err = id_page_get_keys(page_seed(sealed, SEALED_ID_KEYS, page),
                           page_of_chunk(walk->keys_chunk, walk->directory->id_keys_end, page),
                           count, walk->keys);
    if (err == VT_OK)
        err = id_page_open(page_seed(sealed, SEALED_ID_IDS, page),
                           page_of_chunk(walk->ids_chunk, walk->directory->id_ids_end, page), count,
                           &walk->ids);
    if (err != VT_OK)
        return sealed_damaged(sealed, "a page of its id run is no such page");
    walk->page++;
    walk->index = 0;
    walk->offset = 0;
    return VT_OK;
}

vt_err
sealed_id_walk_next(struct sealed_id_walk *walk, struct run_id *out_entry)
{
    if (walk->page == 0 || walk->index == walk->ids.count) {
        if (walk->page == page_count(walk->sealed))
            return VT_END;
        vt_err err = run_page(walk);

        if (err != VT_OK)
            return err;
    }
    if (id_page_next(&walk->ids, walk->index, &walk->offset, walk->text, out_entry) != VT_OK ||
        out_entry->row >= walk->sealed->rows)
        return sealed_damaged(walk->sealed, "its id run does not fit its rows");
    out_entry->key = walk->keys[walk->index++];
    return VT_OK;
}

vt_err
sealed_ids_by_row(const struct sealed *sealed, struct arena *arena, struct row_id **out_ids)
{
    struct row_id *ids = arena_zalloc(arena, (sealed->rows + 1) * sizeof *ids);
    struct sealed_id_walk walk;
    struct run_id entry;
    vt_err err = VT_OK;

    if (ids == NULL)
        return VT_NOMEM;
    sealed_id_walk_open(sealed, &walk);
    for (;;) {
        err = sealed_id_walk_next(&walk, &entry);
        if (err != VT_OK)
            break;
        struct vt_str text = {(const char *)entry.id.data, entry.id.size};

        text = arena_copy(arena, text);
        ids[entry.row] = (struct row_id){(const uint8_t *)text.data, entry.id.size, entry.id.kind};
        if (text.data == NULL) {
            err = VT_NOMEM;
            break;
        }
    }
    sealed_id_walk_close(&walk);
    if (err != VT_END)
        return err;
    *out_ids = ids;
    return VT_OK;
}

/* The block or group that holds a row, of `count` with ascending first rows from 0 on. */
uint32_t
sealed_holder(const int64_t *firsts, uint32_t count, int64_t row)
{
    uint32_t low = 0;
    uint32_t high = count - 1;

    VT_ASSERT(count > 0);
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;

        if (firsts[middle] <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Row `at` of a block as a block of one, with memory of its own but for strings. */
static vt_err
block_copy_one(struct arena *arena, const struct row_block *block, uint32_t at,
               struct row_block *out_row)
{
    struct row_column *columns = arena_alloc(arena, (block->column_count + 1u) * sizeof *columns);
    int64_t *values = arena_alloc(arena, (block->column_count + 2u) * sizeof *values);
    uint32_t *codes = arena_alloc(arena, (block->column_count + 1u) * sizeof *codes);
    uint8_t *present = arena_alloc(arena, block->column_count + 1u);
    struct vt_bytes *extra = arena_alloc(arena, sizeof *extra);

    if (columns == NULL || values == NULL || codes == NULL || present == NULL || extra == NULL)
        return VT_NOMEM;
    *out_row = *block;
    out_row->row_count = 1;
    for (uint32_t c = 0; c < block->column_count; c++) {
        columns[c] = block->columns[c];
        if (columns[c].value != NULL) {
            values[c] = columns[c].value[at];
            columns[c].value = &values[c];
        }
        if (columns[c].present != NULL) {
            present[c] = columns[c].present[at];
            columns[c].present = &present[c];
        }
        if (columns[c].code != NULL) {
            codes[c] = columns[c].code[at];
            columns[c].code = &codes[c];
        }
    }
    values[block->column_count] = (int64_t)block->position[at];
    values[block->column_count + 1] = block->time_us[at];
    codes[block->column_count] = block->source[at];
    out_row->columns = columns;
    out_row->position = (const uint64_t *)&values[block->column_count];
    out_row->time_us = &values[block->column_count + 1];
    out_row->source = &codes[block->column_count];
    if (block->extra != NULL) {
        struct vt_str bytes = {(const char *)block->extra[at].data,
                               (uint32_t)block->extra[at].size};

        bytes = arena_copy(arena, bytes);
        if (bytes.data == NULL && bytes.size > 0)
            return VT_NOMEM;
        *extra = (struct vt_bytes){(const uint8_t *)bytes.data, bytes.size};
        out_row->extra = extra;
    }
    return VT_OK;
}

/* The block that has the row, decoded unless it is the one that was last. */
static vt_err
cache_block(struct sealed_row_cache *cache, const struct sealed *sealed, uint32_t index)
{
    struct block_request request = {.block = index, .want_extra = true};

    if (cache->sealed == sealed && cache->index == index)
        return VT_OK;
    cache->sealed = NULL;
    if (cache->resets)
        arena_reset(cache->arena);
    vt_err err = sealed_read_block(sealed, cache->arena, &request, &cache->block);

    if (err == VT_OK) {
        cache->sealed = sealed;
        cache->index = index;
    }
    return err;
}

vt_err
sealed_fetch_row(const struct sealed *sealed, const struct row_wanted *wanted, uint32_t row,
                 struct sealed_row_cache *cache, struct row_block *out_row)
{
    const struct sealed_directory *directory = NULL;
    struct arena *arena = cache->rows == NULL ? cache->arena : cache->rows;
    struct row_block one;
    vt_err err = sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    if (row >= sealed->rows)
        return sealed_damaged(sealed, "its id run does not fit its rows");
    uint32_t group = sealed_holder(directory->group_first, directory->group_count, row);
    uint32_t index = sealed_holder(directory->block_first, directory->block_count, row);
    struct vt_str tenant = sealed->catalog->tenants[directory->group_tenant[group]].key;

    if (!vt_str_equal(tenant, wanted->tenant))
        return VT_NOT_FOUND;
    err = cache_block(cache, sealed, index);
    if (err == VT_OK)
        err = block_copy_one(arena, &cache->block,
                             (uint32_t)(row - (uint64_t)directory->block_first[index]), &one);
    struct row_id *id = arena_alloc(arena, sizeof *id);

    if (err != VT_OK || id == NULL)
        return err != VT_OK ? err : VT_NOMEM;
    if (!vt_str_equal(one.dict[one.source[0]], wanted->source))
        return VT_NOT_FOUND;
    *id = *wanted->id;
    one.id = id;
    one.tenant = tenant;
    *out_row = one;
    return VT_OK;
}

/* --- one id */

vt_err
sealed_id_plan(const struct sealed *sealed, struct arena *arena, enum sealed_id_column column,
               uint32_t page, struct io_read *out_read)
{
    const struct sealed_directory *directory = NULL;
    struct chunk_info info;
    vt_err err = sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    const int64_t *ends = column == SEALED_ID_KEYS ? directory->id_keys_end : directory->id_ids_end;
    uint64_t from = page % SEAL_ID_PAGES == 0 ? 0 : (uint64_t)ends[page - 1];
    struct segment_part part = {.bytes = (uint32_t)((uint64_t)ends[page] - from)};

    if (segment_find(sealed->segment, page_key(column, page), &info) != VT_OK)
        return sealed_damaged(sealed, "its id run is cut short");
    part.buffer = arena_zalloc(arena, (uint64_t)part.bytes + ID_PAGE_SLACK);
    if (part.buffer == NULL)
        return VT_NOMEM;
    return segment_plan_part(sealed->segment, &info, from, &part, out_read);
}

static vt_err
page_damaged(const struct sealed *sealed, enum sealed_id_column column, uint32_t page)
{
    char what[96];

    (void)snprintf(what, sizeof what, "page %u of the %s of its id run does not hold", page,
                   column == SEALED_ID_KEYS ? "keys" : "ids");
    return sealed_damaged(sealed, what);
}

/* A page that is damaged or was not read: VT_AGAIN where its bytes were repaired and are read
 * again, into the same place. */
static vt_err
page_again(const struct sealed *sealed, enum sealed_id_column column, uint32_t page,
           const struct io_read *read)
{
    struct segment_part part = {read->buffer, read->bytes};
    const struct sealed_directory *directory = NULL;
    struct chunk_info info;
    vt_err err = read->err;

    if (err != VT_OK)
        (void)vt_err_detail(err, "%s: a page of its id run cannot be read",
                            segment_path(sealed->segment));
    else
        err = page_damaged(sealed, column, page);
    if (segment_find(sealed->segment, page_key(column, page), &info) != VT_OK)
        return err;
    err = segment_ask_guard(sealed->segment, &info, err);
    if (err != VT_AGAIN)
        return err;
    err = sealed_load(sealed, &directory);
    if (err != VT_OK)
        return err;
    const int64_t *ends = column == SEALED_ID_KEYS ? directory->id_keys_end : directory->id_ids_end;
    uint64_t from = page % SEAL_ID_PAGES == 0 ? 0 : (uint64_t)ends[page - 1];

    err = segment_read_part(sealed->segment, &info, from, &part);
    return err == VT_OK ? VT_AGAIN : err;
}

static bool
id_equal(const struct row_id *a, const struct row_id *b)
{
    return a->kind == b->kind && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

vt_err
sealed_id_span(const struct sealed *sealed, uint32_t page, const struct io_read *read, uint64_t key,
               struct sealed_id_place *place)
{
    uint64_t keys[ID_PAGE_IDS];
    uint32_t count = page_ids(sealed, page);
    struct vt_bytes bytes = {read->buffer, read->bytes};
    uint32_t first = 0;
    uint32_t end;

    vt_err err = read->err;

    while (err != VT_OK ||
           id_page_get_keys(page_seed(sealed, SEALED_ID_KEYS, page), bytes, count, keys) != VT_OK) {
        err = page_again(sealed, SEALED_ID_KEYS, page, read);
        if (err != VT_AGAIN)
            return err;
        err = VT_OK;
    }
    while (first < count && keys[first] < key)
        first++;
    for (end = first; end < count && keys[end] == key;)
        end++;
    if (first == end)
        return VT_NOT_FOUND;
    place->page = page;
    place->first = first;
    place->end = end;
    return VT_OK;
}

vt_err
sealed_id_row(const struct sealed *sealed, struct sealed_id_place *place,
              const struct io_read *read, const struct row_id *wanted)
{
    struct vt_bytes bytes = {read->buffer, read->bytes};
    uint8_t text[ID_PAGE_ID_BYTES];
    struct run_id entry;
    struct id_page ids;
    uint64_t offset = 0;

    vt_err err = read->err;

    while (err != VT_OK || id_page_open(page_seed(sealed, SEALED_ID_IDS, place->page), bytes,
                                        page_ids(sealed, place->page), &ids) != VT_OK) {
        err = page_again(sealed, SEALED_ID_IDS, place->page, read);
        if (err != VT_AGAIN)
            return err;
        err = VT_OK;
    }
    for (uint32_t i = id_page_skip(&ids, place->first, &offset); i < place->end; i++) {
        if (id_page_next(&ids, i, &offset, text, &entry) != VT_OK)
            return page_damaged(sealed, SEALED_ID_IDS, place->page);
        if (i < place->first || !id_equal(&entry.id, wanted))
            continue;
        if (entry.row >= sealed->rows)
            return sealed_damaged(sealed, "its id run does not fit its rows");
        place->first = i + 1;
        place->row = entry.row;
        return VT_OK;
    }
    return VT_NOT_FOUND;
}

uint32_t
sealed_id_guess(const struct sealed_directory *directory, uint64_t key)
{
    const int64_t *first = directory->id_first;
    uint32_t count = directory->id_page_count;
    uint32_t page = (uint32_t)((vt_u128)key * count >> DEDUP_KEY_BITS);

    VT_ASSERT(count > 0 && page < count);
    while (page > 0 && first[page] >= (int64_t)key)
        page--;
    while (page + 1 < count && first[page + 1] < (int64_t)key)
        page++;
    return page;
}

static vt_err
page_read(const struct sealed *sealed, struct arena *arena, enum sealed_id_column column,
          uint32_t page, struct io_read *read)
{
    vt_err err = sealed_id_plan(sealed, arena, column, page, read);

    if (err == VT_OK)
        read->err = io_read_at(read->file, read->buffer, read->bytes, read->offset);
    return err;
}

static vt_err
find_in_page(const struct sealed *sealed, const struct row_wanted *wanted, uint32_t page,
             struct arena *arena, struct row_block *out_row)
{
    struct sealed_id_place place = {0};
    struct io_read read = {0};
    vt_err err = page_read(sealed, arena, SEALED_ID_KEYS, page, &read);

    if (err == VT_OK)
        err = sealed_id_span(sealed, page, &read, dedup_key(wanted->identity), &place);
    if (err == VT_OK)
        err = page_read(sealed, arena, SEALED_ID_IDS, page, &read);
    while (err == VT_OK) {
        err = sealed_id_row(sealed, &place, &read, wanted->id);
        if (err != VT_OK)
            break;
        struct sealed_row_cache cache = {.arena = arena};

        err = sealed_fetch_row(sealed, wanted, place.row, &cache, out_row);
        if (err != VT_NOT_FOUND)
            return err;
        err = VT_OK; /* another tenant's or source's: look further */
    }
    return err;
}

vt_err
sealed_find(const struct sealed *sealed, const struct row_wanted *wanted, struct arena *arena,
            struct row_block *out_row)
{
    const struct sealed_directory *directory = NULL;
    uint64_t key = dedup_key(wanted->identity);
    vt_err err = sealed->identities == 0 ? VT_NOT_FOUND : sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    err = VT_NOT_FOUND;
    for (uint32_t page = sealed_id_guess(directory, key);
         err == VT_NOT_FOUND && page < directory->id_page_count &&
         directory->id_first[page] <= (int64_t)key;
         page++)
        err = find_in_page(sealed, wanted, page, arena, out_row);
    return err;
}

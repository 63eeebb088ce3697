/* batch_cache.c - see batch_cache.h. An entry is one arena, made anew where a frame differs. */
#include "batch_cache.h"

#include <stdlib.h>
#include <xxhash.h>

#include "batch_reader.h"
#include "dict.h"
#include "venturi/assert.h"

#define ENTRY_ARENA_BYTES (UINT64_C(64) << 10)

struct cached_column {
    enum wire_text kind;
    uint32_t count;        /* strings of the dictionary */
    struct vt_bytes bytes; /* of the dictionary, behind its head */
    uint32_t *map;         /* as in struct wire_strings */
    uint8_t *bad;
    bool any_bad;
    uint32_t first;         /* code of the first string that this dictionary brought */
    uint32_t string_count;  /* that it brought */
    struct vt_str *strings; /* of these, in `bytes` */
};

struct batch_cache_entry {
    struct arena arena;
    const struct catalog *catalog; /* NULL: the entry is empty */
    struct vt_str producer;
    struct vt_str type;
    uint64_t strings_id;
    uint32_t string_count; /* of the whole batch */
    uint32_t column_count;
    struct cached_column columns[BATCH_CACHE_COLUMNS_MAX];
    uint32_t *tenant; /* [strings of the first column] */
    uint32_t *partition;
};

struct batch_cache {
    struct batch_cache_entry entries[BATCH_CACHE_ENTRIES];
    struct batch_cache_entry *last; /* that was made */
};

vt_err
batch_cache_open(struct batch_cache **out_cache)
{
    struct batch_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < BATCH_CACHE_ENTRIES; i++)
        arena_init(&cache->entries[i].arena, ENTRY_ARENA_BYTES);
    *out_cache = cache;
    return VT_OK;
}

void
batch_cache_close(struct batch_cache *cache)
{
    if (cache == NULL)
        return;
    for (uint32_t i = 0; i < BATCH_CACHE_ENTRIES; i++)
        arena_deinit(&cache->entries[i].arena);
    free(cache);
}

void
batch_cache_begin(struct batch_reader *reader, struct vt_str type)
{
    const struct batch_options *options = reader->options;
    struct vt_str producer = options->producer;

    if (options->cache == NULL || options->allow_reserved_source)
        return;
    uint64_t hash = XXH3_64bits(producer.data, producer.size);

    hash = XXH3_64bits_withSeed(type.data, type.size, hash);
    reader->cache_place = &options->cache->entries[hash % BATCH_CACHE_ENTRIES];
    struct batch_cache_entry *entry = reader->cache_place;

    if (entry->catalog != options->catalog || !vt_str_equal(entry->producer, producer) ||
        !vt_str_equal(entry->type, type))
        return;
    if (string_table_room(&reader->strings, entry->string_count) == VT_OK)
        reader->cache_entry = entry;
}

bool
batch_cache_take(struct batch_reader *reader, enum wire_text kind, struct wire_strings *column)
{
    const struct batch_cache_entry *entry = reader->cache_entry;
    struct msgpack_cursor *cursor = &reader->cursor;

    if (entry == NULL)
        return false;
    uint32_t at = reader->dictionary_count;
    const struct cached_column *cached = &entry->columns[at];

    if (at >= entry->column_count || cached->kind != kind || cached->count != column->count ||
        cached->bytes.size > msgpack_cursor_left(cursor) ||
        memcmp(cursor->at, cached->bytes.data, cached->bytes.size) != 0) {
        reader->cache_entry = NULL;
        return false;
    }
    VT_ASSERT(reader->strings.count == cached->first);
    VT_ASSERT(cached->first + cached->string_count <= reader->strings.capacity);
    for (uint32_t i = 0; i < cached->string_count; i++) {
        struct vt_str text = cached->strings[i];

        text.data = (const char *)cursor->at + (text.data - (const char *)cached->bytes.data);
        reader->strings.strings[cached->first + i] = text;
    }
    reader->strings.count += cached->string_count;
    column->map = cached->map;
    column->bad = cached->bad;
    column->any_bad = cached->any_bad;
    column->tenant = at == 0 ? entry->tenant : NULL;
    column->partition = at == 0 ? entry->partition : NULL;
    cursor->at += cached->bytes.size;
    return true;
}

static bool
copy(struct arena *arena, const void *from, uint64_t bytes, void **out_copy)
{
    *out_copy = arena_alloc(arena, bytes);
    if (*out_copy != NULL && bytes > 0)
        memcpy(*out_copy, from, bytes);
    return *out_copy != NULL;
}

static bool
column_keep(struct arena *arena, const struct batch_reader *reader, const struct wire_strings *from,
            struct cached_column *out)
{
    void *bytes, *map, *bad, *strings;

    if (!copy(arena, from->dictionary.data, from->dictionary.size, &bytes) ||
        !copy(arena, from->map, UINT64_C(4) * from->count, &map) ||
        !copy(arena, from->bad, from->count, &bad) ||
        !copy(arena, reader->strings.strings + from->first,
              from->string_count * sizeof(struct vt_str), &strings))
        return false;
    *out = (struct cached_column){.kind = from->kind,
                                  .count = from->count,
                                  .bytes = {bytes, from->dictionary.size},
                                  .map = map,
                                  .bad = bad,
                                  .any_bad = from->any_bad,
                                  .first = from->first,
                                  .string_count = from->string_count,
                                  .strings = strings};
    for (uint32_t i = 0; i < out->string_count; i++) {
        ptrdiff_t offset = out->strings[i].data - (const char *)from->dictionary.data;

        VT_ASSERT(offset >= 0);
        VT_ASSERT((uint64_t)offset + out->strings[i].size <= from->dictionary.size);
        out->strings[i].data = (const char *)bytes + offset;
    }
    return true;
}

/* The same strings in the same order, though of another type: then codes are the same. */
static bool
entries_alike(const struct batch_cache_entry *a, const struct batch_cache_entry *b)
{
    if (a->catalog == NULL || a->string_count != b->string_count ||
        a->column_count != b->column_count || !vt_str_equal(a->producer, b->producer))
        return false;
    for (uint32_t i = 0; i < a->column_count; i++) {
        const struct vt_bytes *one = &a->columns[i].bytes, *other = &b->columns[i].bytes;

        if (a->columns[i].kind != b->columns[i].kind || one->size != other->size ||
            memcmp(one->data, other->data, one->size) != 0)
            return false;
    }
    return true;
}

static bool
entry_fill(struct batch_cache_entry *entry, const struct batch_reader *reader,
           const struct batch_cache_tenants *tenants, struct vt_str type)
{
    void *tenant, *partition;
    uint32_t count = reader->tenants.count;

    entry->producer = arena_copy(&entry->arena, reader->options->producer);
    entry->type = arena_copy(&entry->arena, type);
    if (entry->producer.data == NULL || entry->type.data == NULL ||
        !copy(&entry->arena, tenants->tenant, UINT64_C(4) * count, &tenant) ||
        !copy(&entry->arena, tenants->partition, UINT64_C(4) * count, &partition))
        return false;
    entry->tenant = tenant;
    entry->partition = partition;
    entry->string_count = reader->strings.count;
    entry->column_count = reader->dictionary_count;
    for (uint32_t i = 0; i < entry->column_count; i++)
        if (!column_keep(&entry->arena, reader, reader->dictionaries[i], &entry->columns[i]))
            return false;
    return true;
}

static bool
worth_keeping(const struct batch_reader *reader)
{
    uint64_t bytes = 0;
    uint64_t strings = 0;

    if (reader->dictionary_count > BATCH_CACHE_COLUMNS_MAX)
        return false;
    for (uint32_t i = 0; i < reader->dictionary_count; i++) {
        bytes += reader->dictionaries[i]->dictionary.size;
        strings += reader->dictionaries[i]->count;
    }
    return bytes <= BATCH_CACHE_BYTES_MAX && strings <= BATCH_CACHE_STRINGS_MAX;
}

void
batch_cache_end(struct batch_reader *reader, struct vt_str type)
{
    const struct batch_cache_tenants *tenants = &reader->cache_tenants;
    struct batch_cache_entry *entry = reader->cache_place;
    struct batch_cache *cache = reader->options->cache;

    if (entry == NULL)
        return;
    if (reader->cache_entry != NULL && reader->dictionary_count == entry->column_count &&
        reader->strings.count == entry->string_count) {
        reader->batch->strings_id = entry->strings_id;
        return;
    }
    if (!worth_keeping(reader))
        return;
    struct arena before = entry->arena; /* what was taken from it is still read by entry_fill */

    arena_init(&entry->arena, ENTRY_ARENA_BYTES);
    entry->catalog = NULL;
    if (cache->last == entry)
        cache->last = NULL;
    if (entry_fill(entry, reader, tenants, type)) {
        entry->catalog = reader->options->catalog;
        entry->strings_id = cache->last != NULL && entries_alike(cache->last, entry)
                                ? cache->last->strings_id
                                : dict_new_id();
        reader->batch->strings_id = entry->strings_id;
        cache->last = entry;
    }
    arena_deinit(&before);
}

/* sealed.c - see sealed.h: opening, chunks, the directory that is loaded on first use. */
#include "sealed.h"

#include <stdlib.h>
#include <string.h>

#include "sealed_internal.h"
#include "venturi/assert.h"

#define DIRECTORY_ARENA_BYTES (UINT64_C(64) << 10)

/* Identities of dictionaries for caches: segments and epochs must not share numbers, so segments
 * have the top bit. */
static _Atomic uint64_t sealed_dict_ids = UINT64_C(1) << 63;

vt_err
sealed_damaged(const struct sealed *sealed, const char *what)
{
    (void)vt_err_detail(VT_DAMAGED, "%s: %s", segment_path(sealed->segment), what);
    return VT_DAMAGED;
}

static vt_err
meta_read(struct sealed *sealed)
{
    struct chunk_info info;
    struct seal_meta meta;
    struct chunk_key key = {.kind = SEAL_META};
    vt_err err = segment_find(sealed->segment, key, &info);

    if (err == VT_OK && info.count != sizeof meta)
        err = VT_NOT_FOUND;
    if (err == VT_OK)
        err = segment_read_bytes(sealed->segment, &info, (uint8_t *)&meta);
    if (err == VT_NOT_FOUND || (err == VT_OK && le32_get(meta.magic) != SEAL_MAGIC))
        return sealed_damaged(sealed, "it has no description of rows");
    if (err != VT_OK)
        return err;
    if (le32_get(meta.version) != SEAL_VERSION)
        return vt_err_detail(VT_BAD_VERSION, "%s: rows of version %u",
                             segment_path(sealed->segment), le32_get(meta.version));
    if (memcmp(meta.catalog, sealed->catalog->sha256, sizeof meta.catalog) != 0)
        return sealed_damaged(sealed, "another catalog judged its rows");
    sealed->rows = le64_get(meta.rows);
    sealed->identities = le64_get(meta.identities);
    sealed->cells = le64_get(meta.cells);
    sealed->strings = le32_get(meta.strings);
    sealed->groups = le32_get(meta.groups);
    sealed->blocks = le32_get(meta.blocks);
    sealed->exceptions = le32_get(meta.exceptions);
    sealed->settles = le32_get(meta.settles);
    sealed->feed = le32_get(meta.feed);
    return VT_OK;
}

vt_err
sealed_open(struct io *io, const struct store_segment *segment, const struct catalog *catalog,
            struct sealed **out_sealed)
{
    VT_ASSERT(catalog != NULL);
    struct sealed *sealed = calloc(1, sizeof *sealed);

    if (sealed == NULL)
        return VT_NOMEM;
    atomic_store_explicit(&sealed->references, 1, memory_order_relaxed);
    pthread_mutex_init(&sealed->lock, NULL);
    sealed->catalog = catalog;
    sealed->dict_id = atomic_fetch_add_explicit(&sealed_dict_ids, 1, memory_order_relaxed);
    vt_err err = segment_open(io, segment->path, &segment->id, &sealed->segment);

    if (err == VT_OK && segment->check != 0 && segment->check != segment_check(sealed->segment))
        err = sealed_damaged(sealed, "it is not the file that the manifest names");
    if (err == VT_OK)
        err = meta_read(sealed);
    if (err != VT_OK) {
        sealed_put(sealed);
        return err;
    }
    *out_sealed = sealed;
    return VT_OK;
}

struct sealed *
sealed_get(struct sealed *sealed)
{
    uint32_t before = atomic_fetch_add_explicit(&sealed->references, 1, memory_order_relaxed);

    VT_ASSERT(before > 0);
    return sealed;
}

void
sealed_put(struct sealed *sealed)
{
    if (sealed == NULL)
        return;
    /* Acquires the other holders' releases: their reads are over. */
    uint32_t before = atomic_fetch_sub_explicit(&sealed->references, 1, memory_order_acq_rel);

    VT_ASSERT(before > 0);
    if (before > 1)
        return;
    struct sealed_directory *directory =
        atomic_load_explicit(&sealed->loaded, memory_order_relaxed);

    if (directory != NULL) {
        arena_deinit(&directory->arena);
        free(directory);
    }
    segment_close(sealed->segment);
    pthread_mutex_destroy(&sealed->lock);
    free(sealed);
}

void
sealed_set_guard(struct sealed *sealed, const struct segment_guard *guard)
{
    segment_set_guard(sealed->segment, guard);
}

const struct segment_id *
sealed_id(const struct sealed *sealed)
{
    return segment_identity(sealed->segment);
}

const struct catalog *
sealed_catalog(const struct sealed *sealed)
{
    return sealed->catalog;
}

uint64_t
sealed_row_count(const struct sealed *sealed)
{
    return sealed->rows;
}

uint64_t
sealed_identity_count(const struct sealed *sealed)
{
    return sealed->identities;
}

vt_err
sealed_integers(const struct sealed *sealed, struct arena *arena, struct chunk_key key,
                uint32_t count, const int64_t **out_values)
{
    struct chunk_info info;

    if (count == 0) {
        *out_values = NULL;
        return VT_OK;
    }
    vt_err err = segment_find(sealed->segment, key, &info);

    if (err == VT_NOT_FOUND || (err == VT_OK && info.count != count))
        return sealed_damaged(sealed, "a column is missing or of another length");
    if (err != VT_OK)
        return err;
    int64_t *values = arena_alloc(arena, (uint64_t)count * sizeof *values);

    if (values == NULL)
        return VT_NOMEM;
    *out_values = values;
    return segment_read_integers(sealed->segment, &info, values);
}

vt_err
sealed_codes(const struct sealed *sealed, struct arena *arena, struct chunk_key key, uint32_t count,
             const uint32_t **out_codes)
{
    const int64_t *values = NULL;
    vt_err err = sealed_integers(sealed, arena, key, count, &values);
    uint32_t *codes = arena_alloc(arena, (uint64_t)count * sizeof *codes);
    uint64_t worst = 0;

    if (err != VT_OK)
        return err;
    if (codes == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = (uint64_t)values[i];

        worst = value > worst ? value : worst;
        codes[i] = (uint32_t)value;
    }
    if (count > 0 && worst >= sealed->strings)
        return sealed_damaged(sealed, "a code is beyond the dictionary");
    *out_codes = codes;
    return VT_OK;
}

vt_err
sealed_flags(const struct sealed *sealed, struct arena *arena, struct chunk_key key, uint32_t count,
             const uint8_t **out_flags)
{
    const int64_t *values = NULL;
    vt_err err = sealed_integers(sealed, arena, key, count, &values);
    uint8_t *flags = arena_alloc(arena, count);

    if (err != VT_OK)
        return err;
    if (flags == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        flags[i] = values[i] != 0;
    *out_flags = flags;
    return VT_OK;
}

vt_err
sealed_bytes(const struct sealed *sealed, struct arena *arena, struct chunk_key key,
             struct vt_bytes *out_bytes)
{
    struct chunk_info info;
    vt_err err = segment_find(sealed->segment, key, &info);

    if (err == VT_NOT_FOUND) {
        *out_bytes = (struct vt_bytes){NULL, 0};
        return VT_OK;
    }
    uint8_t *bytes = err == VT_OK ? arena_alloc(arena, info.count) : NULL;

    if (err != VT_OK)
        return err;
    if (bytes == NULL)
        return VT_NOMEM;
    err = segment_read_bytes(sealed->segment, &info, bytes);
    *out_bytes = (struct vt_bytes){bytes, info.count};
    return err;
}

static vt_err
strings_load(const struct sealed *sealed, struct arena *arena, uint32_t block, struct vt_str *dict)
{
    uint32_t first = block * SEAL_STRINGS_BLOCK;
    uint32_t count =
        sealed->strings - first < SEAL_STRINGS_BLOCK ? sealed->strings - first : SEAL_STRINGS_BLOCK;
    struct chunk_key key = {.kind = SEAL_STRINGS, .block = block};
    const int64_t *lengths = NULL;
    struct vt_bytes piece = {NULL, 0};
    uint64_t at = 0;
    vt_err err = sealed_integers(sealed, arena, key, count, &lengths);

    /* The bytes may come in several pieces; a string may span two. */
    for (uint32_t i = 0; err == VT_OK && i < count; i++) {
        uint64_t size = (uint64_t)lengths[i];
        char *text = size > VT_TEXT_BYTES_MAX ? NULL : arena_alloc(arena, size);

        if (size > VT_TEXT_BYTES_MAX)
            return sealed_damaged(sealed, "a string is longer than any may be");
        if (text == NULL)
            return VT_NOMEM;
        for (uint64_t done = 0; err == VT_OK && done < size;) {
            if (at == piece.size) {
                key.column++;
                at = 0;
                err = sealed_bytes(sealed, arena, key, &piece);
                if (err == VT_OK && piece.size == 0)
                    err = sealed_damaged(sealed, "the dictionary is cut short");
                continue;
            }
            uint64_t take = size - done < piece.size - at ? size - done : piece.size - at;

            memcpy(text + done, piece.data + at, take);
            done += take;
            at += take;
        }
        dict[first + i] = (struct vt_str){text, (uint32_t)size};
    }
    return err;
}

static vt_err
dict_load(const struct sealed *sealed, struct sealed_directory *directory)
{
    struct vt_str *dict = arena_alloc(&directory->arena, (uint64_t)sealed->strings * sizeof *dict);
    vt_err err = dict == NULL ? VT_NOMEM : VT_OK;
    uint32_t blocks = (sealed->strings + SEAL_STRINGS_BLOCK - 1) / SEAL_STRINGS_BLOCK;

    for (uint32_t block = 0; err == VT_OK && block < blocks; block++)
        err = strings_load(sealed, &directory->arena, block, dict);
    directory->dict = dict;
    return err;
}

vt_err
sealed_columns(const struct sealed *sealed, struct arena *arena, const struct sealed_table *table,
               const int64_t **out_columns)
{
    vt_err err = VT_OK;

    for (uint32_t c = 0; err == VT_OK && c < table->columns; c++) {
        struct chunk_key key = {.kind = table->kind, .column = c, .block = table->block};

        err = sealed_integers(sealed, arena, key, table->rows, &out_columns[c]);
    }
    return err;
}

/* Groups and blocks lie within the rows, blocks without gaps: the scans rely on it. */
static vt_err
directory_check(const struct sealed *sealed, const struct sealed_directory *directory)
{
    int64_t next = 0;

    for (uint32_t b = 0; b < directory->block_count; b++) {
        if (directory->block_first[b] != next || directory->block_rows[b] <= 0 ||
            directory->block_rows[b] > SEAL_ROW_BLOCK || directory->block_type[b] < 0 ||
            directory->block_type[b] >= sealed->catalog->type_count)
            return sealed_damaged(sealed, "its blocks are not in order");
        next += directory->block_rows[b];
    }
    if ((uint64_t)next != sealed->rows)
        return sealed_damaged(sealed, "its blocks do not cover its rows");
    next = 0;
    for (uint32_t g = 0; g < directory->group_count; g++) {
        if (directory->group_first[g] != next || directory->group_rows[g] <= 0 ||
            directory->group_tenant[g] < 0 ||
            directory->group_tenant[g] >= sealed->catalog->tenant_count ||
            directory->group_type[g] < 0 ||
            directory->group_type[g] >= sealed->catalog->type_count ||
            directory->group_stubs[g] <= 0 || directory->group_stubs[g] > directory->group_rows[g])
            return sealed_damaged(sealed, "its groups are not in order");
        next += directory->group_rows[g];
    }
    return (uint64_t)next == sealed->rows
               ? VT_OK
               : sealed_damaged(sealed, "its groups do not cover its rows");
}

/* Places of pages ascend within their chunks, and there are as many as the ids need. */
static vt_err
id_places_load(const struct sealed *sealed, struct sealed_directory *directory)
{
    const int64_t *places[SEAL_ID_PLACE_COLUMNS] = {NULL};
    uint64_t count = (sealed->identities + ID_PAGE_IDS - 1) / ID_PAGE_IDS;
    struct sealed_table table = {SEAL_ID_PLACES, SEAL_ID_PLACE_COLUMNS, (uint32_t)count, 0};

    if (count > SEAL_ID_PAGES_MAX)
        return sealed_damaged(sealed, "it has more ids than any may");
    vt_err err = sealed_columns(sealed, &directory->arena, &table, places);

    for (uint32_t page = 0; err == VT_OK && page < count; page++) {
        bool first = page % SEAL_ID_PAGES == 0;
        int64_t keys = places[SEAL_ID_KEYS_END][page];
        int64_t ids = places[SEAL_ID_IDS_END][page];

        if (keys > UINT32_MAX || ids > UINT32_MAX ||
            keys <= (first ? 0 : places[SEAL_ID_KEYS_END][page - 1]) ||
            ids <= (first ? 0 : places[SEAL_ID_IDS_END][page - 1]) ||
            (page > 0 && places[SEAL_ID_FIRST][page] < places[SEAL_ID_FIRST][page - 1]))
            err = sealed_damaged(sealed, "the pages of its id run are not in order");
    }
    directory->id_page_count = (uint32_t)count;
    directory->id_first = places[SEAL_ID_FIRST];
    directory->id_keys_end = places[SEAL_ID_KEYS_END];
    directory->id_ids_end = places[SEAL_ID_IDS_END];
    return err;
}

static vt_err
directory_load(const struct sealed *sealed, struct sealed_directory *directory)
{
    const int64_t *groups[SEAL_GROUP_COLUMNS] = {NULL};
    const int64_t *blocks[3] = {NULL};
    const struct sealed_table group_table = {SEAL_GROUPS, VT_COUNT(groups), sealed->groups, 0};
    const struct sealed_table block_table = {SEAL_BLOCKS, VT_COUNT(blocks), sealed->blocks, 0};

    arena_init(&directory->arena, DIRECTORY_ARENA_BYTES);
    directory->group_count = sealed->groups;
    directory->block_count = sealed->blocks;
    vt_err err = sealed_columns(sealed, &directory->arena, &group_table, groups);

    if (err == VT_OK)
        err = sealed_columns(sealed, &directory->arena, &block_table, blocks);
    directory->group_type = groups[SEAL_GROUP_TYPE];
    directory->group_tenant = groups[SEAL_GROUP_TENANT];
    directory->group_first = groups[SEAL_GROUP_FIRST];
    directory->group_rows = groups[SEAL_GROUP_ROWS];
    directory->group_stubs = groups[SEAL_GROUP_STUBS];
    directory->block_type = blocks[0];
    directory->block_first = blocks[1];
    directory->block_rows = blocks[2];
    if (err == VT_OK)
        err = directory_check(sealed, directory);
    if (err == VT_OK)
        err = id_places_load(sealed, directory);
    if (err == VT_OK)
        err = dict_load(sealed, directory);
    return err;
}

vt_err
sealed_load(const struct sealed *sealed, const struct sealed_directory **out_directory)
{
    /* The cache is the one thing that a reader may fill in; what is read does not change by it. */
    struct sealed *cache = vt_owned(sealed);
    struct sealed_directory *directory = atomic_load_explicit(&cache->loaded, memory_order_acquire);
    vt_err err = VT_OK;

    if (directory == NULL) {
        pthread_mutex_lock(&cache->lock);
        directory = atomic_load_explicit(&cache->loaded, memory_order_relaxed);
        if (directory == NULL) {
            directory = calloc(1, sizeof *directory);
            err = directory == NULL ? VT_NOMEM : directory_load(sealed, directory);
            if (err == VT_OK) {
                atomic_store_explicit(&cache->loaded, directory, memory_order_release);
            } else if (directory != NULL) {
                arena_deinit(&directory->arena);
                free(directory);
            }
        }
        pthread_mutex_unlock(&cache->lock);
    }
    if (err == VT_OK)
        *out_directory = directory;
    return err;
}

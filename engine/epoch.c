/* epoch.c - see epoch.h. Opening, appending, freezing and marks; epoch_identity.c finds rows,
 * epoch_scan.c reads them. */
#include "epoch.h"

#include <stdlib.h>
#include <string.h>

#include "epoch_private.h"
#include "venturi/assert.h"

#define EPOCH_ARENA_BYTES (UINT64_C(256) << 10)

static vt_err
epoch_parts_open(struct epoch *epoch)
{
    epoch->tables = calloc(epoch->catalog->type_count + 1, sizeof *epoch->tables);
    epoch->lists = calloc(1, sizeof *epoch->lists);
    epoch->memo = calloc(1, sizeof *epoch->memo);
    epoch->cells_rows = calloc(epoch->catalog->type_count + 1, sizeof *epoch->cells_rows);
    if (epoch->tables == NULL || epoch->lists == NULL || epoch->memo == NULL ||
        epoch->cells_rows == NULL)
        return VT_NOMEM;
    epoch->lists->exceptions.item_bytes = sizeof(struct exception_entry);
    epoch->lists->settles.item_bytes = sizeof(struct settle_entry);
    epoch->lists->feed.item_bytes = sizeof(struct feed_entry);
    vt_err err = dict_open(&epoch->dict);

    if (err == VT_OK)
        err = identity_map_open(&epoch->identities);
    if (err == VT_OK)
        err = cells_open(epoch->catalog, epoch->dict, &epoch->cells);
    return err;
}

vt_err
epoch_open(const struct epoch_options *options, struct epoch **out_epoch)
{
    struct epoch *epoch = calloc(1, sizeof *epoch);

    VT_ASSERT(options->catalog != NULL);
    if (epoch == NULL)
        return VT_NOMEM;
    atomic_init(&epoch->references, 1);
    epoch->partition = options->partition;
    epoch->catalog = options->catalog;
    epoch->first_commit = options->first_commit;
    epoch->first_position = options->first_position;
    arena_init(&epoch->arena, EPOCH_ARENA_BYTES);
    vt_err err = epoch_parts_open(epoch);

    if (err != VT_OK) {
        epoch_put(epoch);
        return err;
    }
    *out_epoch = epoch;
    return VT_OK;
}

struct epoch *
epoch_get(struct epoch *epoch)
{
    uint32_t before = atomic_fetch_add_explicit(&epoch->references, 1, memory_order_relaxed);

    VT_ASSERT(before > 0);
    return epoch;
}

static void
memo_close(struct epoch *epoch)
{
    if (epoch->memo != NULL)
        free(epoch->memo->entries);
    free(epoch->memo);
    epoch->memo = NULL;
}

static void
table_free(struct row_table *table)
{
    for (uint32_t i = 0; i < EPOCH_CHUNKS_MAX && table->chunks[i] != NULL; i++) {
        free(atomic_load_explicit(&table->chunks[i]->identity, memory_order_relaxed));
        free(atomic_load_explicit(&table->chunks[i]->extra, memory_order_relaxed));
        free(table->chunks[i]);
    }
}

void
epoch_put(struct epoch *epoch)
{
    if (epoch == NULL)
        return;
    /* Release what this holder did, acquire what the others did: the last one frees it all. */
    uint32_t before = atomic_fetch_sub_explicit(&epoch->references, 1, memory_order_acq_rel);

    VT_ASSERT(before > 0);
    if (before > 1)
        return;
    cells_close(epoch->cells);
    free(epoch->cells_rows);
    identity_map_close(epoch->identities);
    dict_close(epoch->dict);
    memo_close(epoch);
    if (epoch->lists != NULL) {
        chunk_list_deinit(&epoch->lists->exceptions);
        chunk_list_deinit(&epoch->lists->settles);
        chunk_list_deinit(&epoch->lists->feed);
    }
    free(epoch->lists);
    for (uint32_t type = 0; epoch->tables != NULL && type < epoch->catalog->type_count; type++)
        table_free(&epoch->tables[type]);
    free(epoch->tables);
    arena_deinit(&epoch->arena);
    free(epoch);
}

void
epoch_freeze(struct epoch *epoch, const struct epoch_freeze_at *at)
{
    VT_ASSERT(!epoch->frozen);
    epoch->last_commit = at->commit;
    epoch->last_position = at->position;
    epoch->last_arrival_us = at->arrival_us;
    epoch->frozen = true;
    memo_close(epoch);
}

bool
epoch_is_empty(const struct epoch *epoch)
{
    VT_ASSERT(epoch->frozen);
    for (uint32_t type = 0; type < epoch->catalog->type_count; type++)
        if (epoch->tables[type].row_count > 0)
            return false;
    return epoch->lists->exceptions.count == 0 && epoch->lists->settles.count == 0 &&
           epoch->lists->feed.count == 0;
}

/* --- appending */

/* One piece for all columns but identity and extra, not zeroed: a row is written before it is
 * counted. Untouched pages of it are not resident, so a partition with few rows of many types stays
 * small; those that were, the allocator hands out again. Columns in the order of falling
 * alignment. */
static struct row_chunk *
chunk_open(const struct catalog_type *type)
{
    uint64_t slots = type->field_count;
    uint64_t decimals = 0;

    for (uint32_t s = 0; s < slots; s++)
        decimals += type->fields[s].kind == FIELD_DECIMAL;
    uint64_t row_bytes = sizeof(uint64_t) + sizeof(int64_t) + 16 + sizeof(uint16_t) + 1 +
                         2 * sizeof(uint32_t) + decimals * (sizeof(int64_t) + 1) +
                         (slots - decimals) * sizeof(uint32_t);
    uint64_t head = sizeof(struct row_chunk) + 3 * slots * sizeof(void *);

    head = (head + 63) & ~UINT64_C(63);
    uint8_t *at = malloc(head + row_bytes * EPOCH_CHUNK_ROWS);

    if (at == NULL)
        return NULL;
    memset(at, 0, head);
    struct row_chunk *chunk = (struct row_chunk *)(void *)at;

    chunk->value = (int64_t **)(void *)(at + sizeof *chunk);
    chunk->present = (uint8_t **)(void *)(chunk->value + slots);
    chunk->code = (uint32_t **)(void *)(chunk->present + slots);
    at += head;
#define COLUMN(pointer)                                \
    do {                                               \
        (pointer) = (void *)at;                        \
        at += sizeof((pointer)[0]) * EPOCH_CHUNK_ROWS; \
    } while (0)
    COLUMN(chunk->id.bytes);
    COLUMN(chunk->position);
    COLUMN(chunk->time_us);
    for (uint32_t s = 0; s < slots; s++)
        if (type->fields[s].kind == FIELD_DECIMAL)
            COLUMN(chunk->value[s]);
    COLUMN(chunk->tenant);
    COLUMN(chunk->source);
    for (uint32_t s = 0; s < slots; s++)
        if (type->fields[s].kind == FIELD_STRING)
            COLUMN(chunk->code[s]);
    COLUMN(chunk->id.size);
    COLUMN(chunk->id.kind);
    for (uint32_t s = 0; s < slots; s++)
        if (type->fields[s].kind == FIELD_DECIMAL)
            COLUMN(chunk->present[s]);
#undef COLUMN
    return chunk;
}

vt_err
epoch_batch_begin(struct epoch *epoch, const struct batch *batch)
{
    struct code_memo *memo = epoch->memo;

    VT_ASSERT(!epoch->frozen);
    VT_ASSERT(batch->catalog == epoch->catalog);
    if (batch->strings_id != 0 && batch->strings_id == memo->strings_id)
        return VT_OK; /* the strings of the batch before */
    if (memo->capacity < batch->string_count || memo->generation == UINT32_MAX) {
        uint64_t capacity = 256;

        while (capacity < batch->string_count)
            capacity *= 2;
        struct code_memo_entry *entries = calloc(capacity, sizeof *entries);

        if (entries == NULL)
            return VT_NOMEM;
        free(memo->entries);
        *memo = (struct code_memo){.capacity = (uint32_t)capacity, .entries = entries};
    }
    memo->generation++;
    memo->strings_id = batch->strings_id;
    return VT_OK;
}

static vt_err
epoch_code(struct epoch *epoch, const struct batch *batch, uint32_t batch_code, uint32_t *out_code)
{
    struct code_memo_entry *entry = &epoch->memo->entries[batch_code];

    VT_ASSERT(batch_code < batch->string_count);
    if (entry->generation != epoch->memo->generation) {
        uint32_t code;
        vt_err err = dict_code(epoch->dict, batch->strings[batch_code], &code);

        if (err != VT_OK)
            return err;
        *entry = (struct code_memo_entry){epoch->memo->generation, code};
    }
    *out_code = entry->code;
    return VT_OK;
}

/* The dictionary's codes of a column of the batch. One string often stands many times in a row. */
static vt_err
append_codes(struct epoch *epoch, const struct epoch_rows *rows, const uint32_t *column,
             uint32_t *out)
{
    const struct batch *batch = rows->batch;
    uint32_t last = UINT32_MAX;
    uint32_t code = 0;

    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t batch_code = column[rows->index[i]];

        if (batch_code != last) {
            vt_err err = epoch_code(epoch, batch, batch_code, &code);

            if (err != VT_OK)
                return err;
            last = batch_code;
        }
        out[i] = code;
    }
    return VT_OK;
}

static vt_err
append_fields(struct epoch *epoch, const struct epoch_rows *rows, struct row_chunk *chunk,
              uint32_t at)
{
    const struct batch *batch = rows->batch;
    const struct catalog_type *type = &epoch->catalog->types[batch->type[rows->index[0]]];

    for (uint32_t s = 0; s < type->field_count; s++) {
        if (type->fields[s].kind == FIELD_DECIMAL) {
            VT_ASSERT(chunk->present[s] != NULL && chunk->value[s] != NULL);
            const uint8_t *present = batch->decimal_present[s];
            const int64_t *value = batch->decimal_value[s];

            for (uint32_t i = 0; i < rows->count; i++) {
                chunk->present[s][at + i] = present[rows->index[i]];
                chunk->value[s][at + i] = present[rows->index[i]] ? value[rows->index[i]] : 0;
            }
            continue;
        }
        VT_ASSERT(chunk->code[s] != NULL);
        vt_err err = append_codes(epoch, rows, batch->string_code[s], chunk->code[s] + at);

        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

/* Numbers in place of ids: epoch and sequence. */
static void
append_sequences(const struct epoch_rows *rows, const struct id_column *out, uint32_t at)
{
    const struct batch *batch = rows->batch;
    const le64 epoch = le64_put(batch->epoch);

    for (uint32_t i = 0; i < rows->count; i++) {
        le64 sequence = le64_put(batch->sequence + rows->index[i]);

        memcpy(out->bytes[at + i], &epoch, sizeof epoch);
        memcpy(out->bytes[at + i] + sizeof epoch, &sequence, sizeof sequence);
        out->size[at + i] = 16;
    }
    memset(out->kind + at, ROW_ID_SEQUENCE, rows->count);
}

static vt_err
append_ids(struct epoch *epoch, const struct epoch_rows *rows, const struct id_column *out,
           uint32_t at)
{
    const struct row_id *ids = rows->batch->id;
    uint64_t bytes = 0; /* of texts, in one piece */

    if (rows->batch->plain) {
        append_sequences(rows, out, at);
        return VT_OK;
    }
    for (uint32_t i = 0; i < rows->count; i++)
        bytes += ids[rows->index[i]].kind == ROW_ID_TEXT ? ids[rows->index[i]].size : 0;
    uint8_t *data = bytes == 0 ? NULL : arena_alloc(&epoch->arena, bytes);

    if (data == NULL && bytes > 0)
        return VT_NOMEM;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct row_id id = ids[rows->index[i]];

        if (id.kind == ROW_ID_TEXT) {
            VT_ASSERT(id.size > 0);
            memcpy(data, id.data, id.size);
            id.data = data;
            data += id.size;
        }
        id_column_put(out, at + i, &id);
    }
    return VT_OK;
}

static vt_err
append_identity_column(const struct epoch_rows *rows, struct row_chunk *chunk, uint32_t at)
{
    struct vt_hash128 *column = atomic_load_explicit(&chunk->identity, memory_order_relaxed);

    if (column == NULL && rows->identity == NULL)
        return VT_OK;
    if (column == NULL) {
        column = calloc(EPOCH_CHUNK_ROWS, sizeof *column);
        if (column == NULL)
            return VT_NOMEM;
        /* Pairs with the acquire of a reader, whose own rows may have none. */
        atomic_store_explicit(&chunk->identity, column, memory_order_release);
    }
    if (rows->identity != NULL)
        memcpy(&column[at], rows->identity, rows->count * sizeof *column);
    return VT_OK;
}

static vt_err
append_extra(struct epoch *epoch, struct vt_bytes extra, struct row_chunk *chunk, uint32_t at)
{
    struct vt_bytes *column = atomic_load_explicit(&chunk->extra, memory_order_relaxed);

    if (column == NULL) {
        column = calloc(EPOCH_CHUNK_ROWS, sizeof *column);
        if (column == NULL)
            return VT_NOMEM;
        /* Pairs with the acquire of a reader, whose own rows may have none. */
        atomic_store_explicit(&chunk->extra, column, memory_order_release);
    }
    uint8_t *copy = arena_alloc(&epoch->arena, extra.size);

    if (copy == NULL)
        return VT_NOMEM;
    memcpy(copy, extra.data, extra.size);
    column[at] = (struct vt_bytes){copy, extra.size};
    return VT_OK;
}

static vt_err
append_extras(struct epoch *epoch, const struct epoch_rows *rows, struct row_chunk *chunk,
              uint32_t at)
{
    const struct vt_bytes *extra = rows->batch->extra;
    vt_err err = VT_OK;

    for (uint32_t i = 0; extra != NULL && err == VT_OK && i < rows->count; i++)
        if (extra[rows->index[i]].size > 0)
            err = append_extra(epoch, extra[rows->index[i]], chunk, at + i);
    return err;
}

/* Column by column; the rows fit the chunk. */
static vt_err
append_run(struct epoch *epoch, const struct epoch_rows *rows, struct row_chunk *chunk, uint32_t at)
{
    const struct batch *batch = rows->batch;

    VT_ASSERT(chunk != NULL);
    VT_ASSERT(at + rows->count <= EPOCH_CHUNK_ROWS);
    VT_ASSERT(at == 0 || chunk->position[at - 1] < batch->first_position + rows->index[0]);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t index = rows->index[i];

        chunk->position[at + i] = batch->first_position + index;
        chunk->tenant[at + i] = batch->tenant[index];
        chunk->time_us[at + i] = batch->time_us[index];
    }
    vt_err err = append_identity_column(rows, chunk, at);

    if (err == VT_OK)
        err = append_ids(epoch, rows, &chunk->id, at);
    if (err == VT_OK)
        err = append_codes(epoch, rows, batch->source, &chunk->source[at]);
    if (err == VT_OK)
        err = append_fields(epoch, rows, chunk, at);
    if (err == VT_OK)
        err = append_extras(epoch, rows, chunk, at);
    return err;
}

static vt_err
append_identities(struct epoch *epoch, const struct epoch_rows *rows, row_ref first)
{
    vt_err err = VT_OK;

    for (uint32_t i = 0; rows->identity != NULL && err == VT_OK && i < rows->count; i++)
        if (rows->batch->id[rows->index[i]].kind != ROW_ID_SEQUENCE)
            err = identity_map_add(epoch, &rows->identity[i], first + i);
    return err;
}

/* The chunk of the next row of the type. */
static vt_err
chunk_of_next(struct epoch *epoch, uint32_t type, struct row_chunk **out_chunk)
{
    struct row_table *table = &epoch->tables[type];
    uint32_t chunk = table->row_count / EPOCH_CHUNK_ROWS;

    if (chunk >= EPOCH_CHUNKS_MAX)
        return vt_err_detail(VT_FULL, "an epoch has %u rows of one type", table->row_count);
    if (table->chunks[chunk] == NULL) {
        table->chunks[chunk] = chunk_open(&epoch->catalog->types[type]);
        if (table->chunks[chunk] == NULL)
            return VT_NOMEM;
    }
    *out_chunk = table->chunks[chunk];
    return VT_OK;
}

vt_err
epoch_append_rows(struct epoch *epoch, const struct epoch_rows *rows, row_ref *out_first)
{
    VT_ASSERT(rows->count > 0);
    VT_ASSERT(rows->identity != NULL || rows->batch->plain);
    uint32_t type = rows->batch->type[rows->index[0]];

    VT_ASSERT(!epoch->frozen);
    VT_ASSERT(type < epoch->catalog->type_count);
    struct row_table *table = &epoch->tables[type];
    row_ref ref = (uint64_t)type << 32 | table->row_count;

    for (uint32_t done = 0; done < rows->count;) {
        struct row_chunk *chunk = NULL;
        uint32_t at = table->row_count % EPOCH_CHUNK_ROWS;
        struct epoch_rows run = {.batch = rows->batch,
                                 .count = rows->count - done,
                                 .index = rows->index + done,
                                 .identity = rows->identity == NULL ? NULL : rows->identity + done};

        if (run.count > EPOCH_CHUNK_ROWS - at)
            run.count = EPOCH_CHUNK_ROWS - at;
        vt_err err = chunk_of_next(epoch, type, &chunk);

        if (err == VT_OK)
            err = append_run(epoch, &run, chunk, at);
        if (err == VT_OK)
            err = append_identities(epoch, &run, ref + done);
        if (err != VT_OK)
            return err;
        table->row_count += run.count;
        done += run.count;
    }
    *out_first = ref;
    return VT_OK;
}

vt_err
epoch_append(struct epoch *epoch, const struct batch *batch, uint32_t index,
             const struct vt_hash128 *identity, row_ref *out_row)
{
    struct epoch_rows rows = {
        .batch = batch, .count = 1, .index = &index, .identity = batch->plain ? NULL : identity};

    return epoch_append_rows(epoch, &rows, out_row);
}

/* --- cells */

void
epoch_cell_rows(const struct epoch *epoch, uint32_t type, const struct row_chunk *chunk,
                struct cell_rows *out_rows)
{
    *out_rows = (struct cell_rows){
        .type = type,
        .tenant = chunk->tenant,
        .time_us = chunk->time_us,
        .source = chunk->source,
        .id = chunk->id,
        .slot_count = epoch->catalog->types[type].field_count,
        .value = chunk->value,
        .present = chunk->present,
        .code = chunk->code,
    };
}

/* Rows of the type that are not in the cells yet, a chunk at a time. */
static vt_err
cells_catch_up(struct epoch *epoch, uint32_t type)
{
    const struct row_table *table = &epoch->tables[type];

    while (epoch->cells_rows[type] < table->row_count) {
        uint32_t done = epoch->cells_rows[type];
        uint32_t at = done % EPOCH_CHUNK_ROWS;
        uint32_t left = table->row_count - done;
        const struct row_chunk *chunk = table->chunks[done / EPOCH_CHUNK_ROWS];
        struct cell_rows rows;

        epoch_cell_rows(epoch, type, chunk, &rows);
        rows.first = at;
        rows.count = left < EPOCH_CHUNK_ROWS - at ? left : EPOCH_CHUNK_ROWS - at;
        vt_err err = cells_add_rows(epoch->cells, &rows);

        if (err != VT_OK)
            return err;
        epoch->cells_rows[type] += rows.count;
    }
    return VT_OK;
}

vt_err
epoch_cells(struct epoch *epoch, struct cells **out_cells)
{
    vt_err err = VT_OK;

    for (uint32_t type = 0; err == VT_OK && type < epoch->catalog->type_count; type++)
        err = cells_catch_up(epoch, type);
    if (err == VT_OK)
        *out_cells = epoch->cells;
    return err;
}

/* --- lists */

/* A copy whose bytes are the epoch's. */
static vt_err
epoch_keep(struct epoch *epoch, struct vt_bytes *bytes)
{
    uint8_t *copy = arena_alloc(&epoch->arena, bytes->size);

    if (copy == NULL)
        return VT_NOMEM;
    if (bytes->size > 0)
        memcpy(copy, bytes->data, bytes->size);
    bytes->data = copy;
    return VT_OK;
}

vt_err
epoch_add_exception(struct epoch *epoch, const struct exception_entry *entry)
{
    struct exception_entry kept = *entry;

    VT_ASSERT(!epoch->frozen);
    VT_ASSERT(entry->reason < VT_REASON_COUNT);
    kept.tenant = arena_copy(&epoch->arena, entry->tenant);
    if (kept.tenant.data == NULL || epoch_keep(epoch, &kept.raw) != VT_OK ||
        epoch_keep(epoch, &kept.first) != VT_OK)
        return VT_NOMEM;
    struct exception_entry *place = chunk_list_add(&epoch->lists->exceptions);

    if (place == NULL)
        return VT_NOMEM;
    *place = kept;
    return VT_OK;
}

vt_err
epoch_add_settle(struct epoch *epoch, const struct settle_entry *entry)
{
    struct settle_entry *place = chunk_list_add(&epoch->lists->settles);

    VT_ASSERT(!epoch->frozen);
    if (place == NULL)
        return VT_NOMEM;
    *place = *entry;
    return VT_OK;
}

vt_err
epoch_add_feed(struct epoch *epoch, const struct feed_entry *entry)
{
    struct feed_entry *place = chunk_list_add(&epoch->lists->feed);

    VT_ASSERT(!epoch->frozen);
    if (place == NULL)
        return VT_NOMEM;
    *place = *entry;
    return VT_OK;
}

uint32_t
epoch_exception_count(const struct epoch *epoch)
{
    return epoch->lists->exceptions.count;
}

const struct exception_entry *
epoch_exception_at(const struct epoch *epoch, uint32_t index)
{
    return chunk_list_at(&epoch->lists->exceptions, index);
}

const struct settle_entry *
epoch_settle_at(const struct epoch *epoch, uint32_t index)
{
    return chunk_list_at(&epoch->lists->settles, index);
}

const struct feed_entry *
epoch_feed_at(const struct epoch *epoch, uint32_t index)
{
    return chunk_list_at(&epoch->lists->feed, index);
}

/* --- marks */

vt_err
epoch_mark_take(struct epoch *epoch, struct epoch_mark *out_mark)
{
    uint32_t type_count = epoch->catalog->type_count;
    uint32_t *row_counts = calloc((uint64_t)type_count + 1, sizeof *row_counts);

    if (row_counts == NULL)
        return VT_NOMEM;
    for (uint32_t type = 0; type < type_count; type++)
        row_counts[type] = epoch->tables[type].row_count;
    *out_mark = (struct epoch_mark){
        .epoch = epoch_get(epoch),
        .exception_count = epoch->lists->exceptions.count,
        .settle_count = epoch->lists->settles.count,
        .feed_count = epoch->lists->feed.count,
        .dict_count = dict_count(epoch->dict),
        .type_count = type_count,
        .row_counts = row_counts,
    };
    return VT_OK;
}

void
epoch_mark_put(struct epoch_mark *mark)
{
    free(mark->row_counts);
    mark->row_counts = NULL;
    epoch_put(mark->epoch);
    mark->epoch = NULL;
}

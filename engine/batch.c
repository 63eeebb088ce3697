#include "batch.h"

#include "batch_reader.h"
#include "venturi/assert.h"

#define SESSION_NAME_MAX   255 /* of a producer, as in the hello frame */
#define DIGITS_OF_SEQUENCE 20

/* Tenant, source and id, each with its size before it, so that no two identities read alike. */
#define IDENTITY_BYTES (9 + 2 * VT_TEXT_BYTES_MAX + ROW_ID_TEXT_BYTES)

uint32_t
batch_partition(const struct vt_hash_key *key, uint32_t partition_count, struct vt_str tenant)
{
    VT_ASSERT(partition_count > 0);
    return (uint32_t)(vt_siphash(key, tenant.data, tenant.size).hi % partition_count);
}

static uint8_t *
bytes_put(uint8_t *at, const void *data, uint32_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

struct vt_hash128
batch_identity(const struct vt_hash_key *key, struct vt_str tenant, struct vt_str source,
               const struct row_id *id)
{
    VT_UNINITIALIZED uint8_t buffer[IDENTITY_BYTES];
    uint8_t uuid[16];
    uint8_t kind = id->kind;
    const uint8_t *data = id->data;
    uint32_t size = id->size;
    le32 sizes[2] = {le32_put(tenant.size), le32_put(source.size)};

    VT_ASSERT(tenant.size <= VT_TEXT_BYTES_MAX);
    VT_ASSERT(source.size <= VT_TEXT_BYTES_MAX);
    VT_ASSERT(size <= ROW_ID_TEXT_BYTES);
    if (kind == ROW_ID_TEXT && row_id_uuid_parse((struct vt_bytes){data, size}, uuid)) {
        kind = ROW_ID_UUID;
        data = uuid;
        size = sizeof uuid;
    }
    uint8_t *at = bytes_put(buffer, sizes, sizeof sizes);

    *at++ = kind;
    at = bytes_put(at, tenant.data, tenant.size);
    at = bytes_put(at, source.data, source.size);
    at = bytes_put(at, data, size);
    return vt_siphash(key, buffer, (uint64_t)(at - buffer));
}

uint8_t
batch_number_reason(vt_err err)
{
    if (err == VT_OK)
        return VT_REASON_NONE;
    if (err == VT_SCALE)
        return VT_REASON_SCALE_EXCEEDED;
    return err == VT_OVERFLOW ? VT_REASON_VALUE_OUT_OF_RANGE : VT_REASON_BAD_VALUE;
}

/* A column of the batch: zeroed, one element an event. */
#define COLUMN_MAKE(reader, column)            \
    (((column) = arena_zalloc((reader)->arena, \
                              (uint64_t)(reader)->batch->event_count * sizeof *(column))) != NULL)
/* One that is written in full before it is read. */
#define COLUMN_ROOM(reader, column)           \
    (((column) = arena_alloc((reader)->arena, \
                             (uint64_t)(reader)->batch->event_count * sizeof *(column))) != NULL)

const struct tenant_memo *
batch_tenant_find(struct batch_reader *reader, uint32_t code)
{
    struct tenant_memo *memo = &reader->memos[code % TENANT_MEMOS];

    VT_ASSERT(reader->memos != NULL);
    VT_ASSERT(code < reader->strings.count);
    if (memo->code != code + 1) {
        const struct batch_options *options = reader->options;
        struct vt_str name = reader->strings.strings[code];

        memo->code = code + 1;
        memo->tenant = catalog_find_tenant(options->catalog, name);
        memo->partition = batch_partition(&options->key, options->partition_count, name);
    }
    return memo;
}

vt_err
batch_memos_prepare(struct batch_reader *reader)
{
    if (reader->memos == NULL)
        reader->memos = arena_zalloc(reader->arena, TENANT_MEMOS * sizeof *reader->memos);
    return reader->memos == NULL ? VT_NOMEM : VT_OK;
}

vt_err
batch_ids_prepare(struct batch_reader *reader)
{
    return COLUMN_MAKE(reader, reader->batch->id) ? VT_OK : VT_NOMEM;
}

vt_err
batch_slots_prepare(struct batch_reader *reader, uint32_t type)
{
    struct batch *batch = reader->batch;
    const struct catalog_type *shape = &batch->catalog->types[type];

    VT_ASSERT(shape->field_count <= CATALOG_FIELDS_MAX);
    if (batch->slot_count < shape->field_count)
        batch->slot_count = shape->field_count;
    for (uint32_t slot = 0; slot < shape->field_count; slot++) {
        if (shape->fields[slot].kind == FIELD_STRING) {
            if (batch->string_code[slot] == NULL && !COLUMN_MAKE(reader, batch->string_code[slot]))
                return VT_NOMEM;
            continue;
        }
        if (batch->decimal_value[slot] != NULL)
            continue;
        if (!COLUMN_MAKE(reader, batch->decimal_value[slot]) ||
            !COLUMN_MAKE(reader, batch->decimal_present[slot]))
            return VT_NOMEM;
    }
    return VT_OK;
}

/* Room for the 16 bytes of every id that does not stand in the payload as it is kept. */
static vt_err
id_bytes_prepare(struct batch_reader *reader)
{
    if (reader->id_bytes != NULL)
        return VT_OK;
    reader->id_bytes = arena_alloc(reader->arena, UINT64_C(16) * reader->batch->event_count);
    return reader->id_bytes == NULL ? VT_NOMEM : VT_OK;
}

/* "EPOCH-SEQUENCE" of an event that the engine named itself, to its two numbers. */
static bool
sequence_parse(struct vt_bytes text, uint8_t out_bytes[16])
{
    uint64_t numbers[2] = {0, 0};

    if (text.size != DIGITS_OF_SEQUENCE * 2 + 1 || text.data[DIGITS_OF_SEQUENCE] != '-')
        return false;
    for (uint32_t i = 0; i < text.size; i++) {
        uint64_t *number = &numbers[i > DIGITS_OF_SEQUENCE];

        if (i == DIGITS_OF_SEQUENCE)
            continue;
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(text.data[i] - '0'), number))
            return false;
    }
    memcpy(out_bytes, numbers, 16);
    return true;
}

vt_err
batch_id_set(struct batch_reader *reader, uint32_t event, struct vt_bytes text)
{
    struct row_id *id = &reader->batch->id[event];
    uint32_t source = reader->batch->source[event];
    bool session = reader->options->allow_reserved_source && source != 0 &&
                   reader->strings.strings[source].data[0] == '~';

    VT_ASSERT(text.size <= ROW_ID_TEXT_BYTES);
    *id = (struct row_id){text.data, (uint16_t)text.size, ROW_ID_TEXT};
    if (text.size != 36 && !(session && text.size == DIGITS_OF_SEQUENCE * 2 + 1))
        return VT_OK;
    vt_err err = id_bytes_prepare(reader);

    if (err != VT_OK)
        return err;
    uint8_t *bytes = reader->id_bytes + UINT64_C(16) * event;

    if (text.size == 36) {
        if (row_id_uuid_parse(text, bytes))
            *id = (struct row_id){bytes, 16, ROW_ID_UUID};
    } else if (sequence_parse(text, bytes)) {
        *id = (struct row_id){bytes, 16, ROW_ID_SEQUENCE};
    }
    return VT_OK;
}

/* The event has no id of its own: it is named by its place in the producer's stream. */
vt_err
batch_id_sequence(struct batch_reader *reader, uint32_t event)
{
    vt_err err = id_bytes_prepare(reader);

    VT_ASSERT(batch_has_session(reader));
    if (err != VT_OK)
        return err;
    uint8_t *bytes = reader->id_bytes + UINT64_C(16) * event;
    le64 numbers[2] = {le64_put(reader->options->epoch),
                       le64_put(reader->options->sequence + event)};

    memcpy(bytes, numbers, sizeof numbers);
    reader->batch->id[event] = (struct row_id){bytes, 16, ROW_ID_SEQUENCE};
    reader->batch->source[event] = reader->session_source;
    return VT_OK;
}

/* What the daemon can get wrong in a frame before any event of it is read. */
static vt_err
bounds_check(const struct batch_options *options, const struct batch_frame *frame)
{
    uint32_t event_count = frame->event_count;
    uint64_t last;

    if (frame->type != VT_FRAME_BATCH_ROWS && frame->type != VT_FRAME_BATCH_COLUMNS)
        return VT_BAD_TYPE;
    if (frame->payload.size > UINT32_MAX)
        return VT_TOO_LARGE;
    if (event_count == 0 || event_count > VT_BATCH_EVENTS_MAX)
        return vt_err_detail(VT_BAD_LENGTH, "batch: event_count %u is not 1 to %u", event_count,
                             VT_BATCH_EVENTS_MAX);
    if (event_count > frame->payload.size)
        return vt_err_detail(VT_BAD_LENGTH, "batch: event_count %u, but %u bytes", event_count,
                             (uint32_t)frame->payload.size);
    if (__builtin_add_overflow(options->sequence, event_count - 1, &last))
        return vt_err_detail(VT_BAD_SEQUENCE, "batch: the sequence ends beyond 64 bits");
    return VT_OK;
}

static vt_err
batch_make(struct batch_reader *reader, const struct batch_frame *frame)
{
    struct arena *arena = reader->arena;
    struct batch *batch = arena_zalloc(arena, sizeof *batch);

    if (batch == NULL)
        return VT_NOMEM;
    reader->batch = batch;
    batch->catalog = reader->options->catalog;
    batch->payload = frame->payload;
    batch->frame_type = frame->type;
    batch->event_count = frame->event_count;
    batch->reader = reader;
    bool made = COLUMN_MAKE(reader, batch->reason) && COLUMN_ROOM(reader, batch->verdict) &&
                COLUMN_ROOM(reader, batch->partition) && COLUMN_ROOM(reader, batch->tenant) &&
                COLUMN_ROOM(reader, batch->type) && COLUMN_MAKE(reader, batch->time_us) &&
                COLUMN_MAKE(reader, batch->source) && COLUMN_ROOM(reader, batch->tenant_name);

    batch->string_code = arena_zalloc(arena, CATALOG_FIELDS_MAX * sizeof(uint32_t *));
    batch->decimal_value = arena_zalloc(arena, CATALOG_FIELDS_MAX * sizeof(int64_t *));
    batch->decimal_present = arena_zalloc(arena, CATALOG_FIELDS_MAX * sizeof(uint8_t *));
    if (!made || batch->string_code == NULL || batch->decimal_value == NULL ||
        batch->decimal_present == NULL)
        return VT_NOMEM;
    return VT_OK;
}

static vt_err
session_prepare(struct batch_reader *reader)
{
    struct vt_str producer = reader->options->producer;

    VT_ASSERT(producer.size <= SESSION_NAME_MAX);
    if (producer.size == 0)
        return VT_OK;
    char *name = arena_alloc(reader->arena, UINT64_C(1) + producer.size);

    if (name == NULL)
        return VT_NOMEM;
    name[0] = '~';
    memcpy(name + 1, producer.data, producer.size);
    return string_table_code(&reader->strings, (struct vt_str){name, producer.size + 1},
                             &reader->session_source);
}

/* Every event with a reason is an exception. Byte by byte without a branch: the compiler makes
 * vectors of it. */
static void
verdicts_set(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->event_count; i++)
        batch->verdict[i] = batch->reason[i] == VT_REASON_NONE ? VT_ACCEPTED : VT_EXCEPTION;
}

vt_err
batch_decode(struct arena *arena, const struct batch_options *options,
             const struct batch_frame *frame, struct batch **out_batch)
{
    vt_err err = bounds_check(options, frame);

    if (err != VT_OK)
        return err;
    struct batch_reader *reader = arena_zalloc(arena, sizeof *reader);
    struct batch_options *kept = arena_alloc(arena, sizeof *kept);

    if (reader == NULL || kept == NULL)
        return VT_NOMEM;
    VT_ASSERT(options->catalog->type_count < UINT16_MAX);
    VT_ASSERT(options->partition_count <= UINT32_C(65536));
    *kept = *options;
    reader->arena = arena;
    reader->options = kept;
    reader->cursor = msgpack_cursor_of(frame->payload);
    err = batch_make(reader, frame);
    if (err == VT_OK)
        err = string_table_init(&reader->strings, arena, options->key.k0 ^ options->key.k1, 64);
    if (err == VT_OK)
        err = session_prepare(reader);
    if (err == VT_OK)
        err = frame->type == VT_FRAME_BATCH_ROWS ? batch_rows_decode(reader)
                                                 : batch_columns_decode(reader);
    if (err != VT_OK)
        return err;
    reader->batch->strings = reader->strings.strings;
    reader->batch->string_count = reader->strings.count;
    verdicts_set(reader->batch);
    *out_batch = reader->batch;
    return VT_OK;
}

/*
 * core_state.c - the engine's state as of a cut, as bytes for the manifest, and back.
 *
 * STATE, version 1; integers little-endian; the manifest keeps its checksum
 *   u32 magic "VTST"  u32 version
 *   u32 catalogs      each: u64 commit, u64 size, packed catalog (catalog_pack)
 *   u64 producers     each: u64 token, u64 epoch, u32 intervals, u16 size, name; intervals: u64
 *                     first, end, hash
 *   u32 partitions    each: u64 size, the partition's own state (part_state.c)
 */
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "venturi/assert.h"

#define STATE_MAGIC   UINT32_C(0x54535456)
#define STATE_VERSION 1

struct state_writer {
    uint8_t *data;
    uint64_t size;
    uint64_t capacity;
    bool failed;
};

static void
put(struct state_writer *writer, const void *bytes, uint64_t size)
{
    if (writer->failed || size == 0)
        return;
    if (size > writer->capacity - writer->size) {
        uint64_t capacity = (writer->size + size) * 2;
        uint8_t *grown = realloc(writer->data, capacity);

        if (grown == NULL) {
            writer->failed = true;
            return;
        }
        writer->data = grown;
        writer->capacity = capacity;
    }
    memcpy(writer->data + writer->size, bytes, size);
    writer->size += size;
}

static void
put_u32(struct state_writer *writer, uint32_t value)
{
    put(writer, &value, sizeof value);
}

static void
put_u64(struct state_writer *writer, uint64_t value)
{
    put(writer, &value, sizeof value);
}

static vt_err
writer_take(struct state_writer *writer, struct vt_bytes *out_bytes)
{
    if (writer->failed) {
        free(writer->data);
        return VT_NOMEM;
    }
    *out_bytes = (struct vt_bytes){writer->data, writer->size};
    return VT_OK;
}

static void
put_producer(struct state_writer *writer, const struct core_producer *producer)
{
    uint16_t size = (uint16_t)producer->name.size;

    put_u64(writer, producer->token_id);
    put_u64(writer, producer->epoch);
    put_u32(writer, producer->interval_count);
    put(writer, &size, sizeof size);
    put(writer, producer->name.data, size);
    put(writer, producer->intervals,
        (uint64_t)producer->interval_count * sizeof producer->intervals[0]);
}

vt_err
core_state_save(const struct core *core, struct vt_bytes *out_bytes)
{
    struct state_writer writer = {0};

    put_u32(&writer, STATE_MAGIC);
    put_u32(&writer, STATE_VERSION);
    put_u32(&writer, core->catalog_count);
    for (uint32_t i = 0; i < core->catalog_count; i++) {
        put_u64(&writer, core->catalogs[i].commit);
        put_u64(&writer, core->catalogs[i].packed.size);
        put(&writer, core->catalogs[i].packed.data, core->catalogs[i].packed.size);
    }
    put_u64(&writer, core->producer_count);
    for (uint64_t i = 0; i < core->producer_count; i++)
        put_producer(&writer, &core->producers[i]);
    return writer_take(&writer, out_bytes);
}

vt_err
core_state_join(const struct cut *cut, uint32_t partition_count, struct vt_bytes *out_bytes)
{
    struct state_writer writer = {0};

    put(&writer, cut->core_state.data, cut->core_state.size);
    put_u32(&writer, partition_count);
    for (uint32_t p = 0; p < partition_count; p++) {
        put_u64(&writer, cut->part_states[p].size);
        put(&writer, cut->part_states[p].data, cut->part_states[p].size);
    }
    return writer_take(&writer, out_bytes);
}

static vt_err
load_catalogs(struct core *core, struct vt_reader *reader)
{
    uint32_t count = vt_read_u32(reader);

    for (uint32_t i = 0; i < count; i++) {
        uint64_t commit = vt_read_u64(reader);
        struct vt_bytes packed = vt_read_bytes(reader, vt_read_u64(reader));
        struct catalog *catalog = NULL;

        if (reader->bad)
            break;
        vt_err err = catalog_unpack(packed, &catalog);
        uint8_t *copy = err == VT_OK ? malloc(packed.size + 1) : NULL;

        if (err != VT_OK)
            return err;
        if (copy == NULL)
            err = VT_NOMEM;
        else
            memcpy(copy, packed.data, packed.size);
        if (err == VT_OK)
            err = core_catalog_add(core, commit, (struct vt_bytes){copy, packed.size}, catalog);
        if (err != VT_OK) {
            free(copy);
            catalog_free(catalog);
            return err;
        }
    }
    return VT_OK;
}

static vt_err
load_producer(struct core *core, struct vt_reader *reader)
{
    uint64_t token_id = vt_read_u64(reader);
    uint64_t epoch = vt_read_u64(reader);
    uint32_t interval_count = vt_read_u32(reader);
    uint16_t size = vt_read_u16(reader);
    struct vt_bytes name = vt_read_bytes(reader, size);
    uint64_t id = 0;

    if (reader->bad)
        return VT_OK; /* the caller looks at `bad` */
    vt_err err =
        core_producer_add(core, token_id, (struct vt_str){(const char *)name.data, size}, &id);

    if (err != VT_OK)
        return err;
    struct core_producer *producer = core_producer_at(core, id);

    producer->epoch = epoch;
    for (uint32_t i = 0; err == VT_OK && i < interval_count; i++) {
        uint64_t first = vt_read_u64(reader);
        uint64_t end = vt_read_u64(reader);
        uint64_t hash = vt_read_u64(reader);

        if (reader->bad || first >= end)
            return vt_err_detail(VT_BAD_FORMAT, "a producer's intervals are not in order");
        err = core_session_note(producer, epoch, first, end, hash);
        if (err == VT_OK)
            core_session_durable(producer, epoch, first, end);
    }
    return err;
}

vt_err
core_state_load(struct core *core, struct vt_bytes bytes, struct core_state_parts *out_parts)
{
    struct vt_reader reader = vt_reader_of(bytes);

    if (vt_read_u32(&reader) != STATE_MAGIC)
        return vt_err_detail(VT_BAD_MAGIC, "the state of the last seal is none");
    if (vt_read_u32(&reader) != STATE_VERSION)
        return vt_err_detail(VT_BAD_VERSION, "the state of the last seal is of another version");
    vt_err err = load_catalogs(core, &reader);
    uint64_t producers = err == VT_OK ? vt_read_u64(&reader) : 0;

    for (uint64_t i = 0; err == VT_OK && !reader.bad && i < producers; i++)
        err = load_producer(core, &reader);
    if (err != VT_OK)
        return err;
    if (vt_read_u32(&reader) != core->partition_count && !reader.bad)
        return vt_err_detail(VT_BAD_FORMAT, "the state has another number of partitions");
    for (uint32_t p = 0; p < core->partition_count; p++)
        out_parts->parts[p] = vt_read_bytes(&reader, vt_read_u64(&reader));
    if (reader.bad || vt_reader_left(&reader) != 0)
        return vt_err_detail(VT_BAD_LENGTH, "the state of the last seal is cut short");
    return VT_OK;
}

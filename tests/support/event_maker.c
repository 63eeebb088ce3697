#include "event_maker.h"

#include "engine/msgpack_put.h"
#include "venturi/assert.h"

void
event_maker_init(struct event_maker *maker)
{
    *maker = (struct event_maker){.key = {1, 2}, .sequence = 1, .position = 1};
    arena_init(&maker->arena, 1 << 16);
}

void
event_maker_deinit(struct event_maker *maker)
{
    arena_deinit(&maker->arena);
}

static uint8_t *
put_pair(uint8_t *at, struct vt_str key, struct vt_str text)
{
    if (text.data == NULL)
        return at;
    return msgpack_put_text(msgpack_put_text(at, key), text);
}

struct vt_bytes
event_bytes(struct arena *arena, const struct made_event *event)
{
    uint32_t pairs = 2u + (event->tenant.data != NULL) + (event->type.data != NULL) +
                     (event->id.data != NULL) + (event->source.data != NULL) +
                     (event->trace.data != NULL);
    uint64_t size = 256 + event->tenant.size + event->type.size + event->id.size +
                    event->source.size + event->trace.size;

    for (uint32_t i = 0; i < event->field_count; i++)
        size += event->fields[i].name.size + event->fields[i].text.size + 32;
    uint8_t *begin = arena_alloc(arena, size);

    VT_ASSERT(begin != NULL);
    uint8_t *at = msgpack_put_map(begin, pairs);

    at = put_pair(at, VT_STR("tenant"), event->tenant);
    at = put_pair(at, VT_STR("type"), event->type);
    at = put_pair(at, VT_STR("id"), event->id);
    at = put_pair(at, VT_STR("source"), event->source);
    at = put_pair(at, VT_STR("trace_id"), event->trace);
    at = msgpack_put_integer(msgpack_put_text(at, VT_STR("time")), event->time_us);
    at = msgpack_put_map(msgpack_put_text(at, VT_STR("props")), event->field_count);
    for (uint32_t i = 0; i < event->field_count; i++) {
        const struct made_field *field = &event->fields[i];

        at = msgpack_put_text(at, field->name);
        at = field->text.data != NULL ? msgpack_put_text(at, field->text)
                                      : msgpack_put_integer(at, field->number);
    }
    VT_ASSERT((uint64_t)(at - begin) <= size);
    return (struct vt_bytes){begin, (uint64_t)(at - begin)};
}

struct batch *
event_batch(struct event_maker *maker, const struct catalog *catalog,
            const struct made_event *events, uint32_t count)
{
    struct batch_options options = {
        .catalog = catalog,
        .key = maker->key,
        .partition_count = 1,
        .producer = maker->producer,
        .epoch = 1,
        .sequence = maker->sequence,
    };
    struct batch *batch = NULL;
    struct arena scratch;
    uint64_t size = 0;

    arena_init(&scratch, 1 << 16);
    struct vt_bytes *parts = arena_alloc(&scratch, count * sizeof *parts);

    VT_ASSERT(parts != NULL);
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = event_bytes(&scratch, &events[i]);
        size += parts[i].size;
    }
    uint8_t *payload = arena_alloc(&maker->arena, size);
    uint8_t *at = payload;

    VT_ASSERT(payload != NULL);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    arena_deinit(&scratch);
    struct batch_frame frame = {
        .type = VT_FRAME_BATCH_ROWS, .event_count = count, .payload = {payload, size}};
    vt_err err = batch_decode(&maker->arena, &options, &frame, &batch);

    VT_ASSERT(err == VT_OK);
    batch->first_position = maker->position;
    maker->position += count;
    maker->sequence += count;
    return batch;
}

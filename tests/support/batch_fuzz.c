#include "batch_fuzz.h"

#include <msgpack.h>

#include "batch_same.h"
#include "venturi/assert.h"
#include "venturi/utf8.h"

bool
batch_fuzz_library_reads(struct vt_bytes bytes)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;

    msgpack_unpacked_init(&unpacked);
    msgpack_unpack_return result =
        msgpack_unpack_next(&unpacked, (const char *)bytes.data, bytes.size, &offset);

    msgpack_unpacked_destroy(&unpacked);
    if (result == MSGPACK_UNPACK_NOMEM_ERROR)
        return true; /* deeper than its 32 levels */
    return result == MSGPACK_UNPACK_SUCCESS && offset == bytes.size;
}

static void
text_check(const struct batch *batch, uint32_t code, bool valid)
{
    VT_ASSERT(code < batch->string_count);
    struct vt_str text = batch->strings[code];

    if (!valid)
        return;
    VT_ASSERT(text.size <= VT_TEXT_BYTES_MAX);
    VT_ASSERT(vt_utf8_valid((struct vt_bytes){(const uint8_t *)text.data, text.size}));
}

static void
fields_check(const struct batch *batch, uint32_t event)
{
    const struct catalog_type *type = &batch->catalog->types[batch->type[event]];

    for (uint32_t slot = 0; slot < type->field_count; slot++) {
        const struct catalog_field *field = &type->fields[slot];

        if (field->kind == FIELD_STRING) {
            text_check(batch, batch->string_code[slot][event], true);
            continue;
        }
        VT_ASSERT(batch->decimal_present[slot][event] <= 1);
        VT_ASSERT(batch->decimal_present[slot][event] == 1 || !field->required);
        VT_ASSERT(batch->decimal_present[slot][event] == 1 ||
                  batch->decimal_value[slot][event] == 0);
    }
}

static void
event_check(const struct batch *batch, uint32_t event, uint32_t partition_count)
{
    bool valid = batch->reason[event] == VT_REASON_NONE;
    uint8_t scratch[16];

    VT_ASSERT(batch->reason[event] <= VT_REASON_VALUE_OUT_OF_RANGE);
    VT_ASSERT(batch->partition[event] < partition_count);
    VT_ASSERT(batch->tenant[event] == CATALOG_NONE ||
              batch->tenant[event] < batch->catalog->tenant_count);
    VT_ASSERT(batch->type[event] == UINT16_MAX || batch->type[event] < batch->catalog->type_count);
    text_check(batch, batch->tenant_name[event], true);
    text_check(batch, batch->source[event], valid);
    struct row_id id = batch_id(batch, event, scratch);

    VT_ASSERT(id.size <= ROW_ID_TEXT_BYTES);
    VT_ASSERT(!batch->plain || valid);
    if (!valid)
        return;
    VT_ASSERT(batch->tenant[event] != CATALOG_NONE);
    VT_ASSERT(id.size > 0);
    fields_check(batch, event);
    if (batch->extra != NULL && batch->extra[event].size > 0)
        VT_ASSERT(batch_fuzz_library_reads(batch->extra[event]));
}

static void
raw_check(struct arena *arena, const struct batch *batch, uint32_t event,
          const struct batch_options *options)
{
    struct batch_options again = *options;
    struct vt_bytes raw;
    struct batch *judged = NULL;
    vt_err err = batch_raw(arena, batch, event, &raw);

    VT_ASSERT(err == VT_OK);
    VT_ASSERT(batch_fuzz_library_reads(raw));
    again.producer = (struct vt_str){NULL, 0};
    again.sequence = 0;
    again.allow_reserved_source = batch->reason[event] != VT_REASON_MALFORMED;
    err = batch_decode(arena, &again, &(struct batch_frame){VT_FRAME_BATCH_ROWS, 1, raw}, &judged);
    VT_ASSERT(err == VT_OK);
    VT_ASSERT(batch_same(batch, event, judged, 0) == NULL);
}

vt_err
batch_fuzz_frame(const struct batch_options *options, const struct batch_frame *frame)
{
    struct arena arena;
    struct batch *batch;

    vt_err_clear();
    arena_init(&arena, 1 << 16);
    vt_err err = batch_decode(&arena, options, frame, &batch);

    if (err == VT_OK) {
        for (uint32_t event = 0; event < batch->event_count; event++) {
            event_check(batch, event, options->partition_count);
            if (event < 8)
                raw_check(&arena, batch, event, options);
        }
    } else {
        VT_ASSERT(err != VT_NOMEM);
        VT_ASSERT(vt_err_last()[0] != '\0');
    }
    arena_deinit(&arena);
    return err;
}

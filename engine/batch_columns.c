/* batch_columns.c - a columnar frame against the catalog: the same reasons in the same order as for
 * rows, but column by column. A loop over events that may set a reason runs only where its column
 * has something to object to. */
#include "batch_reader.h"
#include "venturi/assert.h"
#include "venturi/time.h"
#include "venturi/utf8.h"

/* Sets the reason of an event that has none yet. */
static inline void
object(struct batch *batch, uint32_t event, uint8_t reason)
{
    if (batch->reason[event] == VT_REASON_NONE)
        batch->reason[event] = reason;
}

static void
object_all(struct batch *batch, uint8_t reason)
{
    for (uint32_t i = 0; i < batch->event_count; i++)
        object(batch, i, reason);
}

/* --- malformed */

static void
malformed_strings(struct batch *batch, const struct wire_strings *column)
{
    if (column->code == NULL || !column->any_bad)
        return;
    for (uint32_t i = 0; i < batch->event_count; i++) {
        uint32_t at = column->wire == NULL ? 0 : batch_wire_code(column->wire, column->width, i);

        if (column->bad[at] != 0)
            object(batch, i, VT_REASON_MALFORMED);
    }
}

static bool
is_ascii(const uint8_t *data, uint64_t size)
{
    uint8_t all = 0;

    for (uint64_t i = 0; i < size; i++)
        all |= data[i];
    return all < 0x80;
}

static void
malformed_ids(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;
    const struct wire_ids *ids = &reader->ids;
    uint32_t last = batch->event_count - 1;

    if (ids->form != WIRE_ID_TEXT)
        return;
    uint64_t bytes = (uint64_t)ids->offset[last] + batch_wire_code(ids->sizes, 2, last);
    bool ascii = is_ascii(ids->data, bytes);

    for (uint32_t i = 0; i < batch->event_count; i++) {
        uint32_t size = batch_wire_code(ids->sizes, 2, i);
        struct vt_bytes text = {ids->data + ids->offset[i], size};

        if (size > VT_TEXT_BYTES_MAX || (!ascii && !vt_utf8_valid(text)))
            object(batch, i, VT_REASON_MALFORMED);
    }
}

static void
malformed_judge(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;

    if (reader->type_text.size > VT_TEXT_BYTES_MAX || !vt_utf8_valid(reader->type_text))
        object_all(batch, VT_REASON_MALFORMED);
    malformed_strings(batch, &reader->tenants);
    malformed_strings(batch, &reader->sources);
    malformed_strings(batch, &reader->traces);
    malformed_ids(reader);
    for (uint32_t i = 0; i < reader->column_count; i++) {
        const struct wire_column *column = &reader->columns[i];
        struct vt_bytes name = {(const uint8_t *)column->name.data, column->name.size};

        bool bad = !vt_utf8_valid(name);

        for (uint32_t k = 0; bad && k < batch->event_count; k++)
            if (wire_column_has(column, k))
                object(batch, k, VT_REASON_MALFORMED);
        malformed_strings(batch, &column->strings);
    }
}

/* --- tenants, types, ids, times */

/* Of each string of the tenants' dictionary. */
struct tenant_columns {
    const uint32_t *name; /* code; "" where the string is bad */
    struct batch_cache_tenants found;
};

static vt_err
tenants_find(struct batch_reader *reader, struct tenant_columns *out)
{
    const struct wire_strings *column = &reader->tenants;
    uint64_t bytes = (uint64_t)column->count * sizeof(uint32_t);
    uint32_t *names = arena_alloc(reader->arena, bytes);
    uint32_t *tenants = arena_alloc(reader->arena, bytes);
    uint32_t *partitions = arena_alloc(reader->arena, bytes);

    if (names == NULL || tenants == NULL || partitions == NULL ||
        batch_memos_prepare(reader) != VT_OK)
        return VT_NOMEM;
    for (uint32_t i = 0; i < column->count; i++) {
        names[i] = column->bad[i] != 0 ? 0 : column->map[i];
        const struct tenant_memo *memo = batch_tenant_find(reader, names[i]);

        tenants[i] = memo->tenant;
        partitions[i] = memo->partition;
    }
    *out = (struct tenant_columns){names, {tenants, partitions}};
    return VT_OK;
}

static vt_err
tenants_set(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;
    const struct wire_strings *column = &reader->tenants;
    struct tenant_columns all = {column->map, {column->tenant, column->partition}};
    bool unknown = false;

    if (column->tenant == NULL || column->any_bad) {
        vt_err err = tenants_find(reader, &all);

        if (err != VT_OK)
            return err;
    }
    reader->cache_tenants = all.found;
    batch_codes_gather(column, all.name, batch->event_count, batch->tenant_name);
    batch_codes_gather(column, all.found.tenant, batch->event_count, batch->tenant);
    for (uint32_t i = 0; i < batch->event_count; i++) {
        uint32_t at = column->wire == NULL ? 0 : batch_wire_code(column->wire, column->width, i);

        batch->partition[i] = (uint16_t)all.found.partition[at];
    }
    for (uint32_t i = 0; i < batch->event_count; i++)
        unknown |= batch->tenant[i] == CATALOG_NONE;
    for (uint32_t i = 0; unknown && i < batch->event_count; i++)
        if (batch->tenant[i] == CATALOG_NONE)
            object(batch, i, VT_REASON_UNKNOWN_TENANT);
    return VT_OK;
}

/* A malformed event gives no type away, as in rows. */
static void
type_set(struct batch *batch, uint32_t type)
{
    VT_ASSERT(type == CATALOG_NONE || type < UINT16_MAX);
    for (uint32_t i = 0; i < batch->event_count; i++)
        batch->type[i] = type == CATALOG_NONE || batch->reason[i] == VT_REASON_MALFORMED
                             ? UINT16_MAX
                             : (uint16_t)type;
    if (type == CATALOG_NONE)
        object_all(batch, VT_REASON_UNKNOWN_EVENT_TYPE);
}

static vt_err
ids_text_set(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;
    const struct wire_ids *ids = &reader->ids;
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < batch->event_count; i++) {
        uint32_t size = batch_wire_code(ids->sizes, 2, i);
        struct vt_bytes text = {ids->data + ids->offset[i], size};

        if (batch->reason[i] == VT_REASON_MALFORMED)
            continue;
        if (size == 0 && batch_has_session(reader)) {
            err = batch_id_sequence(reader, i);
            continue;
        }
        err = batch_id_set(reader, i, text);
        if (size == 0)
            object(batch, i, VT_REASON_MISSING_ID);
    }
    return err;
}

/* Sources first, for the id of a session's event brings its own. */
static vt_err
ids_set(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;

    if (reader->ids.form == WIRE_ID_NONE)
        return VT_OK; /* at the end: whether they are needed is not known before */
    if (batch_ids_prepare(reader) != VT_OK)
        return VT_NOMEM;
    if (reader->sources.code != NULL)
        for (uint32_t i = 0; i < batch->event_count; i++)
            batch->source[i] =
                batch->reason[i] == VT_REASON_MALFORMED ? 0 : reader->sources.code[i];
    switch (reader->ids.form) {
    case WIRE_ID_TEXT:
        return ids_text_set(reader);
    case WIRE_ID_UUID:
        for (uint32_t i = 0; i < batch->event_count; i++)
            batch->id[i] = (struct row_id){reader->ids.data + UINT64_C(16) * i, 16, ROW_ID_UUID};
        return VT_OK;
    case WIRE_ID_NONE:
        break;
    }
    return VT_OK;
}

/* Ids of a frame that has none of its own; `type` may be CATALOG_NONE. */
static vt_err
sequences_set(struct batch_reader *reader, uint32_t type)
{
    struct batch *batch = reader->batch;
    uint8_t any = 0;

    if (reader->ids.form != WIRE_ID_NONE)
        return VT_OK;
    for (uint32_t i = 0; i < batch->event_count; i++)
        any |= batch->reason[i];
    batch->plain = any == VT_REASON_NONE && type != CATALOG_NONE &&
                   batch->catalog->types[type].late_limit_us <= 0 &&
                   batch->catalog->types[type].future_limit_us <= 0;
    if (batch->plain) {
        batch->epoch = reader->options->epoch;
        batch->sequence = reader->options->sequence;
        for (uint32_t i = 0; i < batch->event_count; i++)
            batch->source[i] = reader->session_source;
        return VT_OK;
    }
    vt_err err = batch_ids_prepare(reader);

    for (uint32_t i = 0; err == VT_OK && i < batch->event_count; i++)
        err = batch_id_sequence(reader, i);
    return err;
}

static void
times_set(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;
    bool bad = false;

    memcpy(batch->time_us, reader->times, UINT64_C(8) * batch->event_count);
    for (uint32_t i = 0; i < batch->event_count; i++)
        bad |= batch->time_us[i] < VT_EVENT_FIRST_US || batch->time_us[i] > VT_EVENT_LAST_US;
    for (uint32_t i = 0; bad && i < batch->event_count; i++)
        if (batch->time_us[i] < VT_EVENT_FIRST_US || batch->time_us[i] > VT_EVENT_LAST_US)
            object(batch, i, VT_REASON_BAD_TIME);
}

/* --- fields */

/* A byte an event from a bit an event; all ones without bits. */
static bool
present_expand(const struct wire_column *column, uint32_t events, uint8_t *present)
{
    uint8_t all = 1;

    if (column->bits == NULL) {
        memset(present, 1, events);
        return true;
    }
    for (uint32_t i = 0; i < events; i++) {
        present[i] = column->bits[i / 8] >> (i % 8) & 1;
        all &= present[i];
    }
    return all != 0;
}

/* value x 10^(to - from); the bounds are those beyond which it does not fit. */
static bool
column_scale_up(int64_t *values, uint32_t events, int64_t power)
{
    int64_t high = INT64_MAX / power;
    int64_t low = INT64_MIN / power;
    bool bad = false;

    for (uint32_t i = 0; i < events; i++) {
        bad |= values[i] > high || values[i] < low;
        values[i] = (int64_t)((uint64_t)values[i] * (uint64_t)power);
    }
    return !bad;
}

static bool
column_scale_down(int64_t *values, uint32_t events, int64_t power)
{
    bool bad = false;

    for (uint32_t i = 0; i < events; i++) {
        int64_t quotient = values[i] / power;

        bad |= quotient * power != values[i];
        values[i] = quotient;
    }
    return !bad;
}

/* A decimal column to the field's scale. The loops above only find out that a number is wrong;
 * which one and why is then settled number by number. */
static void
decimals_set(struct batch *batch, const struct wire_column *column, uint32_t slot, uint32_t scale)
{
    uint32_t events = batch->event_count;
    int64_t *values = batch->decimal_value[slot];
    const uint8_t *present = batch->decimal_present[slot];
    bool good = true;

    memcpy(values, column->mantissa, UINT64_C(8) * events);
    if (column->bits != NULL)
        for (uint32_t i = 0; i < events; i++)
            values[i] &= -(int64_t)present[i];
    if (column->scale < scale) {
        int64_t power = 1;

        for (uint32_t i = column->scale; i < scale; i++)
            power *= 10;
        good = column_scale_up(values, events, power);
    } else if (column->scale > scale) {
        int64_t power = 1;

        for (uint32_t i = scale; i < column->scale; i++)
            power *= 10;
        good = column_scale_down(values, events, power);
    }
    for (uint32_t i = 0; !good && i < events; i++) {
        int64_t value = (int64_t)vt_load64(column->mantissa + UINT64_C(8) * i);
        int64_t scaled = 0;

        if (present[i] == 0)
            continue;
        vt_err err = vt_decimal_rescale(value, column->scale, scale, &scaled);

        values[i] = scaled;
        if (err != VT_OK)
            object(batch, i, batch_number_reason(err));
    }
}

/* Decimals that came as strings: each string is read once. */
static vt_err
decimals_from_strings(struct batch_reader *reader, const struct wire_column *column, uint32_t slot,
                      uint32_t scale)
{
    struct batch *batch = reader->batch;
    const struct wire_strings *strings = &column->strings;
    int64_t *values = arena_zalloc(reader->arena, (uint64_t)strings->count * sizeof *values);
    uint8_t *reasons = arena_alloc(reader->arena, strings->count);

    if (values == NULL || reasons == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < strings->count; i++)
        reasons[i] = batch_number_reason(
            vt_decimal_parse(reader->strings.strings[strings->map[i]], scale, &values[i]));
    for (uint32_t i = 0; i < batch->event_count; i++) {
        uint32_t at = strings->wire == NULL ? 0 : batch_wire_code(strings->wire, strings->width, i);

        if (batch->decimal_present[slot][i] == 0)
            continue;
        batch->decimal_value[slot][i] = values[at];
        if (reasons[at] != VT_REASON_NONE)
            object(batch, i, reasons[at]);
    }
    return VT_OK;
}

static vt_err
decimal_field_set(struct batch_reader *reader, const struct catalog_field *field, uint32_t slot,
                  const struct wire_column *column)
{
    struct batch *batch = reader->batch;
    uint8_t *present = batch->decimal_present[slot];
    bool all = false;
    vt_err err = VT_OK;

    if (column != NULL && column->kind == FIELD_DECIMAL) {
        all = present_expand(column, batch->event_count, present);
    } else if (column != NULL) {
        all = true;
        for (uint32_t i = 0; i < batch->event_count; i++) {
            present[i] = column->strings.code[i] != 0;
            all = all && present[i] != 0;
        }
    }
    for (uint32_t i = 0; !all && field->required && i < batch->event_count; i++)
        if (present[i] == 0)
            object(batch, i, VT_REASON_MISSING_FIELD);
    if (column != NULL && column->kind == FIELD_DECIMAL)
        decimals_set(batch, column, slot, field->scale);
    else if (column != NULL)
        err = decimals_from_strings(reader, column, slot, field->scale);
    return err;
}

static void
string_field_set(struct batch *batch, uint32_t slot, const struct wire_column *column)
{
    if (column == NULL)
        return;
    if (column->kind == FIELD_STRING) {
        memcpy(batch->string_code[slot], column->strings.code,
               (uint64_t)batch->event_count * sizeof(uint32_t));
        return;
    }
    for (uint32_t i = 0; i < batch->event_count; i++)
        if (wire_column_has(column, i))
            object(batch, i, VT_REASON_BAD_VALUE);
}

static vt_err
fields_set(struct batch_reader *reader, const struct catalog_type *type)
{
    for (uint32_t slot = 0; slot < type->field_count; slot++) {
        const struct catalog_field *field = &type->fields[slot];
        struct wire_column *column = NULL;
        vt_err err = VT_OK;

        for (uint32_t i = 0; column == NULL && i < reader->column_count; i++)
            if (vt_str_equal(reader->columns[i].name, field->name))
                column = &reader->columns[i];
        if (column != NULL)
            column->declared = true;
        if (field->kind == FIELD_STRING)
            string_field_set(reader->batch, slot, column);
        else
            err = decimal_field_set(reader, field, slot, column);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

/* --- what the type does not declare */

static vt_err
extra_set(struct batch_reader *reader, uint32_t event)
{
    struct vt_str trace = {NULL, 0};
    uint64_t bytes = UINT64_C(4) * MSGPACK_HEAD_BYTES + sizeof "props" + sizeof "trace_id";
    uint32_t props = 0;

    for (uint32_t i = 0; i < reader->column_count; i++) {
        const struct wire_column *column = &reader->columns[i];

        if (column->declared || !wire_column_has(column, event))
            continue;
        props++;
        bytes += batch_pair_bytes(reader, column, event);
    }
    if (reader->traces.code != NULL)
        trace = reader->strings.strings[reader->traces.code[event]];
    if (props == 0 && trace.size == 0)
        return VT_OK;
    uint8_t *data = arena_alloc(reader->arena, bytes + trace.size);

    if (data == NULL)
        return VT_NOMEM;
    uint8_t *at = msgpack_put_map(data, (props > 0 ? 1U : 0U) + (trace.size > 0 ? 1U : 0U));

    if (props > 0) {
        at = msgpack_put_text(at, VT_STR("props"));
        at = msgpack_put_map(at, props);
    }
    for (uint32_t i = 0; props > 0 && i < reader->column_count; i++)
        if (!reader->columns[i].declared && wire_column_has(&reader->columns[i], event))
            at = batch_pair_put(reader, &reader->columns[i], event, at);
    if (trace.size > 0) {
        at = msgpack_put_text(at, VT_STR("trace_id"));
        at = msgpack_put_text(at, trace);
    }
    VT_ASSERT((uint64_t)(at - data) <= bytes + trace.size);
    reader->batch->extra[event] = (struct vt_bytes){data, (uint64_t)(at - data)};
    return VT_OK;
}

static vt_err
extras_set(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;
    bool any = reader->traces.code != NULL;
    vt_err err;

    for (uint32_t i = 0; i < reader->column_count; i++)
        any = any || !reader->columns[i].declared;
    if (!any)
        return VT_OK;
    err = batch_extra_prepare(batch, reader->arena);
    for (uint32_t i = 0; err == VT_OK && i < batch->event_count; i++)
        if (batch->reason[i] == VT_REASON_NONE)
            err = extra_set(reader, i);
    return err;
}

vt_err
batch_columns_decode(struct batch_reader *reader)
{
    struct batch *batch = reader->batch;
    vt_err err = batch_wire_read(reader);

    if (err != VT_OK)
        return err;
    struct vt_str name = {(const char *)reader->type_text.data, (uint32_t)reader->type_text.size};
    uint32_t type = catalog_find_type(batch->catalog, name);

    malformed_judge(reader);
    err = tenants_set(reader);
    if (err != VT_OK)
        return err;
    type_set(batch, type);
    err = ids_set(reader);
    if (err != VT_OK)
        return err;
    times_set(reader);
    if (type != CATALOG_NONE) {
        err = batch_slots_prepare(reader, type);
        if (err == VT_OK)
            err = fields_set(reader, &batch->catalog->types[type]);
        if (err == VT_OK)
            err = extras_set(reader);
    }
    if (err == VT_OK)
        err = sequences_set(reader, type);
    if (err == VT_OK)
        batch_cache_end(reader, name);
    return err;
}

/* batch_judge.c - one event of rows against the catalog: the reasons of SEMANTICS.md in their
 * order. */
#include "batch_reader.h"
#include "venturi/assert.h"
#include "venturi/time.h"

static bool
is_absent(const struct row_value *value)
{
    return value->item.kind == MP_NIL;
}

/* A string of tenant, type, id or source as it may be given: none at all, or well-formed and not
 * too long. */
static bool
text_allowed(const struct row_value *value)
{
    if (is_absent(value))
        return true;
    return value->item.kind == MP_STRING && !value->ill_formed &&
           value->item.bytes.size <= VT_TEXT_BYTES_MAX;
}

/* Whether an entry that still counts makes the event malformed. A key of the event that is null is
 * absent with its name; a null field still has its name in the event. */
static vt_err
entries_judge(struct batch_reader *reader, struct row_entries *entries, bool fields, bool *out_bad)
{
    *out_bad = false;
    if (!entries->suspect)
        return VT_OK;
    vt_err err = row_entries_settle(reader, entries);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < entries->count; i++) {
        const struct row_entry *entry = &entries->at[i];
        bool too_long =
            fields && entry->value.kind == MP_STRING && entry->value.bytes.size > VT_TEXT_BYTES_MAX;

        if (entry->dropped || (!fields && entry->value.kind == MP_NIL))
            continue;
        *out_bad = *out_bad || entry->ill_formed || too_long;
    }
    return VT_OK;
}

static vt_err
malformed_judge(struct batch_reader *reader, bool *out_malformed)
{
    struct row_event *event = &reader->event;
    bool reserved = event->source.item.bytes.size > 0 && event->source.item.bytes.data[0] == '~' &&
                    !reader->options->allow_reserved_source;
    bool bad = false;
    vt_err err;

    *out_malformed = true;
    if (!text_allowed(&event->tenant) || !text_allowed(&event->type) || !text_allowed(&event->id) ||
        !text_allowed(&event->source) || reserved || event->time.ill_formed)
        return VT_OK;
    if (!is_absent(&event->props_value) && event->props_value.item.kind != MP_MAP)
        return VT_OK;
    err = entries_judge(reader, &event->props, true, &bad);
    if (err != VT_OK || bad)
        return err;
    err = entries_judge(reader, &event->others, false, &bad);
    *out_malformed = bad;
    return err;
}

/* Integers as they are, JSON numbers of the form -?digits, or RFC 3339. */
static bool
time_parse(const struct msgpack_item *item, int64_t *out_us)
{
    struct vt_utc utc = {0};
    struct vt_str text = msgpack_item_text(item);

    if (item->kind == MP_INT) {
        utc.us = item->integer;
    } else if (item->kind == MP_STRING) {
        if (vt_utc_parse(text, &utc) != VT_OK)
            return false;
    } else if (item->kind == MP_NUMBER) {
        for (uint32_t i = 0; i < text.size; i++)
            if (text.data[i] == '.' || text.data[i] == 'e' || text.data[i] == 'E')
                return false;
        if (vt_decimal_parse(text, 0, &utc.us) != VT_OK)
            return false;
    } else {
        return false;
    }
    *out_us = utc.us;
    return utc.us >= VT_EVENT_FIRST_US && utc.us <= VT_EVENT_LAST_US;
}

static uint8_t
decimal_judge(const struct msgpack_item *item, uint32_t scale, int64_t *out_value)
{
    if (item->kind == MP_INT)
        return batch_number_reason(vt_decimal_rescale(item->integer, 0, scale, out_value));
    if (item->kind == MP_UINT)
        return VT_REASON_VALUE_OUT_OF_RANGE;
    if (item->kind == MP_STRING || item->kind == MP_NUMBER)
        return batch_number_reason(vt_decimal_parse(msgpack_item_text(item), scale, out_value));
    return VT_REASON_BAD_VALUE;
}

/* The type's number, with its shape and the batch's columns for its slots made ready. */
static vt_err
type_find(struct batch_reader *reader, struct vt_str name, uint32_t *out_type)
{
    if (reader->type_name.data != NULL && vt_str_equal(reader->type_name, name)) {
        *out_type = reader->type;
        return VT_OK;
    }
    uint32_t type = catalog_find_type(reader->batch->catalog, name);

    if (type != CATALOG_NONE && reader->shapes[type] == NULL) {
        vt_err err = batch_slots_prepare(reader, type);

        if (err != VT_OK)
            return err;
        reader->shapes[type] = arena_zalloc(reader->arena, sizeof **reader->shapes);
        if (reader->shapes[type] == NULL)
            return VT_NOMEM;
    }
    reader->type_name = name;
    reader->type = type;
    *out_type = type;
    return VT_OK;
}

/* Which entry of props is which field: fills shape->entry and counts the rest that is not null. */
static uint32_t
fields_match(struct batch_reader *reader, const struct catalog_type *type, struct type_shape *shape)
{
    const struct row_entries *props = &reader->event.props;
    uint32_t undeclared = 0;

    for (uint32_t slot = 0; slot < type->field_count; slot++)
        shape->entry[slot] = CATALOG_NONE;
    for (uint32_t i = 0; i < props->count; i++) {
        const struct row_entry *entry = &props->at[i];
        uint32_t guess = i < CATALOG_FIELDS_MAX ? shape->hint[i] : 0;

        if (entry->dropped)
            continue;
        if (guess >= type->field_count || !vt_str_equal(type->fields[guess].name, entry->key)) {
            guess = catalog_type_slot(type, entry->key);
            if (guess == CATALOG_NONE) {
                undeclared++;
                continue;
            }
            if (i < CATALOG_FIELDS_MAX)
                shape->hint[i] = (uint16_t)guess;
        }
        shape->entry[guess] = entry->value.kind == MP_NIL ? CATALOG_NONE : i;
    }
    return undeclared;
}

/* The declared fields in their order, into the columns of event `index`. */
static vt_err
fields_judge(struct batch_reader *reader, uint32_t index, const struct catalog_type *type,
             const struct type_shape *shape)
{
    struct batch *batch = reader->batch;
    uint8_t *reason = &batch->reason[index];

    for (uint32_t slot = 0; slot < type->field_count && *reason == VT_REASON_NONE; slot++) {
        const struct catalog_field *field = &type->fields[slot];
        uint32_t at = shape->entry[slot];
        const struct msgpack_item *item =
            at == CATALOG_NONE ? NULL : &reader->event.props.at[at].value;

        if (field->kind == FIELD_STRING) {
            if (item == NULL)
                continue;
            if (item->kind != MP_STRING) {
                *reason = VT_REASON_BAD_VALUE;
                continue;
            }
            vt_err err = string_table_code(&reader->strings, msgpack_item_text(item),
                                           &batch->string_code[slot][index]);

            if (err != VT_OK)
                return err;
        } else if (item != NULL) {
            *reason = decimal_judge(item, field->scale, &batch->decimal_value[slot][index]);
            batch->decimal_present[slot][index] = 1;
        } else if (field->required) {
            *reason = VT_REASON_MISSING_FIELD;
        }
    }
    return VT_OK;
}

/* Source and id: the event's own, or those of its place in a session. */
static vt_err
identity_set(struct batch_reader *reader, uint32_t index)
{
    const struct row_event *event = &reader->event;

    if (event->id.item.bytes.size == 0 && batch_has_session(reader))
        return batch_id_sequence(reader, index);
    vt_err err = string_table_code(&reader->strings, msgpack_item_text(&event->source.item),
                                   &reader->batch->source[index]);

    if (err != VT_OK)
        return err;
    return batch_id_set(reader, index, event->id.item.bytes);
}

/* Tenant, source and id are known even of an event that is refused for another reason. */
static vt_err
names_set(struct batch_reader *reader, uint32_t index, bool malformed)
{
    const struct row_event *event = &reader->event;
    bool named = event->tenant.item.kind == MP_STRING && text_allowed(&event->tenant);
    uint32_t code = 0;
    vt_err err;

    if (named) {
        err = string_table_code(&reader->strings, msgpack_item_text(&event->tenant.item), &code);
        if (err != VT_OK)
            return err;
    }
    const struct tenant_memo *memo = batch_tenant_find(reader, code);

    reader->batch->tenant_name[index] = code;
    reader->batch->tenant[index] = memo->tenant;
    reader->batch->partition[index] = (uint16_t)memo->partition;
    return malformed ? VT_OK : identity_set(reader, index);
}

vt_err
batch_judge(struct batch_reader *reader, uint32_t index)
{
    struct batch *batch = reader->batch;
    struct row_event *event = &reader->event;
    uint8_t *reason = &batch->reason[index];
    uint32_t type = CATALOG_NONE;
    bool malformed;
    vt_err err;

    VT_ASSERT(index < batch->event_count);
    batch->type[index] = UINT16_MAX;
    err = malformed_judge(reader, &malformed);
    if (err == VT_OK)
        err = names_set(reader, index, malformed);
    if (err == VT_OK && !malformed)
        err = type_find(reader, msgpack_item_text(&event->type.item), &type);
    if (err != VT_OK)
        return err;
    if (type != CATALOG_NONE)
        batch->type[index] = (uint16_t)type;
    if (malformed)
        *reason = VT_REASON_MALFORMED;
    else if (batch->tenant[index] == CATALOG_NONE)
        *reason = VT_REASON_UNKNOWN_TENANT;
    else if (type == CATALOG_NONE)
        *reason = VT_REASON_UNKNOWN_EVENT_TYPE;
    else if (batch->id[index].size == 0)
        *reason = VT_REASON_MISSING_ID;
    else if (!time_parse(&event->time.item, &batch->time_us[index]))
        *reason = VT_REASON_BAD_TIME;
    if (*reason != VT_REASON_NONE)
        return VT_OK;
    const struct catalog_type *declared = &batch->catalog->types[type];
    uint32_t undeclared = fields_match(reader, declared, reader->shapes[type]);

    err = fields_judge(reader, index, declared, reader->shapes[type]);
    if (err != VT_OK || *reason != VT_REASON_NONE)
        return err;
    if (undeclared == 0 && event->others.count == 0)
        return VT_OK;
    return batch_extra_rows(reader, index, declared, undeclared);
}

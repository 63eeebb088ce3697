/* rater_extra.c - fields that the catalog of the day did not declare and this one does: read from
 * what was kept with the events. */
#include "msgpack_cursor.h"
#include "rater.h"
#include "venturi/assert.h"

/* Columns that the block does not have, made as values for them are found. */
struct extra_columns {
    struct arena *arena;
    const struct catalog_type *type;
    struct binding *binding;
    struct bound_input *bound; /* by slot: what is bound so far */
    uint32_t row;
};

static bool
is_missing(const struct extra_columns *columns, uint32_t slot)
{
    struct vt_str name = columns->type->fields[slot].name;

    return row_block_column(columns->binding->block, name) == NULL;
}

/* A column of zeros: of "" or of rows that do not have the field. */
static vt_err
column_make(struct extra_columns *columns, uint32_t slot)
{
    struct bound_input *bound = &columns->bound[slot];
    struct bound_memory *made = &columns->binding->made[slot];
    uint64_t rows = columns->binding->block->row_count;

    if (columns->type->fields[slot].kind == FIELD_STRING) {
        if (bound->code == NULL)
            made->code = arena_zalloc(columns->arena, rows * sizeof *made->code);
        bound->code = made->code;
        return bound->code == NULL ? VT_NOMEM : VT_OK;
    }
    if (bound->value == NULL) {
        made->value = arena_zalloc(columns->arena, rows * sizeof *made->value);
        made->present = arena_zalloc(columns->arena, rows * sizeof *made->present);
    }
    bound->value = made->value;
    bound->present = made->present;
    return bound->value == NULL || bound->present == NULL ? VT_NOMEM : VT_OK;
}

/* Strings of `extra` get codes behind those of the dictionary. */
static vt_err
string_put(struct extra_columns *columns, uint32_t slot, struct vt_str text)
{
    struct binding *binding = columns->binding;

    if (text.size == 0)
        return VT_OK;
    if (binding->added == NULL) {
        uint64_t most = (uint64_t)binding->block->row_count * columns->type->field_count;

        binding->added = arena_alloc(columns->arena, most * sizeof *binding->added);
        binding->own_strings = true;
    }
    if (binding->added == NULL)
        return VT_NOMEM;
    if (binding->added_count > UINT32_MAX - 1 - binding->block->dict_count)
        return VT_OVERFLOW;
    binding->made[slot].code[columns->row] = binding->block->dict_count + binding->added_count;
    binding->added[binding->added_count++] = text;
    return VT_OK;
}

/* A field's value as its type wants it. A value that does not fit is no value: when the event was
 * accepted nobody asked for one. */
static vt_err
value_put(struct extra_columns *columns, uint32_t slot, const struct msgpack_item *item)
{
    const struct catalog_field *field = &columns->type->fields[slot];
    struct bound_memory *made = &columns->binding->made[slot];
    int64_t value = 0;
    vt_err err = column_make(columns, slot);

    if (err != VT_OK)
        return err;
    if (field->kind == FIELD_STRING && item->kind == MP_STRING &&
        item->bytes.size <= VT_TEXT_BYTES_MAX)
        return string_put(columns, slot, msgpack_item_text(item));
    if (field->kind == FIELD_STRING)
        return VT_OK;
    vt_err fits = VT_BAD_DECIMAL;

    if (item->kind == MP_INT)
        fits = vt_decimal_rescale(item->integer, 0, field->scale, &value);
    else if (item->kind == MP_STRING || item->kind == MP_NUMBER)
        fits = vt_decimal_parse(msgpack_item_text(item), field->scale, &value);
    if (fits == VT_OK) {
        made->value[columns->row] = value;
        made->present[columns->row] = 1;
    }
    return VT_OK;
}

static vt_err
props_read(struct extra_columns *columns, struct msgpack_cursor *cursor, uint32_t count)
{
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < count && err == VT_OK; i++) {
        struct msgpack_item key;
        struct msgpack_item value;
        bool is_text;

        err = msgpack_cursor_expect(cursor, MP_STRING, &key);
        if (err != VT_OK)
            return err;
        uint32_t slot = catalog_type_slot(columns->type, msgpack_item_text(&key));
        struct msgpack_cursor ahead = *cursor;

        err = msgpack_cursor_next(&ahead, &value);
        if (err == VT_OK && slot != CATALOG_NONE && is_missing(columns, slot))
            err = value_put(columns, slot, &value);
        if (err == VT_OK)
            err = msgpack_cursor_skim(cursor, 3, &is_text);
    }
    return err;
}

static vt_err
row_read(struct extra_columns *columns, struct vt_bytes extra)
{
    struct msgpack_cursor cursor = msgpack_cursor_of(extra);
    struct msgpack_item map;
    vt_err err = msgpack_cursor_expect(&cursor, MP_MAP, &map);

    for (uint32_t i = 0; i < map.count && err == VT_OK; i++) {
        struct msgpack_item item;
        bool is_text;

        err = msgpack_cursor_expect(&cursor, MP_STRING, &item);
        if (err != VT_OK)
            return err;
        if (!vt_str_equal(msgpack_item_text(&item), VT_STR("props"))) {
            err = msgpack_cursor_skim(&cursor, 2, &is_text);
            continue;
        }
        err = msgpack_cursor_expect(&cursor, MP_MAP, &item);
        if (err == VT_OK)
            err = props_read(columns, &cursor, item.count);
    }
    return err;
}

vt_err
rater_bind_extra(struct arena *arena, const struct catalog_type *type, struct bound_input *bound,
                 struct binding *binding)
{
    const struct row_block *block = binding->block;
    struct extra_columns columns = {
        .arena = arena, .type = type, .binding = binding, .bound = bound};
    bool any = false;

    for (uint32_t slot = 0; slot < type->field_count; slot++)
        any = any || is_missing(&columns, slot);
    if (block->extra == NULL || !any)
        return VT_OK;
    for (uint32_t row = 0; row < block->row_count; row++) {
        vt_err err = VT_OK;

        columns.row = row;
        if (block->extra[row].size > 0)
            err = row_read(&columns, block->extra[row]);
        if (err != VT_OK)
            return vt_err_detail(err, "position %llu: undeclared fields",
                                 (unsigned long long)block->position[row]);
    }
    return VT_OK;
}

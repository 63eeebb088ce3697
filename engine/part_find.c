/* part_find.c - a candidate of the tag table is looked for where rows are: the open epoch, frozen
 * epochs, segments, newest first. See part_internal.h. */
#include "part_internal.h"

static vt_err
epoch_look(const struct epoch *epoch, const struct row_wanted *wanted, struct arena *arena,
           struct row_block *out_row)
{
    row_ref ref;
    vt_err err = epoch_find(epoch, wanted, &ref);

    if (err != VT_OK)
        return err;
    return epoch_fetch(epoch, ref, arena, out_row);
}

vt_err
part_find(struct part *part, const struct row_wanted *wanted, const struct sealed_seek *answer,
          struct row_block *out_row)
{
    vt_err err = epoch_look(part->epoch, wanted, &part->scratch, out_row);

    for (uint32_t i = part->frozen_count; err == VT_NOT_FOUND && i > 0; i--)
        err = epoch_look(part->frozen[i - 1], wanted, &part->scratch, out_row);
    if (err == VT_NOT_FOUND && answer != NULL) {
        if (answer->found)
            *out_row = answer->row;
        return answer->found ? VT_OK : VT_NOT_FOUND;
    }
    for (uint32_t i = part->sealed_count; err == VT_NOT_FOUND && i > 0; i--)
        err = sealed_find(part->sealed[i - 1], wanted, &part->scratch, out_row);
    if (err == VT_OK && out_row->id == NULL)
        out_row->id = wanted->id;
    return err;
}

static bool
field_equal(const struct batch *batch, uint32_t index, uint32_t slot,
            const struct row_column *column, struct vt_str text)
{
    if (column->kind == FIELD_STRING)
        return vt_str_equal(batch->strings[batch->string_code[slot][index]], text);
    bool here = batch->decimal_present[slot][index] != 0;
    bool there = column->present == NULL || column->present[0] != 0;

    return here == there && (!here || batch->decimal_value[slot][index] == column->value[0]);
}

bool
part_content_equal(const struct batch *batch, uint32_t index, const struct row_block *row)
{
    const struct catalog_type *type = &batch->catalog->types[batch->type[index]];

    VT_ASSERT(row->row_count == 1);
    if (!vt_str_equal(type->name, row->type) || batch->time_us[index] != row->time_us[0])
        return false;
    for (uint32_t c = 0; c < row->column_count; c++) {
        const struct row_column *column = &row->columns[c];
        struct vt_str text = {NULL, 0};
        uint32_t slot = catalog_type_slot(type, column->name);

        /* A catalog only adds: what the first one's type declared is declared now, and alike. */
        VT_ASSERT(slot != CATALOG_NONE);
        VT_ASSERT(type->fields[slot].kind == column->kind);
        VT_ASSERT(column->kind == FIELD_STRING || type->fields[slot].scale == column->scale);
        if (column->kind == FIELD_STRING)
            text = row->dict[column->code[0]];
        if (!field_equal(batch, index, slot, column, text))
            return false;
    }
    return true;
}

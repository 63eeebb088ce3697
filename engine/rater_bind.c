/* rater_bind.c - a block's columns as the rating catalog declares them: by name, at its scales. */
#include <string.h>

#include "rater.h"
#include "venturi/assert.h"

static vt_err
row_refused(const struct row_block *block, uint32_t row, struct vt_str field, const char *why)
{
    return vt_err_detail(VT_INVALID, "position %llu: field %.*s: %s",
                         (unsigned long long)block->position[row], (int)field.size, field.data,
                         why);
}

/* A decimal column at another scale. */
static vt_err
rescale(struct arena *arena, const struct row_block *block, const struct row_column *column,
        uint32_t scale, const int64_t **out_value)
{
    int64_t *value = arena_alloc(arena, (uint64_t)block->row_count * sizeof *value);

    if (value == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < block->row_count; i++) {
        vt_err err = VT_OK;

        value[i] = 0;
        if (column->present == NULL || column->present[i] != 0)
            err = vt_decimal_rescale(column->value[i], column->scale, scale, &value[i]);
        if (err != VT_OK)
            return row_refused(block, i, column->name, vt_err_text(err));
    }
    *out_value = value;
    return VT_OK;
}

static vt_err
bind_decimal(struct arena *arena, const struct row_block *block, const struct catalog_field *field,
             struct bound_input *out)
{
    const struct row_column *column = row_block_column(block, field->name);

    if (column == NULL) {
        if (field->required && block->row_count > 0)
            return row_refused(block, 0, field->name, "missing");
        return VT_OK;
    }
    if (column->kind != FIELD_DECIMAL)
        return row_refused(block, 0, field->name, "a string where a decimal is declared");
    out->value = column->value;
    out->present = column->present;
    for (uint32_t i = 0; i < block->row_count && field->required && out->present != NULL; i++) {
        if (out->present[i] == 0)
            return row_refused(block, i, field->name, "missing");
    }
    if (column->scale == field->scale)
        return VT_OK;
    return rescale(arena, block, column, field->scale, &out->value);
}

static vt_err
bind_string(const struct row_block *block, const struct catalog_field *field,
            const uint32_t **out_code)
{
    const struct row_column *column = row_block_column(block, field->name);

    *out_code = NULL;
    if (column == NULL)
        return VT_OK;
    if (column->kind != FIELD_STRING)
        return row_refused(block, 0, field->name, "a decimal where a string is declared");
    *out_code = column->code;
    return VT_OK;
}

/* Every field that the type declares is looked at, also where rating does not read it: a row that
 * this catalog could not have taken is no row of its history. */
static vt_err
bind_field(struct arena *arena, const struct rater_type *type, uint32_t slot,
           struct binding *binding)
{
    const struct catalog_field *field = &type->type->fields[slot];
    struct bound_input bound = {.value = NULL};
    vt_err err;

    if (field->kind == FIELD_DECIMAL)
        err = bind_decimal(arena, binding->block, field, &bound);
    else
        err = bind_string(binding->block, field, &bound.code);
    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < type->dim_count; i++) {
        if (type->dims[i].slot == slot)
            binding->dim_code[i] = bound.code;
    }
    for (uint32_t i = 1; i < type->input_count; i++) {
        if (type->inputs[i].slot == slot)
            binding->inputs[i] = bound;
    }
    return VT_OK;
}

vt_err
rater_bind(struct arena *arena, const struct rater_type *type, const struct row_block *block,
           struct binding *out_binding)
{
    struct binding binding = {
        .block = block,
        .dim_code = arena_zalloc(arena, (type->dim_count + 1) * sizeof(uint32_t *)),
        .inputs = arena_zalloc(arena, type->input_count * sizeof(struct bound_input)),
        .string_count = block->dict_count,
        .strings = block->dict,
    };

    VT_ASSERT(type->input_count > 0);
    if (binding.dim_code == NULL || binding.inputs == NULL)
        return VT_NOMEM;
    for (uint32_t slot = 0; slot < type->type->field_count; slot++) {
        vt_err err = bind_field(arena, type, slot, &binding);

        if (err != VT_OK)
            return err;
    }
    *out_binding = binding;
    return VT_OK;
}

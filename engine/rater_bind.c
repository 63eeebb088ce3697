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

    if (column == NULL)
        return VT_OK;
    if (column->kind != FIELD_DECIMAL)
        return row_refused(block, 0, field->name, "a string where a decimal is declared");
    out->value = column->value;
    out->present = column->present;
    if (column->scale == field->scale)
        return VT_OK;
    return rescale(arena, block, column, field->scale, &out->value);
}

static vt_err
bind_string(const struct row_block *block, const struct catalog_field *field,
            struct bound_input *out)
{
    const struct row_column *column = row_block_column(block, field->name);

    if (column == NULL)
        return VT_OK;
    if (column->kind != FIELD_STRING)
        return row_refused(block, 0, field->name, "a decimal where a string is declared");
    out->code = column->code;
    return VT_OK;
}

static vt_err
check_required(const struct row_block *block, const struct catalog_field *field,
               const struct bound_input *bound)
{
    if (field->kind != FIELD_DECIMAL || !field->required)
        return VT_OK;
    if (bound->value == NULL)
        return row_refused(block, 0, field->name, "missing");
    for (uint32_t i = 0; i < block->row_count && bound->present != NULL; i++) {
        if (bound->present[i] == 0)
            return row_refused(block, i, field->name, "missing");
    }
    return VT_OK;
}

/* Every field that the type declares is looked at, also where rating does not read it: a row that
 * this catalog could not have taken is no row of its history. */
static vt_err
fields_bind(struct arena *arena, const struct catalog_type *type, struct bound_input *bound,
            struct binding *binding)
{
    const struct row_block *block = binding->block;
    vt_err err = VT_OK;

    for (uint32_t slot = 0; slot < type->field_count && err == VT_OK; slot++) {
        const struct catalog_field *field = &type->fields[slot];

        if (field->kind == FIELD_DECIMAL)
            err = bind_decimal(arena, block, field, &bound[slot]);
        else
            err = bind_string(block, field, &bound[slot]);
    }
    if (err == VT_OK)
        err = rater_bind_extra(arena, type, bound, binding);
    for (uint32_t slot = 0; slot < type->field_count && err == VT_OK; slot++)
        err = check_required(block, &type->fields[slot], &bound[slot]);
    return err;
}

vt_err
rater_bind(struct arena *arena, const struct rater_type *type, const struct row_block *block,
           struct binding *out_binding)
{
    uint64_t fields = (uint64_t)type->type->field_count + 1;
    struct bound_input *bound = arena_zalloc(arena, fields * sizeof *bound);
    struct binding binding = {
        .block = block,
        .dim_code = arena_zalloc(arena, fields * sizeof(const uint32_t *)),
        .inputs = arena_zalloc(arena, type->input_count * sizeof(struct bound_input)),
        .made = arena_zalloc(arena, fields * sizeof(struct bound_memory)),
    };

    VT_ASSERT(type->input_count > 0 && block->row_count > 0);
    if (bound == NULL || binding.dim_code == NULL || binding.inputs == NULL || binding.made == NULL)
        return VT_NOMEM;
    vt_err err = fields_bind(arena, type->type, bound, &binding);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < type->dim_count; i++)
        binding.dim_code[i] = bound[type->dims[i].slot].code;
    for (uint32_t i = 1; i < type->input_count; i++)
        binding.inputs[i] = bound[type->inputs[i].slot];
    *out_binding = binding;
    return VT_OK;
}

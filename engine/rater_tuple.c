/* rater_tuple.c - rows to tuples of dimensions. Each dimension numbers the strings that it met, for
 * the life of the rater. While the numbers are small, side by side they are an index into one
 * array, a few nanoseconds a row; with more of them a hash table takes over. */
#include <stdlib.h>
#include <string.h>

#include "rater.h"
#include "venturi/assert.h"

#define DIRECT_BITS_MAX 18 /* 1 MiB of array: it stays in a second-level cache */

void
rater_type_deinit_tuples(struct rater_type *type)
{
    for (uint32_t d = 0; d < type->dim_count; d++) {
        code_pages_deinit(&type->dims[d].known);
        tuple_table_deinit(&type->dims[d].numbers);
    }
    tuple_table_deinit(&type->tuples);
    free(type->direct);
    type->direct = NULL;
}

static uint32_t
direct_index(const struct rater_type *type, const uint32_t *key)
{
    uint32_t index = 0;

    for (uint32_t d = 0; d < type->dim_count; d++)
        index |= key[d] << type->dims[d].shift;
    return index;
}

/* Lays the numbers of all dimensions side by side, wide enough for one more of each. */
static vt_err
direct_layout(struct rater_type *type)
{
    uint32_t bits = 0;

    for (uint32_t d = 0; d < type->dim_count; d++) {
        struct rater_dim *dim = &type->dims[d];

        while (dim->bits < 31 && dim->numbers.count >> dim->bits != 0)
            dim->bits++;
        dim->shift = bits;
        bits += dim->bits;
    }
    free(type->direct);
    type->direct = NULL;
    type->is_direct = bits <= DIRECT_BITS_MAX;
    if (!type->is_direct)
        return VT_OK;
    type->direct = calloc(UINT64_C(1) << bits, sizeof *type->direct);
    if (type->direct == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < type->tuples.count; i++)
        type->direct[direct_index(type, tuple_table_key(&type->tuples, i))] = i + 1;
    return VT_OK;
}

vt_err
rater_type_init_tuples(struct rater_type *type)
{
    vt_err err = tuple_table_init(&type->tuples, type->dim_count);

    for (uint32_t d = 0; d < type->dim_count && err == VT_OK; d++)
        err = tuple_table_init(&type->dims[d].numbers, 1);
    return err == VT_OK ? direct_layout(type) : err;
}

/* The number of a string that this dimension did not meet since the dictionary began. */
static vt_err
number_learn(struct rater *rater, struct rater_type *type, struct rater_dim *dim,
             const struct binding *binding, uint32_t code)
{
    uint32_t number = 0;
    uint32_t own = 0;
    struct vt_str text;

    if (!binding_string(binding, code, &text))
        return vt_err_detail(VT_INVALID, "a string's code is outside its dictionary");
    vt_err err = dict_code(rater->dims, text, &own);

    if (err == VT_OK)
        err = tuple_table_put(&dim->numbers, &own, &number);
    if (err == VT_OK)
        err = code_pages_put(&dim->known, code, number);
    if (err == VT_OK && type->is_direct && dim->numbers.count >> dim->bits != 0)
        err = direct_layout(type);
    return err;
}

/* All codes of a chunk become known; then what follows looks them up without a question. */
static vt_err
chunk_learn(struct rater *rater, struct rater_type *type, const struct binding *binding,
            const struct chunk *chunk)
{
    static const uint32_t empty = 0;

    for (uint32_t d = 0; d < type->dim_count; d++) {
        struct rater_dim *dim = &type->dims[d];
        const uint32_t *code = binding->dim_code[d];
        uint32_t count = code == NULL ? 1 : chunk->count;

        code = code == NULL ? &empty : code + chunk->first;
        for (uint32_t i = 0; i < count; i++) {
            vt_err err = VT_OK;

            if (code_pages_get(&dim->known, code[i]) == CODE_NONE)
                err = number_learn(rater, type, dim, binding, code[i]);
            if (err != VT_OK)
                return err;
        }
    }
    return VT_OK;
}

static vt_err
tuples_direct(struct rater_type *type, const struct binding *binding, struct chunk *chunk)
{
    uint32_t key[CATALOG_FIELDS_MAX];

    memset(chunk->tuple, 0, chunk->count * sizeof *chunk->tuple);
    for (uint32_t d = 0; d < type->dim_count; d++) {
        const struct rater_dim *dim = &type->dims[d];
        const uint32_t *code = binding->dim_code[d];
        uint32_t same = code == NULL ? code_pages_get(&dim->known, 0) << dim->shift : 0;

        for (uint32_t i = 0; i < chunk->count && code == NULL; i++)
            chunk->tuple[i] |= same;
        for (uint32_t i = 0; i < chunk->count && code != NULL; i++)
            chunk->tuple[i] |= code_pages_get(&dim->known, code[chunk->first + i]) << dim->shift;
    }
    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t index = chunk->tuple[i];

        if (type->direct[index] == 0) {
            for (uint32_t d = 0; d < type->dim_count; d++)
                key[d] = index >> type->dims[d].shift & ((1U << type->dims[d].bits) - 1);
            vt_err err = tuple_table_put(&type->tuples, key, &chunk->tuple[i]);

            if (err != VT_OK)
                return err;
            type->direct[index] = chunk->tuple[i] + 1;
        }
        chunk->tuple[i] = type->direct[index] - 1;
    }
    return VT_OK;
}

static vt_err
tuples_hashed(struct rater_type *type, const struct binding *binding, struct chunk *chunk)
{
    uint32_t key[CATALOG_FIELDS_MAX];
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < chunk->count && err == VT_OK; i++) {
        for (uint32_t d = 0; d < type->dim_count; d++) {
            const uint32_t *code = binding->dim_code[d];

            key[d] =
                code_pages_get(&type->dims[d].known, code == NULL ? 0 : code[chunk->first + i]);
        }
        err = tuple_table_put(&type->tuples, key, &chunk->tuple[i]);
    }
    return err;
}

vt_err
rater_chunk_tuples(struct rater *rater, struct rater_type *type, const struct binding *binding,
                   struct chunk *chunk)
{
    uint32_t different = 0;
    vt_err err;

    VT_ASSERT(chunk->count > 0 && chunk->count <= CHUNK_ROWS);
    if (type->dim_count == 0) {
        chunk->one_tuple = true;
        return tuple_table_put(&type->tuples, NULL, &chunk->tuple[0]);
    }
    err = chunk_learn(rater, type, binding, chunk);
    if (err == VT_OK && type->is_direct)
        err = tuples_direct(type, binding, chunk);
    else if (err == VT_OK)
        err = tuples_hashed(type, binding, chunk);
    if (err != VT_OK)
        return err;
    for (uint32_t i = 1; i < chunk->count; i++)
        different |= chunk->tuple[i] ^ chunk->tuple[0];
    chunk->one_tuple = different == 0;
    return VT_OK;
}

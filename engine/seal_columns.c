/* seal_columns.c - growing columns and their way into chunks. See seal_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "seal_internal.h"
#include "venturi/assert.h"

vt_err
int_columns_init(struct int_columns *columns, uint32_t column_count)
{
    VT_ASSERT(column_count > 0);
    *columns = (struct int_columns){.column_count = column_count};
    columns->values = calloc(column_count, sizeof(int64_t *));
    return columns->values == NULL ? VT_NOMEM : VT_OK;
}

void
int_columns_deinit(struct int_columns *columns)
{
    for (uint32_t c = 0; columns->values != NULL && c < columns->column_count; c++)
        free(columns->values[c]);
    free(columns->values);
    *columns = (struct int_columns){0};
}

vt_err
int_columns_add(struct int_columns *columns)
{
    if (columns->row_count == columns->capacity) {
        uint32_t capacity = columns->capacity == 0 ? 64 : columns->capacity * 2;

        for (uint32_t c = 0; c < columns->column_count; c++) {
            int64_t *grown = realloc(columns->values[c], (uint64_t)capacity * sizeof *grown);

            if (grown == NULL)
                return VT_NOMEM;
            columns->values[c] = grown;
        }
        columns->capacity = capacity;
    }
    for (uint32_t c = 0; c < columns->column_count; c++)
        columns->values[c][columns->row_count] = 0;
    columns->row_count++;
    return VT_OK;
}

vt_err
byte_list_add(struct byte_list *list, const void *bytes, uint64_t size)
{
    if (size > list->capacity - list->size) {
        uint64_t capacity = (list->size + size) * 2;
        uint8_t *grown = realloc(list->data, capacity);

        if (grown == NULL)
            return VT_NOMEM;
        list->data = grown;
        list->capacity = capacity;
    }
    if (size > 0)
        memcpy(list->data + list->size, bytes, size);
    list->size += size;
    return VT_OK;
}

void
byte_list_deinit(struct byte_list *list)
{
    free(list->data);
    *list = (struct byte_list){0};
}

vt_err
seal_put(struct seal *seal, struct chunk_key key, const int64_t *values, uint32_t count)
{
    if (count == 0)
        return VT_OK;
    return segment_put_integers(seal->writer, key, values, count);
}

vt_err
seal_put_columns(struct seal *seal, uint16_t kind, uint32_t block,
                 const struct int_columns *columns)
{
    vt_err err = VT_OK;

    for (uint32_t c = 0; err == VT_OK && c < columns->column_count; c++) {
        struct chunk_key key = {.kind = kind, .column = c, .block = block};

        err = seal_put(seal, key, columns->values[c], columns->row_count);
    }
    return err;
}

uint32_t
seal_dims_max(const struct catalog *catalog)
{
    uint32_t most = 0;

    for (uint32_t m = 0; m < catalog->meter_count; m++)
        most = catalog->meters[m].dim_count > most ? catalog->meters[m].dim_count : most;
    return most;
}

uint32_t
seal_groups_max(const struct catalog *catalog)
{
    uint32_t most = 0;

    for (uint32_t m = 0; m < catalog->meter_count; m++)
        most = catalog->meters[m].group_count > most ? catalog->meters[m].group_count : most;
    return most;
}

vt_err
seal_put_bytes(struct seal *seal, struct chunk_key key, struct vt_bytes bytes)
{
    return bytes.size == 0 ? VT_OK : segment_put_bytes(seal->writer, key, bytes);
}

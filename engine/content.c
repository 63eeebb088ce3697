/* content.c - see content.h. Small fields are gathered first: a call of the digest costs more than
 * a copy. */
#include "content.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define CONTENT_BUFFER_BYTES UINT32_C(4096) /* many are open at once for the digest */

struct content {
    EVP_MD_CTX *digest;
    uint32_t used;
    uint8_t buffer[CONTENT_BUFFER_BYTES];
};

static vt_err
content_begin(struct content *content)
{
    content->used = 0;
    return EVP_DigestInit_ex(content->digest, EVP_sha256(), NULL) == 1
               ? VT_OK
               : vt_err_detail(VT_UNSUPPORTED, "SHA-256 is not to be had");
}

vt_err
content_open(struct content **out_content)
{
    struct content *content = malloc(sizeof *content);

    if (content == NULL)
        return VT_NOMEM;
    content->digest = EVP_MD_CTX_new();
    vt_err err = content->digest == NULL ? VT_NOMEM : content_begin(content);

    if (err != VT_OK) {
        content_close(content);
        return err;
    }
    *out_content = content;
    return VT_OK;
}

void
content_close(struct content *content)
{
    if (content == NULL)
        return;
    EVP_MD_CTX_free(content->digest);
    free(content);
}

static vt_err
content_flush(struct content *content)
{
    if (content->used > 0 && EVP_DigestUpdate(content->digest, content->buffer, content->used) != 1)
        return VT_NOMEM;
    content->used = 0;
    return VT_OK;
}

vt_err
content_add_bytes(struct content *content, const void *bytes, uint64_t size)
{
    if (size > CONTENT_BUFFER_BYTES - content->used) {
        vt_err err = content_flush(content);

        if (err != VT_OK)
            return err;
        if (size > CONTENT_BUFFER_BYTES)
            return EVP_DigestUpdate(content->digest, bytes, size) == 1 ? VT_OK : VT_NOMEM;
    }
    if (size > 0)
        memcpy(content->buffer + content->used, bytes, size);
    content->used += (uint32_t)size;
    return VT_OK;
}

static vt_err
add_sized(struct content *content, const void *bytes, uint32_t size)
{
    vt_err err = content_add_bytes(content, &size, sizeof size);

    return err == VT_OK ? content_add_bytes(content, bytes, size) : err;
}

static vt_err
add_field(struct content *content, const struct row_block *block, const struct row_column *column,
          uint32_t row)
{
    if (column->kind == FIELD_STRING) {
        struct vt_str text = block->dict[column->code[row]];

        return add_sized(content, text.data, text.size);
    }
    uint8_t present = column->present == NULL ? 1 : column->present[row];
    int64_t value = present ? column->value[row] : 0;
    vt_err err = content_add_bytes(content, &present, sizeof present);

    return err == VT_OK ? content_add_bytes(content, &value, sizeof value) : err;
}

static vt_err
add_row(struct content *content, const struct row_block *block, uint32_t row)
{
    struct vt_str source = block->dict[block->source[row]];
    const struct row_id *id = &block->id[row];
    vt_err err = content_add_bytes(content, &block->position[row], sizeof block->position[row]);

    if (err == VT_OK)
        err = content_add_bytes(content, &block->time_us[row], sizeof block->time_us[row]);
    if (err == VT_OK)
        err = add_sized(content, source.data, source.size);
    if (err == VT_OK)
        err = content_add_bytes(content, &id->kind, sizeof id->kind);
    if (err == VT_OK)
        err = add_sized(content, id->data, id->size);
    for (uint32_t c = 0; err == VT_OK && c < block->column_count; c++)
        err = add_field(content, block, &block->columns[c], row);
    if (err != VT_OK)
        return err;
    struct vt_bytes extra = block->extra == NULL ? (struct vt_bytes){NULL, 0} : block->extra[row];

    return add_sized(content, extra.data, (uint32_t)extra.size);
}

vt_err
content_add(struct content *content, const struct row_block *block, uint32_t first, uint32_t count)
{
    vt_err err = VT_OK;

    VT_ASSERT(block->id != NULL);
    VT_ASSERT(first + count <= block->row_count);
    for (uint32_t row = first; err == VT_OK && row < first + count; row++)
        err = add_row(content, block, row);
    return err;
}

vt_err
content_finish(struct content *content, uint8_t out_sha256[32])
{
    vt_err err = content_flush(content);

    if (err != VT_OK)
        return err;
    if (EVP_DigestFinal_ex(content->digest, out_sha256, NULL) != 1)
        return VT_NOMEM;
    return content_begin(content);
}

/* content.c - see content.h. Rows are put together in a buffer first: a call of the digest costs
 * more than a copy. */
#include "content.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "dict.h"
#include "venturi/assert.h"

#define CONTENT_BUFFER_BYTES UINT32_C(4096) /* many are open at once for the digest */
#define PREFETCH_ROWS        8

enum { WORD_POSITION, WORD_TIME, WORD_SOURCE, WORD_SHAPE, WORD_ID, WORD_ABSENT = 6, WORD_FIELDS };

#define ROW_WORDS_MAX (WORD_FIELDS + CATALOG_FIELDS_MAX + 1)
/* A row without its bytes, and what the last store of a word may write beyond. */
#define ROW_ROOM (ROW_WORDS_MAX / 2 + 1 + ROW_WORDS_MAX * 8 + 8)

_Static_assert(CATALOG_FIELDS_MAX <= 64, "a word has a bit for each field");
_Static_assert(ROW_ROOM <= CONTENT_BUFFER_BYTES, "a row fits the buffer");

/* Where a string of a dictionary came first. */
struct string_number {
    uint32_t stream; /* that it came in */
    uint32_t number;
};

/* A row on its way into the buffer. */
struct row_words {
    uint32_t count;
    uint32_t fresh_count;
    uint64_t word[ROW_WORDS_MAX];
    struct vt_str fresh[ROW_WORDS_MAX]; /* strings that are new */
};

struct content {
    EVP_MD_CTX *digest;
    bool one_dict;
    uint32_t stream; /* digests begun; never 0 */
    /* Of the row before. */
    uint64_t position;
    uint64_t time_us;
    uint64_t shape;
    uint64_t epoch; /* of the last sequence */
    uint64_t sequence;
    /* Strings since the last digest. */
    uint32_t string_count;
    struct dict *texts; /* several dictionaries: their codes there are their numbers */
    uint64_t dict_id;   /* one dictionary: whose codes `numbers` is for */
    uint32_t number_count;
    struct string_number *numbers; /* [code]; malloc */
    struct row_words row;          /* at hand */
    uint32_t used;
    uint8_t buffer[CONTENT_BUFFER_BYTES];
};

static vt_err
content_begin(struct content *content)
{
    vt_err err = VT_OK;

    content->used = 0;
    content->position = content->time_us = content->shape = 0;
    content->epoch = content->sequence = 0;
    content->string_count = 0;
    if (++content->stream == 0) { /* numbers of 2^32 digests ago would be believed */
        content->stream = 1;
        content->number_count = 0;
    }
    dict_close(content->texts);
    content->texts = NULL;
    if (!content->one_dict)
        err = dict_open(&content->texts);
    if (err != VT_OK)
        return err;
    return EVP_DigestInit_ex(content->digest, EVP_sha256(), NULL) == 1
               ? VT_OK
               : vt_err_detail(VT_UNSUPPORTED, "SHA-256 is not to be had");
}

vt_err
content_open(bool one_dict, struct content **out_content)
{
    struct content *content = malloc(sizeof *content);

    if (content == NULL)
        return VT_NOMEM;
    memset(content, 0, offsetof(struct content, buffer));
    content->one_dict = one_dict;
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
    dict_close(content->texts);
    free(content->numbers);
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

/* --- rows */

static inline uint64_t
sign_moved(uint64_t value)
{
    return value << 1 ^ (uint64_t)((int64_t)value >> 63);
}

static inline uint32_t
bytes_of(uint64_t word)
{
    return (71 - (uint32_t)__builtin_clzll(word | 1)) / 8 - (word == 0);
}

/* What is written beyond its bytes, the next word covers. */
static inline uint8_t *
word_write(uint8_t *at, uint64_t word, uint32_t size)
{
    le64 bytes = le64_put(word);

    memcpy(at, bytes.byte, sizeof bytes.byte);
    return at + size;
}

static vt_err
numbers_prepare(struct content *content, const struct row_block *block)
{
    if (!content->one_dict ||
        (content->dict_id == block->dict_id && content->number_count >= block->dict_count))
        return VT_OK;
    struct string_number *numbers = calloc((uint64_t)block->dict_count + 1, sizeof *numbers);

    VT_ASSERT(content->string_count == 0);
    if (numbers == NULL)
        return VT_NOMEM;
    free(content->numbers);
    content->numbers = numbers;
    content->number_count = block->dict_count;
    content->dict_id = block->dict_id;
    return VT_OK;
}

static vt_err
put_string(struct content *content, const struct row_block *block, uint32_t code,
           struct row_words *row)
{
    uint32_t number = 0;
    vt_err err = VT_OK;

    if (!content->one_dict) {
        err = dict_code(content->texts, block->dict[code], &number);
    } else if (code != 0) {
        struct string_number *known = &content->numbers[code];

        if (known->stream != content->stream)
            *known = (struct string_number){content->stream, content->string_count + 1};
        number = known->number;
    }
    row->word[row->count++] = number;
    if (number <= content->string_count)
        return err;
    VT_ASSERT(number == content->string_count + 1);
    content->string_count = number;
    row->fresh[row->fresh_count++] = block->dict[code];
    return err;
}

static vt_err
put_fixed(struct content *content, const struct row_block *block, uint32_t at,
          struct row_words *row)
{
    const struct row_id *id = &block->id[at];
    uint64_t shape = (uint64_t)block->column_count << 18 | (uint64_t)id->size << 2 | id->kind;
    uint64_t time_us = (uint64_t)block->time_us[at];
    uint64_t words[2] = {0, 0};

    row->fresh_count = 0;
    row->word[WORD_POSITION] = block->position[at] - content->position;
    row->word[WORD_TIME] = sign_moved(time_us - content->time_us);
    row->count = WORD_SOURCE;
    vt_err err = put_string(content, block, block->source[at], row);

    if (id->kind != ROW_ID_TEXT)
        memcpy(words, id->data, sizeof words);
    if (id->kind == ROW_ID_SEQUENCE) {
        uint64_t epoch = words[0], sequence = words[1];

        words[0] -= content->epoch;
        words[1] -= content->sequence;
        content->epoch = epoch;
        content->sequence = sequence;
    }
    row->word[WORD_SHAPE] = shape ^ content->shape;
    row->word[WORD_ID] = words[0];
    row->word[WORD_ID + 1] = words[1];
    row->word[WORD_ABSENT] = 0;
    row->count = WORD_FIELDS;
    content->position = block->position[at];
    content->time_us = time_us;
    content->shape = shape;
    return err;
}

static vt_err
put_fields(struct content *content, const struct row_block *block, uint32_t at,
           struct row_words *row)
{
    vt_err err = VT_OK;

    for (uint32_t c = 0; err == VT_OK && c < block->column_count; c++) {
        const struct row_column *column = &block->columns[c];

        if (column->kind == FIELD_STRING) {
            err = put_string(content, block, column->code[at], row);
        } else if (column->present == NULL || column->present[at] != 0) {
            row->word[row->count++] = sign_moved((uint64_t)column->value[at]);
        } else {
            row->word[WORD_ABSENT] |= UINT64_C(1) << c;
            row->word[row->count++] = 0;
        }
    }
    return err;
}

/* Sizes and words into the buffer, which has room. */
static void
words_write(struct content *content, const struct row_words *row)
{
    uint8_t *sizes = content->buffer + content->used;
    uint8_t *at = sizes + (row->count + 1) / 2;
    uint32_t i = 0;

    for (; i + 1 < row->count; i += 2) {
        uint32_t low = bytes_of(row->word[i]);
        uint32_t high = bytes_of(row->word[i + 1]);

        *sizes++ = (uint8_t)(low | high << 4);
        at = word_write(at, row->word[i], low);
        at = word_write(at, row->word[i + 1], high);
    }
    if (i < row->count) {
        uint32_t low = bytes_of(row->word[i]);

        *sizes = (uint8_t)low;
        at = word_write(at, row->word[i], low);
    }
    content->used = (uint32_t)(at - content->buffer);
}

static vt_err
add_row(struct content *content, const struct row_block *block, uint32_t at)
{
    struct vt_bytes extra = block->extra == NULL ? (struct vt_bytes){NULL, 0} : block->extra[at];
    const struct row_id *id = &block->id[at];
    struct row_words *row = &content->row;
    vt_err err = put_fixed(content, block, at, row);

    if (err == VT_OK)
        err = put_fields(content, block, at, row);
    row->word[row->count++] = extra.size;
    if (err == VT_OK && content->used > CONTENT_BUFFER_BYTES - ROW_ROOM)
        err = content_flush(content);
    if (err != VT_OK)
        return err;
    words_write(content, row);
    if (id->kind == ROW_ID_TEXT)
        err = content_add_bytes(content, id->data, id->size);
    for (uint32_t i = 0; err == VT_OK && i < row->fresh_count; i++) {
        le32 size = le32_put(row->fresh[i].size);

        err = content_add_bytes(content, &size, sizeof size);
        if (err == VT_OK)
            err = content_add_bytes(content, row->fresh[i].data, row->fresh[i].size);
    }
    return err == VT_OK && extra.size > 0 ? content_add_bytes(content, extra.data, extra.size)
                                          : err;
}

vt_err
content_add(struct content *content, const struct row_block *block, uint32_t first, uint32_t count)
{
    VT_ASSERT(block->id != NULL);
    VT_ASSERT(block->column_count <= CATALOG_FIELDS_MAX);
    VT_ASSERT(first + count <= block->row_count);
    vt_err err = numbers_prepare(content, block);

    for (uint32_t row = first; err == VT_OK && row < first + count; row++) {
        /* The bytes of ids stand wherever their rows stood, all else is at hand. */
        if (row + PREFETCH_ROWS < first + count)
            __builtin_prefetch(block->id[row + PREFETCH_ROWS].data, 0, 3);
        err = add_row(content, block, row);
    }
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

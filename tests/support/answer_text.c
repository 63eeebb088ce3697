/* answer_text.c - see answer_text.h. */
#include "answer_text.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

vt_err
answer_flush(void *context, struct json_out *out)
{
    struct answer_text *text = context;

    if (text->size + out->size + 1 > text->capacity) {
        text->capacity = (text->size + out->size + 1) * 2;
        text->data = realloc(text->data, text->capacity);
        VT_ASSERT(text->data != NULL);
    }
    memcpy(text->data + text->size, out->data, out->size);
    text->size += out->size;
    text->data[text->size] = '\0';
    json_out_reset(out);
    return VT_OK;
}

vt_err
answer_feed(const struct view *view, const struct feed_query *page, struct answer_text *text,
            uint64_t *out_rows)
{
    static const uint8_t secret[32] = {5};
    struct feed_query query = *page;
    struct view_sink sink = {answer_flush, text};

    query.secret = secret;
    return view_feed(view, &query, &sink, out_rows);
}

struct vt_str
answer_cursor(const struct answer_text *text, char buffer[ANSWER_CURSOR_MAX])
{
    static const char word[] = "\"cursor\":\"";

    if (text->size < sizeof word)
        return (struct vt_str){NULL, 0};
    const char *at = text->data + text->size - sizeof word;

    while (memcmp(at, word, sizeof word - 1) != 0) {
        VT_ASSERT(at > text->data);
        at--;
    }
    at += sizeof word - 1;
    uint32_t size = (uint32_t)(strchr(at, '"') - at);

    VT_ASSERT(size < ANSWER_CURSOR_MAX);
    memcpy(buffer, at, size);
    return (struct vt_str){buffer, size};
}

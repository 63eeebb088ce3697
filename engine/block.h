/*
 * block.h - accepted rows of one tenant and one type, by column: what a scan hands to its consumers
 * (windows, rating, digest, sealing). Rows stand in the order of their positions. The same shape
 * comes from a sealed segment and from memory that is not sealed yet.
 *
 * Columns have names, not slots: the catalog that rates may be another than the one that judged.
 *
 * Life:   borrowed for the call of the consumer.
 * Thread: the reader's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "catalog.h"
#include "venturi/bytes.h"
#include "venturi/hash.h"

/* Ids are kept as text, as the 16 bytes of a UUID whose canonical lower-case text is the id, or as
 * the number of a producer session's event, whose id is "EPOCH-SEQUENCE", 20 digits each. */
enum row_id_kind { ROW_ID_TEXT = 0, ROW_ID_UUID = 1, ROW_ID_SEQUENCE = 2 };

#define ROW_ID_TEXT_BYTES 1024 /* of the longest text */

struct row_id {
    const uint8_t *data; /* text or UUID; for a sequence epoch and sequence as two le64 */
    uint16_t size;
    uint8_t kind;
};

/* Ids of rows in memory, 19 bytes each: UUIDs and sequences stand in `bytes`, of a text the address
 * of its bytes. */
struct id_column {
    uint8_t (*bytes)[16];
    uint16_t *size;
    uint8_t *kind;
};

/* Valid as long as the column, and a text's own bytes. */
static inline struct row_id
id_column_get(const struct id_column *column, uint32_t row)
{
    struct row_id id = {column->bytes[row], column->size[row], column->kind[row]};

    if (id.kind == ROW_ID_TEXT)
        memcpy(&id.data, column->bytes[row], sizeof id.data);
    return id;
}

/* The bytes of a text stay the caller's. */
static inline void
id_column_put(const struct id_column *column, uint32_t row, const struct row_id *id)
{
    if (id->kind == ROW_ID_TEXT)
        memcpy(column->bytes[row], &id->data, sizeof id->data);
    else
        memcpy(column->bytes[row], id->data, sizeof column->bytes[row]);
    column->size[row] = id->size;
    column->kind[row] = id->kind;
}

/* The 16 bytes of a canonical lower-case UUID's text, false for any other text. */
bool row_id_uuid_parse(struct vt_bytes text, uint8_t out_uuid[16]);

/* The id as the text of the semantics; `buffer` is used for kinds other than text. */
struct vt_str row_id_text(const struct row_id *id, char buffer[48]);

/* Order of the texts, by bytes; two UUIDs or two sequences are compared without making them. */
int row_id_compare(const struct row_id *a, const struct row_id *b);

/* What a row is looked for by: K finds candidates, the other three decide, byte for byte. */
struct row_wanted {
    const struct vt_hash128 *identity;
    struct vt_str tenant;
    struct vt_str source;
    const struct row_id *id;
};

struct row_column {
    struct vt_str name;
    enum field_kind kind;
    uint32_t scale;         /* decimals: value is in units of 10^-scale */
    const int64_t *value;   /* decimals; 0 where not present */
    const uint8_t *present; /* decimals: a byte a row, 1 or 0; NULL: all are */
    const uint32_t *code;   /* strings: index in dict; 0 is always "" */
};

struct row_block {
    struct vt_str tenant;
    struct vt_str type;
    uint32_t row_count;
    const uint64_t *position;
    const int64_t *time_us;
    const uint32_t *source;  /* code in dict */
    const struct row_id *id; /* NULL unless asked for */
    const struct vt_bytes
        *extra; /* fields that the type did not declare: see batch.h; NULL unless asked */
    uint32_t column_count;
    const struct row_column *columns;
    uint32_t
        dict_count; /* strings of the whole segment or epoch; codes of different `dict`s differ */
    const struct vt_str *dict;
    uint64_t dict_id; /* unique in the process for each dictionary: a key for caches */
};

/* NULL where there is no column of this name. */
const struct row_column *row_block_column(const struct row_block *block, struct vt_str name);

/*
 * msgpack_cursor.h - reads msgpack in place from bytes that nobody has checked. It allocates
 * nothing and does not recurse: a count of elements is believed only as far as bytes for them are
 * there, since each takes one at least, and depth ends at VT_DEPTH_MAX. (msgpack-c reserves memory
 * by the count that a header claims: five bytes are enough for 8 GiB.)
 *
 * What passes is what JSON can say, in msgpack's clothes: the keys of a map are strings, and an ext
 * of type VT_EXT_NUMBER holds the text of a JSON number. Floats, bin and other exts pass as well:
 * whoever wants a value of a certain kind judges the kind.
 *
 * Errors: VT_BAD_FORMAT, VT_TOO_DEEP; `problem` then says what, and the cursor stands at the first
 *         byte of the item concerned.
 * Thread: the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"
#include "venturi/wire.h"

enum msgpack_kind {
    MP_NIL = 0,
    MP_BOOL,
    MP_INT,  /* fits int64 */
    MP_UINT, /* above INT64_MAX */
    MP_FLOAT,
    MP_STRING,
    MP_BIN,
    MP_ARRAY,
    MP_MAP,
    MP_NUMBER, /* ext VT_EXT_NUMBER: `bytes` is the text */
    MP_EXT     /* any other ext */
};

struct msgpack_item {
    enum msgpack_kind kind;
    uint32_t count;        /* ARRAY: elements that follow; MAP: pairs */
    int64_t integer;       /* INT; BOOL: 0 or 1 */
    uint64_t natural;      /* UINT */
    struct vt_bytes bytes; /* STRING, BIN, NUMBER, EXT: contents */
};

struct msgpack_cursor {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    const char *problem; /* of the last failure; a literal */
};

struct msgpack_cursor msgpack_cursor_of(struct vt_bytes bytes);

static inline uint64_t
msgpack_cursor_offset(const struct msgpack_cursor *cursor)
{
    return (uint64_t)(cursor->at - cursor->begin);
}

static inline uint64_t
msgpack_cursor_left(const struct msgpack_cursor *cursor)
{
    return (uint64_t)(cursor->end - cursor->at);
}

static inline struct vt_str
msgpack_item_text(const struct msgpack_item *item)
{
    return (struct vt_str){(const char *)item->bytes.data, (uint32_t)item->bytes.size};
}

/* Reads a scalar whole, of an array or map the header only. */
VT_MUST_CHECK vt_err msgpack_cursor_next(struct msgpack_cursor *cursor,
                                         struct msgpack_item *out_item);

/* The next item must be of this kind. */
VT_MUST_CHECK vt_err msgpack_cursor_expect(struct msgpack_cursor *cursor, enum msgpack_kind kind,
                                           struct msgpack_item *out_item);

/* Passes over one value with all that is in it. `level` is its own: 1 for a value that stands in
 * nothing. *out_well_formed: whether every string and key in it is valid UTF-8. */
VT_MUST_CHECK vt_err msgpack_cursor_skim(struct msgpack_cursor *cursor, uint32_t level,
                                         bool *out_well_formed);

/* Whether this is the text of a number by RFC 8259. */
bool msgpack_number_valid(struct vt_bytes text);

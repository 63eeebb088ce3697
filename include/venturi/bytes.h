/*
 * bytes.h - little-endian integers as structs of bytes, views of bytes and text, and a bounded
 * cursor. A struct of these has no padding and no alignment, so it may be laid over a buffer.
 *
 * Thread: any; nothing here keeps state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct le16 {
    uint8_t byte[2];
} le16;
typedef struct le32 {
    uint8_t byte[4];
} le32;
typedef struct le64 {
    uint8_t byte[8];
} le64;

/* Both supported machines are little-endian, so each of these is one move. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian machines only");

static inline uint16_t
le16_get(le16 v)
{
    uint16_t x;
    memcpy(&x, v.byte, sizeof x);
    return x;
}

static inline uint32_t
le32_get(le32 v)
{
    uint32_t x;
    memcpy(&x, v.byte, sizeof x);
    return x;
}

static inline uint64_t
le64_get(le64 v)
{
    uint64_t x;
    memcpy(&x, v.byte, sizeof x);
    return x;
}

static inline le16
le16_put(uint16_t x)
{
    le16 v;
    memcpy(v.byte, &x, sizeof x);
    return v;
}

static inline le32
le32_put(uint32_t x)
{
    le32 v;
    memcpy(v.byte, &x, sizeof x);
    return v;
}

static inline le64
le64_put(uint64_t x)
{
    le64 v;
    memcpy(v.byte, &x, sizeof x);
    return v;
}

/* Memory that is seen through a pointer to const, as its owner may use it: to free it. */
static inline void *
vt_owned(const void *memory)
{
    void *owned;
    memcpy(&owned, &memory, sizeof owned);
    return owned;
}

/* Loads from an unaligned address. */
static inline uint64_t
vt_load64(const void *at)
{
    uint64_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

static inline uint32_t
vt_load32(const void *at)
{
    uint32_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

/* A borrowed run of bytes. `data` may be NULL only where `size` is 0. */
struct vt_bytes {
    const uint8_t *data;
    uint64_t size;
};

/* Borrowed text: UTF-8 where nothing else is said, not terminated. */
struct vt_str {
    const char *data;
    uint32_t size;
};

#define VT_STR(literal) ((struct vt_str){(literal), sizeof(literal) - 1})

static inline bool
vt_str_equal(struct vt_str a, struct vt_str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Byte order, a prefix first: the order of code points in UTF-8. */
static inline int
vt_str_compare(struct vt_str a, struct vt_str b)
{
    uint32_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

/* Reads forward through a view. The first read past the end sets `bad`; from then on every read
 * gives zeros and an empty view, so a decoder may check once at its end. */
struct vt_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct vt_reader
vt_reader_of(struct vt_bytes bytes)
{
    return (struct vt_reader){bytes.data, bytes.size == 0 ? bytes.data : bytes.data + bytes.size,
                              false};
}

static inline uint64_t
vt_reader_left(const struct vt_reader *reader)
{
    return (uint64_t)(reader->end - reader->at);
}

/* The next `size` bytes, or an empty view and `bad`. */
static inline struct vt_bytes
vt_read_bytes(struct vt_reader *reader, uint64_t size)
{
    if (reader->bad || size > vt_reader_left(reader)) {
        reader->bad = true;
        return (struct vt_bytes){reader->at, 0};
    }
    const uint8_t *at = reader->at;

    if (size > 0)
        reader->at += size;
    return (struct vt_bytes){at, size};
}

#define VT_READ_INTEGER(name, type)                                  \
    static inline type name(struct vt_reader *reader)                \
    {                                                                \
        type value = 0;                                              \
        struct vt_bytes bytes = vt_read_bytes(reader, sizeof value); \
                                                                     \
        if (bytes.size == sizeof value)                              \
            memcpy(&value, bytes.data, sizeof value);                \
        return value;                                                \
    }
VT_READ_INTEGER(vt_read_u8, uint8_t)
VT_READ_INTEGER(vt_read_u16, uint16_t)
VT_READ_INTEGER(vt_read_u32, uint32_t)
VT_READ_INTEGER(vt_read_u64, uint64_t)
VT_READ_INTEGER(vt_read_i64, int64_t)
#undef VT_READ_INTEGER

/*
 * msgpack_put.h - writes msgpack headers and small values into memory that the caller has measured:
 * a head takes at most MSGPACK_HEAD_BYTES. Every function gives the place behind what it wrote.
 *
 * Thread: any.
 */
#pragma once

#include "venturi/bytes.h"
#include "venturi/wire.h"

#define MSGPACK_HEAD_BYTES 9 /* of the longest: an integer with its lead byte */

static inline uint8_t *
msgpack_put_number(uint8_t *at, uint8_t lead, uint64_t number, uint32_t size)
{
    *at++ = lead;
    for (uint32_t i = size; i > 0; i--)
        *at++ = (uint8_t)(number >> (8 * (i - 1)));
    return at;
}

static inline uint8_t *
msgpack_put_map(uint8_t *at, uint32_t pairs)
{
    if (pairs < 16)
        return msgpack_put_number(at, (uint8_t)(0x80 | pairs), 0, 0);
    if (pairs <= UINT16_MAX)
        return msgpack_put_number(at, 0xDE, pairs, 2);
    return msgpack_put_number(at, 0xDF, pairs, 4);
}

static inline uint8_t *
msgpack_put_text(uint8_t *at, struct vt_str text)
{
    if (text.size < 32)
        at = msgpack_put_number(at, (uint8_t)(0xA0 | text.size), 0, 0);
    else if (text.size <= UINT8_MAX)
        at = msgpack_put_number(at, 0xD9, text.size, 1);
    else if (text.size <= UINT16_MAX)
        at = msgpack_put_number(at, 0xDA, text.size, 2);
    else
        at = msgpack_put_number(at, 0xDB, text.size, 4);
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

static inline uint8_t *
msgpack_put_integer(uint8_t *at, int64_t value)
{
    if (value >= -32 && value < 128)
        return msgpack_put_number(at, (uint8_t)value, 0, 0);
    return msgpack_put_number(at, 0xD3, (uint64_t)value, 8);
}

/* A JSON number's text, of at most 255 bytes, as ext VT_EXT_NUMBER. */
static inline uint8_t *
msgpack_put_number_text(uint8_t *at, struct vt_str text)
{
    at = msgpack_put_number(at, 0xC7, text.size, 1);
    *at++ = VT_EXT_NUMBER;
    memcpy(at, text.data, text.size);
    return at + text.size;
}

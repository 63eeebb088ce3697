/*
 * codec_pack.h - unsigned integers of a common width, packed bit by bit.
 *
 * A full block of 1024 values is packed in 16 lanes of 64-bit words, so that one shift serves 16
 * values and plain C becomes vector code: value i is in lane i mod 16, row i / 16; a lane's 64 rows
 * fill `width` words, least significant bits first; word j of lane l is word 16 j + l of the block.
 * A shorter block is packed as one string of bits, least significant first.
 *
 * Thread: any; no state.
 */
#pragma once

#include <stdint.h>

#define PACK_BLOCK 1024

/* At most 8 x PACK_BLOCK. */
uint32_t pack_bytes(uint32_t count, uint32_t width);

/* The low `width` bits of each value. `out` has room for pack_bytes(count, width). */
void pack_put(const uint64_t *values, uint32_t count, uint32_t width, uint8_t *out);

/* Each value plus `reference`, modulo 2^64. Reads pack_bytes(count, width) bytes. */
void pack_get(const uint8_t *in, uint32_t count, uint32_t width, uint64_t reference,
              int64_t *out_values);

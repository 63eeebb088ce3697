/*
 * codec.h - columns of integers and runs of bytes as few bytes, chosen by looking at the data. What
 * is encoded is a function of the values alone: the same on every machine.
 *
 * The choice for integers tries each codec on a few blocks of the column, not on all of it.
 * Decoding is the fast side: one pass, no branch per value, loops that the compiler vectorises.
 *
 * ENCODED INTEGERS, by codec. Little-endian; n values; arithmetic is modulo 2^64.
 *
 *   CODEC_CONSTANT   8 bytes: the value of all
 *   CODEC_FOR        ceil(n / 1024) blocks; the last may be shorter than 1024 values
 *   CODEC_DELTA      the same of differences; 8 bytes before each block: base. A value is the one
 *                    before it (first: base) plus the block's entry
 *   CODEC_DELTA2     the same of differences of differences; 16 bytes before each block: base and
 *                    base difference
 *   CODEC_RUNS       4 bytes: number of runs r; then for each 1024 of them (the last time the rest)
 *                    a block of their values and a block of their lengths; lengths sum to n
 *
 *   Block of m values, 1 <= m <= 1024
 *     off size field         rule
 *       0    1 width         0 to 64 bits a value
 *       1    1 excess_bytes  1 to 8 where there are patches, else 0
 *       2    2 patch_count   at most m; 0 where width is 64
 *       4    8 reference     added to each entry
 *      12      packed        codec_pack.h; 128 x width bytes where m is 1024, else ceil(m x width /
 *                            8)
 *              index         patch_count x 2 bytes, ascending, below m
 *              excess        patch_count x excess_bytes: what stands above `width` bits at index
 *
 * ENCODED BYTES
 *   CODEC_RAW        themselves
 *   CODEC_LZ4        one LZ4 block
 *
 * After M. Zukowski et al., "Super-Scalar RAM-CPU Cache Compression" (ICDE 2006: patched frame of
 * reference), T. Pelkonen et al., "Gorilla" (VLDB 2015: delta of delta) and A. Afroozeh, P. Boncz,
 * "The FastLanes Compression Layout" (VLDB 2023: lanes that plain C vectorises).
 *
 * Errors: VT_BAD_FORMAT for stored bytes that no encoder wrote; the caller adds file and offset.
 * Thread: any; no state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

/* Numbers on disk. */
enum codec {
    CODEC_RAW = 1,
    CODEC_LZ4 = 2,
    CODEC_CONSTANT = 3,
    CODEC_FOR = 4,
    CODEC_DELTA = 5,
    CODEC_DELTA2 = 6,
    CODEC_RUNS = 7,
};

#define CODEC_VALUES_MAX (UINT32_C(1) << 24) /* integers in one piece */
#define CODEC_BYTES_MAX  (UINT32_C(1) << 30) /* bytes in one piece; below LZ4_MAX_INPUT_SIZE */

bool codec_is_integer(uint8_t codec);
bool codec_is_bytes(uint8_t codec);

/* Whether `stored_bytes` can hold `count` integers or bytes: what a reader asks before it takes
 * memory for them. */
bool codec_size_possible(uint8_t codec, uint64_t stored_bytes, uint32_t count);

/* What was chosen, and the zone map. */
struct codec_result {
    uint8_t codec;
    uint32_t bytes;
    int64_t min;
    int64_t max;
};

/* Room that an encoder needs for `count` integers, or for `size` bytes. */
uint64_t codec_integers_bound(uint32_t count);
uint64_t codec_bytes_bound(uint32_t size);

/* `count` is 1 to CODEC_VALUES_MAX; `out` has room for codec_integers_bound(count). */
struct codec_result codec_encode_integers(const int64_t *values, uint32_t count, uint8_t *out);

/* By the codec that is named, for tests and benchmarks. Same rules. */
uint32_t codec_encode_integers_as(enum codec codec, const int64_t *values, uint32_t count,
                                  uint8_t *out);

/* `bytes.size` is at most CODEC_BYTES_MAX; `out` has room for codec_bytes_bound(bytes.size). LZ4
 * only where it takes a tenth off. */
struct codec_result codec_encode_bytes(struct vt_bytes bytes, uint8_t *out);

/* Decodes exactly `count` integers from exactly all of `stored`, and continues the checksum *crc
 * over them block by block while they are in the nearest cache. On error out_values and *crc are
 * undefined but nothing outside of out_values[0 .. count-1] was touched. */
VT_MUST_CHECK vt_err codec_decode_integers(uint8_t codec, struct vt_bytes stored, uint32_t count,
                                           int64_t *out_values, uint32_t *crc);

/* Decodes exactly `size` bytes. */
VT_MUST_CHECK vt_err codec_decode_bytes(uint8_t codec, struct vt_bytes stored, uint32_t size,
                                        uint8_t *out_bytes);

/*
 * segment_format.h - the bytes of a segment file, and the functions that fill and check its parts.
 *
 * SEGMENT FILE, version 1. Integers are little-endian. Reserved bytes and the bytes between parts
 * are zero, and a reader refuses a file where they are not.
 *
 *   0        64                                               size-64    size
 *   +--------+---------+---------+-- ... --+-------------------+---------+
 *   | header | chunk 0 | chunk 1 |         | directory         | trailer |
 *   +--------+---------+---------+-- ... --+-------------------+---------+
 *   Chunks stand in the order in which they were put, the directory behind the last; each begins at
 *   the first multiple of 8 behind the one before it.
 *
 *   HEADER, 64 bytes
 *   off size field          rule
 *     0    4 magic          bytes 'V' 'S' 'G' '1'
 *     4    4 crc32c         of bytes 8..63
 *     8    2 version        1; a reader refuses a larger one
 *    10    2 flags          zero in version 1
 *    12    4 partition      these, and level, equal what the manifest says: a misplaced file is
 *                           caught
 *    16    8 store
 *    24    8 cut            number of the last commit covered
 *    32    8 first_position
 *    40    8 last_position
 *    48    4 level          0: made at a cut; of a merge one more than its inputs'
 *    52   12 reserved       zero
 *
 *   DIRECTORY, 64 bytes a chunk, ascending by key (kind, table, column, block); keys are unique
 *     0    2 kind           the engine's
 *     2    2 table
 *     4    4 column
 *     8    4 block
 *    12    1 codec          enum codec
 *    13    3 reserved       zero
 *    16    8 offset         of the chunk; a multiple of 8
 *    24    4 stored_bytes
 *    28    4 count          integers: 1 to CODEC_VALUES_MAX; bytes once decoded: 0 to
 *                           CODEC_BYTES_MAX
 *    32    8 min            of integers; zero for bytes
 *    40    8 max
 *    48    4 stored_crc     CRC32C of identity and the stored bytes
 *    52    4 decoded_crc    CRC32C of identity and the decoded bytes (integers as 8 bytes each)
 *    56    8 reserved       zero
 *
 *   IDENTITY of a chunk, in no file: header bytes 8..63, then directory bytes 0..11 (its key). So a
 *   chunk that came from another store, file or place fails its checksum though it is whole.
 *
 *   TRAILER, 64 bytes
 *     0    4 magic          bytes 'V' 'S' 'G' 'E'
 *     4    4 crc32c         of header bytes 8..63, then bytes 8..63
 *     8    4 chunk_count    at most SEGMENT_CHUNKS_MAX
 *    12    4 directory_crc  CRC32C of header bytes 8..63, then the directory
 *    16    8 directory_offset
 *    24    8 file_bytes     all of the file
 *    32   32 reserved       zero
 *
 * Errors: the checks give the reason only; who knows the file adds it as detail.
 * Thread: any; no state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "storage/segment.h"
#include "venturi/bytes.h"
#include "venturi/err.h"

#define SEGMENT_MAGIC      UINT32_C(0x31475356) /* "VSG1" */
#define SEGMENT_END_MAGIC  UINT32_C(0x45475356) /* "VSGE" */
#define SEGMENT_VERSION    1
#define SEGMENT_ALIGN      8
#define SEGMENT_CHUNKS_MAX (UINT32_C(1) << 22)

struct segment_header {
    le32 magic;
    le32 crc32c;
    le16 version;
    le16 flags;
    le32 partition;
    le64 store;
    le64 cut;
    le64 first_position;
    le64 last_position;
    le32 level;
    uint8_t reserved[12];
};
_Static_assert(sizeof(struct segment_header) == 64, "the table above");
_Static_assert(_Alignof(struct segment_header) == 1, "no padding, readable at any address");
_Static_assert(offsetof(struct segment_header, store) == 16, "the table above");
_Static_assert(offsetof(struct segment_header, level) == 48, "the table above");
_Static_assert(offsetof(struct segment_header, reserved) == 52, "the table above");

struct segment_entry {
    le16 kind;
    le16 table;
    le32 column;
    le32 block;
    uint8_t codec;
    uint8_t reserved[3];
    le64 offset;
    le32 stored_bytes;
    le32 count;
    le64 min;
    le64 max;
    le32 stored_crc;
    le32 decoded_crc;
    uint8_t reserved_end[8];
};
_Static_assert(sizeof(struct segment_entry) == 64, "the table above");
_Static_assert(_Alignof(struct segment_entry) == 1, "no padding, readable at any address");
_Static_assert(offsetof(struct segment_entry, codec) == 12, "the table above");
_Static_assert(offsetof(struct segment_entry, min) == 32, "the table above");
_Static_assert(offsetof(struct segment_entry, reserved_end) == 56, "the table above");

struct segment_trailer {
    le32 magic;
    le32 crc32c;
    le32 chunk_count;
    le32 directory_crc;
    le64 directory_offset;
    le64 file_bytes;
    uint8_t reserved[32];
};
_Static_assert(sizeof(struct segment_trailer) == 64, "the table above");
_Static_assert(_Alignof(struct segment_trailer) == 1, "no padding, readable at any address");
_Static_assert(offsetof(struct segment_trailer, directory_offset) == 16, "the table above");

/* The first multiple of SEGMENT_ALIGN at or behind `offset`. */
static inline uint64_t
segment_align(uint64_t offset)
{
    return (offset + SEGMENT_ALIGN - 1) & ~(uint64_t)(SEGMENT_ALIGN - 1);
}

void segment_header_init(struct segment_header *header, const struct segment_id *id);

/* VT_BAD_PLACE where it is the header of another segment than `id`, which may be NULL: any. */
VT_MUST_CHECK vt_err segment_header_check(const struct segment_header *header,
                                          const struct segment_id *id);
void segment_header_id(const struct segment_header *header, struct segment_id *out_id);

/* CRC32C of header bytes 8..63: the seed of every other checksum in the file. */
uint32_t segment_seed(const struct segment_header *header);

/* The seed continued over a chunk's key: what its two checksums begin with. */
uint32_t segment_chunk_seed(uint32_t seed, const struct chunk_key *key);

/* The same continued over a part's number: what the checksum of a part begins with. */
uint32_t segment_part_seed_of(uint32_t seed, const struct chunk_key *key, uint32_t part);

/* Below, equal or above 0, in the order of the directory. */
int segment_key_compare(const struct chunk_key *a, const struct chunk_key *b);

void segment_entry_init(struct segment_entry *entry, const struct chunk_info *info);

/* All that an entry can tell by itself; chunks end at or before `directory_offset`. */
VT_MUST_CHECK vt_err segment_entry_check(const struct segment_entry *entry,
                                         uint64_t directory_offset);
void segment_entry_info(const struct segment_entry *entry, struct chunk_info *out_info);

/* Fills the trailer from its counts; `seed` is the file's. */
struct segment_extent {
    uint32_t check; /* the trailer's own checksum, once read */
    uint32_t chunk_count;
    uint32_t directory_crc;
    uint64_t directory_offset;
};
void segment_trailer_init(struct segment_trailer *trailer, uint32_t seed,
                          const struct segment_extent *extent);

/* Checks it against the size that the file has. */
VT_MUST_CHECK vt_err segment_trailer_check(const struct segment_trailer *trailer, uint32_t seed,
                                           uint64_t file_bytes, struct segment_extent *out_extent);

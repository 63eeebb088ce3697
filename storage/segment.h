/*
 * segment.h - an immutable file of chunks. A chunk is a column of integers, a run of bytes or a
 * section that only the engine understands; its key says which. The container encodes, checks and
 * finds; what a key means is the business of engine/seal.
 *
 * The byte-by-byte format stands in segment_format.h.
 *
 * Life:   writer: open, put*, finish or abandon. A file becomes part of the store only when the
 *         manifest names it. reader: open, find, read*, close.
 * Errors: VT_DAMAGED with a detail that names file and offset; stored bytes are checked before they
 *         are decoded and the decoded ones after.
 * Thread: a writer has one thread. A reader may be used by many at once; it keeps no mutable state.
 */
#pragma once

#include <stdint.h>

#include "storage/io.h"
#include "venturi/bytes.h"
#include "venturi/err.h"

struct segment_id {
    uint64_t store;
    uint64_t cut;            /* number of the last commit that it covers */
    uint64_t first_position; /* of the range of the order that it covers: [first, last] */
    uint64_t last_position;
    uint32_t partition;
    uint32_t level; /* 0: made at a cut; of a merge one more than its inputs' */
};

/* Which chunk: kinds are the engine's; table, column and block are free numbers. */
struct chunk_key {
    uint16_t kind;
    uint16_t table;
    uint32_t column;
    uint32_t block;
};

struct chunk_info {
    struct chunk_key key;
    uint8_t codec;   /* of codec.h */
    uint32_t count;  /* integers, or bytes once decoded */
    uint64_t offset; /* in the file */
    uint32_t stored_bytes;
    uint32_t stored_crc;
    uint32_t decoded_crc;
    int64_t min; /* zone map of an integer chunk */
    int64_t max;
};

/* Where a part goes to. */
struct segment_part {
    uint8_t *buffer;
    uint32_t bytes;
};

struct segment_writer;
struct segment;

VT_MUST_CHECK vt_err segment_writer_open(struct io *io, const char *path,
                                         const struct segment_id *id,
                                         struct segment_writer **out_writer);
/* Keys are unique in a file (VT_EXISTS at finish); they may come in any order. 1 to 2^24 integers
 * (VT_INVALID), at most 2^30 bytes (VT_TOO_LARGE) in a chunk; no bytes at all are a chunk too. */
VT_MUST_CHECK vt_err segment_put_integers(struct segment_writer *writer, struct chunk_key key,
                                          const int64_t *values, uint32_t count);
VT_MUST_CHECK vt_err segment_put_bytes(struct segment_writer *writer, struct chunk_key key,
                                       struct vt_bytes bytes);
/* Bytes that are read in parts, each with a checksum of its own: stored as they are. The checksum
 * of a part begins with its seed, so that a part in another place is found. */
VT_MUST_CHECK vt_err segment_put_parts(struct segment_writer *writer, struct chunk_key key,
                                       struct vt_bytes bytes);
uint32_t segment_writer_part_seed(const struct segment_writer *writer, struct chunk_key key,
                                  uint32_t part);
/* Writes the directory, syncs file and directory, reads everything back and checks it. */
VT_MUST_CHECK vt_err segment_writer_finish(struct segment_writer *writer, uint64_t *out_file_bytes);
/* What segment_check says of the finished file. */
uint32_t segment_writer_check(const struct segment_writer *writer);
void
segment_writer_close(struct segment_writer *writer); /* NULL is allowed; before finish: abandons */

/* `id` may be NULL: any, for tools. Header, trailer and directory are checked; chunks when read. */
VT_MUST_CHECK vt_err segment_open(struct io *io, const char *path, const struct segment_id *id,
                                  struct segment **out_segment);
void segment_close(struct segment *segment); /* NULL is allowed */
/* The checksum of the trailer: over the directory, which has those of all chunks. */
uint32_t segment_check(const struct segment *segment);
const struct segment_id *segment_identity(const struct segment *segment);
const char *segment_path(const struct segment *segment);

/* VT_NOT_FOUND without detail where there is no such chunk. */
VT_MUST_CHECK vt_err segment_find(const struct segment *segment, struct chunk_key key,
                                  struct chunk_info *out_info);
uint32_t segment_chunk_count(const struct segment *segment);
void segment_chunk_at(const struct segment *segment, uint32_t index, struct chunk_info *out_info);

/* `out_values` has room for info->count. */
VT_MUST_CHECK vt_err segment_read_integers(const struct segment *segment,
                                           const struct chunk_info *info, int64_t *out_values);
/* `out_bytes` has room for info->count. */
VT_MUST_CHECK vt_err segment_read_bytes(const struct segment *segment,
                                        const struct chunk_info *info, uint8_t *out_bytes);
uint32_t segment_part_seed(const struct segment *segment, struct chunk_key key, uint32_t part);
/* Bytes offset .. offset + bytes - 1 of a chunk of parts; unchecked: the part's own checksum tells.
 * VT_DAMAGED where the chunk has no such bytes. */
VT_MUST_CHECK vt_err segment_read_part(const struct segment *segment, const struct chunk_info *info,
                                       uint64_t offset, struct segment_part *part);
/* The same as a read to be made with others: fills *out_read. */
VT_MUST_CHECK vt_err segment_plan_part(const struct segment *segment, const struct chunk_info *info,
                                       uint64_t offset, const struct segment_part *part,
                                       struct io_read *out_read);
/* Damage that a caller found in a part: a detail with file and offset. */
vt_err segment_part_damaged(const struct segment *segment, const struct chunk_info *info,
                            uint64_t offset, vt_err reason);
/* Every byte of the file against its checksum, every chunk decoded, every zone map, every gap; the
 * first damage. The other one tells all of them and fails only where it cannot look. */
VT_MUST_CHECK vt_err segment_verify(const struct segment *segment);
struct segment_damage {
    uint64_t offset;
    vt_err err;
    const char *text;
    const struct chunk_info *chunk; /* NULL: no chunk's bytes but header, directory, gaps */
};
typedef void (*segment_report)(void *context, const struct segment_damage *damage);
VT_MUST_CHECK vt_err segment_verify_each(const struct segment *segment, segment_report report,
                                         void *context);

/* Who is asked when a reader meets bytes of a chunk that are damaged or cannot be read. `damaged`
 * gives VT_AGAIN: they are good now; or what the reader is told. On the reader's thread. `closed`
 * says that the segment goes. Set before others have it. */
struct segment_guard {
    vt_err (*damaged)(void *context, const struct segment *segment, const struct chunk_info *chunk,
                      vt_err err);
    void (*closed)(void *context, const struct segment *segment);
    void *context;
};
void segment_set_guard(struct segment *segment, const struct segment_guard *guard);
/* For who checks parts by itself: the guard's answer to `err`, or `err` where there is no guard. */
vt_err segment_ask_guard(const struct segment *segment, const struct chunk_info *chunk, vt_err err);

/* Whether a chunk is good, in the file that is open or else in the one that stands under its name
 * by now and is the same but for its damage: then that one is read from here on. */
VT_MUST_CHECK vt_err segment_reopen(const struct segment *segment, const struct chunk_info *chunk);

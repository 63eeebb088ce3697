/*
 * manifest.h - what is part of the store: start number, how far the order is sealed, the segments,
 * the engine's state at the cut. Append-only edits in two files, DIR/manifest-0 and -1, each a
 * whole copy.
 *
 * EDIT, version 1: 64 bytes of header, payload, zeros to a multiple of 64
 *   off size field
 *     0    4 magic          bytes 'V' 'T' 'M' '1'
 *     4    4 crc32c         of bytes 8 to the end of the edit, its zeros included
 *     8    2 version        1
 *    10    2 kind           enum manifest_kind
 *    12    4 copy           0 or 1: which file it is of
 *    16    8 store
 *    24    8 sequence       of this edit; ascends by 1 or more
 *    32    8 offset         in the file
 *    40    8 payload_bytes
 *    48    4 previous       crc32c of the edit before it in the file; 0 in the first
 *    52   12 reserved
 *
 * SNAPSHOT payload, 96 bytes: all there is; the first edit of every file and nowhere else
 *     0    8 start          newest start number
 *     8    8 follows_number the commit that this start follows
 *    16    8 follows_check
 *    24    8 known_number   this commit was durable, for sure
 *    32   40 seal           cut, its last position, arrival, check, start: 8 each
 *    72    4 segment_count
 *    76    4 reserved
 *    80    8 state_bytes
 *    88    8 reserved
 *    96      segments, then state
 * SEAL payload: 0 40 seal; 40 4 segment_count; 44 4 reserved; 48 8 state_bytes; 56 segments, state
 * END payload: 0 8 known_number, made by a clean stop
 * MERGE payload: 0 4 removed_count; 4 4 added_count; 8 8 reserved; 16 segments removed, which the
 *                state has, then those added
 * SEGMENT, 56 bytes: cut, first_position, last_position, file_bytes, rows: 8 each; partition,
 * level, check: 4 each; reserved 4. Cut, partition and level tell segments apart; the check is the
 * checksum of the file's trailer, which pins all of its bytes, so that a file of the same name and
 * another history is no part of this store (0: not known)
 *
 * An edit goes to copy 0, is synced, then goes to copy 1 and is synced; only then has it happened.
 * So a crash leaves copy 0 at most one edit ahead and at most one of the two torn at its end.
 * Whatever else is found is damage of one copy, which the other one heals, or VT_DAMAGED. A start,
 * and an edit after a failed one, writes both files anew (under another name, then rename), which
 * is also how they stay small.
 *
 * Life:   manifest_create once; manifest_open (reads; writes nothing), then edits; manifest_close.
 * Errors: after a failed edit it is unknown whether the edit will be found at the next start; the
 *         next edit outranks it either way.
 * Thread: one.
 */
#pragma once

#include <stdbool.h>

#include "storage/storage.h"

enum manifest_kind {
    MANIFEST_SNAPSHOT = 1,
    MANIFEST_SEAL = 2,
    MANIFEST_END = 3,
    MANIFEST_MERGE = 4,
};

struct manifest_segment {
    uint64_t cut;
    uint64_t first_position;
    uint64_t last_position;
    uint64_t file_bytes;
    uint64_t rows;
    uint32_t partition;
    uint32_t check;
    uint32_t level;
};

struct manifest_cut {
    uint64_t number;
    uint64_t position;
    int64_t arrival_us;
    uint64_t check;
    uint64_t start;
};

struct manifest_state {
    uint64_t sequence;
    uint64_t start;
    uint64_t follows_number;
    uint64_t follows_check;
    uint64_t known_number;
    struct manifest_cut sealed;
    struct manifest_segment *segments; /* ordered by (cut, partition) */
    uint32_t segment_count;
    uint32_t segment_max;
    uint8_t *state;
    uint64_t state_bytes;
};

struct manifest;

/* Both files of a new store, durable with their names. Overwrites what is there. */
VT_MUST_CHECK vt_err manifest_create(struct io *io, const char *dir, uint64_t store);

/* Reads both copies. VT_DAMAGED with detail. */
VT_MUST_CHECK vt_err manifest_open(struct io *io, const char *dir, uint64_t store,
                                   struct manifest **out_manifest);
void manifest_close(struct manifest *manifest); /* NULL is allowed */

const struct manifest_state *manifest_get(const struct manifest *manifest);

/* Bit i is set where copy i was missing, damaged or behind by more than a crash explains. */
uint32_t manifest_bad_copies(const struct manifest *manifest);

/* Bit i is set where copy i does not hold every edit that the other holds, and nothing else: a bad
 * copy, or one in which a crash cut an edit short. out_ends gets where its good edits end. */
uint32_t manifest_short_copies(const struct manifest *manifest, uint64_t out_ends[2]);

/* The start number `start` follows a commit; writes both files anew, so it heals them too. */
VT_MUST_CHECK vt_err manifest_start(struct manifest *manifest, uint64_t start, uint64_t number,
                                    uint64_t check);

struct manifest_seal {
    struct manifest_cut cut;
    const struct manifest_segment *segments;
    uint32_t segment_count;
    struct vt_bytes state;
};
VT_MUST_CHECK vt_err manifest_seal(struct manifest *manifest, const struct manifest_seal *seal);

/* Writes both files anew with another state, of which copies are taken: a second copy follows its
 * store so. The sequence is this manifest's own. */
VT_MUST_CHECK vt_err manifest_replace(struct manifest *manifest,
                                      const struct manifest_state *state);

/* Segments give way to others that hold the same. VT_INVALID where one to remove is not there. */
struct manifest_merge {
    const struct manifest_segment
        *segments; /* those removed, in the state's order, then the rest */
    uint32_t removed_count;
    uint32_t added_count;
};
VT_MUST_CHECK vt_err manifest_merge(struct manifest *manifest, const struct manifest_merge *merge);

/* A clean stop after commit `number`. */
VT_MUST_CHECK vt_err manifest_end(struct manifest *manifest, uint64_t number);

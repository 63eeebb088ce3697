/*
 * recovery.h - reads the lanes and finds the one order in what a crash left: from the last sealed
 * commit on, the longest chain in which number, start rule and previous check fit.
 *
 *   start rule   starts never decrease along the chain; of two commits with the same number the one
 *                of the higher start holds; the first commit of a start must carry a LOG_START
 *                record that names the commit before it; what older starts wrote beyond that is
 *                void.
 *   the end      is legal only where nothing proves that more was durable. Proofs are: the
 *                `durable` field of any commit, the number of any commit less the lanes, what a
 *                LOG_START follows, what the manifest knows. Otherwise VT_DAMAGED, naming lane and
 *                offset, and nothing is cut.
 *
 *   a copy       (storage/backup.h) holds what its manifest knows. What its commits and its start
 *                say was durable was so in the store that they came from: no proof here.
 *
 * Life:   chain_scan, any number of times; chain_deinit.
 * Errors: VT_DAMAGED with detail; VT_IO where a lane cannot be read: unread is not the same as
 *         missing.
 * Thread: one.
 */
#pragma once

#include "commit.h"
#include "storage/io.h"
#include "storage/storage.h"

/* What the manifest says about the order. */
struct chain_base {
    uint64_t number; /* last sealed commit; 0: none */
    uint64_t check;  /* of it; the store id where there is none */
    uint64_t start;  /* that wrote it */
    uint64_t position;
    int64_t arrival_us;
    uint64_t last_start; /* newest start that may have written, and the commit that it follows */
    uint64_t follows_number;
    uint64_t follows_check;
    uint64_t known_number; /* was durable, for sure */
    bool copy;             /* of a second copy: see below */
};

struct chain_lanes {
    struct io_file **files;
    const char *dir; /* for details */
    uint64_t store;
    uint64_t lane_bytes;
    uint32_t lane_count;
    uint32_t commit_bytes_max;
};

struct chain {
    struct chain_base base;
    struct commit_info *commits; /* base.number + 1 .. + count, in order */
    uint32_t count;
    uint64_t proven; /* greatest number that something says was durable */
    /* To say where a missing commit should be: one that is there but not whole, and the last sealed
     * commit that still lies in each lane, with its end. Hints, nothing rests on them. */
    struct commit_info broken;
    uint64_t sealed_number[STORE_LANES_MAX];
    uint64_t sealed_end[STORE_LANES_MAX];
    /* The last of all, sealed or not. */
    uint64_t last_number;
    uint64_t last_check;
    uint64_t last_start;
    uint64_t last_position;
    int64_t last_arrival_us;
};

/* Scans and links. With `tolerate` an end below what is proven is no error but left in
 * out_chain->proven: beside a running daemon a lane that was read early lacks what one read late
 * proves. */
VT_MUST_CHECK vt_err chain_scan(const struct chain_lanes *lanes, const struct chain_base *base,
                                bool tolerate, struct chain *out_chain);
void chain_deinit(struct chain *chain);

/* VT_DAMAGED with the place where the first missing commit should be. */
VT_MUST_CHECK vt_err chain_missing(const struct chain *chain, const struct chain_lanes *lanes);

/* One commit read again into `buffer` (aligned, commit_bytes_max) and checked against `info`.
 * VT_AGAIN where it is not there any more, which is legal beside a running daemon only. */
VT_MUST_CHECK vt_err chain_read(const struct chain_lanes *lanes, const struct commit_info *info,
                                uint8_t *buffer);

/* Makes the whole chain durable. What nothing proves durable was read, but may stand in a volatile
 * cache (its writer was killed), even one that a failed sync has given up: it is written once more,
 * the same bytes to the same place, before the lanes are synced. */
VT_MUST_CHECK vt_err chain_settle(const struct chain *chain, const struct chain_lanes *lanes);

/*
 * commit.h - one commit as bytes: its header and record table as structs (the format stands in
 * log.h), and the checks that a reader makes of it. What is written passes the same checks.
 *
 * Errors: verdicts on outside bytes, without detail: a lane is full of blocks that are no commit.
 * Thread: any; no state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "log.h"

#define COMMIT_BLOCK_BYTES 4096U

struct commit_head {
    le32 magic;
    le16 version;
    le16 flags;
    le64 check;
    le64 store;
    le64 start;
    le64 number;
    le64 previous;
    le64 first_position;
    le64 arrival_us;
    le32 event_count;
    le32 record_count;
    le32 bytes;
    le32 head_bytes;
    le32 lane;
    le32 reserved0;
    le64 offset;
    le64 durable;
    uint8_t reserved1[24];
};
_Static_assert(sizeof(struct commit_head) == LOG_COMMIT_HEAD_BYTES, "the table in log.h");
_Static_assert(offsetof(struct commit_head, offset) == 88, "the table in log.h");

struct commit_record {
    uint8_t kind;
    uint8_t frame_type;
    le16 flags;
    le32 bytes;
    le32 payload_crc;
    le32 event_count;
    le64 producer;
    le64 epoch;
    le64 sequence;
    le32 offset;
    le32 reserved;
};
_Static_assert(sizeof(struct commit_record) == 48, "the table in log.h");

/* Payload of LOG_START. */
struct commit_start {
    le64 number;
    le64 check;
};

/* Where a commit is and what its header says. */
struct commit_info {
    uint64_t number;
    uint64_t start;
    uint64_t check;
    uint64_t previous;
    uint64_t first_position;
    int64_t arrival_us;
    uint64_t durable;
    uint64_t offset;         /* in the lane */
    uint64_t follows_number; /* with has_start: what the start follows */
    uint64_t follows_check;
    uint32_t lane;
    uint32_t bytes;
    uint32_t event_count;
    uint32_t record_count;
    uint16_t flags;
    bool has_start; /* its first record is LOG_START */
    bool intact;    /* every payload and all padding is as written */
};

/* What a commit must fit to stand where it was found. */
struct commit_place {
    uint64_t store;
    uint64_t lane_bytes;
    uint64_t offset;
    uint32_t lane;
    uint32_t lane_count;
    uint32_t commit_bytes_max;
};

static inline uint32_t
commit_padded(uint32_t bytes)
{
    return (bytes + COMMIT_BLOCK_BYTES - 1) / COMMIT_BLOCK_BYTES * COMMIT_BLOCK_BYTES;
}

/* Fills in head->check over header and table, which stand at `head`. */
void commit_seal(struct commit_head *head);

/* The first 128 bytes alone: whether a commit may start here, and how long it says it is. */
VT_MUST_CHECK vt_err commit_check_first(const struct commit_head *head,
                                        const struct commit_place *place);

/* Header and table; `data` holds the whole commit with its padding, and commit_check_first was
 * VT_OK. out_info->intact says whether the payloads are right too. */
VT_MUST_CHECK vt_err commit_check(const uint8_t *data, const struct commit_place *place,
                                  struct commit_info *out_info);

/* The records of a checked commit; room for its record_count. */
void commit_records(const uint8_t *data, struct log_record *out_records);

/*
 * log.h - the one order of commits. A commit is an aligned buffer of records, written by direct
 * DSYNC I/O to the lanes in turn, up to one per lane in flight; it is durable when it and all
 * before it are.
 *
 * COMMIT, version 1; starts at a multiple of 4096 in a lane, length padded with zeros to one
 *   off size field          rule
 *     0    4 magic          bytes 'V' 'T' 'C' '1'
 *     4    2 version        1
 *     6    2 flags          COMMIT_END_MARK: a clean stop
 *     8    8 check          XXH3-64 of bytes 16 .. head_bytes (header and record table), its seed
 *                           bytes 0..7
 *    16    8 store          id of the store: a stray block of another store is no commit
 *    24    8 start          start number of the process that wrote it
 *    32    8 number         of this commit, dense from 1
 *    40    8 previous       check of commit number-1; the store id for the first
 *    48    8 first_position position of its first event; positions are dense from 1
 *    56    8 arrival_us     wall clock, never less than the previous commit's
 *    64    4 event_count
 *    68    4 record_count
 *    72    4 bytes          all of it, without the padding
 *    76    4 head_bytes     128 + record_count x 48
 *    80    4 lane           where it was meant to be; 84 4 reserved; 88 8 offset in the lane
 *    96    8 durable        greatest number known to be durable when this one was made; a chain
 *                           that ends below it has lost what was acked: damage
 *   104   24 reserved
 *   128      record table, then payloads, each at a multiple of 8
 *
 * RECORD TABLE ENTRY, 48 bytes
 *     0    1 kind           enum log_kind
 *     1    1 frame_type     of a frame: BATCH_COLUMNS or BATCH_ROWS
 *     2    2 flags          LOG_RESEND: a whole frame came again; logged without its payload
 *     4    4 bytes          of payload
 *     8    4 payload_crc    CRC32C; a frame's is the one that its sender made
 *    12    4 event_count    events that take positions
 *    16    8 producer       session's producer id, 0 without a session
 *    24    8 epoch
 *    32    8 sequence       of the first event in (producer, epoch)
 *    40    4 offset         of the payload in the commit
 *    44    4 reserved
 *
 * Payloads stand in the order of the table; what lies between them is zero. The payload of
 * LOG_START is the number (8) and check (8) of the commit that this start follows; log_buffer_get
 * puts it into every buffer until the first commit of the start is submitted, and
 * log_buffer_record_count does not count it.
 *
 * WHAT A CRASH MAY TAKE. Commit n+L is written only when commit n is durable, so a crash takes at
 * most the L commits in flight, none of which was acked. A commit that is missing although a later
 * one, the manifest or a start record proves that it was durable is VT_DAMAGED, naming lane and
 * offset. Commits of older starts beyond the number that a start follows are void and never return.
 *
 * Life, Thread: the log belongs to the front thread. Buffers are shared read-only with the workers
 * between submit and log_buffer_put.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

/* Numbers on disk; every kind is reserved from the first day. */
enum log_kind {
    LOG_FRAME = 1,     /* a batch as received */
    LOG_CATALOG = 2,   /* full text and zone transitions */
    LOG_CLOSE = 3,     /* windows and periods of a scope */
    LOG_RETRY = 4,     /* exceptions judged again */
    LOG_DISCARD = 5,   /* exceptions given up */
    LOG_CANCEL = 6,    /* reserved: a correction */
    LOG_REPLACE = 7,   /* reserved: a correction */
    LOG_ISSUE = 8,     /* reserved: lines of a closed period */
    LOG_RETENTION = 9, /* reserved: a cut of history */
    LOG_CLOCK = 10,    /* reserved: the guard's decision about a clock step */
    LOG_START = 11,    /* first record of a start: what it follows */
    LOG_PRODUCER = 12, /* names a producer id: token id (8), name */
    LOG_TICK = 13,     /* an empty commit that only carries time */
};

#define LOG_RESEND            UINT16_C(1)
#define LOG_COMMIT_END_MARK   UINT16_C(1)
#define LOG_COMMIT_HEAD_BYTES 128

struct log_record {
    uint8_t kind;
    uint8_t frame_type;
    uint16_t flags;
    uint32_t bytes;
    uint32_t payload_crc;
    uint32_t event_count;
    uint64_t producer;
    uint64_t epoch;
    uint64_t sequence;
    const uint8_t *payload; /* in the commit's buffer */
};

/* A commit as recovered or as submitted; memory is the owner's of the call that gave it. */
struct log_commit {
    uint64_t number;
    uint64_t start;
    uint64_t first_position;
    int64_t arrival_us;
    uint32_t event_count;
    uint32_t record_count;
    uint32_t bytes;
    uint16_t flags;
    const struct log_record *records;
};

struct log;
struct log_buffer;

/* An empty buffer, or NULL where all are in use (back-pressure). One that is not wanted after all
 * goes back by log_buffer_put. */
struct log_buffer *log_buffer_get(struct log *log);

/* Room for a record and `record->bytes` of payload; the caller copies the payload to *out_payload
 * before submit. record->payload_crc is taken as given and not computed again. VT_FULL: submit
 * first. VT_TOO_LARGE: no empty buffer could hold it. */
VT_MUST_CHECK vt_err log_buffer_add(struct log_buffer *buffer, const struct log_record *record,
                                    uint8_t **out_payload);

/* Takes the last added record out again: its payload turned out to be refused. */
void log_buffer_undo(struct log_buffer *buffer);

uint32_t log_buffer_bytes(const struct log_buffer *buffer);
uint32_t log_buffer_record_count(const struct log_buffer *buffer);

/* Numbers the commit, seals its header and queues the write. The buffer stays the log's until it is
 * durable and the caller has put it. *out_commit stays valid until log_buffer_put. An arrival
 * before the previous commit's becomes that one's: read it from *out_commit.
 * VT_FULL: its lane is full of unsealed commits; nothing has changed, seal and try again.
 * VT_INVALID: the position does not follow, or event_count is not the records' sum. VT_BROKEN:
 * after a failed write (log_failed) or a commit with the end mark. */
struct log_submit {
    uint64_t first_position;
    int64_t arrival_us;
    uint32_t event_count;
    uint16_t flags;
};
VT_MUST_CHECK vt_err log_submit(struct log *log, struct log_buffer *buffer,
                                const struct log_submit *submit, struct log_commit *out_commit);

/* Whether log_submit would find room for this buffer in its lane now. False: something must be
 * sealed and released first. */
bool log_has_room(const struct log *log, const struct log_buffer *buffer);

/* The caller (workers included) is done with the bytes; before or after it became durable. */
void log_buffer_put(struct log *log, struct log_buffer *buffer);

/* Greatest number n such that n and all before it are durable. */
uint64_t log_durable(const struct log *log);
uint64_t log_last(const struct log *log); /* greatest number submitted or recovered */

/* Writes that the kernel has now. A log is closed when there are none: poll until then. */
uint32_t log_in_flight(const struct log *log);

/* The first failure of a write; after it nothing more becomes durable. VT_OK while all is well. */
vt_err log_failed(const struct log *log);

/* Commits up to `number` are sealed: their place in the lanes may be written again. */
void log_release(struct log *log, uint64_t number);

/* Bytes of lanes that hold unsealed commits (the fullest lane counts for all, since the next commit
 * may be its), and all bytes of the lanes: for admission. */
uint64_t log_used_bytes(const struct log *log);
uint64_t log_capacity_bytes(const struct log *log);
uint64_t log_lane_bytes(const struct log *log); /* of one lane */
uint64_t log_commit_bytes_max(const struct log *log);

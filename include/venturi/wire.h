/*
 * wire.h - the frames between a client and the daemon, byte by byte. All integers little-endian,
 * reserved bytes zero and checked, every length bounded before anything is allocated.
 *
 * FRAME HEADER, 32 bytes
 *   off size field        rule
 *     0    4 magic        bytes 'V' 'T' 'F' '1'
 *     4    1 version      1; a reader refuses another one (VT_BAD_VERSION)
 *     5    1 type         enum vt_frame_type (VT_BAD_TYPE)
 *     6    2 flags        zero in version 1 (VT_BAD_RESERVED)
 *     8    4 length       bytes of payload; at most the welcome's frame_bytes_max,
 *                         VT_HELLO_BYTES_MAX before the welcome (VT_TOO_LARGE)
 *    12    4 payload_crc  CRC32C of the payload (VT_BAD_CRC)
 *    16    8 sequence     batch: number of its first event in the producer's stream, or any number
 *                         that the sender likes where it is no producer; the ack repeats it
 *    24    4 event_count  batch: 1 to VT_BATCH_EVENTS_MAX (VT_BAD_LENGTH); else zero
 *                         (VT_BAD_RESERVED)
 *    28    4 header_crc   CRC32C of bytes 0..27 (VT_BAD_CRC); checked right after magic, so that
 *                         the verdicts of the other rules are about what the sender wrote
 *
 * A conversation: HELLO, WELCOME, then BATCH and PING from the client, ACK, PONG and ERROR from the
 * daemon. Acks come in the order of the log, not necessarily in that of the frames of several
 * connections. After an ERROR with VT_ERROR_FATAL the daemon closes; another ERROR refuses the one
 * frame whose sequence it names, and nothing of that frame was kept.
 *
 * HELLO payload (no msgpack before authentication; fixed part, then token, then producer)
 *     0    2 version_max  greatest frame version the client speaks
 *     2    1 token_size   1 to 255
 *     3    1 producer_size 0: not a producer session; names are UTF-8 without '~' at the start. The
 *                         frames of one with '!' at the start are numbered like any session's, so
 *                         that none counts twice, but its events get no ids from their numbers: one
 *                         without an id is missing_id, as it is without a session
 *     4    4 features     bits; none is defined in version 1, unknown ones are ignored
 *     8    8 epoch        of the producer; the client raises it when it lost its spool
 *    16    . token, producer
 *
 * WELCOME payload, 64 bytes
 *     0    2 version      of all that follows
 *     2    2 reserved
 *     4    4 features     those that both sides have
 *     8    4 frame_bytes_max
 *    12    4 batch_events_max
 *    16    4 credit_frames  at most so many unacked batches ...
 *    20    4 credit_bytes   ... and so many bytes of them in flight (VT_OVER_CREDIT)
 *    24    8 producer     id of the session's producer, zero without one
 *    32    8 epoch        the producer's current one
 *    40    8 sequence_next  the first sequence of that epoch that is not yet durable without a gap.
 *                         A refused frame leaves one until its numbers are sent again; after 2,048
 *                         further frames it is given up: sequence_next passes it, and what still
 *                         comes in it is taken
 *    48    8 position     log position that queries see now
 *    56    8 history      id of the store's history; another one after a restore
 *
 * BATCH_ROWS payload: event_count msgpack maps, one after the other, with the keys `tenant`,
 *   `type`, `id`, `source`, `time`, `props`, `trace_id` of the semantics; other keys are kept with
 *   the event. A number that is no 64-bit integer travels as ext type VT_EXT_NUMBER holding its
 *   JSON text; a msgpack float is no decimal (bad_value). Depth at most VT_DEPTH_MAX.
 *
 * BATCH_COLUMNS payload: one msgpack array of 6 or 7 elements over n = event_count events:
 *   0 type    str
 *   1 tenant  string column
 *   2 id      nil (the event's id is its sequence), or [0, bin(2n) lengths, bin text], or
 *             [1, bin(16n)]: UUIDs, whose id is the canonical lower-case text of 36 characters
 *   3 source  nil or string column
 *   4 time    bin(8n): int64 microseconds since 1970-01-01T00:00:00Z
 *   5 fields  map: name -> string column or decimal column
 *   6 trace   nil or string column
 *   Not more than VT_COLUMNS_MAX fields, none twice. What an event does not have is "" in a string
 *   column; a decimal field that comes as a string column is absent there, too.
 *   string column:  [array of str, bin codes]; a code has 1 byte where there are at most 256
 *                   strings, 2 where at most 65,536, else 4; empty codes mean string 0 for every
 *                   event
 *   decimal column: [scale 0..18, bin(8n) int64 mantissas] and optionally bin((n+7)/8), a bit an
 *                   event, least significant first: 0 where the event does not have the field;
 *                   bits beyond the last event are zero
 *
 * ACK payload: 32 bytes, then verdict_count entries of 8 bytes for those not simply accepted
 *     0    8 sequence     the batch's
 *     8    8 position     queries that name it see this batch
 *    16    4 event_count
 *    20    4 accepted
 *    24    4 verdict_count
 *    28    4 reserved
 *   entry: 4 index in the batch, 1 verdict (enum vt_verdict), 1 reason (enum vt_reason), 2 reserved
 *
 * ERROR payload: 16 bytes and text
 *     0    2 code         of err.h
 *     2    2 flags        VT_ERROR_FATAL
 *     4    4 text_size
 *     8    8 sequence     of the refused batch, or zero
 *
 * PING and PONG carry up to 64 bytes that come back unchanged.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define VT_FRAME_MAGIC      UINT32_C(0x31465456) /* "VTF1" */
#define VT_FRAME_VERSION    1
#define VT_FRAME_BYTES_MAX  (UINT32_C(1) << 20) /* default of frame_bytes_max */
#define VT_HELLO_BYTES_MAX  512
#define VT_PING_BYTES_MAX   64
#define VT_BATCH_EVENTS_MAX UINT32_C(65536)
#define VT_DEPTH_MAX        64
#define VT_COLUMNS_MAX      256  /* fields of a columnar frame */
#define VT_TEXT_BYTES_MAX   1024 /* of tenant, type, id, source and of a string field */
#define VT_EXT_NUMBER       1
#define VT_ERROR_FATAL      UINT16_C(1)

enum vt_frame_type {
    VT_FRAME_HELLO = 1,
    VT_FRAME_WELCOME = 2,
    VT_FRAME_BATCH_COLUMNS = 3,
    VT_FRAME_BATCH_ROWS = 4,
    VT_FRAME_ACK = 5,
    VT_FRAME_ERROR = 6,
    VT_FRAME_PING = 7,
    VT_FRAME_PONG = 8,
};

enum vt_verdict {
    VT_ACCEPTED = 0,
    VT_DUPLICATE = 1,
    VT_CONFLICT = 2, /* a duplicate whose content differs: counted in both */
    VT_EXCEPTION = 3,
};

/* Why an event is an exception, in the order in which they are checked; the first that applies is
 * the reason. Numbers are on disk and on the wire. */
#define VT_REASON_TABLE(X)                                      \
    X(VT_REASON_NONE, 0, "none")                                \
    X(VT_REASON_MALFORMED, 1, "malformed")                      \
    X(VT_REASON_UNKNOWN_TENANT, 2, "unknown_tenant")            \
    X(VT_REASON_UNKNOWN_EVENT_TYPE, 3, "unknown_event_type")    \
    X(VT_REASON_MISSING_ID, 4, "missing_id")                    \
    X(VT_REASON_BAD_TIME, 5, "bad_time")                        \
    X(VT_REASON_MISSING_FIELD, 6, "missing_field")              \
    X(VT_REASON_BAD_VALUE, 7, "bad_value")                      \
    X(VT_REASON_SCALE_EXCEEDED, 8, "scale_exceeded")            \
    X(VT_REASON_VALUE_OUT_OF_RANGE, 9, "value_out_of_range")    \
    X(VT_REASON_LATE_BEYOND_HORIZON, 10, "late_beyond_horizon") \
    X(VT_REASON_FUTURE_EVENT, 11, "future_event")

enum vt_reason {
#define VT_REASON_ENUM(name, number, text) name = (number),
    VT_REASON_TABLE(VT_REASON_ENUM)
#undef VT_REASON_ENUM
        VT_REASON_COUNT
};

/* "malformed"; "unknown" for a number that is none. */
const char *vt_reason_name(uint8_t reason);

struct vt_frame_header {
    le32 magic;
    uint8_t version;
    uint8_t type;
    le16 flags;
    le32 length;
    le32 payload_crc;
    le64 sequence;
    le32 event_count;
    le32 header_crc;
};
_Static_assert(sizeof(struct vt_frame_header) == 32, "the table above");
_Static_assert(offsetof(struct vt_frame_header, sequence) == 16, "the table above");
_Static_assert(_Alignof(struct vt_frame_header) == 1, "readable at any address");

struct vt_hello_head {
    le16 version_max;
    uint8_t token_size;
    uint8_t producer_size;
    le32 features;
    le64 epoch;
};
_Static_assert(sizeof(struct vt_hello_head) == 16, "the table above");

struct vt_welcome {
    le16 version;
    le16 reserved;
    le32 features;
    le32 frame_bytes_max;
    le32 batch_events_max;
    le32 credit_frames;
    le32 credit_bytes;
    le64 producer;
    le64 epoch;
    le64 sequence_next;
    le64 position;
    le64 history;
};
_Static_assert(sizeof(struct vt_welcome) == 64, "the table above");

struct vt_ack_head {
    le64 sequence;
    le64 position;
    le32 event_count;
    le32 accepted;
    le32 verdict_count;
    le32 reserved;
};
_Static_assert(sizeof(struct vt_ack_head) == 32, "the table above");

struct vt_ack_entry {
    le32 index;
    uint8_t verdict;
    uint8_t reason;
    le16 reserved;
};
_Static_assert(sizeof(struct vt_ack_entry) == 8, "the table above");

struct vt_error_head {
    le16 code;
    le16 flags;
    le32 text_size;
    le64 sequence;
};
_Static_assert(sizeof(struct vt_error_head) == 16, "the table above");

/* Fills a header, checksums included; `payload` is read for its checksum only. `event_count` is
 * zero for every type but a batch. */
void vt_frame_header_init(struct vt_frame_header *header, enum vt_frame_type type,
                          uint64_t sequence, uint32_t event_count, struct vt_bytes payload);

/* All rules of the table above but the payload's checksum and the limits of a type. */
VT_MUST_CHECK vt_err vt_frame_header_check(const struct vt_frame_header *header,
                                           uint32_t length_max);

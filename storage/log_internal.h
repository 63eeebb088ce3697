/*
 * log_internal.h - making and ending a log: the store's business. The rest is log.h.
 *
 * Life:   log_open over files that stay the store's, after the chain was found and the lanes
 *         synced; log_close when nothing is in flight.
 * Memory: buffer_count buffers of commit_bytes_max and a little; all taken at open.
 * Thread: the log's.
 */
#pragma once

#include "recovery.h"
#include "storage/log.h"

#define LOG_LANES_MAX 16

struct log_options {
    struct io *io;
    const struct chain_lanes *lanes; /* borrowed for the call; files for the life of the log */
    const struct chain *chain;       /* borrowed for the call */
    uint64_t start;
    uint32_t buffer_count;
};

VT_MUST_CHECK vt_err log_open(const struct log_options *options, struct log **out_log);
void log_close(struct log *log); /* NULL is allowed */

/* Of a commit that is not released: what a seal needs to know. VT_NOT_FOUND else. */
struct log_mark {
    uint64_t check;
    uint64_t start;
    uint64_t last_position;
    int64_t arrival_us;
};
VT_MUST_CHECK vt_err log_mark_of(const struct log *log, uint64_t number, struct log_mark *out_mark);

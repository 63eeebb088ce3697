/*
 * send_summary.h - what became of events that were sent, and the line of JSON that says it.
 *
 * Thread: one.
 */
#pragma once

#include <stdint.h>

#include "venturi/client.h"

struct send_summary {
    uint64_t accepted;
    uint64_t conflicts;
    uint64_t duplicates;
    uint64_t exceptions;
    uint64_t by_reason[VT_REASON_COUNT];
    uint64_t resumed;
    uint64_t refused_lines;
    uint64_t refused_events;
};

void send_summary_ack(struct send_summary *summary, const struct vt_client_ack *ack);

/* Events whose fate is known. */
uint64_t send_summary_acked(const struct send_summary *summary);

/* One line on standard output; the status to exit with. */
int send_summary_print(const struct send_summary *summary);

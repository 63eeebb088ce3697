/*
 * progress.h - one line on a terminal that is written over as things go on: events sent, acked and
 * refused, their rate, and how far the input is read where its size is known. On anything but a
 * terminal it writes nothing at all.
 *
 * Life:   progress_open, progress_show as often as one likes, progress_clear before another message
 *         goes to the same terminal, progress_close.
 * Thread: the main thread; an interrupt while the line stands is waited for on another one, which
 *         wipes it and ends the process as the signal would have.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tools/common/stopper.h"

struct progress_counts {
    uint64_t sent;
    uint64_t acked;
    uint64_t refused_events;
    uint64_t refused_lines; /* never sent */
    uint64_t bytes;         /* of the input that was read */
};

struct progress {
    bool on;
    bool standing;      /* a line stands on the terminal */
    uint64_t bytes_all; /* of the input; 0: not known */
    int64_t began_ns;
    int64_t shown_ns;
    struct stopper stopper;
};

/* `progress` stays where it is until progress_close. */
void progress_open(struct progress *progress, uint64_t bytes_all);
/* Ten times a second at most, else it does nothing. */
void progress_show(struct progress *progress, const struct progress_counts *counts);
void progress_clear(struct progress *progress);
void progress_close(struct progress *progress);

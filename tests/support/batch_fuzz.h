/*
 * batch_fuzz.h - what must hold of any frame that batch_decode accepts; shared by the fuzzers of
 * rows, of columns and of JSON lines.
 */
#pragma once

#include "engine/batch.h"

/* Decodes the frame. Of an accepted one: every code, tenant and type is in its range, batch_raw
 * gives rows that msgpack-c reads and that judge as the event did. Refused: the message is not
 * empty. */
vt_err batch_fuzz_frame(const struct batch_options *options, const struct batch_frame *frame);

/* Whether msgpack-c reads exactly one value from these bytes. True for what is nested deeper than
 * it can. */
bool batch_fuzz_library_reads(struct vt_bytes bytes);

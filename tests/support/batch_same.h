/*
 * batch_same.h - whether two decoded events are the same to everything that reads a batch.
 */
#pragma once

#include "engine/batch.h"

/* NULL, or what differs. Events of different batches; a malformed one has nothing but its reason
 * and its tenant. */
const char *batch_same(const struct batch *a, uint32_t event_a, const struct batch *b,
                       uint32_t event_b);

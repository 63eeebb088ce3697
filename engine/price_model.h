/*
 * price_model.h - what units cost by the terms of a charge or of a row. Pure functions of exact
 * numbers; which units are billable, and what share of the result an interval bears, is decided by
 * the caller.
 *
 * Thread: any; nothing here keeps state.
 */
#pragma once

#include <gmp.h>

#include "catalog.h"

/* P(units): the price of the first `units` billable units of a run, for per_unit, graduated and
 * package. Zero for units <= 0. */
void price_cumulative(mpq_t out, const struct price_terms *terms, const mpq_t units);

/* The tier of a volume table that a run's total falls in. */
const struct tier *price_volume_tier(const struct price_terms *terms, const mpq_t total);

/* The percentage fee of one event of which `free` units are free. */
void price_event_fee(mpq_t out, const struct price_terms *terms, const mpq_t value,
                     const mpq_t free);

/*
 * rating_rig.h - a rater under test: a catalog of one tenant from two pieces of JSON, rows by hand,
 * and the answer as text that a table can hold.
 *
 *   type t    d, e strings; q decimal 2, optional
 *   meters    sum (of q), count, max, min, last (of q), unique (of d), xsum (of q where d is x)
 *   tenant a, contract k, plan p, from 2024-01-01 UTC, all of them
 *
 * Life:   rating_rig_open, rating_rig_row*, rating_rig_answer, rating_rig_close. A failure ends the
 *         program.
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "engine/rating.h"

#define RATING_RIG_ROWS_MAX 4096 /* of a block */

struct rating_rig;

/* A JSON text with ' for ". */
struct rating_rig_catalog {
    const char *plans;     /* elements of "plans"; see RIG_PLAN */
    const char *contracts; /* elements of "contracts"; NULL: RIG_CONTRACT */
};

#define RIG_PLAN(version, from, more, charges)                                                  \
    "{'key': 'p', 'version': " version ", 'currency': 'USD', 'effective_from': '" from "'" more \
    ", 'charges': [" charges "]}"
#define RIG_V1(charges) RIG_PLAN("1", "2020-01-01T00:00:00Z", "", charges)
#define RIG_V2(charges) RIG_PLAN("2", "2024-01-16T12:00:00Z", "", charges)
/* v2 is in force for exactly the second half of January. */
#define RIG_CUT(one, two) RIG_V1(one) ", " RIG_V2(two)
#define RIG_CONTRACT_FROM(from) \
    "{'key': 'k', 'tenant': 'a', 'plan': 'p', 'plan_version': 'latest', 'from': '" from "'}"
#define RIG_CONTRACT RIG_CONTRACT_FROM("2024-01-01T00:00:00Z")

struct rating_rig_row {
    const char *time;   /* RFC 3339; or a day of January 2024 as "05" */
    const char *d;      /* NULL: "" */
    const char *q;      /* NULL: absent */
    const char *source; /* NULL: "" */
    const char *id;     /* NULL: numbered */
};

struct rating_rig *rating_rig_open(const struct rating_rig_catalog *catalog,
                                   const struct rater_options *options);
void rating_rig_close(struct rating_rig *rig);
struct rater *rating_rig_rater(struct rating_rig *rig);
const struct catalog *rating_rig_catalog_of(const struct rating_rig *rig);

/* The next row; rows go to the rater in blocks of `block_rows` of the options, default 3. */
void rating_rig_row(struct rating_rig *rig, const struct rating_rig_row *row);
void rating_rig_block_rows(struct rating_rig *rig, uint32_t count);

/* Ends the rows. A line is "CHARGE KIND [row] [{name:value,...}] quantity billable exact amount"
 * and a newline; unrated usage "METER REASON events". Lives until rating_rig_close. */
const char *rating_rig_answer(struct rating_rig *rig);

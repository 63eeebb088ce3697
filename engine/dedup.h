/*
 * dedup.h - the tag table: a 16-bit tag for every retained id of the whole store, in 64-byte lines
 * of 32. It answers "never seen" exactly and "maybe" otherwise; a maybe is confirmed elsewhere.
 *
 * An id is known here by its key, the upper 40 bits of K: as a fraction of all keys, times the
 * number of lines, its whole part is the line and the 16 bits behind the point are the tag. So the
 * table is filled from keys alone, and keys in ascending order fill it in sequence (sealed_format.h
 * keeps them so). Beyond 400 million ids (2^24 lines) a key has fewer than 16 bits left for the
 * tag: more maybes, never a wrong answer.
 *
 * One table serves all partitions: K is a function of the tenant, so a tag of another partition
 * only makes a maybe. A tag that stands in the line already is not written twice. A full line
 * spills to the next one, and a bit beside the table remembers that it did. With as many ids as the
 * budget says, load is at most 0.75: 2.69 bytes an id, the bits included.
 *
 * Memory: all reserved at open (huge pages advised), resident once written. Nothing is ever
 *         forgotten. That the budget is kept is made sure at the door; the table itself says
 *         VT_DEDUP_FULL only where no slot is free, a third beyond the budget.
 * Thread: any number of workers at once, without locks. A worker sees what it inserted itself at
 *         once, and that is all exactness needs: an id belongs to one partition, a partition to one
 *         worker. Another worker's tags may be seen or not; verdicts do not depend on it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/err.h"
#include "venturi/hash.h"

struct dedup;

#define DEDUP_KEY_BITS 40
#define DEDUP_KEYS_MAX 32 /* of one call */

static inline uint64_t
dedup_key(const struct vt_hash128 *k)
{
    return k->hi >> (64 - DEDUP_KEY_BITS);
}

/* `worker_count`: threads that claim. One alone is spared the price of a swap between cores. */
VT_MUST_CHECK vt_err dedup_open(uint64_t ids_max, uint32_t worker_count, struct dedup **out_dedup);
void dedup_close(struct dedup *dedup); /* NULL is allowed */

/* Brings the lines of `count` keys into the cache: some time before they are claimed. */
void dedup_prefetch(const struct dedup *dedup, const uint64_t *keys, uint32_t count);

/* Claims `count` keys (at most DEDUP_KEYS_MAX) one after the other: what was never seen is
 * remembered from now on. Bit i of *out_maybe: key i may have been claimed before, by an earlier
 * one of this call too. A zero is exact. */
VT_MUST_CHECK vt_err dedup_claim(struct dedup *dedup, const uint64_t *keys, uint32_t count,
                                 uint32_t *out_maybe);

/* Whether an id of this key may have been claimed, without claiming it. */
bool dedup_maybe(const struct dedup *dedup, uint64_t key);

/* Any number of keys, best in their order: for filling the table at a start. No other thread may
 * use it meanwhile. */
VT_MUST_CHECK vt_err dedup_fill(struct dedup *dedup, const uint64_t *keys, uint64_t count);

uint64_t dedup_capacity(const struct dedup *dedup); /* the budget, in ids */
uint64_t dedup_bytes(const struct dedup *dedup);

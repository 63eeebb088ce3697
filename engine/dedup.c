/*
 * dedup.c - see dedup.h. Line and tag = key times lines, by multiplication (D. Lemire, "Fast random
 * integer generation in an interval", 2019): the upper half is the line, the top of the lower half
 * the tag.
 *
 * A line that has a free slot was never full, for slots are taken from the front and nothing is
 * removed; a full one has a bit beside the table that says whether an insert went on to the next.
 * So a search goes on only where it must, and the bits (one a line, 0.02 B an id) are looked at for
 * full lines only: 6 % of them at load 0.75.
 *
 * A group of keys is first compared with its lines, all of them, so that their cache misses
 * overlap; then decided one by one. What was seen in the first pass may be old by then. A tag that
 * was there still is. A free slot is taken by compare-and-swap, always the first free one of the
 * line: where anybody, an earlier key of the group too, has put a tag into the line meanwhile, that
 * slot is taken, the swap fails, and the line is looked at again.
 */
#include "dedup.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dedup_match.h"
#include "venturi/assert.h"
#include "venturi/decimal.h"

#define DEDUP_LINE_LOAD 24 /* of 32: 0.75 */
#define DEDUP_HUGE_PAGE (UINT64_C(2) << 20)
#define DEDUP_IDS_MAX   (UINT64_C(1) << 38) /* 2^34 lines: each has 64 keys at least */

/* A key at the place it belongs, and what its line held. */
struct dedup_probe {
    uint64_t line;
    uint16_t tag;
    struct dedup_found found;
};

struct dedup {
    struct dedup_line *lines;  /* written by all workers */
    _Atomic uint64_t *spilled; /* a bit a line: an insert found it full; written by all workers */
    uint64_t line_count;
    uint64_t capacity;
    bool shared; /* by several workers */
    void (*look)(const struct dedup *dedup, const uint64_t *keys, uint32_t count,
                 struct dedup_probe *out_probes);
    uint64_t map_bytes;
    void *map;
};

/* --- the first pass */

static inline struct dedup_probe
probe_of(const struct dedup *dedup, uint64_t key)
{
    vt_u128 product = (vt_u128)(key << (64 - DEDUP_KEY_BITS)) * dedup->line_count;
    uint16_t tag = (uint16_t)((uint64_t)product >> 48);

    /* Zero marks a free slot. */
    return (struct dedup_probe){.line = (uint64_t)(product >> 64), .tag = tag == 0 ? 1 : tag};
}

static void
look_any(const struct dedup *dedup, const uint64_t *keys, uint32_t count,
         struct dedup_probe *out_probes)
{
    for (uint32_t i = 0; i < count; i++) {
        struct dedup_probe probe = probe_of(dedup, keys[i]);

        probe.found = dedup_match(&dedup->lines[probe.line], probe.tag);
        out_probes[i] = probe;
    }
}

#if defined(DEDUP_MATCH_X86)
__attribute__((target("avx2"))) static void
look_avx2(const struct dedup *dedup, const uint64_t *keys, uint32_t count,
          struct dedup_probe *out_probes)
{
    for (uint32_t i = 0; i < count; i++) {
        struct dedup_probe probe = probe_of(dedup, keys[i]);

        probe.found = dedup_match_avx2(&dedup->lines[probe.line], probe.tag);
        out_probes[i] = probe;
    }
}
#endif

static void
look_choose(struct dedup *dedup)
{
    dedup->look = look_any;
#if defined(DEDUP_MATCH_X86)
    if (__builtin_cpu_supports("avx2"))
        dedup->look = look_avx2;
#endif
}

/* --- life */

/* Zeroed pages, aligned to a huge one where the table is larger than that. */
static vt_err
lines_map(struct dedup *dedup)
{
    uint64_t bytes = dedup->line_count * sizeof *dedup->lines;
    uint64_t slack = bytes >= DEDUP_HUGE_PAGE ? DEDUP_HUGE_PAGE : 0;
    void *map =
        mmap(NULL, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return VT_NOMEM;
    dedup->map = map;
    dedup->map_bytes = bytes + slack;
    uint64_t skip = slack == 0 ? 0 : (0 - (uint64_t)(uintptr_t)map) & (DEDUP_HUGE_PAGE - 1);

    dedup->lines = (struct dedup_line *)(void *)((uint8_t *)map + skip);
    /* Advice only: a random line costs one page walk less. Refused, the table works as well. */
    if (slack > 0)
        (void)madvise(dedup->lines, bytes, MADV_HUGEPAGE);
    return VT_OK;
}

vt_err
dedup_open(uint64_t ids_max, uint32_t worker_count, struct dedup **out_dedup)
{
    VT_ASSERT(worker_count > 0);
    if (ids_max > DEDUP_IDS_MAX)
        return VT_NOMEM;
    struct dedup *dedup = calloc(1, sizeof *dedup);

    if (dedup == NULL)
        return VT_NOMEM;
    dedup->line_count = ids_max / DEDUP_LINE_LOAD + 1;
    dedup->capacity = ids_max;
    dedup->shared = worker_count > 1;
    look_choose(dedup);
    dedup->spilled = calloc(dedup->line_count / 64 + 1, sizeof *dedup->spilled);
    if (dedup->spilled == NULL || lines_map(dedup) != VT_OK) {
        dedup_close(dedup);
        return VT_NOMEM;
    }
    VT_ASSERT((uintptr_t)dedup->lines % sizeof(struct dedup_line) == 0);
    *out_dedup = dedup;
    return VT_OK;
}

void
dedup_close(struct dedup *dedup)
{
    if (dedup == NULL)
        return;
    if (dedup->map != NULL)
        (void)munmap(dedup->map, dedup->map_bytes);
    free(dedup->spilled);
    free(dedup);
}

uint64_t
dedup_capacity(const struct dedup *dedup)
{
    return dedup->capacity;
}

uint64_t
dedup_bytes(const struct dedup *dedup)
{
    return dedup->line_count * sizeof *dedup->lines + (dedup->line_count / 64 + 1) * 8;
}

/* --- claims */

static inline bool
line_spilled(const struct dedup *dedup, uint64_t line)
{
    uint64_t bits = atomic_load_explicit(&dedup->spilled[line / 64], memory_order_relaxed);

    return (bits >> (line % 64) & 1) != 0;
}

static void
line_spill(struct dedup *dedup, uint64_t line)
{
    (void)atomic_fetch_or_explicit(&dedup->spilled[line / 64], UINT64_C(1) << (line % 64),
                                   memory_order_relaxed);
}

static inline uint64_t
line_next(const struct dedup *dedup, uint64_t line)
{
    return line + 1 == dedup->line_count ? 0 : line + 1;
}

/* Whether the first free slot of `found` was still free, and has the tag now. */
static inline bool
slot_take(struct dedup *dedup, const struct dedup_probe *probe, bool shared)
{
    uint32_t first = (uint32_t)__builtin_ctz(probe->found.vacant);
    _Atomic uint16_t *slot = &dedup->lines[probe->line].tags[first];
    uint16_t vacant = 0;

    VT_ASSERT(probe->found.vacant != 0);
    if (shared)
        return atomic_compare_exchange_strong_explicit(slot, &vacant, probe->tag,
                                                       memory_order_relaxed, memory_order_relaxed);
    if (atomic_load_explicit(slot, memory_order_relaxed) != 0)
        return false;
    atomic_store_explicit(slot, probe->tag, memory_order_relaxed);
    return true;
}

/* From the home line on, with a fresh look at each. */
static vt_err
claim_freshly(struct dedup *dedup, struct dedup_probe probe, bool shared, bool *out_maybe)
{
    bool is_new = false; /* no id of its can stand further on */

    for (uint64_t seen = 0; seen <= dedup->line_count;) {
        probe.found = dedup_match(&dedup->lines[probe.line], probe.tag);
        if (probe.found.equal != 0) {
            *out_maybe = !is_new;
            return VT_OK;
        }
        if (probe.found.vacant != 0) {
            if (!slot_take(dedup, &probe, shared))
                continue; /* another worker was here: the line has one free slot less */
            *out_maybe = false;
            return VT_OK;
        }
        is_new = is_new || !line_spilled(dedup, probe.line);
        line_spill(dedup, probe.line);
        probe.line = line_next(dedup, probe.line);
        seen++;
    }
    return vt_err_detail(VT_DEDUP_FULL, "all %llu slots of the dedup index are taken",
                         (unsigned long long)dedup->line_count * DEDUP_LINE_TAGS);
}

vt_err
dedup_claim(struct dedup *dedup, const uint64_t *keys, uint32_t count, uint32_t *out_maybe)
{
    struct dedup_probe probes[DEDUP_KEYS_MAX];
    uint32_t maybe = 0;

    VT_ASSERT(count <= DEDUP_KEYS_MAX);
    dedup->look(dedup, keys, count, probes);
    for (uint32_t i = 0; i < count; i++) {
        bool known = probes[i].found.equal != 0;

        if (!known &&
            (probes[i].found.vacant == 0 || !slot_take(dedup, &probes[i], dedup->shared))) {
            vt_err err = claim_freshly(dedup, probes[i], dedup->shared, &known);

            if (err != VT_OK)
                return err;
        }
        maybe |= (uint32_t)known << i;
    }
    *out_maybe = maybe;
    return VT_OK;
}

bool
dedup_maybe(const struct dedup *dedup, uint64_t key)
{
    struct dedup_probe probe = probe_of(dedup, key);

    for (uint64_t seen = 0; seen < dedup->line_count; seen++) {
        probe.found = dedup_match(&dedup->lines[probe.line], probe.tag);
        if (probe.found.equal != 0)
            return true;
        if (probe.found.vacant != 0 || !line_spilled(dedup, probe.line))
            return false;
        probe.line = line_next(dedup, probe.line);
    }
    return false; /* every line is full and none has the tag */
}

void
dedup_prefetch(const struct dedup *dedup, const uint64_t *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&dedup->lines[probe_of(dedup, keys[i]).line], 1, 1);
}

vt_err
dedup_fill(struct dedup *dedup, const uint64_t *keys, uint64_t count)
{
    vt_err err = VT_OK;

    /* Keys in order share lines, so that a look at all of a group first would be old at once. */
    for (uint64_t i = 0; err == VT_OK && i < count; i++) {
        bool known;

        err = claim_freshly(dedup, probe_of(dedup, keys[i]), false, &known);
    }
    return err;
}

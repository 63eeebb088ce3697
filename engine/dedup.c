/*
 * dedup.c - see dedup.h. Line = high bits of K by multiplication (D. Lemire, "Fast random integer
 * generation in an interval", 2019), so that ids in the order of K fill the table in sequence.
 *
 * A line that has a free slot was never full, for nothing is removed; a full one has a bit beside
 * the table that says whether an insert went on to the next. So a search goes on only where it
 * must, and the bits (one a line, 0.02 B an id) are looked at for full lines only: 6 % of them at
 * load 0.75.
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
#define DEDUP_IDS_MAX   (UINT64_C(1) << 40)

struct dedup {
    struct dedup_line *lines;
    uint64_t *spilled; /* a bit a line: an insert found it full */
    uint64_t line_count;
    uint64_t map_bytes;
    void *map;
    uint64_t capacity;
    _Atomic uint64_t used; /* written by the owner */
};

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
dedup_open(uint64_t ids_max, struct dedup **out_dedup)
{
    if (ids_max > DEDUP_IDS_MAX)
        return VT_NOMEM;
    struct dedup *dedup = calloc(1, sizeof *dedup);

    if (dedup == NULL)
        return VT_NOMEM;
    dedup->line_count = ids_max / DEDUP_LINE_LOAD + 1;
    dedup->capacity = ids_max;
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

static inline uint64_t
line_of(const struct dedup *dedup, const struct vt_hash128 *k)
{
    return (uint64_t)(((vt_u128)k->hi * dedup->line_count) >> 64);
}

/* Never zero, which marks a free slot. */
static inline uint16_t
tag_of(const struct vt_hash128 *k)
{
    uint16_t tag = (uint16_t)k->lo;

    return tag == 0 ? 1 : tag;
}

static inline bool
line_spilled(const struct dedup *dedup, uint64_t line)
{
    return (dedup->spilled[line / 64] >> (line % 64) & 1) != 0;
}

bool
dedup_maybe(const struct dedup *dedup, const struct vt_hash128 *k)
{
    uint64_t line = line_of(dedup, k);
    uint16_t tag = tag_of(k);

    for (uint64_t seen = 0; seen < dedup->line_count; seen++) {
        const struct dedup_line *at = &dedup->lines[line];

        if (dedup_match(at, tag) != 0)
            return true;
        if (at->tags[DEDUP_LINE_TAGS - 1] == 0 || !line_spilled(dedup, line))
            return false;
        line = line + 1 == dedup->line_count ? 0 : line + 1;
    }
    return false; /* every line is full and none has the tag */
}

vt_err
dedup_insert(struct dedup *dedup, const struct vt_hash128 *k)
{
    uint64_t used = atomic_load_explicit(&dedup->used, memory_order_relaxed);
    uint64_t line = line_of(dedup, k);

    if (used >= dedup->capacity)
        return VT_DEDUP_FULL;
    /* At most 24 of 32 slots are taken in the whole, so this ends. */
    while (dedup->lines[line].tags[DEDUP_LINE_TAGS - 1] != 0) {
        dedup->spilled[line / 64] |= UINT64_C(1) << (line % 64);
        line = line + 1 == dedup->line_count ? 0 : line + 1;
    }
    uint32_t vacant = dedup_match(&dedup->lines[line], 0);

    VT_ASSERT(vacant != 0);
    dedup->lines[line].tags[__builtin_ctz(vacant)] = tag_of(k);
    atomic_store_explicit(&dedup->used, used + 1, memory_order_relaxed);
    return VT_OK;
}

void
dedup_prefetch(const struct dedup *dedup, const struct vt_hash128 *ks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&dedup->lines[line_of(dedup, &ks[i])], 1, 1);
}

uint64_t
dedup_used(const struct dedup *dedup)
{
    return atomic_load_explicit(&dedup->used, memory_order_relaxed);
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

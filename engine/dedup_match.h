/*
 * dedup_match.h - which of the 32 tags of one line are equal to a tag, as 32 bits, the first tag in
 * the lowest. By SSE2, by NEON, or plainly, with the same answer.
 *
 * Thread: any; no state.
 */
#pragma once

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#define DEDUP_LINE_TAGS 32

struct dedup_line {
    _Alignas(64) uint16_t tags[DEDUP_LINE_TAGS]; /* 0: free; filled from the front */
};
_Static_assert(sizeof(struct dedup_line) == 64, "one cache line");

static inline uint32_t
dedup_match_plain(const struct dedup_line *line, uint16_t tag)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < DEDUP_LINE_TAGS; i++)
        found |= (uint32_t)(line->tags[i] == tag) << i;
    return found;
}

#if defined(__SSE2__)
static inline uint32_t
dedup_match_half(const uint16_t *tags, __m128i wanted)
{
    __m128i low = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)(const void *)tags), wanted);
    __m128i high =
        _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)(const void *)(tags + 8)), wanted);

    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

static inline uint32_t
dedup_match(const struct dedup_line *line, uint16_t tag)
{
    __m128i wanted = _mm_set1_epi16((int16_t)tag);

    return dedup_match_half(line->tags, wanted) | dedup_match_half(line->tags + 16, wanted) << 16;
}
#elif defined(__ARM_NEON) && defined(__aarch64__)
static inline uint32_t
dedup_match_eight(const uint16_t *tags, uint16x8_t wanted)
{
    static const uint8_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint8x8_t equal = vmovn_u16(vceqq_u16(vld1q_u16(tags), wanted));

    return vaddv_u8(vand_u8(equal, vld1_u8(bits)));
}

static inline uint32_t
dedup_match(const struct dedup_line *line, uint16_t tag)
{
    uint16x8_t wanted = vdupq_n_u16(tag);

    return dedup_match_eight(line->tags, wanted) | dedup_match_eight(line->tags + 8, wanted) << 8 |
           dedup_match_eight(line->tags + 16, wanted) << 16 |
           dedup_match_eight(line->tags + 24, wanted) << 24;
}
#else
static inline uint32_t
dedup_match(const struct dedup_line *line, uint16_t tag)
{
    return dedup_match_plain(line, tag);
}
#endif

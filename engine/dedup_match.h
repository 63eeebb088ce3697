/*
 * dedup_match.h - which of the 32 tags of a line equal one tag, and which are free, as bits:
 * compared all at once where the machine can. Private to dedup.c; the test compares it with the
 * plain loop.
 *
 * Other workers may write tags meanwhile. A load of a vector is not atomic to the language, but no
 * machine tears the two aligned bytes of a tag, and an older value of another worker's tag is as
 * good as the newer one. Under ThreadSanitizer the plain loop is used, whose loads are atomic.
 *
 * Thread: any; no state.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DEDUP_MATCH_PLAIN
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define DEDUP_MATCH_PLAIN
#endif

#if defined(__x86_64__) && !defined(DEDUP_MATCH_PLAIN)
#define DEDUP_MATCH_X86
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(DEDUP_MATCH_PLAIN)
#define DEDUP_MATCH_NEON
#include <arm_neon.h>
#endif

#define DEDUP_LINE_TAGS 32

struct dedup_line {
    _Alignas(64) _Atomic uint16_t tags[DEDUP_LINE_TAGS]; /* 0: free; filled from the front */
};
_Static_assert(sizeof(struct dedup_line) == 64, "one cache line");

struct dedup_found {
    uint32_t equal; /* a bit a tag */
    uint32_t vacant;
};

static inline struct dedup_found
dedup_match_plain(const struct dedup_line *line, uint16_t tag)
{
    struct dedup_found found = {0, 0};

    for (uint32_t i = 0; i < DEDUP_LINE_TAGS; i++) {
        uint16_t here = atomic_load_explicit(&line->tags[i], memory_order_relaxed);

        found.equal |= (uint32_t)(here == tag) << i;
        found.vacant |= (uint32_t)(here == 0) << i;
    }
    return found;
}

#if defined(DEDUP_MATCH_X86)
static inline struct dedup_found
dedup_match(const struct dedup_line *line, uint16_t tag)
{
    const __m128i *at = (const __m128i *)(const void *)line;
    __m128i wanted = _mm_set1_epi16((int16_t)tag);
    __m128i zero = _mm_setzero_si128();
    __m128i a = _mm_load_si128(at);
    __m128i b = _mm_load_si128(at + 1);
    __m128i c = _mm_load_si128(at + 2);
    __m128i d = _mm_load_si128(at + 3);
    __m128i equal_low = _mm_packs_epi16(_mm_cmpeq_epi16(a, wanted), _mm_cmpeq_epi16(b, wanted));
    __m128i equal_high = _mm_packs_epi16(_mm_cmpeq_epi16(c, wanted), _mm_cmpeq_epi16(d, wanted));
    __m128i free_low = _mm_packs_epi16(_mm_cmpeq_epi16(a, zero), _mm_cmpeq_epi16(b, zero));
    __m128i free_high = _mm_packs_epi16(_mm_cmpeq_epi16(c, zero), _mm_cmpeq_epi16(d, zero));

    return (struct dedup_found){
        (uint32_t)_mm_movemask_epi8(equal_low) | (uint32_t)_mm_movemask_epi8(equal_high) << 16,
        (uint32_t)_mm_movemask_epi8(free_low) | (uint32_t)_mm_movemask_epi8(free_high) << 16,
    };
}

/* Packing works in halves of 128 bits: the middle two quarters change places. */
__attribute__((target("avx2"))) static inline uint32_t
dedup_mask_avx2(__m256i low, __m256i high)
{
    __m256i packed = _mm256_packs_epi16(low, high);

    return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(packed, 0xd8));
}

__attribute__((target("avx2"))) static inline struct dedup_found
dedup_match_avx2(const struct dedup_line *line, uint16_t tag)
{
    const __m256i *at = (const __m256i *)(const void *)line;
    __m256i wanted = _mm256_set1_epi16((int16_t)tag);
    __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_load_si256(at);
    __m256i high = _mm256_load_si256(at + 1);

    return (struct dedup_found){
        dedup_mask_avx2(_mm256_cmpeq_epi16(low, wanted), _mm256_cmpeq_epi16(high, wanted)),
        dedup_mask_avx2(_mm256_cmpeq_epi16(low, zero), _mm256_cmpeq_epi16(high, zero)),
    };
}
#elif defined(DEDUP_MATCH_NEON)
static inline uint32_t
dedup_mask_eight(uint16x8_t equal)
{
    static const uint8_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};

    return vaddv_u8(vand_u8(vmovn_u16(equal), vld1_u8(bits)));
}

static inline struct dedup_found
dedup_match(const struct dedup_line *line, uint16_t tag)
{
    const uint16_t *at = (const uint16_t *)(const void *)line;
    uint16x8_t wanted = vdupq_n_u16(tag);
    struct dedup_found found = {0, 0};

    for (uint32_t i = 0; i < DEDUP_LINE_TAGS; i += 8) {
        uint16x8_t tags = vld1q_u16(at + i);

        found.equal |= dedup_mask_eight(vceqq_u16(tags, wanted)) << i;
        found.vacant |= dedup_mask_eight(vceqzq_u16(tags)) << i;
    }
    return found;
}
#else
static inline struct dedup_found
dedup_match(const struct dedup_line *line, uint16_t tag)
{
    return dedup_match_plain(line, tag);
}
#endif

#include "codec_scan.h"

#define INLINE __attribute__((always_inline)) static inline

INLINE struct scan_span
span_body(const int64_t *values, uint32_t count)
{
    int64_t min = values[0];
    int64_t max = values[0];

    for (uint32_t i = 0; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    return (struct scan_span){min, max};
}

INLINE uint64_t
changes_body(const int64_t *values, uint32_t count)
{
    uint64_t changes = 0;

    for (uint32_t i = 1; i < count; i++)
        changes += values[i] != values[i - 1];
    return changes;
}

INLINE int64_t
least_from_body(const int64_t *values, uint32_t count, int64_t floor)
{
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < count; i++) {
        int64_t value = values[i] >= floor ? values[i] : INT64_MAX;

        least = value < least ? value : least;
    }
    return least;
}

INLINE struct scan_excess
excess_body(const int64_t *values, uint32_t count, uint64_t reference, uint32_t width)
{
    struct scan_excess found = {0};

    for (uint32_t i = 0; i < count; i++) {
        uint64_t excess = ((uint64_t)values[i] - reference) >> width;

        found.all |= excess;
        found.count += excess != 0;
    }
    return found;
}

#if defined(__x86_64__)

/* One body compiled for three machines, and the choice at run time. The least of 64-bit integers is
 * one instruction with AVX-512, three with AVX2. */
#define VARIANTS(type, name, body, parameters, arguments)                                     \
    __attribute__((target("avx512f,avx512vl,avx512dq"))) static type name##_avx512 parameters \
    {                                                                                         \
        return body arguments;                                                                \
    }                                                                                         \
    __attribute__((target("avx2"))) static type name##_avx2 parameters                        \
    {                                                                                         \
        return body arguments;                                                                \
    }                                                                                         \
    static type name##_any parameters                                                         \
    {                                                                                         \
        return body arguments;                                                                \
    }                                                                                         \
    type name parameters                                                                      \
    {                                                                                         \
        if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))         \
            return name##_avx512 arguments;                                                   \
        if (__builtin_cpu_supports("avx2"))                                                   \
            return name##_avx2 arguments;                                                     \
        return name##_any arguments;                                                          \
    }

#else

#define VARIANTS(type, name, body, parameters, arguments) \
    type name parameters                                  \
    {                                                     \
        return body arguments;                            \
    }

#endif

/* clang-format off */
VARIANTS(struct scan_span, scan_span, span_body,
         (const int64_t *values, uint32_t count), (values, count))
VARIANTS(uint64_t, scan_changes, changes_body,
         (const int64_t *values, uint32_t count), (values, count))
VARIANTS(int64_t, scan_least_from, least_from_body,
         (const int64_t *values, uint32_t count, int64_t floor), (values, count, floor))
VARIANTS(struct scan_excess, scan_excess, excess_body,
         (const int64_t *values, uint32_t count, uint64_t reference, uint32_t width),
         (values, count, reference, width))
/* clang-format on */

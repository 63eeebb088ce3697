/*
 * The instruction takes three cycles but one starts each cycle, so a long buffer is cut into three
 * streams that run at once; the remainder of a stream is carried over the bytes behind it by one
 * carry-less product with x^(8n - 33) mod P, after V. Gopal et al., "Fast CRC Computation for iSCSI
 * Polynomial Using CRC32 Instruction" (Intel, 2011).
 */
#include "crc32c.h"

#include "venturi/assert.h"
#include "venturi/bytes.h"
#include "venturi/hash.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#define STREAM_LONG  UINT64_C(1024)
#define STREAM_SHORT UINT64_C(128)

uint32_t
crc32c_table(uint32_t crc, const uint8_t *at, uint64_t size)
{
    /* Remainders of the 16 half bytes, P = 0x1EDC6F41 reflected. */
    static const uint32_t nibbles[16] = {
        UINT32_C(0x00000000), UINT32_C(0x105ec76f), UINT32_C(0x20bd8ede), UINT32_C(0x30e349b1),
        UINT32_C(0x417b1dbc), UINT32_C(0x5125dad3), UINT32_C(0x61c69362), UINT32_C(0x7198540d),
        UINT32_C(0x82f63b78), UINT32_C(0x92a8fc17), UINT32_C(0xa24bb5a6), UINT32_C(0xb21572c9),
        UINT32_C(0xc38d26c4), UINT32_C(0xd3d3e1ab), UINT32_C(0xe330a81a), UINT32_C(0xf36e6f75),
    };

    for (uint64_t i = 0; i < size; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)

#define CRC_TARGET __attribute__((target("sse4.2,pclmul")))

/* x^(8n - 33) mod P, reflected, for n bytes: twice and once each length of a stream. */
#define OVER_TWO_LONG  UINT32_C(0xa51b6135)
#define OVER_ONE_LONG  UINT32_C(0x170076fa)
#define OVER_TWO_SHORT UINT32_C(0xb9e02b86)
#define OVER_ONE_SHORT UINT32_C(0x0d3b6092)

bool
crc32c_has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

/* The remainder `crc` carried over as many zero bytes as `power` says. */
CRC_TARGET static inline uint64_t
carry_over(uint64_t crc, uint32_t power)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi32_si128((int)power), 0);

    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* 3 x `stream` bytes. */
CRC_TARGET static inline uint64_t
three_streams(uint64_t crc, const uint8_t *at, uint64_t stream, uint32_t over_two,
              uint32_t over_one)
{
    uint64_t second = 0;
    uint64_t third = 0;

    for (uint64_t i = 0; i < stream; i += 8) {
        crc = _mm_crc32_u64(crc, vt_load64(at + i));
        second = _mm_crc32_u64(second, vt_load64(at + stream + i));
        third = _mm_crc32_u64(third, vt_load64(at + 2 * stream + i));
    }
    return carry_over(crc, over_two) ^ carry_over(second, over_one) ^ third;
}

CRC_TARGET uint32_t
crc32c_instruction(uint32_t crc, const uint8_t *at, uint64_t size)
{
    uint64_t wide = crc;

    for (; size >= 3 * STREAM_LONG; size -= 3 * STREAM_LONG, at += 3 * STREAM_LONG)
        wide = three_streams(wide, at, STREAM_LONG, OVER_TWO_LONG, OVER_ONE_LONG);
    for (; size >= 3 * STREAM_SHORT; size -= 3 * STREAM_SHORT, at += 3 * STREAM_SHORT)
        wide = three_streams(wide, at, STREAM_SHORT, OVER_TWO_SHORT, OVER_ONE_SHORT);
    for (; size >= 8; size -= 8, at += 8)
        wide = _mm_crc32_u64(wide, vt_load64(at));
    crc = (uint32_t)wide;
    for (; size > 0; size--, at++)
        crc = _mm_crc32_u8(crc, *at);
    return crc;
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

bool
crc32c_has_instruction(void)
{
    return true; /* part of the machine that the build was made for */
}

uint32_t
crc32c_instruction(uint32_t crc, const uint8_t *at, uint64_t size)
{
    for (; size >= 8; size -= 8, at += 8)
        crc = __crc32cd(crc, vt_load64(at));
    for (; size > 0; size--, at++)
        crc = __crc32cb(crc, *at);
    return crc;
}

#else

bool
crc32c_has_instruction(void)
{
    return false;
}

uint32_t
crc32c_instruction(uint32_t crc, const uint8_t *at, uint64_t size)
{
    return crc32c_table(crc, at, size);
}

#endif

uint32_t
vt_crc32c_more(uint32_t crc, const void *data, uint64_t size)
{
    VT_ASSERT(data != NULL || size == 0);
    if (crc32c_has_instruction())
        return ~crc32c_instruction(~crc, data, size);
    return ~crc32c_table(~crc, data, size);
}

uint32_t
vt_crc32c(const void *data, uint64_t size)
{
    return vt_crc32c_more(0, data, size);
}

#include "codec_pack.h"

#include <string.h>

#include "venturi/assert.h"
#include "venturi/bytes.h"

#define LANES      16
#define ROWS       (PACK_BLOCK / LANES)
#define WORD_BITS  64
#define ROW_STRIDE ((size_t)LANES * 8) /* bytes from a lane's word to its next */

static uint64_t
mask_of(uint32_t width)
{
    return width == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << width) - 1;
}

uint32_t
pack_bytes(uint32_t count, uint32_t width)
{
    VT_ASSERT(count <= PACK_BLOCK);
    VT_ASSERT(width <= WORD_BITS);
    return (count * width + 7) / 8; /* a full block: 128 x width, as its lanes fill whole words */
}

/* The body of each variant of lanes_get(): the same C, compiled for several machines. */
__attribute__((always_inline)) static inline void
lanes_get_body(const uint8_t *restrict in, uint32_t width, uint64_t reference,
               int64_t *restrict out_values)
{
    uint64_t mask = mask_of(width);

    for (uint32_t row = 0; row < ROWS; row++, out_values += LANES) {
        uint32_t shift = row * width % WORD_BITS;
        const uint8_t *at = in + (size_t)(row * width / WORD_BITS) * ROW_STRIDE;

        if (shift + width <= WORD_BITS) {
            for (uint32_t lane = 0; lane < LANES; lane++)
                out_values[lane] =
                    (int64_t)(reference + (vt_load64(at + (size_t)lane * 8) >> shift & mask));
            continue;
        }
        /* The row's bits go on in the next word; shift is not 0 here. */
        for (uint32_t lane = 0; lane < LANES; lane++) {
            uint64_t low = vt_load64(at + (size_t)lane * 8) >> shift;
            uint64_t high = vt_load64(at + ROW_STRIDE + (size_t)lane * 8) << (WORD_BITS - shift);

            out_values[lane] = (int64_t)(reference + ((low | high) & mask));
        }
    }
}

static void
lanes_get_any(const uint8_t *in, uint32_t width, uint64_t reference, int64_t *out_values)
{
    lanes_get_body(in, width, reference, out_values);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void
lanes_get_avx2(const uint8_t *in, uint32_t width, uint64_t reference, int64_t *out_values)
{
    lanes_get_body(in, width, reference, out_values);
}
#endif

static void
lanes_get(const uint8_t *in, uint32_t width, uint64_t reference, int64_t *out_values)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        lanes_get_avx2(in, width, reference, out_values);
        return;
    }
#endif
    lanes_get_any(in, width, reference, out_values);
}

static void
lanes_put(const uint64_t *restrict values, uint32_t width, uint8_t *restrict out)
{
    uint64_t mask = mask_of(width);
    uint64_t words[LANES] = {0};

    for (uint32_t row = 0; row < ROWS; row++, values += LANES) {
        uint32_t shift = row * width % WORD_BITS;

        for (uint32_t lane = 0; lane < LANES; lane++)
            words[lane] |= (values[lane] & mask) << shift;
        if (shift + width < WORD_BITS)
            continue;
        memcpy(out, words, sizeof words);
        out += sizeof words;
        uint32_t taken = WORD_BITS - shift; /* bits of this row that the full word holds */

        for (uint32_t lane = 0; lane < LANES; lane++)
            words[lane] = taken < width ? (values[lane] & mask) >> taken : 0;
    }
}

/* Eight bytes at `at`, fewer where `end` is nearer; zeros for the others. */
static uint64_t
load_before(const uint8_t *at, const uint8_t *end)
{
    uint64_t word = 0;

    if (end - at >= 8)
        return vt_load64(at);
    memcpy(&word, at, (size_t)(end - at));
    return word;
}

static void
string_get(const uint8_t *in, uint32_t count, uint32_t width, uint64_t reference,
           int64_t *out_values)
{
    const uint8_t *end = in + pack_bytes(count, width);
    uint64_t mask = mask_of(width);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t bit = i * width;
        uint32_t shift = bit % 8;
        const uint8_t *at = in + bit / 8;
        uint64_t value = load_before(at, end) >> shift;

        if (shift + width > WORD_BITS) /* a ninth byte, and shift is not 0 */
            value |= (uint64_t)at[8] << (WORD_BITS - shift);
        out_values[i] = (int64_t)(reference + (value & mask));
    }
}

static void
string_put(const uint64_t *values, uint32_t count, uint32_t width, uint8_t *out)
{
    uint64_t mask = mask_of(width);

    memset(out, 0, pack_bytes(count, width));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = values[i] & mask;
        uint32_t bit = i * width;
        uint32_t left = width;

        while (left > 0) {
            uint32_t shift = bit % 8;
            uint32_t taken = left < 8 - shift ? left : 8 - shift;

            out[bit / 8] = (uint8_t)(out[bit / 8] | value << shift);
            value = taken < WORD_BITS ? value >> taken : 0;
            bit += taken;
            left -= taken;
        }
    }
}

void
pack_put(const uint64_t *values, uint32_t count, uint32_t width, uint8_t *out)
{
    VT_ASSERT(count > 0 && count <= PACK_BLOCK);
    VT_ASSERT(width <= WORD_BITS);
    if (width == 0)
        return;
    if (count == PACK_BLOCK)
        lanes_put(values, width, out);
    else
        string_put(values, count, width, out);
}

void
pack_get(const uint8_t *in, uint32_t count, uint32_t width, uint64_t reference, int64_t *out_values)
{
    VT_ASSERT(count > 0 && count <= PACK_BLOCK);
    VT_ASSERT(width <= WORD_BITS);
    if (width == 0) {
        for (uint32_t i = 0; i < count; i++)
            out_values[i] = (int64_t)reference;
    } else if (count == PACK_BLOCK) {
        lanes_get(in, width, reference, out_values);
    } else {
        string_get(in, count, width, reference, out_values);
    }
}

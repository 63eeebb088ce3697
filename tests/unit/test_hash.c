/*
 * Goal:   checksums and hashes are the published functions, whatever path computes them.
 * Method: vectors of RFC 3720, of the SipHash reference and of FIPS 180-4; the instruction against
 * the
 *         table at every length around the edges of its streams.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

Test(hash, crc32c_has_the_published_values, .timeout = 5)
{
    uint8_t bytes[32];

    cr_expect(vt_crc32c(NULL, 0) == 0);
    cr_expect(vt_crc32c("123456789", 9) == UINT32_C(0xE3069283));
    memset(bytes, 0, sizeof bytes);
    cr_expect(vt_crc32c(bytes, sizeof bytes) == UINT32_C(0x8A9136AA));
    memset(bytes, 0xFF, sizeof bytes);
    cr_expect(vt_crc32c(bytes, sizeof bytes) == UINT32_C(0x62A8AB43));
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    cr_expect(vt_crc32c(bytes, sizeof bytes) == UINT32_C(0x46DD794E));
}

static uint8_t buffer[16384];

static void
buffer_fill(void)
{
    uint32_t x = 1;

    for (size_t i = 0; i < sizeof buffer; i++) {
        x = x * 1664525 + 1013904223;
        buffer[i] = (uint8_t)(x >> 24);
    }
}

Test(hash, crc32c_paths_agree_at_every_length, .timeout = 60)
{
    buffer_fill();
    if (!crc32c_has_instruction())
        cr_skip_test("no instruction here");
    /* Streams are 3 x 128 and 3 x 1024 bytes: all lengths over the first edges, at odd
     * addresses. */
    for (uint32_t size = 0; size < 7000; size++) {
        const uint8_t *at = buffer + size % 9;

        cr_assert(crc32c_instruction(~UINT32_C(0), at, size) ==
                      crc32c_table(~UINT32_C(0), at, size),
                  "%u bytes", size);
    }
}

Test(hash, crc32c_continues, .timeout = 5)
{
    buffer_fill();
    uint32_t whole = vt_crc32c(buffer, 5000);

    for (uint32_t cut = 0; cut <= 5000; cut += 7)
        cr_assert(vt_crc32c_more(vt_crc32c(buffer, cut), buffer + cut, 5000 - cut) == whole);
}

Test(hash, siphash_has_the_reference_values, .timeout = 5)
{
    /* vectors_sip128 of the reference: key 00..0f, message 00..(n-1). */
    static const struct siphash_case {
        uint32_t size;
        uint8_t want[16];
    } cases[] = {
        /* clang-format off */
        { 0, { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
          0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93 } },
        { 1, { 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
          0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45 } },
        { 2, { 0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7,
          0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4 } },
        { 8, { 0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61,
          0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97, 0xb4 } },
        { 63, { 0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a,
          0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd, 0x7c } },
        /* clang-format on */
    };
    const struct vt_hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t message[64];

    for (uint32_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    for (size_t i = 0; i < VT_COUNT(cases); i++) {
        struct vt_hash128 hash = vt_siphash(&key, message, cases[i].size);

        cr_expect(hash.lo == vt_load64(cases[i].want), "%u bytes", cases[i].size);
        cr_expect(hash.hi == vt_load64(cases[i].want + 8), "%u bytes", cases[i].size);
    }
}

Test(hash, sha256_has_the_published_value, .timeout = 5)
{
    static const uint8_t want[32] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
        0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
        0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
    };
    uint8_t digest[32];

    vt_sha256("abc", 3, digest);
    cr_expect(memcmp(digest, want, sizeof want) == 0);
}

/*
 * hash.h - checksums and hashes in use. CRC32C guards frames, records and chunks; the keyed 128-bit
 * hash places ids and tenants (chosen ids cannot aim at one line of the dedup table); SHA-256
 * chains content and stores tokens.
 *
 * Thread: any; no state but what the caller holds.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"

struct vt_hash128 {
    uint64_t hi;
    uint64_t lo;
};

struct vt_hash_key {
    uint64_t k0;
    uint64_t k1;
};

/* CRC32C (Castagnoli, reflected, initial and final complement), by instruction where there is one.
 * `vt_crc32c_more` continues a finished checksum over the bytes that follow. */
uint32_t vt_crc32c(const void *data, uint64_t size);
uint32_t vt_crc32c_more(uint32_t crc, const void *data, uint64_t size);

/* SipHash-2-4 with 128 bits of output (J.-P. Aumasson, D. J. Bernstein, 2012). `lo` is the first
 * half of the output of the reference, read as little-endian. */
struct vt_hash128 vt_siphash(const struct vt_hash_key *key, const void *data, uint64_t size);

/* SHA-256 (FIPS 180-4), by OpenSSL. */
void vt_sha256(const void *data, uint64_t size, uint8_t out_digest[32]);

/*
 * crc32c.h - the ways of computing a CRC32C, for tests that compare them. Others use hash.h.
 *
 * All continue a raw remainder: initial and final complement are the caller's.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Half a byte at a step; correct everywhere, slow. */
uint32_t crc32c_table(uint32_t crc, const uint8_t *at, uint64_t size);

/* By the processor's instruction, where crc32c_has_instruction(). */
bool crc32c_has_instruction(void);
uint32_t crc32c_instruction(uint32_t crc, const uint8_t *at, uint64_t size);

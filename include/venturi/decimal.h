/*
 * decimal.h - exact decimals as text and as scaled integers. A field's value is a 64-bit integer in
 * units of 10^-scale; sums of them are 128-bit. No binary floating point anywhere.
 *
 * Thread: any.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define VT_SCALE_MAX 18

__extension__ typedef __int128 vt_i128;
__extension__ typedef unsigned __int128 vt_u128;

/* Longest text of a vt_i128 with point and sign, and its terminator. */
#define VT_DECIMAL_BYTES 48

/* `-?digits[.digits][e[+-]digits]`, exponents of any length, to value x 10^scale. VT_BAD_DECIMAL:
 * not of that form. VT_SCALE: it has digits below 10^-scale. VT_OVERFLOW: outside int64. Checked in
 * this order, which is the order of the reasons bad_value, scale_exceeded, value_out_of_range. */
VT_MUST_CHECK vt_err vt_decimal_parse(struct vt_str text, uint32_t scale, int64_t *out_value);

/* An integer in units of 10^-from to units of 10^-to; the same errors. */
VT_MUST_CHECK vt_err vt_decimal_rescale(int64_t value, uint32_t from, uint32_t to,
                                        int64_t *out_value);

/* The shortest exact text: no trailing zeros, no exponent, "0" for zero. Gives the length. */
uint32_t vt_decimal_format(vt_i128 value, uint32_t scale, char out_text[VT_DECIMAL_BYTES]);

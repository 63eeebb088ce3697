/*
 * money.h - exact rational numbers for what stands on a line: prices times quantities, shares of
 * time, rounding to the currency's digits, and their texts. Rounding happens here and nowhere else.
 *
 * The numbers are GMP's mpq_t, always in lowest terms. GMP ends the process where memory is short.
 *
 * Thread: any; nothing here keeps state.
 */
#pragma once

#include <gmp.h>
#include <stdint.h>

#include "arena.h"
#include "catalog.h"
#include "venturi/decimal.h"

#define MONEY_SHOWN_DIGITS 12 /* of a number that is no finite decimal */

/* value x 10^-scale, a price, and numerator / denominator (above zero). */
void money_set_scaled(mpq_t out, vt_i128 value, uint32_t scale);
void money_set_price(mpq_t out, const struct price *price);
void money_set_ratio(mpq_t out, int64_t numerator, int64_t denominator);

/* The largest multiple of 10^-places at or below `number`. */
void money_floor(mpq_t out, const mpq_t number, uint32_t places);

/* Rounded to `places` digits; half_up is away from zero, half_even to the even digit. */
void money_round(mpq_t out, const mpq_t number, uint32_t places, enum rounding_mode mode);

/* A multiple of 10^-places with exactly that many digits after the point. */
VT_MUST_CHECK vt_err money_point(struct arena *arena, const mpq_t number, uint32_t places,
                                 struct vt_str *out_text);

/* The shortest exact text; where the number does not terminate, of its value rounded half to even
 * to MONEY_SHOWN_DIGITS digits. */
VT_MUST_CHECK vt_err money_show(struct arena *arena, const mpq_t number, struct vt_str *out_text);

/* `total` (a multiple of 10^-places) shared by weights (none negative, one at least positive) in
 * multiples of 10^-places: largest remainder first, of equal ones the first. Writes `count`
 * numbers. */
VT_MUST_CHECK vt_err money_share_out(const mpq_t total, uint32_t places, uint32_t count,
                                     const vt_i128 *weights, mpq_t *out_parts);

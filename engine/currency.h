/*
 * currency.h - the minor units of ISO 4217: how many digits an amount of a currency has after its
 * point.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "venturi/bytes.h"

/* False where the code is none of ISO 4217 or has no minor unit (gold, the test code, ...). Codes
 * that were withdrawn since 2022 are still known: a plan of that time may be rated again. */
bool currency_minor_digits(struct vt_str code, uint32_t *out_digits);

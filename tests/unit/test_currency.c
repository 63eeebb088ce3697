/*
 * Goal:   amounts are rounded to the minor unit of ISO 4217.
 * Method: the oracle's sample whole, codes with 0, 3 and 4 digits, and what is no code of a
 *         currency.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "currency.h"
#include "venturi/assert.h"

#define NONE UINT32_MAX

static const struct {
    const char *code;
    uint32_t digits;
} cases[] = {
    /* clang-format off */
    { "USD", 2 }, { "EUR", 2 }, { "GBP", 2 }, { "CHF", 2 }, { "CAD", 2 }, { "AUD", 2 },
    { "INR", 2 }, { "BRL", 2 }, { "SEK", 2 }, { "JPY", 0 }, { "KRW", 0 }, { "CLP", 0 },
    { "KWD", 3 }, { "BHD", 3 }, { "TND", 3 }, { "CZK", 2 }, { "HUF", 2 }, { "ISK", 0 },
    { "UGX", 0 }, { "XPF", 0 }, { "OMR", 3 }, { "CLF", 4 }, { "UYW", 4 }, { "UYI", 0 },
    { "AED", 2 }, { "ZWL", 2 }, { "MGA", 2 }, { "XCG", 2 }, { "XAU", NONE }, { "XBA", NONE },
    { "XTS", NONE }, { "usd", NONE }, { "", NONE }, { "US", NONE }, { "USDX", NONE },
    { "SDE", NONE }, { "D A", NONE }, { " EU", NONE }, { "DEM", NONE },
    /* clang-format on */
};

Test(currency, has_the_digits_of_its_minor_unit, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(cases); i++) {
        uint32_t digits = NONE;
        bool known = currency_minor_digits(
            (struct vt_str){cases[i].code, (uint32_t)strlen(cases[i].code)}, &digits);

        cr_expect_eq(known, cases[i].digits != NONE, "'%s'", cases[i].code);
        cr_expect_eq(digits, cases[i].digits, "'%s': %u", cases[i].code, digits);
    }
}

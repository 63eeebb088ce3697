/* currency.c - see currency.h. ISO 4217, list one, as amended in 2025. */
#include "currency.h"

#include <string.h>

#include "venturi/assert.h"

#define CODE_BYTES  3
#define CODE_STRIDE 4 /* with the blank after it */

/* By digits after the point. */
static const struct {
    uint32_t digits;
    const char *codes;
} currency_table[] = {
    /* clang-format off */
    { 0,
      "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF "
      "XPF " },
    { 2,
      "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND "
      "BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU "
      "CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
      "GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES "
      "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT "
      "MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB "
      "PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
      "SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD "
      "TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
      "ZWL " },
    { 3,
      "BHD IQD JOD KWD LYD OMR TND " },
    { 4,
      "CLF UYW " },
    /* clang-format on */
};

bool
currency_minor_digits(struct vt_str code, uint32_t *out_digits)
{
    if (code.size != CODE_BYTES)
        return false;
    for (size_t i = 0; i < VT_COUNT(currency_table); i++) {
        for (const char *at = currency_table[i].codes; *at != '\0'; at += CODE_STRIDE) {
            VT_ASSERT(at[CODE_BYTES] == ' ');
            if (memcmp(at, code.data, CODE_BYTES) == 0) {
                *out_digits = currency_table[i].digits;
                return true;
            }
        }
    }
    return false;
}

/*
 * Goal:   exactly the byte strings that Unicode calls well-formed pass.
 * Method: a table of each kind of fault at each edge; then every string of up to three bytes and a
 *         sample of four, against a model that decodes code points and encodes them again.
 */
#include "venturi/utf8.h"

#include <criterion/criterion.h>

#include "venturi/assert.h"

static const struct utf8_case {
    const char *name;
    const char *text;
    uint32_t size;
    bool want;
} utf8_cases[] = {
    /* clang-format off */
    { "empty",                       "", 0, true },
    { "ASCII",                       "meter", 5, true },
    { "a zero byte",                 "a\0b", 3, true },
    { "ASCII over many words",       "0123456789abcdefghijklmnopqrstuv", 32, true },
    { "U+0080, the first of two",    "\xC2\x80", 2, true },
    { "U+07FF, the last of two",     "\xDF\xBF", 2, true },
    { "U+0800, the first of three",  "\xE0\xA0\x80", 3, true },
    { "U+D7FF, below surrogates",    "\xED\x9F\xBF", 3, true },
    { "U+E000, above surrogates",    "\xEE\x80\x80", 3, true },
    { "U+10000, the first of four",  "\xF0\x90\x80\x80", 4, true },
    { "U+10FFFF, the last",          "\xF4\x8F\xBF\xBF", 4, true },
    { "mixed, behind a full word",   "01234567\xC3\xA4" "0123456\xE2\x82\xAC", 20, true },
    { "overlong slash, two",         "\xC0\xAF", 2, false },
    { "overlong slash, three",       "\xE0\x80\xAF", 3, false },
    { "overlong, last of three",     "\xE0\x9F\xBF", 3, false },
    { "overlong, last of four",      "\xF0\x8F\xBF\xBF", 4, false },
    { "C1 lead",                     "\xC1\xBF", 2, false },
    { "first surrogate",             "\xED\xA0\x80", 3, false },
    { "last surrogate",              "\xED\xBF\xBF", 3, false },
    { "U+110000",                    "\xF4\x90\x80\x80", 4, false },
    { "F5 lead",                     "\xF5\x80\x80\x80", 4, false },
    { "FF",                          "\xFF", 1, false },
    { "lone continuation",           "\x80", 1, false },
    { "two cut short",               "\xC2", 1, false },
    { "three cut short",             "\xE2\x82", 2, false },
    { "four cut short",              "\xF0\x90\x80", 3, false },
    { "cut short behind a word",     "01234567\xE2\x82", 10, false },
    { "second byte is ASCII",        "\xC2z", 2, false },
    { "third byte is ASCII",         "\xE2\x82z", 3, false },
    { "fourth byte is a lead",       "\xF0\x90\x80\xC2", 4, false },
    /* clang-format on */
};

Test(utf8, table_of_edges, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(utf8_cases); i++) {
        const struct utf8_case *c = &utf8_cases[i];
        struct vt_bytes bytes = {(const uint8_t *)c->text, c->size};

        cr_expect(vt_utf8_valid(bytes) == c->want, "%s", c->name);
    }
}

/* The model: counts leading ones, collects the bits, and asks whether the code point's shortest
 * form has this length. */
static bool
model_valid(const uint8_t *at, uint32_t size)
{
    static const uint32_t first_of[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t i = 0;

    while (i < size) {
        uint32_t length = at[i] < 0x80 ? 1 : at[i] >> 5 == 6 ? 2 : at[i] >> 4 == 14 ? 3 : 4;
        uint32_t point = at[i];

        if (length == 1) {
            i++;
            continue;
        }
        if ((length == 4 && at[i] >> 3 != 30) || size - i < length)
            return false;
        point &= (UINT32_C(1) << (7 - length)) - 1;
        for (uint32_t k = 1; k < length; k++) {
            if (at[i + k] >> 6 != 2)
                return false;
            point = point << 6 | (at[i + k] & 63);
        }
        if (point < first_of[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
            return false;
        i += length;
    }
    return true;
}

static bool
equals_model(uint32_t pattern, uint32_t size)
{
    const uint8_t bytes[4] = {(uint8_t)(pattern >> 24), (uint8_t)(pattern >> 16),
                              (uint8_t)(pattern >> 8), (uint8_t)pattern};

    return vt_utf8_valid((struct vt_bytes){bytes, size}) == model_valid(bytes, size);
}

Test(utf8, equals_the_model_on_all_short_strings, .timeout = 60)
{
    for (uint32_t x = 0; x < UINT32_C(1) << 8; x++)
        cr_assert(equals_model(x << 24, 1), "%08x of 1", x);
    for (uint32_t x = 0; x < UINT32_C(1) << 16; x++)
        cr_assert(equals_model(x << 16, 2), "%08x of 2", x);
    for (uint32_t x = 0; x < UINT32_C(1) << 24; x++)
        cr_assert(equals_model(x << 8, 3), "%08x of 3", x);
    /* Of four bytes, all leads and second bytes with the edges of the last two. */
    for (uint32_t x = 0; x < UINT32_C(1) << 16; x++) {
        static const uint16_t tails[] = {0x8080, 0xBFBF, 0x7F80, 0x807F, 0xC080, 0x80C0, 0x4141};

        for (size_t i = 0; i < VT_COUNT(tails); i++)
            cr_assert(equals_model(x << 16 | tails[i], 4), "%08x of 4", x);
    }
}

#include "venturi/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the sequence at `at`, or 0 where none of the forms of table 3-7 stands there. A lead
 * byte decides the length and, for four of them, a narrower range of the second byte: that alone
 * keeps out overlong forms (E0, F0), surrogates (ED) and what is above U+10FFFF (F4). */
static uint64_t
sequence_size(const uint8_t *at, uint64_t left)
{
    uint8_t lead = at[0];
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    uint64_t size;

    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead < 0xE0)
        size = 2;
    else if (lead < 0xF0)
        size = 3;
    else
        size = 4;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (size > left || at[1] < low || at[1] > high)
        return 0;
    for (uint64_t i = 2; i < size; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

bool
vt_utf8_valid(struct vt_bytes bytes)
{
    uint64_t i = 0;

    while (i < bytes.size) {
        /* Names and ids are almost always ASCII: eight bytes at a step. */
        if (bytes.size - i >= 8 && (vt_load64(bytes.data + i) & HIGH_BITS) == 0) {
            i += 8;
            continue;
        }
        if (bytes.data[i] < 0x80) {
            i++;
            continue;
        }
        uint64_t size = sequence_size(bytes.data + i, bytes.size - i);

        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

/*
 * Goal:   each fault of a frame header is refused, for the right reason.
 * Method: flip bits at one place of a good header; repair the checksum where the check behind it is
 *         the one under test; compare the verdict. Then every bit of it without repair.
 */
#include "venturi/wire.h"

#include <criterion/criterion.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

static const struct header_case {
    const char *name;
    size_t at;
    uint8_t flip;
    bool repair_crc;
    vt_err want;
} header_cases[] = {
    /* clang-format off */
    { "undamaged",              0, 0x00, false, VT_OK },
    { "magic",                  0, 0x01, true,  VT_BAD_MAGIC },
    { "version, torn",          4, 0x02, false, VT_BAD_CRC },
    { "version 3",              4, 0x02, true,  VT_BAD_VERSION },
    { "version 0",              4, 0x01, true,  VT_BAD_VERSION },
    { "type 0",                 5, 0x03, true,  VT_BAD_TYPE },
    { "type 11",                5, 0x08, true,  VT_BAD_TYPE },
    { "flags",                  6, 0x01, true,  VT_BAD_RESERVED },
    { "flags, last bit",        7, 0x80, true,  VT_BAD_RESERVED },
    { "length over the limit", 10, 0x10, true,  VT_TOO_LARGE },
    { "another payload_crc",   12, 0x10, true,  VT_OK },
    { "another sequence",      23, 0x80, true,  VT_OK },
    { "no event",              24, 0x05, true,  VT_BAD_LENGTH },
    { "too many events",       26, 0x01, true,  VT_BAD_LENGTH },
    { "events of a ping",       5, 0x04, true,  VT_BAD_RESERVED },
    { "header_crc",            31, 0x01, false, VT_BAD_CRC },
    /* clang-format on */
};

static struct vt_frame_header
header_good(void)
{
    struct vt_frame_header header;
    struct vt_bytes payload = {(const uint8_t *)"payload", 7};

    vt_frame_header_init(&header, VT_FRAME_BATCH_COLUMNS, 99, 5, payload);
    return header;
}

Test(wire, check_names_each_fault, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(header_cases); i++) {
        const struct header_case *c = &header_cases[i];
        struct vt_frame_header header = header_good();

        ((uint8_t *)&header)[c->at] ^= c->flip;
        if (c->repair_crc)
            header.header_crc =
                le32_put(vt_crc32c(&header, offsetof(struct vt_frame_header, header_crc)));
        vt_err got = vt_frame_header_check(&header, VT_FRAME_BYTES_MAX);
        cr_expect(got == c->want, "%s: want %s, got %s", c->name, vt_err_name(c->want),
                  vt_err_name(got));
    }
}

Test(wire, no_bit_of_a_header_flips_unseen, .timeout = 5)
{
    for (size_t bit = 0; bit < sizeof(struct vt_frame_header) * 8; bit++) {
        struct vt_frame_header header = header_good();

        ((uint8_t *)&header)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_expect(vt_frame_header_check(&header, UINT32_MAX) != VT_OK, "bit %zu", bit);
    }
}

Test(wire, a_header_holds_what_it_was_given, .timeout = 5)
{
    struct vt_frame_header header = header_good();

    cr_expect(memcmp(&header, "VTF1\1\3", 6) == 0);
    cr_expect(le32_get(header.length) == 7);
    cr_expect(le32_get(header.payload_crc) == vt_crc32c("payload", 7));
    cr_expect(le64_get(header.sequence) == 99);
    cr_expect(le32_get(header.event_count) == 5);
    cr_expect(vt_frame_header_check(&header, 7) == VT_OK);
    cr_expect(vt_frame_header_check(&header, 6) == VT_TOO_LARGE);
}

Test(wire, reasons_have_names, .timeout = 5)
{
    cr_expect_str_eq(vt_reason_name(VT_REASON_NONE), "none");
    cr_expect_str_eq(vt_reason_name(VT_REASON_FUTURE_EVENT), "future_event");
    cr_expect_str_eq(vt_reason_name(VT_REASON_COUNT), "unknown");
    cr_expect_str_eq(vt_reason_name(255), "unknown");
}

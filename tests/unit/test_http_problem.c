/*
 * Goal:   every error has a status and a problem object of RFC 9457 that names it.
 * Method: all numbers of the table of errors; the text of one problem, byte for byte; details that
 *         a message might hold.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "http_problem.h"
#include "venturi/assert.h"
#include "venturi/utf8.h"

static const vt_err all_errors[] = {
#define ERR_NUMBER(name, code, retry, text) name,
    VT_ERR_TABLE(ERR_NUMBER)
#undef ERR_NUMBER
};

Test(http_problem, every_error_has_a_status, .timeout = 5)
{
    cr_expect(http_status(VT_OK) == 200);
    for (size_t i = 0; i < VT_COUNT(all_errors); i++) {
        uint32_t status = http_status(all_errors[i]);

        if (all_errors[i] == VT_OK)
            continue;
        cr_expect(status >= 400 && status < 600, "%s: %u", vt_err_name(all_errors[i]), status);
        /* What may succeed later is no fault of the request. */
        if (vt_err_may_retry(all_errors[i]))
            cr_expect(status >= 500 || status == 408, "%s: %u", vt_err_name(all_errors[i]), status);
    }
    cr_expect(http_status(VT_DAMAGED) == 500);
    cr_expect(http_status(VT_DEDUP_FULL) == 503);
    cr_expect(http_status(VT_BAD_TOKEN) == 401);
}

Test(http_problem, text, .timeout = 5)
{
    static const char want[] =
        "{\"type\":\"urn:venturi:problem:bad-cursor\",\"title\":\"the cursor "
        "is not one of this store's\",\"status\":400,\"code\":"
        "\"VT_BAD_CURSOR\",\"retry\":false,\"detail\":\"a \\\"b\\\"\"}\n";
    const struct http_problem problem = {.err = VT_BAD_CURSOR, .detail = "a \"b\""};
    struct json_out out;

    json_out_init(&out);
    http_problem_put(&out, &problem);
    cr_expect(out.err == VT_OK);
    cr_expect(out.size == sizeof want - 1 && memcmp(out.data, want, out.size) == 0, "%.*s",
              (int)out.size, out.data);
    json_out_deinit(&out);
}

Test(http_problem, a_cut_character_is_left_away, .timeout = 5)
{
    static const char *const details[] = {"", "\xc3", "a\xc3", "a\xe2\x82", "\xc3\xa9\xf0\x9f\x98"};

    for (size_t i = 0; i < VT_COUNT(details); i++) {
        const struct http_problem problem = {
            .err = VT_INVALID, .status = 405, .detail = details[i]};
        struct json_out out;

        json_out_init(&out);
        http_problem_put(&out, &problem);
        cr_expect(vt_utf8_valid((struct vt_bytes){(const uint8_t *)out.data, out.size}));
        cr_expect(memmem(out.data, out.size, "\"status\":405", 12) != NULL);
        json_out_deinit(&out);
    }
}

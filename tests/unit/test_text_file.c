/*
 * Goal:   a file comes into memory as it is, up to its limit, and what cannot be read is named.
 * Method: files of sizes around the limits and the steps of growth; a table of what is no file.
 */
#include "storage/base/text_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "venturi/assert.h"

static char dir[64];

static void
enter(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/venturi_text_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
}

static void
leave(void)
{
    (void)unlink("file");
    cr_assert_eq(rmdir(dir), 0);
}

TestSuite(text_file, .init = enter, .fini = leave, .timeout = 10);

static char
letter(uint32_t at)
{
    return (char)('a' + at % 7 + at / 4096 % 7);
}

static void
write_file(uint32_t size)
{
    FILE *file = fopen("file", "wb");

    cr_assert_not_null(file);
    for (uint32_t i = 0; i < size; i++)
        cr_assert_neq(fputc(letter(i), file), EOF);
    cr_assert_eq(fclose(file), 0);
}

static const struct size_case {
    const char *name;
    uint32_t size;
    uint32_t most;
    vt_err want;
} size_cases[] = {
    /* clang-format off */
    { "empty",                    0,       10,      VT_OK },
    { "empty, nothing allowed",   0,       0,       VT_OK },
    { "one, nothing allowed",     1,       0,       VT_TOO_LARGE },
    { "as large as allowed",      10,      10,      VT_OK },
    { "one more than allowed",    11,      10,      VT_TOO_LARGE },
    { "a step of growth",         65536,   1000000, VT_OK },
    { "beyond a step",            65537,   1000000, VT_OK },
    { "several steps",            300000,  1000000, VT_OK },
    { "the limit after steps",    200000,  200000,  VT_OK },
    { "above it after steps",     200001,  200000,  VT_TOO_LARGE },
    /* clang-format on */
};

Test(text_file, is_read_whole_or_not_at_all)
{
    for (size_t i = 0; i < VT_COUNT(size_cases); i++) {
        const struct size_case *c = &size_cases[i];
        char *text = NULL;
        uint32_t size = 77;

        write_file(c->size);
        vt_err err = text_file_read("file", c->most, &text, &size);

        cr_expect_eq(err, c->want, "%s: %s", c->name, vt_err_name(err));
        cr_expect_eq(size, err == VT_OK ? c->size : 77, "%s: %u bytes", c->name, size);
        for (uint32_t at = 0; err == VT_OK && at < size; at++)
            cr_assert_eq(text[at], letter(at), "%s: byte %u", c->name, at);
        cr_expect(err != VT_OK || text[size] == '\0', "%s: its end", c->name);
        cr_expect(err == VT_OK || text == NULL, "%s: an output is untouched", c->name);
        cr_expect(err == VT_OK || strstr(vt_err_last(), "file: ") == vt_err_last(), "%s: %s",
                  c->name, vt_err_last());
        vt_err_clear();
        free(text);
    }
}

Test(text_file, what_is_no_file_is_named)
{
    static const struct {
        const char *path;
        vt_err want;
        const char *why;
    } cases[] = {
        {"missing", VT_NOT_FOUND, "missing: No such file or directory"},
        {"missing/below", VT_NOT_FOUND, "missing/below: No such file or directory"},
        {".", VT_IO, ".: Is a directory"},
    };

    for (size_t i = 0; i < VT_COUNT(cases); i++) {
        char *text = NULL;
        uint32_t size = 0;

        vt_err_clear();
        cr_expect_eq(text_file_read(cases[i].path, 10, &text, &size), cases[i].want, "%s",
                     cases[i].path);
        cr_expect_str_eq(vt_err_last(), cases[i].why);
    }
}

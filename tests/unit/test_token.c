/*
 * Goal:   a token is accepted for what its line grants and for nothing else; the file is private.
 * Method: a directory of its own; the first start's files, then hand-written ones, a table of lines
 *         and of spoilt tokens.
 */
#include "token.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

#define SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static char dir[64];

static void
dir_make(void)
{
    snprintf(dir, sizeof dir, "/tmp/venturi_token_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static const char *
in_dir(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void
dir_remove(void)
{
    unlink(in_dir("tokens"));
    unlink(in_dir("admin.token"));
    cr_expect(rmdir(dir) == 0, "nothing else was left in %s", dir);
}

static void
file_put(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(in_dir(name), "w");

    cr_assert_not_null(file);
    cr_assert(fputs(text, file) >= 0 && fclose(file) == 0);
    cr_assert(chmod(in_dir(name), mode) == 0);
}

/* A line for SECRET. */
static void
line_make(char line[256], const char *id, const char *scopes, const char *tenant)
{
    uint8_t digest[32];
    char hex[65];

    vt_sha256(SECRET, strlen(SECRET), digest);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(line, 256, "%s %s %s %s\n", id, hex, scopes, tenant);
}

static vt_err
check(const struct tokens *tokens, const char *text, uint32_t scopes, struct token_grant *grant)
{
    return tokens_check(tokens, (struct vt_str){text, (uint32_t)strlen(text)}, scopes, grant);
}

static mode_t
mode_of(const char *name)
{
    struct stat status;

    cr_assert(stat(in_dir(name), &status) == 0);
    return status.st_mode & 0777;
}

Test(token, first_start_makes_an_admin_token_that_holds, .timeout = 5, .init = dir_make,
     .fini = dir_remove)
{
    struct tokens *tokens = NULL;
    struct token_grant grant;
    char text[TOKEN_TEXT_BYTES];

    umask(0);
    cr_assert(tokens_open(dir, &tokens) == VT_OK, "%s", vt_err_last());
    FILE *file = fopen(in_dir("admin.token"), "r");

    cr_assert(file != NULL && fgets(text, sizeof text, file) != NULL && fclose(file) == 0);
    text[strcspn(text, "\n")] = '\0';
    cr_expect(mode_of("admin.token") == 0600 && mode_of("tokens") == 0600);
    cr_expect(check(tokens, text, SCOPE_INGEST | SCOPE_READ | SCOPE_ADMIN, &grant) == VT_OK);
    cr_expect(grant.tenant.size == 0);
    tokens_close(tokens);
    cr_assert(tokens_open(dir, &tokens) == VT_OK, "the second start reads what the first made");
    cr_expect(check(tokens, text, SCOPE_ADMIN, &grant) == VT_OK);
    for (size_t i = 0; i < strlen(text); i++) {
        char spoilt[TOKEN_TEXT_BYTES];

        memcpy(spoilt, text, sizeof spoilt);
        spoilt[i] = spoilt[i] == '0' ? '1' : '0';
        cr_expect(check(tokens, spoilt, SCOPE_READ, &grant) == VT_BAD_TOKEN, "digit %zu", i);
        memcpy(spoilt, text, sizeof spoilt);
        spoilt[i] = '\0';
        cr_expect(check(tokens, spoilt, SCOPE_READ, &grant) == VT_BAD_TOKEN, "cut at %zu", i);
    }
    tokens_close(tokens);
}

static const struct line_case {
    const char *name;
    const char *id;
    const char *scopes;
    const char *tenant;
    vt_err want;
} line_cases[] = {
    /* clang-format off */
    { "good",                "00000000000000a1", "ingest",       "-",      VT_OK },
    { "several scopes",      "00000000000000a1", "ingest,read",  "-",      VT_OK },
    { "a tenant with space", "00000000000000a1", "read",         "acme 2", VT_OK },
    { "upper case id",       "00000000000000A1", "ingest",       "-",      VT_BAD_FORMAT },
    { "short id",            "0000000000000a1",  "ingest",       "-",      VT_BAD_FORMAT },
    { "no such scope",       "00000000000000a1", "write",        "-",      VT_BAD_FORMAT },
    { "empty scope",         "00000000000000a1", "ingest,",      "-",      VT_BAD_FORMAT },
    { "no tenant",           "00000000000000a1", "ingest",       "",       VT_BAD_FORMAT },
    { "tenant is no UTF-8",  "00000000000000a1", "ingest",       "\xff",   VT_BAD_FORMAT },
    /* clang-format on */
};

Test(token, each_line_is_taken_or_refused_with_its_number, .timeout = 5, .init = dir_make,
     .fini = dir_remove)
{
    for (size_t i = 0; i < VT_COUNT(line_cases); i++) {
        const struct line_case *c = &line_cases[i];
        struct tokens *tokens = NULL;
        char line[256];
        char text[512];

        line_make(line, c->id, c->scopes, c->tenant);
        snprintf(text, sizeof text, "# made by hand\n\n%s", line);
        file_put("tokens", text, 0600);
        vt_err_clear();
        vt_err err = tokens_open(dir, &tokens);

        cr_expect(err == c->want, "%s: want %s, got %s", c->name, vt_err_name(c->want),
                  vt_err_name(err));
        cr_expect(err == VT_OK || strstr(vt_err_last(), "line 3") != NULL, "%s: %s", c->name,
                  vt_err_last());
        if (err == VT_OK)
            tokens_close(tokens);
    }
}

Test(token, an_id_given_twice_is_refused, .timeout = 5, .init = dir_make, .fini = dir_remove)
{
    struct tokens *tokens = NULL;
    char line[256];
    char text[512];

    line_make(line, "00000000000000a1", "ingest", "-");
    snprintf(text, sizeof text, "%s%s", line, line);
    file_put("tokens", text, 0600);
    cr_expect(tokens_open(dir, &tokens) == VT_BAD_FORMAT);
}

Test(token, a_file_that_others_may_read_is_refused, .timeout = 5, .init = dir_make,
     .fini = dir_remove)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0601, 0666};

    for (size_t i = 0; i < VT_COUNT(modes); i++) {
        struct tokens *tokens = NULL;
        char line[256];

        line_make(line, "00000000000000a1", "ingest", "-");
        file_put("tokens", line, modes[i]);
        cr_expect(tokens_open(dir, &tokens) == VT_FORBIDDEN, "mode %o", (unsigned)modes[i]);
    }
}

Test(token, scopes_and_tenant_are_the_lines, .timeout = 5, .init = dir_make, .fini = dir_remove)
{
    struct tokens *tokens = NULL;
    struct token_grant grant = {.id = 0};
    char one[256];
    char two[256];
    char text[512];

    line_make(one, "00000000000000a1", "ingest", "acme");
    line_make(two, "00000000000000a2", "read", "-");
    snprintf(text, sizeof text, "%s%s", one, two);
    file_put("tokens", text, 0600);
    cr_assert(tokens_open(dir, &tokens) == VT_OK, "%s", vt_err_last());
    cr_expect(check(tokens, "vt_00000000000000a1_" SECRET, SCOPE_INGEST, &grant) == VT_OK);
    cr_expect(grant.id == 0xa1 && vt_str_equal(grant.tenant, VT_STR("acme")));
    cr_expect(check(tokens, "vt_00000000000000a1_" SECRET, SCOPE_READ, &grant) == VT_FORBIDDEN);
    cr_expect(check(tokens, "vt_00000000000000a2_" SECRET, SCOPE_READ, &grant) == VT_OK);
    cr_expect(grant.id == 0xa2 && grant.tenant.size == 0);
    cr_expect(check(tokens, "vt_00000000000000a2_" SECRET, SCOPE_ADMIN, &grant) == VT_FORBIDDEN);
    cr_expect(check(tokens, "vt_00000000000000a3_" SECRET, SCOPE_READ, &grant) == VT_BAD_TOKEN);
    tokens_close(tokens);
}

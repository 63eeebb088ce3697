/* options.c - see options.h. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/text_file.h"
#include "venturi/assert.h"

#define CODE_HELP    1000
#define CODE_VERSION 1001
#define CODE_FIRST   2000

int
options_misused(const char *name, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(stderr, "%s: ", name);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "; see %s --help\n", name);
    return EXIT_USAGE;
}

int
options_failed(const char *name, const char *what, vt_err err)
{
    const char *why = vt_err_last()[0] != '\0' ? vt_err_last() : vt_err_text(err);

    if (what == NULL)
        (void)fprintf(stderr, "%s: %s (%s)\n", name, why, vt_err_name(err));
    else
        (void)fprintf(stderr, "%s: %s: %s (%s)\n", name, what, why, vt_err_name(err));
    return EXIT_FAILED;
}

static int
print_text(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return EXIT_FAILED;
    return EXIT_DONE;
}

/* Digits only, which strtoull alone does not ask for; then perhaps a unit. */
static bool
number_read(const char *text, bool bytes, uint64_t *out_number)
{
    char *end = NULL;
    uint32_t shift = 0;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);

    if (errno != 0)
        return false;
    if (bytes && *end != '\0') {
        shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
        end += shift != 0;
    }
    *out_number = (uint64_t)number << shift;
    return *end == '\0' && *out_number >> shift == number;
}

/* False with a message. */
static bool
option_set(const char *program, const struct option_spec *spec, const char *text)
{
    uint64_t number = 0;

    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)spec->target = true;
        return true;
    case OPTION_TEXT:
        *(const char **)spec->target = text;
        return true;
    case OPTION_LIST: {
        struct option_list *list = spec->target;

        if (list->count == OPTION_LIST_MAX) {
            (void)options_misused(program, "--%s is given more than %d times", spec->name,
                                  OPTION_LIST_MAX);
            return false;
        }
        list->item[list->count++] = text;
        return true;
    }
    case OPTION_NUMBER:
    case OPTION_BYTES:
        break;
    }
    if (!number_read(text, spec->kind == OPTION_BYTES, &number)) {
        (void)options_misused(program, "--%s %s: not a number", spec->name, text);
        return false;
    }
    if (spec->most != 0 && (number < spec->least || number > spec->most)) {
        (void)options_misused(program, "--%s %s: not from %llu to %llu", spec->name, text,
                              (unsigned long long)spec->least, (unsigned long long)spec->most);
        return false;
    }
    *(uint64_t *)spec->target = number;
    return true;
}

int
options_read(int argc, char **argv, const char *help, const struct option_spec *specs,
             int *out_first)
{
    struct option options[OPTIONS_MAX + 3] = {
        {"help", no_argument, NULL, CODE_HELP},
        {"version", no_argument, NULL, CODE_VERSION},
    };
    int code;

    for (uint32_t i = 0; specs[i].name != NULL; i++) {
        VT_ASSERT(i < OPTIONS_MAX);
        options[i + 2] = (struct option){
            .name = specs[i].name,
            .has_arg = specs[i].kind == OPTION_FLAG ? no_argument : required_argument,
            .val = CODE_FIRST + (int)i,
        };
    }
    optind = 0; /* a subcommand reads its own arguments anew */
    /* One thread so far, hence getopt's static state is safe. */
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (code == CODE_HELP)
            return print_text(help);
        if (code == CODE_VERSION)
            return print_text("venturi " VENTURI_VERSION "\n");
        if (code < CODE_FIRST) { /* getopt has said what is wrong */
            (void)fprintf(stderr, "see %s --help\n", argv[0]);
            return EXIT_USAGE;
        }
        if (!option_set(argv[0], &specs[code - CODE_FIRST], optarg))
            return EXIT_USAGE;
    }
    *out_first = optind;
    return OPTIONS_GO;
}

static vt_err
token_copy(const char *from, const char *where, char out_token[TOKEN_LINE_BYTES])
{
    size_t start = strspn(from, " \t\r\n");
    size_t size = strcspn(from + start, " \t\r\n");

    if (size == 0 || size >= TOKEN_LINE_BYTES ||
        from[start + size + strspn(from + start + size, " \t\r\n")] != '\0')
        return vt_err_detail(VT_BAD_TOKEN, "%s: there is no token in it", where);
    memcpy(out_token, from + start, size);
    out_token[size] = '\0';
    return VT_OK;
}

vt_err
token_load(const char *path, char out_token[TOKEN_LINE_BYTES])
{
    char *text = NULL;
    uint32_t size = 0;

    if (path == NULL) {
        const char *value = getenv("VENTURI_TOKEN"); // NOLINT(concurrency-mt-unsafe)

        if (value == NULL)
            return vt_err_detail(VT_NOT_FOUND, "no token: give --token-file, or set VENTURI_TOKEN");
        return token_copy(value, "VENTURI_TOKEN", out_token);
    }
    vt_err err = text_file_read(path, 2 * TOKEN_LINE_BYTES, &text, &size);

    if (err == VT_OK)
        err = token_copy(text, path, out_token);
    free(text);
    return err;
}

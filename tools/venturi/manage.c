/* manage.c - the subcommands that change: catalog apply, diff and show; exceptions list, retry and
 * discard. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_tree.h>

#include "ask.h"
#include "commands.h"
#include "storage/base/text_file.h"
#include "venturi/assert.h"

#define FILE_BYTES_MAX (8u << 20) /* what the daemon takes */
#define PAGE_LIMIT     "10000"

static vt_err
text_read(const char *path, char **out_text, uint32_t *out_size)
{
    return strcmp(path, "-") == 0
               ? text_stream_read(stdin, "standard input", FILE_BYTES_MAX, out_text, out_size)
               : text_file_read(path, FILE_BYTES_MAX, out_text, out_size);
}

/* The members of a kept answer: `key` as a flag, as a number; false and 0 where it has none. */
static bool
flag_of(const struct remote_answer *answer, const char *key)
{
    const char *path[] = {key, NULL};
    yajl_val tree = answer->text == NULL ? NULL : yajl_tree_parse(answer->text, NULL, 0);
    yajl_val value = tree == NULL ? NULL : yajl_tree_get(tree, path, yajl_t_true);
    bool is_true = YAJL_IS_TRUE(value);

    yajl_tree_free(tree);
    return is_true;
}

static long long
number_of(const struct remote_answer *answer, const char *key)
{
    const char *path[] = {key, NULL};
    yajl_val tree = answer->text == NULL ? NULL : yajl_tree_parse(answer->text, NULL, 0);
    yajl_val value = tree == NULL ? NULL : yajl_tree_get(tree, path, yajl_t_number);
    long long number = YAJL_IS_INTEGER(value) ? YAJL_GET_INTEGER(value) : 0;

    yajl_tree_free(tree);
    return number;
}

static vt_err
print_kept(const struct remote_answer *answer)
{
    bool bad =
        fputs(answer->text == NULL ? "" : answer->text, stdout) == EOF || fflush(stdout) != 0;

    return bad ? vt_err_detail(VT_IO, "standard output takes no more") : VT_OK;
}

/* ---- catalog */

static const char catalog_help[] =
    "venturi catalog - put a catalog in force, see what it would add, or show the one in force\n"
    "\n"
    "example: venturi catalog diff --from http://127.0.0.1:8080 catalog.json\n"
    "         venturi catalog apply --from http://127.0.0.1:8080 catalog.json\n"
    "         venturi catalog show --from http://127.0.0.1:8080\n"
    "\n"
    "usage: venturi catalog apply|diff --from URL [options] FILE|-\n"
    "       venturi catalog show --from URL [options]\n"
    "\n"
    "A catalog only ever grows: one that changes or leaves away what is in force is refused.\n"
    "\n" ASK_HELP "\n"
    "exit status: 0 done, 1 failed, 2 usage, 4 (diff) it is not the one in force\n";

static int
catalog_file(const struct ask *ask, const char *name, const char *path, bool diff)
{
    char *text = NULL;
    uint32_t size = 0;
    struct remote_answer answer = {.bytes = 0};
    vt_err err = text_read(path, &text, &size);

    if (err == VT_OK) {
        const struct remote_request request = {
            .path = diff ? "/v1/catalog/diff" : "/v1/catalog",
            .post = true,
            .body = {(const uint8_t *)text, size},
            .keep = true,
        };

        err = remote_do(ask->remote, &request, &answer);
        if (err == VT_BAD_CATALOG || err == VT_NOT_EXTENSION || err == VT_TOO_LARGE)
            err = text_file_blame(path, err);
    }
    free(text);
    if (err == VT_OK)
        err = print_kept(&answer);
    if (err != VT_OK)
        return options_failed(name, NULL, err);
    return diff && !flag_of(&answer, "equal") ? EXIT_DIFFERENT : EXIT_DONE;
}

int
command_catalog(int argc, char **argv)
{
    struct ask ask = {.from = NULL};
    const struct option_spec specs[] = {ASK_SPEC_FROM(&ask), ASK_SPEC_TOKEN(&ask), {.name = NULL}};
    const char *verb = argc > 1 ? argv[1] : "";
    bool show = strcmp(verb, "show") == 0;
    bool diff = strcmp(verb, "diff") == 0;
    const struct remote_request request = {.path = "/v1/catalog"};
    const struct ask_command command = {catalog_help, specs, show ? 0 : 1};
    int first = 0;

    if (strcmp(verb, "--help") != 0 && strcmp(verb, "--version") != 0) {
        if (!show && !diff && strcmp(verb, "apply") != 0)
            return options_misused(argv[0], "apply, diff or show must follow");
        argv[1] = argv[0];
        argc--;
        argv++;
    }
    int status = ask_open(&ask, argc, argv, &command, &first);

    if (status == OPTIONS_GO)
        status =
            show ? ask_do(&ask, argv[0], &request) : catalog_file(&ask, argv[0], argv[first], diff);
    ask_close(&ask);
    return status;
}

/* ---- exceptions */

static const char exceptions_help[] =
    "venturi exceptions - events that were not accepted, and conflicts\n"
    "\n"
    "example: venturi exceptions list --from http://127.0.0.1:8080 --reason unknown_tenant\n"
    "         venturi exceptions retry --from http://127.0.0.1:8080 --reason unknown_tenant\n"
    "         venturi exceptions discard --from http://127.0.0.1:8080 --position 1204\n"
    "\n"
    "usage: venturi exceptions list|retry|discard --from URL [options]\n"
    "\n"
    "list prints the open ones, oldest first. retry judges again, under the catalog in force;\n"
    "discard gives up; both by positions, or all of a tenant or a reason.\n"
    "\n" ASK_HELP "  --tenant T         only this tenant's\n"
    "  --reason R         only those with this reason, as bad_time\n"
    "  --position N       (retry, discard) this one; may be repeated\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 3 some were not settled\n";

struct exceptions {
    struct ask ask;
    const char *tenant;
    const char *reason;
    struct option_list positions;
};

static vt_err
exceptions_list(const struct exceptions *exceptions)
{
    char after[REMOTE_CURSOR_BYTES];
    struct remote_request request = {
        .path = "/v1/exceptions",
        .params = {{"after", NULL},
                   {"tenant", exceptions->tenant},
                   {"reason", exceptions->reason},
                   {"limit", PAGE_LIMIT}},
    };

    for (;;) {
        struct remote_answer answer;
        vt_err err = remote_do(exceptions->ask.remote, &request, &answer);

        if (err != VT_OK)
            return err;
        if (answer.bytes == 0 || answer.cursor[0] == '\0')
            return fflush(stdout) == 0 ? VT_OK
                                       : vt_err_detail(VT_IO, "standard output takes no more");
        memcpy(after, answer.cursor, sizeof after);
        request.params[0].value = after;
    }
}

static bool
is_number(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size <= 20 && strspn(text, "0123456789") == size;
}

/* OPTIONS_GO, or EXIT_USAGE with a message. */
static int
positions_check(const struct option_list *positions, const char *name, bool list)
{
    if (list && positions->count > 0)
        return options_misused(name, "--position goes with retry and discard only");
    for (uint32_t i = 0; i < positions->count; i++)
        if (!is_number(positions->item[i]))
            return options_misused(name, "--position %s: not a number", positions->item[i]);
    return OPTIONS_GO;
}

/* {"positions":[..]}, or nothing where there are none. */
static size_t
positions_body(const struct option_list *positions, char *body, size_t body_bytes)
{
    size_t at = 0;

    for (uint32_t i = 0; i < positions->count; i++) {
        int size = snprintf(body + at, body_bytes - at, "%s%s", i == 0 ? "{\"positions\":[" : ",",
                            positions->item[i]);

        VT_ASSERT(size > 0 && (size_t)size < body_bytes - at);
        at += (size_t)size;
    }
    if (at > 0) {
        VT_ASSERT(at + 2 < body_bytes);
        body[at++] = ']';
        body[at++] = '}';
    }
    return at;
}

static int
exceptions_settle(const struct exceptions *exceptions, const char *name, bool retry)
{
    char body[32 * (OPTION_LIST_MAX + 1)];
    size_t size = positions_body(&exceptions->positions, body, sizeof body);
    struct remote_answer answer = {.bytes = 0};
    const struct remote_request request = {
        .path = retry ? "/v1/exceptions/retry" : "/v1/exceptions/discard",
        .post = true,
        .body = {(const uint8_t *)body, size},
        .params = {{"tenant", exceptions->tenant}, {"reason", exceptions->reason}},
        .keep = true,
    };
    vt_err err = remote_do(exceptions->ask.remote, &request, &answer);

    if (err == VT_OK)
        err = print_kept(&answer);
    if (err != VT_OK)
        return options_failed(name, NULL, err);
    return number_of(&answer, "settled") < number_of(&answer, "asked") ? EXIT_REFUSED : EXIT_DONE;
}

int
command_exceptions(int argc, char **argv)
{
    struct exceptions exceptions = {.tenant = NULL};
    const struct option_spec specs[] = {
        ASK_SPEC_FROM(&exceptions.ask),
        ASK_SPEC_TOKEN(&exceptions.ask),
        {.name = "tenant", .kind = OPTION_TEXT, .target = &exceptions.tenant},
        {.name = "reason", .kind = OPTION_TEXT, .target = &exceptions.reason},
        {.name = "position", .kind = OPTION_LIST, .target = &exceptions.positions},
        {.name = NULL},
    };
    const struct ask_command command = {exceptions_help, specs, 0};
    const char *verb = argc > 1 ? argv[1] : "";
    bool list = strcmp(verb, "list") == 0;
    bool retry = strcmp(verb, "retry") == 0;
    int first = 0;

    if (strcmp(verb, "--help") != 0 && strcmp(verb, "--version") != 0) {
        if (!list && !retry && strcmp(verb, "discard") != 0)
            return options_misused(argv[0], "list, retry or discard must follow");
        argv[1] = argv[0];
        argc--;
        argv++;
    }
    int status = ask_open(&exceptions.ask, argc, argv, &command, &first);

    if (status == OPTIONS_GO)
        status = positions_check(&exceptions.positions, argv[0], list);

    if (status == OPTIONS_GO && list) {
        vt_err err = exceptions_list(&exceptions);

        status = err == VT_OK ? EXIT_DONE : options_failed(argv[0], NULL, err);
    } else if (status == OPTIONS_GO) {
        status = exceptions_settle(&exceptions, argv[0], retry);
    }
    ask_close(&exceptions.ask);
    return status;
}

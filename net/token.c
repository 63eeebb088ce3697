/* token.c - see token.h. */
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "venturi/assert.h"
#include "venturi/hash.h"
#include "venturi/utf8.h"
#include "venturi/wire.h"

#define ID_BYTES         8U
#define SECRET_BYTES     32U
#define ID_DIGITS        16U
#define SECRET_DIGITS    64U
#define TEXT_PREFIX      "vt_"
#define TEXT_PREFIX_SIZE 3U
#define TEXT_SIZE        (TEXT_PREFIX_SIZE + ID_DIGITS + 1U + SECRET_DIGITS)
#define FILE_BYTES_MAX   (UINT32_C(4) << 20)
#define PATH_BYTES_MAX   4096U
#define MODE_OTHERS      077

_Static_assert(ID_DIGITS == 2 * ID_BYTES && SECRET_DIGITS == 2 * SECRET_BYTES, "hex");
_Static_assert(TEXT_SIZE < TOKEN_TEXT_BYTES, "with its terminator");

struct token {
    uint64_t id;
    uint32_t scopes;
    uint8_t digest[32];
    struct vt_str tenant; /* in tokens->text */
};

struct tokens {
    char *text; /* the file */
    uint32_t size;
    uint32_t count;
    uint32_t capacity;
    struct token *all;
};

/* ---- hex */

static void
hex_write(const uint8_t *bytes, uint32_t count, char *out_digits)
{
    static const char digits[] = "0123456789abcdef";

    for (uint32_t i = 0; i < count; i++) {
        *out_digits++ = digits[bytes[i] >> 4];
        *out_digits++ = digits[bytes[i] & 15];
    }
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
hex_read(const char *digits, uint32_t count, uint8_t *out_bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        int high = hex_digit(*digits++);
        int low = hex_digit(*digits++);

        if (high < 0 || low < 0)
            return false;
        out_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool
id_read(const char *digits, uint64_t *out_id)
{
    uint8_t bytes[ID_BYTES];

    if (!hex_read(digits, ID_BYTES, bytes))
        return false;
    *out_id = 0;
    for (uint32_t i = 0; i < ID_BYTES; i++)
        *out_id = *out_id << 8 | bytes[i];
    return true;
}

/* ---- the file */

static vt_err
path_of(const char *data_dir, const char *name, char out_path[PATH_BYTES_MAX])
{
    int size = snprintf(out_path, PATH_BYTES_MAX, "%s/%s", data_dir, name);

    if (size < 0 || size >= (int)PATH_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "%s: the path is too long", data_dir);
    return VT_OK;
}

static vt_err
io_failed(const char *path)
{
    return vt_err_detail(VT_IO, "%s: %s", path, strerrordesc_np(errno));
}

static vt_err
write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, text, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return VT_IO;
        text += written;
        size -= (size_t)written;
    }
    return VT_OK;
}

static vt_err
sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool bad = fd < 0 || fsync(fd) != 0;

    if (bad)
        (void)io_failed(dir);
    if (fd >= 0)
        close(fd);
    return bad ? VT_IO : VT_OK;
}

/* Whole or not at all, and readable by its owner only from the first byte on. */
static vt_err
file_write(const char *dir, const char *name, const char *text)
{
    char path[PATH_BYTES_MAX];
    char temporary[PATH_BYTES_MAX];
    char temporary_name[64];
    vt_err err = path_of(dir, name, path);

    (void)snprintf(temporary_name, sizeof temporary_name, "%s.new", name);
    if (err == VT_OK)
        err = path_of(dir, temporary_name, temporary);
    if (err != VT_OK)
        return err;
    /* What a crash left there may have another mode. */
    if (unlink(temporary) != 0 && errno != ENOENT)
        return io_failed(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return io_failed(temporary);
    err = write_all(fd, text, strlen(text));
    if (err == VT_OK && fsync(fd) != 0)
        err = VT_IO;
    if (err != VT_OK)
        err = io_failed(temporary);
    if (close(fd) != 0 && err == VT_OK)
        err = io_failed(temporary);
    if (err == VT_OK && rename(temporary, path) != 0)
        err = io_failed(path);
    return err == VT_OK ? sync_dir(dir) : err;
}

static vt_err
read_all(int fd, const char *path, char *text, uint32_t *out_size)
{
    size_t size = 0;

    while (size <= FILE_BYTES_MAX) {
        ssize_t got = read(fd, text + size, FILE_BYTES_MAX + 1 - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return io_failed(path);
        if (got == 0)
            break;
        size += (size_t)got;
    }
    if (size > FILE_BYTES_MAX)
        return vt_err_detail(VT_TOO_LARGE, "%s: over %u bytes", path, FILE_BYTES_MAX);
    *out_size = (uint32_t)size;
    return VT_OK;
}

/* VT_NOT_FOUND where there is none. */
static vt_err
file_read(const char *path, char **out_text, uint32_t *out_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? VT_NOT_FOUND : io_failed(path);
    char *text = malloc(FILE_BYTES_MAX + 1U);
    vt_err err = text == NULL ? VT_NOMEM : VT_OK;

    if (err == VT_OK && fstat(fd, &status) != 0)
        err = io_failed(path);
    if (err == VT_OK && (status.st_mode & MODE_OTHERS) != 0)
        err = vt_err_detail(VT_FORBIDDEN, "%s: others than its owner have access; chmod 600 it",
                            path);
    if (err == VT_OK)
        err = read_all(fd, path, text, out_size);
    close(fd);
    if (err != VT_OK) {
        free(text);
        return err;
    }
    *out_text = text;
    return VT_OK;
}

/* ---- its lines */

/* The word up to the next space; the rest of the line follows the space. */
static struct vt_str
word_take(struct vt_str *line)
{
    const char *space = line->size == 0 ? NULL : memchr(line->data, ' ', line->size);
    struct vt_str word = *line;

    if (space == NULL) {
        *line = (struct vt_str){line->data + line->size, 0};
        return word;
    }
    word.size = (uint32_t)(space - line->data);
    line->data += word.size + 1;
    line->size -= word.size + 1;
    return word;
}

static bool
scopes_parse(struct vt_str text, uint32_t *out_scopes)
{
    static const struct scope_name {
        struct vt_str name;
        uint32_t scopes;
    } names[] = {
        {{"ingest", 6}, SCOPE_INGEST},
        {{"read", 4}, SCOPE_READ},
        {{"admin", 5}, SCOPE_ADMIN | SCOPE_READ | SCOPE_INGEST},
    };
    uint32_t scopes = 0;

    while (text.size > 0) {
        const char *comma = memchr(text.data, ',', text.size);
        uint32_t size = comma == NULL ? text.size : (uint32_t)(comma - text.data);
        uint32_t found = 0;

        for (uint32_t i = 0; i < VT_COUNT(names); i++)
            if (vt_str_equal(names[i].name, (struct vt_str){text.data, size}))
                found = names[i].scopes;
        if (found == 0 || (comma != NULL && size + 1 == text.size))
            return false;
        scopes |= found;
        size += comma != NULL;
        text.data += size;
        text.size -= size;
    }
    *out_scopes = scopes;
    return scopes != 0;
}

static const char *
line_parse(struct vt_str line, struct token *out_token)
{
    struct token token = {.id = 0};
    struct vt_str id = word_take(&line);
    struct vt_str digest = word_take(&line);
    struct vt_str scopes = word_take(&line);

    if (id.size != ID_DIGITS || !id_read(id.data, &token.id))
        return "the id is not 16 hex digits";
    if (digest.size != SECRET_DIGITS || !hex_read(digest.data, 32, token.digest))
        return "the checksum is not 64 hex digits";
    if (!scopes_parse(scopes, &token.scopes))
        return "the scopes are not of ingest, read, admin";
    if (line.size == 0 || line.size > VT_TEXT_BYTES_MAX ||
        !vt_utf8_valid((struct vt_bytes){(const uint8_t *)line.data, line.size}))
        return "the tenant is neither a name nor -";
    if (!vt_str_equal(line, VT_STR("-")))
        token.tenant = line;
    *out_token = token;
    return NULL;
}

static const struct token *
token_find(const struct tokens *tokens, uint64_t id)
{
    for (uint32_t i = 0; i < tokens->count; i++)
        if (tokens->all[i].id == id)
            return &tokens->all[i];
    return NULL;
}

static vt_err
token_add(struct tokens *tokens, const struct token *token)
{
    if (tokens->count == tokens->capacity) {
        uint32_t capacity = tokens->capacity == 0 ? 16 : tokens->capacity * 2;
        struct token *grown = realloc(tokens->all, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        tokens->all = grown;
        tokens->capacity = capacity;
    }
    tokens->all[tokens->count++] = *token;
    return VT_OK;
}

static vt_err
tokens_parse(struct tokens *tokens, const char *path)
{
    uint32_t at = 0;
    vt_err err = VT_OK;

    for (uint32_t number = 1; err == VT_OK && at < tokens->size; number++) {
        const char *start = tokens->text + at;
        const char *end = memchr(start, '\n', tokens->size - at);
        uint32_t size = end == NULL ? tokens->size - at : (uint32_t)(end - start);
        struct token token;

        at += size + 1;
        if (size == 0 || start[0] == '#')
            continue;
        const char *problem = line_parse((struct vt_str){start, size}, &token);

        if (problem == NULL && token_find(tokens, token.id) != NULL)
            problem = "the id stands in an earlier line";
        if (problem != NULL)
            return vt_err_detail(VT_BAD_FORMAT, "%s: line %u: %s", path, number, problem);
        err = token_add(tokens, &token);
    }
    return err;
}

/* ---- the first start */

/* The secret goes to its own file first: a crash between the two makes both again. */
static vt_err
admin_make(const char *data_dir)
{
    uint8_t random[ID_BYTES + SECRET_BYTES];
    uint8_t digest[32];
    char digest_text[SECRET_DIGITS + 1];
    char text[TEXT_SIZE + 2] = TEXT_PREFIX;
    char line[TEXT_SIZE + 32];
    ssize_t got;

    do
        got = getrandom(random, sizeof random, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof random)
        return vt_err_detail(VT_IO, "getrandom: %s", strerrordesc_np(errno));
    char *id = text + TEXT_PREFIX_SIZE;
    char *secret = id + ID_DIGITS + 1;

    hex_write(random, ID_BYTES, id);
    id[ID_DIGITS] = '_';
    hex_write(random + ID_BYTES, SECRET_BYTES, secret);
    secret[SECRET_DIGITS] = '\n';
    secret[SECRET_DIGITS + 1] = '\0';
    vt_sha256(secret, SECRET_DIGITS, digest);
    hex_write(digest, sizeof digest, digest_text);
    digest_text[SECRET_DIGITS] = '\0';
    (void)snprintf(line, sizeof line, "%.*s %s admin -\n", (int)ID_DIGITS, id, digest_text);
    vt_err err = file_write(data_dir, "admin.token", text);

    explicit_bzero(random, sizeof random);
    explicit_bzero(text, sizeof text);
    return err == VT_OK ? file_write(data_dir, "tokens", line) : err;
}

/* ---- life and use */

vt_err
tokens_open(const char *data_dir, struct tokens **out_tokens)
{
    char path[PATH_BYTES_MAX];
    vt_err err = path_of(data_dir, "tokens", path);

    if (err != VT_OK)
        return err;
    struct tokens *tokens = calloc(1, sizeof *tokens);

    if (tokens == NULL)
        return VT_NOMEM;
    err = file_read(path, &tokens->text, &tokens->size);
    if (err == VT_NOT_FOUND) {
        err = admin_make(data_dir);
        if (err == VT_OK)
            err = file_read(path, &tokens->text, &tokens->size);
    }
    if (err == VT_OK)
        err = tokens_parse(tokens, path);
    if (err != VT_OK) {
        tokens_close(tokens);
        return err;
    }
    *out_tokens = tokens;
    return VT_OK;
}

void
tokens_close(struct tokens *tokens)
{
    if (tokens == NULL)
        return;
    free(tokens->all);
    free(tokens->text);
    free(tokens);
}

/* Looks at every byte whatever it finds. */
static bool
equal_in_time(const uint8_t a[32], const uint8_t b[32])
{
    uint32_t different = 0;

    for (uint32_t i = 0; i < 32; i++)
        different |= (uint32_t)(a[i] ^ b[i]);
    return different == 0;
}

vt_err
tokens_check(const struct tokens *tokens, struct vt_str text, uint32_t scopes,
             struct token_grant *out_grant)
{
    static const struct token nobody = {.id = 0};
    uint8_t digest[32];
    uint64_t id = 0;

    if (text.size != TEXT_SIZE || memcmp(text.data, TEXT_PREFIX, TEXT_PREFIX_SIZE) != 0 ||
        text.data[TEXT_PREFIX_SIZE + ID_DIGITS] != '_' ||
        !id_read(text.data + TEXT_PREFIX_SIZE, &id))
        return VT_BAD_TOKEN;
    const struct token *token = token_find(tokens, id);
    bool known = token != NULL;

    if (!known)
        token = &nobody;
    vt_sha256(text.data + TEXT_PREFIX_SIZE + ID_DIGITS + 1, SECRET_DIGITS, digest);
    if (!equal_in_time(digest, token->digest) || !known)
        return VT_BAD_TOKEN;
    if ((token->scopes & scopes) != scopes)
        return vt_err_detail(VT_FORBIDDEN, "the token lacks a scope that this needs");
    *out_grant = (struct token_grant){
        .id = token->id,
        .scopes = token->scopes,
        .tenant = token->tenant,
    };
    return VT_OK;
}

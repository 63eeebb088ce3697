/* remote.c - see remote.h. */
#include "remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <yajl/yajl_tree.h>

#include "venturi/assert.h"

#define URL_BYTES_MAX     8192
#define CONNECT_SECONDS   10L
#define STALLED_SECONDS   300L /* a large answer is computed before its first byte */
#define HEADER_LINE_BYTES 512
#define TEXT_BYTES_FIRST  (UINT64_C(64) << 10)

struct remote {
    CURL *curl;
    struct curl_slist *headers;
    char base[1024];
    char url[URL_BYTES_MAX];
    char curl_error[CURL_ERROR_SIZE];

    /* Of the request that runs. */
    const struct remote_request *request;
    struct remote_answer answer;
    char *text; /* kept, or of a problem */
    uint64_t text_bytes;
    uint64_t text_capacity;
    bool stdout_failed;
    bool text_overflowed;
};

static long
status_of(const struct remote *remote)
{
    long status = 0;

    return curl_easy_getinfo(remote->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK ? status
                                                                                        : 0;
}

static bool
text_add(struct remote *remote, const char *data, size_t size)
{
    uint64_t capacity = remote->text_capacity == 0 ? TEXT_BYTES_FIRST : remote->text_capacity;

    if (size > REMOTE_TEXT_MAX - remote->text_bytes) {
        remote->text_overflowed = true;
        return false;
    }
    while (capacity < remote->text_bytes + size)
        capacity *= 2;
    if (capacity > remote->text_capacity) {
        char *grown = realloc(remote->text, capacity + 1);

        if (grown == NULL)
            return false;
        remote->text = grown;
        remote->text_capacity = capacity;
    }
    memcpy(remote->text + remote->text_bytes, data, size);
    remote->text_bytes += size;
    return true;
}

/* libcurl takes any other number than size * count as an end. */
static size_t
body_see(char *data, size_t size, size_t count, void *context)
{
    struct remote *remote = context;
    size_t bytes = size * count;

    remote->answer.bytes += bytes;
    if (remote->request->keep || status_of(remote) >= 300)
        return text_add(remote, data, bytes) ? bytes : 0;
    if (fwrite(data, 1, bytes, stdout) == bytes)
        return bytes;
    remote->stdout_failed = true;
    return 0;
}

static size_t
header_see(char *data, size_t size, size_t count, void *context)
{
    static const char name[] = "venturi-cursor:";
    struct remote *remote = context;
    size_t bytes = size * count;
    size_t at = sizeof name - 1;

    if (bytes <= at || strncasecmp(data, name, at) != 0)
        return bytes;
    while (at < bytes && data[at] == ' ')
        at++;
    size_t end = bytes;

    while (end > at && (data[end - 1] == '\r' || data[end - 1] == '\n'))
        end--;
    if (end - at < sizeof remote->answer.cursor) {
        memcpy(remote->answer.cursor, data + at, end - at);
        remote->answer.cursor[end - at] = '\0';
    }
    return bytes;
}

/* libcurl ends the request where this is not 0. */
static int
progress_see(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    const struct remote *remote = context;
    const struct remote_request *request = remote->request;

    (void)down_all, (void)down, (void)up_all, (void)up;
    return remote->answer.bytes == 0 && request->given_up != NULL &&
           request->given_up(request->context);
}

/* ---- the request */

static bool
url_put(struct remote *remote, size_t *at, const char *text)
{
    size_t size = strlen(text);

    if (size >= sizeof remote->url - *at)
        return false;
    memcpy(remote->url + *at, text, size + 1);
    *at += size;
    return true;
}

static vt_err
url_make(struct remote *remote, const struct remote_request *request)
{
    size_t at = 0;
    bool fits = url_put(remote, &at, remote->base) && url_put(remote, &at, request->path);
    const char *before = "?";

    for (uint32_t i = 0; fits && i < REMOTE_PARAMS_MAX && request->params[i].name != NULL; i++) {
        const struct remote_param *param = &request->params[i];

        if (param->value == NULL)
            continue;
        if (strlen(param->value) > sizeof remote->url)
            return vt_err_detail(VT_TOO_LARGE, "--%s is too long", param->name);
        char *escaped = curl_easy_escape(remote->curl, param->value, (int)strlen(param->value));

        if (escaped == NULL)
            return VT_NOMEM;
        fits = url_put(remote, &at, before) && url_put(remote, &at, param->name) &&
               url_put(remote, &at, "=") && url_put(remote, &at, escaped);
        curl_free(escaped);
        before = "&";
    }
    return fits ? VT_OK
                : vt_err_detail(VT_TOO_LARGE, "the URL is longer than %d bytes", URL_BYTES_MAX);
}

static const char *
string_at(yajl_val tree, const char *key)
{
    const char *path[] = {key, NULL};

    return YAJL_GET_STRING(yajl_tree_get(tree, path, yajl_t_string));
}

static vt_err
err_named(const char *name)
{
    static const vt_err all[] = {
#define ERR_NUMBER(name, code, retry, text) name,
        VT_ERR_TABLE(ERR_NUMBER)
#undef ERR_NUMBER
    };

    for (size_t i = 0; name != NULL && i < VT_COUNT(all); i++)
        if (all[i] != VT_OK && strcmp(name, vt_err_name(all[i])) == 0)
            return all[i];
    return VT_IO;
}

/* The error that a problem object names. */
static vt_err
problem_read(struct remote *remote, long status)
{
    char message[128];
    yajl_val tree = NULL;
    vt_err err = VT_IO;

    if (remote->text != NULL) {
        remote->text[remote->text_bytes] = '\0';
        tree = yajl_tree_parse(remote->text, message, sizeof message);
    }
    if (tree == NULL)
        return vt_err_detail(VT_IO, "%s answered %ld", remote->base, status);
    const char *detail = string_at(tree, "detail");

    err = err_named(string_at(tree, "code"));
    (void)vt_err_detail(err, "%s%s%s", vt_err_text(err), detail == NULL ? "" : ": ",
                        detail == NULL ? "" : detail);
    yajl_tree_free(tree);
    return err;
}

static CURLcode
request_set(struct remote *remote, const struct remote_request *request)
{
    CURL *curl = remote->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, remote->url);

    if (code == CURLE_OK && !request->post)
        return curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                                request->body.size == 0 ? "" : (const char *)request->body.data);
    return code;
}

vt_err
remote_do(struct remote *remote, const struct remote_request *request,
          struct remote_answer *out_answer)
{
    vt_err_clear();
    remote->request = request;
    remote->answer = (struct remote_answer){.bytes = 0};
    remote->text_bytes = 0;
    remote->text_overflowed = false;
    remote->curl_error[0] = '\0';
    vt_err err = url_make(remote, request);

    if (err != VT_OK)
        return err;
    CURLcode code = request_set(remote, request);

    if (code == CURLE_OK)
        code = curl_easy_perform(remote->curl);
    if (remote->stdout_failed)
        return vt_err_detail(VT_IO, "standard output: %s", strerrordesc_np(errno));
    if (remote->text_overflowed)
        return vt_err_detail(VT_TOO_LARGE, "%s: its answer is larger than %llu bytes", remote->base,
                             (unsigned long long)REMOTE_TEXT_MAX);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return VT_CANCELLED;
    if (code == CURLE_UNSUPPORTED_PROTOCOL && strstr(remote->curl_error, "HTTP/0.9") != NULL)
        return vt_err_detail(VT_IO, "%s: it does not speak HTTP; is this the frame port?",
                             remote->base);
    if (code != CURLE_OK)
        return vt_err_detail(VT_IO, "%s: %s", remote->base,
                             remote->curl_error[0] != '\0' ? remote->curl_error
                                                           : curl_easy_strerror(code));
    long status = status_of(remote);

    if (status >= 300 || status < 200)
        return problem_read(remote, status);
    if (remote->text_bytes > 0) {
        remote->text[remote->text_bytes] = '\0';
        remote->answer.text = remote->text;
    }
    *out_answer = remote->answer;
    return VT_OK;
}

/* ---- life */

static CURLcode
remote_set(struct remote *remote)
{
    CURL *curl = remote->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_see);

    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, remote);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_see);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HEADERDATA, remote);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, remote->curl_error);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, remote->headers);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress_see);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, remote);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALLED_SECONDS);
    /* The token goes to the daemon that was named and to no other. */
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    return code;
}

static bool
header_add(struct remote *remote, const char *line)
{
    struct curl_slist *grown = curl_slist_append(remote->headers, line);

    if (grown != NULL)
        remote->headers = grown;
    return grown != NULL;
}

vt_err
remote_open(const char *url, const char *token, struct remote **out_remote)
{
    char line[HEADER_LINE_BYTES];
    struct remote *remote = calloc(1, sizeof *remote);
    size_t size = strlen(url);

    if (remote == NULL)
        return VT_NOMEM;
    while (size > 0 && url[size - 1] == '/')
        size--;
    if (size == 0 || size >= sizeof remote->base) {
        free(remote);
        return vt_err_detail(VT_INVALID, "--from: not a URL");
    }
    (void)snprintf(remote->base, sizeof remote->base, "%.*s", (int)size, url);
    int written = snprintf(line, sizeof line, "Authorization: Bearer %s", token);

    VT_ASSERT(written > 0 && (size_t)written < sizeof line);
    remote->curl = curl_easy_init();
    if (remote->curl == NULL || !header_add(remote, line) ||
        !header_add(remote, "Content-Type: application/json") || !header_add(remote, "Expect:") ||
        remote_set(remote) != CURLE_OK) {
        remote_close(remote);
        return vt_err_detail(VT_NOMEM, "libcurl does not start");
    }
    *out_remote = remote;
    return VT_OK;
}

void
remote_close(struct remote *remote)
{
    if (remote == NULL)
        return;
    curl_slist_free_all(remote->headers);
    if (remote->curl != NULL)
        curl_easy_cleanup(remote->curl);
    free(remote->text);
    free(remote);
}

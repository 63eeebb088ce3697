/* replay.c - venturi replay: history rated from the log alone. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "net/zones.h"
#include "storage/base/text_file.h"
#include "store_view.h"
#include "tools/common/options.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define DIGEST_BYTES 32

static const char help[] =
    "venturi replay - rate history from the log alone, and show what another catalog would change\n"
    "\n"
    "example: venturi replay --data data --catalog catalog.json\n"
    "         venturi replay --data data --catalog 2025-02.json --against 2025-01.json\n"
    "             --start 2025-01-01T00:00:00Z\n"
    "\n"
    "usage: venturi replay --data DIR --catalog FILE [options]\n"
    "\n"
    "Never writes to DIR; safe beside a running daemon. Prints the same JSON Lines as venturi\n"
    "lines; on standard error rows, seconds, rows a second and the SHA-256 of what it printed.\n"
    "TIME is RFC 3339 with a zone; ranges are half-open.\n"
    "\n"
    "  --against FILE         print adjustments: lines by --catalog less lines by FILE\n"
    "  --start TIME           only billing periods that touch the range           (all)\n"
    "  --end TIME\n"
    "  --tenant T             only this tenant                                    (all)\n"
    "  --threads N            1 to 64                                             (cores)\n"
    "  --expect-digest HEX    exit 4 unless the result has this digest\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 4 damaged log (file and offset on standard error) or\n"
    "another digest\n";

struct replay {
    const char *data;
    const char *catalog_path;
    const char *against_path;
    const char *start;
    const char *end;
    const char *tenant;
    const char *expect;
    uint64_t threads;

    struct zones *zones;
    char *texts[2];
    struct catalog *catalog;
    struct catalog *against;
    struct store_view store;
    EVP_MD_CTX *sha256;
    uint64_t rows;
    int64_t rate_ns;
    char digest[2 * DIGEST_BYTES + 1];
};

static int64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static vt_err
catalog_open(struct replay *replay, const char *path, char **text, struct catalog **out_catalog)
{
    struct catalog_zones source = zones_source(replay->zones);
    uint32_t size = 0;
    vt_err err = text_file_read(path, CATALOG_BYTES_MAX, text, &size);

    if (err == VT_OK)
        err = catalog_load((struct vt_str){*text, size}, &source, out_catalog);
    return err == VT_OK ? VT_OK : text_file_blame(path, err);
}

static vt_err
replay_flush(void *context, struct json_out *out)
{
    struct replay *replay = context;

    if (EVP_DigestUpdate(replay->sha256, out->data, out->size) != 1)
        return vt_err_detail(VT_NOMEM, "SHA-256 failed");
    return stdout_sink().flush(NULL, out);
}

static vt_err
digest_finish(struct replay *replay)
{
    uint8_t digest[DIGEST_BYTES];
    unsigned size = 0;

    if (EVP_DigestFinal_ex(replay->sha256, digest, &size) != 1 || size != sizeof digest)
        return vt_err_detail(VT_NOMEM, "SHA-256 failed");
    for (uint32_t i = 0; i < sizeof digest; i++)
        (void)snprintf(replay->digest + (size_t)2 * i, 3, "%02x", digest[i]);
    return VT_OK;
}

static vt_err
time_option(const char *name, const char *text, int64_t *us)
{
    struct vt_utc utc;

    if (text == NULL)
        return VT_OK;
    if (vt_utc_parse((struct vt_str){text, (uint32_t)strlen(text)}, &utc) != VT_OK)
        return vt_err_detail(VT_BAD_TIME, "--%s %s: not an RFC 3339 time", name, text);
    *us = utc.us;
    return VT_OK;
}

static vt_err
rate(struct replay *replay, const struct lines_query *query)
{
    struct view_sink sink = {replay_flush, replay};
    int64_t begun_ns = now_ns();
    vt_err err = VT_NOMEM;

    replay->sha256 = EVP_MD_CTX_new();
    if (replay->sha256 != NULL && EVP_DigestInit_ex(replay->sha256, EVP_sha256(), NULL) == 1)
        err = replay->against == NULL ? view_lines(&replay->store.view, query, &sink, &replay->rows)
                                      : view_adjustments(&replay->store.view, query,
                                                         replay->against, &sink, &replay->rows);
    if (err == VT_OK && fflush(stdout) != 0)
        err = vt_err_detail(VT_IO, "standard output: %s", strerrordesc_np(errno));
    replay->rate_ns = now_ns() - begun_ns;
    return err == VT_OK ? digest_finish(replay) : err;
}

static vt_err
run(struct replay *replay)
{
    struct lines_query query = {
        .has_range = replay->start != NULL || replay->end != NULL,
        .start_us = VT_EVENT_FIRST_US,
        .end_us = VT_EVENT_LAST_US + 1,
        .threads = (uint32_t)replay->threads,
    };
    vt_err err = time_option("start", replay->start, &query.start_us);

    if (err == VT_OK)
        err = time_option("end", replay->end, &query.end_us);
    if (replay->tenant != NULL)
        query.tenant = (struct vt_str){replay->tenant, (uint32_t)strlen(replay->tenant)};
    if (err == VT_OK)
        err = zones_open(&replay->zones);
    if (err == VT_OK)
        err = catalog_open(replay, replay->catalog_path, &replay->texts[0], &replay->catalog);
    if (err == VT_OK && replay->against_path != NULL)
        err = catalog_open(replay, replay->against_path, &replay->texts[1], &replay->against);
    if (err == VT_OK)
        err = store_view_open(replay->data, &replay->store);
    if (err == VT_OK && query.tenant.size > 0 &&
        catalog_find_tenant(replay->catalog, query.tenant) == CATALOG_NONE)
        err = vt_err_detail(VT_NOT_FOUND, "%s: it has no tenant %s", replay->catalog_path,
                            replay->tenant);
    query.catalog = replay->catalog;
    return err == VT_OK ? rate(replay, &query) : err;
}

static void
report(const struct replay *replay)
{
    uint64_t ns = replay->rate_ns <= 0 ? 1 : (uint64_t)replay->rate_ns;
    /* Rows x 10^9 fit 64 bits up to 18 thousand million rows; beyond that microseconds do. */
    uint64_t speed = replay->rows < UINT64_MAX / 1000000000 ? replay->rows * 1000000000 / ns
                                                            : replay->rows / (ns / 1000000000 + 1);

    (void)fprintf(stderr,
                  "rows %" PRIu64 ", seconds %" PRIu64 ".%03" PRIu64 ", rows/s %" PRIu64
                  ", position %" PRIu64 ", threads %" PRIu64 "\ndigest %s\n",
                  replay->rows, ns / 1000000000, ns / 1000000 % 1000, speed,
                  replay->store.view.position, replay->threads, replay->digest);
}

static void
replay_close(struct replay *replay)
{
    EVP_MD_CTX_free(replay->sha256);
    store_view_close(&replay->store);
    catalog_free(replay->against);
    catalog_free(replay->catalog);
    free(replay->texts[0]);
    free(replay->texts[1]);
    zones_close(replay->zones);
}

int
command_replay(int argc, char **argv)
{
    struct replay replay = {0};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const struct option_spec specs[] = {
        {.name = "data", .kind = OPTION_TEXT, .target = &replay.data},
        {.name = "catalog", .kind = OPTION_TEXT, .target = &replay.catalog_path},
        {.name = "against", .kind = OPTION_TEXT, .target = &replay.against_path},
        {.name = "start", .kind = OPTION_TEXT, .target = &replay.start},
        {.name = "end", .kind = OPTION_TEXT, .target = &replay.end},
        {.name = "tenant", .kind = OPTION_TEXT, .target = &replay.tenant},
        {.name = "threads",
         .kind = OPTION_NUMBER,
         .target = &replay.threads,
         .least = 1,
         .most = 64},
        {.name = "expect-digest", .kind = OPTION_TEXT, .target = &replay.expect},
        {.name = NULL},
    };
    int first = 0;

    replay.threads = processors < 1 ? 1 : processors > 64 ? 64 : (uint64_t)processors;
    int status = options_read(argc, argv, help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (first != argc)
        return options_misused(argv[0], "%s: not expected", argv[first]);
    if (replay.data == NULL || replay.catalog_path == NULL)
        return options_misused(argv[0], "--data and --catalog are needed");
    vt_err err = run(&replay);

    if (err == VT_OK)
        report(&replay);
    if (err == VT_BAD_TIME)
        status = options_misused(argv[0], "%s", vt_err_last());
    else if (err != VT_OK)
        status = store_view_failed(argv[0], err);
    else
        status = EXIT_DONE;
    if (err == VT_OK && replay.expect != NULL && strcasecmp(replay.expect, replay.digest) != 0) {
        (void)fprintf(stderr, "%s: the digest is not %s\n", argv[0], replay.expect);
        status = EXIT_DIFFERENT;
    }
    replay_close(&replay);
    return status;
}

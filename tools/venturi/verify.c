/* verify.c - venturi verify: every checksum, the chain, the content digests and the counts. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "store_view.h"
#include "tools/common/options.h"
#include "venturi/assert.h"
#include "verify_damage.h"

static const char help[] =
    "venturi verify - check every byte of a store\n"
    "\n"
    "example: venturi verify --data data\n"
    "         venturi verify --data /mnt/copy\n"
    "         venturi verify --data data --json | jq -c 'select(.kind == \"damage\")'\n"
    "\n"
    "usage: venturi verify --data DIR [--json]\n"
    "\n"
    "Reads superblock, manifest, lanes and segments against their checksums and the chain of\n"
    "commits; computes the digest of the rows of every tenant and type of every segment again;\n"
    "compares the counters with the rows. Prints the store's digest: of rows, counters, windows,\n"
    "exceptions and feed, the same for any number of threads, batches, cuts and restarts. Never\n"
    "writes; beside a running daemon it sees what was durable when it began.\n"
    "\n"
    "It goes on behind a damage and tells all: file and offset, what is wrong, and for a segment\n"
    "the partition, the tenants, types, rows and times that the bad bytes hold, as far as the "
    "rest\n"
    "of it says. What to do then: venturi repair.\n"
    "\n"
    "  --json       damages and results as JSON Lines on standard output\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 4 damage (file and offset on standard error)\n";

struct verify {
    const char *name;
    uint64_t damages;
    uint64_t contents;
    uint64_t all_rows;
    struct verify_teller teller;
};

static void
damage_print(void *context, const struct store_damage *damage)
{
    struct verify *verify = context;

    verify->damages++;
    verify_damage_tell(&verify->teller, damage);
}

__attribute__((format(printf, 2, 3))) static void
difference_print(struct verify *verify, const char *format, ...)
{
    va_list arguments;

    verify->damages++;
    (void)fprintf(stderr, "%s: ", verify->name);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

/* ---- content */

static vt_err
contents_check(struct verify *verify, const struct view *view)
{
    vt_err err = VT_OK;

    for (uint32_t p = 0; err == VT_OK && p < view->part_count; p++)
        for (uint32_t s = 0; err == VT_OK && s < view->parts[p].sealed_count; s++) {
            const struct sealed *sealed = view->parts[p].sealed[s];
            const struct segment_id *id = sealed_id(sealed);
            struct sealed_difference difference;
            uint64_t stubs = 0;

            err = sealed_verify_content(sealed, &stubs, &difference);
            verify->contents += stubs;
            if (err == VT_OK && difference.any)
                difference_print(verify,
                                 "cut %" PRIu64 ", partition %" PRIu32
                                 ", tenant %.*s, type %.*s: the rows have another digest than was "
                                 "sealed",
                                 id->cut, id->partition, (int)difference.tenant.size,
                                 difference.tenant.data, (int)difference.type.size,
                                 difference.type.data);
        }
    return err;
}

/* ---- counts */

static vt_err
count_block(void *context, const struct row_block *block)
{
    struct verify *verify = context;

    verify->all_rows += block->row_count;
    return VT_OK;
}

static void
tally_check(struct verify *verify, const struct tally *tally, struct vt_str tenant)
{
    uint64_t reasons = 0;

    for (size_t r = 0; r < VT_COUNT(tally->by_reason); r++)
        reasons += tally->by_reason[r];
    if (tally->received != tally->accepted + tally->duplicates + tally->exceptions)
        difference_print(verify,
                         "tenant %.*s: received %" PRIu64 " is not accepted %" PRIu64
                         " + duplicates %" PRIu64 " + exceptions %" PRIu64,
                         (int)tenant.size, tenant.data, tally->received, tally->accepted,
                         tally->duplicates, tally->exceptions);
    if (tally->conflicts > tally->duplicates)
        difference_print(verify, "tenant %.*s: more conflicts than duplicates", (int)tenant.size,
                         tenant.data);
    if (reasons != tally->exceptions)
        difference_print(verify, "tenant %.*s: the reasons do not add up to the exceptions",
                         (int)tenant.size, tenant.data);
}

static vt_err
counts_check(struct verify *verify, const struct view *view)
{
    struct scan_options options = {.block = count_block, .context = verify};
    uint64_t accepted = 0;

    for (uint32_t p = 0; p < view->part_count; p++) {
        const struct part_snapshot *part = &view->parts[p];
        uint64_t received = 0;

        for (uint32_t t = 0; t < part->tenant_count; t++) {
            tally_check(verify, &part->tenant_tallies[t], part->tenants[t]);
            received += part->tenant_tallies[t].received;
        }
        tally_check(verify, &part->tally, VT_STR("(all)"));
        if (received != part->tally.received)
            difference_print(verify,
                             "partition %" PRIu32 ": its tenants received %" PRIu64
                             ", it received %" PRIu64,
                             part->partition, received, part->tally.received);
        accepted += part->tally.accepted;
    }
    vt_err err = view_scan(view, &options);

    if (err == VT_OK && verify->all_rows != accepted)
        difference_print(verify, "%" PRIu64 " rows, but %" PRIu64 " accepted events",
                         verify->all_rows, accepted);
    return err;
}

/* ---- all */

static vt_err
state_check(struct verify *verify, const char *dir)
{
    struct store_view store = {.io = NULL};
    uint8_t digest[32];
    vt_err err = store_view_open(dir, &store);

    if (err == VT_OK)
        err = contents_check(verify, &store.view);
    if (err == VT_OK)
        err = counts_check(verify, &store.view);
    if (err == VT_OK)
        err = view_digest(&store.view, digest);
    if (err == VT_OK) {
        (void)printf(verify->teller.json
                         ? "{\"kind\":\"state\",\"position\":%" PRIu64 ",\"rows\":%" PRIu64
                           ",\"contents\":%" PRIu64 ",\"digest\":\""
                         : "position %" PRIu64 ", rows %" PRIu64 ", sealed contents %" PRIu64
                           "\ndigest ",
                     store.view.position, verify->all_rows, verify->contents);
        for (uint32_t i = 0; i < sizeof digest; i++)
            (void)printf("%02x", digest[i]);
        (void)printf(verify->teller.json ? "\"}\n" : "\n");
    }
    store_view_close(&store);
    return err;
}

static vt_err
files_check(struct verify *verify, const char *dir)
{
    struct store_view store = {.io = NULL};
    struct store_check check = {.files = 0};
    vt_err err = store_view_open_files(dir, &store);

    verify->teller.store = store.store;
    verify->teller.io = store.io;
    if (err == VT_OK)
        err = store_verify(store.store, damage_print, verify, &check);
    if (err == VT_OK && verify->teller.json)
        (void)printf("{\"kind\":\"files\",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64
                     ",\"commits\":%" PRIu64 ",\"damages\":%" PRIu64 "}\n",
                     check.files, check.bytes, check.commits, check.damages);
    else if (err == VT_OK)
        (void)printf("files %" PRIu64 ", bytes %" PRIu64 ", commits in the lanes %" PRIu64
                     ", damages %" PRIu64 "\n",
                     check.files, check.bytes, check.commits, check.damages);
    store_view_close(&store);
    return err;
}

int
command_verify(int argc, char **argv)
{
    struct verify verify = {.name = argv[0], .teller = {.name = argv[0]}};
    const char *data = NULL;
    const struct option_spec specs[] = {
        {.name = "data", .kind = OPTION_TEXT, .target = &data},
        {.name = "json", .kind = OPTION_FLAG, .target = &verify.teller.json},
        {.name = NULL},
    };
    int first = 0;
    int status = options_read(argc, argv, help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (first != argc)
        return options_misused(argv[0], "%s: not expected", argv[first]);
    if (data == NULL)
        return options_misused(argv[0], "--data is needed");
    vt_err err = files_check(&verify, data);

    /* What does not lie in the files as it should is not interpreted. */
    if (err == VT_OK && verify.damages == 0)
        err = state_check(&verify, data);
    if (err == VT_OK && fflush(stdout) != 0)
        err = VT_IO;
    if (err != VT_OK)
        return store_view_failed(argv[0], err);
    return verify.damages == 0 ? EXIT_DONE : EXIT_DIFFERENT;
}

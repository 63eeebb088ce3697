/*
 * store_verify.c - every checksum of a store, one file after the other. It goes on after a damage,
 * so that one run names them all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"
#include "venturi/assert.h"

/* A daemon beside us may be between the two copies of an edit, for as long as a sync takes: what
 * that would explain is damage only when it lasts. 50 + 100 + .. + 800 ms. */
#define MANIFEST_LOOKS    6
#define MANIFEST_PAUSE_NS INT64_C(50000000)

struct verifier {
    struct store *store;
    void (*report)(void *context, const struct store_damage *damage);
    void *context;
    const char *only; /* path of the one file to look at; NULL: all */
    struct store_check check;
};

static void
damaged(struct verifier *verifier, const char *file, uint64_t offset, vt_err err)
{
    const char *text = vt_err_last();
    const struct store_damage damage = {
        .file = file,
        .offset = offset,
        .err = err,
        .text = text[0] != '\0' ? text : vt_err_text(err),
    };

    verifier->check.damages++;
    verifier->report(verifier->context, &damage);
    vt_err_clear();
}

static bool
is_wanted(const struct verifier *verifier, const char *path)
{
    return verifier->only == NULL || strcmp(verifier->only, path) == 0;
}

/* Counts a file; VT_NOT_FOUND where it is not there. */
static vt_err
count_file(struct verifier *verifier, const char *path, uint64_t *out_bytes)
{
    struct io_file *file;
    vt_err err = io_open(verifier->store->io, path, IO_OPEN_READ, &file);

    if (err != VT_OK)
        return err;
    err = io_size(file, out_bytes);
    io_close_file(file);
    if (err != VT_OK)
        return err;
    verifier->check.files++;
    verifier->check.bytes += *out_bytes;
    return VT_OK;
}

static void
verify_superblock(struct verifier *verifier)
{
    char path[STORE_PATH_BYTES];
    struct superblock superblock;
    uint32_t bad = 0;
    uint64_t bytes;

    store_path(verifier->store, "store", path);
    if (!is_wanted(verifier, path))
        return;
    vt_err err = count_file(verifier, path, &bytes);

    if (err == VT_OK)
        err = superblock_read(verifier->store->io, path, &bad, &superblock);
    if (err != VT_OK) {
        damaged(verifier, path, 0, err);
        return;
    }
    for (uint32_t copy = 0; copy < 2; copy++)
        if ((bad >> copy & 1) != 0)
            damaged(verifier, path, (uint64_t)copy * 4096, VT_DAMAGED);
}

static void
verify_manifest(struct verifier *verifier)
{
    struct store *store = verifier->store;
    struct manifest *manifest;
    char paths[2][STORE_PATH_BYTES];
    bool missing[2] = {false, false};
    uint64_t ends[2] = {0, 0};
    uint64_t bytes;
    uint32_t bad = 3;
    int looks = MANIFEST_LOOKS;
    vt_err err = VT_OK;

    store_path(store, "manifest-0", paths[0]);
    store_path(store, "manifest-1", paths[1]);
    for (uint32_t copy = 0; copy < 2; copy++) {
        if (!is_wanted(verifier, paths[copy]))
            continue;
        missing[copy] = count_file(verifier, paths[copy], &bytes) != VT_OK;
        if (missing[copy])
            damaged(verifier, paths[copy], 0, VT_NOT_FOUND);
    }
    if (!is_wanted(verifier, paths[0]) && !is_wanted(verifier, paths[1]))
        return;
    for (int i = 0; err == VT_OK && bad != 0 && i < looks; i++) {
        if (i > 0)
            io_sleep(store->io, MANIFEST_PAUSE_NS << (i - 1));
        err = manifest_open(store->io, store->dir, store->superblock.store, &manifest);
        if (err != VT_OK)
            break;
        /* A backup that was killed leaves what a crash may leave, and no start heals it. */
        bad = (store->superblock.flags & SUPERBLOCK_COPY) != 0
                  ? manifest_bad_copies(manifest)
                  : manifest_short_copies(manifest, ends);
        looks = manifest_bad_copies(manifest) == 0 ? MANIFEST_LOOKS : 2;
        manifest_close(manifest);
    }
    for (uint32_t copy = 0; err != VT_OK && copy < 2; copy++)
        if (is_wanted(verifier, paths[copy]))
            damaged(verifier, paths[copy], 0, err);
    if (err != VT_OK)
        return;
    /* What the open that came before has healed shows no more. */
    for (uint32_t copy = 0; copy < 2; copy++)
        if ((bad >> copy & 1) != 0 && is_wanted(verifier, paths[copy]) && !missing[copy])
            damaged(verifier, paths[copy], ends[copy],
                    vt_err_detail(VT_DAMAGED,
                                  "%s: offset %" PRIu64 ": an edit is damaged or "
                                  "missing; the next start writes it anew",
                                  paths[copy], ends[copy]));
}

/* A running daemon may have sealed what was found at open: then the commit is rightly gone. */
static bool
is_released(const struct store *store, uint64_t number)
{
    struct manifest *manifest;

    if (store->log != NULL)
        return number <= manifest_get(store->manifest)->sealed.number;
    if (manifest_open(store->io, store->dir, store->superblock.store, &manifest) != VT_OK)
        return false;
    bool released = number <= manifest_get(manifest)->sealed.number;

    manifest_close(manifest);
    return released;
}

static vt_err
verify_commits(struct verifier *verifier)
{
    struct store *store = verifier->store;
    uint8_t *buffer = aligned_alloc(IO_ALIGN, store->superblock.commit_bytes_max);
    char path[STORE_PATH_BYTES];

    if (buffer == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < store->chain.count; i++) {
        const struct commit_info *info = &store->chain.commits[i];
        char name[16];

        (void)snprintf(name, sizeof name, "lane-%02u", info->lane);
        store_path(store, name, path);
        if (!is_wanted(verifier, path))
            continue;
        vt_err err = chain_read(&store->lanes, info, buffer);

        if (err == VT_OK) {
            verifier->check.commits++;
            continue;
        }
        if (is_released(store, info->number))
            continue;
        vt_err_clear();
        damaged(verifier, path, info->offset, err == VT_AGAIN ? VT_DAMAGED : err);
    }
    free(buffer);
    return VT_OK;
}

static void
verify_lanes(struct verifier *verifier)
{
    const struct store *store = verifier->store;
    char path[STORE_PATH_BYTES];
    char name[16];

    for (uint32_t i = 0; i < store->lanes.lane_count; i++) {
        uint64_t bytes = 0;

        (void)snprintf(name, sizeof name, "lane-%02u", i);
        store_path(store, name, path);
        if (!is_wanted(verifier, path))
            continue;
        vt_err err = count_file(verifier, path, &bytes);

        if (err == VT_OK && bytes != store->lanes.lane_bytes)
            err = VT_BAD_LENGTH;
        if (err != VT_OK)
            damaged(verifier, path, bytes, err);
    }
}

/* The offset that the detail of a segment's reader names. */
static uint64_t
offset_of_detail(void)
{
    static const char word[] = "offset ";
    const char *at = strstr(vt_err_last(), word);

    return at == NULL ? 0 : strtoull(at + sizeof word - 1, NULL, 10);
}

struct segment_look {
    struct verifier *verifier;
    const struct store_segment *named;
};

static void
segment_note(void *context, const struct segment_damage *found)
{
    const struct segment_look *look = context;
    const struct store_damage damage = {
        .file = look->named->path,
        .offset = found->offset,
        .err = found->err,
        .text = found->text,
        .segment = look->named,
        .chunk = found->chunk,
    };

    look->verifier->check.damages++;
    look->verifier->report(look->verifier->context, &damage);
}

/* A running daemon may have merged what was found at open: then the file is rightly gone, and its
 * content stands in a segment that was read back when it was written. */
static bool
is_merged_away(const struct store *store, const struct segment_id *id)
{
    struct manifest *manifest;

    if (store->log != NULL ||
        manifest_open(store->io, store->dir, store->superblock.store, &manifest) != VT_OK)
        return false;
    bool named = store_segment_is_named(manifest_get(manifest), id);

    manifest_close(manifest);
    return !named;
}

static void
verify_segment(struct verifier *verifier, const struct store_segment *named)
{
    struct segment_look look = {verifier, named};
    struct segment *segment = NULL;
    uint64_t bytes = 0;

    if (!is_wanted(verifier, named->path))
        return;
    vt_err err = count_file(verifier, named->path, &bytes);

    if (err == VT_OK && bytes != named->file_bytes)
        err = vt_err_detail(VT_BAD_LENGTH,
                            "the manifest says %" PRIu64 " bytes, the file ends at "
                            "offset %" PRIu64,
                            named->file_bytes, bytes);
    if (err == VT_OK)
        err = segment_open(verifier->store->io, named->path, &named->id, &segment);
    if (err == VT_OK && named->check != 0 && named->check != segment_check(segment))
        err = vt_err_detail(VT_DAMAGED, "%s: offset 0: it is not the file that the manifest names",
                            named->path);
    if (err == VT_OK)
        err = segment_verify_each(segment, segment_note, &look);
    if (err == VT_NOT_FOUND && is_merged_away(verifier->store, &named->id)) {
        vt_err_clear();
    } else if (err != VT_OK) {
        char text[512];

        (void)snprintf(text, sizeof text, "%s",
                       vt_err_last()[0] != '\0' ? vt_err_last() : vt_err_text(err));
        const struct segment_damage found = {
            .offset = offset_of_detail(), .err = err, .text = text};

        segment_note(&look, &found);
        vt_err_clear();
    }
    segment_close(segment);
}

static vt_err
verify_all(struct verifier *verifier)
{
    const struct store *store = verifier->store;
    struct store_segment segment;

    VT_ASSERT(verifier->report != NULL);
    vt_err_clear();
    verify_superblock(verifier);
    verify_manifest(verifier);
    verify_lanes(verifier);
    vt_err err = verify_commits(verifier);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < store_segment_count(store); i++) {
        store_segment_at(store, i, &segment);
        verify_segment(verifier, &segment);
    }
    return VT_OK;
}

vt_err
store_verify(struct store *store, void (*report)(void *context, const struct store_damage *damage),
             void *context, struct store_check *out_check)
{
    struct verifier verifier = {.store = store, .report = report, .context = context};
    vt_err err = verify_all(&verifier);

    if (err == VT_OK)
        *out_check = verifier.check;
    return err;
}

vt_err
store_verify_file(struct store *store, const char *path,
                  void (*report)(void *context, const struct store_damage *damage), void *context)
{
    struct verifier verifier = {.store = store, .report = report, .context = context, .only = path};

    VT_ASSERT(path != NULL);
    return verify_all(&verifier);
}

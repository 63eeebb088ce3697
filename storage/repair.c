/*
 * repair.c - bytes of damaged files from a second copy; see backup.h. What is put in place was
 * checked under another name first, against its own checksums and what the store's manifest says
 * of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy_internal.h"
#include "venturi/assert.h"

/* A history makes one start after the other; another restore of the same copy is far away. */
#define STARTS_APART_MAX (UINT64_C(1) << 20)

struct repair {
    struct io *io;
    const struct repair_options *options;
    struct store *from;
    struct store *to;
    struct repair_result result;
};

/* Tells what was done or is left; the detail of the thread is taken. */
static void
tell(struct repair *repair, enum repair_verdict verdict, const char *file, vt_err err)
{
    const char *detail = vt_err_last();
    struct repair_news news = {
        .verdict = verdict,
        .file = file,
        .err = err,
        .text = detail[0] != '\0' ? detail : vt_err_text(err),
    };

    if (verdict == REPAIR_DONE)
        repair->result.repaired++;
    else
        repair->result.left++;
    repair->options->news(repair->options->context, &news);
    vt_err_clear();
}

/* Bad bytes, a file that is not there, or one that cannot be read. */
static bool
is_damage(vt_err err)
{
    return (err >= VT_BAD_MAGIC && err <= VT_DAMAGED) || err == VT_NOT_FOUND || err == VT_IO;
}

/* ---- superblock */

static vt_err
check_history(const struct repair *repair)
{
    const struct superblock *from = &repair->from->superblock;
    const struct superblock *to = &repair->to->superblock;

    if (from->store == to->store && from->history == to->history &&
        (from->flags ^ to->flags) == SUPERBLOCK_COPY)
        return VT_OK;
    return vt_err_detail(VT_BAD_PLACE,
                         "%s is history %016" PRIx64 " of store %016" PRIx64 " and %s is history "
                         "%016" PRIx64 " of store %016" PRIx64 ": a copy mends the store that it "
                         "was made of",
                         repair->from->dir, from->history, from->store, repair->to->dir,
                         to->history, to->store);
}

/* Without its superblock a store says by its manifest which it is. */
static vt_err
superblock_from_copy(struct repair *repair)
{
    struct store *to = repair->to;
    uint64_t newest = manifest_get(repair->from->manifest)->start;

    to->superblock = repair->from->superblock;
    to->superblock.flags ^= SUPERBLOCK_COPY;
    vt_err err = store_open_manifest(to);

    if (err != VT_OK)
        return err;
    uint64_t start = manifest_get(to->manifest)->start;

    if (start < newest || start - newest > STARTS_APART_MAX)
        return vt_err_detail(VT_BAD_PLACE,
                             "the manifest of %s is of start %" PRIu64 ", that of %s of %" PRIu64
                             ": it is no copy of this history",
                             to->dir, start, repair->from->dir, newest);
    return store_heal_superblock(to);
}

static vt_err
superblock_mend(struct repair *repair)
{
    struct store *to = repair->to;
    char path[STORE_PATH_BYTES];
    char text[256];

    store_path(to, "store", path);
    vt_err err = superblock_read(repair->io, path, &to->superblock_bad, &to->superblock);

    repair->result.files++;
    if (err == VT_NOT_FOUND && !store_name_exists(to, "manifest-0") &&
        !store_name_exists(to, "manifest-1"))
        return vt_err_detail(err, "there is no store in %s", to->dir);
    if (err != VT_OK && !is_damage(err))
        return err;
    if (err == VT_OK && to->superblock_bad == 0)
        return check_history(repair);
    if (err == VT_OK) {
        err = check_history(repair);
        if (err == VT_OK)
            err = store_heal_superblock(to);
        if (err == VT_OK)
            tell(repair, REPAIR_DONE, path, VT_DAMAGED);
        return err;
    }
    (void)snprintf(text, sizeof text, "%s", vt_err_last());
    vt_err_clear();
    vt_err mended = superblock_from_copy(repair);

    if (mended != VT_OK)
        return mended;
    (void)vt_err_detail(err, "%s", text[0] != '\0' ? text : vt_err_text(err));
    tell(repair, REPAIR_DONE, path, err);
    return VT_OK;
}

/* ---- manifest */

/* One copy from the other: only where nobody else appends to them. */
static vt_err
manifest_mend(struct repair *repair)
{
    struct store *to = repair->to;
    char path[STORE_PATH_BYTES];
    vt_err err = store_open_manifest(to);

    repair->result.files += 2;
    store_path(to, (to->manifest_bad & 1) != 0 ? "manifest-0" : "manifest-1", path);
    if (err != VT_OK)
        return err;
    if (to->manifest_bad == 0)
        return VT_OK;
    err = store_try_lock(to);
    if (err == VT_LOCKED) {
        vt_err_clear();
        (void)vt_err_detail(err,
                            "%s is damaged; its other copy is not, and the next start of the "
                            "daemon writes both anew",
                            path);
        tell(repair, REPAIR_NOT_POSSIBLE, path, err);
        return VT_OK;
    }
    if (err == VT_OK) /* it may have been healed before the lock was ours */
        err = store_open_manifest(to);
    if (err == VT_OK)
        err = manifest_replace(to->manifest, manifest_get(to->manifest));
    if (err == VT_OK)
        tell(repair, REPAIR_DONE, path, VT_DAMAGED);
    return err;
}

/* ---- segments */

/* A daemon may have merged a segment away since the manifest was read. */
static vt_err
is_named(struct repair *repair, const struct manifest_segment *segment, bool *out_named)
{
    struct manifest *manifest = NULL;
    vt_err err =
        manifest_open(repair->io, repair->to->dir, repair->to->superblock.store, &manifest);

    if (err != VT_OK)
        return err;
    const struct manifest_state *state = manifest_get(manifest);
    bool named = false;

    for (uint32_t i = 0; i < state->segment_count; i++)
        named = named || copy_segment_equal(&state->segments[i], segment);
    manifest_close(manifest);
    *out_named = named;
    return VT_OK;
}

static vt_err
segment_put(struct repair *repair, const struct manifest_segment *segment, const char *path)
{
    char from[STORE_PATH_BYTES];
    char dir[STORE_PATH_BYTES];
    const struct copy_file file = {repair->io, from, path};
    bool named = true;

    copy_segment_path(repair->from, segment, from);
    store_path(repair->to, "segments", dir);
    vt_err err = copy_segment(&file, segment, repair->to->superblock.store);

    if (err == VT_NOT_FOUND)
        return vt_err_detail(err, "%s is damaged, and the copy does not have it", path);
    if (err == VT_OK)
        err = io_sync_dir(repair->io, dir);
    if (err == VT_OK)
        err = is_named(repair, segment, &named);
    if (err == VT_OK && !named)
        err = io_unlink(repair->io, path);
    return err;
}

static vt_err
segment_mend(struct repair *repair, const struct manifest_segment *segment)
{
    char path[STORE_PATH_BYTES];
    char text[512];
    bool named = true;
    vt_err wrong;

    copy_segment_path(repair->to, segment, path);
    repair->result.files++;
    repair->result.bytes += segment->file_bytes;
    wrong = copy_segment_check(repair->io, path, segment, repair->to->superblock.store);
    if (wrong == VT_OK)
        return VT_OK;
    if (!is_damage(wrong))
        return wrong;
    (void)snprintf(text, sizeof text, "%s", vt_err_last());
    vt_err_clear();
    vt_err err = is_named(repair, segment, &named);

    if (err != VT_OK || !named)
        return err;
    err = segment_put(repair, segment, path);
    if (err == VT_OK) {
        (void)vt_err_detail(wrong, "%s", text[0] != '\0' ? text : vt_err_text(wrong));
        tell(repair, REPAIR_DONE, path, wrong);
        return VT_OK;
    }
    if (!is_damage(err))
        return err;
    tell(repair, REPAIR_NOT_POSSIBLE, path, err);
    return VT_OK;
}

static vt_err
segments_mend(struct repair *repair)
{
    const struct manifest_state *state = manifest_get(repair->to->manifest);
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < state->segment_count; i++)
        err = segment_mend(repair, &state->segments[i]);
    return err;
}

/* ---- all */

static vt_err
copy_read(struct repair *repair)
{
    struct store *from = repair->from;
    char path[STORE_PATH_BYTES];

    store_path(from, "store", path);
    vt_err err = superblock_read(repair->io, path, &from->superblock_bad, &from->superblock);

    if (err == VT_NOT_FOUND)
        return vt_err_detail(err, "there is no copy in %s", from->dir);
    return err == VT_OK ? store_open_manifest(from) : err;
}

vt_err
repair_run(struct io *io, const struct repair_options *options, struct repair_result *out_result)
{
    struct repair repair = {.io = io, .options = options};
    vt_err err = copy_store_new(io, options->from, &repair.from);

    VT_ASSERT(options->news != NULL);
    if (err == VT_OK)
        err = copy_store_new(io, options->dir, &repair.to);
    if (err == VT_OK)
        err = copy_read(&repair);
    if (err == VT_OK)
        err = superblock_mend(&repair);
    if (err == VT_OK)
        err = manifest_mend(&repair);
    if (err == VT_OK)
        err = segments_mend(&repair);
    if (err == VT_OK)
        *out_result = repair.result;
    store_close(repair.from);
    store_close(repair.to);
    return err;
}

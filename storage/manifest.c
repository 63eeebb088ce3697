/*
 * manifest.c - the two files behind manifest.h: reading and choosing, appending, writing anew.
 */
#include "manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_format.h"
#include "venturi/assert.h"

#define COPY_COUNT     2U
#define FILE_BYTES_MAX (UINT64_C(4) << 30)
#define PATH_BYTES     512
/* Written anew when a file is larger than this and than eight times what lives in it. */
#define REWRITE_BYTES_MIN (UINT64_C(4) << 20)

struct manifest {
    struct io *io;
    char dir[256];
    uint64_t store;
    struct manifest_state state;
    struct io_file *files[COPY_COUNT]; /* open for appending; NULL until the first rewrite */
    uint64_t end;                      /* of both files */
    uint64_t live_bytes;               /* of the snapshot at their start */
    uint64_t sequence_used;            /* no later edit may have it */
    uint32_t bad_copies;
    uint32_t short_copies;
    uint64_t good_bytes[COPY_COUNT];  /* as found at open */
    uint32_t last_checks[COPY_COUNT]; /* of the last edit of each file */
    bool rewrite;                     /* the files are not known to be equal: write both anew */
    bool broken;                      /* the files hold what memory does not */
};

static void
path_of(const struct manifest *manifest, uint32_t copy, const char *suffix, char out[PATH_BYTES])
{
    int size = snprintf(out, PATH_BYTES, "%s/manifest-%u%s", manifest->dir, copy, suffix);

    VT_ASSERT(size > 0 && size < PATH_BYTES);
}

/* *out_data is malloc's, of *out_bytes. */
static vt_err
read_whole(struct io_file *file, uint8_t **out_data, uint64_t *out_bytes)
{
    uint64_t size;
    vt_err err = io_size(file, &size);

    if (err != VT_OK)
        return err;
    if (size > FILE_BYTES_MAX)
        return VT_TOO_LARGE;
    uint8_t *data = malloc(size + 1);

    if (data == NULL)
        return VT_NOMEM;
    err = size > 0 ? io_read_at(file, data, size, 0) : VT_OK;
    if (err != VT_OK) {
        free(data);
        /* It shrank: the daemon never does that to an open file. */
        return err == VT_END ? VT_DAMAGED : err;
    }
    *out_data = data;
    *out_bytes = size;
    return VT_OK;
}

/* A file that is not there folds to nothing. */
static vt_err
fold_copy(const struct manifest *manifest, uint32_t copy, struct manifest_fold *out_fold)
{
    char path[PATH_BYTES];
    struct io_file *file;
    uint8_t *data;
    uint64_t bytes;

    path_of(manifest, copy, "", path);
    vt_err err = io_open(manifest->io, path, IO_OPEN_READ, &file);

    if (err == VT_NOT_FOUND) {
        *out_fold = (struct manifest_fold){0};
        return VT_OK;
    }
    if (err != VT_OK)
        return err;
    err = read_whole(file, &data, &bytes);
    io_close_file(file);
    if (err != VT_OK)
        return err;
    err = manifest_fold_file((struct vt_bytes){data, bytes}, manifest->store, copy, out_fold);
    free(data);
    return err == VT_BAD_VERSION ? vt_err_detail(err, "%s is of a newer version", path) : err;
}

static uint64_t
sequence_of(const struct manifest_fold *fold)
{
    return fold->any ? fold->state.sequence : 0;
}

/* Which copy holds, by the rule in manifest.h. */
static vt_err
choose(struct manifest *manifest, struct manifest_fold folds[COPY_COUNT])
{
    uint64_t first = sequence_of(&folds[0]);
    uint64_t second = sequence_of(&folds[1]);
    uint32_t best = first >= second ? 0 : 1;
    uint64_t top = sequence_of(&folds[best]);
    bool both_torn = first == second && folds[0].torn && folds[1].torn;

    if (!folds[best].any || folds[0].beyond > top || folds[1].beyond > top || both_torn)
        return vt_err_detail(VT_DAMAGED,
                             "%s/manifest-0 at %" PRIu64 " and manifest-1 at %" PRIu64
                             ": neither copy is whole",
                             manifest->dir, folds[0].good_bytes, folds[1].good_bytes);
    /* Legal after a crash: copy 1 one edit behind, one of them torn at its end. */
    for (uint32_t i = 0; i < COPY_COUNT; i++)
        if (!folds[i].any || folds[i].beyond > 0)
            manifest->bad_copies |= 1U << i;
    if (best == 1)
        manifest->bad_copies |= 1U;
    for (uint32_t i = 0; i < COPY_COUNT; i++) {
        manifest->good_bytes[i] = folds[i].good_bytes;
        if (folds[i].torn || sequence_of(&folds[i]) != top)
            manifest->short_copies |= 1U << i;
    }
    manifest->short_copies |= manifest->bad_copies;
    manifest->sequence_used = top;
    manifest->state = folds[best].state;
    folds[best].state = (struct manifest_state){0};
    return VT_OK;
}

static vt_err
manifest_new(struct io *io, const char *dir, uint64_t store, struct manifest **out_manifest)
{
    struct manifest *manifest = calloc(1, sizeof *manifest);
    size_t size = strlen(dir);

    if (manifest == NULL)
        return VT_NOMEM;
    VT_ASSERT(size < sizeof manifest->dir);
    manifest->io = io;
    manifest->store = store;
    memcpy(manifest->dir, dir, size + 1);
    manifest->rewrite = true;
    *out_manifest = manifest;
    return VT_OK;
}

vt_err
manifest_open(struct io *io, const char *dir, uint64_t store, struct manifest **out_manifest)
{
    struct manifest_fold folds[COPY_COUNT] = {0};
    struct manifest *manifest = NULL;
    vt_err err = manifest_new(io, dir, store, &manifest);

    for (uint32_t i = 0; err == VT_OK && i < COPY_COUNT; i++)
        err = fold_copy(manifest, i, &folds[i]);
    if (err == VT_OK)
        err = choose(manifest, folds);
    for (uint32_t i = 0; i < COPY_COUNT; i++)
        manifest_state_deinit(&folds[i].state);
    if (err != VT_OK) {
        manifest_close(manifest);
        return err;
    }
    *out_manifest = manifest;
    return VT_OK;
}

static void
close_files(struct manifest *manifest)
{
    for (uint32_t i = 0; i < COPY_COUNT; i++) {
        io_close_file(manifest->files[i]);
        manifest->files[i] = NULL;
    }
}

void
manifest_close(struct manifest *manifest)
{
    if (manifest == NULL)
        return;
    close_files(manifest);
    manifest_state_deinit(&manifest->state);
    free(manifest);
}

const struct manifest_state *
manifest_get(const struct manifest *manifest)
{
    return &manifest->state;
}

uint32_t
manifest_bad_copies(const struct manifest *manifest)
{
    return manifest->bad_copies;
}

uint32_t
manifest_short_copies(const struct manifest *manifest, uint64_t out_ends[2])
{
    memcpy(out_ends, manifest->good_bytes, sizeof manifest->good_bytes);
    return manifest->short_copies;
}

/* One file with one snapshot, durable under its name; leaves it open for appending. */
static vt_err
write_copy(struct manifest *manifest, uint32_t copy, struct manifest_edit *edit)
{
    char fresh[PATH_BYTES];
    char path[PATH_BYTES];
    struct manifest_place place = {manifest->store, manifest->sequence_used, 0, copy, 0};
    struct io_file *file = NULL;

    path_of(manifest, copy, ".new", fresh);
    path_of(manifest, copy, "", path);
    manifest_edit_place(edit, &place);
    vt_err err = io_unlink(manifest->io, fresh);

    if (err != VT_OK && err != VT_NOT_FOUND)
        return err;
    err = io_open(manifest->io, fresh, IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (err == VT_OK)
        err = io_write_at(file, edit->data, edit->bytes, 0);
    if (err == VT_OK)
        err = io_sync(file);
    if (err == VT_OK)
        err = io_rename(manifest->io, fresh, path);
    if (err == VT_OK)
        err = io_sync_dir(manifest->io, manifest->dir);
    if (err != VT_OK) {
        io_close_file(file);
        /* On a full disk its space is wanted; where this fails the next try does it. */
        vt_err ignored = io_unlink(manifest->io, fresh);

        (void)ignored;
        return err;
    }
    manifest->files[copy] = file;
    manifest->last_checks[copy] = manifest_edit_check(edit);
    return VT_OK;
}

/* Writes both files anew from the state. */
static vt_err
rewrite(struct manifest *manifest)
{
    struct manifest_edit edit;
    vt_err err = manifest_encode_snapshot(&manifest->state, &edit);

    if (err != VT_OK)
        return err;
    close_files(manifest);
    manifest->rewrite = true;
    /* An edit that failed may be found at the next start; this number outranks it. */
    manifest->sequence_used += 2;
    for (uint32_t i = 0; err == VT_OK && i < COPY_COUNT; i++)
        err = write_copy(manifest, i, &edit);
    free(edit.data);
    if (err != VT_OK)
        return err;
    manifest->state.sequence = manifest->sequence_used;
    manifest->end = manifest->live_bytes = edit.bytes;
    manifest->rewrite = false;
    manifest->bad_copies = 0;
    return VT_OK;
}

/* Appends an edit to both files; consumes its memory. */
static vt_err
append(struct manifest *manifest, struct manifest_edit *edit)
{
    struct manifest_place place = {
        .store = manifest->store,
        .sequence = manifest->state.sequence + 1,
        .offset = manifest->end,
    };
    vt_err err = VT_OK;

    VT_ASSERT(!manifest->rewrite);
    VT_ASSERT(manifest->sequence_used == manifest->state.sequence);
    manifest->sequence_used = place.sequence;
    for (; err == VT_OK && place.copy < COPY_COUNT; place.copy++) {
        place.previous = manifest->last_checks[place.copy];
        manifest_edit_place(edit, &place);
        manifest->last_checks[place.copy] = manifest_edit_check(edit);
        err = io_write_at(manifest->files[place.copy], edit->data, edit->bytes, place.offset);
        if (err == VT_OK)
            err = io_sync(manifest->files[place.copy]);
    }
    free(edit->data);
    if (err != VT_OK) {
        manifest->rewrite = true;
        return err;
    }
    manifest->state.sequence = place.sequence;
    manifest->end += edit->bytes;
    return VT_OK;
}

static bool
should_rewrite(const struct manifest *manifest)
{
    return manifest->rewrite ||
           (manifest->end > REWRITE_BYTES_MIN && manifest->end / 8 > manifest->live_bytes);
}

vt_err
manifest_create(struct io *io, const char *dir, uint64_t store)
{
    struct manifest *manifest;
    vt_err err = manifest_new(io, dir, store, &manifest);

    if (err != VT_OK)
        return err;
    /* Commit 1 names the store's id as the check of the one before it. */
    manifest->state.sealed.check = store;
    manifest->state.follows_check = store;
    err = rewrite(manifest);
    manifest_close(manifest);
    return err;
}

vt_err
manifest_start(struct manifest *manifest, uint64_t start, uint64_t number, uint64_t check)
{
    struct manifest_state *state = &manifest->state;
    struct manifest_state before = *state;

    VT_ASSERT(start > state->start);
    VT_ASSERT(number >= state->sealed.number);
    state->start = start;
    state->follows_number = number;
    state->follows_check = check;
    state->known_number = number;
    vt_err err = rewrite(manifest);

    if (err != VT_OK)
        *state = before;
    return err;
}

/* Memory of its own for all that a state points to. */
static vt_err
state_copy(const struct manifest_state *from, struct manifest_state *out_to)
{
    struct manifest_state to = *from;

    to.segment_max = from->segment_count;
    to.segments = malloc((size_t)from->segment_count * sizeof to.segments[0] + 1);
    to.state = malloc(from->state_bytes + 1);
    if (to.segments == NULL || to.state == NULL) {
        manifest_state_deinit(&to);
        return VT_NOMEM;
    }
    if (from->segment_count > 0)
        memcpy(to.segments, from->segments, from->segment_count * sizeof to.segments[0]);
    if (from->state_bytes > 0)
        memcpy(to.state, from->state, from->state_bytes);
    *out_to = to;
    return VT_OK;
}

vt_err
manifest_replace(struct manifest *manifest, const struct manifest_state *state)
{
    struct manifest_state before = manifest->state;
    struct manifest_state after;
    vt_err err = state_copy(state, &after);

    if (err != VT_OK)
        return err;
    after.sequence = before.sequence;
    manifest->state = after;
    err = rewrite(manifest);
    if (err != VT_OK)
        manifest->state = before;
    manifest_state_deinit(err == VT_OK ? &before : &after);
    return err;
}

vt_err
manifest_seal(struct manifest *manifest, const struct manifest_seal *seal)
{
    struct manifest_edit edit;
    vt_err err;

    VT_ASSERT(seal->cut.number >= manifest->state.sealed.number);
    if (manifest->broken)
        return VT_BROKEN;
    if (should_rewrite(manifest)) {
        err = rewrite(manifest);
        if (err != VT_OK)
            return err;
    }
    err = manifest_encode_seal(seal, &edit);
    if (err != VT_OK)
        return err;
    err = append(manifest, &edit);
    if (err != VT_OK)
        return err;
    err = manifest_apply_seal(&manifest->state, seal);
    if (err != VT_OK)
        manifest->broken = true;
    return err;
}

vt_err
manifest_merge(struct manifest *manifest, const struct manifest_merge *merge)
{
    struct manifest_edit edit;
    vt_err err;

    if (manifest->broken)
        return VT_BROKEN;
    if (!manifest_state_has(&manifest->state, merge))
        return vt_err_detail(VT_INVALID, "a segment to remove is not part of the store");
    if (should_rewrite(manifest)) {
        err = rewrite(manifest);
        if (err != VT_OK)
            return err;
    }
    err = manifest_encode_merge(merge, &edit);
    if (err == VT_OK)
        err = append(manifest, &edit);
    if (err != VT_OK)
        return err;
    err = manifest_apply_merge(&manifest->state, merge);
    if (err != VT_OK)
        manifest->broken = true;
    return err;
}

vt_err
manifest_end(struct manifest *manifest, uint64_t number)
{
    struct manifest_edit edit;
    vt_err err;

    if (manifest->broken)
        return VT_BROKEN;
    if (manifest->rewrite) {
        err = rewrite(manifest);
        if (err != VT_OK)
            return err;
    }
    err = manifest_encode_end(number, &edit);
    if (err == VT_OK)
        err = append(manifest, &edit);
    if (err == VT_OK)
        manifest->state.known_number = number;
    return err;
}

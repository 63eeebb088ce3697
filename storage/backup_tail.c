/*
 * backup_tail.c - commits from the lanes of a store, which another process may be writing, into
 * those of its copy. See backup.h.
 *
 * The next commit of a lane begins where the one before it there ends, or at the lane's begin where
 * it did not fit: so following costs two reads of a block a commit, and no scan.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backup_internal.h"
#include "venturi/assert.h"

#define WINDOW_BYTES (UINT64_C(1) << 20)

static uint32_t
blocks_of(const struct commit_info *info)
{
    return commit_padded(info->bytes) / COMMIT_BLOCK_BYTES;
}

static struct commit_place
place_of(const struct chain_lanes *lanes, uint32_t lane, uint64_t offset)
{
    return (struct commit_place){
        .store = lanes->store,
        .lane_bytes = lanes->lane_bytes,
        .offset = offset,
        .lane = lane,
        .lane_count = lanes->lane_count,
        .commit_bytes_max = lanes->commit_bytes_max,
    };
}

/* --- the copy's side */

/* Whether a commit may be written at its place in the copy: nothing unsealed lies there. */
static bool
lane_fits(struct lane *lane, const struct commit_info *info)
{
    uint32_t block = (uint32_t)(info->offset / COMMIT_BLOCK_BYTES);
    uint32_t want;

    if (lane->extent_count == 0)
        lane->head = block;
    return lane_find(lane, blocks_of(info), &want) && want == block;
}

static void
lane_add(struct lane *lane, const struct commit_info *info)
{
    lane_take(lane, info->number, (uint32_t)(info->offset / COMMIT_BLOCK_BYTES), blocks_of(info));
}

vt_err
backup_tail_scan(struct backup *backup)
{
    struct store *copy = backup->copy;
    struct chain_base base = store_base(copy);

    chain_deinit(&copy->chain);
    vt_err err = chain_scan(&copy->lanes, &base, false, &copy->chain);

    /* What is damaged there comes again from the store. */
    if (err == VT_DAMAGED) {
        vt_err_clear();
        base.known_number = base.number;
        err = chain_scan(&copy->lanes, &base, false, &copy->chain);
    }
    for (uint32_t i = 0; err == VT_OK && i < copy->lanes.lane_count; i++) {
        lane_deinit(&backup->lanes[i]);
        err = lane_init(&backup->lanes[i], copy->lanes.lane_bytes);
        /* Another backup may have been killed before its sync. */
        if (err == VT_OK)
            err = io_sync(copy->lane_files[i]);
    }
    for (uint32_t i = 0; err == VT_OK && i < copy->chain.count; i++) {
        const struct commit_info *info = &copy->chain.commits[i];

        if (!lane_fits(&backup->lanes[info->lane], info))
            return vt_err_detail(
                VT_DAMAGED, "%s/lane-%02u at %" PRIu64 ": commit %" PRIu64 " lies over another",
                copy->dir, info->lane, info->offset, info->number);
        lane_add(&backup->lanes[info->lane], info);
    }
    return err;
}

vt_err
backup_tail_back(struct backup *backup, uint64_t number)
{
    struct store *copy = backup->copy;
    struct manifest_state state = *manifest_get(copy->manifest);
    vt_err err = VT_OK;

    VT_ASSERT(number >= state.sealed.number);
    if (copy->chain.last_number <= number)
        return VT_OK;
    if (state.known_number > number) {
        state.known_number = number;
        err = manifest_replace(copy->manifest, &state);
    }
    memset(backup->buffer, 0, COMMIT_BLOCK_BYTES);
    for (uint32_t i = 0; err == VT_OK && i < copy->chain.count; i++) {
        const struct commit_info *info = &copy->chain.commits[i];

        if (info->number > number)
            err = io_write_at(copy->lane_files[info->lane], backup->buffer, COMMIT_BLOCK_BYTES,
                              info->offset);
    }
    return err == VT_OK ? backup_tail_scan(backup) : err; /* which syncs the lanes */
}

void
backup_tail_release(struct backup *backup)
{
    const struct manifest_cut *sealed = &manifest_get(backup->copy->manifest)->sealed;
    struct chain *chain = &backup->copy->chain;

    for (uint32_t i = 0; i < backup->copy->lanes.lane_count; i++)
        lane_release(&backup->lanes[i], sealed->number);
    if (chain->last_number >= sealed->number)
        return;
    chain->last_number = sealed->number;
    chain->last_check = sealed->check;
    chain->last_start = sealed->start;
    chain->last_position = sealed->position;
    chain->last_arrival_us = sealed->arrival_us;
}

/* --- the store's side */

/* What a lane says about the place of its first commit behind `last`. */
struct head_search {
    uint64_t last;
    uint64_t newest; /* of those up to `last`: where it ends, the log goes on unless it was opened
                        since */
    bool found;      /* the wanted commit itself */
    bool beyond;     /* there are later ones */
    struct backup_head head;
};

/* A hint: nothing is checked but that the block is a commit's first. */
static void
head_see(struct head_search *search, uint32_t lane_count, const struct commit_head *first,
         uint64_t offset)
{
    uint64_t number = le64_get(first->number);

    if (number > search->last) {
        search->beyond = true;
        if (number - search->last <= lane_count) {
            search->found = true;
            search->head = (struct backup_head){offset, true};
        }
    } else if (number > search->newest && !search->found) {
        search->newest = number;
        search->head = (struct backup_head){offset + commit_padded(le32_get(first->bytes)), true};
    }
}

static vt_err
head_find(const struct chain_lanes *lanes, uint32_t lane, uint64_t last,
          struct backup_head *out_head)
{
    uint8_t *window = aligned_alloc(IO_ALIGN, WINDOW_BYTES);
    struct head_search search = {.last = last};
    vt_err err = window == NULL ? VT_NOMEM : VT_OK;

    for (uint64_t at = 0; err == VT_OK && at < lanes->lane_bytes; at += WINDOW_BYTES) {
        uint64_t left = lanes->lane_bytes - at;
        uint64_t size = left < WINDOW_BYTES ? left : WINDOW_BYTES;

        err = io_read_at(lanes->files[lane], window, size, at);
        for (uint64_t in = 0; err == VT_OK && in < size; in += COMMIT_BLOCK_BYTES) {
            const struct commit_head *first = (const struct commit_head *)(window + in);
            struct commit_place place = place_of(lanes, lane, at + in);

            if (commit_check_first(first, &place) == VT_OK)
                head_see(&search, lanes->lane_count, first, at + in);
        }
    }
    free(window);
    if (err != VT_OK)
        return err;
    /* The store went on and wrote over the place. */
    if (search.beyond && !search.found)
        return VT_AGAIN;
    *out_head = search.head;
    return VT_OK;
}

vt_err
backup_tail_begin(struct backup *backup, const struct chain *chain)
{
    const struct chain_lanes *lanes = &backup->from->lanes;
    uint64_t copied = backup->copy->chain.last_number;
    vt_err err = VT_OK;

    VT_ASSERT(copied >= chain->base.number);
    backup->ahead_count = 0;
    memset(backup->heads, 0, sizeof backup->heads);
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct commit_info *info = &chain->commits[i];

        if (info->number > copied && backup->ahead_count == BACKUP_AHEAD_MAX)
            break;
        backup->heads[info->lane] =
            (struct backup_head){info->offset + commit_padded(info->bytes), true};
        if (info->number > copied)
            backup->ahead[backup->ahead_count++] = *info;
    }
    for (uint32_t lane = 0; err == VT_OK && lane < lanes->lane_count; lane++)
        if (!backup->heads[lane].known)
            err = head_find(lanes, lane, copied, &backup->heads[lane]);
    return err;
}

/* The commit that was found last, or else the copy's. */
static struct commit_info
last_found(const struct backup *backup)
{
    const struct chain *chain = &backup->copy->chain;

    if (backup->ahead_count > 0)
        return backup->ahead[backup->ahead_count - 1];
    return (struct commit_info){
        .number = chain->last_number, .check = chain->last_check, .start = chain->last_start};
}

/* Whether the commit after `last` begins at an offset of its lane; its header alone is looked
 * at. */
static vt_err
next_at(struct backup *backup, const struct commit_info *last, uint64_t offset,
        struct commit_info *out_info)
{
    const struct chain_lanes *lanes = &backup->from->lanes;
    uint32_t lane = (uint32_t)((last->number + 1) % lanes->lane_count);
    struct commit_place place = place_of(lanes, lane, offset);
    const struct commit_head *head = (const struct commit_head *)backup->buffer;

    if (offset + COMMIT_BLOCK_BYTES > lanes->lane_bytes)
        return VT_NOT_FOUND;
    vt_err err = io_read_at(lanes->files[lane], backup->buffer, COMMIT_BLOCK_BYTES, offset);

    if (err != VT_OK)
        return err;
    if (commit_check_first(head, &place) != VT_OK || le64_get(head->number) != last->number + 1 ||
        le64_get(head->previous) != last->check || le64_get(head->start) < last->start)
        return VT_NOT_FOUND;
    *out_info = (struct commit_info){
        .number = last->number + 1,
        .start = le64_get(head->start),
        .check = le64_get(head->check),
        .first_position = le64_get(head->first_position),
        .arrival_us = (int64_t)le64_get(head->arrival_us),
        .event_count = le32_get(head->event_count),
        .bytes = le32_get(head->bytes),
        .lane = lane,
        .offset = offset,
    };
    return VT_OK;
}

vt_err
backup_tail_look(struct backup *backup)
{
    uint64_t start = manifest_get(backup->copy->manifest)->start;

    while (backup->ahead_count < BACKUP_AHEAD_MAX) {
        struct commit_info last = last_found(backup);
        struct backup_head *head =
            &backup->heads[(last.number + 1) % backup->from->lanes.lane_count];
        struct commit_info info;
        vt_err err = head->known ? next_at(backup, &last, head->offset, &info) : VT_NOT_FOUND;

        if (err == VT_NOT_FOUND)
            err = next_at(backup, &last, 0, &info);
        if (err == VT_NOT_FOUND)
            return VT_OK;
        if (err != VT_OK)
            return err;
        /* Of a start that the manifest did not have when it was looked at. */
        if (info.start > start) {
            backup->lost = true;
            return VT_OK;
        }
        *head = (struct backup_head){info.offset + commit_padded(info.bytes), true};
        backup->ahead[backup->ahead_count++] = info;
    }
    return VT_OK;
}

/* Makes what was written the copy's, for good. */
static vt_err
batch_finish(struct backup *backup, uint32_t lanes_written)
{
    struct store *copy = backup->copy;
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < copy->lanes.lane_count; i++)
        if ((lanes_written >> i & 1) != 0)
            err = io_sync(copy->lane_files[i]);
    if (err != VT_OK || lanes_written == 0)
        return err;
    if (++backup->notes < BACKUP_NOTES_MAX)
        return manifest_end(copy->manifest, copy->chain.last_number);
    struct manifest_state state = *manifest_get(copy->manifest);

    backup->notes = 0;
    state.known_number = copy->chain.last_number;
    return manifest_replace(copy->manifest, &state);
}

static void
commit_count(struct backup *backup, const struct commit_info *info)
{
    struct chain *chain = &backup->copy->chain;

    chain->last_number = info->number;
    chain->last_check = info->check;
    chain->last_start = info->start;
    chain->last_position = info->first_position + info->event_count - 1;
    chain->last_arrival_us = info->arrival_us;
    backup->state.commits++;
    backup->state.commit_bytes += info->bytes;
}

vt_err
backup_tail_copy(struct backup *backup)
{
    struct store *copy = backup->copy;
    uint32_t lanes_written = 0;
    uint64_t bytes = 0;
    uint32_t done = 0;
    vt_err err = VT_OK;

    for (; err == VT_OK && done < backup->ahead_count && bytes < BACKUP_BATCH_BYTES; done++) {
        const struct commit_info *info = &backup->ahead[done];
        struct lane *lane = &backup->lanes[info->lane];

        /* No room: the store has sealed what lies there, and the copy does not know it yet. */
        if (!lane_fits(lane, info)) {
            backup->lost = true;
            break;
        }
        err = chain_read(&backup->from->lanes, info, backup->buffer);
        if (err == VT_OK)
            err = io_write_at(copy->lane_files[info->lane], backup->buffer,
                              commit_padded(info->bytes), info->offset);
        if (err != VT_OK)
            break;
        lane_add(lane, info);
        commit_count(backup, info);
        lanes_written |= 1U << info->lane;
        bytes += info->bytes;
    }
    /* It was written over meanwhile: so it is sealed. */
    if (err == VT_AGAIN) {
        backup->lost = true;
        err = VT_OK;
    }
    if (err == VT_OK)
        err = batch_finish(backup, lanes_written);
    backup->ahead_count -= done;
    memmove(backup->ahead, backup->ahead + done, backup->ahead_count * sizeof backup->ahead[0]);
    backup->state.more = backup->lost || backup->ahead_count > 0;
    return err;
}

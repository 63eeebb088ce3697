/*
 * core_space.c - what a disk that fills up may still be used for. What was taken must be sealed one
 * day, so the door shuts while that still fits: below an estimate of what sealing all that lies in
 * the lanes will write. The estimate need not be right. A seal that finds no space gets the store's
 * reserve, and one that finds too little even then waits in front of the others, until there is
 * more than it had.
 *
 * A merge begins only where its output fits beside all that. Nothing else is refused: lanes are
 * written in full beforehand, so commits already taken, ticks and the end mark need no space, and
 * readers none either.
 */
#include <inttypes.h>

#include "core_internal.h"
#include "venturi/assert.h"

/* Segments take about as much as their frames, measured 0.2 to 1.1; many meters on few fields take
 * more, and then the reserve has to do. */
#define SEALED_TIMES 2
/* For the blocks that a segment does not fill, and for names. */
#define SEGMENT_BYTES UINT64_C(16384)
/* For one edit and one new generation, in two copies each. */
#define STATE_TIMES 4
#define BASE_BYTES  (UINT64_C(1) << 20)
#define START_BYTES (UINT64_C(64) << 10)
/* The door opens again only where so much more is free, so that it does not swing. */
#define OPEN_BYTES (UINT64_C(1) << 20)
/* A quota and what the system keeps for itself do not show in the free bytes: a cut that waits is
 * tried again now and then although nothing seems to have changed. */
#define LOOKS_MAX 30

uint64_t
core_space_needed(const struct core *core)
{
    uint64_t taken = core->bytes_waiting + core->bytes_since_cut + core_open_bytes(core);

    return BASE_BYTES + core->partition_count * SEGMENT_BYTES +
           core->space.state_bytes * STATE_TIMES + taken * SEALED_TIMES;
}

bool
core_space_spare(const struct core *core, uint64_t bytes)
{
    const struct core_space *space = &core->space;

    return !space->full && !space->stalled &&
           space->free_bytes >
               core_space_needed(core) + OPEN_BYTES + core->options.cut_bytes + bytes;
}

static void
free_look(struct core *core)
{
    uint64_t bytes;

    /* Where the system does not say, what it said last holds: nothing that was taken hangs on
     * it. */
    if (store_free_bytes(core->options.store, core->options.io, &bytes) == VT_OK)
        core->space.free_bytes = bytes;
    else
        vt_err_clear();
}

/* Opens the door where all is well again. */
static void
door_look(struct core *core)
{
    struct core_space *space = &core->space;
    uint64_t needed = core_space_needed(core);

    if (!space->full)
        space->full = space->stalled || space->free_bytes < needed;
    else
        space->full = space->stalled || !space->reserve ||
                      space->free_bytes < needed + OPEN_BYTES + core->options.cut_bytes / 8;
}

bool
core_reserve_take(struct core *core, struct io *io, uint64_t state_bytes)
{
    struct store *store = core->options.store;
    /* A new generation; a copy's predecessor goes when the copy is there. */
    uint64_t start_bytes =
        START_BYTES + 2 * (state_bytes + store_segment_count(store) * UINT64_C(64));
    vt_err err = store_reserve_take(store, io, STORE_RESERVE_START, start_bytes);

    if (err == VT_OK)
        err = store_reserve_take(store, io, STORE_RESERVE_SEAL, core->space.reserve_bytes);
    /* Whatever keeps it away: nothing is taken without. */
    vt_err_clear();
    return err == VT_OK;
}

static void
reserve_take(struct core *core)
{
    VT_ASSERT(!core->sealing);
    core->space.reserve = core_reserve_take(core, core->options.io, core->space.state_bytes);
    free_look(core);
}

void
core_space_open(struct core *core)
{
    struct core_space *space = &core->space;

    space->state_bytes = store_state(core->options.store).size;
    space->reserve_bytes = BASE_BYTES + core->options.cut_bytes;
    reserve_take(core);
    space->full = !space->reserve;
    door_look(core);
}

vt_err
core_space_check(struct core *core)
{
    struct core_space *space = &core->space;
    uint64_t needed = core_space_needed(core);

    if (!space->full && space->free_bytes < needed)
        space->full = true;
    if (!space->full || core->log == NULL)
        return VT_OK;
    if (space->stalled)
        return vt_err_detail(VT_DISK_FULL,
                             "the disk is full: what was taken cannot be sealed; %" PRIu64
                             " bytes are free, and nothing is taken until there are more",
                             space->free_bytes);
    return vt_err_detail(VT_DISK_FULL,
                         "the disk is full: of %" PRIu64 " free bytes %" PRIu64
                         " are kept for what was taken, and nothing is taken until there are more",
                         space->free_bytes, needed);
}

void
core_space_sealed(struct core *core, const struct cut *cut, vt_err err)
{
    struct core_space *space = &core->space;

    VT_ASSERT(err == VT_OK || err == VT_FULL);
    space->reserve = cut->reserve;
    space->stalled = err != VT_OK;
    space->looks = 0;
    free_look(core);
    if (space->stalled)
        space->stalled_bytes = space->free_bytes;
    else
        space->state_bytes = cut->state_bytes;
    if (!space->reserve)
        space->full = true;
    door_look(core);
}

void
core_look(struct core *core)
{
    struct core_space *space = &core->space;

    VT_ASSERT(core->magic == CORE_MAGIC);
    if (core->log == NULL || core->failed != VT_OK)
        return;
    free_look(core);
    if (core->sealing)
        return;
    if (!space->reserve && space->free_bytes > 0)
        reserve_take(core);
    if (space->stalled &&
        (space->free_bytes > space->stalled_bytes || ++space->looks >= LOOKS_MAX)) {
        space->looks = 0;
        core_seal_again(core);
    }
    door_look(core);
}

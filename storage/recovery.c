/*
 * recovery.c - scan of the lanes and linking of the chain; the rules stand in recovery.h.
 *
 * Every block is looked at, not only those where the last commit ends: after a crash the parts of
 * one torn commit and of older ones lie in any mixture.
 */
#include "recovery.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

/* Read at once; a commit is never longer than half of it. */
#define WINDOW_BYTES_MIN (UINT64_C(1) << 20)

/* What was found in all lanes: commits with a good header, numbers beyond the sealed one. */
struct findings {
    struct commit_info *infos;
    uint32_t count;
    uint32_t capacity;
    uint64_t sealed_number[STORE_LANES_MAX]; /* as in struct chain */
    uint64_t sealed_end[STORE_LANES_MAX];
};

static vt_err
add_finding(struct findings *findings, const struct commit_info *info)
{
    if (findings->count == findings->capacity) {
        uint32_t grown = findings->capacity == 0 ? 64 : findings->capacity * 2;
        void *infos = realloc(findings->infos, grown * sizeof findings->infos[0]);

        if (infos == NULL)
            return VT_NOMEM;
        findings->infos = infos;
        findings->capacity = grown;
    }
    findings->infos[findings->count++] = *info;
    return VT_OK;
}

/* A window on a lane that moves forward; offsets and lengths are whole blocks. */
struct window {
    struct io_file *file;
    uint8_t *data;
    uint64_t data_bytes_max;
    uint64_t lane_bytes;
    uint64_t from;
    uint64_t to;
};

/* Makes [offset, offset + bytes) readable at *out_data. */
static vt_err
window_get(struct window *window, uint64_t offset, uint64_t bytes, const uint8_t **out_data)
{
    VT_ASSERT(offset + bytes <= window->lane_bytes && bytes <= window->data_bytes_max);
    if (offset < window->from || offset + bytes > window->to) {
        uint64_t left = window->lane_bytes - offset;
        uint64_t want = left < window->data_bytes_max ? left : window->data_bytes_max;

        /* Nothing is readable until the read has succeeded. */
        window->from = window->to = 0;
        vt_err err = io_read_at(window->file, window->data, want, offset);

        if (err == VT_END)
            return VT_DAMAGED;
        if (err != VT_OK)
            return err;
        window->from = offset;
        window->to = offset + want;
    }
    *out_data = window->data + (offset - window->from);
    return VT_OK;
}

static vt_err
scan_block(struct window *window, const struct commit_place *place, uint64_t sealed,
           struct findings *findings)
{
    const uint8_t *data;
    struct commit_info info;
    vt_err err = window_get(window, place->offset, COMMIT_BLOCK_BYTES, &data);

    if (err != VT_OK)
        return err;
    const struct commit_head *head = (const struct commit_head *)data;

    if (commit_check_first(head, place) != VT_OK)
        return VT_OK;
    if (le64_get(head->number) <= sealed) {
        if (le64_get(head->number) > findings->sealed_number[place->lane]) {
            findings->sealed_number[place->lane] = le64_get(head->number);
            findings->sealed_end[place->lane] =
                place->offset + commit_padded(le32_get(head->bytes));
        }
        return VT_OK;
    }
    err = window_get(window, place->offset, commit_padded(le32_get(head->bytes)), &data);
    if (err != VT_OK)
        return err;
    /* Beside a running daemon the second read may see another commit: judge it from the start. */
    head = (const struct commit_head *)data;
    if (commit_check_first(head, place) != VT_OK || le64_get(head->number) <= sealed ||
        commit_padded(le32_get(head->bytes)) > window->to - place->offset)
        return VT_OK;
    if (commit_check(data, place, &info) != VT_OK)
        return VT_OK;
    return add_finding(findings, &info);
}

static vt_err
scan_lane(const struct chain_lanes *lanes, uint32_t lane, struct window *window, uint64_t sealed,
          struct findings *findings)
{
    struct commit_place place = {
        .store = lanes->store,
        .lane_bytes = lanes->lane_bytes,
        .lane = lane,
        .lane_count = lanes->lane_count,
        .commit_bytes_max = lanes->commit_bytes_max,
    };

    window->file = lanes->files[lane];
    window->from = window->to = 0;
    for (place.offset = 0; place.offset < lanes->lane_bytes; place.offset += COMMIT_BLOCK_BYTES) {
        vt_err err = scan_block(window, &place, sealed, findings);

        if (err == VT_DAMAGED)
            return vt_err_detail(err, "%s/lane-%02u is shorter than %" PRIu64 " bytes", lanes->dir,
                                 lane, lanes->lane_bytes);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

static vt_err
scan_lanes(const struct chain_lanes *lanes, uint64_t sealed, struct findings *findings)
{
    struct window window = {.lane_bytes = lanes->lane_bytes};
    vt_err err = VT_OK;

    window.data_bytes_max = (uint64_t)lanes->commit_bytes_max * 2;
    if (window.data_bytes_max < WINDOW_BYTES_MIN)
        window.data_bytes_max = WINDOW_BYTES_MIN;
    if (window.data_bytes_max > lanes->lane_bytes)
        window.data_bytes_max = lanes->lane_bytes;
    window.data = aligned_alloc(IO_ALIGN, window.data_bytes_max);
    if (window.data == NULL)
        return VT_NOMEM;
    for (uint32_t lane = 0; err == VT_OK && lane < lanes->lane_count; lane++)
        err = scan_lane(lanes, lane, &window, sealed, findings);
    free(window.data);
    return err;
}

/* By number, then the higher start first. */
static int
compare_infos(const void *left, const void *right)
{
    const struct commit_info *a = left;
    const struct commit_info *b = right;

    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    if (a->start != b->start)
        return a->start > b->start ? -1 : 1;
    return 0;
}

/* Whether `info` may follow the last of `chain`. */
static bool
may_follow(const struct chain *chain, const struct commit_info *info)
{
    if (!info->intact || info->number != chain->last_number + 1 ||
        info->previous != chain->last_check || info->start < chain->last_start)
        return false;
    /* Void: a newer start said that it follows an earlier commit. */
    if (info->start < chain->base.last_start && info->number > chain->base.follows_number)
        return false;
    if (info->start == chain->last_start)
        return true;
    return info->has_start && info->follows_number == chain->last_number &&
           info->follows_check == chain->last_check;
}

static vt_err
append(struct chain *chain, const struct chain_lanes *lanes, const struct commit_info *info)
{
    /* Header and chain are right, so these were written so: by no version of this program. */
    if (info->first_position != chain->last_position + 1 ||
        info->arrival_us < chain->last_arrival_us ||
        info->event_count > UINT64_MAX - chain->last_position - 1)
        return vt_err_detail(VT_DAMAGED,
                             "%s/lane-%02u at %" PRIu64 ": commit %" PRIu64
                             " goes back in position or time",
                             lanes->dir, info->lane, info->offset, info->number);
    chain->commits[chain->count++] = *info;
    chain->last_number = info->number;
    chain->last_check = info->check;
    chain->last_start = info->start;
    chain->last_position += info->event_count;
    chain->last_arrival_us = info->arrival_us;
    return VT_OK;
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The greatest number that a commit, valid or void, shows to have been durable. */
static uint64_t
proven_by(const struct commit_info *info, uint32_t lane_count)
{
    uint64_t proven = larger(info->durable, info->has_start ? info->follows_number : 0);

    return larger(proven, info->number > lane_count ? info->number - lane_count : 0);
}

static vt_err
link_chain(const struct chain_lanes *lanes, const struct findings *findings, struct chain *chain)
{
    vt_err err;

    for (uint32_t i = 0; i < findings->count; i++) {
        const struct commit_info *info = &findings->infos[i];

        if (!chain->base.copy)
            chain->proven = larger(chain->proven, proven_by(info, lanes->lane_count));
        /* Sorted by number, so what fits comes in order and the higher start first. */
        if (!may_follow(chain, info)) {
            if (!info->intact && info->number == chain->last_number + 1 &&
                info->previous == chain->last_check)
                chain->broken = *info;
            continue;
        }
        err = append(chain, lanes, info);
        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

/* The commit that the newest start follows must be the one that it named. */
static vt_err
check_follows(const struct chain_lanes *lanes, const struct chain *chain)
{
    const struct chain_base *base = &chain->base;

    if (base->follows_number <= base->number || base->follows_number > chain->last_number)
        return VT_OK;
    const struct commit_info *info = &chain->commits[base->follows_number - base->number - 1];

    if (info->check == base->follows_check)
        return VT_OK;
    return vt_err_detail(VT_DAMAGED,
                         "%s/lane-%02u at %" PRIu64 ": commit %" PRIu64
                         " is not the one that the last start followed",
                         lanes->dir, info->lane, info->offset, info->number);
}

vt_err
chain_missing(const struct chain *chain, const struct chain_lanes *lanes)
{
    uint64_t number = chain->last_number + 1;
    uint32_t lane = (uint32_t)(number % lanes->lane_count);
    uint64_t offset = 0;

    /* It was written where the one before it in its lane ends, as far as that one is known. */
    if (number > lanes->lane_count && chain->sealed_number[lane] == number - lanes->lane_count)
        offset = chain->sealed_end[lane] % lanes->lane_bytes;
    for (uint32_t i = chain->count; i > 0; i--) {
        const struct commit_info *info = &chain->commits[i - 1];

        if (info->lane == lane) {
            offset = (info->offset + commit_padded(info->bytes)) % lanes->lane_bytes;
            break;
        }
    }
    if (chain->broken.number == number)
        offset = chain->broken.offset;
    return vt_err_detail(VT_DAMAGED,
                         "%s/lane-%02u at %" PRIu64 ": commit %" PRIu64
                         " is missing or damaged, but commits up to %" PRIu64 " were durable",
                         lanes->dir, lane, offset, number, chain->proven);
}

vt_err
chain_scan(const struct chain_lanes *lanes, const struct chain_base *base, bool tolerate,
           struct chain *out_chain)
{
    struct findings findings = {.infos = NULL};
    struct chain chain = {
        .base = *base,
        .proven =
            base->copy ? base->known_number : larger(base->known_number, base->follows_number),
        .last_number = base->number,
        .last_check = base->check,
        .last_start = base->start,
        .last_position = base->position,
        .last_arrival_us = base->arrival_us,
    };
    vt_err err = scan_lanes(lanes, base->number, &findings);

    if (err != VT_OK)
        goto fail;
    memcpy(chain.sealed_number, findings.sealed_number, sizeof chain.sealed_number);
    memcpy(chain.sealed_end, findings.sealed_end, sizeof chain.sealed_end);
    err = VT_NOMEM;
    chain.commits = calloc((size_t)findings.count + 1, sizeof chain.commits[0]);
    if (chain.commits == NULL)
        goto fail;
    if (findings.count > 0)
        qsort(findings.infos, findings.count, sizeof findings.infos[0], compare_infos);
    err = link_chain(lanes, &findings, &chain);
    if (err == VT_OK)
        err = check_follows(lanes, &chain);
    if (err == VT_OK && !tolerate && chain.last_number < chain.proven)
        err = chain_missing(&chain, lanes);
    if (err != VT_OK)
        goto fail;
    free(findings.infos);
    *out_chain = chain;
    return VT_OK;

fail:
    free(findings.infos);
    chain_deinit(&chain);
    return err;
}

void
chain_deinit(struct chain *chain)
{
    free(chain->commits);
    chain->commits = NULL;
    chain->count = 0;
}

vt_err
chain_read(const struct chain_lanes *lanes, const struct commit_info *info, uint8_t *buffer)
{
    struct commit_place place = {
        .store = lanes->store,
        .lane_bytes = lanes->lane_bytes,
        .offset = info->offset,
        .lane = info->lane,
        .lane_count = lanes->lane_count,
        .commit_bytes_max = lanes->commit_bytes_max,
    };
    struct commit_info now;
    vt_err err =
        io_read_at(lanes->files[info->lane], buffer, commit_padded(info->bytes), info->offset);

    if (err != VT_OK)
        return err;
    const struct commit_head *head = (const struct commit_head *)buffer;

    if (commit_check_first(head, &place) != VT_OK || le32_get(head->bytes) != info->bytes ||
        commit_check(buffer, &place, &now) != VT_OK || now.check != info->check || !now.intact)
        return VT_AGAIN;
    return VT_OK;
}

vt_err
chain_settle(const struct chain *chain, const struct chain_lanes *lanes)
{
    uint8_t *buffer = aligned_alloc(IO_ALIGN, lanes->commit_bytes_max);
    vt_err err = VT_OK;

    if (buffer == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; err == VT_OK && i < chain->count; i++) {
        const struct commit_info *info = &chain->commits[i];

        if (info->number <= chain->proven)
            continue;
        err = chain_read(lanes, info, buffer);
        if (err == VT_AGAIN)
            err = vt_err_detail(VT_DAMAGED,
                                "%s/lane-%02u at %" PRIu64 ": commit %" PRIu64
                                " reads differently a second time",
                                lanes->dir, info->lane, info->offset, info->number);
        if (err == VT_OK)
            err = io_write_at(lanes->files[info->lane], buffer, commit_padded(info->bytes),
                              info->offset);
    }
    free(buffer);
    for (uint32_t i = 0; err == VT_OK && i < lanes->lane_count; i++)
        err = io_sync(lanes->files[i]);
    return err;
}

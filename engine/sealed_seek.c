/*
 * sealed_seek.c - many ids looked for in many segments at once, with many reads in flight. See
 * sealed.h.
 *
 * Segments are taken in waves, newest first: as many at a time as keep SEEK_READS reads in flight.
 * A wave reads the pages of keys, then those pages of ids whose keys are there: in one segment at
 * most, but for a key that two ids share. What was found is then fetched in the order of rows, so
 * that a block of rows is decoded once, however many of its rows are wanted.
 */
#include <stdlib.h>

#include "dedup.h"
#include "sealed_internal.h"
#include "venturi/assert.h"

#define SEEK_READS       256
#define SEEK_ARENA_BYTES (UINT64_C(1) << 20)

/* One id in one segment. */
struct probe {
    struct sealed_seek *seek;
    const struct sealed *sealed;
    struct sealed_id_place place;
};

struct wave {
    const struct sealed_search *search;
    struct arena arena; /* of pages */
    uint32_t count;
    struct probe probes[SEEK_READS];
    struct io_read reads[SEEK_READS];
};

/* Whether the run may have the key, by the first keys of its pages; which page then. */
static vt_err
probe_add(struct wave *wave, struct sealed_seek *seek, const struct sealed *sealed)
{
    const struct sealed_directory *directory = NULL;
    uint64_t key = dedup_key(seek->wanted->identity);
    vt_err err = sealed->identities == 0 ? VT_NOT_FOUND : sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err == VT_NOT_FOUND ? VT_OK : err;
    uint32_t page = sealed_id_guess(directory, key);

    if (directory->id_first[page] > (int64_t)key)
        return VT_OK;
    /* Its ids may go on in the next page: so rare that it is done by itself. */
    if (page + 1 < directory->id_page_count && directory->id_first[page + 1] <= (int64_t)key) {
        seek->alone = true;
        return VT_OK;
    }
    VT_ASSERT(wave->count < SEEK_READS);
    struct probe *probe = &wave->probes[wave->count];

    *probe = (struct probe){.seek = seek, .sealed = sealed, .place = {.page = page}};
    err = sealed_id_plan(sealed, &wave->arena, SEALED_ID_KEYS, page, &wave->reads[wave->count]);
    wave->count += err == VT_OK;
    return err;
}

/* Keeps the probes whose page of keys has the key, and plans their pages of ids. */
static vt_err
keys_judge(struct wave *wave)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < wave->count; i++) {
        struct probe probe = wave->probes[i];
        uint64_t key = dedup_key(probe.seek->wanted->identity);
        vt_err err =
            sealed_id_span(probe.sealed, probe.place.page, &wave->reads[i], key, &probe.place);

        if (err == VT_NOT_FOUND)
            continue;
        if (err == VT_OK)
            err = sealed_id_plan(probe.sealed, &wave->arena, SEALED_ID_IDS, probe.place.page,
                                 &wave->reads[kept]);
        if (err != VT_OK)
            return err;
        wave->probes[kept++] = probe;
    }
    wave->count = kept;
    return VT_OK;
}

static vt_err
ids_judge(struct wave *wave)
{
    for (uint32_t i = 0; i < wave->count; i++) {
        struct probe *probe = &wave->probes[i];
        vt_err err =
            sealed_id_row(probe->sealed, &probe->place, &wave->reads[i], probe->seek->wanted->id);

        if (err == VT_NOT_FOUND)
            continue;
        if (err != VT_OK)
            return err;
        /* Two of one key and id, of different sources: told apart one by one. */
        probe->seek->alone = probe->seek->alone || probe->seek->sealed != NULL;
        probe->seek->sealed = probe->sealed;
        probe->seek->row_number = probe->place.row;
    }
    return VT_OK;
}

static vt_err
wave_run(struct wave *wave)
{
    io_reader_read(wave->search->reader, wave->reads, wave->count);
    vt_err err = keys_judge(wave);

    if (err == VT_OK) {
        io_reader_read(wave->search->reader, wave->reads, wave->count);
        err = ids_judge(wave);
    }
    wave->count = 0;
    arena_reset(&wave->arena);
    return err;
}

/* All seeks that are open in segments first .. end - 1. */
static vt_err
waves_run(struct wave *wave, struct sealed_seek *seeks, uint32_t count, const uint32_t range[2])
{
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < count; i++) {
        bool open = seeks[i].sealed == NULL && !seeks[i].alone;

        for (uint32_t s = range[1]; err == VT_OK && open && s > range[0]; s--) {
            if (wave->count == SEEK_READS)
                err = wave_run(wave);
            if (err == VT_OK)
                err = probe_add(wave, &seeks[i], wave->search->sealed[s - 1]);
        }
    }
    return err == VT_OK ? wave_run(wave) : err;
}

static uint32_t
open_count(const struct sealed_seek *seeks, uint32_t count)
{
    uint32_t open = 0;

    for (uint32_t i = 0; i < count; i++)
        open += seeks[i].sealed == NULL && !seeks[i].alone;
    return open;
}

/* --- rows */

static int
by_row(const void *a, const void *b)
{
    const struct sealed_seek *x = *(const struct sealed_seek *const *)a;
    const struct sealed_seek *y = *(const struct sealed_seek *const *)b;

    if (x->sealed != y->sealed)
        return (uintptr_t)x->sealed < (uintptr_t)y->sealed ? -1 : 1;
    return x->row_number < y->row_number ? -1 : x->row_number > y->row_number;
}

/* Through all segments, one after the other: for what the many at once left open. */
static vt_err
find_alone(const struct sealed_search *search, struct sealed_seek *seek)
{
    vt_err err = VT_NOT_FOUND;

    for (uint32_t s = search->sealed_count; err == VT_NOT_FOUND && s > 0; s--)
        err = sealed_find(search->sealed[s - 1], seek->wanted, search->arena, &seek->row);
    seek->found = err == VT_OK;
    return err == VT_NOT_FOUND ? VT_OK : err;
}

static vt_err
rows_fetch(const struct sealed_search *search, struct sealed_seek *seeks, uint32_t count)
{
    struct sealed_seek **order =
        arena_alloc(search->arena, (count + 1u) * sizeof(struct sealed_seek *));
    struct arena blocks;
    uint32_t found = 0;
    vt_err err = VT_OK;

    if (order == NULL)
        return VT_NOMEM;
    arena_init(&blocks, SEEK_ARENA_BYTES);
    for (uint32_t i = 0; i < count; i++)
        if (seeks[i].sealed != NULL && !seeks[i].alone)
            order[found++] = &seeks[i];
    qsort(order, found, sizeof(struct sealed_seek *), by_row);
    struct sealed_row_cache cache = {.arena = &blocks, .rows = search->arena, .resets = true};

    for (uint32_t i = 0; err == VT_OK && i < found; i++) {
        struct sealed_seek *seek = order[i];

        err = sealed_fetch_row(seek->sealed, seek->wanted, seek->row_number, &cache, &seek->row);
        seek->found = err == VT_OK;
        if (err == VT_NOT_FOUND) {
            seek->alone = true;
            err = VT_OK;
        }
    }
    arena_deinit(&blocks);
    for (uint32_t i = 0; err == VT_OK && i < count; i++)
        if (seeks[i].alone)
            err = find_alone(search, &seeks[i]);
    return err;
}

vt_err
sealed_seek_many(const struct sealed_search *search, struct sealed_seek *seeks, uint32_t count)
{
    struct wave *wave = calloc(1, sizeof *wave);
    vt_err err = VT_OK;

    if (wave == NULL)
        return VT_NOMEM;
    wave->search = search;
    arena_init(&wave->arena, SEEK_ARENA_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        seeks[i].found = seeks[i].alone = false;
        seeks[i].sealed = NULL;
    }
    for (uint32_t end = search->sealed_count, open; err == VT_OK && end > 0;) {
        open = open_count(seeks, count);
        if (open == 0)
            break;
        uint32_t width = open < SEEK_READS ? SEEK_READS / open : 1;
        uint32_t range[2] = {end > width ? end - width : 0, end};

        err = waves_run(wave, seeks, count, range);
        end = range[0];
    }
    if (err == VT_OK)
        err = rows_fetch(search, seeks, count);
    arena_deinit(&wave->arena);
    free(wave);
    return err;
}

/*
 * epoch_identity.c - from the hash of an identity to the epoch's row that has it: open addressing
 * with linear probing, eight bytes a slot, at most half full. A slot holds a part of K as a filter;
 * whether a row is the one is told by its tenant, source and id themselves.
 */
#include <stdlib.h>

#include "epoch_private.h"
#include "venturi/assert.h"

#define MAP_SLOTS_FIRST 1024 /* a power of two */

/* 63: taken; 42..62: the upper bits of K's lower half; 26..41: type; 0..25: row */
#define SLOT_TAKEN    (UINT64_C(1) << 63)
#define SLOT_TAG_BITS 21
#define SLOT_ROW_BITS 26
#define SLOT_REF_BITS 42
_Static_assert(EPOCH_CHUNK_ROWS *EPOCH_CHUNKS_MAX <= 1 << SLOT_ROW_BITS, "a row fits a slot");

struct identity_map {
    uint64_t *slots;
    uint64_t mask;
    uint64_t count;
};

static uint64_t
slot_of(const struct vt_hash128 *k, row_ref row)
{
    uint64_t tag = k->lo >> (64 - SLOT_TAG_BITS);

    return SLOT_TAKEN | tag << SLOT_REF_BITS | (row >> 32) << SLOT_ROW_BITS | (uint32_t)row;
}

static row_ref
slot_row(uint64_t slot)
{
    uint64_t type = slot >> SLOT_ROW_BITS & UINT16_MAX;

    return type << 32 | (slot & ((UINT64_C(1) << SLOT_ROW_BITS) - 1));
}

vt_err
identity_map_open(struct identity_map **out_map)
{
    struct identity_map *map = calloc(1, sizeof *map);

    if (map == NULL)
        return VT_NOMEM;
    map->mask = MAP_SLOTS_FIRST - 1;
    map->slots = calloc(MAP_SLOTS_FIRST, sizeof *map->slots);
    if (map->slots == NULL) {
        free(map);
        return VT_NOMEM;
    }
    *out_map = map;
    return VT_OK;
}

void
identity_map_close(struct identity_map *map)
{
    if (map == NULL)
        return;
    free(map->slots);
    free(map);
}

static void
map_place(struct identity_map *map, const struct vt_hash128 *k, uint64_t slot)
{
    uint64_t at = k->lo & map->mask;

    while (map->slots[at] != 0)
        at = (at + 1) & map->mask;
    map->slots[at] = slot;
}

/* The owner's: what it wrote itself. */
static const struct vt_hash128 *
identities_of(const struct row_chunk *chunk)
{
    const struct vt_hash128 *identities =
        atomic_load_explicit(&chunk->identity, memory_order_relaxed);

    VT_ASSERT(identities != NULL);
    return identities;
}

static vt_err
map_grow(const struct epoch *epoch)
{
    struct identity_map *map = epoch->identities;
    struct identity_map grown = {.mask = map->mask * 2 + 1, .count = map->count};

    grown.slots = calloc(grown.mask + 1, sizeof *grown.slots);
    if (grown.slots == NULL)
        return VT_NOMEM;
    for (uint64_t i = 0; i <= map->mask; i++) {
        uint32_t at;

        if (map->slots[i] == 0)
            continue;
        const struct row_chunk *chunk = epoch_row_chunk(epoch, slot_row(map->slots[i]), &at);

        map_place(&grown, &identities_of(chunk)[at], map->slots[i]);
    }
    free(map->slots);
    *map = grown;
    return VT_OK;
}

vt_err
identity_map_add(struct epoch *epoch, const struct vt_hash128 *k, row_ref row)
{
    struct identity_map *map = epoch->identities;

    VT_ASSERT(row >> 32 <= UINT16_MAX);
    if (map->count * 2 > map->mask) {
        vt_err err = map_grow(epoch);

        if (err != VT_OK)
            return err;
    }
    map_place(map, k, slot_of(k, row));
    map->count++;
    return VT_OK;
}

void
epoch_prefetch(const struct epoch *epoch, const struct vt_hash128 *identity)
{
    __builtin_prefetch(&epoch->identities->slots[identity->lo & epoch->identities->mask], 1, 1);
}

static bool
row_is(const struct epoch *epoch, row_ref row, const struct row_wanted *wanted)
{
    uint32_t at;
    const struct row_chunk *chunk = epoch_row_chunk(epoch, row, &at);
    const struct vt_hash128 *identity = &identities_of(chunk)[at];
    struct row_id id = id_column_get(&chunk->id, at);

    return identity->hi == wanted->identity->hi && identity->lo == wanted->identity->lo &&
           vt_str_equal(epoch->catalog->tenants[chunk->tenant[at]].key, wanted->tenant) &&
           vt_str_equal(dict_string(epoch->dict, chunk->source[at]), wanted->source) &&
           row_id_compare(&id, wanted->id) == 0;
}

vt_err
epoch_find(const struct epoch *epoch, const struct row_wanted *wanted, row_ref *out_row)
{
    const struct identity_map *map = epoch->identities;
    uint64_t tag = slot_of(wanted->identity, 0);
    uint64_t at = wanted->identity->lo & map->mask;

    for (; map->slots[at] != 0; at = (at + 1) & map->mask) {
        row_ref row = slot_row(map->slots[at]);

        if (map->slots[at] >> SLOT_REF_BITS == tag >> SLOT_REF_BITS && row_is(epoch, row, wanted)) {
            *out_row = row;
            return VT_OK;
        }
    }
    return VT_NOT_FOUND;
}

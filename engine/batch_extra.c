/* batch_extra.c - what an event has beyond its type: kept with it, for a later catalog may declare
 * it. */
#include "batch_reader.h"
#include "venturi/assert.h"

#define PAIRS_BY_HAND 16 /* up to so many entries, comparing each with each is the fastest */

/* --- repeated keys */

static void
settle_by_hand(struct row_entries *entries)
{
    for (uint32_t i = 1; i < entries->count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (vt_str_equal(entries->at[k].key, entries->at[i].key))
                entries->at[k].dropped = true;
}

/* The same by a hash table from key to the last entry that had it. The hash is keyed: the keys are
 * the sender's. */
static vt_err
settle_by_table(struct batch_reader *reader, struct row_entries *entries)
{
    uint32_t size = PAIRS_BY_HAND;

    while (size < entries->count * 2)
        size *= 2;
    if (reader->table_size < size) {
        reader->table = arena_alloc(reader->arena, (uint64_t)size * sizeof *reader->table);
        if (reader->table == NULL)
            return VT_NOMEM;
        reader->table_size = size;
    }
    for (uint32_t i = 0; i < size; i++)
        reader->table[i] = CATALOG_NONE;
    for (uint32_t i = 0; i < entries->count; i++) {
        struct vt_str key = entries->at[i].key;
        uint32_t at =
            (uint32_t)vt_siphash(&reader->options->key, key.data, key.size).lo & (size - 1);

        while (reader->table[at] != CATALOG_NONE &&
               !vt_str_equal(entries->at[reader->table[at]].key, key))
            at = (at + 1) & (size - 1);
        if (reader->table[at] != CATALOG_NONE)
            entries->at[reader->table[at]].dropped = true;
        reader->table[at] = i;
    }
    return VT_OK;
}

vt_err
row_entries_settle(struct batch_reader *reader, struct row_entries *entries)
{
    if (entries->count > PAIRS_BY_HAND)
        return settle_by_table(reader, entries);
    settle_by_hand(entries);
    return VT_OK;
}

/* --- the map */

/* Pairs that are kept, and their bytes. Those of `props` only where the type does not declare
 * them. */
static uint32_t
pairs_count(const struct row_entries *entries, const struct catalog_type *type,
            uint64_t *inout_bytes)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < entries->count; i++) {
        struct row_entry *entry = &entries->at[i];

        if (type != NULL && catalog_type_slot(type, entry->key) != CATALOG_NONE)
            entry->dropped = true;
        if (entry->value.kind == MP_NIL)
            entry->dropped = true;
        if (entry->dropped)
            continue;
        count++;
        *inout_bytes += entry->pair.size;
    }
    return count;
}

static uint8_t *
pairs_put(uint8_t *at, const struct row_entries *entries)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        if (entries->at[i].dropped)
            continue;
        memcpy(at, entries->at[i].pair.data, entries->at[i].pair.size);
        at += entries->at[i].pair.size;
    }
    return at;
}

vt_err
batch_extra_rows(struct batch_reader *reader, uint32_t index, const struct catalog_type *type,
                 uint32_t undeclared)
{
    struct batch *batch = reader->batch;
    struct row_entries *props = &reader->event.props;
    struct row_entries *others = &reader->event.others;
    uint64_t bytes = UINT64_C(2) * MSGPACK_HEAD_BYTES + sizeof "props";
    vt_err err = VT_OK;

    if (undeclared > 0)
        err = row_entries_settle(reader, props);
    if (err == VT_OK)
        err = row_entries_settle(reader, others);
    if (err != VT_OK)
        return err;
    uint32_t prop_count = undeclared > 0 ? pairs_count(props, type, &bytes) : 0;
    uint32_t other_count = pairs_count(others, NULL, &bytes);

    if (prop_count + other_count == 0)
        return VT_OK;
    err = batch_extra_prepare(batch, reader->arena);
    if (err != VT_OK)
        return err;
    uint8_t *data = arena_alloc(reader->arena, bytes);

    if (data == NULL)
        return VT_NOMEM;
    uint8_t *at = msgpack_put_map(data, other_count + (prop_count > 0 ? 1 : 0));

    if (prop_count > 0) {
        at = msgpack_put_text(at, VT_STR("props"));
        at = msgpack_put_map(at, prop_count);
        at = pairs_put(at, props);
    }
    at = pairs_put(at, others);
    batch->extra[index] = (struct vt_bytes){data, (uint64_t)(at - data)};
    VT_ASSERT(batch->extra[index].size <= bytes);
    return VT_OK;
}

vt_err
batch_extra_prepare(struct batch *batch, struct arena *arena)
{
    if (batch->extra != NULL)
        return VT_OK;
    batch->extra = arena_zalloc(arena, (uint64_t)batch->event_count * sizeof *batch->extra);
    return batch->extra == NULL ? VT_NOMEM : VT_OK;
}

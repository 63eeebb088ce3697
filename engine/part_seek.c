/*
 * part_seek.c - the candidates of a slice that are in no epoch are looked for in the segments, all
 * of them together, before the first event of the slice is decided. See part_internal.h.
 *
 * That is in order, for segments do not change while a batch is applied: what stands there stood
 * there before the slice, whichever of its events asks. What an earlier event of the slice has
 * added is in the open epoch, which is asked first when the event is decided.
 */
#include "part_internal.h"

static struct row_wanted
wanted_of(const struct part *part, const struct batch *batch, uint32_t index,
          const struct vt_hash128 *k)
{
    return (struct row_wanted){
        .identity = k,
        .tenant = part->catalog->tenants[batch->tenant[index]].key,
        .source = batch->strings[batch->source[index]],
        .id = &batch->id[index],
    };
}

static bool
in_an_epoch(const struct part *part, const struct row_wanted *wanted)
{
    row_ref ref;
    bool found = epoch_find(part->epoch, wanted, &ref) == VT_OK;

    for (uint32_t i = part->frozen_count; !found && i > 0; i--)
        found = epoch_find(part->frozen[i - 1], wanted, &ref) == VT_OK;
    return found;
}

vt_err
part_seek(struct part *part, const struct batch *batch, const uint32_t *select, uint32_t count)
{
    struct part_slice *slice = part->slice;
    uint32_t candidates = 0;
    uint32_t asked = 0;

    for (uint32_t i = 0; i < count; i++) {
        slice->answer[i] = NULL;
        candidates += slice->candidate[i];
    }
    if (candidates == 0 || part->sealed_count == 0 || part->reader == NULL)
        return VT_OK;
    arena_reset(&slice->arena);
    struct row_wanted *wanted = arena_alloc(&slice->arena, candidates * sizeof *wanted);
    struct sealed_seek *seeks = arena_zalloc(&slice->arena, candidates * sizeof *seeks);

    if (wanted == NULL || seeks == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (!slice->candidate[i])
            continue;
        wanted[asked] = wanted_of(part, batch, select[i], &slice->ks[i]);
        if (in_an_epoch(part, &wanted[asked]))
            continue;
        seeks[asked].wanted = &wanted[asked];
        slice->answer[i] = &seeks[asked++];
    }
    struct sealed_search search = {
        .sealed_count = part->sealed_count,
        .sealed = part->sealed,
        .reader = part->reader,
        .arena = &slice->arena,
    };

    return asked == 0 ? VT_OK : sealed_seek_many(&search, seeks, asked);
}

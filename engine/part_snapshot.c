/* part_snapshot.c - what readers get of a partition between commits: references and counts, no
 * copies of rows. See part.h. */
#include <stdlib.h>

#include "part_internal.h"

static vt_err
snapshot_marks(struct part *part, struct part_snapshot *snapshot)
{
    snapshot->marks = calloc((uint64_t)part->frozen_count + 1, sizeof *snapshot->marks);
    if (snapshot->marks == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i <= part->frozen_count; i++) {
        struct epoch *epoch = i < part->frozen_count ? part->frozen[i] : part->epoch;
        vt_err err = epoch_mark_take(epoch, &snapshot->marks[i]);

        if (err != VT_OK)
            return err;
        snapshot->mark_count++;
    }
    return VT_OK;
}

static vt_err
snapshot_sealed(struct part *part, struct part_snapshot *snapshot)
{
    snapshot->sealed = calloc((uint64_t)part->sealed_count + 1, sizeof(struct sealed *));
    if (snapshot->sealed == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < part->sealed_count; i++)
        snapshot->sealed[snapshot->sealed_count++] = sealed_get(part->sealed[i]);
    return VT_OK;
}

static vt_err
snapshot_tenants(struct part *part, struct part_snapshot *snapshot)
{
    uint64_t count = part->rows.count;

    snapshot->tenants = calloc(count, sizeof *snapshot->tenants);
    snapshot->tenant_tallies = calloc(count, sizeof *snapshot->tenant_tallies);
    if (snapshot->tenants == NULL || snapshot->tenant_tallies == NULL)
        return VT_NOMEM;
    for (uint32_t row = 0; row < count; row++) {
        const struct tally_row *from = chunk_list_at(&part->rows, row);

        if (row == 0 && from->tally.received == 0)
            continue; /* no unknown tenant was ever seen */
        snapshot->tenants[snapshot->tenant_count] = from->name;
        snapshot->tenant_tallies[snapshot->tenant_count++] = from->tally;
    }
    return VT_OK;
}

vt_err
part_snapshot_take(struct part *part, bool want_tenants, struct part_snapshot *out_snapshot)
{
    struct part_snapshot snapshot = {.partition = part->partition, .tally = part->total};

    VT_ASSERT(!part->in_commit);
    vt_err err = snapshot_marks(part, &snapshot);

    if (err == VT_OK)
        err = snapshot_sealed(part, &snapshot);
    if (err == VT_OK && want_tenants)
        err = snapshot_tenants(part, &snapshot);
    if (err != VT_OK) {
        part_snapshot_put(&snapshot);
        return err;
    }
    *out_snapshot = snapshot;
    return VT_OK;
}

void
part_snapshot_put(struct part_snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->mark_count; i++)
        epoch_mark_put(&snapshot->marks[i]);
    for (uint32_t i = 0; i < snapshot->sealed_count; i++)
        sealed_put(snapshot->sealed[i]);
    free(snapshot->marks);
    free(snapshot->sealed);
    free(snapshot->tenants);
    free(snapshot->tenant_tallies);
    *snapshot = (struct part_snapshot){0};
}

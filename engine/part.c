/* part.c - see part.h. */
#include "part.h"

#include <stdlib.h>
#include <string.h>

#include "part_internal.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define PART_SCRATCH_BYTES (UINT64_C(64) << 10)

struct window_tick
part_tick(const struct part *part)
{
    VT_ASSERT(part->in_commit);
    return (struct window_tick){
        .number = part->meta.number,
        .position = part->meta.first_position - 1,
        .arrival_us = part->meta.arrival_us,
    };
}

struct window_history
part_history(const struct part *part)
{
    return (struct window_history){
        .sealed_count = part->sealed_count,
        .sealed = part->sealed,
        .frozen_count = part->frozen_count,
        .frozen = part->frozen,
        .open = part->epoch,
    };
}

static vt_err
part_epoch_open(struct part *part)
{
    struct epoch_options options = {
        .partition = part->partition,
        .catalog = part->catalog,
        .first_commit = part->meta.number + 1,
        .first_position = part->last_position + 1,
    };

    return epoch_open(&options, &part->epoch);
}

/* --- pointers to segments and epochs */

static vt_err
sealed_add(struct part *part, struct sealed *sealed)
{
    if (part->sealed_count == part->sealed_capacity) {
        uint32_t capacity = part->sealed_capacity * 2 + 8;
        struct sealed **grown = realloc(part->sealed, capacity * sizeof(struct sealed *));

        if (grown == NULL)
            return VT_NOMEM;
        part->sealed = grown;
        part->sealed_capacity = capacity;
    }
    part_guard(part, sealed);
    part->sealed[part->sealed_count++] = sealed_get(sealed);
    return VT_OK;
}

/* Takes the caller's reference. */
static vt_err
frozen_add(struct part *part, struct epoch *epoch)
{
    if (part->frozen_count == part->frozen_capacity) {
        uint32_t capacity = part->frozen_capacity * 2 + 4;
        struct epoch **grown = realloc(part->frozen, capacity * sizeof(struct epoch *));

        if (grown == NULL)
            return VT_NOMEM;
        part->frozen = grown;
        part->frozen_capacity = capacity;
    }
    part->frozen[part->frozen_count++] = epoch;
    return VT_OK;
}

/* --- life */

static vt_err
keys_fill(void *context, const uint64_t *keys, uint32_t count)
{
    return dedup_fill(context, keys, count);
}

static vt_err
part_load(struct part *part, const struct part_options *options)
{
    struct vt_bytes windows = {NULL, 0};
    uint64_t ids = 0;
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < options->sealed_count; i++) {
        err = sealed_add(part, options->sealed[i]);
        if (err == VT_OK)
            err = sealed_each_key(options->sealed[i], keys_fill, part->dedup);
        ids += sealed_identity_count(options->sealed[i]);
    }
    atomic_store_explicit(&part->ids_known, ids, memory_order_relaxed);
    if (err == VT_OK)
        err = part_state_load(part, options->state, &windows);
    if (err == VT_OK)
        err = part_open_entries(part);
    if (err == VT_OK)
        err = window_state_open(part->catalog, windows, &part->windows);
    return err;
}

vt_err
part_open(const struct part_options *options, struct part **out_part)
{
    struct part *part = calloc(1, sizeof *part);

    VT_ASSERT(options->catalog != NULL && options->dedup != NULL);
    VT_ASSERT(options->next_commit > 0 && options->next_position > 0);
    if (part == NULL)
        return VT_NOMEM;
    part->magic = PART_MAGIC;
    part->partition = options->partition;
    part->key = options->key;
    part->fence = options->fence;
    part->catalog = options->catalog;
    part->dedup = options->dedup;
    part->generation = 1;
    part->meta.number = options->next_commit - 1;
    part->meta.arrival_us = INT64_MIN;
    part->last_position = options->next_position - 1;
    part->rows.item_bytes = sizeof(struct tally_row);
    arena_init(&part->scratch, PART_SCRATCH_BYTES);
    vt_err err = VT_NOMEM;

    part->pending = calloc(1, sizeof *part->pending);
    part->slice = calloc(1, sizeof *part->slice);
    if (part->slice != NULL)
        arena_init(&part->slice->arena, PART_SCRATCH_BYTES);
    part->row_of = calloc((uint64_t)part->catalog->tenant_count + 1, sizeof *part->row_of);
    if (part->pending != NULL && part->slice != NULL && part->row_of != NULL &&
        chunk_list_add(&part->rows) != NULL)
        err = part_load(part, options);
    if (err == VT_OK && options->io != NULL)
        err = io_reader_open(options->io, PART_READS, &part->reader);
    if (err == VT_OK)
        err = part_epoch_open(part);
    if (err != VT_OK) {
        part_free(part);
        return err;
    }
    atomic_store_explicit(&part->due_us, window_state_due_us(part->windows), memory_order_relaxed);
    *out_part = part;
    return VT_OK;
}

void
part_free(struct part *part)
{
    if (part == NULL)
        return;
    VT_ASSERT(part->magic == PART_MAGIC);
    part->magic = 0;
    window_state_close(part->windows);
    epoch_put(part->epoch);
    for (uint32_t i = 0; i < part->frozen_count; i++)
        epoch_put(part->frozen[i]);
    free(part->frozen);
    for (uint32_t i = 0; i < part->sealed_count; i++)
        sealed_put(part->sealed[i]);
    free(part->sealed);
    chunk_list_deinit(&part->rows);
    free(part->row_of);
    free(part->open.entries);
    arena_deinit(&part->scratch);
    if (part->slice != NULL)
        arena_deinit(&part->slice->arena);
    free(part->slice);
    io_reader_close(part->reader);
    free(part->pending);
    free(part);
}

/* --- commits */

/* A tick is the first commit of a second of arrival time. */
static bool
is_tick(int64_t before_us, int64_t arrival_us)
{
    if (before_us == INT64_MIN)
        return true;
    return vt_floor_us(arrival_us, VT_US_PER_SECOND) > vt_floor_us(before_us, VT_US_PER_SECOND);
}

vt_err
part_begin(struct part *part, const struct commit_meta *commit)
{
    int64_t before_us = part->meta.arrival_us;

    VT_ASSERT(part->magic == PART_MAGIC);
    VT_ASSERT(!part->in_commit);
    VT_ASSERT(commit->number == part->meta.number + 1);
    VT_ASSERT(commit->first_position == part->last_position + 1);
    VT_ASSERT(commit->arrival_us >= before_us);
    part->meta = *commit;
    part->in_commit = true;
    if (!is_tick(before_us, commit->arrival_us) ||
        window_state_due_us(part->windows) > commit->arrival_us)
        return VT_OK;
    struct window_history history = part_history(part);
    struct window_tick tick = part_tick(part);

    part->generation++;
    return window_state_tick(part->windows, &history, &tick);
}

vt_err
part_count_resend(struct part *part, struct vt_str tenant, uint32_t count)
{
    uint32_t row;
    vt_err err = part_row(part, catalog_find_tenant(part->catalog, tenant), &row);

    VT_ASSERT(part->in_commit);
    if (err != VT_OK)
        return err;
    part_tally(part, row)->received += count;
    part_tally(part, row)->duplicates += count;
    part->total.received += count;
    part->total.duplicates += count;
    return VT_OK;
}

vt_err
part_close_windows(struct part *part, const struct close_order *order)
{
    struct window_history history = part_history(part);
    struct window_tick tick = part_tick(part);
    uint32_t tenant = CATALOG_NONE;

    if (order->tenant.size > 0) {
        tenant = catalog_find_tenant(part->catalog, order->tenant);
        if (tenant == CATALOG_NONE)
            return VT_OK; /* no such tenant has a window */
    }
    part->generation++;
    return window_state_close_before(part->windows, &history, &tick, tenant, order->before_us);
}

vt_err
part_end(struct part *part)
{
    VT_ASSERT(part->in_commit);
    VT_ASSERT(tally_holds(&part->total));
    VT_ASSERT(part->pending->count == 0);
    part->in_commit = false;
    part->last_position = part->meta.first_position + part->meta.event_count - 1;
    atomic_store_explicit(&part->due_us, window_state_due_us(part->windows), memory_order_relaxed);
    return VT_OK;
}

int64_t
part_due_us(const struct part *part)
{
    return atomic_load_explicit(&part->due_us, memory_order_relaxed);
}

/* --- cuts */

static vt_err
part_next_epoch(struct part *part, const struct catalog *next_catalog)
{
    vt_err err = VT_OK;

    if (next_catalog != part->catalog) {
        err = part_rows_rebind(part, next_catalog);
        if (err == VT_OK)
            err = window_state_catalog(part->windows, next_catalog);
        part->catalog = next_catalog;
    }
    if (err == VT_OK)
        err = part_epoch_open(part);
    if (err == VT_OK) /* a wider catalog may have made more due */
        atomic_store_explicit(&part->due_us, window_state_due_us(part->windows),
                              memory_order_relaxed);
    return err;
}

vt_err
part_cut(struct part *part, const struct catalog *next_catalog, struct epoch **out_epoch,
         struct vt_bytes *out_state)
{
    struct vt_bytes state = {NULL, 0};
    struct epoch_freeze_at at = {
        .commit = part->meta.number,
        .position = part->last_position,
        .arrival_us = part->meta.arrival_us,
    };

    VT_ASSERT(!part->in_commit);
    VT_ASSERT(next_catalog != NULL);
    vt_err err = part_state_save(part, &state);

    if (err != VT_OK)
        return err;
    err = frozen_add(part, part->epoch);
    if (err == VT_OK) {
        struct epoch *frozen = part->epoch;

        epoch_freeze(frozen, &at);
        part->epoch = NULL;
        err = part_next_epoch(part, next_catalog);
        if (err == VT_OK) {
            *out_epoch = epoch_get(frozen);
            *out_state = state;
            return VT_OK;
        }
    }
    part_bytes_free(state);
    return err;
}

vt_err
part_sealed(struct part *part, uint64_t cut, struct sealed *sealed)
{
    VT_ASSERT(part->frozen_count > 0);
    struct epoch *epoch = part->frozen[0];

    VT_ASSERT(epoch->last_commit == cut);
    VT_ASSERT(sealed != NULL || epoch_is_empty(epoch));
    if (sealed != NULL) {
        vt_err err = sealed_add(part, sealed);

        if (err != VT_OK)
            return err;
    }
    part->frozen_count--;
    memmove(part->frozen, part->frozen + 1, part->frozen_count * sizeof(struct epoch *));
    epoch_put(epoch);
    return VT_OK;
}

vt_err
part_merged(struct part *part, const struct segment_id *first, uint32_t count,
            struct sealed *merged)
{
    uint32_t at = 0;

    while (at < part->sealed_count && (sealed_id(part->sealed[at])->cut != first->cut ||
                                       sealed_id(part->sealed[at])->level != first->level))
        at++;
    VT_ASSERT(count >= 2 && at + count <= part->sealed_count);
    VT_ASSERT(sealed_id(part->sealed[at + count - 1])->cut == sealed_id(merged)->cut);
    VT_ASSERT(sealed_id(merged)->level == first->level + 1);
    part_guard(part, merged);
    for (uint32_t i = at; i < at + count; i++)
        sealed_put(part->sealed[i]);
    part->sealed[at] = sealed_get(merged);
    part->sealed_count -= count - 1;
    memmove(part->sealed + at + 1, part->sealed + at + count,
            (part->sealed_count - at - 1) * sizeof(struct sealed *));
    return VT_OK;
}

uint64_t
part_dedup_used(const struct part *part)
{
    return atomic_load_explicit(&part->ids_known, memory_order_relaxed);
}

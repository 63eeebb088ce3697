/*
 * part_settle.c - which exceptions and conflicts are open, and what retry and discard do with them.
 * See part.h for the rules, part_internal.h for the files.
 *
 * The list holds no content: a retry looks for that in the epochs, by position, and in one pass
 * over the exceptions of the segments.
 */
#include <stdlib.h>

#include "part_internal.h"

#define RETRY_ARENA_BYTES (UINT64_C(64) << 10)

/* --- the list */

vt_err
open_list_add(struct open_list *list, const struct open_entry *entry)
{
    VT_ASSERT(list->count == 0 || list->entries[list->count - 1].position < entry->position);
    if (list->count == list->capacity) {
        uint64_t capacity = (uint64_t)list->capacity * 2 + 64;
        struct open_entry *grown = NULL;

        if (capacity <= UINT32_MAX)
            grown = realloc(list->entries, capacity * sizeof *grown);
        if (grown == NULL)
            return VT_NOMEM;
        list->entries = grown;
        list->capacity = (uint32_t)capacity;
    }
    list->entries[list->count++] = *entry;
    return VT_OK;
}

/* The open entry of a position, or NULL. */
static struct open_entry *
open_list_find(const struct open_list *list, uint64_t position)
{
    uint32_t low = 0;
    uint32_t high = list->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (list->entries[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == list->count || list->entries[low].position != position)
        return NULL;
    return list->entries[low].settled ? NULL : &list->entries[low];
}

static void
open_list_settle(struct open_list *list, struct open_entry *entry)
{
    VT_ASSERT(!entry->settled);
    entry->settled = true;
    list->settled_count++;
}

/* Drops what is settled once that is half of it all; moves entries. */
static void
open_list_sweep(struct open_list *list)
{
    uint32_t kept = 0;

    if (list->settled_count * UINT64_C(2) < list->count)
        return;
    for (uint32_t i = 0; i < list->count; i++)
        if (!list->entries[i].settled)
            list->entries[kept++] = list->entries[i];
    list->count = kept;
    list->settled_count = 0;
}

/* --- at a start */

struct load_context {
    struct part *part;
    struct sealed *sealed;
    uint64_t exceptions; /* as the counters have them: open and discarded */
};

static vt_err
load_entry(void *context, const struct exception_entry *entry)
{
    struct load_context *load = context;
    struct open_list *list = &load->part->open;
    struct open_entry open = {.position = entry->position, .reason = entry->reason};

    if (entry->reason >= VT_REASON_COUNT ||
        (list->count > 0 && list->entries[list->count - 1].position >= entry->position))
        return vt_err_detail(VT_DAMAGED, "partition %u: exception at position %llu is out of order",
                             load->part->partition, (unsigned long long)entry->position);
    vt_err err = part_row_of_entry(load->part, sealed_catalog(load->sealed), entry, &open.row);

    if (err != VT_OK)
        return err;
    load->exceptions += entry->reason != VT_REASON_NONE;
    return open_list_add(list, &open);
}

static vt_err
load_settle(void *context, const struct settle_entry *settle)
{
    struct load_context *load = context;
    struct open_entry *entry = open_list_find(&load->part->open, settle->position);

    if (entry == NULL)
        return vt_err_detail(VT_DAMAGED, "partition %u: position %llu is settled but not open",
                             load->part->partition, (unsigned long long)settle->position);
    load->exceptions -= settle->kind != SETTLE_DISCARDED;
    open_list_settle(&load->part->open, entry);
    return VT_OK;
}

vt_err
part_open_entries(struct part *part)
{
    struct load_context load = {.part = part};
    vt_err err = VT_OK;

    for (uint32_t i = 0; err == VT_OK && i < part->sealed_count; i++) {
        load.sealed = part->sealed[i];
        /* Settles of a segment may be of its own exceptions, never of a later one's. */
        err = sealed_each_exception(load.sealed, load_entry, &load);
        if (err == VT_OK)
            err = sealed_each_settle(load.sealed, load_settle, &load);
        if (err == VT_OK)
            open_list_sweep(&part->open);
    }
    if (err == VT_OK && load.exceptions != part->total.exceptions)
        err = vt_err_detail(VT_DAMAGED, "partition %u: segments have %llu exceptions, state %llu",
                            part->partition, (unsigned long long)load.exceptions,
                            (unsigned long long)part->total.exceptions);
    return err;
}

/* --- what a retry reads */

struct retry_item {
    uint64_t position;
    uint32_t place; /* in the order */
    struct vt_bytes raw;
};

struct retry {
    struct part *part;
    const struct settle_order *order;
    struct arena arena; /* raw bytes of segments */
    uint32_t count;
    uint32_t found;
    struct retry_item *items;
    uint32_t settled;
};

/* Of one position the first place first. */
static int
item_by_position_and_place(const void *a, const void *b)
{
    const struct retry_item *x = a;
    const struct retry_item *y = b;

    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static int
item_by_position(const void *a, const void *b)
{
    const struct retry_item *x = a;
    const struct retry_item *y = b;

    return x->position < y->position ? -1 : x->position > y->position;
}

static int
item_by_place(const void *a, const void *b)
{
    const struct retry_item *x = a;
    const struct retry_item *y = b;

    return x->place < y->place ? -1 : x->place > y->place;
}

/* The entry of a position in an epoch, where positions ascend; NULL where it has none. */
static const struct exception_entry *
epoch_entry(const struct epoch *epoch, uint32_t count, uint64_t position)
{
    uint32_t low = 0;
    uint32_t high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (epoch_exception_at(epoch, middle)->position < position)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == count || epoch_exception_at(epoch, low)->position != position)
        return NULL;
    return epoch_exception_at(epoch, low);
}

static void
retry_read_epoch(struct retry *retry, const struct epoch *epoch)
{
    for (uint32_t i = 0; i < retry->count; i++) {
        struct retry_item *item = &retry->items[i];
        const struct exception_entry *entry =
            epoch_entry(epoch, epoch_exception_count(epoch), item->position);

        if (entry == NULL)
            continue;
        VT_ASSERT(item->raw.data == NULL);
        item->raw = entry->raw;
        retry->found++;
    }
}

static vt_err
retry_read_entry(void *context, const struct exception_entry *entry)
{
    struct retry *retry = context;
    struct retry_item wanted = {.position = entry->position};
    struct retry_item *item =
        bsearch(&wanted, retry->items, retry->count, sizeof wanted, item_by_position);

    if (item == NULL || item->raw.data != NULL)
        return VT_OK;
    struct vt_str text = {(const char *)entry->raw.data, (uint32_t)entry->raw.size};

    text = arena_copy(&retry->arena, text);
    if (text.data == NULL)
        return VT_NOMEM;
    item->raw = (struct vt_bytes){(const uint8_t *)text.data, text.size};
    retry->found++;
    return VT_OK;
}

/* Drops what an order names again. */
static void
retry_unique(struct retry *retry)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < retry->count; i++)
        if (kept == 0 || retry->items[kept - 1].position != retry->items[i].position)
            retry->items[kept++] = retry->items[i];
    retry->count = kept;
}

static vt_err
retry_read(struct retry *retry)
{
    struct part *part = retry->part;
    vt_err err = VT_OK;

    qsort(retry->items, retry->count, sizeof *retry->items, item_by_position_and_place);
    retry_unique(retry);
    retry_read_epoch(retry, part->epoch);
    for (uint32_t i = 0; i < part->frozen_count; i++)
        retry_read_epoch(retry, part->frozen[i]);
    for (uint32_t i = part->sealed_count; err == VT_OK && retry->found < retry->count && i > 0; i--)
        err = sealed_each_exception(part->sealed[i - 1], retry_read_entry, retry);
    if (err == VT_OK && retry->found < retry->count)
        err = vt_err_detail(VT_DAMAGED, "partition %u: %u of %u open exceptions have no content",
                            part->partition, retry->count - retry->found, retry->count);
    qsort(retry->items, retry->count, sizeof *retry->items, item_by_place);
    return err;
}

/* --- judging again */

/* The event leaves the counters of its exception and is counted as what it now is. */
static void
tally_move(struct part *part, const struct open_entry *entry, uint32_t row, uint8_t verdict)
{
    struct tally *from[2] = {part_tally(part, entry->row), &part->total};
    struct tally *to[2] = {part_tally(part, row), &part->total};

    for (uint32_t i = 0; i < 2; i++) {
        VT_ASSERT(from[i]->by_reason[entry->reason] > 0);
        from[i]->received--;
        from[i]->exceptions--;
        from[i]->by_reason[entry->reason]--;
        to[i]->received++;
        to[i]->accepted += verdict == VT_ACCEPTED;
        to[i]->duplicates += verdict != VT_ACCEPTED;
        to[i]->conflicts += verdict == VT_CONFLICT;
    }
}

static vt_err
settle_add(struct part *part, struct open_entry *entry, const struct settle_order *order,
           enum settle_kind kind)
{
    struct settle_entry settle = {
        .position = entry->position, .at_position = order->first_position, .kind = (uint8_t)kind};

    open_list_settle(&part->open, entry);
    return epoch_add_settle(part->epoch, &settle);
}

static vt_err
retry_take(struct retry *retry, const struct retry_item *item, const struct batch *batch)
{
    struct part *part = retry->part;
    struct vt_hash128 k = {0, 0};
    uint8_t verdict = VT_EXCEPTION;
    uint32_t row;
    vt_err err = part_row(part, batch->tenant[0], &row);

    if (err == VT_OK)
        err = epoch_batch_begin(part->epoch, batch);
    if (err != VT_OK)
        return err;
    if (batch->id[0].kind != ROW_ID_SEQUENCE)
        k = batch_identity(&part->key, part->catalog->tenants[batch->tenant[0]].key,
                           batch->strings[batch->source[0]], &batch->id[0]);
    struct part_event event = {.batch = batch, .k = &k};

    err = part_claim(part, &event, &event.candidate);
    if (err == VT_OK)
        err = part_take(part, &event, &verdict);
    if (err == VT_OK)
        err = part_flush(part, batch);
    if (err != VT_OK)
        return err;
    /* Looked for again: a conflict has made the list longer. */
    struct open_entry *entry = open_list_find(&part->open, item->position);

    VT_ASSERT(entry != NULL);
    tally_move(part, entry, row, verdict);
    retry->settled++;
    return settle_add(part, entry, retry->order,
                      verdict == VT_ACCEPTED ? SETTLE_ACCEPTED : SETTLE_DUPLICATE);
}

static vt_err
retry_judge(struct retry *retry, const struct retry_item *item, struct arena *arena)
{
    struct part *part = retry->part;
    struct batch_options options = {
        .catalog = part->catalog,
        .key = part->key,
        .partition_count = 1,
        .allow_reserved_source = true,
    };
    struct batch_frame frame = {
        .type = VT_FRAME_BATCH_ROWS, .event_count = 1, .payload = item->raw};
    struct batch *batch = NULL;

    vt_err err = batch_decode(arena, &options, &frame, &batch);

    if (err != VT_OK)
        return err;
    batch->first_position = retry->order->first_position + item->place;
    batch->arrival_us = part->meta.arrival_us;
    batch->number = part->meta.number;
    if (batch->reason[0] == VT_REASON_NONE)
        batch->reason[0] = part_judge_time(part, batch, 0);
    if (batch->reason[0] != VT_REASON_NONE)
        return VT_OK; /* still an exception: everything stays */
    return retry_take(retry, item, batch);
}

static vt_err
retry_run(struct retry *retry)
{
    struct arena arena;
    vt_err err = retry_read(retry);

    arena_init(&arena, RETRY_ARENA_BYTES);
    for (uint32_t i = 0; err == VT_OK && i < retry->count; i++) {
        arena_reset(&arena);
        err = retry_judge(retry, &retry->items[i], &arena);
    }
    arena_deinit(&arena);
    return err;
}

vt_err
part_retry(struct part *part, const struct settle_order *order, uint32_t *out_settled)
{
    struct retry retry = {.part = part, .order = order};

    VT_ASSERT(part->in_commit);
    retry.items = calloc((uint64_t)order->count + 1, sizeof *retry.items);
    if (retry.items == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < order->count; i++) {
        uint64_t position = le64_get(order->positions[i]);
        const struct open_entry *entry = open_list_find(&part->open, position);

        if (entry != NULL && entry->reason != VT_REASON_NONE &&
            entry->reason != VT_REASON_MALFORMED)
            retry.items[retry.count++] = (struct retry_item){.position = position, .place = i};
    }
    arena_init(&retry.arena, RETRY_ARENA_BYTES);
    vt_err err = retry_run(&retry);

    arena_deinit(&retry.arena);
    free(retry.items);
    open_list_sweep(&part->open);
    if (err == VT_OK)
        *out_settled = retry.settled;
    return err;
}

vt_err
part_discard(struct part *part, const struct settle_order *order, uint32_t *out_settled)
{
    uint32_t settled = 0;

    VT_ASSERT(part->in_commit);
    for (uint32_t i = 0; i < order->count; i++) {
        struct open_entry *entry = open_list_find(&part->open, le64_get(order->positions[i]));

        if (entry == NULL)
            continue;
        vt_err err = settle_add(part, entry, order, SETTLE_DISCARDED);

        if (err != VT_OK)
            return err;
        settled++;
    }
    open_list_sweep(&part->open);
    *out_settled = settled;
    return VT_OK;
}

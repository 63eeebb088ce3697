/* core_session.c - producer sessions: which sequences of which producer the log has. See
 * core_internal.h. */
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core_internal.h"
#include "venturi/assert.h"

uint64_t
core_frame_hash(const struct core_frame *frame)
{
    uint64_t hash = XXH3_64bits_withSeed(frame->payload.data, frame->payload.size,
                                         (uint64_t)frame->event_count << 8 | frame->frame_type);

    return hash == 0 ? 1 : hash; /* 0 says "merged" */
}

struct core_producer *
core_producer_at(struct core *core, uint64_t id)
{
    if (id == 0 || id > core->producer_count)
        return NULL;
    return &core->producers[id - 1];
}

bool
core_producer_names_events(const struct core_producer *producer)
{
    return producer != NULL && producer->name.data[0] != '!';
}

static uint64_t
producer_hash(uint64_t token_id, struct vt_str name)
{
    return XXH3_64bits_withSeed(name.data, name.size, token_id);
}

/* The id of a producer that is known, or 0. */
static uint64_t
producer_find(const struct core *core, uint64_t token_id, struct vt_str name)
{
    const struct ptr_table *names = &core->producer_names;
    uint64_t hash = producer_hash(token_id, name);
    const struct core_producer_name *known;

    for (uint64_t at = ptr_table_find(names, hash);
         (known = ptr_table_at(names, &at, hash)) != NULL; at = ptr_table_next(names, at))
        if (known->token_id == token_id &&
            vt_str_equal((struct vt_str){known->text, known->size}, name))
            return known->id;
    return 0;
}

vt_err
core_producer_add(struct core *core, uint64_t token_id, struct vt_str name, uint64_t *out_id)
{
    VT_ASSERT(core->producer_count <= core->producer_capacity);
    if (core->producer_count == CORE_PRODUCERS_MAX)
        return vt_err_detail(VT_FULL, "the store knows %u producers already", CORE_PRODUCERS_MAX);
    if (core->producer_count == core->producer_capacity) {
        uint64_t capacity = core->producer_capacity == 0 ? 16 : core->producer_capacity * 2;
        struct core_producer *grown = realloc(core->producers, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        core->producers = grown;
        core->producer_capacity = capacity;
    }
    struct core_producer_name *owner = malloc(sizeof *owner + name.size + 1u);

    if (owner == NULL || ptr_table_reserve(&core->producer_names) != VT_OK) {
        free(owner);
        return VT_NOMEM;
    }
    memcpy(owner->text, name.data, name.size);
    owner->text[name.size] = '\0';
    owner->size = name.size;
    owner->token_id = token_id;
    owner->id = core->producer_count + 1;
    ptr_table_put(&core->producer_names, producer_hash(token_id, name), owner);
    core->producers[core->producer_count] = (struct core_producer){
        .owner = owner,
        .token_id = token_id,
        .name = {owner->text, name.size},
        .epoch = 0,
        .durable_next = 1,
    };
    core->producer_count++;
    *out_id = core->producer_count;
    return VT_OK;
}

void
core_producers_free(struct core *core)
{
    for (uint64_t i = 0; i < core->producer_count; i++) {
        free(core->producers[i].owner);
        free(core->producers[i].intervals);
    }
    free(core->producers);
    ptr_table_deinit(&core->producer_names);
    core->producers = NULL;
    core->producer_count = 0;
}

/* Index of the first interval that ends beyond `sequence`; interval_count where none does. */
static uint32_t
interval_find(const struct core_producer *producer, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = producer->interval_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (producer->intervals[middle].end > sequence)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

enum session_verdict
core_session_check(const struct core_producer *producer, uint64_t first, uint64_t end,
                   uint64_t hash)
{
    VT_ASSERT(first < end);
    uint32_t at = interval_find(producer, first);

    if (at == producer->interval_count || producer->intervals[at].first >= end)
        return SESSION_NEW;
    const struct core_interval *interval = &producer->intervals[at];

    if (interval->hash == 0)
        return first >= interval->first && end <= interval->end ? SESSION_RESEND : SESSION_OVERLAP;
    if (first == interval->first && end == interval->end && hash == interval->hash)
        return SESSION_RESEND;
    return SESSION_OVERLAP;
}

/* Joins neighbours among the `old` first into plain intervals: a resend from there is still
 * recognized as a resend, but its content is no longer compared. So only what lies below
 * durable_next is joined: a sender that goes on where a welcome says sends nothing new there. */
static void
intervals_merge(struct core_producer *producer, uint32_t old)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < producer->interval_count; i++) {
        struct core_interval interval = producer->intervals[i];

        if (i < old && interval.end <= producer->durable_next)
            interval.hash = 0;
        struct core_interval *before = kept == 0 ? NULL : &producer->intervals[kept - 1];

        if (before != NULL && interval.hash == 0 && before->hash == 0 &&
            before->end == interval.first)
            before->end = interval.end;
        else
            producer->intervals[kept++] = interval;
    }
    producer->interval_count = kept;
}

void
core_session_trim(struct core_producer *producer, uint32_t keep)
{
    if (producer->interval_count > keep)
        intervals_merge(producer, producer->interval_count - keep);
}

/* Moves durable_next over what follows it; nothing may be in flight. */
static void
durable_advance(struct core_producer *producer)
{
    VT_ASSERT(producer->in_flight == 0);
    for (uint32_t i = interval_find(producer, producer->durable_next);
         i < producer->interval_count && producer->intervals[i].first <= producer->durable_next;
         i++)
        producer->durable_next = producer->intervals[i].end;
}

vt_err
core_session_room(struct core_producer *producer)
{
    if (producer->interval_count < CORE_INTERVALS_MAX)
        return VT_OK;
    intervals_merge(producer, producer->interval_count / 2);
    if (producer->interval_count < CORE_INTERVALS_MAX)
        return VT_OK;
    if (producer->in_flight > 0)
        return VT_AGAIN;
    /* Thousands of frames came after a gap: what is missing in it was refused, and will not come
     * under its old numbers. wire.h says so. */
    producer->durable_next = producer->intervals[producer->interval_count / 2].end;
    durable_advance(producer);
    intervals_merge(producer, producer->interval_count / 2);
    if (producer->interval_count < CORE_INTERVALS_MAX)
        return VT_OK;
    return vt_err_detail(VT_BAD_SEQUENCE, "the session has over %u gaps: raise the epoch",
                         CORE_INTERVALS_MAX / 2);
}

vt_err
core_session_note(struct core_producer *producer, uint64_t epoch, uint64_t first, uint64_t end,
                  uint64_t hash)
{
    VT_ASSERT(epoch >= producer->epoch);
    VT_ASSERT(first < end);
    if (epoch > producer->epoch) {
        producer->epoch = epoch;
        producer->interval_count = 0;
        producer->durable_next = 1;
    }
    if (producer->interval_count >=
        CORE_INTERVALS_MAX) /* in recovery; the door sees to it before */
        intervals_merge(producer, producer->interval_count / 2);
    if (producer->interval_count == producer->interval_capacity) {
        uint32_t capacity = producer->interval_capacity == 0 ? 16 : producer->interval_capacity * 2;
        struct core_interval *grown =
            realloc(producer->intervals, (uint64_t)capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        producer->intervals = grown;
        producer->interval_capacity = capacity;
    }
    uint32_t at = interval_find(producer, first);

    memmove(&producer->intervals[at + 1], &producer->intervals[at],
            (producer->interval_count - at) * sizeof producer->intervals[0]);
    producer->intervals[at] = (struct core_interval){first, end, hash};
    producer->interval_count++;
    return VT_OK;
}

void
core_session_durable(struct core_producer *producer, uint64_t epoch, uint64_t first, uint64_t end)
{
    if (epoch != producer->epoch)
        return;
    /* Commits become durable in order, so all that lies below `end` without a gap and was logged
     * before is durable; what was logged later than this frame at a higher sequence is not, and is
     * not passed here. */
    if (first <= producer->durable_next && end > producer->durable_next)
        producer->durable_next = end;
    /* This one may have closed a gap before frames that are durable already. */
    if (producer->in_flight == 0)
        durable_advance(producer);
}

vt_err
core_session_open(struct core *core, uint64_t token_id, struct vt_str name, uint64_t epoch,
                  struct core_session *out_session)
{
    uint64_t id = 0;

    VT_ASSERT(core->magic == CORE_MAGIC);
    if (core->failed != VT_OK)
        return core->failed;
    if (name.size == 0 || name.data[0] == '~')
        return vt_err_detail(VT_BAD_HELLO, "a producer's name is not empty and has no ~ in front");
    id = producer_find(core, token_id, name);
    if (id == 0) {
        vt_err err = core_producer_announce(core, token_id, name, &id);

        if (err != VT_OK)
            return err;
    }
    struct core_producer *producer = core_producer_at(core, id);

    VT_ASSERT(producer != NULL);
    if (epoch < producer->epoch)
        return vt_err_detail(VT_PRODUCER_TAKEN, "epoch %llu of %.*s has ended: it is at %llu",
                             (unsigned long long)epoch, (int)name.size, name.data,
                             (unsigned long long)producer->epoch);
    out_session->producer = id;
    out_session->epoch = epoch;
    out_session->sequence_next = epoch > producer->epoch ? 1 : producer->durable_next;
    return VT_OK;
}

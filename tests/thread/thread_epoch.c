/*
 * Goal:   readers of marks never meet what the owner goes on writing: no data race, and each reader
 *         sees exactly the rows, strings and entries of its mark.
 * Method: an owner appends and hands marks over; readers scan them meanwhile and compare sums that
 *         the owner took with the mark. The last reference to an epoch is dropped by a reader.
 *         Under ThreadSanitizer any race ends the program.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "epoch.h"
#include "event_maker.h"
#include "hand_catalog.h"
#include "venturi/assert.h"

#define READERS 3
#define MARKS   60
#define EVENTS  400

struct handed {
    struct epoch_mark mark;
    uint64_t rows;
    uint64_t tokens; /* sum over the rows of call */
    uint64_t extras;
};

/* Marks in the order made; the owner publishes by `published`, readers take the next by `taken`. */
static struct handed handed[MARKS];
static _Atomic uint32_t published; /* written by the owner */
static _Atomic uint32_t taken;     /* written by all readers */
static _Atomic uint32_t failures;  /* written by all readers */

struct sums {
    uint64_t rows;
    uint64_t tokens;
    uint64_t extras;
    uint64_t bytes;
};

static vt_err
add_block(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    struct sums *sums = context;
    const struct row_column *tokens = row_block_column(block, VT_STR("tokens"));
    const struct row_column *region = row_block_column(block, VT_STR("region"));

    for (uint32_t i = 0; i < block->row_count; i++) {
        sums->rows++;
        sums->bytes += identity[i].lo + block->id[i].data[0];
        if (tokens != NULL)
            sums->tokens += (uint64_t)tokens->value[i];
        if (region != NULL)
            sums->bytes += block->dict[region->code[i]].size;
        if (block->extra != NULL)
            sums->extras += block->extra[i].size > 0;
    }
    return VT_OK;
}

static void
read_mark(struct handed *one)
{
    struct sums sums = {0};
    struct epoch_scan scan = {CATALOG_NONE, CATALOG_NONE, add_block, &sums};
    uint64_t bytes = 0;

    VT_ASSERT(epoch_scan_rows(&one->mark, &scan) == VT_OK);
    for (uint32_t i = 0; i < one->mark.exception_count; i++) {
        const struct exception_entry *entry = epoch_exception_at(one->mark.epoch, i);

        bytes += entry->raw.data[entry->raw.size - 1] + entry->position;
    }
    for (uint32_t i = 0; i < one->mark.settle_count; i++)
        bytes += epoch_settle_at(one->mark.epoch, i)->position;
    for (uint32_t i = 0; i < one->mark.feed_count; i++)
        bytes += epoch_feed_at(one->mark.epoch, i)->number;
    if (sums.rows != one->rows || sums.tokens != one->tokens || sums.extras != one->extras ||
        (bytes == 0) != (one->mark.exception_count == 0)) {
        fprintf(stderr, "a mark of %lu rows shows %lu\n", (unsigned long)one->rows,
                (unsigned long)sums.rows);
        atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
    }
    epoch_mark_put(&one->mark);
}

static void *
reader_main(void *argument)
{
    (void)argument;
    for (;;) {
        uint32_t mine = atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);

        if (mine >= MARKS)
            return NULL;
        /* Pairs with the release of the owner: the mark and all below it are to be seen. */
        while (atomic_load_explicit(&published, memory_order_acquire) <= mine)
            sched_yield();
        read_mark(&handed[mine]);
    }
}

struct owner {
    struct epoch *epoch;
    struct event_maker maker;
    struct sums sums;
    uint32_t round;
};

static void
append_round(struct owner *owner)
{
    static struct made_event events[EVENTS];
    static char texts[EVENTS][24];

    for (uint32_t i = 0; i < EVENTS; i++) {
        uint32_t number = owner->round * EVENTS + i;

        (void)snprintf(texts[i], sizeof texts[i], "r%u", number / 3);
        events[i] = (struct made_event){
            .tenant = i % 2 == 0 ? VT_STR("acme") : VT_STR("globex"),
            .type = VT_STR("call"),
            .id = {texts[i], (uint32_t)strlen(texts[i])},
            .source = i % 3 == 0   ? VT_STR("a")
                      : i % 3 == 1 ? VT_STR("b")
                                   : VT_STR("c"),
            .trace = number % 1000 == 999 ? VT_STR("t") : (struct vt_str){NULL, 0},
            .field_count = 2,
            .fields = {{.name = VT_STR("tokens"), .number = i},
                       {.name = VT_STR("region"), .text = {texts[i], 3}}},
        };
    }
    struct batch *batch = event_batch(&owner->maker, hand_catalog(), events, EVENTS);

    VT_ASSERT(epoch_batch_begin(owner->epoch, batch) == VT_OK);
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct vt_hash128 k =
            batch_identity(&owner->maker.key, events[i].tenant, events[i].source, &batch->id[i]);
        row_ref ref;

        VT_ASSERT(batch->reason[i] == VT_REASON_NONE);
        VT_ASSERT(epoch_append(owner->epoch, batch, i, &k, &ref) == VT_OK);
        owner->sums.rows++;
        owner->sums.tokens += i;
        owner->sums.extras += events[i].trace.data != NULL;
    }
    struct exception_entry entry = {
        .position = owner->round + 1, .raw = {(const uint8_t *)"raw", 3}, .reason = 1};

    VT_ASSERT(epoch_add_exception(owner->epoch, &entry) == VT_OK);
    VT_ASSERT(epoch_add_settle(owner->epoch, &(struct settle_entry){1, 2, 3}) == VT_OK);
    VT_ASSERT(epoch_add_feed(owner->epoch, &(struct feed_entry){.number = 4}) == VT_OK);
}

static void
owner_open(struct owner *owner)
{
    struct epoch_options options = {
        .catalog = hand_catalog(), .first_commit = 1, .first_position = 1};

    VT_ASSERT(epoch_open(&options, &owner->epoch) == VT_OK);
    owner->sums = (struct sums){0};
}

int
main(void)
{
    pthread_t readers[READERS];
    struct owner owner = {0};

    event_maker_init(&owner.maker);
    owner_open(&owner);
    for (uint32_t i = 0; i < READERS; i++)
        VT_ASSERT(pthread_create(&readers[i], NULL, reader_main, NULL) == 0);
    for (owner.round = 0; owner.round < MARKS; owner.round++) {
        struct handed *one = &handed[owner.round];

        VT_ASSERT(epoch_mark_take(owner.epoch, &one->mark) == VT_OK);
        one->rows = owner.sums.rows;
        one->tokens = owner.sums.tokens;
        one->extras = owner.sums.extras;
        atomic_store_explicit(&published, owner.round + 1, memory_order_release);
        append_round(&owner);
        if (owner.round % 25 == 24) {
            /* A cut, while readers hold marks of the epoch. */
            epoch_freeze(owner.epoch, &(struct epoch_freeze_at){owner.round, owner.round, 1});
            epoch_put(owner.epoch);
            owner_open(&owner);
        }
    }
    for (uint32_t i = 0; i < READERS; i++)
        VT_ASSERT(pthread_join(readers[i], NULL) == 0);
    epoch_put(owner.epoch);
    event_maker_deinit(&owner.maker);
    return atomic_load_explicit(&failures, memory_order_relaxed) == 0 ? 0 : 1;
}

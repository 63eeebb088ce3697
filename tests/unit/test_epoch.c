/*
 * Goal:   an epoch gives back what was appended: by marks taken while it grew, in clusters, by
 *         identity.
 * Method: random batches beside a plain array of what was appended; each mark is scanned at the end
 *         and must show the rows of its moment, in the order that a naive sort gives.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "epoch.h"
#include "event_maker.h"
#include "hand_catalog.h"
#include "venturi/assert.h"

#define ROWS_MAX  40000
#define MARKS_MAX 12

static uint64_t
next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* What a row is told to be. Text is kept short, so that copies are cheap. */
struct naive_row {
    uint32_t tenant;
    uint32_t type;
    uint64_t position;
    int64_t time_us;
    char id[24];
    char source[8];
    char region[8];
    bool has_cost;
    int64_t number; /* tokens or thousandths of seconds */
    bool has_extra;
    bool sequence;
    row_ref ref;
    struct vt_hash128 identity;
};

struct naive {
    struct naive_row *rows;
    uint32_t count;
};

static const struct vt_str tenant_names[] = {{"acme", 4}, {"globex", 6}, {"z\xc3\xbcrich", 7}};
static const struct vt_str type_names[] = {{"call", 4}, {"job", 3}, {"ping", 4}};

static struct vt_str
text_of(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

static void
make_row(uint64_t *seed, uint32_t number, struct naive_row *row, struct made_event *event)
{
    *row = (struct naive_row){
        .tenant = (uint32_t)(next(seed) % 3),
        .type = (uint32_t)(next(seed) % 3),
        .time_us = (int64_t)(next(seed) % 1000000000000),
        .number = (int64_t)(next(seed) % 1000),
        .has_cost = next(seed) % 2 == 0,
        .has_extra = next(seed) % 500 == 0,
        .sequence = next(seed) % 4 == 0,
    };
    (void)snprintf(row->id, sizeof row->id, "%s%u", number % 3 == 0 ? "id-" : "", number);
    (void)snprintf(row->source, sizeof row->source, "%.*s", (int)(next(seed) % 3), "s1");
    (void)snprintf(row->region, sizeof row->region, "%.*s", (int)(next(seed) % 4), "eu9");
    *event = (struct made_event){
        .tenant = tenant_names[row->tenant],
        .type = type_names[row->type],
        .time_us = row->time_us,
    };
    if (!row->sequence) {
        event->id = text_of(row->id);
        event->source = text_of(row->source);
    }
    if (row->has_extra)
        event->trace = VT_STR("trace");
    if (row->type == 0) {
        event->fields[event->field_count++] =
            (struct made_field){.name = VT_STR("tokens"), .number = row->number};
        if (row->has_cost)
            event->fields[event->field_count++] =
                (struct made_field){.name = VT_STR("cost"), .text = VT_STR("0.25")};
    }
    if (row->type == 1)
        event->fields[event->field_count++] =
            (struct made_field){.name = VT_STR("seconds"), .number = row->number};
    if (row->type != 2)
        event->fields[event->field_count++] =
            (struct made_field){.name = VT_STR("region"), .text = text_of(row->region)};
}

static void
append_some(struct epoch *epoch, struct event_maker *maker, struct naive *naive, uint64_t *seed,
            uint32_t count)
{
    static struct made_event events[4096];

    for (uint32_t i = 0; i < count; i++)
        make_row(seed, naive->count + i, &naive->rows[naive->count + i], &events[i]);
    struct batch *batch = event_batch(maker, hand_catalog(), events, count);

    cr_assert(epoch_batch_begin(epoch, batch) == VT_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct naive_row *row = &naive->rows[naive->count];

        cr_assert(batch->reason[i] == VT_REASON_NONE, "reason %d", batch->reason[i]);
        if (batch->id[i].kind != ROW_ID_SEQUENCE)
            row->identity = batch_identity(&maker->key, tenant_names[row->tenant],
                                           batch->strings[batch->source[i]], &batch->id[i]);
        cr_assert(row->sequence == (batch->id[i].kind == ROW_ID_SEQUENCE));
        row->position = batch->first_position + i;
        cr_assert(epoch_append(epoch, batch, i, &row->identity, &row->ref) == VT_OK);
        naive->count++;
    }
}

static int
by_cluster(const void *a, const void *b)
{
    const struct naive_row *x = a;
    const struct naive_row *y = b;

    if (x->tenant != y->tenant)
        return x->tenant < y->tenant ? -1 : 1;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

struct scan_check {
    const struct naive_row *rows; /* in the order expected */
    uint32_t count;
    uint32_t seen;
    uint64_t dict_id;
};

static void
check_fields(const struct row_block *block, uint32_t i, const struct naive_row *row)
{
    const struct row_column *region = row_block_column(block, VT_STR("region"));
    const struct row_column *cost = row_block_column(block, VT_STR("cost"));
    const struct row_column *number =
        row_block_column(block, row->type == 0 ? VT_STR("tokens") : VT_STR("seconds"));

    if (row->type == 2) {
        cr_assert(block->column_count == 0);
        return;
    }
    cr_assert(vt_str_equal(block->dict[region->code[i]], text_of(row->region)));
    cr_assert(region->code[i] < block->dict_count);
    cr_assert(number->value[i] == row->number * (row->type == 0 ? 1 : 1000));
    cr_assert(number->present == NULL || number->present[i] == 1);
    if (row->type == 0) {
        cr_assert(cost->present[i] == row->has_cost);
        cr_assert(cost->value[i] == (row->has_cost ? 250000 : 0));
    }
}

static void
check_row(const struct row_block *block, uint32_t i, const struct naive_row *row)
{
    char buffer[48];

    cr_assert(vt_str_equal(block->tenant, tenant_names[row->tenant]));
    cr_assert(vt_str_equal(block->type, type_names[row->type]));
    cr_assert(block->position[i] == row->position);
    cr_assert(block->time_us[i] == row->time_us);
    cr_assert((block->id[i].kind == ROW_ID_SEQUENCE) == row->sequence);
    if (!row->sequence) {
        cr_assert(vt_str_equal(row_id_text(&block->id[i], buffer), text_of(row->id)));
        cr_assert(vt_str_equal(block->dict[block->source[i]], text_of(row->source)));
    }
    cr_assert((block->extra != NULL && block->extra[i].size > 0) == row->has_extra);
    check_fields(block, i, row);
}

static vt_err
check_block(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    struct scan_check *check = context;

    cr_assert(block->row_count > 0);
    cr_assert(block->row_count <= EPOCH_BLOCK_ROWS);
    cr_assert(check->seen + block->row_count <= check->count);
    for (uint32_t i = 0; i < block->row_count; i++) {
        const struct naive_row *row = &check->rows[check->seen + i];

        check_row(block, i, row);
        cr_assert(identity[i].hi == row->identity.hi && identity[i].lo == row->identity.lo);
    }
    cr_assert(check->dict_id == 0 || check->dict_id == block->dict_id);
    check->dict_id = block->dict_id;
    check->seen += block->row_count;
    return VT_OK;
}

static void
check_mark(const struct epoch_mark *mark, const struct naive *naive, uint32_t count,
           const struct epoch_scan *wanted)
{
    struct naive_row *rows = malloc((count + 1) * sizeof *rows);
    struct scan_check check = {.rows = rows};
    struct epoch_scan scan = *wanted;

    cr_assert(rows != NULL);
    for (uint32_t i = 0; i < count; i++)
        if ((scan.tenant == CATALOG_NONE || scan.tenant == naive->rows[i].tenant) &&
            (scan.type == CATALOG_NONE || scan.type == naive->rows[i].type))
            rows[check.count++] = naive->rows[i];
    qsort(rows, check.count, sizeof *rows, by_cluster);
    scan.block = check_block;
    scan.context = &check;
    cr_assert(epoch_scan_rows(mark, &scan) == VT_OK);
    cr_assert(check.seen == check.count, "%u of %u rows", check.seen, check.count);
    free(rows);
}

static struct epoch *
open_epoch(void)
{
    struct epoch_options options = {
        .partition = 3, .catalog = hand_catalog(), .first_commit = 5, .first_position = 1};
    struct epoch *epoch = NULL;

    cr_assert(epoch_open(&options, &epoch) == VT_OK);
    return epoch;
}

static void
check_find(const struct epoch *epoch, const struct naive *naive)
{
    struct arena arena;

    arena_init(&arena, 4096);
    for (uint32_t i = 0; i < naive->count; i++) {
        const struct naive_row *row = &naive->rows[i];
        struct row_id id = {(const uint8_t *)row->id, (uint16_t)strlen(row->id), ROW_ID_TEXT};
        struct row_wanted wanted = {&row->identity, tenant_names[row->tenant], text_of(row->source),
                                    &id};
        struct row_block block;
        row_ref ref = 0;

        if (i % 16 == 0) {
            cr_assert(epoch_fetch(epoch, row->ref, &arena, &block) == VT_OK);
            cr_assert(block.row_count == 1);
            check_row(&block, 0, row);
            arena_reset(&arena);
        }
        if (row->sequence)
            continue;
        epoch_prefetch(epoch, wanted.identity);
        cr_assert(epoch_find(epoch, &wanted, &ref) == VT_OK);
        cr_assert(ref == row->ref);
        wanted.tenant = VT_STR("nobody"); /* the hash is right, the tenant is not */
        cr_assert(epoch_find(epoch, &wanted, &ref) == VT_NOT_FOUND);
        wanted.tenant = tenant_names[row->tenant];
        wanted.source = VT_STR("other");
        cr_assert(epoch_find(epoch, &wanted, &ref) == VT_NOT_FOUND);
        wanted.source = text_of(row->source);
        id.size--;
        cr_assert(epoch_find(epoch, &wanted, &ref) == VT_NOT_FOUND);
    }
    arena_deinit(&arena);
}

Test(epoch, marks_and_clusters_equal_the_naive_ones, .timeout = 120)
{
    static const struct epoch_scan scans[] = {
        {.tenant = CATALOG_NONE, .type = CATALOG_NONE},
        {.tenant = 1, .type = CATALOG_NONE},
        {.tenant = CATALOG_NONE, .type = 0},
        {.tenant = 2, .type = 1},
    };
    struct naive naive = {.rows = calloc(ROWS_MAX, sizeof(struct naive_row))};
    struct epoch_mark marks[MARKS_MAX];
    uint32_t mark_rows[MARKS_MAX];
    struct event_maker maker;
    struct epoch *epoch = open_epoch();
    uint64_t seed = 0x5eed5eed;

    event_maker_init(&maker);
    maker.producer = VT_STR("p1");
    for (uint32_t m = 0; m < MARKS_MAX; m++) {
        cr_assert(epoch_mark_take(epoch, &marks[m]) == VT_OK);
        mark_rows[m] = naive.count;
        for (uint32_t b = 0; b < 3; b++)
            append_some(epoch, &maker, &naive, &seed,
                        m % 3 == 0 ? 1 : (uint32_t)(next(&seed) % 2000) + 1);
    }
    for (uint32_t m = 0; m < MARKS_MAX; m++)
        for (uint32_t s = 0; s < VT_COUNT(scans); s++)
            check_mark(&marks[m], &naive, mark_rows[m], &scans[s]);
    check_find(epoch, &naive);
    epoch_freeze(epoch, &(struct epoch_freeze_at){9, maker.position - 1, 77});
    cr_expect(epoch->last_commit == 9 && epoch->last_arrival_us == 77);
    cr_expect(!epoch_is_empty(epoch));
    check_find(epoch, &naive);
    epoch_put(epoch); /* the marks hold it */
    for (uint32_t m = 0; m < MARKS_MAX; m++) {
        check_mark(&marks[m], &naive, mark_rows[m], &scans[0]);
        epoch_mark_put(&marks[m]);
    }
    printf("seed 0x5eed5eed: %u rows\n", naive.count);
    event_maker_deinit(&maker);
    free(naive.rows);
}

static vt_err
count_blocks(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    uint64_t *counts = context;

    (void)identity;
    counts[0] += block->row_count;
    counts[1]++;
    return VT_OK;
}

Test(epoch, a_large_cluster_comes_in_blocks, .timeout = 60)
{
    enum { BATCHES = 40, EVENTS = 4000 };
    static struct made_event events[EVENTS];
    struct epoch *epoch = open_epoch();
    struct event_maker maker;
    struct epoch_mark mark;
    uint64_t counts[2] = {0, 0};

    event_maker_init(&maker);
    maker.producer = VT_STR("p1");
    for (uint32_t i = 0; i < EVENTS; i++)
        events[i] = (struct made_event){.tenant = tenant_names[0], .type = type_names[2]};
    for (uint32_t b = 0; b < BATCHES; b++) {
        struct batch *batch = event_batch(&maker, hand_catalog(), events, EVENTS);
        struct vt_hash128 none = {0, 0};
        row_ref ref;

        cr_assert(epoch_batch_begin(epoch, batch) == VT_OK);
        for (uint32_t i = 0; i < EVENTS; i++)
            cr_assert(epoch_append(epoch, batch, i, &none, &ref) == VT_OK);
    }
    cr_assert(epoch_mark_take(epoch, &mark) == VT_OK);
    struct epoch_scan scan = {CATALOG_NONE, CATALOG_NONE, count_blocks, counts};

    cr_assert(epoch_scan_rows(&mark, &scan) == VT_OK);
    cr_expect(counts[0] == BATCHES * EVENTS);
    cr_expect(counts[1] == (BATCHES * EVENTS + EPOCH_BLOCK_ROWS - 1) / EPOCH_BLOCK_ROWS);
    epoch_mark_put(&mark);
    epoch_put(epoch);
    event_maker_deinit(&maker);
}

Test(epoch, lists_keep_copies_in_order, .timeout = 30)
{
    struct epoch *epoch = open_epoch();
    struct epoch_mark mark;
    char raw[8];

    for (uint32_t i = 0; i < 1000; i++) {
        int size = snprintf(raw, sizeof raw, "r%u", i);
        struct exception_entry entry = {
            .position = i + 1,
            .reason = VT_REASON_BAD_TIME,
            .tenant = {raw, (uint32_t)size},
            .raw = {(const uint8_t *)raw, (uint64_t)size},
        };

        cr_assert(epoch_add_exception(epoch, &entry) == VT_OK);
        cr_assert(epoch_add_settle(epoch, &(struct settle_entry){i, i + 7, SETTLE_DISCARDED}) ==
                  VT_OK);
        cr_assert(epoch_add_feed(epoch, &(struct feed_entry){.number = i, .revision = 1}) == VT_OK);
        if (i == 699)
            cr_assert(epoch_mark_take(epoch, &mark) == VT_OK);
    }
    cr_expect(mark.exception_count == 700 && mark.settle_count == 700 && mark.feed_count == 700);
    for (uint32_t i = 0; i < 700; i++) {
        const struct exception_entry *entry = epoch_exception_at(epoch, i);

        (void)snprintf(raw, sizeof raw, "r%u", i);
        cr_assert(entry->position == i + 1);
        cr_assert(vt_str_equal(entry->tenant, text_of(raw)));
        cr_assert(entry->raw.size == strlen(raw) && memcmp(entry->raw.data, raw, strlen(raw)) == 0);
        cr_assert(epoch_settle_at(epoch, i)->at_position == i + 7);
        cr_assert(epoch_feed_at(epoch, i)->number == i);
    }
    epoch_mark_put(&mark);
    epoch_put(epoch);
    epoch_put(NULL);
}

Test(epoch, is_empty_until_something_is_in_it, .timeout = 10)
{
    for (int what = 0; what < 4; what++) {
        struct epoch *epoch = open_epoch();

        if (what == 1)
            cr_assert(epoch_add_exception(epoch, &(struct exception_entry){.position = 1}) ==
                      VT_OK);
        if (what == 2)
            cr_assert(epoch_add_settle(epoch, &(struct settle_entry){1, 2, 1}) == VT_OK);
        if (what == 3)
            cr_assert(epoch_add_feed(epoch, &(struct feed_entry){.number = 1}) == VT_OK);
        epoch_freeze(epoch, &(struct epoch_freeze_at){1, 1, 1});
        cr_expect(epoch_is_empty(epoch) == (what == 0), "%d", what);
        epoch_put(epoch);
    }
}

/*
 * Goal:   what a frozen epoch holds stands in its segment, the segment is a function of the epoch,
 *         and a damaged one is told by its name.
 * Method: a partition's epoch with rows of every kind of id, undeclared fields, exceptions and
 *         feed entries; both sides are printed as text by the same printer and compared. Damage is
 *         one flipped bit at many places of the file, each found by whoever reads that place.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "part_world.h"
#include "sealed.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define ROUNDS       6
#define BATCH        150
#define HOUR_US      (INT64_C(3600) * VT_US_PER_SECOND)
#define DAMAGE_STEPS 400

static struct part_world world;

static void
setup(void)
{
    vt_err err = part_world_open(&world);

    if (err == VT_UNSUPPORTED)
        cr_skip_test("io_uring is switched off here");
    cr_assert(err == VT_OK);
}

static void
teardown(void)
{
    part_world_close(&world);
}

TestSuite(seal, .init = setup, .fini = teardown, .timeout = 120);

static struct made_event
event_of(uint32_t number, char id[64], int64_t base_us)
{
    static const struct vt_str regions[] = {{"", 0}, {"eu", 2}, {"us", 2}, {"z\xc3\xbcri", 5}};
    struct made_event event = {
        .tenant = number % 11 == 0  ? VT_STR("nobody")
                  : number % 3 == 0 ? VT_STR("globex")
                                    : VT_STR("acme"),
        .type = VT_STR("call"),
        .time_us = base_us - (int64_t)(number * 7919 % 5000) * VT_US_PER_SECOND,
        .field_count = 2,
        .fields = {{.name = VT_STR("tokens"), .number = (int64_t)number * 3 + 1},
                   {.name = VT_STR("region"), .text = regions[number % 4]}},
    };

    (void)snprintf(id, 64, number % 2 == 0 ? "id-%u" : "00000000-0000-4000-8000-%012x", number);
    event.id = (struct vt_str){id, (uint32_t)strlen(id)};
    if (number % 5 == 0)
        event.source = VT_STR("s");
    if (number % 7 == 0)
        event.fields[event.field_count++] =
            (struct made_field){.name = VT_STR("undeclared"), .text = VT_STR("kept")};
    if (number % 4 == 1)
        event.fields[event.field_count++] =
            (struct made_field){.name = VT_STR("cost"), .text = VT_STR("0.000125")};
    return event;
}

/* Batches over some hours, so that windows fall due on the way. The frozen epoch is in cuts[0]. */
static struct epoch *
epoch_made(void)
{
    static char ids[BATCH][64];
    struct made_event events[BATCH];

    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < BATCH; i++)
            events[i] = event_of(round * BATCH + i, ids[i], world.arrival_us);
        (void)part_world_commit(&world, events, BATCH, HOUR_US);
    }
    part_world_cut(&world, 0);
    return world.cuts[0].epoch;
}

static void
print_text(FILE *out, struct vt_str text)
{
    if (text.size > 0)
        (void)fwrite(text.data, 1, text.size, out);
    (void)fputc('|', out);
}

static vt_err
print_block(void *context, const struct row_block *block)
{
    FILE *out = context;

    for (uint32_t i = 0; i < block->row_count; i++) {
        char buffer[48];

        print_text(out, block->tenant);
        print_text(out, block->type);
        (void)fprintf(out, "%llu|%lld|", (unsigned long long)block->position[i],
                      (long long)block->time_us[i]);
        print_text(out, block->dict[block->source[i]]);
        print_text(out, row_id_text(&block->id[i], buffer));
        if (block->extra != NULL)
            print_text(out, (struct vt_str){(const char *)block->extra[i].data,
                                            (uint32_t)block->extra[i].size});
        else
            print_text(out, (struct vt_str){"", 0});
        for (uint32_t c = 0; c < block->column_count; c++) {
            const struct row_column *column = &block->columns[c];

            print_text(out, column->name);
            if (column->kind == FIELD_STRING)
                print_text(out, block->dict[column->code[i]]);
            else if (column->present == NULL || column->present[i] != 0)
                (void)fprintf(out, "%lld|", (long long)column->value[i]);
        }
        (void)fputc('\n', out);
    }
    return VT_OK;
}

static vt_err
print_epoch_block(void *context, const struct row_block *block, const struct vt_hash128 *identity)
{
    (void)identity;
    return print_block(context, block);
}

static vt_err
print_exception(void *context, const struct exception_entry *entry)
{
    FILE *out = context;

    (void)fprintf(out, "exception %llu|%u|", (unsigned long long)entry->position, entry->reason);
    print_text(out, entry->tenant);
    print_text(out, (struct vt_str){(const char *)entry->raw.data, (uint32_t)entry->raw.size});
    (void)fputc('\n', out);
    return VT_OK;
}

static vt_err
print_feed(void *context, const struct feed_row *row)
{
    FILE *out = context;

    print_text(out, row->meter);
    print_text(out, row->tenant);
    (void)fprintf(out, "feed %llu|%lld|%u|%llu|%lld\n", (unsigned long long)row->number,
                  (long long)row->window_start_us, row->revision, (unsigned long long)row->count,
                  (long long)row->total);
    return VT_OK;
}

static vt_err
count_cell(void *context, const struct sealed_cell *cell, const struct cell_value *value)
{
    (void)cell;
    *(uint64_t *)context += value->count;
    return VT_OK;
}

/* All that is in a segment; the first error, where there is one. */
static vt_err
print_sealed(const struct sealed *sealed, FILE *out)
{
    struct scan_options scan = {
        .want_ids = true, .want_extra = true, .block = print_block, .context = out};
    struct cell_filter cells = {.start_us = INT64_MIN + 1, .end_us = INT64_MAX};
    uint64_t counted = 0;
    vt_err err = sealed_scan(sealed, &scan);

    if (err == VT_OK)
        err = sealed_each_exception(sealed, print_exception, out);
    if (err == VT_OK)
        err = sealed_each_feed(sealed, 0, print_feed, out);
    if (err == VT_OK)
        err = sealed_each_cell(sealed, &cells, count_cell, &counted);
    (void)fprintf(out, "cells of %llu\n", (unsigned long long)counted);
    return err;
}

static char *
sealed_text(const struct store_segment *segment, vt_err *out_err)
{
    struct sealed *sealed = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    cr_assert_not_null(out);
    *out_err = sealed_open(world.io, segment, world.cuts[0].catalog, &sealed);
    if (*out_err == VT_OK)
        *out_err = print_sealed(sealed, out);
    sealed_put(sealed);
    cr_assert(fclose(out) == 0);
    return text;
}

static void
print_epoch_feed(FILE *out, const struct epoch *epoch, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct feed_entry *entry = epoch_feed_at(epoch, i);
        struct feed_row row = {
            .meter = epoch->catalog->meters[entry->meter].key,
            .tenant = epoch->catalog->tenants[entry->tenant].key,
            .number = entry->number,
            .window_start_us = entry->window_start_us,
            .revision = entry->revision,
            .count = entry->count,
            .total = entry->total,
        };

        (void)print_feed(out, &row);
    }
}

/* Cells of both meters count each accepted row once a meter: rows of the epoch times two. */
static char *
epoch_text(struct epoch *epoch)
{
    struct epoch_mark mark;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    cr_assert(out != NULL && epoch_mark_take(epoch, &mark) == VT_OK);
    struct epoch_scan scan = {
        .tenant = CATALOG_NONE, .type = CATALOG_NONE, .block = print_epoch_block, .context = out};
    uint64_t rows = 0;

    cr_assert(epoch_scan_rows(&mark, &scan) == VT_OK);
    for (uint32_t t = 0; t < mark.type_count; t++)
        rows += mark.row_counts[t];
    for (uint32_t i = 0; i < mark.exception_count; i++)
        (void)print_exception(out, epoch_exception_at(epoch, i));
    print_epoch_feed(out, epoch, mark.feed_count);
    cr_expect(rows > 0 && mark.exception_count > 0 && mark.feed_count > 0,
              "%llu rows, %u exceptions, %u feed entries", (unsigned long long)rows,
              mark.exception_count, mark.feed_count);
    (void)fprintf(out, "cells of %llu\n", (unsigned long long)(rows * 2));
    epoch_mark_put(&mark);
    cr_assert(fclose(out) == 0);
    return text;
}

static uint8_t *
file_bytes(const struct store_segment *segment)
{
    uint8_t *bytes = malloc(segment->file_bytes);
    int fd = open(segment->path, O_RDONLY | O_CLOEXEC);

    cr_assert(bytes != NULL && fd >= 0);
    cr_assert(read(fd, bytes, segment->file_bytes) == (ssize_t)segment->file_bytes);
    close(fd);
    return bytes;
}

Test(seal, what_the_epoch_held_stands_in_the_segment)
{
    struct store_segment segment;
    struct epoch *epoch = epoch_made();
    vt_err err = VT_OK;
    char *want = epoch_text(epoch);

    cr_assert(seal_write(world.io, world.store, epoch, &segment) == VT_OK, "%s", vt_err_last());
    char *have = sealed_text(&segment, &err);
    size_t at = 0;

    while (want[at] != '\0' && want[at] == have[at])
        at++;
    cr_expect(err == VT_OK, "%s", vt_err_last());
    cr_expect(strcmp(want, have) == 0, "differ at %zu:\nepoch   %.160s\nsegment %.160s", at,
              want + (at < 80 ? 0 : at - 80), have + (at < 80 ? 0 : at - 80));
    free(want);
    free(have);
}

Test(seal, the_same_epoch_gives_the_same_bytes)
{
    struct store_segment first;
    struct store_segment second;
    struct epoch *epoch = epoch_made();

    cr_assert(seal_write(world.io, world.store, epoch, &first) == VT_OK, "%s", vt_err_last());
    uint8_t *before = file_bytes(&first);

    cr_assert(unlink(first.path) == 0);
    cr_assert(seal_write(world.io, world.store, epoch, &second) == VT_OK, "%s", vt_err_last());
    uint8_t *after = file_bytes(&second);

    cr_expect(first.file_bytes == second.file_bytes &&
              memcmp(before, after, first.file_bytes) == 0);
    free(before);
    free(after);
}

static void
flip(const struct store_segment *segment, uint64_t at)
{
    int fd = open(segment->path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;

    cr_assert(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= 0x10;
    cr_assert(pwrite(fd, &byte, 1, (off_t)at) == 1);
    close(fd);
}

/* A flipped bit may lie where nobody looks (padding), but never passes for other contents. */
Test(seal, damage_is_found_and_names_the_file)
{
    struct store_segment segment;
    vt_err err = VT_OK;
    uint32_t found = 0;

    cr_assert(seal_write(world.io, world.store, epoch_made(), &segment) == VT_OK);
    char *want = sealed_text(&segment, &err);

    cr_assert(err == VT_OK);
    for (uint64_t i = 0; i < DAMAGE_STEPS; i++) {
        uint64_t at = segment.file_bytes * i / DAMAGE_STEPS;

        flip(&segment, at);
        vt_err_clear();
        char *have = sealed_text(&segment, &err);

        if (err == VT_OK) {
            cr_expect(strcmp(want, have) == 0, "byte %llu: other contents", (unsigned long long)at);
        } else {
            found++;
            cr_expect(strstr(vt_err_last(), segment.path) != NULL, "byte %llu: %s: %s",
                      (unsigned long long)at, vt_err_name(err), vt_err_last());
        }
        free(have);
        flip(&segment, at);
    }
    cr_expect(found > DAMAGE_STEPS / 2, "%u of %d", found, DAMAGE_STEPS);
    free(want);
}

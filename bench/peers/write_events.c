/*
 * write_events - workload W1 as a file, event by event the same that `venturi bench ingest` sends
 * with the same options, for programs that are not Venturi.
 *
 * THE FILE: rows of 48 bytes, integers little-endian, in the order of sending.
 *
 *   off size field
 *     0   16 id        a UUID; with sequences the event's number from 1 (le64) and zeros
 *    16    8 time_us   event time, microseconds since 1970
 *    24    8 quantity
 *    32    4 tenant    an index of the names
 *    36    4 subject   likewise
 *    40    2 region    likewise
 *    42    2 type      likewise
 *    44    4 zero
 *
 * Standard output: one JSON object with the names that these indices mean, events and repeats.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/options.h"
#include "tools/common/workload.h"
#include "venturi/assert.h"
#include "venturi/bytes.h"

#define TYPES_MAX 16

struct row {
    uint8_t id[16];
    le64 time_us;
    le64 quantity;
    le32 tenant;
    le32 subject;
    le16 region;
    le16 type;
    le32 zero;
};
_Static_assert(sizeof(struct row) == 48, "the table above");

static const char help[] =
    "write_events - workload W1 as a file of rows, for the peers of bench/peers\n"
    "\n"
    "example: write_events --events 1000000 --ids uuid --start-us 1767225600000000 --out rows.bin\n"
    "\n"
    "usage: write_events --events N --start-us N --out FILE [--batch N] [--ids KIND] [--seed N]\n"
    "\n"
    "Options as those of venturi bench ingest; the head of write_events.c has the format.\n";

struct maker {
    uint64_t events;
    uint64_t batch;
    uint64_t seed;
    uint64_t start_us;
    const char *ids;
    const char *out;
    /* Types have codes in the order of their first frame. */
    uint32_t type_count;
    struct vt_str types[TYPES_MAX];
};

static uint32_t
type_code(struct maker *maker, struct vt_str name)
{
    for (uint32_t t = 0; t < maker->type_count; t++)
        if (maker->types[t].size == name.size &&
            memcmp(maker->types[t].data, name.data, name.size) == 0)
            return t;
    VT_ASSERT(maker->type_count < TYPES_MAX);
    maker->types[maker->type_count] = name;
    return maker->type_count++;
}

static struct row
row_of(const struct column_frame *frame, uint32_t at, uint64_t number)
{
    struct row row = {
        .time_us = le64_put((uint64_t)frame->times_us[at]),
        .quantity = le64_put((uint64_t)frame->fields[2].mantissas[at]),
        .tenant = le32_put(frame->tenants.codes[at]),
        .subject = le32_put(frame->fields[0].strings.codes[at]),
        .region = le16_put((uint16_t)frame->fields[1].strings.codes[at]),
    };
    le64 id = le64_put(number);

    if (frame->ids == COLUMN_IDS_UUID)
        memcpy(row.id, frame->id_data + at * UINT64_C(16), sizeof row.id);
    else
        memcpy(row.id, &id, sizeof id);
    return row;
}

static void
names_print(const char *key, const struct vt_str *names, uint32_t count)
{
    printf(",\"%s\":[", key);
    for (uint32_t i = 0; i < count; i++)
        printf("%s\"%.*s\"", i == 0 ? "" : ",", (int)names[i].size, names[i].data);
    printf("]");
}

/* Writes all rows; a frame is whole, so that repeats fall as they do in `venturi bench ingest`. */
static vt_err
rows_write(struct maker *maker, struct workload *workload, FILE *out)
{
    struct column_frame frame = {0};

    while (workload_events(workload) < maker->events) {
        uint64_t first = workload_events(workload) + 1;

        workload_frame(workload, &frame);
        uint32_t type = type_code(maker, frame.type);

        for (uint32_t at = 0; at < frame.event_count; at++) {
            struct row row = row_of(&frame, at, first + at);

            row.type = le16_put((uint16_t)type);
            if (fwrite(&row, sizeof row, 1, out) != 1)
                return vt_err_detail(VT_IO, "%s: cannot be written", maker->out);
        }
    }
    printf("{\"events\":%" PRIu64 ",\"repeats\":%" PRIu64, workload_events(workload),
           workload_repeats(workload));
    VT_ASSERT(frame.fields != NULL); /* there is one event at least */
    names_print("tenants", frame.tenants.strings, frame.tenants.count);
    names_print("subjects", frame.fields[0].strings.strings, frame.fields[0].strings.count);
    names_print("regions", frame.fields[1].strings.strings, frame.fields[1].strings.count);
    names_print("types", maker->types, maker->type_count);
    printf("}\n");
    return VT_OK;
}

static vt_err
run(struct maker *maker)
{
    struct workload *workload = NULL;
    struct workload_options options = {
        .seed = maker->seed,
        .batch = (uint32_t)maker->batch,
        .ids = strcmp(maker->ids, "sequence") == 0 ? COLUMN_IDS_SEQUENCE : COLUMN_IDS_UUID,
        .ids_by_time = strcmp(maker->ids, "uuid7") == 0,
        .start_us = (int64_t)maker->start_us,
    };
    FILE *out = fopen(maker->out, "wb");

    if (out == NULL)
        return vt_err_detail(VT_IO, "%s: cannot be opened", maker->out);
    vt_err err = workload_open(&options, &workload);

    if (err == VT_OK)
        err = rows_write(maker, workload, out);
    if (fclose(out) != 0 && err == VT_OK)
        err = vt_err_detail(VT_IO, "%s: cannot be written", maker->out);
    workload_close(workload);
    return err;
}

int
main(int argc, char **argv)
{
    struct maker maker = {.batch = 1000, .seed = 1, .ids = "sequence"};
    int first = 0;
    const struct option_spec specs[] = {
        {.name = "events",
         .kind = OPTION_NUMBER,
         .target = &maker.events,
         .least = 1,
         .most = UINT64_C(1) << 32},
        {.name = "batch", .kind = OPTION_NUMBER, .target = &maker.batch, .least = 1, .most = 65536},
        {.name = "seed", .kind = OPTION_NUMBER, .target = &maker.seed},
        {.name = "start-us",
         .kind = OPTION_NUMBER,
         .target = &maker.start_us,
         .most = UINT64_C(1) << 52},
        {.name = "ids", .kind = OPTION_TEXT, .target = &maker.ids},
        {.name = "out", .kind = OPTION_TEXT, .target = &maker.out},
        {.name = NULL},
    };
    int status = options_read(argc, argv, help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (maker.events == 0 || maker.out == NULL || maker.start_us == 0)
        return options_misused(argv[0], "--events, --start-us and --out are needed");
    if (strcmp(maker.ids, "sequence") != 0 && strcmp(maker.ids, "uuid") != 0 &&
        strcmp(maker.ids, "uuid7") != 0)
        return options_misused(argv[0], "--ids %s: sequence, uuid or uuid7", maker.ids);
    vt_err err = run(&maker);

    return err == VT_OK ? EXIT_DONE : options_failed(argv[0], NULL, err);
}

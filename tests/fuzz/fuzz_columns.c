/*
 * fuzz_columns.c - frames of columns: any bytes, or a good frame made of the input's bytes and then
 * damaged where the input says, so that what lies behind the first header is reached.
 *
 * Byte 0: bit 7 any bytes; bit 6 a producer; the rest, plus 1, is the number of events. Of a made
 * frame byte 1 chooses the columns, byte 2 counts the damages, each three bytes: place and value.
 */
#include <stdint.h>
#include <stdlib.h>

#include "batch_fuzz.h"
#include "column_frame.h"
#include "hand_catalog.h"
#include "venturi/assert.h"

#define EVENTS_MAX  64
#define DAMAGES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes of the input, zero once it is used up. */
struct source {
    const uint8_t *at;
    const uint8_t *end;
};

static uint8_t
take(struct source *source)
{
    return source->at < source->end ? *source->at++ : 0;
}

static const struct vt_str words[] = {{"", 0},   {"acme", 4}, {"globex", 6},
                                      {"eu", 2}, {"1.5", 3},  {"12", 2},
                                      {"~x", 2}, {"\xff", 1}, {"1e400", 5}};

/* All that the made frame points into. */
struct material {
    uint32_t codes[4][EVENTS_MAX];
    int64_t numbers[2][EVENTS_MAX];
    int64_t times[EVENTS_MAX];
    uint8_t present[EVENTS_MAX];
    uint16_t id_sizes[EVENTS_MAX];
    uint8_t ids[EVENTS_MAX * 40];
    struct column_field fields[4];
    struct column_frame frame;
};

static struct column_strings
strings_make(struct source *source, uint32_t *codes, uint32_t events)
{
    uint32_t count = (uint32_t)VT_COUNT(words);

    for (uint32_t i = 0; i < events; i++)
        codes[i] = take(source) % count;
    return (struct column_strings){count, words, codes};
}

static void
ids_make(struct source *source, struct material *m, uint32_t events)
{
    static const char uuid[] = "550e8400-e29b-41d4-a716-446655440000";
    uint32_t at = 0;

    for (uint32_t i = 0; i < events; i++) {
        uint8_t size = take(source) % 40;

        m->id_sizes[i] = size;
        for (uint32_t k = 0; k < size; k++)
            m->ids[at++] = size == 36 ? (uint8_t)uuid[k] : (uint8_t)('a' + k);
    }
    m->frame.id_sizes = m->id_sizes;
    m->frame.id_data = m->ids;
}

static void
frame_make(struct source *source, uint32_t events, struct material *m)
{
    static const struct vt_str names[] = {{"tokens", 6}, {"cost", 4}, {"region", 6}, {"zz", 2}};
    uint8_t choice = take(source);
    struct column_frame *frame = &m->frame;

    frame->event_count = events;
    frame->type = (choice & 1) != 0 ? VT_STR("call") : VT_STR("job");
    frame->tenants = strings_make(source, m->codes[0], events);
    frame->ids = (enum column_ids)((choice >> 1) % 3);
    if ((choice & 8) != 0)
        frame->sources = strings_make(source, m->codes[1], events);
    if ((choice & 16) != 0)
        frame->traces = strings_make(source, m->codes[2], events);
    ids_make(source, m, events);
    for (uint32_t i = 0; i < events; i++) {
        m->times[i] = INT64_C(1782864000000000) * (take(source) % 256);
        m->numbers[0][i] = (int8_t)take(source);
        m->numbers[1][i] = (int64_t)(UINT64_C(1000000007) << (take(source) % 64));
        m->present[i] = take(source) & 1;
    }
    frame->times_us = m->times;
    for (uint32_t i = 0; i < 4; i++)
        m->fields[i] = (struct column_field){.name = names[i],
                                             .decimal = i < 2,
                                             .scale = take(source) % 19,
                                             .mantissas = m->numbers[i & 1],
                                             .present = i == 1 ? m->present : NULL};
    m->fields[0].scale = (choice & 32) != 0 ? 0 : m->fields[0].scale;
    m->fields[2].strings = strings_make(source, m->codes[3], events);
    m->fields[3].strings = m->fields[2].strings;
    if ((choice & 64) != 0)
        m->fields[0].name = VT_STR("seconds");
    if ((choice & 128) != 0) /* strings where decimals are declared */
        m->fields[3].name = VT_STR("units");
    frame->fields = m->fields;
    frame->field_count = 4;
}

static void
try_made(const struct batch_options *options, struct source *source, uint32_t events)
{
    struct material *m = calloc(1, sizeof *m);
    uint8_t damage_count = 0;

    VT_ASSERT(m != NULL);
    damage_count = take(source) % DAMAGES_MAX;
    struct source damages = *source;

    for (uint32_t i = 0; i < damage_count * 3U; i++)
        (void)take(source);
    frame_make(source, events, m);
    uint64_t room = column_frame_bytes(&m->frame);
    uint8_t *whole = malloc(room);

    VT_ASSERT(whole != NULL);
    uint64_t size = column_frame_encode(&m->frame, whole);

    VT_ASSERT(size <= room);
    uint8_t *payload = malloc(size); /* so that a sanitizer sees a read beyond it */

    VT_ASSERT(payload != NULL);
    memcpy(payload, whole, size);
    for (uint32_t i = 0; i < damage_count; i++) {
        uint32_t place = take(&damages);

        place = (place << 8 | take(&damages)) % (uint32_t)size;
        payload[place] = take(&damages);
    }
    vt_err err = batch_fuzz_frame(
        options, &(struct batch_frame){VT_FRAME_BATCH_COLUMNS, events, {payload, size}});

    if (damage_count == 0 && (m->frame.ids != COLUMN_IDS_SEQUENCE || options->producer.size > 0))
        VT_ASSERT(err == VT_OK);
    free(payload);
    free(whole);
    free(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct source source = {data + 1, data + size};
    uint32_t events = (data[0] & 0x3FU) + 1;
    struct batch_options options = {
        .catalog = hand_catalog(), .key = {1, 2}, .partition_count = 7, .epoch = 3, .sequence = 4};

    if ((data[0] & 0x40) != 0)
        options.producer = VT_STR("p");
    if ((data[0] & 0x80) != 0)
        (void)batch_fuzz_frame(
            &options, &(struct batch_frame){VT_FRAME_BATCH_COLUMNS, events, {data + 1, size - 1}});
    else
        try_made(&options, &source, events);
    return 0;
}

#include "column_batch.h"

#include <stdlib.h>

#include "venturi/assert.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ID_BYTES_MAX UINT16_MAX
#define HEAD_BYTES   5

/* The dictionary of a column. The table holds code + 1 by hash, open addressing, at most half
 * full. */
struct dictionary {
    struct vt_str *strings; /* into `text`; set when all is known, for `text` moves as it grows */
    uint32_t *offset;
    uint32_t *size;
    uint32_t count;
    uint32_t capacity;
    uint32_t *table;
    uint32_t table_mask;
    char *text;
    uint64_t text_bytes;
    uint64_t text_capacity;
    uint32_t *codes; /* one an event */
};

/* One column of a field. */
struct column {
    struct dictionary dictionary; /* strings */
    int64_t *mantissas;
    uint8_t *present;
    bool all_present;
};

struct column_batch {
    struct column_batch_options options;
    uint32_t count;
    uint64_t bytes; /* an upper bound of the payload's */
    struct dictionary tenants;
    struct dictionary sources;
    struct dictionary traces;
    int64_t *times_us;
    uint16_t *id_sizes;
    uint8_t *id_data;
    uint64_t id_bytes;
    uint64_t id_capacity;
    struct column *columns;
    struct column_field *fields; /* what column_frame_encode reads */
    uint8_t *payload;
    uint64_t payload_capacity;
};

/* --- growing */

/* Makes room for `need` bytes; VT_NOMEM leaves all as it is. */
static vt_err
bytes_reserve(void **data, uint64_t *capacity, uint64_t need)
{
    if (need <= *capacity)
        return VT_OK;
    uint64_t bytes = *capacity < 256 ? 256 : *capacity;

    while (bytes < need)
        bytes *= 2;
    void *grown = realloc(*data, bytes);

    if (grown == NULL)
        return VT_NOMEM;
    *data = grown;
    *capacity = bytes;
    return VT_OK;
}

/* --- dictionaries */

static void
dictionary_free(struct dictionary *dictionary)
{
    free(dictionary->strings);
    free(dictionary->offset);
    free(dictionary->size);
    free(dictionary->table);
    free(dictionary->text);
    free(dictionary->codes);
}

static uint32_t
text_hash(struct vt_str text)
{
    return (uint32_t)XXH3_64bits(text.data, text.size);
}

static struct vt_str
dictionary_string(const struct dictionary *dictionary, uint32_t code)
{
    return (struct vt_str){dictionary->text + dictionary->offset[code], dictionary->size[code]};
}

static vt_err
dictionary_grow(struct dictionary *dictionary)
{
    uint32_t capacity = dictionary->capacity == 0 ? 64 : dictionary->capacity * 2;
    uint32_t mask = capacity * 2 - 1;
    uint32_t *table = calloc((uint64_t)mask + 1, sizeof *table);
    struct vt_str *strings = realloc(dictionary->strings, (uint64_t)capacity * sizeof *strings);

    if (strings != NULL)
        dictionary->strings = strings;
    uint32_t *offset = realloc(dictionary->offset, (uint64_t)capacity * sizeof *offset);

    if (offset != NULL)
        dictionary->offset = offset;
    uint32_t *size = realloc(dictionary->size, (uint64_t)capacity * sizeof *size);

    if (size != NULL)
        dictionary->size = size;
    if (table == NULL || strings == NULL || offset == NULL || size == NULL) {
        free(table);
        return VT_NOMEM;
    }
    for (uint32_t code = 0; code < dictionary->count; code++) {
        uint32_t at = text_hash(dictionary_string(dictionary, code)) & mask;

        while (table[at] != 0)
            at = (at + 1) & mask;
        table[at] = code + 1;
    }
    free(dictionary->table);
    dictionary->table = table;
    dictionary->table_mask = mask;
    dictionary->capacity = capacity;
    return VT_OK;
}

static vt_err
dictionary_code(struct dictionary *dictionary, struct vt_str text, uint32_t *out_code)
{
    vt_err err = VT_OK;

    if (dictionary->count == dictionary->capacity)
        err = dictionary_grow(dictionary);
    if (err != VT_OK)
        return err;
    uint32_t at = text_hash(text) & dictionary->table_mask;

    for (; dictionary->table[at] != 0; at = (at + 1) & dictionary->table_mask) {
        uint32_t code = dictionary->table[at] - 1;

        if (vt_str_equal(dictionary_string(dictionary, code), text)) {
            *out_code = code;
            return VT_OK;
        }
    }
    uint64_t end = dictionary->text_bytes + text.size;
    void *data = dictionary->text;

    if (end > UINT32_MAX)
        return VT_TOO_LARGE;
    err = bytes_reserve(&data, &dictionary->text_capacity, end == 0 ? 1 : end);
    if (err != VT_OK)
        return err;
    dictionary->text = data;
    if (text.size > 0)
        memcpy(dictionary->text + dictionary->text_bytes, text.data, text.size);
    dictionary->offset[dictionary->count] = (uint32_t)dictionary->text_bytes;
    dictionary->size[dictionary->count] = text.size;
    dictionary->text_bytes = end;
    dictionary->table[at] = dictionary->count + 1;
    *out_code = dictionary->count++;
    return VT_OK;
}

static void
dictionary_clear(struct dictionary *dictionary)
{
    dictionary->count = 0;
    dictionary->text_bytes = 0;
    if (dictionary->table != NULL)
        memset(dictionary->table, 0,
               ((uint64_t)dictionary->table_mask + 1) * sizeof *dictionary->table);
}

static struct column_strings
dictionary_view(struct dictionary *dictionary)
{
    for (uint32_t code = 0; code < dictionary->count; code++)
        dictionary->strings[code] = dictionary_string(dictionary, code);
    return (struct column_strings){dictionary->count, dictionary->strings, dictionary->codes};
}

/* The same, or none where every event has "". */
static struct column_strings
dictionary_view_optional(struct dictionary *dictionary)
{
    if (dictionary->count == 1 && dictionary->size[0] == 0)
        return (struct column_strings){0, NULL, NULL};
    return dictionary_view(dictionary);
}

static vt_err
dictionary_init(struct dictionary *dictionary, uint32_t events_max)
{
    dictionary->codes = calloc(events_max, sizeof *dictionary->codes);
    return dictionary->codes == NULL ? VT_NOMEM : dictionary_grow(dictionary);
}

/* --- life */

static vt_err
columns_open(struct column_batch *batch)
{
    const struct column_batch_options *options = &batch->options;
    vt_err err = VT_OK;

    batch->columns = calloc((uint64_t)options->field_count + 1, sizeof *batch->columns);
    batch->fields = calloc((uint64_t)options->field_count + 1, sizeof *batch->fields);
    if (batch->columns == NULL || batch->fields == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; err == VT_OK && i < options->field_count; i++) {
        struct column *column = &batch->columns[i];

        column->all_present = true;
        if (!options->fields[i].decimal) {
            err = dictionary_init(&column->dictionary, options->events_max);
            continue;
        }
        column->mantissas = calloc(options->events_max, sizeof *column->mantissas);
        column->present = calloc(options->events_max, sizeof *column->present);
        if (column->mantissas == NULL || column->present == NULL)
            err = VT_NOMEM;
    }
    return err;
}

vt_err
column_batch_open(const struct column_batch_options *options, struct column_batch **out_batch)
{
    VT_ASSERT(options->events_max > 0);
    VT_ASSERT(options->events_max <= VT_BATCH_EVENTS_MAX);
    VT_ASSERT(options->field_count <= VT_COLUMNS_MAX);
    struct column_batch *batch = calloc(1, sizeof *batch);

    if (batch == NULL)
        return VT_NOMEM;
    batch->options = *options;
    batch->times_us = calloc(options->events_max, sizeof *batch->times_us);
    batch->id_sizes = calloc(options->events_max, sizeof *batch->id_sizes);
    vt_err err = batch->times_us == NULL || batch->id_sizes == NULL ? VT_NOMEM : VT_OK;

    if (err == VT_OK)
        err = dictionary_init(&batch->tenants, options->events_max);
    if (err == VT_OK)
        err = dictionary_init(&batch->sources, options->events_max);
    if (err == VT_OK)
        err = dictionary_init(&batch->traces, options->events_max);
    if (err == VT_OK)
        err = columns_open(batch);
    if (err != VT_OK) {
        column_batch_close(batch);
        return err;
    }
    column_batch_clear(batch);
    *out_batch = batch;
    return VT_OK;
}

void
column_batch_close(struct column_batch *batch)
{
    if (batch == NULL)
        return;
    dictionary_free(&batch->tenants);
    dictionary_free(&batch->sources);
    dictionary_free(&batch->traces);
    for (uint32_t i = 0; batch->columns != NULL && i < batch->options.field_count; i++) {
        dictionary_free(&batch->columns[i].dictionary);
        free(batch->columns[i].mantissas);
        free(batch->columns[i].present);
    }
    free(batch->times_us);
    free(batch->id_sizes);
    free(batch->id_data);
    free(batch->columns);
    free(batch->fields);
    free(batch->payload);
    free(batch);
}

/* --- events */

/* What the event may add to the payload, were all its strings new. */
static uint64_t
event_bytes(const struct column_batch *batch, const struct column_event *event)
{
    uint64_t bytes = 8 + 3 * (4 + HEAD_BYTES) + (uint64_t)event->tenant.size + event->source.size +
                     event->trace.size;

    if (batch->options.ids == COLUMN_IDS_TEXT)
        bytes += 2 + event->id.size;
    else if (batch->options.ids == COLUMN_IDS_UUID)
        bytes += 16;
    for (uint32_t i = 0; i < batch->options.field_count; i++)
        bytes += batch->options.fields[i].decimal
                     ? 9
                     : 4 + HEAD_BYTES + (uint64_t)event->values[i].text.size;
    return bytes;
}

static vt_err
field_add(struct column_batch *batch, uint32_t i, const struct column_value *value)
{
    struct column *column = &batch->columns[i];
    uint32_t at = batch->count;

    if (!batch->options.fields[i].decimal)
        return dictionary_code(&column->dictionary, value->text, &column->dictionary.codes[at]);
    column->mantissas[at] = value->present ? value->mantissa : 0;
    column->present[at] = value->present;
    column->all_present = column->all_present && value->present;
    return VT_OK;
}

static vt_err
id_add(struct column_batch *batch, struct vt_bytes id)
{
    void *data = batch->id_data;

    if (batch->options.ids == COLUMN_IDS_SEQUENCE)
        return VT_OK;
    vt_err err = bytes_reserve(&data, &batch->id_capacity, batch->id_bytes + id.size + 1);

    if (err != VT_OK)
        return err;
    batch->id_data = data;
    if (id.size > 0)
        memcpy(batch->id_data + batch->id_bytes, id.data, id.size);
    batch->id_sizes[batch->count] = (uint16_t)id.size;
    return VT_OK;
}

vt_err
column_batch_add(struct column_batch *batch, const struct column_event *event)
{
    const struct column_batch_options *options = &batch->options;
    uint64_t bytes = event_bytes(batch, event);
    uint32_t at = batch->count;
    vt_err err;

    if (options->ids == COLUMN_IDS_UUID && event->id.size != 16)
        return VT_INVALID;
    if (event->id.size > ID_BYTES_MAX)
        return VT_TOO_LARGE;
    if (at == options->events_max || batch->bytes + bytes > options->bytes_max)
        return at == 0 ? VT_TOO_LARGE : VT_FULL;
    /* A failure in between leaves strings in dictionaries that no event has: that does no harm
     * where they are counted. */
    batch->bytes += bytes;
    err = dictionary_code(&batch->tenants, event->tenant, &batch->tenants.codes[at]);
    if (err == VT_OK)
        err = dictionary_code(&batch->sources, event->source, &batch->sources.codes[at]);
    if (err == VT_OK)
        err = dictionary_code(&batch->traces, event->trace, &batch->traces.codes[at]);
    for (uint32_t i = 0; err == VT_OK && i < options->field_count; i++)
        err = field_add(batch, i, &event->values[i]);
    if (err == VT_OK)
        err = id_add(batch, event->id);
    if (err != VT_OK)
        return err;
    batch->times_us[at] = event->time_us;
    batch->id_bytes += options->ids == COLUMN_IDS_SEQUENCE ? 0 : event->id.size;
    batch->count++;
    return VT_OK;
}

uint32_t
column_batch_count(const struct column_batch *batch)
{
    return batch->count;
}

vt_err
column_batch_encode(struct column_batch *batch, struct vt_bytes *out_payload)
{
    const struct column_batch_options *options = &batch->options;

    VT_ASSERT(batch->count > 0);
    for (uint32_t i = 0; i < options->field_count; i++) {
        struct column *column = &batch->columns[i];
        struct column_field *field = &batch->fields[i];

        field->name = options->fields[i].name;
        field->decimal = options->fields[i].decimal;
        field->scale = options->fields[i].scale;
        field->mantissas = column->mantissas;
        field->present = column->all_present ? NULL : column->present;
        if (!field->decimal)
            field->strings = dictionary_view(&column->dictionary);
    }
    struct column_frame frame = {
        .event_count = batch->count,
        .type = options->type,
        .tenants = dictionary_view(&batch->tenants),
        .ids = options->ids,
        .id_sizes = batch->id_sizes,
        .id_data = batch->id_data,
        .sources = dictionary_view_optional(&batch->sources),
        .times_us = batch->times_us,
        .field_count = options->field_count,
        .fields = batch->fields,
        .traces = dictionary_view_optional(&batch->traces),
    };
    void *payload = batch->payload;
    vt_err err = bytes_reserve(&payload, &batch->payload_capacity, column_frame_bytes(&frame));

    if (err != VT_OK)
        return err;
    batch->payload = payload;
    uint64_t size = column_frame_encode(&frame, batch->payload);

    VT_ASSERT(size <= options->bytes_max);
    VT_ASSERT(size <= batch->payload_capacity);
    *out_payload = (struct vt_bytes){batch->payload, size};
    return VT_OK;
}

void
column_batch_clear(struct column_batch *batch)
{
    const struct column_batch_options *options = &batch->options;

    batch->count = 0;
    batch->id_bytes = 0;
    dictionary_clear(&batch->tenants);
    dictionary_clear(&batch->sources);
    dictionary_clear(&batch->traces);
    batch->bytes = UINT64_C(64) + UINT64_C(16) * HEAD_BYTES + options->type.size;
    for (uint32_t i = 0; i < options->field_count; i++) {
        batch->columns[i].all_present = true;
        dictionary_clear(&batch->columns[i].dictionary);
        batch->bytes += UINT64_C(8) * HEAD_BYTES + options->fields[i].name.size;
    }
}

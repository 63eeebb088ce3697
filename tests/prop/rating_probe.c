/*
 * rating_probe - rates accepted events of a text file and prints lines and unrated usage, so that
 * rating can be compared with the oracle without a log, a socket or a dedup index.
 *
 * usage: rating_probe CATALOG.json ROWS.txt BLOCK_ROWS [AT_US]
 *
 * A row is: tenant type source id, as "size:bytes"; the time in microseconds; the number of fields;
 * a field is its name, then s and a text, or d, a scale and an integer. Numbers end with a space.
 * Blocks hold up to BLOCK_ROWS rows of one tenant and type; the dictionary changes every few
 * blocks.
 *
 * Output: "L " and a line, "U " and unrated usage, each as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "dict.h"
#include "json_out.h"
#include "rating.h"
#include "venturi/assert.h"
#include "zones.h"

#define FIELDS_MAX  CATALOG_FIELDS_MAX
#define DICT_BLOCKS 3 /* blocks that share a dictionary */

struct field {
    struct vt_str name;
    bool is_string;
    struct vt_str text;
    uint32_t scale;
    int64_t value;
};

struct row {
    struct vt_str tenant;
    struct vt_str type;
    struct vt_str source;
    struct vt_str id;
    int64_t time_us;
    uint32_t field_count;
    struct field fields[FIELDS_MAX];
};

struct rows {
    struct vt_bytes text; /* that the rows point into */
    uint32_t count;
    struct row *at;
};

static void
check(vt_err err, const char *what)
{
    if (err == VT_OK)
        return;
    (void)fprintf(stderr, "rating_probe: %s: %s: %s\n", what, vt_err_name(err), vt_err_last());
    exit(1); /* NOLINT(concurrency-mt-unsafe): there is one thread */
}

static void *
need(void *memory)
{
    check(memory == NULL ? VT_NOMEM : VT_OK, "memory");
    return memory;
}

/* A file's bytes, from malloc. */
static struct vt_bytes
file_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    uint64_t size = 0;
    uint64_t capacity = 0;

    check(file == NULL ? VT_IO : VT_OK, path);
    for (;;) {
        if (size == capacity) {
            capacity = capacity == 0 ? 65536 : capacity * 2;
            data = need(realloc(data, capacity));
        }
        size_t got = fread(data + size, 1, capacity - size, file);

        if (got == 0)
            break;
        size += got;
    }
    check(fclose(file) != 0 ? VT_IO : VT_OK, path);
    return (struct vt_bytes){data, size};
}

static void
free_bytes(struct vt_bytes bytes)
{
    union {
        const uint8_t *read;
        uint8_t *owned;
    } data = {.read = bytes.data};

    free(data.owned);
}

/* ---- the rows ---- */

static int64_t
take_integer(struct vt_reader *reader, char end)
{
    bool is_negative = reader->at < reader->end && *reader->at == '-';
    uint64_t value = 0;

    reader->at += is_negative ? 1 : 0;
    for (uint8_t c = vt_read_u8(reader); c != (uint8_t)end; c = vt_read_u8(reader)) {
        check(reader->bad || c < '0' || c > '9' ? VT_BAD_FORMAT : VT_OK, "an integer");
        value = value * 10 + (c - (uint64_t)'0');
    }
    return (int64_t)(is_negative ? 0 - value : value);
}

static struct vt_str
take_text(struct vt_reader *reader)
{
    uint64_t size = (uint64_t)take_integer(reader, ':');
    struct vt_bytes bytes = vt_read_bytes(reader, size);

    return (struct vt_str){(const char *)bytes.data, (uint32_t)bytes.size};
}

static void
take_row(struct vt_reader *reader, struct row *row)
{
    row->tenant = take_text(reader);
    row->type = take_text(reader);
    row->source = take_text(reader);
    row->id = take_text(reader);
    row->time_us = take_integer(reader, ' ');
    row->field_count = (uint32_t)take_integer(reader, ' ');
    check(row->field_count > FIELDS_MAX ? VT_TOO_LARGE : VT_OK, "fields");
    for (uint32_t i = 0; i < row->field_count; i++) {
        struct field *field = &row->fields[i];

        field->name = take_text(reader);
        field->is_string = vt_read_u8(reader) == 's';
        if (field->is_string) {
            field->text = take_text(reader);
        } else {
            field->scale = (uint32_t)take_integer(reader, ' ');
            field->value = take_integer(reader, ' ');
        }
    }
}

static struct rows
rows_read(const char *path)
{
    struct rows rows = {.text = file_read(path)};
    struct vt_reader reader = vt_reader_of(rows.text);
    uint32_t capacity = 0;

    while (vt_reader_left(&reader) > 0) {
        if (rows.count == capacity) {
            capacity = capacity == 0 ? 1024 : capacity * 2;
            rows.at = need(realloc(rows.at, capacity * sizeof *rows.at));
        }
        take_row(&reader, &rows.at[rows.count++]);
        check(reader.bad ? VT_BAD_FORMAT : VT_OK, path);
    }
    return rows;
}

/* ---- blocks ---- */

struct builder {
    struct dict *dict;
    uint32_t blocks; /* that the dictionary served */
    struct row_block block;
    uint32_t capacity;
    uint64_t *positions;
    int64_t *times;
    uint32_t *sources;
    struct row_id *ids;
    struct row_column columns[FIELDS_MAX];
    int64_t *values[FIELDS_MAX];
    uint8_t *present[FIELDS_MAX];
    uint32_t *codes[FIELDS_MAX];
};

static void
builder_init(struct builder *builder, uint32_t capacity)
{
    memset(builder, 0, sizeof *builder);
    builder->capacity = capacity;
    builder->positions = need(calloc(capacity, sizeof(uint64_t)));
    builder->times = need(calloc(capacity, sizeof(int64_t)));
    builder->sources = need(calloc(capacity, sizeof(uint32_t)));
    builder->ids = need(calloc(capacity, sizeof(struct row_id)));
    for (uint32_t i = 0; i < FIELDS_MAX; i++) {
        builder->values[i] = need(calloc(capacity, sizeof(int64_t)));
        builder->present[i] = need(calloc(capacity, sizeof(uint8_t)));
        builder->codes[i] = need(calloc(capacity, sizeof(uint32_t)));
    }
}

static void
builder_deinit(struct builder *builder)
{
    free(builder->positions);
    free(builder->times);
    free(builder->sources);
    free(builder->ids);
    for (uint32_t i = 0; i < FIELDS_MAX; i++) {
        free(builder->values[i]);
        free(builder->present[i]);
        free(builder->codes[i]);
    }
    dict_close(builder->dict);
}

static void
builder_begin(struct builder *builder, struct vt_str tenant, struct vt_str type)
{
    if (builder->dict == NULL || builder->blocks == DICT_BLOCKS) {
        dict_close(builder->dict);
        check(dict_open(&builder->dict), "dictionary");
        builder->blocks = 0;
    }
    builder->blocks++;
    builder->block = (struct row_block){.tenant = tenant, .type = type};
}

/* The column of a field; a new one is absent in the rows before. */
static uint32_t
builder_column(struct builder *builder, const struct field *field)
{
    struct row_block *block = &builder->block;

    for (uint32_t i = 0; i < block->column_count; i++) {
        if (vt_str_equal(builder->columns[i].name, field->name))
            return i;
    }
    uint32_t at = block->column_count++;

    memset(builder->values[at], 0, builder->capacity * sizeof(int64_t));
    memset(builder->present[at], 0, builder->capacity);
    memset(builder->codes[at], 0, builder->capacity * sizeof(uint32_t));
    builder->columns[at] =
        (struct row_column){.name = field->name,
                            .kind = field->is_string ? FIELD_STRING : FIELD_DECIMAL,
                            .scale = field->scale};
    if (field->is_string) {
        builder->columns[at].code = builder->codes[at];
    } else {
        builder->columns[at].value = builder->values[at];
        builder->columns[at].present = builder->present[at];
    }
    return at;
}

static void
builder_add(struct builder *builder, const struct row *row)
{
    uint32_t at = builder->block.row_count++;

    builder->times[at] = row->time_us;
    builder->ids[at] =
        (struct row_id){(const uint8_t *)row->id.data, (uint16_t)row->id.size, ROW_ID_TEXT};
    check(dict_code(builder->dict, row->source, &builder->sources[at]), "source");
    for (uint32_t i = 0; i < row->field_count; i++) {
        uint32_t column = builder_column(builder, &row->fields[i]);

        builder->present[column][at] = 1;
        if (row->fields[i].is_string)
            check(dict_code(builder->dict, row->fields[i].text, &builder->codes[column][at]),
                  "string");
        else
            builder->values[column][at] = row->fields[i].value;
    }
}

static void
builder_flush(struct builder *builder, struct rater *rater)
{
    struct row_block *block = &builder->block;
    struct vt_str *strings = NULL;

    if (block->row_count == 0)
        return;
    /* A column that all rows have says so, as that of a segment does. */
    for (uint32_t i = 0; i < block->column_count; i++) {
        uint32_t present = 0;

        for (uint32_t r = 0; r < block->row_count; r++)
            present += builder->present[i][r];
        if (present == block->row_count)
            builder->columns[i].present = NULL;
    }
    block->dict_count = dict_count(builder->dict);
    check(dict_array(builder->dict, block->dict_count, &strings), "dictionary");
    block->dict = strings;
    block->dict_id = dict_id(builder->dict);
    block->position = builder->positions;
    block->time_us = builder->times;
    block->source = builder->sources;
    block->id = rater_needs_ids(rater) ? builder->ids : NULL;
    block->columns = builder->columns;
    check(rater_add(rater, block), "rater_add");
    free(strings);
    block->row_count = 0;
    block->column_count = 0;
}

/* ---- answers ---- */

static vt_err
print_line(void *context, const struct rated_line *line)
{
    struct json_out *out = context;

    json_put_raw(out, "L ", 2);
    json_put_line(out, line);
    return out->err;
}

static vt_err
print_unrated(void *context, const struct unrated_usage *usage)
{
    struct json_out *out = context;

    json_put_raw(out, "U ", 2);
    json_put_unrated(out, usage);
    return out->err;
}

static void
rate_tenant(const struct rater_options *options, const struct rows *rows, uint32_t block_rows,
            struct json_out *out)
{
    const struct catalog *catalog = options->catalog;
    struct rating_sink sink = {print_line, print_unrated, out};
    struct builder *builder = need(malloc(sizeof *builder));
    struct rater *rater = NULL;

    builder_init(builder, block_rows);
    check(rater_open(options, &rater), "rater_open");
    for (uint32_t t = 0; t < catalog->type_count; t++) {
        builder_begin(builder, catalog->tenants[options->tenant].key, catalog->types[t].name);
        for (uint32_t i = 0; i < rows->count; i++) {
            const struct row *row = &rows->at[i];

            if (!vt_str_equal(row->tenant, builder->block.tenant) ||
                !vt_str_equal(row->type, catalog->types[t].name))
                continue;
            builder_add(builder, row);
            if (builder->block.row_count == block_rows) {
                builder_flush(builder, rater);
                builder_begin(builder, row->tenant, row->type);
            }
        }
        builder_flush(builder, rater);
    }
    check(rater_finish(rater, &sink), "rater_finish");
    rater_close(rater);
    builder_deinit(builder);
    free(builder);
}

int
main(int argc, char **argv)
{
    struct catalog_zones source;
    struct zones *zones = NULL;
    struct catalog *catalog = NULL;
    struct json_out out;

    if (argc < 4 || argc > 5) {
        (void)fprintf(stderr, "usage: rating_probe CATALOG.json ROWS.txt BLOCK_ROWS [AT_US]\n");
        return 2;
    }
    struct vt_bytes text = file_read(argv[1]);
    struct rows rows = rows_read(argv[2]);
    uint32_t block_rows = (uint32_t)strtoul(argv[3], NULL, 10);
    struct rater_options options = {.has_at = argc == 5};

    check(block_rows == 0 ? VT_INVALID : VT_OK, "BLOCK_ROWS");
    if (argc == 5)
        options.at_us = strtoll(argv[4], NULL, 10);
    check(zones_open(&zones), "zones");
    source = zones_source(zones);
    check(catalog_load((struct vt_str){(const char *)text.data, (uint32_t)text.size}, &source,
                       &catalog),
          "catalog");
    options.catalog = catalog;
    json_out_init(&out);
    for (uint32_t i = 0; i < catalog->tenant_count; i++) {
        options.tenant = i;
        rate_tenant(&options, &rows, block_rows, &out);
        check(out.err, "output");
        check(out.size > 0 && fwrite(out.data, 1, out.size, stdout) != out.size ? VT_IO : VT_OK,
              "output");
        json_out_reset(&out);
    }
    json_out_deinit(&out);
    catalog_free(catalog);
    zones_close(zones);
    free_bytes(rows.text);
    free_bytes(text);
    free(rows.at);
    return fflush(stdout) == 0 ? 0 : 1;
}

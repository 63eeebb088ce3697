/* rating_rig.c - see rating_rig.h. */
#include "rating_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/dict.h"
#include "net/zones.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define TEXT_BYTES 65536

struct rating_rig {
    struct zones *zones;
    struct catalog *catalog;
    struct rater *rater;
    struct dict *dict;
    uint32_t block_rows;
    uint32_t row_number;
    struct row_block block;
    uint64_t position[RATING_RIG_ROWS_MAX];
    int64_t time_us[RATING_RIG_ROWS_MAX];
    uint32_t source[RATING_RIG_ROWS_MAX];
    struct row_id id[RATING_RIG_ROWS_MAX];
    char id_text[RATING_RIG_ROWS_MAX][32];
    uint32_t d[RATING_RIG_ROWS_MAX];
    int64_t q[RATING_RIG_ROWS_MAX];
    uint8_t present[RATING_RIG_ROWS_MAX];
    struct row_column columns[2];
    char text[TEXT_BYTES];
    uint32_t text_size;
};

static void
need(vt_err err, const char *what)
{
    if (err == VT_OK)
        return;
    (void)fprintf(stderr, "rating_rig: %s: %s: %s\n", what, vt_err_name(err), vt_err_last());
    abort();
}

static struct vt_str
str(const char *text)
{
    return (struct vt_str){text == NULL ? "" : text, text == NULL ? 0 : (uint32_t)strlen(text)};
}

#define METER(key, more) "{'key': '" key "', 'event_type': 't', 'window': '1h', " more "}"

/* clang-format off */
static const char head[] =
    "{'event_types': [{'type': 't', 'fields': [{'name': 'd', 'kind': 'string'},"
    " {'name': 'e', 'kind': 'string'},"
    " {'name': 'q', 'kind': 'decimal', 'scale': 2, 'required': false}]}],"
    " 'tenants': [{'key': 'a'}], 'meters': ["
    METER("sum", "'aggregation': 'sum', 'field': 'q'") ", "
    METER("count", "'aggregation': 'count'") ", "
    METER("max", "'aggregation': 'max', 'field': 'q'") ", "
    METER("min", "'aggregation': 'min', 'field': 'q'") ", "
    METER("last", "'aggregation': 'last', 'field': 'q'") ", "
    METER("unique", "'aggregation': 'unique', 'field': 'd'") ", "
    METER("xsum", "'aggregation': 'sum', 'field': 'q', 'filter': {'d': 'x'}")
    "], 'plans': [";
/* clang-format on */

static struct catalog *
catalog_make(const struct rating_rig_catalog *given, struct zones *zones)
{
    struct catalog_zones source = zones_source(zones);
    struct catalog *catalog = NULL;
    char *text = calloc(1, TEXT_BYTES);

    need(text == NULL ? VT_NOMEM : VT_OK, "memory");
    int size = snprintf(text, TEXT_BYTES, "%s%s], 'contracts': [%s]}", head, given->plans,
                        given->contracts == NULL ? RIG_CONTRACT : given->contracts);

    need(size < 0 || size >= TEXT_BYTES ? VT_TOO_LARGE : VT_OK, "catalog");
    for (int i = 0; i < size; i++) {
        if (text[i] == '\'')
            text[i] = '"';
    }
    need(catalog_load(str(text), &source, &catalog), "catalog");
    free(text);
    return catalog;
}

struct rating_rig *
rating_rig_open(const struct rating_rig_catalog *catalog, const struct rater_options *options)
{
    struct rating_rig *rig = calloc(1, sizeof *rig);
    struct rater_options used = {.tenant = 0};

    need(rig == NULL ? VT_NOMEM : VT_OK, "memory");
    rig->block_rows = 3;
    need(zones_open(&rig->zones), "zones");
    rig->catalog = catalog_make(catalog, rig->zones);
    if (options != NULL)
        used = *options;
    used.catalog = rig->catalog;
    need(rater_open(&used, &rig->rater), "rater_open");
    return rig;
}

void
rating_rig_close(struct rating_rig *rig)
{
    rater_close(rig->rater);
    catalog_free(rig->catalog);
    zones_close(rig->zones);
    dict_close(rig->dict);
    free(rig);
}

struct rater *
rating_rig_rater(struct rating_rig *rig)
{
    return rig->rater;
}

const struct catalog *
rating_rig_catalog_of(const struct rating_rig *rig)
{
    return rig->catalog;
}

void
rating_rig_block_rows(struct rating_rig *rig, uint32_t count)
{
    VT_ASSERT(count > 0 && count <= RATING_RIG_ROWS_MAX);
    rig->block_rows = count;
}

/* Each block has a dictionary of its own: codes of one mean nothing in another. */
static void
rating_rig_flush(struct rating_rig *rig)
{
    struct row_block *block = &rig->block;
    struct vt_str *strings = NULL;

    if (block->row_count == 0)
        return;
    rig->columns[0] =
        (struct row_column){.name = VT_STR("d"), .kind = FIELD_STRING, .code = rig->d};
    rig->columns[1] = (struct row_column){.name = VT_STR("q"),
                                          .kind = FIELD_DECIMAL,
                                          .scale = 2,
                                          .value = rig->q,
                                          .present = rig->present};
    block->tenant = VT_STR("a");
    block->type = VT_STR("t");
    block->position = rig->position;
    block->time_us = rig->time_us;
    block->source = rig->source;
    block->id = rater_needs_ids(rig->rater) ? rig->id : NULL;
    block->column_count = 2;
    block->columns = rig->columns;
    block->dict_count = dict_count(rig->dict);
    need(dict_array(rig->dict, block->dict_count, &strings), "dictionary");
    block->dict = strings;
    block->dict_id = dict_id(rig->dict);
    need(rater_add(rig->rater, block), "rater_add");
    free(strings);
    dict_close(rig->dict);
    rig->dict = NULL;
    block->row_count = 0;
}

void
rating_rig_row(struct rating_rig *rig, const struct rating_rig_row *row)
{
    uint32_t at = rig->block.row_count++;
    char day[32];
    struct vt_str time = str(row->time);
    struct vt_utc utc;

    if (rig->dict == NULL)
        need(dict_open(&rig->dict), "dictionary");
    if (time.size == 2) {
        (void)snprintf(day, sizeof day, "2024-01-%sT00:00:00Z", row->time);
        time = str(day);
    }
    need(vt_utc_parse(time, &utc), row->time);
    (void)snprintf(rig->id_text[at], sizeof rig->id_text[at], "%05u", rig->row_number);
    struct vt_str id = row->id == NULL ? str(rig->id_text[at]) : str(row->id);

    rig->position[at] = rig->row_number++;
    rig->time_us[at] = utc.us;
    rig->id[at] = (struct row_id){(const uint8_t *)id.data, (uint16_t)id.size, ROW_ID_TEXT};
    need(dict_code(rig->dict, str(row->source), &rig->source[at]), "source");
    need(dict_code(rig->dict, str(row->d), &rig->d[at]), "d");
    rig->q[at] = 0;
    rig->present[at] = row->q != NULL;
    if (row->q != NULL)
        need(vt_decimal_parse(str(row->q), 2, &rig->q[at]), row->q);
    if (rig->block.row_count == rig->block_rows)
        rating_rig_flush(rig);
}

static void
put(struct rating_rig *rig, const char *before, struct vt_str text)
{
    uint32_t left = TEXT_BYTES - rig->text_size;
    int size =
        snprintf(rig->text + rig->text_size, left, "%s%.*s", before, (int)text.size, text.data);

    need(size < 0 || (uint32_t)size >= left ? VT_TOO_LARGE : VT_OK, "answer");
    rig->text_size += (uint32_t)size;
}

static void
put_number(struct rating_rig *rig, const char *before, int64_t number)
{
    char digits[32];

    (void)snprintf(digits, sizeof digits, "%lld", (long long)number);
    put(rig, before, str(digits));
}

static vt_err
put_line(void *context, const struct rated_line *line)
{
    struct rating_rig *rig = context;

    put(rig, "", line->charge);
    put(rig, " ", line->kind);
    if (line->row >= 0) {
        put_number(rig, " [", line->row);
        put(rig, "]", str(NULL));
    }
    for (uint32_t i = 0; i < line->group_count; i++) {
        put(rig, i == 0 ? " {" : ",", line->group_names[i]);
        put(rig, ":", line->group_values[i]);
    }
    put(rig, line->group_count > 0 ? "} " : " ", line->quantity);
    put(rig, " ", line->billable);
    put(rig, " ", line->amount_exact);
    put(rig, " ", line->amount);
    put(rig, "\n", str(NULL));
    return VT_OK;
}

static vt_err
put_unrated(void *context, const struct unrated_usage *usage)
{
    struct rating_rig *rig = context;

    put(rig, "", usage->meter);
    put(rig, " ", usage->reason);
    put_number(rig, " ", (int64_t)usage->events);
    put(rig, "\n", str(NULL));
    return VT_OK;
}

const char *
rating_rig_answer(struct rating_rig *rig)
{
    struct rating_sink sink = {put_line, put_unrated, rig};

    rating_rig_flush(rig);
    rig->text_size = 0;
    rig->text[0] = '\0';
    need(rater_finish(rig->rater, &sink), "rater_finish");
    return rig->text;
}

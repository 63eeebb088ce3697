/*
 * view_feed.c - the change feed of a view. Order: commit that made the entry, partition, place
 * among that commit's. A cursor names the entry that was read last and the store's history, and is
 * signed with the store's secret (SHA-256 over secret and cursor, 16 bytes of it: the secret is
 * random and never shown, and the message has a fixed length).
 */
#include <string.h>

#include "venturi/assert.h"
#include "venturi/hash.h"
#include "view_internal.h"

#define CURSOR_BYTES    40 /* history 8, number 8, partition 4, index 4, signature 16 */
#define CURSOR_BODY     24
#define CURSOR_TEXT     (2 * CURSOR_BYTES)
#define FEED_GROUPS_MAX CELL_DIMS_MAX

static void
cursor_sign(const uint8_t *secret, const uint8_t body[CURSOR_BODY], uint8_t out_signature[16])
{
    uint8_t message[32 + CURSOR_BODY];
    uint8_t digest[32];

    memcpy(message, secret, 32);
    memcpy(message + 32, body, CURSOR_BODY);
    vt_sha256(message, sizeof message, digest);
    memcpy(out_signature, digest, 16);
}

static void
cursor_write(const struct view *view, const uint8_t *secret, const struct page_key *key,
             char out_text[CURSOR_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t cursor[CURSOR_BYTES];

    memcpy(cursor, &view->history, 8);
    memcpy(cursor + 8, &key->number, 8);
    memcpy(cursor + 16, &key->partition, 4);
    memcpy(cursor + 20, &key->index, 4);
    cursor_sign(secret, cursor, cursor + CURSOR_BODY);
    for (size_t i = 0; i < CURSOR_BYTES; i++) {
        out_text[2 * i] = digits[cursor[i] >> 4];
        out_text[2 * i + 1] = digits[cursor[i] & 15];
    }
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A cursor of a history that this one went on from holds up to where they part. */
static vt_err
history_check(const struct view *view, uint64_t history, uint64_t number)
{
    for (uint32_t i = 0; i < view->fork_count; i++) {
        const struct store_fork *fork = &view->forks[i];

        if (fork->history != history)
            continue;
        if (number <= fork->number)
            return VT_OK;
        return vt_err_detail(
            VT_BAD_CURSOR,
            "the cursor is beyond a fork: the store was restored as of commit %llu "
            "(position %llu), and what history %016llx had after it is not here; "
            "read again from a cursor before it, or from the beginning",
            (unsigned long long)fork->number, (unsigned long long)fork->position,
            (unsigned long long)history);
    }
    return vt_err_detail(VT_BAD_CURSOR,
                         "the cursor is of history %016llx, which this store does not come from",
                         (unsigned long long)history);
}

static vt_err
cursor_read(const struct view *view, const uint8_t *secret, struct vt_str text,
            struct page_key *out_key)
{
    uint8_t cursor[CURSOR_BYTES];
    uint8_t signature[16];
    uint64_t history = 0;

    if (text.size != CURSOR_TEXT)
        return vt_err_detail(VT_BAD_CURSOR, "a cursor has %d characters", CURSOR_TEXT);
    for (size_t i = 0; i < CURSOR_BYTES; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return vt_err_detail(VT_BAD_CURSOR, "a cursor is made of hexadecimal digits");
        cursor[i] = (uint8_t)(high << 4 | low);
    }
    cursor_sign(secret, cursor, signature);
    if (memcmp(signature, cursor + CURSOR_BODY, sizeof signature) != 0)
        return vt_err_detail(VT_BAD_CURSOR, "the cursor was not made by this store");
    memcpy(&history, cursor, 8);
    memcpy(&out_key->number, cursor + 8, 8);
    if (history != view->history) {
        vt_err err = history_check(view, history, out_key->number);

        if (err != VT_OK)
            return err;
    }
    memcpy(&out_key->partition, cursor + 16, 4);
    memcpy(&out_key->index, cursor + 20, 4);
    return VT_OK;
}

struct feed_collect {
    struct page *page;
    struct page_key after;
    bool has_after;
};

/* A row with its strings copied to the page's arena. */
static vt_err
feed_copy(struct arena *arena, const struct feed_row *row, struct feed_row **out_copy)
{
    struct feed_row *copy = arena_alloc(arena, sizeof *copy);
    struct vt_str *texts = arena_alloc(arena, (2 * row->group_count + 1u) * sizeof *texts);

    if (copy == NULL || texts == NULL)
        return VT_NOMEM;
    *copy = *row;
    for (uint32_t g = 0; g < row->group_count; g++) {
        texts[g] = arena_copy(arena, row->group_names[g]);
        texts[row->group_count + g] = arena_copy(arena, row->group_values[g]);
        if (texts[g].data == NULL || texts[row->group_count + g].data == NULL)
            return VT_NOMEM;
    }
    copy->group_names = texts;
    copy->group_values = texts + row->group_count;
    copy->meter = arena_copy(arena, row->meter);
    copy->tenant = arena_copy(arena, row->tenant);
    if (copy->meter.data == NULL || copy->tenant.data == NULL)
        return VT_NOMEM;
    *out_copy = copy;
    return VT_OK;
}

static vt_err
feed_see(void *context, const struct feed_row *row)
{
    struct feed_collect *collect = context;
    struct page_key key = {row->number, row->partition, row->index};
    struct feed_row *copy = NULL;

    if ((collect->has_after && page_key_compare(&key, &collect->after) <= 0) ||
        !page_wants(collect->page, &key))
        return VT_OK;
    vt_err err = feed_copy(&collect->page->arena, row, &copy);

    return err == VT_OK ? page_add(collect->page, &key, copy) : err;
}

static vt_err
entry_see(struct feed_collect *collect, const struct epoch_mark *mark,
          const struct feed_entry *entry, uint32_t index)
{
    const struct catalog *catalog = mark->epoch->catalog;
    const struct catalog_meter *meter = &catalog->meters[entry->meter];
    struct vt_str names[FEED_GROUPS_MAX];
    struct vt_str values[FEED_GROUPS_MAX];

    for (uint32_t g = 0; g < meter->group_count; g++) {
        names[g] = catalog->types[meter->type].fields[meter->group_slots[g]].name;
        values[g] = dict_string(mark->epoch->dict, entry->group[g]);
    }
    struct feed_row row = {
        .number = entry->number,
        .partition = mark->epoch->partition,
        .index = index,
        .meter = meter->key,
        .tenant = catalog->tenants[entry->tenant].key,
        .window_start_us = entry->window_start_us,
        .group_count = meter->group_count,
        .group_names = names,
        .group_values = values,
        .revision = entry->revision,
        .position = entry->position,
        .count = entry->count,
        .total = entry->total,
        .difference = entry->difference,
        .scale = meter->scale,
        .window_us = meter->window_us,
        .closed = entry->closed,
    };

    return feed_see(collect, &row);
}

static vt_err
part_feed(const struct part_snapshot *part, struct feed_collect *collect)
{
    uint64_t from = collect->has_after ? collect->after.number : 0;
    vt_err err = VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < part->sealed_count; s++)
        err = sealed_each_feed(part->sealed[s], from, feed_see, collect);
    for (uint32_t m = 0; err == VT_OK && m < part->mark_count; m++) {
        const struct epoch_mark *mark = &part->marks[m];
        uint64_t number = 0;
        uint32_t index = 0;

        for (uint32_t i = 0; err == VT_OK && i < mark->feed_count; i++) {
            const struct feed_entry *entry = epoch_feed_at(mark->epoch, i);

            index = i > 0 && entry->number == number ? index + 1 : 0;
            number = entry->number;
            if (number >= from)
                err = entry_see(collect, mark, entry, index);
        }
    }
    return err;
}

static void
put_decimal(struct json_out *out, vt_i128 value, uint32_t scale)
{
    char text[VT_DECIMAL_BYTES];
    uint32_t size = vt_decimal_format(value, scale, text);

    json_string(out, (struct vt_str){text, size});
}

static void
feed_put(struct json_out *out, const struct feed_row *row, struct vt_str cursor)
{
    json_open(out, '{');
    json_key(out, VT_STR("kind"));
    json_string(out, VT_STR("window"));
    json_key(out, VT_STR("tenant"));
    json_string(out, row->tenant);
    json_key(out, VT_STR("meter"));
    json_string(out, row->meter);
    json_key(out, VT_STR("window_start"));
    json_time(out, row->window_start_us);
    json_key(out, VT_STR("window_end"));
    json_time(out, row->window_start_us + row->window_us);
    json_key(out, VT_STR("group"));
    json_open(out, '{');
    for (uint32_t g = 0; g < row->group_count; g++) {
        json_key(out, row->group_names[g]);
        json_string(out, row->group_values[g]);
    }
    json_close(out, '}');
    json_key(out, VT_STR("revision"));
    json_unsigned(out, row->revision);
    json_key(out, VT_STR("count"));
    json_unsigned(out, row->count);
    json_key(out, VT_STR("value"));
    put_decimal(out, row->total, row->scale);
    json_key(out, VT_STR("difference"));
    put_decimal(out, row->difference, row->scale);
    json_key(out, VT_STR("closed"));
    json_bool(out, row->closed);
    json_key(out, VT_STR("position"));
    json_unsigned(out, row->position);
    json_key(out, VT_STR("cursor"));
    json_string(out, cursor);
    json_close(out, '}');
    json_end_line(out);
}

vt_err
view_feed(const struct view *view, const struct feed_query *query, const struct view_sink *sink,
          uint64_t *out_rows)
{
    struct page page;
    struct feed_collect collect = {.page = &page, .has_after = query->cursor.size > 0};
    struct json_out out;
    vt_err err = VT_OK;

    if (collect.has_after)
        err = cursor_read(view, query->secret, query->cursor, &collect.after);
    if (err != VT_OK)
        return err;
    page_init(&page, query->limit == 0 ? UINT64_MAX : query->limit);
    json_out_init(&out);
    for (uint32_t p = 0; err == VT_OK && p < view->part_count; p++)
        err = part_feed(&view->parts[p], &collect);
    page_finish(&page);
    for (uint64_t i = 0; err == VT_OK && i < page.count; i++) {
        char cursor[CURSOR_TEXT];

        cursor_write(view, query->secret, &page.items[i].key, cursor);
        feed_put(&out, page.items[i].data, (struct vt_str){cursor, CURSOR_TEXT});
        err = view_flush(sink, &out, false);
    }
    if (err == VT_OK)
        err = view_flush(sink, &out, true);
    if (err == VT_OK)
        *out_rows = page.count;
    json_out_deinit(&out);
    page_deinit(&page);
    return err;
}

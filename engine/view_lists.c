/* view_lists.c - the exception queue of a view. See view.h. */
#include <stdlib.h>
#include <string.h>

#include "msgpack_json.h"
#include "venturi/assert.h"
#include "view_internal.h"

/* Positions of settled exceptions of one part, sorted. */
struct settled {
    uint64_t *positions;
    uint64_t count;
    uint64_t capacity;
};

static vt_err
settled_add(void *context, const struct settle_entry *entry)
{
    struct settled *settled = context;

    if (settled->count == settled->capacity) {
        uint64_t capacity = settled->capacity == 0 ? 64 : settled->capacity * 2;
        uint64_t *grown = realloc(settled->positions, capacity * sizeof *grown);

        if (grown == NULL)
            return VT_NOMEM;
        settled->positions = grown;
        settled->capacity = capacity;
    }
    settled->positions[settled->count++] = entry->position;
    return VT_OK;
}

static int
position_compare(const void *a, const void *b)
{
    const uint64_t *one = a;
    const uint64_t *other = b;

    return *one < *other ? -1 : *one > *other;
}

static vt_err
settled_collect(const struct part_snapshot *part, struct settled *settled)
{
    vt_err err = VT_OK;

    for (uint32_t s = 0; err == VT_OK && s < part->sealed_count; s++)
        err = sealed_each_settle(part->sealed[s], settled_add, settled);
    for (uint32_t m = 0; err == VT_OK && m < part->mark_count; m++)
        for (uint32_t i = 0; err == VT_OK && i < part->marks[m].settle_count; i++)
            err = settled_add(settled, epoch_settle_at(part->marks[m].epoch, i));
    if (settled->count > 1)
        qsort(settled->positions, settled->count, sizeof(uint64_t), position_compare);
    return err;
}

static bool
is_settled(const struct settled *settled, uint64_t position)
{
    return settled->count > 0 && bsearch(&position, settled->positions, settled->count,
                                         sizeof(uint64_t), position_compare) != NULL;
}

struct exception_scan {
    const struct exceptions_query *query;
    const struct settled *settled;
    uint32_t partition;
    struct page *page;
};

static vt_err
exception_see(void *context, const struct exception_entry *entry)
{
    struct exception_scan *scan = context;
    const struct exceptions_query *query = scan->query;
    struct page_key key = {entry->position, scan->partition, 0};

    if (entry->position <= query->after_position || !page_wants(scan->page, &key) ||
        (query->tenant.size > 0 && !vt_str_equal(query->tenant, entry->tenant)) ||
        (query->reason != 0 && query->reason != entry->reason) ||
        is_settled(scan->settled, entry->position))
        return VT_OK;
    uint64_t bytes = sizeof *entry + entry->tenant.size + entry->raw.size + entry->first.size;
    uint8_t *copy = arena_alloc(&scan->page->arena, bytes);

    if (copy == NULL)
        return VT_NOMEM;
    struct exception_entry *kept = (struct exception_entry *)(void *)copy;
    uint8_t *at = copy + sizeof *kept;

    *kept = *entry;
    if (entry->tenant.size > 0)
        memcpy(at, entry->tenant.data, entry->tenant.size);
    kept->tenant.data = (char *)at;
    at += entry->tenant.size;
    if (entry->raw.size > 0)
        memcpy(at, entry->raw.data, entry->raw.size);
    kept->raw.data = at;
    at += entry->raw.size;
    if (entry->first.size > 0)
        memcpy(at, entry->first.data, entry->first.size);
    kept->first.data = at;
    return page_add(scan->page, &key, kept);
}

static vt_err
part_exceptions(const struct part_snapshot *part, const struct exceptions_query *query,
                struct page *page)
{
    struct settled settled = {0};
    struct exception_scan scan = {
        .query = query,
        .settled = &settled,
        .partition = part->partition,
        .page = page,
    };
    vt_err err = settled_collect(part, &settled);

    for (uint32_t s = 0; err == VT_OK && s < part->sealed_count; s++)
        err = sealed_each_exception(part->sealed[s], exception_see, &scan);
    for (uint32_t m = 0; err == VT_OK && m < part->mark_count; m++)
        for (uint32_t i = 0; err == VT_OK && i < part->marks[m].exception_count; i++)
            err = exception_see(&scan, epoch_exception_at(part->marks[m].epoch, i));
    free(settled.positions);
    return err;
}

static void
exception_put(struct json_out *out, const struct exception_entry *entry)
{
    bool conflict = entry->reason == VT_REASON_NONE;
    const char *reason = conflict ? "conflict" : vt_reason_name(entry->reason);

    json_open(out, '{');
    json_key(out, VT_STR("position"));
    json_unsigned(out, entry->position);
    json_key(out, VT_STR("reason"));
    json_string(out, (struct vt_str){reason, (uint32_t)strlen(reason)});
    json_key(out, VT_STR("tenant"));
    json_string(out, entry->tenant);
    json_key(out, VT_STR("arrival"));
    json_time(out, entry->arrival_us);
    json_key(out, VT_STR("event"));
    /* What cannot be read as a value is said so, and the line stays a line. */
    if (json_put_msgpack(out, entry->raw) != VT_OK)
        json_null(out);
    if (conflict) {
        json_key(out, VT_STR("first_position"));
        json_unsigned(out, entry->first_position);
        json_key(out, VT_STR("first"));
        if (json_put_msgpack(out, entry->first) != VT_OK)
            json_null(out);
    }
    json_close(out, '}');
    json_end_line(out);
}

vt_err
view_exceptions(const struct view *view, const struct exceptions_query *query,
                const struct view_sink *sink)
{
    struct page page;
    struct json_out out;
    vt_err err = VT_OK;

    page_init(&page, query->limit == 0 ? UINT64_MAX : query->limit);
    json_out_init(&out);
    for (uint32_t p = 0; err == VT_OK && p < view->part_count; p++)
        if (view_part_has(view, &view->parts[p], query->tenant))
            err = part_exceptions(&view->parts[p], query, &page);
    page_finish(&page);
    for (uint64_t i = 0; err == VT_OK && i < page.count; i++) {
        exception_put(&out, page.items[i].data);
        err = view_flush(sink, &out, false);
    }
    if (err == VT_OK)
        err = view_flush(sink, &out, true);
    json_out_deinit(&out);
    page_deinit(&page);
    return err;
}

/*
 * window_save.c - see window_book.h: the states as bytes. Names stand for meters and tenants.
 *
 *   le32 version, 1
 *   le32 count of highs, each:    meter, tenant, le64 start
 *   le32 count of windows, each:  meter, tenant, le64 start, le64 arrival of the first event, le64
 *                                 first commit, u8 final, le32 count of dirty groups, each: le64
 *                                 arrival, group
 *
 * meter, tenant and group are a le32 size and its bytes. Highs stand by (meter, tenant), windows by
 * (meter, tenant, start), the groups of a window in the order in which they became dirty.
 */
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "window_book.h"

#define SAVE_VERSION 1

struct writer {
    uint8_t *data;
    uint64_t size;
    uint64_t max;
    vt_err err; /* the first */
};

static void
put(struct writer *writer, const void *data, uint64_t size)
{
    if (writer->err == VT_OK && size > writer->max - writer->size) {
        uint64_t max = (writer->size + size) * 2;
        uint8_t *larger = realloc(writer->data, max);

        if (larger == NULL) {
            writer->err = VT_NOMEM;
        } else {
            writer->data = larger;
            writer->max = max;
        }
    }
    if (writer->err != VT_OK || size == 0)
        return;
    memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

static void
put_u32(struct writer *writer, uint64_t value)
{
    le32 bytes = le32_put((uint32_t)value);

    if (value > UINT32_MAX && writer->err == VT_OK)
        writer->err = VT_TOO_LARGE;
    put(writer, &bytes, sizeof bytes);
}

static void
put_u64(struct writer *writer, uint64_t value)
{
    le64 bytes = le64_put(value);

    put(writer, &bytes, sizeof bytes);
}

static void
put_text(struct writer *writer, struct vt_str text)
{
    put_u32(writer, text.size);
    put(writer, text.data, text.size);
}

static int
names_order(const struct catalog *catalog, const uint32_t a[2], const uint32_t b[2])
{
    int order = vt_str_compare(catalog->meters[a[0]].key, catalog->meters[b[0]].key);

    if (order != 0)
        return order;
    return vt_str_compare(catalog->tenants[a[1]].key, catalog->tenants[b[1]].key);
}

static int
high_order(const void *a, const void *b, void *context)
{
    const struct high *one = *(const struct high *const *)a;
    const struct high *other = *(const struct high *const *)b;

    return names_order(context, (uint32_t[2]){one->meter, one->tenant},
                       (uint32_t[2]){other->meter, other->tenant});
}

static int
win_order(const void *a, const void *b, void *context)
{
    const struct win *one = *(const struct win *const *)a;
    const struct win *other = *(const struct win *const *)b;
    int order = names_order(context, (uint32_t[2]){one->meter, one->tenant},
                            (uint32_t[2]){other->meter, other->tenant});

    if (order != 0)
        return order;
    return one->start_us < other->start_us ? -1 : one->start_us > other->start_us;
}

/* The items of a table, sorted; from malloc. */
static vt_err
sorted_items(const struct ptr_table *table, int (*order)(const void *, const void *, void *),
             const struct catalog *catalog, void ***out_items)
{
    struct catalog names = *catalog; /* qsort_r's context is not const */
    uint64_t count = 0;
    void **items = malloc((table->count + 1) * sizeof(void *));

    if (items == NULL)
        return VT_NOMEM;
    for (uint64_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        if (table->slots[i].item != NULL)
            items[count++] = table->slots[i].item;
    }
    VT_ASSERT(count == table->count);
    qsort_r(items, count, sizeof(void *), order, &names);
    *out_items = items;
    return VT_OK;
}

static void
put_win(struct writer *writer, const struct catalog *catalog, const struct win *win)
{
    uint8_t final = win->final;
    uint64_t groups = 0;

    put_text(writer, catalog->meters[win->meter].key);
    put_text(writer, catalog->tenants[win->tenant].key);
    put_u64(writer, (uint64_t)win->start_us);
    put_u64(writer, (uint64_t)win->first_us);
    put_u64(writer, win->first_commit);
    put(writer, &final, 1);
    for (const struct dirty *dirty = win->dirty; dirty != NULL; dirty = dirty->next)
        groups++;
    put_u32(writer, groups);
    for (const struct dirty *dirty = win->dirty; dirty != NULL; dirty = dirty->next) {
        put_u64(writer, (uint64_t)dirty->since_us);
        put_u32(writer, dirty->bytes);
        put(writer, dirty->group, dirty->bytes);
    }
}

vt_err
window_state_save(const struct window_state *state, const struct window_history *history,
                  struct vt_bytes *out_saved)
{
    struct writer writer = {.err = VT_OK};
    void **highs = NULL, **wins = NULL;
    uint64_t kept = 0;
    vt_err err = sorted_items(&state->highs, high_order, state->catalog, &highs);

    (void)history; /* groups are held as strings: no dictionary is needed */
    if (err == VT_OK)
        err = sorted_items(&state->windows, win_order, state->catalog, &wins);
    if (err != VT_OK)
        goto done;
    put_u32(&writer, SAVE_VERSION);
    put_u32(&writer, state->highs.count);
    for (uint64_t i = 0; i < state->highs.count; i++) {
        const struct high *high = highs[i];

        put_text(&writer, state->catalog->meters[high->meter].key);
        put_text(&writer, state->catalog->tenants[high->tenant].key);
        put_u64(&writer, (uint64_t)high->start_us);
    }
    for (uint64_t i = 0; i < state->windows.count; i++) {
        const struct win *win = wins[i];

        if (!win->final || win->dirty != NULL)
            wins[kept++] = wins[i]; /* the others are asked of history */
    }
    put_u32(&writer, kept);
    for (uint64_t i = 0; i < kept; i++)
        put_win(&writer, state->catalog, wins[i]);
    err = writer.err;

done:
    free(highs);
    free(wins);
    if (err != VT_OK)
        free(writer.data);
    else
        *out_saved = (struct vt_bytes){writer.data, writer.size};
    return err;
}

static vt_err
bad(const char *what)
{
    return vt_err_detail(VT_BAD_FORMAT, "saved window states: %s", what);
}

static struct vt_str
read_text(struct vt_reader *reader)
{
    struct vt_bytes bytes = vt_read_bytes(reader, vt_read_u32(reader));

    return (struct vt_str){(const char *)bytes.data, (uint32_t)bytes.size};
}

static vt_err
load_names(const struct window_state *state, struct vt_reader *reader, struct win *out_key)
{
    uint32_t meter = catalog_find_meter(state->catalog, read_text(reader));
    uint32_t tenant = catalog_find_tenant(state->catalog, read_text(reader));
    int64_t start_us = vt_read_i64(reader);

    if (reader->bad)
        return bad("cut short");
    if (meter == CATALOG_NONE)
        return bad("a meter that is not in the catalog");
    if (tenant == CATALOG_NONE)
        return bad("a tenant that is not in the catalog");
    *out_key = (struct win){.meter = meter, .tenant = tenant, .start_us = start_us};
    return VT_OK;
}

static vt_err
load_groups(struct window_state *state, struct vt_reader *reader, struct win *win)
{
    uint32_t count = vt_read_u32(reader);

    if (!reader->bad && (count > 0) != win->final)
        return bad("a window is dirty and not final, or final and not dirty");
    for (uint32_t i = 0; i < count; i++) {
        int64_t since_us = vt_read_i64(reader);
        struct vt_bytes group = vt_read_bytes(reader, vt_read_u32(reader));

        if (reader->bad)
            return bad("cut short");
        if (group.size > GROUP_BYTES_MAX)
            return bad("a group is too long");
        if (dirty_find(state, win, group.data, (uint32_t)group.size) != NULL)
            return bad("a group stands twice");
        if (win->dirty_last != NULL && win->dirty_last->since_us > since_us)
            return bad("groups are not in order");
        vt_err err = dirty_open(state, win, group, since_us);

        if (err != VT_OK)
            return err;
    }
    return VT_OK;
}

static vt_err
load_win(struct window_state *state, struct vt_reader *reader)
{
    struct win like = {.meter = 0}, *win;
    vt_err err = load_names(state, reader, &like);

    if (err != VT_OK)
        return err;
    like.first_us = vt_read_i64(reader);
    like.first_commit = vt_read_u64(reader);
    uint8_t final = vt_read_u8(reader);

    if (reader->bad)
        return bad("cut short");
    if (final > 1)
        return bad("a flag is neither 0 nor 1");
    like.final = final == 1;
    if (win_find(state, like.meter, like.tenant, like.start_us) != NULL)
        return bad("a window stands twice");
    err = win_open(state, &like, &win);
    if (err == VT_OK)
        err = load_groups(state, reader, win);
    if (err == VT_OK)
        err = win_schedule(state, win);
    return err;
}

vt_err
window_load(struct window_state *state, struct vt_bytes saved)
{
    struct vt_reader reader = vt_reader_of(saved);
    uint32_t version = vt_read_u32(&reader);
    uint32_t highs = vt_read_u32(&reader);
    vt_err err = VT_OK;

    VT_ASSERT(state->windows.count == 0);
    if (reader.bad || version != SAVE_VERSION)
        return bad("of another version");
    for (uint32_t i = 0; i < highs && err == VT_OK; i++) {
        struct win key = {.meter = 0};
        bool above;

        err = load_names(state, &reader, &key);
        if (err == VT_OK)
            err = high_raise(state, key.meter, key.tenant, key.start_us, &above);
    }
    uint32_t wins = vt_read_u32(&reader);

    for (uint32_t i = 0; i < wins && err == VT_OK; i++)
        err = load_win(state, &reader);
    if (err == VT_OK && (reader.bad || vt_reader_left(&reader) != 0))
        err = bad("cut short, or too long");
    return err;
}

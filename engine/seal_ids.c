/* seal_ids.c - the id run: ids in the order of their keys, in pages. See sealed_format.h and
 * id_page.h. */
#include <stdlib.h>

#include "seal_internal.h"
#include "venturi/assert.h"

enum { KEYS_COLUMN, IDS_COLUMN };

vt_err
seal_ids_open(struct seal *seal, struct seal_ids *ids)
{
    ids->seal = seal;
    return int_columns_init(&ids->places, SEAL_ID_PLACE_COLUMNS);
}

static struct chunk_key
block_key(uint32_t column, uint32_t page)
{
    return (struct chunk_key){.kind = SEAL_IDS, .column = column, .block = page / SEAL_ID_PAGES};
}

static uint32_t
part_seed(const struct seal_ids *ids, uint32_t column, uint32_t page)
{
    return segment_writer_part_seed(ids->seal->writer, block_key(column, page),
                                    page % SEAL_ID_PAGES);
}

/* Room for `bytes` at the end of a list: the caller fills in and counts them. */
static uint8_t *
list_room(struct byte_list *list, uint64_t bytes)
{
    if (bytes > list->capacity - list->size) {
        uint64_t capacity = (list->size + bytes) * 2;
        uint8_t *grown = realloc(list->data, capacity);

        if (grown == NULL)
            return NULL;
        list->data = grown;
        list->capacity = capacity;
    }
    return list->data + list->size;
}

static vt_err
ids_chunk_put(struct seal_ids *ids)
{
    uint32_t pages = ids->places.row_count;

    if (ids->ids.size == 0)
        return VT_OK;
    vt_err err = segment_put_parts(ids->seal->writer, block_key(IDS_COLUMN, pages - 1),
                                   byte_list_view(&ids->ids));

    ids->ids.size = 0;
    return err;
}

static vt_err
page_put(struct seal_ids *ids)
{
    uint32_t page = ids->places.row_count;
    uint64_t at = 0;

    if (ids->count == 0)
        return VT_OK;
    /* The list of their bytes has moved while it grew. */
    for (uint32_t i = 0; i < ids->count; i++) {
        ids->page[i].id.data = ids->text.data + at;
        at += ids->page[i].id.size;
    }
    VT_ASSERT(at == ids->text.size);
    uint8_t *keys = list_room(&ids->keys, ID_PAGE_KEY_BYTES);
    uint8_t *room = list_room(&ids->ids, id_page_bound(ids->page, ids->count));
    vt_err err = keys == NULL || room == NULL ? VT_NOMEM : int_columns_add(&ids->places);

    if (err != VT_OK)
        return err;
    ids->keys.size +=
        id_page_put_keys(part_seed(ids, KEYS_COLUMN, page), ids->page, ids->count, keys);
    ids->ids.size += id_page_put_ids(part_seed(ids, IDS_COLUMN, page), ids->page, ids->count, room);
    ids->places.values[SEAL_ID_FIRST][page] = (int64_t)ids->page[0].key;
    ids->places.values[SEAL_ID_KEYS_END][page] = (int64_t)ids->keys.size; /* of the strip, yet */
    ids->places.values[SEAL_ID_IDS_END][page] = (int64_t)ids->ids.size;
    ids->written += ids->count;
    ids->count = 0;
    ids->text.size = 0;
    return (page + 1) % SEAL_ID_PAGES == 0 ? ids_chunk_put(ids) : VT_OK;
}

vt_err
seal_ids_put(struct seal_ids *ids, const struct run_id *entry)
{
    struct run_id *last = ids->count == 0 ? NULL : &ids->page[ids->count - 1];

    VT_ASSERT(entry->id.kind != ROW_ID_SEQUENCE);
    VT_ASSERT(last == NULL || last->key <= entry->key);
    vt_err err = byte_list_add(&ids->text, entry->id.data, entry->id.size);

    if (err != VT_OK)
        return err;
    ids->page[ids->count++] = *entry;
    return ids->count == ID_PAGE_IDS ? page_put(ids) : VT_OK;
}

/* The strip in chunks of as many pages as those of the ids; ends become places in their chunk. */
static vt_err
strip_put(struct seal_ids *ids)
{
    int64_t *ends = ids->places.values[SEAL_ID_KEYS_END];
    uint32_t pages = ids->places.row_count;
    uint64_t from = 0;
    vt_err err = VT_OK;

    for (uint32_t page = 0; err == VT_OK && page < pages; page += SEAL_ID_PAGES) {
        uint32_t next = pages - page < SEAL_ID_PAGES ? pages : page + SEAL_ID_PAGES;
        uint64_t end = (uint64_t)ends[next - 1];

        err = segment_put_parts(ids->seal->writer, block_key(KEYS_COLUMN, page),
                                (struct vt_bytes){ids->keys.data + from, end - from});
        for (uint32_t i = page; i < next; i++)
            ends[i] -= (int64_t)from;
        from = end;
    }
    return err;
}

vt_err
seal_ids_finish(struct seal_ids *ids)
{
    vt_err err = page_put(ids);

    if (err == VT_OK)
        err = ids_chunk_put(ids);
    if (err == VT_OK)
        err = strip_put(ids);
    if (err == VT_OK)
        err = seal_put_columns(ids->seal, SEAL_ID_PLACES, 0, &ids->places);
    ids->seal->meta.identities = le64_put(ids->written);
    return err;
}

void
seal_ids_close(struct seal_ids *ids)
{
    int_columns_deinit(&ids->places);
    byte_list_deinit(&ids->text);
    byte_list_deinit(&ids->ids);
    byte_list_deinit(&ids->keys);
}

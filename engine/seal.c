/* seal.c - a frozen epoch becomes a segment. See sealed.h; the chunks stand in sealed_format.h. */
#include <stdlib.h>
#include <string.h>

#include "seal_internal.h"
#include "venturi/assert.h"

vt_err
seal_open(struct io *io, const struct store_segment *segment, struct seal *seal)
{
    vt_err err = segment_writer_open(io, segment->path, &segment->id, &seal->writer);

    VT_ASSERT(seal->catalog != NULL);
    VT_ASSERT(seal->dict != NULL);
    return err == VT_OK ? seal_rows_open(seal) : err;
}

vt_err
seal_finish(struct seal *seal, struct store_segment *segment)
{
    struct chunk_key key = {.kind = SEAL_META};

    seal->meta.magic = le32_put(SEAL_MAGIC);
    seal->meta.version = le32_put(SEAL_VERSION);
    memcpy(seal->meta.catalog, seal->catalog->sha256, sizeof seal->meta.catalog);
    vt_err err = seal_put_bytes(seal, key,
                                (struct vt_bytes){(const uint8_t *)&seal->meta, sizeof seal->meta});

    if (err == VT_OK)
        err = segment_writer_finish(seal->writer, &segment->file_bytes);
    if (err == VT_OK)
        segment->check = segment_writer_check(seal->writer);
    segment->rows = seal->row_next;
    return err;
}

void
seal_close(struct seal *seal)
{
    int_columns_deinit(&seal->rows);
    int_columns_deinit(&seal->groups);
    int_columns_deinit(&seal->blocks);
    byte_list_deinit(&seal->extra);
    byte_list_deinit(&seal->stubs);
    segment_writer_close(seal->writer);
    free(seal->extra_size);
}

static vt_err
cell_put(void *context, const struct cell_key *key, const struct cell_value *value)
{
    return seal_cells_put(context, key, value);
}

static vt_err
put_cells(struct seal *seal, const struct cells *from)
{
    struct seal_cells cells = {0};
    vt_err err = seal_cells_open(seal, &cells);

    if (err == VT_OK)
        err = cells_each(from, cell_put, &cells);
    if (err == VT_OK)
        err = seal_cells_finish(&cells);
    seal_cells_close(&cells);
    return err;
}

static vt_err
epoch_exceptions(struct seal *seal, const struct epoch_mark *mark)
{
    struct seal_list list = {0};
    vt_err err = seal_exceptions_open(seal, &list);

    for (uint32_t i = 0; err == VT_OK && i < mark->exception_count; i++)
        err = seal_exceptions_put(&list, epoch_exception_at(mark->epoch, i));
    if (err == VT_OK)
        err = seal_exceptions_finish(&list);
    seal_list_close(&list);
    return err;
}

static vt_err
epoch_settles(struct seal *seal, const struct epoch_mark *mark)
{
    struct seal_list list = {0};
    vt_err err = seal_settles_open(seal, &list);

    for (uint32_t i = 0; err == VT_OK && i < mark->settle_count; i++)
        err = seal_settles_put(&list, epoch_settle_at(mark->epoch, i));
    if (err == VT_OK)
        err = seal_settles_finish(&list);
    seal_list_close(&list);
    return err;
}

static vt_err
epoch_feed(struct seal *seal, const struct epoch_mark *mark)
{
    struct seal_list list = {0};
    vt_err err = seal_feed_open(seal, &list);

    for (uint32_t i = 0; err == VT_OK && i < mark->feed_count; i++)
        err = seal_feed_put(&list, epoch_feed_at(mark->epoch, i));
    if (err == VT_OK)
        err = seal_feed_finish(&list);
    seal_list_close(&list);
    return err;
}

static vt_err
seal_all(struct seal *seal, const struct epoch_mark *mark)
{
    struct cells *cells = NULL; /* of the rows; the epoch's own are its owner's */
    vt_err err = cells_open(seal->catalog, seal->dict, &cells);

    if (err == VT_OK)
        err = seal_epoch(seal, mark, cells);
    if (err == VT_OK)
        err = put_cells(seal, cells);
    cells_close(cells);
    if (err == VT_OK)
        err = seal_strings(seal);
    if (err == VT_OK)
        err = epoch_exceptions(seal, mark);
    if (err == VT_OK)
        err = epoch_settles(seal, mark);
    return err == VT_OK ? epoch_feed(seal, mark) : err;
}

vt_err
seal_write(struct io *io, struct store *store, struct epoch *epoch,
           struct store_segment *out_segment)
{
    struct seal seal = {.catalog = epoch->catalog, .dict = epoch->dict};
    struct epoch_mark mark = {0};
    struct store_info info;
    struct store_segment segment = {0};

    VT_ASSERT(epoch->frozen);
    store_get_info(store, &info);
    segment.id = (struct segment_id){
        .store = info.store,
        .cut = epoch->last_commit,
        .first_position = epoch->first_position,
        .last_position = epoch->last_position,
        .partition = epoch->partition,
    };
    store_segment_path(store, &segment.id, segment.path);
    vt_err err = epoch_mark_take(epoch, &mark);

    if (err != VT_OK)
        return err;
    seal.dict_count = mark.dict_count;
    err = seal_open(io, &segment, &seal);
    if (err == VT_OK)
        err = seal_all(&seal, &mark);
    if (err == VT_OK)
        err = seal_finish(&seal, &segment);
    seal_close(&seal);
    epoch_mark_put(&mark);
    if (err == VT_OK)
        *out_segment = segment;
    return err;
}

/* seal.c - a frozen epoch becomes a segment. See sealed.h; the chunks stand in sealed_format.h. */
#include <stdlib.h>
#include <string.h>

#include "seal_internal.h"
#include "venturi/assert.h"

static vt_err
seal_all(struct seal *seal)
{
    struct chunk_key key = {.kind = SEAL_META};
    vt_err err = seal_rows(seal);

    if (err == VT_OK)
        err = seal_ids(seal);
    if (err == VT_OK)
        err = seal_cells(seal);
    if (err == VT_OK)
        err = seal_lists(seal);
    if (err != VT_OK)
        return err;
    seal->meta.magic = le32_put(SEAL_MAGIC);
    seal->meta.version = le32_put(SEAL_VERSION);
    memcpy(seal->meta.catalog, seal->epoch->catalog->sha256, sizeof seal->meta.catalog);
    return seal_put_bytes(seal, key,
                          (struct vt_bytes){(const uint8_t *)&seal->meta, sizeof seal->meta});
}

static void
seal_deinit(struct seal *seal)
{
    int_columns_deinit(&seal->rows);
    int_columns_deinit(&seal->groups);
    int_columns_deinit(&seal->blocks);
    byte_list_deinit(&seal->extra);
    byte_list_deinit(&seal->contents);
    content_close(seal->content);
    segment_writer_close(seal->writer);
    free(seal->extra_size);
    free(seal->identities);
}

vt_err
seal_write(struct io *io, struct store *store, struct epoch *epoch,
           struct store_segment *out_segment)
{
    struct seal seal = {.epoch = epoch};
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
    store_segment_path(store, segment.id.cut, segment.id.partition, segment.path);
    vt_err err = epoch_mark_take(epoch, &mark);

    if (err != VT_OK)
        return err;
    seal.mark = &mark;
    err = content_open(&seal.content);
    if (err == VT_OK)
        err = segment_writer_open(io, segment.path, &segment.id, &seal.writer);
    if (err == VT_OK)
        err = seal_all(&seal);
    if (err == VT_OK)
        err = segment_writer_finish(seal.writer, &segment.file_bytes);
    seal_deinit(&seal);
    epoch_mark_put(&mark);
    if (err == VT_OK)
        *out_segment = segment;
    return err;
}

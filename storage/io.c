/*
 * io.c - dispatch of io.h, and the one rule that holds for every disk: after a failed write or sync
 * a file takes no further one.
 */
#include "storage/io.h"

#include <stdlib.h>

#include "io_internal.h"
#include "venturi/assert.h"

vt_err
io_open(struct io *io, const char *path, uint32_t flags, struct io_file **out_file)
{
    VT_ASSERT((flags & IO_OPEN_CREATE) == 0 || (flags & IO_OPEN_WRITE) != 0);
    return io->ops->open(io, path, flags, out_file);
}

void
io_close_file(struct io_file *file)
{
    if (file != NULL)
        file->io->ops->close_file(file);
}

bool
io_file_dead(const struct io_file *file)
{
    return file->dead;
}

vt_err
io_read_at(struct io_file *file, void *buffer, uint64_t bytes, uint64_t offset)
{
    return file->io->ops->read_at(file, buffer, bytes, offset);
}

/* Marks the file dead where `err` says that bytes may be lost. */
static vt_err
judged(struct io_file *file, vt_err err)
{
    if (err != VT_OK)
        file->dead = true;
    return err;
}

static vt_err
refuse_dead(const struct io_file *file)
{
    return file->dead ? vt_err_detail(VT_BROKEN, "a write to this file failed before") : VT_OK;
}

vt_err
io_write_at(struct io_file *file, const void *buffer, uint64_t bytes, uint64_t offset)
{
    vt_err err = refuse_dead(file);

    if (err != VT_OK)
        return err;
    return judged(file, file->io->ops->write_at(file, buffer, bytes, offset));
}

vt_err
io_sync(struct io_file *file)
{
    vt_err err = refuse_dead(file);

    if (err != VT_OK)
        return err;
    return judged(file, file->io->ops->sync(file));
}

vt_err
io_size(struct io_file *file, uint64_t *out_bytes)
{
    return file->io->ops->size(file, out_bytes);
}

vt_err
io_truncate(struct io_file *file, uint64_t bytes)
{
    vt_err err = refuse_dead(file);

    if (err != VT_OK)
        return err;
    return judged(file, file->io->ops->truncate(file, bytes));
}

vt_err
io_allocate(struct io_file *file, uint64_t bytes)
{
    vt_err err = refuse_dead(file);

    /* Nothing that was written is lost by a failure. */
    return err == VT_OK ? file->io->ops->allocate(file, bytes) : err;
}

vt_err
io_lock(struct io_file *file)
{
    return file->io->ops->lock(file);
}

vt_err
io_make_dir(struct io *io, const char *path)
{
    return io->ops->make_dir(io, path);
}

vt_err
io_rename(struct io *io, const char *from, const char *to)
{
    return io->ops->rename(io, from, to);
}

vt_err
io_unlink(struct io *io, const char *path)
{
    return io->ops->unlink(io, path);
}

vt_err
io_sync_dir(struct io *io, const char *path)
{
    return io->ops->sync_dir(io, path);
}

vt_err
io_list_dir(struct io *io, const char *path, struct io_name_list *out_list)
{
    return io->ops->list_dir(io, path, out_list);
}

vt_err
io_free_bytes(struct io *io, const char *path, uint64_t *out_bytes)
{
    return io->ops->free_bytes(io, path, out_bytes);
}

void
io_name_list_free(struct io_name_list *list)
{
    free(list->names);
    *list = (struct io_name_list){NULL, 0};
}

vt_err
io_write_start(struct io *io, struct io_op *op)
{
    vt_err err = refuse_dead(op->file);

    if (err != VT_OK)
        return err;
    VT_ASSERT(op->file->io == io);
    VT_ASSERT(op->bytes > 0 && op->bytes % IO_ALIGN == 0 && op->offset % IO_ALIGN == 0);
    op->done_bytes = 0;
    return io->ops->write_start(io, op);
}

vt_err
io_poll(struct io *io, int64_t wait_ns)
{
    return io->ops->poll(io, wait_ns);
}

struct io_reader {
    struct io *io;
    uint32_t depth;
    bool tried; /* to open a ring: on the thread that reads */
    void *ring; /* NULL: none */
};

vt_err
io_reader_open(struct io *io, uint32_t depth, struct io_reader **out_reader)
{
    VT_ASSERT(depth > 0);
    struct io_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return VT_NOMEM;
    reader->io = io;
    reader->depth = depth;
    *out_reader = reader;
    return VT_OK;
}

void
io_reader_read(struct io_reader *reader, struct io_read *reads, uint32_t count)
{
    const struct io_ops *ops = reader->io->ops;

    for (uint32_t i = 0; i < count; i++)
        reads[i].err = VT_AGAIN; /* not read yet */
    if (!reader->tried && ops->ring_open != NULL)
        reader->ring = ops->ring_open(reader->depth);
    reader->tried = true;
    /* One alone gains nothing by a ring. */
    if (reader->ring != NULL && count > 1)
        ops->ring_read(reader->ring, reads, count);
    /* The plain way for the rest, and for what came short: its answer says why. */
    for (uint32_t i = 0; i < count; i++)
        if (reads[i].err != VT_OK)
            reads[i].err =
                io_read_at(reads[i].file, reads[i].buffer, reads[i].bytes, reads[i].offset);
}

void
io_reader_close(struct io_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->ring != NULL)
        reader->io->ops->ring_close(reader->ring);
    free(reader);
}

vt_err
io_random(struct io *io, void *out_bytes, uint32_t bytes)
{
    return io->ops->random(io, out_bytes, bytes);
}

void
io_sleep(struct io *io, int64_t ns)
{
    io->ops->sleep(io, ns);
}

void
io_close(struct io *io)
{
    if (io != NULL)
        io->ops->close(io);
}

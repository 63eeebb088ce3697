/*
 * io_sim.c - io.h over the simulated disk: counting, failing on command, the writes in flight and
 * their completions in an order that the seed gives.
 */
#include "io_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io_sim_disk.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define FLIGHTS_MAX 64U

struct sim_io {
    struct io base;
    struct sim_disk disk;
    struct sim_flight flights[FLIGHTS_MAX];
    uint32_t flight_count;
    uint64_t random;
    uint64_t calls[IO_SIM_KIND_COUNT];
    struct io_sim_fault fault;
    uint64_t space;
    bool hangs;
    uint64_t operations;
    uint64_t trace;
    void (*hook)(void *context);
    void *hook_context;
};

struct sim_file {
    struct io_file base;
    struct sim_node *node;
    bool has_lock;
    bool writable;
};

static struct sim_io *
sim_of(struct io *io)
{
    return (struct sim_io *)io;
}

static struct sim_file *
file_of(struct io_file *file)
{
    return (struct sim_file *)file;
}

static bool
is_durable(enum io_sim_kind kind)
{
    return kind == IO_SIM_WRITE || kind == IO_SIM_SYNC || kind == IO_SIM_SYNC_DIR ||
           kind == IO_SIM_COMPLETE;
}

/* Counts a call; the error with which it fails on command, or VT_OK. */
static vt_err
call(struct sim_io *io, enum io_sim_kind kind)
{
    const struct io_sim_fault *fault = &io->fault;
    bool meant = fault->kind == kind || (fault->kind == IO_SIM_DURABLE && is_durable(kind));

    io->calls[kind]++;
    io->calls[IO_SIM_DURABLE] += is_durable(kind);
    uint64_t number = io->calls[fault->kind];

    if (fault->nth == 0 || !meant || number < fault->nth ||
        (number > fault->nth && !fault->for_ever))
        return VT_OK;
    switch (fault->failure) {
    case IO_SIM_ENOSPC:
        return VT_FULL;
    case IO_SIM_CANCELLED:
        return VT_CANCELLED;
    case IO_SIM_EIO:
    case IO_SIM_SHORT:
        break;
    }
    return VT_IO;
}

/* An operation changed what a crash could leave. */
static void
happened(struct sim_io *io, enum io_sim_kind kind, uint64_t what)
{
    io->operations++;
    io->trace = (io->trace ^ what ^ (uint64_t)kind << 56) * UINT64_C(0x9e3779b97f4a7c15);
    io->trace ^= io->trace >> 29;
    if (io->hook != NULL)
        io->hook(io->hook_context);
}

static uint64_t
hash_path(const char *path)
{
    return vt_crc32c(path, strlen(path));
}

static vt_err
sim_create(struct sim_io *io, const char *path, struct sim_node **out_node)
{
    vt_err err = call(io, IO_SIM_CREATE);

    if (err != VT_OK)
        return err;
    if (!sim_parent_exists(&io->disk.visible, path))
        return VT_NOT_FOUND;
    *out_node = sim_node_new(false);
    sim_change_names(&io->disk, "", path, *out_node);
    happened(io, IO_SIM_CREATE, hash_path(path));
    return VT_OK;
}

static vt_err
sim_open_file(struct io *base, const char *path, uint32_t flags, struct io_file **out_file)
{
    struct sim_io *io = sim_of(base);
    struct sim_node *node = sim_find(&io->disk.visible, path);
    vt_err err;

    VT_ASSERT(strlen(path) < SIM_PATH_BYTES);
    if ((flags & IO_OPEN_CREATE) != 0) {
        if (node != NULL)
            return VT_EXISTS;
        err = sim_create(io, path, &node);
    } else {
        err = node == NULL ? VT_NOT_FOUND : call(io, IO_SIM_OPEN);
        if (err == VT_OK)
            node->references++;
    }
    if (err != VT_OK)
        return err;
    struct sim_file *file = calloc(1, sizeof *file);

    if (file == NULL) {
        sim_node_put(node);
        return VT_NOMEM;
    }
    file->base.io = base;
    file->node = node;
    file->writable = (flags & IO_OPEN_WRITE) != 0;
    *out_file = &file->base;
    return VT_OK;
}

static void
sim_close_file(struct io_file *base)
{
    struct sim_file *file = file_of(base);
    struct sim_io *io = sim_of(base->io);

    for (uint32_t i = 0; i < io->flight_count; i++)
        VT_ASSERT(io->flights[i].op->file != base);
    if (file->has_lock)
        file->node->locked = false;
    sim_node_put(file->node);
    free(file);
}

static vt_err
sim_read_at(struct io_file *file, void *buffer, uint64_t bytes, uint64_t offset)
{
    const struct sim_node *node = file_of(file)->node;
    vt_err err = call(sim_of(file->io), IO_SIM_READ);

    if (err != VT_OK)
        return err;
    if (offset > node->size || bytes > node->size - offset)
        return VT_END;
    sim_node_read(node, buffer, bytes, offset);
    return VT_OK;
}

static uint64_t
round_page(uint64_t bytes)
{
    return (bytes + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES * SIM_PAGE_BYTES;
}

uint64_t
io_sim_used(const struct io *base)
{
    const struct sim_names *names = &((const struct sim_io *)base)->disk.visible;
    uint64_t used = 0;

    for (uint32_t i = 0; i < names->count; i++)
        used += round_page(names->names[i].node->size);
    return used;
}

static uint64_t
sim_left(const struct sim_io *io)
{
    uint64_t used = io->space == UINT64_MAX ? 0 : io_sim_used(&io->base);

    return used < io->space ? io->space - used : 0;
}

/* How far a file of the node's size can reach, up to `end`. */
static uint64_t
sim_reach(const struct sim_io *io, const struct sim_node *node, uint64_t end)
{
    uint64_t has = round_page(node->size);
    uint64_t left = end <= has ? 0 : sim_left(io);

    return end <= has || left >= round_page(end) - has ? end : has + left;
}

static vt_err
sim_write_at(struct io_file *file, const void *buffer, uint64_t bytes, uint64_t offset)
{
    struct sim_io *io = sim_of(file->io);
    vt_err err = call(io, IO_SIM_WRITE);
    uint64_t reach = sim_reach(io, file_of(file)->node, offset + bytes);

    VT_ASSERT(file_of(file)->writable);
    if (err != VT_OK) {
        bytes = sim_random(&io->random) % (bytes + 1);
    } else if (reach < offset + bytes) {
        bytes = reach > offset ? reach - offset : 0;
        err = VT_FULL;
    }
    sim_node_write(&io->disk, file_of(file)->node, (struct vt_bytes){buffer, bytes}, offset);
    happened(io, IO_SIM_WRITE, vt_crc32c(buffer, bytes) ^ offset << 32);
    return err;
}

static vt_err
sim_sync(struct io_file *file)
{
    struct sim_io *io = sim_of(file->io);
    vt_err err = call(io, IO_SIM_SYNC);

    if (err == VT_OK)
        sim_node_sync(file_of(file)->node);
    else
        sim_node_sync_failed(file_of(file)->node, &io->random);
    happened(io, IO_SIM_SYNC, file_of(file)->node->size);
    return err;
}

static vt_err
sim_size(struct io_file *file, uint64_t *out_bytes)
{
    vt_err err = call(sim_of(file->io), IO_SIM_SIZE);

    if (err == VT_OK)
        *out_bytes = file_of(file)->node->size;
    return err;
}

static vt_err
sim_truncate(struct io_file *file, uint64_t bytes)
{
    struct sim_io *io = sim_of(file->io);
    vt_err err = call(io, IO_SIM_WRITE);

    if (err != VT_OK)
        return err;
    sim_node_resize(file_of(file)->node, bytes);
    happened(io, IO_SIM_WRITE, bytes);
    return VT_OK;
}

static vt_err
sim_allocate(struct io_file *file, uint64_t bytes)
{
    struct sim_io *io = sim_of(file->io);
    struct sim_node *node = file_of(file)->node;
    vt_err err = call(io, IO_SIM_WRITE);
    uint64_t reach = err == VT_OK ? sim_reach(io, node, bytes) : bytes / 2;

    if (err == VT_OK && reach < bytes)
        err = VT_FULL;
    if (reach > node->size)
        sim_node_resize(node, reach);
    happened(io, IO_SIM_WRITE, bytes);
    return err;
}

static vt_err
sim_free_bytes(struct io *base, const char *path, uint64_t *out_bytes)
{
    (void)path;
    *out_bytes = sim_left(sim_of(base));
    return VT_OK;
}

static vt_err
sim_lock(struct io_file *file)
{
    struct sim_file *sim = file_of(file);

    if (sim->node->locked && !sim->has_lock)
        return VT_LOCKED;
    sim->node->locked = true;
    sim->has_lock = true;
    return VT_OK;
}

static vt_err
sim_make_dir(struct io *base, const char *path)
{
    struct sim_io *io = sim_of(base);
    const struct sim_node *node = sim_find(&io->disk.visible, path);
    vt_err err;

    if (node != NULL)
        return node->is_dir ? VT_OK : VT_IO;
    err = call(io, IO_SIM_NAME);
    if (err == VT_OK && !sim_parent_exists(&io->disk.visible, path))
        err = VT_NOT_FOUND;
    if (err != VT_OK)
        return err;
    struct sim_node *dir = sim_node_new(true);

    sim_change_names(&io->disk, "", path, dir);
    sim_node_put(dir);
    happened(io, IO_SIM_NAME, hash_path(path));
    return VT_OK;
}

static vt_err
sim_rename(struct io *base, const char *from, const char *to)
{
    struct sim_io *io = sim_of(base);
    vt_err err = call(io, IO_SIM_NAME);

    if (err == VT_OK && sim_find(&io->disk.visible, from) == NULL)
        err = VT_NOT_FOUND;
    if (err != VT_OK)
        return err;
    sim_change_names(&io->disk, from, to, NULL);
    happened(io, IO_SIM_NAME, hash_path(from) << 32 | hash_path(to));
    return VT_OK;
}

static vt_err
sim_unlink(struct io *base, const char *path)
{
    struct sim_io *io = sim_of(base);
    vt_err err = VT_NOT_FOUND;

    if (sim_find(&io->disk.visible, path) != NULL)
        err = call(io, IO_SIM_NAME);
    if (err != VT_OK)
        return err;
    sim_change_names(&io->disk, path, "", NULL);
    happened(io, IO_SIM_NAME, hash_path(path) + 1);
    return VT_OK;
}

static vt_err
sim_sync_dir(struct io *base, const char *path)
{
    struct sim_io *io = sim_of(base);
    vt_err err = call(io, IO_SIM_SYNC_DIR);

    if (err != VT_OK)
        return err;
    sim_names_sync(&io->disk, path);
    happened(io, IO_SIM_SYNC_DIR, hash_path(path));
    return VT_OK;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static vt_err
sim_list_dir(struct io *base, const char *path, struct io_name_list *out_list)
{
    struct sim_io *io = sim_of(base);
    size_t size = strlen(path);
    vt_err err = call(io, IO_SIM_LIST);

    if (err == VT_OK && sim_find(&io->disk.visible, path) == NULL)
        err = VT_NOT_FOUND;
    if (err != VT_OK)
        return err;
    struct io_name_list list = {calloc(SIM_NAMES_MAX, sizeof list.names[0]), 0};

    if (list.names == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < io->disk.visible.count; i++) {
        const char *name = io->disk.visible.names[i].path;

        if (strncmp(name, path, size) != 0 || name[size] != '/' ||
            strchr(name + size + 1, '/') != NULL || strlen(name + size + 1) >= 64)
            continue;
        (void)snprintf(list.names[list.count++], sizeof list.names[0], "%s", name + size + 1);
    }
    if (list.count > 0)
        qsort(list.names, list.count, sizeof list.names[0], compare_names);
    *out_list = list;
    return VT_OK;
}

static vt_err
sim_write_start(struct io *base, struct io_op *op)
{
    struct sim_io *io = sim_of(base);

    VT_ASSERT(file_of(op->file)->writable);
    VT_ASSERT((uintptr_t)op->buffer % IO_ALIGN == 0);
    if (io->flight_count == FLIGHTS_MAX)
        return VT_AGAIN;
    io->flights[io->flight_count++] = (struct sim_flight){op, file_of(op->file)->node};
    happened(io, IO_SIM_COMPLETE, op->offset << 16 | op->bytes);
    return VT_OK;
}

/* Carries out a write that was in flight, wholly or as its failure says. */
static vt_err
land(struct sim_io *io, const struct sim_flight *flight)
{
    const struct io_op *op = flight->op;
    struct vt_bytes bytes = {op->buffer, op->bytes};
    vt_err err = op->file->dead ? VT_BROKEN : call(io, IO_SIM_COMPLETE);

    if (err == VT_CANCELLED && sim_random(&io->random) % 2 == 0)
        bytes.size = 0;
    else if (err != VT_OK && err != VT_CANCELLED)
        bytes.size = sim_random(&io->random) % (op->bytes / SIM_SECTOR_BYTES) * SIM_SECTOR_BYTES;
    sim_node_write_durable(flight->node, bytes, op->offset);
    if (err != VT_OK)
        op->file->dead = true;
    return err;
}

static vt_err
sim_poll(struct io *base, int64_t wait_ns)
{
    struct sim_io *io = sim_of(base);
    uint64_t count = sim_random(&io->random) % (io->flight_count + 1);

    if (io->hangs)
        return VT_OK;
    if (count == 0 && wait_ns > 0 && io->flight_count > 0)
        count = 1;
    for (; count > 0 && io->flight_count > 0; count--) {
        uint32_t index = (uint32_t)(sim_random(&io->random) % io->flight_count);
        struct sim_flight flight = io->flights[index];
        uint64_t what = flight.op->offset + 1;

        io->flights[index] = io->flights[--io->flight_count];
        vt_err err = land(io, &flight);

        flight.op->done(flight.op, err);
        happened(io, IO_SIM_COMPLETE, what);
    }
    return VT_OK;
}

static vt_err
sim_random_bytes(struct io *base, void *out_bytes, uint32_t bytes)
{
    uint8_t *at = out_bytes;

    for (uint32_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(sim_random(&sim_of(base)->random) >> 24);
    return VT_OK;
}

static void
sim_sleep(struct io *base, int64_t ns)
{
    (void)base;
    (void)ns;
}

static void
sim_close(struct io *base)
{
    struct sim_io *io = sim_of(base);

    VT_ASSERT(io->flight_count == 0);
    sim_disk_deinit(&io->disk);
    free(io);
}

static const struct io_ops sim_ops = {
    .open = sim_open_file,
    .close_file = sim_close_file,
    .read_at = sim_read_at,
    .write_at = sim_write_at,
    .sync = sim_sync,
    .size = sim_size,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .lock = sim_lock,
    .make_dir = sim_make_dir,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .sync_dir = sim_sync_dir,
    .list_dir = sim_list_dir,
    .free_bytes = sim_free_bytes,
    .write_start = sim_write_start,
    .poll = sim_poll,
    .random = sim_random_bytes,
    .sleep = sim_sleep,
    .close = sim_close,
};

vt_err
io_sim_open(uint64_t seed, struct io **out_io)
{
    struct sim_io *io = calloc(1, sizeof *io);

    if (io == NULL)
        return VT_NOMEM;
    io->base.ops = &sim_ops;
    io->random = seed;
    io->space = UINT64_MAX;
    *out_io = &io->base;
    return VT_OK;
}

void
io_sim_set_fault(struct io *io, const struct io_sim_fault *fault)
{
    sim_of(io)->fault = *fault;
}

void
io_sim_set_space(struct io *io, uint64_t bytes)
{
    sim_of(io)->space = bytes;
}

void
io_sim_set_hang(struct io *io, bool hangs)
{
    sim_of(io)->hangs = hangs;
}

uint64_t
io_sim_calls(const struct io *io, enum io_sim_kind kind)
{
    return ((const struct sim_io *)io)->calls[kind];
}

void
io_sim_set_hook(struct io *io, void (*hook)(void *context), void *context)
{
    sim_of(io)->hook = hook;
    sim_of(io)->hook_context = context;
}

uint64_t
io_sim_operations(const struct io *io)
{
    return ((const struct sim_io *)io)->operations;
}

uint64_t
io_sim_trace(const struct io *io)
{
    return ((const struct sim_io *)io)->trace;
}

vt_err
io_sim_crash(const struct io *base, const struct io_sim_crash *crash, uint64_t *out_subset,
             struct io **out_io)
{
    const struct sim_io *io = (const struct sim_io *)base;
    uint64_t subset = crash->kill ? 1 : 0;
    struct io *fresh;
    vt_err err = io_sim_open(crash->seed ^ UINT64_C(0x5eed), &fresh);

    if (err != VT_OK)
        return err;
    struct sim_io *to = sim_of(fresh);

    sim_disk_crash(&io->disk, crash, &to->disk, &subset);
    for (uint32_t i = 0; i < io->flight_count; i++)
        sim_disk_crash_flight(&io->flights[i], crash, &to->disk, &subset);
    sim_disk_crash_end(&io->disk);
    to->trace = io->trace ^ subset;
    to->space = io->space;
    *out_subset = subset;
    *out_io = fresh;
    return VT_OK;
}

vt_err
io_sim_put_file(struct io *base, const char *path, struct vt_bytes bytes)
{
    struct sim_io *io = sim_of(base);
    struct sim_node *node = sim_node_new(false);

    if (!sim_parent_exists(&io->disk.visible, path)) {
        sim_node_put(node);
        return VT_NOT_FOUND;
    }
    sim_node_write(&io->disk, node, bytes, 0);
    sim_node_sync(node);
    sim_change_names(&io->disk, "", path, node);
    sim_node_put(node);
    for (uint32_t i = 0; i < io->disk.change_count; i++) {
        const char *to = io->disk.changes[i].to;
        const char *slash = strrchr(to, '/');
        char dir[SIM_PATH_BYTES];

        (void)snprintf(dir, sizeof dir, "%.*s", slash == NULL ? 1 : (int)(slash - to),
                       slash == NULL ? "." : to);
        sim_names_sync(&io->disk, dir);
        i = UINT32_MAX; /* the list has changed: from its start */
    }
    return VT_OK;
}

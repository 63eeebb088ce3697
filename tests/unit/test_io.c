/*
 * Goal:   what io.h promises of both disks: errors by name, dead files, durable writes, the ring
 *         that net/ shares.
 * Method: tables over the real and the simulated disk; a nop of a foreign owner on the ring.
 */
#include <criterion/criterion.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io_sim.h"
#include "storage/io.h"
#include "venturi/assert.h"

static uint32_t foreign_count;
static vt_err done_with;

static void
count_foreign(void *context, uint64_t user_data, int32_t result, uint32_t flags)
{
    (void)flags;
    cr_assert(context == &foreign_count);
    cr_assert_eq(user_data, 7);
    cr_assert_eq(result, 0);
    foreign_count++;
}

static void
note(struct io_op *op, vt_err result)
{
    (void)op;
    done_with = result;
}

static void
write_block(struct io *io, struct io_file *file)
{
    struct io_op op = {.done = note, .file = file, .bytes = IO_ALIGN, .offset = IO_ALIGN};
    uint8_t *block = aligned_alloc(IO_ALIGN, IO_ALIGN);

    cr_assert(block != NULL);
    memset(block, 5, IO_ALIGN);
    op.buffer = block;
    done_with = VT_AGAIN;
    cr_assert_eq(io_write_start(io, &op), VT_OK);
    for (int i = 0; done_with == VT_AGAIN && i < 1000; i++)
        cr_assert_eq(io_poll(io, 10000000), VT_OK);
    free(block);
}

static void
expect_files(struct io *io, const char *dir)
{
    char path[128];
    struct io_file *file = NULL;
    uint8_t byte = 0;
    uint64_t size = 0;

    (void)snprintf(path, sizeof path, "%s/f", dir);
    cr_expect_eq(io_open(io, path, IO_OPEN_READ, &file), VT_NOT_FOUND);
    cr_assert_eq(io_open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, &file), VT_OK);
    write_block(io, file);
    cr_expect_eq(done_with, VT_OK);
    cr_expect_eq(io_size(file, &size), VT_OK);
    cr_expect_eq(size, 2 * IO_ALIGN);
    io_close_file(file);
    cr_expect_eq(io_open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file), VT_EXISTS);
    cr_assert_eq(io_open(io, path, IO_OPEN_READ, &file), VT_OK);
    cr_expect_eq(io_read_at(file, &byte, 1, IO_ALIGN), VT_OK);
    cr_expect_eq(byte, 5);
    cr_expect_eq(io_read_at(file, &byte, 1, 2 * IO_ALIGN), VT_END);
    io_close_file(file);
    cr_expect_eq(io_unlink(io, path), VT_OK);
    cr_expect_eq(io_unlink(io, path), VT_NOT_FOUND);
}

Test(io, the_real_disk, .timeout = 30)
{
    char dir[] = "/var/tmp/venturi-io-XXXXXX";
    struct io *io;
    vt_err err = io_uring_open(8, &io);

    if (err == VT_UNSUPPORTED)
        cr_skip_test("io_uring is switched off here");
    cr_assert_eq(err, VT_OK);
    cr_assert(mkdtemp(dir) != NULL);
    expect_files(io, dir);
    io_uring_set_foreign(io, count_foreign, &foreign_count);
    struct io_uring_sqe *sqe = io_uring_get_sqe(io_uring_ring(io));

    cr_assert(sqe != NULL);
    io_uring_prep_nop(sqe);
    sqe->user_data = 7;
    cr_assert_eq(io_poll(io, 100000000), VT_OK);
    cr_expect_eq(foreign_count, 1);
    io_close(io);
    (void)rmdir(dir);
}

Test(io, the_simulated_disk, .timeout = 30)
{
    struct io *io;

    cr_assert_eq(io_sim_open(3, &io), VT_OK);
    cr_assert_eq(io_make_dir(io, "d"), VT_OK);
    expect_files(io, "d");
    cr_expect(io_uring_ring(io) == NULL);
    io_close(io);
}

Test(io, without_a_ring_nothing_is_started, .timeout = 30)
{
    struct io *io;
    struct io_file *file;
    struct io_op op = {.done = note, .bytes = IO_ALIGN};

    cr_assert_eq(io_uring_open(0, &io), VT_OK);
    cr_assert_eq(io_open(io, "/dev/null", IO_OPEN_WRITE, &file), VT_OK);
    op.file = file;
    cr_expect_eq(io_write_start(io, &op), VT_UNSUPPORTED);
    cr_expect(io_uring_ring(io) == NULL);
    io_close_file(file);
    io_close(io);
}

Test(io, a_failed_write_ends_its_file, .timeout = 30)
{
    static const enum io_sim_failure failures[] = {IO_SIM_EIO, IO_SIM_ENOSPC, IO_SIM_SHORT,
                                                   IO_SIM_CANCELLED};
    static const vt_err wants[] = {VT_IO, VT_FULL, VT_IO, VT_CANCELLED};

    for (size_t i = 0; i < VT_COUNT(failures); i++) {
        const struct io_sim_fault fault = {
            .kind = IO_SIM_COMPLETE, .failure = failures[i], .nth = 1};
        struct io_file *file;
        struct io *io;

        cr_assert_eq(io_sim_open(i, &io), VT_OK);
        cr_assert_eq(io_open(io, "f", IO_OPEN_WRITE | IO_OPEN_CREATE, &file), VT_OK);
        io_sim_set_fault(io, &fault);
        write_block(io, file);
        cr_expect_eq(done_with, wants[i]);
        cr_expect(io_file_dead(file));
        cr_expect_eq(io_sync(file), VT_BROKEN);
        cr_expect_eq(io_write_at(file, "x", 1, 0), VT_BROKEN);
        io_close_file(file);
        io_close(io);
    }
}

Test(io, a_failed_call_ends_its_file, .timeout = 30)
{
    static const enum io_sim_kind kinds[] = {IO_SIM_WRITE, IO_SIM_SYNC};

    for (size_t i = 0; i < VT_COUNT(kinds); i++) {
        const struct io_sim_fault fault = {.kind = kinds[i], .failure = IO_SIM_EIO, .nth = 1};
        struct io_file *file;
        struct io *io;

        cr_assert_eq(io_sim_open(i, &io), VT_OK);
        cr_assert_eq(io_open(io, "f", IO_OPEN_WRITE | IO_OPEN_CREATE, &file), VT_OK);
        io_sim_set_fault(io, &fault);
        vt_err first = io_write_at(file, "x", 1, 0);

        cr_expect_eq(first == VT_OK ? io_sync(file) : first, VT_IO);
        cr_expect(io_file_dead(file));
        cr_expect_eq(io_write_at(file, "x", 1, 0), VT_BROKEN);
        cr_expect_eq(io_sync(file), VT_BROKEN);
        cr_expect_eq(io_truncate(file, 0), VT_BROKEN);
        io_close_file(file);
        io_close(io);
    }
}

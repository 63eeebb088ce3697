/*
 * golden_probe - the program's half of golden.py.
 *
 * usage: golden_probe write DIR     the store of support/rich_store.h, made on a simulated disk by
 *                                   its fixed script, copied to DIR
 *        golden_probe answers DIR   all that a store answers, and its digest
 *        golden_probe reopen DIR    opens for writing, as a daemon does, and stops cleanly
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rich_store.h"
#include "venturi/assert.h"

#define RING_ENTRIES 16

static void
copy_file(struct io *from, const char *from_path, struct io *to, const char *to_path)
{
    struct io_file *source;
    struct io_file *target;
    uint64_t bytes;

    engine_rig_check(io_open(from, from_path, IO_OPEN_READ, &source), from_path);
    engine_rig_check(io_size(source, &bytes), from_path);
    uint8_t *data = malloc(bytes + 1);

    VT_ASSERT(data != NULL);
    engine_rig_check(bytes == 0 ? VT_OK : io_read_at(source, data, bytes, 0), from_path);
    engine_rig_check(io_open(to, to_path, IO_OPEN_WRITE | IO_OPEN_CREATE, &target), to_path);
    engine_rig_check(bytes == 0 ? VT_OK : io_write_at(target, data, bytes, 0), to_path);
    engine_rig_check(io_sync(target), to_path);
    io_close_file(source);
    io_close_file(target);
    free(data);
}

/* The files of a directory, without those in directories of its own. */
static void
copy_dir(struct io *from, const char *from_dir, struct io *to, const char *to_dir)
{
    struct io_name_list names;
    char from_path[256];
    char to_path[512];

    engine_rig_check(io_make_dir(to, to_dir), to_dir);
    engine_rig_check(io_list_dir(from, from_dir, &names), from_dir);
    for (uint32_t i = 0; i < names.count; i++) {
        if (strcmp(names.names[i], "segments") == 0)
            continue;
        (void)snprintf(from_path, sizeof from_path, "%s/%s", from_dir, names.names[i]);
        (void)snprintf(to_path, sizeof to_path, "%s/%s", to_dir, names.names[i]);
        copy_file(from, from_path, to, to_path);
    }
    io_name_list_free(&names);
}

static void
write_store(struct io *io, const char *dir)
{
    struct engine_rig rig;
    char segments[256];

    rich_store_write(&rig, NULL);
    copy_dir(rig.io, RICH_DIR, io, dir);
    (void)snprintf(segments, sizeof segments, "%s/segments", dir);
    copy_dir(rig.io, RICH_DIR "/segments", io, segments);
    engine_rig_close(&rig);
}

static void
answer(struct io *io, const char *dir)
{
    struct answer_text text = {0};

    engine_rig_check(rich_store_answers(io, dir, &text), "answers");
    (void)fwrite(text.data, 1, text.size, stdout);
    (void)fputc('\n', stdout);
    free(text.data);
}

static void
reopen(const char *dir)
{
    struct engine_rig rig;
    struct engine_rig_options options = {.dir = dir, .worker_count = 2, .dedup_ids_max = 1 << 12};

    engine_rig_open(&rig, &options);
    engine_rig_stop(&rig);
    engine_rig_close(&rig);
}

int
main(int argc, char **argv)
{
    struct io *io;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: golden_probe write|answers|reopen DIR\n");
        return 2;
    }
    engine_rig_check(io_uring_open(RING_ENTRIES, &io), "io_uring_open");
    if (strcmp(argv[1], "write") == 0)
        write_store(io, argv[2]);
    else if (strcmp(argv[1], "answers") == 0)
        answer(io, argv[2]);
    else
        reopen(argv[2]);
    io_close(io);
    return 0;
}

/* copy_rig.c - see copy_rig.h. */
#include "copy_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "venturi/hash.h"

#define PARTITIONS  3U
#define LANES       2U
#define LANE_BYTES  (UINT64_C(48) << 10)
#define COMMIT_MAX  (UINT32_C(12) << 10)
#define PAYLOAD_MAX 6000U
#define VALUES_MAX  700U
#define BYTES_MAX   900U

static void
must(vt_err err, const char *what)
{
    if (err == VT_OK)
        return;
    (void)fprintf(stderr, "copy_rig: %s: %s [%s]\n", what, vt_err_name(err), vt_err_last());
    abort();
}

uint64_t
copy_rig_draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void
copy_rig_open(struct copy_rig *rig, struct io *io, const char *dir, uint64_t seed)
{
    const struct store_options options = {
        .dir = dir,
        .create = true,
        .partition_count = PARTITIONS,
        .lane_count = LANES,
        .lane_bytes = LANE_BYTES,
        .commit_bytes_max = COMMIT_MAX,
        .buffer_count = 4,
    };
    struct store_info info;
    struct log_commit commit;
    vt_err err;

    *rig = (struct copy_rig){.io = io, .random = seed};
    must(store_open(io, &options, &rig->store), "open");
    store_get_info(rig->store, &info);
    rig->position = info.sealed_position;
    while ((err = store_tail_next(rig->store, &commit)) == VT_OK)
        rig->position = commit.first_position + commit.event_count - 1;
    must(err == VT_END ? VT_OK : err, "tail");
    rig->log = store_log(rig->store);
}

static bool
append_one(struct copy_rig *rig)
{
    uint64_t random = copy_rig_draw(&rig->random);
    struct log_record record = {.kind = LOG_CATALOG,
                                .bytes = (uint32_t)(random % PAYLOAD_MAX),
                                .event_count = (uint32_t)(random >> 32) % 4};
    struct log_buffer *buffer = log_buffer_get(rig->log);
    struct log_commit commit;
    uint8_t data[PAYLOAD_MAX];
    uint8_t *to = NULL;

    VT_ASSERT(buffer != NULL);
    for (uint32_t i = 0; i < record.bytes; i++)
        data[i] = (uint8_t)(random >> (i % 56));
    record.payload_crc = vt_crc32c(data, record.bytes);
    must(log_buffer_add(buffer, &record, &to), "add");
    memcpy(to, data, record.bytes);
    const struct log_submit submit = {
        .first_position = rig->position + 1,
        .arrival_us = (int64_t)log_last(rig->log) + 1,
        .event_count = record.event_count,
    };
    vt_err err = log_submit(rig->log, buffer, &submit, &commit);

    log_buffer_put(rig->log, buffer);
    if (err == VT_FULL)
        return false;
    must(err, "submit");
    rig->position += record.event_count;
    while (log_durable(rig->log) < log_last(rig->log))
        must(io_poll(rig->io, 1000), "poll");
    must(log_failed(rig->log), "write");
    return true;
}

void
copy_rig_append(struct copy_rig *rig, uint32_t count)
{
    while (count > 0 && append_one(rig))
        count--;
}

static void
segment_make(struct copy_rig *rig, struct store_segment *segment)
{
    struct segment_writer *writer = NULL;
    int64_t values[VALUES_MAX];
    uint8_t bytes[BYTES_MAX];
    uint32_t chunks = 2 + (uint32_t)(copy_rig_draw(&rig->random) % 6);

    must(segment_writer_open(rig->io, segment->path, &segment->id, &writer), "segment");
    for (uint32_t c = 0; c < chunks; c++) {
        uint64_t random = copy_rig_draw(&rig->random);
        uint32_t count = 1 + (uint32_t)(random % (VALUES_MAX - 1));
        struct chunk_key key = {.kind = 5, .column = c};

        for (uint32_t i = 0; i < count; i++)
            values[i] = (int64_t)(random % 1000 * i + (copy_rig_draw(&rig->random) & 15));
        must(segment_put_integers(writer, key, values, count), "integers");
        for (uint32_t i = 0; i < BYTES_MAX; i++)
            bytes[i] = (uint8_t)copy_rig_draw(&rig->random);
        key.kind = 6;
        must(segment_put_bytes(writer, key, (struct vt_bytes){bytes, random % BYTES_MAX}), "bytes");
    }
    must(segment_writer_finish(writer, &segment->file_bytes), "finish");
    segment->check = segment_writer_check(writer);
    segment_writer_close(writer);
}

void
copy_rig_seal(struct copy_rig *rig)
{
    struct store_segment segments[PARTITIONS];
    struct store_info info;
    uint8_t state[64];
    struct store_seal seal = {
        .cut = log_last(rig->log),
        .last_position = rig->position,
        .arrival_us = (int64_t)log_last(rig->log),
        .segments = segments,
        .state = {state, sizeof state},
    };

    store_get_info(rig->store, &info);
    if (seal.cut == info.sealed_commit)
        return;
    memset(state, (int)(copy_rig_draw(&rig->random) & 255), sizeof state);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct store_segment *segment = &segments[seal.segment_count];

        if (rig->bare || copy_rig_draw(&rig->random) % 4 == 0)
            continue;
        *segment = (struct store_segment){
            .id = {.store = info.store,
                   .cut = seal.cut,
                   .first_position = info.sealed_position + 1,
                   .last_position = rig->position,
                   .partition = p},
        };
        store_segment_path(rig->store, &segment->id, segment->path);
        segment_make(rig, segment);
        seal.segment_count++;
    }
    must(store_seal_commit(rig->store, &seal), "seal");
}

void
copy_rig_close(struct copy_rig *rig)
{
    store_close(rig->store);
    rig->store = NULL;
}

struct vt_bytes
copy_rig_file(struct io *io, const char *path)
{
    struct io_file *file = NULL;
    uint64_t size = 0;

    if (io_open(io, path, IO_OPEN_READ, &file) != VT_OK)
        return (struct vt_bytes){NULL, 0};
    must(io_size(file, &size), path);
    uint8_t *data = malloc(size + 1);

    VT_ASSERT(data != NULL);
    if (size > 0)
        must(io_read_at(file, data, size, 0), path);
    io_close_file(file);
    return (struct vt_bytes){data, size};
}

static uint64_t
hash_of(uint64_t seed, const void *bytes, uint64_t size)
{
    return seed * UINT64_C(0x9e3779b97f4a7c15) ^ vt_crc32c_more((uint32_t)seed, bytes, size) ^
           size << 32;
}

struct damage_note {
    uint32_t count;
    char text[300]; /* of the last one */
};

static void
note_damage(void *context, const struct store_damage *damage)
{
    struct damage_note *note = context;

    /* What a crash may leave: a copy of the manifest that lacks its last edit. */
    if (strstr(damage->file, "/manifest-") != NULL)
        return;
    note->count++;
    (void)snprintf(note->text, sizeof note->text, "%s at %" PRIu64 ": %s", damage->file,
                   damage->offset, damage->text);
}

static vt_err
image_read(struct io *io, struct store *store, struct copy_rig_image *image)
{
    struct log_commit commit;
    struct store_check check = {0};
    struct damage_note note = {.count = 0};
    struct store_info info;
    vt_err err = VT_OK;

    store_get_info(store, &info);
    image->sealed = image->last = info.sealed_commit;
    image->history = info.history;
    image->start = info.start;
    image->state = hash_of(1, store_state(store).data, store_state(store).size);
    image->segments = store_segment_count(store);
    for (uint32_t i = 0; i < image->segments; i++) {
        struct store_segment segment;

        store_segment_at(store, i, &segment);
        struct vt_bytes bytes = copy_rig_file(io, segment.path);
        const char *name = strrchr(segment.path, '/');

        VT_ASSERT(i < VT_COUNT(image->files));
        image->files[i] = hash_of(hash_of(2, name, strlen(name)), bytes.data, bytes.size);
        free(vt_owned(bytes.data));
    }
    while ((err = store_tail_next(store, &commit)) == VT_OK) {
        uint64_t hash = hash_of(commit.number, &commit.start, sizeof commit.start);

        for (uint32_t r = 0; r < commit.record_count; r++)
            hash = hash_of(hash, commit.records[r].payload, commit.records[r].bytes);
        VT_ASSERT(commit.number - image->sealed - 1 < VT_COUNT(image->checks));
        image->checks[commit.number - image->sealed - 1] = hash;
        image->last = commit.number;
    }
    if (err != VT_END)
        return err;
    err = store_verify(store, note_damage, &note, &check);
    return err == VT_OK && note.count > 0 ? vt_err_detail(VT_DAMAGED, "%s", note.text) : err;
}

vt_err
copy_rig_read(struct io *io, const char *dir, struct copy_rig_image *out_image)
{
    const struct store_options options = {.dir = dir, .read_only = true};
    struct store *store = NULL;
    vt_err err = store_open(io, &options, &store);

    if (err != VT_OK)
        return err;
    memset(out_image, 0, sizeof *out_image);
    err = image_read(io, store, out_image);
    store_close(store);
    return err;
}

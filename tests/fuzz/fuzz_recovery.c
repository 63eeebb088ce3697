/*
 * Goal:   recovery from any image of lanes and manifests ends with an error or a store that works:
 *         no crash, no hang, no read out of bounds.
 * Method: a good store on the simulated disk is changed as the input says: bytes set, blocks copied
 *         between places. Then, as the first byte says, checksums are repaired, places rewritten
 *         and commits linked, so that what lies behind the checksums is reached. Then the store is
 *         opened, read, written, sealed and opened once more.
 */
#include <stdlib.h>
#include <string.h>

#include "commit.h"
#include "io_sim.h"
#include "manifest_format.h"
#include "storage/storage.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define LANE_COUNT 2U
#define LANE_BYTES 32768U
#define FILE_COUNT 5U
#define FIX_CHECKS 1U
#define FIX_PLACES 2U
#define FIX_LINKS  4U
#define FIX_EDITS  8U
#define READ_FIRST 16U

static const char *const paths[FILE_COUNT] = {"s/lane-00", "s/lane-01", "s/manifest-0",
                                              "s/manifest-1", "s/store"};

struct image {
    uint8_t *data;
    uint64_t size;
};

static struct image base[FILE_COUNT];
static uint64_t store_id;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(vt_err err)
{
    VT_ASSERT(err == VT_OK);
}

static void
append(struct io *io, struct log *log, uint64_t *position)
{
    struct log_buffer *buffer = log_buffer_get(log);
    struct log_record record = {.kind = LOG_CATALOG, .bytes = 100, .event_count = 2};
    struct log_commit commit;
    uint8_t text[100];
    uint8_t *to;

    if (buffer == NULL)
        return;
    memset(text, (int)*position, sizeof text);
    record.payload_crc = vt_crc32c(text, sizeof text);
    must(log_buffer_add(buffer, &record, &to));
    memcpy(to, text, sizeof text);
    const struct log_submit submit = {.first_position = *position + 1, .event_count = 2};
    vt_err err = log_submit(log, buffer, &submit, &commit);

    log_buffer_put(log, buffer);
    if (err == VT_OK)
        *position += 2;
    else
        VT_ASSERT(err == VT_FULL);
    while (log_in_flight(log) > 0)
        must(io_poll(io, 1));
}

/* Opens, reads all, appends, seals what may be sealed, closes. */
static vt_err
live(struct io *io, bool create, bool read_only)
{
    const struct store_options options = {
        .dir = "s",
        .create = create,
        .read_only = read_only,
        .partition_count = 1,
        .lane_count = LANE_COUNT,
        .lane_bytes = LANE_BYTES,
        .commit_bytes_max = 8192,
        .buffer_count = 3,
    };
    struct store *store;
    struct store_info info;
    struct log_commit commit = {0};
    vt_err err = store_open(io, &options, &store);

    if (err != VT_OK)
        return err;
    store_get_info(store, &info);
    store_id = info.store;
    uint64_t position = info.sealed_position;
    int64_t arrival = store_sealed_arrival(store);

    while ((err = store_tail_next(store, &commit)) == VT_OK) {
        position += commit.event_count;
        arrival = commit.arrival_us;
    }
    VT_ASSERT(err == VT_END);
    for (int i = 0; !read_only && i < 5; i++)
        append(io, store_log(store), &position);
    if (!read_only && log_last(store_log(store)) > info.sealed_commit) {
        const struct store_seal seal = {
            .cut = log_last(store_log(store)),
            .last_position = position,
            .arrival_us = arrival > 0 ? arrival : 0,
            .state = {(const uint8_t *)"state", 5},
        };

        err = store_seal_commit(store, &seal);
        VT_ASSERT(err == VT_OK || err == VT_INVALID);
    }
    for (int i = 0; !read_only && i < 3; i++)
        append(io, store_log(store), &position);
    store_close(store);
    return VT_OK;
}

static void
make_base(void)
{
    struct io *io;
    struct io_file *file;

    must(io_sim_open(1, &io));
    must(live(io, true, false));
    must(live(io, false, false));
    for (uint32_t i = 0; i < FILE_COUNT; i++) {
        must(io_open(io, paths[i], IO_OPEN_READ, &file));
        must(io_size(file, &base[i].size));
        base[i].data = malloc(base[i].size);
        VT_ASSERT(base[i].data != NULL);
        must(io_read_at(file, base[i].data, base[i].size, 0));
        io_close_file(file);
    }
    io_close(io);
}

/* One instruction: where, how, how much. */
static void
change(struct image images[FILE_COUNT], struct vt_reader *reader)
{
    struct image *image = &images[vt_read_u8(reader) % FILE_COUNT];
    uint64_t at = vt_read_u16(reader) % image->size;
    uint8_t how = vt_read_u8(reader);
    uint64_t size = (how & 31U) + 1;

    if (size > image->size - at)
        size = image->size - at;
    if (how < 128) {
        struct vt_bytes bytes = vt_read_bytes(reader, size);

        if (bytes.size > 0)
            memcpy(image->data + at, bytes.data, bytes.size);
        return;
    }
    /* A block goes to another place. */
    const struct image *from = &images[vt_read_u8(reader) % FILE_COUNT];
    uint64_t unit = how < 192 ? COMMIT_BLOCK_BYTES : MANIFEST_EDIT_BYTES;
    uint64_t source = vt_read_u8(reader) * unit % from->size;

    at = at / unit * unit;
    size = image->size - at < from->size - source ? image->size - at : from->size - source;
    memmove(image->data + at, from->data + source, size < unit ? size : unit);
}

/* Payload checksums and the head's, where the lengths stay inside. */
static void
fix_commit(struct image *lane, uint64_t at, uint32_t number_of_lane, uint8_t flags)
{
    struct commit_head *head = (struct commit_head *)(lane->data + at);
    uint64_t left = lane->size - at;
    uint32_t count = le32_get(head->record_count) % 16;
    struct commit_record *record = (struct commit_record *)(head + 1);

    head->record_count = le32_put(count);
    head->head_bytes = le32_put(LOG_COMMIT_HEAD_BYTES + count * (uint32_t)sizeof *record);
    if (LOG_COMMIT_HEAD_BYTES + count * sizeof *record > left)
        return;
    if ((flags & FIX_PLACES) != 0) {
        head->store = le64_put(store_id);
        head->lane = le32_put(number_of_lane);
        head->offset = le64_put(at);
    }
    for (uint32_t i = 0; i < count; i++, record++) {
        uint64_t offset = le32_get(record->offset);

        if (offset < left && le32_get(record->bytes) <= left - offset)
            record->payload_crc =
                le32_put(vt_crc32c(lane->data + at + offset, le32_get(record->bytes)));
    }
    commit_seal(head);
}

static void
fix_lane(struct image *lane, uint32_t number_of_lane, uint8_t flags)
{
    for (uint64_t at = 0; at < lane->size; at += COMMIT_BLOCK_BYTES)
        if (memcmp(lane->data + at, "VTC1", 4) == 0)
            fix_commit(lane, at, number_of_lane, flags);
}

/* Each commit names the check of one with the number before it. */
static void
link_commits(struct image images[FILE_COUNT])
{
    uint64_t check = store_id;

    for (uint64_t number = 1; number < 64; number++) {
        struct image *lane = &images[number % LANE_COUNT];

        for (uint64_t at = 0; at < lane->size; at += COMMIT_BLOCK_BYTES) {
            struct commit_head *head = (struct commit_head *)(lane->data + at);

            if (le64_get(head->number) != number || memcmp(&head->magic, "VTC1", 4) != 0)
                continue;
            if (number > 1)
                head->previous = le64_put(check);
            fix_commit(lane, at, (uint32_t)(number % LANE_COUNT), FIX_CHECKS);
            check = le64_get(head->check);
        }
    }
}

static void
fix_manifest(struct image *image, uint32_t copy)
{
    uint32_t previous = 0;

    for (uint64_t at = 0; at + MANIFEST_EDIT_BYTES <= image->size; at += MANIFEST_EDIT_BYTES) {
        /* Whole edits only: their checksum covers their padding. */
        struct manifest_edit edit = {image->data + at, (image->size - at) / MANIFEST_EDIT_BYTES *
                                                           MANIFEST_EDIT_BYTES};

        if (memcmp(edit.data, "VTM1", 4) != 0 ||
            vt_load64(edit.data + 40) > edit.bytes - MANIFEST_EDIT_BYTES)
            continue;
        const struct manifest_place place = {store_id, vt_load64(edit.data + 24), at, copy,
                                             previous};

        manifest_edit_place(&edit, &place);
        previous = manifest_edit_check(&edit);
    }
}

static void
fix(struct image images[FILE_COUNT], uint8_t flags)
{
    if ((flags & FIX_CHECKS) != 0)
        for (uint32_t i = 0; i < LANE_COUNT; i++)
            fix_lane(&images[i], i, flags);
    if ((flags & FIX_LINKS) != 0)
        link_commits(images);
    if ((flags & FIX_EDITS) != 0)
        for (uint32_t i = 0; i < 2; i++)
            fix_manifest(&images[LANE_COUNT + i], i);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image images[FILE_COUNT];
    struct vt_reader reader = vt_reader_of((struct vt_bytes){data, size});
    struct io *io;

    if (base[0].data == NULL)
        make_base();
    for (uint32_t i = 0; i < FILE_COUNT; i++) {
        images[i] = (struct image){malloc(base[i].size), base[i].size};
        VT_ASSERT(images[i].data != NULL);
        memcpy(images[i].data, base[i].data, base[i].size);
    }
    uint8_t flags = vt_read_u8(&reader);

    while (!reader.bad && vt_reader_left(&reader) > 0)
        change(images, &reader);
    fix(images, flags);
    must(io_sim_open(2, &io));
    must(io_make_dir(io, "s"));
    must(io_sim_put_file(io, "s/lock", (struct vt_bytes){data, 0}));
    for (uint32_t i = 0; i < FILE_COUNT; i++) {
        must(io_sim_put_file(io, paths[i], (struct vt_bytes){images[i].data, images[i].size}));
        free(images[i].data);
    }
    vt_err_clear();
    if ((flags & READ_FIRST) != 0)
        (void)!live(io, false, true);
    if (live(io, false, false) == VT_OK) {
        /* What one process could open and write, the next can open. */
        vt_err err = live(io, false, false);

        VT_ASSERT(err == VT_OK);
    }
    io_close(io);
    return 0;
}

/*
 * superblock.c - the file DIR/store; format in superblock.h.
 */
#include "superblock.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "commit.h"
#include "storage/storage.h"
#include "venturi/assert.h"

#define SUPERBLOCK_MAGIC   UINT32_C(0x31535456) /* 'V' 'T' 'S' '1' */
#define SUPERBLOCK_VERSION 1U
#define COPY_COUNT         2U
#define COPY_BYTES         4096U
#define LANE_BYTES_MAX     (UINT64_C(1) << 40)
#define COMMIT_BYTES_MAX   (UINT32_C(1) << 30)

struct fork_bytes {
    le64 history;
    le64 number;
    le64 position;
};

struct superblock_bytes {
    le32 magic;
    le32 crc32c;
    le16 version;
    le16 reserved0;
    le32 copy;
    le64 store;
    le64 history;
    le64 key0;
    le64 key1;
    uint8_t secret[32];
    le32 partition_count;
    le32 lane_count;
    le64 lane_bytes;
    le32 commit_bytes_max;
    le32 flags;
    le32 fork_count;
    le32 reserved1;
    struct fork_bytes forks[SUPERBLOCK_FORKS_MAX];
    uint8_t reserved2[24];
};
_Static_assert(sizeof(struct superblock_bytes) == 256, "the table in superblock.h");
_Static_assert(offsetof(struct superblock_bytes, flags) == 100, "the table in superblock.h");
_Static_assert(offsetof(struct superblock_bytes, forks) == 112, "the table in superblock.h");

vt_err
superblock_check(const struct superblock *superblock)
{
    if (superblock->partition_count < 1 || superblock->partition_count > STORE_PARTITIONS_MAX)
        return vt_err_detail(VT_INVALID, "partitions: 1 to %d", STORE_PARTITIONS_MAX);
    if (superblock->lane_count < 1 || superblock->lane_count > STORE_LANES_MAX)
        return vt_err_detail(VT_INVALID, "lanes: 1 to %d", STORE_LANES_MAX);
    if (superblock->commit_bytes_max % COMMIT_BLOCK_BYTES != 0 ||
        superblock->commit_bytes_max < 2 * COMMIT_BLOCK_BYTES ||
        superblock->commit_bytes_max > COMMIT_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "bytes of a commit: a multiple of 4096, at least 8192");
    if (superblock->lane_bytes % COMMIT_BLOCK_BYTES != 0 ||
        superblock->lane_bytes / 4 < superblock->commit_bytes_max ||
        superblock->lane_bytes > LANE_BYTES_MAX)
        return vt_err_detail(VT_INVALID, "bytes of a lane: a multiple of 4096, at least 4 commits");
    if ((superblock->flags & ~SUPERBLOCK_COPY) != 0 ||
        superblock->fork_count > SUPERBLOCK_FORKS_MAX)
        return vt_err_detail(VT_INVALID, "flags or forks of no version of this program");
    return VT_OK;
}

static uint32_t
crc_of(const struct superblock_bytes *bytes)
{
    return vt_crc32c((const uint8_t *)bytes + 8, sizeof *bytes - 8);
}

static void
encode(const struct superblock *from, uint32_t copy, struct superblock_bytes *to)
{
    *to = (struct superblock_bytes){
        .magic = le32_put(SUPERBLOCK_MAGIC),
        .version = le16_put(SUPERBLOCK_VERSION),
        .copy = le32_put(copy),
        .store = le64_put(from->store),
        .history = le64_put(from->history),
        .key0 = le64_put(from->key.k0),
        .key1 = le64_put(from->key.k1),
        .partition_count = le32_put(from->partition_count),
        .lane_count = le32_put(from->lane_count),
        .lane_bytes = le64_put(from->lane_bytes),
        .commit_bytes_max = le32_put(from->commit_bytes_max),
        .flags = le32_put(from->flags),
        .fork_count = le32_put(from->fork_count),
    };
    for (uint32_t i = 0; i < from->fork_count; i++)
        to->forks[i] = (struct fork_bytes){
            .history = le64_put(from->forks[i].history),
            .number = le64_put(from->forks[i].number),
            .position = le64_put(from->forks[i].position),
        };
    memcpy(to->secret, from->secret, sizeof to->secret);
    to->crc32c = le32_put(crc_of(to));
}

static bool
is_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static vt_err
decode(const uint8_t *block, uint32_t copy, struct superblock *out)
{
    const struct superblock_bytes *from = (const struct superblock_bytes *)block;

    if (le32_get(from->magic) != SUPERBLOCK_MAGIC)
        return VT_BAD_MAGIC;
    if (le32_get(from->crc32c) != crc_of(from))
        return VT_BAD_CRC;
    if (le16_get(from->version) != SUPERBLOCK_VERSION)
        return VT_BAD_VERSION;
    if (le32_get(from->copy) != copy || le64_get(from->store) == 0)
        return VT_BAD_PLACE;
    if (le16_get(from->reserved0) != 0 || le32_get(from->reserved1) != 0 ||
        !is_zero(from->reserved2, COPY_BYTES - offsetof(struct superblock_bytes, reserved2)))
        return VT_BAD_RESERVED;
    struct superblock to = {
        .store = le64_get(from->store),
        .history = le64_get(from->history),
        .key = {le64_get(from->key0), le64_get(from->key1)},
        .partition_count = le32_get(from->partition_count),
        .lane_count = le32_get(from->lane_count),
        .lane_bytes = le64_get(from->lane_bytes),
        .commit_bytes_max = le32_get(from->commit_bytes_max),
        .flags = le32_get(from->flags),
        .fork_count = le32_get(from->fork_count),
    };
    memcpy(to.secret, from->secret, sizeof to.secret);
    for (uint32_t i = 0; i < SUPERBLOCK_FORKS_MAX; i++)
        to.forks[i] = (struct store_fork){
            .history = le64_get(from->forks[i].history),
            .number = le64_get(from->forks[i].number),
            .position = le64_get(from->forks[i].position),
        };
    vt_err err = superblock_check(&to);

    if (err == VT_OK)
        *out = to;
    return err;
}

vt_err
superblock_write(struct io *io, const char *path, const struct superblock *superblock)
{
    uint8_t *blocks = calloc(COPY_COUNT, COPY_BYTES);
    struct io_file *file = NULL;
    vt_err err;

    VT_ASSERT(superblock_check(superblock) == VT_OK);
    if (blocks == NULL)
        return VT_NOMEM;
    for (uint32_t copy = 0; copy < COPY_COUNT; copy++)
        encode(superblock, copy, (struct superblock_bytes *)(blocks + (size_t)copy * COPY_BYTES));
    err = io_open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (err == VT_OK)
        err = io_write_at(file, blocks, (uint64_t)COPY_COUNT * COPY_BYTES, 0);
    if (err == VT_OK)
        err = io_sync(file);
    io_close_file(file);
    free(blocks);
    return err;
}

static vt_err
read_copies(struct io_file *file, uint8_t *blocks, uint32_t *out_bad, struct superblock *out)
{
    vt_err first = VT_OK;
    uint32_t bad = 0;
    bool found = false;

    for (uint32_t copy = 0; copy < COPY_COUNT; copy++) {
        uint8_t *block = blocks + (size_t)copy * COPY_BYTES;
        struct superblock one = {0};
        vt_err err = io_read_at(file, block, COPY_BYTES, (uint64_t)copy * COPY_BYTES);

        if (err == VT_OK)
            err = decode(block, copy, &one);
        if (err == VT_OK) {
            *out = one;
            found = true;
        } else {
            bad |= 1U << copy;
            if (first == VT_OK)
                first = err;
        }
    }
    *out_bad = bad;
    if (found)
        return VT_OK;
    return first == VT_BAD_VERSION || first == VT_IO ? first : VT_DAMAGED;
}

vt_err
superblock_read(struct io *io, const char *path, uint32_t *out_bad,
                struct superblock *out_superblock)
{
    struct superblock superblock = {0};
    struct io_file *file = NULL;
    uint32_t bad = 0;
    uint8_t *blocks = calloc(COPY_COUNT, COPY_BYTES);
    vt_err err;

    if (blocks == NULL)
        return VT_NOMEM;
    err = io_open(io, path, IO_OPEN_READ, &file);
    if (err == VT_OK) {
        err = read_copies(file, blocks, &bad, &superblock);
        if (err != VT_OK)
            err = vt_err_detail(err, "%s at 0: no copy of the superblock is good: %s", path,
                                vt_err_text(err));
    }
    io_close_file(file);
    free(blocks);
    if (err != VT_OK)
        return err;
    *out_bad = bad;
    *out_superblock = superblock;
    return VT_OK;
}

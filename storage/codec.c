#include "codec.h"

#include <lz4.h>

#include "codec_block.h"
#include "codec_pack.h"
#include "codec_scan.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

/* So many full blocks of a column are tried with each codec. */
#define TRIAL_BLOCKS 4

/* A codec that is dearer to decode must be smaller by one part in so many. */
#define WORTH_PART 32

/* No byte of an LZ4 block stands for more: a byte of a length counts 255. */
#define LZ4_EXPANSION_MAX 255

/* Base words before a block: none, base, base and base difference. */
#define BASES_MAX 2

_Static_assert(CODEC_BYTES_MAX <= LZ4_MAX_INPUT_SIZE, "one LZ4 block holds the largest piece");

bool
codec_is_integer(uint8_t codec)
{
    return codec >= CODEC_CONSTANT && codec <= CODEC_RUNS;
}

bool
codec_is_bytes(uint8_t codec)
{
    return codec == CODEC_RAW || codec == CODEC_LZ4;
}

static uint32_t
base_count(enum codec codec)
{
    return codec == CODEC_DELTA ? 1 : codec == CODEC_DELTA2 ? 2 : 0;
}

static uint32_t
block_count(uint32_t left)
{
    return left < PACK_BLOCK ? left : PACK_BLOCK;
}

bool
codec_size_possible(uint8_t codec, uint64_t stored_bytes, uint32_t count)
{
    uint64_t blocks = ((uint64_t)count + PACK_BLOCK - 1) / PACK_BLOCK;

    if (codec == CODEC_RAW)
        return count <= CODEC_BYTES_MAX && stored_bytes == count;
    if (codec == CODEC_LZ4)
        return count > 0 && count <= CODEC_BYTES_MAX && stored_bytes < count &&
               count <= stored_bytes * LZ4_EXPANSION_MAX;
    if (!codec_is_integer(codec) || count == 0 || count > CODEC_VALUES_MAX)
        return false;
    if (codec == CODEC_CONSTANT)
        return stored_bytes == 8;
    if (codec == CODEC_RUNS)
        return stored_bytes >= 4 + 2 * BLOCK_HEAD_BYTES;
    return stored_bytes >=
           blocks * (BLOCK_HEAD_BYTES + UINT64_C(8) * base_count((enum codec)codec));
}

uint64_t
codec_integers_bound(uint32_t count)
{
    uint64_t blocks = ((uint64_t)count + PACK_BLOCK - 1) / PACK_BLOCK;

    /* CODEC_RUNS is chosen for at most count / 2 runs, each at most 16 bytes in two blocks. */
    return blocks * (BLOCK_HEAD_BYTES + UINT64_C(8) * BASES_MAX) + (uint64_t)count * 8 + 4 +
           UINT64_C(2) * BLOCK_HEAD_BYTES;
}

uint64_t
codec_bytes_bound(uint32_t size)
{
    return size;
}

static int64_t
difference(int64_t after, int64_t before)
{
    return (int64_t)((uint64_t)after - (uint64_t)before);
}

/* Differences of neighbours. The first has none and takes that of the second, so that it cannot
 * widen the block; the base makes up for it. */
static int64_t
differences(const int64_t *values, uint32_t count, int64_t *out)
{
    for (uint32_t i = 1; i < count; i++)
        out[i] = difference(values[i], values[i - 1]);
    out[0] = count > 1 ? out[1] : 0;
    return difference(values[0], out[0]);
}

/* The entries of a block under a codec, and its bases. */
static void
entries_make(enum codec codec, const int64_t *values, uint32_t count, int64_t *entries,
             int64_t bases[BASES_MAX])
{
    VT_UNINITIALIZED int64_t first[PACK_BLOCK];

    VT_ASSERT(count > 0 && count <= PACK_BLOCK);
    if (codec == CODEC_FOR) {
        memcpy(entries, values, (size_t)count * 8);
        return;
    }
    if (codec == CODEC_DELTA) {
        bases[0] = differences(values, count, entries);
        return;
    }
    VT_ASSERT(codec == CODEC_DELTA2);
    (void)differences(values, count, first);
    /* `first` begins with two equal differences: the second entry would be a zero among others. */
    for (uint32_t i = 2; i < count; i++)
        entries[i] = difference(first[i], first[i - 1]);
    entries[0] = count > 2 ? entries[2] : 0;
    if (count > 1)
        entries[1] = entries[0];
    int64_t start = count > 1 ? difference(first[1], entries[1]) : 0; /* of the first value */

    bases[0] = difference(values[0], start);
    bases[1] = difference(start, entries[0]);
}

static void
word_put(uint8_t *at, uint64_t value)
{
    le64 word = le64_put(value);

    memcpy(at, word.byte, sizeof word.byte);
}

static uint32_t
blocks_encode(enum codec codec, const int64_t *values, uint32_t count, uint8_t *out)
{
    VT_UNINITIALIZED int64_t entries[PACK_BLOCK];
    int64_t bases[BASES_MAX] = {0};
    struct block_plan plan;
    uint8_t *at = out;

    for (uint32_t done = 0; done < count;) {
        uint32_t m = block_count(count - done);

        entries_make(codec, values + done, m, entries, bases);
        block_plan_make(entries, m, &plan);
        for (uint32_t i = 0; i < base_count(codec); i++, at += 8)
            word_put(at, (uint64_t)bases[i]);
        block_put(&plan, entries, m, at);
        at += plan.bytes;
        done += m;
    }
    return (uint32_t)(at - out);
}

/* The next runs, at most a block of them, from *done on. */
static uint32_t
runs_take(const int64_t *values, uint32_t count, uint32_t *done, int64_t *run_values,
          int64_t *lengths)
{
    uint32_t taken = 0;
    uint32_t at = *done;

    while (at < count && taken < PACK_BLOCK) {
        uint32_t first = at;

        while (at < count && values[at] == values[first])
            at++;
        run_values[taken] = values[first];
        lengths[taken] = at - first;
        taken++;
    }
    *done = at;
    return taken;
}

static uint32_t
runs_encode(const int64_t *values, uint32_t count, uint8_t *out)
{
    VT_UNINITIALIZED int64_t run_values[PACK_BLOCK];
    VT_UNINITIALIZED int64_t lengths[PACK_BLOCK];
    struct block_plan plan;
    le32 head;
    uint8_t *at = out + sizeof head.byte;
    uint32_t written = 0;

    for (uint32_t done = 0; done < count;) {
        uint32_t m = runs_take(values, count, &done, run_values, lengths);

        block_plan_make(run_values, m, &plan);
        block_put(&plan, run_values, m, at);
        at += plan.bytes;
        block_plan_make(lengths, m, &plan);
        block_put(&plan, lengths, m, at);
        at += plan.bytes;
        written += m;
    }
    head = le32_put(written);
    memcpy(out, head.byte, sizeof head.byte);
    return (uint32_t)(at - out);
}

static uint32_t
run_count(const int64_t *values, uint32_t count)
{
    return (uint32_t)scan_changes(values, count) + 1;
}

/* Bytes of the whole column under a codec of blocks, by the size of a few blocks. */
static uint64_t
blocks_estimate(enum codec codec, const int64_t *values, uint32_t count)
{
    VT_UNINITIALIZED int64_t entries[PACK_BLOCK];
    int64_t bases[BASES_MAX];
    struct block_plan plan;
    uint32_t full = count / PACK_BLOCK;
    uint32_t trials = full == 0 ? 1 : full < TRIAL_BLOCKS ? full : TRIAL_BLOCKS;
    uint64_t bytes = 0;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < trials; i++) {
        uint32_t block = (uint32_t)((uint64_t)i * full / trials);
        uint32_t m = block_count(count - block * PACK_BLOCK);

        entries_make(codec, values + (size_t)block * PACK_BLOCK, m, entries, bases);
        block_plan_make(entries, m, &plan);
        bytes += plan.bytes + (uint64_t)base_count(codec) * 8;
        seen += m;
    }
    VT_ASSERT(seen > 0);
    return bytes * count / seen;
}

static uint64_t
runs_estimate(const int64_t *values, uint32_t count, uint32_t runs)
{
    VT_UNINITIALIZED int64_t run_values[PACK_BLOCK];
    VT_UNINITIALIZED int64_t lengths[PACK_BLOCK];
    struct block_plan plan;
    uint32_t done = 0;
    uint32_t taken = runs_take(values, count, &done, run_values, lengths);
    uint64_t bytes;

    block_plan_make(run_values, taken, &plan);
    bytes = plan.bytes;
    block_plan_make(lengths, taken, &plan);
    bytes += plan.bytes;
    return 4 + bytes * runs / taken;
}

static bool
worth(uint64_t bytes, uint64_t best)
{
    return bytes + best / WORTH_PART < best;
}

static enum codec
codec_choose(const int64_t *values, uint32_t count, uint32_t runs)
{
    static const enum codec of_blocks[] = {CODEC_DELTA, CODEC_DELTA2};
    enum codec codec = CODEC_FOR;
    uint64_t best = blocks_estimate(CODEC_FOR, values, count);

    for (uint32_t i = 0; i < VT_COUNT(of_blocks); i++) {
        uint64_t bytes = blocks_estimate(of_blocks[i], values, count);

        if (worth(bytes, best)) {
            best = bytes;
            codec = of_blocks[i];
        }
    }
    if (runs <= count / 2 && worth(runs_estimate(values, count, runs), best))
        codec = CODEC_RUNS;
    return codec;
}

struct codec_result
codec_encode_integers(const int64_t *values, uint32_t count, uint8_t *out)
{
    VT_ASSERT(count > 0 && count <= CODEC_VALUES_MAX);
    struct scan_span span = scan_span(values, count);
    struct codec_result result = {.min = span.min, .max = span.max};
    enum codec codec = CODEC_CONSTANT;

    if (span.min != span.max)
        codec = codec_choose(values, count, run_count(values, count));
    result.codec = (uint8_t)codec;
    result.bytes = codec_encode_integers_as(codec, values, count, out);
    VT_ASSERT(result.bytes <= codec_integers_bound(count));
    return result;
}

uint32_t
codec_encode_integers_as(enum codec codec, const int64_t *values, uint32_t count, uint8_t *out)
{
    VT_ASSERT(count > 0 && count <= CODEC_VALUES_MAX);
    VT_ASSERT(codec_is_integer((uint8_t)codec));
    if (codec == CODEC_CONSTANT) {
        word_put(out, (uint64_t)values[0]);
        return 8;
    }
    if (codec == CODEC_RUNS)
        return runs_encode(values, count, out);
    return blocks_encode(codec, values, count, out);
}

struct codec_result
codec_encode_bytes(struct vt_bytes bytes, uint8_t *out)
{
    struct codec_result result = {.codec = CODEC_RAW, .bytes = (uint32_t)bytes.size};
    int packed = 0;

    VT_ASSERT(bytes.size <= CODEC_BYTES_MAX);
    /* The capacity is what LZ4 must get below to pay; it gives up where it cannot. */
    int capacity = (int)(bytes.size - bytes.size / 10);

    if (bytes.size > 0)
        packed =
            LZ4_compress_default((const char *)bytes.data, (char *)out, (int)bytes.size, capacity);
    if (packed > 0 && (uint64_t)packed < bytes.size) {
        result.codec = CODEC_LZ4;
        result.bytes = (uint32_t)packed;
    } else if (bytes.size > 0) {
        memcpy(out, bytes.data, bytes.size);
    }
    return result;
}

/* Sums up the entries of a block. */
static void
entries_sum(int64_t *values, uint32_t count, uint64_t base)
{
    for (uint32_t i = 0; i < count; i++) {
        base += (uint64_t)values[i];
        values[i] = (int64_t)base;
    }
}

static void
entries_sum_twice(int64_t *values, uint32_t count, uint64_t base, uint64_t difference)
{
    for (uint32_t i = 0; i < count; i++) {
        difference += (uint64_t)values[i];
        base += difference;
        values[i] = (int64_t)base;
    }
}

static vt_err
blocks_decode(enum codec codec, struct vt_reader *reader, uint32_t count, int64_t *out_values,
              uint32_t *crc)
{
    for (uint32_t done = 0; done < count;) {
        uint32_t m = block_count(count - done);
        uint64_t bases[BASES_MAX] = {0};

        for (uint32_t i = 0; i < base_count(codec); i++)
            bases[i] = vt_read_u64(reader);
        vt_err err = block_get(reader, m, out_values + done);

        if (err != VT_OK)
            return err;
        if (codec == CODEC_DELTA)
            entries_sum(out_values + done, m, bases[0]);
        else if (codec == CODEC_DELTA2)
            entries_sum_twice(out_values + done, m, bases[0], bases[1]);
        *crc = vt_crc32c_more(*crc, out_values + done, (uint64_t)m * 8);
        done += m;
    }
    return VT_OK;
}

static void
run_fill(int64_t *out_values, uint32_t length, int64_t value)
{
    for (uint32_t i = 0; i < length; i++)
        out_values[i] = value;
}

static vt_err
constant_decode(struct vt_reader *reader, uint32_t count, int64_t *out_values, uint32_t *crc)
{
    int64_t value = vt_read_i64(reader);

    if (reader->bad)
        return VT_BAD_FORMAT;
    for (uint32_t done = 0; done < count;) {
        uint32_t m = block_count(count - done);

        run_fill(out_values + done, m, value);
        *crc = vt_crc32c_more(*crc, out_values + done, (uint64_t)m * 8);
        done += m;
    }
    return VT_OK;
}

static vt_err
runs_decode(struct vt_reader *reader, uint32_t count, int64_t *out_values, uint32_t *crc)
{
    VT_UNINITIALIZED int64_t run_values[PACK_BLOCK];
    VT_UNINITIALIZED int64_t lengths[PACK_BLOCK];
    uint32_t runs_left = vt_read_u32(reader);
    uint32_t done = 0;

    while (runs_left > 0) {
        uint32_t m = block_count(runs_left);
        uint32_t first = done;
        vt_err err = block_get(reader, m, run_values);

        if (err == VT_OK)
            err = block_get(reader, m, lengths);
        if (err != VT_OK)
            return err;
        for (uint32_t i = 0; i < m; i++) {
            if (lengths[i] < 1 || lengths[i] > (int64_t)(count - done))
                return VT_BAD_FORMAT;
            run_fill(out_values + done, (uint32_t)lengths[i], run_values[i]);
            done += (uint32_t)lengths[i];
        }
        *crc = vt_crc32c_more(*crc, out_values + first, (uint64_t)(done - first) * 8);
        runs_left -= m;
    }
    return done == count ? VT_OK : VT_BAD_FORMAT;
}

vt_err
codec_decode_integers(uint8_t codec, struct vt_bytes stored, uint32_t count, int64_t *out_values,
                      uint32_t *crc)
{
    struct vt_reader reader = vt_reader_of(stored);
    vt_err err;

    if (!codec_is_integer(codec) || count == 0 || count > CODEC_VALUES_MAX)
        return VT_BAD_FORMAT;
    if (codec == CODEC_CONSTANT)
        err = constant_decode(&reader, count, out_values, crc);
    else if (codec == CODEC_RUNS)
        err = runs_decode(&reader, count, out_values, crc);
    else
        err = blocks_decode((enum codec)codec, &reader, count, out_values, crc);
    if (err != VT_OK)
        return err;
    return reader.bad || vt_reader_left(&reader) != 0 ? VT_BAD_FORMAT : VT_OK;
}

vt_err
codec_decode_bytes(uint8_t codec, struct vt_bytes stored, uint32_t size, uint8_t *out_bytes)
{
    if (stored.size > CODEC_BYTES_MAX || size > CODEC_BYTES_MAX)
        return VT_BAD_FORMAT;
    if (codec == CODEC_RAW) {
        if (stored.size != size)
            return VT_BAD_FORMAT;
        if (size > 0)
            memcpy(out_bytes, stored.data, size);
        return VT_OK;
    }
    if (codec != CODEC_LZ4 || stored.size == 0 || size == 0)
        return VT_BAD_FORMAT;
    int got = LZ4_decompress_safe((const char *)stored.data, (char *)out_bytes, (int)stored.size,
                                  (int)size);

    return got == (int)size ? VT_OK : VT_BAD_FORMAT;
}

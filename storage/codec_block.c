#include "codec_block.h"

#include <stdbool.h>

#include "codec_pack.h"
#include "codec_scan.h"
#include "venturi/assert.h"

/* So many entries of a block are looked at for the width; the count of patches is exact. */
#define SAMPLE_MAX 128

/* So many are sorted, to see where its crowd is. */
#define CROWD_SAMPLE 32

#define PATCH_INDEX_BYTES 2

struct block_head {
    uint8_t width;
    uint8_t excess_bytes;
    le16 patch_count;
    le64 reference;
};
_Static_assert(sizeof(struct block_head) == BLOCK_HEAD_BYTES, "the table in codec.h");

static uint32_t
bits_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
}

static uint32_t
bytes_of_bits(uint32_t bits)
{
    return (bits + 7) / 8;
}

/* An even sample of a block. */
struct sample {
    uint64_t entries[SAMPLE_MAX];
    uint32_t count;
};

static void
sample_take(const int64_t *entries, uint32_t count, struct sample *sample)
{
    uint32_t stride = (count + SAMPLE_MAX - 1) / SAMPLE_MAX;

    VT_ASSERT(stride > 0);
    sample->count = 0;
    for (uint32_t i = 0; i < count; i += stride)
        sample->entries[sample->count++] = (uint64_t)entries[i];
}

/* The crowd of a block begins at its first entry that is not below the inner three quarters by more
 * than their own spread. As the reference it leaves low outliers to patches, where the least entry
 * would widen all others. */
static uint64_t
crowd_low(const int64_t *entries, uint32_t count, int64_t min)
{
    int64_t sorted[CROWD_SAMPLE];
    int64_t floor;
    uint32_t stride = count / CROWD_SAMPLE;

    if (stride == 0)
        return (uint64_t)min;
    for (uint32_t i = 0; i < CROWD_SAMPLE; i++) {
        int64_t entry = entries[(size_t)i * stride];
        uint32_t at = i;

        for (; at > 0 && sorted[at - 1] > entry; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = entry;
    }
    int64_t first = sorted[CROWD_SAMPLE / 8];
    int64_t last = sorted[CROWD_SAMPLE - 1 - CROWD_SAMPLE / 8];

    if (__builtin_sub_overflow(last, first, &floor) || __builtin_sub_overflow(first, floor, &floor))
        return (uint64_t)min; /* no crowd */
    return (uint64_t)scan_least_from(entries, count, floor);
}

/* The width that makes the sample smallest with this reference, and so many bits it would take. */
static uint32_t
sample_width(const struct sample *sample, uint64_t reference, uint32_t *out_bits)
{
    uint32_t of_width[65] = {0};
    uint32_t widest = 0;
    uint32_t above = 0; /* entries wider than `width` */
    uint32_t best_width;
    uint32_t best_bits;

    for (uint32_t i = 0; i < sample->count; i++)
        of_width[bits_of(sample->entries[i] - reference)]++;
    for (uint32_t width = 0; width <= 64; width++)
        if (of_width[width] > 0)
            widest = width;
    best_width = widest;
    best_bits = sample->count * widest;
    for (uint32_t width = widest; width-- > 0;) {
        above += of_width[width + 1];
        uint32_t bits =
            sample->count * width + above * 8 * (PATCH_INDEX_BYTES + bytes_of_bits(widest - width));

        if (bits < best_bits) {
            best_bits = bits;
            best_width = width;
        }
    }
    *out_bits = best_bits;
    return best_width;
}

/* Exact patches and bytes for a reference and a width. */
static void
plan_measure(const int64_t *entries, uint32_t count, struct block_plan *plan)
{
    VT_ASSERT(plan->width < 64);
    struct scan_excess excess = scan_excess(entries, count, plan->reference, plan->width);

    plan->patch_count = (uint32_t)excess.count;
    plan->excess_bytes = bytes_of_bits(bits_of(excess.all));
    plan->bytes = BLOCK_HEAD_BYTES + pack_bytes(count, plan->width) +
                  plan->patch_count * (PATCH_INDEX_BYTES + plan->excess_bytes);
}

void
block_plan_make(const int64_t *entries, uint32_t count, struct block_plan *out_plan)
{
    VT_UNINITIALIZED struct sample sample;
    struct block_plan patched = {0};
    uint32_t bits_min;
    uint32_t bits_low;

    VT_ASSERT(count > 0 && count <= PACK_BLOCK);
    struct scan_span span = scan_span(entries, count);
    int64_t min = span.min;

    out_plan->reference = (uint64_t)min;
    out_plan->width = bits_of((uint64_t)span.max - (uint64_t)min);
    out_plan->patch_count = 0;
    out_plan->excess_bytes = 0;
    out_plan->bytes = BLOCK_HEAD_BYTES + pack_bytes(count, out_plan->width);
    if (out_plan->width == 0)
        return;

    sample_take(entries, count, &sample);
    uint64_t low = crowd_low(entries, count, min);

    patched.reference = (uint64_t)min;
    patched.width = sample_width(&sample, (uint64_t)min, &bits_min);
    if (low != (uint64_t)min) {
        uint32_t width_low = sample_width(&sample, low, &bits_low);

        if (bits_low < bits_min) {
            patched.reference = low;
            patched.width = width_low;
        }
    }
    if (patched.width >= out_plan->width)
        return;
    plan_measure(entries, count, &patched);
    if (patched.bytes < out_plan->bytes)
        *out_plan = patched;
}

static void
patches_put(const struct block_plan *plan, const uint64_t *residuals, uint32_t count, uint8_t *out)
{
    VT_UNINITIALIZED uint16_t at[PACK_BLOCK];
    uint8_t *excess_at = out + (size_t)plan->patch_count * PATCH_INDEX_BYTES;
    uint32_t patch = 0;

    /* Without a branch, as no one can foresee where a patch is. */
    for (uint32_t i = 0; i < count; i++) {
        at[patch] = (uint16_t)i;
        patch += residuals[i] >> plan->width != 0;
    }
    VT_ASSERT(patch == plan->patch_count);
    memcpy(out, at, (size_t)patch * PATCH_INDEX_BYTES);
    for (uint32_t i = 0; i < patch; i++) {
        uint64_t excess = residuals[at[i]] >> plan->width;

        for (uint32_t k = 0; k < plan->excess_bytes; k++, excess >>= 8)
            *excess_at++ = (uint8_t)excess;
    }
}

void
block_put(const struct block_plan *plan, const int64_t *entries, uint32_t count, uint8_t *out)
{
    VT_UNINITIALIZED uint64_t residuals[PACK_BLOCK];
    struct block_head head = {
        .width = (uint8_t)plan->width,
        .excess_bytes = (uint8_t)plan->excess_bytes,
        .patch_count = le16_put((uint16_t)plan->patch_count),
        .reference = le64_put(plan->reference),
    };

    VT_ASSERT(count > 0 && count <= PACK_BLOCK);
    for (uint32_t i = 0; i < count; i++)
        residuals[i] = (uint64_t)entries[i] - plan->reference;
    memcpy(out, &head, sizeof head);
    out += sizeof head;
    pack_put(residuals, count, plan->width, out);
    out += pack_bytes(count, plan->width);
    if (plan->patch_count > 0)
        patches_put(plan, residuals, count, out);
}

/* The excess of a patch. A copy of as many bytes as the block says would be a call of a library for
 * each patch; all but the last few can be read as a whole word. */
static uint64_t
excess_get(struct vt_bytes excess, uint64_t offset, uint32_t excess_bytes)
{
    uint64_t value = 0;

    if (excess.size - offset >= 8)
        return vt_load64(excess.data + offset) & (UINT64_MAX >> (64 - 8 * excess_bytes));
    for (uint32_t i = 0; i < excess_bytes; i++)
        value |= (uint64_t)excess.data[offset + i] << (8 * i);
    return value;
}

/* Adds what the packed widths could not hold. */
static vt_err
patches_get(struct vt_reader *reader, const struct block_head *head, uint32_t count,
            int64_t *entries)
{
    uint32_t patch_count = le16_get(head->patch_count);
    struct vt_bytes index = vt_read_bytes(reader, (uint64_t)patch_count * PATCH_INDEX_BYTES);
    struct vt_bytes excess = vt_read_bytes(reader, (uint64_t)patch_count * head->excess_bytes);
    uint32_t next = 0; /* the least index that may follow */

    if (reader->bad)
        return VT_BAD_FORMAT;
    for (uint32_t patch = 0; patch < patch_count; patch++) {
        le16 at;

        memcpy(at.byte, index.data + (size_t)patch * PATCH_INDEX_BYTES, sizeof at.byte);
        uint64_t value =
            excess_get(excess, (uint64_t)patch * head->excess_bytes, head->excess_bytes);
        uint32_t i = le16_get(at);

        if (i < next || i >= count)
            return VT_BAD_FORMAT;
        entries[i] = (int64_t)((uint64_t)entries[i] + (value << head->width));
        next = i + 1;
    }
    return VT_OK;
}

vt_err
block_get(struct vt_reader *reader, uint32_t count, int64_t *out_entries)
{
    struct block_head head;
    struct vt_bytes bytes = vt_read_bytes(reader, sizeof head);

    VT_ASSERT(count > 0 && count <= PACK_BLOCK);
    if (reader->bad)
        return VT_BAD_FORMAT;
    memcpy(&head, bytes.data, sizeof head);
    uint32_t patch_count = le16_get(head.patch_count);

    if (head.width > 64 || patch_count > count)
        return VT_BAD_FORMAT;
    if (patch_count == 0 ? head.excess_bytes != 0
                         : head.excess_bytes < 1 || head.excess_bytes > 8 || head.width == 64)
        return VT_BAD_FORMAT;
    bytes = vt_read_bytes(reader, pack_bytes(count, head.width));
    if (reader->bad)
        return VT_BAD_FORMAT;
    pack_get(bytes.data, count, head.width, le64_get(head.reference), out_entries);
    if (patch_count == 0)
        return VT_OK;
    return patches_get(reader, &head, count, out_entries);
}

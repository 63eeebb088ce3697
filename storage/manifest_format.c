/*
 * manifest_format.c - encoding and folding of manifest edits.
 */
#include "manifest_format.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define MANIFEST_MAGIC   UINT32_C(0x314d5456) /* 'V' 'T' 'M' '1' */
#define MANIFEST_VERSION 1U
#define CHECKED_FROM     8U
#define STATE_BYTES_MAX  (UINT64_C(64) << 20)
#define SEGMENTS_MAX     (UINT32_C(1) << 24)

struct edit_head {
    le32 magic;
    le32 crc32c;
    le16 version;
    le16 kind;
    le32 copy;
    le64 store;
    le64 sequence;
    le64 offset;
    le64 payload_bytes;
    le32 previous;
    uint8_t reserved[12];
};
_Static_assert(sizeof(struct edit_head) == MANIFEST_EDIT_BYTES, "the table in manifest.h");
_Static_assert(offsetof(struct edit_head, sequence) == MANIFEST_SEQUENCE_AT,
               "the table in manifest.h");

struct cut_bytes {
    le64 number;
    le64 position;
    le64 arrival_us;
    le64 check;
    le64 start;
};
_Static_assert(sizeof(struct cut_bytes) == 40, "the table in manifest.h");

struct segment_bytes {
    le64 cut;
    le64 first_position;
    le64 last_position;
    le64 file_bytes;
    le64 rows;
    le32 partition;
    le32 level;
    le32 check;
    le32 reserved;
};
_Static_assert(sizeof(struct segment_bytes) == 56, "the table in manifest.h");

struct snapshot_bytes {
    le64 start;
    le64 follows_number;
    le64 follows_check;
    le64 known_number;
    struct cut_bytes sealed;
    le32 segment_count;
    le32 reserved0;
    le64 state_bytes;
    le64 reserved1;
};
_Static_assert(sizeof(struct snapshot_bytes) == 96, "the table in manifest.h");

struct seal_bytes {
    struct cut_bytes cut;
    le32 segment_count;
    le32 reserved;
    le64 state_bytes;
};
_Static_assert(sizeof(struct seal_bytes) == 56, "the table in manifest.h");

struct merge_bytes {
    le32 removed_count;
    le32 added_count;
    le64 reserved;
};
_Static_assert(sizeof(struct merge_bytes) == 16, "the table in manifest.h");

static uint64_t
edit_bytes_of(uint64_t payload_bytes)
{
    return (sizeof(struct edit_head) + payload_bytes + MANIFEST_EDIT_BYTES - 1) /
           MANIFEST_EDIT_BYTES * MANIFEST_EDIT_BYTES;
}

static struct cut_bytes
cut_put(const struct manifest_cut *cut)
{
    return (struct cut_bytes){
        .number = le64_put(cut->number),
        .position = le64_put(cut->position),
        .arrival_us = le64_put((uint64_t)cut->arrival_us),
        .check = le64_put(cut->check),
        .start = le64_put(cut->start),
    };
}

static struct manifest_cut
cut_get(const struct cut_bytes *bytes)
{
    return (struct manifest_cut){
        .number = le64_get(bytes->number),
        .position = le64_get(bytes->position),
        .arrival_us = (int64_t)le64_get(bytes->arrival_us),
        .check = le64_get(bytes->check),
        .start = le64_get(bytes->start),
    };
}

/* An edit whose payload is `head`, then the tail's segments and state; its cut is the head's. */
static vt_err
encode(enum manifest_kind kind, struct vt_bytes head, const struct manifest_seal *tail,
       struct manifest_edit *out_edit)
{
    uint64_t tail_bytes = tail->segment_count * sizeof(struct segment_bytes) + tail->state.size;
    uint64_t bytes = sizeof(struct edit_head) + head.size + tail_bytes;
    struct manifest_edit edit = {NULL, edit_bytes_of(head.size + tail_bytes)};

    VT_ASSERT(head.size > 0);
    VT_ASSERT(bytes <= edit.bytes);
    edit.data = calloc(1, edit.bytes);
    if (edit.data == NULL)
        return VT_NOMEM;
    uint8_t *at = edit.data + sizeof(struct edit_head);

    *(struct edit_head *)edit.data = (struct edit_head){
        .magic = le32_put(MANIFEST_MAGIC),
        .version = le16_put(MANIFEST_VERSION),
        .kind = le16_put((uint16_t)kind),
        .payload_bytes = le64_put(head.size + tail_bytes),
    };
    memcpy(at, head.data, head.size);
    at += head.size;
    for (uint32_t i = 0; i < tail->segment_count; i++, at += sizeof(struct segment_bytes))
        *(struct segment_bytes *)at = (struct segment_bytes){
            .cut = le64_put(tail->segments[i].cut),
            .first_position = le64_put(tail->segments[i].first_position),
            .last_position = le64_put(tail->segments[i].last_position),
            .file_bytes = le64_put(tail->segments[i].file_bytes),
            .rows = le64_put(tail->segments[i].rows),
            .partition = le32_put(tail->segments[i].partition),
            .check = le32_put(tail->segments[i].check),
            .level = le32_put(tail->segments[i].level),
        };
    if (tail->state.size > 0)
        memcpy(at, tail->state.data, tail->state.size);
    *out_edit = edit;
    return VT_OK;
}

vt_err
manifest_encode_snapshot(const struct manifest_state *state, struct manifest_edit *out_edit)
{
    struct manifest_seal tail = {
        .segments = state->segments,
        .segment_count = state->segment_count,
        .state = {state->state, state->state_bytes},
    };
    struct snapshot_bytes head = {
        .start = le64_put(state->start),
        .follows_number = le64_put(state->follows_number),
        .follows_check = le64_put(state->follows_check),
        .known_number = le64_put(state->known_number),
        .sealed = cut_put(&state->sealed),
        .segment_count = le32_put(state->segment_count),
        .state_bytes = le64_put(state->state_bytes),
    };

    return encode(MANIFEST_SNAPSHOT, (struct vt_bytes){(const uint8_t *)&head, sizeof head}, &tail,
                  out_edit);
}

vt_err
manifest_encode_seal(const struct manifest_seal *seal, struct manifest_edit *out_edit)
{
    struct seal_bytes head = {
        .cut = cut_put(&seal->cut),
        .segment_count = le32_put(seal->segment_count),
        .state_bytes = le64_put(seal->state.size),
    };

    return encode(MANIFEST_SEAL, (struct vt_bytes){(const uint8_t *)&head, sizeof head}, seal,
                  out_edit);
}

vt_err
manifest_encode_merge(const struct manifest_merge *merge, struct manifest_edit *out_edit)
{
    const struct manifest_seal tail = {
        .segments = merge->segments,
        .segment_count = merge->removed_count + merge->added_count,
    };
    struct merge_bytes head = {
        .removed_count = le32_put(merge->removed_count),
        .added_count = le32_put(merge->added_count),
    };

    return encode(MANIFEST_MERGE, (struct vt_bytes){(const uint8_t *)&head, sizeof head}, &tail,
                  out_edit);
}

vt_err
manifest_encode_end(uint64_t number, struct manifest_edit *out_edit)
{
    static const struct manifest_seal none = {.segment_count = 0};
    le64 head = le64_put(number);

    return encode(MANIFEST_END, (struct vt_bytes){(const uint8_t *)&head, sizeof head}, &none,
                  out_edit);
}

void
manifest_edit_place(struct manifest_edit *edit, const struct manifest_place *place)
{
    struct edit_head *head = (struct edit_head *)edit->data;
    uint64_t bytes = edit_bytes_of(le64_get(head->payload_bytes));

    VT_ASSERT(place->offset % MANIFEST_EDIT_BYTES == 0);
    VT_ASSERT(bytes <= edit->bytes);
    head->copy = le32_put(place->copy);
    head->store = le64_put(place->store);
    head->sequence = le64_put(place->sequence);
    head->offset = le64_put(place->offset);
    head->previous = le32_put(place->previous);
    head->crc32c = le32_put(vt_crc32c(edit->data + CHECKED_FROM, bytes - CHECKED_FROM));
}

uint32_t
manifest_edit_check(const struct manifest_edit *edit)
{
    return le32_get(((const struct edit_head *)edit->data)->crc32c);
}

void
manifest_state_deinit(struct manifest_state *state)
{
    free(state->segments);
    free(state->state);
    *state = (struct manifest_state){0};
}

int
manifest_segment_compare(const struct manifest_segment *a, const struct manifest_segment *b)
{
    if (a->cut != b->cut)
        return a->cut < b->cut ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->level < b->level ? -1 : a->level > b->level;
}

static int
compare_segments(const void *left, const void *right)
{
    return manifest_segment_compare(left, right);
}

static vt_err
reserve_segments(struct manifest_state *state, uint32_t more)
{
    uint32_t want = state->segment_count + more;

    if (more > SEGMENTS_MAX - state->segment_count)
        return VT_BAD_LENGTH;
    if (want <= state->segment_max)
        return VT_OK;
    if (want < state->segment_max * 2)
        want = state->segment_max * 2;
    void *segments = realloc(state->segments, want * sizeof state->segments[0]);

    if (segments == NULL)
        return VT_NOMEM;
    state->segments = segments;
    state->segment_max = want;
    return VT_OK;
}

vt_err
manifest_apply_seal(struct manifest_state *state, const struct manifest_seal *seal)
{
    uint8_t *copy = NULL;
    vt_err err = reserve_segments(state, seal->segment_count);

    if (err != VT_OK)
        return err;
    if (seal->state.size > 0) {
        copy = malloc(seal->state.size);
        if (copy == NULL)
            return VT_NOMEM;
        memcpy(copy, seal->state.data, seal->state.size);
    }
    if (seal->segment_count > 0) {
        memcpy(state->segments + state->segment_count, seal->segments,
               seal->segment_count * sizeof seal->segments[0]);
        state->segment_count += seal->segment_count;
        qsort(state->segments, state->segment_count, sizeof state->segments[0], compare_segments);
    }
    free(state->state);
    state->state = copy;
    state->state_bytes = seal->state.size;
    state->sealed = seal->cut;
    return VT_OK;
}

bool
manifest_state_has(const struct manifest_state *state, const struct manifest_merge *merge)
{
    const struct manifest_segment *wanted = merge->segments;
    uint32_t found = 0;

    for (uint32_t i = 0; i < state->segment_count && found < merge->removed_count; i++)
        found += compare_segments(&wanted[found], &state->segments[i]) == 0;
    return found == merge->removed_count;
}

vt_err
manifest_apply_merge(struct manifest_state *state, const struct manifest_merge *merge)
{
    uint32_t kept = 0;
    uint32_t next = 0;

    if (!manifest_state_has(state, merge))
        return VT_BAD_CHAIN;
    vt_err err = reserve_segments(state, merge->added_count);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < state->segment_count; i++) {
        if (next < merge->removed_count &&
            compare_segments(&merge->segments[next], &state->segments[i]) == 0)
            next++;
        else
            state->segments[kept++] = state->segments[i];
    }
    VT_ASSERT(next == merge->removed_count);
    for (uint32_t i = 0; i < merge->added_count; i++)
        state->segments[kept++] = merge->segments[next + i];
    state->segment_count = kept;
    if (kept > 0)
        qsort(state->segments, kept, sizeof state->segments[0], compare_segments);
    return VT_OK;
}

static void
get_segments(const struct segment_bytes *from, uint32_t count, struct manifest_segment *segments)
{
    for (uint32_t i = 0; i < count; i++, from++)
        segments[i] = (struct manifest_segment){
            .cut = le64_get(from->cut),
            .first_position = le64_get(from->first_position),
            .last_position = le64_get(from->last_position),
            .file_bytes = le64_get(from->file_bytes),
            .rows = le64_get(from->rows),
            .partition = le32_get(from->partition),
            .level = le32_get(from->level),
            .check = le32_get(from->check),
        };
}

/* Reads `count` segments and the state, which must end the payload exactly. */
static vt_err
get_tail(struct vt_bytes tail, uint32_t count, uint64_t state_bytes,
         struct manifest_segment **out_segments, struct vt_bytes *out_state)
{
    const struct segment_bytes *from = (const struct segment_bytes *)tail.data;

    if (count > SEGMENTS_MAX || state_bytes > STATE_BYTES_MAX ||
        tail.size != count * sizeof *from + state_bytes)
        return VT_BAD_LENGTH;
    struct manifest_segment *segments = calloc((size_t)count + 1, sizeof *segments);

    if (segments == NULL)
        return VT_NOMEM;
    get_segments(from, count, segments);
    *out_segments = segments;
    *out_state = (struct vt_bytes){(const uint8_t *)(from + count), state_bytes};
    return VT_OK;
}

static vt_err
fold_snapshot(struct manifest_state *state, struct vt_bytes payload)
{
    const struct snapshot_bytes *from = (const struct snapshot_bytes *)payload.data;
    struct manifest_segment *segments;
    struct manifest_seal seal = {0};

    if (payload.size < sizeof *from)
        return VT_BAD_LENGTH;
    struct vt_bytes tail = {payload.data + sizeof *from, payload.size - sizeof *from};
    vt_err err = get_tail(tail, le32_get(from->segment_count), le64_get(from->state_bytes),
                          &segments, &seal.state);

    if (err != VT_OK)
        return err;
    seal.cut = cut_get(&from->sealed);
    seal.segments = segments;
    seal.segment_count = le32_get(from->segment_count);
    err = manifest_apply_seal(state, &seal);
    free(segments);
    if (err != VT_OK)
        return err;
    state->start = le64_get(from->start);
    state->follows_number = le64_get(from->follows_number);
    state->follows_check = le64_get(from->follows_check);
    state->known_number = le64_get(from->known_number);
    return VT_OK;
}

static vt_err
fold_seal(struct manifest_state *state, struct vt_bytes payload)
{
    const struct seal_bytes *from = (const struct seal_bytes *)payload.data;
    struct manifest_segment *segments;
    struct manifest_seal seal = {0};

    if (payload.size < sizeof *from)
        return VT_BAD_LENGTH;
    struct vt_bytes tail = {payload.data + sizeof *from, payload.size - sizeof *from};
    vt_err err = get_tail(tail, le32_get(from->segment_count), le64_get(from->state_bytes),
                          &segments, &seal.state);

    if (err != VT_OK)
        return err;
    seal.cut = cut_get(&from->cut);
    seal.segments = segments;
    seal.segment_count = le32_get(from->segment_count);
    err = seal.cut.number < state->sealed.number ? VT_BAD_CHAIN : manifest_apply_seal(state, &seal);
    free(segments);
    return err;
}

static vt_err
fold_merge(struct manifest_state *state, struct vt_bytes payload)
{
    const struct merge_bytes *from = (const struct merge_bytes *)payload.data;

    if (payload.size < sizeof *from)
        return VT_BAD_LENGTH;
    struct manifest_merge merge = {
        .removed_count = le32_get(from->removed_count),
        .added_count = le32_get(from->added_count),
    };
    uint64_t count = (uint64_t)merge.removed_count + merge.added_count;

    if (count > SEGMENTS_MAX || payload.size != sizeof *from + count * sizeof(struct segment_bytes))
        return VT_BAD_LENGTH;
    struct manifest_segment *segments = calloc(count + 1, sizeof *segments);

    if (segments == NULL)
        return VT_NOMEM;
    get_segments((const struct segment_bytes *)(from + 1), (uint32_t)count, segments);
    merge.segments = segments;
    vt_err err = manifest_apply_merge(state, &merge);

    free(segments);
    return err;
}

/* The edit at `offset`, as far as its own bytes can tell. */
static vt_err
check_edit(struct vt_bytes file, uint64_t offset, uint64_t store, uint32_t copy)
{
    const struct edit_head *head = (const struct edit_head *)(file.data + offset);
    uint64_t left = file.size - offset;

    if (left < sizeof *head || le32_get(head->magic) != MANIFEST_MAGIC)
        return VT_BAD_MAGIC;
    if (le64_get(head->payload_bytes) > left - sizeof *head ||
        edit_bytes_of(le64_get(head->payload_bytes)) > left)
        return VT_BAD_LENGTH;
    uint64_t bytes = edit_bytes_of(le64_get(head->payload_bytes)) - CHECKED_FROM;

    if (le32_get(head->crc32c) != vt_crc32c(file.data + offset + CHECKED_FROM, bytes))
        return VT_BAD_CRC;
    if (le64_get(head->store) != store || le32_get(head->copy) != copy ||
        le64_get(head->offset) != offset)
        return VT_BAD_PLACE;
    return le16_get(head->version) == MANIFEST_VERSION ? VT_OK : VT_BAD_VERSION;
}

static vt_err
fold_edit(struct manifest_fold *fold, const struct edit_head *head)
{
    struct vt_bytes payload = {(const uint8_t *)(head + 1), le64_get(head->payload_bytes)};
    uint16_t kind = le16_get(head->kind);
    vt_err err = VT_BAD_TYPE;

    if (le64_get(head->sequence) <= fold->state.sequence ||
        le32_get(head->previous) != fold->last_check ||
        (kind == MANIFEST_SNAPSHOT) != (fold->good_bytes == 0))
        return VT_BAD_CHAIN;
    if (kind == MANIFEST_SNAPSHOT)
        err = fold_snapshot(&fold->state, payload);
    else if (kind == MANIFEST_SEAL)
        err = fold_seal(&fold->state, payload);
    else if (kind == MANIFEST_MERGE)
        err = fold_merge(&fold->state, payload);
    else if (kind == MANIFEST_END && payload.size == sizeof(le64))
        err = VT_OK;
    if (err != VT_OK)
        return err;
    if (kind == MANIFEST_END)
        fold->state.known_number = vt_load64(payload.data);
    fold->state.sequence = le64_get(head->sequence);
    fold->last_check = le32_get(head->crc32c);
    return VT_OK;
}

/* The greatest sequence of the good edits at or after `offset`. */
static uint64_t
find_beyond(struct vt_bytes file, uint64_t offset, uint64_t store, uint32_t copy)
{
    uint64_t beyond = 0;

    for (; offset < file.size; offset += MANIFEST_EDIT_BYTES) {
        if (check_edit(file, offset, store, copy) != VT_OK)
            continue;
        uint64_t sequence = le64_get(((const struct edit_head *)(file.data + offset))->sequence);

        if (sequence > beyond)
            beyond = sequence;
    }
    return beyond;
}

vt_err
manifest_fold_file(struct vt_bytes file, uint64_t store, uint32_t copy,
                   struct manifest_fold *out_fold)
{
    struct manifest_fold fold = {0};

    while (fold.good_bytes < file.size) {
        const struct edit_head *head = (const struct edit_head *)(file.data + fold.good_bytes);
        vt_err err = check_edit(file, fold.good_bytes, store, copy);

        if (err == VT_OK)
            err = fold_edit(&fold, head);
        if (err == VT_NOMEM || err == VT_BAD_VERSION) {
            manifest_state_deinit(&fold.state);
            return err;
        }
        if (err != VT_OK)
            break;
        fold.any = true;
        fold.good_bytes += edit_bytes_of(le64_get(head->payload_bytes));
    }
    fold.torn = fold.good_bytes < file.size;
    if (fold.torn)
        fold.beyond = find_beyond(file, fold.good_bytes, store, copy);
    *out_fold = fold;
    return VT_OK;
}

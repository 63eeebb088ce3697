/*
 * segment_verify.c - every byte of a segment against its checksums. It goes on behind a damage, so
 * that one look names them all.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment_internal.h"
#include "venturi/assert.h"

struct look {
    const struct segment *segment;
    segment_report report;
    void *context;
};

/* Tells one damage; what is none ends the look. */
static vt_err
tell(const struct look *look, vt_err err, uint64_t offset, const struct chunk_info *chunk)
{
    if (err == VT_OK || err == VT_NOMEM)
        return err;
    static const char word[] = "offset ";
    const char *text = vt_err_last();
    const char *at = strstr(text, word); /* the byte, where it is known so well */
    const struct segment_damage damage = {
        .offset = at == NULL ? offset : strtoull(at + sizeof word - 1, NULL, 10),
        .err = err,
        .text = text[0] != '\0' ? text : vt_err_text(err),
        .chunk = chunk,
    };

    look->report(look->context, &damage);
    vt_err_clear();
    return VT_OK;
}

static int
offset_order(const void *a, const void *b)
{
    const struct chunk_info *left = a;
    const struct chunk_info *right = b;

    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    /* An empty chunk shares its place with the next one, and stands before it. */
    return left->stored_bytes < right->stored_bytes ? -1 : left->stored_bytes > right->stored_bytes;
}

/* The bytes between two parts are fewer than SEGMENT_ALIGN, and zero. */
static vt_err
gap_check(const struct segment *segment, uint64_t end, uint64_t next)
{
    uint8_t gap[SEGMENT_ALIGN] = {0};

    if (segment_align(end) != next)
        return segment_damaged(segment, end, VT_BAD_PLACE, "chunks overlap or leave a gap");
    vt_err err = segment_bytes_read(segment, gap, next - end, end);

    if (err != VT_OK)
        return err;
    for (uint32_t i = 0; i < SEGMENT_ALIGN; i++)
        if (gap[i] != 0)
            return segment_damaged(segment, end + i, VT_BAD_RESERVED, "between chunks");
    return VT_OK;
}

/* Ends and directory once more from the file; what is in memory was checked at open. */
static vt_err
frame_check(const struct segment *segment)
{
    struct segment again = {.io = segment->io, .files = segment->files};

    memcpy(again.path, segment->path, sizeof again.path);
    vt_err err = segment_ends_read(&again, &segment->id);

    if (err == VT_OK)
        err = segment_directory_read(&again);
    free(again.entries);
    return err;
}

vt_err
segment_verify_each(const struct segment *segment, segment_report report, void *context)
{
    const struct look look = {segment, report, context};
    uint32_t count = segment->extent.chunk_count;
    uint64_t end = sizeof(struct segment_header);
    struct chunk_info *infos = malloc(count * sizeof *infos + 1);

    if (infos == NULL)
        return VT_NOMEM;
    vt_err_clear();
    vt_err err = tell(&look, frame_check(segment), segment->extent.directory_offset, NULL);

    for (uint32_t i = 0; i < count; i++)
        segment_entry_info(&segment->entries[i], &infos[i]);
    if (count > 0)
        qsort(infos, count, sizeof *infos, offset_order);
    for (uint32_t i = 0; i < count && err == VT_OK; i++) {
        err = tell(&look, gap_check(segment, end, infos[i].offset), end, NULL);
        if (err == VT_OK)
            err = tell(&look, segment_chunk_check(segment, &infos[i]), infos[i].offset, &infos[i]);
        end = infos[i].offset + infos[i].stored_bytes;
    }
    if (err == VT_OK)
        err = tell(&look, gap_check(segment, end, segment->extent.directory_offset), end, NULL);
    free(infos);
    return err;
}

struct first {
    vt_err err;
    char text[512];
};

static void
first_note(void *context, const struct segment_damage *damage)
{
    struct first *first = context;

    if (first->err != VT_OK)
        return;
    first->err = damage->err;
    (void)snprintf(first->text, sizeof first->text, "%s", damage->text);
}

vt_err
segment_verify(const struct segment *segment)
{
    struct first first = {.err = VT_OK};
    vt_err err = segment_verify_each(segment, first_note, &first);

    VT_ASSERT(err == VT_OK || first.err == VT_OK || err == VT_NOMEM);
    if (err != VT_OK || first.err == VT_OK)
        return err;
    return vt_err_detail(first.err, "%s", first.text);
}

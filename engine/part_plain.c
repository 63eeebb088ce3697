/*
 * part_plain.c - events that ask no question: valid, of one type, and named by their place in a
 * session's stream, of which the sequencer took out what came twice. They are counted and become
 * rows column by column. See part_internal.h.
 */
#include "part_internal.h"
#include "venturi/assert.h"

vt_err
part_apply_plain(struct part *part, const struct batch *batch, const uint32_t *select,
                 uint32_t select_count)
{
    struct epoch_rows rows = {.batch = batch, .count = select_count, .index = select};
    row_ref first = 0;

    VT_ASSERT(batch->plain);
    if (select_count == 0)
        return VT_OK;
    for (uint32_t i = 0; i < select_count; i++) {
        uint32_t row = 0;
        vt_err err = part_row(part, batch->tenant[select[i]], &row);

        if (err != VT_OK)
            return err;
        struct tally *tally = part_tally(part, row);

        VT_ASSERT(row != 0);
        tally->received++;
        tally->accepted++;
    }
    part->total.received += select_count;
    part->total.accepted += select_count;
    vt_err err = epoch_append_rows(part->epoch, &rows, &first);

    return err == VT_OK ? part_windows_take(part, first, select_count) : err;
}

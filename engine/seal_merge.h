/*
 * seal_merge.h - what the files of a merge share. Private to seal_merge*.c.
 *
 * The merged segment has what one epoch would have had in place of those of the inputs: rows by
 * (type, tenant, position), identities in the order of K, cells folded, lists one after the other,
 * strings in the order of their first appearance. Only the proofs of content stay apart: a group
 * keeps the stubs of its inputs. Every input is read from its beginning to its end, a block at a
 * time; what is held whole are the dictionaries and the directories.
 *
 * Thread: the sealer's.
 */
#pragma once

#include "seal_internal.h"
#include "sealed_internal.h"
#include "sealed_walk.h"

struct merge_input {
    const struct sealed *sealed;
    const struct sealed_directory *directory;
    uint32_t *codes;       /* [strings] in the dictionary of the merged segment */
    uint32_t *group_first; /* [group_count] the row in the merged segment at which a group begins */
    uint32_t group;        /* the next one */
};

struct merge {
    const struct seal_merge_options *options;
    struct seal seal;
    uint32_t input_count;
    struct merge_input inputs[SEAL_MERGE_MAX];
    uint32_t steps; /* since the last pause */
};

/* After some work, counted in rows or entries: lets the caller of the merge do what is more urgent,
 * or end it. */
VT_MUST_CHECK vt_err merge_step(struct merge *merge, uint32_t work);

/* seal_merge_rows.c */
VT_MUST_CHECK vt_err merge_rows(struct merge *merge);
/* seal_merge_ids.c; the rows come first: they say where each is. */
VT_MUST_CHECK vt_err merge_ids(struct merge *merge);
/* seal_merge_cells.c */
VT_MUST_CHECK vt_err merge_cells(struct merge *merge);

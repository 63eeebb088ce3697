/*
 * manifest_format.h - edits of the manifest as bytes: making them, and folding a file of them into
 * a state. The format stands in manifest.h. Pure: no file is touched here.
 *
 * Errors: verdicts on outside bytes, without detail.
 * Thread: any; no state.
 */
#pragma once

#include "manifest.h"

#define MANIFEST_EDIT_BYTES  64U
#define MANIFEST_SEQUENCE_AT 24U /* of an edit's sequence, in its head */

struct manifest_edit {
    uint8_t *data; /* malloc; the caller frees it */
    uint64_t bytes;
};

/* Which file an edit is for. */
struct manifest_place {
    uint64_t store;
    uint64_t sequence;
    uint64_t offset;
    uint32_t copy;
    uint32_t previous; /* checksum of the edit before it in this file; 0: none */
};

VT_MUST_CHECK vt_err manifest_encode_snapshot(const struct manifest_state *state,
                                              struct manifest_edit *out_edit);
VT_MUST_CHECK vt_err manifest_encode_seal(const struct manifest_seal *seal,
                                          struct manifest_edit *out_edit);
VT_MUST_CHECK vt_err manifest_encode_merge(const struct manifest_merge *merge,
                                           struct manifest_edit *out_edit);
VT_MUST_CHECK vt_err manifest_encode_end(uint64_t number, struct manifest_edit *out_edit);

/* Writes place and checksum into an encoded edit; may be called again for the other copy. */
void manifest_edit_place(struct manifest_edit *edit, const struct manifest_place *place);
/* The checksum that it has there. */
uint32_t manifest_edit_check(const struct manifest_edit *edit);

/* The order of segments in a state. */
int manifest_segment_compare(const struct manifest_segment *a, const struct manifest_segment *b);

/* Applies a seal to a state, in memory. */
VT_MUST_CHECK vt_err manifest_apply_seal(struct manifest_state *state,
                                         const struct manifest_seal *seal);
/* Whether all that a merge removes is there, each named once and in the order of the state. */
bool manifest_state_has(const struct manifest_state *state, const struct manifest_merge *merge);
/* Applies a merge to a state, in memory. VT_BAD_CHAIN where it does not fit; the state is as before
 * on any error. */
VT_MUST_CHECK vt_err manifest_apply_merge(struct manifest_state *state,
                                          const struct manifest_merge *merge);
void manifest_state_deinit(struct manifest_state *state);

/* What a file holds. */
struct manifest_fold {
    struct manifest_state state; /* as of its last good edit; deinit is the caller's */
    uint64_t good_bytes;         /* after the last good edit */
    uint32_t last_check;         /* of the last good edit */
    uint64_t beyond;             /* sequence of a good edit that stands after a bad one; 0: none */
    bool any;                    /* there was a good edit */
    bool torn;                   /* bytes that are no edit follow the good ones */
};
VT_MUST_CHECK vt_err manifest_fold_file(struct vt_bytes file, uint64_t store, uint32_t copy,
                                        struct manifest_fold *out_fold);

/*
 * dict.h - strings to codes and back. Code 0 is "". Append-only: strings stand in chunks that never
 * move, so a reader may look at codes below a count that it took at a commit boundary.
 *
 * Thread: the owner adds; readers read below their count.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

#define DICT_STRINGS_MAX (UINT32_C(1) << 26)

struct dict;

VT_MUST_CHECK vt_err dict_open(struct dict **out_dict);
void dict_close(struct dict *dict);
/* The code of a string, added (copied) where it is new. VT_FULL, VT_NOMEM. */
VT_MUST_CHECK vt_err dict_code(struct dict *dict, struct vt_str text, uint32_t *out_code);
struct vt_str dict_string(const struct dict *dict, uint32_t code);
uint32_t dict_count(const struct dict *dict);
uint64_t dict_id(const struct dict *dict); /* unique in the process */
uint64_t dict_new_id(void); /* for blocks whose strings come from elsewhere; any thread */
/* All strings below `count` as one array, from malloc; the strings stay the dictionary's. */
VT_MUST_CHECK vt_err dict_array(const struct dict *dict, uint32_t count, struct vt_str **out_array);

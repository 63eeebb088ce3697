/*
 * value_set.h - exact sets of strings, for `unique`. A set lives over a dictionary: it is a
 * compressed bitmap (CRoaring) of the codes of its members. A set of its own has no dictionary and
 * holds its strings itself. Sets of any two kinds unite. The empty string is never a member.
 *
 * Life:   value_set_open or value_set_open_codes, add*, unite*, read, value_set_close.
 * Errors: VT_NOMEM; VT_FULL from the dictionary. CRoaring does not report that memory is short, it
 *         ends the process.
 * Thread: one at a time; read-only use by any.
 */
#pragma once

#include <stdint.h>

#include "dict.h"
#include "venturi/bytes.h"
#include "venturi/err.h"

struct value_set;

VT_MUST_CHECK vt_err value_set_open(struct value_set **out_set);
/* Members are codes of `dict`, which must outlive the set. Strings that are added become entries of
 * it. */
VT_MUST_CHECK vt_err value_set_open_codes(struct dict *dict, struct value_set **out_set);
void value_set_close(struct value_set *set); /* NULL is allowed */

VT_MUST_CHECK vt_err value_set_add(struct value_set *set, struct vt_str value);
/* Only for a set over a dictionary; `code` is one of its. */
VT_MUST_CHECK vt_err value_set_add_code(struct value_set *set, uint32_t code);
/* All members of `from`; NULL is an empty set. */
VT_MUST_CHECK vt_err value_set_unite(struct value_set *into, const struct value_set *from);

uint64_t value_set_count(const struct value_set *set); /* NULL is an empty set */
/* In the order of the strings by bytes, so that what is written from a set depends on nothing else.
 * */
VT_MUST_CHECK vt_err value_set_each(const struct value_set *set,
                                    vt_err (*each)(void *context, struct vt_str value),
                                    void *context);

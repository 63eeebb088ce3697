/*
 * content.h - SHA-256 over rows in canonical form: a proof of what was accepted that does not
 * depend on how it is stored. The form is short because the digest is dear: 2 GB/s.
 *
 * CANONICAL ROW: words, each in as few bytes as it needs, none to eight, little-endian: first
 * their sizes, four bits each, two words a byte, the first one low; then the words; then bytes. The
 * words, where a difference is modulo 2^64, to the row before, of the first row to zero:
 *    difference of the position
 *    difference of the time, its sign moved to the lowest bit: (d << 1) ^ (d >> 63)
 *    source: string
 *    (declared fields << 18 | size of the id << 2 | kind of the id) xor that of the row before
 *    two of the id: a UUID's halves; a sequence's differences of epoch and of sequence to the last
 *    row with a sequence; zeros of a text
 *    a bit for each declared field, 1 where it is a decimal that is not there
 *    for each declared field a decimal's value with its sign moved, 0 where it is not there, or
 *    a string
 *    size of the undeclared fields
 * The bytes: those of an id of text; of each string that is new, in the order of their words, size
 * (u32) and text; the undeclared fields.
 * string: 0 the empty one; else the number under which it came first among the strings since the
 * last digest, from 1 on. It is new where it has the next one.
 *
 * Life:   content_open, content_add of blocks of one tenant and type in the order of their
 *         positions, content_finish, close.
 * Thread: one at a time.
 */
#pragma once

#include <stdbool.h>

#include "block.h"
#include "venturi/err.h"

struct content;

/* `one_dict`: the rows up to a digest have one dictionary; it takes 8 bytes for each of its
 * strings, and time is saved. */
VT_MUST_CHECK vt_err content_open(bool one_dict, struct content **out_content);
void content_close(struct content *content); /* NULL is allowed */
/* Rows first .. first + count - 1 of a block that has ids. */
VT_MUST_CHECK vt_err content_add(struct content *content, const struct row_block *block,
                                 uint32_t first, uint32_t count);
VT_MUST_CHECK vt_err content_add_bytes(struct content *content, const void *bytes, uint64_t size);
/* The digest of what was added; the next begins. */
VT_MUST_CHECK vt_err content_finish(struct content *content, uint8_t out_sha256[32]);

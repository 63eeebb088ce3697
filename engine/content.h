/*
 * content.h - SHA-256 over rows in canonical form: a proof of what was accepted that does not
 * depend on how it is stored.
 *
 * CANONICAL ROW: position u64, time i64, source (u32 size, text), id kind u8, id (u32 size, data),
 * then for each declared field in its order a decimal as u8 present and i64 value, a string as u32
 * size and text; then undeclared fields (u32 size, bytes).
 *
 * Life:   content_open, content_add of blocks of one tenant and type in the order of their
 *         positions, content_finish, close.
 * Thread: one at a time.
 */
#pragma once

#include "block.h"
#include "venturi/err.h"

struct content;

VT_MUST_CHECK vt_err content_open(struct content **out_content);
void content_close(struct content *content); /* NULL is allowed */
/* Rows first .. first + count - 1 of a block that has ids. */
VT_MUST_CHECK vt_err content_add(struct content *content, const struct row_block *block,
                                 uint32_t first, uint32_t count);
VT_MUST_CHECK vt_err content_add_bytes(struct content *content, const void *bytes, uint64_t size);
/* The digest of what was added; the next begins. */
VT_MUST_CHECK vt_err content_finish(struct content *content, uint8_t out_sha256[32]);

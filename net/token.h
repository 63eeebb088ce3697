/*
 * token.h - who may do what. A token is "vt_ID_SECRET" (16 and 64 lower-case hex digits); the store
 * keeps ID, the SHA-256 of the secret's 64 digits, scopes and, for some, the one tenant that it is
 * bound to, in DIR/tokens (mode 0600), a line each:
 *   ID SHA256HEX SCOPES TENANT|-
 * SCOPES is one or more of ingest, read and admin with commas between; the tenant is the rest of
 * the line. An empty line and one that begins with # are skipped. The first start makes the admin
 * token and writes it to DIR/admin.token (mode 0600), once.
 *
 * Comparison takes the same time whatever differs, also for an unknown id.
 *
 * Thread: any; tokens are read-only after tokens_open.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

enum token_scope { SCOPE_INGEST = 1, SCOPE_READ = 2, SCOPE_ADMIN = 4 };

#define TOKEN_TEXT_BYTES 96

struct token_grant {
    uint64_t id;
    uint32_t scopes;      /* admin has all */
    struct vt_str tenant; /* empty: any; lives as long as the tokens */
};

struct tokens;

/* Reads DIR/tokens; makes it, and DIR/admin.token, where the directory has none. A file that others
 * may read or that is malformed is refused with its line. */
VT_MUST_CHECK vt_err tokens_open(const char *data_dir, struct tokens **out_tokens);
void tokens_close(struct tokens *tokens); /* NULL is allowed */

/* VT_BAD_TOKEN, or VT_FORBIDDEN where it lacks one of `scopes`. */
VT_MUST_CHECK vt_err tokens_check(const struct tokens *tokens, struct vt_str text, uint32_t scopes,
                                  struct token_grant *out_grant);

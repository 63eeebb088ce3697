/*
 * arena.h - memory that is given back all at once. Pieces are aligned to 16 bytes. In sanitizer
 * builds each piece is a malloc of its own, so that an overrun is seen.
 *
 * Life:   arena_init, alloc*, arena_reset (keeps one block), arena_deinit.
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "venturi/bytes.h"
#include "venturi/err.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    uint64_t block_bytes; /* of a new block */
    uint64_t used_bytes;  /* handed out in all */
};

void arena_init(struct arena *arena, uint64_t block_bytes);
void arena_reset(struct arena *arena);
void arena_deinit(struct arena *arena);

/* NULL where memory is short. Zeroed by arena_zalloc only. */
void *arena_alloc(struct arena *arena, uint64_t bytes);
void *arena_zalloc(struct arena *arena, uint64_t bytes);

/* A copy; `data` of the result is NULL where memory is short and text.size is not 0. */
struct vt_str arena_copy(struct arena *arena, struct vt_str text);

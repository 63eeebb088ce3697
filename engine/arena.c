/* arena.c - see arena.h. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define ARENA_ALIGN 16

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SEPARATE 1
#endif
#endif
#ifndef ARENA_SEPARATE
#define ARENA_SEPARATE 0
#endif

struct arena_block {
    struct arena_block *next;
    uint64_t bytes;
    uint64_t used;
    uint64_t pad; /* keeps the data that follows aligned */
};
_Static_assert(sizeof(struct arena_block) % ARENA_ALIGN == 0, "data follows the header");

void
arena_init(struct arena *arena, uint64_t block_bytes)
{
    VT_ASSERT(block_bytes > 0);
    *arena = (struct arena){.blocks = NULL, .block_bytes = block_bytes, .used_bytes = 0};
}

static void
blocks_free(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void
arena_reset(struct arena *arena)
{
    struct arena_block *keep = arena->blocks;

    if (ARENA_SEPARATE || (keep != NULL && keep->bytes > arena->block_bytes)) {
        arena_deinit(arena);
        return;
    }
    if (keep != NULL) {
        blocks_free(keep->next);
        keep->next = NULL;
        keep->used = 0;
    }
    arena->used_bytes = 0;
}

void
arena_deinit(struct arena *arena)
{
    blocks_free(arena->blocks);
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void *
arena_alloc(struct arena *arena, uint64_t bytes)
{
    struct arena_block *block = arena->blocks;

    VT_ASSERT(arena->block_bytes > 0);
    if (bytes > UINT64_C(1) << 40)
        return NULL;
    bytes = bytes == 0 ? ARENA_ALIGN : (bytes + ARENA_ALIGN - 1) & ~(uint64_t)(ARENA_ALIGN - 1);
    if (ARENA_SEPARATE || block == NULL || bytes > block->bytes - block->used) {
        uint64_t size = ARENA_SEPARATE || bytes > arena->block_bytes ? bytes : arena->block_bytes;

        block = malloc(sizeof *block + size);
        if (block == NULL)
            return NULL;
        *block = (struct arena_block){.next = arena->blocks, .bytes = size, .used = 0, .pad = 0};
        arena->blocks = block;
    }
    void *piece = (uint8_t *)(block + 1) + block->used;

    block->used += bytes;
    arena->used_bytes += bytes;
    VT_ASSERT(block->used <= block->bytes);
    return piece;
}

void *
arena_zalloc(struct arena *arena, uint64_t bytes)
{
    void *piece = arena_alloc(arena, bytes);

    if (piece != NULL)
        memset(piece, 0, bytes);
    return piece;
}

struct vt_str
arena_copy(struct arena *arena, struct vt_str text)
{
    char *copy = arena_alloc(arena, text.size);

    if (copy == NULL)
        return (struct vt_str){NULL, text.size};
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return (struct vt_str){copy, text.size};
}

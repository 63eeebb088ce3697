/*
 * ring.h - a bounded ring of fixed-size messages from one producer thread to one consumer thread.
 * A full ring is back-pressure: try_push says no and the producer keeps its message.
 *
 * Each index is written by one side only and read by the other; each side also keeps a copy of the
 * other's index and looks at the shared one only when the copy says full or empty, so that a burst
 * moves one cache line. (The scheme is that of D. Giacomoni et al., FastForward, PPoPP 2008, and of
 * many kernels' rings; indices are 128 bytes apart because Intel's prefetcher takes lines in
 * pairs.)
 *
 * Life:   ring_init on any thread before the two start; ring_deinit after both stopped.
 * Memory: slot_count x slot_bytes, taken at init.
 * Thread: push on the producer's, pop on the consumer's.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"
#include "venturi/err.h"

struct vt_ring {
    _Alignas(128) _Atomic uint64_t tail; /* written by the producer */
    uint64_t head_seen;                  /* producer's copy of head */
    _Alignas(128) _Atomic uint64_t head; /* written by the consumer */
    uint64_t tail_seen;                  /* consumer's copy of tail */
    _Alignas(128) uint8_t *slots;
    uint32_t slot_bytes;
    uint32_t slot_mask;
};

/* `slot_count` is a power of two. */
VT_MUST_CHECK static inline vt_err
vt_ring_init(struct vt_ring *ring, uint32_t slot_count, uint32_t slot_bytes)
{
    VT_ASSERT(slot_count > 0 && (slot_count & (slot_count - 1)) == 0);
    VT_ASSERT(slot_bytes > 0);
    memset(ring, 0, sizeof *ring);
    ring->slots = calloc(slot_count, slot_bytes);
    if (ring->slots == NULL)
        return VT_NOMEM;
    ring->slot_bytes = slot_bytes;
    ring->slot_mask = slot_count - 1;
    return VT_OK;
}

static inline void
vt_ring_deinit(struct vt_ring *ring)
{
    free(ring->slots);
    ring->slots = NULL;
}

/* False where the ring is full. */
VT_MUST_CHECK static inline bool
vt_ring_try_push(struct vt_ring *ring, const void *message)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (tail - ring->head_seen > ring->slot_mask) {
        /* Acquires the consumer's release of head: its read of the slot is over. */
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen > ring->slot_mask)
            return false;
    }
    memcpy(ring->slots + (tail & ring->slot_mask) * ring->slot_bytes, message, ring->slot_bytes);
    /* Released to the consumer's acquire of tail. */
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

/* False where the ring is empty. */
VT_MUST_CHECK static inline bool
vt_ring_try_pop(struct vt_ring *ring, void *out_message)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    if (head == ring->tail_seen) {
        /* Acquires the producer's release of tail: the message is there. */
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen)
            return false;
    }
    memcpy(out_message, ring->slots + (head & ring->slot_mask) * ring->slot_bytes,
           ring->slot_bytes);
    /* Released to the producer's acquire of head. */
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

#include "venturi/hash.h"

/* After the reference code of J.-P. Aumasson and D. J. Bernstein (CC0), with 2 rounds a word, 4 at
 * the end and 128 bits of output. */
struct state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void
state_round(struct state *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline void
state_word(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    state_round(s);
    state_round(s);
    s->v0 ^= word;
}

static inline uint64_t
state_output(struct state *s)
{
    for (int i = 0; i < 4; i++)
        state_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

struct vt_hash128
vt_siphash(const struct vt_hash_key *key, const void *data, uint64_t size)
{
    const uint8_t *at = data;
    struct vt_hash128 hash;
    struct state s = {
        .v0 = UINT64_C(0x736f6d6570736575) ^ key->k0,
        .v1 = UINT64_C(0x646f72616e646f6d) ^ key->k1 ^ 0xee,
        .v2 = UINT64_C(0x6c7967656e657261) ^ key->k0,
        .v3 = UINT64_C(0x7465646279746573) ^ key->k1,
    };
    uint64_t last = size << 56;

    for (uint64_t left = size; left >= 8; left -= 8, at += 8)
        state_word(&s, vt_load64(at));
    for (unsigned i = 0; i < (size & 7); i++)
        last |= (uint64_t)at[i] << (8 * i);
    state_word(&s, last);
    s.v2 ^= 0xee;
    hash.lo = state_output(&s); /* the first eight bytes of the reference's output */
    s.v1 ^= 0xdd;
    hash.hi = state_output(&s);
    return hash;
}

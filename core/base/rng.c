// SPDX-License-Identifier: MIT
// Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011), and
// numbers in a range, reals and permutations made from it.
#include "core/base/rng.h"

#include <string.h>

void rng_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < RNG_ROUNDS; round++) {
        uint64_t p = (uint64_t)RNG_MULTIPLY[0] * c[0], q = (uint64_t)RNG_MULTIPLY[1] * c[2];
        uint32_t next[4] = {(uint32_t)(q >> 32) ^ c[1] ^ k[0], (uint32_t)q,
                            (uint32_t)(p >> 32) ^ c[3] ^ k[1], (uint32_t)p};
        memcpy(c, next, sizeof c);
        k[0] += RNG_BUMP[0];
        k[1] += RNG_BUMP[1];
    }
    memcpy(out, c, sizeof c);
}

static void block_at(uint32_t out[4], const Rng *r, uint64_t index) {
    uint64_t block = index / 4;
    const uint32_t counter[4] = {(uint32_t)block, r->use | (uint32_t)(block >> 32) << 8, r->a,
                                 r->b};
    const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    rng_philox4x32(out, counter, key);
}

void rng_init(Rng *r, uint64_t seed, RngUse use, uint32_t a, uint32_t b) {
    *r = (Rng){.seed = seed, .use = (uint32_t)use, .a = a, .b = b};
}

void rng_seek(Rng *r, uint64_t index) {
    r->index = index;
    if (index % 4) block_at(r->block, r, index);
}

uint32_t rng_u32(Rng *r) {
    if (r->index % 4 == 0) block_at(r->block, r, r->index);
    return r->block[r->index++ % 4];
}

uint32_t rng_at(const Rng *r, uint64_t index) {
    uint32_t block[4];
    block_at(block, r, index);
    return block[index % 4];
}

// The high word of n * u32 is uniform once the 2^32 mod n smallest low words are refused (Lemire,
// "Fast random integer generation in an interval", 2019).
uint32_t rng_below(Rng *r, uint32_t n) {
    uint32_t refused = -n % n;
    uint64_t product;
    do product = (uint64_t)rng_u32(r) * n;
    while ((uint32_t)product < refused);
    return (uint32_t)(product >> 32);
}

float rng_float(Rng *r) { return (float)(rng_u32(r) >> 8) * 0x1p-24f; }

void rng_shuffle(Rng *r, int32_t *items, int64_t count) {
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = rng_below(r, (uint32_t)i + 1);
        int32_t moved = items[i];
        items[i] = items[j];
        items[j] = moved;
    }
}

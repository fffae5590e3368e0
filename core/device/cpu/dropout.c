// SPDX-License-Identifier: MIT
// Dropout by vectors of Philox blocks (core/base/rng.h), of four numbers each: counters differ in
// their first two words alone.
#include "core/device/dropout.h"
#include "core/device/cpu/cpu_internal.h"

enum { BLOCKS = 16, NUMBERS = 4 * BLOCKS };

// One round of all blocks.
static inline void mix(uint32_t c[4][BLOCKS], uint32_t k0, uint32_t k1) {
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t p = (uint64_t)c[0][i] * RNG_MULTIPLY[0], q = (uint64_t)c[2][i] * RNG_MULTIPLY[1];
        uint32_t first = (uint32_t)(q >> 32) ^ c[1][i] ^ k0,
                 third = (uint32_t)(p >> 32) ^ c[3][i] ^ k1;
        c[0][i] = first;
        c[1][i] = (uint32_t)q;
        c[2][i] = third;
        c[3][i] = (uint32_t)p;
    }
}

// The numbers of BLOCKS blocks from `block` on, as rng_at() gives them.
static void draw(const Rng *r, uint64_t block, uint32_t *restrict out) {
    uint32_t c[4][BLOCKS], k0 = (uint32_t)r->seed, k1 = (uint32_t)(r->seed >> 32);
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t b = block + (uint64_t)i;
        c[0][i] = (uint32_t)b;
        c[1][i] = r->use | (uint32_t)(b >> 32) << 8;
        c[2][i] = r->a;
        c[3][i] = r->b;
    }
    for (int round = 0; round < RNG_ROUNDS; round++) {
        mix(c, k0, k1);
        k0 += RNG_BUMP[0];
        k1 += RNG_BUMP[1];
    }
    for (int i = 0; i < BLOCKS; i++)
        for (int e = 0; e < 4; e++) out[4 * i + e] = c[e][i];
}

void NAME(cpu_dropout)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0);
    const DropoutMask m = dropout_mask(call);
    real scale = (real)m.scale;
    uint32_t numbers[NUMBERS];
    int64_t n = live_elements(input(call, 0)), skip = (int64_t)(m.first % 4);
    for (int64_t e = -skip; e < n; e += NUMBERS) {
        draw(&m.stream, (m.first + (uint64_t)e) / 4, numbers);
        int64_t from = e < 0 ? 0 : e, to = e + NUMBERS < n ? e + NUMBERS : n;
        for (int64_t i = from; i < to; i++) y[i] = numbers[i - e] < m.below ? 0 : x[i] * scale;
    }
}

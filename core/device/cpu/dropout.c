// SPDX-License-Identifier: MIT
// Dropout with many blocks of Philox at once (core/base/rng.h), of four numbers each: they differ
// in the first two words of the counter alone.
#include "core/device/dropout.h"
#include "core/device/cpu/cpu_internal.h"

enum { BLOCKS = 16, NUMBERS = 4 * BLOCKS };

// The numbers of block `block`, as rng_at() gives them, without a call for each.
static inline void draw_block(const Rng *r, uint64_t block, uint32_t *restrict out) {
    uint32_t c0 = (uint32_t)block, c1 = r->use | (uint32_t)(block >> 32) << 8, c2 = r->a, c3 = r->b,
             k0 = (uint32_t)r->seed, k1 = (uint32_t)(r->seed >> 32);
    for (int round = 0; round < RNG_ROUNDS; round++) {
        uint64_t p = (uint64_t)RNG_MULTIPLY[0] * c0, q = (uint64_t)RNG_MULTIPLY[1] * c2;
        c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)q;
        c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p;
        k0 += RNG_BUMP[0];
        k1 += RNG_BUMP[1];
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static void draw(const Rng *r, uint64_t block, uint32_t *restrict out) {
    for (int i = 0; i < BLOCKS; i++) draw_block(r, block + (uint64_t)i, &out[4 * i]);
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

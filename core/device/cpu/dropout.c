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

// n elements in a row, the first of which lies at `place`.
static void drop(const DropoutMask *m, uint64_t place, int64_t n, const real *restrict x,
                 real *restrict y, uint8_t *restrict mask) {
    real scale = (real)m->scale;
    uint32_t numbers[NUMBERS];
    int64_t skip = (int64_t)(place % 4);
    for (int64_t e = -skip; e < n; e += NUMBERS) {
        draw(&m->stream, (place + (uint64_t)e) / 4, numbers);
        int64_t from = e < 0 ? 0 : e, to = e + NUMBERS < n ? e + NUMBERS : n;
        for (int64_t i = from; i < to; i++) y[i] = numbers[i - e] < m->below ? 0 : x[i] * scale;
        for (int64_t i = from; mask && i < to; i++) mask[i] = numbers[i - e] >= m->below;
    }
}

// How many elements from `from` on follow one another in the whole, too.
static int64_t run_from(const int64_t *index, int64_t from, int64_t count) {
    int64_t to = from + 1;
    if (!index) return count - from;
    while (to < count && index[to] == index[to - 1] + 1) to++;
    return to - from;
}

// The part of a mask that belongs to elements from `at` on, if it is kept.
static uint8_t *mask_at(uint8_t *mask, int64_t at) { return mask ? mask + at : NULL; }

static void drop_all(int64_t n, real *y, uint8_t *mask) {
    memset(y, 0, (size_t)n * sizeof *y);
    if (mask) memset(mask, 0, (size_t)n);
}

// One row in pieces, as `last` has been cut.
static void drop_last(const DropoutMask *m, int64_t b, int64_t i, const real *x, real *y,
                      uint8_t *mask) {
    for (int64_t j = 0, n; j < m->last; j += n) {
        int64_t place = dropout_place(m, b, i, j);
        n = place == DROPOUT_NONE ? 1 : run_from(m->last_index, j, m->last);
        if (place == DROPOUT_NONE)
            drop_all(n, &y[j], mask_at(mask, j));
        else
            drop(m, (uint64_t)place, n, &x[j], &y[j], mask_at(mask, j));
    }
}

// And as `middle` has been.
static void drop_middle(const DropoutMask *m, int64_t b, const real *x, real *y, uint8_t *mask) {
    for (int64_t i = 0, n; i < m->middle; i += n) {
        int64_t at = i * m->last, place = dropout_place(m, b, i, 0);
        n = place == DROPOUT_NONE ? 1 : run_from(m->middle_index, i, m->middle);
        if (place == DROPOUT_NONE)
            drop_all(m->last, &y[at], mask_at(mask, at));
        else
            drop(m, (uint64_t)place, n * m->last, &x[at], &y[at], mask_at(mask, at));
    }
}

void NAME(cpu_dropout)(const KernelCall *call) {
    const DropoutMask m = dropout_mask(call);
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    uint8_t *mask = output_data(call, 1);
    int64_t row = m.middle * m.last;
    if (!m.middle_index && !m.last_index) {
        drop(&m, m.first, m.rows * row, x, y, mask);
        return;
    }
    for (int64_t b = 0; b < m.rows; b++, x += row, y += row, mask = mask_at(mask, row)) {
        for (int64_t i = 0; m.last_index && i < m.middle; i++)
            drop_last(&m, b, i, &x[i * m.last], &y[i * m.last], mask_at(mask, i * m.last));
        if (!m.last_index) drop_middle(&m, b, x, y, mask);
    }
}

void NAME(cpu_dropout_mask_backward)(const KernelCall *call) {
    real *restrict dx = output_data(call, 0);
    const real *restrict dy = input_data(call, 0), scale = (real)(1 / (1 - attr_as_real(call, 0)));
    const uint8_t *restrict mask = input_data(call, 1);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) dx[i] = mask[i] ? dy[i] * scale : 0;
}

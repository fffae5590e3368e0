// SPDX-License-Identifier: MIT
// Sums over the elements of a row in sixteen running sums: element i is added to sum i % 16, and at
// the end these are added in order. Additions side by side become vectors of whatever the processor
// has, with the same bits. Several rows at once do not wait for each other's additions.
#ifndef CORE_DEVICE_CPU_LANES_H
#define CORE_DEVICE_CPU_LANES_H

#include "core/device/real.h"

#include <stdint.h>
#include <string.h>

enum {
    LANES = 16,
    LANES_PIECE = 32 / sizeof(real),  // of a vector of 32 bytes
    LANES_PIECES = LANES / LANES_PIECE,
    LANES_ROWS = 4,  // at once
};
typedef real LanesVector
    __attribute__((vector_size(LANES_PIECE * sizeof(real)), aligned(sizeof(real))));

// The running sums of up to LANES_ROWS rows.
typedef struct {
    LanesVector of[LANES_ROWS][LANES_PIECES];
} Lanes;

static inline const LanesVector *lanes_at(const real *x) { return (const LanesVector *)x; }

// sum[r] = the running sums of row r, added in order.
static inline void lanes_fold(int rows, real part[LANES_ROWS][LANES], real *sum) {
    for (int r = 0; r < rows; r++) sum[r] = 0;
    for (int e = 0; e < LANES; e++)
        for (int r = 0; r < rows; r++) sum[r] += part[r][e];
}

// sum[r] = the sum over i < n of a[r stride + i] b[r stride + i] w[i]; b and w may be NULL, which
// counts as 1. `rows` is at most LANES_ROWS.
static inline void lanes_products(int rows, int64_t n, int64_t stride, const real *a, const real *b,
                                  const real *w, real *sum) {
    Lanes lanes = {0};
    real part[LANES_ROWS][LANES];
    int64_t whole = n - n % LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int r = 0; r < rows; r++)
            for (int p = 0; p < LANES_PIECES; p++) {
                LanesVector v = lanes_at(&a[r * stride + i])[p];
                if (b) v *= lanes_at(&b[r * stride + i])[p];
                if (w) v *= lanes_at(&w[i])[p];
                lanes.of[r][p] += v;
            }
    memcpy(part, lanes.of, sizeof part);
    for (int r = 0; r < rows; r++)
        for (int64_t i = whole; i < n; i++)
            part[r][i - whole] += a[r * stride + i] * (b ? b[r * stride + i] : 1) * (w ? w[i] : 1);
    lanes_fold(rows, part, sum);
}

#endif

// SPDX-License-Identifier: MIT
// Passes over the rows of small matrices.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/lanes.h"

void NAME(cpu_finish_rows)(int64_t rows, int64_t n, const real *bias, bool relu, real *x) {
    for (int64_t r = 0; r < rows; r++) finish_row(n, bias ? bias[r] : 0, relu, x + r * n);
}

void NAME(cpu_add_row_sums)(int64_t rows, int64_t n, const real *x, real *sums) {
    for (int64_t k = 0; k < rows; k++, x += n) {
        real sum;
        lanes_products(1, n, n, x, NULL, NULL, &sum);
        sums[k] += sum;
    }
}

void NAME(cpu_deliver)(int64_t n, const real *x, bool accumulate, real *out) {
    if (accumulate)
        for (int64_t i = 0; i < n; i++) out[i] += x[i];
    else
        for (int64_t i = 0; i < n; i++) out[i] = x[i];
}

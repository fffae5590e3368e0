// SPDX-License-Identifier: MIT
// Root-mean-square normalisation, some positions at a time; core/device/reference/rms_norm.c has
// the formulas. Sums over channels are those of core/device/cpu/lanes.h.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/lanes.h"

static inline void inverse_roots(const KernelCall *call, int rows, int64_t C, const real *x,
                                 real *root) {
    double eps = attr_as_real(call, 0);
    lanes_products(rows, C, C, x, x, NULL, root);
    for (int r = 0; r < rows; r++) root[r] = (real)(1 / sqrt((double)root[r] / (double)C + eps));
}

static int64_t positions(const Operand *x) { return operand_rows(x) * x->shape[1]; }

static inline void normalise(const KernelCall *call, int rows, int64_t C, const real *restrict x,
                             const real *restrict weight, real *restrict y) {
    real root[LANES_ROWS];
    inverse_roots(call, rows, C, x, root);
    for (int r = 0; r < rows; r++)
        for (int64_t c = 0; c < C; c++) y[r * C + c] = x[r * C + c] * root[r] * weight[c];
}

void NAME(cpu_rms_norm)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0)), i = 0;
    for (; i + LANES_ROWS <= n; i += LANES_ROWS)
        normalise(call, LANES_ROWS, C, x + i * C, weight, y + i * C);
    for (; i < n; i++) normalise(call, 1, C, x + i * C, weight, y + i * C);
}

static inline void differentiate(const KernelCall *call, int rows, int64_t C,
                                 const real *restrict dy, const real *restrict x,
                                 const real *restrict weight, real *restrict dx) {
    real root[LANES_ROWS], back[LANES_ROWS];
    inverse_roots(call, rows, C, x, root);
    lanes_products(rows, C, C, dy, x, weight, back);
    for (int r = 0; r < rows; r++) back[r] = back[r] / (real)C * root[r] * root[r];
    for (int r = 0; r < rows; r++)
        for (int64_t c = 0; c < C; c++)
            dx[r * C + c] = root[r] * (dy[r * C + c] * weight[c] - x[r * C + c] * back[r]);
}

void NAME(cpu_rms_norm_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1), *weight = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0)), i = 0;
    for (; i + LANES_ROWS <= n; i += LANES_ROWS)
        differentiate(call, LANES_ROWS, C, dy + i * C, x + i * C, weight, dx + i * C);
    for (; i < n; i++) differentiate(call, 1, C, dy + i * C, x + i * C, weight, dx + i * C);
}

static inline void add_rows(const KernelCall *call, int rows, int64_t C, const real *restrict dy,
                            const real *restrict x, real *restrict sum) {
    real root[LANES_ROWS];
    inverse_roots(call, rows, C, x, root);
    for (int64_t c = 0; c < C; c++) {
        real all = sum[c];
        for (int r = 0; r < rows; r++) all += dy[r * C + c] * x[r * C + c] * root[r];
        sum[c] = all;
    }
}

// Complete before it is added to what others left.
void NAME(cpu_rms_norm_backward_weight)(const KernelCall *call) {
    const real *dy = input_data(call, 0), *x = input_data(call, 1);
    real *sum = call->scratch;
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0)), i = 0;
    memset(sum, 0, (size_t)C * sizeof *sum);
    for (; i + LANES_ROWS <= n; i += LANES_ROWS)
        add_rows(call, LANES_ROWS, C, dy + i * C, x + i * C, sum);
    for (; i < n; i++) add_rows(call, 1, C, dy + i * C, x + i * C, sum);
    NAME(cpu_deliver)(C, sum, call->accumulate, output_data(call, 0));
}

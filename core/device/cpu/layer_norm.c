// SPDX-License-Identifier: MIT
// Layer normalisation, position by position; core/device/reference/layer_norm.c has the formulas.
// Sums are in sixteen running sums by index, then those in order.
#include "core/device/cpu/cpu_internal.h"

enum { LANES = 16 };

static real sum_lanes(const real part[LANES]) {
    real sum = 0;
    for (int e = 0; e < LANES; e++) sum += part[e];
    return sum;
}

typedef struct {
    real mean, root;
} Moments;

static Moments moments(const KernelCall *call, int64_t C, const real *x) {
    real part[LANES] = {0}, square[LANES] = {0};
    int64_t whole = C - C % LANES, i;
    for (i = 0; i < whole; i += LANES)
        for (int e = 0; e < LANES; e++) part[e] += x[i + e];
    for (int e = 0; i < C; i++, e++) part[e] += x[i];
    real mean = sum_lanes(part) / (real)C;
    for (i = 0; i < whole; i += LANES)
        for (int e = 0; e < LANES; e++) square[e] += (x[i + e] - mean) * (x[i + e] - mean);
    for (int e = 0; i < C; i++, e++) square[e] += (x[i] - mean) * (x[i] - mean);
    double variance = (double)sum_lanes(square) / (double)C;
    return (Moments){mean, (real)(1 / sqrt(variance + attr_as_real(call, 0)))};
}

static int64_t positions(const Operand *x) { return operand_rows(x) * x->shape[1]; }

void NAME(cpu_layer_norm)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0), *restrict weight = input_data(call, 1),
                         *restrict bias = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, y += C) {
        Moments m = moments(call, C, x);
        if (bias)
            for (int64_t c = 0; c < C; c++) y[c] = (x[c] - m.mean) * m.root * weight[c] + bias[c];
        else
            for (int64_t c = 0; c < C; c++) y[c] = (x[c] - m.mean) * m.root * weight[c];
    }
}

// Means over the channels of g = dy weight, and of g h.
static void means(int64_t C, Moments m, const real *restrict dy, const real *restrict x,
                  const real *restrict weight, real *g, real *gh) {
    real sum[LANES] = {0}, product[LANES] = {0};
    int64_t whole = C - C % LANES, i;
    for (i = 0; i < whole; i += LANES)
        for (int e = 0; e < LANES; e++) {
            real one = dy[i + e] * weight[i + e];
            sum[e] += one;
            product[e] += one * ((x[i + e] - m.mean) * m.root);
        }
    for (int e = 0; i < C; i++, e++) {
        real one = dy[i] * weight[i];
        sum[e] += one;
        product[e] += one * ((x[i] - m.mean) * m.root);
    }
    *g = sum_lanes(sum) / (real)C;
    *gh = sum_lanes(product) / (real)C;
}

void NAME(cpu_layer_norm_backward_input)(const KernelCall *call) {
    real *restrict dx = output_data(call, 0);
    const real *restrict dy = input_data(call, 0), *restrict x = input_data(call, 1),
                         *restrict weight = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, dy += C, dx += C) {
        Moments m = moments(call, C, x);
        real g, gh;
        means(C, m, dy, x, weight, &g, &gh);
        for (int64_t c = 0; c < C; c++)
            dx[c] = m.root * (dy[c] * weight[c] - g - (x[c] - m.mean) * m.root * gh);
    }
}

// Complete before it is added to what others left.
void NAME(cpu_layer_norm_backward_weight)(const KernelCall *call) {
    const real *restrict dy = input_data(call, 0), *restrict x = input_data(call, 1);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    real *restrict sum = call->scratch, *restrict sum_dy = sum + C;
    memset(sum, 0, (size_t)(2 * C) * sizeof *sum);
    for (int64_t i = 0; i < n; i++, x += C, dy += C) {
        Moments m = moments(call, C, x);
        for (int64_t c = 0; c < C; c++) {
            sum[c] += dy[c] * ((x[c] - m.mean) * m.root);
            sum_dy[c] += dy[c];
        }
    }
    NAME(cpu_deliver)(C, sum, call->accumulate, output_data(call, 0));
    if (output_data(call, 1)) NAME(cpu_deliver)(C, sum_dy, call->accumulate, output_data(call, 1));
}

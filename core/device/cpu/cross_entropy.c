// SPDX-License-Identifier: MIT
// Softmax and cross-entropy, row by row; core/device/reference/cross_entropy.c has the formulas.
// Its bits, too, but for the sum that label smoothing adds: exponentials are the C library's and
// added in order. What else goes over a row is written so that compilers make vectors of it.
#include "core/device/cpu/cpu_internal.h"

#include <assert.h>

enum { BLOCK = 4096, LANES = 16 };

static real largest(int64_t n, const real *z) {
    real part[LANES], most = z[0];
    int64_t i = 0;
    for (int e = 0; e < LANES; e++) part[e] = most;
    for (; i + LANES <= n; i += LANES)
        for (int e = 0; e < LANES; e++) part[e] = z[i + e] > part[e] ? z[i + e] : part[e];
    for (int e = 0; i < n; i++, e++) part[e] = z[i] > part[e] ? z[i] : part[e];
    for (int e = 0; e < LANES; e++) most = part[e] > most ? part[e] : most;
    return most;
}

// The first place of the largest logit, as the reference finds it: a NaN in front stays.
static int64_t place_of_largest(int64_t n, const real *z) {
    real most = largest(n, z);
    for (int64_t i = 0; i < n; i++)
        if (z[i] == most) return i;
    return 0;
}

// The softmax of one row to p, or none where it is NULL; the logarithm of its sum.
static double softmax(int64_t n, real *restrict p, const real *restrict z, real max) {
    real sum = 0;
    if (!p) {
        for (int64_t i = 0; i < n; i++) sum += real_exp(z[i] - max);
        return log((double)sum);
    }
    for (int64_t i = 0; i < n; i++) p[i] = real_exp(z[i] - max);
    for (int64_t i = 0; i < n; i++) sum += p[i];
    for (int64_t i = 0; i < n; i++) p[i] /= sum;
    return log((double)sum);
}

// Sixteen running sums by index, then those in order.
static double sum_below(int64_t n, const real *z, real max) {
    double part[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int e = 0; e < LANES; e++) part[e] += (double)(max - z[i + e]);
    for (int e = 0; i < n; i++, e++) part[e] += (double)(max - z[i]);
    for (int e = 0; e < LANES; e++) sum += part[e];
    return sum;
}

void NAME(cpu_cross_entropy)(const KernelCall *call) {
    double *loss = output_data(call, 0);
    real *probability = output_data(call, 1);
    const real *z = input_data(call, 0);
    const int32_t *labels = input_data(call, 1);
    const double *inverse_count = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(input(call, 0));
    double smoothing = attr_as_real(call, 0), total = 0, right = 0;
    for (int64_t first = 0; first < B; first += BLOCK) {
        double block = 0;
        for (int64_t b = first; b < B && b < first + BLOCK; b++, z += C) {
            int64_t best = place_of_largest(C, z);
            double log_sum = softmax(C, probability ? &probability[b * C] : NULL, z, z[best]);
            if (labels[b] == LABEL_IGNORED) continue;
            assert(labels[b] >= 0 && labels[b] < C);
            double own = log_sum - (double)(z[labels[b]] - z[best]);
            if (smoothing > 0)
                own = (1 - smoothing) * own +
                      smoothing / (double)C * (sum_below(C, z, z[best]) + (double)C * log_sum);
            block += own;
            right += best == labels[b];
        }
        total += block;
    }
    total *= *inverse_count;
    loss[0] = call->accumulate ? loss[0] + total : total;
    loss[1] = call->accumulate ? loss[1] + right : right;
}

void NAME(cpu_cross_entropy_backward)(const KernelCall *call) {
    real *restrict dz = output_data(call, 0);
    const real *restrict p = input_data(call, 0);
    const int32_t *labels = input_data(call, 1);
    const double *inverse_count = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(input(call, 0));
    double smoothing = attr_as_real(call, 0), each = smoothing / (double)C;
    real inverse = (real)*inverse_count, other = (real)each, own = (real)(1 - smoothing + each);
    for (int64_t b = 0; b < B; b++, p += C, dz += C) {
        if (labels[b] == LABEL_IGNORED) {
            memset(dz, 0, (size_t)C * sizeof *dz);
            continue;
        }
        for (int64_t c = 0; c < C; c++) dz[c] = (p[c] - other) * inverse;
        dz[labels[b]] = (p[labels[b]] - own) * inverse;
    }
}

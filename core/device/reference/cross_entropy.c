// SPDX-License-Identifier: MIT
// Softmax and cross-entropy of the logits z (B,C) with labels t (B), B being the samples or the
// tokens of all samples. Forward:
//   m[b]    = max_c z[b,c]
//   sum[b]  = sum_c exp(z[b,c] - m[b])
//   p[b,c]  = exp(z[b,c] - m[b]) / sum[b]
//   loss    = sum_b -log p[b,t[b]] / count      -log p[b,t[b]] = log sum[b] - (z[b,t[b]] - m[b])
// Backward:
//   dz[b,c] = (p[b,c] - (c == t[b] ? 1 : 0)) / count
// With label smoothing e (Szegedy et al., arXiv:1512.00567), the attribute `smoothing`, a label is
// the distribution that gives each class e / C and its own 1 - e more, as in PyTorch:
//   loss    = sum_b (1 - e) (-log p[b,t[b]]) + e / C sum_c -log p[b,c], over count
//   dz[b,c] = (p[b,c] - e / C - (c == t[b] ? 1 - e : 0)) / count
//
// Subtracting the maximum changes no p but keeps exp at most 1, and the logarithm is taken of a sum
// between 1 and C, never of a p that may have vanished: right for logits of any size. `count`, the
// number of samples or tokens of the global batch, divides once, and here (docs/contract.md, 2).
// A label of LABEL_IGNORED (-100, as PyTorch has it) takes no part: it adds nothing to the loss, is
// neither right nor wrong and has no gradient.
//
// The loss is summed in f64, in blocks of 4,096 rows folded in order (docs/contract.md, 6). Its
// second element counts the correct predictions: rows whose label is the index of the largest
// logit, the first one when several are equal.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

#include <assert.h>

enum { BLOCK = 4096 };

static int64_t largest(const real *z, int64_t C) {
    int64_t best = 0;
    for (int64_t c = 1; c < C; c++)
        if (z[c] > z[best]) best = c;
    return best;
}

// The softmax of one row to p, unless NULL; returns the logarithm of its sum.
static double softmax(real *p, const real *z, real max, int64_t C) {
    real sum = 0;
    for (int64_t c = 0; c < C; c++) sum += real_exp(z[c] - max);
    for (int64_t c = 0; p && c < C; c++) p[c] = real_exp(z[c] - max) / sum;
    return log((double)sum);
}

// Of one row: sum_c -log p[c], where log_sum is the logarithm of the sum of exp(z[c] - max).
static double sum_of_losses(const real *z, real max, double log_sum, int64_t C) {
    double sum = 0;
    for (int64_t c = 0; c < C; c++) sum += (double)(max - z[c]);
    return sum + (double)C * log_sum;
}

void NAME(reference_cross_entropy)(const KernelCall *call) {
    double *loss = output_data(call, 0);
    real *probability = output_data(call, 1);
    const real *logits = input_data(call, 0);
    const int32_t *labels = input_data(call, 1);
    const double *inverse_count = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(input(call, 0));
    double smoothing = attr_as_real(call, 0), total = 0, right = 0;
    for (int64_t first = 0; first < B; first += BLOCK) {
        double block = 0;
        for (int64_t b = first; b < B && b < first + BLOCK; b++) {
            const real *z = &logits[b * C];
            int64_t best = largest(z, C);
            double log_sum = softmax(probability ? &probability[b * C] : NULL, z, z[best], C);
            if (labels[b] == LABEL_IGNORED) continue;
            assert(labels[b] >= 0 && labels[b] < C);
            double own = log_sum - (double)(z[labels[b]] - z[best]);
            if (smoothing > 0)
                own = (1 - smoothing) * own +
                      smoothing / (double)C * sum_of_losses(z, z[best], log_sum, C);
            block += own;
            right += best == labels[b];
        }
        total += block;
    }
    total *= *inverse_count;
    loss[0] = call->accumulate ? loss[0] + total : total;
    loss[1] = call->accumulate ? loss[1] + right : right;
}

void NAME(reference_cross_entropy_backward)(const KernelCall *call) {
    real *dlogits = output_data(call, 0);
    const real *probability = input_data(call, 0);
    const int32_t *labels = input_data(call, 1);
    const double *inverse_count = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(input(call, 0));
    double smoothing = attr_as_real(call, 0), each = smoothing / (double)C;
    real inverse = (real)*inverse_count;
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) {
            real target = (real)(c == labels[b] ? 1 - smoothing + each : each);
            real dz = (probability[b * C + c] - target) * inverse;
            dlogits[b * C + c] = labels[b] == LABEL_IGNORED ? 0 : dz;
        }
}

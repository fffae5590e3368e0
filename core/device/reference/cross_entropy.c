// SPDX-License-Identifier: MIT
// Softmax and cross-entropy of logits z (B,C) with labels t (B):
//   p[b,c] = exp(z[b,c] - m) / sum_k exp(z[b,k] - m),  m = max_k z[b,k]
//   loss_b = -log p[b,t] = log sum_k exp(z[b,k] - m) - (z[b,t] - m),  dL/dz = (p - onehot(t)) / samples
// The sum over rows is f64, in blocks of 4,096 rows folded in order (the contract's rule 6), times the
// inverse of the global batch size. The second element counts rows whose first largest logit is the label.
#include "core/device/real.h"
#include "core/device/reference/reference.h"

#include <math.h>

enum { BLOCK = 4096 };

static real largest(const real *z, int64_t C, int64_t *where) {
    *where = 0;
    for (int64_t c = 1; c < C; c++)
        if (z[c] > z[*where]) *where = c;
    return z[*where];
}

static real exponential(real x) { return sizeof(real) == sizeof(float) ? (real)expf((float)x) : (real)exp((double)x); }

// The loss of one row; its probabilities to p, unless NULL.
static double row(const real *z, int64_t C, int32_t label, real *p, int *correct) {
    int64_t where;
    real max = largest(z, C, &where), sum = 0;
    for (int64_t c = 0; c < C; c++) {
        real e = exponential(z[c] - max);
        if (p) p[c] = e;
        sum += e;
    }
    for (int64_t c = 0; c < C && p; c++) p[c] /= sum;
    *correct = where == label;
    return log((double)sum) - (double)(z[label] - max);
}

void NAME(reference_cross_entropy)(const KernelCall *call) {
    double *loss = output_data(call, 0);
    real *probability = output_data(call, 1);
    const real *logits = input_data(call, 0);
    const int32_t *labels = input_data(call, 1);
    const double *inverse_count = input_data(call, 2);
    int64_t B = operand_rows(input(call, 0)), C = input(call, 0)->shape[1];
    double total = 0, correct = 0;
    for (int64_t first = 0; first < B; first += BLOCK) {
        double block = 0;
        for (int64_t b = first; b < B && b < first + BLOCK; b++) {
            int hit;
            block += row(&logits[b * C], C, labels[b], probability ? &probability[b * C] : NULL, &hit);
            correct += hit;
        }
        total += block;
    }
    loss[0] = (call->accumulate ? loss[0] : 0) + total * *inverse_count;
    loss[1] = (call->accumulate ? loss[1] : 0) + correct;
}

void NAME(reference_cross_entropy_backward)(const KernelCall *call) {
    real *dlogits = output_data(call, 0);
    const real *probability = input_data(call, 0);
    const int32_t *labels = input_data(call, 1);
    real inverse = (real) * (const double *)input_data(call, 2);
    int64_t B = operand_rows(input(call, 0)), C = input(call, 0)->shape[1];
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) dlogits[b * C + c] = (probability[b * C + c] - (c == labels[b] ? 1 : 0)) * inverse;
}

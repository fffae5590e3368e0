// SPDX-License-Identifier: MIT
// Softmax and cross-entropy of logits whose classes are cut over ranks (Megatron, Shoeybi et al.
// 2019): three numbers a row are reduced, never logits. A rank has the classes that its index says
// (core/device/index.h), first .. first + count, and the loss is that of cross_entropy.c:
//   vocabulary_max   m[b]      = max_c z[b,c], -inf of none           -> maximum over the ranks
//   vocabulary_sums  e[b,c]    = exp(z[b,c] - m[b]), 0 of no class
//                    sums[b,0] = sum_c e[b,c]                         -> sums over the ranks
//                    sums[b,1] = z[b,t[b]] - m[b], 0 where another rank has class t[b]
//                    sums[b,2] = how many classes before t[b] have the logit m[b]
//                    sums[b,3] = sum_c m[b] - z[b,c], for label smoothing; or is not there
//   vocabulary_loss  loss      = sum_b log sums[b,0] - sums[b,1], over count
// and with label smoothing e, of C classes in all
//                    loss      = sum_b (1 - e) (log sums[b,0] - sums[b,1])
//                                + e / C (sums[b,3] + C log sums[b,0]), over count
// The label is the first of the largest logits where sums[b,1] and sums[b,2] are 0. Backward:
//   dz[b,c] = (e[b,c] / sums[b,0] - e / C - (c == t[b] ? 1 - e : 0)) / count, 0 of no class
// On one rank the results have the bits of cross_entropy.
#include "core/device/index.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

#include <assert.h>

enum { BLOCK = 4096 };

void NAME(reference_vocabulary_max)(const KernelCall *call) {
    real *largest = output_data(call, 0);
    const real *z = input_data(call, 0);
    int64_t B = live_vectors(input(call, 0)), V = vector_length(input(call, 0));
    const IndexRange classes = index_range(call, 1, V);
    for (int64_t b = 0; b < B; b++) {
        largest[b] = (real)-INFINITY;
        for (int64_t c = 0; c < classes.count; c++)
            if (c == 0 || z[b * V + c] > largest[b]) largest[b] = z[b * V + c];
    }
}

// One row z: its sums, and exponentials to e, unless NULL.
static void add_up(int64_t V, IndexRange classes, const real *z, real max, int32_t label,
                   int64_t columns, real *sums, real *e) {
    double below = 0;
    for (int64_t i = 0; i < columns; i++) sums[i] = 0;
    for (int64_t c = 0; c < classes.count; c++) {
        int64_t number = classes.first + c;
        sums[0] += real_exp(z[c] - max);
        if (e) e[c] = real_exp(z[c] - max);
        if (number == label) sums[1] = z[c] - max;
        if (number < label && z[c] == max) sums[2] += 1;
        below += (double)(max - z[c]);
    }
    if (columns > 3) sums[3] = (real)below;
    for (int64_t c = classes.count; e && c < V; c++) e[c] = 0;
}

void NAME(reference_vocabulary_sums)(const KernelCall *call) {
    real *sums = output_data(call, 0), *e = output_data(call, 1);
    const real *z = input_data(call, 0), *largest = input_data(call, 1);
    const int32_t *labels = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), V = vector_length(input(call, 0)),
            columns = vector_length(output(call, 0));
    const IndexRange classes = index_range(call, 3, V);
    for (int64_t b = 0; b < B; b++)
        add_up(V, classes, &z[b * V], largest[b], labels[b], columns, &sums[b * columns],
               e ? &e[b * V] : NULL);
}

void NAME(reference_vocabulary_loss)(const KernelCall *call) {
    double *loss = output_data(call, 0);
    const real *sums = input_data(call, 0);
    const int32_t *labels = input_data(call, 1);
    const double *inverse_count = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), columns = vector_length(input(call, 0));
    double C = (double)call->attr[0], smoothing = attr_as_real(call, 1), total = 0, right = 0;
    for (int64_t first = 0; first < B; first += BLOCK) {
        double block = 0;
        for (int64_t b = first; b < B && b < first + BLOCK; b++) {
            const real *s = &sums[b * columns];
            if (labels[b] == LABEL_IGNORED) continue;
            double log_sum = log((double)s[0]), own = log_sum - (double)s[1];
            if (smoothing > 0)
                own = (1 - smoothing) * own + smoothing / C * ((double)s[3] + C * log_sum);
            block += own;
            right += s[1] == 0 && s[2] == 0;
        }
        total += block;
    }
    total *= *inverse_count;
    loss[0] = call->accumulate ? loss[0] + total : total;
    loss[1] = call->accumulate ? loss[1] + right : right;
}

void NAME(reference_vocabulary_loss_backward)(const KernelCall *call) {
    real *dlogits = output_data(call, 0);
    const real *e = input_data(call, 0), *sums = input_data(call, 1);
    const int32_t *labels = input_data(call, 2);
    const double *inverse_count = input_data(call, 3);
    int64_t B = live_vectors(input(call, 0)), V = vector_length(input(call, 0)),
            columns = vector_length(input(call, 1));
    const IndexRange classes = index_range(call, 4, V);
    double smoothing = attr_as_real(call, 1), each = smoothing / (double)call->attr[0];
    real inverse = (real)*inverse_count;
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < V; c++) {
            bool own = classes.first + c == labels[b];
            real target = (real)(own ? 1 - smoothing + each : each);
            real dz = (e[b * V + c] / sums[b * columns] - target) * inverse;
            bool none = labels[b] == LABEL_IGNORED || c >= classes.count;
            dlogits[b * V + c] = none ? 0 : dz;
        }
}

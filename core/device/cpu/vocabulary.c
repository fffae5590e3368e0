// SPDX-License-Identifier: MIT
// Cross-entropy of classes that are cut over ranks; core/device/reference/vocabulary.c has the
// formulas. Its bits, too, but for the sum that label smoothing adds.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/index.h"
#include "core/device/reference/reference.h"

enum { LANES = 16 };

static real largest(int64_t n, const real *z) {
    real part[LANES], most = n ? z[0] : (real)-INFINITY;
    int64_t i = 0;
    for (int e = 0; e < LANES; e++) part[e] = most;
    for (; i + LANES <= n; i += LANES)
        for (int e = 0; e < LANES; e++) part[e] = z[i + e] > part[e] ? z[i + e] : part[e];
    for (int e = 0; i < n; i++, e++) part[e] = z[i] > part[e] ? z[i] : part[e];
    for (int e = 0; e < LANES; e++) most = part[e] > most ? part[e] : most;
    return most;
}

void NAME(cpu_vocabulary_max)(const KernelCall *call) {
    real *out = output_data(call, 0);
    const real *z = input_data(call, 0);
    int64_t B = live_vectors(input(call, 0)), V = vector_length(input(call, 0));
    const IndexRange classes = index_range(call, 1, V);
    for (int64_t b = 0; b < B; b++) out[b] = largest(classes.count, &z[b * V]);
}

// The sum of exponentials, which go to e or nowhere.
static real exponentials(int64_t n, real *restrict e, const real *restrict z, real max) {
    real sum = 0;
    if (!e) {
        for (int64_t i = 0; i < n; i++) sum += real_exp(z[i] - max);
        return sum;
    }
    for (int64_t i = 0; i < n; i++) e[i] = real_exp(z[i] - max);
    for (int64_t i = 0; i < n; i++) sum += e[i];
    return sum;
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

// How many of the first n are the maximum, up to what a real counts.
static real count_equal(int64_t n, const real *z, real max) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += z[i] == max;
    return (real)count;
}

void NAME(cpu_vocabulary_sums)(const KernelCall *call) {
    real *sums = output_data(call, 0), *e = output_data(call, 1);
    const real *z = input_data(call, 0), *max = input_data(call, 1);
    const int32_t *labels = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), V = vector_length(input(call, 0)),
            columns = vector_length(output(call, 0));
    const IndexRange classes = index_range(call, 3, V);
    int64_t n = classes.count;
    for (int64_t b = 0; b < B; b++, z += V, sums += columns) {
        int64_t label = labels[b] - classes.first;
        int64_t before = label < 0 ? 0 : label < n ? label : n;
        sums[0] = exponentials(n, e, z, max[b]);
        sums[1] = index_has(classes, labels[b]) ? z[label] - max[b] : 0;
        sums[2] = count_equal(before, z, max[b]);
        if (columns > 3) sums[3] = (real)sum_below(n, z, max[b]);
        if (!e) continue;
        memset(e + n, 0, (size_t)(V - n) * sizeof *e);
        e += V;
    }
}

void NAME(cpu_vocabulary_loss)(const KernelCall *call) { TYPED(reference_vocabulary_loss)(call); }

void NAME(cpu_vocabulary_loss_backward)(const KernelCall *call) {
    real *restrict dz = output_data(call, 0);
    const real *restrict e = input_data(call, 0), *sums = input_data(call, 1);
    const int32_t *labels = input_data(call, 2);
    const double *inverse_count = input_data(call, 3);
    int64_t B = live_vectors(input(call, 0)), V = vector_length(input(call, 0)),
            columns = vector_length(input(call, 1));
    const IndexRange classes = index_range(call, 4, V);
    double smoothing = attr_as_real(call, 1), each = smoothing / (double)call->attr[0];
    real inverse = (real)*inverse_count, other = (real)each, own = (real)(1 - smoothing + each);
    for (int64_t b = 0; b < B; b++, e += V, dz += V, sums += columns) {
        int64_t n = labels[b] == LABEL_IGNORED ? 0 : classes.count,
                label = labels[b] - classes.first;
        for (int64_t c = 0; c < n; c++) dz[c] = (e[c] / sums[0] - other) * inverse;
        if (n && index_has(classes, labels[b])) dz[label] = (e[label] / sums[0] - own) * inverse;
        memset(dz + n, 0, (size_t)(V - n) * sizeof *dz);
    }
}

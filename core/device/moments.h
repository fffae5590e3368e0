// SPDX-License-Identifier: MIT
// Moments of a set of numbers: how many, their mean, and the sum of their squared deviations from
// it, which two sets combine without loss (Chan, Golub and LeVeque, "Updating formulae and a
// pairwise algorithm for computing sample variances", 1979). Batch normalisation keeps them of each
// channel, in f64, as (P,3,C): count, mean and squared deviations of P sets of rows.
#ifndef CORE_DEVICE_MOMENTS_H
#define CORE_DEVICE_MOMENTS_H

#include <math.h>
#include <stdint.h>

enum { MOMENT_COUNT, MOMENT_MEAN, MOMENT_SQUARES, MOMENTS };

typedef struct {
    double count, mean, squares;
} Moments;

// Of both sets together. An empty set changes nothing, not even the last bit.
static inline Moments moments_join(Moments a, Moments b) {
    if (b.count == 0) return a;
    double count = a.count + b.count, apart = b.mean - a.mean;
    return (Moments){count, a.mean + apart * (b.count / count),
                     a.squares + b.squares + apart * apart * (a.count * b.count / count)};
}

// Of channel c in all P sets, joined from the first on.
static inline Moments moments_of_channel(const double *statistics, int64_t P, int64_t C,
                                         int64_t c) {
    Moments all = {0, 0, 0};
    for (int64_t p = 0; p < P; p++) {
        const double *s = &statistics[p * MOMENTS * C + c];
        all = moments_join(
            all, (Moments){s[MOMENT_COUNT * C], s[MOMENT_MEAN * C], s[MOMENT_SQUARES * C]});
    }
    return all;
}

// 1 / sqrt(variance + eps), where the variance is that of the set itself (divided by the count).
static inline double moments_inverse_deviation(Moments m, double eps) {
    return 1 / sqrt((m.count > 0 ? m.squares / m.count : 0) + eps);
}

// The sum of sixteen running sums: halves are added until one is left.
enum { RUNNING_SUMS = 16 };
static inline double fold_running_sums(double sum[RUNNING_SUMS]) {
    for (int half = RUNNING_SUMS / 2; half > 0; half /= 2)
        for (int e = 0; e < half; e++) sum[e] += sum[e + half];
    return sum[0];
}

#endif

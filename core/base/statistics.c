// SPDX-License-Identifier: MIT
// Quantiles by sorting and linear interpolation; see statistics.h for the definition.
#include "core/base/statistics.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double statistics_quantile(const double *sorted, int count, double q) {
    if (count == 0) return (double)NAN;
    double position = q * (count - 1);
    int below = (int)position;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (position - below) * (sorted[below + 1] - sorted[below]);
}

static void swap(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

// Put the k-th smallest of values[0 .. count) at its place, smaller ones before it, larger ones
// behind (Hoare, "Algorithm 65: Find", 1961).
static void select_kth(double *values, int count, int k) {
    int low = 0, high = count - 1;
    while (low < high) {
        double pivot = values[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i <= j) swap(&values[i++], &values[j--]);
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            return;
    }
}

// The two values around the position are put where sorting would put them.
double statistics_quantile_of(double *values, int count, double q) {
    if (count == 0) return (double)NAN;
    int below = (int)(q * (count - 1));
    select_kth(values, count, below);
    if (below + 1 < count) select_kth(values + below + 1, count - below - 1, 0);
    return statistics_quantile(values, count, q);
}

Spread statistics_spread(double *values, int count) {
    double sum = 0;
    qsort(values, (size_t)count, sizeof *values, by_value);
    for (int i = 0; i < count; i++) sum += values[i];
    return (Spread){statistics_quantile(values, count, 0.5),
                    statistics_quantile(values, count, 0.1),
                    statistics_quantile(values, count, 0.9), count ? sum / count : (double)NAN};
}

Tails statistics_tails(const double *sorted, int count) {
    return (Tails){statistics_quantile(sorted, count, 0.05),
                   statistics_quantile(sorted, count, 0.95),
                   statistics_quantile(sorted, count, 0.99)};
}

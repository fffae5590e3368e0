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

Spread statistics_spread(double *values, int count) {
    double sum = 0;
    qsort(values, (size_t)count, sizeof *values, by_value);
    for (int i = 0; i < count; i++) sum += values[i];
    return (Spread){statistics_quantile(values, count, 0.5),
                    statistics_quantile(values, count, 0.1),
                    statistics_quantile(values, count, 0.9), count ? sum / count : (double)NAN};
}

// SPDX-License-Identifier: MIT
// Where a sweep is least, and between which values that can be told.
#ifndef VIZ_SCAN_LEAST_H
#define VIZ_SCAN_LEAST_H

#include "core/base/status.h"

// Positions, of which `low` to `high` is the interval around `at`. NONE: there are no values.
typedef struct {
    int at, low, high;
} ScanLeast;

// Of one value a position, NaN for none: the neighbours of the least that are within `share` of it.
ScanLeast scan_least_flat(const double *values, int count, double share);

// Of repeated measurements: repeats[i] of counts[i] values, 0 for none. The interval has 95 % of
// the positions that are least when the repeats of each are drawn again, with replacement, and
// their medians compared (percentile bootstrap; Efron, Annals of Statistics 7, 1979); the same for
// the same values. ERR_MEMORY.
Status scan_least_bootstrap(ScanLeast *out, const double *const *repeats, const int *counts,
                            int count) MUST_USE;

#endif

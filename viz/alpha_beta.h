// SPDX-License-Identifier: MIT
// The line through times of messages or collectives: time = alpha + bytes / beta (Hockney,
// Parallel Computing 20, 1994).
#ifndef VIZ_ALPHA_BETA_H
#define VIZ_ALPHA_BETA_H

#include "core/base/status.h"

// Microseconds, and bytes per microsecond (1000 of which are 1 GB/s), with their 95 % intervals.
// A beta is infinite where the times do not grow with the bytes.
typedef struct {
    double alpha_us, alpha_low, alpha_high;
    double beta, beta_low, beta_high;
    double mean_error, worst_error;  // of the line against the times: shares, absolute
} AlphaBeta;

// The least sum of squares of relative errors, so that small sizes count as much as large ones;
// alpha is not below 0. Intervals: percentile bootstrap over the sizes, the same for the same
// values. For at least two different sizes, and times above 0: else ERR_USAGE. ERR_MEMORY.
Status alpha_beta_fit(AlphaBeta *out, const double *bytes, const double *us, int count) MUST_USE;

#endif

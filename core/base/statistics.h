// SPDX-License-Identifier: MIT
// Order statistics of measurements.
#ifndef CORE_BASE_STATISTICS_H
#define CORE_BASE_STATISTICS_H

// The spread of a quantity, say over steps. NaN without values.
typedef struct {
    double median, p10, p90, mean;
} Spread;

// Further out: 5, 95 and 99 % of the values stay below. NaN without values.
typedef struct {
    double p5, p95, p99;
} Tails;

// The value below which share q (0 to 1) of `count` sorted values lies: linear between the
// two at position q (count - 1), which is definition 7 of Hyndman and Fan (1996) and numpy's.
// NaN without values.
double statistics_quantile(const double *sorted, int count, double q);

// The same of values in any order, which it reorders: faster than sorting them.
double statistics_quantile_of(double *values, int count, double q);

// Sorts the values; the mean is arithmetic.
Spread statistics_spread(double *values, int count);

// Of sorted values.
Tails statistics_tails(const double *sorted, int count);

#endif

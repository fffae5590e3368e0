// SPDX-License-Identifier: MIT
// Laws of scaling through throughputs X of N ranks, with L the throughput of one:
//
//     Amdahl      X = L / (s + (1 - s) / N)                     s: serial share, of a fixed problem
//     Gustafson   X = L (s + (1 - s) N)                         s: serial share, of one that grows
//     USL         X = L N / (1 + c (N - 1) + k N (N - 1))       c: contention, k: coherency
//
// Amdahl, AFIPS 1967; Gustafson, Communications of the ACM 31, 1988; Gunther, "Guerrilla Capacity
// Planning", 2007 (universal scalability law).
#ifndef VIZ_LAW_H
#define VIZ_LAW_H

#include "core/base/status.h"

#include <stdbool.h>

typedef enum { LAW_AMDAHL, LAW_GUSTAFSON, LAW_USL, LAWS } LawKind;
const char *law_name(LawKind k);

// A number of a law with its 95 % interval.
typedef struct {
    double value, low, high;
} LawNumber;

typedef struct {
    LawKind kind;
    LawNumber rate;                  // L
    LawNumber share;                 // s or c
    LawNumber coherency;             // k; of the others 0
    bool has_intervals;              // there were more values than numbers of the law
    double mean_error, worst_error;  // of the law against the values: shares, absolute
} Law;

// The least sum of squares of relative errors, of X by Gustafson and of 1 / X by the others, in
// which all three are linear; no number is below 0. Intervals: 95 % by bootstrap of the errors
// (percentile method; Efron, Annals of Statistics 7, 1979), the same for the same values. ERR_USAGE
// for fewer different N than the law has numbers, or an X that is not above 0; ERR_MEMORY.
Status law_fit(Law *out, LawKind kind, const double *ranks, const double *rates,
               int count) MUST_USE;

double law_at(const Law *l, double ranks);

// The N at which the USL is highest; infinite where it only rises.
double law_peak(const Law *l);

#endif

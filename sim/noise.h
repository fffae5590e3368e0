// SPDX-License-Identifier: MIT
// How computations of devices differ from what they cost: slow ranks (stragglers), and jitter. With
// a coefficient of variation c an operation takes
//
//     1 - c + c E        times its cost, E exponential with mean 1, drawn for each execution,
//
// so that the mean is the cost, the standard deviation c times that, and the least 1 - c: what
// disturbs a computation makes it later, rarely much. A step that waits for the slowest of P ranks
// then takes 1 - c + c (1 + 1/2 + ... + 1/P) times one computation in the mean.
//
// E = -ln(u) with u from the counter-based stream (seed; rank, operation, step), by a table, in
// integers: the same bytes everywhere, in whatever order ranks are simulated.
#ifndef SIM_NOISE_H
#define SIM_NOISE_H

#include "core/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { NOISE_UNIT = 1000000 };

typedef struct {
    int32_t rank, permille;  // it computes for so many thousandths of the time
} Straggler;

typedef struct {
    int32_t variation;  // coefficient of variation, in NOISE_UNIT; 0: no jitter, at most NOISE_UNIT
    uint64_t seed;
    const Straggler *stragglers;  // borrowed, or in the arena; each rank at most once
    int straggler_count;
} Noise;

// "3=1.3,5=2": ranks, each with a factor from 1 to 1000. ERR_USAGE.
Status noise_parse_stragglers(Noise *n, Arena *a, const char *text) MUST_USE;

static inline bool noise_is_none(const Noise *n) { return !n->variation && !n->straggler_count; }

// What a computation of that cost takes on a rank, in its execution of an operation in a step.
int64_t noise_ps(const Noise *n, int rank, int op, int step, int64_t ps);

// -ln(u / 2^64) in billionths, for u from 1 on; at most 3e-5 from it.
int64_t noise_exponential(uint64_t u);

#endif

// SPDX-License-Identifier: MIT
// Draws, and what they leave out (sim/step_draws.h).
#include "sim/step_draws.h"

#include "core/base/rng.h"

#include <math.h>

static int first_drawn(const StepCosts *c) { return c->count > 1; }

Status step_draws_make(StepCosts *c, Arena *a, uint64_t seed, int stream, int steps) {
    Rng rng;
    int first = first_drawn(c);
    int32_t *drawn = ARENA_NEW(a, int32_t, steps);
    if (!drawn) FAIL(ERR_MEMORY, "out of memory for %d steps", steps);
    rng_init(&rng, seed, RNG_RECORDED, (uint32_t)stream, 0);
    for (int i = 0; i < steps; i++)
        drawn[i] = first + (int32_t)rng_below(&rng, (uint32_t)(c->count - first));
    c->drawn = drawn;
    c->drawn_count = steps;
    return OK;
}

static double own_time(const StepCosts *c, int step) {
    int64_t ps = c->turn_ps[step];
    for (int op = 0; op < c->ops; op++) {
        size_t at = step_costs_at(c, op, step);
        ps += c->ps[at] + c->gap_ps[at] + (c->notice_ps ? c->notice_ps[at] : 0);
    }
    return (double)ps;
}

// The rank's times are added to `sums` in units of their standard deviation, about their mean.
// False: they do not vary.
static bool add_standardised(double *sums, double *times, const StepCosts *c, int first) {
    double mean = 0, squares = 0;
    int count = c->count - first;
    for (int i = 0; i < count; i++) {
        times[i] = own_time(c, first + i);
        mean += times[i] / count;
    }
    for (int i = 0; i < count; i++) squares += (times[i] - mean) * (times[i] - mean);
    for (int i = 0; i < count; i++) sums[i] += (times[i] - mean) / sqrt(squares / count);
    return squares > 0;
}

// The sum of n standardised series has the variance n + n (n - 1) r, r the mean of the pairs.
Status step_draws_correlation(double *out, const StepCosts *const costs[], int ranks) {
    Arena scratch = {0};
    int first = first_drawn(costs[0]), count = costs[0]->count - first;
    bool known = ranks > 1 && count > 2;
    double variance = 0, n = ranks;
    *out = (double)NAN;
    if (!known) return OK;
    double *sums = ARENA_NEW(&scratch, double, count), *times = ARENA_NEW(&scratch, double, count);
    if (!sums || !times) {
        arena_finish(&scratch);
        FAIL(ERR_MEMORY, "out of memory for %d steps", count);
    }
    for (int r = 0; r < ranks && known; r++) known = add_standardised(sums, times, costs[r], first);
    for (int i = 0; i < count; i++) variance += sums[i] * sums[i] / count;
    if (known) *out = (variance - n) / (n * (n - 1));
    arena_finish(&scratch);
    return OK;
}

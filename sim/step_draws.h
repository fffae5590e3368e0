// SPDX-License-Identifier: MIT
// Steps drawn from recorded ones, with replacement (the bootstrap of Efron, 1979, of steps): each
// simulated step is one recorded step, whole, so that a rank's operations keep what they have in
// common within a step, a core that was slow or taken away. Ranks together draw one step for all,
// and keep what they have in common, too, which on one host is much. Ranks apart draw each by
// itself, as if each had a host of its own; step_draws_correlation() says how much is left out.
#ifndef SIM_STEP_DRAWS_H
#define SIM_STEP_DRAWS_H

#include "core/base/arena.h"
#include "sim/step_costs.h"

// Draws for a rank that has costs of its own in each step: of one stream, and so the same for all
// ranks that name it. The first recorded step, which warms up, is drawn only if it is the only one.
// In the arena. ERR_MEMORY.
Status step_draws_make(StepCosts *c, Arena *a, uint64_t seed, int stream, int steps) MUST_USE;

// Pearson's correlation of the times that ranks take for themselves in a step (operations, shares
// of communications and the executor's time; no waiting), without the first step; the mean over
// all pairs of ranks. NaN: one rank, fewer than three steps, or a rank whose time does not vary;
// what is not known is no error. ERR_MEMORY.
Status step_draws_correlation(double *out, const StepCosts *const costs[], int ranks) MUST_USE;

#endif

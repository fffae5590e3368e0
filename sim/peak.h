// SPDX-License-Identifier: MIT
// The moment of a step at which a rank has most in memory: what keeps its place is always there;
// activations, gradients and buffers share memory, and are there from the first operation that
// touches them to the last.
#ifndef SIM_PEAK_H
#define SIM_PEAK_H

#include "core/base/arena.h"
#include "core/plan/program.h"

typedef struct {
    int op;          // the first, in the order of the plan, at which most is in use
    int64_t in_use;  // bytes of what shares memory, then
} Peak;

// Of plan `plan` of a lowered program. The arena is for scratch. ERR_MEMORY.
Status peak_find(Peak *out, Arena *a, const Program *p, int plan) MUST_USE;

#endif

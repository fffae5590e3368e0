// SPDX-License-Identifier: MIT
// What a recorded run took in each of its steps, operation by operation. Ranks fall out of step at
// random, and then wait for each other: medians over steps do not show that, since the maximum of
// medians is less than the median of maxima.
#ifndef SIM_STEP_COSTS_H
#define SIM_STEP_COSTS_H

#include "core/base/arena.h"
#include "core/record/timeline.h"

// Of one plan on one rank.
typedef struct {
    int count, ops;            // steps, of so many operations; 0: no step is known by itself
    const int64_t *ps;         // [step][operation]
    const int64_t *busy_ps;    // [step][operation]: CPU time of a computation, at most its ps
    int64_t *gap_ps;           // [step][operation]: the executor's own time before it
    const int64_t *notice_ps;  // [step][operation]: of a communication, until the rank sees that it
                               // has ended; NULL: none
    const int64_t *turn_ps;    // [step]: a rank's own time, before and after all operations
    const int32_t *drawn;      // [simulated step]: which of these it is; NULL: they are simulated
    int drawn_count;           // in turn
} StepCosts;

// What a span says of its operation's cost: its duration, or with `share` the CPU time of the rank,
// which for a device that communicates is what it takes from the last member's arrival.
int64_t step_costs_of_span(const Span *span, bool share);

// `rows` of the timeline: complete executions of the plan in which every operation has a span.
// Costs are durations, also where ranks shared cores: what others had of these is in them. They
// are in the arena. ERR_MEMORY.
Status step_costs_read(StepCosts *out, Arena *a, const Program *p, int plan, const Timeline *t,
                       const int *rows, int count) MUST_USE;

// Of an operation in one of the steps.
static inline size_t step_costs_at(const StepCosts *c, int op, int step) {
    return (size_t)step * (size_t)c->ops + (size_t)op;
}

#endif

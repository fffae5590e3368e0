// SPDX-License-Identifier: MIT
// How late the threads of a recorded run were for each other. A thread that waits is seen to go on
// some time after it could have: others had its core, or it slept. Durations of operations do not
// contain that time, and communications, whose ends wait for peers, only together with much else.
#ifndef SIM_STEP_DELAYS_H
#define SIM_STEP_DELAYS_H

#include "core/record/trace.h"
#include "sim/costs.h"

// The ranks of a run on one host, whose traces have a clock in common.
typedef struct {
    const Trace *traces;
    Costs *costs;  // with steps, of the rows
    int ranks, plan;
    const int *rows;
    int64_t poll_ps;  // after which a waiting thread sees a change, which is simulated anyway
} StepDelays;

// Adds to the steps of the costs what a rank was late before its share of a communication
// (gap_ps), and until it saw that a communication had ended (notice_ps). Collectives in which
// members take several turns have none. Clocks that are more than a day apart: nothing is known.
// Room is in the arena. ERR_MEMORY.
Status step_delays_read(const StepDelays *d, Arena *a) MUST_USE;

#endif

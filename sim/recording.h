// SPDX-License-Identifier: MIT
// A recorded run, as the simulator uses it: the traces of all ranks and what their operations cost.
#ifndef SIM_RECORDING_H
#define SIM_RECORDING_H

#include "core/platform/machine.h"
#include "core/record/trace.h"
#include "sim/costs.h"

typedef struct {
    Trace *traces;  // one per rank, in the arena; finish with recording_finish()
    int ranks;
    ProgramSet set;  // what they executed; borrows from the traces, do not finish
    Costs *costs;    // per rank, in the arena
    int plan;        // the training step's
    double step_ms;  // median of the recorded steps without the first, mean over ranks
    int steps;       // recorded, without the first
    double spread;   // of rank 0's steps: what the middle 80 % of them span, over their median
    bool has_machine;
    Machine machine;  // DIR/machine.yaml, when it is there
} Recording;

// Read a directory of traces, of all ranks. ERR_INPUT,
// ERR_FORMAT, ERR_PLAN.
Status recording_read(Recording *r, Arena *a, const char *path) MUST_USE;
void recording_finish(Recording *r);  // safe on a zeroed Recording

#endif

// SPDX-License-Identifier: MIT
// A recorded run, as the simulator uses it: the traces of all ranks and what their operations cost.
#ifndef SIM_RECORDING_H
#define SIM_RECORDING_H

#include "core/base/statistics.h"
#include "core/platform/machine.h"
#include "core/record/trace.h"
#include "sim/costs.h"

typedef struct {
    Trace *traces;  // one per rank, in the arena; finish with recording_finish()
    int ranks;
    ProgramSet set;  // what they executed; borrows from the traces, do not finish
    Costs *costs;    // per rank, in the arena
    int plan;        // the training step's
    Spread step_ms;  // over the recorded steps without the first: the mean of the ranks' durations
    Tails step_tails_ms;  // of the same
    int steps;            // of step_ms
    int *rows;      // of the timelines, in the arena: steps of which all ranks have all spans, the
    int row_count;  // first included, so that each is replayed by itself; 0: medians are
    int left_out;   // complete steps, but for operations that a guard skipped
    bool has_machine;
    Machine machine;  // DIR/machine.yaml, when it is there
} Recording;

// Read a directory of traces, of all ranks. ERR_INPUT,
// ERR_FORMAT, ERR_PLAN.
Status recording_read(Recording *r, Arena *a, const char *path) MUST_USE;

// The part of recording_read() that follows from traces, plan and machine: steps and costs.
// ERR_FORMAT: a rank has no complete training step.
Status recording_measure(Recording *r, Arena *a) MUST_USE;

void recording_finish(Recording *r);  // safe on a zeroed Recording

#endif

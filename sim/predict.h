// SPDX-License-Identifier: MIT
// The simulator's facade: from recorded traces to one simulated step, of the recorded run (a
// replay) or of the same job on other numbers of ranks (a prediction).
#ifndef SIM_PREDICT_H
#define SIM_PREDICT_H

#include "core/nn/model.h"
#include "core/record/report.h"
#include "core/record/trace.h"
#include "sim/simulate.h"

// The recorded run.
typedef struct {
    Trace *traces;  // one per rank, in the arena; finish with recording_finish()
    int ranks;
    Costs *costs;    // per rank, in the arena
    int plan;        // the training step's
    double step_ms;  // median of the recorded steps without the first, mean over ranks
} Recording;

// Read a directory of traces, all ranks. ERR_INPUT, ERR_FORMAT.
Status recording_read(Recording *r, Arena *a, const char *path) MUST_USE;
void recording_finish(Recording *r);  // safe on a zeroed Recording

// One simulated step. `report.run` borrows from the recording.
typedef struct {
    Report report;
    bool replay;
    int64_t step_ps;  // of the slowest rank
} Prediction;

// Replay: the median of each operation, ordered by dependencies alone, every rank with a core of
// its own.
Status predict_replay(Prediction *out, Arena *a, const Recording *r) MUST_USE;

// The recorded job on `ranks` ranks of a host, at the recorded batch per rank: computations cost
// what operations of the same cost key did; communication what the host's rates say.
Status predict_ranks(Prediction *out, Arena *a, const Recording *r, const HostModel *host,
                     int ranks) MUST_USE;

// The program of that job, before lowering: what train --print-plan prints for the same numbers.
Status predict_program(Program *out, Arena *a, const RunInfo *run, const Program *recorded,
                       int ranks) MUST_USE;

#endif

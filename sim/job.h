// SPDX-License-Identifier: MIT
// What is simulated, as far as a plan depends on it: what the options of train say, or what a trace
// remembers of them.
#ifndef SIM_JOB_H
#define SIM_JOB_H

#include "parallel/strategy/job_spec.h"

typedef struct {
    JobSpec spec;               // its device is that whose kernels the plan is lowered for
    const RunSetting *setting;  // of the strategy, for reports, besides the job's own; NULL: none
} SimJob;

// The job that was recorded, on its number of ranks. ERR_FORMAT when the trace's strategy
// cannot be understood.
Status sim_job_recorded(SimJob *out, const RunInfo *run, const Program *program) MUST_USE;

// The same on other ranks, with as many shards: with the batch per rank kept (weak scaling), or the
// global batch (strong). ERR_USAGE, with what to try, for numbers that do not fit.
Status sim_job_resize(SimJob *out, const SimJob *job, int ranks, bool keep_batch) MUST_USE;

// Its program, before lowering: what train --print-plan step prints for the same options. From a
// file: ERR_INPUT, ERR_FORMAT, or ERR_USAGE when it is lowered or of another number of ranks.
Status sim_job_program(Program *out, Arena *a, const SimJob *job) MUST_USE;

// Checked and lowered: what train executes. ERR_PLAN names operation and rank.
Status sim_job_lowered(Program *out, Arena *a, const SimJob *job) MUST_USE;

#endif

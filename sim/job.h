// SPDX-License-Identifier: MIT
// What is simulated, as far as a plan depends on it: what the options of train say, or what a trace
// remembers of them.
#ifndef SIM_JOB_H
#define SIM_JOB_H

#include "parallel/strategy/job_spec.h"

typedef struct {
    JobSpec spec;                // its device is that whose kernels the plan is lowered for
    const RunSetting *settings;  // of the strategy, for reports, besides the job's own
    int setting_count;
} SimJob;

// The job that was recorded, on its number of ranks; `set` is what they executed. ERR_FORMAT when
// the trace's strategy cannot be understood.
Status sim_job_recorded(SimJob *out, const RunInfo *run, const ProgramSet *set) MUST_USE;

// Has the model's file, or the plan's, changed since the run was recorded, so that the job makes
// other programs than `recorded`? ERR_INPUT then, and for what is no small regular file: a trace
// of others may name anything.
Status sim_job_check_recorded(const SimJob *job, Arena *a, const ProgramSet *recorded) MUST_USE;

// Which numbers of a job a person has given.
typedef struct {
    bool batch, shards, micro_batches, dtype;
} SimJobGiven;

// Take ranks, the algorithm of collectives, and what is not given, from the plan that the job's
// file holds. ERR_USAGE, ERR_INPUT, ERR_FORMAT.
Status sim_job_take_plan(SimJob *job, Arena *a, const SimJobGiven *given) MUST_USE;

// The same on other ranks, with as many shards: with the batch per rank kept (weak scaling), or the
// global batch (strong). ERR_USAGE, with what to try, for numbers that do not fit.
Status sim_job_resize(SimJob *out, const SimJob *job, int ranks, bool keep_batch) MUST_USE;

// Its programs, checked, before lowering: what train --print-plan file prints for the same options.
// ERR_PLAN names operation and rank. From a file: ERR_INPUT, ERR_FORMAT, or ERR_USAGE when it is
// lowered, or was printed for another job.
Status sim_job_programs(ProgramSet *out, Arena *a, const SimJob *job) MUST_USE;

// Checked and lowered: what train executes. ERR_PLAN names operation and rank.
Status sim_job_lowered(ProgramSet *out, Arena *a, const SimJob *job) MUST_USE;

// The same without evaluation, which has as many rows on every rank, however many there are: for
// the memory of a training step.
Status sim_job_step(ProgramSet *out, Arena *a, const SimJob *job) MUST_USE;

#endif

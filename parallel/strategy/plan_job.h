// SPDX-License-Identifier: MIT
// The job that a plan from a file was printed for, as far as the plan says: whoever executes or
// simulates the file compares it with what the options say.
#ifndef PARALLEL_STRATEGY_PLAN_JOB_H
#define PARALLEL_STRATEGY_PLAN_JOB_H

#include "parallel/strategy/job_spec.h"

typedef struct {
    int ranks, data_ranks;            // all; those along the axes that cut the batch
    int local_shards, micro_batches;  // of a rank; of a shard
    int64_t rows;                     // room of the largest micro-batch
    Dtype dtype;                      // of the parameters
} PlanJob;

// Read a plan that is not lowered; `source` is the file's name in messages. ERR_USAGE when it has
// no plan of each step that counts rows, or too many shards or micro-batches.
Status plan_job_read(PlanJob *out, const ProgramSet *set, const char *source) MUST_USE;

// Is the job the one that the plan was printed for? ERR_USAGE says what differs and what to give.
Status plan_job_check(const PlanJob *plan, const JobSpec *s) MUST_USE;

// The same without the size of the batch: it may be smaller than the plan has room for, as
// plan_job_check_rows() finds.
Status plan_job_check_cut(const PlanJob *plan, const JobSpec *s) MUST_USE;

// Is there room for the rows of the job's batches and of an evaluation's blocks? ERR_USAGE.
Status plan_job_check_rows(const ProgramSet *set, const JobSpec *s) MUST_USE;

// Does the plan train parameters of this model, in the type of the job? ERR_USAGE names the first
// parameter that does not fit.
Status plan_job_check_parameters(const Program *p, const Program *model, const char *model_name,
                                 const JobSpec *s) MUST_USE;

#endif

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
    Dtype dtype;                      // of the parameters, or of their copies
    Algorithm algorithm;              // of its collectives; where they differ, not the direct one
} PlanJob;

// Read a plan that is not lowered; `source` is the file's name in messages. ERR_USAGE when it has
// no plan of each step that counts rows, or too many shards or micro-batches.
Status plan_job_read(PlanJob *out, const ProgramSet *set, const char *source) MUST_USE;

// Is the job the one that the plan was printed for, in the size of the batch, too, which train may
// choose smaller? ERR_USAGE says what differs and what to give.
Status plan_job_check(const PlanJob *plan, const JobSpec *s) MUST_USE;

// Does the plan of a file, which passed plan_check() and plan_check_run(), fit the job and its
// model? Ranks, shards and micro-batches are those of the plan, none is left out, there is room
// for the rows of batches and of an evaluation's blocks, and the parameters are the model's, whole,
// in the type of the job. Both train and sim ask this. ERR_USAGE says what differs, and
// what to give.
Status plan_job_check_set(const ProgramSet *set, const JobSpec *s, const Model *model) MUST_USE;

#endif

// SPDX-License-Identifier: MIT
// What a long plan takes, from plans with fewer blocks and micro-batches. A step of n equal blocks
// and m micro-batches is a + b n + c m + d n m once n and m are past the first few: each block does
// the same, and so does each micro-batch in the middle of a pipeline's schedule. Four short plans
// give the four numbers. Stages keep their places in a block, so all lose equally many blocks.
// tests/sim/test_advise_short.c says how far from the long plan that is.
#ifndef SIM_ADVISE_SHORT_H
#define SIM_ADVISE_SHORT_H

#include "sim/points.h"

// The equal blocks of a model: `count` times `period` layers from `first` on; count 0: it has none,
// or no parameter `layers` that says how many.
typedef struct {
    int first, period, count;
} ShortBlocks;

// A job's plan is cut by so many blocks a stage at most, and to so many micro-batches.
typedef struct {
    const SimJob *job;
    const SimSetting *setting;
    ShortBlocks blocks;
    int stages, *ends;                 // layers before the end of each stage, in the arena
    int least_left, micro_batches[2];  // blocks of the smallest stage in the whole plan
} ShortPlan;

// From the job's model. Fails as job_spec_model() does.
Status short_blocks_read(ShortBlocks *out, Arena *a, const JobSpec *s) MUST_USE;

// The job with so many of the equal blocks of its model.
Status short_blocks_job(SimJob *out, Arena *a, const SimJob *job, int blocks) MUST_USE;

// How the plan of a job, which must pass job_spec_check(), is cut; the arena is the result's. Fails
// as job_spec_stages() does.
Status short_plan_init(ShortPlan *out, Arena *a, const SimJob *job, const SimSetting *setting,
                       const ShortBlocks *blocks) MUST_USE;

// Is there nothing to cut? Then the numbers are those of the plan itself.
bool short_plan_is_whole(const ShortPlan *s);

// The numbers of the whole plan; where it takes more memory than `most` (0: any) by far, only that.
// Fails as predict_job() does.
Status short_plan_point(Point *out, const ShortPlan *s, int64_t most) MUST_USE;

#endif

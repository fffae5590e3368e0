// SPDX-License-Identifier: MIT
// Schedules of a pipeline as data: which pass of which stage and micro-batch each rank does, one
// after the other. A schedule is checked and timed here, before there is a program; whoever makes
// programs puts the operations of the passes in this order.
//
//     PipelineSchedule s;
//     TRY(pipeline_schedule_create(&s, &arena, &(PipelineShape){SCHEDULE_1F1B, 4, 1, 8}));
//     TRY(pipeline_schedule_time(&t, &s, &costs));   // t.step, t.bubble[rank], t.peak[rank]
//
// Stage k of ranks * chunks is on rank k % ranks. GPipe: Huang et al., 2019. 1F1B: Narayanan et
// al., "Memory-Efficient Pipeline-Parallel DNN Training", 2021. Interleaved: Narayanan et al.,
// "Efficient Large-Scale Language Model Training", 2021, section 2.2. ZB-H1: Qi et al., "Zero
// Bubble Pipeline Parallelism", 2024.
#ifndef PARALLEL_STRATEGY_PIPELINE_SCHEDULE_H
#define PARALLEL_STRATEGY_PIPELINE_SCHEDULE_H

#include "core/base/arena.h"

#include <stdint.h>

typedef enum {
    SCHEDULE_GPIPE,
    SCHEDULE_1F1B,
    SCHEDULE_INTERLEAVED,
    SCHEDULE_ZERO_BUBBLE
} ScheduleKind;

// The backward pass, whole or in two: gradients of the input, which the stage before waits for,
// and of the weights, for which nobody waits but the update.
typedef enum { PASS_FORWARD, PASS_BACKWARD, PASS_BACKWARD_INPUT, PASS_BACKWARD_WEIGHT } PassKind;

enum { PIPELINE_RANKS = 64 };

typedef struct {
    ScheduleKind kind;
    int ranks, chunks;  // chunks: stages of each rank; more than 1 only where they interleave
    int micro_batches;
} PipelineShape;

typedef struct {
    int32_t stage, micro_batch;
    PassKind pass;
} PipelineTask;

typedef struct {
    PipelineShape shape;
    PipelineTask *tasks;  // [rank][count], in the arena
    int count;            // of each rank
} PipelineSchedule;

// ERR_USAGE, with the arithmetic and what would do: fewer than 1 of something, more ranks than
// PIPELINE_RANKS, chunks that do not interleave, micro-batches that the ranks do not divide where
// they must. ERR_MEMORY for the tasks.
Status pipeline_schedule_create(PipelineSchedule *out, Arena *a,
                                const PipelineShape *shape) MUST_USE;

// Can it be done? ERR_PLAN names the rank and the task: one that is missing or twice, one that
// waits for another that comes later (a deadlock), weights' gradients that are not in the order of
// the micro-batches (docs/contract.md, 3).
Status pipeline_schedule_check(const PipelineSchedule *s) MUST_USE;

// How long a pass of a stage takes, in any unit, and a message between ranks. A whole backward is
// as long as both of its parts.
typedef struct {
    int64_t forward, backward_input, backward_weight, message;
} PipelineCosts;

typedef struct {
    int64_t step;                    // from the first task's begin to the last one's end
    int64_t bubble[PIPELINE_RANKS];  // of it, the time in which a rank does nothing
    int peak[PIPELINE_RANKS];        // stages' activations that a rank holds at once, at most
} PipelineTimes;

// The schedule's tasks, each as early as the others allow. ERR_PLAN as pipeline_schedule_check().
Status pipeline_schedule_time(PipelineTimes *out, const PipelineSchedule *s,
                              const PipelineCosts *costs) MUST_USE;

// When each of them ends, to draw them: ends[rank * count + task]. Errors as above.
Status pipeline_schedule_ends(int64_t *ends, const PipelineSchedule *s,
                              const PipelineCosts *costs) MUST_USE;

// "F2.5": forward of stage 2, micro-batch 5; B, I and W are the backward, whole or in parts.
enum { PIPELINE_TASK_TEXT = 32 };
const char *pipeline_task_print(char out[PIPELINE_TASK_TEXT], const PipelineTask *t);

#endif

// SPDX-License-Identifier: MIT
// The numbers of lesson 15: schedules and their times, runs of the trainer with both schedules, and
// a pipeline of a GPT whose stages are not alike, simulated.
#ifndef LESSONS_15_PIPELINE_PIPELINE_RUNS_H
#define LESSONS_15_PIPELINE_PIPELINE_RUNS_H

#include "lessons/engine/lesson.h"
#include "parallel/strategy/pipeline_schedule.h"

#include <stdbool.h>

enum { PIPELINE_DEPTHS = 5, PIPELINE_KINDS = 2 };  // kinds: GPipe and 1F1B

// Of the trainer's run; activations: of a step on rank 0, as planned.
typedef struct {
    double activation_bytes, loss;
    uint64_t hash;
} PipelineRun;

typedef struct {
    int ranks, micro_batches, rows;  // rows: of the batch
    int rank;                        // whose activations are asked for
    PipelineTimes times[PIPELINE_KINDS];
    bool in_order;  // both schedules pass pipeline_schedule_check()

    int layers, few;                    // of the question how deep: few micro-batches
    int64_t layer_us, message_us;       // a layer's forward; a message
    int64_t depth_us[PIPELINE_DEPTHS];  // a step, with so many ranks

    int run_ranks, run_micro_batches;  // of the trainer's pipeline
    PipelineRun run[PIPELINE_KINDS], alone;
    double gpt_bubble, gpt_formula;  // shares of a step in which a rank waits, the mean of all:
                                     // simulated, and by P and M alone
    double gpt_step_ms[PIPELINE_KINDS];
    bool ran;
} Pipeline;

extern const int pipeline_depths[PIPELINE_DEPTHS];

Status pipeline_draw(const LessonRun *run, void *state) MUST_USE;
Status pipeline_train(const LessonRun *run, void *state) MUST_USE;

// The share of a step in which rank 0 does nothing; the depth whose step is shortest.
double pipeline_bubble(const PipelineTimes *t);
int pipeline_best_depth(const Pipeline *x);

#endif

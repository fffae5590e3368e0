// SPDX-License-Identifier: MIT
// Pipelines whose stages end where a test says, by the names of layers.
#ifndef TESTS_SUPPORT_PIPELINE_H
#define TESTS_SUPPORT_PIPELINE_H

#include "core/nn/model.h"
#include "core/plan/set.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "parallel/strategy/strategy.h"

enum { PIPELINE_STAGES = 8 };

typedef struct {
    int stages;
    ScheduleKind schedule;                    // one whose stages have a rank each
    const char *last_layer[PIPELINE_STAGES];  // of every stage but the last, in order
} PipelineSpec;

// The classes of a pipeline over the mesh of `spec`, with so many stages along "pipe".
Status pipeline_programs(ProgramSet *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *options, const PipelineSpec *pipeline);

#endif

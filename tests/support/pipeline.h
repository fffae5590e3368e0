// SPDX-License-Identifier: MIT
// Pipelines written by hand, for tests: the program of one rank cut into one class of ranks per
// stage, with sends and receives at the cuts (Huang et al., GPipe, 2019; Narayanan et al.,
// PipeDream-Flush or 1F1B, 2021).
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

// The classes of a pipeline over the mesh data x pipe (pipe outermost), `spec` being that of a rank
// of its data axis. A cut may cross no tensor that skips a stage.
Status pipeline_programs(ProgramSet *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *options, const PipelineSpec *pipeline);

#endif

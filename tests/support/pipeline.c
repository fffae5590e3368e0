// SPDX-License-Identifier: MIT
#include "tests/support/pipeline.h"

#include "core/base/text.h"

#include <string.h>

static int layer_named(const Model *m, const char *name) {
    for (int i = 0; i < m->layer_count; i++)
        if (!strcmp(m->layers[i].name, name)) return i;
    return NONE;
}

Status pipeline_programs(ProgramSet *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *options, const PipelineSpec *pipeline) {
    char stages[256] = "";
    int first = 0;
    for (int i = 0; i < pipeline->stages; i++) {
        int last =
            i + 1 < pipeline->stages ? layer_named(m, pipeline->last_layer[i]) : m->layer_count - 1;
        text_append(stages, sizeof stages, "%s%d:%d", i ? "," : "", first, last + 1);
        first = last + 1;
    }
    StepSpec step = *spec;
    StrategyOptions o = *options;
    step.mesh.pipe = pipeline->stages;
    o.schedule.word = (int)pipeline->schedule;
    o.stages = stages;
    return strategy_programs(out, m, &step, &o);
}

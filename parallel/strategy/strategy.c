// SPDX-License-Identifier: MIT
// One rank gets the folds of its shards, several ranks get DDP.
#include "parallel/strategy/strategy.h"

Status strategy_program(Program *out, const Model *m, const StepSpec *spec,
                        const StrategyOptions *options) {
    StepSpec step = *spec;
    StrategyOptions strategy = *options;
    step.local_shards = strategy.local_shards = spec->shards / spec->data_axis_size;
    TRY(model_emit(out, m, &step));
    return spec->data_axis_size == 1 ? shards_apply(out, &strategy) : ddp_apply(out, &strategy);
}

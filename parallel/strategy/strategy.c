// SPDX-License-Identifier: MIT
// One rank gets the folds of its shards, several ranks get DDP, ZeRO or DataParallel.
#include "parallel/strategy/strategy.h"

#include "parallel/strategy/split.h"

static Status join(Program *p, const Model *m, const StepSpec *spec,
                   const StrategyOptions *strategy) {
    if (strategy->sync_batch_norm) TRY(sync_batch_norm_apply(p, strategy));
    TRY(recompute_apply(p, m, strategy->recompute));
    if (strategy->zero) return zero_apply(p, strategy);
    return mesh_size(&spec->mesh, MESH_DATA) == 1 ? shards_apply(p, strategy)
                                                  : ddp_apply(p, strategy);
}

static Status make_program(Program *out, const Model *m, const StepSpec *spec,
                           const StrategyOptions *strategy) {
    bool splits = mesh_size(&spec->mesh, MESH_TENSOR) > 1;
    TRY(model_emit(out, m, spec));
    if (splits) TRY(split_tensor(out));
    TRY(join(out, m, spec, strategy));
    return splits ? split_broadcast(out) : OK;
}

// Several classes of ranks from one program.
static Status make_devices(ProgramSet *out, const Model *m, const StepSpec *spec,
                           const StrategyOptions *strategy) {
    Program p;
    TRY(model_emit(&p, m, spec));
    Status s = recompute_apply(&p, m, strategy->recompute);
    if (s == OK) s = data_parallel_programs(out, &p, strategy, spec->micro_batches);
    program_finish(&p);
    return s;
}

Status strategy_programs(ProgramSet *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *options) {
    Program p = {0};
    StepSpec step = *spec;
    StrategyOptions strategy = *options;
    *out = (ProgramSet){0};
    step.local_shards = strategy.local_shards = spec->shards / mesh_size(&spec->mesh, MESH_DATA);
    if (strategy.data_parallel && mesh_size(&step.mesh, MESH_DATA) > 1)
        return make_devices(out, m, &step, &strategy);
    Status s = make_program(&p, m, &step, &strategy);
    if (s == OK) return program_set_add(out, NULL, &p);
    program_finish(&p);
    return s;
}

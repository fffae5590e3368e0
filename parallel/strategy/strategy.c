// SPDX-License-Identifier: MIT
// One rank gets the folds of its shards, several ranks get DDP, ZeRO or DataParallel; a pipeline
// gets them stage by stage.
#include "parallel/strategy/strategy.h"

#include "parallel/strategy/split.h"
#include "parallel/strategy/stage.h"

static bool splits(const StepSpec *spec) { return mesh_size(&spec->mesh, MESH_TENSOR) > 1; }

// What all ranks do, with weights divided.
static Status make_whole(Program *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *strategy) {
    TRY(model_emit(out, m, spec));
    if (strategy->experts > 1) return expert_split(out);
    return splits(spec) ? split_tensor(out, strategy->sequence_parallel) : OK;
}

static Status join_gradients(Program *p, const StepSpec *spec, const StrategyOptions *strategy) {
    if (strategy->zero) return zero_apply(p, strategy);
    return mesh_size(&spec->mesh, MESH_DATA) == 1 ? shards_apply(p, strategy)
                                                  : ddp_apply(p, strategy);
}

// One class of ranks.
static Status join(Program *p, const Model *m, const StepSpec *spec,
                   const StrategyOptions *strategy) {
    if (strategy->sync_batch_norm) TRY(sync_batch_norm_apply(p, strategy));
    TRY(recompute_apply(p, m, strategy->recompute));
    TRY(join_gradients(p, spec, strategy));
    return splits(spec) ? split_broadcast(p) : OK;
}

static Status make_program(Program *out, const Model *m, const StepSpec *spec,
                           const StrategyOptions *strategy) {
    TRY(make_whole(out, m, spec, strategy));
    return join(out, m, spec, strategy);
}

// A pipeline: a class for each place along it.
static Status make_stages(ProgramSet *out, const Model *m, const StepSpec *spec,
                          const StrategyOptions *strategy) {
    Program whole = {0};
    Status s = make_whole(&whole, m, spec, strategy);
    if (s == OK) s = stage_programs(out, &whole, m, strategy, spec->micro_batches);
    program_finish(&whole);
    for (int i = 0; i < out->count && s == OK; i++) s = join(&out->programs[i], m, spec, strategy);
    if (s == OK) s = stage_unify(out);
    if (s != OK) program_set_finish(out);
    return s;
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
    if (mesh_size(&step.mesh, MESH_PIPE) > 1) return make_stages(out, m, &step, &strategy);
    Status s = make_program(&p, m, &step, &strategy);
    if (s == OK) return program_set_add(out, NULL, &p);
    program_finish(&p);
    return s;
}

// SPDX-License-Identifier: MIT
// One rank gets the folds of its shards, several ranks get DDP, ZeRO or DataParallel; a pipeline
// gets them stage by stage.
#include "parallel/strategy/strategy.h"

#include "core/base/team.h"
#include "core/plan/repeat.h"
#include "parallel/strategy/context.h"
#include "parallel/strategy/split.h"
#include "parallel/strategy/stage.h"
#include "parallel/strategy/strategy_internal.h"

static bool splits(const StepSpec *spec) { return mesh_size(&spec->mesh, MESH_TENSOR) > 1; }
static bool cuts(const StepSpec *spec) { return mesh_size(&spec->mesh, MESH_CONTEXT) > 1; }

// What does not go with sequences that are cut, and what to give instead.
static Status check_context(const StepSpec *spec, const StrategyOptions *s) {
    int cp = mesh_size(&spec->mesh, MESH_CONTEXT);
    if (s->data_parallel)
        FAIL(ERR_USAGE, "--cp %d does not go with --data-parallel; leave one of them out", cp);
    if (s->sync_batch_norm)
        FAIL(ERR_USAGE,
             "--cp %d cuts sequences of tokens, in which there is no batch_norm layer; leave "
             "--sync-batchnorm out",
             cp);
    if (s->zero && mesh_size(&spec->mesh, MESH_DATA) < 2)
        FAIL(ERR_USAGE,
             "--zero %d shards over the ranks that --cp %d leaves to data, of which there is one; "
             "give --ranks %d or more",
             s->zero, cp, 2 * cp);
    return OK;
}

// With sequences cut and weights divided, of each micro-batch by itself.
static Status divide_each(Program *out, const Model *m, const StepSpec *spec,
                          const StrategyOptions *strategy) {
    TRY(model_emit(out, m, spec));
    if (strategy->experts > 1) TRY(expert_split(out, spec->mesh.wide_experts));
    if (splits(spec)) TRY(split_tensor(out, m, strategy->sequence_parallel));
    return cuts(spec) ? context_apply(out, strategy->context) : OK;
}

// A stage of a pipeline takes over operations alone.
static Status derive(Program *p, const StepSpec *spec, const StrategyOptions *strategy) {
    if (mesh_size(&spec->mesh, MESH_PIPE) > 1 && !strategy->sync_batch_norm) return OK;
    return plan_derive_deps(p, &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)]);
}

// Most micro-batches are copies of another, unless they turn out to be different.
static Status divide(Program *out, const Model *m, const StepSpec *spec,
                     const StrategyOptions *strategy) {
    StepSpec few = *spec;
    bool all = false;
    few.repeated = spec->micro_batches >= REPEAT_LEAST;
    if (!few.repeated) return divide_each(out, m, spec, strategy);
    Status s = divide_each(out, m, &few, strategy);
    if (s == OK) s = program_repeat(out, spec->micro_batches, &all);
    if (all || s == ERR_MEMORY) return s != OK ? s : derive(out, spec, strategy);
    program_finish(out);
    return divide_each(out, m, spec, strategy);
}

// What all ranks do.
static Status make_whole(Program *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *strategy) {
    TRY(divide(out, m, spec, strategy));
    return strategy->sync_batch_norm ? sync_batch_norm_apply(out, strategy) : OK;
}

static Status join_gradients(Program *p, const Model *m, const StepSpec *spec,
                             const StrategyOptions *strategy) {
    bool over = cuts(spec) && join_over_context(strategy);
    if (cuts(spec) && !over) TRY(context_join(p, strategy));
    if (strategy->zero) return zero_apply(p, m, strategy);
    bool alone = mesh_size(&spec->mesh, MESH_DATA) == 1 && !over;
    return alone ? shards_apply(p, strategy) : ddp_apply(p, strategy);
}

// One class of ranks.
static Status join(Program *p, const Model *m, const StepSpec *spec,
                   const StrategyOptions *strategy) {
    TRY(recompute_apply(p, m, strategy->recompute));
    TRY(join_gradients(p, m, spec, strategy));
    if (cuts(spec) && !join_over_context(strategy)) TRY(split_broadcast(p, MESH_CONTEXT));
    return splits(spec) ? split_broadcast(p, MESH_TENSOR) : OK;
}

static Status make_program(Program *out, const Model *m, const StepSpec *spec,
                           const StrategyOptions *strategy) {
    TRY(make_whole(out, m, spec, strategy));
    return join(out, m, spec, strategy);
}

typedef struct {
    ProgramSet *set;
    const Model *m;
    const StepSpec *spec;
    const StrategyOptions *strategy;
} Joining;

static Status join_class(void *context, int i) {
    const Joining *j = context;
    return join(&j->set->programs[i], j->m, j->spec, j->strategy);
}

// A pipeline: a class for each place along it.
static Status make_stages(ProgramSet *out, const Model *m, const StepSpec *spec,
                          const StrategyOptions *strategy) {
    Program whole = {0};
    Status s = make_whole(&whole, m, spec, strategy);
    if (s == OK) s = stage_programs(out, &whole, m, strategy, spec->micro_batches);
    program_finish(&whole);
    Joining joining = {out, m, spec, strategy};
    if (s == OK) s = team_each(out->count, join_class, &joining);
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

Status strategy_stages(int *out, Arena *a, const Model *m, const StepSpec *spec,
                       const StrategyOptions *options) {
    Program whole = {0};
    StepSpec step = *spec;
    StrategyOptions strategy = *options;
    const PipelineShape shape =
        stage_shape(options, mesh_size(&spec->mesh, MESH_PIPE), spec->micro_batches);
    step.local_shards = strategy.local_shards = spec->shards / mesh_size(&spec->mesh, MESH_DATA);
    Status s = make_whole(&whole, m, &step, &strategy);
    if (s == OK) s = stage_assign(out, a, &whole, m, options->stages, &shape);
    program_finish(&whole);
    return s;
}

Status strategy_programs(ProgramSet *out, const Model *m, const StepSpec *spec,
                         const StrategyOptions *options) {
    Program p = {0};
    StepSpec step = *spec;
    StrategyOptions strategy = *options;
    *out = (ProgramSet){0};
    step.local_shards = strategy.local_shards = spec->shards / mesh_size(&spec->mesh, MESH_DATA);
    if (cuts(&step)) TRY(check_context(&step, &strategy));
    if (strategy.data_parallel && mesh_size(&step.mesh, MESH_DATA) > 1)
        return make_devices(out, m, &step, &strategy);
    if (mesh_size(&step.mesh, MESH_PIPE) > 1) return make_stages(out, m, &step, &strategy);
    Status s = make_program(&p, m, &step, &strategy);
    if (s == OK) return program_set_add(out, NULL, &p);
    program_finish(&p);
    return s;
}

// SPDX-License-Identifier: MIT
// Plans by the strategies that train uses, and its runs.
#include "lessons/13_zero/zero_runs.h"

#include "core/plan/flops.h"
#include "lessons/engine/trial.h"

#include <string.h>

double zero_state_bytes(const Footprint *f) { return f->parameters + f->gradients + f->optimiser; }

static JobOptions options_of(const Zero *x, int stage) {
    JobOptions o = trial_options();
    o.spec.model = x->model;
    o.spec.ranks = x->ranks;
    o.spec.batch = 2 * x->ranks;
    o.spec.optimizer.kind = OPTIMIZER_ADAM;
    o.spec.strategy.zero = stage;
    o.data = "digits:count=64";
    o.test_fraction = 0;
    o.steps = ZERO_STEPS;
    return o;
}

// --- plans

static Status count_flops(double *out, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        int64_t flops;
        TRY(flops_of_op(p, plan, &plan->ops[i], &flops));
        *out += (double)flops;
    }
    return OK;
}

// The row of the layer that a parameter, "fc1.weight", is of.
static int layer_of(Zero *x, const char *parameter) {
    char name[ZERO_NAME];
    int i = 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(parameter, "."), parameter);
    while (i < x->layer_count && strcmp(x->layer_names[i], name) != 0) i++;
    if (i == x->layer_count && i < ZERO_LAYERS)
        memcpy(x->layer_names[x->layer_count++], name, sizeof name);
    return i;
}

// The last operation of the step that reads a tensor.
static int last_reader(const Plan *plan, int tensor) {
    for (int i = plan->op_count - 1; i > 0; i--)
        for (int k = 0; k < plan->ops[i].inputs; k++)
            if (op_inputs(plan, &plan->ops[i])[k] == tensor) return i;
    return 0;
}

// Matrices alone: biases go with them.
static void find_gathers(Zero *x, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        for (int o = 0; op_kind(p, op) == KIND_ALL_GATHER && o < op->outputs; o++) {
            int tensor = op_outputs(plan, op)[o];
            if (p->tensors[tensor].dims < 2 || x->gather_count == ZERO_GATHERS) continue;
            int layer = layer_of(x, tensor_name(p, op_inputs(plan, op)[o]));
            if (layer == ZERO_LAYERS) continue;
            x->gathers[x->gather_count++] = (ZeroGather){layer, i, last_reader(plan, tensor),
                                                         op_work(p, op)->phase == PHASE_BACKWARD};
        }
    }
}

static Status plan_stage(Zero *x, int stage, const LessonRun *run) {
    ProgramSet set = {0};
    const JobOptions o = options_of(x, stage);
    Status s = sim_job_step(&set, run->arena, &(SimJob){.spec = o.spec});
    if (s == OK) {
        const Program *p = &set.programs[0];
        const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
        const FootprintModel model = footprint_model(p);
        ZeroPlan *out = &x->plan[stage];
        x->closed[stage] = footprint_closed(&model, stage);
        x->weights = (double)model.parameter_bytes;
        out->activations = (double)program_memory(p, MEMORY_ACTIVATIONS);
        s = count_flops(&out->flops, p, plan);
        if (stage == ZERO_STAGES - 1) find_gathers(x, p, plan);
    }
    program_set_finish(&set);
    return s;
}

Status zero_draw(const LessonRun *run, void *state) {
    Zero *x = state;
    Rng r = lesson_rng(run, 0);
    x->ranks = 2 + (int)rng_below(&r, 3);
    x->hidden = 160 + 16 * (int)rng_below(&r, 5);
    x->layers = 7 + (int)rng_below(&r, 4);
    x->first_layer = 4.0 * x->hidden * (28 * 28 + 1);
    snprintf(x->model, sizeof x->model, "mlp:hidden=%d,layers=%d", x->hidden, x->layers);
    for (int s = 0; s < ZERO_STAGES; s++) TRY(plan_stage(x, s, run));
    return OK;
}

// --- runs

// What a step takes from others is what a run of one step more takes more.
static Status train_stage(Zero *x, int stage, const LessonRun *run) {
    JobOptions o = options_of(x, stage);
    ZeroRun *out = &x->run[stage];
    Trial longer, shorter;
    TRY(trial_train(&longer, run, &o));
    o.steps = ZERO_STEPS - 1;
    TRY(trial_train(&shorter, run, &o));
    *out = (ZeroRun){
        .state_bytes =
            (double)(longer.memory[MEMORY_PARAMETERS] + longer.memory[MEMORY_GRADIENTS] +
                     longer.memory[MEMORY_OPTIMISER] + longer.memory[MEMORY_COMMUNICATION]),
        .sent = (double)(longer.taken_bytes - shorter.taken_bytes),
        .loss = longer.loss[longer.steps - 1],
        .hash = longer.hash};
    return OK;
}

Status zero_train(const LessonRun *run, void *state) {
    Zero *x = state;
    for (int s = 0; s < ZERO_STAGES; s++) {
        TRY(train_stage(x, s, run));
        if (run->progress) run->progress(run->context, (s + 1.0) / ZERO_STAGES);
    }
    x->ran = true;
    return OK;
}

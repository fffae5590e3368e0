// SPDX-License-Identifier: MIT
#include "tests/support/sharded.h"

#include "core/plan/program_copy.h"
#include "core/plan/share.h"

#include <stdio.h>
#include <string.h>

enum { AXIS_DATA, AXIS_TENSOR };

static const char *layer_of(const ProgramCopy *c, const Op *op) {
    return program_name(c->from, op_work(c->from, op)->layer);
}

// --- tensor-parallel pairs

// Does the name of a logical tensor say "LAYER.WHAT", or in an evaluation "evaluate.LAYER.WHAT"?
static bool is_of(const ProgramCopy *c, const Tensor *t, const char *layer, const char *what) {
    char name[128], evaluated[160];
    const char *logical = program_name(c->from, c->from->logicals[t->logical].name);
    snprintf(name, sizeof name, "%s.%s", layer, what);
    snprintf(evaluated, sizeof evaluated, "evaluate.%s", name);
    return !strcmp(logical, name) || !strcmp(logical, evaluated);
}

static void cut(TensorSpec *spec, const Tensor *t, int dim, int ranks) {
    memcpy(spec->shape, t->shape, sizeof spec->shape);
    spec->shape[dim] = (t->shape[dim] + ranks - 1) / ranks;
    spec->placement[AXIS_TENSOR] = PLACEMENT_SHARD((uint8_t)dim);
}

static void place_pair(const ProgramCopy *c, TensorSpec *spec, const Tensor *t) {
    const TensorPair *pair = c->context;
    static const char *const activations[] = {"y", "dy"}, *const kept[] = {"", ".grad",
                                                                           ".velocity"};
    for (int i = 0; i < 3; i++) {
        char weight[32], bias[32];
        snprintf(weight, sizeof weight, "weight%s", kept[i]);
        snprintf(bias, sizeof bias, "bias%s", kept[i]);
        if (is_of(c, t, pair->column, weight) || is_of(c, t, pair->column, bias))
            cut(spec, t, 0, pair->ranks);
        if (is_of(c, t, pair->row, weight)) cut(spec, t, 1, pair->ranks);
    }
    for (int i = 0; i < 2; i++) {
        bool inner =
            is_of(c, t, pair->column, activations[i]) || is_of(c, t, pair->between, activations[i]);
        if (inner) cut(spec, t, 1, pair->ranks);
    }
    if (is_of(c, t, pair->row, "y")) spec->placement[AXIS_TENSOR] = PLACEMENT_SUM;
}

// Partial sums that an operation of the pair leaves are reduced at once.
static Status reduce_after(ProgramCopy *c, const Op *op, const OpSpec *reduce) {
    const TensorPair *pair = c->context;
    const Work *w = op_work(c->from, op);
    bool forward = w->kind == KIND_LINEAR && !strcmp(layer_of(c, op), pair->row);
    bool backward = w->kind == KIND_LINEAR_BACKWARD_INPUT && !strcmp(layer_of(c, op), pair->column);
    int32_t y;
    if (!forward && !backward) return OK;
    TRY(program_copy_tensor(c, op_outputs(c->plan, op)[0], &y));
    if (backward) c->to->tensors[y].placement[AXIS_TENSOR] = PLACEMENT_SUM;
    OpSpec spec = *reduce;
    spec.name = forward ? "all_reduce.forward" : "all_reduce.backward";
    spec.phase = (Phase)w->phase;
    spec.micro_batch = op->micro_batch;
    spec.shard = op->shard;
    return program_copy_collective(c, &spec, y, y);
}

static Status copy_plans(ProgramCopy *c, const OpSpec *reduce) {
    for (int k = 0; k < c->from->plan_count; k++) {
        TRY(program_copy_plan(c, k));
        for (int i = 0; i < c->plan->op_count; i++) {
            const Op *op = &c->plan->ops[i];
            bool loads = kind_loads(op_kind(c->from, op));
            TRY(loads ? program_copy_load(c, op, true, true) : program_copy_op(c, op, op->shard));
            if (!loads) TRY(reduce_after(c, op, reduce));
        }
        TRY(plan_derive_deps(c->to, c->out));
    }
    return OK;
}

// Of parameters that all ranks hold whole the first rank draws the initial values.
static Status share_parameters(ProgramCopy *c, const OpSpec *reduce) {
    int32_t whole[OPERANDS];
    int count = 0;
    Plan *plan;
    for (int t = 0; t < c->to->tensor_count; t++)
        if (c->to->tensors[t].role == ROLE_PARAMETER &&
            c->to->tensors[t].placement[AXIS_TENSOR].place == PLACE_REPLICATE && count < OPERANDS)
            whole[count++] = t;
    TRY(program_add_plan(c->to, "broadcast", &plan));
    plan->when = WHEN_ONCE;
    TRY(plan_add_op(c->to, plan,
                    &(OpSpec){.name = "broadcast.parameters",
                              .kind = KIND_BROADCAST,
                              .dtype = (Dtype)c->to->tensors[whole[0]].dtype,
                              .lane = reduce->lane,
                              .group = reduce->group,
                              .outputs = whole,
                              .inputs = whole,
                              .output_count = count,
                              .input_count = count},
                    NULL));
    return plan_derive_deps(c->to, plan);
}

Status tensor_parallel_program(Program *out, const Model *m, const StepSpec *spec,
                               const TensorPair *pair) {
    Program whole = {0};
    ProgramCopy c = {.from = &whole, .to = out, .context = (void *)pair, .place = place_pair};
    OpSpec reduce = {.kind = KIND_ALL_REDUCE};
    *out = (Program){0};
    Status s = model_emit(&whole, m, spec);
    if (s == OK) s = program_add_axis(out, "data", spec->mesh.data, NULL);
    if (s == OK) s = program_add_axis(out, "tensor", pair->ranks, NULL);
    if (s == OK) s = program_add_group(out, "tensor", 1 << AXIS_TENSOR, &reduce.group);
    if (s == OK) s = program_copy_begin(&c);
    if (s == OK)
        s = program_add_lane(out, "tensor", LANE_COMMUNICATION, reduce.group, &reduce.lane);
    if (s == OK) s = copy_plans(&c, &reduce);
    if (s == OK) s = share_parameters(&c, &reduce);
    if (s != OK) program_finish(out);
    program_finish(&whole);
    return s;
}

// --- ZeRO-3

typedef struct {
    int block, ranks, group, gather_lane, reduce_lane;
} Zero;

// A parameter is a buffer that the gathering fills.
static void place_whole(const ProgramCopy *c, TensorSpec *spec, const Tensor *t) {
    if (t->role == ROLE_PARAMETER) spec->role = ROLE_BUFFER;
}

// The flat shard of a parameter, or of its gradient.
static Status add_shard(ProgramCopy *c, int whole, int32_t *out) {
    const Zero *z = c->context;
    const Tensor *t = &c->from->tensors[whole];
    char name[160];
    snprintf(name, sizeof name, "%s.shard", tensor_name(c->from, whole));
    *out = program_find_tensor(c->to, name);
    if (*out != NONE) return OK;
    const Shares shares = {tensor_elements(t), z->block, z->ranks};
    return program_add_tensor(c->to,
                              &(TensorSpec){.name = name,
                                            .logical = t->logical,
                                            .shape = {share_capacity(shares)},
                                            .dtype = (Dtype)t->dtype,
                                            .role = (Role)t->role,
                                            .placement = {[AXIS_DATA] = {.place = PLACE_SHARD,
                                                                         .cut = CUT_FLAT,
                                                                         .block = z->block}}},
                              out);
}

static Status gather_all(ProgramCopy *c) {
    const Zero *z = c->context;
    for (int t = 0; t < c->from->tensor_count; t++) {
        int32_t shard, whole;
        char name[160];
        if (c->from->tensors[t].role != ROLE_PARAMETER) continue;
        TRY(add_shard(c, t, &shard));
        TRY(program_copy_tensor(c, t, &whole));
        snprintf(name, sizeof name, "all_gather.%s", tensor_name(c->from, t));
        TRY(program_copy_collective(c,
                                    &(OpSpec){.name = name,
                                              .kind = KIND_ALL_GATHER,
                                              .phase = PHASE_INPUT,
                                              .lane = z->gather_lane,
                                              .group = z->group,
                                              .unit = z->block},
                                    whole, shard));
    }
    return OK;
}

// "w <- w.grad" becomes "w.grad.shard <- w.grad", then "w.shard <- w.grad.shard".
static Status update_shard(ProgramCopy *c, const Op *op) {
    const Zero *z = c->context;
    const Work *w = op_work(c->from, op);
    int32_t kept[2], gradient, whole, rate;  // kept: weight, velocity
    char name[160];
    for (int i = 0; i < op->outputs; i++) TRY(add_shard(c, op_outputs(c->plan, op)[i], &kept[i]));
    TRY(add_shard(c, op_inputs(c->plan, op)[0], &gradient));
    TRY(program_copy_tensor(c, op_inputs(c->plan, op)[0], &whole));
    TRY(program_copy_tensor(c, op_inputs(c->plan, op)[1], &rate));
    snprintf(name, sizeof name, "reduce_scatter.%s", tensor_name(c->to, whole));
    TRY(program_copy_collective(c,
                                &(OpSpec){.name = name,
                                          .kind = KIND_REDUCE_SCATTER,
                                          .phase = PHASE_BACKWARD,
                                          .lane = z->reduce_lane,
                                          .group = z->group,
                                          .unit = z->block},
                                gradient, whole));
    return plan_add_op(c->to, c->out,
                       &(OpSpec){.name = program_name(c->from, w->name),
                                 .layer = layer_of(c, op),
                                 .kind = KIND_SGD,
                                 .phase = PHASE_UPDATE,
                                 .dtype = (Dtype)w->dtype,
                                 .lane = c->compute,
                                 .attrs = &c->from->attrs[w->attr_first],
                                 .outputs = kept,
                                 .inputs = (int32_t[]){gradient, rate},
                                 .output_count = op->outputs,
                                 .input_count = 2},
                       NULL);
}

// Every rank reports the same loss; of an evaluation, each has a block of its own.
static Status join_loss(ProgramCopy *c, bool evaluation) {
    const Zero *z = c->context;
    int32_t loss, gathered;
    TRY(program_copy_tensor(c, program_find_tensor(c->from, evaluation ? "evaluate.loss" : "loss"),
                            &loss));
    const OpSpec spec = {.name = evaluation ? "all_gather.loss" : "all_reduce.loss",
                         .kind = evaluation ? KIND_ALL_GATHER : KIND_ALL_REDUCE,
                         .phase = evaluation ? PHASE_EVALUATE : PHASE_BACKWARD,
                         .lane = z->reduce_lane,
                         .group = z->group};
    if (!evaluation) return program_copy_collective(c, &spec, loss, loss);
    c->to->tensors[loss].result = RESULT_NONE;
    TRY(program_add_scalar(c->to, "evaluate.gathered", DTYPE_F64, 2 * z->ranks, &gathered));
    c->to->tensors[gathered].result = RESULT_LOSS;
    return program_copy_collective(c, &spec, gathered, loss);
}

static Status copy_sharded(ProgramCopy *c) {
    for (int k = 0; k < c->from->plan_count; k++) {
        TRY(program_copy_plan(c, k));
        TRY(gather_all(c));
        for (int i = 0; i < c->plan->op_count; i++) {
            const Op *op = &c->plan->ops[i];
            Kind kind = op_kind(c->from, op);
            TRY(kind_loads(kind)   ? program_copy_load(c, op, true, true)
                : kind == KIND_SGD ? update_shard(c, op)
                                   : program_copy_op(c, op, op->shard));
        }
        TRY(join_loss(c, c->plan->when == WHEN_EACH_EPOCH));
        TRY(plan_derive_deps(c->to, c->out));
    }
    return OK;
}

Status zero3_program(Program *out, const Model *m, const StepSpec *spec, int block) {
    Program whole = {0};
    Zero z = {.block = block, .ranks = spec->mesh.data};
    ProgramCopy c = {.from = &whole, .to = out, .context = &z, .place = place_whole};
    *out = (Program){0};
    Status s = model_emit(&whole, m, spec);
    if (s == OK) s = program_add_axis(out, "data", z.ranks, NULL);
    if (s == OK) s = program_add_group(out, "data", 1 << AXIS_DATA, &z.group);
    if (s == OK) s = program_copy_begin(&c);
    if (s == OK) s = program_add_lane(out, "gather", LANE_COMMUNICATION, z.group, &z.gather_lane);
    if (s == OK) s = program_add_lane(out, "reduce", LANE_COMMUNICATION, z.group, &z.reduce_lane);
    if (s == OK) s = copy_sharded(&c);
    if (s != OK) program_finish(out);
    program_finish(&whole);
    return s;
}

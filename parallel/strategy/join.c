// SPDX-License-Identifier: MIT
// What all data-parallel strategies add to a program besides the joining of gradients: the group
// and lane, the loss of all ranks, the evaluation of all, and rank 0's parameters for everybody.
#include "core/base/array.h"
#include "core/plan/build.h"
#include "core/plan/mesh.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdlib.h>
#include <string.h>

Status join_init_alone(Join *j, Program *p, const StrategyOptions *options) {
    *j = (Join){.p = p, .options = options, .group = NONE, .lane = NONE};
    j->axis = mesh_find_axis(p, MESH_DATA);
    if (j->axis == NONE) FAIL(ERR_PLAN, "the program has no mesh axis \"data\"");
    j->axes = j->sums = mesh_batch_axes(p);
    j->holders_group = j->holders_lane = NONE;
    for (int t = 0; t < p->tensor_count; t++)
        for (int a = 0; a < p->axis_count && p->tensors[t].role == ROLE_GRADIENT; a++)
            if (p->tensors[t].placement[a].place == PLACE_ONLY) j->only |= (uint16_t)(1 << a);
    return OK;
}

void join_confine(const Join *j, TensorSpec *piece) {
    for (int a = 0; a < j->p->axis_count; a++)
        if (j->only >> a & 1) piece->placement[a] = PLACEMENT_ONLY;
}

static Status find_group(Program *p, const char *name, uint16_t axes, int *out) {
    *out = program_find_group(p, name);
    return *out == NONE ? program_add_group(p, name, axes, out) : OK;
}

bool join_over_context(const StrategyOptions *options) {
    return !options->zero && !options->compress.word;
}

Status join_init(Join *j, Program *p, const StrategyOptions *options) {
    TRY(join_init_alone(j, p, options));
    int context = join_over_context(options) ? mesh_find_axis(p, MESH_CONTEXT) : NONE;
    j->sums = (uint16_t)(j->axes | (context == NONE ? 0 : 1 << context));
    uint16_t holders = (uint16_t)(j->sums & ~mesh_expert_axes(p));
    bool held = holders && options->experts > 1;
    if (p->axes[j->axis].size < 2 && context == NONE)
        FAIL(ERR_PLAN,
             "distributed data parallel needs two ranks or more along the mesh axis \"data\"");
    TRY(find_group(p, context == NONE ? "data" : "replicas", j->sums, &j->group));
    TRY(program_add_lane(p, "data", LANE_COMMUNICATION, j->group, &j->lane));
    if (!held) return OK;
    TRY(find_group(p, "holders", holders, &j->holders_group));
    return program_add_lane(p, "holders", LANE_COMMUNICATION, j->holders_group, &j->holders_lane);
}

bool join_is_of_experts(const Join *j, const Gradient *g) {
    int sharers = mesh_expert_axis(j->p);
    return !placement_is_partial(j->p->tensors[g->part[0]].placement[sharers]);
}

uint16_t join_summed_axes(const Join *j, const Gradient *g) {
    uint16_t axes = (uint16_t)(1 << j->axis);
    for (int a = 0; a < j->p->axis_count; a++)
        if (j->axes >> a & 1 && placement_is_partial(j->p->tensors[g->part[0]].placement[a]))
            axes |= (uint16_t)(1 << a);
    return axes;
}

void join_finish(Join *j) {
    free(j->after);
    arena_finish(&j->arena);
    *j = (Join){0};
}

Status join_add(Join *j, Plan *plan, const OpSpec *spec, int after) {
    TRY(ARRAY_RESERVE(j->after, j->capacity, j->added + 1));
    TRY(plan_add_op(j->p, plan, spec, NULL));
    j->after[j->added++] = after;
    return OK;
}

Status join_place(Join *j, Plan *plan) {
    int added = j->added;
    j->added = 0;
    return strategy_place_after(plan, j->after, added, &j->arena);
}

Status join_all_reduce(Join *j, Plan *plan, const char *name, const Gradient *g, int count,
                       Algorithm algorithm, int after) {
    int parts = j->options->local_shards;
    bool of_experts = join_is_of_experts(j, g);
    int32_t *operands = ARENA_NEW(&j->arena, int32_t, count * parts);
    if (!operands) FAIL(ERR_MEMORY, "out of memory for a bucket of %d gradients", count);
    for (int s = 0; s < parts; s++)
        for (int i = 0; i < count; i++) operands[s * count + i] = g[i].part[s];
    return join_add(j, plan,
                    &(OpSpec){.name = name,
                              .kind = KIND_ALL_REDUCE,
                              .phase = PHASE_SYNC,
                              .dtype = (Dtype)j->p->tensors[g[0].part[0]].dtype,
                              .lane = of_experts ? j->holders_lane : j->lane,
                              .group = of_experts ? j->holders_group : j->group,
                              .algorithm = algorithm,
                              .order = algorithm_order(algorithm),
                              .parts = parts,
                              .outputs = operands,
                              .inputs = operands,
                              .output_count = count,
                              .input_count = count * parts},
                    after);
}

int join_after(const Join *j, int complete, int last_backward) {
    return j->options->no_overlap && last_backward > complete ? last_backward : complete;
}

Status join_loss(Join *j, Plan *plan) {
    Gradient *g;
    int count, backward = join_last_backward(j->p, plan);
    TRY(gradients_find(j->p, plan, ROLE_SCALAR, j->options->local_shards, &j->arena, &g, &count));
    for (int i = 0; i < count; i++)
        TRY(join_all_reduce(j, plan, "all_reduce.loss", &g[i], 1, ALGORITHM_DIRECT,
                            join_after(j, g[i].complete, backward)));
    return OK;
}

int join_last_backward(const Program *p, const Plan *plan) {
    int last = NONE;
    for (int i = 0; i < plan->op_count; i++)
        if (op_work(p, &plan->ops[i])->phase == PHASE_BACKWARD) last = i;
    return last;
}

static Status collect_separation(const Program *p, const Plan *plan, DepList *out) {
    int backward = join_last_backward(p, plan), last = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        bool communication = work_communicates(w) && w->phase == PHASE_SYNC;
        if (communication && backward != NONE) TRY(dep_list_add(out, i, backward, DEP_ORDER, 0));
        if (communication) last = i;
        if (w->phase == PHASE_UPDATE && last != NONE) TRY(dep_list_add(out, i, last, DEP_ORDER, 0));
    }
    return OK;
}

Status join_separate_phases(const Program *p, Plan *plan) {
    DepList deps = {0};
    Status s = collect_separation(p, plan, &deps);
    if (s == OK) s = plan_add_deps(plan, &deps);
    dep_list_finish(&deps);
    return s;
}

// Does an operation read what differs from rank to rank?
static bool reads_own(const Join *j, const Plan *plan, const Op *op) {
    for (int i = 0; i < op->inputs; i++)
        if (j->p->tensors[op_inputs(plan, op)[i]].placement[j->axis].place == PLACE_DIFFERS)
            return true;
    return false;
}

// Mark state that is written from values of a rank's own; where the update copies it from another
// tensor, under a guard, that tensor.
static void mark_own_state(const Join *j, const Plan *plan, uint8_t *own) {
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        bool keeps = op_kind(j->p, op) == KIND_COPY && op_work(j->p, op)->phase == PHASE_UPDATE;
        if (!reads_own(j, plan, op)) continue;
        for (int o = 0; o < op->outputs; o++) {
            int t = op_outputs(plan, op)[o];
            if (j->p->tensors[t].role == ROLE_STATE) own[keeps ? op_inputs(plan, op)[0] : t] = 1;
        }
    }
}

Status join_state(Join *j, Plan *plan) {
    Program *p = j->p;
    int32_t *state = ARENA_NEW(&j->arena, int32_t, p->tensor_count + 1);
    uint8_t *own = ARENA_NEW(&j->arena, uint8_t, p->tensor_count + 1);
    int count = 0, last = NONE;
    if (!state || !own) FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    mark_own_state(j, plan, own);
    for (int i = 0; i < plan->op_count; i++)
        for (int o = 0; o < plan->ops[i].outputs; o++)
            if (own[op_outputs(plan, &plan->ops[i])[o]]) last = i;
    for (int t = 0; t < p->tensor_count; t++)
        if (own[t]) state[count++] = t;
    if (!count) return OK;
    if (j->options->no_overlap) last = join_last_backward(p, plan);
    return join_add(j, plan,
                    &(OpSpec){.name = "broadcast.state",
                              .kind = KIND_BROADCAST,
                              .phase = PHASE_SYNC,
                              .dtype = (Dtype)p->tensors[state[0]].dtype,
                              .lane = j->lane,
                              .group = j->group,
                              .outputs = state,
                              .inputs = state,
                              .output_count = count,
                              .input_count = count},
                    last);
}

static bool is_cut_along(const Tensor *t, int axis) {
    return axis != NONE && t->placement[axis].place == PLACE_SHARD;
}

// Parameters that all have alike; or of experts, which those that hold the same have, if there are
// several. What is cut along data besides nobody else holds.
static Status find_alike(Join *j, bool experts, int32_t **out, int *count) {
    const Program *p = j->p;
    int sharers = mesh_expert_axis(p);
    *count = 0;
    *out = ARENA_NEW(&j->arena, int32_t, p->tensor_count + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for the broadcast");
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *t = &p->tensors[i];
        bool shared = is_cut_along(t, sharers),
             cut = sharers != j->axis && is_cut_along(t, j->axis);
        if (t->role == ROLE_PARAMETER && t->alias == NONE && !cut && shared == experts &&
            (!shared || j->holders_group != NONE))
            (*out)[(*count)++] = i;
    }
    return OK;
}

static Status broadcast(Join *j, Plan *plan, bool experts, const int32_t *parameters, int count) {
    if (!count) return OK;
    return plan_add_op(j->p, plan,
                       &(OpSpec){.name = experts ? "broadcast.experts" : "broadcast.parameters",
                                 .kind = KIND_BROADCAST,
                                 .phase = PHASE_SETUP,
                                 .dtype = (Dtype)j->p->tensors[*parameters].dtype,
                                 .lane = experts ? j->holders_lane : j->lane,
                                 .group = experts ? j->holders_group : j->group,
                                 .outputs = parameters,
                                 .inputs = parameters,
                                 .output_count = count,
                                 .input_count = count},
                       NULL);
}

Status join_broadcast(Join *j) {
    Plan *plan;
    int32_t *parameters, *experts;
    int count, expert_count;
    TRY(find_alike(j, false, &parameters, &count));
    TRY(find_alike(j, true, &experts, &expert_count));
    if (!count && !expert_count) return OK;
    TRY(program_add_plan(j->p, "broadcast", &plan));
    plan->when = WHEN_ONCE;
    TRY(broadcast(j, plan, false, parameters, count));
    TRY(broadcast(j, plan, true, experts, expert_count));
    return plan_derive_deps(j->p, plan);
}

// Every rank evaluates blocks of its own; each then sees the results of all, in rank order. Ranks
// that share rows have one result (context_apply()).
Status join_evaluation(Join *j, int k) {
    Program *p = j->p;
    Plan *plan = &p->plans[k];
    int32_t loss = program_find_result(p, k, RESULT_LOSS), gathered;
    int group = j->group, lane = j->lane;
    if (p->axes[j->axis].size < 2) return OK;
    if (p->groups[group].axes != j->axes) {
        TRY(find_group(p, "data", j->axes, &group));
        TRY(program_add_lane(p, "evaluation", LANE_COMMUNICATION, group, &lane));
    }
    if (loss == NONE)
        FAIL(ERR_PLAN, "the plan %s has no result \"loss\"", program_name(p, plan->name));
    TRY(program_add_scalar(p, "evaluate.gathered", DTYPE_F64,
                           p->groups[group].size * (int)tensor_elements(&p->tensors[loss]),
                           &gathered));
    p->tensors[loss].result = RESULT_NONE;
    p->tensors[gathered].result = RESULT_LOSS;
    TRY(plan_add_op(p, plan,
                    &(OpSpec){.name = "all_gather.evaluation",
                              .kind = KIND_ALL_GATHER,
                              .phase = PHASE_EVALUATE,
                              .dtype = DTYPE_F64,
                              .lane = lane,
                              .group = group,
                              .outputs = &gathered,
                              .inputs = &loss,
                              .output_count = 1,
                              .input_count = 1},
                    NULL));
    return plan_derive_deps(p, plan);
}

// SPDX-License-Identifier: MIT
// Distributed data parallel (Li et al., "PyTorch Distributed", VLDB 2020) as a transformation of a
// program; read ddp_apply() at the end first.
#include "parallel/strategy/strategy.h"

#include "core/base/array.h"
#include "core/plan/build.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Everything that one application of the strategy works with.
typedef struct {
    Program *p;
    const StrategyOptions *options;
    Arena *arena;
    int group, lane;
    int *after;  // per added operation of the plan at work: the operation it goes behind
    int added, capacity;
} Ddp;

// Gradients in the order in which they become ready; those of one operation in reverse table order,
// which is that of PyTorch's reversed parameter list.
static int by_readiness(const void *left, const void *right) {
    const Gradient *a = left, *b = right;
    return a->complete != b->complete ? (a->complete > b->complete) - (a->complete < b->complete)
                                      : (a->part[0] < b->part[0]) - (a->part[0] > b->part[0]);
}

// One all-reduce over gradients[0 .. count): inputs part after part, results into the first part.
static Status add_all_reduce(Ddp *d, Plan *plan, const char *name, const Gradient *g, int count,
                             Algorithm algorithm, int after) {
    int parts = d->options->local_shards;
    int32_t *operands = ARENA_NEW(d->arena, int32_t, count * parts);
    if (!operands) FAIL(ERR_MEMORY, "out of memory for a bucket of %d gradients", count);
    for (int s = 0; s < parts; s++)
        for (int i = 0; i < count; i++) operands[s * count + i] = g[i].part[s];
    TRY(ARRAY_RESERVE(d->after, d->capacity, d->added + 1));
    TRY(plan_add_op(d->p, plan,
                    &(OpSpec){.name = name,
                              .kind = KIND_ALL_REDUCE,
                              .phase = PHASE_SYNC,
                              .dtype = (Dtype)d->p->tensors[g[0].part[0]].dtype,
                              .lane = d->lane,
                              .group = d->group,
                              .algorithm = algorithm,
                              .order = algorithm_order(algorithm),
                              .parts = parts,
                              .outputs = operands,
                              .inputs = operands,
                              .output_count = count,
                              .input_count = count * parts},
                    NULL));
    d->after[d->added++] = after;
    return OK;
}

// A bucket closes once it has passed its cap, so it may exceed it; what is left
// over is the last one.
static Status add_buckets(Ddp *d, Plan *plan, const Gradient *g, int count, int last_backward) {
    int64_t cap = d->options->bucket_bytes[0], bytes = 0;
    int first = 0, buckets = 0, after = NONE;
    for (int i = 0; i < count; i++) {
        bytes += d->p->tensors[g[i].part[0]].bytes;
        if (g[i].complete > after) after = g[i].complete;
        if (bytes < cap && i + 1 < count) continue;
        char name[32];
        snprintf(name, sizeof name, "bucket%d", buckets++);
        TRY(add_all_reduce(d, plan, name, &g[first], i + 1 - first, d->options->algorithm,
                           d->options->no_overlap ? last_backward : after));
        cap = d->options->bucket_bytes[1];
        bytes = 0;
        first = i + 1;
    }
    return OK;
}

static int last_backward_op(const Program *p, const Plan *plan) {
    int last = NONE;
    for (int i = 0; i < plan->op_count; i++)
        if (op_work(p, &plan->ops[i])->phase == PHASE_BACKWARD) last = i;
    return last;
}

// Without overlap nothing is communicated before the backward's end, and nothing is updated before
// the last bucket's.
static Status collect_separation(const Program *p, const Plan *plan, DepList *out) {
    int backward = last_backward_op(p, plan), last = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        bool communication = work_communicates(w);
        if (communication) TRY(dep_list_add(out, i, backward, DEP_ORDER, 0));
        if (communication) last = i;
        if (w->phase == PHASE_UPDATE && last != NONE) TRY(dep_list_add(out, i, last, DEP_ORDER, 0));
    }
    return OK;
}

static Status separate_phases(const Program *p, Plan *plan) {
    DepList deps = {0};
    Status s = collect_separation(p, plan, &deps);
    if (s == OK) s = plan_add_deps(plan, &deps);
    dep_list_finish(&deps);
    return s;
}

static Status transform_step(Ddp *d, Plan *plan) {
    Gradient *g;
    int count, parts = d->options->local_shards, backward = last_backward_op(d->p, plan);
    d->added = 0;
    TRY(gradients_find(d->p, plan, ROLE_SCALAR, parts, d->arena, &g, &count));
    for (int i = 0; i < count; i++)
        TRY(add_all_reduce(d, plan, "all_reduce.loss", &g[i], 1, ALGORITHM_DIRECT,
                           d->options->no_overlap ? backward : g[i].complete));
    TRY(gradients_find(d->p, plan, ROLE_GRADIENT, parts, d->arena, &g, &count));
    qsort(g, (size_t)count, sizeof *g, by_readiness);
    TRY(add_buckets(d, plan, g, count, backward));
    TRY(strategy_place_after(plan, d->after, d->added, d->arena));
    if (d->options->no_overlap) TRY(separate_phases(d->p, plan));
    return plan_derive_deps(d->p, plan);
}

static Status add_broadcast(Ddp *d) {
    Program *p = d->p;
    Plan *plan;
    int32_t *parameters = ARENA_NEW(d->arena, int32_t, p->tensor_count + 1);
    int count = 0;
    if (!parameters) FAIL(ERR_MEMORY, "out of memory for the broadcast");
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_PARAMETER) parameters[count++] = t;
    if (!count) return OK;
    TRY(program_add_plan(p, "broadcast", &plan));
    plan->when = WHEN_ONCE;
    TRY(plan_add_op(p, plan,
                    &(OpSpec){.name = "broadcast.parameters",
                              .kind = KIND_BROADCAST,
                              .phase = PHASE_SETUP,
                              .dtype = (Dtype)p->tensors[parameters[0]].dtype,
                              .lane = d->lane,
                              .group = d->group,
                              .outputs = parameters,
                              .inputs = parameters,
                              .output_count = count,
                              .input_count = count},
                    NULL));
    return plan_derive_deps(p, plan);
}

// Every rank evaluates blocks of its own; each then sees the results of all, in rank order.
static Status transform_evaluation(Ddp *d, int k) {
    Program *p = d->p;
    Plan *plan = &p->plans[k];
    int32_t loss = program_find_result(p, k, RESULT_LOSS), gathered;
    if (loss == NONE)
        FAIL(ERR_PLAN, "the plan %s has no result \"loss\"", program_name(p, plan->name));
    TRY(program_add_scalar(p, "evaluate.gathered", DTYPE_F64,
                           p->groups[d->group].size * (int)tensor_elements(&p->tensors[loss]),
                           &gathered));
    p->tensors[loss].result = RESULT_NONE;
    p->tensors[gathered].result = RESULT_LOSS;
    TRY(plan_add_op(p, plan,
                    &(OpSpec){.name = "all_gather.evaluation",
                              .kind = KIND_ALL_GATHER,
                              .phase = PHASE_EVALUATE,
                              .dtype = DTYPE_F64,
                              .lane = d->lane,
                              .group = d->group,
                              .outputs = &gathered,
                              .inputs = &loss,
                              .output_count = 1,
                              .input_count = 1},
                    NULL));
    return plan_derive_deps(p, plan);
}

static Status find_group(Ddp *d) {
    Program *p = d->p;
    int axis = NONE;
    for (int a = 0; a < p->axis_count; a++)
        if (!strcmp(p->axes[a].name, "data")) axis = a;
    if (axis == NONE || p->axes[axis].size < 2)
        FAIL(ERR_PLAN,
             "distributed data parallel needs two ranks or more along the mesh axis \"data\"");
    d->group = program_find_group(p, "data");
    if (d->group == NONE) TRY(program_add_group(p, "data", (uint16_t)(1 << axis), &d->group));
    return program_add_lane(p, "data", LANE_COMMUNICATION, d->group, &d->lane);
}

Status ddp_apply(Program *p, const StrategyOptions *options) {
    int step = program_find_when(p, WHEN_EACH_STEP, 0),
        evaluate = program_find_when(p, WHEN_EACH_EPOCH, 0);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    Arena scratch = {0};
    Ddp d = {.p = p, .options = options, .arena = &scratch};
    Status s = find_group(&d);
    if (s == OK) s = transform_step(&d, &p->plans[step]);
    if (s == OK && evaluate != NONE) s = transform_evaluation(&d, evaluate);
    if (s == OK) s = add_broadcast(&d);
    free(d.after);
    arena_finish(&scratch);
    return s;
}

// SPDX-License-Identifier: MIT
// Expert parallelism (Lepikhin et al., "GShard", 2020): data parallel ranks, all or groups of
// neighbours (the axis "expert"), share the experts: each holds some of them, whole, and computes
// these for the tokens of its group. Queues that a rank has filled from its own tokens are its
// piece of the whole, S0 (core/plan/placement_experts.c); an all-to-all makes them S1, the queues
// of the group of its own experts, and another one brings back what the experts gave. The backward
// does the same with gradients. Read expert_split() at the end first.
#include "core/base/arena.h"
#include "core/plan/expert.h"
#include "core/plan/mesh.h"
#include "core/plan/program_copy.h"
#include "core/plan/set.h"
#include "parallel/strategy/strategy.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    ProgramCopy copy;
    int axis, group, lane;  // of the ranks that share experts; they, and their exchanges
    uint16_t axes;  // of these ranks: `axis` and, where other positions share them, "context"
    int64_t ranks;
    bool *cut;         // [logical tensor] of experts: their weights, and what goes with these
    bool *queues;      // [tensor] it has queues
    int32_t *at_home;  // [tensor] of `to`: the queues of a rank's own tokens, or NONE
    int32_t *away;     // [tensor] of `to`: the queues of a rank's own experts, or NONE
    bool computes;     // the operation that is copied computes experts
    int32_t *order;    // the operations of the plan that is copied, in the order of the copy
    int ordered;
    Arena arena;
} Exchange;

static Exchange *of_copy(const ProgramCopy *c) { return c->context; }

// --- what is of experts

static bool is_product(Kind k) {
    return k == KIND_EXPERT_LINEAR || k == KIND_EXPERT_LINEAR_BACKWARD_INPUT ||
           k == KIND_EXPERT_LINEAR_BACKWARD_WEIGHT;
}

static void find_queues(Exchange *x, const Plan *plan, const Op *op) {
    const int32_t *out = op_outputs(plan, op), *in = op_inputs(plan, op);
    const Program *p = x->copy.from;
    switch (op_kind(p, op)) {
    case KIND_EXPERT_LINEAR:
    case KIND_EXPERT_LINEAR_BACKWARD_INPUT:
        x->queues[out[0]] = x->queues[in[0]] = x->queues[in[2]] = true;
        x->cut[p->tensors[in[1]].logical] = true;
        break;
    case KIND_EXPERT_LINEAR_BACKWARD_WEIGHT:
        x->queues[in[0]] = x->queues[in[1]] = x->queues[in[2]] = true;
        x->cut[p->tensors[out[0]].logical] = true;
        break;
    case KIND_DISPATCH_BACKWARD: x->queues[in[0]] = true; break;
    default: break;
    }
}

// What an optimiser keeps of a weight lies as the weight does.
static void find_states(Exchange *x, const Plan *plan, const Op *op) {
    const Program *p = x->copy.from;
    Kind k = op_kind(p, op);
    if (k != KIND_SGD && k != KIND_ADAM) return;
    if (!x->cut[p->tensors[op_outputs(plan, op)[0]].logical]) return;
    for (int o = 0; o < op->outputs; o++)
        x->cut[p->tensors[op_outputs(plan, op)[o]].logical] = true;
}

static void find(Exchange *x) {
    const Program *p = x->copy.from;
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            find_queues(x, &p->plans[k], &p->plans[k].ops[i]);
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            find_states(x, &p->plans[k], &p->plans[k].ops[i]);
}

// --- tensors

static void place(const ProgramCopy *c, TensorSpec *spec, const Tensor *t) {
    const Exchange *x = of_copy(c);
    if (!x->cut[t->logical]) return;
    mesh_place(spec->placement, x->axes, PLACEMENT_SHARD(0));
    spec->shape[0] /= x->ranks;
}

// A tensor of queues as it lies at home or away.
static Status take_queues(Exchange *x, int from, bool away, int32_t *out) {
    int32_t *made = away ? &x->away[from] : &x->at_home[from];
    const Tensor *t = &x->copy.from->tensors[from];
    char name[320];
    int index;
    *out = *made;
    if (*made != NONE) return OK;
    TensorSpec spec = program_copy_spec(x->copy.from, t);
    snprintf(name, sizeof name, "%s%s", tensor_name(x->copy.from, from), away ? ".away" : "");
    spec.name = name;
    spec.placement[x->axis] = PLACEMENT_SHARD(away);
    if (away) mesh_place(spec.placement, x->axes, PLACEMENT_SHARD(1));
    if (away) spec.shape[0] = x->ranks;
    if (away) spec.shape[1] /= x->ranks;
    TRY(program_add_tensor(x->copy.to, &spec, &index));
    *out = *made = index;
    return OK;
}

// Gradients of experts that no other rank has are sums over all shards of this one, as they are
// over its micro-batches: the tensor of shard 0 has them.
static int first_of_shards(const Exchange *x, int tensor) {
    const Program *p = x->copy.from;
    const Tensor *t = &p->tensors[tensor];
    int context = mesh_find_axis(p, MESH_CONTEXT);
    bool alone =
        mesh_find_axis(p, MESH_EXPERT) == NONE && (context == NONE || x->axes >> context & 1);
    if (!alone || t->role != ROLE_GRADIENT || !x->cut[t->logical] || !t->shard) return tensor;
    for (int i = 0; i < p->tensor_count; i++)
        if (p->tensors[i].logical == t->logical && !p->tensors[i].shard) return i;
    return tensor;
}

static Status take(ProgramCopy *c, int from, int32_t *out) {
    Exchange *x = of_copy(c);
    from = first_of_shards(x, from);
    return x->queues[from] ? take_queues(x, from, x->computes, out)
                           : program_copy_tensor(c, from, out);
}

// Its operands but for weights are queues.
static bool computes_experts(const Exchange *x, const Op *op) {
    Kind k = op_kind(x->copy.from, op);
    bool each = k == KIND_SWIGLU || k == KIND_SWIGLU_BACKWARD || k == KIND_ADD;
    return is_product(k) || (each && x->queues[op_outputs(x->copy.plan, op)[0]]);
}

// --- the order of the backward

static bool is_weight_gradient(const Exchange *x, const Op *op) {
    return op_kind(x->copy.from, op) == KIND_EXPERT_LINEAR_BACKWARD_WEIGHT;
}

// The router's part: no queue is read.
static bool is_of_router(const Exchange *x, const Op *op) {
    Kind k = op_kind(x->copy.from, op);
    return k == KIND_ROUTE_BACKWARD || k == KIND_LINEAR_BACKWARD_WEIGHT ||
           k == KIND_LINEAR_BACKWARD_INPUT;
}

// Where the backward of the layer of operation i ends, of its shard and micro-batch.
static int end_of_layer(const Exchange *x, int i) {
    const Plan *plan = x->copy.plan;
    const Op *first = &plan->ops[i];
    const Work *w = op_work(x->copy.from, first);
    for (; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Work *other = op_work(x->copy.from, op);
        if (other->layer != w->layer || other->phase != w->phase || op->shard != first->shard ||
            op->micro_batch != first->micro_batch)
            break;
    }
    return i;
}

// From the gradient of what the experts gave on: while that is on its way, the router's part; then
// what leads to the gradient of the tokens; and gradients of weights while that is on its way back.
static void order_layer(Exchange *x, int first, int end) {
    const Plan *plan = x->copy.plan;
    int last = first;  // that reads or writes queues, but for gradients of weights
    for (int i = first; i < end; i++)
        if (computes_experts(x, &plan->ops[i]) && !is_weight_gradient(x, &plan->ops[i])) last = i;
    for (int i = first; i < end; i++)
        if (is_of_router(x, &plan->ops[i])) x->order[x->ordered++] = i;
    for (int i = first; i < end; i++) {
        if (!is_of_router(x, &plan->ops[i]) && !is_weight_gradient(x, &plan->ops[i]))
            x->order[x->ordered++] = i;
        for (int k = first; k < end && i == last; k++)
            if (is_weight_gradient(x, &plan->ops[k])) x->order[x->ordered++] = k;
    }
}

static Status find_order(Exchange *x) {
    const Plan *plan = x->copy.plan;
    x->order = ARENA_NEW(&x->arena, int32_t, plan->op_count + 1);
    if (!x->order) FAIL(ERR_MEMORY, "out of memory for %d operations", plan->op_count);
    x->ordered = 0;
    for (int i = 0; i < plan->op_count; i++) {
        x->order[x->ordered++] = i;
        if (op_kind(x->copy.from, &plan->ops[i]) != KIND_COMBINE_BACKWARD) continue;
        int end = end_of_layer(x, i);
        order_layer(x, i + 1, end);
        i = end - 1;
    }
    return OK;
}

// --- operations

static Status exchange(Exchange *x, const Op *op, int from, bool away) {
    int32_t output, input;
    char name[320];
    TRY(take_queues(x, from, !away, &input));
    TRY(take_queues(x, from, away, &output));
    snprintf(name, sizeof name, "all_to_all.%s", tensor_name(x->copy.from, from));
    const OpSpec spec = {.name = name,
                         .kind = KIND_ALL_TO_ALL,
                         .phase = (Phase)op_work(x->copy.from, op)->phase,
                         .lane = x->lane,
                         .group = x->group,
                         .shard = op->shard,
                         .micro_batch = op->micro_batch};
    return program_copy_collective(&x->copy, &spec, output, input);
}

// Does an operation that is still to come read the tensor on the other side?
static bool is_read_there(const Exchange *x, int place, int tensor) {
    const Plan *plan = x->copy.plan;
    for (int k = place + 1; k < plan->op_count; k++) {
        const Op *op = &plan->ops[x->order[k]];
        for (int n = 0; n < op->inputs; n++)
            if (op_inputs(plan, op)[n] == tensor && computes_experts(x, op) != x->computes)
                return true;
    }
    return false;
}

// What the other side reads is sent there as soon as it is written.
static Status copy_op(Exchange *x, int place) {
    ProgramCopy *c = &x->copy;
    const Op *op = &c->plan->ops[x->order[place]];
    Op adds = *op;
    adds.flags |= OP_ACCUMULATE;
    bool first = !is_weight_gradient(x, op) ||
                 first_of_shards(x, op_outputs(c->plan, op)[0]) == op_outputs(c->plan, op)[0];
    x->computes = computes_experts(x, op);
    if (kind_loads(op_kind(c->from, op)))
        TRY(program_copy_load(c, op, true, true));
    else
        TRY(program_copy_op(c, first ? op : &adds, op->shard));
    for (int o = 0; o < op->outputs; o++) {
        int t = op_outputs(c->plan, op)[o];
        if (x->queues[t] && is_read_there(x, place, t)) TRY(exchange(x, op, t, !x->computes));
    }
    return OK;
}

static Status copy_program(Exchange *x) {
    ProgramCopy *c = &x->copy;
    int32_t any;
    for (int t = 0; t < c->from->tensor_count; t++)
        if (role_persists((Role)c->from->tensors[t].role)) TRY(program_copy_tensor(c, t, &any));
    for (int k = 0; k < c->from->plan_count; k++) {
        TRY(program_copy_plan(c, k));
        TRY(find_order(x));
        for (int i = 0; i < c->plan->op_count; i++) TRY(copy_op(x, i));
        TRY(plan_derive_deps(c->to, c->out));
    }
    return OK;
}

static Status split(Exchange *x) {
    ProgramCopy *c = &x->copy;
    int tensors = c->from->tensor_count + 1;
    x->cut = ARENA_NEW(&x->arena, bool, c->from->logical_count + 1);
    x->queues = ARENA_NEW(&x->arena, bool, tensors);
    x->at_home = ARENA_NEW(&x->arena, int32_t, tensors);
    x->away = ARENA_NEW(&x->arena, int32_t, tensors);
    if (!x->cut || !x->queues || !x->at_home || !x->away)
        FAIL(ERR_MEMORY, "out of memory to divide experts");
    for (int t = 0; t < tensors; t++) x->at_home[t] = x->away[t] = NONE;
    find(x);
    TRY(program_copy_head(c->to, c->from));
    c->compute = program_find_lane(c->to, "compute");
    c->host = program_find_lane(c->to, "host");
    TRY(program_add_group(c->to, "experts", x->axes, &x->group));
    TRY(program_add_lane(c->to, "experts", LANE_COMMUNICATION, x->group, &x->lane));
    return copy_program(x);
}

// Names fewer of `data` ranks that can share the experts, or else numbers of experts that fit.
static Status refuse_experts(int64_t experts, int64_t ranks, int64_t data) {
    long long least = experts / ranks * ranks, less = ranks - 1;
    char instead[96];
    while (less > 1 && (experts % less || data % less)) less--;
    if (less > 1)
        snprintf(instead, sizeof instead, "--ep %lld can share them", less);
    else if (least)
        snprintf(instead, sizeof instead, "give --experts %lld or %lld", least,
                 least + (long long)ranks);
    else
        snprintf(instead, sizeof instead, "give --experts %lld", (long long)ranks);
    FAIL(ERR_USAGE, "--ep %lld: %lld experts = %lld × %lld + %lld; %s", (long long)ranks,
         (long long)experts, (long long)ranks, (long long)(experts / ranks),
         (long long)(experts % ranks), instead);
}

static Status check_experts(const Program *p, int64_t ranks) {
    for (int k = 0; k < p->plan_count; k++) {
        int choices = program_find_result(p, k, RESULT_CHOICES);
        if (choices == NONE) continue;
        int64_t experts = p->tensors[choices].shape[1] - EXPERT_CHOSEN;
        return experts % ranks ? refuse_experts(experts, ranks, mesh_batch_ranks(p)) : OK;
    }
    FAIL(ERR_USAGE,
         "--ep %lld: the model has no layer of experts; give one that has, such as --model "
         "mixtral, or leave --ep out",
         (long long)ranks);
}

Status expert_split(Program *p, bool wide) {
    Program to = {0};
    Exchange x = {.copy = {.from = p, .to = &to, .place = place, .take = take},
                  .axis = mesh_expert_axis(p)};
    x.copy.context = &x;
    x.ranks = p->axes[x.axis].size * (wide ? mesh_axis_size(p, MESH_CONTEXT) : 1);
    x.axes = (uint16_t)(1 << x.axis | (wide ? 1 << mesh_find_axis(p, MESH_CONTEXT) : 0));
    Status s = check_experts(p, x.ranks);
    if (s == OK) s = split(&x);
    arena_finish(&x.arena);
    program_finish(p);
    *p = to;
    if (s != OK) program_finish(p);
    return s;
}

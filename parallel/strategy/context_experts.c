// SPDX-License-Identifier: MIT
// Layers of experts where sequences are cut. A rank routes the tokens of its positions and fills
// queues of its own, with its share of their room (core/plan/expert.h): what is dropped depends on
// the number of ranks. What balances the experts does not: each rank gets the choices of all of
// them, so that its part of the balance is that of its tokens in the whole micro-batch.
#include "core/base/units.h"
#include "parallel/strategy/context_internal.h"

#include <stdio.h>

enum { ROUTE_CHOSEN = 4 };  // output of a route

static bool has_queues(const Context *c, const Tensor *t) {
    Placement how = t->placement[mesh_find_axis(c->copy.from, MESH_DATA)];
    return t->extent == NONE && t->role == ROLE_ACTIVATION && how.place == PLACE_SHARD;
}

bool context_place_queues(const Context *c, TensorSpec *spec, const Tensor *t) {
    if (!has_queues(c, t)) return false;
    bool counts = c->chosen[t - c->copy.from->tensors],
         away = t->placement[c->axis].place == PLACE_SHARD;
    if (!away) spec->placement[c->axis] = counts ? PLACEMENT_DIFFERS : PLACEMENT_SHARD(0);
    if (t->dims > 2) spec->shape[2] = units_divide_up(t->shape[2], c->ranks);
    return true;
}

// Pieces of all ranks; slots of each.
static void widen(Context *c, const Tensor *t) {
    const Logical *from = &c->copy.from->logicals[t->logical];
    Logical *to = &c->copy.to->logicals[t->logical];
    to->shape[0] = from->shape[0] * c->ranks;
    if (t->dims > 2) to->shape[2] = units_divide_up(from->shape[2], c->ranks);
}

Status context_find_experts(Context *c) {
    const Program *p = c->copy.from;
    c->chosen = ARENA_NEW(c->arena, uint8_t, p->tensor_count + 1);
    c->gathered = ARENA_NEW(c->arena, int32_t, p->tensor_count + 1);
    if (!c->chosen || !c->gathered)
        FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    for (int t = 0; t < p->tensor_count; t++) c->gathered[t] = NONE;
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            if (op_kind(p, &p->plans[k].ops[i]) == KIND_ROUTE)
                c->chosen[op_outputs(&p->plans[k], &p->plans[k].ops[i])[ROUTE_CHOSEN]] = 1;
    for (int t = 0; t < p->tensor_count; t++)
        if (has_queues(c, &p->tensors[t]) && !c->chosen[t]) widen(c, &p->tensors[t]);
    return OK;
}

Status context_take(ProgramCopy *copy, int from, int32_t *out) {
    const Context *c = copy->context;
    *out = c->balances ? c->gathered[from] : NONE;
    return *out == NONE ? program_copy_tensor(copy, from, out) : OK;
}

// --- choices of all ranks

// Does a layer balance its experts?
static bool is_balanced(const Context *c, int chosen) {
    const Plan *plan = c->copy.plan;
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(c->copy.from, &plan->ops[i]) == KIND_BALANCE &&
            op_inputs(plan, &plan->ops[i])[1] == chosen)
            return true;
    return false;
}

static Status add_table(Context *c, int chosen, int32_t *out) {
    const Program *from = c->copy.from;
    const Tensor *t = &from->tensors[chosen];
    const Logical *l = &from->logicals[t->logical];
    char name[320];
    int index;
    LogicalSpec whole = {.shape = {l->shape[0] * c->ranks, l->shape[1]},
                         .dims = 2,
                         .dtype = (Dtype)t->dtype,
                         .role = ROLE_ACTIVATION,
                         .name = name};
    TensorSpec spec = program_copy_spec(from, t);
    snprintf(name, sizeof name, "%.300s.all", program_name(from, l->name));
    spec.logical = program_find_logical(c->copy.to, name);
    if (spec.logical == NONE) TRY(program_add_logical(c->copy.to, &whole, &spec.logical));
    snprintf(name, sizeof name, "%.300s.all", tensor_name(from, chosen));
    spec.name = name;
    spec.shape[0] = c->ranks;
    TRY(program_add_tensor(c->copy.to, &spec, &index));
    *out = index;
    return OK;
}

static Status gather_choices(Context *c, const Op *op, int chosen) {
    int32_t own;
    char name[320];
    TRY(add_table(c, chosen, &c->gathered[chosen]));
    TRY(program_copy_tensor(&c->copy, chosen, &own));
    snprintf(name, sizeof name, "all_gather.%.300s", tensor_name(c->copy.from, chosen));
    const OpSpec spec = {.name = name,
                         .kind = KIND_ALL_GATHER,
                         .phase = (Phase)op_work(c->copy.from, op)->phase,
                         .lane = c->reduce,
                         .group = c->group,
                         .shard = op->shard,
                         .micro_batch = op->micro_batch};
    return program_copy_collective(&c->copy, &spec, c->gathered[chosen], own);
}

Status context_add_experts(Context *c, const Op *op) {
    Kind kind = op_kind(c->copy.from, op);
    c->balances = kind == KIND_BALANCE || kind == KIND_ROUTE_BACKWARD;
    TRY(program_copy_op(&c->copy, op, op->shard));
    c->balances = false;
    int chosen = kind == KIND_ROUTE ? op_outputs(c->copy.plan, op)[ROUTE_CHOSEN] : NONE;
    return chosen != NONE && is_balanced(c, chosen) ? gather_choices(c, op, chosen) : OK;
}
